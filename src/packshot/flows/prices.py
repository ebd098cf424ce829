"""What an image costs here: as its provider publishes it, or as the site says itself.

Adapters quote from published tables and know nothing of a site. Whoever shows, offers or admits a price asks
here, and gives along the edition of the site's own prices, which comes with the provider's row. It is 0 while
nothing was edited, which costs nothing; otherwise the prices are read once for each edition and process.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import product

from django.db import transaction

from packshot import events, generations, ledger
from packshot.accounts import Actor, audit
from packshot.events import Happening
from packshot.flows.desk import quoting
from packshot.generations import Claim
from packshot.kernel.errors import BadInput
from packshot.kernel.money import LARGEST, Micros
from packshot.ledger import Edition, Price, PriceKind
from packshot.providers import registry
from packshot.providers.conformance import an_example
from packshot.providers.contract import ImageRequest, ModelCard, Option, Provider, Quote, model_card

# A price version that the site made: with the number of its row, so that the price can be found again.
SITE = "site-"
# What is known of an edition is read again now and then: a database that was restored may have reused it.
READ_AGAIN_S = 60.0
MOST_SOURCE = 500
_SHAPE = "shape"
# Lines of one model: where every choice has a price of its own, nobody reads a table of them all.
_MOST_LINES = 24

Choices = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    edition: Edition
    read_at_s: float


_kept: dict[str, _Kept] = {}


def quote(provider: Provider, request: ImageRequest, edition: int) -> Quote:
    """The price of one attempt: the site's own where it has one. Raises BadInput as the adapter does."""
    published = provider.quote(request)
    if not edition:
        return published
    card = model_card(provider, request.model)
    own = _deciding(_prices(provider.name, edition), request.model, _chosen(request, card))
    return published if own is None else _of_site(own, request.images)


def cost_of(provider: Provider, claim: Claim, stated: Micros | None) -> Micros | None:
    """What a call cost: what was `stated` with its answer, or the site's own price where answers say nothing.

    An adapter whose answers say nothing states what its own table says.
    """
    asked = claim.generation
    if asked.price_version.startswith(SITE) and registry.billed_by_list(type(provider)):
        return None if asked.expected_micros is None else Micros(asked.expected_micros)
    return stated


def own_prices(provider: str, edition: int) -> tuple[Price, ...]:
    """The prices that the site edited and that hold now."""
    return tuple(each for each in _prices(provider, edition) if each.kind != "withdrawn")


def _prices(provider: str, edition: int) -> tuple[Price, ...]:
    if not edition:
        return ()
    kept = _kept.get(provider)
    if kept is None or kept.edition.number != edition or time.monotonic() > kept.read_at_s + READ_AGAIN_S:
        kept = _kept[provider] = _Kept(ledger.edition(provider), time.monotonic())
    return kept.edition.prices


def _deciding(prices: Iterable[Price], model: str, chosen: Choices) -> Price | None:
    """Of the prices that are for these choices the one that names most of them; of two, the newer."""
    fitting = [
        (len(wanted), each.id, each)
        for each in prices
        if each.model == model and each.kind != "withdrawn"
        for wanted in (choices_of(each.key),)
        if wanted.items() <= chosen.items()
    ]
    return max(fitting)[2] if fitting else None


def _of_site(own: Price, images: int) -> Quote:
    version = f"{SITE}{own.id}"
    if own.amount_micros is None or own.most_micros is None:
        return Quote(None, None, version, f"The price is set to unknown here: {own.source}.")
    expected, most = (min(images * each, LARGEST) for each in (own.amount_micros, own.most_micros))
    return Quote(Micros(expected), Micros(most), version, f"The price is this site's own: {own.source}.")


# -- choices -------------------------------------------------------------------------------------------


def key_of(choices: Choices) -> str:
    """`quality=high, shape=1:1` for these choices; empty for none."""
    return ", ".join(f"{name}={value}" for name, value in sorted(choices.items()))


def choices_of(key: str) -> dict[str, str]:
    """The choices that a key names."""
    return dict(each.split("=", 1) for each in key.split(", ")) if key else {}


def _chosen(request: ImageRequest, card: ModelCard | None) -> dict[str, str]:
    options = card.options if card else ()
    given = {each.name: request.options.get(each.name, each.default) for each in options}
    return {name: _word(value) for name, value in given.items() if value is not None} | {
        _SHAPE: request.shape
    }


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def priced_by(card: ModelCard) -> dict[str, tuple[str, ...]]:
    """What a price of this model may be bound to: its shapes, and each option that is a choice."""
    found: dict[str, tuple[str, ...]] = {_SHAPE: card.shapes}
    for option in card.options:
        values = _values(option)
        if option.name != _SHAPE and len(values) > 1:
            found[option.name] = tuple(_word(each) for each in values)
    return found


