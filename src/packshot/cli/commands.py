"""Every command and the module that holds it, which is imported when the command is called.

Django takes most of a second to set up, so `packshot --help` does not, and modules below can import what
they show at their top.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

RUN = "Run"
CATALOGUE = "Catalogue and images"
QUEUE = "Queue and money"
ADMINISTRATION = "Administration"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command stands, and its line in `packshot --help`."""

    home: str  # module:attribute
    panel: str
    help: str
    needs: str = "database"  # database, django (configured only), or nothing
    stays: bool = False  # a process of its own, which says what it does


COMMANDS: dict[str, Entry] = {
    "up": Entry("up:app", RUN, "Start everything: database, site, workers. Stop it with Ctrl-C.", "nothing"),
    "serve": Entry("processes:serve", RUN, "Run the site alone.", "nothing", stays=True),
    "work": Entry("processes:work", RUN, "Run the workers alone.", "nothing", stays=True),
    "simulate": Entry(
        "simulating:app",
        RUN,
        "Run the simulator of the providers; say what goes wrong there.",
        "nothing",
        stays=True,
    ),
    "doctor": Entry("doctor:app", RUN, "Check this installation, and say how to mend it.", "django"),
    "import": Entry("importing:app", CATALOGUE, "Import a catalogue file."),
    "products": Entry("products:app", CATALOGUE, "List and archive products."),
    "templates": Entry("templates:app", CATALOGUE, "Show, try, save and use prompt templates."),
    "generate": Entry("generating:app", CATALOGUE, "Ask a provider for images of products."),
    "images": Entry("images:app", CATALOGUE, "List, choose, share and export images."),
    "queue": Entry("queue:app", QUEUE, "See generations; retry, cancel, resolve them."),
    "provider": Entry("provider:app", QUEUE, "Switch providers on and off, pause and resume them."),
    "spending": Entry("spending:app", QUEUE, "See budgets; stop all spending, resume it."),
    "ledger": Entry("ledger:app", QUEUE, "See what was charged and what is held."),
    "people": Entry("people:app", ADMINISTRATION, "Who may sign in, and as what."),
    "settings": Entry("settings:app", ADMINISTRATION, "Read and change the site's settings."),
    "db": Entry("db:app", ADMINISTRATION, "Back up, restore, migrate, stop the database.", "django"),
    "rollups": Entry("rollups:app", ADMINISTRATION, "Prove the figures of the reports, and repair them."),
}


class LazyGroup(TyperGroup):
    """Lists commands by their entries; imports the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, help=entry.help, rich_help_panel=entry.panel)
            for name, entry in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            command = _load(COMMANDS[name])
            command.name = name
        return name, command, rest


def _load(entry: Entry) -> Any:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "packshot.settings")
    if not entry.stays:
        # Between a table and its reader, only what needs an eye.
        os.environ.setdefault("PACKSHOT_LOG_LEVEL", "WARNING")
    if entry.needs != "nothing":
        import django

        django.setup()
    module, _, attribute = entry.home.partition(":")
    command = get_command(getattr(import_module(f"packshot.cli.{module}"), attribute))
    return _with_database(command) if entry.needs == "database" else command


def _with_database(command: Any) -> Any:
    """`command`, which finds the database running once its own words are understood."""
    for each in getattr(command, "commands", {}).values():
        _with_database(each)
    if not hasattr(command, "commands"):
        command.callback = _after_database(command.callback)
    return command


def _after_database(act: Callable[..., object]) -> Callable[..., object]:
    from packshot.cli.database import use_database

    @wraps(act)
    def begin(*args: Any, **given: Any) -> object:
        use_database()
        return act(*args, **given)

    return begin


app = typer.Typer(
    cls=LazyGroup,
    name="packshot",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, keys among them
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"packshot {version('packshot')}")
        raise typer.Exit


def _use_data(folder: Path | None) -> None:
    # While words are read: the command's module is imported before this group's own function is called.
    if folder is not None and str(folder) != os.environ.get("PACKSHOT_DATA"):
        from packshot.cli.screen import use_data

        use_data(folder)


@app.callback(epilog="Settings are environment variables: PACKSHOT_DATA, DATABASE_URL, BLOB_URL and others.")
def packshot(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the data, for every command.",
            callback=_use_data,
            envvar="PACKSHOT_DATA",
            file_okay=False,
            metavar="DIR",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The self-hosted desk for AI product images: generate, compare, approve and pay, across providers."""
