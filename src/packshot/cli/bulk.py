"""`packshot queue retry|cancel|reprioritise`: what the Queue's page does to many, by the same filter."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, cast
from uuid import UUID, uuid4

import typer

from packshot import accounts
from packshot.catalogue.models import PromptTemplate
from packshot.cli import identity
from packshot.cli.screen import Column, agreed, many, money, on_a_terminal, say, table
from packshot.flows import bulk
from packshot.flows.bulk import Order, Preview
from packshot.generations.models import GENERATION_STATUSES, ProviderRecord
from packshot.kernel.errors import REMEDIES, BadInput
from packshot.reports import actions as reads
from packshot.reports.finding import Filter, age_of, cost_of

Ids = Annotated[list[str] | None, typer.Argument(help="Ids, whole or their last 8 characters.", metavar="ID")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Status = Annotated[
    str | None, typer.Option("--status", help=f"One of {', '.join(GENERATION_STATUSES)}.", metavar="STATUS")
]
OfProvider = Annotated[str | None, typer.Option("--provider", help="Of this provider.", metavar="NAME")]
OfModel = Annotated[str | None, typer.Option("--model", help="Of this model.", metavar="MODEL")]
OfError = Annotated[
    str | None, typer.Option("--error", help="With this class of error, such as refused.", metavar="CLASS")
]
OfPerson = Annotated[str | None, typer.Option("--person", help="Asked for by this one.", metavar="NAME")]
OfRun = Annotated[
    str | None, typer.Option("--run", help="Of this run: its id, or the end of it.", metavar="ID")
]
OfTemplate = Annotated[
    str | None, typer.Option("--template", help="With a prompt from this template.", metavar="NAME")
]
OfCategory = Annotated[
    str | None, typer.Option("--category", help="Of products in and below it.", metavar="PATH")
]
OfAge = Annotated[str | None, typer.Option("--age", help="Such as 24h, 7d, older-30d.", metavar="AGE")]
OfCost = Annotated[
    str | None, typer.Option("--cost", help="Such as 0.05-0.1, 0.5-, free, unknown.", metavar="RANGE")
]
WithText = Annotated[
    str | None,
    typer.Option("--text", help="Part of a SKU, a product's name or a prompt; a request id.", metavar="TEXT"),
]
Whole = Annotated[bool, typer.Option("--all", help="No filter: the whole queue is meant.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say how many, and what they are expected to cost.")
]

_VERBS = {
    "retry": "Retry",
    "hand_over": "Ask anew for",
    "cancel": "Cancel",
    "reprioritise": "Change the priority of",
}
_DONE = {
    "retry": "went back into the queue",
    "hand_over": "asked for anew",
    "cancel": "cancelled",
    "reprioritise": "with the new priority",
}


def of_known(provider: str | None) -> None:
    """Refuse a filter by a provider that there never was here: it would find nothing, and not say why."""
    if provider and not ProviderRecord.objects.filter(name=provider).exists():
        raise BadInput(
            f"there is no provider {provider!r}; `packshot provider list` shows them", field="provider"
        )


def _filter(
    status_is: Status = None,
    provider: OfProvider = None,
    model: OfModel = None,
    error: OfError = None,
    person: OfPerson = None,
    run: OfRun = None,
    template: OfTemplate = None,
    category: OfCategory = None,
    age: OfAge = None,
    cost: OfCost = None,
    text: WithText = None,
) -> Filter:
    """The filter that was typed. Unlike in an address, what makes no sense is refused."""
    if status_is is not None and status_is not in GENERATION_STATUSES:
        raise BadInput(
            f"a status is one of {', '.join(GENERATION_STATUSES)}, not {status_is!r}", field="status"
        )
    of_known(provider)
    if error is not None and error not in REMEDIES:
        raise BadInput(f"a class of error is one of {', '.join(REMEDIES)}, not {error!r}", field="error")
    if age is not None:
        age_of(age)
    if cost is not None:
        cost_of(cost)
    known = PromptTemplate.objects.filter(name=template).order_by("-created_at").first() if template else None
    if template and known is None:
        raise BadInput(f"there is no template {template!r}", field="template")
    return Filter(
        status=status_is,
        provider=provider,
        text=text or "",
        run_id=identity.find([run], table="packshot_run", what="run")[0] if run else None,
        model=model,
        error=error,
        person=person,
        template_id=known.id if known else None,
        category=category,
        age=age,
        cost=cost,
    )


def _with_filter(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with the filter's options, which stand in one place for all of them, in place of `wanted`."""
    options = signature(_filter).parameters

    @wraps(command)
    def filtered(**given: Any) -> None:
        wanted = _filter(**{name: given.pop(name) for name in options})
        command(wanted=wanted, **given)

    parameters: list[Parameter] = []
    for own in signature(command).parameters.values():
        parameters += options.values() if own.name == "wanted" else [own]
    kind = Parameter.KEYWORD_ONLY
    cast(Any, filtered).__signature__ = Signature([each.replace(kind=kind) for each in parameters])
    return filtered


