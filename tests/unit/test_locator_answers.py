from datetime import UTC, datetime
from unittest.mock import Mock

import numpy as np
import pytest

from models.errors import BadConfiguration, RedactionFailed
from models.frame import Frame
from models.redaction import LABELS, Redactor


@pytest.mark.parametrize("answer", ["", {}, (), None], ids=lambda a: type(a).__name__)
def test_an_answer_that_is_no_list_fails_the_frame(answer):
    pixels = np.full((32, 32, 3), 90, np.uint8)
    frame = Frame("inbox/a.jpg", pixels, "cam", datetime(2026, 3, 1, tzinfo=UTC), "object")
    locator = Mock(return_value=answer, model="odd@1", thresholds={"face": 0.5})
    with pytest.raises(RedactionFailed, match="bad_region"):
        Redactor([locator], cover=["face"])(frame)


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
