"""What a provider may answer, by every adapter: verdict, charge, seat, and who waits.

The real adapters talk to the simulator over HTTP, the real flow writes what came of it. An adapter that joins
the registry joins here with the words its provider would say (`SAYS`).
"""

import asyncio
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import formatdate
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction
from django.utils import timezone

from packshot import blobs, generations, reports
from packshot.catalogue.models import Image
from packshot.events.models import Event
from packshot.flows import administer, admit
from packshot.flows.close import Completion
from packshot.flows.run import Surroundings, run
from packshot.generations import Claim
from packshot.generations.models import Attempt, Generation, ProviderRecord
from packshot.kernel.ids import uuid7
from packshot.providers import http, registry
from packshot.providers.contract import Account, ImageRequest, Provider, Ticket, default_model
from packshot.simulator import Control, SimulatorConfig, running
from packshot.worker.shelf import Shelf
from tests import build

pytestmark = pytest.mark.django_db

PAID = sorted(
    name
    for name, adapter in registry.adapters().items()
    if adapter.key_variable and registry.is_simulated_too(adapter)
)


# -- what each provider says -----------------------------------------------------------------------


def _openai(status: int, code: str | None = None) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": f"this is {status}", "type": kind, "param": None, "code": code}}


def _flux(status: int, code: str | None = None) -> dict[str, Any]:
    return {"detail": f"this is {status}"}


def _stability(status: int, code: str | None = None) -> dict[str, Any]:
    return {"id": "a1b2c3d4", "name": code or "internal_error", "errors": [f"this is {status}"]}


def _midjourney(status: int, code: str | None = None) -> dict[str, Any]:
    """A relay's own words: the protocol itself refuses with 200."""
    return {"code": 4, "description": f"this is {status}", "type": "upstream_error"}


SAYS = {"openai": _openai, "flux": _flux, "stability": _stability, "midjourney": _midjourney}

FAILS, WAITS, PAUSES, UNSURE = "fails", "waits", "pauses", "unsure"
# In the provider's own words, and as whatever stands in front of it says it: a page without one of them.
# A refusal is known to be free either way; whether something behind a broken gateway did the work is not.
STATUSES: Mapping[int, tuple[str, str]] = {
    400: (FAILS, FAILS),
    401: (PAUSES, PAUSES),
    402: (PAUSES, PAUSES),
    403: (PAUSES, PAUSES),
    404: (FAILS, FAILS),
    408: (UNSURE, UNSURE),
    409: (FAILS, FAILS),
    422: (FAILS, FAILS),
    429: (WAITS, WAITS),
    500: (WAITS, UNSURE),
    502: (WAITS, UNSURE),
    503: (WAITS, UNSURE),
    504: (WAITS, UNSURE),
    529: (WAITS, UNSURE),
}
PAGE = "<html><body>something in between</body></html>"


# -- the stage -----------------------------------------------------------------------------------


@dataclass
class Lines:
    """The worker's lines, one row a transaction, on the thread that the test's own transaction belongs to."""

    process_id: Any

    async def sending(self, claim: Claim) -> bool:
        sent = await sync_to_async(admit.start_sending)([claim], process_id=self.process_id)
        return claim.attempt_id in sent

    async def accepted(self, claim: Claim, ticket: Ticket) -> None:
        tickets = {claim.attempt_id: (ticket.state, ticket.request_id or "", ticket.cost)}
        await sync_to_async(admit.accept)(tickets)

    async def closing(self, completion: Completion) -> None:
        await sync_to_async(build.end)(completion)

    async def came_to_nothing(self, claim: Claim) -> None:
        raise AssertionError("no ticket here is from a callback")

    async def until_next_look(self, attempt_id: object, at_most_s: float) -> None:
        await asyncio.sleep(min(at_most_s, 0.02))

    def store_trouble(self, problem: str | None) -> None:
        assert problem is None


