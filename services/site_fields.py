"""What a site file holds: purposes, cameras and assets, each checked by itself.

`services/sites.py` puts them together and checks what they say about each other.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from models.capture import EARLIEST
from services.camera_ground import GROUND_EXAMPLE, CameraGround
from services.geometry import Geometry, Number, Outline, Part, Position, wrong
from services.queue_line import QueueLine

LegalBasis = Literal[
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_task",
    "legitimate_interests",
]
"""The six legal bases of processing, GDPR article 6(1) (a) to (f)."""

_LAST_YEAR = 2200  # of a capture time that is believed
# What a capture time in a key may hold, as strptime reads it, and which of it must be there.
_TIME_PARTS = {
    "%Y": r"\d{4}",
    "%m": r"\d{2}",
    "%d": r"\d{2}",
    "%H": r"\d{2}",
    "%M": r"\d{2}",
    "%S": r"\d{2}",
    "%f": r"\d{1,6}",
}
_TIME_NEEDS = {"%Y", "%m", "%d", "%H", "%M"}


def _key_time(pattern: str) -> str:
    parts = re.findall("%.?", pattern)
    if set(parts) - _TIME_PARTS.keys() or _TIME_NEEDS - set(parts) or len(set(parts)) < len(parts):
        raise wrong("must hold %Y %m %d %H %M once each, and may hold %S and %f")
    return pattern


def matching(pattern: str, words: str) -> AfterValidator:
    """Text that matches `pattern` whole; `words` tell an operator what that is."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise wrong(f"should be {words}")
        return text

    return AfterValidator(check)


_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
GEOJSON_NAME = re.compile(r"(?!.*\.\.)[\w-][\w ./-]*\.(geo)?json")
GeojsonName = Annotated[
    str, matching(GEOJSON_NAME.pattern, "a .geojson file beside or below the site file")
]
Slug = Annotated[
    str,
    matching(r"(?=.{1,63}$)[a-z0-9]+(-[a-z0-9]+)*", "lower-case letters, digits, single hyphens"),
]
Id = Annotated[str, matching(_ID, "letters, digits, '.', '_' and '-', 64 at most")]
AssetId = Annotated[
    str,
    matching(
        rf"{_ID}|urn:[A-Za-z0-9][A-Za-z0-9-]{{1,30}}:[A-Za-z0-9()+,.:=@;$_!*'%/-]{{1,200}}",
        "an id of letters, digits, '.', '_' and '-', or a whole URN",
    ),
]
Key = Annotated[
    str, matching(r"[^/\\\s][^\\\x00-\x1f]{0,1000}", "an object key, without '/' first")
]
KeyPrefix = Annotated[
    str,
    matching(r"[^/\\\s][^\\\x00-\x1f]{0,500}", "the start of an object key, without '/' first"),
]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Pixels = Annotated[int, Field(strict=True, ge=1, le=100_000)]
Days = Annotated[int, Field(strict=True, ge=1, le=36_500)]


class Retention(Part):
    """Days after capture until redacted `images` and `events` are purged."""

    images: Days = Field(examples=[30])
    events: Days = Field(examples=[1095])


class Purpose(Part):
    """Why the site may measure something.

    Attributes:
        legal_basis: GDPR article 6(1).
        retention_days: how long results are kept.
        notice: URL or text shown to the public.
    """

    legal_basis: LegalBasis = Field(examples=["public_task"])
    retention_days: Retention = Field(examples=[{"images": 30, "events": 1095}])
    notice: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        examples=["https://www.example.org/cameras"]
    )


Label = Literal["face", "plate", "head", "person", "vehicle"]


class Redaction(Part):
    """What is covered in every picture of the site, and how. Private zones always are.

    Attributes:
        cover: what is covered; `head` covers turned heads too.
        style: mosaic (colours of the surroundings) or solid (grey). Blur is no choice for a site.
        lossless: leave the blocks of a JPEG that no cover touches bit-identical.
    """

    cover: Annotated[tuple[Label, ...], Field(min_length=1)] = Field(
        default=("face", "plate"), examples=[["face", "plate", "head"]]
    )
    style: Literal["mosaic", "solid"] = Field(default="mosaic", examples=["mosaic"])
    lossless: bool = Field(default=False, strict=True, examples=[False])


