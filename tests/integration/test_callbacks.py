"""What providers say by themselves: let in by its address only, stored once, and never more than a hint."""

import asyncio
import hashlib
import hmac
import json
import logging
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from packshot import events, generations, ledger, preferences, reports
from packshot.events import Happening
from packshot.flows import admit, callbacks, generate, upkeep
from packshot.flows.check import CHECKS
from packshot.flows.close import Completion
from packshot.flows.desk import Desk, quoting
from packshot.flows.run import Surroundings, resume
from packshot.generations import Claim
from packshot.generations.models import Attempt, Callback, Evidence, Generation
from packshot.kernel.errors import BadAnswer, Refused, Unsure
from packshot.kernel.redaction import redact
from packshot.providers.contract import (
    AttemptRef,
    CallbackAddress,
    CallsBack,
    Delivery,
    GeneratedImage,
    Pending,
    Ticket,
)
from packshot.sql import text
from packshot.web.pages import callbacks as door
from packshot.web.uploads import up_to_limit
from tests import build
from tests.beside import Beside

COST = 40_000


class Reporter(build.StandIn):
    """A provider of tickets that reports by itself, in FLUX's words. `tasks` is what it knows of each."""

    def __init__(self) -> None:
        super().__init__("flux")
        flux = quoting()["flux"]
        assert isinstance(flux, CallsBack)
        self.vouches, self.task_of, self.ticket_of = flux.vouches, flux.task_of, flux.ticket_of
        self.tasks: dict[str, object] = {}
        self.looks = 0

    async def submit(self, request: object, attempt: AttemptRef) -> Ticket | Delivery:
        raise AssertionError("nothing is ever sent again")

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        self.looks += 1
        end = self.tasks.get(ticket.state["id"], Unsure("no such task", kind="expired"))
        if isinstance(end, Exception):
            raise end
        assert end == "ready"
        return Delivery([GeneratedImage(build.PNG, "image/png", 1, 1)], ticket.cost, ticket.request_id)


@dataclass
class Lines:
    """Notes what a worker would write; the story writes it when the event loop is over."""

    completions: list[Completion] = field(default_factory=list)
    nothing: list[UUID] = field(default_factory=list)

    async def closing(self, completion: Completion) -> None:
        self.completions.append(completion)

    async def came_to_nothing(self, claim: Claim) -> None:
        self.nothing.append(claim.attempt_id)

    async def until_next_look(self, attempt_id: UUID, at_most_s: float) -> None:
        await asyncio.sleep(0)

    def store_trouble(self, problem: str | None) -> None:
        assert problem is None


