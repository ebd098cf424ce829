"""What stands before every page: the response headers, and the rule that a view without a right is shut."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_string

from packshot import accounts
from packshot.accounts import Actor

log = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
    "magnetometer=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # What a view does not allow to be kept is private: the next person at this machine must not find it.
    "Cache-Control": "no-store",
}

# What only a document heeds, and what is never one: a page takes twenty of them, and 500 bytes each.
_OF_DOCUMENTS = {"Content-Security-Policy", "Permissions-Policy", "X-Frame-Options"}
_NO_DOCUMENTS = ("text/javascript", "text/css", "font/")

WORTH_ZIPPING_BYTES = 1000
_NOBODY = Actor(None, "", None)
_RIGHT = "right_needed"

View = TypeVar("View", bound=Callable[..., object])
_Next = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


def needs(right: str) -> Callable[[View], View]:
    """Declare the right (of rights.toml) that a view asks for. A view that declares none is never served."""
    if right not in accounts.matrix():
        raise LookupError(f"rights.toml has no right {right!r}")

    def declare(view: View) -> View:
        cast(Any, view).__dict__[_RIGHT] = right
        return view

    return declare


def right_of(view: object) -> str | None:
    """The right a view declares, or None when it declares none."""
    return getattr(view, _RIGHT, None)


def actor_of(request: HttpRequest) -> Actor:
    """Who asks. Only the session says so: nothing in the query, the body or a header can."""
    actor = getattr(request, "actor", None)
    if actor is None:
        user = getattr(request, "user", None)
        actor = accounts.of_user(user) if user is not None and user.is_authenticated else _NOBODY
        cast(Any, request).actor = actor
    return cast(Actor, actor)


def wants_page(request: HttpRequest) -> bool:
    """Whether a person's browser is going to a page, rather than a script, a stream or a picture fetching."""
    return (
        "text/html" in request.headers.get("Accept", "")
        and request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        and "HX-Request" not in request.headers
    )


class _Middleware:
    """Works in a synchronous chain and in an asynchronous one: a middleware that can do only one of the two
    costs every request a change of threads."""

    sync_capable = async_capable = True

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._later(request)
        return self.finish(request, cast(HttpResponseBase, self.get_response(request)))

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        return self.finish(request, await cast(Awaitable[HttpResponseBase], self.get_response(request)))

    def finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response


class SecurityHeaders(_Middleware):
    """The headers of every response: pages, errors, pictures and streams alike; of scripts, styles and fonts
    those that they heed. None of them runs as a document, wherever it is opened."""

    def finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        part = response.headers.get("Content-Type", "").startswith(_NO_DOCUMENTS)
        for name, value in HEADERS.items():
            if not (part and name in _OF_DOCUMENTS):
                response.headers.setdefault(name, value)
        return response


class Zip(_Middleware):
    """Compresses pages and fragments. Not streams: they are small, and must leave at once.

    A compressed page must not tell by its length what secret it repeats (BREACH): the form's token is masked
    anew in each answer, and the length is blurred by up to 100 bytes.
    """

    def finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not isinstance(response, HttpResponse) or response.has_header("Content-Encoding"):
            return response
        kind = response.headers.get("Content-Type", "")
        if kind.startswith("text/html") and len(response.content) > WORTH_ZIPPING_BYTES:
            patch_vary_headers(response, ("Accept-Encoding",))
            if "gzip" in request.headers.get("Accept-Encoding", ""):
                response.content = compress_string(response.content, max_random_bytes=100)
                response.headers["Content-Encoding"] = "gzip"
                response.headers["Content-Length"] = str(len(response.content))
        return response


class DenyByDefault(_Middleware):
    """Serves a view only to those who hold the right it declares; one that declares none, to nobody."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., object], _args: object, _kwargs: object
    ) -> HttpResponseBase | None:
        _drop_nul(request, view)
        right = right_of(view)
        if right is None:
            log.error("%s has no declared right and is not served", request.path)
            return _refuse(request)
        # A right that anyone holds is granted without a look at the session: no query for a file.
        if accounts.allows(None, right):
            return None
        actor = actor_of(request)
        if actor.may(right):
            return None
        return _ask_to_sign_in(request) if actor.role is None else _refuse(request)


def _drop_nul(request: HttpRequest, view: object) -> None:
    """PostgreSQL's text holds no NUL, and no form of ours sends one: no view, so no query, ever sees it."""
    given = cast(Any, request)
    given.GET = _without_nul(request.GET)
    # Other bodies than of our forms, whose token was just looked for in them, are the view's own to read.
    if request.method == "POST" and not getattr(view, "csrf_exempt", False):
        given.POST = _without_nul(request.POST)


def _without_nul(given: QueryDict) -> QueryDict:
    if not any("\0" in text for name, texts in given.lists() for text in (name, *texts)):
        return given
    clean = QueryDict(mutable=True)
    for name, texts in given.lists():
        for text in texts:
            clean.appendlist(name.replace("\0", ""), text.replace("\0", ""))
    clean._mutable = False
    return clean


def _ask_to_sign_in(request: HttpRequest) -> HttpResponseBase:
    if not wants_page(request):
        return HttpResponse("Sign in first.", status=401, content_type="text/plain; charset=utf-8")
    address = reverse("account_login")
    if request.method in ("GET", "HEAD"):
        address += "?" + urlencode({"next": request.get_full_path()})
    return HttpResponseRedirect(address)


def _refuse(request: HttpRequest) -> HttpResponseBase:
    from packshot.web.pages import errors  # the error pages need this module

    return errors.forbidden(request)
