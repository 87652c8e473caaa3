"""Hard cases that are drawn for training: they stay where they belong, and are seen."""

import numpy as np
import pytest

from models.redaction import LABELS
from training.labelled import Labelled
from training.privacy import hard, views
from training.privacy.labels import FACE, HEAD, PERSON, PLATE, VEHICLE
from training.scenes.plates import any_plate

SEEDS = range(12)
STREET = np.full((600, 800, 3), 128, np.uint8)


def street(boxes, labels):
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    taught = np.ones(len(LABELS), bool)
    return Labelled(None, boxes, np.array(labels, np.int64), *nothing, taught, STREET.copy())


def changed(made, box):
    x1, y1, x2, y2 = np.round(box).astype(int)
    return (made.pixels != STREET).any(2)[max(y1, 0) : y2, max(x1, 0) : x2]


def test_what_stands_before_a_face_hides_some_of_it_and_leaves_some():
    sample = street([[300, 200, 340, 250], [100, 100, 160, 400]], [FACE, PERSON])
    hidden = []
    for seed in range(40):
        made = hard.with_occluders(sample, np.random.default_rng(seed))
        assert (made.boxes == sample.boxes).all()
        hidden.append(changed(made, sample.boxes[0]).mean())
    assert max(hidden) < 0.75
    assert np.mean(np.array(hidden) > 0.05) > 0.3
    assert (sample.pixels == STREET).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_faces_behind_glass_are_in_vehicles_that_show_none_and_are_wide_enough(seed):
    wide, narrow, taken = [100, 100, 400, 300], [450, 100, 550, 300], [100, 320, 400, 520]
    driver = [200, 350, 230, 390]
    sample = street([wide, narrow, taken, driver], [VEHICLE] * 3 + [FACE])
    made = hard.with_passengers(sample, np.random.default_rng(seed))
    added = made.boxes[4:]
    assert made.labels[4:].tolist() in ([], [FACE, HEAD])
    for x1, y1, x2, y2 in added:
        assert 100 <= x1 < x2 <= 400
        assert 100 <= y1 < y2 <= 300
    if len(added):
        face, head = added
        assert (face[:2] >= head[:2]).all()
        assert (face[2:] <= head[2:]).all()
        assert changed(made, face).mean() > 0.9
    assert not changed(made, narrow).any()
    assert not changed(made, taken).any()


def test_nobody_is_drawn_where_it_is_too_dark_to_be_seen():
    sample = street([[100, 100, 400, 300]], [VEHICLE])
    sample.pixels[...] = 20
    for seed in SEEDS:
        assert len(hard.with_passengers(sample, np.random.default_rng(seed)).boxes) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_poster_hides_nothing_labelled_and_its_face_is_where_it_is_said_to_be(seed):
    sample = street([[300, 200, 360, 420]], [PERSON])
    made = hard.with_poster(sample, np.random.default_rng(seed))
    assert not changed(made, [302, 202, 358, 418]).any()
    assert made.labels.tolist() == [PERSON, FACE, HEAD]
    face = made.boxes[1]
    assert changed(made, face).mean() > 0.9
    x1, y1, x2, y2 = face.round().astype(int)
    assert made.pixels[y1:y2, x1:x2].std() > 5  # not the panel's one colour
    assert len(hard.with_poster(street([], []), np.random.default_rng(seed)).boxes) == 0


def test_narrow_vehicles_get_plates_of_motorcycles():
    sample = street([[300, 150, 400, 400]], [VEHICLE])
    plates = []
    for seed in range(30):
        made = views._with_plates(sample, np.random.default_rng(seed), [])
        plates += list(made.boxes[made.labels == PLATE])
    assert len(plates) > 8
    shapes = [(x2 - x1) / (y2 - y1) for x1, y1, x2, y2 in plates]
    assert max(shapes) < 2.6
    assert np.median(shapes) < 1.5
    assert all(330 < (x1 + x2) / 2 < 370 for x1, _, x2, _ in plates)
    ratios = [p.shape[1] / p.shape[0] for p in (any_plate(np.random.default_rng(s)) for s in SEEDS)]
    assert max(ratios) > 4  # others are as long as ever


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trailer_hangs_behind_its_vehicle_with_a_place_for_a_plate(seed):
    box = np.array([200, 150, 500, 350], np.float32)
    pixels, corners = hard.trailer(STREET, box, np.random.default_rng(seed))
    rows, columns = np.nonzero((pixels != STREET).any(2))
    assert 240 < rows.min() < rows.max() <= 351
    assert 200 <= columns.min() < columns.max() <= 500
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    assert columns.min() < left < right < columns.max()
    assert rows.min() < top < bottom < rows.max()
