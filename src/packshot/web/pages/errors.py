"""What people see when a page cannot be shown: what happened and what to do next, never how it is built."""

import logging
import sys
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from packshot.kernel.ids import uuid7
from packshot.web.jinja import choices_of
from packshot.web.security import actor_of, wants_page

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a page is not shown, in words."""

    status: int
    icon: str
    title: str
    advice: str
    reference: str = ""


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    # A host that is not ours: nothing of the session is looked at.
    return _bare(
        request,
        Trouble(
            400,
            "circle-alert",
            "This request cannot be understood",
            "Open the site by the address that its administrator gave you.",
        ),
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if not wants_page(request):
        return _plain(Trouble(403, "lock", "Not allowed for your role", "Nothing was changed."))
    return _answer(
        request,
        Trouble(
            403,
            "lock",
            "This page is not for your role",
            "Ask an administrator if you need it.",
        ),
    )


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token is missing or old: signed out elsewhere, or sent from another site."""
    log.warning("%s %s refused: %s", request.method, request.path, reason)
    return _answer(
        request,
        Trouble(
            403,
            "shield-alert",
            "This form is too old",
            f"Nothing was changed. {'Go back, load' if wants_page(request) else 'Load'} the page again and "
            "send it once more.",
        ),
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(
        request,
        Trouble(404, "search-x", "There is nothing here", "The address may be old or mistyped."),
    )


def too_many(request: HttpRequest) -> HttpResponse:
    return _answer(
        request,
        Trouble(429, "timer", "Too many tries", "Wait five minutes, then try again."),
    )


def broken(request: HttpRequest) -> HttpResponse:
    """A mistake of ours, or a database that is away. The log holds the same reference and the whole story."""
    reference = uuid7().hex[-8:].upper()
    log.error("reference %s: %s %s", reference, request.method, request.path, exc_info=sys.exc_info())
    return _bare(
        request,
        Trouble(
            500,
            "server-crash",
            "Something broke on our side",
            "Try again in a moment. If it stays, tell an administrator the reference.",
            reference,
        ),
    )


def _answer(request: HttpRequest, trouble: Trouble) -> HttpResponse:
    if not wants_page(request):
        return _plain(trouble)
    if actor_of(request).role is None:
        return _bare(request, trouble)
    page = render_to_string("pages/error.html", {"trouble": trouble}, request)
    return HttpResponse(page, status=trouble.status)


def _bare(request: HttpRequest, trouble: Trouble) -> HttpResponse:
    """Without navigation and without a look at the database, which may be what broke."""
    if not wants_page(request):
        return _plain(trouble)
    page = render_to_string(
        "pages/error_bare.html", {"trouble": trouble, "choices": choices_of(request), "language": "en"}
    )
    return HttpResponse(page, status=trouble.status)


def _plain(trouble: Trouble) -> HttpResponse:
    text = f"{trouble.title}. {trouble.advice}"
    if trouble.reference:
        text += f" Reference {trouble.reference}."
    return HttpResponse(text, status=trouble.status, content_type="text/plain; charset=utf-8")
