"""Budgets, and the switch that stops all spending at once."""

from uuid import UUID

from django.db import transaction

from packshot import events, generations, ledger
from packshot.accounts import Actor, audit
from packshot.events import Happening
from packshot.kernel.errors import BadInput
from packshot.kernel.money import show
from packshot.ledger import BudgetState, Limit, StopState


def stop(actor: Actor) -> StopState:
    """From this commit on nothing more is sent; what is on its way ends. Stopping twice changes nothing."""
    if not actor.may("stop_spending"):
        raise BadInput("your role may not stop spending")
    return _turn(actor, stop=True)


def resume(actor: Actor) -> StopState:
    """What waited goes on. Resuming what runs changes nothing."""
    if not actor.may("resume_spending"):
        raise BadInput("only an administrator resumes spending")
    return _turn(actor, stop=False)


def _turn(actor: Actor, *, stop: bool) -> StopState:
    with transaction.atomic():
        before = ledger.stop_state()
        now = ledger.stop_spending(actor.name) if stop else ledger.resume_spending(actor.name)
        if now.version != before.version:
            word = "stopped" if now.stopped else "resumed"
            audit(actor, "stop spending" if stop else "resume spending", "site", version=now.version)
            events.tell([Happening("spending", word, "site", {"by": actor.name})])
    return now


# -- budgets -----------------------------------------------------------------------------------


def add_budget(limit: Limit, actor: Actor) -> BudgetState:
    """Make a budget. It counts what its current period has cost already."""
    _may(actor)
    with transaction.atomic():
        made = ledger.add_budget(limit)
        _written(actor, "add budget", made, "added")
    return made


def change_budget(
    budget_id: UUID,
    actor: Actor,
    *,
    limit_micros: int,
    name: str | None = None,
    period: str | None = None,
    zone: str | None = None,
) -> BudgetState:
    """Change a budget. What waited for it is looked at again."""
    _may(actor)
    with transaction.atomic():
        changed = ledger.change_budget(
            budget_id, limit_micros=limit_micros, name=name, period=period, zone=zone
        )
        generations.wake_waiting_for("budget")
        _written(actor, "change budget", changed, "changed")
    return changed


def archive_budget(budget_id: UUID, actor: Actor) -> BudgetState:
    """Take a budget away. The site's limit on real money stays: without it nothing real is sent at all."""
    _may(actor)
    with transaction.atomic():
        gone = ledger.archive_budget(budget_id)
        generations.wake_waiting_for("budget")
        _written(actor, "archive budget", gone, "archived")
    return gone


def tell_crossings() -> int:
    """Announce budgets of which half, four fifths or all was spent since the last look. Returns how many."""
    with transaction.atomic():
        crossed = ledger.cross()
        events.tell(
            [
                Happening(
                    "budget",
                    "crossed",
                    str(each.budget_id),
                    {
                        "name": each.name,
                        "period": each.period,
                        "percent": each.percent,
                        "spent": show(each.spent_micros),
                        "limit": show(each.limit_micros),
                        "simulated": each.simulated,
                    },
                )
                for each in crossed
            ]
        )
    return len(crossed)


def _may(actor: Actor) -> None:
    if not actor.may("manage_budgets"):
        raise BadInput("only an administrator changes budgets")


def _written(actor: Actor, action: str, budget: BudgetState, kind: str) -> None:
    audit(
        actor, action, budget.name, limit_micros=budget.limit_micros, period=budget.period, scope=budget.scope
    )
    events.tell([Happening("budget", kind, str(budget.id), {"name": budget.name, "by": actor.name})])