@dataclass
class Stage:
    """One provider on the simulator, its queue, and a worker."""

    name: str
    simulator: Control
    provider: Provider
    around: Surroundings
    lines: Lines
    billed_before: int

    def ask(self, count: int = 1) -> None:
        request = ImageRequest(default_model(self.provider).id, "a bottle of hemp seed oil on slate")
        quote = self.provider.quote(request)
        wanted = [
            generations.Wanted(
                id=uuid7(), product_id=build.product().id, provider=self.name, model=request.model,
                simulated=True, prompt=request.prompt, template_version_id=None, shape=request.shape,
                images=1, seed=None, options={}, priority=0, expected_micros=quote.expected,
                ceiling_micros=quote.ceiling, price_version=quote.price_version,
            )
            for _ in range(count)
        ]  # fmt: skip
        with transaction.atomic():
            generations.request(
                wanted, key=uuid4().hex, fingerprint="f" * 64, title="", person_id=None, person_name="ed",
                quoted_micros=None,
            )  # fmt: skip

    def claim(self, most: int = 100) -> list[Claim]:
        return admit.admit(self.provider, process_id=self.lines.process_id, most=most)

    def run(self, claims: Sequence[Claim], *, deadline_s: int | None = None) -> None:
        """Take these to their ends, all at once."""
        if deadline_s is not None:
            claims = [replace(claim, deadline_s=deadline_s) for claim in claims]

        async def story() -> None:
            await asyncio.gather(*(run(claim, self.provider, self.around) for claim in claims))
            await self.provider._client.aclose()

        async_to_sync(story)()

    def one(self, *rules: Mapping[str, Any], deadline_s: int | None = None) -> "Ended":
        """One generation under these faults."""
        self.simulator.set_faults(*({"dialect": self.name, **rule} for rule in rules))
        self.ask()
        (claim,) = self.claim()
        began_at = timezone.now()
        self.run([claim], deadline_s=deadline_s)
        return replace(self.ended(claim), began_at=began_at)

    def ended(self, claim: Claim) -> "Ended":
        row = ProviderRecord.objects.get(pk=self.name)
        spent, reserved = build.balances()
        return Ended(
            attempt=build.attempt(claim),
            generation=build.generation(claim),
            provider=row,
            spent=spent,
            held=reserved,
            billed=self.billed() - self.billed_before,
            seats_taken=Attempt.objects.filter(state__in=("intent", "sending", "accepted")).count(),
            began_at=timezone.now(),
        )

    def billed(self) -> int:
        """All that the simulator charged this provider's customer, in micro-dollars, each request rounded
        up once."""
        by_request: dict[str, Fraction] = {}
        for line in self.simulator.bill():
            if line.dialect == self.name:
                by_request[line.request_id] = by_request.get(line.request_id, Fraction(0)) + line.dollars
        return sum(ceil(each * 1_000_000) for each in by_request.values())


@dataclass(frozen=True)
class Ended:
    attempt: Attempt
    generation: Generation
    provider: ProviderRecord
    spent: int
    held: int
    billed: int
    seats_taken: int
    began_at: datetime

    @property
    def what(self) -> str:
        """What the plan calls it."""
        match self.attempt.state, self.generation.status:
            case "failed_free", "failed":
                return FAILS
            case "failed_free", "pending":
                return PAUSES if self.provider.paused_at else WAITS
            case "uncertain", "uncertain":
                return UNSURE
        return f"{self.attempt.state}/{self.generation.status}"

    def waits_between(self, least_s: float, most_s: float) -> bool:
        """Whether the provider is left alone for so long, counted from some moment of the call."""
        until = self.provider.wait_until or timezone.now()
        return until >= self.began_at + timedelta(seconds=least_s) and until <= timezone.now() + timedelta(
            seconds=most_s
        )


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    config = SimulatorConfig(
        tmp_path_factory.mktemp("simulator"),
        speed=50.0,
        image="small",
        openai_images_per_minute=None,
        flux_concurrent_tasks=None,
        midjourney_concurrent_tasks=None,
        stability_requests_per_10s=None,
    )
    with running(config) as control:
        yield control


@pytest.fixture(params=PAID)
def stage(request: pytest.FixtureRequest, simulator: Control, tmp_path: Path) -> Stage:
    return staged(request.param, simulator, tmp_path, f"{simulator.address}/{request.param}")


def staged(name: str, simulator: Control, folder: Path, url: str) -> Stage:
    build.provider_row(name)
    build.budget("100")
    provider = registry.build(name, Account("sk-simulated", url, simulated=True))
    lines = Lines(build.process().id)
    store = blobs.open_store(f"file://{folder / 'blobs'}")
    around = Surroundings(lines, Shelf(store), timer_scale=50.0)
    stage = Stage(name, simulator, provider, around, lines, 0)
    stage.billed_before = stage.billed()
    return stage


