"""`packshot db`: the database as a whole."""

from pathlib import Path
from typing import Annotated

import psycopg
import typer
from django.conf import settings

from packshot import embedded
from packshot.cli.database import cluster, use_database
from packshot.cli.screen import agreed, facts, many, on_a_terminal, program, say, screen
from packshot.kernel.errors import BadInput
from packshot.kernel.redaction import redact

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Back up, restore, migrate, stop the database."
)

File = Annotated[Path, typer.Argument(help="The backup.", metavar="FILE", dir_okay=False)]


@app.command("backup")
def backup(file: File) -> None:
    """Write everything but the images' bytes into one file. Packshot may run meanwhile."""
    use_database()
    with screen(errors=True).status(f"Writing {file}"):
        embedded.backup(cluster() or settings.DATABASE_URL, file)
    say(f"{file}: {file.stat().st_size / 1e6:,.1f} MB. The images' bytes lie in {redact(settings.BLOB_URL)}.")


@app.command("restore")
def restore(
    file: File,
    replace: Annotated[
        bool, typer.Option("--replace", help="In place of what the database holds now.")
    ] = False,
) -> None:
    """Bring a backup back: whole, or not at all. Restore only files that you made."""
    if replace and on_a_terminal() and not agreed("This replaces everything in the database. Go on?"):
        say("Nothing was changed.")
        raise typer.Exit(1)
    server = cluster()
    with screen(errors=True).status(f"Restoring {file}"):
        embedded.restore(server or settings.DATABASE_URL, file, replace=replace)
        _stop_spending(server.ensure_running() if server else settings.DATABASE_URL)
    say(f"{file} was restored. Bring it up to this version: {program()} db migrate")
    say(
        "Spending is stopped: what was pending then may have been made and paid since. Compare with the "
        f"providers' bills, cancel what is done, then: {program()} spending resume"
    )


def _stop_spending(url: str) -> None:
    """A backup knows nothing of what was paid after it, so nothing is sent until a person has looked."""
    with psycopg.connect(url) as session:
        session.execute(
            """
            UPDATE packshot.packshot_stop_switch SET stopped = true, version = version + 1,
                changed_at = now(), changed_by_name = 'restore' WHERE NOT stopped
            """
        )


@app.command("migrate")
def migrate() -> None:
    """Bring the tables up to this version, as `packshot up` does."""
    server = cluster()
    if server is not None:
        server.ensure_running()
    from packshot.cli import preparing

    applied = preparing.migrate()
    say(f"{many(applied, 'migration')} applied." if applied else "The tables are up to date.")


@app.command("status")
def show_status() -> None:
    """Say where the database is and whether it runs."""
    server = cluster()
    if server is None:
        say(f"DATABASE_URL names a server that is not Packshot's own: {redact(settings.DATABASE_URL)}")
        say(f"Whether it answers: {program()} doctor", style="dim")
        return
    now = server.status()
    facts(
        [
            ("Server", f"running, process {now.pid}" if now.running else "not running"),
            ("Data", f"{server.data / 'postgres'}"),
            ("Written by", f"PostgreSQL {now.data_version}" if now.data_version else "nothing there yet"),
            ("Carried", f"PostgreSQL {now.carried_version}"),
            ("Log", now.log),
            *([("Address", now.url)] if now.url else []),
        ]
    )


@app.command("stop")
def stop() -> None:
    """Stop the embedded server. Whoever uses it loses it: stop `packshot up` instead where it runs."""
    server = cluster()
    if server is None:
        raise BadInput("DATABASE_URL names a server that is not Packshot's own; stop it where it runs")
    running = server.is_running()
    server.stop()
    say("The database is stopped." if running else "The database was not running.")
