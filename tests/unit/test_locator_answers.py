from datetime import UTC, datetime
from unittest.mock import Mock

import numpy as np
import pytest

from models.errors import BadConfiguration, RedactionFailed
from models.frame import Frame
from models.redaction import LABELS, Redactor, Region

PIXELS = np.full((136, 200, 3), 90, np.uint8)
FRAME = Frame("inbox/a.jpg", PIXELS, "cam", datetime(2026, 3, 1, tzinfo=UTC), "object")


def answers(*some):
    return Mock(side_effect=some, model="odd@1", thresholds={"face": 0.5})


@pytest.mark.parametrize("answer", ["", {}, (), None], ids=lambda a: type(a).__name__)
def test_an_answer_that_is_no_list_fails_the_frame(answer):
    with pytest.raises(RedactionFailed, match="bad_region"):
        Redactor([answers(answer)], cover=["face"])(FRAME)


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        (1, 2, 3, 4),
        Region((10, 10, 30, 30), "Face", 0.9),  # left out, it would be published
        Region((10, 10, 10, 30), "face", 0.9),
        Region((10, 10, 30, 30), "face", float("nan")),
        Region((900, 10, 930, 30), "face", 0.9),
    ],
)
@pytest.mark.parametrize("before", [[], [[Region((10, 10, 30, 30), "face", 0.9)]]])
def test_a_locator_that_answers_nonsense_publishes_nothing(nonsense, before):
    with pytest.raises(RedactionFailed, match=r"bad_region|redactor_error: (Type|Attribute)Error"):
        Redactor([answers(*before, [nonsense])], cover=["face"])(FRAME)


def knows(**thresholds):
    return Mock(return_value=[], model="faces@1", thresholds=thresholds)


@pytest.mark.parametrize("more", [{}, {"plate": 1.01}, {"plate": float("nan")}])
def test_a_label_that_no_locator_finds_is_refused(more):
    """It would be left visible in every picture, and the proof would not see it either."""
    faces, both = knows(face=0.2, **more), knows(face=0.3, plate=0.3)
    with pytest.raises(BadConfiguration, match=r"asks for plate, which faces@1 .*PersonalData"):
        Redactor([faces])
    assert Redactor([faces], cover=["face"]).thresholds == {"face": 0.2}
    assert Redactor([faces, both]).thresholds == {"face": 0.2, "plate": 0.3}
    with pytest.raises(BadConfiguration, match="asks for head, person, vehicle, which"):
        Redactor([both], cover=LABELS)
