"""Choosing between providers, and asking the next one when the first refused or is down. Never in silence:
why a generation goes where it goes is kept with it, and so is whose place it took."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args
from uuid import UUID

from django.db import transaction

from packshot import catalogue, events, generations, reports
from packshot.accounts import Actor, audit
from packshot.events import Happening
from packshot.flows import prices
from packshot.flows.desk import quoting
from packshot.generations import SHARED_SLOT, Hop, Routed, Stranded, Wanted
from packshot.kernel.errors import REMEDIES, BadInput
from packshot.kernel.ids import uuid7
from packshot.kernel.money import show
from packshot.providers.cards import fitting
from packshot.providers.contract import ImageRequest, Quote, default_model, model_card
from packshot.reports import choices

log = logging.getLogger(__name__)

By = Literal["order", "cheapest", "fastest", "best", "weighted"]
MOST_HOPS = 8
# How long a generation waits for a provider that is paused, off or does not answer, before the next is asked.
PATIENCE_S = 60.0
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Among:
    """One of the providers to choose from; no model: its usual one. `weight` is read by `weighted` alone."""

    provider: str
    model: str | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """How to choose. `fallback`: the others are asked in turn when the chosen one refuses or is down."""

    by: By
    among: tuple[Among, ...]
    fallback: bool = True


@dataclass(frozen=True, slots=True)
class Turn:
    """The order in which providers are asked for some products, and why the first is the first."""

    hops: tuple[Hop, ...]
    because: str


def known(route: Route) -> Route:
    """`route` with every model named. Raises BadInput for what cannot be chosen from."""
    if route.by not in get_args(By):
        raise BadInput(f"{route.by!r} is no way to choose: {', '.join(get_args(By))}", field="route")
    if not 2 <= len(route.among) <= MOST_HOPS:
        raise BadInput(f"choose from 2 to {MOST_HOPS} providers, not {len(route.among)}", field="route")
    named = []
    for each in route.among:
        provider = quoting().get(each.provider)
        if provider is None:
            raise BadInput(
                f"there is no provider {each.provider!r}; there are {', '.join(sorted(quoting()))}",
                field="route",
            )
        card = model_card(provider, each.model) if each.model else default_model(provider)
        if card is None or card.retired:
            raise BadInput(f"{provider.label} has no model {each.model!r} now", field="route")
        if each.weight < 0:
            raise BadInput("a weight is zero or more", field="route")
        named.append(Among(each.provider, card.id, each.weight))
    if len({(each.provider, each.model) for each in named}) < len(named):
        raise BadInput("a provider and model stand twice in the choice", field="route")
    if route.by == "weighted" and not any(each.weight for each in named):
        raise BadInput("every weight is zero: nobody could be chosen", field="route")
    return Route(route.by, tuple(named), route.fallback)


def turns(
    route: Route, quotes: Mapping[Hop, Quote], product_ids: Sequence[UUID], *, simulated: bool
) -> dict[Turn, list[UUID]]:
    """Whose turn it is for each product, among the hops that were quoted: those that can be asked now."""
    able = [each for each in route.among if Hop(each.provider, each.model or "") in quotes]
    hops = [Hop(each.provider, each.model or "") for each in able]
    match route.by:
        case "cheapest":
            turn = _cheapest(hops, quotes)
        case "fastest":
            turn = _fastest(hops, simulated=simulated)
        case "best":
            turn = _best(hops, simulated=simulated)
        case "weighted":
            return _weighted(able, product_ids)
        case _:
            turn = Turn(tuple(hops), "first in the order that was given")
    return {turn: list(product_ids)}


def _cheapest(hops: Sequence[Hop], quotes: Mapping[Hop, Quote]) -> Turn:
    def price(hop: Hop) -> tuple[bool, int]:
        expected = quotes[hop].expected
        return expected is None, expected or 0

    first, *others = sorted(hops, key=price)
    dearer = ", ".join(f"{_label(hop)} {_price(quotes[hop])}" for hop in others)
    return Turn((first, *others), f"cheapest: {_price(quotes[first])}; {dearer}")


def _price(quote: Quote) -> str:
    if quote.expected is None:
        return "at an unknown price"
    return show(quote.expected) if quote.expected else "free"


def _fastest(hops: Sequence[Hop], *, simulated: bool) -> Turn:
    measured = choices.speeds(simulated=simulated)

    def seconds(hop: Hop) -> float:
        card = model_card(quoting()[hop.provider], hop.model)
        assert card is not None, "it was named"
        return measured.get((hop.provider, hop.model), card.typical_s)

    first, *others = sorted(hops, key=seconds)
    slower = ", ".join(f"{_label(hop)} {seconds(hop):.1f} s" for hop in others)
    known_by = "measured" if (first.provider, first.model) in measured else "as its card says"
    return Turn((first, *others), f"fastest: {seconds(first):.1f} s {known_by}; {slower}")


def _best(hops: Sequence[Hop], *, simulated: bool) -> Turn:
    """By how often an image becomes the active one, so that few images cannot win by luck."""
    told = choices.favourites(simulated=simulated)

    def low(hop: Hop) -> float:
        return told.get((hop.provider, hop.model), (0, 0, 0.0))[2]

    def words(hop: Hop) -> str:
        made, chosen, _ = told.get((hop.provider, hop.model), (0, 0, 0.0))
        return f"{chosen} of {made} chosen" if made else "too few to tell"

    first, *others = sorted(hops, key=low, reverse=True)
    rest = ", ".join(f"{_label(hop)} {words(hop)}" for hop in others)
    return Turn((first, *others), f"most often chosen: {words(first)}; {rest}")


def _weighted(able: Sequence[Among], product_ids: Sequence[UUID]) -> dict[Turn, list[UUID]]:
    """Each product by its own number, so that asking again asks the same provider."""
    total = sum(each.weight for each in able)
    if not total:
        raise BadInput("nobody with a weight can be asked now", field="route")
    found: dict[Turn, list[UUID]] = {}
    for product_id in product_ids:
        at = int.from_bytes(hashlib.blake2b(product_id.bytes, digest_size=8).digest()) % total
        chosen = able[0]
        for each in able:
            chosen = each
            if at < each.weight:
                break
            at -= each.weight
        others = [each for each in able if each is not chosen and each.weight]
        hops = tuple(Hop(each.provider, each.model or "") for each in (chosen, *others))
        turn = Turn(hops, f"its share of the products: {chosen.weight} of {total}")
        found.setdefault(turn, []).append(product_id)
    return found


def _label(hop: Hop) -> str:
    return quoting()[hop.provider].label if hop.provider in quoting() else hop.provider


# -- the next one ------------------------------------------------------------------------------------


def follow(*, patience_s: float = PATIENCE_S) -> int:
    """Ask the next provider for what its own refused, or has kept waiting while it is down. Returns how many.

    What was failed stays failed with its own cost, what waited is cancelled and cost nothing, and a new
    generation takes its place: for the same product, of the same kind of money, at no more than was agreed.
    """
    with transaction.atomic():
        generations.settle_routes()
        handed = _Handed()
        followed = sum(
            _follow(each, handed) for each in generations.stranded(patience_s=patience_s, limit=_AT_ONCE)
        )
        handed.write()
    return followed


@dataclass(slots=True)
class _Handed:
    """What all that is handed over at once changes beside its own rows."""

    outcomes: list[catalogue.Outcome] = field(default_factory=list)
    deltas: list[reports.Delta] = field(default_factory=list)
    news: list[Happening] = field(default_factory=list)

    def write(self) -> None:
        """In the house's order, each table once: one by one they would be locked in any order, and after the
        news of the first, which hold a lock that everybody needs last."""
        catalogue.record_outcomes(self.outcomes)
        reports.add(self.deltas, slot=SHARED_SLOT)
        events.tell(self.news)


def _follow(left: Stranded, handed: _Handed) -> bool:
    passed: list[str] = []
    for place, hop in enumerate(left.then):
        quote = _quote(left, hop)
        if isinstance(quote, str):
            passed.append(f"{_label(hop)} {quote}")
            continue
        _hand_over(left, hop, left.then[place + 1 :], quote, passed, handed)
        return True
    if left.status == "failed" or not left.then:
        generations.settle_routes([left.id])
        if passed:
            log.info("generation %s: nobody takes over: %s", left.id, "; ".join(passed))
    return False


def _quote(left: Stranded, hop: Hop) -> Quote | str:
    """What it would cost there, or why it is passed over."""
    provider, switch = quoting().get(hop.provider), generations.provider_switch(hop.provider)
    if provider is None or switch is None or not switch.available:
        return "is not available"
    if not switch.simulated and not switch.switched_on:
        return "is off"
    if switch.simulated != left.simulated:
        return "would spend another kind of money"
    if switch.draining:
        return "takes no new requests"
    request = ImageRequest(
        hop.model,
        left.prompt,
        left.shape,
        left.images,
        None,
        {},
        left.negative_prompt,
        tuple(each.picture() for each in left.inputs),
    )
    try:
        wanted = fitting(request, model_card(provider, hop.model))
        quote = prices.quote(provider, wanted, switch.price_edition)
    except BadInput as problem:
        return f"cannot: {problem}"
    if quote.expected is None:
        return "has no known price"
    if left.most_micros is not None and left.spent_micros + quote.expected > left.most_micros:
        before = f" after {show(left.spent_micros)} for the first" if left.spent_micros else ""
        return f"costs {show(quote.expected)}{before}, above the {show(left.most_micros)} that was agreed to"
    return quote


def _hand_over(
    left: Stranded,
    hop: Hop,
    then: Sequence[Hop],
    quote: Quote,
    passed: Sequence[str],
    handed: _Handed,
) -> None:
    was = quoting()[left.provider].label if left.provider in quoting() else left.provider
    why = f"{was} {_what(left)}" + "".join(f"; {each}" for each in passed)
    new = uuid7()
    if left.status == "pending":
        handed.deltas += _withdraw(left, f"handed to {_label(hop)}: {why}")
    generations.request(
        [
            Wanted(
                id=new,
                product_id=left.product_id,
                provider=hop.provider,
                model=hop.model,
                simulated=left.simulated,
                prompt=left.prompt,
                template_version_id=left.template_version_id,
                shape=left.shape,
                shape_fit=left.shape_fit,
                images=left.images,
                seed=None,  # another model's seed means nothing here, and neither do its options
                options={},
                priority=left.priority,
                expected_micros=quote.expected,
                ceiling_micros=quote.ceiling,
                price_version=quote.price_version,
                retry_of=left.id,
                negative_prompt=left.negative_prompt,
                inputs=left.inputs,
            )
        ],
        # Once for each generation, whoever else looks at the same moment.
        key=f"instead-of:{left.id}",
        fingerprint=str(left.id),
        title="",
        person_id=left.person_id,
        person_name=left.person_name,
        quoted_micros=quote.expected,
    )
    generations.settle_routes([left.id])
    generations.write_routes([Routed(new, left.by, why, tuple(then), left.most_micros, left.id)])
    handed.outcomes.append(catalogue.Outcome(left.product_id, "pending"))
    audit(
        Actor(left.person_id, left.person_name, None),
        "hand a generation over",
        f"{left.id} to {hop.provider}",
        why=why,
    )
    handed.news.append(
        Happening(
            "generation",
            "switched",
            str(new),
            {"sku": left.sku, "provider": hop.provider, "instead_of": str(left.id), "why": why},
        )
    )


def _withdraw(left: Stranded, words: str) -> list[reports.Delta]:
    """Nothing of it was sent: it ends, for nothing."""
    return [
        reports.Delta(each.completed_at, each.provider, each.model, each.simulated, cancelled=1)
        for each in generations.cancel_pending([left.id], words=words)
        if each.completed_at is not None
    ]


def _what(left: Stranded) -> str:
    if left.status == "pending":
        return "did not take it"
    words = {
        "refused": "refused the prompt",
        "retired_model": "no longer has the model",
        "bad_request": "refused the request",
        "server_error": "failed",
        "bad_answer": "sent no usable image",
    }
    assert left.error_kind in REMEDIES, "it is a class of error"
    return words[left.error_kind]
