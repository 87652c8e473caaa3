"""The picture of a map, however narrow the map is."""

import io

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.io import MemoryFile

from models.cells import BANDS
from services.quicklook import quicklook


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("size_hw", [(30, 4000), (4000, 30), (3, 900), (900, 3), (20, 20)])
def test_a_narrow_map_is_no_endless_picture(size_hw):
    height, width = size_hw
    profile = {"driver": "GTiff", "height": height, "width": width}
    with MemoryFile() as first, MemoryFile() as second:
        with first.open(count=len(BANDS), dtype="uint16", **profile) as data:
            data.write(np.full((len(BANDS), height, width), 300, np.uint16))
        with second.open(count=3, dtype="uint8", **profile) as data:
            data.write(np.full((3, height, width), 90, np.uint8))
        with rasterio.open(first) as heights, rasterio.open(second) as colours:
            png = quicklook(heights, colours, "talus")
    picture = Image.open(io.BytesIO(png))
    assert 560 <= picture.width <= 1200
    assert picture.height <= 1300
