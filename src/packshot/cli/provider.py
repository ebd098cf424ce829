"""`packshot provider`: who may be asked, and with whose money."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Literal

import typer

from packshot import accounts, reports
from packshot.cli.screen import (
    Column,
    dollars_typed,
    money,
    print_json,
    program,
    say,
    status,
    table,
    warn,
)
from packshot.flows import administer, inspecting
from packshot.flows.inspecting import Account, Stop
from packshot.kernel.money import show
from packshot.reports import ProviderRow

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Switch providers on and off, pause and resume them."
)

_KEYS = {True: "works", False: "refused", None: "not told"}
Name = Annotated[str, typer.Argument(help="A provider, such as openai.", metavar="NAME")]


@app.command("list")
def list_providers(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """List providers: whether they take requests, what they did so far, and which of their models stop."""
    rows = reports.providers()
    known = inspecting.accounts({row.name: row.simulated for row in rows})
    if as_json:
        print_json([_whole(row, known[row.name]) for row in rows])
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
    _show_stops({row.name: known[row.name].stops for row in rows})


@app.command("check")
def check(
    name: Annotated[
        str | None, typer.Argument(help="A provider; each that can be looked at unless told.", metavar="NAME")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Prove keys without buying an image, and read balances and the last days of models.

    Ends with 1 when a key does not work.
    """
    looked = inspecting.look_now(name)
    if as_json:
        print_json(looked)
    else:
        table(
            [
                Column("Provider", whole=True),
                Column("Money", whole=True),
                Column("Key", whole=True),
                Column("Balance", whole=True, right=True),
                Column("What it said", fold=True),
            ],
            [
                [
                    each.provider,
                    "simulated" if each.simulated else "real",
                    _KEYS[each.found.key_works],
                    "" if each.found.balance is None else money(each.found.balance, simulated=each.simulated),
                    each.found.detail,
                ]
                for each in looked
            ],
            empty="No provider here can be looked at without buying an image.",
        )
        _show_stops({each.provider: each.stops for each in looked})
    if any(each.found.key_works is False for each in looked):
        raise typer.Exit(1)


def _show_stops(stops: Mapping[str, Sequence[Stop]]) -> None:
    for name, each in stops.items():
        for stop in each:
            warn(f"{name}: {stop.words}")


def _whole(row: ProviderRow, account: Account) -> dict[str, object]:
    seen = account.inspected
    return {each.name: getattr(row, each.name) for each in fields(row)} | {
        "stops": account.stops,
        "key_works": seen.key_works if seen else None,
        "balance_micros": seen.balance_micros if seen else None,
        "checked_at": seen.checked_at if seen else None,
    }


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
