"""Which finds stand at the places of registered containers, and which container waste lies by."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.sites import Asset
from services.standing import within
from services.view import View

_SAME_PLACE_M = 3.0  # from a registered position to the middle of a container seen from above
_SAME_PLACE_IOU = 0.3  # of the box around a registered outline and a detected container
_BY_MIDDLE = 1e-3  # of a px between middles: of two that it touches, waste lies by the nearer


def lies_by(
    places: NDArray[np.float32], waste: NDArray[np.float32], *, from_above: bool = False
) -> NDArray[np.intp]:
    """Index of the container that each waste box lies by, the nearest; −1 where it lies by none.

    Args:
        places: (M, 4) xyxy px of all containers.
        waste: (N, 4) xyxy px. It lies by those of which it is within half their height.
        from_above: whether boxes show the ground: then it is half their shorter side.

    Returns:
        (N,).
    """
    if not len(places):
        return np.full(len(waste), -1)
    low, high = places[:, None, :2] - waste[None, :, 2:], waste[None, :, :2] - places[:, None, 2:]
    gaps = np.maximum(np.maximum(low, high), 0)  # (M, N, 2)
    sides = places[:, 2:] - places[:, :2]
    reach = (sides.min(1) if from_above else sides[:, 1]) / 2
    near = (gaps < reach[:, None, None]).all(2)
    middles = (places[:, None, :2] + places[:, None, 2:] - waste[:, :2] - waste[:, 2:]) / 2
    away = np.linalg.norm(gaps, axis=2) + _BY_MIDDLE * np.linalg.norm(middles, axis=2)
    return np.asarray(np.where(near.any(0), np.where(near, away, np.inf).argmin(0), -1), np.intp)


def homes_of(
    view: View, assets: Sequence[tuple[Asset, NDArray[np.float32]]], boxes: NDArray[np.float32]
) -> list[list[int]]:
    """Of each asset, which containers stand at its place, each at one: of an `isle` all, else one.

    Args:
        view: the picture.
        assets: with their outlines (M, 2) in px.
        boxes: (N, 4) xyxy px of the containers found.
    """
    near = [_closeness(view, asset, outline, boxes) for asset, outline in assets]
    pairs = closest_pairs(near)
    homes = [[pairs[place]] if place in pairs else [] for place in range(len(assets))]
    free = set(range(len(boxes))) - set(pairs.values())
    for place, (asset, _) in enumerate(assets):
        if asset.kind == "isle":
            others = free & set(np.flatnonzero(near[place] >= 0).tolist())
            homes[place] += sorted(others)
            free -= others
    return homes


def _closeness(
    view: View, asset: Asset, outline: NDArray[np.float32], boxes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How close boxes (N, 4) are to an asset, 0 to 1; negative for what does not stand there.

    In a view a box overlaps the outline; from above, where positions are off by a metre or two, its
    middle is near. Of an isle's it lies within the outline.
    """
    middles = np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float32)
    if view.camera is None and asset.geometry.type == "Point":
        assert view.frame.gsd_m is not None
        away = np.linalg.norm(middles - outline.mean(0), axis=1)
        return np.asarray(1 - away * view.frame.gsd_m / _SAME_PLACE_M, np.float32)
    if asset.kind == "isle":
        return within(outline, middles).astype(np.float32) - 1
    return same_place(box_around(outline), boxes)


def closest_pairs(closeness: Sequence[NDArray[np.float32]]) -> dict[int, int]:
    """Place → what stands there, the closest pairs first, each once.

    Args:
        closeness: of each place (N,) to what was found; negative for what is no pair.
    """
    pairs = [
        (-close, place, index)
        for place, row in enumerate(closeness)
        for index, close in enumerate(row.tolist())
        if close >= 0
    ]
    matched: dict[int, int] = {}
    for _, place, index in sorted(pairs):
        if place not in matched and index not in matched.values():
            matched[place] = index
    return matched


def same_place(place: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union (N,) of a box (4,) with others (N, 4), xyxy px; −1 for too little."""
    low, high = np.maximum(boxes[:, :2], place[:2]), np.minimum(boxes[:, 2:], place[2:])
    shared = np.prod(np.clip(high - low, 0, None), 1)
    sizes = np.prod(boxes[:, 2:] - boxes[:, :2], 1) + np.prod(place[2:] - place[:2])
    overlap = shared / (sizes - shared)
    return np.asarray(np.where(overlap >= _SAME_PLACE_IOU, overlap, -1), np.float32)


def box_around(outline: NDArray[np.float32]) -> NDArray[np.float32]:
    """The box (4,) xyxy px around an outline (M, 2)."""
    return np.concatenate([outline.min(0), outline.max(0)])
