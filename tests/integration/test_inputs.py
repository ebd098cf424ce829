"""Pictures that go with a request: stored with it, read just before it leaves, and never paid for in vain."""

import asyncio
import contextlib
import hashlib
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, connections

from packshot import blobs, generations
from packshot.accounts import Actor
from packshot.blobs import BlobStore, StoreDown
from packshot.catalogue.models import Image
from packshot.flows import admit, generate, inputs, look, upkeep
from packshot.flows.check import check
from packshot.flows.close import Completion, Stored
from packshot.flows.desk import Desk
from packshot.flows.generate import Ask
from packshot.flows.run import Surroundings, run
from packshot.flows.upkeep import Timers
from packshot.generations import Claim, Given
from packshot.generations.models import Attempt, Generation, ProviderRecord
from packshot.imaging import studio
from packshot.kernel import faults
from packshot.kernel.errors import BadInput
from packshot.providers import registry
from packshot.providers.contract import Account as PaidAccount
from packshot.providers.contract import (
    AttemptRef,
    Delivery,
    GeneratedImage,
    ImageRequest,
    ModelCard,
    Pending,
    Quote,
    Ticket,
)
from packshot.simulator import SimulatorConfig, running
from packshot.worker.pay import PayWorker, Settings
from packshot.worker.shelf import Shelf
from tests import build

pytestmark = pytest.mark.django_db

VIEWER = Actor(None, "vi", "viewer")


def picture(seed: int = 1, side_px: int = 96) -> bytes:
    """A PNG of its own."""
    scene = studio.describe("a jar", style="sandbox", seed=seed, width_px=side_px, height_px=side_px)
    return studio.render(scene, media_type="image/png")


def bomb() -> bytes:
    """The head of a PNG that would unfold to 60,000 x 60,000 px."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return b"\x89PNG\r\n\x1a\n" + chunks + struct.pack(">I", 4) + b"IDAT" + b"\0" * 8


class Editor(build.StandIn):
    """A provider that takes pictures, and remembers what it was given."""

    def __init__(self, *, ticket: bool = False) -> None:
        super().__init__()
        self.asked: list[ImageRequest] = []
        self.ticket = ticket
        self.handle: Any = None
        self.looks = 0

    def models(self) -> tuple[ModelCard, ...]:
        (card,) = super().models()
        return (replace(card, max_inputs=16, takes_mask=True, takes_negative_prompt=True),)

    def quote(self, request: ImageRequest) -> Quote:
        assert not any(each.content for each in request.inputs), "a quote needs no bytes"
        return super().quote(request)

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        self.asked.append(request)
        return Ticket({"id": "task-1"}, cost=self.price) if self.ticket else self._made()

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        self.looks += 1
        return self._made()

    def _made(self) -> Delivery:
        return Delivery([GeneratedImage(build.PNG, "image/png", 1, 1, self.handle)], self.price)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Editor:
    build.provider_row()
    build.budget("10")
    editor = Editor()
    monkeypatch.setattr(generate, "quoting", lambda: {"openai": editor})
    store = blobs.open_store(f"file://{tmp_path / 'blobs'}")
    monkeypatch.setattr(look, "store", lambda: store)
    return editor


@dataclass
class Lines:
    """The worker's lines, and in which order it wrote by them."""

    process_id: Any
    written: list[str] = field(default_factory=list)
    troubles: list[str | None] = field(default_factory=list)

    async def sending(self, claim: Claim) -> bool:
        self.written.append("sending")
        return claim.attempt_id in await sync_to_async(admit.start_sending)(
            [claim], process_id=self.process_id
        )

    async def accepted(self, claim: Claim, ticket: Ticket) -> None:
        self.written.append("accepted")
        await sync_to_async(admit.accept)({claim.attempt_id: (ticket.state, "", ticket.cost)})

    async def closing(self, completion: Completion) -> None:
        self.written.append("closing")
        await sync_to_async(build.end)(completion)

    async def came_to_nothing(self, claim: Claim) -> None:
        raise AssertionError("no ticket here is from a callback")

    async def until_next_look(self, attempt_id: object, at_most_s: float) -> None:
        await asyncio.sleep(0)

    def store_trouble(self, problem: str | None) -> None:
        self.troubles.append(problem)


