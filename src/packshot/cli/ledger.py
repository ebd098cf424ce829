"""`packshot ledger`: what was charged, and what is held for what reason."""

from typing import Annotated

import typer
from django.db.models import Count, Q, Sum

from packshot import ledger
from packshot.cli import identity
from packshot.cli.screen import Column, money, print_json, say, table, when
from packshot.generations.models import Attempt
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
