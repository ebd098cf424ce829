"""Asking for images, and a person's verbs on what was asked: cancel, retry, resolve."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

from django.db import transaction

from packshot import catalogue, events, generations, ledger, preferences, reports
from packshot.accounts import Actor, audit
from packshot.catalogue import prompts
from packshot.catalogue.products import ProductRow
from packshot.events import Happening
from packshot.flows import prices, routing
from packshot.flows.close import Completion, close
from packshot.flows.desk import quoting
from packshot.flows.routing import Route, Turn
from packshot.flows.wording import facts_of
from packshot.generations import SHARED_SLOT, Asked, Given, Hop, Routed, Switch, Wanted
from packshot.kernel.errors import BadAnswer, BadInput, OverBudget, PackshotError, Refused
from packshot.kernel.ids import uuid7
from packshot.kernel.money import LARGEST, Micros, show
from packshot.ledger import Room, Wish
from packshot.providers import registry
from packshot.providers.cards import fitting
from packshot.providers.contract import (
    AS_INPUT,
    ImageRequest,
    ModelCard,
    Provider,
    Quote,
    default_model,
    model_card,
)

MOST_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person, a script or a rule wants: images of products from one provider."""

    products: Sequence[ProductRow]
    provider: str
    model: str | None = None
    template: str | None = None  # by name; None: each category's own
    prompt: str | None = None  # a wording of one's own, with the same placeholders
    shape: str = "1:1"
    images: int = 1
    seed: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0
    negative_prompt: str = ""
    # Pictures to go by or to change, the same for each product (flows/inputs.py).
    inputs: Sequence[Given] = ()
    shape_fit: str | None = None  # crop or pad; None: as the template, or else the site, says
    route: Route | None = None  # who is asked is chosen so; `provider` and `model` then say nothing


@dataclass(frozen=True, slots=True)
class Missing:
    """A product whose prompt cannot be filled: which placeholders have nothing to stand for them."""

    sku: str
    placeholders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """What an ask would cost, before anything is queued. Amounts are micro-dollars; None is unknown."""

    count: int
    model: str
    expected_micros: int | None
    ceiling_micros: int | None
    simulated: bool
    room: Room
    missing: tuple[Missing, ...]
    note: str
    wanted: tuple[Wanted, ...]
    routes: tuple[Routed, ...] = ()

    @property
    def most_micros(self) -> int | None:
        """What it is expected to cost where the dearest of a route takes over each."""
        return sum(each.most_micros or 0 for each in self.routes) if self.routes else self.expected_micros


class PriceRose(PackshotError):
    """The price is higher now than what was agreed to. Ask again with the new one."""

    def __init__(self, agreed: int | None, now: int | None) -> None:
        super().__init__(f"the price was {show(agreed)} and is {show(now)} now; confirm the new price")
        self.agreed, self.now = agreed, now


