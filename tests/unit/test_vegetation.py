"""Heights from straight above: the network's answer as a map, and what it learns from."""

from dataclasses import asdict
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
import rasterio
import torch

from models.canopy import Canopy, CanopyNetwork
from models.card import Architecture, Card, read_card
from models.checkpoint import save
from models.detectors.vegetation import MAX_GSD_M, Look, VegetationDetector
from models.errors import BadAnswer, BadImage
from models.frame import Frame
from models.ground import Ground
from models.heights import OVERLAP_CELLS, HeightMap, ramp
from models.raster import PITCH_CELLS
from models.redaction import Region, redact
from training.canopy import Seen, _blocks, _crowns, _heights
from training.tasks.vegetation import RECIPE, losses
from training.vegetation import (
    COVERS,
    GRASS,
    OTHER,
    TREE,
    Land,
    read_heights,
    view,
    with_trees,
)

SIDE = 192
LAMBERT_93 = Ground((0.25, 0, 650_000, 0, -0.25, 6_860_000), "EPSG:2154")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A network that learned nothing."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("canopy")
    network = CanopyNetwork(Architecture(COVERS, input_px=SIDE, channels=24, kind="canopy"))
    card = Card(
        "vegetation",
        network.architecture,
        "",
        dict.fromkeys(COVERS, 0.5),
        {"spread": (2.0, 0.0)},
        "Apache-2.0",
        "nothing",
        asdict(RECIPE),
    )
    save(network.eval(), card, folder)
    return VegetationDetector(folder=folder, cache=folder, precision="f32")


