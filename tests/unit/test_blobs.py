"""The blob store keeps what it acknowledged, whole, and says in words why it cannot."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from packshot.blobs import BlobStore, MissingBlob, StoreDown, StoreFull, open_store
from packshot.kernel.errors import BadInput

ABSENT = "0" * 64


def local(folder: Path) -> BlobStore:
    return open_store(folder.as_uri())


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def run(program: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        **options,  # type: ignore[call-overload]
    )


# -- any store ---------------------------------------------------------------------------------


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return local(tmp_path / "blobs") if request.param == "local" else open_store("memory:///")


@pytest.mark.parametrize("content", [b"", b"x", os.urandom(3_000_000)], ids=["empty", "one byte", "3 MB"])
def test_what_is_put_comes_back_under_its_hash(store: BlobStore, content: bytes) -> None:
    blob = store.put(content)
    assert blob == hashlib.sha256(content).hexdigest()
    assert store.get(blob) == content
    assert store.exists(blob)
    assert store.verify(blob)


@pytest.mark.parametrize("content", [b"", b"x", os.urandom(3_000_000)], ids=["empty", "one byte", "3 MB"])
def test_a_file_is_kept_as_its_bytes_are_and_comes_back_in_pieces(
    store: BlobStore, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    blob = store.put_file(path)
    assert blob == hashlib.sha256(content).hexdigest()
    assert b"".join(store.pieces(blob)) == store.get(blob) == content
    assert store.put(content) == store.put_file(path) == blob
    with pytest.raises(MissingBlob):
        next(store.pieces(ABSENT))


def test_a_local_store_never_holds_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(os.urandom(3_000_000))
    store = local(tmp_path / "blobs")
    assert [len(piece) for piece in store.pieces(store.put_file(path))] == [1 << 20, 1 << 20, 902_848]


def test_putting_again_changes_nothing(store: BlobStore) -> None:
    assert store.put(b"same") == store.put(b"same")
    assert store.get(store.put(b"same")) == b"same"


@pytest.mark.parametrize(
    "blob", [ABSENT, "", "../../../etc/passwd", "AB" * 32, "ab", ABSENT + "\n", "\0" * 64]
)
def test_what_was_never_put_is_missing(store: BlobStore, blob: str) -> None:
    store.check()
    assert not store.exists(blob)
    with pytest.raises(MissingBlob):
        store.get(blob)
    with pytest.raises(MissingBlob):
        store.verify(blob)


def test_eight_threads_put_the_same_and_their_own(store: BlobStore) -> None:
    together = threading.Barrier(8)
    shared = os.urandom(400_000)

    def work(number: int) -> set[str]:
        together.wait()
        return {store.put(shared) for _ in range(4)} | {store.put(bytes([number]) * 1000)}

    with ThreadPoolExecutor(8) as pool:
        blobs = set().union(*pool.map(work, range(8)))
    assert len(blobs) == 9
    assert all(store.verify(blob) for blob in blobs)


# -- local folder ------------------------------------------------------------------------------


def test_a_blob_lies_two_folders_deep_for_its_owner_alone(tmp_path: Path) -> None:
    blob = local(tmp_path / "new" / "blobs").put(b"picture")
    path = tmp_path / "new" / "blobs" / blob[:2] / blob[2:4] / blob
    assert files(tmp_path) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


def test_threads_leave_no_temporary_file(tmp_path: Path) -> None:
    store = local(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        blobs = set(pool.map(store.put, [b"content" * 50_000] * 32))
    assert len(blobs) == 1
    assert len(files(tmp_path)) == 1


def test_a_flipped_byte_is_found_and_a_torn_file_is_written_anew(tmp_path: Path) -> None:
    store = local(tmp_path)
    content = os.urandom(5000)
    blob = store.put(content)
    (path,) = files(tmp_path)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not store.verify(blob)
    path.write_bytes(content[:100])
    assert store.put(content) == blob
    assert store.verify(blob)


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from packshot.blobs import StoreFull, open_store
store = open_store(Path(sys.argv[1]).as_uri())
kept = store.put(b"k" * 50_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for _ in range(3):
    try:
        store.put(b"x" * 200_000)
    except StoreFull as trouble:
        print(trouble)
assert store.verify(kept) and store.verify(store.put(b"y" * 90_000))
"""
    done = run(program, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("has no room") == 3
    assert len(files(tmp_path)) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_without_room_takes_bytes_again_when_there_is_some(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a test mount a small disk")
    try:
        store = local(disk / "blobs")
        filler = disk / "filler"
        filler.write_bytes(bytes(600_000))
        with pytest.raises(StoreFull, match="free some space"):
            store.put(os.urandom(500_000))
        assert files(disk) == [filler]
        filler.unlink()
        assert store.verify(store.put(os.urandom(500_000)))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_after_a_kill_every_acknowledged_blob_is_whole_and_the_rest_is_swept(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from packshot.blobs import open_store
store = open_store(Path(sys.argv[1]).as_uri())
while True:
    print(store.put(os.urandom(300_000)), flush=True)
"""
    acknowledged: list[str] = []
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            acknowledged += [process.stdout.readline().strip() for _ in range(4)]
            process.kill()
            acknowledged += [line.strip() for line in process.stdout if len(line) == 65]
    store = local(tmp_path)
    assert all(store.verify(blob) for blob in acknowledged)
    incoming = tmp_path / ".incoming"
    stored = [path for path in files(tmp_path) if path.parent != incoming]
    assert all(store.verify(path.name) for path in stored)

    young = incoming / "young"
    young.write_bytes(b"another process is writing this")
    for path in files(incoming):
        if path != young:
            os.utime(path, (time.time() - 7200,) * 2)
    (incoming / "old").write_bytes(b"left behind")
    os.utime(incoming / "old", (time.time() - 7200,) * 2)
    assert store.sweep() >= 1
    assert files(incoming) == [young]
    assert all(store.verify(blob) for blob in acknowledged)


def test_a_planted_link_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "blobs"
    store = local(folder)
    content = b"a picture"
    blob = hashlib.sha256(content).hexdigest()
    (outside / blob).write_bytes(b"a secret!")

    folder.mkdir()
    (folder / blob[:2]).symlink_to(outside, target_is_directory=True)
    for action in (lambda: store.put(content), lambda: store.get(blob)):
        with pytest.raises(StoreDown, match="symbolic link"):
            action()
    (folder / blob[:2]).unlink()
    (folder / blob[:2] / blob[2:4]).mkdir(parents=True)
    (folder / blob[:2] / blob[2:4] / blob).symlink_to(outside / blob)
    with pytest.raises(StoreDown, match="symbolic link"):
        store.get(blob)
    assert store.put(content) == blob
    assert store.get(blob) == content
    assert (outside / blob).read_bytes() == b"a secret!"


def test_a_folder_that_cannot_be_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = local(tmp_path / "file" / "blobs")
    for action in (store.check, store.sweep, lambda: store.put(b"x")):
        with pytest.raises(StoreDown, match=r"remove it|check that"):
            action()


def test_a_check_leaves_nothing(tmp_path: Path) -> None:
    store = local(tmp_path)
    store.check()
    assert files(tmp_path) == []


# -- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file://relative/path", "absolute"),
        ("/var/lib/blobs", "starts with nothing"),
        ("ftp://host/blobs", "ftp"),
        ("s3://key:secret@bucket/x", "password"),
        ("https://key:secret@host/x", "password"),
        ("", "nothing"),
        ("s3://", "not usable"),
    ],
)
def test_an_address_that_cannot_work_is_refused_at_once(url: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refusal:
        open_store(url)
    assert refusal.value.field == "BLOB_URL"
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/prefix?endpoint=http://127.0.0.1:9&region=eu-central-1",
        "gs://bucket/prefix",
        "az://container/prefix",
        "https://example.supabase.co/storage/v1/s3/images/prefix?region=eu-central-1",
        "https://files.example.test/webdav",
    ],
)
def test_every_documented_address_opens(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AZURE_STORAGE_ACCOUNT_NAME": "account",
        "AZURE_STORAGE_ACCOUNT_KEY": "c2VjcmV0",
    }.items():
        monkeypatch.setenv(name, value)
    assert open_store(url)


# -- a service over HTTP -----------------------------------------------------------------------


class Shelf(ThreadingHTTPServer):
    """An object store of few words: PUT, GET, HEAD, DELETE; it can be told to fail or to cut."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ShelfHandler)
        self.objects: dict[str, bytes] = {}
        self.failures = 0  # how many of the next requests to answer with 503
        self.keeps: int | None = None  # how many bytes of each PUT it really keeps
        self.puts = 0


class ShelfHandler(BaseHTTPRequestHandler):
    server: Shelf
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._fails():
            self.server.puts += 1
            self.server.objects[self.path] = body[: self.server.keeps]
            self._answer(201)

    def do_GET(self) -> None:
        if not self._fails():
            body = self.server.objects.get(self.path)
            self._answer(404 if body is None else 200, body or b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        if not self._fails():
            self.server.objects.pop(self.path, None)
            self._answer(204)

    def _fails(self) -> bool:
        self.server.failures -= 1
        if self.server.failures >= 0:
            self._answer(503)
            return True
        return False

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Sun, 22 Nov 2026 12:00:00 GMT")
        self.send_header("ETag", '"1"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *words: object) -> None: ...


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    server = Shelf()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def remote(shelf: Shelf) -> BlobStore:
    return open_store(f"http://127.0.0.1:{shelf.server_port}/")


def test_a_remote_blob_is_sent_once_and_read_back(remote: BlobStore, shelf: Shelf) -> None:
    content = os.urandom(200_000)
    blob = remote.put(content)
    assert remote.put(content) == blob
    assert (shelf.puts, remote.get(blob)) == (1, content)
    assert list(shelf.objects) == [f"/{blob[:2]}/{blob[2:4]}/{blob}"]


def test_a_remote_check_leaves_one_small_object_however_often_it_is_made(
    remote: BlobStore, shelf: Shelf
) -> None:
    remote.check()
    remote.check()
    assert list(shelf.objects) == ["/probe"]
    shelf.keeps = 10
    with pytest.raises(StoreDown, match="other bytes"):
        remote.check()
    shelf.keeps = None


def test_a_service_that_hiccups_is_asked_again(remote: BlobStore, shelf: Shelf) -> None:
    shelf.failures = 2
    blob = remote.put(b"patience")
    shelf.failures = 1
    assert remote.get(blob) == b"patience"


def test_a_service_that_keeps_half_is_not_believed(remote: BlobStore, shelf: Shelf) -> None:
    shelf.keeps = 100
    with pytest.raises(StoreDown, match="100 of 500 bytes"):
        remote.put(b"x" * 500)
    shelf.keeps = None
    assert remote.verify(remote.put(b"x" * 500))


def test_a_service_that_is_away_is_named_with_its_remedy(remote: BlobStore, shelf: Shelf) -> None:
    shelf.failures = 100
    for action in (
        remote.check,
        lambda: remote.put(b"x"),
        lambda: remote.get(ABSENT),
        lambda: remote.exists(ABSENT),
    ):
        with pytest.raises(StoreDown, match="check BLOB_URL"):
            action()
