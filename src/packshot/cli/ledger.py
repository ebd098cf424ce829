"""`packshot ledger`: what was charged, what is held for what reason, and whether the bill agrees."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from django.conf import settings
from django.db.models import Count, Q, Sum
from django.utils import timezone

from packshot import accounts, ledger, preferences, simulator
from packshot.cli import identity
from packshot.cli.screen import Column, many, money, print_json, program, say, table, when
from packshot.flows import check as checking
from packshot.flows import reconcile as flow
from packshot.generations.models import Attempt
from packshot.kernel.errors import BadInput
from packshot.ledger.models import Entry

app = typer.Typer(add_completion=False, no_args_is_help=True, help="See what was charged and what is held.")

# Why money is held, by the state of its attempt.
_REASONS = {
    "intent": "about to be sent",
    "sending": "on its way",
    "accepted": "being made",
    "uncertain": "nobody knows what was charged",
}
_UNPRICED = "charged, the amount is not known"
SHOWN_HOLDS = 50


@app.callback()
def ledger_commands() -> None:
    """See what was charged and what is held."""


@app.command("show")
def show_ledger(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Show the sums of all entries by provider, and every hold by its name. Real and simulated stay apart."""
    totals = list(
        Entry.objects.values("provider", "simulated")
        .annotate(
            charges=Count("pk", filter=Q(kind="charge")),
            corrections=Count("pk", filter=Q(kind="adjustment")),
            amount_micros=Sum("amount_micros"),
        )
        .order_by("simulated", "provider")
    )
    holds = ledger.held()
    if as_json:
        print_json({"totals": totals, "held": holds})
        return
    table(
        [
            Column("Provider", whole=True),
            Column("Money", whole=True),
            Column("Charges", whole=True, right=True),
            Column("Corrections", whole=True, right=True),
            Column("Sum", whole=True, right=True),
        ],
        [
            [
                each["provider"],
                "simulated" if each["simulated"] else "real",
                f"{each['charges']:,}",
                f"{each['corrections']:,}",
                money(each["amount_micros"], simulated=False),
            ]
            for each in totals
        ],
        empty="Nothing was charged yet.",
    )
    say()
    attempts = Attempt.objects.in_bulk([each.attempt_id for each in holds[:SHOWN_HOLDS]])
    table(
        [
            Column("Held", whole=True, right=True),
            Column("Money", whole=True),
            Column("Provider", whole=True),
            Column("Generation", whole=True),
            Column("Since", whole=True),
            Column("Why"),
        ],
        [
            [
                money(each.amount_micros, simulated=False),
                "simulated" if each.simulated else "real",
                each.provider,
                identity.short(attempts[each.attempt_id].generation_id),
                when(attempts[each.attempt_id].created_at),
                _REASONS.get(each.state, _UNPRICED),
            ]
            for each in holds[:SHOWN_HOLDS]
        ],
        empty="Nothing is held.",
    )
    for simulated in (False, True):
        amounts = [each.amount_micros for each in holds if each.simulated == simulated]
        if amounts:
            word = "simulated" if simulated else "real"
            say(f"Held in all, {word}: {money(sum(amounts), simulated=False)} for {len(amounts):,} attempts.")


