"""One PostgreSQL server per data folder: made once, found or started by whoever comes first, left running.

    <data>/postgres/
        start.lock      held by whoever is starting or stopping the server
        server.lock     inherited by the server and each of its processes: free means that all are gone
        *.conf          written at each start; `ALTER SYSTEM` and `Cluster.settings` change a value
        start.log       what the server says until its own log opens
        data/ run/ log/ the data, the socket and a week of logs, closed to all but the server's user

A process id proves nothing: after an unclean restart of a container the same small numbers name other
programs. So the server is alive when it answers, dead when `server.lock` is free, and a process is signalled
only after the kernel says that it is a `postgres` whose working directory is this data folder.
"""

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from packshot.embedded.host import (
    SYSTEM_HOME,
    USE_YOUR_OWN,
    Account,
    NoDatabase,
    carried_binaries,
    check_passable,
    locked,
    make_folder,
    make_private_folder,
    run_as,
    runnable_binaries,
    service_account,
    sync_folder,
    try_lock,
)

DATABASE = "packshot"
PORT = 5432  # without TCP it only names the socket
SOCKET = f".s.PGSQL.{PORT}"

DEFAULTS: Mapping[str, str] = {
    # No TCP. Whoever opens it (ALTER SYSTEM) meets SCRAM in pg_hba.conf.
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than any query here takes
    # The queue's rows are updated all day: clean early and often, so that the table stays small.
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "1000",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_line_prefix": "%m [%p] %a ",
    "log_lock_waits": "on",
    "cluster_name": "packshot",
}

# For tests: a power cut may destroy it all. A kill -9 loses nothing, hence synchronous_commit stays on.
FORGETFUL: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
}

# sun_path holds 107 bytes and psycopg's host list splits at a comma.
_SOCKET_PATH_LIMIT = 100
# Orphans of a killed server end within milliseconds of it, unless a query keeps them busy.
_ORPHANS_MAY_TAKE_S = 2.0


@dataclass(frozen=True, slots=True)
class Status:
    """What can be said of a cluster without touching it."""

    running: bool
    pid: int | None
    url: str | None
    data_version: str | None  # major version that wrote the data; None: nothing there yet
    carried_version: str
    log: Path


@dataclass(frozen=True, slots=True)
class Address:
    """Where our database is reached, whether or not its server runs; the kernel vouches for the user."""

    host: str  # the socket's folder
    port: int = PORT  # said aloud because libpq would otherwise take PGPORT from the environment
    user: str = "postgres"
    password: str = ""
    dbname: str = DATABASE

    def url(self) -> str:
        return f"postgresql://{self.user}@/{self.dbname}?host={quote(self.host, safe='')}&port={self.port}"

    def answers(self) -> bool:
        """True when a server listens, has recovered and would let somebody in."""
        return PGconn.ping(self._conninfo().encode()) == Ping.OK

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._conninfo(), autocommit=True)

    def _conninfo(self) -> str:
        return make_conninfo(
            "", host=self.host, port=self.port, user=self.user, dbname=self.dbname, connect_timeout=5
        )


