import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from models.errors import BadSite, PurposeRefused
from services.geometry import Point, Polygon
from services.purposes import waste
from services.site_fields import Retention
from services.site_yaml import MAX_BYTES
from services.sites import Asset, Camera, Purpose, Site, load_site, parse_site

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))

GOOD = """\
territory: port-des-embruns
site: quai
name: Quai
time_zone: Europe/Paris
min_count: 5
purposes:
  waste:
    legal_basis: public_task
    retention_days: {images: 30, events: 1095}
    notice: https://www.example.org/cameras
cameras:
  - id: cam-01
    name: Mast 1
    position: [-3.3561, 47.7288]
    size_wh: [800, 600]
    key_prefix: quai/cam-01/
    key_time: "%Y%m%dT%H%M%SZ"
    private_zones: [[[0, 0], [200, 0], [200, 90]]]
  - id: cam-02
    name: Mast 2
    size_wh: [800, 600]
    key_prefix: quai/cam-02/
    key_time: "%Y-%m-%d/%H%M"
assets:
  - id: C-041
    purpose: waste
    kind: container
    geometry: {type: Point, coordinates: [-3.356, 47.7289]}
    views: {cam-01: [[10, 10], [90, 10], [90, 80]]}
    limits: {enter: 0.7}
  - id: C-042
    purpose: waste
    kind: container
    geometry: {type: Polygon, coordinates: [[[2, 48], [3, 48], [3, 49], [2, 48]]]}
    views:
      cam-02: [[10, 10], [90, 10], [90, 80]]
"""

