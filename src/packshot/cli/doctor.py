"""`packshot doctor`: what works, what does not, and what to do about it."""

import secrets
import shutil
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import psycopg
import typer
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from psycopg import Connection
from rich.table import Table
from rich.text import Text

from packshot import blobs, ledger, reports
from packshot.accounts.models import Role, User
from packshot.cli.database import cluster
from packshot.cli.preparing import OLDEST_POSTGRESQL, waiting_migrations
from packshot.cli.screen import many, plain, print_json, program, say, screen
from packshot.events import CHANNEL
from packshot.flows import delivery
from packshot.flows.desk import is_set_up, simulator_url, unusable, uses_simulator
from packshot.generations.models import Process
from packshot.kernel.errors import PackshotError
from packshot.kernel.money import show
from packshot.kernel.redaction import redact
from packshot.providers import registry
from packshot.sql import VIEWS

app = typer.Typer(add_completion=False)

REALTIME_WITHIN_S = 2.0
HEARTBEAT_WITHIN_S = 30
# A day of a busy desk: 20,000 images of 2 MB would fill more, but nobody starts with less than this.
LEAST_FREE_BYTES = 2_000_000_000
# What one process may hold (docs: six each for the site and each worker), a few spare for this and backups.
CONNECTIONS_TO_SPARE = 12
SCHEMA = "packshot"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's: what was looked at, how it is, and what to do if it is wrong."""

    name: str
    ok: bool
    said: str
    remedy: str = ""


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Check keys, database, views, live news, image store, workers, providers, spending and disk.

    Ends with 1 when something is wrong.
    """
    findings = [*_machine(), *_database()]
    if as_json:
        print_json(findings)
    else:
        _show(findings)
    if not all(each.ok for each in findings):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    out = screen()
    for each in findings:
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_column(no_wrap=True)
        line.add_column(no_wrap=True, min_width=max(len(one.name) for one in findings))
        line.add_column(overflow="fold")
        mark = Text("✓", "green") if each.ok else Text("✗", "bold red")
        line.add_row(mark, Text(each.name, "bold"), plain(each.said))
        out.print(line)
        if each.remedy:
            # Left to the terminal to fold: a command in it can be copied whole.
            out.print(Text("  → ").append_text(plain(each.remedy)), soft_wrap=True)
    wrong = sum(not each.ok for each in findings)
    say(f"\n{many(wrong, 'thing')} to mend." if wrong else "\nAll is well.")


def _looked(name: str, look: Callable[[], Finding], remedy: str = "") -> Finding:
    """What `look` found; its trouble is a finding, too."""
    try:
        return look()
    except (PackshotError, DatabaseError, psycopg.Error, OSError) as problem:
        connection.close()
        said = redact(str(problem)).strip() or type(problem).__name__
        return Finding(name, False, said.splitlines()[0], remedy)


# -- this machine ------------------------------------------------------------------------------


def _machine() -> Iterator[Finding]:
    yield _looked("keys", _keys)
    if uses_simulator():
        yield _looked("simulator", _simulator)
    yield _looked("image store", _store, "Look at BLOB_URL and at the folder or bucket that it names.")
    yield _looked("disk", _disk)
    yield _looked(
        "signature",
        _signature,
        "Correct PACKSHOT_SIGNING_CERT and PACKSHOT_SIGNING_KEY: until then no new public image is made.",
    )


def _keys() -> Finding:
    parts = [
        f"{adapter.label} {'set' if is_set_up(adapter) else 'not set'} ({needed})"
        for adapter in registry.adapters().values()
        if (needed := registry.needed_variable(adapter))
    ]
    said = ", ".join(parts)
    if uses_simulator():
        said += "; all run on the simulator"
    wrong = unusable()
    if wrong:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in wrong.items())
        return Finding("keys", False, f"{said}; unusable: {reasons}", "Correct the variable and restart.")
    broken = registry.found().broken
    if broken:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in broken.items())
        return Finding(
            "keys", False, f"{said}; unusable adapters: {reasons}", "Reinstall or remove those adapters."
        )
    return Finding("keys", True, said)


def _signature() -> Finding:
    own = settings.SIGNING_CERT or settings.SIGNING_KEY
    if not own and not delivery.local_path().exists():
        return Finding("signature", True, "a certificate is made here with the first public image")
    identity = delivery.identity()
    said = f"{identity.name}, until {identity.until:%Y-%m-%d}"
    if identity.local:
        return Finding("signature", True, f"{said}: viewers show an unknown signer")
    soon = identity.until - timezone.now() < timedelta(days=30)
    return Finding("signature", not soon, said, "Renew the certificate before that day." if soon else "")


def _simulator() -> Finding:
    url = simulator_url()
    remedy = f"Start it with the rest: {program()} up. Or alone: {program()} simulate"
    if url is None:
        return Finding("simulator", False, "it was never started", remedy)
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=2):
            return Finding("simulator", True, f"answers on {url}")
    except OSError:
        return Finding("simulator", False, f"nobody answers on {url}", remedy)


def _store() -> Finding:
    blobs.open_store(settings.BLOB_URL).check()
    return Finding("image store", True, f"{redact(settings.BLOB_URL)} takes and gives bytes")


def _disk() -> Finding:
    usage = shutil.disk_usage(_existing(settings.DATA))
    said = f"{usage.free / 1e9:,.1f} GB free of {usage.total / 1e9:,.0f} GB at {settings.DATA}"
    return Finding(
        "disk",
        usage.free > LEAST_FREE_BYTES,
        said,
        "" if usage.free > LEAST_FREE_BYTES else "Free some space.",
    )


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest parent that is there already."""
    return next(each for each in (folder, *folder.parents) if each.exists())