def _values(option: Option) -> tuple[str | bool, ...]:
    if option.kind == "choice":
        return option.choices
    return (True, False) if option.kind == "boolean" else ()


def _check_choices(card: ModelCard, choices: Choices) -> None:
    allowed = priced_by(card)
    for name, value in choices.items():
        if name not in allowed:
            raise BadInput(
                f"a price of {card.label} may be for {', '.join(allowed)}, not for {name!r}", field="key"
            )
        if value not in allowed[name]:
            raise BadInput(
                f"{name} of {card.label} is one of {', '.join(allowed[name])}, not {value!r}", field="key"
            )


# -- editing -------------------------------------------------------------------------------------------


def set_price(
    provider: str,
    model: str,
    actor: Actor,
    *,
    kind: PriceKind = "price",
    amount_micros: int | None = None,
    most_micros: int | None = None,
    choices: Choices | None = None,
    source: str,
    valid_from: datetime | None = None,
) -> Price:
    """Say what an image of this model costs from now on, or from a later moment; the last word holds.

    `most_micros` None: no image costs more than `amount_micros`. What waits is priced anew before it is sent;
    what was charged stays as it was.
    """
    if not actor.may("manage_providers"):
        raise BadInput("only an administrator sets prices")
    card = _card(provider, model)
    wanted = dict(choices or {})
    _check_choices(card, wanted)
    source = " ".join(source.split())
    if not 3 <= len(source) <= MOST_SOURCE:
        raise BadInput(
            f"say where the price is from, in 3 to {MOST_SOURCE} characters: an invoice, a page, a contract",
            field="source",
        )
    amount, most = _amounts(kind, amount_micros, most_micros)
    with transaction.atomic():
        # Admission takes this lock first: what is claimed after this commit is claimed at the new price.
        if provider not in generations.lock_providers([provider]):
            raise BadInput(
                f"{provider!r} has never been set up here: no worker has started", field="provider"
            )
        price = ledger.add_price(
            provider,
            model,
            key=key_of(wanted),
            kind=kind,
            amount_micros=amount,
            most_micros=most,
            source=source,
            valid_from=valid_from,
            by_name=actor.name,
        )
        generations.wake_waiting_for("price")
        audit(
            actor,
            "set price",
            f"{provider} {model}",
            key=price.key,
            kind=kind,
            amount_micros=amount,
            most_micros=most,
            source=source,
            valid_from=price.valid_from.isoformat(),
        )
        events.tell([Happening("provider", "priced", provider, {"by": actor.name, "model": model})])
    return price


def _card(provider: str, model: str) -> ModelCard:
    adapter = quoting().get(provider)
    if adapter is None:
        raise BadInput(f"there is no provider {provider!r}", field="provider")
    if not can_be_priced(adapter):
        raise BadInput(f"{adapter.label} never costs anything, so it has no price", field="provider")
    card = model_card(adapter, model)
    if card is None or card.retired:
        models = ", ".join(each.id for each in adapter.models() if not each.retired)
        raise BadInput(f"{adapter.label} has no model {model!r} to price; it has {models}", field="model")
    return card


def can_be_priced(provider: Provider) -> bool:
    """Whether an image can cost anything: what is billed, or power, time, a share of a plan."""
    adapter = type(provider)
    return not provider.free or registry.billed_by_list(adapter) or registry.is_by_hand(adapter)


def _amounts(kind: PriceKind, amount: int | None, most: int | None) -> tuple[int | None, int | None]:
    if kind != "price":
        if amount is not None or most is not None:
            raise BadInput("an amount belongs to a price that is known", field="amount")
        return None, None
    if amount is None:
        raise BadInput("write the price of one image in dollars", field="amount")
    if not 0 < amount <= LARGEST:
        raise BadInput(
            "a price is more than nothing; a model that nobody knows the price of is set to unknown",
            field="amount",
        )
    if most is None:
        return amount, amount
    if not amount <= most <= LARGEST:
        raise BadInput("what an image costs at most is not less than what it costs", field="most")
    return amount, most


