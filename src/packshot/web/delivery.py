"""Images for shops and shoppers, answered ahead of Django: no session, no middleware, no template.

    /i/SKU, /i/SKU.webp?w=640    a signpost to the active image, for a minute
    /r/HASH.webp                 its bytes, for ever
    /s/IMAGE/640.webp?until=&key=    any image, to who has the link, until it ends

Whatever is wrong, the answer says what it is: 404 for what is not there, 503 for what may come, and when.
"""

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.resources import files
from typing import Any, Literal, ParamSpec, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

from django.db import close_old_connections

from packshot.blobs import MissingBlob
from packshot.catalogue.public import Wanted
from packshot.flows import delivery
from packshot.flows.delivery import FORMATS, Rules
from packshot.imaging.renditions import MEDIA_TYPES
from packshot.kernel.errors import BadInput

log = logging.getLogger(__name__)

PATHS = ("/i/", "/r/", "/s/")
FOR_EVER = "public, max-age=31536000, immutable"
# Short, so that another choice shows; and a cache in front may show the last one while we are away.
FOR_A_MINUTE = "public, max-age=60, stale-while-revalidate=300, stale-if-error=86400"
NEVER = "no-store"
HEADERS = (
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"x-content-type-options", b"nosniff"),
    # A shop lives at another address, and may read the pixels.
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"access-control-allow-origin", b"*"),
    (b"referrer-policy", b"no-referrer"),
)
WAIT_S = 8.0  # for a copy that is being made
LOOK_EVERY_S = 0.04
WAITED_FOR_AT_ONCE = 200  # copies; more would only wait behind these
AGAIN_AFTER_S = 2
# How long what we found to be public is taken to be so, without another look.
SURE_FOR_S = 10.0
# Signposts that were handed out lead on so long after another image was chosen, also through a cache.
LEADS_ON_S = 600.0
CACHE_BYTES = 64 * 1024 * 1024
RULES_FOR_S = 5.0
_HASH = re.compile(r"[0-9a-f]{64}")

P = ParamSpec("P")
T = TypeVar("T")
_Scope = dict[str, Any]
_Send = Callable[[Mapping[str, Any]], Awaitable[None]]
_Copy = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent: the status, the body and the headers that are this answer's own."""

    status: int
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    caching: str = NEVER
    headers: tuple[tuple[bytes, bytes], ...] = ()


