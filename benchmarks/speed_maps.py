"""How quickly a raster becomes a map with what is shipped, and whether its windows leave seams.

`python -m benchmarks.speed_maps [SIDE_PX]` does a drawn raster of 4,096 px to a side, 20 cm a px,
in two processes on a core each, beside the arithmetic of one pass of both networks. It compares
the mosaic with one look at the whole: by what is shipped, and with a redactor that finds nothing,
because what ours takes for a face in a drawn wood hangs on where a window begins.
"""

import math
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

import cv2
import numpy as np
import rasterio

from benchmarks.bench_maps import Nothing
from benchmarks.cost import costing, macs_per_px, network
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
from services.settings import Endpoint, Settings
from services.storage import Store
from tests.orthophotos import SITE, WITNESS, Parcels, drawn, encoded, line

GSD_M = 0.2
SIDE_PX = 4096
KEY = "vol/crop.tif"
PROCESSES = 2


class Worker:
    """One process's part of the line, its networks loaded."""

    line: Line

    @classmethod
    def open(cls, endpoint: Endpoint, first: Item, ready: Barrier) -> None:
        """Load what is shipped, do a window, with all that is only done once, and await others."""
        cv2.setNumThreads(1)
        cls.line = shipped(Store(endpoint, "bench"))
        cls.line.process(first)
        ready.wait()

    @classmethod
    def do(cls, item: Item) -> tuple[Outcome, float]:
        """A window, and the seconds of a core that it took."""
        core = time.process_time()
        return cls.line.process(item), time.process_time() - core


def shipped(store: Store) -> Line:
    settings = Settings()
    detector = vegetation.load(settings.cache, settings.precision)
    eyes = Eyes(open_redactor(settings), {"green": detector})
    return Line(store, SITE, eyes, {"waste": Parcels()}, WITNESS)


def items_of(store: Store, one: Line) -> list[Item]:
    """The windows of the raster, and the raster."""
    _, manifest = batches.submit(
        store, Catalog("sqlite://"), SITE, ["waste"], one.eyes.models, [KEY]
    )
    return list(manifest.items)


def speed(store: Store, one: Line, side_px: int) -> list[Outcome]:
    """What is shipped, in two processes on a core each; gives what became of the windows."""
    *windows, whole = items_of(store, one)
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(PROCESSES)
    with context.Pool(PROCESSES, Worker.open, (store.endpoint, windows[0], ready)) as pool:
        pool.apply(Worker.do, windows[:1])  # once all are open
        began = time.perf_counter()
        done = pool.map(Worker.do, windows, chunksize=1)
        seconds = time.perf_counter() - began
    outcomes, cores = [outcome for outcome, _ in done], [core for _, core in done]
    stages = {name: sum(o.seconds[name] for o in outcomes) for name in outcomes[0].seconds}
    km2 = (side_px * GSD_M / 1000) ** 2
    tell(
        {
            "km²/min, two processes": 60 * km2 / seconds,
            "km²/min of a core's time": 60 * km2 / sum(cores),
            "s by the clock": {name: round(value, 1) for name, value in stages.items()},
        }
    )
    detector = one.eyes.detectors["green"]
    assert isinstance(detector, VegetationDetector)
    heights = export(detector.card, read_weights(detector.card, SHIPPED), Settings().cache)
    grid_hw = tiles.open_raster(store, whole.key, whole.etag).grid_hw
    # The least that can be done: each network looks once, at each cell or px.
    macs = macs_per_px(heights) * math.prod(grid_hw) + macs_per_px(network()) * side_px**2
    tell(costing(2 * macs / 1e9).against(1000 * sum(cores)))
    return outcomes


def seam(store: Store, one: Line, outcomes: Sequence[Outcome], whole: Item, told_as: str) -> None:
    """A mosaic beside one look at the whole, by the same redactor."""
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
    detector = one.eyes.detectors["green"]
    assert isinstance(detector, VegetationDetector)
    alone = detector.heights(redacted)
    known = centimetres != NOT_ANALYSED
    both = known & alone.valid
    told = centimetres[both] / 100
    difference = np.abs(told - alone.metres[both])
    tell(
        {
            f"{told_as}: mosaic beside the whole, mean m": float(difference.mean()),
            "of the mean height": float(difference.mean() / told.mean()),
            "99.9th percentile, m": float(np.quantile(difference, 0.999)),
            "share covered in the mosaic": float(1 - known.mean()),
            "share covered in the whole": float(1 - alone.valid.mean()),
        }
    )


def main() -> None:
    side_px = int(sys.argv[1]) if sys.argv[1:] else SIDE_PX
    batches.purposes_of = lambda site, names: {"waste": Parcels()}  # type: ignore[assignment]
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as name:
        store = Store(embedded.up(Path(name) / "store"), "bench")
        try:
            store.ensure_buckets()
            print(machine())
            cv2.setNumThreads(1)
            data = encoded(drawn((side_px, side_px)).transpose(2, 0, 1), GSD_M)
            store.put("inbox", KEY, data)
            one = shipped(store)
            *windows, whole = items_of(store, one)
            seam(store, one, speed(store, one, side_px), whole, "as shipped")
            bare = line(store, green=one.eyes.detectors["green"], locator=Nothing())
            outcomes = [bare.process(item) for item in windows]
            seam(store, bare, outcomes, whole, "nothing covered")
        finally:
            embedded.down(Path(name) / "store")


if __name__ == "__main__":
    main()