class Shelf:
    """A store that keeps nothing, and names each image by its bytes."""

    async def put(self, content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    async def get(self, blob: str) -> bytes:
        raise AssertionError("no request here has pictures")

    def room(self, size_bytes: int) -> AbstractAsyncContextManager[None]:
        return nullcontext()


@pytest.fixture
def provider() -> Reporter:
    build.provider_row("flux")
    build.budget("10")
    return Reporter()


def desk_of(provider: Reporter) -> Desk:
    return Desk({"flux": provider}, {"flux": True}, {})


def report(task: str, status: str = "Ready", at: str = "2026-11-26T12:00:00Z") -> bytes:
    return json.dumps({"id": task, "status": status, "result": None, "timestamp": at}).encode()


def signed(attempt_id: UUID, body: bytes) -> dict[str, str]:
    digest = hmac.new(callbacks.secret(attempt_id).encode(), body, "sha256").hexdigest()
    return {"x-bfl-signature": f"sha256={digest}"}


def post(
    attempt_id: UUID,
    body: bytes,
    headers: dict[str, str] | None = None,
    *,
    token: str | None = None,
    client: Client | None = None,
) -> int:
    url = reverse("callback", args=[attempt_id, token or callbacks.token(attempt_id)])
    client = client or Client(enforce_csrf_checks=True)
    response = client.post(url, body, content_type="application/json", headers=headers or {})
    assert response.content == b""
    assert not response.cookies
    return int(response.status_code)


def deliver(attempt_id: UUID, body: bytes) -> int:
    return post(attempt_id, body, signed(attempt_id, body))


def heed(provider: Reporter, me: UUID, *, running: Sequence[UUID] = ()) -> list[UUID]:
    """What a worker does when it is woken: takes note, and collects what it took up."""
    heard = callbacks.heed(desk_of(provider), process_id=me, running=set(running))
    collect(provider, heard.claims)
    return sorted(heard.look_at)


def collect(provider: Reporter, claims: Sequence[Claim], *, scale: float = 1.0) -> None:
    lines = Lines()
    around = Surroundings(lines, Shelf(), scale)

    async def all_of_them() -> None:
        for claim in claims:
            await resume(claim, provider, around)

    asyncio.run(all_of_them())
    build.end(*lines.completions)
    for attempt_id in lines.nothing:
        callbacks.drop_ticket(attempt_id)


def lose(*claims: Claim) -> None:
    """The answers to these submissions never came."""
    build.end(*(build.failed(claim, Unsure("cut", kind="cut_off")) for claim in claims))


def answer(claim: Claim, task: str) -> None:
    admit.accept({claim.attempt_id: ({"id": task}, task, COST)})


def poll(provider: Reporter, claim: Claim) -> None:
    """Its owner looks at what it submitted, as it does without any callback."""
    owner = build.attempt(claim).process_id
    collect(provider, generations.tickets_of(owner, [claim.attempt_id]))


def problems() -> list[object]:
    """What `packshot ledger check` would find, but for the bytes, which these stories do not keep."""
    with connection.cursor() as cursor:
        found: list[object] = []
        for each in CHECKS:
            cursor.execute(text(f"check_{each.name}", 1))
            found += cursor.fetchall()
        return found


def ends(*claims: Claim) -> list[tuple[object, ...]]:
    """Where each story ended: states, money, images. What differs between two equal ends is left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT attempt.state, attempt.cost_micros, attempt.request_id, generation.status,
                generation.actual_micros, generation.cost_unknown, generation.attempts,
                (SELECT coalesce(sum(amount_micros), 0) FROM packshot_entry WHERE attempt_id = attempt.id),
                (SELECT closed_at IS NULL FROM packshot_reservation WHERE attempt_id = attempt.id),
                (SELECT count(*) FROM packshot_image WHERE attempt_id = attempt.id)
            FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            WHERE attempt.id = ANY(%s) ORDER BY attempt.id
            """,
            [[claim.attempt_id for claim in claims]],
        )
        return cursor.fetchall()


# -- the address ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "simulated", "base"),
    [
        ("https://shop.example", False, "https://shop.example"),
        ("https://shop.example/packshot", False, "https://shop.example/packshot"),
        ("https://shop.example", True, None),  # the simulator stays on this machine
        ("http://127.0.0.1:8000", True, "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000", False, None),  # nobody out there could reach it
        ("https://127.0.0.1", False, None),
        ("http://shop.example", False, None),  # the address is the right: it does not travel in the open
        ("off", False, None),
        ("off", True, None),
    ],
)
def test_an_address_is_given_only_to_whom_it_can_serve(settings, url, simulated, base):
    settings.CALLBACK_URL = url
    flux, sandbox = quoting()["flux"], quoting()["sandbox"]
    desk = Desk({"flux": flux, "sandbox": sandbox}, {"flux": simulated, "sandbox": True}, {})
    attempt_id = uuid4()
    address = callbacks.addresses(desk)
    assert address(sandbox, attempt_id) is None
    assert callbacks.come(desk) == (base is not None)
    if base is None:
        assert address(flux, attempt_id) is None
    else:
        assert address(flux, attempt_id) == CallbackAddress(
            f"{base}/callbacks/{attempt_id}/{callbacks.token(attempt_id)}", callbacks.secret(attempt_id)
        )


def test_each_attempt_has_a_token_and_a_secret_of_its_own_and_of_this_site(settings):
    one, other = uuid4(), uuid4()
    told = {callbacks.token(one), callbacks.secret(one), callbacks.token(other), callbacks.secret(other)}
    assert len(told) == 4
    assert len(callbacks.token(one)) * 4 >= 128
    settings.SECRET_KEY = "another site"
    assert not told & {callbacks.token(one), callbacks.secret(one)}


def test_no_log_line_holds_an_address():
    url = f"https://shop.example/callbacks/{uuid4()}/{callbacks.token(uuid4())}"
    assert redact(f"Not Found: {url}").endswith("/***")


# -- the door ------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_what_a_provider_says_is_stored_once_and_redacted(provider):
    claim = build.sent(provider)
    link = "https://delivery.bfl.ai/sample.png?sig=secret"
    body = json.dumps({"id": "t1", "status": "Ready", "result": {"sample": link}}).encode()
    assert [deliver(claim.attempt_id, body) for _ in range(3)] == [204] * 3
    row = Callback.objects.get()
    assert (row.attempt_id, row.task, row.handled_at) == (claim.attempt_id, "t1", None)
    assert row.sha256 == hashlib.sha256(body).hexdigest()
    assert "sig=secret" not in row.body
    assert '"status": "Ready"' in row.body
    assert build.attempt(claim).state == "sending"


