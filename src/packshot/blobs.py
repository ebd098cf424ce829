"""Bytes by the hash of their content, in a local folder or an object store: written once, never changed.

    store = open_store("file:///var/lib/packshot/blobs")
    blob = store.put(content)         # 64 hex digits of SHA-256; putting it again changes nothing
    assert store.get(blob) == content

A put that returned is durable: it survives a power cut. A put that raised left nothing half-written.
"""

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store, from_url

from packshot.kernel.errors import BadInput, PackshotError
from packshot.kernel.faults import fault_point

if TYPE_CHECKING:  # obstore's types of these exist for checkers only
    from obstore.store import ClientConfig, RetryConfig, S3Config

_PROBE, _PROBE_BYTES = "probe", b"Packshot writes and reads this to see whether the store works.\n"
STALE_S = 3600.0  # a temporary file of this age belongs to no living put

_HASH = re.compile(r"[0-9a-f]{64}")
_PIECE_BYTES = 1024 * 1024
_SUPABASE = "/storage/v1/s3/"  # below this path Supabase Storage speaks S3; the bucket comes next
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class MissingBlob(PackshotError):
    """The store is well and holds nothing under this hash."""


class StoreDown(PackshotError):
    """The store does not take or give bytes; the message names the remedy. Nothing was lost: try again."""


class StoreFull(PackshotError):
    """No room for these bytes. Nothing half-written was left behind; free some space and try again."""


class BlobStore(Protocol):
    """Safe for many threads at once. Anything but the errors above is a bug."""

    def put(self, content: bytes) -> str:
        """The SHA-256 of `content` in hex, once it is stored durably. Repeating it is free of effect."""
        ...

    def put_file(self, path: Path) -> str:
        """As `put`, for a file that nobody changes meanwhile; a local store reads it in pieces."""
        ...

    def get(self, blob: str) -> bytes:
        """The bytes with this hash. Raises MissingBlob."""
        ...

    def pieces(self, blob: str) -> Iterator[bytes]:
        """The bytes with this hash, a piece at a time. Raises MissingBlob at the first."""
        ...

    def exists(self, blob: str) -> bool: ...

    def verify(self, blob: str) -> bool:
        """Whether the stored bytes still have this hash. Raises MissingBlob."""
        ...

    def check(self) -> None:
        """Write and read a probe. Raises StoreDown, or StoreFull, with what to do."""
        ...

    def sweep(self) -> int:
        """Remove what puts cut short by a crash left behind; the number of files removed."""
        ...


def open_store(url: str) -> BlobStore:
    """The store at `url`: file:///folder, s3://, gs://, az://, or https:// (so Supabase's S3 address).

    An S3 address takes `?endpoint=...&region=...`; credentials come from the environment alone.
    """
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise BadInput(
            "BLOB_URL holds a password; put credentials into the environment instead.", field="BLOB_URL"
        )
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        if parts.netloc not in ("", "localhost") or not folder.is_absolute():
            raise BadInput(
                "BLOB_URL names no absolute folder; write it like file:///var/lib/blobs.", field="BLOB_URL"
            )
        return LocalStore(folder)
    if parts.scheme not in ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "http", "https", "memory"):
        raise BadInput(
            f"BLOB_URL starts with {parts.scheme or 'nothing'}:; use file, s3, gs, az or https.",
            field="BLOB_URL",
        )
    try:
        return RemoteStore(_remote(url))
    except (BaseError, ValueError) as problem:
        raise BadInput(f"BLOB_URL is not usable: {problem}", field="BLOB_URL") from problem


# -- local folder ------------------------------------------------------------------------------


