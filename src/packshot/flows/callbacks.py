"""Callbacks: the address that an attempt gives to its provider, the door behind it, and what follows.

The door verifies and stores, and decides nothing. A worker takes what was stored as a hint of where to look:
the state is fetched with our own key, and only what is fetched then counts. Nothing is ever sent again.
"""

import hashlib
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from packshot import events, generations
from packshot.flows.desk import Desk, quoting
from packshot.generations import Claim
from packshot.kernel.faults import fault_point
from packshot.providers.contract import CallbackAddress, CallsBack, Provider, Ticket
from packshot.providers.http import Answer
from packshot.providers.redact import redacted

# The largest body that is read. What providers send is a few hundred bytes, and at most a whole task.
BODY_BYTES = 64 * 1024
# 192 bits: beyond guessing, and short enough for an address.
_TOKEN_HEX = 48
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

Refusal = Literal["token", "signature"]


# -- the address ---------------------------------------------------------------------------------


def addresses(desk: Desk) -> Callable[[Provider, UUID], CallbackAddress | None]:
    """Where a provider may report an attempt; None where it could not reach this site, or does not report."""
    bases = _bases(desk)

    def address(provider: Provider, attempt_id: UUID) -> CallbackAddress | None:
        base = bases.get(provider.name)
        if base is None:
            return None
        return CallbackAddress(f"{base}/callbacks/{attempt_id}/{token(attempt_id)}", secret(attempt_id))

    return address


def come(desk: Desk) -> bool:
    """Whether any provider is given an address to report to."""
    return bool(_bases(desk))


def _bases(desk: Desk) -> dict[str, str]:
    return {
        name: base
        for name, provider in desk.providers.items()
        if isinstance(provider, CallsBack) and (base := _base(simulated=desk.simulated[name]))
    }


def _base(*, simulated: bool) -> str | None:
    """The site's address as a provider sees it: on the internet, or here for the simulator."""
    parts = urlsplit(settings.CALLBACK_URL)
    here = parts.hostname in _LOOPBACK
    reaches = here and parts.scheme == "http" if simulated else not here and parts.scheme == "https"
    return str(settings.CALLBACK_URL) if reaches and parts.hostname else None


def token(attempt_id: UUID) -> str:
    """What stands behind the attempt's number in its address. Made anew each time and stored nowhere."""
    return _derived("packshot callback address", attempt_id)[:_TOKEN_HEX]


def secret(attempt_id: UUID) -> str:
    """What the provider signs its callbacks of this attempt with."""
    return _derived("packshot callback signature", attempt_id)


def _derived(purpose: str, attempt_id: UUID) -> str:
    return salted_hmac(purpose, str(attempt_id), algorithm="sha256").hexdigest()


# -- the door ------------------------------------------------------------------------------------


def receive(
    attempt_id: UUID, given_token: str, body: bytes, headers: Mapping[str, str]
) -> Refusal | Literal["unknown", "stored"]:
    """Keep what a provider says, once, and wake the workers. Header names are in lower case.

    Whoever does not know the token costs one hash: the database is not asked.
    """
    if not constant_time_compare(given_token, token(attempt_id)):
        return "token"
    call = generations.called(attempt_id)
    if call is None:
        return "unknown"
    reader = _reader(quoting().get(call[0]))
    if reader is not None and reader.vouches(body, headers, secret(attempt_id)) is False:
        return "signature"
    with transaction.atomic():
        if generations.store_callback(
            attempt_id,
            sha256=hashlib.sha256(body).hexdigest(),
            task=_usable(reader.task_of(body) if reader is not None else None),
            # Some proxies of Midjourney repeat the address in what they report.
            body=redacted(Answer(200, {}, body), secrets=[secret(attempt_id), given_token]),
        ):
            events.wake()
    fault_point("callback.stored")
    return "stored"


def _reader(provider: object) -> CallsBack | None:
    return provider if isinstance(provider, CallsBack) else None


def _usable(task: str | None) -> str:
    return task if task and len(task) <= 200 and task.isascii() and task.isprintable() else ""


# -- what follows ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """Attempts of this process to look at now, and tickets that it took up, or looks with once."""

    look_at: frozenset[UUID]
    claims: list[Claim]


def heed(desk: Desk, *, process_id: UUID, running: Set[UUID]) -> Heard:
    """Take note of what providers said. `running`: the attempts that this process waits for.

    An attempt that waits with a ticket is looked at now. One whose submission was never answered gets a
    ticket from the task that the callback names, and is collected like any other. One that was closed
    without an image is looked at once: what was made is kept. Anything else is too late to matter.
    """
    readers = {name: reader for name, each in desk.providers.items() if (reader := _reader(each))}
    with transaction.atomic():
        told = generations.unheeded(process_id, [(name, desk.simulated[name]) for name in readers])
        if not told:
            return Heard(frozenset(), [])
        own = {
            each.attempt_id for each in told if each.has_ticket and each.state in ("accepted", "uncertain")
        }
        # One task per attempt, the first that was named and is not another's.
        named: dict[UUID, Ticket] = {}
        for each in told:
            if each.task and not each.astray and each.attempt_id not in own:
                named.setdefault(each.attempt_id, readers[each.provider].ticket_of(each.task))
        unresolved = {each.attempt_id for each in told if each.state == "uncertain"} - own
        # Another task for the same attempt has its turn when the first came to nothing.
        later = {
            each.id
            for each in told
            if each.attempt_id in unresolved & named.keys()
            and each.task
            and not each.astray
            and each.task != named[each.attempt_id].request_id
        }
        claims = generations.take_up(
            {
                attempt_id: (named[attempt_id].state, named[attempt_id].request_id or "")
                for attempt_id in _each_task_once(named)
                if attempt_id in unresolved
            },
            process_id=process_id,
        )
        # Also one that was closed between the two looks.
        others = named.keys() - {claim.attempt_id for claim in claims}
        claims += [
            generations.with_ticket(claim, named[claim.attempt_id].state)
            for claim in generations.late({each: named[each].request_id or "" for each in sorted(others)})
        ]
        # Own tickets that nobody here waits for are found, and looked at, by the next sweep.
        generations.heeded([each.id for each in told if each.id not in later])
        fault_point("callback.heeded")
    return Heard(frozenset(own & running), claims)


def drop_ticket(attempt_id: UUID) -> None:
    """A ticket made from a callback told nothing: the attempt stays uncertain; another callback may help."""
    with transaction.atomic():
        generations.drop_ticket(attempt_id)


def _each_task_once(named: Mapping[UUID, Ticket]) -> list[UUID]:
    """The attempts in order, without those that name a task which an earlier one named."""
    seen: dict[str, UUID] = {}
    for attempt_id, ticket in named.items():
        seen.setdefault(ticket.request_id or "", attempt_id)
    return list(seen.values())
