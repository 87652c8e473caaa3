"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "batches",
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("submitted", sa.String, nullable=False),
        sa.Column("finished", sa.String),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "images",
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(1024), primary_key=True),
        sa.Column("work", sa.String(32), nullable=False, index=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "observations",
        sa.Column("position", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("work", sa.String(32), nullable=False, index=True),
        sa.Column("asset", sa.String(255), nullable=False),
        sa.Column("quantity", sa.String(64), nullable=False),
        sa.Column("observed_at", sa.String(40), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_index("by_asset", "observations", ["asset", "quantity", "observed_at"])
    op.create_table(
        "asset_states",
        sa.Column("asset", sa.String(255), primary_key=True),
        sa.Column("condition", sa.String(64), primary_key=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("position", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("batch", sa.String(64), nullable=False, index=True),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(1024), nullable=False, index=True),
        sa.Column("recorded", sa.String(20), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "sequences",
        sa.Column("partition", sa.String(255), primary_key=True),
        sa.Column("last", _NUMBER, nullable=False),
    )
    op.create_table(
        "cursors",
        sa.Column("sink", sa.String(512), primary_key=True),
        sa.Column("position", _NUMBER, nullable=False),
    )
    op.create_table(
        "dead_letters",
        sa.Column("sink", sa.String(512), primary_key=True),
        sa.Column("position", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("refused", sa.String(20), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("position", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("previous", sa.String(64), nullable=False, unique=True),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("seal", sa.String(64), nullable=False),
    )
