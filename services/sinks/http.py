"""`http://127.0.0.1:8080/hook`: as `https:`, but only to this machine, where nobody listens in."""

from urllib.parse import urlsplit

from models.errors import BadConfiguration
from services.sinks import THIS_MACHINE, Target, https


def open_sink(target: Target) -> https.Webhook:
    """The sink of an `http:` URL.

    Raises:
        BadConfiguration: it leads to another machine.
    """
    if urlsplit(target.url).hostname not in THIS_MACHINE:
        raise BadConfiguration("events leave this machine encrypted: give an https: URL")
    return https.open_sink(target)