def asked(provider: Editor, given: Sequence[Given], *, negative: str = "") -> Claim:
    """One generation with these pictures, claimed."""
    generate_one(given, negative=negative)
    (claim,) = build.claimed(provider)
    return claim


def generate_one(
    given: Sequence[Given], *, key: str | None = None, negative: str = "", actor: Actor = build.EDITOR
) -> generations.Asked:
    row = build.product()
    return ask_for(row_of(row.sku), given, key=key, negative=negative, actor=actor)


def row_of(sku: str) -> Any:
    from packshot import catalogue

    return catalogue.by_sku([sku])


def ask_for(
    products: Any,
    given: Sequence[Given],
    *,
    key: str | None = None,
    negative: str = "",
    actor: Actor = build.EDITOR,
) -> generations.Asked:
    wish = Ask(
        products=products,
        provider="openai",
        prompt="the jar on slate",
        inputs=given,
        negative_prompt=negative,
    )
    return generate.request(wish, actor, request_key=key or uuid4().hex, agreed_micros=40_000)


def around(claim: Claim, store: BlobStore) -> tuple[Surroundings, Lines]:
    lines = Lines(build.attempt(claim).process_id)
    return Surroundings(lines, Shelf(store), timer_scale=100.0), lines


def run_to_its_end(claim: Claim, provider: Editor) -> Lines:
    surroundings, lines = around(claim, look.store())
    async_to_sync(run)(claim, provider, surroundings)
    return lines


# -- what can be given ------------------------------------------------------------------------------


def test_a_file_is_stored_once_and_known_by_what_its_header_says(provider):
    content = picture()
    given = inputs.of_file(content, build.EDITOR, "mask")
    assert given == inputs.of_file(content, build.EDITOR, "mask")
    assert given == Given("mask", hashlib.sha256(content).hexdigest(), "image/png", 96, 96, len(content))
    assert look.store().get(given.blob) == content


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"GIF89a" + b"\0" * 100, "Not a PNG, JPEG or WebP"),
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * (30 * 1024 * 1024), "the most is 30 MiB"),
        (bomb(), "the longest side allowed is 16,384 px"),
    ],
    ids=["another format", "nothing", "too many bytes", "too many pixels"],
)
def test_a_file_that_no_decoder_should_meet_is_refused_and_not_stored(provider, content, why):
    with pytest.raises(BadInput, match=why) as refused:
        inputs.of_file(content, build.EDITOR)
    assert refused.value.field == "inputs"
    assert not look.store().exists(hashlib.sha256(content).hexdigest())


def test_who_may_not_generate_may_not_bring_pictures(provider):
    with pytest.raises(BadInput, match="may not generate"):
        inputs.of_file(picture(), VIEWER)


def test_an_image_brings_its_handle_and_its_place_in_the_lineage(provider):
    claim = build.sent(provider)
    stored = Stored("c" * 64, "image/webp", 640, 480, 9_000, {"task": "17", "index": 2})
    build.end(Completion(claim.attempt_id, images=(stored,), cost_micros=1))
    image = Image.objects.get()
    assert inputs.of_image(image.id) == Given(
        "image", "c" * 64, "image/webp", 640, 480, 9_000, image.id, {"task": "17", "index": 2}
    )
    made_of_it = generate_one([inputs.of_image(image.id, "style")])
    (row,) = Generation.objects.filter(pk__in=made_of_it.generation_ids)
    assert row.inputs[0]["image_id"] == str(image.id)
    assert row.inputs[0]["handle"] == {"task": "17", "index": 2}