# What is written instead of what → line, field and part of the message.
WRONG = [
    ("territory: port-des-embruns", "territory: Port des Embruns", 1, "territory", "lower-case"),
    ("site: quai\n", "", 1, "site", "missing; write e.g. site:"),
    ("name: Quai\n", "name: no\n", 3, "name", 'write "no" in quotes'),
    ("name: Quai\n", "name: 7:30\n", 3, "name", 'write "7:30" in quotes'),
    ("name: Quai\n", "name: 2026-06-12\n", 3, "name", 'write "2026-06-12" in quotes'),
    ("name: Quai\n", "name:\n", 3, "name", 'write e.g. name: "Quai nord"'),
    ("name: Quai\n", "name: !!python/object:os.system x\n", 3, "name", "cannot stand here"),
    ("name: Quai\n", "name: !!set {a}\n", 3, "name", "is not supported; remove it"),
    ("name: Quai\n", "no: Quai\n", 3, "no", 'write "no" in quotes'),
    ("Europe/Paris", "Europe/Pari", 4, "time_zone", "did you mean Europe/Paris?"),
    ("min_count: 5", "min_count: 010", 5, "min_count", "plain digits"),
    ("min_count: 5", "min_count: 0", 5, "min_count", "greater than or equal to 1"),
    ("min_count: 5", "min_count: true", 5, "min_count", "valid integer"),
    ("min_count: 5", "min_cuont: 5", 5, "min_cuont", "did you mean min_count?"),
    ("min_count: 5", "territory: x", 5, "territory", "given twice, first on line 1"),
    ("min_count: 5", "<<: {min_count: 5}", 5, "<<", "write the fields out"),
    ("min_count: 5", "geojson: ../x.geojson", 5, "geojson", "beside or below the site file"),
    ("  waste:", "  wast:", 7, "purposes.wast", "did you mean waste?"),
    ("public_task", "public", 8, "purposes.waste.legal_basis", "'public_task'"),
    ("images: 30", "images: 0", 9, "purposes.waste.retention_days.images", "equal to 1"),
    ("    notice:", "    notic:", 10, "purposes.waste.notic", "did you mean notice?"),
    ("id: cam-01", "id: cam 1", 12, "cameras[0].id", "letters, digits"),
    ("id: cam-02", "id: cam-01", 19, "cameras[1].id", "also the id of cameras[0]"),
    ("[-3.3561, 47.7288]", "[230000, 6700000]", 14, "cameras[0].position", "Lambert-93"),
    ("[-3.3561, 47.7288]", "[-181, 47]", 14, "cameras[0].position", "longitude then latitude"),
    ("size_wh: [800, 600]", "size_wh: [800, '6']", 15, "cameras[0].size_wh[1]", "[1920, 1080]"),
    ("size_wh: [800, 600]", "size_wh: 800x600", 15, "cameras[0].size_wh", "should be a list"),
    ("    size_wh: [800, 600]\n    key_prefix: quai/cam-02/", "    key_prefix: quai/cam-02/", 19,
     "cameras[1].size_wh", "missing; write e.g. size_wh: [1920, 1080]"),
    ("quai/cam-01/", "/quai/cam-01/", 16, "cameras[0].key_prefix", "without '/' first"),
    ("quai/cam-02/", "quai/cam-01/", 22, "cameras[1].key_prefix", "prefix of cameras[0]"),
    ("quai/cam-01/", "quai/cam-0", 16, "cameras[0].key_prefix", "end it with /"),
    ("%H%M%SZ", "%H%M%s", 17, "cameras[0].key_time", "may hold %S and %f"),
    ("%Y%m%dT", "%m%dT", 17, "cameras[0].key_time", "must hold %Y"),
    ("[200, 90]]]", "[900, 90]]]", 18, "cameras[0].private_zones[0][2]", "800 × 600 px"),
    ("[[0, 0], [200, 0], [200, 90]]", "[[0, 0], [9, 9], [9, 0], [0, 9]]", 18,
     "cameras[0].private_zones[0]", "crosses or touches itself"),
    ("id: C-042", "id: C-041", 31, "assets[1].id", "also the id of assets[0]"),
    ("id: C-042", "id: 'C 042'", 31, "assets[1].id", "a whole URN"),
    ("- id: C-041\n    purpose: waste", "- id: C-041\n    purpose: waist", 26, "assets[0].purpose",
     "does not declare this purpose; did you mean waste?"),
    ("type: Point", "type: Circle", 28, "assets[0].geometry", "LineString"),
    ("    geometry: {type: Point, coordinates: [-3.356, 47.7289]}\n", "", 25,
     "assets[0].geometry", "missing; write e.g. geometry:"),
    ("[3, 49], [2, 48]]", "[3, 49], [2, 47]]", 34, "assets[1].geometry.coordinates[0]",
     "repeat the first position"),
    ("{cam-01: [[10", "{cam-1: [[10", 29, "assets[0].views.cam-1", "did you mean cam-01?"),
    ("{cam-01: [[10, 10], [90, 10], [90, 80]]}", "{cam-01: [[10, 10], [90, 10]]}", 29,
     "assets[0].views.cam-01", "at least 3 items, not 2"),
    ("{cam-01: [[10, 10]", "{cam-01: [[90, 80], [10, 10]", 29, "assets[0].views.cam-01",
     "the last point repeats the first; leave it out"),
    ("{cam-01: [[10, 10], [90, 10], [90, 80]]}", "{cam-01: [[0, 0], [5, 5], [9, 9]]}", 29,
     "assets[0].views.cam-01", "encloses no area"),
    ("      cam-02: [[10, 10]", "      cam-02: [[10, 601]", 36, "assets[1].views.cam-02[0]",
     "[10, 601] is outside the 800 × 600 px of cam-02"),
    ("      cam-02: [[10, 10]", "      cam-02: [[10, .nan]", 36, "assets[1].views.cam-02[0][1]",
     "plain digits"),
    ("enter: 0.7", "enter: 7", 30, "assets[0].limits.enter", "less than or equal to 1"),
    ("enter: 0.7", "entr: 0.7", 30, "assets[0].limits.entr", "did you mean enter?"),
]  # fmt: skip


def problems(text: str | bytes, geojson: str | bytes = b"") -> list[str]:
    with pytest.raises(BadSite) as caught:
        parse_site(text, "s.yaml", geojson)
    return str(caught.value).splitlines()


def geojson(*features: object) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


