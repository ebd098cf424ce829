"""The end of attempts: images, money, status, statistics and news, written in one transaction."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from packshot import catalogue, events, generations, ledger, reports
from packshot.events import Happening
from packshot.flows.transaction import gathered
from packshot.generations import End, Standing, Step
from packshot.generations.policy import OUTAGE_AFTER, RETRYABLE, Verdict, cost_is_open, verdict
from packshot.kernel.errors import Charge, Misconfigured, ProviderError, Refused, TryLater
from packshot.kernel.faults import fault_point
from packshot.kernel.money import show


@dataclass(frozen=True, slots=True)
class Stored:
    """One image whose bytes are in the blob store."""

    blob: str
    media_type: str
    width_px: int
    height_px: int
    size_bytes: int
    handle: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What one paid call came to: images, or an error whose class says what to do next."""

    attempt_id: UUID
    images: tuple[Stored, ...] = ()
    cost_micros: int | None = None
    error: ProviderError | None = None
    request_id: str = ""
    answer: str = ""
    # Written with a person's or a look-up's verdict on an uncertain attempt; None: the owner's own answer.
    evidence: tuple[str, str] | None = None  # kind, by whom
    note: str = ""


# Where the words of a stored message end; the whole answer is kept beside it.
MESSAGE_LIMIT = 500

_jitter = random.Random()  # noqa: S311 - spreads retries; nothing depends on its being unguessable


def close(completions: Sequence[Completion], *, slot: int) -> None:
    """Write these ends. Safe to repeat: an end that is written already changes nothing.

    Locks in the house's order: provider, generation, attempt, product, budget, rollup, event.
    """
    with gathered() as statements:
        _Closing(completions, slot).write()
        statements.send()
        if completions:
            fault_point("close.told")
    if completions:
        fault_point("close.committed")