@dataclass(frozen=True, slots=True)
class Cluster:
    """The server of one Packshot data folder. `settings` are PostgreSQL's own and win over `DEFAULTS`."""

    data: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    service_user: str = "packshot"  # who runs the server when root starts it
    patience_s: float = 600.0  # crash recovery after a long checkpoint interval takes minutes on a slow disk
    durable: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", self.data.resolve())

    @classmethod
    def throwaway(cls, folder: Path, settings: Mapping[str, str] | None = None) -> Self:
        """A cluster for tests: starts quickly and does not survive a power cut.

        As root `folder` must lie where other users may pass, which pytest's `tmp_path` does not.
        """
        return cls(folder, {**FORGETFUL, **(settings or {})}, durable=False)

    def ensure_running(self) -> str:
        """The URL of our database, for psycopg and Django; its server is found, or started now."""
        if self.is_running():
            return self.connection().url()
        try:
            account = service_account(self.service_user)
            self._lay_out(account)
            with locked(self._home / "start.lock", patience_s=self.patience_s) as turn:
                self._create_once(account, turn)
                self._bring_up(account)
                self._ensure_database()
                return self.connection().url()
        except OSError as error:
            raise NoDatabase(f"The database cannot live in {self._home}: {error}. {USE_YOUR_OWN}") from error

    def is_running(self) -> bool:
        """True when the server answers and has our database."""
        if self._announced() is None:
            return False
        try:
            with self.connection().connect():
                return True
        except psycopg.OperationalError:
            return False

    def connection(self) -> Address:
        """Where the database is, running or not."""
        return Address(host=str(self._sockets()))

    def status(self) -> Status:
        """Whether the server answers, where, and which versions meet here."""
        running = self.is_running()
        return Status(
            running=running,
            pid=_postmaster(self._processes()),
            url=self.connection().url() if running else None,
            data_version=self._data_version(),
            carried_version=carried_binaries().version,
            log=self._logs,
        )

    def stop(self, *, patience_s: float = 30.0) -> None:
        """Stop the server: wait `patience_s` for a clean end, then end it at once. A stopped one stays so."""
        if not self._home.is_dir():
            return
        if self._home.stat().st_uid != os.geteuid():
            raise self._another_users()
        with locked(self._home / "start.lock", patience_s=self.patience_s):
            for how, wait_s in ((signal.SIGINT, patience_s), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
                if self._all_gone(within_s=0):
                    return
                self._signal(how)
                if self._all_gone(within_s=wait_s):
                    return
        raise NoDatabase(self._held_elsewhere())

    def check_version(self) -> None:
        """Refuse data written by another major version, naming the way across."""
        found, carried = self._data_version(), carried_binaries()
        if found is not None and found != str(carried.major):
            raise NoDatabase(
                f"{self._pgdata} was written by PostgreSQL {found}; this Packshot carries {carried.major}, "
                "which cannot read it. Nothing was changed. With the Packshot that wrote it, run: packshot "
                f"db backup FILE. Move {self._pgdata} away. Then, with this one: packshot db restore FILE."
            )

    # -- where things are ---------------------------------------------------------------------

    @property
    def _home(self) -> Path:
        return self.data / "postgres"

    @property
    def _pgdata(self) -> Path:
        return self._home / "data"

    @property
    def _logs(self) -> Path:
        return self._home / "log"

    def _sockets(self) -> Path:
        inside = self._home / "run"
        if len(os.fsencode(inside / f"{SOCKET}.lock")) < _SOCKET_PATH_LIMIT and "," not in str(inside):
            return inside
        name = hashlib.sha256(os.fsencode(self._home)).hexdigest()[:12]
        if os.geteuid() == 0:
            return SYSTEM_HOME / "run" / name
        # Not XDG_RUNTIME_DIR: it is swept when the user logs out, and the server stays.
        return Path(f"/tmp/packshot-{os.geteuid()}-{name}")  # noqa: S108  made 0700, refused when another's

    def _data_version(self) -> str | None:
        try:
            return (self._pgdata / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return None
        except PermissionError:
            raise self._another_users() from None

    def _announced(self) -> Path | None:
        """The socket's folder, once a server wrote into postmaster.pid that it is ready; it may be dead."""
        try:
            lines = os.fsdecode((self._pgdata / "postmaster.pid").read_bytes()).split("\n")
        except FileNotFoundError:
            return None
        except PermissionError:
            raise self._another_users() from None
        return Path(lines[4]) if len(lines) >= 8 and lines[7].strip() == "ready" else None

    # -- making it ----------------------------------------------------------------------------

    def _lay_out(self, account: Account) -> None:
        """Every folder the server needs, open to its user alone."""
        root = os.geteuid() == 0
        if root:
            check_passable(self._home, account)
        make_folder(self.data, 0o755 if root else 0o700)
        # Root's files here must not be another user's to replace; the server's user owns only what it writes.
        make_folder(self._home, 0o755 if root else 0o700)
        if self._home.stat().st_uid != os.geteuid():
            raise self._another_users()
        make_private_folder(self._logs, account)
        sockets = self._sockets()
        if root:
            make_folder(sockets.parent, 0o755)
        make_private_folder(sockets, account)

    def _another_users(self) -> NoDatabase:
        try:
            owner = f"the user {self._home.owner()}"
        except (KeyError, OSError):
            owner = "another user"
        return NoDatabase(
            f"The database in {self._home} belongs to {owner}: run Packshot as that user, or choose "
            f"another folder with --data. {USE_YOUR_OWN}"
        )

    def _create_once(self, account: Account, turn: int) -> None:
        """Make the cluster beside its place and rename it in: half of one is never taken for whole."""
        if self._data_version() is not None:
            return
        if self._pgdata.exists() and any(self._pgdata.iterdir()):
            raise NoDatabase(
                f"{self._pgdata} holds files but no database (no PG_VERSION). Nothing was changed: move it "
                f"away or bring its database back. {USE_YOUR_OWN}"
            )
        fresh = self._home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        make_private_folder(fresh, account)
        command = [
            runnable_binaries().program("initdb"),
            f"--pgdata={fresh}",
            f"--username={self.connection().user}",
            "--encoding=UTF8",
            # PostgreSQL's own C.UTF-8: indexes do not break when the system's C library is upgraded.
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--auth-local=peer",
            "--auth-host=scram-sha-256",
            "--data-checksums",
            "--no-instructions",
            *([] if self.durable else ["--no-sync"]),
        ]
        # If we are killed, initdb goes on, holding our turn until it has ended.
        answer = run_as(account, command, keep_open=[turn])
        if answer.returncode:
            raise NoDatabase(
                f"The database could not be made in {fresh}:\n{answer.stdout[-2000:]}\n{USE_YOUR_OWN}"
            )
        fresh.rename(self._pgdata)
        sync_folder(self._home)

    def _ensure_database(self) -> None:
        try:
            with replace(self.connection(), dbname="postgres").connect() as connection:
                known = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
                ).fetchone()
                if known is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.OperationalError as error:
            raise NoDatabase(
                f"The database server runs and refuses us: {error}. Its log: {self._logs}."
            ) from error

    # -- starting it --------------------------------------------------------------------------

    def _bring_up(self, account: Account) -> None:
        """Return when a server answers: the living one when there is one, else a new one."""
        began, started = time.monotonic(), False
        while (waited_s := time.monotonic() - began) < self.patience_s:
            if self._announced() is not None and self.connection().answers():
                return
            alive = try_lock(self._home / "server.lock")
            if alive is None:
                if waited_s > _ORPHANS_MAY_TAKE_S:
                    self._clear_the_way()
            elif started:
                os.close(alive)
                raise NoDatabase(f"The database server ended while it started.\n{self._log_tail()}")
            else:
                try:
                    self._start(account, alive)
                finally:
                    os.close(alive)  # the server holds it now
                began, started = time.monotonic(), True
            time.sleep(0.01 if waited_s < 1 else 0.1)
        raise NoDatabase(self._held_elsewhere())

    def _start(self, account: Account, alive: int) -> None:
        self.check_version()
        if self._pgdata.stat().st_uid != account.uid:
            raise NoDatabase(
                f"{self._pgdata} does not belong to the user {account.name}, who runs the database. Give it "
                f"back: chown -R {account.name} {self._pgdata}"
            )
        if self._processes():  # somebody removed server.lock under a running server
            raise NoDatabase(self._held_elsewhere())
        # PostgreSQL takes any living process of its user for the owner of these files. We know better: the
        # lock is ours and no process works in the folder.
        (self._pgdata / "postmaster.pid").unlink(missing_ok=True)
        for leftover in self._sockets().glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)
        self._write_configuration(account)
        command = [
            runnable_binaries().program("postgres"),
            "-D",
            str(self._pgdata),
            "-c",
            f"config_file={self._home / 'postgresql.conf'}",
        ]
        # Behind a shell that is gone at once: the server is nobody's child, so it outlives us and is never
        # our zombie. POSIX has that shell ignore SIGINT and SIGQUIT for it; PostgreSQL sets both again.
        with (self._home / "start.log").open("wb") as log:
            run_as(
                account, ["/bin/sh", "-c", '"$@" &', "sh", *command], stdout=log.fileno(), keep_open=[alive]
            )

    def _write_configuration(self, account: Account) -> None:
        values = {
            **DEFAULTS,
            "log_directory": str(self._logs),
            **self.settings,
            "hba_file": str(self._home / "pg_hba.conf"),
            "ident_file": str(self._home / "pg_ident.conf"),
            "unix_socket_directories": '"' + str(self._sockets()).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "port": str(PORT),
        }
        users = {account.name, "root"} if os.geteuid() == 0 else {account.name}
        files = {
            "postgresql.conf": "# Written by Packshot at each start. To change a value: ALTER SYSTEM.\n"
            + "".join(f"{name} = {_quoted(value)}\n" for name, value in values.items()),
            "pg_hba.conf": (
                "local all all peer map=packshot\n"
                "host all all 127.0.0.1/32 scram-sha-256\n"
                "host all all ::1/128 scram-sha-256\n"
            ),
            "pg_ident.conf": "".join(
                f'packshot "{user}" {self.connection().user}\n' for user in sorted(users)
            ),
        }
        for name, text in files.items():
            path = self._home / name
            path.write_text(text)
            path.chmod(0o644)  # the server's user reads them; they hold no secret

    # -- waiting for it, ending it --------------------------------------------------------------

    def _clear_the_way(self) -> None:
        """Something of this cluster lives and does not answer: end it if waiting cannot help."""
        processes, sockets = self._processes(), self._sockets()
        server = _postmaster(processes)
        if server is None:
            # Their server is dead, so nothing that they still compute can be committed.
            for orphan in processes:
                _kill(orphan, signal.SIGKILL)
        elif self._announced() == sockets and not (sockets / SOCKET).exists():
            # Its socket was swept away, by a cleaner of /tmp for one: nobody can reach it any more.
            _kill(server, signal.SIGINT)

    def _all_gone(self, *, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while (alive := try_lock(self._home / "server.lock")) is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        os.close(alive)
        return True

    def _signal(self, how: signal.Signals) -> None:
        """Tell the server, or, when it must die or is dead already, each process of it."""
        processes = self._processes()
        server = _postmaster(processes)
        for pid in processes if server is None or how == signal.SIGKILL else [server]:
            _kill(pid, how)

    def _processes(self) -> list[int]:
        """Ids of the processes that are a `postgres` working in this data folder, in this machine's eyes."""
        try:
            ours = self._pgdata.stat()
        except FileNotFoundError:
            return []
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                works_in = (entry / "cwd").stat()
                program = (entry / "exe").readlink().name.removesuffix(" (deleted)")
            except OSError:  # gone meanwhile, or not ours to see
                continue
            if program == "postgres" and os.path.samestat(works_in, ours):
                found.append(int(entry.name))
        return found

    def _held_elsewhere(self) -> str:
        pids = ", ".join(map(str, self._processes())) or "none of this machine's, perhaps another container's"
        return (
            f"The database in {self._home} is held by processes that do not answer ({pids}). Stop the other "
            f"Packshot that uses this folder, or end those processes.\n{self._log_tail()}"
        )

    def _log_tail(self) -> str:
        logs = [self._home / "start.log", *self._logs.glob("*.log")]
        written = sorted((path for path in logs if path.exists()), key=lambda path: path.stat().st_mtime)
        tails = [path.read_bytes()[-1500:].decode(errors="replace") for path in written[-2:]]
        return "\n".join(["The end of its log:", *tails])


def _postmaster(processes: Sequence[int]) -> int | None:
    """The one that started the others, which call themselves `postgres: ...` once they are set up."""
    for pid in processes:
        with suppress(OSError):
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            if title and not title.startswith(b"postgres:") and parent not in processes:
                return pid
    return None


def _kill(pid: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, how)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
