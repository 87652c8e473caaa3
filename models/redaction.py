"""Cover personal data for good. Privacy is a type: only `redact` makes a `RedactedFrame`."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Protocol, get_args

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.bare import QUALITY, encode_bare, verify_bare
from models.cover import PAINT, cover
from models.errors import BadConfiguration, RedactionFailed
from models.frame import Frame, Position, TimeSource
from models.ground import Ground
from models.lossless import require as require_lossless
from models.lossless import splice
from models.plan import GEOMETRY, PRIVATE_ZONE, Box, Plan, Polygon, Region, Style, plan_of

__all__ = [
    "LABELS",
    "PRIVATE_ZONE",
    "Box",
    "Locator",
    "Polygon",
    "RedactedFrame",
    "Redactor",
    "Region",
    "Style",
    "redact",
    "verify_bare",
]

LABELS = ("face", "plate", "head", "person", "vehicle")
_PROOF_ROUNDS = 8
_MIN_SHARE = 0.8  # of a find that must lie in what no longer depends on the original
_PROCESS_KEY = os.urandom(32)
_SEAL = object()


class Locator(Protocol):
    """Finds some kinds of personal data."""

    @property
    def model(self) -> str:
        """name@digest of everything that decides what is found."""

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Label → score in [0, 1] from which it is found, for all labels it knows."""

    def __call__(
        self, pixels: NDArray[np.uint8], areas: Sequence[Box] | None = None
    ) -> list[Region]:
        """The regions to cover in uint8 (H, W, 3) RGB pixels, with labels from `LABELS`.

        With `areas`, only what touches one of these boxes (px) needs to be found.
        """


@dataclass(frozen=True, slots=True, eq=False)
class RedactedFrame:
    """A still picture without personal data. Made by `redact` alone.

    Attributes:
        key, source, captured_at, time_source, ground, position, gsd_m: as in the original `Frame`.
        pixels: uint8 (H, W, 3) RGB, read-only.
        regions: the areas covered, margin included, within the picture.
        redactor: name@digest of what located and covered them.
        encoded: JPEG of `pixels`, without any metadata.
        digest: sha256 of `encoded`, hexadecimal.
        lossless: whether all blocks of the original JPEG that no cover touches are in `encoded`
            bit for bit.

    Raises:
        TypeError: when constructed, or changed by `dataclasses.replace`, anywhere else.
    """

    key: str
    pixels: NDArray[np.uint8]
    source: str
    captured_at: datetime
    time_source: TimeSource
    ground: Ground | None
    regions: tuple[Region, ...]
    redactor: str
    encoded: bytes
    digest: str
    lossless: bool
    position: Position | None = None
    gsd_m: float | None = None
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only redact() makes a RedactedFrame")


def redact(
    frame: Frame,
    found: Sequence[Region],
    *,
    redactor: str,
    style: Style = "mosaic",
    zones: Sequence[Polygon] = (),
    noise_key: bytes | None = None,
    original: bytes | None = None,
) -> RedactedFrame:
    """Cover every region and every private zone, and encode what is left.

    Each box grows by 0.3 of its sides (4 px at least), then to the 16 px grid of the JPEG, and is
    clipped to the picture. `mosaic` puts coarse cells in the colours of the covers' surroundings
    there, with noise; `solid` one grey: neither depends on what is covered (`models.cover.cover`).
    `blur` is weaker: machines recognise blurred faces (arXiv 2506.12344). Zones are always solid.

    Args:
        frame: the original.
        found: what to cover.
        redactor: name@digest of what found them.
        style: how regions are covered.
        zones: polygons in px of the oriented picture, grown by 8 px and to the 16 px grid.
        noise_key: secret that the noise hangs on: the same picture, regions and key give the same
            bytes. One of this process when None.
        original: the file that `frame` was decoded from. Where it is a JPEG whose blocks can be
            kept, those that no cover touches stay bit-identical.

    Raises:
        RedactionFailed: bad_region, bad_zone, unknown_style, unclean_output.
    """
    plan = plan_of(frame.pixels.shape[:2], found, zones, style)
    return _redacted(frame, plan, redactor, noise_key, original)


