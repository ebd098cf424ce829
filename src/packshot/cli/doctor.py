"""`packshot doctor`: what works, what does not, and what to do about it."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
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
from packshot.cli.database import cluster
from packshot.cli.preparing import OLDEST_POSTGRESQL, waiting_migrations
from packshot.cli.screen import many, plain, print_json, program, say, screen
from packshot.events import CHANNEL
from packshot.flows.desk import simulator_url, uses_simulator
from packshot.generations.models import Process
from packshot.kernel.errors import PackshotError
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
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for each in findings:
        said = plain(each.said)
        if each.remedy:
            said.append("\n").append(plain(each.remedy))
        grid.add_row(Text("✓", "green") if each.ok else Text("✗", "bold red"), Text(each.name, "bold"), said)
    screen().print(grid)
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


def _keys() -> Finding:
    parts = []
    for adapter in registry.adapters().values():
        if adapter.key_variable:
            present = adapter.name in settings.PROVIDER_KEYS
            parts.append(f"{adapter.label} {'set' if present else 'not set'} ({adapter.key_variable})")
    said = ", ".join(parts)
    if uses_simulator():
        said += "; all run on the simulator"
    broken = registry.found().broken
    if broken:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in broken.items())
        return Finding("keys", False, f"{said}; unusable adapters: {reasons}", "Reinstall or remove those adapters.")
    return Finding("keys", True, said)


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
    return Finding("disk", usage.free > LEAST_FREE_BYTES, said, "" if usage.free > LEAST_FREE_BYTES else "Free some space.")