def feature(own: object, *lonlat: float) -> dict[str, object]:
    return {
        "type": "Feature",
        "id": own,
        "geometry": {"type": "Point", "coordinates": lonlat},
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_load(path):
    site = load_site(path)
    assert site.cameras
    for asset in site.assets:
        assert asset.geometry
        assert asset.views or site.surveys
    assert site.purposes


def test_examples_are_those_that_the_docs_name():
    names = {path.name for path in EXAMPLES}
    assert names == {"car-park.yaml", "port-quay.yaml", "recycling-centre.yaml", "stadium.yaml"}
    assert all(name in (ROOT / "docs/sites.md").read_text() for name in names)
    skips = load_site(ROOT / "examples/recycling-centre.yaml").assets
    assert [asset.kind for asset in skips] == ["queue", *["skip"] * 12]


@pytest.mark.parametrize(
    "old, new, line, field, hint", WRONG, ids=[f"{r[2]}-{r[3]}" for r in WRONG]
)
def test_a_wrong_file_is_told_line_field_and_what_is_right(old, new, line, field, hint):
    assert old in GOOD
    told = problems(GOOD.replace(old, new, 1))
    own = [each for each in told if each.startswith(f"s.yaml:{line}: {field}: ")]
    assert len(own) == 1, told
    assert hint in own[0]


@pytest.mark.parametrize(
    "text, line, hint",
    [
        ("", 1, "begin with"),
        ("- a\n- b\n", 1, "begin with"),
        ("just text", 1, "begin with"),
        ("!!python/object:os.system {}", 1, "begin with"),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "not YAML"),
        ("a: 1\nb:\n\t- 1\n", 3, "indent with spaces"),
        ("a: 1\n---\nb: 1\n", 2, "single document"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("a: 1\nb: \x00\n", 2, "not text"),
        (b"a: 1\nb: \xe9t\xe9\n", 2, "save the file as UTF-8"),
        ("a: 1\nb: " + "[" * 100_000, 2, "nested deeper"),
        ("a: &a [*a]\n", 1, "fewer aliases"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(
                f"{k}: &{k} [{', '.join([f'*{p}'] * 10)}]\n" for p, k in ["ab", "bc", "cd", "de"]
            )
            + "f: [*e, *e, *e, *e, *e]\n",
            1,
            "fewer aliases",
        ),
    ],
)
def test_a_text_that_is_no_site_is_told_where(text, line, hint):
    (only,) = [told for told in problems(text) if hint in told]
    assert only.startswith(f"s.yaml:{line}: ")


def test_a_file_too_large_is_refused_before_it_is_parsed():
    assert problems("#" * (MAX_BYTES + 1)) == [
        "s.yaml: larger than 512 KiB; move geometry to a GeoJSON file"
    ]


def test_all_problems_are_told_at_once_in_order_and_bounded():
    text = GOOD.replace("C-042", "C 042").replace("Europe/Paris", "x").replace("cam-01", "cam 01")
    told = problems(text)
    lines = [int(each.split(":")[1]) for each in told]
    assert lines == sorted(lines) and {4, 12, 31} <= set(lines)
    told = problems(GOOD + "".join(f"extra{i}: 1\n" for i in range(50)))
    assert len(told) == 21 and told[-1] == "s.yaml: 30 more"


def test_contradictions_are_also_told_together():
    text = GOOD.replace("id: C-042", "id: C-041").replace("{cam-01: [[10", "{cam-1: [[10")
    assert [each.split(": ")[1] for each in problems(text)] == [
        "assets[0].views.cam-1",
        "assets[1].id",
    ]


def test_a_missing_site_file_is_told(tmp_path):
    with pytest.raises(BadSite, match=r"quay\.yaml: cannot be read: No such file"):
        load_site(tmp_path / "quay.yaml")


def test_unquoted_words_that_all_readers_agree_on_are_read():
    site = parse_site(GOOD.replace("name: Mast 1", 'name: "no"'), "s.yaml")
    assert site.cameras[0].name == "no"
    aliased = GOOD.replace("cam-01: [[10", "cam-01: &place [[10").replace(
        "      cam-02: [[10, 10], [90, 10], [90, 80]]", "      cam-02: *place"
    )
    assert parse_site(aliased, "s.yaml") == parse_site(GOOD, "s.yaml")
    assert parse_site(b"\xef\xbb\xbf" + GOOD.encode(), "s.yaml") == parse_site(GOOD, "s.yaml")


BESIDE = re.sub("    geometry: .*\n", "", GOOD).replace("min_count: 5", "geojson: g.geojson")
FEATURES = (
    feature("C-041", 2.0, 48.0),
    {**feature(None, 2.5, 48.5), "properties": {"id": "C-042"}},
)


def test_geometry_comes_from_the_geojson_by_id(tmp_path):
    (tmp_path / "s.yaml").write_text(BESIDE)
    (tmp_path / "g.geojson").write_text(geojson(*FEATURES))
    site = load_site(tmp_path / "s.yaml")
    assert [asset.geometry.coordinates for asset in site.assets] == [(2.0, 48.0), (2.5, 48.5)]
    assert site == parse_site(BESIDE, "s.yaml", geojson(*FEATURES))


@pytest.mark.parametrize(
    "content, told",
    [
        ("{", "g.geojson: not JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "g.geojson: should be a GeoJSON FeatureCollection"),
        (
            geojson(FEATURES[0], feature("C-042", 2, 98)),
            "g.geojson: features[1] (C-042): geometry.",
        ),
        (geojson(FEATURES[0], feature("C-041", 2, 9)), "g.geojson: features[1] (C-041): the id of"),
        (geojson(feature(None, 2, 9)), "g.geojson: features[0] (no id): give it an id"),
        (geojson(*FEATURES, 7), "g.geojson: features[2] (no id): should hold fields"),
        ("[" * 100_000, "g.geojson: not JSON: recursion limit exceeded"),
        (" " * (8 * 2**20 + 1), "g.geojson: larger than 8 MiB"),
    ],
)
def test_a_wrong_geojson_is_told_file_and_feature(content, told):
    lines = problems(BESIDE, content)
    assert any(line.startswith(told) for line in lines), lines
    assert all(line.startswith("g.geojson: ") for line in lines), "no asset is blamed for it"


def test_geojson_and_site_file_must_fit(tmp_path):
    (missing,) = problems(BESIDE, geojson(FEATURES[0], feature("C-42", 2, 48)))
    assert missing.startswith(
        "s.yaml:30: assets[1].geometry: missing, and g.geojson has no feature"
    )
    assert missing.endswith("did you mean C-42?")
    inline = GOOD.replace("min_count: 5", "geojson: g.geojson")
    both = problems(inline, geojson(*FEATURES))
    assert both[0] == "s.yaml:28: assets[0].geometry: also in g.geojson; keep one of the two"
    (tmp_path / "s.yaml").write_text(BESIDE)
    with pytest.raises(BadSite, match=r"^g\.geojson: cannot be read: No such file or directory$"):
        load_site(tmp_path / "s.yaml")


def test_ids_become_urns_and_whole_urns_stay():
    text = GOOD.replace("id: C-042", "id: urn:ngsi-ld:WasteContainer:7")
    first, second = parse_site(text, "s.yaml").assets
    assert first.id == "urn:vigie:port-des-embruns:quai:C-041"
    assert second.id == "urn:ngsi-ld:WasteContainer:7"


def test_source_assets_and_purposes():
    site = parse_site(GOOD, "s.yaml")
    assert site.source == "/territories/port-des-embruns/sites/quai"
    assert site.assets_in("cam-01", "waste") == (site.assets[0],)
    assert site.assets_in("cam-01", "occupancy") == ()
    assert site.require_purpose("waste").retention_days.images == 30
    with pytest.raises(PurposeRefused, match=r"'occupancy'; declared: waste"):
        site.require_purpose("occupancy")


def test_the_digest_is_of_what_is_said_not_of_how_it_is_written():
    site = parse_site(GOOD, "s.yaml")
    fields = yaml.safe_load(GOOD)
    shuffled = yaml.safe_dump(dict(reversed(fields.items())), sort_keys=False)
    assert parse_site("# a comment\n" + shuffled, "other.yaml").digest == site.digest
    two = GOOD.replace("{enter: 0.7}", "{enter: 0.7, leave: 0.2}")
    turned = GOOD.replace("{enter: 0.7}", "{leave: 0.2, enter: 0.7}")
    assert parse_site(two, "s.yaml").digest == parse_site(turned, "s.yaml").digest
    own = [{**feature(a["id"], 0, 0), "geometry": a.pop("geometry")} for a in fields["assets"]]
    beside = yaml.safe_dump({**fields, "geojson": "g.geojson"})
    assert parse_site(beside, "s.yaml", geojson(*own)).digest == site.digest
    for old, new in [("[90, 80]", "[90, 81]"), ("enter: 0.7", "enter: 0.8"), ("30,", "31,")]:
        assert parse_site(GOOD.replace(old, new, 1), "s.yaml").digest != site.digest


@pytest.mark.parametrize(
    "key, time",
    [
        ("quai/cam-01/20260612T074000Z.jpg", datetime(2026, 6, 12, 7, 40, tzinfo=UTC)),
        ("quai/cam-01/x/a-20260612T074000Z-b.jpg", datetime(2026, 6, 12, 7, 40, tzinfo=UTC)),
        ("quai/cam-01/20261312T074000Z.jpg", None),
        ("quai/cam-01/120260612T074000Z.jpg", None),
        ("quai/cam-01/photo.jpg", None),
        ("quai/cam-01/00010101T000000Z.jpg", None),  # clocks that were never set
        ("quai/cam-02/0001-01-01/0000.jpg", None),
        ("quai/cam-02/9999-12-31/2359.jpg", None),
        ("elsewhere/20260612T074000Z.jpg", None),
        ("quai/cam-02/2026-06-12/0940.jpg", datetime(2026, 6, 12, 7, 40, tzinfo=UTC)),
        ("quai/cam-02/2026-01-12/0940.jpg", datetime(2026, 1, 12, 8, 40, tzinfo=UTC)),
        ("quai/cam-02/2026-10-25/0230.jpg", None),  # twice that night
        ("quai/cam-02/2026-03-29/0230.jpg", None),  # never that night
    ],
)
def test_capture_time_from_the_key(key, time):
    assert parse_site(GOOD, "s.yaml").captured_at(key) == time


def test_a_time_in_the_prefix_is_not_the_capture_time():
    text = GOOD.replace("quai/cam-01/", "since-20250101T000000Z/")
    key = "since-20250101T000000Z/20260612T074000Z.jpg"
    assert parse_site(text, "s.yaml").captured_at(key) == datetime(2026, 6, 12, 7, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    "key, time",
    [
        ("vols/ortho-2026-06-12-0940.tif", datetime(2026, 6, 12, 7, 40, tzinfo=UTC)),
        ("vols/ortho.tif", None),
        ("elsewhere/ortho-2026-06-12-0940.tif", None),
    ],
)
def test_the_key_of_a_survey_tells_its_capture_time_too(key, time):
    survey = 'surveys: [{id: vol, key_prefix: vols/, key_time: "%Y-%m-%d-%H%M"}]\n'
    assert parse_site(GOOD + survey, "s.yaml").captured_at(key) == time


NUMBERS = st.integers(0, 600) | st.floats(0, 600, allow_subnormal=False)
SLUGS = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8})?", fullmatch=True)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20)


