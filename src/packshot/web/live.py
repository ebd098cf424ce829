"""The live stream: what happens is shown on every open page by the same macros that drew the page.

A page names its topics and the newest event it already shows; the stream begins there, so nothing falls
between page and stream. Fragments are made once per (topics, role, language) and hold nothing of one person.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlencode

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.views.decorators.http import require_GET

from packshot import accounts
from packshot.accounts.models import User
from packshot.events import Happening, newest_id
from packshot.events.hub import Hub
from packshot.web.security import actor_of, needs

HEARTBEAT_S = 15.0
LONGEST_ARGUMENT = 64
MOST_TOPICS = 12
EVERYWHERE = ("nav", "ended")  # what every page's frame follows, by pages/desk.py
BACKLOGS_KEPT = 500


@dataclass(frozen=True, slots=True)
class Topic:
    """A part of a page that is kept up to date.

    `load` makes the data for what happened; None: nothing to show. A topic that `takes_argument` is followed
    as `product:0192…`, and `load` is given what stands after the colon.
    """

    name: str
    right: str  # what a person must hold to follow it
    template: str  # renders `data` as <hx-partial>s; empty: `data` is text, for the DOM event `event`
    load: Callable[..., object | None]
    every_s: float = 0.0  # the shortest time between two frames; what happens meanwhile is shown together
    takes_argument: bool = False
    event: str = ""

    def data(self, happenings: Sequence[Happening], argument: str) -> object | None:
        return self.load(happenings, argument) if self.takes_argument else self.load(happenings)


@dataclass(frozen=True, slots=True)
class Audience:
    """Those who are shown the same thing."""

    topics: tuple[str, ...]
    role: str
    language: str


@dataclass(frozen=True, slots=True)
class Admission:
    """What lets a reader read: its session, and the person as they were when the stream began."""

    session_key: str
    user_id: object
    session_hash: str
    role: str


@dataclass(slots=True)
class _Backlog:
    """A topic that is shown only so often."""

    happenings: list[Happening] = field(default_factory=list)
    shown_at: float = float("-inf")


_topics: dict[str, Topic] = {}
_backlogs: dict[str, _Backlog] = {}


def offer(*topics: Topic) -> None:
    """Make topics followable. Called by each page's module for its own."""
    _topics.update({topic.name: topic for topic in topics})


def _find(followed: str) -> tuple[Topic, str] | None:
    """The topic that `name` or `name:argument` follows, with the argument."""
    name, colon, argument = followed.partition(":")
    topic = _topics.get(name)
    if topic is None or topic.takes_argument != bool(colon) or len(argument) > LONGEST_ARGUMENT:
        return None
    return topic, argument


def address(*names: str) -> str:
    """Where to follow these topics, and those of every page, from now on. Ask for it before reading what the
    page shows."""
    followed = ",".join((*EVERYWHERE, *names))
    return reverse("events") + "?" + urlencode({"topics": followed, "after": newest_id()}, safe=",:")


@needs("read")
@require_GET
def stream(request: HttpRequest) -> HttpResponseBase:
    """Server-sent events of the topics asked for."""
    names = tuple(sorted({name for name in request.GET.get("topics", "").split(",") if name}))
    found = [_find(name) for name in names]
    topics = [each[0] for each in found if each is not None]
    if not names or len(topics) < len(names) or len(names) > MOST_TOPICS:
        return HttpResponse("Unknown topic.", status=400, content_type="text/plain; charset=utf-8")
    actor = actor_of(request)
    if not all(actor.may(topic.right) for topic in topics):
        return HttpResponse("Not yours to follow.", status=403, content_type="text/plain; charset=utf-8")
    known = (_number(request.headers.get("Last-Event-ID")), _number(request.GET.get("after")))
    after = next((each for each in known if each is not None), None)
    if after is None:
        after = newest_id()
    audience = Audience(names, str(actor.role), translation.get_language())
    response = StreamingHttpResponse(
        _follow(audience, _admission(request), after), content_type="text/event-stream; charset=utf-8"
    )
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


async def _follow(audience: Audience, admission: Admission, after: int) -> AsyncIterator[bytes]:
    async with hub.reader(audience, admission, after=after) as reader:
        # Something must leave at once, or a proxy keeps the whole answer to itself.
        yield b": hello\n\n"
        while True:
            try:
                frame = await hub.next(reader, timeout_s=HEARTBEAT_S)
            except TimeoutError:
                frame = b": still here\n\n"
            if frame is None:
                return
            yield frame


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 18 else None


