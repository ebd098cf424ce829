"""One claimed attempt, from its first byte to its written end. Async: no transaction in here."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from packshot.blobs import MissingBlob, StoreDown, StoreFull
from packshot.flows import prices
from packshot.flows.admit import image_request
from packshot.flows.close import Completion, Stored
from packshot.generations import Claim
from packshot.kernel.errors import (
    BadAnswer,
    Misconfigured,
    ProviderError,
    Refused,
    TryLater,
    Unsure,
)
from packshot.kernel.faults import fault_point
from packshot.kernel.money import Micros
from packshot.providers.contract import (
    AttemptRef,
    CallbackAddress,
    Delivery,
    GeneratedImage,
    ImageRequest,
    InputImage,
    JsonValue,
    Pending,
    Provider,
    Ticket,
)

log = logging.getLogger(__name__)

# The adapter has its own deadline for the whole call; this one only catches an adapter that forgot it.
ADAPTER_GRACE_S = 10.0
# The longest that a submission may take, however long its result may then be waited for.
LONGEST_CALL_S = 300.0
# How often in a row a look at a ticket may fail by our own fault before it counts as no image.
MOST_BUGS = 5
# A handle longer than this is no number of a task, and is not kept.
_HANDLE_CHARS = 20_000
# Looks that came to nothing. With a ticket made from a callback they prove nothing about the call either.
INCONCLUSIVE = ("timeout", "bug")


class Lines(Protocol):
    """The worker's batched writes. Each returns after its COMMIT."""

    async def sending(self, claim: Claim) -> bool:
        """True: committed, the caller may send once. False: it was cancelled, stopped or rescued."""

    async def accepted(self, claim: Claim, ticket: Ticket) -> None: ...

    async def closing(self, completion: Completion) -> None: ...

    async def came_to_nothing(self, claim: Claim) -> None:
        """A ticket made from a callback told nothing: the attempt stays uncertain, without it."""

    async def until_next_look(self, attempt_id: UUID, at_most_s: float) -> None:
        """Return after so many seconds, or as soon as the provider says by itself that there is news."""

    def store_trouble(self, problem: str | None) -> None:
        """The blob store refuses bytes (in words), or takes them again (None)."""


class Shelf(Protocol):
    """The worker's way to the blob store."""

    async def put(self, content: bytes) -> str:
        """The name of these bytes once they are stored. Raises StoreFull and StoreDown."""
        ...

    async def get(self, blob: str) -> bytes:
        """The bytes of that name, and no others. Raises MissingBlob and StoreDown."""
        ...

    def room(self, size_bytes: int) -> AbstractAsyncContextManager[None]:
        """Wait until so many bytes may be held in memory beside what others hold, and hold them."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What running an attempt needs besides its provider."""

    lines: Lines
    shelf: Shelf
    timer_scale: float = 1.0  # divides the waits between looks at a ticket, for tests
    # Where the provider may report an attempt by itself, if it can reach this site.
    callback: Callable[[Provider, UUID], CallbackAddress | None] = lambda provider, attempt_id: None


async def run(claim: Claim, provider: Provider, around: Surroundings) -> None:
    """Take one claimed attempt to its end: sent at most once, images kept, money settled, news told."""
    await _close(await _called(claim, provider, around), around)


async def resume(claim: Claim, provider: Provider, around: Surroundings) -> None:
    """Collect what was submitted before, by a process that is gone or with an answer that got lost: nothing
    is paid again."""
    assert claim.ticket is not None, "only what has a ticket is resumed"
    cost = None if claim.cost_micros is None else Micros(claim.cost_micros)
    await _close(await _finished(claim, provider, Ticket(claim.ticket, cost=cost), around), around)


async def _close(completion: Completion | None, around: Surroundings) -> None:
    # By now no frame holds the images any more: they are in the store, and the seat goes to the next call.
    if completion is not None:
        await around.lines.closing(completion)


