"""Which bands of a raster hold what, and which of its values is white."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window as Pixels

from models.errors import BadImage

_SAMPLES, _SAMPLE_PX = 8, 256  # along each side of a raster, and of each sample
_BRIGHTEST = 99.5  # the percentile that is white
_COLOURS = ["red", "green", "blue"]
_PLACES = [("red",), ("green",), ("blue",), ("nir", "alpha")]  # where no band has a name
_NO_NAME = {"undefined", "gray"}  # of a band of which a file says nothing
_SAME = {
    "nearinfrared": "nir",
    "pir": "nir",
    "procheinfrarouge": "nir",
    "rouge": "red",
    "vert": "green",
    "bleu": "blue",
}


class Bands(NamedTuple):
    """Numbers of bands, from 1.

    Attributes:
        read: red, green and blue, or grey; then near infrared where there is such a band.
        infrared: whether the last of `read` is near infrared.
        alpha: transparency that the file does not call so, or None.
    """

    read: list[int]
    infrared: bool
    alpha: int | None


def bands_of(data: Any) -> Bands:
    """Tell the bands of an open dataset; reads samples of a fourth one whose kind it does not say.

    Where they have no names, bands are red, green and blue, and a fourth is near infrared, as
    cameras of aerial surveys deliver it, unless its samples are all or nothing, as transparency
    is. Of more bands nothing is guessed.

    Raises:
        BadImage: unsupported_samples, which says what bands there shall be.
    """
    kinds, names = data.colorinterp, [_name(data, band) for band in range(1, data.count + 1)]
    plain = [
        band
        for band, name in enumerate(names, 1)
        if (name, kinds[band - 1]) != ("alpha", ColorInterp.alpha)
    ]
    if kinds[0] == ColorInterp.palette or len(plain) == 2 or data.count > 16:
        raise BadImage("unsupported_samples", f"{data.count} bands")
    if len(plain) == 1:
        return Bands(plain, False, None)
    named = set(_COLOURS) <= set(names)
    rgb = [names.index(colour) + 1 for colour in _COLOURS] if named else plain[:3]
    others = [band for band in plain if band not in rgb]
    if len(plain) > 4:
        others = [band for band in others if names[band - 1] == "nir"]
    placed = zip(rgb + others, _PLACES, strict=False)
    misplaced = any(names[band - 1] not in (None, *place) for band, place in placed)
    if misplaced or (len(plain) > 4 and not (named and len(others) == 1)):
        told = ", ".join(name or "without a name" for name in names)
        raise BadImage(
            "unsupported_samples",
            f"bands are {told}; submit red, green, blue and at most one near infrared, and name"
            " them so in colour interpretation or description",
        )
    if others and _transparent(data, others[0], names[others[0] - 1]):
        return Bands(rgb, False, others[0])
    return Bands(rgb + others, bool(others), None)


def white_of(data: Any, bands: Bands) -> float:
    """The value of an open dataset that is white, one for all bands, so that colours stay."""
    values = np.concatenate([part.ravel() for part in _samples(data, bands.read, bands.alpha)])
    return max(float(np.percentile(values, _BRIGHTEST)), 1.0) if len(values) else 65535.0


def _name(data: Any, band: int) -> str | None:
    """What the file says that a band is; of two different names, both, which no band is.

    GDAL takes three bands of 8 bits for red, green and blue where who wrote them only described
    them, so a description may gainsay the colour interpretation.
    """
    kind = data.colorinterp[band - 1].name
    described = re.sub(r"[\s_-]", "", (data.descriptions[band - 1] or "").lower())
    described = _SAME.get(described, described)
    known = described in ColorInterp.__members__ and described not in _NO_NAME
    if kind in _NO_NAME:
        return described if known else None
    return f"{kind} or {described}" if known and described != kind else kind


def _transparent(data: Any, band: int, name: str | None) -> bool:
    return name == "alpha" or (name is None and _all_or_nothing(data, band))


def _all_or_nothing(data: Any, band: int) -> bool:
    most, shown = np.iinfo(data.dtypes[0]).max, False
    for values in _samples(data, [band]):
        if not np.isin(values, (0, most)).all():
            return False
        shown |= bool(values.any())
    return shown


def _samples(data: Any, read: list[int], alpha: int | None = None) -> Iterator[NDArray[Any]]:
    """Values (bands, N) of what is known in windows that are spread over the raster."""
    side_hw = min(_SAMPLE_PX, data.height), min(_SAMPLE_PX, data.width)
    for row in np.linspace(0, data.height - side_hw[0], _SAMPLES).astype(int):
        for column in np.linspace(0, data.width - side_hw[1], _SAMPLES).astype(int):
            part = Pixels(int(column), int(row), side_hw[1], side_hw[0])
            known = data.dataset_mask(window=part) > 0
            if alpha:
                known &= data.read(alpha, window=part) > 0
            yield data.read(read, window=part)[:, known]
