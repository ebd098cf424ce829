"""`packshot settings`: the site's own settings. Those of this machine are environment variables."""

from typing import Annotated

import typer

from packshot import accounts, preferences
from packshot.cli.screen import Column, print_json, say, table
from packshot.flows import administer
from packshot.preferences.site import Value

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Read and change the site's settings.")

Key = Annotated[str, typer.Argument(help="The setting; `packshot settings list` shows them.", metavar="KEY")]


@app.command("list")
def list_settings(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """List every setting with its value."""
    values = preferences.everything()
    if as_json:
        print_json(values)
        return
    table(
        [Column("Setting", whole=True), Column("Value")],
        [[key, _words(value) or "(empty)"] for key, value in sorted(values.items())],
        empty="",
    )


@app.command("get")
def get(key: Key) -> None:
    """Print one setting; a list, one line each."""
    say(_words(preferences.get(key), between="\n"))


@app.command("set")
def set_value(
    key: Key,
    value: Annotated[
        list[str], typer.Argument(help="Its value; for a list, one after the other.", metavar="VALUE")
    ],
) -> None:
    """Change a setting."""
    understood = administer.set_preference(key, "\n".join(value), accounts.this_shell())
    say(f"{key} is {_words(understood) or '(empty)'} now.")


def _words(value: Value, between: str = ", ") -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return between.join(value) if isinstance(value, list) else str(value)
