"""Images that were paid for and set aside, since the workers that had their tickets in hand died: looked for
once more, one at a time, by a process that has no paid call to lose."""

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from packshot import generations
from packshot.flows import look, prices
from packshot.flows.close import Completion, Stored, close
from packshot.flows.desk import desk
from packshot.flows.run import storable
from packshot.generations import SHARED_SLOT, Claim
from packshot.kernel.errors import BadInput, ProviderError, TryLater, Unsure
from packshot.kernel.money import Micros
from packshot.providers.contract import AttemptRef, Delivery, Pending, Provider, Ticket

log = logging.getLogger(__name__)

# One look. Whoever is asked may be busy: there will be another.
LOOK_S = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look brought: how many images are kept now, and words for a person."""

    images: int
    words: str
    final: bool  # looking again brings nothing


def collect(generation_id: UUID) -> Look:
    """Look once more for the image of a generation that was set aside. Nothing is paid.

    Raises BadInput where there is nothing to collect, or nobody to ask.
    """
    with transaction.atomic():
        found = generations.set_aside_tickets(generation_id=generation_id)
    if not found:
        raise BadInput(
            f"{generation_id} has no ticket to collect with: only what was set aside with one has",
            field="id",
        )
    return _look(found[0])


def collect_due() -> int:
    """Look at what is due of all that was set aside. Returns how many images were kept."""
    with transaction.atomic():
        due = [claim.generation.id for claim in generations.set_aside_tickets(due_only=True)]
    kept = 0
    for each in due:
        try:
            kept += collect(each).images
        except BadInput:
            continue  # collected meanwhile
        except Exception:
            log.exception("generation %s: looking for its image failed", each)
    return kept


def _look(claim: Claim) -> Look:
    assert claim.ticket is not None, "it was found by its ticket"
    here = desk()
    provider = here[claim.generation.provider]
    if here.simulated[provider.name] != claim.generation.simulated:
        now = "simulated" if here.simulated[provider.name] else "real"
        raise BadInput(f"{provider.label} is {now} now, and was not when this was asked for", field="id")
    # Counted before: should it end this process too, it is known.
    with transaction.atomic():
        generations.count_look(claim.attempt_id)
    cost = None if claim.cost_micros is None else Micros(claim.cost_micros)
    reference = AttemptRef(claim.attempt_id, claim.number, LOOK_S)
    try:
        seen = asyncio.run(provider.collect(Ticket(claim.ticket, cost=cost), reference))
    except (TryLater, Unsure) as problem:
        return Look(0, problem.reason, final=False)
    except ProviderError as problem:
        with transaction.atomic():
            generations.give_up_looking(claim.attempt_id)
        return Look(0, problem.reason, final=True)
    if isinstance(seen, Pending):
        return Look(0, f"{provider.label} is still at work", final=False)
    return _keep(claim, provider, seen)


def _keep(claim: Claim, provider: Provider, delivery: Delivery) -> Look:
    if not delivery.images:
        return Look(0, "the provider finished and sent no image", final=True)
    kept = tuple(
        Stored(
            look.store().put(image.content),
            image.media_type,
            image.width_px,
            image.height_px,
            len(image.content),
            storable(image.handle),
        )
        for image in delivery.images
    )
    close(
        [
            Completion(
                claim.attempt_id,
                images=kept,
                cost_micros=prices.cost_of(provider, claim, delivery.cost),
                request_id=delivery.request_id or "",
                answer=delivery.raw,
            )
        ],
        slot=SHARED_SLOT,
    )
    with transaction.atomic():
        generations.say_collected(claim.generation.id)
    return Look(len(kept), f"{len(kept)} kept, at no further cost", final=True)
