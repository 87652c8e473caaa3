"""The drawing surface: painter's order, who owns each pixel, and the truth read from it.

Pictures are drawn at twice their size and shrunk once at the end: that is the anti-aliasing. Far
things are drawn first, so what an object owns in the end is what a viewer sees of it, and boxes
read from the owners are exact.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.scenes.camera import NEAR_M, Camera, Floats, floats
from training.scenes.scene import Pixels, Scene, Stall

OVERSAMPLE = 2
_MIN_VISIBLE = 0.2  # of its pixels: an object hidden further is no longer ground truth
_MIN_JUDGED = 0.5  # of a container: hidden further, its state is anyone's guess
_MIN_SIDE_PX = 3


@dataclass(frozen=True, slots=True)
class _Object:
    label: str
    state: str | None
    id: str | None
    whole: int | None
    beside: int | None


class Canvas:
    """Pixels, owners and glow of a picture being drawn from far to near."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        height, width = (side * OVERSAMPLE for side in camera.size_hw)
        self.pixels: Pixels = np.zeros((height, width, 3), np.uint8)
        self.owner = np.full((height, width), -1, np.int16)
        self.glow: Pixels = np.zeros((height, width), np.uint8)  # share of light of its own
        self._objects: list[_Object] = []
        self._claimed: list[int] = []

    def add(
        self,
        label: str,
        state: str | None = None,
        asset: str | None = None,
        *,
        whole: int | None = None,
        beside: int | None = None,
    ) -> int:
        """Register an object and get the number it owns pixels by.

        `whole` is the object it is part of, `beside` the container that waste belongs to.
        """
        self._objects.append(_Object(label, state, asset, whole, beside))
        self._claimed.append(0)
        return len(self._objects) - 1

    def project(self, points: Floats) -> Floats:
        """World points (N, 3) → px (N, 2) of the drawing surface."""
        return self.camera.project(points) * OVERSAMPLE

    def face(
        self,
        corner: Floats,
        across: Floats,
        down: Floats,
        texture: Pixels,
        owner: int = -1,
        *,
        shade: Floats | float = 1.0,
        glow: float = 0.0,
        two_sided: bool = False,
    ) -> None:
        """Draw a textured rectangle in space, seen from its front.

        Args:
            corner: top left corner (3,), m, seen from the front.
            across, down: from there to the top right and the bottom left corner (3,), m.
            texture: uint8 (h, w, 3) RGB or (h, w, 4) with opacity.
            owner: object that owns what is painted; −1 paints background over whatever is there.
            shade: factor on the colours, one or RGB.
            glow: share of self-lit light by night.
            two_sided: also draw when seen from behind.
        """
        normal = np.cross(down, across)
        eye = np.array([0, 0, self.camera.height_m], np.float32)
        if not two_sided and normal @ (eye - corner) <= 0:
            return
        quad = np.stack([corner, corner + across, corner + across + down, corner + down])
        depth = self.camera.depth(quad)
        if depth.max() <= NEAR_M:
            return
        if depth.min() <= NEAR_M:
            if texture.shape[1] < 16:
                return
            half = texture.shape[1] // 2
            share = half / texture.shape[1]
            for start, part, piece in (
                (0.0, share, texture[:, :half]),
                (share, 1 - share, texture[:, half:]),
            ):
                self.face(
                    corner + across * start,
                    across * part,
                    down,
                    piece,
                    owner,
                    shade=shade,
                    glow=glow,
                    two_sided=two_sided,
                )
            return
        self._warp(self.project(quad), texture, owner, shade, glow)

    def _warp(
        self, quad: Floats, texture: Pixels, owner: int, shade: Floats | float, glow: float
    ) -> None:
        x1, y1 = np.maximum(np.floor(quad.min(0)).astype(int), 0)
        x2, y2 = np.minimum(np.ceil(quad.max(0)).astype(int) + 1, self.owner.shape[::-1])
        if x1 >= x2 or y1 >= y2 or abs(cv2.contourArea(quad)) < 1:
            return
        sides = np.linalg.norm(quad - np.roll(quad, -1, 0), axis=1)
        shrink = min(
            texture.shape[1] / max(1.0, sides[0], sides[2]),
            texture.shape[0] / max(1.0, sides[1], sides[3]),
        )
        if shrink > 1.5:
            size = (
                max(1, round(texture.shape[1] / shrink)),
                max(1, round(texture.shape[0] / shrink)),
            )
            texture = cv2.resize(texture, size, interpolation=cv2.INTER_AREA)
        height, width = texture.shape[:2]
        source = floats([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
        matrix = cv2.getPerspectiveTransform(source, quad - floats([x1, y1]))
        patch = cv2.warpPerspective(
            texture, matrix, (int(x2 - x1), int(y2 - y1)), borderMode=cv2.BORDER_REPLICATE
        )
        mask = np.zeros(patch.shape[:2], np.uint8)
        corners = np.round((quad - [x1, y1]) * 16).clip(-(2**27), 2**27).astype(np.int32)
        cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_8, 4)
        if patch.shape[2] == 4:
            mask = np.minimum(mask, patch[..., 3])
        self.blend(int(x1), int(y1), patch[..., :3], mask, owner, shade=shade, glow=glow)

    def blend(
        self,
        x: int,
        y: int,
        patch: Pixels,
        opacity: Pixels,
        owner: int = -1,
        *,
        shade: Floats | float = 1.0,
        glow: float = 0.0,
    ) -> None:
        """Lay `patch` (h, w, 3) over the surface with its left top at x, y px; may stick out."""
        height, width = self.owner.shape
        left, top = max(0, -x), max(0, -y)
        right, bottom = min(patch.shape[1], width - x), min(patch.shape[0], height - y)
        if left >= right or top >= bottom:
            return
        patch, opacity = patch[top:bottom, left:right], opacity[top:bottom, left:right]
        here = np.s_[y + top : y + bottom, x + left : x + right]
        lit = np.multiply(patch, np.broadcast_to(np.asarray(shade, np.float32), (3,)))
        under = self.pixels[here]
        share = (opacity.astype(np.float32) / 255)[..., None]
        self.pixels[here] = np.clip(under + (lit - under) * share, 0, 255)
        solid = opacity >= 128
        self.glow[here][solid] = round(glow * 255)
        self._own(self.owner[here], solid, owner)

    def _own(self, here: NDArray[np.int16], solid: NDArray[np.bool_], owner: int) -> None:
        if owner >= 0:
            self._claimed[owner] += int(np.count_nonzero(solid & (here != owner)))
        here[solid] = owner

    def cells(self, polygons: Floats, colours: Floats, owner: int = -1) -> None:
        """Fill convex cells (N, K, 3 or 2) with colours (N, 3) 0–255, far cells first.

        Cells of three coordinates are metres in the world, of two px of the surface.
        """
        if polygons.shape[2] == 3:
            flat = polygons.reshape(-1, 3)
            depth = self.camera.depth(flat).reshape(polygons.shape[:2])
            order = np.argsort(-depth.mean(1))
            order = order[depth.min(1)[order] > NEAR_M]
            points = self.project(flat).reshape(*polygons.shape[:2], 2)[order]
        else:
            order, points = np.arange(len(polygons)), polygons
        if not len(points):
            return
        low = np.maximum(np.floor(points.min((0, 1))).astype(int), 0)
        high = np.minimum(np.ceil(points.max((0, 1))).astype(int) + 1, self.owner.shape[::-1])
        if (low >= high).any():
            return
        here = np.s_[low[1] : high[1], low[0] : high[0]]
        pixels = np.ascontiguousarray(self.pixels[here])
        mask = np.zeros(pixels.shape[:2], np.uint8)
        fixed = np.round((points - low) * 16).clip(-(2**27), 2**27).astype(np.int32)
        for corners, colour in zip(fixed, colours[order].clip(0, 255).tolist(), strict=True):
            cv2.fillConvexPoly(pixels, corners, colour, cv2.LINE_8, 4)
            cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_8, 4)
        self.pixels[here] = pixels
        self.glow[here][mask > 0] = 0
        self._own(self.owner[here], mask > 0, owner)

    def billboard(
        self,
        foot: Floats,
        width_m: float,
        sprite: Pixels,
        owner: int = -1,
        *,
        shade: Floats | float = 1.0,
    ) -> None:
        """Stand an RGBA sprite upright on `foot` (3,), facing the camera, `width_m` wide."""
        across = self.camera.axes[0] * [1, 1, 0]
        across = across / np.linalg.norm(across) * width_m
        height_m = width_m * sprite.shape[0] / sprite.shape[1]
        down = np.array([0, 0, -height_m], np.float32)
        self.face(
            foot - across / 2 - down, across, down, sprite, owner, shade=shade, two_sided=True
        )

    def owners(self) -> NDArray[np.int16]:
        """int16 (H, W): owners at the size of the final picture."""
        return self.owner[OVERSAMPLE // 2 :: OVERSAMPLE, OVERSAMPLE // 2 :: OVERSAMPLE]

    def truth(self, pixels: Pixels, stalls: dict[str, Stall], night: bool) -> Scene:
        """The scene of what is visible now, with `pixels` for its final picture."""
        owner = self.owners()
        counts, boxes = extents(owner, len(self._objects))
        # A part takes pixels from its whole, which thereby loses nothing.
        for number, thing in enumerate(self._objects):
            if thing.whole is not None and counts[number]:
                boxes[thing.whole, :2] = np.minimum(boxes[thing.whole, :2], boxes[number, :2])
                boxes[thing.whole, 2:] = np.maximum(boxes[thing.whole, 2:], boxes[number, 2:])
                counts[thing.whole] += counts[number]
        visible = counts * OVERSAMPLE**2 / np.maximum(self._claimed, 1)
        sides = (boxes[:, 2:] - boxes[:, :2]).min(1, initial=1e9)
        kept = np.flatnonzero((visible >= _MIN_VISIBLE) & (sides >= _MIN_SIDE_PX))
        soiled = {self._objects[i].beside for i in kept}
        states = []
        for number in kept.tolist():
            thing = self._objects[number]
            unseen = thing.state in ("side_waste", "overflow") and number not in soiled
            hidden = thing.state is not None and (unseen or visible[number] < _MIN_JUDGED)
            states.append("unknown" if hidden else thing.state)
        renumber = np.full(len(self._objects) + 1, -1, np.int16)
        renumber[kept] = np.arange(len(kept), dtype=np.int16)
        labels = tuple(self._objects[i].label for i in kept)
        return Scene(
            pixels=pixels,
            boxes=boxes[kept],
            labels=labels,
            states=tuple(states),
            ids=tuple(self._objects[i].id for i in kept),
            dirty="waste" in labels,
            owner=renumber[owner],
            night=night,
            height_m=None,
            stalls=stalls,
        )


def extents(owner: NDArray[np.int16], count: int) -> tuple[NDArray[np.int64], Floats]:
    """Pixels owned by each of `count` objects (N,), and their half-open xyxy bounds (N, 4)."""
    rows, columns = np.nonzero(owner >= 0)
    owners = owner[rows, columns]
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners, minlength=count)
    boxes = np.zeros((count, 4), np.float32)
    ends = np.cumsum(counts)
    for number in np.flatnonzero(counts):
        mine = order[ends[number] - counts[number] : ends[number]]
        x, y = columns[mine], rows[mine]
        boxes[number] = x.min(), y.min(), x.max() + 1, y.max() + 1
    return counts, boxes