def test_an_image_that_is_broken_or_not_there_cannot_be_given(provider):
    with pytest.raises(BadInput, match="there is no image"):
        inputs.of_image(uuid4())
    claim = build.sent(provider)
    build.end(build.delivered(claim))
    Image.objects.update(state="broken", problem="cut off")
    with pytest.raises(BadInput, match="cut off"):
        inputs.of_image(Image.objects.get().id)


# -- stored with the request ------------------------------------------------------------------------


def test_pictures_and_negative_prompt_are_stored_and_reach_the_claim(provider):
    first = inputs.of_file(picture(1), build.EDITOR)
    mask = inputs.of_file(picture(2), build.EDITOR, "mask")
    claim = asked(provider, [first, mask], negative="text, logos")
    assert claim.generation.inputs == (first, mask)
    request = admit.image_request(claim.generation, provider)
    assert request.negative_prompt == "text, logos"
    assert [(each.role, each.size_bytes, each.content) for each in request.inputs] == [
        ("image", first.size_bytes, b""),
        ("mask", mask.size_bytes, b""),
    ]
    row = build.generation(claim)
    assert row.negative_prompt == "text, logos"
    assert row.inputs[0] == {
        "role": "image", "blob": first.blob, "media_type": "image/png", "width_px": 96, "height_px": 96,
        "size_bytes": first.size_bytes, "image_id": None, "handle": None,
    }  # fmt: skip


def test_a_generation_without_pictures_has_none(provider):
    build.asked(provider)
    (claim,) = build.claimed(provider)
    assert (claim.generation.inputs, claim.generation.negative_prompt) == ((), "")
    assert build.generation(claim).inputs == []


def test_the_same_key_with_another_picture_asks_for_something_else(provider):
    products = row_of(build.product().sku)
    one, other = (inputs.of_file(picture(seed), build.EDITOR) for seed in (1, 2))
    first = ask_for(products, [one], key="key-of-pictures")
    assert ask_for(products, [one], key="key-of-pictures") == replace(first, repeated=True)
    for changed in ([other], [one, other], [replace(one, role="style")], []):
        with pytest.raises(BadInput, match="used before"):
            ask_for(products, changed, key="key-of-pictures")
    with pytest.raises(BadInput, match="used before"):
        ask_for(products, [one], key="key-of-pictures", negative="logos")
    assert Generation.objects.count() == 1


def test_a_key_from_before_there_were_pictures_still_finds_its_first_answer():
    wish = Ask(products=[], provider="openai", prompt="a jar")
    assert generate._fingerprint(wish) == OLD


# What 0.1 made of the same ask.
OLD = hashlib.sha256(b'[[], "openai", null, null, "a jar", "1:1", 1, null, {}]').hexdigest()


def test_a_person_s_retry_keeps_the_pictures(provider):
    given = inputs.of_file(picture(), build.EDITOR)
    claim = asked(provider, [given], negative="logos")
    look.store()._folder.joinpath(given.blob[:2], given.blob[2:4], given.blob).unlink()
    run_to_its_end(claim, provider)
    assert build.generation(claim).status == "failed"
    assert inputs.of_file(picture(), build.EDITOR) == given  # it was put back
    assert generate.retry([claim.generation.id], build.EDITOR) == 1
    (again,) = build.claimed(provider)
    assert again.generation.inputs == (given,)
    run_to_its_end(again, provider)
    (request,) = provider.asked
    assert request.inputs[0].content == picture()
    assert build.generation(again).status == "completed"
    assert check(strict=False).problems == ()


# -- read just before it leaves ---------------------------------------------------------------------


class Watched:
    """The store, and what stood in the database when it was read."""

    def __init__(self, below: BlobStore) -> None:
        self.below = below
        self.states: list[str] = []

    def get(self, blob: str) -> bytes:
        try:
            self.states += Attempt.objects.values_list("state", flat=True)
        finally:
            connections.close_all()
        return self.below.get(blob)

    def put(self, content: bytes) -> str:
        return self.below.put(content)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ticket", [False, True], ids=["direct", "ticket"])
