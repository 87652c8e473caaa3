from datetime import timedelta

import numpy as np

from services.visibility import blank
from training.scenes import lot, lot_day


def test_a_day_of_a_lot_fills_wavers_lies_in_fog_and_empties(monkeypatch):
    monkeypatch.setattr(lot, "EVERY", timedelta(minutes=80))
    seen = list(lot_day(3))
    assert [when.hour for when, _, _ in seen] == [6, 7, 8, 10, 11, 12, 14, 15, 16, 18]
    taken = [sum(stall.occupied for stall in scene.stalls.values()) for _, scene, _ in seen]
    assert taken == [1, 1, 2, 4, 4, 3, 4, 4, 2, 2]
    for _, scene, fog in seen:
        assert len(scene.stalls) == 4
        assert (blank(scene.pixels) is not None) == fog
    assert [fog for *_, fog in seen] == [False] * 6 + [True] * 2 + [False] * 2
    again = next(lot_day(3))[1]
    assert np.array_equal(again.pixels, seen[0][1].pixels)
