"""A town's site file (YAML, with GeoJSON beside it where wanted) as one frozen model.

`docs/sites.md` describes every field for the operator who writes such a file. What is wrong is
said all at once, with file, line, field and what would be right: first the form of the fields,
then, once that is right, what they say about each other.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path as FilePath
from typing import Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from models.errors import BadSite, PurposeRefused
from services.geometry import MAX_GEOJSON_BYTES, Part, read_geojson
from services.site_advice import explain, nearest, spell
from services.site_checks import contradictions
from services.site_fields import (
    GEOJSON_NAME,
    Asset,
    Camera,
    GeojsonName,
    Name,
    Purpose,
    Redaction,
    Slug,
    Survey,
)
from services.site_yaml import MAX_BYTES, Document, Path, Problem, read

__all__ = ["Asset", "Camera", "Purpose", "Redaction", "Site", "Survey", "load_site", "parse_site"]

MAX_PROBLEMS = 20
_Source = TypeVar("_Source", Camera, Survey)


class Site(Part):
    """A site: what may be measured there and why, by which cameras, on which assets.

    Attributes:
        territory: the town or agglomeration.
        site: this site within it.
        name: the site's name for people.
        time_zone: IANA zone in which times are shown, and keys without a Z are read.
        geojson: GeoJSON file beside the site file that holds assets' geometry, or None.
        min_count: counts of people below it are reported as a range.
        redaction: what is covered in its pictures.
        lateness_hours: how much later than a younger one a picture may come and still be judged.
        locate: whether EXIF tells, coarsely, where pictures of no camera were taken.
        purposes: purpose plug-in name → why it may run.
        cameras: the fixed cameras; none where only surveys are flown.
        surveys: orthophotos and flights.
        assets: what is maintained.
    """

    territory: Slug = Field(examples=["port-des-embruns"])
    site: Slug = Field(examples=["quai-nord"])
    name: Name = Field(examples=["Quai nord"])
    time_zone: ZoneInfo = Field(examples=["Europe/Paris"])
    geojson: GeojsonName | None = Field(default=None, examples=["recycling-centre.geojson"])
    min_count: int = Field(default=5, strict=True, ge=1, le=1000, examples=[5])
    redaction: Redaction = Field(default=Redaction(), examples=[{"cover": ["face", "head"]}])
    lateness_hours: float = Field(default=24, strict=True, ge=0, le=720, examples=[24])
    locate: Literal["view", "exif"] = Field(default="view", examples=["exif"])
    purposes: dict[str, Purpose] = Field(
        min_length=1,
        examples=[
            {
                "waste": {
                    "legal_basis": "public_task",
                    "retention_days": {"images": 30, "events": 1095},
                    "notice": "https://www.example.org/cameras",
                }
            }
        ],
    )
    cameras: tuple[Camera, ...] = Field(default=(), examples=[[]])
    surveys: tuple[Survey, ...] = Field(default=(), examples=[[]])
    assets: tuple[Asset, ...] = Field(default=(), examples=[[]])

    @field_validator("assets")
    @classmethod
    def _urns(cls, assets: tuple[Asset, ...], info: ValidationInfo) -> tuple[Asset, ...]:
        base = f"urn:vigie:{info.data.get('territory')}:{info.data.get('site')}:"
        return tuple(
            asset
            if asset.id.startswith("urn:")
            else asset.model_copy(update={"id": base + asset.id})
            for asset in assets
        )

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if problems := list(contradictions(self)):
            summary = "; ".join(f"{spell(path)}: {message}" for path, message in problems)
            raise PydanticCustomError(
                "contradictions", "{summary}", {"summary": summary, "problems": problems}
            )
        return self

    @property
    def source(self) -> str:
        """CloudEvents source of everything observed here."""
        return f"/territories/{self.territory}/sites/{self.site}"

    @cached_property
    def digest(self) -> str:
        """The configuration digest: sha256, hex, of the canonical JSON of all that is said here.

        Comments, the order of fields, and which file holds a geometry do not count.
        """
        content = self.model_dump(mode="json", exclude={"geojson"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Asset id → its kind."""
        return {asset.id: asset.kind for asset in self.assets}

    def camera_of(self, key: str) -> Camera | None:
        """The camera whose `key_prefix` is the longest that `key` begins with, or None."""
        return _source(self.cameras, key)

    def survey_of(self, key: str) -> Survey | None:
        """The survey whose `key_prefix` is the longest that `key` begins with; cameras go first."""
        return None if self.camera_of(key) else _source(self.surveys, key)

    def captured_at(self, key: str) -> datetime | None:
        """The capture time, UTC, that the key's camera or survey reads from it."""
        source = self.camera_of(key) or self.survey_of(key)
        return source.captured_at(key, self.time_zone) if source else None

    def assets_in(self, camera_id: str, purpose: str) -> tuple[Asset, ...]:
        """The assets of `purpose` that have an outline in the camera's pictures, in file order."""
        return tuple(a for a in self.assets if a.purpose == purpose and camera_id in a.views)

    def require_purpose(self, name: str) -> Purpose:
        """The purpose as declared.

        Raises:
            PurposeRefused: the site does not declare it.
        """
        if name not in self.purposes:
            raise PurposeRefused(
                f"site {self.site} does not declare the purpose {name!r}; "
                f"declared: {', '.join(self.purposes)}"
            )
        return self.purposes[name]