def test_the_bytes_are_read_while_nothing_is_sent_and_reach_the_provider(provider, ticket):
    provider.ticket = ticket
    contents = [picture(1), picture(2)]
    claim = asked(provider, [inputs.of_file(each, build.EDITOR) for each in contents], negative="logos")
    store = Watched(look.store())
    surroundings, lines = around(claim, store)  # type: ignore[arg-type]
    async_to_sync(run)(claim, provider, surroundings)
    assert store.states == ["intent", "intent"]
    (request,) = provider.asked
    assert [each.content for each in request.inputs] == contents
    assert request.negative_prompt == "logos"
    assert lines.written == ["sending", *(["accepted"] if ticket else []), "closing"]
    assert build.generation(claim).status == "completed"


@pytest.mark.parametrize(
    ("simulated", "source"),
    [(False, "compositeWithTrainedAlgorithmicMedia"), (True, "algorithmicMedia")],
)
def test_an_image_made_of_pictures_says_so_and_keeps_its_handle(provider, simulated, source):
    provider.handle = {"task": "18", "buttons": ["U1 🔍"]}
    ProviderRecord.objects.update(simulated=simulated, switched_on=True)
    build.budget("10", simulated=simulated)
    claim = asked(provider, [inputs.of_file(picture(), build.EDITOR)])
    run_to_its_end(claim, provider)
    image = Image.objects.get()
    assert image.digital_source_type == source
    assert image.handle == provider.handle


@pytest.mark.parametrize(
    "handle",
    [{"odd": object()}, {"nul": "a\0b"}, {"half": "\ud83d"}, {"nan": float("nan")}, {"long": "x" * 30_000}],
    ids=lambda handle: next(iter(handle)),
)
def test_a_handle_that_cannot_be_stored_costs_no_image(provider, handle):
    provider.handle = handle
    claim = asked(provider, [])
    run_to_its_end(claim, provider)
    assert build.generation(claim).status == "completed"
    assert Image.objects.get().handle is None


# -- a picture that is not there --------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["gone", "other bytes"])
def test_a_picture_that_is_not_there_fails_for_nothing_and_nothing_is_sent(provider, harm):
    given = inputs.of_file(picture(), build.EDITOR)
    claim = asked(provider, [given])
    path = look.store()._folder / given.blob[:2] / given.blob[2:4] / given.blob
    path.unlink()
    if harm == "other bytes":
        path.write_bytes(picture(9))
    assert build.balances() == (0, 40_000)
    lines = run_to_its_end(claim, provider)
    assert (provider.asked, lines.written) == ([], ["closing"])
    attempt, row = build.attempt(claim), build.generation(claim)
    assert (attempt.state, attempt.cost_micros, attempt.sending_at) == ("released", 0, None)
    assert (row.status, row.error_kind, row.cost_unknown) == ("failed", "bad_input_image", False)
    assert given.blob in row.error_message
    assert build.balances() == (0, 0)
    assert check(strict=True).problems == ()


def test_a_cancel_and_a_missing_picture_at_once_end_once(provider):
    given = inputs.of_file(picture(), build.EDITOR)
    claim = asked(provider, [given])
    (look.store()._folder / given.blob[:2] / given.blob[2:4] / given.blob).unlink()
    generate.cancel([claim.generation.id], build.EDITOR)
    run_to_its_end(claim, provider)
    assert build.generation(claim).status == "cancelled"
    assert build.attempt(claim).state == "released"
    assert build.balances() == (0, 0)


class Away:
    """A store that does not answer until it is told to."""

    def __init__(self, below: BlobStore) -> None:
        self.below = below
        self.back = threading.Event()
        self.tries = 0

    def get(self, blob: str) -> bytes:
        self.tries += 1
        if not self.back.is_set():
            raise StoreDown("the bucket does not answer")
        return self.below.get(blob)

    def put(self, content: bytes) -> str:
        return self.below.put(content)

    def check(self) -> None:
        if not self.back.is_set():
            raise StoreDown("the bucket does not answer")


