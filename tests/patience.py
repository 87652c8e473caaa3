"""Waiting in tests: for a minute, which is as good as for ever, and then saying so."""

import random
import socket
import threading
import time
from contextlib import contextmanager, suppress

MINUTE_S = 60


def until(condition):
    """Wait for it."""
    end = time.monotonic() + MINUTE_S
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


@contextmanager
def stopping():
    """An event for what goes on until it is set: a minute later it is."""
    stop = threading.Event()
    guard = threading.Timer(MINUTE_S, stop.set)
    guard.start()
    try:
        yield stop
    finally:
        stop.set()
        guard.cancel()


def joined(process):
    """Wait for the end of a process; gives its exit code."""
    process.join(MINUTE_S)
    assert process.exitcode is not None, "it never ended"
    return process.exitcode


def lasting_port():
    """A port for a server that goes away and comes back: no connection is given it meanwhile.

    Systems take those that they give from 32768 on, or higher.
    """
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
