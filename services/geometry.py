"""Where things are: outlines in a picture (px) and GeoJSON on the ground (RFC 7946, lon/lat)."""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import PydanticCustomError, from_json

from services.site_advice import explain, spell

MAX_GEOJSON_BYTES = 8 * 1024 * 1024

Number = Annotated[float, Field(strict=True)]
"""A finite number; text and truth values are none."""

Point2 = tuple[Number, Number]


def wrong(message: str) -> PydanticCustomError:
    """The error a validator raises; `message` says what would be right."""
    return PydanticCustomError("vigie", "{message}", {"message": message})


def _turn(a: Point2, b: Point2, c: Point2) -> int:
    """1 where a → b → c turns one way, -1 the other way, 0 on one line."""
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (cross > 0) - (cross < 0)


def _within(a: Point2, b: Point2, c: Point2) -> bool:
    """Whether c, known to be on the line through a and b, lies between them."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])


def _meet(a: Point2, b: Point2, c: Point2, d: Point2) -> bool:
    """Whether the segments ab and cd share a point."""
    abc, abd, cda, cdb = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if abc * abd < 0 and cda * cdb < 0:
        return True
    touching = ((abc, a, b, c), (abd, a, b, d), (cda, c, d, a), (cdb, c, d, b))
    return any(turn == 0 and _within(p, q, r) for turn, p, q, r in touching)


def _check_simple(points: Sequence[Point2]) -> None:
    """Raise unless the closed line through `points` (first not repeated) bounds one area."""
    edges = [(point, points[(i + 1) % len(points)]) for i, point in enumerate(points)]
    for (i, one), (j, other) in combinations(enumerate(edges), 2):
        neighbours = j - i == 1 or j - i == len(edges) - 1
        if not neighbours and _meet(*one, *other):
            raise wrong(
                f"crosses or touches itself: the side after point [{i}] meets the side after "
                f"point [{j}]; list the points in order around the edge"
            )
    if all(_turn(points[0], points[1], point) == 0 for point in points[2:]):
        raise wrong("encloses no area: all points lie on one line")


def _outline(points: tuple[Point2, ...]) -> tuple[Point2, ...]:
    if points[0] == points[-1]:
        raise wrong("the last point repeats the first; leave it out, the outline closes itself")
    _check_simple(points)
    return points


def _position(position: Point2) -> Point2:
    if abs(position[0]) > 180 or abs(position[1]) > 90:
        raise wrong(
            "outside ±180, ±90: coordinates are longitude then latitude in degrees (EPSG:4326); "
            "convert metres such as Lambert-93 first"
        )
    return position


def _ring(ring: tuple[Point2, ...]) -> tuple[Point2, ...]:
    if ring[0] != ring[-1]:
        raise wrong("not closed; repeat the first position as the last")
    _check_simple(ring[:-1])
    return ring


Outline = Annotated[
    tuple[Point2, ...], Field(min_length=3, max_length=200), AfterValidator(_outline)
]
"""x, y in px of the oriented picture, 3 to 200 points, simple, not closed by a repeated point."""

Position = Annotated[Point2, AfterValidator(_position)]
"""Longitude, latitude in degrees."""

Ring = Annotated[tuple[Position, ...], Field(min_length=4, max_length=1000), AfterValidator(_ring)]


class Part(BaseModel):
    """Part of a site: frozen, without tolerance for unknown fields, NaN or infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Point(Part):
    """A GeoJSON Point: `coordinates` is one position."""

    type: Literal["Point"] = Field(examples=["Point"])
    coordinates: Position = Field(examples=[[-3.3561, 47.7288]])


class Polygon(Part):
    """A GeoJSON Polygon: the outer ring, then its holes, each closed (RFC 7946, section 3.1.6)."""

    type: Literal["Polygon"] = Field(examples=["Polygon"])
    coordinates: tuple[Ring, ...] = Field(
        min_length=1, examples=[[[[2.36, 48.92], [2.37, 48.92], [2.37, 48.93], [2.36, 48.92]]]]
    )


class LineString(Part):
    """A GeoJSON LineString: two positions or more, along a road, a path or a power line."""

    type: Literal["LineString"] = Field(examples=["LineString"])
    coordinates: tuple[Position, ...] = Field(
        min_length=2, max_length=1000, examples=[[[2.36, 48.92], [2.37, 48.93]]]
    )


Geometry = Annotated[Point | Polygon | LineString, Field(discriminator="type")]


class Feature(BaseModel):
    """A GeoJSON Feature; other members than these are another program's business."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    type: Literal["Feature"] = Field(examples=["Feature"])
    geometry: Geometry = Field(examples=[{"type": "Point", "coordinates": [-3.3561, 47.7288]}])


def read_geojson(text: str | bytes, name: str) -> tuple[dict[str, JsonValue], list[str]]:
    """The geometry of each feature of a GeoJSON FeatureCollection by its id, and what is wrong.

    An id is the feature's own, or its property `id` as many GIS write it. Each message names the
    file (`name`) and the feature. Only where there is no message are all geometries sound.
    """
    if len(text) > MAX_GEOJSON_BYTES:
        return {}, [f"{name}: larger than {MAX_GEOJSON_BYTES // 2**20} MiB; keep the assets only"]
    try:
        content = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        return {}, [f"{name}: not JSON: {error}"]
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list) or content.get("type") != "FeatureCollection":
        return {}, [f"{name}: should be a GeoJSON FeatureCollection with a list of features"]
    geometries: dict[str, JsonValue] = {}
    problems = []
    for i, feature in enumerate(features):
        own = _feature_id(feature)
        where = f"{name}: features[{i}] ({own or 'no id'})"
        if not own:
            problems.append(f"{where}: give it an id, or a property id: that of its asset")
        elif own in geometries:
            problems.append(f"{where}: the id of an earlier feature; keep one feature an asset")
        try:
            Feature.model_validate(feature)
            geometries[own] = feature["geometry"]
        except ValidationError as error:
            for path, message in explain(error, Feature):
                problems.append(f"{where}: {spell(path)}: {message}".replace(": : ", ": "))
    return geometries, problems


def _feature_id(feature: JsonValue) -> str:
    if not isinstance(feature, dict):
        return ""
    found = feature.get("id")
    properties = feature.get("properties")
    if found is None and isinstance(properties, dict):
        found = properties.get("id")
    return str(found) if isinstance(found, str | int) else ""