def _time_in(rest: str, pattern: str | None, local: ZoneInfo) -> datetime | None:
    """The time, UTC, that a part of a key holds; see `Camera.captured_at`."""
    if pattern is None:
        return None
    parts = re.split("(%.)", pattern)
    digits = "".join(_TIME_PARTS.get(part) or re.escape(part) for part in parts)
    found = re.search(rf"(?<!\d){digits}(?!\d)", rest, re.ASCII)
    if found is None:
        return None
    try:
        time = datetime.strptime(found.group(), pattern)
    except ValueError:  # digits that are no date, such as month 13
        return None
    if not EARLIEST.year <= time.year <= _LAST_YEAR:  # a clock that was never set
        return None
    if pattern.endswith("Z"):
        return time.replace(tzinfo=UTC)
    first, second = (time.replace(tzinfo=local, fold=fold) for fold in (0, 1))
    return first.astimezone(UTC) if first.utcoffset() == second.utcoffset() else None


class Camera(Part):
    """A fixed camera.

    Attributes:
        id: its name in views and results.
        name: its name for people.
        position: longitude, latitude in degrees, or None.
        size_wh: width, height in px of the oriented pictures that outlines were drawn in.
        key_prefix: every object key that begins so is a picture of this camera.
        key_time: where and how the rest of the key holds the capture time, in strptime's words;
            UTC where it ends in Z, else the site's local time. None where keys hold no time.
        private_zones: outlines in px that are always covered.
        silent_hours: how long none of its pictures may come before its view counts as lost; None
            where they come as they will.
        references: redacted pictures, by key in the redacted bucket, of its view as it should be:
            clean, by day and by night. Outlines are drawn on them.
        ground: points on the ground, in px and in degrees, that tell how large areas are.
    """

    id: Id = Field(examples=["cam-01"])
    name: Name = Field(examples=["Quai nord, mât 1"])
    position: Position | None = Field(default=None, examples=[[-3.3561, 47.7288]])
    size_wh: tuple[Pixels, Pixels] = Field(examples=[[1920, 1080]])
    key_prefix: KeyPrefix = Field(examples=["quai-nord/cam-01/"])
    key_time: Annotated[str, AfterValidator(_key_time)] | None = Field(
        default=None, examples=["%Y%m%dT%H%M%SZ"]
    )
    private_zones: tuple[Outline, ...] = Field(
        default=(), examples=[[[[0, 0], [200, 0], [200, 90], [0, 90]]]]
    )
    silent_hours: Annotated[float, Field(strict=True, gt=0, le=8760)] | None = Field(
        default=None, examples=[24]
    )
    references: Annotated[tuple[Key, ...], Field(max_length=12)] = Field(
        default=(), examples=[["quai-nord/cam-01/20260612T064000Z.1a2b3c4d.jpg"]]
    )
    ground: CameraGround | None = Field(default=None, examples=[GROUND_EXAMPLE])

    @property
    def silence(self) -> timedelta | None:
        """`silent_hours` as a time."""
        return None if self.silent_hours is None else timedelta(hours=self.silent_hours)

    def scaled(
        self, outline: Sequence[tuple[float, float]], size_hw: tuple[int, ...]
    ) -> list[tuple[float, float]]:
        """An outline drawn at `size_wh`, in px of a picture of this height and width."""
        x_scale, y_scale = size_hw[1] / self.size_wh[0], size_hw[0] / self.size_wh[1]
        return [(x * x_scale, y * y_scale) for x, y in outline]

    def captured_at(self, key: str, local: ZoneInfo) -> datetime | None:
        """The capture time, UTC, that `key_time` finds in `key` after the prefix.

        None where there is none, and for a time in the `local` zone that the change to or from
        summer time skips or repeats: which hour it was cannot be known.
        """
        return _time_in(key.removeprefix(self.key_prefix), self.key_time, local)