async def _called(claim: Claim, provider: Provider, around: Surroundings) -> Completion | None:
    """None: it was cancelled, stopped or rescued before it was sent."""
    try:
        answer = await _sent(claim, provider, around)
    except ProviderError as error:
        return failed(claim, provider, error)
    if answer is None:
        return None
    if isinstance(answer, Ticket):
        fault_point("ticket.received")
        answer = replace(answer, cost=prices.cost_of(provider, claim, answer.cost))
        await around.lines.accepted(claim, answer)
        return await _finished(claim, provider, answer, around)
    fault_point("answer.read")
    return await delivered(claim, provider, answer, around)


async def _sent(claim: Claim, provider: Provider, around: Surroundings) -> Ticket | Delivery | None:
    """Read the pictures that go with it, say that it leaves, make the call. Only in here are they held."""
    request = image_request(claim.generation, provider)
    async with around.shelf.room(sum(picture.size_bytes for picture in request.inputs)):
        if request.inputs:
            request = replace(request, inputs=await _pictures(claim, around))
        fault_point("pictures.read")
        if not await around.lines.sending(claim):
            return None
        return await _submit(claim, request, provider, around)


async def _pictures(claim: Claim, around: Surroundings) -> tuple[InputImage, ...]:
    """The pictures with their bytes, before anything is sent.

    A store that is away is waited for, however long it takes; what was read of them by then is let go.
    """
    pause = 0.5
    while True:
        try:
            return tuple(
                [each.picture(await around.shelf.get(each.blob)) for each in claim.generation.inputs]
            )
        except MissingBlob as gone:
            raise Refused(f"A picture of the request is gone: {gone}.", kind="bad_input_image") from gone
        except StoreDown as trouble:
            around.lines.store_trouble(str(trouble))
            log.error("attempt %s waits for its pictures: %s", claim.attempt_id, trouble)
        await asyncio.sleep(pause / around.timer_scale)
        pause = min(pause * 2, 30.0)


async def _submit(
    claim: Claim, request: ImageRequest, provider: Provider, around: Surroundings
) -> Ticket | Delivery:
    """The one paid call. Whatever goes wrong in an unexpected way is an unknown outcome, never a free one."""
    deadline_s = min(float(claim.deadline_s), LONGEST_CALL_S)
    reference = AttemptRef(
        claim.attempt_id,
        claim.number,
        deadline_s,
        around.callback(provider, claim.attempt_id),
    )
    try:
        async with asyncio.timeout(deadline_s + ADAPTER_GRACE_S):
            return await provider.submit(request, reference)
    except ProviderError:
        raise
    except TimeoutError:
        raise Unsure(f"no answer within {deadline_s:.0f} s", kind="timeout") from None
    except Exception as bug:
        log.exception("attempt %s: the %s adapter failed", claim.attempt_id, provider.name)
        raise Unsure(f"the {provider.name} adapter failed: {type(bug).__name__}", kind="bug") from bug


async def _finished(
    claim: Claim, provider: Provider, ticket: Ticket, around: Surroundings
) -> Completion | None:
    """None: a ticket made from a callback led to nothing, and the attempt stays uncertain."""
    try:
        delivery = await _collect(claim, provider, ticket, around)
    except ProviderError as error:
        if claim.by_callback and error.kind in INCONCLUSIVE:
            log.warning("attempt %s: a callback led to nothing: %s", claim.attempt_id, error.reason)
            await around.lines.came_to_nothing(claim)
            return None
        return failed(claim, provider, error, ticket)
    return await delivered(claim, provider, delivery, around)


