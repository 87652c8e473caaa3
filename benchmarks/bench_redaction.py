"""Covering personal data, end to end: images a second, against `deface`.

Both do the same job on the same files: read, find, cover, write. Ours finds plates too, and proves
its result. Each uses all cores in its best arrangement.

`python -m benchmarks.bench_redaction [PICTURES]`: so many of each topic, for a trial.
"""

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from benchmarks.cost import SIZES_HW, cost, network
from benchmarks.peer_deface import Deface
from benchmarks.pictures import DATA, labelled
from benchmarks.record import record, tell
from models.errors import RedactionFailed
from models.frame import decode
from services.opening import open_redactor
from services.settings import Settings
from training import scenes

EACH = 24  # pictures of each task
ROUNDS = 3
PATIENCE_S = 300  # for all processes to load their model
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Job = Callable[[Path, Path], object]
_job: Job
_ready: Barrier


def ours() -> Job:
    cv2.setNumThreads(1)
    redactor = open_redactor(Settings())

    def write(path: Path, to: Path) -> None:
        frame = decode(path.name, path.read_bytes(), source="bench", stored_at=NOW)
        with suppress(RedactionFailed):  # to quarantine, which took its time as well
            to.write_bytes(redactor(frame).encoded)

    return write


def deface_on_one_core() -> Job:
    cv2.setNumThreads(1)
    return Deface(threads=1).write


def deface_on_all_cores() -> Job:
    return Deface().write


ARRANGEMENTS: dict[str, tuple[Callable[[], Job], int]] = {
    "ours": (ours, os.cpu_count() or 1),
    "deface, a process per core": (deface_on_one_core, os.cpu_count() or 1),
    "deface, one process": (deface_on_all_cores, 1),
}


def streets(size_hw: tuple[int, int], each: int, folder: Path) -> list[Path]:
    """Files of real street pictures at one size, in `folder`; of drawn ones without data."""
    height, width = size_hw
    pictures = [path for task in ("waste", "plates") for path, _ in labelled(task)[:each]]
    if not pictures:
        print(f"no pictures in {DATA}: drawn streets are measured")
    drawn = (scenes.street(np.random.default_rng(i), size_hw).pixels for i in range(2 * each))
    read = (decode(p.name, p.read_bytes(), source="bench", stored_at=NOW).pixels for p in pictures)
    files = []
    for number, pixels in enumerate(read if pictures else drawn):
        tall, wide = pixels.shape[:2]
        kept_h, kept_w = min(tall, wide * height // width), min(wide, tall * width // height)
        top, left = (tall - kept_h) // 2, (wide - kept_w) // 2
        middle = pixels[top : top + kept_h, left : left + kept_w]
        resized = cv2.resize(middle, (width, height), interpolation=cv2.INTER_CUBIC)
        path = folder / f"{number}.jpg"
        path.write_bytes(simplejpeg.encode_jpeg(resized, 90, "RGB", "420"))
        files.append(path)
    return files


def _open(open_job: Callable[[], Job], ready: Barrier) -> None:
    global _job, _ready  # a pool’s processes have nowhere else to keep them
    _job, _ready = open_job(), ready


def _do(path: Path) -> None:
    _job(path, path.with_name(f"done-{os.getpid()}.jpg"))


def _warm(path: Path) -> None:
    _do(path)
    _ready.wait(PATIENCE_S)  # so that each process takes one


@contextmanager
def running(name: str, files: Sequence[Path]) -> Iterator[Callable[[], float]]:
    """An arrangement, loaded and warm; each call does all files and gives images a second."""
    open_job, processes = ARRANGEMENTS[name]
    context = multiprocessing.get_context("spawn")
    arguments = open_job, context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, _open, arguments) as pool:
        list(pool.map(_warm, [files[0]] * processes))

        def once() -> float:
            began = time.perf_counter()
            list(pool.map(_do, files))
            return len(files) / (time.perf_counter() - began)

        yield once


def throughput(size_hw: tuple[int, int], each: int, folder: Path) -> dict[str, float]:
    """Images a second of each arrangement: medians of rounds that take turns."""
    files = streets(size_hw, each, folder)
    with ExitStack() as stack:
        once = {name: stack.enter_context(running(name, files)) for name in ARRANGEMENTS}
        rounds = [{name: call() for name, call in once.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(r[name] for r in rounds) for name in ARRANGEMENTS}


def bench_throughput(each: int) -> None:
    for height, width in SIZES_HW:
        with tempfile.TemporaryDirectory() as folder:
            a_second = throughput((height, width), each, Path(folder))
        mine = a_second.pop("ours")
        peer = max(a_second, key=lambda name: a_second[name])
        counted = cost(network(), (height, width))
        took_ms = 1000 * (os.cpu_count() or 1) / mine
        details = counted.against(took_ms) | {"images_per_s": a_second}
        what = f"cover and prove {width}×{height} JPEG files, {os.cpu_count()} cores"
        name = f"redaction_{width}"
        record(name, mine, "images/s", peer, a_second[peer], what, details)
        tell(details)


def main() -> None:
    bench_throughput(int(sys.argv[1]) if len(sys.argv) > 1 else EACH)


if __name__ == "__main__":
    main()
