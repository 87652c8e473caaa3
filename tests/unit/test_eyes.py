"""Private zones are drawn on pictures of one shape, and hold for no other."""

from datetime import UTC, datetime
from unittest.mock import Mock

import numpy as np
import pytest
import simplejpeg

from models.errors import BadImage
from models.frame import Frame
from models.redaction import Redactor, Region
from services.eyes import Eyes
from services.opening import covered_from_above
from services.outcome import Stages
from services.sites import parse_site
from tests.orthophotos import Secrets
from tests.views import OCCUPANCY_HEAD, SITE_HEAD

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


@pytest.mark.parametrize(("gsd_m", "covered"), [(0.05, "person"), (0.2, "face"), (None, "face")])
def test_persons_are_covered_where_a_survey_shows_them(gsd_m, covered):
    def finds(label):
        region = Region((64, 64, 96, 96), label, 0.9)
        found = Mock(return_value=[region], model=f"{label}@1", thresholds={label: 0.5})
        return Redactor([found], cover=[label], style="solid")

    eyes = Eyes(finds("face"), {}, finds("person"))
    frame = Frame(
        "a", np.full((160, 160, 3), 90, np.uint8), "s", datetime(2026, 6, 1, tzinfo=UTC), "object",
        gsd_m=gsd_m,
    )  # fmt: skip
    redacted, _ = eyes.look(frame, (), None, Stages())
    witness = Mock(original=lambda data: "")
    testimony = eyes.testimony(witness, b"", gsd_m)
    assert {region.label for region in redacted.regions} == {covered} == {*testimony["thresholds"]}
    assert redacted.redactor == testimony["redactor"]
    assert {f"{label}+solid" for label in ("face", "person")} < {
        model.partition("@")[0] for model in eyes.models
    }


def test_persons_are_covered_from_above_unless_the_site_says_what_or_counts_them():
    def cover(more=""):
        return covered_from_above(parse_site(OCCUPANCY_HEAD + more, "s.yaml")).cover

    pitch = (
        "\nassets:\n  - {id: stade, purpose: occupancy, kind: pitch, geometry: "
        "{type: Point, coordinates: [-3.36, 47.74]}, limits: {}}\n"
    )
    assert cover() == ("face", "plate", "person")
    assert cover("\nredaction: {cover: [face, plate]}\n") == ("face", "plate")
    assert cover("\nredaction: {style: solid}\n") == ("face", "plate", "person")
    assert cover(pitch) == ("face", "plate")


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