def test_a_store_that_is_away_is_waited_for_with_nothing_sent(provider):
    claim = asked(provider, [inputs.of_file(picture(), build.EDITOR)])
    store = Away(look.store())
    surroundings, lines = around(claim, store)  # type: ignore[arg-type]

    async def story() -> None:
        running = asyncio.create_task(run(claim, provider, surroundings))
        while store.tries < 3:
            await asyncio.sleep(0.005)
        assert (lines.written, provider.asked) == ([], [])
        store.back.set()
        await running

    async_to_sync(story)()
    assert lines.troubles[0] == "the bucket does not answer"
    assert lines.written == ["sending", "closing"]
    assert build.generation(claim).status == "completed"


def test_what_was_given_back_meanwhile_is_not_sent_when_the_store_returns(provider):
    claim = asked(provider, [inputs.of_file(picture(), build.EDITOR)])
    store = Away(look.store())
    surroundings, lines = around(claim, store)  # type: ignore[arg-type]

    async def story() -> None:
        running = asyncio.create_task(run(claim, provider, surroundings))
        while store.tries < 2:
            await asyncio.sleep(0.005)
        await sync_to_async(admit.give_back)([claim.attempt_id])
        store.back.set()
        await running

    async_to_sync(story)()
    assert (lines.written, provider.asked) == (["sending"], [])
    assert build.generation(claim).status == "pending"


def test_a_process_that_dies_with_the_pictures_in_hand_has_sent_nothing(provider):
    """The successor gives it back, and the next attempt reads them anew."""
    claim = asked(provider, [inputs.of_file(picture(), build.EDITOR)])
    faults.arm("pictures.read:raise")
    try:
        with pytest.raises(faults.FaultInjected):
            run_to_its_end(claim, provider)
    finally:
        faults.arm("")
    assert build.attempt(claim).state == "intent"
    generations.retire(build.attempt(claim).process_id)
    upkeep.rescue(process_id=build.process().id, timers=Timers(rescue_after_s=0.0), slot=0)
    assert build.attempt(claim).state == "released"
    (again,) = build.claimed(provider)
    assert again.number == 2
    run_to_its_end(again, provider)
    assert len(provider.asked) == 1
    assert build.generation(again).status == "completed"
    assert check(strict=True).problems == ()


# -- the pay process --------------------------------------------------------------------------------


@pytest.fixture
def desk(provider: Editor) -> Desk:
    return Desk({"openai": provider}, {"openai": True}, {})


