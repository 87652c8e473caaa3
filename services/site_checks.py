"""What the parts of a site file say about each other."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import ValidationError

from models import plugins
from services import purposes as purpose_plugins
from services.geometry import Outline
from services.site_advice import explain, nearest
from services.site_fields import Asset, Camera
from services.site_yaml import Path

if TYPE_CHECKING:
    from services.sites import Site


_SHAPES = ("Polygon", "LineString")


def contradictions(site: "Site") -> Iterator[tuple[Path, str]]:
    """What is right in form, yet cannot be true together with the rest of the site.

    Where all else is right, each purpose says what it could not measure.
    """
    problems = list(_between_parts(site))
    yield from problems
    for name in () if problems else site.purposes:
        of_purpose = getattr(plugins.load(purpose_plugins, name), "contradictions", None)
        yield from of_purpose(site) if of_purpose else ()


def _between_parts(site: "Site") -> Iterator[tuple[Path, str]]:
    for field, ids in (
        ("cameras", [camera.id for camera in site.cameras]),
        ("surveys", [survey.id for survey in site.surveys]),
        ("assets", [asset.id for asset in site.assets]),
    ):
        for i, one in enumerate(ids):
            if one in ids[:i]:
                yield (field, i, "id"), f"also the id of {field}[{ids.index(one)}]; ids must differ"
    plugin_names = plugins.names(purpose_plugins)
    for name in site.purposes:
        if name not in plugin_names:
            yield ("purposes", name), f"no such purpose; {nearest(name, plugin_names)}"
    for i, camera in enumerate(site.cameras):
        yield from _prefix_clashes(site.cameras, i)
        for j, zone in enumerate(camera.private_zones):
            yield from _outside(zone, camera, ("cameras", i, "private_zones", j))
    prefixes = [camera.key_prefix for camera in site.cameras]
    for i, survey in enumerate(site.surveys):
        if survey.key_prefix in prefixes:
            yield ("surveys", i, "key_prefix"), "also the prefix of another; each needs its own"
        prefixes.append(survey.key_prefix)
    for i, asset in enumerate(site.assets):
        if asset.purpose not in site.purposes:
            hint = nearest(asset.purpose, site.purposes)
            yield ("assets", i, "purpose"), f"the site does not declare this purpose; {hint}"
        elif asset.purpose in plugin_names:
            yield from _plugin_problems(asset, ("assets", i))
        yield from _view_problems(asset, site.cameras, ("assets", i, "views"))


def _prefix_clashes(cameras: tuple[Camera, ...], i: int) -> Iterator[tuple[Path, str]]:
    own, path = cameras[i].key_prefix, ("cameras", i, "key_prefix")
    for j, other in enumerate(cameras):
        if other.key_prefix == own and j < i:
            yield path, f"also the prefix of cameras[{j}]; every camera needs its own"
        elif other.key_prefix.startswith(own) and other.key_prefix != own and own[-1] != "/":
            yield path, f"{other.key_prefix} of cameras[{j}] begins with it too; end it with /"


def _view_problems(
    asset: Asset, cameras: tuple[Camera, ...], path: Path
) -> Iterator[tuple[Path, str]]:
    by_id = {camera.id: camera for camera in cameras}
    for camera_id, outline in asset.views.items():
        if camera_id in by_id:
            yield from _outside(outline, by_id[camera_id], (*path, camera_id))
        else:
            yield (*path, camera_id), f"no such camera; {nearest(camera_id, by_id)}"


def _outside(outline: Outline, camera: Camera, path: Path) -> Iterator[tuple[Path, str]]:
    width, height = camera.size_wh
    for i, (x, y) in enumerate(outline):
        if not (0 <= x <= width and 0 <= y <= height):
            yield (
                (*path, i),
                f"[{x:g}, {y:g}] is outside the {width} × {height} px of {camera.id}",
            )


def _plugin_problems(asset: Asset, path: Path) -> Iterator[tuple[Path, str]]:
    purpose = plugins.load(purpose_plugins, asset.purpose)
    kinds, limits = getattr(purpose, "KINDS", None), getattr(purpose, "Limits", None)
    if kinds is not None and asset.kind not in kinds:
        yield (
            (*path, "kind"),
            f"the purpose {asset.purpose} knows no such kind; {nearest(asset.kind, kinds)}",
        )
    shape = kinds.get(asset.kind) if isinstance(kinds, Mapping) else None
    if shape in _SHAPES and asset.geometry.type != shape:
        yield (*path, "geometry"), f"a {asset.kind} is a {shape}, not a {asset.geometry.type}"
    elif asset.geometry.type == "LineString" and shape != "LineString":
        yield (*path, "geometry"), f"a {asset.kind} is no line; draw a Point or a Polygon"
    path = (*path, "limits")
    if limits is None:
        if asset.limits:
            yield path, f"the purpose {asset.purpose} takes no limits; leave them out"
        return
    try:
        limits.model_validate(asset.limits)
    except ValidationError as error:
        for below, message in explain(error, limits):
            yield (*path, *below), message
