"""People, roles, rights, and the audit log."""

from packshot.accounts.people import Actor, audit, first_administrator, of_user, this_shell, who_may
from packshot.accounts.rights import allows, matrix

__all__ = ["Actor", "allows", "audit", "first_administrator", "matrix", "of_user", "this_shell", "who_may"]
