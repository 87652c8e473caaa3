import json
import os
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.frame import decode
from models.personal import PersonalData
from models.redaction import Redactor, verify_bare

DATA = Path(os.environ.get("VIGIE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "faces"
pytestmark = pytest.mark.skipif(
    not (DATA / "val.json").exists(),
    reason="needs the face pictures: VIGIE_DATA, or shared/data beside the repository",
)


def test_faces_of_real_people_are_covered(networks: Path) -> None:
    """Faces of 12 px and more whose box is covered to 95 %, and the area covered elsewhere."""
    listed = json.loads((DATA / "val.json").read_text())
    redactor = Redactor([PersonalData(cache=networks, precision="f32")], cover=["face"])
    whole, faces, elsewhere, total = 0, 0, 0, 0
    for image in listed["images"][::10]:
        frame = decode(
            image["file_name"],
            (DATA / image["file_name"]).read_bytes(),
            source="crowds",
            stored_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        made = redactor(frame)
        verify_bare(made.encoded)
        covered = np.zeros(frame.pixels.shape[:2], bool)
        for region in made.regions:
            x1, y1, x2, y2 = region.box
            covered[y1:y2, x1:x2] = True
        # The pixel around a cover takes its colours from farther away.
        apart = cv2.dilate(covered.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
        assert np.array_equal(made.pixels[apart], frame.pixels[apart])
        near = np.zeros_like(covered)
        for label in listed["annotations"]:
            if label["image_id"] != image["id"]:
                continue
            x, y, w, h = (round(side) for side in label["bbox"])
            near[max(0, y - h) : y + 2 * h, max(0, x - w) : x + 2 * w] = True
            if h >= 12:
                faces += 1
                whole += covered[y : y + h, x : x + w].mean() >= 0.95
        elsewhere += int((covered & ~near).sum())
        total += covered.size
    assert faces > 50
    assert whole / faces >= 0.95
    assert elsewhere / total <= 0.12  # crowds hold faces that nobody labelled
