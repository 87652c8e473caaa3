"""`mqtt://127.0.0.1:1883/vigie`: as `mqtts:`, but only to this machine, where nobody listens in."""

from urllib.parse import urlsplit

from models.errors import BadConfiguration
from services.sinks import THIS_MACHINE, Target, mqtts

_PORT = 1883


def open_sink(target: Target) -> mqtts.Publisher:
    """The sink of an `mqtt:` URL.

    Raises:
        BadConfiguration: it leads to another machine, or see `mqtts.broker_of`.
    """
    target.only()
    if urlsplit(target.url).hostname not in THIS_MACHINE:
        raise BadConfiguration("events leave this machine encrypted: give an mqtts: URL")
    return mqtts.Publisher(mqtts.broker_of(target, _PORT, None))
