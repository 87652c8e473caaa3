"""Places of what nobody registered: cells so coarse that one thing is reported once.

A place is named by a URN: within which view, and in which cell of it. Boxes tremble and positions
drift, so a sighting in a neighbouring cell is taken for the same place.
"""

import re
from collections.abc import Iterable

from services.sites import Site

_PLACE = re.compile(r"(.*:unregistered:.*:)(-?\d+)\.(-?\d+)")


def place_urn(site: Site, within: str, column: int, row: int) -> str:
    """The URN of a cell: of a camera's view, of a single picture, or of the Earth."""
    return f"urn:vigie:{site.territory}:{site.site}:unregistered:{within}:{column}.{row}"


def around(place: str) -> Iterable[str]:
    """The place itself and its eight neighbours.

    Raises:
        ValueError: not made by `place_urn`.
    """
    parts = _PLACE.fullmatch(place)
    if parts is None:
        raise ValueError(f"{place} is no place")
    within, column, row = parts[1], int(parts[2]), int(parts[3])
    return [f"{within}{column + x}.{row + y}" for x in (0, -1, 1) for y in (0, -1, 1)]