@st.composite
def stars(draw):
    """Points in order of their angle around a centre never cross."""
    count = draw(st.integers(3, 9))
    radii = draw(st.lists(st.integers(20, 250), min_size=count, max_size=count))
    turn = 2 * math.pi / count
    return [
        [300 + r * math.cos(i * turn), 300 + r * math.sin(i * turn)] for i, r in enumerate(radii)
    ]


@st.composite
def sites(draw):
    ids = draw(st.lists(SLUGS, min_size=1, max_size=4, unique=True))
    cameras = [
        {
            "id": camera,
            "name": draw(NAMES),
            "size_wh": [600, 600],
            "key_prefix": f"{camera}/",
            "key_time": draw(st.sampled_from([None, "%Y%m%dT%H%M%S%fZ", "%d.%m.%Y %H-%M"])),
            "private_zones": draw(st.lists(stars(), max_size=2)),
        }
        for camera in ids
    ]
    lonlat = st.tuples(st.floats(-180, 180), st.floats(-90, 90)).map(list)
    assets = [
        {
            "id": asset,
            "purpose": "waste",
            "kind": draw(SLUGS),
            "geometry": {"type": "Point", "coordinates": draw(lonlat)},
            "views": draw(st.dictionaries(st.sampled_from(ids), stars(), max_size=2)),
            "limits": draw(st.fixed_dictionaries({}, optional={"enter": st.floats(0.3, 1)})),
        }
        for asset in draw(st.lists(SLUGS, max_size=4, unique=True))
    ]
    return {
        "territory": draw(SLUGS),
        "site": draw(SLUGS),
        "name": draw(NAMES),
        "time_zone": draw(st.sampled_from(["Europe/Paris", "UTC", "Indian/Reunion"])),
        "min_count": draw(st.integers(1, 1000)),
        "purposes": yaml.safe_load(GOOD)["purposes"],
        "cameras": cameras,
        "assets": assets,
    }


