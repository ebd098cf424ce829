"""`packshot queue`: what was asked for, and a person's verbs on it."""

from pathlib import Path
from typing import Annotated

import typer

from packshot import accounts, reports
from packshot.cli import bulk, identity
from packshot.cli.screen import (
    Column,
    brief,
    clock,
    dollars_typed,
    facts,
    many,
    money,
    print_json,
    program,
    say,
    status,
    table,
    when,
)
from packshot.flows import generate as flows
from packshot.flows.generate import Resolution
from packshot.generations.models import (
    GENERATION_STATUSES,
    OPEN_ATTEMPT_STATES,
    Attempt,
    Evidence,
)
from packshot.imaging.header import MAX_BYTES
from packshot.kernel.errors import REMEDIES, BadInput
from packshot.kernel.money import micros, show
from packshot.reports import GenerationRow, InBatch

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="See generations; retry, cancel, resolve them."
)

Id = Annotated[str, typer.Argument(help="An id, whole or its last 8 characters.", metavar="ID")]


@app.command("list")
def list_generations(
    status_is: Annotated[
        str | None,
        typer.Option("--status", help=f"One of {', '.join(GENERATION_STATUSES)}.", metavar="STATUS"),
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Of this provider.", metavar="NAME")] = None,
    text: Annotated[str | None, typer.Option(help="Words of SKU, name, attributes.", metavar="TEXT")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, metavar="N")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: everything known of each.")] = False,
) -> None:
    """List generations, newest first."""
    if status_is is not None and status_is not in GENERATION_STATUSES:
        raise BadInput(
            f"a status is one of {', '.join(GENERATION_STATUSES)}, not {status_is!r}", field="status"
        )
    bulk.of_known(provider)
    rows = reports.queue(status=status_is, provider=provider, text=text, limit=limit)
    if as_json:
        print_json(rows)
        return
    table(
        [
            Column("Id", whole=True),
            Column("SKU"),
            Column("Provider", whole=True),
            Column("Status", whole=True),
            Column("Try", whole=True, right=True),
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
                brief(row.created_at),
                _note(row),
            ]
            for row in rows
        ],
        empty="No generation fits." if status_is or provider or text else "Nothing was asked for yet.",
    )


def _cost(row: GenerationRow) -> object:
    if row.status == "uncertain" or row.cost_unknown:
        return "not known"
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
    if row.batch is not None and row.status == "processing":
        return _with_batch(row.batch)
    return "charged an unknown amount" if row.cost_unknown else ""


def _with_batch(batch: InBatch) -> str:
    due = f" {when(batch.due_at)}" if batch.due_at else ""
    looked = f"asked {when(batch.looked_at)}" if batch.looked_at else "not asked yet"
    return f"with the provider's batch, by tomorrow{due}; {batch.done} of {batch.total} made, {looked}"


