"""Maps whose heights a survey's own files tell: from the store, beside the picture."""

import numpy as np
import pytest
from rasterio.transform import Affine

from models.errors import BadConfiguration, BadSurface, StoreUnavailable
from models.heights import GRID_M
from models.surface import AboveGround
from services import measured as measured_files
from services import tiles
from services.items import Item
from services.measured import Measured
from services.sites import parse_site
from services.storage import Store
from tests.orthophotos import EAST, NORTH, Green, encoded, line, ortho
from tests.views import SITE_HEAD

SIDE = 240
KEY = "vol/ortho.tif"


def site(heights):
    surveys = f"\nsurveys:\n  - {{id: vol, key_prefix: vol/, heights: {{{heights}}}}}\n"
    return parse_site(SITE_HEAD + surveys, "site.yaml")


def raster(metres, **more):
    """Heights in centimetres on half metres, where the picture lies."""
    centimetres = np.round(np.asarray(metres) * 100).astype(np.uint16)[None]
    place = Affine(GRID_M, 0, EAST, 0, -GRID_M, NORTH)
    return encoded(centimetres, transform=place, tags={"units": "cm"}, **more)


@pytest.fixture
def hill():
    rows, columns = np.indices((SIDE, SIDE), np.float32)
    return (60 + rows / 20 + columns / 40).astype(np.float32)


@pytest.fixture
def trees():
    metres = np.zeros((SIDE, SIDE), np.float32)
    metres[40:60, 30:80] = 9.0
    return metres


@pytest.fixture
def item(store):
    tiles._opened.cache_clear()
    etag = store.put("inbox", KEY, ortho((600, 600), seed=1))
    return Item(key=KEY, etag=etag)


def told(store, item, heights):
    """The heights that the line's source tells of the first window, and the network's."""
    measured, network = Measured(store, site(heights)), Green()
    source = measured.of(item, network)
    window = tiles.open_raster(store, item.key, item.etag).windows()
    frame, taken = tiles.take(store, site(heights), "w", item.key, item.etag, next(iter(window)))
    redacted = line(store).eyes.redactor(frame, ())
    return source.heights(redacted, taken.valid), network.heights(redacted, taken.valid)


def test_heights_above_ground_are_told_as_they_were_measured(store, item, trees):
    store.put("inbox", "lidar/mnh.tif", raster(trees))
    map_, network = told(store, item, "above_ground: [lidar/mnh.tif]")
    assert map_.metres.shape == (SIDE, SIDE)
    np.testing.assert_allclose(map_.metres[42:58, 32:78], 9, atol=0.02)
    assert map_.metres[100:, 100:].max() < 0.02
    assert (map_.sigma[map_.valid] < network.sigma[map_.valid].max() + 5).all()


def test_surface_minus_terrain_is_the_height_whatever_the_ground(store, item, hill, trees):
    store.put("inbox", "lidar/mns.tif", raster(hill + trees))
    store.put("inbox", "lidar/mnt.tif", raster(hill))
    map_, _ = told(store, item, "surface: [lidar/mns.tif], terrain: [lidar/mnt.tif]")
    np.testing.assert_allclose(map_.metres[42:58, 32:78], 9, atol=0.1)
    assert map_.metres[100:, 100:].max() < 0.1


def test_files_that_do_not_fit_are_refused_with_what_to_check(store, item, hill):
    store.put("inbox", "lidar/mns.tif", raster(hill))
    with pytest.raises(BadSurface, match="mismatch"):
        told(store, item, "above_ground: [lidar/mns.tif]")


@pytest.mark.parametrize("opened", [True, False])
def test_a_store_that_fails_is_told_and_no_height_becomes_zero(
    store, item, trees, monkeypatch, opened
):
    store.put("inbox", "lidar/mnh.tif", raster(trees + 7))
    heights = "above_ground: [lidar/mnh.tif]"
    get, read = Store.get, AboveGround.heights

    def away(self, bucket, key, *args, **more):
        if key == "lidar/mnh.tif":
            raise StoreUnavailable("away")
        return get(self, bucket, key, *args, **more)

    def from_the_file(self, *args, **more):
        measured_files._files[0].file.read(1)  # larger files are not held whole
        return read(self, *args, **more)

    measured_files._let_go()
    with monkeypatch.context() as patch:
        if opened:
            told(store, item, heights)
            measured_files._files[0].file._chunks.clear()
            patch.setattr(AboveGround, "heights", from_the_file)
        patch.setattr(Store, "get", away)
        with pytest.raises(StoreUnavailable):
            told(store, item, heights)
    map_, _ = told(store, item, heights)
    assert map_.metres[map_.valid].min() == pytest.approx(7, abs=0.02)


def test_what_fails_for_one_raster_leaves_the_next_and_the_last_alone(store, item, trees):
    store.put("inbox", "lidar/mnh.tif", raster(trees))
    place = Affine(0.2, 0, EAST + 5000, 0, -0.2, NORTH)
    far = Item(
        key="vol/far.tif",
        etag=store.put("inbox", "vol/far.tif", ortho((600, 600), transform=place)),
    )
    heights = "above_ground: [lidar/mnh.tif]"
    for one, fits in ((item, True), (far, False), (far, False), (item, True)):
        if fits:
            assert told(store, one, heights)[0].metres.max() == pytest.approx(9, abs=0.02)
        else:
            with pytest.raises(BadSurface):
                told(store, one, heights)


def test_files_that_are_not_there_are_named_before_work_begins(store):
    with pytest.raises(BadConfiguration, match=r"lidar/nosuch\.tif"):
        Measured(store, site("above_ground: [lidar/nosuch.tif]"))


def test_another_file_under_the_same_key_is_another_model(store, trees):
    store.put("inbox", "lidar/mnh.tif", raster(trees))
    before = Measured(store, site("above_ground: [lidar/mnh.tif]")).models
    assert before == Measured(store, site("above_ground: [lidar/mnh.tif]")).models
    store.put("inbox", "lidar/mnh.tif", raster(trees + 1))
    after = Measured(store, site("above_ground: [lidar/mnh.tif]")).models
    assert after.keys() == before.keys() == {"vol"}
    assert after != before


def test_surveys_without_such_files_are_left_to_the_network(store, item):
    plain = parse_site(SITE_HEAD + "\nsurveys:\n  - {id: vol, key_prefix: vol/}\n", "site.yaml")
    measured = Measured(store, plain)
    assert measured.models == {}
    assert measured.of(item, Green()) is None


@pytest.mark.parametrize(
    ("heights", "hint"),
    [
        ("terrain: [a.tif]", "exactly one"),
        ("surface: [a.tif], points: [b.laz]", "exactly one"),
        ("above_ground: [a.tif], terrain: [b.tif]", "leave it out"),
    ],
)
def test_a_site_file_names_one_form_of_heights(heights, hint):
    with pytest.raises(Exception, match=hint):
        site(heights)
