"""Waste containers: what towns put out, closed, ajar or bursting, and open skips."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from training.scenes import skip, texture
from training.scenes.camera import floats
from training.scenes.canvas import Canvas
from training.scenes.container_parts import (
    PX_PER_M,
    Builder,
    chevrons,
    dark,
    no_parking,
)
from training.scenes.solids import Light, Pose
from training.scenes.texture import Colour, darker

_GREENS: tuple[Colour, ...] = (
    (88, 128, 72),
    (72, 112, 66),
    (102, 138, 88),
    (96, 104, 108),
    (64, 96, 58),
)
_DARKS: tuple[Colour, ...] = (
    (58, 62, 66),
    (44, 48, 52),
    (40, 66, 60),
    (142, 148, 152),
    (74, 78, 82),
)
_LIDS: tuple[Colour, ...] = (
    (232, 196, 40),
    (34, 92, 168),
    (60, 66, 70),
    (46, 118, 66),
    (112, 72, 44),
    (196, 52, 48),
)
_BODIES: tuple[Colour, ...] = ((62, 68, 72), (40, 92, 62), (84, 90, 94), (44, 62, 54))
_GLASS_BANKS: tuple[Colour, ...] = ((48, 112, 70), (36, 84, 150), (226, 222, 212), (60, 124, 84))
_DRUMS: tuple[Colour, ...] = ((46, 84, 58), (66, 70, 74), (52, 56, 66), (120, 84, 56))
_INKS: tuple[Colour, ...] = ((34, 34, 36), (206, 202, 210), (48, 70, 150))


@dataclass(frozen=True, slots=True)
class Container:
    """One container: its kind, where it stands, and the seed of its looks."""

    kind: str
    pose: Pose
    seed: int
    asset: str | None = None

    @property
    def size(self) -> tuple[float, float, float]:
        """Wide, deep and tall in metres."""
        return KINDS[self.kind][0]

    def draw(self, canvas: Canvas, light: Light, owner: int, heap: int | None) -> None:
        """Draw it; bursting, its contents owned by `heap`, unless that is None."""
        rng = np.random.default_rng(self.seed)
        KINDS[self.kind][1](Builder(canvas, light, rng, self.pose, owner), heap)


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return colours[rng.integers(len(colours))]


def _metal(build: Builder, heap: int | None) -> None:
    """Side-loaded metal container: ribbed body, pitched lid, chevrons, lifting arms."""
    wide, deep, tall = KINDS["metal"][0]
    rng, rim, half = build.rng, 1.18, deep / 2
    colour = _pick(rng, _GREENS)
    body = build.panel(wide, rim - 0.1, colour, ribs=int(rng.integers(5, 8)), dirt=0.8, rust=0.8)
    height, width = body.shape[:2]
    mark = round(0.13 * PX_PER_M)
    for x in (round(0.05 * width), round(0.95 * width) - mark):
        chevrons(body, x, round(0.16 * height), mark, round(0.4 * height))
    if rng.random() < 0.7:
        x, y = round(rng.uniform(0.35, 0.72) * width), round(rng.uniform(0.35, 0.5) * height)
        no_parking(body, x, y, round(rng.uniform(0.12, 0.2) * PX_PER_M))
    if rng.random() < 0.5:
        texture.scribble(rng, body, _pick(rng, _INKS), int(rng.integers(2, 6)))
    lid = build.panel(wide, 0.62, darker(colour, 0.92), ribs=2, dirt=0.6, rust=0.5)
    ridge = build.panel(wide, 0.4, darker(colour, 0.92), dirt=0.6)
    back = build.panel(wide, rim - 0.1, colour, ribs=6, dirt=0.8, rust=0.8)
    outline = [(-half * 0.92, 0.1), (-half, rim), (-0.2, tall), (0.2, tall), (half, rim)]
    outline.append((half * 0.92, 0.1))
    ends = build.end(colour, outline, ribs=7)
    mark_y = round((tall - rim + 0.15) * PX_PER_M)
    chevrons(ends, round(0.08 * ends.shape[1]), mark_y, mark, round(0.4 * height))
    arm, pin, foot = ends.shape[1] // 2, round(0.05 * PX_PER_M), round(1.3 * PX_PER_M)
    hinge = round(0.85 * PX_PER_M), round(1.05 * PX_PER_M)
    cv2.rectangle(ends, (arm - pin, 0), (arm + pin, foot), (150, 154, 156, 255), -1)
    cv2.line(ends, (arm + pin, 0), (arm + pin, foot), (84, 88, 90, 255), 2)
    steel = (120, 124, 126, 255)
    cv2.rectangle(ends, (arm - 2 * pin, hinge[0]), (arm + 2 * pin, hinge[1]), steel, -1)
    for x in (-0.75, 0.75):
        for y in (0.5, -0.5):
            build.box((x, y), (0.16, 0.16, 0.16), (dark(),) * 3)
    gap = lid if heap is None else dark()
    build.prism(wide, outline, ends, [body, gap, ridge, lid, back])
    x = wide / 2
    if heap is not None:
        # The lid stands ajar: its front edge is lifted, and rubbish fills the gap.
        build.contents(heap, (wide, deep, rim + 0.02), int(rng.integers(5, 9)))
        up = float(rng.uniform(0.25, 0.55))
        flap = ((-x, -0.2, tall + 0.02), (x, -0.2, tall + 0.02), (-x, -half - 0.05, rim + up))
        build.face(flap, lid, two_sided=True)
    edge = ((-x, -half - 0.02, rim), (x, -half - 0.02, rim), (-x, -half - 0.02, rim - 0.04))
    build.face(edge, dark())


def _bin(build: Builder, heap: int | None, wheels: int) -> None:
    """A wheeled plastic bin: tapered body, coloured lid."""
    wide, deep, tall = KINDS[f"bin{wheels}"][0]
    rng = build.rng
    colour, lid_colour = _pick(rng, _BODIES), _pick(rng, _LIDS)
    rim, gap = tall * 0.84, 0.13 if wheels == 4 else 0.03
    for x in (-0.36, 0.36):
        for y in (0.36, -0.36) if wheels == 4 else (0.4,):
            build.box((x * wide, y * deep), (0.06, 0.18, 0.18), (dark(),) * 3)
    front = build.panel(wide, rim - gap, colour, dirt=0.5)
    height, width = front.shape[:2]
    for share in (0.2, 0.5, 0.8) if wheels == 4 else ():
        x = round(share * width)
        cv2.line(front, (x, 0), (x, height), darker(colour, 0.8), 3)
    build.label(front, (0.36, 0.28), (0.26, 0.24))
    cv2.rectangle(front, (0, 0), (width, round(0.07 * height)), darker(colour, 0.7), -1)
    side = build.panel(deep, rim - gap, colour, dirt=0.5)
    size = (wide * 0.97, deep * 0.94, rim - gap)
    build.box((0, 0), size, (front, side, dark()), foot=0.82, base=gap)
    lid = build.panel(wide, deep, lid_colour, dirt=0.3)
    rows, columns = lid.shape[:2]
    cv2.rectangle(lid, (2, 2), (columns - 3, rows - 3), darker(lid_colour, 0.8), 2)
    x, y = wide / 2, deep / 2
    if heap is None:
        lip = build.panel(wide, 0.1, lid_colour, dirt=0.2)
        outline = [(-y, rim), (-y, rim + 0.05), (-y * 0.55, tall), (y * 0.6, tall), (y, rim)]
        ends = build.end(lid_colour, outline)
        build.prism(wide, outline, ends, [lip, lid[-48:], lid, lid[:24]])
        return
    # The open lid stands behind the heap.
    swing = float(rng.uniform(0.6, 1.7))
    rise, reach = deep * float(np.sin(swing)), deep * float(np.cos(swing))
    top = ((-x, y - reach, rim + rise), (x, y - reach, rim + rise), (-x, y, rim))
    build.face(top, lid, two_sided=True)
    build.contents(heap, (wide, deep, rim + 0.05), 3 + wheels)


def _inlet(build: Builder, heap: int | None) -> None:
    """Inlet of an underground container: a column with a slanted front, hatch and sticker."""
    wide, deep, tall = KINDS["inlet"][0]
    rng, half, break_z = build.rng, deep / 2, 0.84
    colour = _pick(rng, _DARKS)
    plate = texture.panel(rng, 200, 200, (146, 148, 146), dirt=0.3)
    rows, columns = np.mgrid[:200, :200]
    plate[((rows + columns) % 10 < 2) ^ ((rows - columns) % 10 < 2)] //= 8
    plate[...] = cv2.addWeighted(plate, 0.35, cv2.GaussianBlur(plate, (0, 0), 3), 0.65, 0)
    cv2.rectangle(plate, (2, 2), (197, 197), (96, 98, 98), 3)
    ground = Builder(build.canvas, build.light, rng, build.pose, -1)
    ground.face(((-0.9, 0.9, 0.02), (0.9, 0.9, 0.02), (-0.9, -0.9, 0.02)), plate)
    outline = [(-half * 0.86, 0.0), (-half, break_z), (-0.02, tall), (half * 0.9, tall)]
    outline += [(half, break_z), (half * 0.86, 0.0)]
    ends = build.end(colour, outline)
    front = build.panel(wide, break_z, colour, dirt=0.5)
    if rng.random() < 0.6:
        build.label(front, (0.3, 0.32), (0.35, 0.2))
    slant = build.panel(wide, 0.58, colour, dirt=0.2)
    height, width = slant.shape[:2]
    drum = floats(np.sin(np.linspace(0.2, np.pi - 0.3, round(0.62 * height))) ** 2) * 0.55 + 0.3
    steel = np.broadcast_to(drum[:, None, None], (len(drum), round(0.7 * width), 3))
    hatch = texture.to_pixels(steel * floats([0.96, 0.99, 1.0]))
    if heap is not None:
        hatch[: hatch.shape[0] // 2] = (20, 20, 22)
    top, left = round(0.22 * height), round(0.15 * width)
    low, right = top + hatch.shape[0], left + hatch.shape[1]
    slant[top:low, left:right] = hatch
    cv2.rectangle(slant, (left, top), (right, low), (30, 32, 34), 2)
    cv2.rectangle(slant, (left, 2), (right, top - 3), (222, 188, 40), -1)
    build.label(slant, (0.32, 0.5), (0.36, 0.24))
    roof = build.panel(wide, 0.4, colour, dirt=0.4)
    back = build.panel(wide, break_z, colour, dirt=0.5)
    build.prism(wide, outline, ends, [front, slant, roof, back, back])
    post = [(0.05, 0.16), (0.05, 0.12), (0.025, 0.12), (0.025, 0.0)]
    build.lathe(post, floats([150, 154, 158]), around=10, at=(0, 0.15, tall))
    if heap is not None:
        build.contents(heap, (0.5, 0.3, break_z + 0.08), 3)


def _igloo(build: Builder, heap: int | None) -> None:
    """Bottle bank: a plastic dome with round openings."""
    rng, around = build.rng, 44
    colour = floats(_pick(rng, _GLASS_BANKS))
    profile = [(0.03, 1.68), (0.14, 1.66), (0.34, 1.58), (0.52, 1.42), (0.64, 1.2), (0.70, 0.95)]
    profile += [(0.745, 0.6), (0.77, 0.3), (0.78, 0.12), (0.74, 0.04), (0.7, 0.0)]
    rings = np.ones((len(profile) - 1, around, 1), np.float32)
    rings[-2:] = 0.6
    rings += rng.normal(0, 0.006, rings.shape)
    build.lathe(profile, rings * colour, gloss=0.12, around=around)
    paper = texture.panel(rng, 90, 110, (236, 236, 230), dirt=0.3)
    ink = (30, 110, 60)
    cv2.putText(paper, "VERRE", (8, 34), cv2.FONT_HERSHEY_DUPLEX, 0.9, ink, 2, cv2.LINE_AA)
    texture.print_lines(rng, paper[44:], (60, 64, 60))
    hole = np.zeros((64, 64, 4), np.uint8)
    cv2.circle(hole, (32, 32), 31, (30, 32, 32, 255), -1)
    cv2.circle(hole, (32, 32), 22, (8, 8, 8, 255), -1)
    first = build.pose.angle + float(rng.uniform(0, 0.6))
    for k in range(4):
        pose = build.pose.beside(0, 0, first + k * np.pi / 2)
        turned = Builder(build.canvas, build.light, rng, pose, build.owner)
        turned.face(((-0.13, -0.62, 1.33), (0.13, -0.62, 1.33), (-0.13, -0.71, 1.08)), hole)
        turned.face(((-0.24, -0.735, 0.82), (0.24, -0.735, 0.82), (-0.24, -0.79, 0.42)), paper)
    if heap is not None:
        build.contents(heap, (0.9, 0.5, 1.45), 5)


def _litter_bin(build: Builder, heap: int | None) -> None:
    """Lidded street bin: a slatted drum, an opening all round, a domed hood."""
    colour = floats(_pick(build.rng, _DRUMS))
    profile = [(0.26, 0.78), (0.265, 0.74), (0.255, 0.4), (0.245, 0.06), (0.22, 0.0)]
    slats = np.ones((4, 28, 1), np.float32)
    slats[1:3, ::2] = 0.72
    build.lathe(profile, slats * colour)
    build.lathe([(0.2, 0.92), (0.2, 0.76)], floats([20, 20, 20]), gloss=0)
    if heap is None:
        hood = [(0.02, 1.08), (0.14, 1.05), (0.24, 0.97), (0.27, 0.92), (0.27, 0.90)]
        build.lathe(hood, colour * 1.1, gloss=0.25)
    else:
        build.contents(heap, (0.55, 0.5, 0.82), 5)


# Wide, deep and tall in metres, and how it is drawn.
KINDS: dict[str, tuple[tuple[float, float, float], Callable[[Builder, int | None], None]]] = {
    "metal": ((1.9, 1.4, 1.62), _metal),
    "bin4": ((1.37, 1.05, 1.22), partial(_bin, wheels=4)),
    "bin2": ((0.58, 0.72, 1.04), partial(_bin, wheels=2)),
    "inlet": ((0.9, 0.82, 1.28), _inlet),
    "igloo": ((1.56, 1.56, 1.68), _igloo),
    "litter": ((0.54, 0.54, 1.08), _litter_bin),
    "skip": (skip.SIZE_M, skip.draw),
}