@pytest.mark.django_db
def test_an_address_that_a_provider_repeats_is_not_kept(provider):
    claim = build.sent(provider)
    token, secret = callbacks.token(claim.attempt_id), callbacks.secret(claim.attempt_id)
    hook = f"https://shop.example/callbacks/{claim.attempt_id}/{token}"
    body = json.dumps({"id": "t1", "notifyHook": hook, "properties": {hook: secret}}).encode()
    assert deliver(claim.attempt_id, body) == 204
    kept = Callback.objects.get().body
    assert "notifyHook" in kept
    assert token not in kept
    assert secret not in kept


@pytest.mark.django_db
@pytest.mark.parametrize(
    "headers",
    [{}, {"x-webhook-secret": "its own"}],
    ids=["no signature", "the secret itself, as one client documents"],
)
def test_the_token_alone_lets_in_where_nothing_is_signed(provider, headers):
    claim = build.sent(provider)
    known = {name: callbacks.secret(claim.attempt_id) for name in headers}
    assert post(claim.attempt_id, report("t1"), known) == 204


@pytest.mark.django_db
def test_forgeries_change_nothing_and_say_little(provider, caplog, monkeypatch):
    claim, other = build.sent(provider), build.sent(provider)
    body = report("t1")
    right = signed(claim.attempt_id, body)["x-bfl-signature"]
    monkeypatch.setattr(door, "refusals", door.Refusals())
    forged = [
        post(claim.attempt_id, body, token="0" * 48),
        post(claim.attempt_id, body, token=callbacks.token(other.attempt_id)),
        post(claim.attempt_id, body, token=callbacks.token(claim.attempt_id)[:-1]),
        post(claim.attempt_id, body, token=callbacks.token(claim.attempt_id) + "0"),
        post(claim.attempt_id, body, token="ä"),
        post(uuid4(), body, token=callbacks.token(claim.attempt_id)),
    ]
    assert forged == [404] * 6
    stranger = uuid4()
    assert post(stranger, body) == 404  # a right token of an attempt that does not exist
    wrong = ["", "sha256=", right.removeprefix("sha256="), right.upper(), right[:-1], right + "0", "é"]
    wrong.append(signed(other.attempt_id, body)["x-bfl-signature"])
    for signature in wrong:
        assert post(claim.attempt_id, body, {"x-bfl-signature": signature}) == 401, signature
    # Said again with other spaces: the signature is over the bytes.
    assert post(claim.attempt_id, body.replace(b": ", b":"), {"x-bfl-signature": right}) == 401
    assert post(claim.attempt_id, body, {"x-webhook-secret": callbacks.secret(other.attempt_id)}) == 401
    assert not Callback.objects.exists()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["callbacks refused: 1 with a wrong address"]
    assert callbacks.token(claim.attempt_id) not in caplog.text


@pytest.mark.django_db
def test_no_flipped_byte_of_a_signed_body_is_taken(provider):
    claim = build.sent(provider)
    body = report("t1")
    headers = signed(claim.attempt_id, body)
    client, chance = Client(enforce_csrf_checks=True), random.Random(7)
    for _ in range(1_000):
        flipped = bytearray(body)
        flipped[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        assert post(claim.attempt_id, bytes(flipped), headers, client=client) == 401
    assert not Callback.objects.exists()
    assert post(claim.attempt_id, body, headers, client=client) == 204


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"id": 7}',
        b'{"id": "with a space"}',
        b'{"id": "' + b"t" * 201 + b'"}',
        b'{"id": "nul \\u0000"}',
        b'{"id": "half \\ud800", "status": "\\ud800\\u0000"}',
        b"\xff\xfe\x00",
        b"[" * 60_000,
    ],
)
def test_a_body_that_names_no_task_is_kept_and_names_none(provider, body):
    claim = build.sent(provider)
    assert deliver(claim.attempt_id, body) == 204
    assert Callback.objects.get().task == ""
    lose(claim)
    heed(provider, build.process().id)
    assert build.attempt(claim).state == "uncertain"
    assert Callback.objects.get().handled_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_a_post_is_taken(provider, method):
    claim = build.sent(provider)
    url = reverse("callback", args=[claim.attempt_id, callbacks.token(claim.attempt_id)])
    response = Client().generic(method, url, report("t1"), headers=signed(claim.attempt_id, report("t1")))
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert not Callback.objects.exists()


