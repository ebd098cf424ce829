"""Deciding about images: approved, rejected for a reason, taken back."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from packshot import events, preferences, reports
from packshot.accounts import Actor, audit
from packshot.events import Happening
from packshot.generations import SHARED_SLOT
from packshot.kernel.errors import BadInput
from packshot.quality import reviews
from packshot.quality.reviews import Decision, Turned
from packshot.reports import Delta, reviewing

MOST_AT_ONCE = 1_000
LONGEST_REASON = 200
# What reviewers find wrong, in the words that are counted; they may write another.
REASONS = (
    "wrong product",
    "wrong shape",
    "wrong colour",
    "wrong text",
    "looks artificial",
    "bad background",
    "cropped",
)


@dataclass(frozen=True, slots=True)
class Decided:
    """Images whose standing changed, and how many were left because who asked for them may not decide."""

    turned: tuple[Turned, ...]
    own: int


def decide(image_ids: Sequence[UUID], decision: Decision, reason: str, actor: Actor) -> Decided:
    """Approve or reject these images. A rejection says why. With the four-eyes setting nobody decides about
    what they asked for themselves: such images are left as they are, and counted."""
    _may(image_ids, actor)
    reason = " ".join(reason.split())
    if decision == "rejected" and not reason:
        raise BadInput("say what is wrong with it", field="reason")
    if len(reason) > LONGEST_REASON:
        raise BadInput(f"the reason is longer than {LONGEST_REASON} characters", field="reason")
    with transaction.atomic():
        mine = _asked_by(image_ids, actor) if preferences.get("four_eyes") else set()
        allowed = [each for each in dict.fromkeys(image_ids) if each not in mine]
        if mine and not allowed:
            raise BadInput("somebody else has to decide about what you asked for yourself", field="image")
        turned = reviews.decide(allowed, decision, reason, by_id=actor.id, by_name=actor.name)
        _settle(turned, actor, decision, reason=reason)
    return Decided(tuple(turned), len(mine))


def withdraw(image_ids: Sequence[UUID], actor: Actor) -> list[Turned]:
    """Take the decisions about these images back; each waits again."""
    _may(image_ids, actor)
    with transaction.atomic():
        turned = reviews.withdraw(image_ids)
        _settle(turned, actor, "undecided")
    return turned


def is_own(asked_by_id: UUID | None, actor: Actor) -> bool:
    """Whether somebody else has to decide about what this person asked for."""
    return actor.id is not None and asked_by_id == actor.id and preferences.get("four_eyes")


def _may(image_ids: Sequence[UUID], actor: Actor) -> None:
    if not actor.may("review"):
        raise BadInput("your role may not decide about images")
    if len(image_ids) > MOST_AT_ONCE:
        raise BadInput(f"more than {MOST_AT_ONCE:,} images at once; narrow the list", field="image")


def _asked_by(image_ids: Sequence[UUID], actor: Actor) -> set[UUID]:
    if actor.id is None:
        return set()
    return {fact.image_id for fact in reviewing.facts(image_ids) if fact.asked_by_id == actor.id}


def _settle(turned: Sequence[Turned], actor: Actor, what: str, **detail: str) -> None:
    """The figures, the audit log and the news of it, in the caller's transaction."""
    if not turned:
        return
    facts = {fact.image_id: fact for fact in reviewing.facts([each.image_id for each in turned])}
    deltas = []
    for each in turned:
        step = (each.after == "approved") - (each.before == "approved")
        fact = facts[each.image_id]
        if step and fact.made:
            deltas.append(Delta(fact.created_at, fact.provider, fact.model, fact.simulated, approved=step))
    reports.add(deltas, slot=SHARED_SLOT)
    changes = [[str(each.image_id), each.before, each.after] for each in turned]
    audit(actor, f"{what} images", f"{len(turned)} images", changes=changes, **detail)
    events.tell(
        [
            Happening(
                "image",
                what,
                str(each.image_id),
                {"product": str(facts[each.image_id].product_id), "by": actor.name},
            )
            for each in turned
        ]
    )
