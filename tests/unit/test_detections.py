import numpy as np
import pytest

from models.detections import Detections


def detections(box=(1, 2, 3, 4), score=0.5, label=0, **more):
    return Detections(
        np.array([box], np.float32),
        np.array([score], np.float32),
        np.array([label], np.int64),
        ("container", "waste"),
        (10, 20),
        **more,
    )


def test_empty_has_shape_0_4():
    nothing = Detections.empty(("a",), (5, 5))
    assert nothing.boxes.shape == (0, 4)
    assert len(nothing) == 0
    assert len(nothing.named("a")) == 0


def test_a_box_may_touch_the_last_row_and_column():
    assert len(detections(box=(0, 0, 20, 10))) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"box": (3, 2, 3, 4)}, "boxes"),
        ({"box": (-1, 2, 3, 4)}, "boxes"),
        ({"box": (0, 0, 21, 4)}, "boxes"),
        ({"box": (0, 0, 4, 11)}, "boxes"),
        ({"box": (float("nan"), 0, 4, 4)}, "boxes"),
        ({"score": 1.2}, "scores"),
        ({"score": float("nan")}, "scores"),
        ({"label": 2}, "labels"),
        ({"label": -1}, "labels"),
        (
            {"states": np.array([[0.5, 0.2]], np.float32), "state_names": ("clean", "overflow")},
            "states",
        ),
    ],
)
def test_what_does_not_hold_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        detections(**wrong)


def test_wrong_dtype_is_refused():
    with pytest.raises(ValueError, match="float64"):
        Detections(np.zeros((0, 4)), np.zeros(0, np.float32), np.zeros(0, np.int64), ("a",), (5, 5))


def test_named_keeps_one_class_with_its_states():
    both = Detections(
        np.array([[0, 0, 1, 1], [2, 2, 4, 4]], np.float32),
        np.array([0.9, 0.8], np.float32),
        np.array([0, 1], np.int64),
        ("container", "waste"),
        (10, 20),
        np.array([[1, 0], [0.25, 0.75]], np.float32),
        ("clean", "overflow"),
        {"dirty": 0.3},
    )
    waste = both.named("waste")
    assert waste.boxes.tolist() == [[2, 2, 4, 4]]
    assert waste.states.tolist() == [[0.25, 0.75]]
    assert waste.image_scores == {"dirty": 0.3}
