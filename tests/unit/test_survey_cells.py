"""An asset's cells, read a little at a time: each once, whatever the steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ground import Ground
from models.heights import GRID_M, HeightMap
from models.parcels import inside, near
from models.raster import Window
from services import survey_cells
from services.survey_cells import colours, gathered, pieces, strips
from services.survey_map import SurveyMap

SIZE = 90
GROUND = Ground((GRID_M, 0, 0, 0, -GRID_M, 0), "EPSG:2154")
POINTS = st.lists(st.tuples(st.floats(-20, 110), st.floats(-20, 110)), min_size=3, max_size=6)


class Map:
    """Heights that tell the place of their cell; beyond the map nothing is analysed."""

    window = SurveyMap.window

    def __init__(self):
        self.read = 0

    def heights(self, window):
        self.read += window.width * window.height
        rows, columns = np.indices((window.height, window.width))
        rows, columns = rows + window.row, columns + window.column
        known = (rows >= 0) & (rows < SIZE) & (columns >= 0) & (columns < SIZE)
        metres = np.where(known, rows * SIZE + columns, 0).astype(np.float32)
        one = known.astype(np.float32)
        return HeightMap(metres, one, one, known, GROUND)

    def colours(self, window):
        return (self.heights(window).metres % 256).astype(np.uint8)[..., None]


@pytest.fixture(autouse=True, params=[7, 512])
def step(request, monkeypatch):
    monkeypatch.setattr(survey_cells, "_STEP_CELLS", request.param)


def places(told):
    return told.metres[told.valid].tolist()


def expected(mask):
    """The places of a mask that lies around the map by 40 cells."""
    rows, columns = np.nonzero(mask[40 : 40 + SIZE, 40 : 40 + SIZE])
    return (rows * SIZE + columns).tolist()


@given(POINTS, st.floats(1, 6))
def test_cells_near_a_line_come_once_wherever_it_turns(points, distance_m):
    line, around = np.array(points), (SIZE + 80, SIZE + 80)
    told = gathered(Map(), pieces(Map(), line, distance_m))
    mask = near(line + 40, distance_m / GRID_M, around)
    assert abs(len(places(told)) - len(expected(mask))) <= 2  # of rounding at the very distance
    assert len(places(told)) == len(set(places(told)))
    assert told.valid.size == pytest.approx(mask.sum(), abs=2)  # beyond the map, too


def test_cells_of_a_polygon_are_those_inside_it_with_its_holes_left_out():
    outer = np.array([[5, 5], [80, 10], [70, 100], [-10, 60]], float)
    hole = np.array([[30, 30], [40, 30], [40, 44], [30, 44]], float)
    window = SurveyMap.window(None, [outer])
    told = gathered(Map(), strips(window, [outer, hole]))
    mask = inside([outer + 40, hole + 40], (SIZE + 80, SIZE + 80))
    assert places(told) == expected(mask)
    assert told.valid.size == mask.sum()


def test_colours_are_those_of_the_chosen_cells_in_the_order_of_heights():
    triangle = [np.array([[5, 5], [80, 10], [40, 85]], float)]
    window = SurveyMap.window(None, triangle)
    told = gathered(Map(), strips(window, triangle))
    chosen = told.metres[0] % 3 == 0
    shown = np.concatenate(list(colours(Map(), strips(window, triangle), chosen)))
    np.testing.assert_array_equal(shown[:, 0], told.metres[0][chosen] % 256)


def test_a_long_line_reads_what_lies_along_it_and_not_its_box():
    seen = Map()
    gathered(seen, pieces(seen, np.array([[0, 0], [4000, 4000]], float), 5))
    assert seen.read < 4000 * 4000 / 4
    assert isinstance(seen.window([np.zeros((1, 2))]), Window)
