"""Real pictures to measure on: the folder that VIGIE_DATA names, or shared/data beside us."""

import json
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import ROOT

DATA = Path(os.environ.get("VIGIE_DATA", ROOT.parent / "shared" / "data"))


def labelled(task: str, split: str = "val") -> list[tuple[Path, NDArray[np.float64]]]:
    """Pictures of a task's split with their boxes (N, 4) xyxy px; empty where there is no data."""
    folder = DATA / task
    if not (folder / f"{split}.json").exists():
        return []
    listed = json.loads((folder / f"{split}.json").read_text())
    boxes: dict[int, list[list[float]]] = {image["id"]: [] for image in listed["images"]}
    for label in listed["annotations"]:
        x, y, w, h = label["bbox"]
        boxes[label["image_id"]].append([x, y, x + w, y + h])
    return [
        (folder / image["file_name"], np.array(boxes[image["id"]], np.float64).reshape(-1, 4))
        for image in listed["images"]
    ]
