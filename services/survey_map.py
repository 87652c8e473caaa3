"""The map of a survey, as purposes see it that measure on maps: heights and colours by the window.

Such a purpose offers `survey(of: SurveyMap) -> list[Observation]` beside what every purpose offers.
Places are told in cells of `models.heights.GRID_M`, counted from the map's upper left corner.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.cells import NO_COLOUR, NOT_ANALYSED, height_map, part
from models.ground import Ground
from models.heights import GRID_M, HeightMap
from models.raster import Window
from services.events import Observation
from services.observing import Observing, Origin
from services.sites import Asset, Survey
from services.view import rings_from_above

__all__ = ["SurveyMap", "Surveying", "surveying"]


class SurveyMap(Observing):
    """Heights and mean colours of all that a raster shows, read window by window.

    Attributes:
        survey: of the site, that the raster belongs to.
        key: of the raster in the inbox.
        ground: where the cells lie.
        size_hw: cells down and across.
        infrared: whether colours have a fourth channel, near infrared.
        past: asset (URN) and quantity → what was ever observed of them, in the order of arrival.
    """

    def __init__(
        self,
        origin: Origin,
        survey: Survey,
        key: str,
        ground: Ground,
        heights: Any,
        colours: Any,
        past: Callable[[str, str], list[Observation]],
    ) -> None:
        """As `services.maps` does it.

        Args:
            origin: what all observations here have in common.
            survey: see the class.
            key: see the class.
            ground: see the class.
            heights: open dataset of `models.cells.BANDS`.
            colours: open dataset of the mean colours.
            past: see the class.
        """
        self._origin = origin
        self.survey, self.key, self.ground = survey, key, ground
        self.size_hw: tuple[int, int] = (heights.height, heights.width)
        self.infrared: bool = colours.count == 4
        self.past = past
        self._heights, self._colours = heights, colours

    @property
    def origin(self) -> Origin:
        """What all that is observed here has in common; `site` and `models` among it."""
        return self._origin

    def assets(self, purpose: str) -> list[tuple[Asset, list[NDArray[np.float64]]]]:
        """The assets of a purpose that lie on the map, or reach into it, with their outlines.

        Outlines (N, 2) are in cells, x before y: a polygon's outer ring, then its holes; a line; a
        point as a square of `services.view.POINT_M`.
        """
        height, width = self.size_hw
        shown = []
        for asset in (a for a in self.origin.site.assets if a.purpose == purpose):
            rings = rings_from_above(asset, self.ground, GRID_M)
            (left, top), (right, bottom) = rings[0].min(0), rings[0].max(0)
            if left < width and top < height and right > 0 and bottom > 0:
                shown.append((asset, rings))
        return shown

    def window(self, rings: Sequence[NDArray[np.floating]], margin_m: float = 0.0) -> Window:
        """The cells that hold outlines (N, 2) with a margin; it may reach beyond the map."""
        points, margin = np.concatenate(rings), margin_m / GRID_M
        left, top = (math.floor(low) for low in points.min(0) - margin)
        right, bottom = (math.ceil(high) for high in points.max(0) + margin)
        return Window(left, top, max(1, right - left), max(1, bottom - top))

    def heights(self, window: Window) -> HeightMap:
        """The heights in a window; beyond the map nothing is analysed."""
        told = part(self._heights, window, NOT_ANALYSED)
        ground = self.ground.part(window.column, window.row, 1, 1)
        return height_map(told, ground)

    def colours(self, window: Window) -> NDArray[np.uint8]:
        """uint8 (h, w, 3 or 4) mean red, green, blue[, near infrared]; 0 where there is none."""
        told = part(self._colours, window, NO_COLOUR)
        return np.ascontiguousarray(told.transpose(1, 2, 0))


@runtime_checkable
class Surveying(Protocol):
    """A purpose that measures on maps."""

    @staticmethod
    def survey(of: SurveyMap) -> list[Observation]: ...  # noqa: D102 - see the module


def surveying(purposes: Iterable[object]) -> list[Surveying]:
    """Those of these purposes that measure on maps."""
    return [purpose for purpose in purposes if isinstance(purpose, Surveying)]
