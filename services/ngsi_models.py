"""Which entity of the Smart Data Models tells of what, in tables."""

from collections.abc import Mapping
from typing import NamedTuple

from services import event_types as types
from services.judgement import LOST_VIEW


class Condition(NamedTuple):
    """A condition that begins and ends.

    Attributes:
        name: as in `services.judgement.CONDITIONS`.
        category: of the alert; None for what asks nobody to act, which is an anomaly.
        about: type of the entity that it is about.
    """

    name: str
    category: str | None
    about: str


_OVERFLOW = Condition("waste.overflow", "environment", "WasteContainer")
_FULL = Condition("occupancy.full", "traffic", "OffStreetParking")
_MOWING = Condition("vegetation.mowing", "environment", "GreenspaceRecord")
_PRUNING = Condition("vegetation.pruning", "environment", "GreenspaceRecord")
_ENCROACHMENT = Condition("vegetation.encroachment", "environment", "GreenspaceRecord")
_DRYNESS = Condition("vegetation.dryness", None, "GreenspaceRecord")
_LOST = Condition(LOST_VIEW, "security", "Camera")
CHANGES: Mapping[str, tuple[Condition, str]] = {
    types.OVERFLOW_STARTED: (_OVERFLOW, "active"),
    types.OVERFLOW_ENDED: (_OVERFLOW, "ended"),
    types.OCCUPANCY_FULL: (_FULL, "active"),
    types.OCCUPANCY_AVAILABLE: (_FULL, "ended"),
    types.MOWING_DUE: (_MOWING, "active"),
    types.MOWING_DONE: (_MOWING, "ended"),
    types.PRUNING_DUE: (_PRUNING, "active"),
    types.PRUNING_DONE: (_PRUNING, "ended"),
    types.ENCROACHMENT_STARTED: (_ENCROACHMENT, "active"),
    types.ENCROACHMENT_ENDED: (_ENCROACHMENT, "ended"),
    types.DRYNESS_STARTED: (_DRYNESS, "active"),
    types.DRYNESS_ENDED: (_DRYNESS, "ended"),
    types.VIEW_LOST: (_LOST, "active"),
    types.VIEW_RESTORED: (_LOST, "ended"),
}
"""Type of event → the condition that it changes, and what becomes of it."""

NUMBERS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("waste.overflow", "1"): ("WasteContainer", "overflow"),
    ("waste.fill_level", "1"): ("WasteContainer", "fillingLevel"),
    ("occupancy.count", "{vehicle}"): ("OffStreetParking", "occupiedSpotNumber"),
    ("occupancy.count", "{cycle}"): ("OffStreetParking", "occupiedSpotNumber"),
    ("occupancy.count", "{person}"): ("CrowdFlowObserved", "peopleCount"),
    ("occupancy.share", "1"): ("OffStreetParking", "occupancy"),
    ("occupancy.length", "m"): ("OffStreetParking", "queueLength"),
    ("vegetation.height", "m"): ("GreenspaceRecord", "vegetationHeight"),
    ("vegetation.cover", "1"): ("GreenspaceRecord", "vegetationCover"),
    ("vegetation.over", "1"): ("GreenspaceRecord", "tallShare"),
    ("vegetation.unmown", "1"): ("GreenspaceRecord", "unmownShare"),
    ("vegetation.encroachment", "m"): ("GreenspaceRecord", "encroachmentHeight"),
    ("vegetation.vigour", "1"): ("GreenspaceRecord", "vigour"),
    ("vegetation.dryness", "1"): ("GreenspaceRecord", "dryness"),
    ("vegetation.grass", "cm"): ("GreenspaceRecord", "grassHeight"),
    ("vegetation.growth", "1"): ("GreenspaceRecord", "growthIndex"),
}
"""Quantity and unit → type of entity and attribute."""

STATES: Mapping[str, tuple[str, str, str, str]] = {
    "occupancy.taken": ("ParkingSpot", "status", "occupied", "free"),
    "occupancy.use": ("CrowdFlowObserved", "useStatus", "inUse", "notInUse"),
    LOST_VIEW: ("Camera", "viewStatus", "lost", "seen"),
}
"""Quantity → type, attribute, and its value where the quantity is likely, and where not."""

KINDS: Mapping[tuple[str, str], str] = {
    ("OffStreetParking", "street-parking"): "OnStreetParking",
    ("OffStreetParking", "square"): "CrowdFlowObserved",
    ("OffStreetParking", "pitch"): "CrowdFlowObserved",
    ("WasteContainer", "isle"): "WasteContainerIsle",
}
"""Type of entity and kind of asset → the type that fits such an asset better."""

GARDENS = frozenset({"parcel", "lawn"})
"""Kinds of assets that are a place of their own, which a record of vegetation refers to."""