@pytest.mark.django_db
def test_what_is_too_large_is_turned_away_before_anything_is_computed(provider, monkeypatch):
    claim = build.sent(provider)
    url = reverse("callback", args=[claim.attempt_id, callbacks.token(claim.attempt_id)])

    def never(*_: object) -> object:
        raise AssertionError("it was looked at")

    with monkeypatch.context() as watched:
        watched.setattr(callbacks, "receive", never)
        for size in (callbacks.BODY_BYTES + 1, 10_000_000):
            assert Client().post(url, b"x" * size, content_type="application/json").status_code == 413
    assert deliver(claim.attempt_id, b" " * callbacks.BODY_BYTES) == 204


def test_no_more_than_a_callback_needs_reaches_the_disk():
    scope: dict[str, object] = {"path": f"/callbacks/{uuid4()}/token"}
    waiting = iter([40_000, 40_000, 10_000_000])

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * next(waiting), "more_body": True}

    async def three() -> list[int]:
        limited = up_to_limit(scope, receive)
        return [len((await limited())["body"]) for _ in range(3)]

    assert asyncio.run(three()) == [40_000, 0, 0]
    assert scope["packshot.cut"] is True


def test_token_and_signature_are_compared_in_constant_time(monkeypatch):
    compared: list[tuple[object, object]] = []

    def constant_time(one: object, other: object) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(callbacks, "constant_time_compare", constant_time)
    assert callbacks.receive(uuid4(), "guess", b"", {}) == "token"
    assert len(compared) == 1
    monkeypatch.setattr("packshot.providers.flux.hmac.compare_digest", constant_time)
    flux = quoting()["flux"]
    assert isinstance(flux, CallsBack)
    assert flux.vouches(b"body", {"x-bfl-signature": "sha256=guess"}, "secret") is False
    assert flux.vouches(b"body", {"x-webhook-secret": "guess"}, "secret") is False
    assert len(compared) == 3


def test_refusals_are_counted_and_told_once_a_minute(monkeypatch, caplog):
    now = 1_000.0
    monkeypatch.setattr(door.time, "monotonic", lambda: now)
    refusals = door.Refusals()
    with caplog.at_level(logging.WARNING):
        for _ in range(500):
            refusals.note("with a wrong address")
        now += 61
        refusals.note("with a wrong signature")
    assert [record.getMessage() for record in caplog.records] == [
        "callbacks refused: 1 with a wrong address",
        "callbacks refused: 499 with a wrong address, 1 with a wrong signature",
    ]


@pytest.mark.django_db
def test_a_provider_that_says_too_much_fills_no_table(provider, monkeypatch):
    claim = build.sent(provider)
    monkeypatch.setattr("packshot.generations.callbacks.MOST_PER_ATTEMPT", 3)
    assert [deliver(claim.attempt_id, report("t1", at=str(each))) for each in range(5)] == [204] * 5
    assert Callback.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_are_one(provider):
    claim = build.sent(provider)
    body, together = report("t1"), Barrier(50)

    def at_once(_: int) -> int:
        together.wait(timeout=60)
        try:
            return deliver(claim.attempt_id, body)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as crowd:
        assert list(crowd.map(at_once, range(50))) == [204] * 50
    assert Callback.objects.count() == 1


# -- what a worker makes of it -------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_lost_answer_is_found_by_asking_with_our_own_key(provider):
    claim = build.sent(provider)
    lose(claim)
    provider.tasks["t1"] = "ready"
    deliver(claim.attempt_id, report("t1"))
    me = build.process()
    heed(provider, me.id)
    attempt = build.attempt(claim)
    assert (attempt.state, attempt.request_id, attempt.process_id) == ("succeeded", "t1", me.id)
    assert [(each.kind, each.verdict) for each in Evidence.objects.all()] == [("callback", "succeeded")]
    assert (provider.looks, Attempt.objects.count()) == (1, 1)
    # What it cost stood in the answer that got lost, and a callback is no bill.
    assert (attempt.cost_micros, build.generation(claim).status) == (None, "completed")
    assert build.balances() == (0, COST)
    assert problems() == []


