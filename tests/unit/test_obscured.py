"""Clouds and deep shadows are marked; roofs' edges, cars and meadows are not."""

import numpy as np
import pytest

from models.obscured import obscured
from tests.orthophotos import drawn


@pytest.mark.parametrize("gsd_m", [0.05, 0.2, 0.5])
def test_clouds_and_deep_shadows_are_marked_at_any_resolution(gsd_m):
    side = round(40 / gsd_m)
    pixels = drawn((side, side))
    assert not obscured(pixels, gsd_m).any()

    def metres(low, high):
        return slice(round(low / gsd_m), round(high / gsd_m))

    pixels[metres(2, 17), metres(2, 17)] = 250  # a cloud
    pixels[metres(22, 28), metres(2, 8)] = 5  # a shadow
    pixels[metres(22, 26), metres(22, 24)] = 250  # a white car
    found = obscured(pixels, gsd_m)
    assert found[metres(4, 15), metres(4, 15)].all()
    assert found[metres(24, 26), metres(4, 6)].all()
    assert not found[metres(20, 40), metres(12, 40)].any()
    assert found.mean() < 0.18


def test_a_bright_texture_is_no_cloud():
    levels = np.random.default_rng(0).integers(205, 256, (40, 40, 1), np.uint8)
    pixels = levels.repeat(5, 0).repeat(5, 1).repeat(3, 2)  # squares of a metre
    assert pixels.mean() > 225
    assert not obscured(pixels, 0.2).any()
