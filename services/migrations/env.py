"""What alembic runs: on the connection that `services.migrations` gives, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
