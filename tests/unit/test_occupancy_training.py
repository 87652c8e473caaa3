"""What the occupancy detector learns from, what it starts as, and what it makes of its answer."""

import json
from unittest.mock import Mock

import numpy as np
import pytest

from benchmarks import remeasure
from models.card import Architecture, Card
from models.checkpoint import save
from models.counting import GROUPS, not_found
from models.detections import Detections
from models.detectors.occupancy import OccupancyDetector
from models.errors import BadConfiguration
from models.network import Network
from models.patch import PatchNetwork
from models.stalls import PATCH_PX
from training.dataset import usable
from training.labelled import Labelled
from training.occupancy import (
    NAMES,
    draw,
    draw_crowds,
    draw_measured,
    read_measured,
    read_train,
    redacted,
    turned,
)
from training.tasks.occupancy import view

PERSON, BICYCLE, CAR, MOTORCYCLE, BUS, TRUCK = range(6)
CATEGORIES = [{"id": i + 1, "name": name} for i, name in enumerate(NAMES)]


def write(path, images):
    """A COCO file of (fields of the image, [(label, box, crowd)])."""
    listed = [
        {"id": i, "width": 100, "height": 100} | fields for i, (fields, _) in enumerate(images)
    ]
    annotations = [
        {"image_id": i, "category_id": label + 1, "bbox": box, "iscrowd": crowd}
        for i, (_, boxes) in enumerate(images)
        for label, box, crowd in boxes
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"images": listed, "annotations": annotations, "categories": CATEGORIES})
    )


@pytest.fixture
def data(tmp_path):
    street = [(CAR, [10, 10, 30, 20], 0), (TRUCK, [50, 10, 30, 20], 1), (PERSON, [5, 60, 8, 20], 1)]
    write(
        tmp_path / "occupancy" / "train_pseudo.json",
        [
            ({"file_name": "a.jpg", "source": "streets"}, street),
            ({"file_name": "b.jpg", "source": "cams", "persons_labelled": False}, []),
            ({"file_name": "e.jpg", "source": "openimages", "exhaustive": False}, street),
        ],
    )
    for topic in ("plates", "waste"):
        write(tmp_path / topic / "train_pseudo.json", [({"file_name": "c.jpg", "source": "x"}, [])])
    write(
        tmp_path / "occupancy" / "aerial_train.json",
        [
            ({"file_name": f"aerial_minsk/{name}.jpg"}, [(CAR, [1, 1, 5, 9], 0)])
            for name in ("aer_DJI_0005-1", "aer_DJI_0762-2", "aer_DJI_0013-3")
        ],
    )
    write(
        tmp_path / "occupancy" / "val.json",
        [
            ({"file_name": "d.jpg", "source": "streets"}, [(BUS, [1, 1, 50, 50], 0)]),
            ({"file_name": "e.jpg", "source": "openimages", "exhaustive": False}, []),
        ],
    )
    return tmp_path


def test_what_nobody_labelled_is_neither_object_nor_background(data):
    street, camera, some, flight = read_train(data)
    assert street.labels.tolist() == [CAR]
    assert street.boxes.tolist() == [[10, 10, 40, 30]]
    # An uncertain lorry may be any vehicle; an uncertain person is no vehicle.
    at_lorry = street.ignored_labels[street.ignored[:, 0] == 50].tolist()
    assert sorted(at_lorry) == [BICYCLE, CAR, MOTORCYCLE, BUS, TRUCK]
    assert street.ignored_labels[street.ignored[:, 0] == 5].tolist() == [PERSON]
    assert street.taught.all()
    assert camera.taught.tolist() == [False, *[True] * 5]
    assert not some.taught.any()
    assert some.labels.tolist() == [CAR]
    assert flight.taught.tolist() == [False, False, True, False, True, True]


def test_flights_for_validation_are_not_learned(data):
    learned = [sample.path.name for sample in read_train(data)]
    measured = [
        sample.path.name for sample in read_measured(data, "val") if sample.source == "aerial"
    ]
    assert measured == ["aer_DJI_0762-2.jpg", "aer_DJI_0013-3.jpg"]
    assert not set(measured) & set(learned)


def test_only_whole_labels_are_scored(data):
    street, some, flight, _ = read_measured(data, "val")
    assert street.exhaustive.tolist() == [True, False, True, True, True, True]
    assert not some.exhaustive.any()
    assert flight.exhaustive.tolist() == [False, False, True, False, True, True]


def test_a_folder_without_the_data_is_refused(tmp_path):
    with pytest.raises(BadConfiguration, match="occupancy, plates, waste"):
        read_train(tmp_path)


def painted(box, size_hw=(200, 300)):
    x1, y1, x2, y2 = box
    pixels = np.zeros((*size_hw, 3), np.uint8)
    pixels[y1:y2, x1:x2] = 255
    empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    boxes = np.array([box], np.float32)
    return Labelled(None, boxes, np.array([CAR]), *empty, np.ones(6, bool), pixels=pixels)


@pytest.mark.parametrize("quarters", range(5))
def test_a_turned_picture_keeps_its_boxes_where_things_are(quarters):
    seen = turned(painted((30, 50, 90, 80)), quarters)
    rows, columns = np.nonzero(seen.pixels[..., 0])
    tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert seen.boxes[0].tolist() == tight