@pytest.mark.django_db
def test_what_the_body_says_counts_for_nothing(provider):
    refused, unknown = build.sent(provider), build.sent(provider)
    lose(refused, unknown)
    provider.tasks["t1"] = Refused("Content Moderated", kind="refused", charge="unknown")
    lie = {"id": "t1", "status": "Ready", "cost": 0, "result": {"sample": "https://evil.example/x.png"}}
    deliver(refused.attempt_id, json.dumps(lie).encode())
    me = build.process()
    heed(provider, me.id)
    assert (build.attempt(refused).state, build.attempt(refused).cost_micros) == ("failed_charged", None)
    assert build.balances() == (0, 2 * COST)
    assert build.attempt(unknown).state == "uncertain"


@pytest.mark.django_db
def test_a_task_that_the_provider_does_not_know_leaves_all_as_it_was(provider, monkeypatch):
    claim = build.sent(provider)
    lose(claim)
    before = ends(claim)
    monkeypatch.setattr("packshot.flows.run.time.monotonic", iter(range(0, 10_000, 20)).__next__)
    deliver(claim.attempt_id, report("nobody-knows-it"))
    me = build.process()
    heed(provider, me.id)
    assert ends(claim) == before
    assert build.attempt(claim).ticket is None
    assert not Evidence.objects.exists()
    # Nothing stands in the way of one that is true, be it that it came second.
    provider.tasks["t1"] = "ready"
    deliver(claim.attempt_id, report("nobody-knows-it", at="again"))
    deliver(claim.attempt_id, report("t1"))
    heed(provider, me.id)
    assert build.attempt(claim).state == "uncertain"
    heed(provider, me.id)
    assert build.attempt(claim).state == "succeeded"
    heed(provider, me.id)
    assert not Callback.objects.filter(handled_at=None).exists()


@pytest.mark.django_db
def test_an_attempt_that_waits_is_looked_at_now_by_its_owner_only(provider):
    owner, other = build.process(), build.process()
    claim = build.sent(provider, process_id=owner.id)
    answer(claim, "t1")
    deliver(claim.attempt_id, report("another-number"))  # what its own ticket says goes first
    assert heed(provider, other.id, running=[claim.attempt_id]) == []
    assert Callback.objects.get().handled_at is None
    assert heed(provider, owner.id, running=[claim.attempt_id]) == [claim.attempt_id]
    assert heed(provider, owner.id, running=[claim.attempt_id]) == []
    assert build.attempt(claim).request_id == "t1"


@pytest.mark.django_db
def test_an_early_one_waits_for_the_answer_to_the_submission(provider):
    owner = build.process()
    claim = build.sent(provider, process_id=owner.id)
    deliver(claim.attempt_id, report("t1"))
    assert heed(provider, owner.id, running=[claim.attempt_id]) == []
    assert (build.attempt(claim).state, build.attempt(claim).ticket) == ("sending", None)
    answer(claim, "t1")
    assert heed(provider, owner.id, running=[claim.attempt_id]) == [claim.attempt_id]


@pytest.mark.django_db
def test_a_task_of_another_attempt_is_not_fetched_twice(provider):
    one, two, three = (build.sent(provider) for _ in range(3))
    answer(one, "t1")
    lose(two, three)
    provider.tasks |= {"t1": "ready", "t2": "ready"}
    deliver(two.attempt_id, report("t1"))
    me = build.process()
    heed(provider, me.id)
    assert (build.attempt(two).state, provider.looks) == ("uncertain", 0)
    # Two that name the same task at once: one of them went astray, and the first counts.
    deliver(two.attempt_id, report("t2"))
    deliver(three.attempt_id, report("t2"))
    heed(provider, me.id)
    assert sorted([build.attempt(two).state, build.attempt(three).state]) == ["succeeded", "uncertain"]
    assert provider.looks == 1


@pytest.mark.django_db
def test_two_workers_share_what_was_said(provider):
    claims = [build.sent(provider) for _ in range(4)]
    lose(*claims)
    for number, claim in enumerate(claims):
        deliver(claim.attempt_id, report(f"t{number}"))
    desk, one, two = desk_of(provider), build.process(), build.process()
    first = callbacks.heed(desk, process_id=one.id, running=set())
    second = callbacks.heed(desk, process_id=two.id, running=set())
    assert (len(first.claims), second.claims) == (4, [])


