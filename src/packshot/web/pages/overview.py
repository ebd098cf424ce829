"""The Overview: the queue, the money and the newest images, kept up to date while it is open."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from packshot import reports
from packshot.catalogue.models import Product
from packshot.events import Happening
from packshot.reports import GenerationRow, ImageTile, ProviderRow
from packshot.web import live
from packshot.web.figures import KeyFigures, key_figures
from packshot.web.live import Topic
from packshot.web.security import needs

GENERATIONS_SHOWN = 20
IMAGES_SHOWN = 10
# What can change why a pending generation waits, whichever it is.
_TOUCHES_EVERY_ROW = {"provider", "budget", "spending"}


@dataclass(frozen=True, slots=True)
class FirstUse:
    """How far a new site is: without products, or with products and nothing asked for yet."""

    has_products: bool


@needs("read")
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The page itself, and what a browser fetches again when it lost track."""
    stream = live.address("figures", "generations", "images", "providers")
    generations = reports.newest_generations(GENERATIONS_SHOWN)
    return render(
        request,
        "pages/overview.html",
        {
            "stream": stream,
            "generations": generations,
            "images": reports.newest_images(IMAGES_SHOWN),
            "providers": reports.providers(),
            "first_use": None if generations else _first_use(),
            "generations_shown": GENERATIONS_SHOWN,
            "images_shown": IMAGES_SHOWN,
        },
    )


def _first_use() -> FirstUse:
    return FirstUse(Product.objects.filter(archived_at=None).exists())


# -- what the stream shows -----------------------------------------------------------------------


def _figures(_: Sequence[Happening]) -> KeyFigures:
    return key_figures()


def _generations(happenings: Sequence[Happening]) -> list[GenerationRow] | None:
    """The rows among the newest that something happened to, oldest first: they are put on top one by one."""
    touched = {each.subject for each in happenings if each.topic in ("generation", "image")}
    every_row = any(each.topic in _TOUCHES_EVERY_ROW for each in happenings)
    if not touched and not every_row:
        return None
    rows = [
        row
        for row in reports.newest_generations(GENERATIONS_SHOWN)
        if every_row or str(row.id) in touched or any(str(image.image_id) in touched for image in row.images)
    ]
    return rows[::-1] or None


def _images(happenings: Sequence[Happening]) -> list[ImageTile] | None:
    """The tiles among the newest that something happened to, oldest first."""
    touched = {each.subject for each in happenings if each.topic in ("generation", "image")}
    if not touched:
        return None
    tiles = [
        tile
        for tile in reports.newest_images(IMAGES_SHOWN)
        if str(tile.image_id) in touched or str(tile.generation_id) in touched
    ]
    return tiles[::-1] or None


def _providers(_: Sequence[Happening]) -> list[ProviderRow]:
    return reports.providers()


live.offer(
    Topic("figures", "read", "live/figures.html", _figures, every_s=2.0),
    Topic("generations", "read", "live/generations.html", _generations),
    Topic("images", "read", "live/images.html", _images),
    Topic("providers", "read", "live/providers.html", _providers, every_s=2.0),
)
