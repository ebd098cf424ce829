"""The simulator of the providers, as an administrator sets it: what goes wrong, what it charges, its bill.

It is asked over its control door with the token of its state folder. What is set holds until it is taken
back or the simulator starts again.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from pydantic import ValidationError

from packshot import ledger
from packshot.accounts import Actor, audit
from packshot.flows import reconcile
from packshot.flows.desk import simulator_url, uses_simulator
from packshot.kernel.errors import BadInput
from packshot.simulator import Control, Rule
from packshot.simulator.book import count_charges, read_charges
from packshot.simulator.faults import DialectName, InForce
from packshot.simulator.kinds import KINDS, Kind, kind_of
from packshot.simulator.state import read_token

PROVIDERS: tuple[DialectName, ...] = get_args(DialectName)
# It answers at once or it hangs; a page does not wait longer for it.
_PATIENCE_S = 5.0
_DEAREST = 1000
_FACTOR = re.compile(r"\d{1,4}(?:\.\d{1,6})?")
_RULES_MOST = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """A fault as a person describes it: what goes wrong, at whom, how often."""

    kind: str
    provider: str | None = None  # None: at all of them
    share: float = 1.0  # of the requests that it fits, from 0 to 1
    count: int | None = None  # at most so many times
    after: int = 0  # so many go well first
    prompt: str | None = None  # only where the prompt holds this
    path: str | None = None  # requests to these addresses in place of the paid ones
    seconds: float | None = None  # how long to wait, or how late it answers; by the kind
    status: int | None = None  # of `answer`
    charged: bool | None = None  # None: as the provider would
    seed: int | None = None  # of the chance; None: another one for each rule


class UnusableFault(BadInput):
    """Some of a wish cannot be: why, by the field of `Wish`."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(problems.values()), field=next(iter(problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Standing:
    """What is set now: the faults in force, and how many times its published prices each provider charges."""

    faults: Sequence[InForce]
    prices: Mapping[str, Fraction]


# -- the running simulator -------------------------------------------------------------------------


def folder() -> Path:
    """Where the simulator of this installation keeps its bill and its token."""
    return Path(settings.DATA) / "simulator"


def standing() -> Standing:
    """What is set now. BadInput says why it cannot be asked."""
    control = _control()
    prices = control.prices()
    return Standing(control.faults(), {name: prices.get(name, Fraction(1)) for name in PROVIDERS})


def add_fault(wish: Wish, actor: Actor) -> InForce:
    """From the next request on this goes wrong, too. UnusableFault names what of the wish cannot be."""
    _may(actor)
    control = _control()
    in_force = control.faults()
    taken = {each.rule.seed for each in in_force}
    rule = understood(wish, seed=next(seed for seed in count() if seed not in taken))
    if len(in_force) >= _RULES_MOST:
        raise BadInput(f"there are {_RULES_MOST} faults already; take some away first", field="kind")
    added = control.add_fault(rule)
    _write_down(actor, "add simulator fault", rule)
    return added


def remove_fault(rule_id: str, actor: Actor) -> InForce | None:
    """Take one fault away; gives it back as it stood, or None when it was gone already."""
    _may(actor)
    removed = _control().remove_fault(rule_id)
    if removed is not None:
        _write_down(actor, "remove simulator fault", removed.rule)
    return removed


def calm(actor: Actor) -> int:
    """Take every fault away. Returns how many there were."""
    _may(actor)
    control = _control()
    before = control.faults()
    control.set_faults()
    if before:
        with transaction.atomic():
            audit(actor, "calm simulator", "simulator", faults=[_as_detail(each.rule) for each in before])
    return len(before)


def set_price(provider: str, typed: str, actor: Actor) -> Fraction:
    """From the next request on the provider charges so many times its published prices, such as `1.5`."""
    _may(actor)
    times = factor(provider, typed)
    control = _control()
    before = control.prices().get(provider, Fraction(1))
    if times != before:
        control.set_price(provider, times)
        with transaction.atomic():
            audit(actor, "set simulator price", provider, times=str(times), before=str(before))
    return times


def factor(provider: str, typed: str) -> Fraction:
    """What prices of a provider are multiplied with, as typed. Raises BadInput."""
    if provider not in PROVIDERS:
        raise BadInput(
            f"the simulator has no provider {provider!r}; it has {', '.join(PROVIDERS)}", field="provider"
        )
    plain = typed.strip()
    if not _FACTOR.fullmatch(plain) or Fraction(plain) > _DEAREST:
        raise BadInput(
            f"{typed!r} is not how many times; write a number from 0 to {_DEAREST:,} such as 1.5",
            field="times",
        )
    return Fraction(plain)


