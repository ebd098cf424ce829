"""A look at each account for nothing: does its key work, what is left on it, which of its models stop.

Once a day by itself, and whenever somebody asks. Nothing is bought.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import transaction

from packshot import events, generations
from packshot.events import Happening
from packshot.flows.desk import Desk, desk, quoting
from packshot.generations import Inspected
from packshot.kernel.errors import BadInput
from packshot.providers.cards import today
from packshot.providers.contract import Inspectable, Inspection, ModelCard, Provider

log = logging.getLogger(__name__)

# How long before a model stops people are told.
WARNED_FOR = timedelta(days=60)
# The keeper comes each hour, so that a site which is on for a few hours a day has its look, too.
A_DAY = timedelta(hours=23)
# An adapter has its own deadline; this one only catches an adapter that forgot it.
_PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True)
class Stop:
    """A model that its provider stops, and what to use instead, if there is anything."""

    model: str
    label: str
    on: date
    successor: str = ""
    successor_label: str = ""

    @property
    def gone(self) -> bool:
        return self.on <= today()

    @property
    def words(self) -> str:
        stops = "stopped" if self.gone else "stops"
        instead = f", use {self.successor}" if self.successor else ""
        return f"{self.model} {stops} on {self.on.isoformat()}{instead}"


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of a provider's account. `inspected` None: nobody has looked, or nobody can."""

    can_be_looked_at: bool
    inspected: Inspected | None
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at one account found."""

    provider: str
    simulated: bool
    found: Inspection
    stops: tuple[Stop, ...]


def look_daily() -> list[Looked]:
    """Look at each account with real money whose last look is a day old."""
    here, before = desk(), generations.inspections()
    now = datetime.now(UTC)
    due = [
        name
        for name, provider in here.providers.items()
        if isinstance(provider, Inspectable)
        and not here.simulated[name]
        and (name not in before or before[name].simulated or now - before[name].checked_at > A_DAY)
    ]
    return _look(here, due)


def look_now(name: str | None = None) -> list[Looked]:
    """Look at the account of one provider, or of all that can be looked at."""
    here = desk()
    if name is None:
        names = [each for each, provider in here.providers.items() if isinstance(provider, Inspectable)]
        return _look(here, names)
    if not isinstance(here[name], Inspectable):
        raise BadInput(f"{here[name].label} cannot be looked at without buying an image", field="provider")
    return _look(here, [name])


def accounts(simulated: Mapping[str, bool]) -> dict[str, Account]:
    """What is known of these providers; a look at the simulator says nothing of a real account."""
    seen = generations.inspections()
    known: dict[str, Account] = {}
    for name, on_simulator in simulated.items():
        provider, inspected = quoting().get(name), seen.get(name)
        if inspected is not None and inspected.simulated != on_simulator:
            inspected = None
        stops = _stops(provider, inspected.stops if inspected else {}) if provider else ()
        known[name] = Account(isinstance(provider, Inspectable), inspected, stops)
    return known


def _look(here: Desk, names: Sequence[str]) -> list[Looked]:
    found = asyncio.run(_ask({name: here[name] for name in names}))
    looked = [
        Looked(name, here.simulated[name], each, _stops(here[name], each.stops))
        for name, each in found.items()
    ]
    with transaction.atomic():
        before = generations.inspections()
        news: list[Happening] = []
        for each in looked:
            switch = generations.provider_switch(each.provider)
            # Nobody has enrolled it yet, or with another environment than this one: theirs counts.
            if switch is None or switch.simulated != each.simulated:
                continue
            was = before.get(each.provider)
            told = was.told if was and was.simulated == each.simulated else {}
            news += [_news(each.provider, stop) for stop in each.stops if told.get(stop.model) != stop.on]
            generations.keep_inspection(
                each.provider,
                each.found,
                simulated=each.simulated,
                told={**told, **{stop.model: stop.on for stop in each.stops}},
            )
        events.tell(news)
    return looked


async def _ask(providers: Mapping[str, Provider]) -> dict[str, Inspection]:
    answers = await asyncio.gather(*(_inspect(name, provider) for name, provider in providers.items()))
    return dict(zip(providers, answers, strict=True))


async def _inspect(name: str, provider: Provider) -> Inspection:
    assert isinstance(provider, Inspectable), "only these are asked"
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await provider.inspect()
    except TimeoutError:
        return Inspection(None, f"{provider.label} did not answer within {_PATIENCE_S:g} s.")
    except Exception as bug:
        # A stranger's adapter may raise anything; the other accounts are looked at all the same.
        log.exception("the %s adapter failed to look at its account", name)
        return Inspection(None, f"The {name} adapter failed: {type(bug).__name__}.")


def _stops(provider: Provider, said: Mapping[str, date]) -> tuple[Stop, ...]:
    """The living models that stop soon, by the provider's own word or else by their cards, soonest first."""
    until = today() + WARNED_FOR
    days = {card.id: said.get(card.id) or card.retires_on for card in provider.models() if not card.retired}
    soon = {model: on for model, on in days.items() if on is not None and on <= until}
    found: list[Stop] = []
    for card in provider.models():
        if card.id in soon:
            instead = _successor(provider, card, soon)
            named = (instead.id, instead.label) if instead else ()
            found.append(Stop(card.id, card.label, soon[card.id], *named))
    return tuple(sorted(found, key=lambda each: (each.on, each.model)))


def _successor(provider: Provider, card: ModelCard, soon: Mapping[str, date]) -> ModelCard | None:
    """What to use instead: as its card says, else the first of its kind that stays."""
    staying = {each.id: each for each in provider.models() if not each.retired and each.id not in soon}
    if card.successor in staying:
        return staying[card.successor]
    return next((each for each in staying.values() if each.kind == card.kind), None)


def _news(provider: str, stop: Stop) -> Happening:
    return Happening(
        "provider",
        "model_stops",
        provider,
        {"model": stop.model, "on": stop.on.isoformat(), "successor": stop.successor, "words": stop.words},
    )
