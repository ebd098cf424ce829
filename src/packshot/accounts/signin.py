"""How people get in: accounts are made by an administrator, never by a visitor."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedSite(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth with its open sign-up shut."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