def test_views_keep_their_boxes_where_things_are():
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(40):
        seen = view(painted((100, 60, 180, 130)), 160, rng)
        assert seen.pixels.shape == (160, 160, 3)
        for x1, y1, x2, y2 in seen.boxes:
            inside = seen.pixels[int(y1) : int(y2), int(x1) : int(x2)].mean()
            assert inside > seen.pixels.mean()
            found += 1
    assert found > 20


def test_drawn_streets_are_labelled_whole():
    streets = list(draw(4, 0))
    assert all(street.taught.all() for street in streets)
    labels = np.concatenate([street.labels for street in streets])
    assert {PERSON, CAR} == set(labels.tolist())


def test_crowds_are_drawn_of_people_and_of_cars_and_redacted_like_all_others():
    people, cars = draw_crowds(2, 0)
    assert set(people.labels.tolist()) == {PERSON}
    assert set(cars.labels.tolist()) == {CAR}
    assert min(len(people.boxes), len(cars.boxes)) > 5
    redactor = Mock(side_effect=lambda frame: Mock(pixels=frame.pixels // 2))
    seen = redacted(people, redactor, None)
    assert np.array_equal(seen.pixels, people.pixels // 2)
    assert np.array_equal(seen.boxes, people.boxes)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    things = Architecture(NAMES, input_px=96, channels=16)
    patch = Architecture(("occupied",), input_px=PATCH_PX, backbone="", channels=8, kind="patch")
    measured = {"person ≥ 64 px": (1.25, 0.5), "vehicle ≥ 16 px": (1.1, 0.2)}
    for name, network, scores, calibration in (
        ("occupancy", Network(things), dict.fromkeys(NAMES, 0.4), measured),
        ("stalls", PatchNetwork(patch), {"occupied": 0.5}, {}),
    ):
        card = Card(name, network.architecture, "", scores, calibration, "none", "none")
        save(network.eval(), card, folder)
    return folder


@pytest.fixture(scope="module")
def detector(weights, networks):
    return OccupancyDetector(folder=weights, stalls=weights, cache=networks, precision="f32")


def found_of(rows, size_hw=(200, 300)):
    return Detections(
        np.array([row[2:] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[0] for row in rows], np.int64),
        NAMES,
        size_hw,
    )


def planted(detector, monkeypatch, *rows):
    """What the detector makes of (label, score, x1, y1, x2, y2)."""
    monkeypatch.setattr(detector._runtime, "detect", lambda pixels, min_score: found_of(rows))
    return detector.detect(np.zeros((200, 300, 3), np.uint8))


def test_a_van_that_looks_like_two_kinds_is_one_vehicle(detector, monkeypatch):
    van = (50, 50, 150, 120)
    found = planted(
        detector,
        monkeypatch,
        (CAR, 0.6, *van),
        (TRUCK, 0.8, 52, 50, 150, 121),
        (PERSON, 0.7, *van),
        (CAR, 0.5, 140, 50, 240, 120),
    )
    assert sorted(found.labels.tolist()) == [PERSON, CAR, TRUCK]
    assert found.scores[found.labels == TRUCK] == pytest.approx([0.8])


def test_each_find_stands_for_what_was_measured_of_its_kind(detector, monkeypatch):
    found = planted(
        detector,
        monkeypatch,
        (PERSON, 0.9, 10, 10, 40, 110),
        (CAR, 0.9, 100, 100, 140, 120),
        (CAR, 0.9, 200, 20, 290, 190),
    )
    order = np.argsort(found.boxes[:, 0])
    assert found.counted[order] == pytest.approx(np.array([[1.25, 0.5], [1.1, 0.2], [1, 0]]))


def test_a_large_picture_is_also_looked_at_at_full_size(detector, monkeypatch):
    size_hw = (700, 1200)
    large, small = (CAR, 0.8, 100, 100, 500, 400), (PERSON, 0.7, 800, 300, 812, 330)
    again = (CAR, 0.6, 104, 100, 498, 402)
    runtime = detector._runtime
    monkeypatch.setattr(runtime, "detect", lambda *_: found_of([large], size_hw))
    both = found_of([again, small], size_hw)
    monkeypatch.setattr(runtime, "detect_at_full_size", lambda *_: both)
    found = detector.detect(np.zeros((*size_hw, 3), np.uint8))
    assert sorted(zip(found.labels.tolist(), found.scores.round(1).tolist(), strict=True)) == [
        (PERSON, pytest.approx(0.7)),
        (CAR, pytest.approx(0.8)),
    ]


def test_the_model_names_both_networks(detector):
    assert detector.model.startswith("occupancy@")
    assert detector.model != detector.card.model


def test_weights_are_measured_again_without_training(weights, detector, tmp_path, monkeypatch):
    for path in weights.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(remeasure, "read_measured", lambda *_: draw_measured(2, 0))
    monkeypatch.setattr(remeasure, "OccupancyDetector", lambda folder: detector)
    before, after = detector.card, remeasure.remeasure(tmp_path)
    assert (after.digest, after.recipe, after.data) == (before.digest, before.recipe, before.data)
    assert set(after.calibration) >= {not_found(group) for group in GROUPS}
    assert "MAE, validation person, drawn" in after.metrics
    assert "AP50 person, validation all" in after.metrics


def test_a_picture_that_cannot_be_redacted_is_told_and_left_out_of_what_is_learned(capsys):
    def redact(number):
        if number == 2:
            raise BadConfiguration("leave [b]2.jpg[/b] out of the data: still_visible")
        return str(number)

    assert list(usable([1, 2, 3], redact)) == ["1", "3"]
    assert "[b]2.jpg[/b]" in capsys.readouterr().err
