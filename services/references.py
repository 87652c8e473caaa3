"""The known views of fixed cameras: redacted pictures that the site file names as references."""

from collections import defaultdict
from collections.abc import Iterable

import simplejpeg

from models.errors import BadConfiguration, NoSuchObject
from models.registration import KnownView
from services.outcome import Outcome
from services.sites import Camera, Site
from services.storage import Store

_HOURS = 8  # of the day that one proposed reference stands for: morning, afternoon, night
_COVER_COST = 0.05  # of a covered area, against the probability of dirt: who covers, hides


class References:
    """The references of a site's cameras, read from the redacted bucket when first needed."""

    def __init__(self, store: Store, site: Site) -> None:
        self._store, self._site = store, site
        self._known: dict[str, KnownView] = {}

    def check(self) -> None:
        """Make sure that all of them are there, before work that needs them begins.

        Raises:
            BadConfiguration: one is not.
        """
        for camera in self._site.cameras:
            for key in camera.references:
                try:
                    self._store.head("redacted", key)
                except NoSuchObject as error:
                    raise _missing(camera, key) from error

    def of(self, camera: Camera) -> KnownView | None:
        """The known view of a camera; None for one without references.

        Raises:
            BadConfiguration: a reference is not there, or no JPEG.
        """
        if camera.references and camera.id not in self._known:
            pictures = []
            for key in camera.references:
                try:
                    data = self._store.get("redacted", key)[0]
                    pictures.append(simplejpeg.decode_jpeg(data, "RGB"))
                except (NoSuchObject, ValueError) as error:
                    raise _missing(camera, key) from error
            self._known[camera.id] = KnownView(pictures, camera.size_wh)
        return self._known.get(camera.id)


def _missing(camera: Camera, key: str) -> BadConfiguration:
    return BadConfiguration(
        f"reference {key!r} of camera {camera.id}: no such JPEG in the redacted bucket; "
        "`vigie references BATCH` proposes some"
    )


def propose(site: Site, outcomes: Iterable[Outcome]) -> dict[str, list[str]]:
    """Camera id → keys of its cleanest and emptiest redacted pictures, one a third of the day."""
    best: dict[str, dict[int, tuple[float, str]]] = defaultdict(dict)
    for outcome in outcomes:
        camera = site.camera_of(outcome.key)
        if camera is None or outcome.redacted_key is None:
            continue
        covers = sum(n for heights in outcome.covered.values() for n in heights.values())
        third = (outcome.captured_at.astimezone(site.time_zone).hour + _HOURS // 4) % 24 // _HOURS
        cost = outcome.facts.get("dirty", 0.0) + _COVER_COST * covers
        mine = (cost, outcome.redacted_key)
        best[camera.id][third] = min(best[camera.id].get(third, mine), mine)
    return {name: [key for _, key in sorted(thirds.values())] for name, thirds in best.items()}
