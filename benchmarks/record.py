"""Where figures go: build/bench/<name>.json, and from there the table in the README.

`python -m benchmarks.record` writes the table again from the figures that are there.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "bench"
START, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
_LOWER_IS_BETTER = ("ms", "% re-identified")


def machine() -> str:
    """Cores and processor of this machine."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
        model += " with AMX" if "amx_bf16" in info.read_text() else ""
    return f"{os.cpu_count()} × {model}"


def milliseconds(call: Callable[[], object], rounds: int = 20) -> float:
    """Median of `rounds` calls after two that warm up."""
    for _ in range(2):
        call()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def rate(parts: Sequence[float], wholes: Sequence[float]) -> tuple[float, float, float]:
    """Σ parts / Σ wholes with its 95 % percentile bootstrap interval over images (Efron 1979)."""
    pairs = np.array([parts, wholes], np.float64)  # (2, images)
    drawn = np.random.default_rng(0).integers(0, len(parts), (1000, len(parts)))
    sums = pairs[:, drawn].sum(2)
    rates = sums[0] / np.where(sums[1] > 0, sums[1], np.nan)
    low, high = np.nanpercentile(rates, [2.5, 97.5])
    return float(pairs[0].sum() / pairs[1].sum()), float(low), float(high)


def percent(figure: tuple[float, float, float]) -> str:
    """A rate with its interval, as tables show it."""
    return "{:.1f} % ({:.1f}–{:.1f})".format(*(100 * value for value in figure))


def record(
    name: str,
    value: float,
    unit: str,
    peer: str,
    peer_value: float,
    what: str,
    details: Mapping[str, object] | None = None,
) -> None:
    """Write one figure beside its peer, measured in the same run.

    `ratio` says how many times better ours is: lower is better for ms and for people found,
    higher for anything a second. It is null where the lower figure is zero. `details` is what
    else was measured, in plain values.
    """
    good, bad = (peer_value, value) if unit in _LOWER_IS_BETTER else (value, peer_value)
    figure = {
        "name": name,
        "what": what,
        "value": round(value, 2),
        "unit": unit,
        "peer": peer,
        "peer_value": round(peer_value, 2),
        "ratio": round(good / bad, 2) if bad else None,
        "machine": machine(),
    }
    if details:
        figure["details"] = details
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(figure, indent=2, ensure_ascii=False) + "\n")
    ratio = _times(figure["ratio"])
    print(f"{what}: {value:.1f} {unit}, {peer}: {peer_value:.1f} {unit}, {ratio}")


def tell(details: Mapping[str, object]) -> None:
    """Print what else was measured, a line each."""
    for key, value in details.items():
        print(f"    {key}: {value}")


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}×"


def write_table() -> None:
    """Replace the table between the markers in the README by the figures in `FOLDER`."""
    figures = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    if not figures:
        raise SystemExit("no figures in build/bench: run `make bench` first")
    rows = ["| what | Vigie | peer | ratio |", "|---|---|---|---|"]
    rows += [
        f"| {f['what']} | {f['value']} {f['unit']} | {f['peer']}: {f['peer_value']} {f['unit']} "
        f"| {_times(f['ratio'])} |"
        for f in figures
    ]
    rows += ["", f"Measured on {figures[0]['machine']}; `make bench docs` measures again."]
    readme = ROOT / "README.md"
    head, _, rest = readme.read_text().partition(START)
    tail = rest.partition(END)[2]
    readme.write_text(head + START + "\n" + "\n".join(rows) + "\n" + END + tail)


if __name__ == "__main__":
    write_table()
