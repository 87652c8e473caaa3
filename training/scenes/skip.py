"""Open roll-off skips of recycling centres: what was thrown in shows, below the rim or over it."""

from training.scenes.camera import floats
from training.scenes.container_parts import Builder
from training.scenes.texture import Colour, darker

SIZE_M = (5.6, 2.4, 2.1)
"""Wide, deep and tall."""

_COLOURS: tuple[Colour, ...] = (
    (48, 88, 140),
    (52, 104, 66),
    (150, 58, 44),
    (196, 160, 52),
    (104, 110, 114),
)
_FILLS: tuple[Colour, ...] = ((120, 108, 90), (142, 138, 130), (96, 112, 72), (154, 122, 84))
_Ends = tuple[tuple[float, float], tuple[float, float]]  # of a wall, seen from outside
_HEAP = ((0.85, 0.0), (0.6, 0.35), (0.3, 0.65))  # share of the width, metres above the rim


def draw(build: Builder, heap: int | None) -> None:
    """A skip; heaped over the rim, what lies there owned by `heap`, unless that is None."""
    wide, deep, tall = SIZE_M
    rng, x, y = build.rng, wide / 2, deep / 2
    colour = _COLOURS[rng.integers(len(_COLOURS))]
    level = tall - float(rng.uniform(0.35, 1.3))
    far: list[_Ends] = []  # walls that show their inside
    near: list[_Ends] = []  # and their outside
    eye = floats([0, 0, build.canvas.camera.height_m])
    for outward, left, right in (
        ((0, -1, 0), (-x, -y), (x, -y)),
        ((0, 1, 0), (x, y), (-x, y)),
        ((1, 0, 0), (x, -y), (x, y)),
        ((-1, 0, 0), (-x, y), (-x, -y)),
    ):
        middle = build.pose.world(floats([(left[0] + right[0]) / 2, (left[1] + right[1]) / 2, 0]))
        outside = float(build.pose.turn(floats(outward)) @ (middle - eye)) < 0
        (near if outside else far).append((left, right))

    def walls(ends: list[_Ends], shade: Colour) -> None:
        for left, right in ends:
            long, ribs = (wide, 12) if left[1] == right[1] else (deep, 5)
            wall = build.panel(long, tall, shade, ribs=ribs, dirt=0.9, rust=0.9)
            if shade == colour and rng.random() < 0.5:
                build.label(wall, (float(rng.uniform(0.2, 0.6)), 0.3), (0.16, 0.3))
            build.face(((*left, tall), (*right, tall), (*left, 0.1)), wall, two_sided=True)

    walls(far, darker(colour, 0.55))
    filled = build.panel(wide, deep, _FILLS[rng.integers(len(_FILLS))], dirt=1.0, rust=0.6)
    build.face(((-x, y, level), (x, y, level), (-x, -y, level)), filled, two_sided=True)
    build.contents(build.owner, (0.85 * wide, 0.6 * deep, level - 0.1), int(rng.integers(3, 10)))
    if heap is not None:
        for share, up in _HEAP:
            area = (share * wide, 0.6 * deep, tall - 0.15 + up)
            build.contents(heap, area, int(rng.integers(5, 12)))
    walls(near, colour)
