"""The site of a drawn fixed camera, for benchmarks that judge what it shows."""

from collections.abc import Iterable, Sequence

from services.sites import Site, parse_site

Outlined = tuple[str, str, Sequence[Sequence[float]], dict[str, float]]
"""Id and kind of an asset, its outline in px of the camera, and its limits."""

_SITE = """
territory: t
site: drawn
name: Quai
time_zone: Europe/Paris
purposes:
  {purpose}:
    legal_basis: public_task
    retention_days: {{images: 30, events: 365}}
    notice: https://www.example.org
cameras:
  - id: cam
    name: Quai
    size_wh: [800, 600]
    key_prefix: {key_prefix}
    key_time: "%Y%m%dT%H%M%SZ"
assets:
"""
_ASSET = """
  - id: {id}
    purpose: {purpose}
    kind: {kind}
    geometry: {{type: Point, coordinates: [-3.356, 47.7288]}}
    views: {{cam: {outline}}}
    limits: {limits}
"""


def one_camera(purpose: str, key_prefix: str, assets: Iterable[Outlined]) -> Site:
    """A site with one camera of 800×600 px, its assets of one purpose."""
    rows = [
        _ASSET.format(
            id=name,
            purpose=purpose,
            kind=kind,
            outline=[list(map(float, point)) for point in outline],
            limits=limits,
        )
        for name, kind, outline, limits in assets
    ]
    return parse_site(_SITE.format(purpose=purpose, key_prefix=key_prefix) + "".join(rows), "drawn")