def _of_status(wanted: Filter, status: str | None) -> Filter:
    return replace(wanted, status=wanted.status or status)


def add_to(app: typer.Typer) -> None:
    """Give `packshot queue` these commands."""
    app.command("retry")(retry)
    app.command("cancel")(cancel)
    app.command("reprioritise")(reprioritise)


@_with_filter
def retry(
    ids: Ids = None,
    failed: Annotated[bool, typer.Option("--failed", help="Each that failed.")] = False,
    elsewhere: Annotated[
        str | None, typer.Option("--with", help="Ask this provider instead, anew.", metavar="NAME[:MODEL]")
    ] = None,
    *,
    wanted: Filter,
    whole: Whole = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Put failed generations back into the queue: by id, or all that match the filter."""
    name, _, taker = (elsewhere or "").partition(":")
    _act(
        Order("hand_over", provider=name, model=taker) if name else Order("retry"),
        ids,
        _of_status(wanted, "failed" if failed else None),
        whole=whole,
        dry_run=dry_run,
        yes=yes,
    )


@_with_filter
def cancel(
    ids: Ids = None,
    pending: Annotated[bool, typer.Option("--pending", help="Each that waits.")] = False,
    *,
    wanted: Filter,
    whole: Whole = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Cancel generations: by id, or all that match the filter. A call on its way is paid for; its image is
    kept if it comes."""
    _act(
        Order("cancel"),
        ids,
        _of_status(wanted, "pending" if pending else None),
        whole=whole,
        dry_run=dry_run,
        yes=yes,
    )


@_with_filter
def reprioritise(
    ids: Ids = None,
    priority: Annotated[
        int, typer.Option(help="From -100 to 100; the highest of a run is taken first.", metavar="N")
    ] = 10,
    *,
    wanted: Filter,
    whole: Whole = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Have what waits taken earlier or later: by id, or all that match the filter."""
    _act(
        Order("reprioritise", priority=priority),
        ids,
        wanted,
        whole=whole,
        dry_run=dry_run,
        yes=yes,
    )


def _act(
    order: Order, ids: list[str] | None, wanted: Filter, *, whole: bool, dry_run: bool, yes: bool
) -> None:
    """One action on many: seen first, accepted, carried out."""
    if bool(ids) == (whole or not wanted.everything):
        raise BadInput("say which: ids, or a filter such as --status failed; --all means the whole queue")
    if ids:
        seen = bulk.preview(order, ids=identity.find(ids, table="packshot_generation", what="generation"))
    else:
        seen = bulk.preview(order, wanted=wanted)
    if not seen.items and not ids:
        raise BadInput("nothing that matches can be acted on")
    _tell(seen)
    if dry_run or not _goes_ahead(f"{_VERBS[order.kind]} {many(seen.count, 'generation')}?", yes):
        say("Nothing was changed.")
        return
    if not seen.items:
        say(f"{many(seen.passed_over, 'generation')} stayed as they are.")
        return
    action_id = bulk.accept(
        seen,
        accounts.this_shell(),
        request_key=uuid4().hex,
        agreed_count=seen.count,
        agreed_micros=seen.expected_micros,
        whole_queue=whole,
    )
    bulk.carry_out_all(action_id)
    _told(seen, action_id)


def _tell(seen: Preview) -> None:
    """How many, and what they are expected to cost, by provider."""
    if not seen.lines:
        say(f"{many(seen.count, 'generation')}.")
    else:
        table(
            [
                Column("Provider", whole=True),
                Column("Number", whole=True, right=True),
                Column("Expected", whole=True, right=True),
            ],
            [
                [
                    line.provider,
                    line.count,
                    "unknown" if line.unknown else money(line.expected_micros, simulated=line.simulated),
                ]
                for line in seen.lines
            ],
            empty="",
        )
    if seen.more:
        say(f"More than {bulk.MOST:,} match; these are the oldest.")
    if seen.impossible:
        say(f"{many(seen.impossible, 'other')} cannot be asked for there: {seen.why_impossible}.")


def _told(seen: Preview, action_id: UUID) -> None:
    row = reads.action(action_id)
    assert row is not None, "it was accepted a moment ago"
    done = reads.items(action_id, outcome="done", limit=bulk.MOST)
    away = sum(each.reason == bulk.ON_ITS_WAY for each in done)
    say(f"{many(row.done - away, 'generation')} {_DONE[seen.order.kind]}.")
    if away:
        say(f"{many(away, 'paid call')} on the way: the charge is recorded, and the image kept if it comes.")
    if row.failed:
        say(f"{many(row.failed, 'other')} failed; the page of the action says why.")
    if rest := row.skipped + seen.passed_over:
        say(f"{many(rest, 'other')} stayed as they are.")


def _goes_ahead(question: str, yes: bool) -> bool:
    return yes or not on_a_terminal() or agreed(question)