def offer(ask: Ask, actor: Actor) -> Offer:
    """The price and the finished prompts of `ask`. Raises BadInput for what can never work."""
    if not ask.products:
        raise BadInput("no product was chosen", field="products")
    if len(ask.products) > MOST_AT_ONCE:
        raise BadInput(
            f"{len(ask.products):,} products are more than {MOST_AT_ONCE:,} at once; split the run",
            field="products",
        )
    parts = _routed(ask) if ask.route else [_Part(ask, None)]
    drawn = [_drawn(each.ask) for each in parts]
    wanted = [each for part in drawn for each in part.wanted]
    routes = [
        each
        for part, kept in zip(parts, drawn, strict=True)
        if ask.route is not None and part.turn is not None
        for each in _routes(ask.route, part.turn, part.ask, kept)
    ]
    simulated = drawn[0].simulated
    categories = {product.id: product.category_path for product in ask.products}
    room = ledger.room_for(
        [
            Wish(
                each.id,
                each.ceiling_micros or 0,
                simulated,
                each.provider,
                categories[each.product_id],
                actor.name,
                None,
            )
            for each in wanted
        ]
    )
    return Offer(
        count=len(wanted),
        model=drawn[0].model,
        expected_micros=_sum(each.expected_micros for each in wanted),
        ceiling_micros=_sum(each.ceiling_micros for each in wanted),
        simulated=simulated,
        room=room,
        missing=tuple(each for part in drawn for each in part.missing),
        note=next((part.note for part in drawn if part.note), ""),
        wanted=tuple(wanted),
        routes=tuple(routes),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What of an ask goes to one provider first, and the turn that decided so."""

    ask: Ask
    turn: Turn | None


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The finished prompts and prices of one part."""

    model: str
    simulated: bool
    wanted: tuple[Wanted, ...]
    missing: tuple[Missing, ...]
    note: str


def _routed(ask: Ask) -> list[_Part]:
    """The parts of an ask that leaves the choice to a route: whoever can be asked now, and made to quote."""
    assert ask.route is not None, "the caller looked"
    if ask.options or ask.seed is not None:
        raise BadInput("options and a seed belong to one model; name it instead of a route", field="options")
    route = routing.known(ask.route)
    quotes: dict[Hop, Quote] = {}
    kinds: set[bool] = set()
    reasons: list[str] = []
    for each in route.among:
        assert each.model is not None, "every model is named by now"
        try:
            _, state = provider_to_ask(each.provider)
            one = replace(
                ask, products=ask.products[:1], provider=each.provider, model=each.model, route=None
            )
            first = _drawn(one).wanted
            quotes[Hop(each.provider, each.model)] = (
                Quote(
                    Micros(first[0].expected_micros) if first[0].expected_micros is not None else None,
                    None,
                    first[0].price_version,
                )
                if first
                else Quote(None, None, "")
            )
            kinds.add(state.simulated)
        except BadInput as problem:
            reasons.append(str(problem))
    if not quotes:
        raise BadInput(f"none of them can be asked: {'; '.join(reasons)}", field="route")
    if len(kinds) > 1:
        raise BadInput(
            "some of these providers are simulated here and some spend real money: choose from one kind",
            field="route",
        )
    found = routing.turns(route, quotes, [each.id for each in ask.products], simulated=kinds.pop())
    by_id = {each.id: each for each in ask.products}
    return [
        _Part(
            replace(
                ask,
                # One product may stand several times: a model that makes one image a call is called for each.
                products=[by_id[each] for each in ids],
                provider=turn.hops[0].provider,
                model=turn.hops[0].model,
                route=None,
            ),
            turn,
        )
        for turn, ids in found.items()
    ]


def _routes(route: Route, turn: Turn, ask: Ask, drawn: _Drawn) -> list[Routed]:
    """How each of these was chosen, whom to ask next, and what the dearest of them may cost."""
    then = turn.hops[1:] if route.fallback else ()
    dearest: dict[UUID, int] = {}
    for hop in then:
        for each in _drawn(replace(ask, provider=hop.provider, model=hop.model)).wanted:
            dearest[each.product_id] = max(dearest.get(each.product_id, 0), each.expected_micros or 0)
    return [
        Routed(
            each.id,
            route.by,
            turn.because,
            then,
            max(each.expected_micros or 0, dearest.get(each.product_id, 0)),
        )
        for each in drawn.wanted
    ]


def _drawn(ask: Ask) -> _Drawn:
    """Every product's prompt and price at the one provider that `ask` names."""
    provider, state = provider_to_ask(ask.provider)
    card = model_card(provider, ask.model) if ask.model else default_model(provider)
    if card is None:
        models = ", ".join(each.id for each in provider.models() if not each.retired)
        raise BadInput(f"{provider.label} has no model {ask.model!r}; it has {models}", field="model")
    if card.retired:
        successor = f"; use {card.successor}" if card.successor else ""
        raise BadInput(f"{card.id} was retired by {provider.label}{successor}", field="model")
    texts = _wordings(ask, card)
    brand, site_fit = str(preferences.get("brand_style")), str(preferences.get("shape_fit"))
    inputs = tuple(ask.inputs)
    pictures = tuple(each.picture() for each in inputs)
    if card.kind == "follow_up" and any(each.role == "image" and each.handle is None for each in pictures):
        raise BadInput(
            f"{card.label} goes on from an image that {provider.label} made here and gave a way on from; "
            "this one has none",
            field="inputs",
        )
    wanted: list[Wanted] = []
    missing: list[Missing] = []
    note = ""
    for product in ask.products:
        version_id, text, fit = texts[product.category_path]
        rendered = prompts.render(text, facts_of(product), brand)
        if rendered.missing:
            missing.append(Missing(product.sku, rendered.missing))
            continue
        request = ImageRequest(
            card.id,
            rendered.prompt,
            ask.shape,
            ask.images,
            ask.seed,
            dict(ask.options),
            ask.negative_prompt,
            pictures,
        )
        request = fitting(request, card)
        quote = prices.quote(provider, request, state.price_edition)
        note = note or quote.note
        wanted.append(
            Wanted(
                id=uuid7(),
                product_id=product.id,
                provider=provider.name,
                model=card.id,
                simulated=state.simulated,
                prompt=rendered.prompt,
                template_version_id=version_id,
                # What was asked for, which the model may make only nearly; an edit keeps its picture's.
                shape=AS_INPUT if request.shape == AS_INPUT else ask.shape,
                images=ask.images,
                seed=ask.seed,
                options=dict(ask.options),
                priority=ask.priority,
                expected_micros=quote.expected,
                ceiling_micros=quote.ceiling,
                price_version=quote.price_version,
                negative_prompt=ask.negative_prompt,
                inputs=inputs,
                shape_fit=ask.shape_fit or fit or site_fit,
            )
        )
    return _Drawn(card.id, state.simulated, tuple(wanted), tuple(missing), note)


def request(ask: Ask, actor: Actor, *, request_key: str, agreed_micros: int | None, title: str = "") -> Asked:
    """Queue `ask` under a client-made key: a repeat gets the first answer and pays nothing.

    `agreed_micros` is the total the person saw; a higher one now asks again. A product whose prompt has a
    gap stops the whole request before anything is queued.
    """
    if not actor.may("generate"):
        raise BadInput("your role may not generate images")
    if not 8 <= len(request_key) <= 100:
        raise BadInput("a request key has 8 to 100 characters", field="request_key")
    fingerprint = _fingerprint(ask)
    before = generations.find_request(request_key, fingerprint)
    if before is not None:
        return before
    offered = offer(ask, actor)
    if offered.missing:
        first = offered.missing[0]
        raise BadInput(
            f"{len(offered.missing)} of {len(ask.products)} prompts have gaps; {first.sku} has nothing for "
            f"{', '.join(first.placeholders)}. Complete the products, or give the placeholder a default.",
            field="template",
        )
    if offered.expected_micros is not None and (
        agreed_micros is None or offered.expected_micros > agreed_micros
    ):
        raise PriceRose(agreed_micros, offered.expected_micros)
    if not offered.simulated and ledger.spending_limit() is None and not _free(offered):
        raise OverBudget("no spending limit is set for real money; an administrator sets one first")
    with transaction.atomic():
        asked = generations.request(
            offered.wanted,
            key=request_key,
            fingerprint=fingerprint,
            title=title or f"{offered.count} images from {_who(offered)}",
            person_id=actor.id,
            person_name=actor.name,
            quoted_micros=offered.expected_micros,
        )
        if asked.repeated:
            return asked
        generations.write_routes(offered.routes)
        catalogue.record_outcomes([catalogue.Outcome(each.product_id, "pending") for each in offered.wanted])
        skus = {product.id: product.sku for product in ask.products}
        run = str(asked.run_id) if asked.run_id else None
        events.tell(
            [
                Happening(
                    "generation",
                    "pending",
                    str(each.id),
                    {"sku": skus[each.product_id], "provider": each.provider, "run": run},
                )
                for each in offered.wanted
            ]
        )
    return asked


def _free(offered: Offer) -> bool:
    """Whether none of it costs anything: no provider that charges is asked, and the site set no price."""
    return offered.ceiling_micros == 0 and all(
        quoting()[name].free for name in {each.provider for each in offered.wanted}
    )


def _who(offered: Offer) -> str:
    """Everybody who is asked first, for the title of a run."""
    return ", ".join(dict.fromkeys(quoting()[each.provider].label for each in offered.wanted))


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What a cancel did: ended at once, or marked because a paid call is on its way."""

    ended: int
    on_their_way: int
    final_already: int


def cancel(generation_ids: Sequence[UUID], actor: Actor) -> Cancelled:
    """Cancel what has not been sent. What is on its way is paid for, so its image is kept if it comes."""
    if not actor.may("generate"):
        raise BadInput("your role may not cancel generations")
    ids = sorted(set(generation_ids))
    with transaction.atomic():
        generations.lock(ids)
        moved = generations.cancel_pending(ids)
        intents, away = generations.request_cancel(ids)
        generations.look_soon(away)
        released = generations.standing(generations.release_intents(intents))
        ended_at = generations.step_generations(
            [generations.Step(at.generation_id, "cancelled") for at in released.values()]
        )
        catalogue.record_outcomes(
            [catalogue.Outcome(each.product_id, "cancelled") for each in moved]
            + [catalogue.Outcome(at.product_id, "cancelled") for at in released.values()]
        )
        if ledger.release(sorted(released)):
            generations.wake_waiting_for("budget")
        deltas = [
            reports.Delta(each.completed_at, each.provider, each.model, each.simulated, cancelled=1)
            for each in moved
            if each.completed_at is not None
        ]
        for at in released.values():
            ended = ended_at[at.generation_id]
            assert ended is not None, "a cancelled generation has its time"
            deltas.append(reports.Delta(ended, at.provider, at.model, at.simulated, cancelled=1))
        reports.add(deltas, slot=SHARED_SLOT)
        ended_ids = [each.id for each in moved] + [at.generation_id for at in released.values()]
        audit(actor, "cancel generations", f"{len(ended_ids)} ended, {len(away)} on their way")
        events.tell(
            [Happening("generation", "cancelled", str(each), {}) for each in ended_ids]
            + [Happening("generation", "cancelling", str(each), {}) for each in away]
        )
    return Cancelled(len(ended_ids), len(away), len(ids) - len(ended_ids) - len(away))


def retry(generation_ids: Sequence[UUID], actor: Actor) -> int:
    """Put failed generations back in the queue, on their own rows. Returns how many went back."""
    if not actor.may("generate"):
        raise BadInput("your role may not retry generations")
    with transaction.atomic():
        moved = generations.retry_failed(sorted(set(generation_ids)))
        catalogue.record_outcomes([catalogue.Outcome(each.product_id, "pending") for each in moved])
        reports.add(
            [
                reports.Delta(each.was_completed_at, each.provider, each.model, each.simulated, failed=-1)
                for each in moved
                if each.was_completed_at is not None
            ],
            slot=SHARED_SLOT,
        )
        if moved:
            audit(actor, "retry generations", str(len(moved)))
        events.tell([Happening("generation", "pending", str(each.id), {"retried": True}) for each in moved])
    return len(moved)


Resolution = Literal["charged", "free", "again"]


def resolve(
    generation_id: UUID,
    how: Resolution,
    actor: Actor,
    *,
    note: str,
    amount_micros: int | None = None,
    attempt_id: UUID | None = None,
) -> None:
    """Settle a charge that nobody knew, by a person's evidence.

    `charged`: the provider charged `amount_micros` (None: what was held). `free`: it did not. `again`: it
    did not, and the image is asked for anew. Applies to an uncertain attempt, and to one that ended with a
    charge of unknown amount: of several to the first, or to `attempt_id`.
    """
    if not actor.may("resolve_uncertain"):
        raise BadInput("only an administrator settles an uncertain charge")
    if not note.strip():
        raise BadInput("say what the evidence is, such as the line of the provider's bill", field="note")
    if amount_micros is not None and not 0 <= amount_micros <= LARGEST:
        raise BadInput("the charged amount must be zero or more", field="amount")
    with transaction.atomic():
        attempt = _open_charge(generation_id, attempt_id)
        if attempt is None:
            raise BadInput(f"generation {generation_id} has no charge that is open", field="generation")
        if attempt.looked_for:
            raise BadInput(
                "whether this order arrived is being found out; settle it in an hour if nobody knows then",
                field="generation",
            )
        audit(actor, f"resolve {how}", str(generation_id), note=note, amount_micros=amount_micros)
        amount = Micros(attempt.reserved_micros if amount_micros is None else amount_micros)
        if attempt.state in ("uncertain", "accepted"):
            error = (
                BadAnswer(f"charged, no image: {note}", kind="bad_answer", charge="charged", cost=amount)
                if how == "charged"
                else Refused(f"not charged: {note}", kind="worker_lost", charge="free")
            )
            close(
                [Completion(attempt.id, error=error, evidence=("person", actor.name), note=note)],
                slot=SHARED_SLOT,
            )
        else:
            _settle_unknown(attempt, how, amount, actor, note)
    if how == "again":
        retry([generation_id], actor)


def _open_charge(generation_id: UUID, attempt_id: UUID | None) -> generations.Unsettled | None:
    """The charge that is open, under the locks of its attempt: of two who settle it at the same moment the
    later one finds none."""
    found = generations.unsettled(generation_id, attempt_id=attempt_id)
    if found is None:
        return None
    called = generations.providers_of([found.id])
    generations.lock_providers([each.provider for each in called.values()])  # the house's first lock
    generations.standing([found.id])
    return generations.unsettled(generation_id, attempt_id=found.id)


def _settle_unknown(
    attempt: generations.Unsettled, how: Resolution, amount: Micros, actor: Actor, note: str
) -> None:
    """The attempt ended long ago; only the amount of its charge was open."""
    charged = amount if how == "charged" else Micros(0)
    at = generations.standing([attempt.id])[attempt.id]
    generations.keep_evidence(
        [(attempt.id, "person", at.state, {"amount_micros": charged, "note": note})], by_name=actor.name
    )
    generations.set_cost(attempt.id, charged)
    generations.add_cost(attempt.generation_id, amount_micros=charged, cost_unknown=False)
    booked = ledger.settle(
        [
            ledger.Settlement(
                attempt.id, charged, at.provider, at.model, at.category_path, at.person_name, at.run_id
            )
        ]
    )
    reports.add(
        [
            reports.Delta(
                each.charged_at, at.provider, at.model, at.simulated, amount_micros=each.amount_micros
            )
            for each in booked
        ],
        slot=SHARED_SLOT,
    )
    generations.wake_waiting_for("budget")
    events.tell([Happening("generation", "settled", str(attempt.generation_id), {"by": actor.name})])


def provider_to_ask(name: str) -> tuple[Provider, Switch]:
    """The adapter, and how it stands here by the table that the worker keeps. Raises BadInput where nothing
    can be asked of it now."""
    known = quoting()
    if name not in known:
        raise BadInput(
            f"there is no provider {name!r}; there are {', '.join(sorted(known))}", field="provider"
        )
    state = generations.provider_switch(name)
    if state is None:
        raise BadInput(
            f"{known[name].label} is not set up yet: no worker has started here; start `packshot work`",
            field="provider",
        )
    if not state.available:
        needed = registry.needed_variable(type(known[name]))
        raise BadInput(
            f"{known[name].label} is not available here; set {needed} and restart",
            field="provider",
        )
    if not state.simulated and not state.switched_on:
        raise BadInput(
            f"{known[name].label} is off; an administrator switches it on with a spending limit: "
            f"packshot provider on {name} --limit 25",
            field="provider",
        )
    if state.draining:
        raise BadInput(
            f"{known[name].label} takes no new requests until somebody resumes it; what is queued is made",
            field="provider",
        )
    return known[name], state


def _wordings(ask: Ask, card: ModelCard) -> dict[str, tuple[UUID | None, str, str]]:
    """The prompt text for each category among the products, checked once each, and how its template fits a
    shape. A model that needs no words, such as one that removes a background, gets those only that were meant
    for it."""
    paths = {product.category_path for product in ask.products}
    if not card.needs_prompt and not ask.prompt and ask.template is None:
        return dict.fromkeys(paths, (None, "", ""))
    if ask.prompt is not None:
        chosen: dict[str, tuple[UUID | None, str, str]] = dict.fromkeys(paths, (None, ask.prompt, ""))
    elif ask.template is not None:
        version = catalogue.template_by_name(ask.template)
        chosen = dict.fromkeys(paths, (version.id, version.text, version.shape_fit))
    else:
        chosen = {
            path: (version.id, version.text, version.shape_fit)
            for path, version in catalogue.templates_for(sorted(paths)).items()
        }
    for _, text, _ in chosen.values():
        problems = prompts.problems(text)
        if problems:
            raise BadInput(f"the prompt cannot be used: {'; '.join(problems)}", field="template")
    return chosen


def _fingerprint(ask: Ask) -> str:
    """What was asked for, as one hash: the same key with another body is refused."""
    asked: list[object] = [
        sorted(str(product.id) for product in ask.products),
        ask.provider,
        ask.model,
        ask.template,
        ask.prompt,
        ask.shape,
        ask.images,
        ask.seed,
        dict(ask.options),
    ]
    # Only where there are any: a key from before there were pictures still finds its first answer.
    if ask.inputs or ask.negative_prompt:
        asked += [ask.negative_prompt, [[each.role, each.blob, each.image_id] for each in ask.inputs]]
    if ask.route is not None:
        asked.append(asdict(ask.route))
    if ask.shape_fit is not None:
        asked.append(ask.shape_fit)
    body = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(body.encode()).hexdigest()


def _sum(amounts: Iterable[int | None]) -> int | None:
    """The sum, or None when one of them is unknown: an unknown price is never counted as nothing."""
    total = 0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
