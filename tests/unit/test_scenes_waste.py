"""Containers and waste in streets, recycling centres and from above: what is drawn is true."""

import numpy as np
import pytest

from models.errors import BadConfiguration
from tests.drawn import CAMERA, LIGHT, SMALL, changed, finished, overlap, scene
from training.scenes import container_park, recycling_centre, street
from training.scenes.camera import floats
from training.scenes.canvas import Canvas
from training.scenes.containers import KINDS, Container
from training.scenes.solids import Pose
from training.scenes.street import STATES

SIZE_HW = (300, 400)


def objects(scene, label):
    return [
        (box, state)
        for box, state, one in zip(scene.boxes, scene.states, scene.labels, strict=True)
        if one == label
    ]


@pytest.mark.parametrize("seed", range(6))
def test_waste_of_a_skip_that_overflows_reaches_over_its_rim(seed):
    scene = recycling_centre(np.random.default_rng((1, seed)), SIZE_HW)
    over = [box for box, state in objects(scene, "container") if state == "overflow"]
    heaps = [box for box, _ in objects(scene, "waste")]
    for x1, y1, x2, _ in over:
        above = [h for h in heaps if h[1] < y1 + 3 and h[0] < x2 and h[2] > x1]
        assert above, "no heap over the rim"


def test_skips_are_open_and_as_often_as_not_heaped():
    states = [
        state
        for seed in range(12)
        for _, state in objects(recycling_centre(np.random.default_rng(seed), SIZE_HW), "container")
    ]
    assert {"clean", "overflow"} <= set(states)


@pytest.mark.parametrize("seed", range(8))
def test_a_park_from_above_is_dirty_where_waste_is_to_be_seen(seed):
    scene = container_park(np.random.default_rng((2, seed)), SIZE_HW)
    assert scene.dirty == ("waste" in scene.labels)
    assert scene.height_m.shape == SIZE_HW
    for label, state in zip(scene.labels, scene.states, strict=True):
        assert (state is not None) == (label == "container")


def test_a_container_from_above_keeps_its_size_on_the_ground():
    sides = []
    for gsd_m in (0.02, 0.04):
        scene = container_park(np.random.default_rng(5), (600, 600), gsd_m)
        boxes = np.array([box for box, _ in objects(scene, "container")])
        sides.append(gsd_m * (boxes[:, 2:] - boxes[:, :2]).max())
    assert 0.5 < sides[0] < 8
    assert 0.5 < sides[1] < 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("angle", [-0.4, 0.5])
def test_a_container_s_box_holds_every_pixel_it_changed(kind, angle):
    canvas = Canvas(CAMERA)
    canvas.pixels[:] = 255
    away = 14.0 if kind == "skip" else 5.0
    container = Container(kind, Pose(0.2, away, angle), seed=3)
    number = canvas.add("container", "clean")
    container.draw(canvas, LIGHT, number, None)
    if kind == "inlet":  # its ground plate is street, and hides nothing
        canvas.pixels[canvas.owner < 0] = 255
    (box,) = finished(canvas).boxes
    np.testing.assert_allclose(box, changed(canvas, 255), atol=1)
    wide, _, tall = container.size
    assert box[3] - box[1] == pytest.approx(tall / away * CAMERA.focal_px, rel=0.35)
    assert 0.9 < (box[2] - box[0]) / (wide / away * CAMERA.focal_px) < 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("state", STATES)
def test_states_agree_with_what_is_drawn(state, seed):
    drawn = scene(10 + seed, state)
    waste = [b for b, label in zip(drawn.boxes, drawn.labels, strict=True) if label == "waste"]
    containers = [
        (box, own)
        for box, label, own in zip(drawn.boxes, drawn.labels, drawn.states, strict=True)
        if label == "container"
    ]
    assert {own for _, own in containers} <= {state, "unknown"}
    assert drawn.dirty == bool(waste) == (state in ("side_waste", "overflow"))
    for box, own in containers:
        reach = 0.6 * (box[3] - box[1])
        grown = box + floats([-reach, -reach, reach, reach])
        if own in ("side_waste", "overflow"):
            assert any(overlap(grown, heap) > 0 for heap in waste)
        if own == "overflow":  # something shows in the upper half of the container, or above it
            assert any(heap[1] < box[1:4:2].mean() for heap in waste)


def test_objects_other_than_containers_have_no_state():
    for drawn in map(scene, range(6)):
        for label, own in zip(drawn.labels, drawn.states, strict=True):
            assert (own is not None) == (label == "container")


def test_an_unknown_state_is_refused():
    with pytest.raises(BadConfiguration, match="side_waste"):
        street(np.random.default_rng(0), SMALL, state="filthy")
