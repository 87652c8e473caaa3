"""Values of a survey that are no land: no data that nobody declares, and echoes far too low."""

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from models.elevation import on_grid, open_heights
from models.ground import Ground
from models.relief import ground_cells
from training.scenes.terrain import CRS_2154

X, TOP = 221_000.0, 6_758_020.0
HW = (40, 40)
PLACE = Ground((0.5, 0.0, X, 0.0, -0.5, TOP), CRS_2154)


@pytest.mark.parametrize("undeclared", [-9999, 9999])
@pytest.mark.parametrize(
    ("smooth", "gsd_m"), [(False, 0.1), (False, 0.2), (True, 0.2), (True, 1), (True, 5)]
)
def test_no_data_that_nobody_declares_is_not_averaged_with_land(
    gsd_m, smooth, undeclared, tmp_path
):
    side = round(20 / gsd_m)
    values = np.full((side, side), 30.0)
    values[:, side // 3 : side // 2] = undeclared
    made = rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", width=side, height=side, count=1,
        dtype="float32", crs=CRS_2154, transform=Affine(gsd_m, 0, X, 0, -gsd_m, TOP),
    )  # fmt: skip
    with made:
        made.write(values, 1)
    with rasterio.open(tmp_path / "a.tif") as file:
        seen = on_grid([open_heights(file)], PLACE, HW, smooth=smooth)
    known = np.isfinite(seen)
    assert known[:, 28:].all()
    assert not known[:, 15:19].any()
    np.testing.assert_allclose(seen[known], 30)


def test_a_few_values_far_too_low_do_not_pull_the_ground_down():
    rng = np.random.default_rng(5)
    low = rng.normal(60, 0.03, (200, 200)).astype(np.float32)
    low.flat[rng.choice(low.size, 10, replace=False)] -= 40
    low[100:102, 60:63] -= 300
    known = ground_cells(low, low, 0.5)
    assert known[low > 50].mean() > 0.99
    assert not known[low < 50].any()


@pytest.mark.parametrize(
    "land",
    [
        lambda x, y: np.minimum(abs(x - 50) * 0.8, 20),  # a valley
        lambda x, _: 10.0 * (abs(x - 50) > 2),  # a cutting with walls
        lambda x, y: 12.0 * (np.hypot(x - 50, y - 50) > 6),  # a pit
        lambda x, y: 20.0 * ((x % 33 > 5) | (y % 33 > 5)),  # gaps in a wood
    ],
)
def test_land_far_below_all_around_is_still_ground(land):
    y, x = (np.mgrid[:200, :200] * 0.5).astype(np.float32)
    height = land(x, y)
    level = (height + np.random.default_rng(6).normal(60, 0.03, x.shape)).astype(np.float32)
    assert ground_cells(level, level, 0.5)[height < 1].mean() > 0.6
