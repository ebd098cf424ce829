"""Stop all spending at once, and take it up again."""

from django.db import transaction

from packshot import events, ledger
from packshot.accounts import Actor, audit
from packshot.events import Happening
from packshot.kernel.errors import BadInput
from packshot.ledger import StopState


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