def _source(sources: tuple[_Source, ...], key: str) -> _Source | None:
    own = [source for source in sources if key.startswith(source.key_prefix)]
    return max(own, key=lambda source: len(source.key_prefix), default=None)


def load_site(path: FilePath | str) -> Site:
    """Read a site file, and the GeoJSON it names.

    Raises:
        BadSite: naming file, line, field and what would be right; one line a problem.
    """
    path = FilePath(path)
    try:
        text = _bounded(path, MAX_BYTES)
    except OSError as error:
        raise BadSite(f"{path.name}: cannot be read: {error.strerror}") from error
    return _build(text, path.name, lambda name: _bounded(path.parent / name, MAX_GEOJSON_BYTES))


def parse_site(text: str | bytes, name: str, geojson: str | bytes = b"") -> Site:
    """Read a site from its text; `name` stands for the file in messages.

    `geojson` is the content of the file that the site's own `geojson` names.

    Raises:
        BadSite: naming file, line, field and what would be right; one line a problem.
    """
    return _build(text, name, lambda _: geojson)


def _bounded(path: FilePath, limit: int) -> bytes:
    """The file's bytes, one more than `limit` at most: enough to see that it is too large."""
    with path.open("rb") as file:
        return file.read(limit + 1)


def _build(text: str | bytes, name: str, beside: Callable[[str], str | bytes]) -> Site:
    document = read(text, name)
    problems = list(document.problems)
    geojson = document.data.get("geojson")
    features: dict[str, JsonValue] = {}
    foreign: list[str] = []
    if isinstance(geojson, str) and GEOJSON_NAME.fullmatch(geojson):
        try:
            features, foreign = read_geojson(beside(geojson), geojson)
        except OSError as error:
            foreign = [f"{geojson}: cannot be read: {error.strerror}"]
        if not foreign:
            problems += _take_geometry(document, geojson, features)
    told = {problem.path for problem in problems}
    site = None
    try:
        site = Site.model_validate(document.data)
    except ValidationError as error:
        for path, message in explain(error, Site):
            awaited = foreign and path[-1:] == ("geometry",)
            if path not in told and not awaited:
                problems.append(Problem(document.line(path), path, message))
    problems.sort(key=lambda problem: problem.line)
    lines = [f"{name}:{each.line}: {spell(each.path)}: {each.message}" for each in problems]
    lines += foreign
    if lines or site is None:
        more = len(lines) - MAX_PROBLEMS
        raise BadSite("\n".join(lines[:MAX_PROBLEMS] + [f"{name}: {more} more"] * (more > 0)))
    return site


def _take_geometry(
    document: Document, geojson: str, features: dict[str, JsonValue]
) -> Iterator[Problem]:
    """Give each asset without geometry that of the feature with its id."""
    assets = document.data.get("assets")
    for i, asset in enumerate(assets if isinstance(assets, list) else []):
        if not isinstance(asset, dict) or not isinstance(asset.get("id"), str):
            continue
        path: Path = ("assets", i, "geometry")
        name = str(asset["id"])
        if "geometry" in asset and name in features:
            yield Problem(document.line(path), path, f"also in {geojson}; keep one of the two")
        elif name in features:
            asset["geometry"] = features[name]
        elif "geometry" not in asset:
            hint = f"missing, and {geojson} has no feature {name!r}; {nearest(name, features)}"
            yield Problem(document.line(path), path, hint)
