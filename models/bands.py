"""Which bands of a raster hold what, and which of its values is white."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window as Pixels

from models.errors import BadImage

_SAMPLES, _SAMPLE_PX = 8, 256  # along each side of a raster, and of each sample
_BRIGHTEST = 99.5  # the percentile that is white
_COLOURS = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
_INFRARED = {"nir", "near infrared", "near-infrared", "near_infrared"}


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

    A fourth band is near infrared, as cameras of aerial surveys deliver it, unless its samples are
    all or nothing, as transparency is. Of more bands nothing is guessed.

    Raises:
        BadImage: unsupported_samples.
    """
    kinds, refused = data.colorinterp, BadImage("unsupported_samples", f"{data.count} bands")
    plain = [n for n, kind in enumerate(kinds, 1) if kind != ColorInterp.alpha]
    if kinds[0] == ColorInterp.palette or len(plain) == 2 or data.count > 16:
        raise refused
    if len(plain) == 1:
        return Bands(plain, False, None)
    named = set(_COLOURS) <= set(kinds)
    rgb = [kinds.index(colour) + 1 for colour in _COLOURS] if named else plain[:3]
    others = [n for n in plain if n not in rgb]
    if len(plain) > 4:
        others = [n for n in others if _named_infrared(data, n)]
        if not named or len(others) != 1:
            raise refused
    if others and not _named_infrared(data, others[0]) and _all_or_nothing(data, others[0]):
        return Bands(rgb, False, others[0])
    return Bands(rgb + others, bool(others), None)


def white_of(data: Any, bands: Bands) -> float:
    """The value of an open dataset that is white, one for all bands, so that colours stay."""
    values = np.concatenate([part.ravel() for part in _samples(data, bands.read, bands.alpha)])
    return max(float(np.percentile(values, _BRIGHTEST)), 1.0) if len(values) else 65535.0


def _named_infrared(data: Any, band: int) -> bool:
    described = (data.descriptions[band - 1] or "").strip().lower()
    return data.colorinterp[band - 1] == ColorInterp.nir or described in _INFRARED


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
