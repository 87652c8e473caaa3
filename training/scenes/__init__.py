"""Scenes drawn by code, with exact ground truth: test data, demonstration input, augmentation.

`street`, `recycling_centre`, `aerial` and `container_park` draw one scene from a random generator,
`town` a day of a small town seen by the fixed `cameras`, `two_days` what one of them sees while a
container fills and is emptied, `lot_day` a car park at its limit and in fog. No picture, font file
or other data goes in; the same seed gives the same pixels.
"""

from training.scenes.aerial import aerial, container_park
from training.scenes.lot import lot_day
from training.scenes.scene import Scene, Stall
from training.scenes.street import recycling_centre, street
from training.scenes.town import before_two_days, cameras, town, two_days

__all__ = [
    "Scene",
    "Stall",
    "aerial",
    "before_two_days",
    "cameras",
    "container_park",
    "lot_day",
    "recycling_centre",
    "street",
    "town",
    "two_days",
]
