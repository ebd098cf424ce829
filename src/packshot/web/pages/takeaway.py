"""The active images of a list of products as a file: CSV, or a ZIP, sent while it is put together."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from packshot.blobs import MissingBlob
from packshot.catalogue.finding import ActiveImage, Sought
from packshot.catalogue.public import Wanted
from packshot.flows import delivery, export
from packshot.flows.export import Archive, Size
from packshot.kernel.errors import BadInput
from packshot.web.delivery import Delivery, at_work
from packshot.web.pages.products import sought_of
from packshot.web.security import needs

ZIPS_AT_ONCE = 2
# Copies that are made ahead of the one that is being sent.
AHEAD = 4
TRIES = 5
# So many in a row that nobody made: the chores are away, and the rest is not waited for.
GIVE_UP_AFTER = 8
_LATE = "it was not made in time"
_zips = 0


@needs("read")
@require_safe
def sheet(request: HttpRequest) -> HttpResponseBase:
    """Addresses of the active images, and where each came from."""
    return _file(_sheet(sought_of(request.GET)), "text/csv; charset=utf-8", "csv")


@needs("read")
@require_safe
def archive(request: HttpRequest) -> HttpResponseBase:
    """The images themselves, as the public gets them, with the sheet."""
    sought = sought_of(request.GET)
    try:
        width = request.GET.get("w", "")
        size = export.size(request.GET.get("format", "jpeg"), int(width[:6]) if width.isdecimal() else None)
        export.must_fit_a_zip(sought)
    except BadInput as problem:
        return _words(400, f"{problem}.")
    if _zips >= ZIPS_AT_ONCE:
        return _words(503, "Others are taking images away just now. Try again in a minute.")
    return _file(_archive(sought, size), "application/zip", "zip")


def _file(pieces: AsyncIterator[bytes], media_type: str, ending: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(pieces, content_type=media_type)
    name = f"packshot-active-{datetime.now(UTC):%Y-%m-%d}.{ending}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Accel-Buffering"] = "no"
    return response


def _words(status: int, words: str) -> HttpResponse:
    response = HttpResponse(words, status=status, content_type="text/plain; charset=utf-8")
    if status == 503:
        response["Retry-After"] = "60"
    return response


async def _sheet(sought: Sought) -> AsyncIterator[bytes]:
    yield export.head()
    async for image in _each(sought, at_work()):
        yield export.line(image)


async def _archive(sought: Sought, size: Size) -> AsyncIterator[bytes]:
    global _zips
    _zips += 1
    door, held, lost = at_work(), Archive(), list[tuple[str, str]]()
    coming: deque[tuple[ActiveImage, asyncio.Task[bytes | str]]] = deque()
    try:
        with held.open("active.csv") as write:
            write(export.head())
            async for image in _each(sought, door):
                write(export.line(image, export.file_name(image, size.format)))
                yield held.taken()
        async for image in _each(sought, door):
            away = [reason for _, reason in lost[-GIVE_UP_AFTER:]] == [_LATE] * GIVE_UP_AFTER
            coming.append((image, asyncio.create_task(_copy(door, image, size, 0 if away else TRIES))))
            if len(coming) > AHEAD:
                await _put(held, *coming.popleft(), size, lost)
                yield held.taken()
        while coming:
            await _put(held, *coming.popleft(), size, lost)
            yield held.taken()
        if lost:
            held.add("missing.csv", export.missing(lost))
        held.close()
        yield held.taken()
    finally:
        _zips -= 1
        for _, task in coming:
            task.cancel()


async def _put(
    held: Archive,
    image: ActiveImage,
    task: asyncio.Task[bytes | str],
    size: Size,
    lost: list[tuple[str, str]],
) -> None:
    content = await task
    if isinstance(content, str):
        lost.append((image.sku, content))
    else:
        held.add(export.file_name(image, size.format), content)


async def _copy(door: Delivery, image: ActiveImage, size: Size, tries: int) -> bytes | str:
    """The bytes of a copy, or why there are none. It is made by the chores, as for everybody."""
    if image.broken:
        return "it could not be decoded"
    copy = (image.image_id, size.spec)
    try:
        blob = (await door.on_a_thread(delivery.made, [copy])).get(copy)
        for _ in range(tries):
            blob = blob or await door.made(Wanted(image.image_id, image.original, False, size.spec, None))
        if blob is None:
            return _LATE
        return await door.on_a_thread(delivery.content, blob)
    except MissingBlob as problem:
        return str(problem)


async def _each(sought: Sought, door: Delivery) -> AsyncIterator[ActiveImage]:
    after = None
    while found := await door.on_a_thread(export.page, sought, after):
        for image in found:
            yield image
        after = found[-1].product_id
