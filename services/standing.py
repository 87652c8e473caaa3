"""What stands where: finds by their feet, in an outline, and never in a private zone."""

from collections.abc import Mapping

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon, make_valid
from shapely.geometry.base import BaseGeometry

from models.counting import GROUPS
from models.detections import Detections
from models.redaction import PRIVATE_ZONE
from services.view import View

Outline = NDArray[np.float32]

_FACES = ("face", "head")


def countable(view: View) -> dict[str, Detections]:
    """Group → what a view shows of it outside private zones.

    Where the view has moved, a zone holds where it was covered and where it is now.
    """
    found = view.detections["occupancy"]
    free = np.ones(len(found), bool)
    for moved in (False, True):
        for zone in view.private_zones(moved=moved):
            free &= ~within(zone, feet(view, found))
    groups = {}
    for group, names in GROUPS.items():
        labels = [found.names.index(name) for name in names]
        groups[group] = found.where(free & np.isin(found.labels, labels))
    return groups


def feet(view: View, found: Detections) -> NDArray[np.float32]:
    """Where finds touch the ground, (N, 2) px: in the middle of a box's lower side.

    From straight above it is the middle of the box.
    """
    boxes = found.boxes
    lower = boxes[:, 3] if view.frame.gsd_m is None else (boxes[:, 1] + boxes[:, 3]) / 2
    return np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, lower], 1)


def within(outline: Outline, points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which points (N, 2) lie in an outline (M, 2), or on it."""
    at = [(float(x), float(y)) for x, y in points]
    return np.array([cv2.pointPolygonTest(outline, one, False) >= 0 for one in at], bool)


def covers(view: View) -> BaseGeometry:
    """All that redaction hides in a view, px."""
    # The region of a private zone is the box around it, which holds more than is hidden.
    boxes = [shapely.box(*r.box) for r in view.frame.regions if r.label != PRIVATE_ZONE]
    return shapely.union_all([*boxes, *map(drawn, view.private_zones(moved=False))])


def before(view: View, outline: Outline, group: str, found: Mapping[str, Detections]) -> float:
    """Share of an outline (N, 2) before which covers lie, or vehicles that do not stand in it.

    Not where things of the group are found in it: a plate belongs to its vehicle. Nor do faces hide
    people, of whom fewer are found than have their faces covered.

    Args:
        view: the picture.
        outline: of the place, px.
        group: what is counted there.
        found: group → what was found, see `countable`.
    """
    own = (PRIVATE_ZONE, *_FACES) if group == "person" else (PRIVATE_ZONE,)
    covered = [region.box for region in view.frame.regions if region.label not in own]
    stands = {name: within(outline, feet(view, found[name])) for name in (group, "vehicle")}
    passing = found["vehicle"].boxes[~stands["vehicle"]]
    hidden, seen = (
        shapely.union_all([shapely.box(*one) for one in boxes])
        for boxes in ([*covered, *passing.tolist()], found[group].boxes[stands[group]].tolist())
    )
    return share_in(outline, hidden - seen)


def cut_off(view: View) -> BaseGeometry:
    """What is hidden, px, because a private zone was covered where the view no longer has it."""
    was, now = (
        shapely.union_all([drawn(zone) for zone in view.private_zones(moved=moved)])
        for moved in (False, True)
    )
    return was - now


def share_in(outline: Outline, area: BaseGeometry) -> float:
    """Share of an outline (N, 2) that lies in an area."""
    whole = drawn(outline)
    return float(whole.intersection(area).area / max(whole.area, 1e-6))


def drawn(outline: NDArray[np.floating]) -> BaseGeometry:
    """An outline (N, 2) as an area; one that a moved view turns over itself, too."""
    return make_valid(Polygon(outline))