def test_every_provider_has_its_words_here():
    assert PAID
    assert set(PAID) <= SAYS.keys(), "say in SAYS how this provider words an error"


# -- complete answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("worded", [True, False], ids=["own words", "a page in between"])
@pytest.mark.parametrize("status", STATUSES)
def test_an_answer_without_an_image_ends_as_its_status_says(stage, status, worded):
    body = SAYS[stage.name](status) if worded else PAGE
    ended = stage.one({"action": "answer", "status": status, "body": body})
    assert ended.what == STATUSES[status][0 if worded else 1]
    assert ended.seats_taken == 0
    assert (ended.spent, ended.billed) == (0, 0), "it made nothing, it cost nothing"
    assert ended.held == (ended.attempt.reserved_micros if ended.what == UNSURE else 0)
    if ended.what == PAUSES:
        assert ended.provider.paused_kind in ("bad_key", "no_credit")
    if ended.what in (FAILS, UNSURE):
        assert ended.generation.error_kind
        assert stage.claim() == [], "it is not asked for again by itself"
    else:
        assert ended.attempt.error_message


@pytest.mark.parametrize("variant", ["html", "not_an_image"], ids=["a page", "a page as the image"])
def test_a_page_in_place_of_a_paid_answer_is_no_image_and_its_money_is_not_given_back(stage, variant):
    if variant == "not_an_image" and stage.name in ("flux", "midjourney"):
        pytest.skip("sends links, and what stands behind them is read in the contract tests")
    ended = stage.one({"action": "garbage", "variant": variant})
    assert not Image.objects.exists(), "a page became an image"
    assert ended.generation.status in ("failed", "uncertain")
    assert ended.generation.error_kind
    # What the simulator billed is spent or still held, and it is not asked for again.
    assert ended.spent + ended.held >= ended.billed
    assert ended.seats_taken == 0
    assert stage.claim() == []


def test_three_server_errors_of_one_generation_end_it_for_free(stage):
    stage.simulator.set_faults({"action": "answer", "status": 500, "body": SAYS[stage.name](500)})
    stage.ask()
    for _ in range(3):
        Generation.objects.update(not_before=None, wait_reason=None)
        ProviderRecord.objects.update(wait_until=None, busy_in_row=0)
        (claim,) = stage.claim()
        stage.run([claim])
    ended = stage.ended(claim)
    assert (ended.what, ended.generation.attempts) == (FAILS, 3)
    assert (ended.spent, ended.held, ended.billed) == (0, 0, 0)


LONGEST_S = 900.0
UNTOLD_S = (3.0, 30.0)
# By provider, where too many requests mean a wait of its own that no answer names.
LOCK_OUT_S = {"stability": (59.0, 60.1)}


