"""What an administrator decides: which providers may spend, who may sign in, how the site is set."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from packshot import events, generations, ledger, preferences
from packshot.accounts import Actor, audit
from packshot.accounts.models import Role, User
from packshot.events import Happening
from packshot.flows.desk import quoting
from packshot.kernel.errors import BadInput
from packshot.ledger import BudgetState
from packshot.preferences.site import Value

# -- providers ---------------------------------------------------------------------------------

# More than any provider allows an account: a slip of the finger, and no limit.
MOST_AT_ONCE = 10_000
MOST_PER_MINUTE = 100_000


def switch_on(
    provider: str, actor: Actor, *, limit_micros: int | None, period: str = "month", zone: str | None = None
) -> BudgetState | None:
    """Let a provider with a key spend real money, within the site's limit, which is set here.

    `limit_micros` None keeps the limit that stands; without one, only what is free is switched on.
    """
    _may(actor, "manage_providers")
    with transaction.atomic():
        _lock(provider)
        state = generations.provider_switch(provider)
        assert state is not None, "its row is locked"
        if state.simulated:
            raise BadInput(
                f"{provider} runs on simulated money here and needs no switch. With its key in the "
                "environment it would spend real money, and be off until it is switched on",
                field="provider",
            )
        if not state.available:
            raise BadInput(
                f"{provider} is not set up here; `packshot doctor` says which variable to set",
                field="provider",
            )
        limit = ledger.spending_limit()
        if limit_micros is not None:
            limit = ledger.set_limit(
                limit_micros, period=period, zone=zone or preferences.get("time_zone"), simulated=False
            )
            generations.wake_waiting_for("budget")
        if limit is None and not is_free(provider):
            raise BadInput("real money needs a limit: add --limit DOLLARS", field="limit")
        generations.switch(provider, on=True)
        within = {} if limit is None else {"limit_micros": limit.limit_micros, "period": limit.period}
        audit(actor, "switch provider on", provider, **within)
        events.tell([Happening("provider", "on", provider, {"by": actor.name})])
    return limit


def is_free(provider: str) -> bool:
    """Whether a provider never charges anything, as one that runs on a machine of the team's."""
    adapter = quoting().get(provider)
    return adapter is not None and adapter.free


def switch_off(provider: str, actor: Actor) -> bool:
    """Send nothing more to a provider; what is on its way ends. False: it was off."""
    return _change(
        provider, actor, "off", "switch provider off", lambda: generations.switch(provider, on=False)
    )


def pause(provider: str, actor: Actor) -> bool:
    """Let a provider's queue wait until somebody resumes it. False: it waited already."""
    return _change(
        provider,
        actor,
        "paused",
        "pause provider",
        lambda: generations.pause(provider, kind="person", message=f"paused by {actor.name}"),
    )


def drain(provider: str, actor: Actor) -> bool:
    """Take no new request for a provider, and make what is queued. False: it took none already."""
    return _change(provider, actor, "draining", "drain provider", lambda: generations.drain(provider))


def set_limits(provider: str, actor: Actor, *, max_in_flight: int, per_minute: int | None) -> bool:
    """How many requests to a provider run at once, and begin in a minute; None: any number.

    False: they were so already.
    """
    if not 1 <= max_in_flight <= MOST_AT_ONCE:
        raise BadInput(
            f"from 1 to {MOST_AT_ONCE:,} requests run at once; to send none, pause the provider",
            field="max_in_flight",
        )
    if per_minute is not None and not 1 <= per_minute <= MOST_PER_MINUTE:
        raise BadInput(
            f"from 1 to {MOST_PER_MINUTE:,} requests begin in a minute, or any number", field="per_minute"
        )
    return _change(
        provider,
        actor,
        "limited",
        "set provider limits",
        lambda: generations.set_limits(provider, max_in_flight=max_in_flight, per_minute=per_minute),
        max_in_flight=max_in_flight,
        per_minute=per_minute,
    )


def resume(provider: str, actor: Actor) -> bool:
    """Let a paused, waiting or draining provider go on at once. False: it went on already."""
    return _change(provider, actor, "resumed", "resume provider", lambda: generations.resume(provider))


def _change(
    provider: str, actor: Actor, kind: str, action: str, act: Callable[[], bool], **detail: object
) -> bool:
    _may(actor, "manage_providers")
    with transaction.atomic():
        _lock(provider)
        changed = act()
        if changed:
            audit(actor, action, provider, **detail)
            events.tell([Happening("provider", kind, provider, {"by": actor.name})])
    return changed


def _lock(provider: str) -> None:
    if provider not in generations.lock_providers([provider]):
        raise BadInput(
            f"there is no provider {provider!r}; `packshot provider list` shows them", field="provider"
        )


# -- people ------------------------------------------------------------------------------------