class Redactor:
    """Locate, cover, prove: from a `Frame` to a `RedactedFrame`, or an error; nothing in between.

    Proof: the locators look again at the whole picture decoded from what would be published.
    Whatever they find that does not lie wholly in covers that do not depend on the original
    (mosaic, solid, zones; never a blur) is covered again from the original, with its margin and
    together with every region it touches, in solid grey, up to eight times. What they still find
    then fails the frame where less than 0.8 of its area lies in such covers. What lies inside
    those is a cover mistaken for a face: it holds nothing that could be seen.

    Attributes:
        thresholds: label → lowest score in [0, 1] from which it is covered, for all that are.
    """

    def __init__(
        self,
        locators: Sequence[Locator],
        *,
        style: Style = "mosaic",
        cover: Sequence[str] = ("face", "plate"),
        noise_key: bytes | None = None,
        lossless: bool = False,
    ) -> None:
        """Combine locators under one style.

        Args:
            locators: what finds personal data.
            style: how it is covered.
            cover: labels, of `LABELS`, of what is covered.
            noise_key: secret that the noise hangs on; one of this process when None.
            lossless: keep the blocks of an original JPEG that no cover touches.

        Raises:
            BadConfiguration: no locator, an unknown style, no or an unknown label, one that no
                locator finds, or no jpeglib where `lossless` needs it.
        """
        if not locators:
            raise BadConfiguration("a redactor without locators would publish faces")
        if style not in get_args(Style):
            raise BadConfiguration(f"no style {style!r}; known: {', '.join(get_args(Style))}")
        if isinstance(cover, str) or not cover or not set(cover) <= set(LABELS):
            raise BadConfiguration(f"cover {cover!r}: one or more of {', '.join(LABELS)}")
        known = [pair for one in locators for pair in one.thresholds.items() if pair[1] <= 1]
        if missing := ", ".join(label for label in cover if label not in dict(known)):
            names = ", ".join(one.model for one in locators)
            raise BadConfiguration(
                f"cover asks for {missing}, which {names} cannot find: leave it out, or add "
                f"models.personal.PersonalData, which finds {', '.join(LABELS)}"
            )
        if lossless:
            require_lossless()
        self._locators = tuple(locators)
        self._style: Style = style
        self._cover = tuple(label for label in LABELS if label in cover)
        self.thresholds = {
            label: min(score for name, score in known if name == label) for label in self._cover
        }
        self._noise_key = noise_key
        self._lossless = lossless

    @property
    def model(self) -> str:
        """name@digest: changes with all that decides what is covered and how, but for the key."""
        models = [locate.model for locate in self._locators]
        proof = (_PROOF_ROUNDS, _MIN_SHARE, QUALITY)
        settings = repr((models, self._style, self._cover, self._lossless, GEOMETRY, PAINT, proof))
        digest = hashlib.sha256(settings.encode()).hexdigest()
        names = "+".join(model.split("@")[0] for model in models)
        return f"{names}+{self._style}@{digest[:16]}"

    def __call__(
        self, frame: Frame, zones: Sequence[Polygon] = (), *, original: bytes | None = None
    ) -> RedactedFrame:
        """Cover what the locators find, and the private zones of the view (polygons in px).

        `original`, the file that `frame` was decoded from, is needed where its blocks are kept.

        Raises:
            RedactionFailed: still_visible, or whatever else went wrong: nothing may be published.
        """
        try:
            return self._proven(frame, zones, original if self._lossless else None)
        except RedactionFailed:
            raise
        except Exception as error:
            raise RedactionFailed("redactor_error", type(error).__name__) from error

    def _proven(
        self, frame: Frame, zones: Sequence[Polygon], original: bytes | None
    ) -> RedactedFrame:
        # What it would be published as: away from covers, coding again then changes nothing.
        seen = frame.pixels
        if not original:
            seen = simplejpeg.decode_jpeg(encode_bare(seen), "RGB")
        plan, near = plan_of(seen.shape[:2], self.find(seen), zones, self._style), list[Box]()
        for rounds in range(_PROOF_ROUNDS + 1):
            made = _redacted(frame, plan, self.model, self._noise_key, original)
            if not plan.regions and not original:
                return made  # the picture is the one that was looked at
            published = simplejpeg.decode_jpeg(made.encoded, "RGB")
            last = rounds == _PROOF_ROUNDS
            # New covers first; then all, because covers change how their surroundings look.
            visible = self._visible(published, plan, near) if near and not last else []
            visible = visible or self._visible(published, plan, None)
            if not visible or (
                last and all(plan.share(region, plan.opaque) >= _MIN_SHARE for region in visible)
            ):
                return made
            before = len(plan.regions)
            plan = plan.widened(visible)
            near = [region.box for region in plan.regions[before:]]
        raise RedactionFailed("still_visible", f"after {_PROOF_ROUNDS} rounds")

    def _visible(
        self, published: NDArray[np.uint8], plan: Plan, areas: Sequence[Box] | None
    ) -> list[Region]:
        """What is found outside what does not depend on the original."""
        found = self.find(published, areas)
        return [region for region in found if plan.share(region, plan.opaque) < 1]

    def find(self, pixels: NDArray[np.uint8], areas: Sequence[Box] | None = None) -> list[Region]:
        """What would be covered in uint8 (H, W, 3) pixels, in `areas` alone where they are given.

        Raises:
            RedactionFailed: bad_region, where a locator gives no list, or an unknown label.
        """
        answers = [locate(pixels, areas) for locate in self._locators]
        if not all(isinstance(answer, list) for answer in answers):
            # Something empty of another type would pass for "nothing found".
            raise RedactionFailed("bad_region", "a locator gave no list")
        found = [region for answer in answers for region in answer]
        for region in found:
            # An unknown label would be left uncovered.
            if region.label not in LABELS:
                raise RedactionFailed("bad_region", f"label {region.label!r}")
        return [region for region in found if region.label in self._cover]


def _redacted(
    frame: Frame, plan: Plan, redactor: str, noise_key: bytes | None, original: bytes | None
) -> RedactedFrame:
    key = _PROCESS_KEY if noise_key is None else noise_key
    pixels = cover(frame.pixels, plan, key)
    pixels.setflags(write=False)
    spliced = splice(original, frame.pixels, pixels, plan.covered) if original else None
    encoded = spliced or encode_bare(pixels)
    verify_bare(encoded)
    return RedactedFrame(
        key=frame.key,
        pixels=pixels,
        source=frame.source,
        captured_at=frame.captured_at,
        time_source=frame.time_source,
        ground=frame.ground,
        regions=plan.regions,
        redactor=redactor,
        encoded=encoded,
        digest=hashlib.sha256(encoded).hexdigest(),
        lossless=spliced is not None,
        position=frame.position,
        gsd_m=frame.gsd_m,
        seal=_SEAL,
    )
