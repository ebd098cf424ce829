"""Looking at accounts for nothing: what is kept of it, who is told, and what it never does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from packshot import generations
from packshot.events.models import Event
from packshot.flows import inspecting
from packshot.flows.desk import Desk
from packshot.generations.models import Attempt, Generation, InspectionRecord
from packshot.kernel.errors import BadInput
from packshot.kernel.money import micros
from packshot.providers.contract import Account, Inspection, ModelCard
from packshot.providers.flux import Flux
from packshot.providers.http import GuardedClient
from packshot.providers.openai import OpenAI
from packshot.simulator import Control, Rule, SimulatorConfig, running
from tests import build

pytestmark = pytest.mark.django_db

DAY = date(2026, 11, 22)
CARD = ModelCard("stand-in", "Stand-in", "openai", "direct", deadline_s=30)


class Told(build.StandIn):
    """A provider whose account says what it is told to."""

    def __init__(self, name: str = "openai", *cards: ModelCard) -> None:
        super().__init__(name)
        self.cards = cards or (CARD, replace(CARD, id="old", label="Old one", successor="stand-in"))
        self.says: Inspection | Exception = Inspection(True, "The key works.")
        self.looks = 0

    def models(self) -> tuple[ModelCard, ...]:
        return self.cards

    async def inspect(self) -> Inspection:
        self.looks += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class Calendar:
    """The day, as far as models that stop are concerned."""

    day = DAY

    def shift(self, days: int) -> None:
        self.day += timedelta(days=days)


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    calendar = Calendar()
    monkeypatch.setattr(inspecting, "today", lambda: calendar.day)
    return calendar


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, calendar: Calendar) -> Told:
    build.provider_row(simulated=False)
    told = Told()
    stand(monkeypatch, {"openai": told}, simulated=False)
    return told


def stand(monkeypatch: pytest.MonkeyPatch, providers: Mapping[str, Any], *, simulated: bool) -> None:
    """These are the providers here."""
    here = Desk(providers, dict.fromkeys(providers, simulated), {})
    monkeypatch.setattr(inspecting, "desk", lambda: here)
    monkeypatch.setattr(inspecting, "quoting", lambda: providers)


def events() -> list[tuple[str, str, str]]:
    found = Event.objects.filter(topic="provider").order_by("id")
    return [(each.kind, each.data.get("model", ""), each.data.get("on", "")) for each in found]


def test_a_look_is_kept_with_its_balance_and_its_moment(provider):
    provider.says = Inspection(True, "The key works.", micros("12.34"))
    (looked,) = inspecting.look_now("openai")
    assert (looked.simulated, looked.found.key_works) == (False, True)
    kept = generations.inspections()["openai"]
    assert (kept.key_works, kept.detail, kept.balance_micros) == (True, "The key works.", 12_340_000)
    assert kept.simulated is False
    known = inspecting.accounts({"openai": False})["openai"]
    assert (known.can_be_looked_at, known.inspected, known.stops) == (True, kept, ())


def test_a_model_that_stops_within_sixty_days_is_told_once_and_shown_with_its_successor(provider, calendar):
    provider.says = Inspection(True, "The key works.", stops={"old": DAY + timedelta(days=61)})
    inspecting.look_now()
    assert events() == []
    assert inspecting.accounts({"openai": False})["openai"].stops == ()
    calendar.shift(days=1)
    for _ in range(3):
        inspecting.look_now()
    assert events() == [("model_stops", "old", "2027-01-22")]
    (stop,) = inspecting.accounts({"openai": False})["openai"].stops
    assert stop.words == "old stops on 2027-01-22, use stand-in"
    # A day that moves is news.
    provider.says = Inspection(True, "The key works.", stops={"old": DAY + timedelta(days=30)})
    inspecting.look_now()
    inspecting.look_now()
    assert [each[2] for each in events()] == ["2027-01-22", "2026-12-22"]


def test_a_card_that_knows_its_last_day_is_told_as_well_and_the_provider_knows_better(provider, monkeypatch):
    old = replace(CARD, id="old", retires_on=DAY + timedelta(days=9), successor="stand-in")
    stand(monkeypatch, {"openai": Told("openai", CARD, old)}, simulated=False)
    inspecting.look_now()
    assert events() == [("model_stops", "old", "2026-12-01")]
    assert [each.on for each in inspecting.accounts({"openai": False})["openai"].stops] == [date(2026, 12, 1)]
    later = Told("openai", CARD, old)
    later.says = Inspection(True, "The key works.", stops={"old": date(2027, 11, 1)})
    stand(monkeypatch, {"openai": later}, simulated=False)
    inspecting.look_now()
    assert inspecting.accounts({"openai": False})["openai"].stops == ()


def test_a_retired_model_is_no_news_and_one_that_is_gone_early_is(provider, monkeypatch):
    gone = replace(CARD, id="gone", retired=True, retires_on=DAY - timedelta(days=100))
    told = Told("openai", CARD, gone, replace(CARD, id="old"))
    told.says = Inspection(True, "The key works.", stops={"gone": DAY, "old": DAY - timedelta(days=2)})
    stand(monkeypatch, {"openai": told}, simulated=False)
    (looked,) = inspecting.look_now()
    assert [each.words for each in looked.stops] == ["old stopped on 2026-11-20, use stand-in"]


def test_what_to_use_instead_is_never_a_model_that_stops_as_well(provider, monkeypatch):
    cards = [replace(CARD, id=name, label=name, successor="a") for name in ("a", "b", "c")]
    told = Told("openai", *cards)
    stand(monkeypatch, {"openai": told}, simulated=False)
    soon = DAY + timedelta(days=5)
    told.says = Inspection(True, "", stops={"a": soon, "b": soon})
    (looked,) = inspecting.look_now()
    assert [(each.model, each.successor) for each in looked.stops] == [("a", "c"), ("b", "c")]
    told.says = Inspection(True, "", stops={"a": soon, "b": soon, "c": soon})
    (looked,) = inspecting.look_now()
    assert [each.words for each in looked.stops][2] == "c stops on 2026-11-27"


def test_a_look_that_saw_nothing_takes_nothing_back(provider):
    provider.says = Inspection(True, "The key works.", micros("5"), {"old": DAY + timedelta(days=9)})
    inspecting.look_now()
    provider.says = Inspection(None, "OpenAI could not be asked: no route")
    inspecting.look_now()
    kept = generations.inspections()["openai"]
    assert (kept.key_works, kept.detail) == (None, "OpenAI could not be asked: no route")
    assert (kept.balance_micros, kept.stops) == (5_000_000, {"old": DAY + timedelta(days=9)})
    provider.says = Inspection(True, "The key works.", micros("4"), {"old": DAY + timedelta(days=9)})
    inspecting.look_now()
    assert len(events()) == 1
    provider.says = Inspection(True, "The key works.", micros("3"))  # it stops no more
    inspecting.look_now()
    assert generations.inspections()["openai"].stops == {}


def test_an_adapter_that_fails_is_told_and_the_others_are_looked_at(monkeypatch, calendar):
    providers = {"openai": Told("openai"), "flux": Told("flux")}
    for name in providers:
        build.provider_row(name, simulated=False)
    providers["openai"].says = RuntimeError("sk-secret in the message")
    stand(monkeypatch, providers, simulated=False)
    broken, whole = inspecting.look_now()
    assert (broken.found.key_works, whole.found.key_works) == (None, True)
    assert broken.found.detail == "The openai adapter failed: RuntimeError."
    assert InspectionRecord.objects.count() == 2


def test_the_daily_look_is_a_day_after_the_last_and_at_real_money_only(provider, monkeypatch, calendar):
    assert [each.provider for each in inspecting.look_daily()] == ["openai"]
    InspectionRecord.objects.update(checked_at=datetime.now(UTC) - timedelta(hours=22))
    assert inspecting.look_daily() == []
    InspectionRecord.objects.update(checked_at=datetime.now(UTC) - timedelta(hours=23, minutes=1))
    assert len(inspecting.look_daily()) == 1
    stand(monkeypatch, {"flux": Told("flux")}, simulated=True)
    build.provider_row("flux")
    assert inspecting.look_daily() == []
    assert len(inspecting.look_now("flux")) == 1


def test_a_look_at_the_simulator_says_nothing_of_a_real_account(provider, monkeypatch):
    inspecting.look_now()
    InspectionRecord.objects.update(simulated=True)
    assert inspecting.accounts({"openai": False})["openai"].inspected is None
    assert inspecting.accounts({"openai": True})["openai"].inspected is not None
    assert len(inspecting.look_daily()) == 1  # and is no reason to leave the real one alone


def test_a_shell_with_another_environment_overwrites_nothing(provider, monkeypatch):
    """Without the key in the shell it would be the simulator's word on a real account."""
    inspecting.look_now()
    other = Told()
    other.says = Inspection(True, "simulated")
    stand(monkeypatch, {"openai": other}, simulated=True)
    (looked,) = inspecting.look_now()
    assert looked.found.detail == "simulated"
    assert generations.inspections()["openai"].detail == "The key works."
    stand(monkeypatch, {"newcomer": Told("newcomer")}, simulated=False)  # no worker has started with it yet
    assert inspecting.look_now("newcomer")[0].found.key_works is True
    assert set(generations.inspections()) == {"openai"}


