"""What every page for signed-in people has: the palette's search, the figures of its edge, and how what one
asked for ended."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from packshot import reports
from packshot.events import Happening
from packshot.flows.desk import uses_simulator
from packshot.reports import Edge, EndedRequest
from packshot.web import live, words
from packshot.web.live import Topic
from packshot.web.security import needs

FOUND_AT_MOST = 8


@dataclass(frozen=True, slots=True)
class FoundProduct:
    """A product that contains what was typed, and where its page is."""

    id: UUID
    sku: str
    name: str
    url: str


@needs("read")
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Products by their words, as options of the palette's list."""
    text = request.GET.get("q", "").strip()[:100]
    found = [
        FoundProduct(each.id, each.sku, each.name, reverse("product", args=[each.sku]))
        for each in (reports.find_products(text, limit=FOUND_AT_MOST) if text else ())
    ]
    return render(request, "live/found.html", {"products": found})


# -- what the stream shows -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Edge:
    edge: Edge
    simulated: bool


def _edge(_: Sequence[Happening]) -> _Edge:
    simulated = uses_simulator()
    return _Edge(reports.edge(simulated=simulated), simulated)


# How a generation ends, as its events say it; `settled` is a person's word on an old charge.
_ENDINGS = {"completed", "failed", "cancelled", "uncertain"}


def _ended(happenings: Sequence[Happening]) -> str | None:
    """The requests that have ended, for the browsers that asked: told to all, shown by the tab that knows."""
    touched = [
        UUID(each.subject) for each in happenings if each.topic == "generation" and each.kind in _ENDINGS
    ]
    ended = reports.ended_requests(touched) if touched else []
    return json.dumps([_told(each) for each in ended]) if ended else None


def _told(ended: EndedRequest) -> dict[str, str]:
    counts = {
        "made": ended.completed,
        "failed": ended.failed,
        "uncertain": ended.uncertain,
        "cancelled": ended.cancelled,
    }
    (word, first), *others = [each for each in counts.items() if each[1]]
    said = [
        f"{words.many(first, 'image')} {word}",
        *(f"{words.count(count)} {word}" for word, count in others),
    ]
    tone = "bad" if not ended.completed else "warn" if ended.failed or ended.uncertain else "ok"
    return {"key": ended.key, "words": ", ".join(said), "tone": tone}


live.offer(
    Topic("nav", "read", "live/nav.html", _edge, every_s=2.0),
    Topic("ended", "read", "", _ended, every_s=1.0, event="ended"),
)
