"""The web process: pages on a few threads, live streams on the event loop.

Django would change threads for each middleware and open a database connection for each request. Measured with
six queries: 10.6 ms so, 2.9 ms with the whole chain on one thread of a fixed pool. A stream is made there too
and then belongs to the event loop, holding neither thread nor connection.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import django
from asgiref.sync import sync_to_async

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "packshot.settings")
django.setup(set_prefix=False)

from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.db import close_old_connections  # noqa: E402
from django.http import HttpRequest  # noqa: E402
from django.http.response import HttpResponseBase  # noqa: E402

from packshot.web.delivery import PATHS, put_to_work  # noqa: E402
from packshot.web.live import hub  # noqa: E402
from packshot.web.uploads import up_to_limit  # noqa: E402

# Each keeps its own database connection. With the hub's two that makes the six of DESIGN.md section 8.
THREADS = 4

_Scope = dict[str, Any]
_Receive = Callable[[], Awaitable[Mapping[str, Any]]]
_Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class Pages(ASGIHandler):
    """Django's own handler, with its synchronous chain run in one go."""

    def __init__(self) -> None:
        super(ASGIHandler, self).__init__()
        self.load_middleware(is_async=False)
        self.threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="page")
        self._on_a_thread = sync_to_async(self._respond, thread_sensitive=False, executor=self.threads)

    def _respond(self, request: HttpRequest) -> HttpResponseBase:
        close_old_connections()  # a connection that broke since this thread's last request
        return self.get_response(request)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await self._on_a_thread(request)

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        # Without Django's context of a thread per request: an open stream would keep one to itself.
        await self.handle(scope, receive, send)


pages = Pages()
public_images = put_to_work(pages.threads)


async def application(scope: _Scope, receive: _Receive, send: _Send) -> None:
    """What the server calls: once for its own life, and for each request."""
    if scope["type"] == "lifespan":
        await _live_and_die(receive, send)
    elif scope["type"] == "http" and scope["path"].startswith(PATHS):
        await public_images(scope, send)
    elif scope["type"] == "http":
        await pages(scope, up_to_limit(scope, receive), send)
    else:
        raise ValueError(f"{scope['type']} is not served here")


async def _live_and_die(receive: _Receive, send: _Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            hub.start()
            _end_streams_on_signal()
            await send({"type": "lifespan.startup.complete"})
        else:
            await hub.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return


def _end_streams_on_signal() -> None:
    """Servers wait for open answers before they say that they shut down, and a stream never ends by itself:
    end them at the signal, before the server's own handler."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        _before(number, lambda: loop.call_soon_threadsafe(hub.close))


def _before(number: signal.Signals, act: Callable[[], object]) -> None:
    already = signal.getsignal(number)
    if not callable(already):
        return  # the default: the process ends at once, streams with it

    def handler(received: int, frame: FrameType | None) -> None:
        act()
        already(received, frame)

    signal.signal(number, handler)
