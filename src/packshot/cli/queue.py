"""`packshot queue`: what was asked for, and a person's verbs on it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal
from uuid import UUID

import typer
from django.db.models import Sum

from packshot import accounts, reports
from packshot.cli import identity
from packshot.cli.screen import (
    Column,
    agreed,
    facts,
    many,
    money,
    on_a_terminal,
    print_json,
    program,
    say,
    status,
    table,
    when,
)
from packshot.flows import generate
from packshot.generations.models import GENERATION_STATUSES, Attempt, Evidence, Generation
from packshot.kernel.errors import REMEDIES, BadInput
from packshot.kernel.money import micros, parse_dollars, show
from packshot.reports import GenerationRow

app = typer.Typer(add_completion=False, no_args_is_help=True, help="See generations; retry, cancel, resolve them.")

# Rows per transaction: the locks of a verb on ten thousand rows must not hold up the workers.
AT_ONCE = 1_000

Ids = Annotated[list[str] | None, typer.Argument(help="Ids, whole or their last 8 characters.", metavar="[ID]...")]
Id = Annotated[str, typer.Argument(help="An id, whole or its last 8 characters.", metavar="ID")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


@app.command("list")
def list_generations(
    status_is: Annotated[
        str | None, typer.Option("--status", help=f"One of {', '.join(GENERATION_STATUSES)}.", metavar="STATUS")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Of this provider.", metavar="NAME")] = None,
    text: Annotated[str | None, typer.Option(help="Part of a SKU or a product's name.", metavar="TEXT")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, metavar="N")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: everything known of each.")] = False,
) -> None:
    """List generations, newest first."""
    if status_is is not None and status_is not in GENERATION_STATUSES:
        raise BadInput(f"a status is one of {', '.join(GENERATION_STATUSES)}, not {status_is!r}", field="status")
    rows = reports.queue(status=status_is, provider=provider, text=text, limit=limit)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    table(
        [
            Column("Id", whole=True),
            Column("SKU"),
            Column("Provider", whole=True),
            Column("Status", whole=True),
            Column("Tries", whole=True, right=True),
            Column("Cost", whole=True, right=True),
            Column("Asked", whole=True),
            Column("Note"),
        ],
        [
            [
                identity.short(row.id),
                row.sku,
                row.provider,
                status(row.status),
                row.attempts,
                _cost(row),
                when(row.created_at)[5:],
                _note(row),
            ]
            for row in rows
        ],
        empty="No generation fits." if status_is or provider or text else "Nothing was asked for yet.",
    )


def _cost(row: GenerationRow) -> object:
    if row.actual_cost is None:
        return ""
    return money(micros(row.actual_cost), simulated=row.simulated)


def _note(row: GenerationRow) -> str:
    """What a person should know of the row, in a few words."""
    if row.wait_reason:
        return f"waits: {row.wait_detail or row.wait_reason}"
    if row.error_kind:
        return f"{row.error_kind.replace('_', ' ')}: {row.error_message}"
    if row.cancel_requested_at and row.status == "processing":
        return "cancelling; the call is on its way"
    if row.cost_unknown:
        return "charged an unknown amount"
    return ""


@app.command("show")
def show_generation(generation: Id) -> None:
    """Show one generation: its prompt, each attempt with its times and cost, and the evidence."""
    [key] = identity.find([generation], table="packshot_generation", what="generation")
    row = reports.queue_row(key) if hasattr(reports, "queue_row") else reports.newest_generations(1, ids=[key])[0]
    facts(
        [
            ("Id", row.id),
            ("Product", f"{row.sku}  {row.product_name}"),
            ("Provider", f"{row.provider}, model {row.model}{', simulated' if row.simulated else ''}"),
            ("Status", status(row.status)),
            ("Asked", f"{when(row.created_at)} by {row.asked_by_name}"),
            ("Expected", _dollars(row.estimated_cost)),
            ("Cost", _cost(row) or "none so far"),
            *([("Waits", f"{row.wait_reason}: {row.wait_detail}")] if row.wait_reason else []),
            *([("Error", f"{row.error_kind}: {row.error_message}")] if row.error_kind else []),
            *([("What to do", REMEDIES.get(row.error_kind, ""))] if row.error_kind else []),
            ("Images", ", ".join(identity.short(image.image_id) for image in row.images) or "none"),
            ("Prompt", row.prompt),
        ]
    )
