"""What a batch is, and the groups that its images are done in."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from services.events import Wire
from services.items import Item
from services.sites import Site


class Manifest(Wire):
    """What a batch is.

    Attributes:
        site: the site file's content, so that a batch never changes with the file.
        purposes: what is asked of the images.
        models: `name@digest` of all that may judge them; a resumed batch never mixes two.
        items: the images, by key; before a raster of which a map is made, its windows.
    """

    site: dict[str, Any]
    purposes: tuple[str, ...]
    models: tuple[str, ...]
    items: tuple[Item, ...]

    @property
    def batch(self) -> str:
        """The batch's id: 12 hex digits of the manifest's sha256."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def read_site(self) -> Site:
        """The site as it was when the batch was submitted."""
        return Site.model_validate(self.site)

    @cached_property
    def windows(self) -> dict[str, tuple[Item, ...]]:
        """Key of a raster → the windows that it is done by."""
        found: dict[str, list[Item]] = {}
        for item in self.items:
            if item.window is not None:
                found.setdefault(item.key, []).append(item)
        return {key: tuple(items) for key, items in found.items()}

    def is_map(self, item: Item) -> bool:
        """Whether an item is a raster as a whole, done when its windows are."""
        return item.window is None and item.key in self.windows

    @property
    def shards(self) -> list[tuple[Item, ...]]:
        """The items in deterministic groups, the unit of commit: small ones for small batches.

        A window keeps a core busy for seconds, so it is committed alone.
        """
        together = [item for item in self.items if item.key not in self.windows]
        size = 8 if len(together) <= 256 else 32
        groups = [tuple(together[i : i + size]) for i in range(0, len(together), size)]
        return groups + [(item,) for item in self.items if item.key in self.windows]


@dataclass(frozen=True, slots=True)
class Shard:
    """A group of images and how it is to be run.

    Attributes:
        number: its place in the manifest.
        items: its images.
        suspect: it was running when a worker died, so it runs alone.
    """

    number: int
    items: tuple[Item, ...]
    suspect: bool = False
