"""Drawn scenes: same seed same pixels, boxes tight, states true, heights true, views stable."""

from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from tests.drawn import CAMERA, LIGHT, SMALL, area, bounds, changed, finished, overlap, scene
from training.privacy.teacher import CenterFace
from training.scenes import (
    Scene,
    aerial,
    cameras,
    container_park,
    recycling_centre,
    street,
    town,
)
from training.scenes.camera import floats
from training.scenes.canvas import Canvas
from training.scenes.cars import Car
from training.scenes.people import Person
from training.scenes.solids import Pose


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: street(rng, SMALL),
        lambda rng: recycling_centre(rng, SMALL),
        lambda rng: aerial(rng, SMALL),
        lambda rng: container_park(rng, SMALL),
    ],
    ids=["street", "recycling centre", "aerial", "container park"],
)
def test_the_same_seed_draws_the_same_scene_and_another_seed_another(draw):
    one, again, other = (draw(np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.pixels, again.pixels)
    np.testing.assert_array_equal(one.boxes, again.boxes)
    assert (one.labels, one.states, one.dirty) == (again.labels, again.states, again.dirty)
    assert (one.pixels != other.pixels).mean() > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_boxes_are_the_bounds_of_what_is_seen(seed):
    drawn = scene(seed, None, seed == 3)
    height, width = SMALL
    assert drawn.pixels.shape == (height, width, 3)
    assert drawn.pixels.dtype == np.uint8
    assert drawn.boxes.dtype == np.float32
    assert len(drawn.boxes) == len(drawn.labels) == len(drawn.states) == len(drawn.ids)
    assert drawn.owner.max() == len(drawn.boxes) - 1
    assert (drawn.boxes[:, :2] >= 0).all()
    assert (drawn.boxes[:, 2:] <= [width, height]).all()
    for index, (label, box) in enumerate(zip(drawn.labels, drawn.boxes, strict=True)):
        own = np.array(bounds(drawn.owner == index), np.float32)
        if label in ("car", "person"):  # with the plates and the face on them
            assert overlap(own, box) == area(own)
        else:
            np.testing.assert_array_equal(own, box)


@pytest.mark.parametrize("thing", ["car", "person"])
def test_a_car_s_and_a_person_s_box_hold_every_pixel_they_changed(thing):
    canvas = Canvas(CAMERA)
    canvas.pixels[:] = 255
    number = canvas.add(thing)
    if thing == "car":
        Car("hatch", Pose(0, 7.0, 0.7), seed=4).draw(canvas, LIGHT, number)
    else:
        Person(0.3, 5.0, turned=0.2, seed=4).draw(canvas, LIGHT, number)
    drawn = finished(canvas)
    labels = ("car", "plate") if thing == "car" else ("person", "face")
    assert set(drawn.labels) == set(labels)
    whole, part = (drawn.boxes[drawn.labels.index(label)] for label in labels)
    np.testing.assert_allclose(whole, changed(canvas, 255), atol=1)
    assert overlap(part, whole) == area(part) < 0.1 * area(whole)


@pytest.mark.parametrize(("hidden", "left"), [(0.3, "clean"), (0.65, "unknown"), (0.9, None)])
def test_what_is_mostly_hidden_has_no_state_and_what_is_nearly_gone_no_box(hidden, left):
    canvas = Canvas(CAMERA)
    container = canvas.add("container", "clean")
    curtain = canvas.add("car")
    white = np.full((8, 8, 3), 255, np.uint8)
    down = floats([0, 0, -2])
    canvas.face(floats([-1, 5, 2]), floats([2, 0, 0]), down, white, container)
    canvas.face(floats([-1, 4.99, 2]), floats([2 * hidden, 0, 0]), down, white, curtain)
    drawn = finished(canvas)
    states = dict(zip(drawn.labels, drawn.states, strict=True))
    assert states.get("container") == left
    assert "car" in states


def test_a_part_hides_nothing_of_its_whole():
    canvas = Canvas(CAMERA)
    person = canvas.add("person")
    face = canvas.add("face", whole=person)
    white = np.full((8, 8, 3), 255, np.uint8)
    for owner, size in ((person, 1.0), (face, 0.95)):
        canvas.face(floats([0, 5, 2]), floats([size, 0, 0]), floats([0, 0, -size]), white, owner)
    drawn = finished(canvas)
    assert drawn.labels == ("person", "face")
    assert area(drawn.boxes[0]) > area(drawn.boxes[1])


def test_counts_are_obeyed():
    drawn = street(np.random.default_rng(5), SMALL, containers=0, people=0, cars=0)
    assert not {"container", "waste", "person", "face", "car", "plate"} & set(drawn.labels)
    assert not drawn.dirty


@pytest.mark.parametrize("size_hw", [(96, 128), (160, 90)])
def test_places_of_all_sorts_can_be_crowded(size_hw):
    people = 0
    for seed in (0, 1, 2, 3, 461, 606, 990, 2525):  # the last four: a kerb right at the camera
        drawn = street(np.random.default_rng(seed), size_hw, people=6, cars=3)
        assert drawn.pixels.shape == (*size_hw, 3)
        people += drawn.labels.count("person")
    assert people > 8


def test_nights_are_dark():
    days, nights = (
        [scene(seed) for seed in range(4)],
        [scene(seed, None, True) for seed in range(4)],
    )
    assert {s.night for s in days} == {False}
    assert {s.night for s in nights} == {True}
    bright, dark = (np.mean([s.pixels.mean() for s in some]) for some in (days, nights))
    assert dark < 0.65 * bright


def test_aerial_heights_belong_to_objects():
    drawn = aerial(np.random.default_rng(3), (400, 400))
    assert drawn.height_m is not None
    assert drawn.height_m.dtype == np.float32
    assert drawn.height_m.shape == drawn.owner.shape == (400, 400)
    grass = drawn.owner < 0
    assert np.count_nonzero(drawn.height_m[grass] > 0.9) < 0.002 * grass.sum()
    assert drawn.height_m[~grass].min() > 0.2
    limits = {"tree": (1.5, 20), "building": (2.5, 13), "car": (1.3, 1.8), "hedge": (1, 3)}
    for index, label in enumerate(drawn.labels):
        top = drawn.height_m[drawn.owner == index].max()
        low, high = limits.get(label, (1, 2))
        assert low <= top <= high, label
    assert {"tree", "building", "car"} <= set(drawn.labels)


def test_aerial_trees_are_green_and_shade_the_ground_beside_them():
    drawn = aerial(np.random.default_rng(4), (400, 400))
    trees = np.isin(drawn.owner, [i for i, label in enumerate(drawn.labels) if label == "tree"])
    red, green, blue = drawn.pixels[trees].mean(0)
    assert green > red
    assert green > blue


def test_aerial_heights_do_not_depend_on_the_resolution_of_the_picture():
    tops = []
    for gsd_m in (0.2, 0.4):
        drawn = aerial(np.random.default_rng(6), (300, 300), gsd_m)
        assert drawn.height_m is not None
        cars = [i for i, label in enumerate(drawn.labels) if label == "car"]
        sides = drawn.boxes[cars, 2:] - drawn.boxes[cars, :2]
        tops.append(np.median(sides.max(1)) * gsd_m)
    assert tops == pytest.approx([4.3, 4.3], rel=0.35)  # a car is as long at any resolution


def test_a_stall_is_occupied_when_a_car_stands_in_it():
    states = set()
    for seed in range(3):
        drawn = aerial(np.random.default_rng(seed), (512, 512))
        for stall in drawn.stalls.values():
            x, y = stall.polygon.mean(0).astype(int)
            owner = drawn.owner[y, x]
            label = drawn.labels[owner] if owner >= 0 else None
            if label != "tree":  # crowns may hang over a stall
                assert stall.occupied == (label == "car")
                states.add(stall.occupied)
    assert states == {True, False}


@pytest.fixture(scope="module")
def frames() -> list[tuple[str, Scene]]:
    return list(town(6, 9))


def test_town_keys_name_site_camera_and_hour(frames):
    assert list(cameras(6)) == ["cam-01", "cam-02", "cam-03"]
    times = defaultdict(list)
    for key, _ in frames:
        site, camera, name = key.split("/")
        assert site == "quai-nord"
        times[camera].append(datetime.strptime(name, "%Y%m%dT%H%M%SZ.jpg").replace(tzinfo=UTC))
    assert set(times) == set(cameras(6))
    for of_one in times.values():
        assert {(b - a).total_seconds() for a, b in pairwise(of_one)} == {3600}


def test_camera_polygons_hold_in_every_frame(frames):
    polygons = cameras(6)
    assert polygons == cameras(6)
    seen = set()
    for key, drawn in frames:
        known = polygons[key.split("/")[1]]
        for box, asset, state in zip(drawn.boxes, drawn.ids, drawn.states, strict=True):
            if asset is None:
                continue
            points = np.array(known[asset], np.float32)
            whole = np.concatenate([points.min(0), points.max(0)])
            seen.add(asset)
            assert overlap(box, whole) > 0.6 * area(box)
            if state in ("clean", "minor_litter"):
                assert overlap(box, whole) > 0.45 * area(whole)
    assert seen == {asset for known in polygons.values() for asset in known}


def test_containers_fill_and_are_collected(frames):
    histories = defaultdict(list)
    for _, drawn in frames:
        for asset, state in zip(drawn.ids, drawn.states, strict=True):
            if asset and state != "unknown":
                histories[asset].append(state in ("side_waste", "overflow"))
    steps = [step for h in histories.values() for step in pairwise(h)]
    assert (False, True) in steps
    assert (True, False) in steps


def test_the_background_of_a_camera_stays(frames):
    bare = [f.owner < 0 for k, f in frames if "cam-02" in k]
    pictures = [f.pixels.astype(np.float32).mean(2) for k, f in frames if "cam-02" in k]
    for picture, free in zip(pictures[1:], bare[1:], strict=True):
        both = free & bare[0]
        both[400:] = False  # shadows wander over the ground
        assert np.corrcoef(picture[both], pictures[0][both])[0, 1] > 0.8


def test_a_face_detector_trained_on_people_finds_the_near_faces():
    detector = CenterFace()
    found = []
    for seed in (5000, 5003, 5007):
        drawn = street(np.random.default_rng(seed), people=6, cars=0)
        regions = [np.array(r.box, np.float32) for r in detector(drawn.pixels)]
        for box, label in zip(drawn.boxes, drawn.labels, strict=True):
            if label == "face" and box[3] - box[1] >= 24:
                found.append(any(overlap(box, r) > 0.5 * area(box) for r in regions))
    assert len(found) >= 5
    assert np.mean(found) >= 0.8
