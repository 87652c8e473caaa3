from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
import simplejpeg

from benchmarks.attack_redaction import COVERS
from models.frame import Frame
from models.redaction import Region, redact
from training import attack
from training.scenes.heads import head

PEOPLE = 24
CHANCE = 1 / PEOPLE
SPRITE_PX = 80  # a head fills 0.8 of it: the face's 64 px


def person(seed):
    """A photograph of somebody drawn, on a plain wall."""
    rng = np.random.default_rng(seed)
    skin, hair = rng.uniform((90, 60, 45), (240, 205, 180)), rng.uniform(20, 170, 3)
    sprite, _ = head(rng, tuple(skin), tuple(hair), rng.uniform(-0.6, 0.6), SPRITE_PX)
    wall = np.full((attack.SIDE_PX, attack.SIDE_PX, 3), rng.uniform(60, 200, 3), np.uint8)
    at = slice((attack.SIDE_PX - SPRITE_PX) // 2, (attack.SIDE_PX + SPRITE_PX) // 2)
    opacity = sprite[..., 3:] / 255
    wall[at, at] = (wall[at, at] * (1 - opacity) + sprite[..., :3] * opacity).astype(np.uint8)
    return wall


@pytest.fixture(scope="module")
def people():
    return [person(seed) for seed in range(PEOPLE)]


def covered(picture, style):
    frame = Frame("a.jpg", picture, "cam", datetime(2026, 1, 1, tzinfo=UTC), "object")
    made = redact(frame, [Region(attack.FACE, "face", 1.0)], redactor="attack@0", style=style)
    return simplejpeg.decode_jpeg(made.encoded, "RGB")


def views(people, seed, cover=lambda picture: picture, view=lambda face, _: face):
    rng = np.random.default_rng(seed)
    laid = (attack.on_random_ground(view(face, rng), rng) for face in people)
    return [attack.face_of(cover(picture)) for picture in laid]


def test_everyone_is_found_in_the_same_gallery():
    rows = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    assert attack.top1(rows, rows) == 1.0
    assert attack.top1(rows, rows + 0.001) == 1.0


def test_noise_is_found_by_chance():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2, 2000, 8)).astype(np.float32)
    assert attack.top1(*rows) < 5 / 2000


def test_who_shares_the_nearest_place_shares_the_credit():
    gallery = np.array([[0], [0], [9], [5]], np.float32)
    probes = np.array([[0], [1], [9], [8]], np.float32)
    assert attack.credits_of(gallery, probes).tolist() == [0.5, 0.5, 1, 0]


def test_bare_faces_are_recognised_by_their_pixels(people):
    gallery = attack.standardised(views(people, 1))
    assert attack.top1(gallery, attack.standardised(views(people, 2))) == 1.0
    other = attack.standardised(views(people, 3, view=attack.varied))
    assert attack.top1(gallery, other) > 5 * CHANCE


@pytest.mark.parametrize("protocol", [lambda face, _: face, attack.varied])
def test_nobody_is_recognised_under_a_solid_cover(people, protocol):
    gallery, probes = (
        attack.standardised(views(people, seed, lambda p: covered(p, "solid"), protocol))
        for seed in (1, 2)
    )
    assert attack.top1(gallery, probes) == pytest.approx(CHANCE)


def test_the_default_cover_lets_no_face_through(people):
    found = []
    for seed in range(5):  # on ground of its own each time: chance alone decides
        gallery, probes = (
            attack.standardised(views(people, (seed, side), lambda p: covered(p, "mosaic")))
            for side in (1, 2)
        )
        found.append(attack.top1(gallery, probes))
    assert np.mean(found) < 3 * CHANCE


def test_blurred_faces_are_recognised(people):
    gallery, probes = (
        attack.standardised(views(people, seed, lambda p: covered(p, "blur"))) for seed in (1, 2)
    )
    assert attack.top1(gallery, probes) > 5 * CHANCE


def test_a_face_recogniser_knows_bare_faces_and_no_covered_ones(people):
    pytest.importorskip("dlib", reason="dlib-bin is not installed")
    describe = attack.open_recogniser()
    few, chance = people[:6], 1 / 6
    assert describe(few[:1]).shape == (1, 128)
    gallery, probes = (describe(views(few, seed)) for seed in (1, 2))
    assert attack.top1(gallery, probes) > 4 * chance
    gallery, probes = (describe(views(few, s, lambda p: covered(p, "solid"))) for s in (1, 2))
    assert attack.top1(gallery, probes) == pytest.approx(chance)


def test_image_features_know_bare_faces(people):
    describe = attack.open_features()
    gallery, probes = (describe(views(people, seed)) for seed in (1, 2))
    assert np.linalg.norm(gallery, axis=1) == pytest.approx(1, abs=1e-5)
    assert attack.top1(gallery, probes) > 5 * CHANCE


def test_relighting_changes_no_standardised_pixels(people):
    dark = [(face // 2 + 10).astype(np.uint8) for face in people]
    near, far = attack.standardised(people), attack.standardised(dark)
    assert np.abs(near - far).mean() < 0.02


@pytest.mark.parametrize("box", [(40, 30, 60, 60), (0, 0, 20, 26), (70, 50, 100, 80)])
def test_a_photograph_has_the_face_in_its_place(box):
    x1, y1, x2, y2 = box
    picture = np.zeros((80, 100, 3), np.uint8)
    picture[y1:y2, x1:x2] = 255
    photograph = attack.photograph(picture, box)
    assert photograph.shape == (attack.SIDE_PX, attack.SIDE_PX, 3)
    middle = slice(76, 116)  # within the face, however narrow
    assert photograph[middle, middle].mean() > 250
    assert cv2.countNonZero(photograph[:, 90, 0]) < attack.SIDE_PX


def test_of_a_photograph_only_the_face_is_laid_on_random_ground():
    bright, dark = (np.full((attack.SIDE_PX,) * 2 + (3,), v, np.uint8) for v in (250, 5))
    one, other = (
        attack.on_random_ground(photo, np.random.default_rng(0)) for photo in (bright, dark)
    )
    differs = (one != other).any(2)
    assert differs[64:128, 64:128].all()
    # Whatever differs lies under the cover, whose margin is 0.3 of the face.
    assert not differs[:45].any()
    assert not differs[147:].any()
    assert not differs[:, :45].any()
    assert not differs[:, 147:].any()
    assert (attack.on_random_ground(bright, np.random.default_rng(1)) != one).any()


@pytest.mark.parametrize("style", COVERS)
def test_each_way_to_cover_changes_a_face_and_nothing_far_from_it(style):
    picture = person(1)
    made = COVERS[style](picture).astype(int)
    assert made.shape == picture.shape
    x1, y1, x2, y2 = attack.FACE
    assert (np.abs(made - picture)[y1:y2, x1:x2].mean() > 10) == (style != "nothing")
    assert np.abs(made - picture)[:16].max() < 16
