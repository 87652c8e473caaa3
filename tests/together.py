"""Four processes that set out at the same moment."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from tests.patience import MINUTE_S, joined

# What is slow to import is imported once, by the process of which the others are forks.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["services.catalog", "psycopg", "pytest"])
_barriers = []


def _hold(barrier):
    _barriers.append(barrier)


def pool():
    """Runs four calls at a time, each of which begins with `set_out`."""
    return ProcessPoolExecutor(4, _FORKS, _hold, (_FORKS.Barrier(4),))


def set_out():
    """Wait for the other three: then no process has done its share before another has begun."""
    _barriers[0].wait(MINUTE_S)


def dies(function, url):
    """Whether a process that calls the function with the URL ends by `os._exit(9)`."""
    process = _FORKS.Process(target=function, args=(url,))
    process.start()
    return joined(process) == 9