def drawn(height, width, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    return coarse.astype(np.uint8).repeat(8, 0).repeat(8, 1)[:height, :width]


def frame(pixels, found=(), ground=LAMBERT_93, gsd_m=0.25):
    at = datetime(2026, 6, 1, tzinfo=UTC)
    original = Frame("a.tif", pixels, "s", at, "object", ground, None, gsd_m)
    return redact(original, found, redactor="none@0")


def test_heights_lie_on_half_metres_from_the_upper_left_corner(detector):
    told = detector.heights(frame(drawn(130, 201)))
    assert told.metres.shape == (65, 100)
    assert told.valid.all()
    assert told.ground.crs == "EPSG:2154"
    np.testing.assert_allclose(
        told.ground.lon_lat(np.array([[0, 0], [100, 65]])),
        LAMBERT_93.lon_lat(np.array([[0, 0], [201, 130]])),
        atol=1e-9,
    )


def test_what_is_covered_or_without_data_is_not_analysed(detector):
    valid = np.ones((128, 128), bool)
    valid[100:, :] = False
    told = detector.heights(frame(drawn(128, 128), [Region((0, 0, 32, 32), "face", 0.9)]), valid)
    assert not told.valid[:16, :16].any()
    assert not told.valid[50:, :].any()
    assert told.valid[24:50, 24:].all()
    assert told.metres[~told.valid].sum() == told.sigma[~told.valid].sum() == 0


def test_a_cell_of_which_a_pixel_is_unknown_is_unknown(detector):
    valid = np.ones((128, 128), bool)
    valid[64, 64] = False
    told = detector.heights(frame(drawn(128, 128)), valid)
    assert not told.valid[32, 32]
    assert told.valid.sum() == 64 * 64 - 1


def test_heights_need_a_georeference_and_fine_pixels(detector):
    with pytest.raises(BadImage, match="no_ground"):
        detector.heights(frame(drawn(64, 64), ground=None))
    with pytest.raises(BadImage, match="too_coarse"):
        detector.heights(frame(drawn(64, 64), gsd_m=MAX_GSD_M + 0.01))


def test_windows_of_a_map_say_together_what_one_look_at_the_whole_says(detector):
    height, width, window = 200, 416, OVERLAP_CELLS + PITCH_CELLS
    whole = detector.look(drawn(height, width)).metres
    assert PITCH_CELLS % (SIDE - OVERLAP_CELLS) == 0
    total, weights = np.zeros((2, height, width))
    for left in range(0, width - OVERLAP_CELLS, PITCH_CELLS):
        part = drawn(height, width)[:, left : left + window]
        before, after = left > 0, left + window < width
        weight = ramp(window, before, after)[: part.shape[1]]
        total[:, left : left + window] += detector.look(part).metres * weight
        weights[:, left : left + window] += weight
    np.testing.assert_allclose(total / weights, whole, rtol=1e-4)
    alone = detector.look(drawn(height, width)[:, OVERLAP_CELLS:]).metres  # a window elsewhere
    assert np.abs(alone - whole[:, OVERLAP_CELLS:]).max() > 1e-3


def test_the_network_that_ships_looks_at_squares_that_windows_hold_whole():
    side = read_card("vegetation").architecture.input_px
    assert PITCH_CELLS % (side - OVERLAP_CELLS) == 0
    assert side <= OVERLAP_CELLS + PITCH_CELLS


def test_probabilities_add_up_and_the_same_picture_is_told_the_same(detector):
    one, other = detector.look(drawn(100, 77)), detector.look(drawn(100, 77))
    np.testing.assert_allclose(one.covers.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(one.metres, other.metres)
    assert (one.metres >= 0).all() and (one.spread > 0).all()


def test_sigma_follows_the_cards_calibration_and_is_never_better_than_lidar(detector):
    sigma = detector.sigma(np.array([0.0, 1.0, 3.0], np.float32))
    np.testing.assert_allclose(sigma, np.hypot([0, 2, 6], 0.1), rtol=1e-6)


def test_numbers_that_are_none_are_refused(detector, monkeypatch):
    shape = (1, 1, SIDE, SIDE)
    answer = [np.zeros((1, 3, SIDE, SIDE)), np.full(shape, np.nan), np.zeros(shape)]
    monkeypatch.setattr(detector, "_run", lambda _: answer)
    with pytest.raises(BadAnswer, match="not_finite"):
        detector.look(drawn(64, 64))


def test_a_map_refuses_what_is_not_one():
    good = np.ones((2, 2), np.float32)
    known = np.ones((2, 2), bool)
    HeightMap(good, good, good, known, LAMBERT_93)
    for bad in (-good, good * np.nan, good[:1], good.astype(np.float64)):
        with pytest.raises(ValueError, match=r"."):
            HeightMap(bad, good, good, known, LAMBERT_93)
    with pytest.raises(ValueError, match="0 where not valid"):
        HeightMap(good, good, good, ~known, LAMBERT_93)


def canopy(metres, covers=None, log_spread=0.0):
    height = torch.as_tensor(metres, dtype=torch.float32)[None, None]
    logits = torch.zeros(1, 3, *height.shape[2:]) if covers is None else covers
    return Canopy(logits, height, torch.full_like(height, log_spread))


def test_a_tree_laid_over_wrongly_by_a_metre_costs_nothing_by_four_it_does():
    truth = np.zeros((64, 64), np.float32)
    truth[8:12, 8:12] = 10
    anything = torch.full((1, 64, 64), 7, dtype=torch.uint8)

    def cost(shift):
        said = np.roll(truth, shift, 1)
        return losses(canopy(said), torch.from_numpy(truth)[None, None], anything)["height"].item()

    assert cost(0) == pytest.approx(0, abs=1e-6)
    assert cost(2) == pytest.approx(0, abs=1e-6)
    assert cost(8) > 0.01


def test_unknown_heights_and_covers_teach_nothing():
    unknown = torch.full((1, 1, 32, 32), torch.nan)
    parts = losses(canopy(np.ones((32, 32))), unknown, torch.zeros(1, 32, 32, dtype=torch.uint8))
    assert all(part.item() == 0 for part in parts.values())


def test_a_cover_that_may_be_two_things_is_right_for_both_and_wrong_for_the_third():
    logits = torch.zeros(1, 3, 32, 32)
    logits[:, 1] = 20  # grass
    metres = torch.full((1, 1, 32, 32), torch.nan)

    def cost(bits):
        covers = torch.full((1, 32, 32), bits, dtype=torch.uint8)
        return losses(canopy(np.ones((32, 32)), logits), metres, covers)["cover"].item()

    assert cost(GRASS) == cost(GRASS | OTHER) == pytest.approx(0, abs=1e-4)
    assert cost(TREE) > 5


def test_views_keep_pictures_heights_and_covers_together():
    metres = np.zeros((200, 200), np.float32)
    metres[60:140, 60:140] = 10
    pixels = np.where(metres[..., None] > 0, 255, 0).astype(np.uint8).repeat(3, 2)
    covers = np.where(metres > 0, TREE, GRASS).astype(np.uint8)
    land = Land(pixels, metres, covers, "r")
    for seed in range(20):
        shown = view(land, 128, np.random.default_rng(seed))
        high = shown.metres > 0
        assert ((shown.covers == TREE) == high).mean() > 0.99
        assert 7 < shown.metres.max() < 13
        if 0.1 < high.mean() < 0.9:
            grey = shown.pixels.mean(2)
            assert grey[high].mean() > grey[~high].mean() + 20


def test_figures_of_a_perfect_answer_and_of_one_that_is_off_by_a_metre():
    rng = np.random.default_rng(0)
    metres = rng.uniform(0, 20, (256, 256)).astype(np.float32)
    land = Land(np.zeros((256, 256, 3), np.uint8), metres, np.zeros((256, 256), np.uint8), "r")

    def table(said, sigma):
        look = (np.zeros((3, 256, 256), np.float32), said, np.full_like(said, sigma))
        return _heights(_blocks([Seen(land, Look(*look), look[2])]))

    right, off = table(metres, 1.0), table(metres + 1, 0.5)
    assert right["MAE, m"][0] == 0
    assert right["balanced accuracy of height bands"][0] == 1
    assert off["MAE, m"][0] == off["bias, m"][0] == pytest.approx(1, abs=1e-5)
    assert off["coverage of 90 % intervals"][0] == 0
    assert right["MAE of their median, m"][0] == pytest.approx(4.9, abs=0.2)


def write_cover(folder, city):
    for name in ("images", "labels", "trees"):
        (folder / "vegetation" / "cover" / name).mkdir(parents=True, exist_ok=True)
    labels = np.full((60, 60), 255, np.uint8)
    labels[:, :20] = 1  # grass
    there = folder / "vegetation" / "cover"
    cv2.imwrite(str(there / "images" / f"{city}_0.jpg"), drawn(60, 60))
    cv2.imwrite(str(there / "labels" / f"{city}_0.png"), labels)
    (there / "trees" / f"{city}_0.csv").write_text("x,y\n50,30\n10,30\n")


def test_what_nobody_labelled_is_tree_where_people_marked_one(tmp_path):
    write_cover(tmp_path, "bishop")
    [(land, trees)] = with_trees(tmp_path, "train")
    assert land.covers.shape == (72, 72)
    np.testing.assert_allclose(trees, [[60, 36], [12, 36]])
    assert (land.covers[36, 58:63] == TREE).all()  # within a metre
    assert (land.covers[36, [56, 64]] == TREE | GRASS | OTHER).all()
    assert (land.covers[:, :20] == GRASS).all()  # a label is believed


def test_marked_trees_are_found_where_the_network_says_tree(tmp_path):
    write_cover(tmp_path, "eureka")
    [(land, trees)] = with_trees(tmp_path, "val")
    covers = np.zeros((3, 72, 72), np.float32)
    covers[COVERS.index("tree"), :, 30:], covers[0, :, :30] = 1, 1
    look = Look(covers, land.metres, land.metres)
    found = _crowns([Seen(land, look, land.metres)], [trees])
    assert found["marked trees said to be one"][0] == 0.5


def test_raw_heights_are_of_single_cells_others_of_the_highest_around(tmp_path):
    folder = tmp_path / "vegetation"
    folder.mkdir()
    centimetres = np.zeros((40, 40), np.uint16)
    centimetres[20, 20] = 900
    for name, bands in (("rgb", np.full((3, 40, 40), 90, np.uint8)), ("h", centimetres[None])):
        with rasterio.open(
            folder / f"a_{name}.tif", "w", driver="GTiff", height=40, width=40, count=len(bands),
            dtype=bands.dtype, transform=rasterio.Affine(0.5, 0, 0, 0, -0.5, 0),
        ) as file:  # fmt: skip
            file.write(bands)
    (folder / "height.csv").write_text(
        "rgb,height,cls,split,region,gsd_m\na_rgb.tif,a_h.tif,,val,r,0.5\n"
    )
    for raw, count in ((True, 1), (False, 9)):
        [land] = read_heights(tmp_path, "val", registered=False, raw=raw)
        assert (land.metres == 9).sum() == count
