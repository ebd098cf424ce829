"""`packshot generate`: a price first, then a request that is stored once, then the images as they land."""

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from django.contrib.postgres.aggregates import BoolOr
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Count, QuerySet, Sum
from django.utils import timezone
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from packshot import accounts, catalogue, generations, ledger
from packshot.accounts import Actor
from packshot.catalogue.models import Product
from packshot.catalogue.products import ProductRow
from packshot.cli.screen import (
    Column,
    agreed,
    facts,
    many,
    money,
    on_a_terminal,
    program,
    say,
    screen,
    status,
    table,
    warn,
)
from packshot.flows import inputs, routing
from packshot.flows.desk import quoting
from packshot.flows.generate import Ask, Offer, offer, request
from packshot.flows.routing import Among, Route
from packshot.generations import Asked, Given
from packshot.generations.models import Generation, Process, RequestRecord
from packshot.imaging.header import MAX_BYTES
from packshot.kernel.errors import REMEDIES, BadInput
from packshot.kernel.ids import uuid7
from packshot.providers.contract import (
    BY_TOMORROW,
    DELIVERY,
    Option,
    Provider,
    Role,
    default_model,
    model_card,
)

app = typer.Typer(add_completion=False)

LOOK_EVERY_S = 0.5
SHOWN_GAPS = 10
_OPEN = ("pending", "processing")
_TOMORROW = f"{DELIVERY}={BY_TOMORROW}"
_WORDS = ("completed", "failed", "uncertain", "cancelled", "processing", "pending")
_WAITS = {
    "budget": "over budget",
    "rate": "the provider's rate",
    "retry": "trying again",
    "stopped": "spending is stopped",
    "paused": "provider paused",
    "circuit": "provider stopped",
    "key": "no key",
    "price": "no price",
}


@app.command()
def generate(
    provider: Annotated[
        str | None,
        typer.Option(help="Who makes them; `packshot provider list` shows who can.", metavar="NAME"),
    ] = None,
    sku: Annotated[
        list[str] | None,
        typer.Option(help="Products, separated by commas; may be given again.", metavar="SKU,..."),
    ] = None,
    all_without_image: Annotated[
        bool, typer.Option("--all-without-image", help="Each product without an active image.")
    ] = False,
    all_products: Annotated[bool, typer.Option("--all", help="Each product.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Its model, when not the usual one.", metavar="MODEL")
    ] = None,
    among: Annotated[
        str | None,
        typer.Option(
            help="Instead of --provider: those to choose one from, separated by commas.",
            metavar="NAME[:MODEL][=WEIGHT],...",
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(help="How to choose: order, cheapest, fastest, best or weighted.", metavar="HOW"),
    ] = "order",
    no_fallback: Annotated[
        bool,
        typer.Option("--no-fallback", help="Ask no other when who was chosen refuses or is down."),
    ] = False,
    template: Annotated[
        str | None, typer.Option(help="Prompt template, when not each category's own.", metavar="NAME")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="A prompt of your own, with {{name}} and the like.", metavar="TEXT")
    ] = None,
    shape: Annotated[str, typer.Option(help="Width to height, such as 4:5.", metavar="W:H")] = "1:1",
    count: Annotated[int, typer.Option(help="Images per product.", min=1, max=10, metavar="N")] = 1,
    seed: Annotated[int | None, typer.Option(help="For models that take one.", metavar="N")] = None,
    negative: Annotated[
        str | None,
        typer.Option(help="What the picture must not show, for models that take it.", metavar="TEXT"),
    ] = None,
    picture: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="A picture to change or to go by: a file, or the id of an image here; may be given again.",
            metavar="FILE|IMAGE",
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(help="Where to change the first picture; see docs/providers.md.", metavar="FILE|IMAGE"),
    ] = None,
    style: Annotated[
        str | None, typer.Option(help="A picture whose style is followed.", metavar="FILE|IMAGE")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of the model; may be given again.", metavar="NAME=VALUE"),
    ] = None,
    by_tomorrow: Annotated[
        bool,
        typer.Option(
            "--by-tomorrow", help="Within 24 hours for half the price, of models that are sold so (OpenAI)."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Agree to the price without being asked.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until each has ended, and show how it goes.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(
            help="Request key of an earlier try: what was stored then is not stored again.", metavar="KEY"
        ),
    ] = None,
) -> None:
    """Ask a provider for images. Shows the price, asks, and puts the requests into the queue.

    With --wait it ends with 0 when each completed, and with 1 when one did not.
    """
    actor = accounts.this_shell()
    if bool(provider) == bool(among):
        raise BadInput("say who makes them: --provider NAME, or --among NAME,NAME", field="provider")
    route = _route(among, by, fallback=not no_fallback) if among else None
    provider = route.among[0].provider if route else provider
    assert provider is not None, "one of the two was given"
    asked = _stored(key) if key else None
    if asked is not None and not sku:
        # Which products have no image, or are there at all, has changed since: the key alone says enough.
        say("This request was stored before; nothing new was asked for.")
    else:
        ask = Ask(
            products=_products(sku or [], provider, without_image=all_without_image, everything=all_products),
            provider=provider,
            model=model,
            template=template,
            prompt=prompt,
            shape=shape,
            images=count,
            seed=seed,
            options=_options([*(option or []), *([_TOMORROW] if by_tomorrow else [])], provider, model),
            negative_prompt=negative or "",
            inputs=_inputs(actor, picture or [], mask, style),
            route=route,
        )
        if asked is not None:
            asked = request(ask, actor, request_key=asked.key, agreed_micros=None)
            say("This request was stored before; nothing new was asked for.")
        else:
            asked = _ask(ask, actor, key or str(uuid7()), yes=yes)
    if wait:
        raise typer.Exit(0 if _watch(asked) else 1)
    say(f"{many(len(asked.generation_ids), 'generation')} in the queue. See them: {program()} queue list")