class LocalStore:
    """Blobs as files `ab/cd/abcd…` under one folder.

    New files grow in `.incoming` beside them, on the same disk, so that a sweep after a crash need not
    walk the blobs. Every step goes through directory descriptors and refuses symbolic links: whoever can
    plant one in a sub-folder cannot make us read or write elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        return self._put(hashlib.sha256(content).hexdigest(), len(content), [content])

    def put_file(self, path: Path) -> str:
        with path.open("rb") as file:
            blob = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            return self._put(blob, size, _pieces(file))

    def _put(self, blob: str, size: int, pieces: Iterable[bytes]) -> str:
        with (
            self._trouble(),
            self._root() as root,
            _entered(root, blob[:2]) as outer,
            _entered(outer, blob[2:4]) as inner,
        ):
            if _size(inner, blob) != size:
                self._add(root, inner, blob, pieces)
            # Also when another thread has just put it: its rename may not be on the disk yet.
            os.fsync(inner)
        return blob

    def get(self, blob: str) -> bytes:
        with self._trouble(blob):
            descriptor = self._open(blob)
            with os.fdopen(descriptor, "rb") as file:
                return file.read()

    def pieces(self, blob: str) -> Iterator[bytes]:
        with self._trouble(blob), os.fdopen(self._open(blob), "rb") as file:
            yield from _pieces(file)

    def exists(self, blob: str) -> bool:
        try:
            with self._trouble(blob):
                os.close(self._open(blob))
        except MissingBlob:
            return False
        return True

    def verify(self, blob: str) -> bool:
        return hashlib.sha256(self.get(blob)).hexdigest() == blob

    def check(self) -> None:
        probe = secrets.token_bytes(64)
        with self._trouble(), self._root() as root, _entered(root, ".incoming") as incoming:
            name = _write(incoming, [probe])
            try:
                with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=incoming), "rb") as file:
                    read = file.read()
            finally:
                os.unlink(name, dir_fd=incoming)
        if read != probe:
            raise StoreDown(f"{self._folder} gives back other bytes than were written; check the disk.")

    def sweep(self) -> int:
        removed = 0
        oldest = time.time() - STALE_S
        with self._trouble(), self._root() as root, _entered(root, ".incoming") as incoming:
            for name in os.listdir(incoming):  # noqa: PTH208 - of a descriptor, not a path
                with suppress(FileNotFoundError):  # another process sweeps too
                    if os.stat(name, dir_fd=incoming, follow_symlinks=False).st_mtime < oldest:
                        os.unlink(name, dir_fd=incoming)
                        removed += 1
        return removed

    def _add(self, root: int, inner: int, blob: str, pieces: Iterable[bytes]) -> None:
        with _entered(root, ".incoming") as incoming:
            name = _write(incoming, pieces)
            fault_point("blob.written")
            try:
                os.rename(name, blob, src_dir_fd=incoming, dst_dir_fd=inner)
            except OSError:
                os.unlink(name, dir_fd=incoming)
                raise
        fault_point("blob.placed")

    @contextmanager
    def _root(self) -> Iterator[int]:
        """A descriptor of the store's folder, made (for this user alone) when it is not there."""
        try:
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open(self, blob: str) -> int:
        if not _HASH.fullmatch(blob):
            raise FileNotFoundError(blob)
        root = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        opened = [root]
        try:
            for name in (blob[:2], blob[2:4]):
                opened.append(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
            return os.open(blob, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=opened[-1])
        finally:
            for descriptor in opened:
                os.close(descriptor)

    @contextmanager
    def _trouble(self, blob: str | None = None) -> Iterator[None]:
        """What the system says, in our errors."""
        try:
            yield
        except FileNotFoundError as problem:
            if blob is not None:
                raise MissingBlob(f"no image is stored under {blob[:64]}") from None
            raise StoreDown(f"{self._folder} vanished while it was used; make it available.") from problem
        except OSError as problem:
            if problem.errno in _FULL:
                raise StoreFull(
                    f"{self._folder} has no room ({problem.strerror}); free some space."
                ) from problem
            if problem.errno in (errno.ELOOP, errno.ENOTDIR):
                raise StoreDown(
                    f"{self._folder} holds a symbolic link or a file where a folder belongs; remove it."
                ) from problem
            raise StoreDown(
                f"{self._folder} cannot be used ({problem.strerror}); check that it is mounted and owned by "
                f"the user that runs Packshot."
            ) from problem


@contextmanager
def _entered(parent: int, name: str) -> Iterator[int]:
    """A descriptor of the folder `name` in `parent`, made durably when it is not there."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        descriptor = os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another thread made it in between
            os.mkdir(name, mode=0o700, dir_fd=parent)
        descriptor = os.open(name, flags, dir_fd=parent)
        os.fsync(parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        yield piece


def _write(folder: int, pieces: Iterable[bytes]) -> str:
    """The name of a new file in `folder` that holds `pieces` on the disk; nothing is left when it fails."""
    name = f"{os.getpid()}-{secrets.token_hex(12)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(name, flags, mode=0o600, dir_fd=folder)
    try:
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        os.unlink(name, dir_fd=folder)
        raise
    return name


def _size(folder: int, name: str) -> int | None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


# -- object stores -----------------------------------------------------------------------------


class RemoteStore:
    """Blobs as objects `ab/cd/abcd…` in a bucket. One PUT per blob: it is there whole or not at all."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, content: bytes) -> str:
        blob = hashlib.sha256(content).hexdigest()
        with self._trouble():
            key = _key(blob)
            if self._stored(key) != len(content):
                # A multipart upload that is cut off leaves paid parts behind; a single PUT cannot.
                obstore.put(self._store, key, content, use_multipart=False)
                fault_point("blob.placed")
                stored = self._stored(key)
                if stored != len(content):
                    raise StoreDown(
                        f"the object store kept {stored} of {len(content)} bytes; check the bucket."
                    )
        return blob

    def put_file(self, path: Path) -> str:
        # One PUT, so the file passes through memory: see `put`.
        return self.put(path.read_bytes())

    def get(self, blob: str) -> bytes:
        with self._trouble(blob):
            return bytes(obstore.get(self._store, _key(blob)).bytes())

    def pieces(self, blob: str) -> Iterator[bytes]:
        with self._trouble(blob):
            for piece in obstore.get(self._store, _key(blob)).stream(_PIECE_BYTES):
                yield bytes(piece)

    def exists(self, blob: str) -> bool:
        with self._trouble():
            return bool(_HASH.fullmatch(blob)) and self._stored(_key(blob)) is not None

    def verify(self, blob: str) -> bool:
        return hashlib.sha256(self.get(blob)).hexdigest() == blob

    def check(self) -> None:
        # Always the same object, and left there: nothing else here deletes, not each key may, and some
        # services with S3's address know no bulk delete, which is what obstore asks for.
        with self._trouble():
            obstore.put(self._store, _PROBE, _PROBE_BYTES, use_multipart=False)
            read = bytes(obstore.get(self._store, _PROBE).bytes())
        if read != _PROBE_BYTES:
            raise StoreDown("the object store gives back other bytes than were written; check the bucket.")

    def sweep(self) -> int:
        return 0  # a PUT that was cut off leaves nothing

    def _stored(self, key: str) -> int | None:
        """The size of the object in bytes, or None when there is none."""
        try:
            return int(obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None

    @contextmanager
    def _trouble(self, blob: str | None = None) -> Iterator[None]:
        """What the service says, in our errors."""
        try:
            yield
        except FileNotFoundError as problem:
            if blob is not None:
                raise MissingBlob(f"no image is stored under {blob[:64]}") from None
            raise StoreDown(f"the bucket in BLOB_URL does not exist: {_first_line(problem)}") from problem
        except (BaseError, OSError) as problem:
            raise StoreDown(
                f"the object store does not answer as it should ({_first_line(problem)}); check BLOB_URL, "
                f"the credentials in the environment and the network."
            ) from problem


def _remote(url: str) -> ObjectStore:
    parts = urlsplit(url)
    settings = dict(parse_qsl(parts.query))
    plain = parts._replace(query="").geturl()
    if parts.scheme == "memory":
        return from_url(plain)
    # Without these one hung connection would hold a paid image for minutes.
    patience: ClientConfig = {"timeout": timedelta(seconds=60), "connect_timeout": timedelta(seconds=10)}
    retry: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=90)}
    endpoint = settings.get("endpoint", plain)
    if endpoint.startswith("http:"):
        patience["allow_http"] = True
    s3: S3Config = {}
    if "region" in settings:
        s3["region"] = settings["region"]
    if _SUPABASE in parts.path:
        before, _, after = plain.partition(_SUPABASE)
        bucket, _, prefix = after.strip("/").partition("/")
        s3["endpoint"] = before + _SUPABASE.rstrip("/")
        s3["virtual_hosted_style_request"] = False
        return S3Store(bucket, prefix=prefix or None, config=s3, client_options=patience, retry_config=retry)
    if parts.scheme in ("s3", "s3a"):
        if "endpoint" in settings:
            s3["endpoint"] = endpoint
            s3["virtual_hosted_style_request"] = False
        return from_url(plain, config=s3, client_options=patience, retry_config=retry)
    return from_url(plain, client_options=patience, retry_config=retry)


def _key(blob: str) -> str:
    if not _HASH.fullmatch(blob):
        raise FileNotFoundError(blob)
    return f"{blob[:2]}/{blob[2:4]}/{blob}"


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0][:300] if lines else type(problem).__name__
