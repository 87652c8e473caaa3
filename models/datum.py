"""What the coordinates of a survey mean: where its grid lies, in which unit, above which zero."""

import math
from collections.abc import Iterable
from typing import Protocol

from pyproj import CRS

from models.errors import BadSurface

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top in units of a CRS."""


class Located(Protocol):
    """A file of heights that says where it lies."""

    @property
    def crs(self) -> CRS:
        """As the file says, with its vertical part."""
        ...

    @property
    def bounds(self) -> Bounds:
        """Of what it holds, in units of the horizontal part of its CRS."""
        ...

    @property
    def unit_named(self) -> bool:
        """Whether it says in what unit its heights are; else they are taken for metres."""
        ...


_FOOT, _US_FOOT = 0.3048, 1200 / 3937
_UNITS_M = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), 0.01),
    **dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter", "millimeters"), 0.001),
    **dict.fromkeys(("ft", "foot", "feet", "international foot"), _FOOT),
    **dict.fromkeys(("us-ft", "ftus", "us survey foot", "us survey feet"), _US_FOOT),
}


def horizontal(crs: CRS | None, name: str) -> CRS:
    """The part of a CRS that says where, without the part that says how high.

    Args:
        crs: of a file, None where the file names none.
        name: of the file, for the message.

    Raises:
        BadSurface: `no_crs`.
    """
    if crs is None or not (crs.is_projected or crs.is_geographic):
        raise BadSurface("no_crs", f"{name} does not say where it lies: write its CRS into it")
    return crs.sub_crs_list[0] if crs.is_compound else crs.to_2d()


def metres_per_unit(crs: CRS, unit: str, name: str) -> float:
    """How many metres one unit of height is.

    Heights whose unit nobody names are metres, unless the grid itself lies in another unit: then
    one cannot know.

    Args:
        crs: of the file.
        unit: what the file itself calls its unit, "" where it does not.
        name: of the file, for the message.

    Raises:
        BadSurface: `units`, one we do not know, or none beside a grid in feet.
    """
    if unit:
        if unit.lower() in _UNITS_M:
            return _UNITS_M[unit.lower()]
        raise BadSurface("units", f"{name} has heights in {unit!r}: give them in metres")
    upwards = _upwards(crs)
    if upwards is not None:
        return float(upwards.axis_info[-1].unit_conversion_factor)
    across = horizontal(crs, name)
    if across.is_projected and not math.isclose(across.axis_info[0].unit_conversion_factor, 1):
        raise BadSurface(
            "units",
            f"{name} lies in {across.axis_info[0].unit_name} and does not say in what unit its "
            "heights are: write the vertical part of its CRS into it",
        )
    return 1.0


def names_unit(crs: CRS, unit: str) -> bool:
    """Whether a file says in what unit its heights are; as `metres_per_unit`."""
    return bool(unit) or _upwards(crs) is not None


def same_zero(files: Iterable[Located]) -> None:
    """Refuse files that count heights from different zeros.

    One that names no vertical datum is taken at its word elsewhere: heights that do not go together
    are seen by their differences.

    Raises:
        BadSurface: `vertical_datum`.
    """
    names = {zero for zero in (_zero(file.crs) for file in files) if zero}
    if len(names) > 1:
        raise BadSurface(
            "vertical_datum",
            f"heights are counted from different zeros ({', '.join(sorted(names))}): bring surface "
            "and terrain to the same vertical datum",
        )


def _upwards(crs: CRS) -> CRS | None:
    """The part of a CRS whose last axis is height."""
    if crs.is_compound:
        return next((part for part in crs.sub_crs_list if part.is_vertical), None)
    return crs if len(crs.axis_info) == 3 else None


def _zero(crs: CRS) -> str | None:
    """What heights are counted from."""
    upwards = _upwards(crs)
    if upwards is None:
        return None
    if upwards.is_vertical:
        return upwards.datum.name if upwards.datum else upwards.name
    return f"ellipsoid {upwards.ellipsoid.name}" if upwards.ellipsoid else upwards.name