@app.command("show")
def show_generation(generation: Id) -> None:
    """Show one generation: its prompt, each attempt with its times and cost, and the evidence."""
    [key] = identity.find([generation], table="packshot_generation", what="generation")
    [row] = reports.newest_generations(1, ids=[key])
    facts(
        [
            ("Id", row.id),
            ("Product", f"{row.sku}, {row.product_name}"),
            ("Provider", f"{row.provider}, model {row.model}{', simulated' if row.simulated else ''}"),
            ("Status", status(row.status)),
            ("Asked", f"{when(row.created_at)} by {row.asked_by_name}"),
            ("Expected", "unknown" if row.estimated_cost is None else show(micros(row.estimated_cost))),
            ("Cost", _cost(row) or "none so far"),
            *([("Waits", f"{row.wait_reason}: {row.wait_detail}")] if row.wait_reason else []),
            *([("Stands", _with_batch(row.batch))] if row.batch else []),
            *(
                [("Why", f"{row.error_kind.replace('_', ' ')}: {row.error_message}")]
                if row.error_kind
                else []
            ),
            *([("What to do", REMEDIES.get(row.error_kind, ""))] if row.error_kind else []),
            ("Images", ", ".join(identity.short(image.image_id) for image in row.images) or "none"),
            ("Prompt", row.prompt),
        ]
    )
    attempts = list(Attempt.objects.filter(generation_id=key).select_related("process").order_by("number"))
    say()
    table(
        [
            Column("Attempt", whole=True, right=True),
            Column("State", whole=True),
            Column("Sent", whole=True),
            Column("Ended", whole=True),
            Column("Held", whole=True, right=True),
            Column("Charged", whole=True, right=True),
            Column("Request id"),
            Column("Said", fold=True),
        ],
        [
            [
                each.number,
                each.state,
                clock(each.sending_at),
                clock(each.closed_at),
                show(each.reserved_micros),
                _charged(each),
                each.request_id,
                f"{each.error_kind.replace('_', ' ')}: {each.error_message}" if each.error_kind else "",
            ]
            for each in attempts
        ],
        empty="No attempt was made yet.",
    )
    proofs = Evidence.objects.filter(attempt__generation_id=key).order_by("at")
    for proof in proofs:
        by = f" by {proof.by_name}" if proof.by_name else ""
        say(
            f"Evidence, {when(proof.at)}{by}: {proof.kind}, argues for {proof.verdict}. "
            f"{proof.detail.get('note', '')}"
        )
    if row.status == "uncertain" or row.cost_unknown:
        say(
            "Nobody knows what was charged. Look at the provider's usage page, then settle it: "
            f"{program()} queue resolve {identity.short(key)} --note TEXT, with --charged, --free or --again"
        )


def _charged(attempt: Attempt) -> str:
    if attempt.state in OPEN_ATTEMPT_STATES:
        return ""
    return show(attempt.cost_micros)


@app.command("resolve")
def resolve(
    generation: Id,
    note: Annotated[
        str, typer.Option(help="The evidence, such as the line of the provider's bill.", metavar="TEXT")
    ],
    charged: Annotated[bool, typer.Option("--charged", help="The provider charged for it.")] = False,
    amount: Annotated[
        str | None, typer.Option(help="How much, in dollars; without it, what was held.", metavar="DOLLARS")
    ] = None,
    free: Annotated[bool, typer.Option("--free", help="It did not charge.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="It did not charge, and the image is asked for anew.")
    ] = False,
) -> None:
    """Settle a charge that nobody knew: say --charged, --free or --again, and why."""
    if charged + free + again != 1:
        raise BadInput("say what happened: --charged, --free or --again, one of the three")
    if amount is not None and not charged:
        raise BadInput("--amount goes with --charged", field="amount")
    how: Resolution = "charged" if charged else "free" if free else "again"
    [key] = identity.find([generation], table="packshot_generation", what="generation")
    flows.resolve(
        key,
        how,
        accounts.this_shell(),
        note=note,
        amount_micros=None if amount is None else dollars_typed(amount),
    )
    [row] = reports.newest_generations(1, ids=[key])
    say(f"Settled. {row.sku} is {row.status}; its cost is {_cost(row) or show(0)}.")


@app.command("bring")
def bring(
    generation: Id,
    pictures: Annotated[list[Path], typer.Argument(help="PNG, JPEG or WebP, up to four.", metavar="FILE")],
) -> None:
    """Bring images that somebody made by hand, as in Midjourney, for a generation that waits for them."""
    from packshot.flows.by_hand import bring as keep

    [key] = identity.find([generation], table="packshot_generation", what="generation")
    contents = []
    for each in pictures:
        try:
            with each.open("rb") as file:
                contents.append(file.read(MAX_BYTES + 1))
        except OSError as problem:
            raise BadInput(f"{each} cannot be read: {problem.strerror}", field="pictures") from None
    say(f"{many(keep(key, contents, accounts.this_shell()), 'image')} kept.")


@app.command("collect")
def collect(generation: Id) -> None:
    """Look once more for an image that was paid for and set aside, because its workers died. Free."""
    from packshot.flows.collect import collect as look

    [key] = identity.find([generation], table="packshot_generation", what="generation")
    seen = look(key)
    if seen.images:
        say(f"{many(seen.images, 'image')} collected, at no further cost.")
    else:
        say(f"No image: {seen.words}. {'' if seen.final else 'Try again in a minute.'}".rstrip())


bulk.add_to(app)
