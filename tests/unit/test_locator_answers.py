from datetime import UTC, datetime
from unittest.mock import Mock

import numpy as np
import pytest

from models.errors import RedactionFailed
from models.frame import Frame
from models.redaction import Redactor


@pytest.mark.parametrize("answer", ["", {}, (), None], ids=lambda a: type(a).__name__)
def test_an_answer_that_is_no_list_fails_the_frame(answer):
    pixels = np.full((32, 32, 3), 90, np.uint8)
    frame = Frame("inbox/a.jpg", pixels, "cam", datetime(2026, 3, 1, tzinfo=UTC), "object")
    locator = Mock(return_value=answer, model="odd@1", thresholds={})
    with pytest.raises(RedactionFailed, match="bad_region"):
        Redactor([locator])(frame)