@pytest.mark.django_db
def test_a_worker_that_dies_with_what_it_took_up_leaves_it_to_the_next(provider):
    claim = build.sent(provider)
    lose(claim)
    provider.tasks["t1"] = "ready"
    deliver(claim.attempt_id, report("t1"))
    fallen, heir = build.process(), build.process()
    assert len(callbacks.heed(desk_of(provider), process_id=fallen.id, running=set()).claims) == 1
    left = generations.left_behind([fallen.id])
    assert left == {"accepted": [claim.attempt_id]}
    adopted = generations.adopt(left["accepted"], of=[fallen.id], process_id=heir.id)
    assert [each.by_callback for each in adopted] == [True]
    collect(provider, adopted)
    assert build.attempt(claim).state == "succeeded"
    assert [each.kind for each in Evidence.objects.all()] == ["callback"]


@pytest.mark.django_db
def test_the_owners_own_answer_brings_the_cost_that_the_callback_did_not_know(provider):
    for order in ("callback first", "owner first"):
        claim = build.sent(provider)
        lose(claim)
        provider.tasks["t1" + order[:1]] = "ready"
        task = "t1" + order[:1]
        deliver(claim.attempt_id, report(task))
        mine = callbacks.heed(desk_of(provider), process_id=build.process().id, running=set()).claims
        answer(claim, task)  # its owner was taken for dead, and wakes up with the ticket
        owner = generations.tickets_of(build.attempt(claim).process_id, [claim.attempt_id])
        assert [(each.by_callback, each.cost_micros) for each in owner] == [(False, COST)]
        for claims in (mine, owner) if order == "callback first" else (owner, mine):
            collect(provider, claims)
        assert ends(claim) == [("succeeded", COST, task, "completed", COST, False, 1, COST, False, 1)], order
    assert problems() == []


@pytest.mark.django_db
def test_what_comes_after_the_end_keeps_the_image_and_moves_no_money(provider):
    """Settled by a person as free or as charged, given up by its owner, long done, refused."""
    free, given_up, billed, done, refused = claims = [build.sent(provider) for _ in range(5)]
    lose(free, billed)
    generate.resolve(free.generation.id, "free", build.ADMIN, note="not on the bill")
    generate.resolve(billed.generation.id, "charged", build.ADMIN, note="line 14")
    answer(given_up, "t2")
    build.end(build.failed(given_up, BadAnswer("too late", kind="timeout", cost=provider.price)))
    answer(done, "t4")
    build.end(build.delivered(done))
    build.end(build.failed(refused, Refused("no", kind="refused", charge="unknown")))
    before, money = ends(*claims), build.balances()
    provider.tasks |= {f"t{number}": "ready" for number in range(1, 6)}
    me = build.process()
    for hour in range(2):
        for number, claim in enumerate(claims, start=1):
            deliver(claim.attempt_id, report(f"t{number}", at=f"{hour}:00"))
            deliver(claim.attempt_id, report(f"t{number}", at=f"{hour}:01"))
        heed(provider, me.id)
    after = ends(*claims)
    assert [end[:-1] for end in after] == [end[:-1] for end in before]
    assert [end[-1] for end in after] == [1, 1, 1, 1, 0]  # images: what was made is kept, once
    assert build.balances() == money
    assert provider.looks == 3
    late = Evidence.objects.filter(kind="late_answer").values_list("attempt_id", flat=True)
    assert sorted(late) == sorted(each.attempt_id for each in (free, given_up, billed))
    assert problems() == []


@pytest.mark.django_db
def test_what_was_cancelled_on_its_way_comes_in_and_is_paid_for(provider):
    claim = build.sent(provider)
    generate.cancel([claim.generation.id], build.EDITOR)
    lose(claim)
    provider.tasks["t1"] = "ready"
    deliver(claim.attempt_id, report("t1"))
    heed(provider, build.process().id)
    assert ends(claim) == [("succeeded", None, "t1", "completed", None, True, 1, 0, True, 1)]


@pytest.mark.django_db
def test_one_that_comes_after_the_end_of_the_month_counts_in_the_month_of_its_hold(provider):
    claim = build.sent(provider)
    lose(claim)
    opened = timezone.now() - timedelta(days=40)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE packshot_reservation SET opened_at = %s", [opened])
        cursor.execute("SET LOCAL session_replication_role = origin")
    provider.tasks["t1"] = "ready"
    deliver(claim.attempt_id, report("t1"))
    heed(provider, build.process().id)
    generate.resolve(claim.generation.id, "charged", build.ADMIN, note="line 14")
    with connection.cursor() as cursor:
        cursor.execute("SELECT charged_at, amount_micros FROM packshot_entry")
        assert cursor.fetchall() == [(opened, COST)]