@settings(max_examples=60)
@given(sites())
def test_a_site_survives_yaml_json_and_python(fields):
    site = parse_site(yaml.safe_dump(fields, allow_unicode=True), "s.yaml")
    assert site == Site.model_validate(fields)
    again = [
        Site.model_validate_json(site.model_dump_json()),
        Site.model_validate(site.model_dump(mode="json")),
        parse_site(yaml.safe_dump(site.model_dump(mode="json")), "s.yaml"),
    ]
    assert all(one == site and one.digest == site.digest for one in again)


@settings(max_examples=60)
@given(stars(), st.data())
def test_an_outline_is_refused_once_two_sides_cross(star, data):
    def site(outline):
        text = GOOD.replace("[[0, 0], [200, 0], [200, 90]]", json.dumps(outline), 1)
        return parse_site(text.replace("[800, 600]", "[600, 600]"), "s.yaml")

    assert site(star).cameras[0].private_zones[0] == tuple(map(tuple, star))
    # Two corners of a convex outline change places: the sides between them cross.
    corners = [[300 + 99 * math.cos(a), 300 + 99 * math.sin(a)] for a in range(6)]
    i, j = data.draw(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda p: p[0] != p[1]))
    corners[i], corners[j] = corners[j], corners[i]
    with pytest.raises(BadSite, match="crosses or touches itself"):
        site(corners)