@pytest.mark.parametrize(
    ("header", "least_s", "most_s"),
    [
        ("7", 6.0, 7.01),
        ("7.5", 6.5, 7.51),
        (lambda: formatdate(time.time() + 60, usegmt=True), 57.0, 61.0),
        (lambda: formatdate(time.time() - 3600, usegmt=True), -1.0, 0.1),
        ("1000000000", LONGEST_S - 1, LONGEST_S),
        ("9" * 400, LONGEST_S - 1, LONGEST_S),
        (lambda: formatdate(time.time() + 86400, usegmt=True), LONGEST_S - 1, LONGEST_S),
        (None, *UNTOLD_S),
        ("", *UNTOLD_S),
        ("soon", *UNTOLD_S),
        ("-5", *UNTOLD_S),
        ("Thu, 99 Foo 2026 99:99:99 GMT", *UNTOLD_S),
    ],
    ids=[
        "seconds", "a fraction", "a date", "a date that is past", "1e9", "400 digits", "a date tomorrow",
        "nothing", "empty", "a word", "negative", "no date",
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_is_the_providers_and_never_longer_than_a_quarter_of_an_hour(
    stage, status, header, least_s, most_s
):
    value = header() if callable(header) else header
    headers = {} if value is None else {"Retry-After": value}
    code = "server_is_overloaded" if status == 503 else None
    ended = stage.one(
        {"action": "answer", "status": status, "body": SAYS[stage.name](status, code), "headers": headers}
    )
    assert ended.what == WAITS
    if status == 429 and (least_s, most_s) == UNTOLD_S:
        least_s, most_s = LOCK_OUT_S.get(stage.name, UNTOLD_S)
    if status == 503:
        # Nobody said that the wait is over then: it is at least a second, as for whoever is down.
        least_s = max(least_s, 0.2)
        most_s = max(most_s, 1.01)
    assert ended.waits_between(least_s, most_s), (ended.provider.wait_until, ended.began_at)
    assert stage.claim() == [], "nobody asks meanwhile"
    assert (ended.spent, ended.held, ended.billed, ended.seats_taken) == (0, 0, 0, 0)


# -- answers that come late, in drops, or never ------------------------------------------------------


def test_an_answer_just_before_the_deadline_is_delivered(stage):
    ended = stage.one({"action": "slow", "delay_s": 0.7, "times": 1}, deadline_s=6)
    assert (ended.attempt.state, ended.generation.status) == ("succeeded", "completed")
    assert ended.spent == ended.billed > 0
    assert (ended.held, ended.seats_taken) == (0, 0)


@pytest.mark.parametrize(
    ("rule", "charged"),
    [
        ({"action": "hang", "charged": True}, True),
        ({"action": "hang", "charged": False}, False),
        ({"action": "drip", "bytes_per_s": 10}, True),
        ({"action": "slow", "delay_s": 30}, True),
    ],
    ids=["no answer, charged", "no answer, not charged", "a slow drip", "an answer after the deadline"],
)
def test_a_call_that_is_not_answered_in_time_is_uncertain_and_its_money_stays_held(stage, rule, charged):
    ended = stage.one(rule, deadline_s=2)
    assert ended.what == UNSURE
    assert ended.attempt.error_kind == "timeout"
    assert ended.seats_taken == 0, "its seat is free again at the deadline"
    assert (ended.spent, ended.held) == (0, ended.attempt.reserved_micros)
    assert (0 < ended.billed <= ended.held) if charged else ended.billed == 0


@pytest.mark.parametrize("action", ["cut_before_answer", "cut_half_body"])
def test_a_call_that_is_cut_is_uncertain_and_its_money_stays_held(stage, action):
    ended = stage.one({"action": action, "charged": True})
    assert (ended.what, ended.attempt.error_kind) == (UNSURE, "cut_off")
    assert (ended.spent, ended.seats_taken) == (0, 0)
    assert 0 < ended.billed <= ended.held == ended.attempt.reserved_micros


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which connections are never taken: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for each in waiting:
            each.close()


@pytest.mark.parametrize("name", PAID)
def test_a_connection_that_hangs_cost_nothing_and_is_tried_again(
    name, nobody, simulator, tmp_path, monkeypatch
):
    monkeypatch.setattr(http, "CONNECT_TIMEOUT_S", 0.2)
    stage = staged(name, simulator, tmp_path, nobody)
    ended = stage.one()
    assert (ended.what, ended.attempt.error_kind) == (WAITS, "unreachable")
    assert (ended.spent, ended.held, ended.seats_taken) == (0, 0, 0)
    assert ended.waits_between(1, LONGEST_S)


# -- what only an administrator can mend -----------------------------------------------------------


@pytest.mark.parametrize(("action", "kind"), [("bad_key", "bad_key"), ("quota", "no_credit")])
def test_fifty_that_meet_a_refused_key_or_an_empty_account_wait_behind_one_alert(stage, action, kind):
    stage.simulator.set_faults({"action": action, "dialect": stage.name})
    stage.ask(60)
    claims = stage.claim(50)
    assert len(claims) == 50
    stage.run(claims)
    row = ProviderRecord.objects.get(pk=stage.name)
    assert row.paused_kind == kind
    alerts = Event.objects.filter(topic="provider", subject=stage.name)
    assert [each.kind for each in alerts] == ["paused"]
    assert set(Generation.objects.values_list("status", flat=True)) == {"pending"}, "none failed"
    assert set(Attempt.objects.values_list("state", flat=True)) == {"failed_free"}
    assert build.balances() == (0, 0)
    assert stage.claim() == []
    stage.simulator.set_faults()
    assert administer.resume(stage.name, build.ADMIN)
    while claims := stage.claim():
        stage.run(claims)
    assert set(Generation.objects.values_list("status", flat=True)) == {"completed"}
    assert Generation.objects.count() == 60
    spent, reserved = build.balances()
    assert (spent, reserved) == (stage.billed() - stage.billed_before, 0)
    assert reports.rebuild_rollups() == []
