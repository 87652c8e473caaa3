"""Object storage: any S3 server, through the `minio` SDK, in six buckets under one prefix.

Every failure leaves here in our own error tree, one line that names the endpoint and what to do
(`services/s3.py`, which also holds time-outs and retries).
"""

import io
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from pathlib import Path
from typing import Literal, get_args

from minio.error import S3Error

from models.errors import (
    BadConfiguration,
    BadImage,
    ObjectExists,
    StorageError,
    StoreUnavailable,
    StoreUnsuitable,
)
from services import s3
from services.s3 import ObjectInfo
from services.settings import Endpoint, Settings

__all__ = ["BUCKETS", "Bucket", "ObjectInfo", "Store"]

Bucket = Literal["inbox", "redacted", "quarantine", "datasets", "models", "batches"]
BUCKETS: tuple[Bucket, ...] = get_args(Bucket)

_MIB = 1024**2
_PART_BYTES = 16 * _MIB
# S3 takes up to 5 GiB in one request; above this, `put_file` is the way.
_MAX_SINGLE_PUT_BYTES = 256 * _MIB


class Store:
    """The six buckets of one installation. Safe to share between threads, not processes.

    Args:
        endpoint: the server and its credentials.
        prefix: buckets are `<prefix>-inbox`, `<prefix>-redacted`, …

    Every method may raise AccessRefused, NoSuchBucket, StoreUnavailable (after the retries), or
    StorageError for an answer that fits nothing else.
    """

    def __init__(self, endpoint: Endpoint, prefix: str) -> None:
        self.endpoint = endpoint
        self.prefix = prefix
        self._client = s3.patient(endpoint)
        self._create = s3.create_only(endpoint)

    @classmethod
    def connect(cls, settings: Settings) -> "Store":
        """The store that `settings` names. Sends nothing yet.

        Raises:
            BadConfiguration: no store is set and no embedded one was ever started.
        """
        return cls(settings.endpoint, settings.s3_prefix)

    def bucket_name(self, bucket: Bucket) -> str:
        """The bucket's name on the server."""
        return f"{self.prefix}-{bucket}"

    def ensure_buckets(self) -> None:
        """Make the buckets that do not exist yet."""
        for bucket in BUCKETS:
            name = self.bucket_name(bucket)
            with s3.told(f"making bucket {name}", self.endpoint):
                if self._client.bucket_exists(name):
                    continue
                try:
                    self._client.make_bucket(name, location=self.endpoint.region)
                except S3Error as error:
                    # Another process was faster.
                    if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                        raise

    def probe(self) -> None:
        """Prove that the server honours conditional puts. Leaves nothing behind.

        Raises:
            StoreUnsuitable: it ignores or refuses them, so work could be done twice.
        """
        key = f"probe-{uuid.uuid4().hex}"
        unsuitable = (
            f"{self.endpoint.url} ignores conditional puts (If-None-Match): use another store"
        )
        try:
            self.put("batches", key, b"first", only_if_absent=True)
            try:
                self.put("batches", key, b"second", only_if_absent=True)
            except ObjectExists:
                if self.get("batches", key)[0] == b"first":
                    return
            raise StoreUnsuitable(unsuitable)
        except StorageError as error:
            if type(error) is not StorageError:
                raise
            raise StoreUnsuitable(unsuitable) from error  # such as 501 NotImplemented
        finally:
            self.delete("batches", key)

    def head(self, bucket: Bucket, key: str) -> ObjectInfo:
        """What is known of one object, without its content.

        Raises:
            NoSuchObject: no such key, or no such bucket: the protocol does not tell them apart.
        """
        with s3.told(f"asking for {bucket}/{key}", self.endpoint):
            found = self._client.stat_object(self.bucket_name(bucket), key)
            return s3.info_from(key, found.metadata)

    def get(
        self, bucket: Bucket, key: str, max_bytes: int | None = None, part: range | None = None
    ) -> tuple[bytes, ObjectInfo]:
        """The content of one object, or a part of it.

        Args:
            bucket: where to look.
            key: what to look for.
            max_bytes: refuse a larger object before its content is downloaded.
            part: which bytes; the size that is told is theirs then.

        Raises:
            NoSuchObject: no such key.
            BadImage: reason `too_many_bytes`, the object is larger than `max_bytes`.
        """

        def once(_attempt: int) -> tuple[bytes, ObjectInfo]:
            with s3.told(f"reading {bucket}/{key}", self.endpoint):
                span = (part.start, len(part)) if part else ()
                answer = self._create.get_object(self.bucket_name(bucket), key, *span)
                try:
                    info = s3.info_from(key, answer.headers)
                    if max_bytes is not None and info.size_bytes > max_bytes:
                        raise BadImage(
                            "too_many_bytes", f"{info.size_bytes} bytes, at most {max_bytes}"
                        )
                    # Not decoded: a small gzip could hide a huge object.
                    data = answer.read(decode_content=False)
                    answer.release_conn()
                    return data, info
                finally:
                    # After an error the connection is dropped, not drained; else it is back in
                    # the pool and this does nothing.
                    answer.close()

        return s3.patiently(once)

    def put(
        self,
        bucket: Bucket,
        key: str,
        data: bytes,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        *,
        only_if_absent: bool = False,
    ) -> str:
        """Write one object of up to 256 MiB and return its ETag.

        Args:
            bucket: where to write.
            key: its key.
            data: its content.
            content_type: MIME type.
            metadata: user metadata, up to 2 kB in all; names are ASCII and case-insensitive.
            only_if_absent: write only where no object has this key. Of several writers exactly
                one succeeds. Its object carries a random `receipt` in its metadata, by which it
                knows its own write when the answer was lost.

        Raises:
            ObjectExists: `only_if_absent` and the key is taken.
            StoreFull: no room left.
        """
        if len(data) > _MAX_SINGLE_PUT_BYTES:
            raise BadConfiguration(f"{bucket}/{key}: {len(data)} bytes; send large ones as a file")
        client = self._create if only_if_absent else self._client
        receipt = {"receipt": uuid.uuid4().hex} if only_if_absent else {}
        headers = s3.metadata_headers({**(metadata or {}), **receipt})

        def once(attempt: int) -> str:
            try:
                with s3.told(f"writing {bucket}/{key}", self.endpoint):
                    result = client.put_object(
                        self.bucket_name(bucket),
                        key,
                        io.BytesIO(data),
                        len(data),
                        content_type=content_type,
                        metadata=headers,
                        part_size=_MAX_SINGLE_PUT_BYTES,
                    )
                    return self._etag(result.etag, bucket, key)
            except ObjectExists:
                # An earlier attempt of ours may have arrived although its answer was lost.
                if (
                    attempt
                    and receipt.items() <= (there := self.head(bucket, key)).metadata.items()
                ):
                    return there.etag
                raise

        return s3.patiently(once) if only_if_absent else once(0)

    def put_file(
        self,
        bucket: Bucket,
        key: str,
        path: Path,
        content_type: str = "application/octet-stream",
    ) -> str:
        """Write a file of any size, in parts of 16 MiB when it is larger, and return its ETag.

        Memory holds one part.

        Raises:
            BadConfiguration: the file cannot be read.
            StoreFull: no room left.
        """
        try:
            size_bytes, file = path.stat().st_size, path.open("rb")
        except OSError as error:
            raise BadConfiguration(f"cannot read {path}: {error.strerror}") from error
        with file, s3.told(f"writing {bucket}/{key}", self.endpoint):
            result = self._client.put_object(
                self.bucket_name(bucket),
                key,
                file,
                size_bytes,
                content_type=content_type,
                # The SDK's threads would read on, and never end, after a part that failed.
                num_parallel_uploads=1,
                # S3 allows 10,000 parts.
                part_size=max(_PART_BYTES, -(-size_bytes // (10_000 * _MIB)) * _MIB),
            )
            return self._etag(result.etag, bucket, key)

    def list(
        self, bucket: Bucket, prefix: str = "", after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """The objects whose keys start with `prefix`, in key order, 1,000 a request.

        Args:
            bucket: where to look.
            prefix: start of the keys.
            after: only keys greater than this one: the cursor of an earlier listing.
        """
        found = self._client.list_objects(
            self.bucket_name(bucket), prefix=prefix, recursive=True, start_after=after
        )
        while True:
            # Only the server's part is inside: what the caller does between two items is its own.
            with s3.told(f"listing {bucket}/{prefix}", self.endpoint):
                item = next(found, None)
                if item is None:
                    return
                if item.is_dir:  # some servers list a folder's marker
                    continue
                info = ObjectInfo(
                    item.object_name, item.etag, item.size, item.last_modified.astimezone(UTC)
                )
            yield info

    def delete(self, bucket: Bucket, key: str) -> None:
        """Remove one object. No error where there is none."""
        with s3.told(f"deleting {bucket}/{key}", self.endpoint):
            self._client.remove_object(self.bucket_name(bucket), key)

    def upload_slot(self, bucket: Bucket, key: str, expires: timedelta) -> str:
        """A URL that accepts one HTTP PUT of this object without credentials.

        Args:
            bucket: where it lands.
            key: its key.
            expires: validity, 1 second to 7 days.
        """
        return self._slot("PUT", bucket, key, expires)

    def download_slot(self, bucket: Bucket, key: str, expires: timedelta) -> str:
        """A URL that serves this object to HTTP GET without credentials, for 1 second to 7 days."""
        return self._slot("GET", bucket, key, expires)

    def _etag(self, etag: str | None, bucket: Bucket, key: str) -> str:
        if not etag:  # S3 may report a failed assembly of parts under status 200
            raise StoreUnavailable(
                f"{self.endpoint.url} did not confirm the write of {bucket}/{key}"
            )
        return etag

    def _slot(self, method: str, bucket: Bucket, key: str, expires: timedelta) -> str:
        with s3.told(f"opening a slot for {bucket}/{key}", self.endpoint):
            name = self.bucket_name(bucket)
            return str(self._client.get_presigned_url(method, name, key, expires=expires))