def _text(status: int, words: str, caching: str = NEVER, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(status, words.encode() + b"\n", caching=caching, headers=headers)


_VARY = (b"vary", b"Accept")
_LATER = (b"retry-after", str(AGAIN_AFTER_S).encode())
_NOT_HERE = _text(404, "There is no image here.", FOR_A_MINUTE)
_MOMENT = _text(503, "This copy is being made. Ask again in a moment.", NEVER, _LATER)
_AWAY = _text(503, "The images cannot be read just now. Ask again in a moment.", NEVER, _LATER)


@dataclass(slots=True)
class _Kept:
    """Bytes in memory, and when they were last found to be public."""

    content: bytes
    media_type: str
    looked_at: float
    public_at: float


@dataclass(slots=True)
class _Makings:
    """Copies that requests here wait for: looked for together, however many wait."""

    waiting: dict[_Copy, asyncio.Future[str | None]] = field(default_factory=dict)
    looking: asyncio.Task[None] | None = None

    def drop(self, copy: _Copy, future: asyncio.Future[str | None]) -> None:
        """Whoever looks may have settled it meanwhile, and another may wait for the same copy since."""
        if self.waiting.get(copy) is future:
            del self.waiting[copy]


class Delivery:
    """Answers `PATHS`. What it asks the database is done on the threads of the pages."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._rules: tuple[float, Rules] | None = None
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_bytes = 0
        self._loading: dict[str, asyncio.Task[_Kept | None]] = {}
        self._makings = _Makings()

    async def __call__(self, scope: _Scope, send: _Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            answer = _text(405, "Only GET and HEAD.", NEVER, (b"allow", b"GET, HEAD"))
        else:
            try:
                answer = await self._answer(scope)
            except MissingBlob as missing:
                log.error("a public image is not in the store: %s", missing)
                answer = _NOT_HERE
            except Exception as trouble:  # noqa: BLE001 - a shop's page gets an answer, whatever happened here
                log.warning("a public image cannot be served now: %s: %s", type(trouble).__name__, trouble)
                answer = _AWAY
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-type", answer.media_type.encode()),
                    (b"content-length", str(len(answer.body)).encode()),
                    (b"cache-control", answer.caching.encode()),
                    *answer.headers,
                    *HEADERS,
                ],
            }
        )
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: _Scope) -> Answer:
        path: str = scope["path"]
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if path.startswith("/r/"):
            return await self._lasting(path[3:], headers.get(b"if-none-match", ""))
        given: dict[str, str] = {}
        for key, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
            given.setdefault(key, value)
        if path.startswith("/s/"):
            return await self._shared(path[3:], given)
        return await self._active(path[3:], given.get("w"), headers.get(b"accept", ""))

    # -- a product's active image -------------------------------------------------------------------

    async def _active(self, name: str, asked_width: str | None, accepted: str) -> Answer:
        rules = await self._known_rules()
        if not rules.public:
            return _NOT_HERE
        try:
            width = rules.width(asked_width)
        except BadInput as problem:
            return _text(400, f"{problem}.", FOR_A_MINUTE)
        found = await self.on_a_thread(delivery.find, name, accepted, width)
        wanted, named = found if found is not None else (None, None)
        vary = () if named is not None else (_VARY,)
        if wanted is None or wanted.broken:
            return self._missing(rules, named or delivery.negotiated(accepted), vary)
        try:
            blob = wanted.sealed or await self.made(wanted)
        except MissingBlob as missing:
            log.error("%s", missing)
            return self._missing(rules, named or delivery.negotiated(accepted), vary)
        if blob is None:
            return _MOMENT
        place = delivery.lasting(blob, _format(wanted.spec))
        return Answer(302, caching=FOR_A_MINUTE, headers=((b"location", place.encode()), *vary))

    def _missing(self, rules: Rules, format: str, vary: tuple[tuple[bytes, bytes], ...]) -> Answer:  # noqa: A002
        if rules.missing == "placeholder":
            return Answer(200, _placeholder(format), MEDIA_TYPES[format], FOR_A_MINUTE, vary)
        return Answer(404, _NOT_HERE.body, caching=FOR_A_MINUTE, headers=vary)

    async def _known_rules(self) -> Rules:
        now = time.monotonic()
        if self._rules is None or now - self._rules[0] > RULES_FOR_S:
            self._rules = (now, await self.on_a_thread(delivery.rules))
        return self._rules[1]

    # -- bytes by their hash --------------------------------------------------------------------------

    async def _lasting(self, name: str, known: str) -> Answer:
        blob, _, ending = name.partition(".")
        if not _HASH.fullmatch(blob) or ending not in FORMATS:
            return _NOT_HERE
        kept = self._kept.get(blob)
        if kept is None or time.monotonic() - kept.looked_at > SURE_FOR_S:
            kept = await self._looked_up(blob)
        else:
            self._kept.move_to_end(blob)
        if kept is None or kept.media_type != MEDIA_TYPES[FORMATS[ending]]:
            return _NOT_HERE
        etag = f'"{blob}"'
        tag = (b"etag", etag.encode())
        if etag in known or known.strip() == "*":
            return Answer(304, media_type=kept.media_type, caching=FOR_EVER, headers=(tag,))
        return Answer(200, kept.content, kept.media_type, FOR_EVER, (tag,))

    async def _looked_up(self, blob: str) -> _Kept | None:
        """What the public may have under this hash; many who ask at once cost one look."""
        task = self._loading.get(blob)
        if task is None:
            task = self._loading[blob] = asyncio.create_task(self._load(blob))
            task.add_done_callback(lambda _: self._loading.pop(blob, None))
        return await asyncio.shield(task)

    async def _load(self, blob: str) -> _Kept | None:
        kept = self._kept.get(blob)
        try:
            rules = await self._known_rules()
            found = await self.on_a_thread(delivery.published, blob)
        except Exception:
            # The database is away. What was public a while ago is better than a hole in a shop.
            if kept is not None and time.monotonic() - kept.public_at < LEADS_ON_S:
                return kept
            raise
        now = time.monotonic()
        if found is None or not rules.public:
            self._forget(blob)
            return None
        if not found.public:
            # What was taken out of the catalogue leads nowhere; another choice has signposts on the way.
            if kept is None or found.archived or now - kept.public_at > LEADS_ON_S:
                self._forget(blob)
                return None
            kept.looked_at = now
            return kept
        if kept is not None:
            kept.looked_at = kept.public_at = now
            return kept
        content = await self.on_a_thread(delivery.content, blob)
        kept = _Kept(content, found.media_type, now, now)
        self._keep(blob, kept)
        return kept

    def _keep(self, blob: str, kept: _Kept) -> None:
        self._forget(blob)
        self._kept[blob] = kept
        self._kept_bytes += len(kept.content)
        while self._kept_bytes > CACHE_BYTES and len(self._kept) > 1:
            self._forget(next(iter(self._kept)))

    def _forget(self, blob: str) -> None:
        kept = self._kept.pop(blob, None)
        if kept is not None:
            self._kept_bytes -= len(kept.content)

    # -- a link to what is not public -----------------------------------------------------------------

    async def _shared(self, name: str, given: Mapping[str, str]) -> Answer:
        number, _, size = name.partition("/")
        width, _, ending = size.partition(".")
        try:
            image_id, spec = UUID(number), delivery.spec_of(FORMATS[ending], int(width))
            left_s = delivery.opened(image_id, spec, given.get("until", ""), given.get("key", ""))
        except (ValueError, KeyError, BadInput):
            return _text(404, "This link is not one of ours.")
        if left_s <= 0:
            return _text(410, "This link has ended. Ask whoever sent it for another.")
        wanted = await self.on_a_thread(delivery.shared, image_id, spec)
        if wanted is None or wanted.broken:
            return _text(404, "There is no such image.")
        blob = wanted.sealed or await self.made(wanted)
        if blob is None:
            return _MOMENT
        content = await self.on_a_thread(delivery.content, blob)
        caching = f"private, max-age={min(left_s, 300)}"
        return Answer(200, content, MEDIA_TYPES[_format(spec)], caching)

    # -- waiting for a copy ---------------------------------------------------------------------------

    async def made(self, wanted: Wanted) -> str | None:
        """The blob of a copy that is not there yet; None when it takes longer than anybody waits here."""
        copy = (wanted.image_id, wanted.spec)
        waiting = self._makings.waiting
        future = waiting.get(copy)
        if future is None:
            if len(waiting) >= WAITED_FOR_AT_ONCE:
                return None
            future = waiting[copy] = asyncio.get_running_loop().create_future()
            try:
                taken = await self.on_a_thread(delivery.wish, wanted)
            except BaseException as problem:
                self._makings.drop(copy, future)
                if not future.done():
                    future.set_exception(problem)
                    future.exception()  # seen here, also when nobody else waits for it
                raise
            if not taken:
                self._makings.drop(copy, future)
                _settle(future, None)
                return None
            if self._makings.looking is None or self._makings.looking.done():
                self._makings.looking = asyncio.create_task(self._look_for())
        try:
            return await asyncio.wait_for(asyncio.shield(future), WAIT_S)
        except TimeoutError:
            return None

    async def _look_for(self) -> None:
        """Looks for all copies that are waited for, until nobody waits any more."""
        waiting = self._makings.waiting
        since = {copy: time.monotonic() for copy in waiting}
        try:
            while waiting:
                await asyncio.sleep(LOOK_EVERY_S)
                found = await self.on_a_thread(delivery.made, list(waiting))
                for copy in list(waiting):
                    started = since.setdefault(copy, time.monotonic())
                    if copy in found or time.monotonic() - started > WAIT_S:
                        since.pop(copy)
                        _settle(waiting.pop(copy), found.get(copy))
        except Exception as problem:  # noqa: BLE001 - told to each who waits
            for copy in list(waiting):
                future = waiting.pop(copy)
                if not future.done():
                    future.set_exception(problem)

    async def on_a_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, partial(_with_live_connection, work, *args, **kwargs)
        )


_working: Delivery | None = None


def put_to_work(threads: Executor) -> Delivery:
    """The process's own door, with the threads of its pages."""
    global _working
    _working = Delivery(threads)
    return _working


def at_work() -> Delivery:
    """The process's door, for pages that need copies, too."""
    return _working or put_to_work(ThreadPoolExecutor(1, thread_name_prefix="delivery"))


def _with_live_connection(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    close_old_connections()  # one that broke since this thread's last request
    return work(*args, **kwargs)


def _settle(future: asyncio.Future[str | None], blob: str | None) -> None:
    if not future.done():
        future.set_result(blob)


def _format(spec: str) -> Literal["avif", "webp", "jpeg", "png"]:
    return spec.split("-")[1]  # type: ignore[return-value] # as `spec_of` puts it together


@cache
def _placeholder(format: str) -> bytes:  # noqa: A002
    return files("packshot.web").joinpath("placeholders", f"placeholder.{format}").read_bytes()
