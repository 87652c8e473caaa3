"""How the network that finds personal data, and what is published with it, is scored."""

import json

import cv2
import numpy as np
import pytest

from models.errors import BadConfiguration, RedactionFailed
from models.redaction import Redactor, Region
from services.settings import Settings
from serving.evaluation import evaluate_detector
from training.privacy.figures import Look, choose, figures, published_figures
from training.privacy.figures import look as look_at


def look(topic, truth, found, night=False):
    boxes = np.array(truth, np.float32).reshape(-1, 4)
    return Look(topic, "here", night, (200, 200), boxes, tuple(found))


def test_an_object_counts_when_covers_lie_over_its_box():
    whole, half = Region((50, 50, 80, 62), "plate", 0.6), Region((100, 50, 110, 62), "plate", 0.6)
    one = look("plates", [[50, 50, 80, 62], [90, 50, 150, 62]], [whole, half])
    rows = figures([one, look("empty", [], [])], {"plate": 0.5})
    assert rows["plates"]["recall ≥ 6 px"][0] == 0.5
    assert rows["plates"]["recall 12–24 px"][3] == 2
    assert rows["empty"]["falsely covered area"][0] == 0
    assert figures([one], {"plate": 0.7})["plates"]["recall ≥ 6 px"][0] == 0
    # A label that no threshold names covers nothing.
    assert figures([one], {"face": 0.1})["plates"]["recall ≥ 6 px"][0] == 0


def test_what_is_covered_besides_lies_far_from_all_objects():
    truth = [[50, 50, 80, 62]]
    near, far = Region((50, 52, 80, 60), "plate", 0.6), Region((50, 150, 80, 162), "plate", 0.6)
    for found, some in (([near], False), ([near, far], True)):
        rows = figures([look("plates", truth, found)], {"plate": 0.5})
        assert (rows["plates"]["covered besides"][0] > 0) == some


def own_pictures(folder, topic, boxes, name="val.json"):
    """A COCO file as somebody else would write one, with one picture of 200×200 px."""
    (folder / topic).mkdir(parents=True)
    cv2.imwrite(str(folder / topic / "a.png"), np.full((200, 200, 3), 90, np.uint8))
    annotations = [
        {"id": i, "image_id": 1, "category_id": 1, "bbox": list(box)} for i, box in enumerate(boxes)
    ]
    coco = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": annotations}
    (folder / topic / name).write_text(json.dumps(coco))


def finds_plate(pixels):
    return [Region((50, 50, 80, 62), "plate", 0.6)]


@pytest.mark.parametrize("topic", ["plates", "faces", "empty"])
def test_own_pictures_of_one_topic_are_enough_and_need_no_source(tmp_path, topic):
    own_pictures(tmp_path, topic, [] if topic == "empty" else [(50, 50, 30, 12)])
    (one,) = look_at(tmp_path, "val", finds_plate)
    assert (one.topic, one.source, one.night) == (topic, "own", False)
    rows = figures([one], {"plate": 0.5})
    assert list(rows) == [topic]
    if topic != "empty":
        assert rows[topic]["recall own"][0] == 1


def test_a_folder_without_anything_to_measure_on_is_refused_with_what_to_give(tmp_path):
    with pytest.raises(BadConfiguration, match=r"plates/val\.json, faces/val\.json"):
        look_at(tmp_path, "val", finds_plate)
    own_pictures(tmp_path, "plates", [])
    (tmp_path / "plates" / "val.json").write_text("{}")
    with pytest.raises(BadConfiguration, match=r"no COCO file: 'images'"):
        look_at(tmp_path, "val", finds_plate)


def test_what_is_published_is_told_beside_the_look(tmp_path):
    """A plate that only the second look sees: covered in what is published, not by the look."""
    own_pictures(tmp_path, "plates", [(50, 50, 30, 12)])
    own_pictures(tmp_path, "empty", [])

    class Late:
        model, thresholds = "late@0", {"plate": 0.5}

        def __call__(self, pixels, areas=None):
            again = abs(int(pixels[25, 25, 0]) - 127) < 5  # the first find is covered already
            return [Region((20, 20, 30, 30), "plate", 0.6), *(finds_plate(pixels) if again else ())]

    redactor = Redactor([Late()], cover=["plate"], style="solid")
    looks = look_at(tmp_path, "val", lambda _: [], redactor)
    assert figures(looks, {"plate": 0.0})["plates"]["recall ≥ 6 px"][0] == 0
    rows = published_figures(looks)
    assert rows["plates, published"]["recall ≥ 6 px"][0] == 1
    assert 0 < rows["empty, published"]["falsely covered area"][0] < 0.2
    assert rows["all, published"]["in quarantine instead"][0] == 0


def test_what_goes_to_quarantine_is_counted_and_covers_nothing(tmp_path):
    own_pictures(tmp_path, "plates", [(50, 50, 30, 12)])

    def refuses(frame):
        raise RedactionFailed("still_visible", "x")

    rows = published_figures(look_at(tmp_path, "val", finds_plate, refuses))
    assert rows == {"all, published": {"in quarantine instead": (1, 1, 1, 1)}}


@pytest.mark.parametrize("name", ["privacy", "vegetation", "stalls"])
def test_a_batch_is_refused_where_it_records_nothing_to_score(tmp_path, name):
    with pytest.raises(BadConfiguration, match=f"{name} is scored by: no --batch"):
        evaluate_detector(name, tmp_path, "val", Settings(state_dir=tmp_path), batch="3fa2")


def test_no_threshold_is_chosen_without_empty_streets():
    with pytest.raises(BadConfiguration, match="val_pseudo"):
        choose([look("plates", [], [])], {"face": 0.1})


def test_the_threshold_is_the_lowest_that_keeps_to_the_limit():
    found = [Region((50, 50, 60, 60), "face", score) for score in (0.05, 0.22)]
    empty = [look("empty", [], found), look("empty", [], [])]
    assert choose(empty, {"face": 0.0}) == {"face": 0.238}
    assert choose(empty, {"face": 1.0}) == {"face": 0.02}