@pytest.mark.django_db
def test_callbacks_are_forgotten_a_month_after_they_were_read(provider):
    read, new = build.sent(provider), build.sent(provider)
    for claim in (read, new):
        deliver(claim.attempt_id, report("t1"))
    old = timezone.now() - timedelta(days=31)
    Callback.objects.update(received_at=old)
    Callback.objects.filter(attempt_id=read.attempt_id).update(handled_at=old)
    upkeep.prune()
    assert [each.attempt_id for each in Callback.objects.all()] == [new.attempt_id]


# -- in any order, any number of times -----------------------------------------------------------------

_STEPS = (
    "true",
    "true, later",  # another body that says the same
    "its neighbour's",  # a true report, at the wrong address
    "astray",  # names the neighbour's task at our address
    "unknown task",
    "wrong token",
    "wrong signature",
    "changed",
    "read",  # a worker is woken
    "looked at",  # the owner polls
)


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def play(provider: Reporter, steps: Sequence[str], lost: bool) -> list[tuple[object, ...]]:
    """The end of an attempt and of its neighbour, after these steps and, at last, one reading and polling."""
    me = build.process()
    claim, neighbour = (build.sent(provider, process_id=me.id) for _ in range(2))
    own, others = f"t-{claim.attempt_id.hex}", f"t-{neighbour.attempt_id.hex}"
    provider.tasks |= {own: "ready", others: "ready"}
    answer(neighbour, others)
    if lost:
        lose(claim)
    for place, step in enumerate([*steps, "submitted", "read", "looked at", "read"]):
        true = report(own)
        match step:
            case "true":
                assert deliver(claim.attempt_id, true) == 204
            case "true, later":
                assert deliver(claim.attempt_id, report(own, at=str(place))) == 204
            case "its neighbour's":
                assert post(neighbour.attempt_id, true, signed(claim.attempt_id, true)) == 401
            case "astray":
                assert deliver(claim.attempt_id, report(others)) == 204
            case "unknown task":
                assert deliver(neighbour.attempt_id, report("nobody-knows-it")) == 204
            case "wrong token":
                assert post(claim.attempt_id, true, token="0" * 48) == 404
            case "wrong signature":
                assert post(claim.attempt_id, true, {"x-bfl-signature": "sha256=00"}) == 401
            case "changed":
                assert post(claim.attempt_id, report(own, "Error"), signed(claim.attempt_id, true)) == 401
            case "submitted" if not lost:
                answer(claim, own)
            case "read":
                heed(provider, me.id, running=[claim.attempt_id, neighbour.attempt_id])
            case "looked at":
                poll(provider, claim)
                poll(provider, neighbour)
    found = ends(claim, neighbour)
    assert problems() == []
    assert (Attempt.objects.count(), Generation.objects.filter(attempts=1).count()) == (2, 2)
    return [tuple("own" if each == own else each for each in found[0]), found[1][:2] + found[1][3:]]


@pytest.mark.django_db
@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.sampled_from(_STEPS), max_size=12))
@example(steps=[])  # polling alone
@example(steps=["true"] * 12)
@example(steps=["astray", "read", "true", "read"])
@example(steps=["true", "astray", "read"])
def test_any_multiset_in_any_order_ends_as_polling_alone_does(provider, steps):
    with undone():
        end, neighbour = play(Reporter(), steps, lost=False)
    assert end == ("succeeded", COST, "own", "completed", COST, False, 1, COST, False, 1)
    assert neighbour == ("succeeded", COST, "completed", COST, False, 1, COST, False, 1)


@pytest.mark.django_db
@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.sampled_from(_STEPS), max_size=12))
@example(steps=["astray", "true"])
@example(steps=["true", "true", "read", "true, later", "read"])
def test_a_lost_answer_is_found_by_one_true_callback_among_any_others_and_by_nothing_else(provider, steps):
    with undone():
        end, neighbour = play(Reporter(), steps, lost=True)
    if "true" in steps or "true, later" in steps:
        assert end == ("succeeded", None, "own", "completed", None, True, 1, 0, True, 1)
    else:
        assert end == ("uncertain", None, "", "uncertain", None, False, 1, 0, True, 0)
    assert neighbour == ("succeeded", COST, "completed", COST, False, 1, COST, False, 1)


# -- the policy retry_uncertain ------------------------------------------------------------------------


def age(claim: Claim, seconds: float) -> None:
    """As if this had been sent, and become uncertain, so long ago."""
    then = timezone.now() - timedelta(seconds=seconds)
    Attempt.objects.filter(pk=claim.attempt_id).update(sending_at=then)
    Generation.objects.filter(pk=claim.generation.id).update(updated_at=then)


