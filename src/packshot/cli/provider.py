"""`packshot provider`: who may be asked, and with whose money."""

from typing import Annotated, Literal

import typer

from packshot import accounts, reports
from packshot.cli.screen import Column, dollars_typed, print_json, program, say, status, table
from packshot.flows import administer
from packshot.kernel.money import show
from packshot.reports import ProviderRow

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Switch providers on and off, pause and resume them."
)

Name = Annotated[str, typer.Argument(help="A provider, such as openai.", metavar="NAME")]


@app.command("list")
def list_providers(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """List providers: whether they take requests, and what they did so far."""
    rows = reports.providers()
    if as_json:
        print_json(rows)
        return
    table(
        [
            Column("Provider", whole=True),
            Column("State", whole=True),
            Column("Money", whole=True),
            Column("Waiting", whole=True, right=True),
            Column("Running", whole=True, right=True),
            Column("Made", whole=True, right=True),
            Column("Failed", whole=True, right=True),
            Column("Note"),
        ],
        [
            [
                row.name,
                status(row.state),
                "simulated" if row.simulated else "real",
                f"{row.pending:,}",
                f"{row.processing:,}",
                f"{row.success_count:,}",
                f"{row.failed_count:,}",
                _note(row),
            ]
            for row in rows
        ],
        empty=f"No provider is known yet: start the workers with `{program()} up`.",
    )


def _note(row: ProviderRow) -> str:
    if row.state == "paused":
        return f"{row.paused_message or row.paused_kind}; resume it when that is settled"
    if row.state == "off":
        return f"switch it on: provider on {row.name} --limit DOLLARS"
    if row.state == "unavailable":
        return "no key in the environment"
    if row.wait_until:
        return f"takes requests again at {row.wait_until.astimezone():%H:%M:%S}"
    return f"{row.uncertain:,} uncertain" if row.uncertain else ""


@app.command("on")
def on(
    name: Name,
    limit: Annotated[
        str | None,
        typer.Option(help="The most that the whole site may spend in a period.", metavar="DOLLARS"),
    ] = None,
    period: Annotated[Literal["day", "week", "month", "total"], typer.Option(help="Of the limit.")] = "month",
    zone: Annotated[
        str | None, typer.Option(help="Whose midnight ends a period; the site's unless told.", metavar="ZONE")
    ] = None,
) -> None:
    """Let a provider spend real money, within a limit for the whole site."""
    budget = administer.switch_on(
        name,
        accounts.this_shell(),
        limit_micros=None if limit is None else dollars_typed(limit),
        period=period,
        zone=zone,
    )
    if budget is None:
        say(f"{name} is on. It costs nothing; no limit is set for providers that do.")
        return
    span = "in total" if budget.period == "total" else f"per {budget.period} ({budget.zone})"
    say(
        f"{name} is on. The site may spend {show(budget.limit_micros)} {span}; "
        f"{show(budget.left_micros)} of it is left."
    )


@app.command("off")
def off(name: Name) -> None:
    """Send a provider nothing more. What is on its way is paid for, and ends."""
    changed = administer.switch_off(name, accounts.this_shell())
    say(f"{name} is off." if changed else f"{name} was off already.")


@app.command("pause")
def pause(name: Name) -> None:
    """Let a provider's queue wait. New requests are taken, and wait too."""
    changed = administer.pause(name, accounts.this_shell())
    say(
        f"{name} is paused. To go on: {program()} provider resume {name}"
        if changed
        else f"{name} was paused already."
    )


@app.command("resume")
def resume(name: Name) -> None:
    """Let a paused or waiting provider go on at once."""
    changed = administer.resume(name, accounts.this_shell())
    say(f"{name} goes on." if changed else f"{name} was not paused.")
