"""Who acts: a signed-in person, or whoever runs the command line on the machine itself."""

import getpass
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from packshot.accounts.models import AuditEntry, Role, User
from packshot.accounts.rights import allows


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for something. `name` is copied into money rows, which outlive accounts."""

    id: UUID | None
    name: str
    role: str | None

    def may(self, right: str) -> bool:
        return allows(self.role, right)


def of_user(user: User) -> Actor:
    """The actor for a signed-in person; an inactive one holds nothing."""
    return Actor(user.id, user.username, user.role if user.is_active else None)


def this_shell() -> Actor:
    """Whoever runs the command line: access to the machine is access to the database anyway."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.geteuid())
    return Actor(None, f"cli:{name}", Role.ADMINISTRATOR)


def who_may(right: str) -> list[tuple[UUID, str]]:
    """The people who can sign in and hold this right, by name."""
    roles = [role for role in Role.values if allows(role, right)]
    found = User.objects.filter(is_active=True, role__in=roles).order_by("username")
    return list(found.values_list("id", "username"))


def audit(actor: Actor, action: str, subject: str, **detail: object) -> None:
    """Write down who did what, in the caller's transaction."""
    AuditEntry.objects.create(
        actor_id=actor.id, actor_name=actor.name, action=action, subject=subject, detail=dict(detail)
    )


def first_administrator(name: str = "admin") -> Mapping[str, str] | None:
    """Make the first account with a random password and return both, once; None when anybody exists."""
    with transaction.atomic():
        if User.objects.exists():
            return None
        password = secrets.token_urlsafe(15)
        user = User(username=name, role=Role.ADMINISTRATOR)
        user.set_password(password)
        user.save()
        audit(this_shell(), "create person", name, role=Role.ADMINISTRATOR)
    return {"name": name, "password": password}
