"""How an action answers: with a toast and the parts of the page that changed, or, without our script, by
going back to the page with the toast on it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from django.contrib import messages
from django.contrib.messages.storage.base import Message
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme

from packshot.kernel.errors import PackshotError

Tone = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Undo:
    """What takes the action back: a POST of `values` to `url`."""

    url: str
    values: Mapping[str, str]
    label: str = "Undo"


@dataclass(frozen=True, slots=True)
class Link:
    """Where the result is."""

    url: str
    label: str


@dataclass(frozen=True, slots=True)
class Toast:
    """The result of somebody's own action: noun and verb, without a full stop."""

    words: str
    tone: Tone = "ok"
    undo: Undo | None = None
    link: Link | None = None
    asked: str = ""  # the request key, when images were asked for: this browser is told how it ended


def answer(
    request: HttpRequest,
    toast: Toast | None,
    partials: Iterable[tuple[str, Mapping[str, object]]] = (),
    *,
    then: str,
) -> HttpResponse:
    """`partials`, each a template of <hx-partial>s with its context, and the toast; else 303 to `then`."""
    if "HX-Request" not in request.headers:
        if toast is not None:
            _keep(request, toast)
        return HttpResponseRedirect(_ours(request, then), status=303)
    parts = [render_to_string(template, dict(context), request) for template, context in partials]
    if toast is not None:
        parts.append(render_to_string("live/toast.html", {"toast": toast}, request))
    return HttpResponse("".join(parts))


def anew(request: HttpRequest, toast: Toast, *, then: str) -> HttpResponse:
    """The whole page `then`, loaded again with the toast on it: for what changes more than parts."""
    _keep(request, toast)
    there = _ours(request, then)
    if "HX-Request" in request.headers:
        return HttpResponse(headers={"HX-Redirect": there})
    return HttpResponseRedirect(there, status=303)


def refuse(request: HttpRequest, problem: PackshotError | str, *, then: str) -> HttpResponse:
    """Nothing was done, and why. For a problem that belongs to no field of a form."""
    words = str(problem)
    return answer(request, Toast(words[:1].upper() + words[1:], tone="bad"), then=then)


def toast_of(message: Message) -> Toast:
    """The toast that a message carries from one page to the next."""
    try:
        given = json.loads(message.extra_tags or "")
    except ValueError:
        # allauth's own words, which carry no tags of ours.
        return Toast(str(message), tone="bad" if message.level >= messages.ERROR else "ok")
    undo, link = given["undo"], given["link"]
    return Toast(
        str(message),
        tone=given["tone"],
        undo=Undo(**undo) if undo else None,
        link=Link(**link) if link else None,
        asked=given["asked"],
    )


def _keep(request: HttpRequest, toast: Toast) -> None:
    carried = asdict(toast)
    messages.add_message(request, messages.INFO, carried.pop("words"), extra_tags=json.dumps(carried))


def _ours(request: HttpRequest, url: str) -> str:
    """`url` if it leads to this site, else the front door."""
    return url if url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}) else "/"