def _route(among: str, by: str, *, fallback: bool) -> Route:
    """The choice as it was typed: `flux,openai:gpt-image-2=3`."""
    choices = []
    for part in among.split(","):
        name, _, weight = part.strip().partition("=")
        provider, _, model = name.partition(":")
        if weight and not weight.isdecimal():
            raise BadInput(f"{part.strip()!r}: a weight is a whole number", field="among")
        choices.append(Among(provider, model or None, int(weight or 1)))
    return routing.known(Route(by, tuple(choices), fallback))  # type: ignore[arg-type] # looked at there


def _stored(key: str) -> Asked | None:
    """What an earlier try stored under `key`."""
    record = RequestRecord.objects.filter(pk=key).first()
    return generations.find_request(key, record.fingerprint) if record else None


def _products(skus: list[str], provider: str, *, without_image: bool, everything: bool) -> list[ProductRow]:
    named = [part.strip() for each in skus for part in each.split(",") if part.strip()]
    if bool(named) + without_image + everything != 1:
        raise BadInput("say which products: --sku A,B or --all-without-image or --all, one of the three")
    if named:
        return catalogue.by_sku(named)
    if without_image:
        found = catalogue.without_image(provider)
        if not found:
            raise BadInput(f"each product has an active image, or waits for one from {provider} already")
        return found
    found = catalogue.by_id(list(Product.objects.filter(archived_at=None).values_list("pk", flat=True)))
    if not found:
        raise BadInput(f"the catalogue is empty; import one with `{program()} import FILE`")
    return found


def _inputs(actor: Actor, pictures: list[str], mask: str | None, style: str | None) -> list[Given]:
    """The pictures that go with the request, in the order in which the prompt may speak of them."""
    named: list[tuple[str | None, Role]] = [*((each, "image") for each in pictures)]
    named += [(mask, "mask"), (style, "style")]
    return [_given(actor, name, role) for name, role in named if name is not None]


def _given(actor: Actor, name: str, role: Role) -> Given:
    path = Path(name)
    if not path.exists():
        with suppress(ValueError):  # no id, so a file that is not there
            return inputs.of_image(UUID(name), role)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise BadInput(f"{name} cannot be read: {problem.strerror}", field="inputs") from None
    try:
        return inputs.of_file(content, actor, role)
    except BadInput as problem:
        raise BadInput(f"{name}: {problem}", field="inputs") from None