class _Closing:
    """One transaction's worth of ends, gathered by table and written table by table."""

    def __init__(self, completions: Sequence[Completion], slot: int) -> None:
        self.completions = {each.attempt_id: each for each in completions}
        self.slot = slot
        self.ends: list[End] = []
        self.evidence: list[tuple[UUID, str, str, dict[str, object]]] = []
        self.steps: list[Step] = []
        self.kept: list[catalogue.KeptImage] = []
        self.settlements: list[ledger.Settlement] = []
        self.releases: list[UUID] = []
        self.extra: dict[UUID, int] = {}
        self.learned: dict[UUID, int] = {}  # costs of attempts that had ended at an unknown one
        self.waits: dict[str, float] = {}
        self.pauses: dict[str, ProviderError] = {}
        self.calm: set[str] = set()
        self.news: list[Happening] = []

    def write(self) -> None:
        busy = generations.lock_providers(self._touched_providers())
        standing = generations.standing(list(self.completions))
        failed = generations.failed_before(
            [
                each.attempt_id
                for each in self.completions.values()
                if each.error and each.error.kind in RETRYABLE
            ],
            RETRYABLE,
        )
        for attempt_id, completion in self.completions.items():
            at = standing.get(attempt_id)
            if at is not None:
                self._judge(completion, at, failed.get(attempt_id, 0) + 1, busy.get(at.provider, 0))
        by_name = next((each.evidence[1] for each in self.completions.values() if each.evidence), "")
        generations.keep_evidence(self.evidence, by_name=by_name)
        generations.end_attempts(self.ends)
        generations.make_wait(self.waits)
        recovered = self.calm - self.waits.keys()
        generations.calm(sorted(recovered))
        self._tell_circuits(busy, recovered)
        for provider, error in sorted(self.pauses.items()):
            if generations.pause(provider, kind=error.kind, message=error.reason[:MESSAGE_LIMIT]):
                self.news.append(Happening("provider", "paused", provider, {"kind": error.kind}))
        done_at = generations.step_generations(self.steps)
        new_images = catalogue.add_images(self.kept)
        moved = {step.generation_id: step for step in self.steps}
        by_generation = {at.generation_id: at for at in standing.values()}
        catalogue.record_outcomes(
            [
                catalogue.Outcome(by_generation[step.generation_id].product_id, step.status)
                for step in self.steps
            ]
        )
        fault_point("close.images")
        for attempt_id, amount in self.learned.items():
            generations.set_cost(attempt_id, amount)
            generations.add_cost(standing[attempt_id].generation_id, amount_micros=amount, cost_unknown=False)
        booked = ledger.settle(self.settlements)
        freed = ledger.release(self.releases) + sum(each.freed_micros for each in booked)
        booked += ledger.adjust(self.extra)
        for attempt_id, amount in self.extra.items():
            generations.add_cost(standing[attempt_id].generation_id, amount_micros=amount, cost_unknown=None)
        fault_point("close.settled")
        reports.add(self._deltas(standing, done_at, booked, new_images), slot=self.slot)
        fault_point("close.counted")
        if freed:
            generations.wake_waiting_for("budget")
        events.look_later([image.id for image in new_images], priority=10)
        for generation_id, step in moved.items():
            at = by_generation[generation_id]
            self.news.append(
                Happening(
                    "generation",
                    step.status,
                    str(generation_id),
                    {"sku": at.sku, "provider": at.provider, "run": str(at.run_id) if at.run_id else None},
                )
            )
        events.tell(self.news)

    def _tell_circuits(self, busy: dict[str, int], recovered: Collection[str]) -> None:
        """A provider was busy so often in a row that it is left alone, or it answers again."""
        self.news += [
            Happening("provider", "stopped", provider, {"busy_in_row": OUTAGE_AFTER})
            for provider in sorted(self.waits)
            if busy.get(provider, 0) + 1 == OUTAGE_AFTER
        ]
        self.news += [
            Happening("provider", "recovered", provider)
            for provider in sorted(recovered)
            if busy.get(provider, 0) >= OUTAGE_AFTER
        ]

    def _touched_providers(self) -> list[str]:
        """The providers whose rows this will change: theirs is the first lock, so it is decided first.

        The others are left unlocked, or every close would stand in line with every admission.
        """
        called = generations.providers_of(list(self.completions))
        touched = {
            called[attempt_id].provider
            for attempt_id, completion in self.completions.items()
            if isinstance(completion.error, TryLater | Misconfigured) and attempt_id in called
        }
        touched |= {each.provider for each in called.values() if each.busy_in_row}
        return sorted(touched)

    def _judge(self, completion: Completion, at: Standing, tries: int, busy_in_row: int) -> None:
        if at.state in generations.CLOSED:
            self._judge_late(completion, at)
            return
        error = completion.error
        if error is None:
            self._deliver(completion, at)
            return
        if at.state == "intent" and not isinstance(error, Refused):
            return  # nothing was sent: rescue or cancel releases it
        outcome = verdict(error, tries=tries, busy_in_row=busy_in_row, jitter=_jitter)
        if outcome.end == "uncertain" and at.state in ("uncertain", "accepted"):
            # Accepted: its owner was taken for dead, and stored its ticket before this could be written. The
            # ticket says more, and whoever owns it collects it.
            return
        self._fail(completion, error, outcome, at)

    def _deliver(self, completion: Completion, at: Standing) -> None:
        self._note_evidence(completion, at, "succeeded")
        self._keep_images(completion, at)
        self._end(completion, at, "succeeded", charge="charged", cost=completion.cost_micros)
        self.steps.append(
            Step(
                at.generation_id,
                "completed",
                added_micros=completion.cost_micros,
                cost_unknown=completion.cost_micros is None,
            )
        )
        self.calm.add(at.provider)

    def _fail(self, completion: Completion, error: ProviderError, outcome: Verdict, at: Standing) -> None:
        message = error.reason[:MESSAGE_LIMIT]
        if outcome.end == "uncertain":
            self.ends.append(
                End(
                    at.attempt_id,
                    "uncertain",
                    None,
                    completion.request_id or error.request_id or "",
                    error.kind,
                    message,
                    completion.answer or error.raw,
                )
            )
            self.steps.append(
                Step(at.generation_id, "uncertain", error_kind=error.kind, error_message=message)
            )
            return
        # Refused before anything was sent: by its own worker, which did not find what belongs to it.
        unsent = at.state == "intent"
        self._note_evidence(completion, at, outcome.end)
        charge: Charge = "free" if outcome.end == "failed_free" else error.charge
        is_open = cost_is_open(charge, error.cost)
        cost = 0 if charge == "free" else None if is_open else error.cost
        self._end(completion, at, "released" if unsent else outcome.end, charge=charge, cost=cost)
        then = outcome.then
        if at.cancel_requested and then == "pending":
            self.steps.append(Step(at.generation_id, "cancelled"))
        else:
            self.steps.append(
                Step(
                    at.generation_id,
                    then,
                    # What waits to be tried again has no cost yet; what failed for free has one: nothing.
                    added_micros=None if then == "pending" else cost,
                    cost_unknown=is_open,
                    wait_reason=outcome.wait_reason,
                    wait_detail=message if outcome.wait_reason else "",
                    again_after_s=outcome.again_after_s,
                    error_kind=error.kind,
                    error_message=message,
                )
            )
        if outcome.provider_waits_s is not None:
            self.waits[at.provider] = max(self.waits.get(at.provider, 0.0), outcome.provider_waits_s)
        elif outcome.pause_provider:
            self.pauses[at.provider] = error
        elif not unsent:
            self.calm.add(at.provider)

    def _judge_late(self, completion: Completion, at: Standing) -> None:
        """The answer came after the attempt was closed: by this same write, or by somebody's evidence."""
        error = completion.error
        if error is not None:
            self._fail_late(error, at)
            return
        if at.state != "succeeded" and not generations.answered_late(at.attempt_id):
            # The attempt was settled as something else while its owner was away. What was paid for is
            # kept and what was charged is booked, whoever was right.
            self._keep_images(completion, at)
            self.evidence.append(
                (at.attempt_id, "late_answer", "succeeded", {"was": at.state, "cost": completion.cost_micros})
            )
            # A cost that the late answer does not know takes nothing back.
            if completion.cost_micros is not None and at.cost_micros is not None:
                # Not beside its cost, but beside what is booked: a bill may have corrected it since.
                missing = completion.cost_micros - ledger.booked([at.attempt_id]).get(at.attempt_id, 0)
                if missing:
                    self.extra[at.attempt_id] = missing
        if completion.cost_micros is not None and at.cost_micros is None:
            # It ended at an unknown cost, by a callback or by somebody's word, and its own answer knows it.
            if at.state == "succeeded":
                self.evidence.append(
                    (at.attempt_id, "late_answer", "succeeded", {"cost": completion.cost_micros})
                )
            self.learned[at.attempt_id] = completion.cost_micros
            self._settle(at, completion.cost_micros)

    def _fail_late(self, error: ProviderError, at: Standing) -> None:
        """No image came of it, and the answer says what that cost: where nobody knew, or said nothing."""
        if cost_is_open(error.charge, error.cost):
            return
        cost = 0 if error.charge == "free" else error.cost
        assert cost is not None, "a charge that is not open has its amount"
        if at.cost_micros is None and at.state != "succeeded":
            self.learned[at.attempt_id] = cost
            self._settle(at, cost)
        elif at.state == "failed_free" and cost and not ledger.booked([at.attempt_id]):
            self.extra[at.attempt_id] = cost
        else:
            return
        self.evidence.append(
            (at.attempt_id, "late_answer", at.state, {"cost": cost, "reason": error.reason[:MESSAGE_LIMIT]})
        )

    def _keep_images(self, completion: Completion, at: Standing) -> None:
        for position, image in enumerate(completion.images):
            self.kept.append(
                catalogue.KeptImage(
                    product_id=at.product_id,
                    generation_id=at.generation_id,
                    attempt_id=at.attempt_id,
                    position=position,
                    blob=image.blob,
                    media_type=image.media_type,
                    width_px=image.width_px,
                    height_px=image.height_px,
                    size_bytes=image.size_bytes,
                    provider=at.provider,
                    model=at.model,
                    simulated=at.simulated,
                    digital_source_type=_source_type(at),
                    handle=image.handle,
                )
            )

    def _note_evidence(self, completion: Completion, at: Standing, state: str) -> None:
        if at.state == "uncertain" or completion.evidence:
            kind = completion.evidence[0] if completion.evidence else "late_answer"
            detail: dict[str, object] = {"cost": completion.cost_micros}
            if completion.note:
                detail["note"] = completion.note
            self.evidence.append((at.attempt_id, kind, state, detail))

    def _end(
        self, completion: Completion, at: Standing, state: str, *, charge: Charge, cost: int | None
    ) -> None:
        error = completion.error
        self.ends.append(
            End(
                at.attempt_id,
                state,
                cost,
                completion.request_id or (error.request_id if error else None) or "",
                error.kind if error else "",
                error.reason[:MESSAGE_LIMIT] if error else "",
                completion.answer or (error.raw if error else ""),
            )
        )
        if charge == "free":
            self.releases.append(at.attempt_id)
        elif cost is not None:
            self._settle(at, cost)
        # Charged, and nobody said how much: the hold stays until a person or the provider's bill says so.

    def _settle(self, at: Standing, cost: int) -> None:
        self.settlements.append(
            ledger.Settlement(
                at.attempt_id, cost, at.provider, at.model, at.category_path, at.person_name, at.run_id
            )
        )
        if cost > at.reserved_micros:
            self.news.append(
                Happening(
                    "budget",
                    "overshot",
                    str(at.attempt_id),
                    {"provider": at.provider, "charged": show(cost), "held": show(at.reserved_micros)},
                )
            )

    def _deltas(
        self,
        standing: dict[UUID, Standing],
        done_at: dict[UUID, datetime | None],
        booked: list[ledger.Booked],
        new_images: list[catalogue.NewImage],
    ) -> list[reports.Delta]:
        deltas = [
            reports.Delta(
                bucket_at=each.charged_at,
                provider=standing[each.attempt_id].provider,
                model=standing[each.attempt_id].model,
                simulated=standing[each.attempt_id].simulated,
                amount_micros=each.amount_micros,
            )
            for each in booked
        ]
        deltas += [
            reports.Delta(
                bucket_at=each.created_at,
                provider=standing[each.attempt_id].provider,
                model=standing[each.attempt_id].model,
                simulated=standing[each.attempt_id].simulated,
                images=1,
            )
            for each in new_images
        ]
        by_generation = {at.generation_id: at for at in standing.values()}
        for step in self.steps:
            at, ended = by_generation[step.generation_id], done_at.get(step.generation_id)
            if ended is None:
                continue
            completed = step.status == "completed"
            deltas.append(
                reports.Delta(
                    bucket_at=ended,
                    provider=at.provider,
                    model=at.model,
                    simulated=at.simulated,
                    completed=int(completed),
                    failed=int(step.status == "failed"),
                    cancelled=int(step.status == "cancelled"),
                    duration_s=(ended - at.started_at).total_seconds()
                    if completed and at.started_at
                    else None,
                )
            )
        return deltas


def _source_type(at: Standing) -> str:
    """What IPTC calls its image: no trained model made a simulated one, whatever it was made from."""
    if at.simulated:
        return "algorithmicMedia"
    return "compositeWithTrainedAlgorithmicMedia" if at.from_pictures else "trainedAlgorithmicMedia"
