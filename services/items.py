"""What there is to do: an image, or a window of one, and how it is called."""

import hashlib

from pydantic import Field

from models.raster import Window
from services.events import Wire

_MAX_NAME_BYTES = 960  # of the 1,024 that S3 allows: a work's identity and suffixes stand beside it


def shortened(key: str) -> str:
    """The key, its end replaced by its digest where nothing could be put beside it."""
    data = key.encode()
    if len(data) <= _MAX_NAME_BYTES:
        return key
    digest = hashlib.sha256(data).hexdigest()[:16]
    return f"{data[: _MAX_NAME_BYTES - 17].decode(errors='ignore')}-{digest}"


class Item(Wire):
    """One image to do, or a window of one.

    Attributes:
        key: object key in the inbox.
        etag: the ETag it had when the batch was submitted.
        window: what to do of a raster; None for all of a picture.
    """

    key: str
    etag: str
    # Left out where there is none: a batch's id hangs on how its items are written.
    window: Window | None = Field(default=None, exclude_if=lambda window: window is None)

    @property
    def name(self) -> str:
        """The key; of a window with its place, as a media fragment in cells of `GRID_M`."""
        return f"{self.key}#xywh={','.join(map(str, self.window))}" if self.window else self.key