class MeasuredHeights(Part):
    """Files in the inbox that tell heights beside a survey's pictures: keys of objects.

    Attributes:
        surface: GeoTIFFs of what is seen from above.
        terrain: GeoTIFFs of the bare ground.
        above_ground: GeoTIFFs of heights above the ground.
        points: point clouds, LAS, LAZ or COPC.
        accuracy_m: standard deviation of their heights.
    """

    surface: tuple[Key, ...] = Field(default=(), examples=[["lidar/mns.tif"]])
    terrain: tuple[Key, ...] = Field(default=(), examples=[["lidar/mnt.tif"]])
    above_ground: tuple[Key, ...] = Field(default=(), examples=[["lidar/mnh.tif"]])
    points: tuple[Key, ...] = Field(default=(), examples=[["lidar/dalle.copc.laz"]])
    accuracy_m: Annotated[float, Field(strict=True, gt=0, le=10)] = Field(
        default=0.1, examples=[0.1]
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [bool(one) for one in (self.surface, self.above_ground, self.points)]
        if sum(forms) != 1:
            raise wrong("name exactly one of surface, above_ground and points")
        if self.above_ground and self.terrain:
            raise wrong("heights above the ground need no terrain; leave it out")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.surface, *self.terrain, *self.above_ground, *self.points)


class Survey(Part):
    """Pictures taken from straight above: an orthophoto, or frames of a flight.

    Attributes:
        id: its name in results.
        key_prefix: every object key that begins so is a picture of this survey.
        key_time: as of a `Camera`: where and how the rest of the key holds the capture time.
        gsd_m: metres of ground that a px shows, where the pictures are no GeoTIFF that says so.
        heights: what tells heights, instead of a network that guesses them from the pictures.
    """

    id: Id = Field(examples=["vol-2026-06"])
    key_prefix: KeyPrefix = Field(examples=["vols/2026-06/"])
    key_time: Annotated[str, AfterValidator(_key_time)] | None = Field(
        default=None, examples=["%Y-%m-%d-%H%M"]
    )
    gsd_m: Annotated[float, Field(strict=True, gt=0, le=10)] | None = Field(
        default=None, examples=[0.02]
    )
    heights: MeasuredHeights | None = Field(
        default=None, examples=[{"surface": ["lidar/mns.tif"], "terrain": ["lidar/mnt.tif"]}]
    )

    def captured_at(self, key: str, local: ZoneInfo) -> datetime | None:
        """The capture time, UTC, that `key_time` finds in `key`; see `Camera.captured_at`."""
        return _time_in(key.removeprefix(self.key_prefix), self.key_time, local)


class Asset(Part):
    """Something the town maintains.

    Attributes:
        id: URN; a short id in the file becomes urn:vigie:<territory>:<site>:<id>.
        purpose: the purpose that measures it.
        kind: what it is, e.g. container or skip.
        geometry: GeoJSON Point, Polygon or LineString, in the file or from the GeoJSON beside it.
        views: camera id → its outline in px of that camera's `size_wh`.
        line: along a queue from its gate outwards: x, y in px of its camera, metres from the gate.
        limits: what the purpose's `Limits` take, by name.
    """

    id: AssetId = Field(examples=["C-041"])
    purpose: str = Field(examples=["waste"])
    kind: Slug = Field(examples=["container"])
    geometry: Geometry = Field(examples=[{"type": "Point", "coordinates": [-3.3561, 47.7288]}])
    views: dict[str, Outline] = Field(
        default={}, examples=[{"cam-01": [[410, 300], [520, 300], [520, 420], [410, 420]]}]
    )
    line: QueueLine | None = Field(
        default=None, examples=[[[940, 330, 0], [930, 560, 12], [900, 1080, 30]]]
    )
    limits: dict[str, Number] = Field(default={}, examples=[{}])