# -- the database and what stands in it --------------------------------------------------------


def _database() -> Iterator[Finding]:
    reached = _looked("database", _server, "Look at DATABASE_URL, and whether that server runs.")
    yield reached
    if not reached.ok:
        return
    tables = _looked("tables", _tables)
    yield tables
    yield _looked("connections", _connections)
    yield _looked("sessions", _sessions)
    yield _looked("realtime", _realtime)
    if tables.ok:
        yield _looked("views", _views, f"Install them anew: {program()} db migrate")
        yield _looked("search", _search)
        yield _looked("people", _people)
        yield _looked("workers", _workers)
        yield _looked("providers", _providers)
        yield _looked("spending", _spending)


def _server() -> Finding:
    server = cluster()
    if server is not None and not server.is_running():
        return Finding(
            "database", False, f"the one in {server.data} does not run", f"Start it: {program()} up"
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000"
        )
        version, major = cursor.fetchone()
    place = (
        "Packshot's own"
        if server is not None
        else f"at {connection.settings_dict['HOST'] or 'the local socket'}"
    )
    said = f"PostgreSQL {version.split()[0]}, {place}"
    if major < OLDEST_POSTGRESQL:
        return Finding("database", False, said, f"Packshot needs PostgreSQL {OLDEST_POSTGRESQL} or newer.")
    return Finding("database", True, said)


def _tables() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        schema = cursor.fetchone()[0]
    waiting = waiting_migrations()
    if waiting:
        return Finding(
            "tables", False, f"{many(waiting, 'migration')} to apply", f"Run: {program()} db migrate"
        )
    if schema != SCHEMA:
        remedy = "A pooler or the role sets search_path: it has to keep the one that the connection asks for."
        return Finding("tables", False, f"names are looked up in schema {schema}, not in {SCHEMA}", remedy)
    return Finding("tables", True, f"up to date, in schema {schema}")