def _admission(request: HttpRequest) -> Admission:
    user = request.user
    assert isinstance(user, User)  # the right was asked for before the view
    return Admission(
        str(request.session.session_key), user.pk, user.get_session_auth_hash(), actor_of(request).role or ""
    )


# -- frames ------------------------------------------------------------------------------------


def make_frames(
    audiences: Collection[Audience], happenings: Sequence[Happening], last_id: int, /, *, replay: bool
) -> Mapping[Audience, bytes]:
    """One frame per audience that has something to see: each topic is loaded once, rendered once per role."""
    loaded: dict[tuple[str, tuple[int, ...]], object | None] = {}
    rendered: dict[tuple[str, tuple[int, ...], str, str], str] = {}
    due_now: dict[str, Sequence[Happening]] = {}
    frames = {}
    for audience in audiences:
        parts, events = [], []
        for name in audience.topics:
            found = _find(name)
            assert found is not None, "the stream was opened for topics that exist"
            topic, argument = found
            if name not in due_now:
                due_now[name] = happenings if replay else _due(name, topic, happenings)
            due = due_now[name]
            if not due:
                continue
            seen = tuple(each.id for each in due)
            if (name, seen) not in loaded:
                loaded[name, seen] = topic.data(due, argument)
            data = loaded[name, seen]
            if data is None:
                continue
            place = (name, seen, audience.role, audience.language)
            if place not in rendered:
                rendered[place] = _render(topic, data, audience)
            if topic.event:
                events.append((topic.event, rendered[place]))
            else:
                parts.append(rendered[place])
        if parts or happenings:
            # An audience with nothing to see still learns how far it is, or it would ask for all of it again.
            frames[audience] = _message("".join(parts), last_id)
        for event, text in events:
            frames[audience] = frames.get(audience, b"") + _message(text, last_id, event)
    return frames


def _due(followed: str, topic: Topic, happenings: Sequence[Happening]) -> Sequence[Happening]:
    """What of this topic is to be shown now: to everybody at once, so that it is loaded once."""
    if not topic.every_s:
        return happenings
    backlog = _backlogs.setdefault(followed, _Backlog())
    backlog.happenings += happenings
    if not backlog.happenings or time.monotonic() < backlog.shown_at + topic.every_s:
        return ()
    due, backlog.happenings = backlog.happenings, []
    backlog.shown_at = time.monotonic()
    if len(_backlogs) > BACKLOGS_KEPT:  # topics with an argument come and go
        for name in [name for name, each in _backlogs.items() if not each.happenings and name != followed]:
            del _backlogs[name]
    return due


def _render(topic: Topic, data: object, audience: Audience) -> str:
    if not topic.template:
        return str(data)
    with translation.override(audience.language):
        may = partial(accounts.allows, audience.role)
        return render_to_string(topic.template, {"data": data, "costs": may("read_costs"), "may": may})


def _message(html: str, last_id: int, event: str = "") -> bytes:
    lines = [f"id: {last_id}"]
    if event:
        lines.append(f"event: {event}")
    if html or event:
        # A lone carriage return ends a line of the stream too: text from outside must not begin a field.
        text = html.replace("\r\n", "\n").replace("\r", "\n")
        lines += [f"data: {line}" for line in text.split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


def _resync(last_id: int) -> bytes:
    """Tells a page to fetch itself again: too much happened since what it shows."""
    return _message("", last_id, "resync")


# -- who may stay --------------------------------------------------------------------------------


def may_stay(admissions: Sequence[Admission]) -> list[bool]:
    """Whether each reader's session lives and its person still is who they were. Two queries for them all."""
    sessions = set(
        Session.objects.filter(
            session_key__in={each.session_key for each in admissions}, expire_date__gt=timezone.now()
        ).values_list("session_key", flat=True)
    )
    people = get_user_model()._default_manager.in_bulk({each.user_id for each in admissions})
    return [_stays(each, each.session_key in sessions, people.get(each.user_id)) for each in admissions]


def _stays(admission: Admission, session_lives: bool, user: User | None) -> bool:
    return (
        session_lives
        and user is not None
        and user.is_active
        and user.role == admission.role
        and user.get_session_auth_hash() == admission.session_hash
    )


def _signed_out(**_: object) -> None:
    hub.check_soon()


hub: Hub[Audience, Admission] = Hub(make_frames, resync=_resync, may_stay=may_stay)
user_logged_out.connect(_signed_out, dispatch_uid="packshot-live-signed-out")
