"""A function in a process of its own: a call that never ends, or dies, harms no other."""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from models.errors import RedactionFailed

_CONTEXT = multiprocessing.get_context("spawn")  # threads of this process would not survive a fork

Answer = TypeVar("Answer")


class Apart(Generic[Answer]):
    """Calls of a function in another process, each of which may take so long and no longer.

    A process that took too long, or died, is replaced.
    """

    def __init__(self, open_function: Callable[[], Callable[..., Answer]], limit_s: float) -> None:
        """Start the process and wait until the function is there, however long that takes.

        Args:
            open_function: makes the function, over there; it is pickled, as are arguments and
                answers. What the function does not give is an answer: it raises nothing.
            limit_s: longest time a call may take.

        Raises:
            Exception: whatever `open_function` raises.
            RedactionFailed: worker_died.
        """
        self._open_function, self._limit_s = open_function, limit_s
        self._running: tuple[BaseProcess, Connection] | None = None
        self._start()

    def __call__(self, *arguments: object) -> Answer:
        """What the function gives.

        Raises:
            RedactionFailed: timed_out, worker_died.
        """
        _, pipe = self._running or self._start()
        try:
            pipe.send(arguments)
            if pipe.poll(self._limit_s):
                answer: Answer = pipe.recv()
                return answer
            reason = "timed_out"
        except (EOFError, ConnectionError):
            reason = "worker_died"
        self.close()
        raise RedactionFailed(reason)

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._running is not None:
            process, pipe = self._running
            self._running = None
            process.kill()
            process.join()
            pipe.close()

    def _start(self) -> tuple[BaseProcess, Connection]:
        pipe, far_end = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_serve, args=(far_end, self._open_function), daemon=True)
        process.start()
        far_end.close()  # so that its death is seen
        self._running = process, pipe
        try:
            error = pipe.recv()
        except (EOFError, ConnectionError):
            error = RedactionFailed("worker_died")
        if error is not None:
            self.close()
            raise error
        return self._running


def _serve(pipe: Connection, open_function: Callable[[], Callable[..., object]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    try:
        function = open_function()
    except Exception as error:  # noqa: BLE001 - raised where it is asked for
        pipe.send(error)
        return
    pipe.send(None)
    while True:
        try:
            arguments = pipe.recv()
        except EOFError:
            return
        pipe.send(function(*arguments))