def add_person(name: str, role: str, actor: Actor) -> str:
    """Make an account with a random password, which is returned and stored nowhere."""
    _may(actor, "manage_people")
    _check_role(role)
    password = _fresh_password()
    person = User(username=name.strip(), role=role)
    person.set_password(password)
    with transaction.atomic():
        if User.objects.filter(username__iexact=person.username).exists():
            raise BadInput(f"there is a person {name!r} already", field="name")
        try:
            person.full_clean(exclude=["password"])
        except ValidationError as problem:
            raise BadInput(f"{name!r} cannot be a name: {' '.join(problem.messages)}", field="name") from None
        person.save()
        audit(actor, "create person", person.username, role=role)
    return password


def renew_password(name: str, actor: Actor) -> str:
    """Give a person a new random password, which is returned; it ends their sessions."""
    _may(actor, "manage_people")
    password = _fresh_password()
    with transaction.atomic():
        person = _person(name)
        _not_oneself(person, actor, "change your own password on its own page, which keeps you signed in")
        person.set_password(password)
        person.save(update_fields=["password"])
        audit(actor, "renew password", person.username)
    return password


def set_access(name: str, actor: Actor, *, active: bool) -> bool:
    """Let a person sign in, or no longer. False: nothing changed. The last administrator stays."""
    _may(actor, "manage_people")
    with transaction.atomic():
        administrators = _administrators()
        person = _person(name)
        if person.is_active == active:
            return False
        _not_oneself(person, actor, "you cannot shut yourself out; another administrator can")
        if not active:
            _keep_one(administrators, person)
        person.is_active = active
        person.save(update_fields=["is_active"])
        audit(actor, "enable person" if active else "disable person", person.username)
    return True


def set_role(name: str, role: str, actor: Actor) -> bool:
    """Change what a person may do. False: nothing changed. The last administrator stays one."""
    _may(actor, "manage_people")
    _check_role(role)
    with transaction.atomic():
        administrators = _administrators()
        person = _person(name)
        if person.role == role:
            return False
        _not_oneself(person, actor, "you cannot change your own role; another administrator can")
        if role != Role.ADMINISTRATOR:
            _keep_one(administrators, person)
        was, person.role = person.role, role
        person.save(update_fields=["role"])
        audit(actor, "change role", person.username, was=was, role=role)
    return True


def _person(name: str) -> User:
    person = User.objects.select_for_update().filter(username__iexact=name.strip()).first()
    if person is None:
        raise BadInput(f"there is no person {name!r}; `packshot people list` shows them", field="name")
    return person


def _not_oneself(person: User, actor: Actor, remedy: str) -> None:
    # One slip and nobody could take it back; whoever runs the command line has no account to lose.
    if person.pk == actor.id:
        raise BadInput(remedy, field="name")


def _administrators() -> list[UUID]:
    """Those there are, locked in order and before anybody else: two who disable each other at the same moment
    must not both succeed, nor wait for each other."""
    found = User.objects.select_for_update().filter(role=Role.ADMINISTRATOR, is_active=True)
    return [each.pk for each in found.order_by("pk")]


def _keep_one(administrators: Sequence[UUID], leaving: User) -> None:
    if list(administrators) == [leaving.pk]:
        raise BadInput(f"{leaving.username} is the last administrator; make another one first", field="name")


def _check_role(role: str) -> None:
    if role not in Role.values:
        raise BadInput(f"a role is one of {', '.join(Role.values)}, not {role!r}", field="role")


def _fresh_password() -> str:
    return secrets.token_urlsafe(15)


# -- the site ----------------------------------------------------------------------------------


def set_preference(key: str, value: object, actor: Actor) -> Value:
    """Change a setting of the site; gives it back as it was understood."""
    _may(actor, "manage_settings")
    with transaction.atomic():
        understood = preferences.set(key, value, actor.name)
        audit(actor, "change setting", key, value=understood)
    return understood


class UnusableSettings(BadInput):
    """Some of the values cannot be used, and nothing was changed: why, by key."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


def set_preferences(values: Mapping[str, object], actor: Actor) -> dict[str, Value]:
    """Change several settings, all of them or none; gives back those that differ from before."""
    _may(actor, "manage_settings")
    problems: dict[str, str] = {}
    changed: dict[str, Value] = {}
    with transaction.atomic():
        before = preferences.everything()
        for key, value in values.items():
            try:
                understood = preferences.understand(key, value)
            except BadInput as problem:
                problems[key] = str(problem)
                continue
            if understood != before[key]:
                changed[key] = set_preference(key, understood, actor)
        if problems:
            raise UnusableSettings(problems)
    return changed


def _may(actor: Actor, right: str) -> None:
    if not actor.may(right):
        raise BadInput("only an administrator may do this")
