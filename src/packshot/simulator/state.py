"""A simulator's folder: bill book, control token, signing key, address. One simulator at a time."""

import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from packshot.kernel.errors import BadInput
from packshot.simulator.book import FILE_NAME

_TOKEN, _SIGNING_KEY, _ADDRESS, _LOCK = "token", "signing-key", "address", "lock"


@dataclass(frozen=True, slots=True)
class State:
    """The folder while this process holds it."""

    folder: Path
    token: str
    signing_key: bytes
    lock: int  # a file descriptor

    @classmethod
    def open(cls, folder: Path) -> "State":
        """Make or take the folder. Raises BadInput when another simulator has it."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise BadInput(
                f"Another simulator is using {folder}; give this one a folder of its own."
            ) from None
        # Kept over restarts: links given out stay good, and a client need not fetch the token again.
        return cls(folder, _kept(folder / _TOKEN), _kept(folder / _SIGNING_KEY).encode(), lock)

    @property
    def bill_path(self) -> Path:
        return self.folder / FILE_NAME

    def release(self) -> None:
        os.close(self.lock)


def announce(folder: Path, address: str) -> None:
    """Leave the address in the folder, for whoever knows the folder and not the port."""
    written = folder / f"{_ADDRESS}.new"
    written.write_text(address)
    written.replace(folder / _ADDRESS)


def read_address(folder: Path) -> str:
    return (folder / _ADDRESS).read_text().strip()


def read_token(folder: Path) -> str:
    return (folder / _TOKEN).read_text().strip()


def _kept(path: Path) -> str:
    """The secret in `path`, made the first time; readable by its owner only."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        secret = path.read_text().strip()
        if secret:
            return secret
        descriptor = os.open(path, os.O_WRONLY)
    secret = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    return secret