def _options(words: list[str], provider: str, model: str | None) -> Mapping[str, object]:
    """`name=value` words as the model's card understands them."""
    if not words:
        return {}
    adapter = quoting().get(provider)
    if adapter is None:
        raise BadInput(f"there is no provider {provider!r}; there are {', '.join(sorted(quoting()))}")
    known = {each.name: each for each in _card_options(adapter, model)}
    given: dict[str, object] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals:
            raise BadInput(
                f"--option {word} has no value; write it like --option quality=high", field="option"
            )
        if name == DELIVERY and name not in known:
            raise BadInput("this model makes images now, and is not sold for less by tomorrow", field=name)
        if name not in known:
            raise BadInput(
                f"this model has no option {name!r}; it has {', '.join(sorted(known)) or 'none'}",
                field="option",
            )
        given[name] = _understood(name, value, known[name].kind)
    return given


def _card_options(adapter: Provider, model: str | None) -> Sequence[Option]:
    card = model_card(adapter, model) if model else default_model(adapter)
    return card.options if card else ()


def _understood(name: str, value: str, kind: str) -> object:
    """`value` in the option's kind; what a model allows is checked where the price is made."""
    try:
        if kind == "integer":
            return int(value)
        if kind == "boolean":
            return {"true": True, "yes": True, "false": False, "no": False}[value.lower()]
    except (ValueError, KeyError):
        word = "a whole number" if kind == "integer" else "yes or no"
        raise BadInput(f"--option {name}={value}: it wants {word}", field="option") from None
    return value


def _ask(ask: Ask, actor: Actor, key: str, *, yes: bool) -> Asked:
    """Show the price, ask, and store the request."""
    offered = offer(ask, actor)
    if offered.missing:
        _show_gaps(offered)
    _show_offer(ask, offered, key)
    if not yes:
        if on_a_terminal():
            if not agreed("Generate them?"):
                say("Nothing was asked for.")
                raise typer.Exit(1)
        elif not offered.simulated and offered.expected_micros != 0:
            raise BadInput("this spends real money: agree to the price with --yes")
    return request(ask, actor, request_key=key, agreed_micros=offered.expected_micros)


def _show_gaps(offered: Offer) -> None:
    """Refuse, naming the products whose prompts would have holes."""
    table(
        [Column("SKU"), Column("The product does not say")],
        [[each.sku, ", ".join(each.placeholders)] for each in offered.missing[:SHOWN_GAPS]],
        empty="",
    )
    if len(offered.missing) > SHOWN_GAPS:
        say(f"... and {len(offered.missing) - SHOWN_GAPS:,} more", style="dim")
    total = offered.count + len(offered.missing)
    raise BadInput(
        f"{len(offered.missing):,} of {total:,} prompts have gaps, and nothing was asked for. Complete the "
        "products, give the placeholders a default such as {{attribute:colour|}}, or choose others"
    )


def _from(ask: Ask, offered: Offer) -> str:
    if not offered.routes:
        return f"{quoting()[ask.provider].label}, model {offered.model}"
    shares = Counter((each.provider, each.model) for each in offered.wanted)
    return "; ".join(
        f"{quoting()[provider].label}, model {model}" + (f" ({count:,})" if len(shares) > 1 else "")
        for (provider, model), count in shares.items()
    )


def _show_offer(ask: Ask, offered: Offer, key: str) -> None:
    images = offered.count * ask.images
    room = offered.room
    fits = (
        "all fit"
        if room.fits == room.asked
        else f"{room.fits:,} of {room.asked:,} fit now, the rest waits: {room.refusal}"
    )
    given = [f"{each.role} {each.width_px} x {each.height_px} px" for each in ask.inputs]
    lines: list[tuple[str, object]] = [
        ("Images", f"{images:,} of {many(offered.count, 'product')}, {ask.shape}"),
        *([("Pictures", ", ".join(given))] if given else []),
        ("From", _from(ask, offered)),
        *([("Chosen", words) for words in dict.fromkeys(each.because for each in offered.routes)]),
        *(
            [("If others take over", money(offered.most_micros, simulated=False))]
            if offered.routes and offered.most_micros != offered.expected_micros
            else []
        ),
        ("Expected", money(offered.expected_micros, simulated=False)),
        ("At most", money(offered.ceiling_micros, simulated=False)),
        (
            "Money",
            Text("simulated: nothing is charged") if offered.simulated else Text("REAL", style="bold yellow"),
        ),
        ("Budgets", fits),
    ]
    if ledger.stop_state().stopped:
        lines.append(("Spending", f"stopped: they wait for `{program()} spending resume`"))
    if offered.note:
        lines.append(("Note", offered.note))
    lines.append(("Request key", key))
    facts(lines)


