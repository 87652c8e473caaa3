"""Contracts that every plug-in keeps; a new file is found here without touching this one."""

from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest

from models import detectors, plugins
from models.card import read_card
from models.counting import GROUPS, kinds, not_found
from models.errors import BadConfiguration, UnknownPlugin
from models.frame import Frame
from models.redaction import redact
from services import purposes, sinks
from services.sinks import Target

DETECTORS = plugins.names(detectors)
PURPOSES = plugins.names(purposes)
SINKS = plugins.names(sinks)


@pytest.fixture
def load(networks):
    return lambda name: plugins.load(detectors, name).load(cache=networks, precision="f32")


def frame(height, width, level=90):
    pixels = np.full((height, width, 3), level, np.uint8)
    original = Frame("a.jpg", pixels, "cam", datetime(2026, 1, 1, tzinfo=UTC), "object")
    return redact(original, [], redactor="none@0")


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_names_its_model_and_takes_any_size(load, name):
    detector = load(name)
    assert detector.model.startswith(f"{name}@")
    for size_hw in ((16, 16), (37, 211), (600, 800)):
        found = detector(frame(*size_hw))
        assert found.size_hw == size_hw
        assert found.names == detector.names


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_gives_the_same_for_the_same_picture(load, name):
    detector, picture = load(name), frame(120, 160)
    first, second = detector(picture), detector(picture)
    np.testing.assert_array_equal(first.boxes, second.boxes)
    np.testing.assert_array_equal(first.scores, second.scores)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_ships_a_complete_card(name):
    card = read_card(name)
    assert card.licence == "Apache-2.0"
    assert card.data
    assert card.recipe
    assert card.metrics
    it = card.architecture
    assert set(card.min_score) == {*it.names, *it.image_names}
    counted = {kind for group in GROUPS for kind in kinds(group)}
    known = {*it.image_names, *(["state"] if it.state_names else [])}
    known |= {"spread"} if it.kind == "canopy" else set()
    missed = {not_found(group) for group in GROUPS}
    assert set(card.calibration) - missed in (known, known | counted)


@pytest.mark.parametrize("name", PURPOSES)
def test_a_purpose_asks_for_detectors_that_exist(name):
    assert set(plugins.load(purposes, name).DETECTORS) <= set(DETECTORS)


@pytest.mark.parametrize("name", PURPOSES)
def test_a_purpose_judges_its_own_quantities_by_default(name):
    limits = plugins.load(purposes, name).judgement({})
    assert limits
    for quantity, limit in limits.items():
        assert quantity.startswith(f"{name}.")
        assert limit.leave < limit.enter or not limit.enter  # nothing but silence is told


@pytest.mark.parametrize("name", SINKS)
def test_a_sink_opens_without_its_other_end_and_refuses_options_it_does_not_know(name):
    scheme = name.replace("_", "-")
    address = "/x" if name == "file" else "127.0.0.1:9/x"
    options = {"kafka": {"security": "plaintext"}, "ngsi_ld": {"plain": "yes"}}.get(name, {})
    module = plugins.load(sinks, name)
    with closing(module.open_sink(Target(f"{scheme}://{address}", options))) as sink:
        assert callable(sink.send)
    with pytest.raises(BadConfiguration, match="nosuch"):
        module.open_sink(Target(f"{scheme}://{address}", options | {"nosuch": "1"}))
    assert f"`{scheme}://" in module.__doc__ or f"`{scheme}:" in module.__doc__


@pytest.mark.parametrize("package", [detectors, purposes, sinks])
@pytest.mark.parametrize("name", ["nosuch", "os", "../waste", "waste.x", "", "_dense"])
def test_an_unknown_name_is_refused_and_the_known_ones_are_listed(package, name):
    with pytest.raises(UnknownPlugin) as error:
        plugins.load(package, name)
    for known in plugins.names(package):
        assert known in str(error.value)
