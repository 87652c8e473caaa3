"""Places of what nobody registered: cells so coarse that one thing is reported once.

A place is named by a URN: within which view, and in which cell of it. Boxes tremble and positions
drift, so what another picture shows in a neighbouring cell is taken for the same place.
"""

import math
import re
from collections.abc import Iterable

import shapely

from models.capture import CELL_DEGREES
from models.frame import Position
from services.geometry import Geometry
from services.sites import Site

GROUND_DEGREES = 0.00004
"""A cell where each px is known to show so much ground: in France 4.5 m by 3 m. Elsewhere on the
Earth cells are as coarse as any position, `models.capture.CELL_DEGREES`."""

_PLACE = re.compile(r"(.*:unregistered:.*:)(-?\d+)\.(-?\d+)")


def place_urn(site: Site, within: str, column: int, row: int) -> str:
    """The URN of a cell: of a camera's view, of a single picture, or of the Earth."""
    return f"urn:vigie:{site.territory}:{site.site}:unregistered:{within}:{column}.{row}"


def earth_place(site: Site, position: Position, exact: bool) -> str:
    """The URN of a cell of the Earth, a fine one where the position is `exact`."""
    within, side = ("ground", GROUND_DEGREES) if exact else ("earth", CELL_DEGREES)
    return place_urn(site, within, *(math.floor(degrees / side) for degrees in position))


def may_be_at(geometry: Geometry, position: Position, exact: bool) -> bool:
    """Whether what a site registered lies in the cell of a position, or a neighbouring one."""
    side = GROUND_DEGREES if exact else CELL_DEGREES
    low = [(math.floor(degrees / side) - 1) * side for degrees in position]
    near = shapely.box(*low, *(degrees + 3 * side for degrees in low))
    return bool(near.intersects(shapely.geometry.shape(geometry.model_dump())))


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
