"""Heights that a survey's own files tell, beside its pictures: surface models and point clouds.

The network then only says what is vegetation, where the files do not.
"""

import atexit
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.errors import RasterioError

from models.errors import BadConfiguration, BadSurface, NoSuchObject, VigieError
from models.heights import HeightMap
from models.ranged import OneFile
from models.raster import ENV
from models.redaction import RedactedFrame
from models.surface import AboveGround, PointCloud, SurfaceModel
from services.items import Item
from services.ranges import StoredRanges
from services.site_fields import MeasuredHeights
from services.sites import Site
from services.storage import Store
from services.tiles import HeightSource, open_raster

_PART_BYTES = 16 * 2**20  # of a point cloud that is copied


class Measured:
    """The surveys of a site that come with heights of their own.

    Attributes:
        models: survey id → `surface@digest` of its files as they are now.

    Raises:
        BadConfiguration: one of the files is not in the inbox.
        StorageError: the store fails.
    """

    def __init__(self, store: Store, site: Site) -> None:
        self._store, self._site = store, site
        self._etags: dict[str, str] = {}
        self.models: dict[str, str] = {}
        for survey in site.surveys:
            if survey.heights is None:
                continue
            for key in survey.heights.keys:
                try:
                    self._etags[key] = store.head("inbox", key).etag
                except NoSuchObject as error:
                    raise BadConfiguration(
                        f"{key!r}, heights of survey {survey.id}, is not in the inbox"
                    ) from error
            content = repr([(key, self._etags[key]) for key in survey.heights.keys])
            told = f"{survey.heights.model_dump_json()}{content}"
            self.models[survey.id] = f"surface@{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    def of(self, item: Item, network: HeightSource) -> HeightSource | None:
        """What tells the heights of a raster; None where its survey has none of its own.

        Raises:
            BadSurface: its files do not fit the raster.
            StorageError: the store fails.
        """
        survey = self._site.survey_of(item.key)
        if survey is None or survey.heights is None:
            return None
        etags = tuple(self._etags[key] for key in survey.heights.keys)
        source = _open(self._store, survey.heights, etags, item.key, item.etag)
        if isinstance(source, BadSurface):
            raise source
        return _Joined(source, network)


_Source = SurfaceModel | AboveGround | PointCloud


class _Joined:
    """Measured heights of what a network calls vegetation."""

    def __init__(self, measured: _Source, network: HeightSource) -> None:
        self._measured, self._network = measured, network

    def heights(self, frame: RedactedFrame, valid: NDArray[np.bool_] | None = None) -> HeightMap:
        """See `services.tiles.HeightSource`."""
        seen = self._network.heights(frame, valid)
        with rasterio.Env(**ENV), _sound():
            told = self._measured.heights(seen.ground, seen.valid.shape, prior=seen.vegetation)
        known = told.valid & seen.valid
        parts = (told.metres, told.sigma, told.vegetation)
        metres, sigma, vegetation = (np.where(known, part, np.float32(0)) for part in parts)
        return HeightMap(metres, sigma, vegetation, known, seen.ground)


_held = ExitStack()
"""What is open for the raster at hand."""
_files: list[OneFile] = []
"""Those of it that are read from the store."""
atexit.register(_held.close)  # GDAL would read on while the interpreter ends


def _let_go() -> None:
    _held.close()
    _files.clear()
    _open.cache_clear()


@contextmanager
def _sound() -> Iterator[None]:
    """What the store failed at is told, and not what GDAL made of it, which may be zeros."""
    surface: BadSurface | None = None
    try:
        yield
    except BadSurface as error:
        surface = error
    try:
        for one in _files:
            one.file.check()
    except VigieError:
        _let_go()  # what failed once is not to be trusted
        raise
    if surface:
        raise surface


@lru_cache(maxsize=1)
def _open(
    store: Store, files: MeasuredHeights, etags: tuple[str, ...], key: str, etag: str
) -> _Source | BadSurface:
    """The heights of a raster, checked against all of it; those opened last at once.

    Files that do not fit are remembered, too: point clouds are not copied for each window.
    """
    _let_go()  # of what the raster before was told by
    versions = dict(zip(files.keys, etags, strict=True))
    raster = open_raster(store, key, etag)

    def rasters(keys: Sequence[str]) -> list[DatasetReader]:
        return [_dataset(StoredRanges(store, "inbox", k, versions[k]), k) for k in keys]

    place = raster.grid, raster.grid_hw, files.accuracy_m
    try:
        with rasterio.Env(**ENV), _sound():
            if files.above_ground:
                return AboveGround(rasters(files.above_ground), *place)
            if files.surface:
                return SurfaceModel(rasters(files.surface), rasters(files.terrain), *place)
            clouds = list(_copied(store, files.points, versions))
            return PointCloud(clouds, rasters(files.terrain), *place)
    except BadSurface as error:
        return error


def _dataset(source: StoredRanges, key: str) -> DatasetReader:
    opener = OneFile("heights.tif", source)
    _files.append(opener)
    try:
        dataset = rasterio.open("heights.tif", driver="GTiff", opener=opener)
        return _held.enter_context(dataset)
    except RasterioError as error:
        raise BadSurface("unreadable", f"{key}: no GeoTIFF that can be read") from error


def _copied(store: Store, keys: Sequence[str], versions: dict[str, str]) -> Iterator[Path]:
    """Point clouds as files of this process: their reader wants such."""
    folder = Path(_held.enter_context(TemporaryDirectory(prefix="vigie-points-")))
    for number, key in enumerate(keys):
        source = StoredRanges(store, "inbox", key, versions[key])
        path = folder / f"{number}{Path(key).suffix}"
        with path.open("wb") as file:
            for start in range(0, source.size_bytes, _PART_BYTES):
                file.write(source.read(start, min(start + _PART_BYTES, source.size_bytes)))
        yield path
