"""Rasters that are damaged, change or vanish, a store that goes away, and a run that is killed."""

import multiprocessing
import os
import signal

import numpy as np
import pytest

from models import raster as rasters
from models.cells import NOT_ANALYSED
from models.errors import StoreUnavailable
from models.heights import OVERLAP_CELLS
from services import batches, maps, tiles
from services.catalog import Catalog
from services.storage import Store
from tests.mapping import bands, mapped, submitted, work
from tests.orthophotos import Parcels, drawn, encoded, line


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(rasters, "PITCH_CELLS", OVERLAP_CELLS)
    monkeypatch.setattr(rasters, "MAX_WINDOW_CELLS", 2 * OVERLAP_CELLS)
    monkeypatch.setattr(rasters, "MAX_WINDOW_PX", 2 * OVERLAP_CELLS * 10)
    monkeypatch.setattr(batches, "purposes_of", lambda site, names: {"waste": Parcels()})
    tiles._opened.cache_clear()


@pytest.fixture
def catalog(tmp_path):
    return Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")


@pytest.fixture(scope="module")
def pixels():
    return drawn((900, 800), seed=3)


def test_windows_without_data_publish_nothing_and_a_raster_of_none_is_told(store, catalog):
    empty = np.zeros((3, 700, 480), np.uint8)
    outcomes = mapped(store, catalog, encoded(empty, nodata=0))
    made = outcomes.pop("vol/ortho.tif")
    assert all(o.status == "redacted" and o.redacted_key is None for o in outcomes.values())
    assert (made.status, made.reason) == ("quarantined", "nothing_analysed")
    assert not list(store.list("redacted"))


def test_a_raster_too_coarse_for_a_map_is_told_and_not_taken_for_a_picture(store, catalog, pixels):
    (made,) = mapped(store, catalog, encoded(pixels.transpose(2, 0, 1), gsd_m=2.0)).values()
    assert (made.status, made.reason) == ("quarantined", "too_coarse")
    assert not list(store.list("redacted"))


def test_heights_of_its_own_or_none_where_pixels_are_too_coarse_to_guess(store, catalog, pixels):
    outcomes = mapped(store, catalog, encoded(pixels.transpose(2, 0, 1), gsd_m=0.8))
    made = outcomes.pop("vol/ortho.tif")
    assert {o.reason for o in outcomes.values()} == {"too_coarse"}
    assert made.reason == "nothing_analysed"


def test_a_raster_that_was_cut_short_has_a_map_of_what_is_left(store, catalog, pixels):
    whole = encoded(pixels.transpose(2, 0, 1), compress="none")
    outcomes = mapped(store, catalog, whole[: len(whole) // 2])
    made = outcomes.pop("vol/ortho.tif")
    reasons = {o.reason for o in outcomes.values()}
    assert reasons == {None, "truncated"}
    told = bands(store, made, "heights")
    assert 0.2 < (told[0] == NOT_ANALYSED).mean() < 0.8
    markers = [store.get("quarantine", i.key)[0] for i in store.list("quarantine")]
    assert len(markers) == sum(o.reason is not None for o in outcomes.values())
    assert not any(markers)  # the raster is in the inbox


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"II*\0 no raster", "damaged"), (b"", "empty"), (b"%PDF-1.7", "unsupported_format")],
)
def test_what_is_no_raster_is_quarantined_like_any_picture(store, catalog, data, reason):
    outcomes = mapped(store, catalog, data)
    assert [o.reason for o in outcomes.values()] == [reason]


def test_a_raster_that_changed_since_it_was_submitted_is_not_mixed(store, catalog, pixels):
    data = encoded(pixels.transpose(2, 0, 1))
    batch, manifest = submitted(store, catalog, data)
    one, done = line(store), []

    def process(item):
        if len(done) == 3:
            store.put("inbox", item.key, encoded(drawn((900, 800), 9).transpose(2, 0, 1)))
            tiles._opened.cache_clear()
        done.append(item)
        return one.process(item)

    outcomes = work(one, catalog, batch, manifest, process)
    reasons = [outcomes[item.name].reason for item in done]
    assert reasons[:3] == [None] * 3
    assert set(reasons[3:]) == {"changed_since_submission"}


def test_a_store_that_goes_away_stops_the_window_and_does_not_quarantine_it(
    store, catalog, pixels, monkeypatch
):
    _, manifest = submitted(store, catalog, encoded(pixels.transpose(2, 0, 1)))
    one = line(store)
    get = Store.get

    def away(self, bucket, key, *arguments, **options):
        if options.get("part"):
            raise StoreUnavailable("away")
        return get(self, bucket, key, *arguments, **options)

    tiles._opened.cache_clear()
    with monkeypatch.context() as broken:
        broken.setattr(Store, "get", away)
        with pytest.raises(StoreUnavailable):
            one.process(manifest.items[0])
    assert one.process(manifest.items[0]).status == "redacted"


def _killed_after(count, store, database, batch):
    catalog, manifest = Catalog(database), batches.read_manifest(store, batch)
    one, done = line(store), []

    def process(item):
        if len(done) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(item)
        return one.process(item)

    work(one, catalog, batch, manifest, process)


@pytest.mark.timeout(900)
def test_a_run_that_was_killed_goes_on_with_the_next_window(store, catalog, pixels, tmp_path):
    data = encoded(pixels.transpose(2, 0, 1))
    batch, manifest = submitted(store, catalog, data)
    windows = manifest.windows["vol/ortho.tif"]
    database = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    args = len(windows) // 2, store.endpoint, store.prefix, database, batch
    process = multiprocessing.get_context("spawn").Process(target=_run_and_die, args=args)
    process.start()
    process.join(600)
    assert process.exitcode == -signal.SIGKILL
    one, again = line(store), []

    def counted(item):
        again.append(item)
        return one.process(item)

    outcomes = work(one, catalog, batch, manifest, counted)
    assert len(again) == len(windows) - len(windows) // 2
    made = outcomes["vol/ortho.tif"]
    before = {name: store.get("redacted", key)[0] for name, key in made.files.items()}
    drawn_again = maps.draw(one, catalog, manifest.items[-1], windows)
    assert drawn_again.sha256 == made.sha256
    assert {n: store.get("redacted", k)[0] for n, k in made.files.items()} == before


def _run_and_die(count, endpoint, prefix, database, batch):
    rasters.PITCH_CELLS = OVERLAP_CELLS
    rasters.MAX_WINDOW_CELLS = 2 * OVERLAP_CELLS
    batches.purposes_of = lambda site, names: {"waste": Parcels()}
    _killed_after(count, Store(endpoint, prefix), database, batch)
