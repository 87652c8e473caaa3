"""Self-contained HTML pages, in French and English."""

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from models.errors import BadConfiguration

_PICTURE_PX = 720


def render(template: str, **what: Any) -> str:
    """A page from its template in `serving/templates`; everything shown is escaped."""
    environment = Environment(
        loader=PackageLoader("serving", "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    return environment.get_template(template).render(**what)


def _figure(value: float, unit: str) -> str:
    """A number with the digits that mean something in its unit (UCUM)."""
    digits = {"1": 2, "m": 1}.get(unit, 0)
    return f"{value:.{digits}f}"


def write_page(path: Path, html: str) -> None:
    """Write a page.

    Raises:
        BadConfiguration: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise BadConfiguration(f"cannot write the report {path}: {error.strerror}") from error


def small(jpeg: bytes) -> str:
    """A redacted JPEG, shrunk for a page, as base64."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    scale = min(1.0, _PICTURE_PX / max(image.shape[:2]))
    shrunk = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", shrunk, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return base64.b64encode(encoded.tobytes()).decode()
