"""An object of the store as bytes by ranges, for what is too large to be held."""

from models.errors import BadImage
from models.ranged import Ranges
from services.storage import Bucket, Store


class StoredRanges(Ranges):
    """One version of one object; every read makes sure that it is still that one.

    Args:
        store: where it is.
        bucket: which bucket.
        key: its key.
        etag: of the version.

    Raises (every method):
        NoSuchObject: it is gone.
        BadImage: reason `changed_since_submission`, another object has its key.
        StorageError: the store fails.
    """

    def __init__(self, store: Store, bucket: Bucket, key: str, etag: str) -> None:
        self._store, self._bucket, self._key, self._etag = store, bucket, key, etag
        info = store.head(bucket, key)
        self._check(info.etag)
        self._size_bytes, self.modified_at = info.size_bytes, info.modified_at

    @property
    def size_bytes(self) -> int:
        """Of the object."""
        return self._size_bytes

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`."""
        data, info = self._store.get(self._bucket, self._key, part=range(start, end))
        self._check(info.etag)
        return data

    def _check(self, etag: str) -> None:
        if etag != self._etag:
            raise BadImage("changed_since_submission", "submit it again")
