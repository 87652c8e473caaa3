"""The map of a raster, once its windows are done: mosaic, measures, and the files beside it.

It is an item of its batch like any other: its outcome is committed once, and a run that was cut
off draws it again from the same cells, to the same bytes.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling

from models.cells import NOT_ANALYSED, Cells, decode
from models.detectors.vegetation import VegetationDetector
from models.errors import BadImage, Reasoned, StorageError
from models.mosaic import Mosaic, blend
from models.raster import ENV, Raster, Window
from services.catalog import Catalog
from services.items import Item
from services.map_files import geojson, geoparquet, parcels, stac_item
from services.observing import Origin
from services.outcome import Outcome, Stages
from services.pipeline import Line
from services.quicklook import quicklook
from services.sites import Survey
from services.survey_map import SurveyMap, surveying
from services.tiles import captured, open_raster

_SUFFIXES = {
    "heights": ".heights.tif",
    "colours": ".colours.tif",
    "quicklook": ".png",
    "parcels": ".geojson",
    "table": ".parquet",
    "item": ".stac.json",
}
"""What belongs to a map: name → the end of its key in the redacted bucket."""

_LOOKED_AT = 2000

_TYPES = {
    "heights": "image/tiff; application=geotiff; profile=cloud-optimized",
    "colours": "image/tiff; application=geotiff; profile=cloud-optimized",
    "quicklook": "image/png",
    "parcels": "application/geo+json",
    "table": "application/vnd.apache.parquet",
    "item": "application/geo+json",
}


def draw(line: Line, catalog: Catalog, item: Item, windows: Sequence[Item]) -> Outcome:
    """Make the map of a raster from what its windows showed.

    Args:
        line: of the batch.
        catalog: holds what became of the windows.
        item: the raster.
        windows: all of its windows.

    Raises:
        StorageError: the store fails: the map is not done.
    """
    try:
        return _drawn(line, catalog, item, windows)
    except StorageError:
        raise
    except Reasoned as error:
        reason = error.reason
    except Exception as error:  # noqa: BLE001 - one bad map never stops a batch
        reason = f"internal_error:{type(error).__name__}"
    return line.quarantine(item, reason)


def _drawn(line: Line, catalog: Catalog, item: Item, windows: Sequence[Item]) -> Outcome:
    stages, store = Stages(), line.store
    raster = open_raster(store, item.key, item.etag)
    grid = set(raster.windows())  # others were done for an asset
    works = {line.work(one): one.window for one in windows if one.window in grid}
    done = catalog.done(list(works))
    keys = {works[o.work]: o.files["cells"] for o in done.values() if "cells" in o.files}
    if not keys:
        raise BadImage("nothing_analysed", "none of its windows could be done")

    def cells(window: Window) -> Cells | None:
        return decode(store.get("redacted", keys[window])[0]) if window in keys else None

    with TemporaryDirectory(prefix="vigie-map-") as folder, rasterio.Env(**ENV):
        with stages.of("blend"):
            mosaic = blend(
                Path(folder),
                raster.grid,
                raster.grid_hw,
                list(works.values()),
                cells,
                raster.infrared,
            )
        return _told(line, catalog, item, raster, mosaic, stages)


def _models(line: Line, survey: str) -> dict[str, str]:
    """Detector name → `name@digest` of what told what is its to tell."""
    models = {name: detector.model for name, detector in line.eyes.detectors.items()}
    if line.measured and survey in line.measured.models:
        models["vegetation"] = line.measured.models[survey]
    return models


def _quality(line: Line, survey: Survey) -> dict[str, Any]:
    """Whether heights were measured, else how well the network tells them by its card."""
    if survey.heights is not None:
        return {"vigie:heights": "measured", "vigie:accuracy_m": survey.heights.accuracy_m}
    detector = line.eyes.detectors.get("vegetation")
    card = detector.card if isinstance(detector, VegetationDetector) else None
    told = {
        name: figure
        for name, figure in (card.metrics if card else {}).items()
        if name.startswith(("MAE, m,", "coverage of 90 % intervals,"))
    }
    return {"vigie:heights": "learned", "vigie:quality": told}


def _lowest_m(heights: Any) -> float | None:
    """What a hundredth of all heights do not exceed, m, from up to `_LOOKED_AT` of them a side.

    It is near 0 wherever some ground is seen: where it is not, a wood has no gap, or the terrain's
    zero is another one than the surface's. No height tells which.
    """
    scale = max(1.0, max(heights.shape) / _LOOKED_AT)
    size_hw = tuple(max(1, round(side / scale)) for side in heights.shape)
    told = heights.read(1, out_shape=size_hw, resampling=Resampling.nearest)
    known = told[told != NOT_ANALYSED]
    return round(float(np.percentile(known, 1)) / 100, 2) if known.size else None


def _told(
    line: Line, catalog: Catalog, item: Item, raster: Raster, mosaic: Mosaic, stages: Stages
) -> Outcome:
    """Measure on a mosaic, and publish it with what belongs to it."""
    files = {name: line.published(item, suffix) for name, suffix in _SUFFIXES.items()}
    captured_at, time_source = captured(line.store, line.site, item.key, item.etag)
    survey = line.site.survey_of(item.key)
    assert survey is not None  # no other raster becomes a map
    with mosaic.heights.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    origin = Origin(
        line.site,
        None,
        line.work(item),
        captured_at,
        time_source,
        files["heights"],
        sha256,
        line.eyes.redactor_at(raster.gsd_m).model,
        _models(line, survey.id),
    )
    with rasterio.open(mosaic.heights) as heights, rasterio.open(mosaic.colours) as colours:
        with stages.of("measure"):
            past = catalog.observations
            seen = SurveyMap(origin, survey, item.key, raster.grid, heights, colours, past)
            told = surveying(line.purposes.values())
            observations = [o for purpose in told for o in purpose.survey(seen)]
        share = round(mosaic.analysed / max(mosaic.seen, 1), 4)
        measured = parcels(line.site, observations, raster.grid, raster.grid_hw)
        # In letters that the quick-look's font has. Nobody said when it was flown.
        flown = "" if time_source != "object" else " (stockage / stored)"
        title = f"{survey.id}  {captured_at:%Y-%m-%d}{flown}"
        made = {
            "quicklook": quicklook(heights, colours, title),
            "parcels": geojson(measured),
            "table": geoparquet(measured),
            "item": stac_item(
                f"{survey.id}-{line.work(item)[:8]}",
                raster.grid,
                raster.grid_hw,
                captured_at,
                files,
                {
                    "vigie:time_source": time_source,
                    "vigie:models": list(line.models),
                    "vigie:redactor": origin.redactor,
                    "vigie:source_gsd_m": round(raster.gsd_m, 4),
                    "vigie:analysed": share,
                    "vigie:mean_sigma_m": round(mosaic.sigma_m, 3),
                    "vigie:lowest_m": _lowest_m(heights),
                    **_quality(line, survey),
                    "vigie:sha256": sha256,
                },
                raster.infrared,
            ),
        }
    outcome = Outcome(
        key=item.name,
        work=origin.work,
        status="redacted",
        captured_at=captured_at,
        redactor=origin.redactor,
        width=raster.grid_hw[1],
        height=raster.grid_hw[0],
        redacted_key=files["heights"],
        sha256=sha256,
        facts={"analysed": share},
        observations=tuple(observations),
        files=files,
    )
    with stages.of("write"):
        for name, path in (("heights", mosaic.heights), ("colours", mosaic.colours)):
            line.store.put_file("redacted", files[name], path, _TYPES[name])
        for name, data in made.items():
            line.store.put("redacted", files[name], data, _TYPES[name])
    return outcome.model_copy(update={"seconds": stages.seconds})