@settings(max_examples=100)
@given(st.lists(st.text("ab/", max_size=5), min_size=1, max_size=6), st.text("ab/.", max_size=9))
def test_the_camera_of_a_key_has_the_longest_prefix(stems, key):
    prefixes = sorted({f"a{stem}/" for stem in stems})
    fields = yaml.safe_load(GOOD) | {"assets": []}
    fields["cameras"] = [
        {"id": f"cam-{i}", "name": "x", "size_wh": [9, 9], "key_prefix": prefix}
        for i, prefix in enumerate(prefixes)
    ]
    camera = Site.model_validate(fields).camera_of(f"a{key}")
    own = [prefix for prefix in prefixes if f"a{key}".startswith(prefix)]
    assert (camera.key_prefix if camera else None) == (max(own, key=len) if own else None)


def test_the_reference_names_every_field():
    text = (ROOT / "docs/sites.md").read_text()
    models: list[type[BaseModel]] = [Site, Purpose, Retention, Camera, Asset, Point, Polygon]
    for model in [*models, waste.Limits]:
        for name in model.model_fields:
            assert f"`{name}`" in text, f"{model.__name__}.{name}"
    assert str(MAX_BYTES // 1024) in text


def test_each_field_that_a_message_may_speak_of_has_an_example():
    for model in (Site, Purpose, Retention, Camera, Asset, Point, Polygon):
        for name, field in model.model_fields.items():
            assert field.examples, f"{model.__name__}.{name}"
