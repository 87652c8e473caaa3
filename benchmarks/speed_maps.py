"""How quickly a raster becomes a map with what is shipped, and whether its windows leave seams.

`python -m benchmarks.speed_maps` does a drawn raster of 4,096 px to a side, 20 cm a px, on one
core. Then, with a redactor that finds nothing, because what it takes for a face in a drawn wood
hangs on where a window begins, it compares the mosaic with one look at the whole.
"""

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import rasterio

from benchmarks.bench_maps import Nothing
from benchmarks.cost import cost
from benchmarks.record import machine, tell
from models.backends import export
from models.card import SHIPPED, read_weights
from models.cells import NOT_ANALYSED, decode
from models.detectors import vegetation
from models.detectors.vegetation import VegetationDetector
from models.mosaic import blend
from models.raster import Window
from services import batches, embedded, tiles
from services.catalog import Catalog
from services.eyes import Eyes
from services.items import Item
from services.opening import open_redactor
from services.outcome import Outcome, Stages
from services.pipeline import Line
from services.settings import Settings
from services.storage import Store
from tests.orthophotos import SITE, WITNESS, Parcels, drawn, encoded, line

GSD_M = 0.2
CROP_PX = 4096


def done(store: Store, one: Line, key: str) -> tuple[list[Outcome], Item, float, float]:
    """The windows of a raster, the raster, and seconds by the clock and of a core."""
    catalog = Catalog("sqlite://")
    _, manifest = batches.submit(store, catalog, SITE, ["waste"], one.eyes.models, [key])
    *windows, whole = manifest.items
    one.process(windows[0])  # loads the networks
    began, core = time.perf_counter(), time.process_time()
    outcomes = [one.process(item) for item in windows]
    return outcomes, whole, time.perf_counter() - began, time.process_time() - core


def speed(store: Store, detector: VegetationDetector, settings: Settings) -> None:
    """What is shipped, on one core."""
    eyes = Eyes(open_redactor(settings), {"green": detector})
    one = Line(store, SITE, eyes, {"waste": Parcels()}, WITNESS)
    outcomes, whole, seconds, core = done(store, one, "vol/crop.tif")
    stages = {name: sum(o.seconds[name] for o in outcomes) for name in outcomes[0].seconds}
    km2 = (CROP_PX * GSD_M / 1000) ** 2
    tell(
        {
            "km²/min, by the clock": 60 * km2 / seconds,
            "km²/min of a core's time": 60 * km2 / core,
            "s by the clock": {name: round(value, 1) for name, value in stages.items()},
        }
    )
    network = export(detector.card, read_weights(detector.card, SHIPPED), settings.cache)
    grid_hw = tiles.open_raster(store, whole.key, whole.etag).grid_hw
    tell(cost(network, grid_hw).against(1000 * core))


def seam(store: Store, detector: VegetationDetector) -> None:
    """A mosaic beside one look at the whole."""
    one = line(store, green=detector, locator=Nothing())
    outcomes, whole, *_ = done(store, one, "vol/crop.tif")
    raster = tiles.open_raster(store, whole.key, whole.etag)
    keys = dict(zip(raster.windows(), (o.files["cells"] for o in outcomes), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        mosaic = blend(
            Path(folder),
            raster.grid,
            raster.grid_hw,
            list(keys),
            lambda window: decode(store.get("redacted", keys[window])[0]),
            raster.infrared,
        )
        with rasterio.open(mosaic.heights) as heights:
            centimetres = heights.read(1)
    everything = Window(0, 0, raster.grid_hw[1], raster.grid_hw[0])
    frame, taken = tiles.take(store, SITE, "whole", whole.key, whole.etag, everything)
    redacted, _ = one.eyes.look(frame, taken.rim, None, Stages())
    alone = detector.heights(redacted)
    both = (centimetres != NOT_ANALYSED) & alone.valid
    told = centimetres[both] / 100
    difference = np.abs(told - alone.metres[both])
    tell(
        {
            "mosaic beside the whole, mean m": float(difference.mean()),
            "of the mean height": float(difference.mean() / told.mean()),
            "99.9th percentile, m": float(np.quantile(difference, 0.999)),
        }
    )


def main() -> None:
    batches.purposes_of = lambda site, names: {"waste": Parcels()}  # type: ignore[assignment]
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as name:
        store = Store(embedded.up(Path(name) / "store"), "bench")
        try:
            store.ensure_buckets()
            print(machine())
            cv2.setNumThreads(1)
            settings = Settings()
            data = encoded(drawn((CROP_PX, CROP_PX)).transpose(2, 0, 1), GSD_M)
            store.put("inbox", "vol/crop.tif", data)
            detector = vegetation.load(settings.cache, settings.precision)
            speed(store, detector, settings)
            seam(store, detector)
        finally:
            embedded.down(Path(name) / "store")


if __name__ == "__main__":
    main()
