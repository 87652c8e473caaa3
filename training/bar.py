"""Progress bars of long work, on standard error where somebody looks."""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def bar(items: Iterable[T], told: str, total: int | None = None) -> Iterable[T]:
    """The same items, with a bar that is gone at the end.

    Args:
        items: what is worked through.
        told: written before the bar.
        total: number of items, where they have no length.
    """
    console = Console(stderr=True)
    hidden = not console.is_terminal
    return track(items, told, total, console=console, transient=True, disable=hidden)
