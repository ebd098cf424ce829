"""Products that need attention: put off, shown again, given to somebody."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from packshot import accounts, events
from packshot.accounts import Actor, audit
from packshot.catalogue import triage
from packshot.events import Happening
from packshot.kernel.errors import BadInput
from packshot.reports import attention

MOST_AT_ONCE = 1_000
LONGEST_DAYS = 365


def snooze(product_ids: Sequence[UUID], days: int, actor: Actor) -> list[UUID]:
    """Put these products off, each for what is wrong with it now. Returns those that had something wrong."""
    _may(product_ids, actor)
    if not 1 <= days <= LONGEST_DAYS:
        raise BadInput(f"put it off for 1 to {LONGEST_DAYS} days", field="days")
    with transaction.atomic():
        issues = attention.issues_of(product_ids)
        if issues:
            triage.snooze(issues, days, actor.name)
            _tell([each for each, _ in issues], "snoozed", actor, days=days)
    return [each for each, _ in issues]


def wake(product_ids: Sequence[UUID], actor: Actor) -> int:
    """Show these products again. Returns how many were put off."""
    _may(product_ids, actor)
    with transaction.atomic():
        woken = triage.wake(product_ids)
        if woken:
            _tell(product_ids, "woken", actor)
    return woken


def assign(product_ids: Sequence[UUID], person_id: UUID | None, actor: Actor) -> str:
    """Give these products to somebody who may do something about them, or to nobody. Returns the name."""
    _may(product_ids, actor)
    name = dict(accounts.who_may("generate")).get(person_id, "") if person_id else ""
    if person_id and not name:
        raise BadInput("nobody here by that name may see to it; choose another person", field="person")
    with transaction.atomic():
        triage.assign(product_ids, person_id)
        _tell(product_ids, "assigned", actor, to=name)
    return name


def _may(product_ids: Sequence[UUID], actor: Actor) -> None:
    if not actor.may("generate"):
        raise BadInput("your role may not decide about products")
    if len(product_ids) > MOST_AT_ONCE:
        raise BadInput(f"more than {MOST_AT_ONCE:,} products at once; narrow the list", field="products")


def _tell(product_ids: Sequence[UUID], what: str, actor: Actor, **detail: object) -> None:
    audit(
        actor, f"{what} products", f"{len(product_ids)} products", ids=list(map(str, product_ids)), **detail
    )
    events.tell([Happening("product", what, str(each), {"by": actor.name}) for each in product_ids])