def ask_again() -> int:
    return upkeep.ask_again_once(grace_s=60, slot=0)


@pytest.mark.django_db
def test_without_the_policy_nothing_is_asked_again_without_a_person(provider):
    claim = build.sent(provider)
    lose(claim)
    age(claim, 1_000_000)
    assert preferences.get("retry_uncertain") == "off"
    assert ask_again() == 0
    assert (build.attempt(claim).state, build.claimed(provider)) == ("uncertain", [])


@pytest.mark.django_db
def test_with_the_policy_one_new_attempt_is_made_and_the_first_hold_stays(provider):
    preferences.set("retry_uncertain", "once", "ada")
    claim = build.sent(provider)
    lose(claim)
    age(claim, 30 + 59)  # the deadline, and not yet the minute after it
    assert ask_again() == 0
    age(claim, 30 + 61)
    assert (ask_again(), ask_again()) == (1, 0)
    assert (build.attempt(claim).state, build.attempt(claim).cost_micros) == ("charged_no_image", None)
    (proof,) = Evidence.objects.all()
    assert (proof.kind, proof.by_name) == ("policy", "policy retry_uncertain")
    (second,) = build.claimed(provider)
    assert second.generation.id == claim.generation.id
    assert build.balances() == (0, 2 * COST)  # both are held
    # Its answer gets lost, too: now it is a person's.
    admit.start_sending([second], process_id=build.attempt(second).process_id)
    lose(second)
    age(second, 1_000_000)
    assert ask_again() == 0
    assert build.attempt(second).state == "uncertain"
    assert problems() == []
    # The first charge is settled by a bill; the second still is not known.
    generate.resolve(claim.generation.id, "charged", build.ADMIN, note="line 1")
    generate.resolve(claim.generation.id, "charged", build.ADMIN, note="line 2")
    assert build.balances() == (2 * COST, 0)
    assert problems() == []


@pytest.mark.django_db(transaction=True)
def test_the_news_of_an_end_never_hold_up_the_asking_again(provider):
    """Whoever holds the shared rollup has to tell its own news before it lets go."""
    preferences.set("retry_uncertain", "once", "ada")
    claim = build.sent(provider)
    lose(claim)
    age(claim, 1_000)
    asked = claim.generation
    with transaction.atomic():
        reports.add(
            [reports.Delta(timezone.now(), asked.provider, asked.model, asked.simulated, images=1)],
            slot=generations.SHARED_SLOT,
        )
        asking = Beside(lambda: upkeep.ask_again_once(grace_s=60, slot=generations.SHARED_SLOT + 1))
        asking.wait_until_blocked()
        events.tell([Happening("image", "landed", str(uuid4()))])
    assert asking.result() == 1


@pytest.mark.django_db
def test_the_policy_waits_for_a_ticket_a_callback_and_a_cancel(provider):
    preferences.set("retry_uncertain", "once", "ada")
    ticket, told, cancelled = (build.sent(provider) for _ in range(3))
    lose(ticket, told, cancelled)
    answer(ticket, "t1")
    deliver(told.attempt_id, report("t2"))
    generate.cancel([cancelled.generation.id], build.EDITOR)
    for claim in (ticket, told, cancelled):
        age(claim, 1_000)
    assert ask_again() == 0


@pytest.mark.django_db
def test_the_image_of_the_first_call_is_kept_when_it_is_reported_after_the_second_was_made(provider):
    preferences.set("retry_uncertain", "once", "ada")
    claim = build.sent(provider)
    lose(claim)
    age(claim, 1_000)
    ask_again()
    (second,) = build.claimed(provider)
    admit.start_sending([second], process_id=build.attempt(second).process_id)
    build.end(build.delivered(second))
    provider.tasks["t1"] = "ready"
    deliver(claim.attempt_id, report("t1"))
    heed(provider, build.process().id)
    assert [end[-1] for end in ends(claim, second)] == [1, 1]
    assert build.balances() == (COST, COST)
    assert [each.state for each in ledger.held()] == ["charged_no_image"]
    assert problems() == []


@pytest.mark.django_db
def test_nothing_else_is_taken_for_the_policy():
    assert preferences.understand("retry_uncertain", " Once ") == "once"
    assert preferences.understand("retry_uncertain", "") == "off"
    with pytest.raises(Exception, match="'twice' is none of off, once"):
        preferences.understand("retry_uncertain", "twice")