def understood(wish: Wish, *, seed: int = 0) -> Rule:
    """The rule that does what `wish` says, with this seed where it names none. UnusableFault names each part
    that cannot be."""
    kind = KINDS.get(wish.kind)
    if kind is None:
        raise UnusableFault({"kind": f"there is no fault {wish.kind!r}; there are {', '.join(KINDS)}"})
    problems = _problems(wish, kind)
    fields: dict[str, Any] = {
        "action": kind.action,
        "dialect": wish.provider,
        "probability": wish.share,
        "times": wish.count,
        "after": wish.after,
        "prompt": wish.prompt,
        "status": wish.status,
        "charged": wish.charged,
        # Two rules with the same chance would meet the same requests.
        "seed": wish.seed if wish.seed is not None else seed,
        "path": wish.path,
        **kind.given,
    }
    if wish.seconds is not None and kind.seconds:
        fields[kind.seconds] = wish.seconds
    if problems:
        raise UnusableFault(problems)
    try:
        return Rule.model_validate(fields)
    except ValidationError as error:
        raise UnusableFault(
            {_FIELDS.get(_place(each), "kind"): _said(each) for each in error.errors()}
        ) from None


def kind_in_force(rule: Rule) -> Kind:
    """The kind that a rule is of, whoever wrote it."""
    return kind_of(rule.action, path=rule.path, variant=rule.variant)


def in_words(rule: Rule) -> str:
    """What a rule does, without how often: `Busy: 429, too many requests, asks to wait 7 s`."""
    kind = kind_in_force(rule)
    parts = [kind.words + (f" ({rule.status})" if rule.action == "answer" else "")]
    if kind.seconds and (seconds := getattr(rule, kind.seconds)):
        parts.append(f"{'asks to wait' if kind.seconds == 'retry_after_s' else 'after'} {seconds:g} s")
    if rule.charged is not None:
        parts.append("charged" if rule.charged else "free")
    if rule.after:
        parts.append(f"the first {rule.after:,} go well")
    if rule.nth is not None:
        which = (rule.nth,) if isinstance(rule.nth, int) else rule.nth
        parts.append(f"only number {', '.join(map(str, which))}")
    if rule.path is not None and "path" not in kind.given:
        parts.append(f"at {rule.path}")
    parts += [f"where the prompt holds “{words}”" for words in (rule.prompt, rule.prompt_regex) if words]
    return ", ".join(parts)


_FIELDS = {
    "dialect": "provider",
    "probability": "share",
    "times": "count",
    "after": "after",
    "status": "status",
    "retry_after_s": "seconds",
    "delay_s": "seconds",
    "path": "path",
    "seed": "seed",
}
_SECONDS_MOST = 3600.0
_COUNT_MOST = 1_000_000


def _problems(wish: Wish, kind: Kind) -> dict[str, str]:
    """What Rule itself cannot know, or would say in its own words only."""
    found: dict[str, str] = {}
    if wish.provider is not None and wish.provider not in PROVIDERS:
        found["provider"] = f"the simulator has no provider {wish.provider!r}; it has {', '.join(PROVIDERS)}"
    elif wish.provider is not None and wish.provider not in kind.where:
        found["kind"] = f"this never happens at {wish.provider}, only at {', '.join(kind.where)}"
    if not 0 < wish.share <= 1:
        found["share"] = "the share of requests is more than 0 and at most all of them"
    if wish.count is not None and not 1 <= wish.count <= _COUNT_MOST:
        found["count"] = f"how many times is a whole number from 1 to {_COUNT_MOST:,}"
    if not 0 <= wish.after <= _COUNT_MOST:
        found["after"] = f"how many go well first is a whole number from 0 to {_COUNT_MOST:,}"
    if wish.seconds is not None and not kind.seconds:
        found["seconds"] = f"“{kind.words}” has no time to choose"
    elif wish.seconds is not None and not 0 <= wish.seconds <= _SECONDS_MOST:
        found["seconds"] = f"seconds are from 0 to {_SECONDS_MOST:,.0f}"
    if (kind.name == "answer") != (wish.status is not None):
        found["status"] = (
            "this needs its HTTP status, from 200 to 599"
            if kind.name == "answer"
            else f"“{kind.words}” has a status of its own"
        )
    elif wish.status is not None and not 200 <= wish.status <= 599:
        found["status"] = "an HTTP status is from 200 to 599"
    if wish.path is not None and "path" in kind.given:
        found["path"] = f"“{kind.words}” is about reports, and has an address of its own"
    return found


def _place(error: Mapping[str, Any]) -> str:
    return str(error["loc"][0]) if error["loc"] else ""


