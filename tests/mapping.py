"""A raster through the whole of a batch in this process, without Ray."""

from unittest import mock

from pystac.extensions.projection import SCHEMA_URI

from services import batches, fleet
from services.settings import Settings
from tests.orthophotos import SITE, line, opened

_NUMBERS = {"type": "array", "items": {"type": "number"}}
_PLACED = {
    "type": "object",
    "properties": {
        "proj:code": {"type": ["string", "null"], "pattern": "^[A-Z0-9]+:[0-9]+$"},
        "proj:wkt2": {"type": ["string", "null"]},
        "proj:shape": {
            "type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2
        },
        "proj:transform": {"oneOf": [
            _NUMBERS | {"minItems": n, "maxItems": n} for n in (6, 9)
        ]},
    },
    "patternProperties": {
        "^proj:(?!code$|wkt2$|projjson$|geometry$|bbox$|centroid$|shape$|transform$)": False
    },
}  # fmt: skip
PROJECTION = {
    "type": "object",
    "required": ["type", "properties", "assets", "stac_extensions"],
    "properties": {
        "type": {"const": "Feature"},
        "stac_extensions": {"contains": {"const": SCHEMA_URI}},
        "properties": _PLACED | {
            "anyOf": [{"required": [f"proj:{name}"]} for name in ("code", "wkt2", "projjson")]
        },
        "assets": {"additionalProperties": _PLACED},
    },
}  # fmt: skip
"""What the projection extension 2.0 of STAC asks of an item; its own schema is on the web only."""


def submitted(store, catalog, data, key="vol/ortho.tif"):
    store.put("inbox", key, data)
    return batches.submit(store, catalog, SITE, ["waste"], line(store).eyes.models, [key])


def work(one, catalog, batch, manifest, process=None):
    """The fleet's run with one worker in this process; gives the outcomes by name."""
    endpoint = one.store.endpoint
    settings = Settings(
        s3_endpoint=endpoint.url,
        s3_access_key=endpoint.access_key,
        s3_secret_key=endpoint.secret_key,
        s3_prefix=one.store.prefix,
        secret="s" * 32,
    )

    def here(purposes, settings, line, waiting, books):
        for shard in waiting:
            books.add(shard.number, [(process or one.process)(item) for item in shard.items])

    with (
        mock.patch.object(fleet, "open_line", lambda *_: one),
        mock.patch.object(fleet, "_work", here),
    ):
        fleet.run(batch, manifest, settings, catalog)
        assert fleet.run(batch, manifest, settings, catalog) == 0
    return {outcome.key: outcome for outcome in catalog.outcomes(batch)}


def mapped(store, catalog, data, **how):
    batch, manifest = submitted(store, catalog, data)
    return work(line(store, **how), catalog, batch, manifest)


def bands(store, outcome, name):
    return opened(store.get("redacted", outcome.files[name])[0])
