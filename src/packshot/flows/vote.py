"""Voting on images whose providers nobody sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

from django.db import transaction

from packshot.accounts import Actor
from packshot.kernel.errors import BadInput
from packshot.quality import votes
from packshot.quality.votes import Verdict
from packshot.reports import voting
from packshot.reports.voting import Next, Round

MOST_BESIDE = 4


@dataclass(frozen=True, slots=True)
class Voted:
    """A round that was answered. `best`: the place of the best image in it, where one is."""

    round: Round
    verdict: Verdict
    best: int | None


def round_of(product_id: UUID, actor: Actor, *, size: int) -> Round | None:
    """What this person may vote on of a product; None: nothing is left."""
    return voting.round_of(product_id, _voter(actor), size=min(size, MOST_BESIDE))


def vote(
    product_id: UUID,
    round_id: UUID,
    actor: Actor,
    *,
    size: int,
    best: int | None,
    verdict: Verdict = "better",
) -> Voted:
    """Say which image of a round is the best, by its place; or, without one, that all are `equal` or that
    `neither` is good. Refused when other images stand there by now."""
    person = _voter(actor)
    with transaction.atomic():
        shown = round_of(product_id, actor, size=size)
        if shown is None or shown.id != round_id:
            raise BadInput(
                "the images have changed since, or you have voted on them; look again", field="round"
            )
        ids = [each.image_id for each in shown.images]
        if verdict == "better":
            if best is None or not 0 <= best < len(ids):
                raise BadInput("there is no such image in this round", field="best")
            pairs = [(ids[best], each) for each in ids if each != ids[best]]
        else:
            best, pairs = None, _all_pairs(ids)
        if votes.cast(pairs, verdict, round_id=shown.id, person_id=person) != len(pairs):
            # The same person in another window, at the same moment: the earlier answer holds as a whole.
            raise BadInput("you have voted on these images already", field="round")
    return Voted(shown, verdict, best)


def take_back(round_id: UUID, actor: Actor) -> int:
    """Withdraw what this person said in a round. Doing it again changes nothing."""
    return votes.withdraw(round_id, person_id=_voter(actor))


def next_product(actor: Actor, *, after: UUID | None) -> Next:
    """Where this person goes on."""
    return voting.next_product(_voter(actor), after=after)


def _all_pairs(ids: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    return list(combinations(sorted(ids), 2))


def _voter(actor: Actor) -> UUID:
    if actor.id is None or not actor.may("review"):
        raise BadInput("your role may not vote on images")
    return actor.id