def _said(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def _control() -> Control:
    """The way to the simulator that this site runs on. BadInput says why there is none."""
    if not uses_simulator():
        raise BadInput("this site does not run on the simulator: its providers are the real ones")
    address = simulator_url()
    if address is None:
        raise BadInput("no simulator is running; start it with `packshot up` or `packshot simulate`")
    try:
        token = read_token(folder())
    except FileNotFoundError:
        raise BadInput(
            f"the simulator on {address} keeps its state in another folder than {folder()}: "
            "it is set where it was started"
        ) from None
    except OSError as problem:
        raise BadInput(f"the simulator's token in {folder()} cannot be read: {problem.strerror}") from None
    return Control(folder(), address, token, patience_s=_PATIENCE_S)


def _write_down(actor: Actor, action: str, rule: Rule) -> None:
    with transaction.atomic():
        audit(actor, action, rule.dialect or "simulator", rule=_as_detail(rule))


def _as_detail(rule: Rule) -> dict[str, object]:
    return rule.model_dump(mode="json", exclude_defaults=True)


def _may(actor: Actor) -> None:
    if not actor.may("manage_providers"):
        raise BadInput("only an administrator may do this")


# -- its bill beside the ledger --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reason:
    """Why bill and ledger differ, of one sort: how many requests, what it adds to the difference, what is
    held for them. Amounts in micro-dollars."""

    words: str
    count: int
    difference_micros: int
    held_micros: int


@dataclass(frozen=True, slots=True)
class Beside:
    """One provider's bill beside the ledger's simulated money. Amounts in micro-dollars."""

    provider: str
    charges: int
    billed_micros: int
    booked_micros: int
    held_micros: int
    reasons: tuple[Reason, ...]

    @property
    def difference_micros(self) -> int:
        """What was billed and is not booked; less than nothing where more is booked."""
        return self.billed_micros - self.booked_micros

    @property
    def unexplained_micros(self) -> int:
        return self.difference_micros - sum(each.difference_micros for each in self.reasons)


# By the kind of a difference; what is held is named by where its attempt stands.
_BILLED = {
    "unknown_request": "billed, and no attempt names the request: its answer got lost, or is on its way",
    "billed_twice": "billed more than once for one request",
    "amount": "billed at another price than was booked",
    "not_billed": "booked, and not on the bill",
}
_HELD = {
    "intent": "about to be sent",
    "sending": "on their way",
    "accepted": "being made",
    "uncertain": "uncertain: nobody knows the cost",
}
_UNPRICED = "charged, at a price that is not known here"


def charges() -> int:
    """How many charges the bill has."""
    return count_charges(folder())


def bill() -> list[Beside]:
    """What the simulator charged by provider beside what is booked, and why they differ, to the last
    micro-dollar. It is read from disk, also while no simulator runs."""
    if not charges():
        raise BadInput(f"no simulator has charged anything in {folder()} yet")
    lines: dict[str, list[reconcile.BillLine]] = {name: [] for name in PROVIDERS}
    for each in read_charges(folder()):
        lines[each.dialect].append(reconcile.BillLine(each.reference, each.dollars))
    # After the bill: what was charged meanwhile shows as held, never as billed to nobody.
    held = {each.attempt_id: each.state for each in ledger.held() if each.simulated}
    return [_beside(name, lines[name], held) for name in PROVIDERS]


def _beside(provider: str, lines: Sequence[reconcile.BillLine], held: Mapping[UUID, str]) -> Beside:
    found = reconcile.compare(
        provider,
        lines,
        start=datetime(1970, 1, 1, tzinfo=UTC),
        end=timezone.now() + timedelta(days=1),
        simulated=True,
    )
    return Beside(
        provider,
        len(lines),
        found.billed_micros,
        found.booked_micros,
        found.held_micros,
        tuple(_reasons(found.differences, held)),
    )


def _reasons(found: Iterable[reconcile.Difference], held: Mapping[UUID, str]) -> list[Reason]:
    counts: Counter[str] = Counter()
    added: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for each in found:
        words = _BILLED.get(each.kind) or _held_words(each, held)
        counts[words] += 1
        added[words] += (each.billed_micros or 0) - (each.booked_micros or 0)
        kept[words] += each.held_micros or 0
    reasons = [Reason(words, several, added[words], kept[words]) for words, several in counts.items()]
    return sorted(reasons, key=lambda each: (-abs(each.difference_micros), each.words))


def _held_words(each: reconcile.Difference, held: Mapping[UUID, str]) -> str:
    state = held.get(each.attempt_id) if each.attempt_id else None
    why = _HELD.get(state or "", _UNPRICED)
    return f"billed and held, {why}" if each.kind == "held_billed" else f"held, {why}"