# -- what is shown -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Range:
    """What one image costs, from shape to shape, in micro-dollars. None: not known for any of them."""

    low: int | None
    high: int | None
    most: int | None
    gaps: bool  # there are shapes whose price is not known

    @classmethod
    def of(cls, quotes: Sequence[Quote]) -> "Range":
        known = [each for each in quotes if each.expected is not None and each.ceiling is not None]
        amounts = [each.expected for each in known if each.expected is not None]
        return cls(
            min(amounts, default=None),
            max(amounts, default=None),
            max((each.ceiling for each in known if each.ceiling is not None), default=None),
            len(known) < len(quotes),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the price table: a model with some choices. `own` is set where the site decides."""

    model: str
    key: str
    now: Range
    published: Range
    note: str
    own: Price | None


def price_lines(provider: str, edition: int) -> list[Line]:
    """What every model of a provider costs now, by the choices that make a difference."""
    own = own_prices(provider, edition)
    lines = []
    for priced in _published(provider, datetime.now(UTC).date()):
        keys = dict.fromkeys([*priced.by_key, *(each.key for each in own if each.model == priced.card.id)])
        if any(keys) and "" in keys and "" not in priced.by_key:
            del keys[""]  # said of each of the others
        lines += [_line(priced, key, own) for key in keys]
    return lines


@dataclass(frozen=True, slots=True)
class _Priced:
    """A model's published prices: for each combination of the choices that matter, by shape."""

    card: ModelCard
    by_key: Mapping[str, Mapping[str, Quote]]
    example: ImageRequest


def _line(priced: _Priced, key: str, own: Sequence[Price]) -> Line:
    wanted = choices_of(key)
    shapes = (wanted[_SHAPE],) if _SHAPE in wanted else priced.card.shapes
    published = _by_shape(priced, wanted, shapes)
    of_model = [each for each in own if each.model == priced.card.id]
    now, decides = [], []
    for shape, theirs in published.items():
        price = None
        if of_model:
            # Of what the line leaves open, any choice is as good as the default.
            chosen = _chosen(_asking(priced, wanted, shape), priced.card)
            price = _deciding(of_model, priced.card.id, chosen)
        now.append(theirs if price is None else _of_site(price, 1))
        decides.append(price)
    return Line(
        priced.card.id,
        key,
        Range.of(now),
        Range.of(list(published.values())),
        next((each.note for each in published.values() if each.note), ""),
        next((each for each in decides if each is not None), None),
    )


def _by_shape(priced: _Priced, wanted: Choices, shapes: Sequence[str]) -> dict[str, Quote]:
    kept = priced.by_key.get(key_of({name: each for name, each in wanted.items() if name != _SHAPE}), {})
    found = {shape: kept.get(shape) or _quoted(priced, wanted, shape) for shape in shapes}
    return {shape: each for shape, each in found.items() if each is not None}


def _asking(priced: _Priced, wanted: Choices, shape: str) -> ImageRequest:
    options = dict(priced.example.options)
    for option in priced.card.options:
        if option.name in wanted:
            options[option.name] = next(
                (each for each in _values(option) if _word(each) == wanted[option.name]), option.default
            )
    return replace(priced.example, shape=shape, options=options)


def _quoted(priced: _Priced, wanted: Choices, shape: str) -> Quote | None:
    """None: these do not go together."""
    try:
        return quoting()[priced.card.provider].quote(_asking(priced, wanted, shape))
    except BadInput:
        return None


@lru_cache(maxsize=64)
def _published(provider: str, _day: date) -> tuple[_Priced, ...]:
    """Some hundreds of quotes for a provider that prices by the token: made once a day, for models retire."""
    adapter = quoting()[provider]
    return tuple(_priced(card) for card in adapter.models() if not card.retired)


def _priced(card: ModelCard) -> _Priced:
    bare = _Priced(card, {}, an_example(card))
    matters = {}
    for name, values in priced_by(card).items():
        quotes = {value: _quoted(bare, {name: value}, card.shapes[0]) for value in values}
        known = {value: each for value, each in quotes.items() if each is not None}
        if name != _SHAPE and len({(each.expected, each.ceiling) for each in known.values()}) > 1:
            matters[name] = tuple(known)
    combined = [dict(zip(matters, values, strict=True)) for values in product(*matters.values())]
    by_key = {key_of(wanted): _by_shape(bare, wanted, card.shapes) for wanted in combined[:_MOST_LINES]}
    return replace(bare, by_key={key: quotes for key, quotes in by_key.items() if quotes})
