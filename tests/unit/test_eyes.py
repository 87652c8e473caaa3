"""Private zones are drawn on pictures of one shape, and hold for no other."""

from datetime import UTC, datetime

import numpy as np
import pytest
import simplejpeg

from models.errors import BadImage
from models.redaction import Redactor
from services.eyes import Eyes
from services.sites import parse_site
from tests.orthophotos import Secrets
from tests.views import SITE_HEAD

ZONE = "[[0, 0], [400, 0], [400, 200]]"


def seen(width, height, zones):
    camera = (
        "\ncameras:\n  - {id: cam, name: Mât, size_wh: [960, 540], key_prefix: cam/, "
        f"private_zones: [{zones}]}}\n"
    )
    picture = simplejpeg.encode_jpeg(np.full((height, width, 3), 90, np.uint8))
    site = parse_site(SITE_HEAD + camera, "s.yaml")
    eyes = Eyes(Redactor([Secrets()], cover=["plate"]), {})
    return eyes.see("cam/a.jpg", picture, stored_at=datetime(2026, 6, 1, tzinfo=UTC), site=site)


@pytest.mark.parametrize("size_wh", [(960, 540), (1920, 1080), (640, 360), (1920, 1088)])
def test_pictures_of_the_cameras_shape_are_covered_where_its_zones_are(size_wh):
    frame, _ = seen(*size_wh, ZONE)
    assert frame.regions or (frame.pixels != 90).any()


@pytest.mark.parametrize("size_wh", [(540, 960), (720, 540), (960, 600)])
def test_a_turned_or_cropped_picture_is_refused_where_there_are_zones(size_wh):
    with pytest.raises(BadImage, match="another shape") as error:
        seen(*size_wh, ZONE)
    assert error.value.reason == "unlike_camera"
    seen(*size_wh, "")  # without zones any shape will do