async def _collect(claim: Claim, provider: Provider, ticket: Ticket, around: Surroundings) -> Delivery:
    """Look until it is there. Looking is free, so trouble with a look is only a reason to look again."""
    until = time.monotonic() + claim.deadline_s
    bugs = 0
    reason = "the provider never finished it"
    while (left := until - time.monotonic()) > 0:
        wait = 1.0
        reference = AttemptRef(claim.attempt_id, claim.number, left)
        try:
            async with asyncio.timeout(left + ADAPTER_GRACE_S):
                seen = await provider.collect(ticket, reference)
            if isinstance(seen, Delivery):
                return seen
            assert isinstance(seen, Pending)
            fault_point("ticket.pending")
            wait = seen.after_s
        except (Refused, BadAnswer):
            raise
        except TryLater as busy:
            wait, reason = busy.after_s, busy.reason
        except (Unsure, Misconfigured) as trouble:
            reason = trouble.reason
        except TimeoutError:
            break
        except Exception as bug:
            log.exception("attempt %s: looking at its ticket failed", claim.attempt_id)
            bugs += 1
            reason = f"the {provider.name} adapter failed: {type(bug).__name__}"
            if bugs >= MOST_BUGS:
                raise BadAnswer(reason, kind="bug", charge="charged", cost=ticket.cost) from bug
        pause = min(max(wait / around.timer_scale, 0.02), left)
        await around.lines.until_next_look(claim.attempt_id, pause)
    raise BadAnswer(
        f"no image within {claim.deadline_s} s: {reason}", kind="timeout", charge="charged", cost=ticket.cost
    )


async def delivered(claim: Claim, provider: Provider, delivery: Delivery, around: Surroundings) -> Completion:
    """Raises nothing: without an image it is a failure that cost what it cost."""
    if not delivery.images:
        error = BadAnswer(
            "the provider finished and sent no image",
            kind="bad_answer",
            charge="charged",
            cost=delivery.cost,
            request_id=delivery.request_id,
            raw=delivery.raw,
        )
        return failed(claim, provider, error)
    fault_point("image.read")
    stored = await _keep(delivery.images, around)
    fault_point("images.kept")
    return Completion(
        claim.attempt_id,
        images=tuple(stored),
        cost_micros=prices.cost_of(provider, claim, delivery.cost),
        request_id=delivery.request_id or "",
        answer=delivery.raw,
        evidence=_evidence(claim),
    )


async def _keep(images: Sequence[GeneratedImage], around: Surroundings) -> list[Stored]:
    """Bytes that were paid for, in the store. A full or absent store is waited for, however long it takes."""
    stored: list[Stored] = []
    for image in images:
        pause = 0.5
        while True:
            try:
                blob = await around.shelf.put(image.content)
                around.lines.store_trouble(None)
                break
            except (StoreFull, StoreDown) as trouble:
                around.lines.store_trouble(str(trouble))
                log.error("paid images wait in memory for the blob store: %s", trouble)
                await asyncio.sleep(pause / around.timer_scale)
                pause = min(pause * 2, 30.0)
        stored.append(
            Stored(
                blob,
                image.media_type,
                image.width_px,
                image.height_px,
                len(image.content),
                storable(image.handle),
            )
        )
    return stored


def storable(handle: Mapping[str, JsonValue] | None) -> Mapping[str, JsonValue] | None:
    """The handle, or None for one that the database would refuse: the image it came with was paid for."""
    if handle is None:
        return None
    try:
        text = json.dumps(dict(handle), allow_nan=False, ensure_ascii=False)
        text.encode()  # half a character cannot be stored; nor can NUL
    except (TypeError, ValueError, RecursionError):
        text = ""
    if not text or len(text) > _HANDLE_CHARS or "\\u0000" in text:
        log.error("a handle that cannot be stored is dropped: %s", text[:200] or type(handle).__name__)
        return None
    return handle


def failed(
    claim: Claim, provider: Provider, error: ProviderError, ticket: Ticket | None = None
) -> Completion:
    if error.charge != "free":
        error.cost = prices.cost_of(provider, claim, error.cost)
    # Its trace would hold the frames of the call, and the pictures in them, until this end is written.
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return Completion(
        claim.attempt_id,
        error=error,
        request_id=error.request_id or (ticket.request_id if ticket else None) or "",
        answer=error.raw,
        evidence=_evidence(claim),
    )


def _evidence(claim: Claim) -> tuple[str, str] | None:
    return ("callback", "") if claim.by_callback else None
