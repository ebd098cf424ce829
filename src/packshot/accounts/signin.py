"""How people get in: accounts are made by an administrator, never by a visitor."""

from typing import ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

_MISMATCH = "That name and password do not match."


class ClosedSite(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth with its open sign-up shut, in our words, and with pages for an answer whatever is sent."""

    error_messages: ClassVar = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": _MISMATCH,
        "email_password_mismatch": _MISMATCH,
        "too_many_login_attempts": "Too many tries. Wait five minutes.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        # A JSON body would get its answer in JSON, on a path that no page of ours uses and no test walks.
        return False