def _connections() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
                current_setting('max_connections')::int
                    - current_setting('superuser_reserved_connections')::int
            """
        )
        used, most = cursor.fetchone()
    said = f"{used} of {most} in use"
    if most - used < CONNECTIONS_TO_SPARE:
        remedy = "Raise max_connections, or run fewer processes: the site and each worker hold up to seven."
        return Finding("connections", False, said, remedy)
    return Finding("connections", True, said)


def _sessions() -> Finding:
    """A pooler that lends its connections by transaction gives ours away as soon as we are idle."""
    with _second_connection() as one, _second_connection() as other:
        mine = _backend(one)
        with other.transaction():
            _backend(other)
            again = _backend(one)
    if mine != again:
        remedy = (
            "LISTEN and advisory locks need a session of their own: name the direct address of the server, "
            "or the pooler's session mode, in DATABASE_URL (at Supabase: port 5432, not 6543)."
        )
        return Finding("sessions", False, "a pooler lends connections by transaction", remedy)
    return Finding("sessions", True, "each connection is a session of its own")


def _realtime() -> Finding:
    word = f"doctor {secrets.token_hex(4)}"
    with _second_connection() as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        began = time.monotonic()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, word])
        for each in listener.notifies(timeout=REALTIME_WITHIN_S):
            if each.payload == word:
                return Finding(
                    "realtime", True, f"news arrives after {(time.monotonic() - began) * 1000:.0f} ms"
                )
    remedy = "NOTIFY is lost on the way, as poolers by transaction do. Pages and workers only poll meanwhile."
    return Finding("realtime", False, f"no news within {REALTIME_WITHIN_S:g} s", remedy)


def _views() -> Finding:
    with connection.cursor() as cursor:
        for view in VIEWS:
            cursor.execute(f"SELECT * FROM {view} LIMIT 1")
            cursor.fetchall()
    return Finding("views", True, f"{', '.join(VIEWS)} can be read")


def _search() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('packshot_product_by_all_words') IS NOT NULL")
        (fast,) = cursor.fetchone()
    if fast:
        return Finding("search", True, "products are found by the trigrams of their words")
    return Finding(
        "search",
        True,
        "every product is read in each search, because pg_trgm is not there; with many products, let an "
        "administrator of the database run: CREATE EXTENSION pg_trgm; then: "
        "SELECT packshot.packshot_search_by_trigrams()",
    )


def _people() -> Finding:
    count = User.objects.filter(is_active=True, role=Role.ADMINISTRATOR).count()
    if not count:
        remedy = f"Add one: {program()} people add NAME --role administrator"
        return Finding("people", False, "there is no administrator", remedy)
    return Finding("people", True, many(count, "administrator"))


def _workers() -> Finding:
    since = timezone.now() - timedelta(seconds=HEARTBEAT_WITHIN_S)
    living = Counter(Process.objects.filter(ended_at=None, seen_at__gte=since).values_list("kind", flat=True))
    said = " and ".join(
        many(living[kind], f"{kind} process", f"{kind} processes") for kind in ("pay", "chores")
    )
    if missing := [kind for kind in ("pay", "chores") if not living[kind]]:
        remedy = f"Start {' and '.join(missing)}: {program()} up, or {program()} work"
        return Finding("workers", False, f"{said} seen within {HEARTBEAT_WITHIN_S} s", remedy)
    return Finding("workers", True, f"{said} seen within {HEARTBEAT_WITHIN_S} s")


def _providers() -> Finding:
    rows = reports.providers()
    if not rows:
        return Finding("providers", False, "none is known yet", f"Start the workers: {program()} up")
    said = ", ".join(f"{row.label} {row.state}{' (simulated)' if row.simulated else ''}" for row in rows)
    paused = [row for row in rows if row.state == "paused"]
    if paused:
        remedy = " ".join(
            f"{row.label}: {row.paused_message or row.paused_kind}. When that is settled: "
            f"{program()} provider resume {row.name}."
            for row in paused
        )
        return Finding("providers", False, said, remedy)
    if not any(row.state in ("healthy", "waiting", "testing", "stopped") for row in rows):
        return Finding(
            "providers", False, said, f"Switch one on: {program()} provider on NAME --limit DOLLARS"
        )
    return Finding("providers", True, said)


def _spending() -> Finding:
    state = ledger.stop_state()
    if state.stopped:
        said = f"stopped by {state.changed_by_name}: nothing is made"
        return Finding("spending", False, said, f"To go on: {program()} spending resume")
    limit = ledger.spending_limit()
    if limit is None:
        return Finding("spending", True, "goes on; no limit for real money, so none is spent")
    return Finding(
        "spending",
        True,
        f"goes on; {show(limit.left_micros)} of {show(limit.limit_micros)} of real money left",
    )


@contextmanager
def _second_connection() -> Iterator[Connection[tuple[Any, ...]]]:
    """A connection of its own to the same database, each statement by itself."""
    other = connection.copy()
    other.connect()
    try:
        yield other.connection
    finally:
        other.close()


def _backend(connection: Connection[tuple[Any, ...]]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0
