"""Locate, cover, prove: what a `Redactor` covers, and when it refuses to publish."""

from collections.abc import Sequence
from datetime import UTC, datetime
from unittest.mock import Mock

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import redaction
from models.errors import BadConfiguration, RedactionFailed
from models.frame import Frame
from models.redaction import LABELS, Box, Redactor, Region, verify_bare

Pixels = NDArray[np.uint8]
HEIGHT, WIDTH = 136, 200
FACE, PLATE = Region((10, 10, 30, 30), "face", 0.9), Region((90, 90, 130, 110), "plate", 0.8)


def frame_of(pixels: Pixels) -> Frame:
    pixels.setflags(write=False)
    return Frame("inbox/a.jpg", pixels, "cam", datetime(2026, 3, 1, tzinfo=UTC), "object")


def noise(seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


class Locates:
    """A locator that answers from a list: first for the original, then for each proof."""

    def __init__(self, *answers: Sequence[Region], model: str = "fixed@1") -> None:
        self.answers, self.model = answers, model
        self.thresholds = {"face": 0.2, "plate": 0.3, "head": 0.4}
        self.asked: list[tuple[Pixels, Sequence[Box] | None]] = []

    def __call__(self, pixels: Pixels, areas: Sequence[Box] | None = None) -> list[Region]:
        self.asked.append((pixels, areas))
        return list(self.answers[min(len(self.asked), len(self.answers)) - 1])


class Edge(Locates):
    """Fires on the right edge of what is grey, `reach_px` of its `side_px` outside."""

    def __init__(self, side_px: int, reach_px: int) -> None:
        super().__init__([])
        self.side_px, self.reach_px = side_px, reach_px

    def __call__(self, pixels: Pixels, areas: Sequence[Box] | None = None) -> list[Region]:
        super().__call__(pixels, areas)
        light = pixels[40:52] @ [0.299, 0.587, 0.114]  # colours of neighbours run into each other
        covered = (abs(light - 127) < 3).all(axis=0)
        right = np.flatnonzero(covered).max(initial=19) + 1 + self.reach_px
        return [Region((right - self.side_px, 40, right, 52), "face", 0.9)]


class Sees:
    """A locator that looks: it calls every white square a face, at half of its area in white."""

    model, thresholds = "white@1", {"face": 0.5, "plate": 0.5}

    def __call__(self, pixels: Pixels, areas: Sequence[Box] | None = None) -> list[Region]:
        white = pixels.min(axis=2) > 200
        return [
            Region((x, y, x + 16, y + 16), "face", 0.9)
            for y in range(0, HEIGHT - 15, 8)
            for x in range(0, WIDTH - 15, 8)
            if white[y : y + 16, x : x + 16].mean() > 0.5
        ]


def grey(pixels: Pixels, box: Box) -> bool:
    x1, y1, x2, y2 = box
    return bool((pixels[y1:y2, x1:x2] == 127).all())


def test_a_redactor_covers_what_all_its_locators_find_and_the_zones() -> None:
    zone = [(150.0, 10.0), (190.0, 10.0), (190.0, 40.0)]
    redactor = Redactor([Locates([FACE], []), Locates([PLATE], [])], style="solid")
    made = redactor(frame_of(noise()), [zone])
    assert [region.label for region in made.regions] == ["face", "plate", "private_zone"]
    assert grey(made.pixels, FACE.box)
    assert grey(made.pixels, PLATE.box)
    assert made.redactor == redactor.model


def test_only_what_is_asked_for_is_covered() -> None:
    heads = [Region((60, 60, 80, 80), label, 0.5) for label in LABELS]
    made = Redactor([Locates(heads, [])], cover=["plate", "head"])(frame_of(noise()))
    assert [region.label for region in made.regions] == ["plate", "head"]


@pytest.mark.parametrize("cover", [[], ["faces"], ["face", "private_zone"], "face"])
def test_what_cannot_be_a_redactor_is_refused(cover: Sequence[str]) -> None:
    with pytest.raises(BadConfiguration, match="face, plate, head, person, vehicle"):
        Redactor([Locates([])], cover=cover)
    with pytest.raises(BadConfiguration):
        Redactor([])
    with pytest.raises(BadConfiguration, match="mosaic"):
        Redactor([Locates([])], style="sepia")  # type: ignore[arg-type]


def test_the_model_names_locators_and_changes_with_what_decides() -> None:
    one, other = Locates(model="centerface@1"), Locates(model="centerface@2")
    models = [
        Redactor([one]).model,
        Redactor([other]).model,
        Redactor([one, other]).model,
        Redactor([one], style="solid").model,
        Redactor([one], cover=["face"]).model,
        Redactor([one], lossless=True).model,
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_PROOF_ROUNDS", 2)
        models.append(Redactor([one]).model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "GEOMETRY", (8,))
        models.append(Redactor([one]).model)
    assert len(set(models)) == len(models)
    same = Redactor([one], cover=["plate", "face"], noise_key=b"k").model
    assert Redactor([one]).model == same
    assert all(model.startswith("centerface+") for model in models)


def test_thresholds_are_those_of_the_labels_that_get_covered() -> None:
    eager = Locates()
    eager.thresholds = {"face": 0.1, "head": 0.5}
    assert Redactor([Locates(), eager]).thresholds == {"face": 0.1, "plate": 0.3}
    assert Redactor([Locates(), eager], cover=["head"]).thresholds == {"head": 0.4}


def test_the_key_decides_the_noise() -> None:
    first, again, other = (
        Redactor([Locates([FACE], [])], noise_key=key)(frame_of(noise())).encoded
        for key in (b"a", b"a", b"b")
    )
    assert first == again != other


@pytest.mark.parametrize(
    "error", [ValueError, KeyError, MemoryError, RecursionError, RuntimeError, OSError]
)
@pytest.mark.parametrize("when", [0, 1])
def test_whatever_a_locator_raises_nothing_is_published(error: type[Exception], when: int) -> None:
    class Broken(Locates):
        def __call__(self, pixels: Pixels, areas: Sequence[Box] | None = None) -> list[Region]:
            if len(self.asked) == when:
                raise error("Marie Dupont, 3 rue de la Paix")
            return super().__call__(pixels, areas)

    with pytest.raises(RedactionFailed, match="redactor_error") as caught:
        Redactor([Locates([]), Broken([FACE], [])])(frame_of(noise()))
    assert "Dupont" not in str(caught.value)


def test_running_out_of_memory_while_covering_publishes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redaction, "cover", Mock(side_effect=MemoryError))
    with pytest.raises(RedactionFailed, match="MemoryError"):
        Redactor([Locates([FACE])])(frame_of(noise()))


def test_the_proof_looks_at_all_that_would_be_published_new_covers_first() -> None:
    locator = Locates([FACE], [Region((40, 20, 60, 40), "face", 0.3)], [])
    made = Redactor([locator])(frame_of(noise()))
    _, (_, first), (soon, near), (published, last) = locator.asked
    assert first is None
    assert near == [made.regions[-1].box]
    assert last is None
    assert np.array_equal(soon, published)
    assert np.array_equal(published, simplejpeg.decode_jpeg(made.encoded))


def test_what_a_cover_makes_visible_far_from_it_is_covered() -> None:
    """Networks see farther than a window: what only the look at all of it finds counts as well."""
    late = Region((120, 80, 150, 110), "plate", 0.4)
    made = Redactor([Locates([FACE], [PLATE], [], [late], [])])(frame_of(noise()))
    assert grey(made.pixels, late.box)


def test_where_nothing_is_covered_the_published_picture_is_the_one_looked_at() -> None:
    locator = Locates([])
    made = Redactor([locator])(frame_of(noise()))
    ((looked_at, _),) = locator.asked
    assert np.array_equal(looked_at, simplejpeg.decode_jpeg(made.encoded))


def test_what_is_still_visible_is_covered_wider_from_the_original() -> None:
    """The second find reaches beyond the first cover: both, and its margin, become one grey box."""
    locator = Locates([FACE], [Region((40, 20, 60, 40), "face", 0.3)], [])
    frame = frame_of(noise())
    made = Redactor([locator])(frame)
    first, wider = made.regions
    assert first.box == (0, 0, 48, 48)
    assert wider == Region((0, 0, 80, 48), "face", 0.3)  # 40–60 grows by 6, then to the grid
    assert grey(made.pixels, wider.box)
    assert np.array_equal(made.pixels[:, 81:], frame.pixels[:, 81:])
    assert np.array_equal(made.pixels[49:], frame.pixels[49:])
    assert len(locator.asked) == 4


def test_a_find_far_from_all_covers_is_covered_too() -> None:
    late = Region((120, 80, 150, 110), "plate", 0.4)
    made = Redactor([Locates([FACE], [late], [])])(frame_of(noise()))
    assert grey(made.pixels, late.box)
    assert not grey(made.pixels, FACE.box)  # the mosaic that nobody took for a face stays


def test_a_private_zone_is_no_reason_to_cover_what_its_bounds_touch() -> None:
    zone = [(0.0, 0.0), (190.0, 0.0), (190.0, 120.0)]
    late = Region((16, 100, 32, 116), "face", 0.4)  # within the bounds, outside the triangle
    made = Redactor([Locates([], [late], [])])(frame_of(noise()), [zone])
    x1, y1, x2, y2 = made.regions[-1].box
    assert max(x2 - x1, y2 - y1) <= 48


def test_what_a_zone_or_grey_cover_holds_wholly_needs_no_second_look() -> None:
    zone = [(100.0, 40.0), (190.0, 40.0), (190.0, 120.0), (100.0, 120.0)]
    locator = Locates([], [Region((120, 60, 140, 80), "face", 0.9)])
    assert len(Redactor([locator])(frame_of(noise()), [zone]).regions) == 1
    assert len(locator.asked) == 2


@pytest.mark.parametrize(("style", "looks"), [("mosaic", 2), ("solid", 2), ("blur", 4)])
def test_a_mistaken_cover_stays_a_blur_goes_grey(style: redaction.Style, looks: int) -> None:
    """A cover holds nothing of the original, so there is nothing to see in it; a blur does."""
    made = Redactor([locator := Locates([FACE], [FACE])], style=style)(frame_of(noise()))
    assert len(locator.asked) == looks
    assert grey(made.pixels, FACE.box) == (style != "mosaic")


def test_a_find_that_reaches_outside_each_time_fails_the_frame() -> None:
    """It would be endless: the detector fires beside whatever is covered."""

    with pytest.raises(RedactionFailed, match="still_visible"):
        Redactor([locator := Edge(12, 10)], style="solid")(frame_of(noise()))
    assert len(locator.asked) == 1 + 1 + 8


@pytest.mark.parametrize("reach", [0, 2, 4])
def test_up_to_a_fifth_outside_is_the_cover_itself(reach: int) -> None:
    redactor = Redactor([Edge(15, reach)], style="solid")
    if reach > 3:
        with pytest.raises(RedactionFailed, match="still_visible"):
            redactor(frame_of(noise()))
    else:
        assert redactor(frame_of(noise())).regions


def test_a_blur_does_not_count_as_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found again in a blur may be what was blurred: never published so."""
    monkeypatch.setattr(redaction, "_PROOF_ROUNDS", 0)
    with pytest.raises(RedactionFailed, match="still_visible"):
        Redactor([Locates([FACE])], style="blur")(frame_of(noise()))
    assert Redactor([Locates([FACE])], style="mosaic")(frame_of(noise())).regions


@given(
    st.lists(st.tuples(st.integers(0, WIDTH - 20), st.integers(0, HEIGHT - 20)), max_size=6),
    st.sampled_from(["mosaic", "solid", "blur"]),
    st.integers(0, 40),
)
def test_nothing_that_is_found_stays_visible(
    where: list[tuple[int, int]], style: redaction.Style, floor: int
) -> None:
    """With a detector that looks: it finds none of the faces in what is published."""
    pixels = np.random.default_rng(3).integers(floor, 110, (HEIGHT, WIDTH, 3), np.uint8)
    for x, y in where:
        pixels[y : y + 20, x : x + 20] = 240
    locator = Sees()
    made = Redactor([locator], style=style)(frame_of(pixels))
    assert locator(simplejpeg.decode_jpeg(made.encoded)) == []
    verify_bare(made.encoded)


@given(st.lists(st.sampled_from([[], [FACE], [PLATE], [None], None]), min_size=1, max_size=6))
def test_every_answer_ends_soon_in_a_clean_picture_or_an_error(answers: list[list[Region]]) -> None:
    locator = Locates(*answers)
    try:
        made = Redactor([locator])(frame_of(noise()))
    except RedactionFailed:
        return
    finally:
        assert len(locator.asked) <= 1 + 1 + 3
    verify_bare(made.encoded)