def work(desk: Desk, store: BlobStore, until: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """A pay process, until it came true; then it is told to drain, and has to be done in as long again."""
    scale = 20.0

    def looked() -> bool:
        try:
            return until()
        finally:
            connections.close_all()

    async def story() -> None:
        worker = PayWorker(desk, store, Settings(timers=Timers.scaled(scale), timer_scale=scale))
        serving = asyncio.create_task(worker.serve())
        began = time.monotonic()
        try:
            while not await asyncio.to_thread(looked):
                assert time.monotonic() - began < within_s, "it did not come true in time"
                assert not serving.done(), serving.result()
                await asyncio.sleep(0.02)
        finally:
            worker._on_signal()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(serving, within_s)

    asyncio.run(story())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_told_to_end_does_not_wait_for_a_store_that_is_away(provider, desk):
    generate_one([inputs.of_file(picture(), build.EDITOR)])
    store = Away(look.store())
    work(desk, store, lambda: store.tries > 2)  # type: ignore[arg-type]
    assert (provider.asked, Attempt.objects.get().state) == ([], "released")
    assert Generation.objects.get().status == "pending"
    store.back.set()
    work(desk, store, lambda: Generation.objects.get().status == "completed")  # type: ignore[arg-type]
    assert len(provider.asked) == 1
    assert check(strict=True).problems == ()


@pytest.mark.django_db(transaction=True)
def test_pictures_of_many_calls_never_fill_the_memory(provider, desk, monkeypatch):
    """Ten calls of which three fit at once: each is made, and no more than three hold their pictures."""
    monkeypatch.setattr("packshot.worker.shelf.PICTURE_BYTES", 3 * len(picture()) + 10)
    at_once = most = 0
    three = asyncio.Event()

    async def submit(request: ImageRequest, attempt: AttemptRef) -> Delivery:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once == 3:
            three.set()
        await three.wait()
        await asyncio.sleep(0.05)
        at_once -= 1
        return provider._made()

    monkeypatch.setattr(provider, "submit", submit)
    given = inputs.of_file(picture(), build.EDITOR)
    for _ in range(10):
        generate_one([given])
    work(desk, look.store(), lambda: Generation.objects.filter(status="completed").count() == 10)
    assert most == 3


# -- the whole way, at the simulator ----------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["openai", "flux"])
def test_an_edit_goes_the_whole_way_and_its_image_is_the_picture_of_the_next(monkeypatch, tmp_path, name):
    build.provider_row(name)
    build.budget("10")
    store = blobs.open_store(f"file://{tmp_path / 'blobs'}")
    monkeypatch.setattr(look, "store", lambda: store)
    config = SimulatorConfig(tmp_path / "simulator", speed=1000.0, image="small", today=date(2026, 11, 22))
    with running(config) as simulator:
        adapter = registry.build(name, PaidAccount("sk-test", f"{simulator.address}/{name}", simulated=True))
        monkeypatch.setattr(generate, "quoting", lambda: {name: adapter})
        here = Desk({name: adapter}, {name: True}, {})
        first = edit_at(name, [inputs.of_file(picture(1), build.EDITOR)])
        work(here, store, lambda: Generation.objects.get(pk=first).status == "completed")
        made = Image.objects.get()
        assert made.digital_source_type == "algorithmicMedia", "no trained model made it"
        second = edit_at(name, [inputs.of_image(made.id)])
        work(here, store, lambda: Generation.objects.get(pk=second).status == "completed")
        billed = sum((line.dollars for line in simulator.bill()), Fraction(0))
        asked = simulator.requests()
    assert [each.outcome for each in asked] == ["delivered" if name == "openai" else "accepted"] * 2
    if name == "openai":
        assert {each.path for each in asked} == {"/v1/images/edits"}
    assert Generation.objects.get(pk=second).inputs[0]["image_id"] == str(made.id)
    spent, held = build.balances()
    assert (spent, held) == (ceil(billed * 1_000_000), 0)
    assert check(strict=True).problems == ()


def edit_at(name: str, given: Sequence[Given]) -> UUID:
    wish = Ask(products=row_of(build.product().sku), provider=name, prompt="on slate", inputs=given)
    agreed = generate.offer(wish, build.EDITOR).expected_micros
    asked = generate.request(wish, build.EDITOR, request_key=uuid4().hex, agreed_micros=agreed)
    return asked.generation_ids[0]


# -- how many questions it costs --------------------------------------------------------------------


def test_admission_and_close_ask_no_more_questions_with_pictures_than_without(provider):
    def statements(given: Sequence[Given]) -> tuple[int, int]:
        process = build.process().id
        for _ in range(3):
            generate_one(given)
        counted: list[int] = []

        def count(execute, sql, params, many, context):
            counted[-1] += 1
            return execute(sql, params, many, context)

        with connection.execute_wrapper(count):
            counted.append(0)
            claims = admit.admit(provider, process_id=process, most=10)
            counted.append(0)
            admit.start_sending(claims, process_id=process)
            build.end(*(build.delivered(claim) for claim in claims))
        return counted[0], counted[1]

    plain = statements([])
    assert statements([inputs.of_file(picture(), build.EDITOR)] * 4) == plain


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    faults.arm("")
