"""Admission: from the queue to attempts that may be sent, with their money held. Plain transactions."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction

from packshot import catalogue, events, generations, ledger, reports
from packshot.events import Happening
from packshot.flows import prices
from packshot.flows.transaction import gathered
from packshot.generations import SHARED_SLOT, Candidate, Claim
from packshot.kernel.errors import BadInput
from packshot.kernel.faults import fault_point
from packshot.kernel.ids import uuid7
from packshot.ledger import Wish
from packshot.providers.cards import fitting
from packshot.providers.contract import ImageRequest, Progress, Provider, by_tomorrow, model_card

_spread = random.Random()  # noqa: S311 - parts what would go wrong together; nothing depends on it
# Of an attempt in a batch: the day that its provider has, and an hour.
TOMORROW_S = 90_000
# Until the first look at a batch that was just ordered.
FIRST_LOOK_S = 60.0
# Parked for money: looked at again even if nothing woke it, so that no row waits on a lost wake-up.
LOOK_AGAIN_S = 60.0


def image_request(generation: Candidate, provider: Provider) -> ImageRequest:
    """What to ask a provider for: the same on each attempt of a generation. Its pictures have no bytes.

    In the shape of its model that comes nearest to the one that was asked for; see `flows/look.py`.
    """
    request = ImageRequest(
        model=generation.model,
        prompt=generation.prompt,
        shape=generation.shape,
        images=generation.images,
        seed=generation.seed,
        options=generation.options,
        negative_prompt=generation.negative_prompt,
        inputs=tuple([each.picture() for each in generation.inputs]),
    )
    return fitting(request, model_card(provider, generation.model))


def admit(
    provider: Provider,
    *,
    process_id: UUID,
    most: int,
    look_again_s: float = LOOK_AGAIN_S,
    tomorrow: bool = False,
    first_look_s: float = FIRST_LOOK_S,
) -> list[Claim]:
    """Claim up to `most` ready generations of `provider`: attempts written, money held, nothing sent.

    With `tomorrow` those that may take a day, in one batch for each model: they need no seat and count in no
    rate, for a batch has limits of its own.

    The recipe of DESIGN.md section 5: the provider's row, the candidates, their budgets, a fresh look at
    the balances, then the writes.
    """
    with gathered():
        if ledger.stop_state().stopped or not generations.lives(process_id):
            return []
        gate = generations.open_gate(provider.name)
        if gate.closed and not (tomorrow and gate.closed == "full"):
            return []
        ready = generations.candidates(
            provider.name,
            simulated=gate.simulated,
            limit=most if tomorrow else min(most, gate.room),
            tomorrow=tomorrow,
        )
        if ready:
            fault_point("queue.claimed")
        gone = [each for each in ready if _retired(provider, each)]
        counted = _end_retired(provider, gone)
        ready = [each for each in ready if each not in gone] if gone else ready
        priced, parked = _price(provider, ready, gate.price_edition)
        wishes = {
            claim.attempt_id: Wish(
                attempt_id=claim.attempt_id,
                amount_micros=claim.generation.ceiling_micros or 0,
                simulated=claim.generation.simulated,
                provider=claim.generation.provider,
                category_path=claim.generation.category_path,
                person_name=claim.generation.person_name,
                run_id=claim.generation.run_id,
            )
            for claim in priced
        }
        funded, short = ledger.reserve(list(wishes.values()))
        if funded:
            fault_point("money.reserved")
        held = {wish.attempt_id for wish in funded}
        claims = [claim for claim in priced if claim.attempt_id in held]
        by_attempt = {claim.attempt_id: claim.generation.id for claim in priced}
        parked |= {by_attempt[wish.attempt_id]: ("budget", reason) for wish, reason in short}
        if tomorrow:
            claims = _in_batches(provider, claims, first_look_s)
        generations.open_attempts(claims, process_id=process_id)
        generations.park(parked, look_again_s=look_again_s)
        if not tomorrow:
            generations.take(provider.name, len(claims))
        reports.add(counted, slot=SHARED_SLOT)
        events.tell(
            [
                *(_news(each.id, "failed", each) for each in gone),
                *(_news(claim.generation.id, "processing", claim.generation) for claim in claims),
                *(
                    _news(each.id, "waiting", each, reason=parked[each.id][0])
                    for each in ready
                    if each.id in parked
                ),
            ]
        )
    if claims:
        fault_point("attempt.committed")
    return claims


def _in_batches(provider: Provider, claims: Sequence[Claim], first_look_s: float) -> list[Claim]:
    """The same claims, each with the batch that was opened for its model."""
    ids: dict[str, UUID] = {}
    for model in sorted({claim.generation.model for claim in claims}):
        those = [claim for claim in claims if claim.generation.model == model]
        ids[model] = uuid7()
        generations.open_batch(
            ids[model],
            provider=provider.name,
            model=model,
            simulated=those[0].generation.simulated,
            total=len(those),
            look_s=first_look_s,
        )
    return [replace(claim, batch_id=ids[claim.generation.model]) for claim in claims]


def _retired(provider: Provider, candidate: Candidate) -> bool:
    card = model_card(provider, candidate.model)
    return card is not None and card.retired


def _end_retired(provider: Provider, gone: Sequence[Candidate]) -> list[reports.Delta]:
    """Their model was retired while they waited: they fail for nothing, and a route asks the next provider.

    Returns what is to be counted, after the budgets.
    """
    if not gone:
        return []
    successors = {each.model: card.successor for each in gone if (card := model_card(provider, each.model))}
    ended_at = generations.step_generations(
        [
            generations.Step(
                each.id,
                "failed",
                added_micros=0,
                error_kind="retired_model",
                error_message=f"{each.model} was retired by {provider.label} while this waited"
                + (f"; use {successors[each.model]}" if successors.get(each.model) else ""),
            )
            for each in gone
        ]
    )
    catalogue.record_outcomes([catalogue.Outcome(each.product_id, "failed") for each in gone])
    return [
        reports.Delta(ended, each.provider, each.model, each.simulated, failed=1)
        for each in gone
        if (ended := ended_at[each.id]) is not None
    ]


def _price(
    provider: Provider, ready: Sequence[Candidate], edition: int
) -> tuple[list[Claim], dict[UUID, tuple[str, str]]]:
    """Claims for what has a price that stands; reasons for what has none."""
    claims: list[Claim] = []
    parked: dict[UUID, tuple[str, str]] = {}
    for candidate in ready:
        card = model_card(provider, candidate.model)
        try:
            quote = prices.quote(provider, image_request(candidate, provider), edition)
        except BadInput as problem:
            parked[candidate.id] = ("price", str(problem))
            continue
        if card is None or quote.ceiling is None:
            parked[candidate.id] = (
                "price",
                f"the price of {candidate.model} is not known; an unknown price is never spent automatically",
            )
            continue
        generation = candidate
        if quote.price_version != candidate.price_version:
            generations.requote(
                candidate.id,
                expected=quote.expected,
                ceiling=quote.ceiling,
                price_version=quote.price_version,
            )
            generation = replace(
                candidate,
                expected_micros=quote.expected,
                ceiling_micros=quote.ceiling,
                price_version=quote.price_version,
            )
        deadline_s = TOMORROW_S if by_tomorrow(candidate.options) else card.deadline_s
        claims.append(Claim(uuid7(), candidate.attempts + 1, generation, deadline_s))
    return claims, parked


def start_sending(claims: Sequence[Claim], *, process_id: UUID) -> set[UUID]:
    """Commit `sending` for these claims; only those returned may be sent, once, by the caller.

    With spending stopped, they are released instead and their generations wait.
    """
    ids = [claim.attempt_id for claim in claims]
    with gathered() as statements:
        if not ledger.may_send():
            give_back(ids)
            return set()
        mine = generations.start_sending(ids, process_id=process_id)
        statements.send()
        fault_point("sending.written")
    fault_point("sending.committed")
    return mine


def accept(tickets: Mapping[UUID, tuple[Mapping[str, object], str, int | None]]) -> None:
    """Remember the tickets: a crash from here on resumes instead of paying twice."""
    with gathered() as statements:
        generations.accept(tickets)
        statements.send()
        fault_point("ticket.written")
    fault_point("ticket.saved")


def due_batches(kinds: Sequence[tuple[str, bool]], *, look_s: float) -> list[generations.Due]:
    """Batches that this process may look at now."""
    with transaction.atomic():
        return generations.due_batches(kinds, look_s=look_s)


def resting(batch_id: UUID) -> list[generations.Resting]:
    """The attempts that wait for a batch."""
    return generations.resting(batch_id)


def note_progress(batch_id: UUID, progress: Progress) -> None:
    """Keep what a look at a batch said."""
    with transaction.atomic():
        due = None if progress.due_at is None else datetime.fromtimestamp(progress.due_at, UTC)
        generations.note_progress(
            batch_id,
            state=progress.state,
            done=progress.done,
            failed=progress.failed,
            total=progress.total,
            due_at=due,
        )


def look_again(batch_id: UUID, *, look_s: float) -> None:
    """Look at a batch again, if anything of it is open."""
    with transaction.atomic():
        generations.look_again(batch_id, look_s=look_s)


def give_back(attempt_ids: Sequence[UUID], *, within_s: float = 0.0) -> int:
    """Release attempts of which nothing was sent; their generations go back to the queue, each to be taken
    at its own moment `within_s` seconds.

    Runs in the caller's transaction. Returns how many moved.
    """
    released = set(generations.release_intents(attempt_ids))
    standing = generations.standing(sorted(released))
    steps = [
        # A cancelled one was released by the cancel itself, so what is found here goes on.
        generations.Step(
            at.generation_id,
            "pending",
            wait_reason="retry" if within_s else None,
            wait_detail="its worker died" if within_s else "",
            again_after_s=_spread.uniform(0, within_s) if within_s else None,
        )
        for at in standing.values()
    ]
    generations.step_generations(steps)
    ledger.release(sorted(released))
    if released:
        fault_point("give_back.released")
    events.tell([_news_of(at, "pending") for at in standing.values()])
    return len(released)


def _news_of(at: generations.Standing, kind: str) -> Happening:
    return Happening(
        "generation",
        kind,
        str(at.generation_id),
        {"sku": at.sku, "provider": at.provider, "run": str(at.run_id) if at.run_id else None},
    )


def _news(generation_id: UUID, kind: str, generation: Candidate, **data: object) -> Happening:
    return Happening(
        "generation",
        kind,
        str(generation_id),
        {
            "sku": generation.sku,
            "provider": generation.provider,
            "run": str(generation.run_id) if generation.run_id else None,
            **data,
        },
    )
