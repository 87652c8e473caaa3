"""The port's site file fits the town that the demo draws."""

from pathlib import Path

import numpy as np

from services.sites import load_site
from serving.demo import SEED
from training import scenes

SITE = load_site(Path(__file__).parents[2] / "examples" / "port-quay.yaml")


def bounds(outline):
    points = np.array(outline)
    return np.concatenate([points.min(0), points.max(0)])


def test_every_drawn_container_is_registered_where_it_stands():
    drawn = scenes.cameras(SEED)
    assert {camera.id for camera in SITE.cameras} == set(drawn)
    for camera, assets in drawn.items():
        registered = {a.id.rpartition(":")[2]: a for a in SITE.assets_in(camera, "waste")}
        assert set(registered) == set(assets)
        for name, outline in assets.items():
            near = np.abs(bounds(registered[name].views[camera]) - bounds(outline))
            assert near.max() <= 3, name


def test_the_keys_of_the_drawn_town_tell_camera_and_time():
    for key, _ in scenes.town(SEED, 3):
        assert SITE.camera_of(key) is not None
        assert SITE.captured_at(key) is not None
