"""What the network that finds personal data learns from, and how it is scored."""

import json

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.card import Architecture
from models.heatmap import Heat, HeatNetwork
from models.personal import PersonalData
from models.redaction import LABELS, Region
from training.labelled import Labelled
from training.privacy import labels, places, views
from training.privacy.labels import (
    FACE,
    HEAD,
    PERSON,
    PLATE,
    VEHICLE,
    propose_faces,
    read_labelled,
)
from training.privacy.loss import loss, targets
from training.privacy.start import from_centerface
from training.privacy.teacher import CenterFace

NOWHERE = np.zeros((0, 4), np.float32)


def labelled(boxes, labels, pixels=None, ignored=NOWHERE, ignored_labels=(), taught=None):
    return Labelled(
        None,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(ignored, np.float32).reshape(-1, 4),
        np.array(ignored_labels, np.int64),
        np.ones(len(LABELS), bool) if taught is None else np.array(taught),
        pixels,
    )


@pytest.fixture
def unworn(monkeypatch):
    monkeypatch.setattr("training.views.worn", lambda pixels, rng: pixels)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_boxes_of_a_view_lie_where_the_object_is_seen(seed):
    pixels = np.full((400, 600, 3), 200, np.uint8)
    pixels[180:220, 250:330] = (255, 0, 0)
    sample = labelled([[250, 180, 330, 220]], [PLATE], pixels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.views.worn", lambda pixels, rng: pixels)
        seen = views.view(sample, 320, np.random.default_rng(seed))
    red = (seen.pixels[..., 0] > 180) & (seen.pixels[..., 1] < 90)
    known = np.concatenate([seen.boxes, seen.ignored])
    if not red.any():
        assert len(seen.boxes) == 0
        return
    rows, columns = np.nonzero(red)
    extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert len(known) == 1
    # The box of a turned rectangle is larger than what is seen of it at the border.
    assert (known[0, :2] <= np.array(extent[:2]) + 3).all()
    assert (known[0, 2:] >= np.array(extent[2:]) - 3).all()
    if len(seen.boxes):  # of one that is hardly seen any more, a corner may be all there is
        assert np.abs(known[0] - extent).max() < 60


@pytest.mark.parametrize("seed", range(12))
def test_a_view_is_full_of_a_picture_that_is_large_enough(unworn, seed):
    pixels = np.full((1500, 2000, 3), 60, np.uint8)
    seen = views.view(labelled([], [], pixels), 320, np.random.default_rng(seed))
    assert (seen.pixels == 60).all(2).mean() > 0.7


def test_plates_are_copied_onto_vehicles_that_show_none(unworn):
    rng = np.random.default_rng(1)
    source = np.full((100, 200, 3), 90, np.uint8)
    source[40:60, 50:120] = (20, 120, 20)
    (plate,) = views.cut_plates([labelled([[50, 40, 120, 60], [0, 0, 9, 4]], [PLATE] * 2, source)])
    assert plate.shape == (20, 70, 3)
    assert np.percentile(plate, 95) == pytest.approx(235, abs=2)
    street = np.full((600, 800, 3), 128, np.uint8)
    sample = labelled([[200, 150, 600, 450]], [VEHICLE], street)
    made = [views.view(sample, 320, rng, [plate]) for _ in range(30)]
    assert sum((one.labels == PLATE).any() for one in made) > 5
    assert (street == 128).all()


def test_masks_cover_the_lower_half_of_faces_and_nothing_else():
    pixels = np.full((200, 200, 3), 128, np.uint8)
    sample = labelled([[60, 60, 120, 140]], [FACE], pixels)
    changed = np.zeros((200, 200), bool)
    for seed in range(20):
        masked = views._with_masks(sample, np.random.default_rng(seed))
        changed |= (masked.pixels != 128).any(2)
        assert (masked.boxes == sample.boxes).all()
    rows, columns = np.nonzero(changed)
    assert changed[110, 90]
    assert rows.min() > 76
    assert rows.max() < 156
    assert columns.min() > 48
    assert columns.max() < 132


def test_what_is_ignored_teaches_nothing_but_an_object_within_it():
    sample = labelled(
        [[100, 100, 140, 120]], [PLATE], ignored=[[60, 60, 200, 200]], ignored_labels=[PLATE]
    )
    heat, weight, shape, near = targets(sample, 320, len(LABELS))
    assert heat[PLATE, 27, 30] == 1
    assert (heat == 1).sum() == 1
    assert weight[PLATE, 27, 30] == 1
    assert weight[PLATE, 20, 20] == 0
    assert weight[FACE].all()
    assert near[PLATE, 27, 30] > 0
    assert shape[PLATE, :2, 27, 30].exp().tolist() == pytest.approx([5, 10])


def test_a_class_that_is_not_taught_learns_from_its_boxes_alone():
    taught = [True, False, True, True, True]
    _, weight, _, _ = targets(labelled([[100, 100, 140, 120]], [PLATE], taught=taught), 320, 5)
    assert weight[PLATE, 27, 30] == 1
    assert weight[PLATE, 60:].sum() == 0


def test_where_nobody_is_nothing_is_a_face_a_plate_or_a_head(tmp_path):
    assert list(places.read_land(tmp_path)) == []
    drawn = list(places.draw_places(3, 0))
    taught = [label in (FACE, PLATE, HEAD) for label in range(len(LABELS))]
    for sample in drawn:
        assert sample.pixels.ndim == 3
        assert not len(sample.boxes)
        assert sample.taught.tolist() == taught
    assert len({sample.pixels.tobytes() for sample in drawn}) == 3


def test_the_loss_teaches_free_heat_where_the_object_is(networks, monkeypatch):
    box = [90.0, 120.0, 150.0, 140.0]
    sample = labelled([box], [PLATE])
    torch.manual_seed(0)
    shapes = ((1, 5, 80, 80), (1, 10, 80, 80), (1, 10, 80, 80))
    free = [torch.zeros(shape, requires_grad=True) for shape in shapes]
    with torch.no_grad():
        free[0] -= 4
    optimizer = torch.optim.Adam(free, 0.1)
    for _ in range(150):
        optimizer.zero_grad()
        torch.stack(list(loss(Heat(*free), [sample]).values())).sum().backward()
        optimizer.step()
    locate = PersonalData(
        precision="f32", cache=networks, min_score=0.15
    )  # alone, it counts a fifth
    learnt = [part.detach().numpy() for part in free]
    monkeypatch.setattr(locate, "_run", lambda square: learnt)
    monkeypatch.setattr("models.personal._FINE_PX", 320)
    monkeypatch.setattr("models.tiling.COARSE_PX", 480)
    (found,) = locate(np.zeros((320, 320, 3), np.uint8))
    assert found.label == "plate"
    assert np.abs(np.subtract(found.box, box)).max() <= 3


def test_training_starts_with_what_centerface_says_of_faces():
    network = HeatNetwork(
        Architecture(LABELS, input_px=0, backbone="mobilenetv2_100", channels=48, kind="heatmap")
    ).eval()
    from_centerface(network)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    pixels = np.stack([cv2.GaussianBlur(one, (0, 0), 3) for one in pixels])
    feed = {"input.1": pixels.transpose(0, 3, 1, 2).astype(np.float32)}
    result = CenterFace(precision="f32")._network(feed)
    heat, size, offset = (result[name] for name in ("537", "538", "539"))
    with torch.inference_mode():
        ours = network(torch.from_numpy(pixels))
    assert np.abs(ours.logits[:, FACE].sigmoid().numpy() - heat[:, 0]).max() < 1e-3
    assert np.abs(ours.log_sizes[:, :2].numpy() - size).max() < 1e-2
    assert np.abs(ours.offsets[:, :2].numpy() - offset).max() < 1e-2


def coco(folder, name, images, annotations, categories=("plate",)):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(
        json.dumps(
            {
                "images": images,
                "annotations": annotations,
                "categories": [{"id": i + 1, "name": n} for i, n in enumerate(categories)],
            }
        )
    )


class Teacher:
    """Says what it is told to, of pictures as they are and of mirror images in turn."""

    def __init__(self, folder, *told):
        for topic in ("plates", "occupancy", "waste"):
            (folder / topic).mkdir(exist_ok=True)
            cv2.imwrite(str(folder / topic / "a.jpg"), np.zeros((300, 400, 3), np.uint8))
        self.told, self.asked = told, 0

    def __call__(self, pixels=None, **settings):
        if pixels is None:
            return self
        self.asked += 1
        said = self.told[(self.asked - 1) % 2]
        return [Region((*box,), "face", score) for *box, score in said]


def test_labels_say_what_is_known_and_ignore_what_is_not(tmp_path, monkeypatch):
    image = {"id": 1, "file_name": "a.jpg", "width": 400, "height": 300}
    names = ("person", "car")
    person = {"image_id": 1, "category_id": 1, "bbox": [200, 50, 40, 120], "iscrowd": 0}
    car = {"image_id": 1, "category_id": 2, "bbox": [20, 150, 100, 80], "iscrowd": 0}
    crowd = {"image_id": 1, "category_id": 1, "bbox": [300, 50, 90, 90], "iscrowd": 1}
    plate = {"image_id": 1, "category_id": 1, "bbox": [50, 200, 30, 10]}
    for topic in ("plates", "occupancy", "waste"):
        own = [plate] if topic == "plates" else []
        coco(tmp_path / topic, "train.json", [image], own)
        flags = image | ({"exhaustive": False} if topic == "occupancy" else {})
        coco(tmp_path / topic, "train_pseudo.json", [flags], [person, car, crowd], names)
    both, unsure = [10, 10, 30, 34, 0.8], [60, 10, 70, 22, 0.5]
    teacher = Teacher(tmp_path, [both, unsure], [[369, 10, 389, 34, 0.6]])
    monkeypatch.setattr(labels, "CenterFace", teacher)
    proposals = propose_faces(tmp_path, tmp_path / "faces.json")
    assert teacher.asked == 2, "the same picture thrice, and its mirror image"
    assert propose_faces(tmp_path, tmp_path / "faces.json") == proposals
    assert teacher.asked == 2, "it was kept"
    plates, occupancy, waste = read_labelled(tmp_path, proposals)
    faces = plates.boxes[plates.labels == FACE]
    assert faces.tolist() == [[10.5, 10, 30.5, 34]]
    assert plates.ignored[plates.ignored_labels == FACE].tolist() == [unsure[:4]]
    assert plates.boxes[plates.labels == PLATE].tolist() == [[50, 200, 80, 210]]
    assert PLATE not in plates.ignored_labels
    # A head around the face, and above the shoulders of the person who stands whole.
    assert (plates.labels == HEAD).sum() == 2
    assert (plates.labels == PERSON).sum() == 1
    assert (plates.ignored_labels == PERSON).sum() == 1
    for other, vehicles in ((occupancy, False), (waste, True)):
        assert PLATE not in other.labels
        assert [20, 150, 120, 230] in other.ignored[other.ignored_labels == PLATE].tolist()
        assert other.taught[PLATE] == vehicles
