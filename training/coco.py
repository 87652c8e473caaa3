"""Labels as COCO files hold them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import BadConfiguration
from training.labelled import Boxes

Annotations = list[dict[str, Any]]


def read_coco(path: Path, give: str) -> list[tuple[dict[str, Any], Annotations]]:
    """Each picture with its annotations, these with the `name` of their category if it has one.

    Args:
        path: the file.
        give: what to give instead, where it is not there.

    Raises:
        BadConfiguration: it is not there, or is no COCO file.
    """
    try:
        coco = json.loads(path.read_text(encoding="utf-8"))
        names = {category["id"]: category["name"] for category in coco.get("categories", ())}
        by_image: dict[int, Annotations] = {image["id"]: [] for image in coco["images"]}
        for annotation in coco["annotations"]:
            named = annotation | {"name": names.get(annotation["category_id"])}
            by_image[annotation["image_id"]].append(named)
    except OSError as error:
        raise BadConfiguration(f"no {path.name} in {path.parent}: give {give}") from error
    except (ValueError, KeyError) as error:
        raise BadConfiguration(f"{path} is no COCO file: {error}") from error
    return [(image, by_image[image["id"]]) for image in coco["images"]]


def xyxy(annotations: Annotations) -> Boxes:
    """Their boxes, float32 (N, 4) xyxy px."""
    xywh = np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1).astype(np.float32)
