"""Checks of an adapter against a service that plays its part on this machine, over real HTTP.

`conformance.py` looks at an adapter that stands still; here it works, and its service goes wrong in every way
that money depends on. An author says how the service answers when all is well, and gets the rest:

PART = Part(Acme, ImageRequest("acme-1", "A linen apron"), lambda asked: Reply.of({"image": ...}))

@pytest.mark.parametrize("rehearse", REHEARSALS, ids=lambda each: each.__name__)
def test_acme_keeps_its_part(rehearse):
    rehearse(PART)
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self
from uuid import uuid4

from packshot.kernel.errors import BadAnswer, Misconfigured, ProviderError, Refused, TryLater, Unsure
from packshot.providers.conformance import delivery_is_complete, ticket_survives_a_restart
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    ImageRequest,
    Provider,
    Ticket,
)
from packshot.providers.http import GuardedClient

CANARY = "sk-canary-4f1d0c-never-shown"
DEADLINE_S = 20.0
SHORT_S = 1.0
MOST_LOOKS = 40
_MUTATIONS = 120


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the service saw it. Header names are in lower case."""

    method: str
    path: str  # with its query
    headers: Mapping[str, str]
    body: bytes
    base: str  # http://127.0.0.1:port, for links


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `cut_after` bytes of it leave and the connection is closed; `silent`: nothing ever does."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    silent: bool = False
    announced: int | None = None  # content-length, where it is not the truth

    @classmethod
    def of(cls, document: Any, status: int = 200) -> Self:
        return cls(status, json.dumps(document).encode(), {"content-type": "application/json"})

    def on_the_wire(self) -> bytes:
        length = len(self.body) if self.announced is None else self.announced
        head = [f"HTTP/1.1 {self.status} Status", f"content-length: {length}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        whole = "\r\n".join([*head, "", ""]).encode() + self.body
        return whole if self.cut_after is None else whole[: self.cut_after]


Answers = Callable[[Asked], Reply]


@dataclass(frozen=True, slots=True)
class Part:
    """An adapter, a request it can make, and its service when all is well."""

    adapter: type[Provider]
    request: ImageRequest
    answers: Answers
    # Which requests cost money; without a word, those that are no GET.
    pays: Callable[[Asked], bool] = lambda asked: asked.method != "GET"
    values: Mapping[str, str] = field(default_factory=dict)
    key: str = CANARY
    wrong_key: int | None = 401  # how the service says that a key is wrong; None: it never does


@dataclass(slots=True)
class Played:
    """What one call came to, and all that the service was asked."""

    asked: list[Asked] = field(default_factory=list)
    ticket: Ticket | None = None
    delivery: Delivery | None = None
    error: ProviderError | None = None
    seconds: float = 0.0

    def paid(self, part: Part) -> int:
        return sum(part.pays(each) for each in self.asked)

    def must(self, *classes: type[ProviderError]) -> ProviderError:
        assert self.error is not None, f"it answered {self.delivery or self.ticket}, and must raise"
        assert isinstance(self.error, classes), (
            f"it raised {type(self.error).__name__} ({self.error.reason}), not "
            f"{' or '.join(each.__name__ for each in classes)}"
        )
        return self.error


# -- when all is well ------------------------------------------------------------------------------


def a_good_answer_is_delivered(part: Part) -> None:
    played = _play(part)
    assert played.error is None, f"it raised {type(played.error).__name__}: {played.error}"
    assert played.delivery is not None
    delivery_is_complete(played.delivery, part.request)


def a_paid_request_leaves_once(part: Part) -> None:
    assert _play(part).paid(part) == 1, "one attempt is one paid request, also where the picture comes later"


def another_process_collects(part: Part) -> None:
    played = _play(part)
    if played.ticket is not None:
        ticket_survives_a_restart(played.ticket)  # `_play` collects with another instance, from its JSON


def what_is_charged_was_held(part: Part) -> None:
    played = _play(part)
    assert played.delivery is not None
    quote = part.adapter(_account(part, part.adapter.default_base_url), _client(part)).quote(part.request)
    cost = played.delivery.cost
    if cost is not None and quote.ceiling is not None:
        assert cost <= quote.ceiling, f"it cost {cost}, and the quote's ceiling is {quote.ceiling}"


def many_at_once_do_not_meet(part: Part) -> None:
    async def story() -> None:
        async with _service(part.answers) as (base, asked):
            adapter = _built(part, base)
            before = dict(vars(adapter))
            all_of = await asyncio.gather(*(_call(part, adapter, base) for _ in range(20)))
            assert [each.error for each in all_of] == [None] * 20
            assert sum(part.pays(each) for each in asked) == 20
            assert vars(adapter) == before, "an adapter keeps nothing of a call: all attempts share it"

    asyncio.run(story())


# -- when the request may have left -----------------------------------------------------------------


def nobody_listens(part: Part) -> None:
    """Certain: nothing left. It waits, and costs nothing."""
    played = _play(part, base="http://127.0.0.1:9")
    assert played.must(TryLater, Misconfigured).charge == "free"


def the_line_breaks_before_the_answer(part: Part) -> None:
    played = _play(part, spoilt=lambda asked, good: Reply(cut_after=0))
    _is_left_open(part, played)
    assert played.paid(part) == 1, "it was sent again by itself"


def the_answer_breaks_off(part: Part) -> None:
    played = _play(part, spoilt=lambda asked, good: replace(good, cut_after=len(good.on_the_wire()) - 5))
    _is_left_open(part, played)
    assert played.paid(part) == 1, "it was sent again by itself"


def the_answer_never_comes(part: Part) -> None:
    played = _play(part, spoilt=lambda asked, good: Reply(silent=True), deadline_s=SHORT_S)
    _is_left_open(part, played)
    assert played.seconds < SHORT_S + 3.0, f"it waited {played.seconds:.1f} s of {SHORT_S:.0f} s"
    assert played.paid(part) == 1


def a_gateway_answers_in_its_place(part: Part) -> None:
    """A page of whoever stands between: the call behind it may have gone through."""
    page = b"<html><title>502 Bad Gateway</title></html>"
    played = _play(part, spoilt=lambda asked, good: Reply(502, page, {"content-type": "text/html"}))
    _is_left_open(part, played)


def _is_left_open(part: Part, played: Played, *also: type[ProviderError]) -> None:
    """Nobody knows what came of the call. Two kinds of adapter know more: one that chose the order's number
    itself may collect it all the same, and where nothing is ever charged the queue may ask again."""
    if played.ticket is not None and played.delivery is not None:
        return
    free = (TryLater, BadAnswer) if _is_free(part) else ()
    played.must(Unsure, *also, *free)


def it_points_elsewhere(part: Part) -> None:
    played = _play(part, spoilt=lambda asked, good: Reply(302, b"", {"location": asked.base + "/elsewhere"}))
    played.must(TryLater, Unsure, BadAnswer, Misconfigured)
    assert not any("elsewhere" in each.path for each in played.asked), "it followed"


# -- when the answer is no good -----------------------------------------------------------------------


def it_answers_with_a_page(part: Part) -> None:
    played = _play(
        part, spoilt=lambda asked, good: Reply(200, b"<html>Hello</html>", {"content-type": "text/html"})
    )
    _may_have_charged(part, played)


def it_answers_with_nothing(part: Part) -> None:
    played = _play(part, spoilt=lambda asked, good: Reply(200, b""))
    _may_have_charged(part, played)


def _may_have_charged(part: Part, played: Played) -> None:
    _is_left_open(part, played, BadAnswer)
    if played.error is not None and not _is_free(part):
        assert played.error.charge != "free", "it said 200: it may have charged"


def it_answers_without_end(part: Part) -> None:
    played = _play(part, spoilt=lambda asked, good: replace(good, announced=20 * 1024**3), deadline_s=5.0)
    _is_left_open(part, played, BadAnswer)
    assert played.seconds < 8.0


def damaged_answers_raise_nothing_else(part: Part) -> None:
    """Every answer of the service, damaged in some way: an error with a class, or an image that is one."""
    dice = random.Random(7)  # noqa: S311 - the same damage each time
    for _ in range(_MUTATIONS):
        played = _play(part, damaged=lambda good: _damaged(good, dice), deadline_s=2.0, looks=3)
        if played.delivery is not None:
            delivery_is_complete(played.delivery, part.request)
            assert played.delivery.cost is None or played.delivery.cost >= 0


# -- when the service says no -------------------------------------------------------------------------


def a_wrong_key_pauses(part: Part) -> None:
    if part.wrong_key is not None:
        status = part.wrong_key
        error = _play(part, spoilt=lambda asked, good: Reply.of({"error": "no"}, status)).must(Misconfigured)
        assert error.charge == "free"


def too_many_requests_wait(part: Part) -> None:
    played = _play(part, spoilt=lambda asked, good: replace(Reply.of({}, 429), headers={"retry-after": "7"}))
    error = played.must(TryLater)
    assert isinstance(error, TryLater)
    assert 7 <= error.after_s <= 3600, f"it was asked to wait 7 s, and waits {error.after_s}"


def a_bad_request_is_final_and_free(part: Part) -> None:
    played = _play(part, spoilt=lambda asked, good: Reply.of({"error": {"message": "no such size"}}, 400))
    assert played.must(Refused).charge in ("free", "unknown")


def a_refusal_keeps_its_words_and_not_the_key(part: Part) -> None:
    said = {
        "error": {"message": f"bad request with {part.key}"},
        "errors": [f"key {part.key}"],
        "detail": part.key,
    }
    played = _play(part, spoilt=lambda asked, good: Reply.of(said, 400))
    error = played.must(ProviderError)
    assert part.key not in f"{error} {error.reason} {error.raw} {error.request_id}", "the key is shown"


def a_good_answer_shows_no_key(part: Part) -> None:
    played = _play(
        part, spoilt=lambda asked, good: replace(good, headers={**good.headers, "x-request-id": part.key})
    )
    told = [
        played.delivery.raw if played.delivery else "",
        json.dumps(played.ticket.state if played.ticket else {}),
    ]
    assert part.key not in " ".join(told), "the key is kept with the answer"


# -- looking -----------------------------------------------------------------------------------------


def trouble_with_a_look_ends_nothing(part: Part) -> None:
    """A ticket is paid for: a look that fails is a reason to look again."""
    for trouble in (Reply(cut_after=0), Reply(503, b"busy"), Reply(429, b"")):
        played = _play(part)
        if played.ticket is None:
            return
        again = _play(part, looking=_once(trouble))
        assert again.delivery is not None, f"one look met {trouble.status}, and it ended as {again.error}"
        assert again.paid(part) == 1


def _once(trouble: Reply) -> "_Spoil":
    left = [trouble]
    return lambda asked, good: left.pop() if left else good


REHEARSALS: tuple[Callable[[Part], None], ...] = (
    a_good_answer_is_delivered,
    a_paid_request_leaves_once,
    another_process_collects,
    what_is_charged_was_held,
    many_at_once_do_not_meet,
    nobody_listens,
    the_line_breaks_before_the_answer,
    the_answer_breaks_off,
    the_answer_never_comes,
    a_gateway_answers_in_its_place,
    it_points_elsewhere,
    it_answers_with_a_page,
    it_answers_with_nothing,
    it_answers_without_end,
    damaged_answers_raise_nothing_else,
    a_wrong_key_pauses,
    too_many_requests_wait,
    a_bad_request_is_final_and_free,
    a_refusal_keeps_its_words_and_not_the_key,
    a_good_answer_shows_no_key,
    trouble_with_a_look_ends_nothing,
)


# -- the play ------------------------------------------------------------------------------------------

_Spoil = Callable[[Asked, Reply], Reply]


def _play(
    part: Part,
    *,
    spoilt: _Spoil | None = None,  # of the paid request
    looking: _Spoil | None = None,  # of every other
    damaged: Callable[[Reply], Reply] | None = None,  # of all
    base: str | None = None,
    deadline_s: float = DEADLINE_S,
    looks: int = MOST_LOOKS,
) -> Played:
    """One attempt from submission to delivery, as the worker makes it, without waiting between looks."""

    def answers(asked: Asked) -> Reply:
        good = part.answers(asked)
        if damaged is not None:
            return damaged(good)
        change = spoilt if part.pays(asked) else looking
        return good if change is None else change(asked, good)

    async def story() -> Played:
        async with _service(answers) as (here, asked):
            began = time.monotonic()
            played = await _call(part, _built(part, base or here), base or here, deadline_s, looks)
            played.seconds = time.monotonic() - began
            played.asked = list(asked)
            return played

    return asyncio.run(story())


async def _call(
    part: Part, adapter: Provider, base: str, deadline_s: float = DEADLINE_S, looks: int = MOST_LOOKS
) -> Played:
    played = Played()
    reference = AttemptRef(uuid4(), 1, deadline_s)
    try:
        answer = await adapter.submit(part.request, reference)
        if isinstance(answer, Delivery):
            played.delivery = answer
            return played
        played.ticket = answer
        # Another process, which knows what the database keeps and nothing else.
        heir = _built(part, base)
        kept = replace(answer, state=json.loads(json.dumps(answer.state)))
        for _ in range(looks):
            try:
                seen = await heir.collect(kept, reference)
            except (TryLater, Unsure):
                continue
            if isinstance(seen, Delivery):
                played.delivery = seen
                return played
    except ProviderError as error:
        played.error = error
    return played


def _account(part: Part, base: str) -> Account:
    return Account(key=part.key, base_url=base, simulated=True, values=part.values)


def _is_free(part: Part) -> bool:
    """Whether nothing is ever charged, with what the environment tells it."""
    return _built(part, part.adapter.default_base_url).free


def _client(part: Part, base: str | None = None) -> GuardedClient:
    return GuardedClient(base or part.adapter.default_base_url, hosts=part.adapter.hosts)


def _built(part: Part, base: str) -> Provider:
    return part.adapter(_account(part, base), _client(part, base))


@asynccontextmanager
async def _service(answers: Answers) -> AsyncIterator[tuple[str, list[Asked]]]:
    """A server on this machine whose answers are a function of the requests."""
    asked: list[Asked] = []
    busy: set[asyncio.StreamWriter] = set()
    base = ""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        busy.add(writer)
        try:
            while True:
                request = await _read(reader, base)
                asked.append(request)
                reply = answers(request)
                if reply.silent:
                    await reader.read()
                    return
                writer.write(reply.on_the_wire())
                await writer.drain()
                if reply.cut_after is not None:
                    return
                if reply.announced is not None:
                    await reader.read()
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            busy.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**25)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield base, asked
    finally:
        for writer in busy.copy():
            writer.close()
        server.close()


async def _read(reader: asyncio.StreamReader, base: str) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body, base)


def _damaged(good: Reply, dice: random.Random) -> Reply:
    """Bytes flipped, cut out, repeated or replaced; statuses and types that do not belong."""
    body = bytearray(good.body)
    match dice.randrange(6):
        case 0:
            return replace(good, status=dice.choice([200, 201, 204, 206, 400, 404, 418, 500, 503, 599]))
        case 1:
            return replace(good, body=bytes(dice.randbytes(dice.randrange(1, 400))))
        case 2:
            return replace(good, body=bytes(body[: dice.randrange(len(body) + 1)]))
        case 3 if body:
            for _ in range(dice.randrange(1, 20)):
                body[dice.randrange(len(body))] = dice.randrange(256)
            return replace(good, body=bytes(body))
        case 4:
            odd = dice.choice(["null", "[]", '""', "0", "{}", "[" * 5000, '{"id": null}', "1e999", "NaN"])
            return replace(good, body=odd.encode())
        case _:
            start = dice.randrange(len(body) + 1)
            return replace(good, body=bytes(body[:start] + body[start : start + 40] + body[start:]))