# -- waiting -----------------------------------------------------------------------------------


def _watch(asked: Asked) -> bool:
    """Show the generations as they end; True when each completed. Ctrl-C leaves them to go on alone."""
    if not living_workers():
        warn(f"No worker runs, so nothing is made yet. Start one: {program()} up, or {program()} work")
    size = len(asked.generation_ids)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20, complete_style="cyan", finished_style="green"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[cost]}"),
        TextColumn("[dim]{task.fields[waits]}", table_column=None),
        console=screen(),
        disable=not sys.stdout.isatty(),
    ) as bar:
        task = bar.add_task("Generating", total=size, cost="", waits="")
        while True:
            try:
                tally = generations.tally(asked.run_id, asked.generation_ids)
                cost, waits = _cost(asked), _waits(asked)
            except (OperationalError, InterfaceError):
                connection.close()  # it comes back; the queue goes on without us
                waits = "the database is away"
            else:
                ended = sum(count for status, count in tally.items() if status not in _OPEN)
                bar.update(task, completed=ended, description=_in_words(tally), cost=cost, waits=waits)
                if ended >= size:
                    break
            try:
                time.sleep(LOOK_EVERY_S)
            except KeyboardInterrupt:
                bar.stop()
                say("They go on without this window.")
                raise
    _sum_up(asked, tally, cost)
    return tally.get("completed", 0) == size


def living_workers() -> int:
    """How many pay processes beat within the last half minute."""
    since = timezone.now() - timedelta(seconds=30)
    return Process.objects.filter(kind="pay", ended_at=None, seen_at__gte=since).count()


def _mine(asked: Asked) -> QuerySet[Generation]:
    if asked.run_id:
        return Generation.objects.filter(run_id=asked.run_id)
    return Generation.objects.filter(pk__in=asked.generation_ids)


def _cost(asked: Asked) -> str:
    found = _mine(asked).aggregate(sum=Sum("actual_micros"), simulated=BoolOr("simulated"))
    return money(found["sum"] or 0, simulated=bool(found["simulated"])).plain


def _waits(asked: Asked) -> str:
    """Why what is left waits, for each reason how many."""
    reasons = (
        _mine(asked)
        .filter(status="pending")
        .exclude(wait_reason=None)
        .values_list("wait_reason")
        .annotate(count=Count("*"))
    )
    return ", ".join(f"{count:,} wait: {_WAITS.get(str(reason), reason)}" for reason, count in reasons)


def _in_words(tally: Mapping[str, int]) -> str:
    shown = [f"{tally[word]:,} {word}" for word in _WORDS if tally.get(word)]
    return ", ".join(shown) or "Generating"


def _sum_up(asked: Asked, tally: Mapping[str, int], cost: str) -> None:
    say(f"{_in_words(tally)}. Cost: {cost}")
    troubles = (
        _mine(asked)
        .filter(status__in=("failed", "uncertain"))
        .values_list("status", "error_kind")
        .annotate(count=Count("*"))
        .order_by("-count")
    )
    if troubles:
        table(
            [
                Column("", right=True),
                Column("Status", whole=True),
                Column("Why", whole=True),
                Column("What to do", fold=True),
            ],
            [
                [f"{count:,}", status(word), kind.replace("_", " "), REMEDIES.get(kind, "")]
                for word, kind, count in troubles
            ],
            empty="",
        )
        say(f"Each of them: {program()} queue list --status failed, or --status uncertain", style="dim")
