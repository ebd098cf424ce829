"""`packshot provider`: who may be asked, and with whose money."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import typer

from packshot import accounts, preferences, reports
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
from packshot.flows import administer, inspecting, prices
from packshot.flows.desk import quoting
from packshot.flows.inspecting import Account, Stop
from packshot.kernel.errors import BadInput
from packshot.kernel.money import show
from packshot.ledger import PriceKind
from packshot.providers.price_lists import price_list
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


@app.command("drain")
def drain(name: Name) -> None:
    """Take no new requests for a provider, and make what is queued."""
    changed = administer.drain(name, accounts.this_shell())
    say(
        f"{name} takes no new requests. To take them again: {program()} provider resume {name}"
        if changed
        else f"{name} took none already."
    )


@app.command("limits")
def limits(
    name: Name,
    at_once: Annotated[int, typer.Option(help="Requests that run at the same time.", metavar="N")],
    per_minute: Annotated[
        int | None, typer.Option(help="Requests that begin in a minute; any number unless told.", metavar="N")
    ] = None,
) -> None:
    """Set how much of a provider may run at once, and begin in a minute."""
    changed = administer.set_limits(name, accounts.this_shell(), max_in_flight=at_once, per_minute=per_minute)
    rate = "any number" if per_minute is None else f"{per_minute:,}"
    say(f"{name}: {at_once:,} at once, {rate} a minute." if changed else f"{name} had these limits already.")


@app.command("resume")
def resume(name: Name) -> None:
    """Let a paused, waiting or draining provider go on at once."""
    changed = administer.resume(name, accounts.this_shell())
    say(f"{name} goes on." if changed else f"{name} was not paused.")


# -- prices --------------------------------------------------------------------------------------------


@app.command("prices")
def show_prices(
    name: Annotated[
        str | None, typer.Argument(help="A provider; every one unless told.", metavar="NAME")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Show what an image of each model costs, from which source and since when."""
    known = {row.name: row for row in reports.providers()}
    wanted = sorted(quoting(), key=lambda each: (each not in known, each)) if name is None else [name]
    if name is not None and name not in quoting():
        raise BadInput(
            f"there is no provider {name!r}; there are {', '.join(sorted(quoting()))}", field="name"
        )
    lines = [
        (each, line)
        for each in wanted
        for line in prices.price_lines(each, known[each].price_edition if each in known else 0)
    ]
    if as_json:
        print_json([_priced(each, line) for each, line in lines])
        return
    table(
        [
            Column("Provider", whole=True),
            Column("Model"),
            Column("For"),
            Column("One image", whole=True, right=True),
            Column("At most", whole=True, right=True),
            Column("Source"),
            Column("Since", whole=True),
        ],
        [
            [
                each,
                line.model,
                line.key or "every choice",
                _span(line.now),
                "" if line.now.most is None else show(line.now.most),
                *_source(each, line),
            ]
            for each, line in lines
        ],
        empty="There is no model that can be asked for.",
    )


def _span(costs: prices.Range) -> str:
    if costs.low is None or costs.high is None:
        return "unknown"
    amount = show(costs.low) if costs.low == costs.high else f"{show(costs.low)} to {show(costs.high)}"
    return f"{amount}, some unknown" if costs.gaps else amount


def _source(provider: str, line: prices.Line) -> tuple[str, str]:
    """Where a price is from, and since when it is known."""
    if line.own:
        return (
            f"yours: {line.own.source} ({line.own.by_name})",
            f"{line.own.valid_from.astimezone():%Y-%m-%d}",
        )
    listed = price_list(provider)
    return (listed.version, listed.read_on.isoformat()) if listed else ("its adapter", "")


def _priced(provider: str, line: prices.Line) -> dict[str, object]:
    source, since = _source(provider, line)
    listed = price_list(provider)
    return {
        "provider": provider,
        "model": line.model,
        "for": prices.choices_of(line.key),
        "low_micros": line.now.low,
        "high_micros": line.now.high,
        "most_micros": line.now.most,
        "some_unknown": line.now.gaps,
        "yours": line.own is not None,
        "source": line.own.source if line.own else source,
        "since": since,
        "by": line.own.by_name if line.own else None,
        "published": {"low_micros": line.published.low, "high_micros": line.published.high},
        "sources": [each.url for each in listed.sources] if listed and not line.own else [],
    }


@app.command("set-price")
def set_price(
    name: Name,
    model: Annotated[str, typer.Argument(help="As `provider prices` names it.", metavar="MODEL")],
    price: Annotated[
        str,
        typer.Argument(
            help="Dollars an image, or `unknown` (not spent), or `published` (yours is taken back).",
            metavar="PRICE",
        ),
    ],
    source: Annotated[
        str, typer.Option(help="Where it is from: an invoice, a page, a contract.", metavar="TEXT")
    ],
    only_for: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            help="A choice it is for, such as quality=high; may be given again.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    at_most: Annotated[
        str | None, typer.Option(help="The most one image can cost, if that varies.", metavar="DOLLARS")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--from", help="The day from which it holds; now unless told.", formats=["%Y-%m-%d"]),
    ] = None,
) -> None:
    """Say what an image of a model costs here; the last word holds.

    What is queued is priced anew before it is sent. What was charged stays as it was.
    """
    kind: PriceKind = "unknown" if price == "unknown" else "withdrawn" if price == "published" else "price"
    own = prices.set_price(
        name,
        model,
        accounts.this_shell(),
        kind=kind,
        amount_micros=dollars_typed(price) if kind == "price" else None,
        most_micros=None if at_most is None else dollars_typed(at_most),
        choices=_choices(only_for or []),
        source=source,
        valid_from=_midnight(since),
    )
    what = f"{model}, {own.key}" if own.key else model
    said = {"price": f"costs {show(own.amount_micros)} an image", "unknown": "has no known price"}
    begins = f" from {since:%Y-%m-%d} on" if since else ""
    say(f"{what} {said.get(kind, 'costs what is published')}{begins}.")


def _choices(words: Sequence[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise BadInput(f"{word!r} is no choice; write it like quality=high", field="key")
        found[name] = value
    return found


def _midnight(day: datetime | None) -> datetime | None:
    """The beginning of that day on the site's own clock."""
    return None if day is None else day.replace(tzinfo=ZoneInfo(str(preferences.get("time_zone"))))
