"""Maps of rasters in the store: memory that stays flat, and what kill -9 costs.

`python -m benchmarks.bench_maps [SIDE_PX]` draws Cloud Optimized GeoTIFFs of 20 cm a px, JPEG
inside, one of 10,000 px and one of SIDE_PX (50,000) to a side, into an embedded store. Their
windows are done by one process, with a redactor that finds nothing and heights that are a function
of colour: memory, input and output are as they are, and what networks cost is left out. It is
killed once half of the windows are done, and started again.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rio_cogeo import cog_validate

from benchmarks.drawn_cog import PATTERN_PX, write_cog
from benchmarks.record import machine
from services import batches, embedded, maps
from services.catalog import Catalog
from services.settings import Endpoint
from services.storage import Store
from tests.orthophotos import EAST, NORTH, SITE, WITNESS, Parcels, drawn, line

GSD_M = 0.2
SMALL_PX = 10_000
PURPOSES = ["waste"]


class Nothing:
    """A locator that finds nothing."""

    model = "nothing@0"
    thresholds = {"face": 0.5}  # noqa: RUF012 - read only

    def __call__(self, pixels: object, areas: object = None) -> list[object]:
        return []


def work(
    endpoint: Endpoint,
    prefix: str,
    batch: str,
    database: str,
    begun: Synchronized,
    peak: Synchronized,
) -> None:
    """What the fleet does with one worker, with the driver's part in the same process."""
    store, catalog = Store(endpoint, prefix), Catalog(database)
    manifest, one = batches.read_manifest(store, batch), line(store, locator=Nothing())
    committed = set(batches.committed_shards(store, batch))
    for number, (item,) in enumerate(manifest.shards):
        if number not in committed:
            if manifest.is_map(item):
                outcome = maps.draw(one, catalog, item, manifest.windows[item.key])
            else:
                begun.value += 1
                outcome = one.process(item)
            assert outcome.status == "redacted", outcome.reason
            batches.commit_shard(store, batch, number, [outcome])
        catalog.take_in(batch, batches.read_shard(store, batch, number), WITNESS)
        peak.value = max(peak.value, resident_mib())


def resident_mib() -> float:
    """The most memory this process ever held, MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measured(
    folder: Path, store: Store, pattern: NDArray[np.uint8], side_px: int, killed: bool
) -> dict[str, str]:
    """Do one raster; gives figures as they are printed."""
    began = time.perf_counter()
    path, key = folder / "raster.tif", f"vol/{side_px}.tif"
    write_cog(path, pattern, side_px, gsd_m=GSD_M, corner=(EAST, NORTH))
    assert cog_validate(path)[0]
    size_gb = path.stat().st_size / 1e9
    store.put_file("inbox", key, path)
    path.unlink()
    drawn_s = time.perf_counter() - began
    database = f"sqlite:///{folder / f'{side_px}.sqlite'}"
    catalog = Catalog(database)
    began = time.perf_counter()
    batch, manifest = batches.submit(
        store, catalog, SITE, PURPOSES, line(store, locator=Nothing()).eyes.models, [key]
    )
    submitted_s = time.perf_counter() - began
    windows = len(manifest.items) - 1
    context = multiprocessing.get_context("spawn")
    begun, peak = context.Value("i", 0), context.Value("d", 0.0)
    args = store.endpoint, store.prefix, batch, database, begun, peak
    began = time.perf_counter()
    process = context.Process(target=work, args=args)
    process.start()
    if killed:
        while begun.value <= windows // 2:
            time.sleep(0.02)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        process = context.Process(target=work, args=args)
        process.start()
    process.join()
    assert process.exitcode == 0
    seconds = time.perf_counter() - began
    (made,) = (o for o in catalog.outcomes(batch) if o.files.get("item"))
    cog_gb = store.head("redacted", made.files["heights"]).size_bytes / 1e9
    km2 = (side_px * GSD_M / 1000) ** 2
    return {
        "px": f"{side_px:,}²",
        "raster GB": f"{size_gb:.2f}",
        "windows": str(windows),
        "drawn s": f"{drawn_s:.0f}",
        "submitted s": f"{submitted_s:.1f}",
        "peak MiB": f"{peak.value:.0f}",
        "windows done twice": f"{begun.value - windows} ({(begun.value - windows) / windows:.2%})",
        "s": f"{seconds:.0f}",
        "km²/min without networks": f"{60 * km2 / seconds:.2f}",
        "heights GB": f"{cog_gb:.2f}",
        "map s": " ".join(f"{stage} {value:.0f}" for stage, value in made.seconds.items()),
    }


def main() -> None:
    batches.purposes_of = lambda site, names: {"waste": Parcels()}  # type: ignore[assignment]
    side_px = int(sys.argv[1]) if sys.argv[1:] else 50_000
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as name:
        folder = Path(name)
        store = Store(embedded.up(folder / "store"), "bench")
        try:
            store.ensure_buckets()
            print(machine())
            pattern = drawn((PATTERN_PX, PATTERN_PX))
            for side, killed in ((SMALL_PX, False), (side_px, True)):
                for figure, value in measured(folder, store, pattern, side, killed).items():
                    print(f"{figure:28}{value}", flush=True)
        finally:
            embedded.down(folder / "store")


if __name__ == "__main__":
    main()
