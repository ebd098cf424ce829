"""What may come by tomorrow: many requests in one order, and looks at it until all of them have ended.

An order is one paid request for all its attempts, each of which was written as sent before. Once accepted
they rest: no process owns them, and whoever sweeps looks. An order whose answer got lost is asked for by its
name, which is free; where it is not found, it is first seen to that it cannot arrive any more. Async: no
transaction in here.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from packshot.flows.admit import image_request
from packshot.flows.close import Completion
from packshot.flows.run import LONGEST_CALL_S, Surroundings, delivered, failed
from packshot.generations import Claim, Due, Resting
from packshot.kernel.errors import BadAnswer, ProviderError, Refused, TryLater, Unsure
from packshot.kernel.faults import fault_point
from packshot.providers.contract import (
    AttemptRef,
    Batches,
    Delivery,
    Line,
    Progress,
    Provider,
    Ticket,
)

log = logging.getLogger(__name__)


class Sells(Provider, Batches, Protocol):
    """A provider that takes orders."""


class Notes(Protocol):
    """The worker's writes about batches. Each returns after its COMMIT."""

    async def found(self, claims: Sequence[Claim], ticket: Ticket) -> None:
        """The order of these attempts did arrive: this is the ticket that got lost."""

    async def stands(self, batch_id: UUID, progress: Progress) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait before concluding, in seconds."""

    arrival_s: float  # for an order whose answer got lost
    scale: float = 1.0  # divides deadlines, for tests


async def order(claims: Sequence[Claim], provider: Sells, around: Surroundings) -> None:
    """Send one order for all these claims of one batch, at most once."""
    allowed = await asyncio.gather(*[around.lines.sending(claim) for claim in claims])
    left = [claim for claim, may in zip(claims, allowed, strict=True) if may]
    if not left:
        return
    batch_id = left[0].batch_id
    assert batch_id is not None, "admission opened it"
    lines = [
        Line(
            image_request(claim.generation, provider),
            AttemptRef(claim.attempt_id, claim.number, LONGEST_CALL_S),
        )
        for claim in left
    ]
    try:
        async with asyncio.timeout(LONGEST_CALL_S):
            ticket = await provider.order(lines, batch_id)
    except ProviderError as error:
        await _fail(left, provider, error, around)
    except TimeoutError:
        slow = Unsure(f"no answer to the order within {LONGEST_CALL_S:.0f} s", kind="timeout")
        await _fail(left, provider, slow, around)
    except Exception as bug:
        log.exception("batch %s: the %s adapter failed", batch_id, provider.name)
        unsure = Unsure(f"the {provider.name} adapter failed: {type(bug).__name__}", kind="bug")
        await _fail(left, provider, unsure, around)
    else:
        fault_point("ticket.received")
        await asyncio.gather(*[around.lines.accepted(claim, ticket) for claim in left])


async def look(
    batch: Due,
    resting: Sequence[Resting],
    provider: Sells,
    around: Surroundings,
    notes: Notes,
    patience: Patience,
) -> None:
    """Look once at a batch, and end what can be ended. Raises what a look may raise: there is another."""
    ended = [each for each in resting if each.state not in ("accepted", "uncertain")]
    resting = [each for each in resting if each.state in ("accepted", "uncertain")]
    if not resting:
        return
    known = next((each.claim.ticket for each in resting if each.claim.ticket is not None), None)
    ticket = Ticket(known) if known is not None else await _found(batch, resting, provider, around, patience)
    if ticket is None:
        return
    lost = [each.claim for each in resting if each.claim.ticket is None]
    if lost:
        await notes.found(lost, ticket)
    try:
        progress = await provider.progress(ticket)
        await notes.stands(batch.id, progress)
        if progress.ended:
            await _collect(resting, ended, ticket, provider, around)
            return
    except BadAnswer as gone:
        await _end(resting, provider, gone, around)
        return
    late = [each for each in resting if each.age_s * patience.scale > each.claim.deadline_s]
    if late:
        error = BadAnswer(
            f"{provider.label}'s batch has not ended in time, and nobody knows what it charges",
            kind="timeout",
            charge="unknown",
        )
        await _end(late, provider, error, around)
    elif all(each.cancel_requested for each in resting):
        # A batch is called off whole or not at all: one image that somebody still wants keeps it going.
        await provider.call_off(ticket)


async def _found(
    batch: Due, resting: Sequence[Resting], provider: Sells, around: Surroundings, patience: Patience
) -> Ticket | None:
    """The ticket of an order whose answer got lost; None: it did not arrive, or one cannot know yet."""
    ticket = await provider.find(batch.id)
    if ticket is not None or min(each.age_s for each in resting) < patience.arrival_s:
        return ticket
    await provider.revoke(batch.id)
    ticket = await provider.find(batch.id)
    if ticket is not None:
        return ticket
    log.info("batch %s never arrived: its attempts end, and cost nothing", batch.id)
    for each in resting:
        await around.lines.closing(
            Completion(
                each.claim.attempt_id,
                error=BadAnswer(
                    f"{provider.label} never got the order, so it cost nothing.",
                    kind="server_error",
                    charge="free",
                ),
                evidence=("lookup", ""),
                note=f"{provider.label} lists no batch of the name {batch.id}, and its file is deleted",
            )
        )
    return None


async def _collect(
    resting: Sequence[Resting],
    ended: Sequence[Resting],
    ticket: Ticket,
    provider: Sells,
    around: Surroundings,
) -> None:
    """End each attempt of an order that has ended, one line at a time. An image of one that was ended before,
    by somebody's word or for want of an answer, is kept and its charge booked."""
    before = {each.claim.attempt_id: each for each in ended}
    left = {each.claim.attempt_id: each for each in resting}
    async with aclosing(provider.results(ticket)) as results:
        async for attempt_id, outcome in results:
            each = left.pop(attempt_id, None)
            if each is None:
                if attempt_id in before and isinstance(outcome, Delivery):
                    late = await delivered(before[attempt_id].claim, provider, outcome, around)
                    await around.lines.closing(late)
                continue
            if isinstance(outcome, Delivery):
                completion = await delivered(each.claim, provider, outcome, around)
            else:
                completion = failed(each.claim, provider, _for(each, outcome), ticket)
            await around.lines.closing(_with_evidence(completion, each))
    if left:
        await _end(list(left.values()), provider, await provider.unmade(ticket), around)


