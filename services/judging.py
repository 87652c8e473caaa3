"""A site's assets and views, judged again by what the record holds of them."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache

from services.catalog import Ledger
from services.events import Event
from services.judgement import CONDITIONS, LOST_VIEW, VIEW_LIMITS, Limits
from services.opening import purposes_of
from services.record import Record, judge_again
from services.sites import Site
from services.view import urn


def judged_again(
    ledger: Ledger,
    site: Site,
    purposes: Sequence[str],
    wanted: Callable[[str, str, Record], bool],
    now: datetime | None = None,
) -> Iterator[Event]:
    """Judge again, remember, and give what there is to tell.

    Args:
        ledger: of the transaction in which it becomes true.
        site: whose assets and views.
        purposes: whose assets; each declared by the site.
        wanted: of an asset (URN), a quantity and what is remembered, whether it is judged again.
        now: by when more would have come, if there were more.
    """
    lateness = timedelta(hours=site.lateness_hours)
    observed = cache(ledger.observations)  # several conditions judge one quantity
    for asset, condition, limits in _judged(site, purposes):
        quantity = CONDITIONS[condition].quantity
        before = ledger.record(asset, condition)
        if not wanted(asset, quantity, before):
            continue
        history = observed(asset, quantity, before.horizon)
        record, told = judge_again(before, history, condition, limits, lateness, site.source, now)
        ledger.keep(asset, condition, record)
        yield from told


def _judged(site: Site, purposes: Sequence[str]) -> Iterator[tuple[str, str, Limits]]:
    """What is judged at a site: asset or view (URN), condition, and its limits."""
    for name, purpose in purposes_of(site, purposes).items():
        for asset in (a for a in site.assets if a.purpose == name):
            for condition, limits in purpose.judgement(asset.limits).items():
                yield asset.id, condition, limits
    for camera in site.cameras:
        limits = VIEW_LIMITS.model_copy(update={"silent": camera.silence})
        yield urn(site, f"view:{camera.id}"), LOST_VIEW, limits