def test_who_cannot_be_looked_at_says_so(monkeypatch):
    stand(monkeypatch, {"openai": build.StandIn()}, simulated=False)
    assert inspecting.look_now() == []
    assert inspecting.accounts({"openai": False})["openai"].can_be_looked_at is False
    with pytest.raises(BadInput, match="without buying an image"):
        inspecting.look_now("openai")
    with pytest.raises(BadInput, match="no provider 'nobody'"):
        inspecting.look_now("nobody")


@contextmanager
def on_the_simulator(folder: Path) -> Iterator[tuple[Control, Desk]]:
    with running(SimulatorConfig(folder, speed=1000.0, image="small", today=DAY)) as control:
        providers = {
            "openai": OpenAI(
                Account("sk-canary-1", control.openai_url, True), GuardedClient(control.openai_url)
            ),
            "flux": Flux(
                Account("bfl-canary-2", control.flux_url, True),
                GuardedClient(control.flux_url, hosts=Flux.hosts),
            ),
        }
        yield control, Desk(providers, dict.fromkeys(providers, True), {})


def test_the_real_adapters_look_without_buying_and_without_an_attempt(monkeypatch, tmp_path, calendar):
    for name in ("openai", "flux"):
        build.provider_row(name)
    with on_the_simulator(tmp_path / "simulator") as (control, here):
        monkeypatch.setattr(inspecting, "desk", lambda: here)
        openai, flux = inspecting.look_now()
        assert (openai.found.key_works, flux.found.key_works) == (True, True)
        assert flux.found.balance == 1_000_000 * 10_000
        assert [each.model for each in openai.stops] == [
            "chatgpt-image-latest", "gpt-image-1-mini", "gpt-image-1.5",
        ]  # fmt: skip
        assert {each.successor for each in openai.stops} == {"gpt-image-2"}
        assert [each[1] for each in events()] == [each.model for each in openai.stops]
        control.set_faults(
            Rule(action="bad_key", dialect="openai", path="/v1/models"),
            Rule(action="server_error", dialect="flux", path="/v1/credits"),
        )
        openai, flux = inspecting.look_now()
        assert (openai.found.key_works, flux.found.key_works) == (False, None)
        assert "canary" not in openai.found.detail + flux.found.detail
        assert control.bill() == control.requests() == []
    openai, flux = inspecting.look_now()  # the simulator is gone
    assert "could not be asked" in openai.found.detail
    assert "could not be asked" in flux.found.detail
    assert not Attempt.objects.exists()
    assert not Generation.objects.exists()