async def _end(
    resting: Sequence[Resting], provider: Sells, error: ProviderError, around: Surroundings
) -> None:
    for each in resting:
        completion = failed(each.claim, provider, _for(each, error))
        await around.lines.closing(_with_evidence(completion, each))


async def _fail(claims: Sequence[Claim], provider: Sells, error: ProviderError, around: Surroundings) -> None:
    await asyncio.gather(*[around.lines.closing(failed(claim, provider, _of_one(error))) for claim in claims])


def _for(each: Resting, error: ProviderError) -> ProviderError:
    """What ends this attempt: whoever wanted it cancelled does not have it made anew, or failed."""
    if each.cancel_requested and error.charge == "free" and isinstance(error, Refused | BadAnswer):
        return BadAnswer(error.reason, kind="server_error", charge="free", request_id=error.request_id)
    return _of_one(error)


def _of_one(error: ProviderError) -> ProviderError:
    """A copy, for each is written down by itself."""
    own = type(error).__new__(type(error), *error.args)
    vars(own).update(vars(error))
    if isinstance(own, TryLater) and own.kind == "rate_limited":
        own.alone = True  # what a batch has no room for can be asked for directly all the same
    return own


def _with_evidence(completion: Completion, each: Resting) -> Completion:
    return replace(completion, evidence=("lookup", "")) if each.state == "uncertain" else completion
