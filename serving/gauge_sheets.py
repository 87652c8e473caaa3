"""The gauge of grass as pages of A4 at true size."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.markers import CELL_CM, HEIGHT_CM, WIDTH_CM, sheet

_PX_PER_CM = 100  # 254 dpi: a printer's own dots, and whole px a millimetre
_DPI = 2.54 * _PX_PER_CM
_PAGE_HW = 2970, 2100
_STRIP_CM = 3 * CELL_CM  # what fits on a page
_STRIPS = HEIGHT_CM // _STRIP_CM
_LEFT, _TOP = 50, 135  # px, of the first strip on its page

Page = NDArray[np.uint8]

_TEXT = """\
Mire de hauteur d’herbe · Grass height gauge

Français
1. Imprimez à 100 % (« taille réelle »), sans ajuster à la page, sur papier mat. La règle
   ci-dessous doit mesurer 10 cm.
2. Découpez les quatre bandes et collez-les l’une au-dessus de l’autre, bord à bord, la bande 1
   en bas, sur une planche rigide de 10 cm sur 108 cm. Protégez-les d’un film mat : un film
   brillant reflète le soleil et le projecteur de la caméra.
3. Plantez la planche d’aplomb, son bord inférieur au niveau du sol, face à la caméra
   (à 45° près), à une distance de 1 à 6 m.
4. La mire entière, pied compris, doit être visible dans l’image. Rien d’autre que l’herbe ne
   doit se trouver devant elle.
5. Autour de la mire, tondez comme ailleurs. Essuyez-la quand elle est sale.

English
1. Print at 100 % (“actual size”), not fitted to the page, on matt paper. The ruler below must
   measure 10 cm.
2. Cut out the four strips and glue them one above the other, edge to edge, strip 1 at the
   bottom, on a rigid board of 10 cm by 108 cm. Protect them with a matt film: a glossy one
   mirrors the sun and the camera’s lamp.
3. Stand the board plumb, its lower edge level with the soil, facing the camera (within 45°),
   1 to 6 m from it.
4. The whole gauge, its foot included, must be in the picture, with nothing but grass before it.
5. Mow around the gauge as elsewhere. Wipe it when it is dirty.
"""


def write_pdf(target: Path) -> None:
    """Write the pages: how to print and mount the gauge, then two strips of it on each.

    Raises:
        OSError: the file cannot be written.
    """
    drawn = [_instructions(), *(_strips(first) for first in range(0, _STRIPS, 2))]
    # Black and white alone is kept as it is, where grey would be packed as JPEG.
    pages = [Image.fromarray(page).convert("1", dither=Image.Dither.NONE) for page in drawn]
    pages[0].save(target, "PDF", resolution=_DPI, save_all=True, append_images=pages[1:])


def _text(page: Page, told: str, left: int, base: int, millimetres: float) -> None:
    # OpenCV's own font has accents; Pillow's has none.
    size = round(millimetres * _PX_PER_CM / 10)
    cv2.putText(page, told, (left, base), (0,), cv2.FontFace("sans"), size, 400)


def _instructions() -> Page:
    page = np.full(_PAGE_HW, 255, np.uint8)
    for number, line in enumerate(_TEXT.splitlines()):
        _text(page, line, 150, 220 + 62 * number, 4)
    left, top = 150, 2500
    for millimetre in range(101):
        tall = 60 if millimetre % 10 == 0 else 40 if millimetre % 5 == 0 else 25
        x = left + millimetre * _PX_PER_CM // 10
        cv2.line(page, (x, top), (x, top + tall), (0,), 2)
    cv2.line(page, (left, top), (left + 10 * _PX_PER_CM, top), (0,), 2)
    _text(page, "10 cm", left + 10 * _PX_PER_CM + 40, top + 40, 4)
    return page


def _strips(first: int) -> Page:
    page = np.full(_PAGE_HW, 255, np.uint8)
    whole = sheet(_PX_PER_CM)
    wide, tall = WIDTH_CM * _PX_PER_CM, _STRIP_CM * _PX_PER_CM
    for column, strip in enumerate(range(first, first + 2)):
        left, foot, from_cm = _LEFT + column * wide, _TOP + tall, strip * _STRIP_CM
        part = whole[len(whole) - (strip + 1) * tall : len(whole) - strip * tall]
        page[_TOP:foot, left : left + wide] = part
        cv2.rectangle(page, (left, _TOP), (left + wide, foot), (0,), 2)
        _scale(page, left + wide, foot, from_cm)
        told = f"{strip + 1} / {_STRIPS}:  {from_cm} – {from_cm + _STRIP_CM} cm"
        _text(page, told, left + 30, _TOP - 30, 4)
        under = f"bande {strip} · strip {strip}" if strip else "sol · ground"
        _text(page, f"en bas · below: {under}", left + 30, foot + 55, 4)
    return page


def _scale(page: Page, right: int, foot: int, from_cm: int) -> None:
    """Ticks for people on the right edge: too fine for a camera to take for ink."""
    for cm in range(1, _STRIP_CM):
        y = foot - cm * _PX_PER_CM
        fifth = (from_cm + cm) % 5 == 0
        cv2.line(page, (right - (30 if fifth else 18), y), (right, y), (0,), 2)
        if fifth:
            told = str(from_cm + cm)
            _text(page, told, right - 38 - 13 * len(told), y + 8, 2.2)