@app.command("statement")
def show_statement(
    by: Annotated[str, typer.Option(help="provider, model, category, person, run or day.")] = "provider",
    since: Annotated[
        str, typer.Option(help="First day, such as 2026-11-01; the month's first if unset.")
    ] = "",
    until: Annotated[str, typer.Option(help="Last day, such as 2026-11-30; today if unset.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Add up what was charged. Days are the site's; real and simulated money stay apart."""
    zone = str(preferences.get("time_zone"))
    start, end = _span(since, until, zone)
    lines = ledger.statement(by, start=start, end=end, zone=zone)  # type: ignore[arg-type] # it is checked there
    if as_json:
        print_json({"by": by, "start": start, "end": end, "lines": lines})
        return
    table(
        [
            Column(by.capitalize()),
            Column("Money", whole=True),
            Column("Charges", whole=True, right=True),
            Column("Corrections", whole=True, right=True),
            Column("Sum", whole=True, right=True),
        ],
        [
            [
                each.key or "(none)",
                "simulated" if each.simulated else "real",
                f"{each.charges:,}",
                f"{each.corrections:,}",
                money(each.amount_micros, simulated=False),
            ]
            for each in lines
        ],
        empty="Nothing was charged in that time.",
    )
    for simulated in (False, True):
        amounts = [each.amount_micros for each in lines if each.simulated == simulated]
        if amounts:
            word = "simulated" if simulated else "real"
            say(f"In all, {word}: {money(sum(amounts), simulated=False)}.")


@app.command("reconcile")
def reconcile(
    provider: Annotated[str, typer.Argument(help="A provider, such as openai.", metavar="PROVIDER")],
    bill: Annotated[
        Path | None, typer.Option(help="The provider's bill: a CSV with request_id and amount.")
    ] = None,
    since: Annotated[str, typer.Option(help="First day of the bill; the month's first if unset.")] = "",
    until: Annotated[str, typer.Option(help="Last day of the bill; today if unset.")] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Book what the bill says, with evidence.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Lay a provider's bill beside the ledger and name every difference. Without --bill: the simulator's own.

    Ends with 1 when there are differences that were not booked.
    """
    start, end = _span(since, until, str(preferences.get("time_zone")))
    if bill is None:
        lines = _bill_of_simulator(provider)
    elif bill.is_file():
        lines = flow.read_bill(bill)
    else:
        raise BadInput(f"there is no file {bill}", field="bill")
    found = flow.compare(provider, lines, start=start, end=end, simulated=bill is None)
    booked = 0
    if apply:
        note = f"bill {bill.name}" if bill else "the simulator's bill book"
        booked = flow.book(found.differences, accounts.this_shell(), note=note)
    if as_json:
        print_json({"reconciliation": found, "booked": booked})
    else:
        _show_differences(found, booked)
    if len(found.differences) > booked:
        raise typer.Exit(1)


def _show_differences(found: flow.Reconciliation, booked: int) -> None:
    table(
        [
            Column("Request", whole=True),
            Column("Generation", whole=True),
            Column("Billed", whole=True, right=True),
            Column("Booked", whole=True, right=True),
            Column("Held", whole=True, right=True),
            Column("What differs"),
        ],
        [
            [
                each.reference[:24] or "-",
                identity.short(each.generation_id) if each.generation_id else "-",
                *(
                    "-" if amount is None else money(amount, simulated=False)
                    for amount in (each.billed_micros, each.booked_micros, each.held_micros)
                ),
                each.words,
            ]
            for each in found.differences
        ],
        empty="Bill and ledger agree on every request.",
    )
    say(
        f"{found.requests:,} requests billed, {money(found.billed_micros, simulated=False)}; "
        f"{money(found.booked_micros, simulated=False)} booked, "
        f"{money(found.held_micros, simulated=False)} held; "
        f"{len(found.differences):,} differences, {booked:,} booked now."
    )
    if not booked and any(each.bookable for each in found.differences):
        say(f"To book what the bill says: {program()} ledger reconcile ... --apply", style="dim")


def _bill_of_simulator(provider: str) -> list[flow.BillLine]:
    folder = Path(settings.DATA) / "simulator"
    if not folder.is_dir():
        raise BadInput("no simulator ran here; name the provider's bill with --bill FILE", field="bill")
    return [
        flow.BillLine(line.reference, line.dollars)
        for line in simulator.read_bill(folder)
        if line.dialect == provider
    ]


def _span(since: str, until: str, zone: str) -> tuple[datetime, datetime]:
    """From the first day's beginning to the end of the last, in `zone`."""
    place = ZoneInfo(zone)
    today = timezone.now().astimezone(place).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    first = _day(since, "since") if since else today.replace(day=1)
    last = _day(until, "until") if until else today
    begin, end = (each.replace(tzinfo=place) for each in (first, last + timedelta(days=1)))
    if end <= begin:
        raise BadInput("the last day comes before the first", field="until")
    return begin.astimezone(UTC), end.astimezone(UTC)


def _day(text: str, field: str) -> datetime:
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d")  # noqa: DTZ007 - a calendar day, placed by the caller
    except ValueError:
        raise BadInput(f"{text!r} is not a day; write it like 2026-11-01", field=field) from None


@app.command("check")
def check_ledger(
    strict: Annotated[
        bool, typer.Option("--strict", help="Read every image and count every quarter-hour anew.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Prove that rows, sums, rules and images agree, on a site that works. Changes nothing.

    Ends with 1 when something is wrong, and says what to do about each.
    """
    proof = checking.check(strict=strict)
    if as_json:
        print_json(proof)
    else:
        for problem in proof.problems:
            say(f"{problem.invariants}: {problem}")
        say(
            f"{many(proof.attempts, 'attempt')}, {many(proof.entries, 'entry', 'entries')}, "
            f"{proof.blobs:,} of {many(proof.of_blobs, 'image')} read, {proof.took_s:.1f} s: "
            + (f"{many(len(proof.problems), 'problem')}." if proof.problems else "all is right.")
        )
    if proof.problems:
        raise typer.Exit(1)
