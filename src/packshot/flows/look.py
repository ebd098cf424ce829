"""Looking at stored images: decoded in a bounded child, renditions made. Failing here loses no image."""

import functools
import logging
import re
from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction

from packshot import blobs, catalogue, events, preferences
from packshot.catalogue import MadeRendition, ToDecode
from packshot.events import Happening
from packshot.imaging.header import BadImage
from packshot.imaging.provenance import Provenance, source_type, write_xmp
from packshot.imaging.renditions import Decoder, Fit

log = logging.getLogger(__name__)

# The one that lists and film strips show comes first and is told at once; the others follow.
FIRST = ("webp-320",)
THEN = ("webp-96", "webp-1200")
LAZY = ("avif-320", "avif-1200")
_SHAPE = re.compile(r"([1-9]\d{0,3}):([1-9]\d{0,3})")
SPECS = frozenset(FIRST + THEN + LAZY)


def store() -> blobs.BlobStore:
    """This process's way to the bytes."""
    return _opened(settings.BLOB_URL)


@functools.cache
def _opened(url: str) -> blobs.BlobStore:
    return blobs.open_store(url)


@functools.cache
def decoder() -> Decoder:
    """This process's bounded child; started at the first image, replaced when it dies."""
    return Decoder()


def look_at_each(image_ids: Sequence[UUID]) -> None:
    """Look at these images. One that has trouble holds up no other: it gets a job of its own, which is where
    its trouble is raised, and tried again."""
    if len(image_ids) == 1:
        look_at(image_ids[0])
        return
    again: list[UUID] = []
    for each in image_ids:
        try:
            look_at(each)
        except Exception:
            log.exception("image %s could not be looked at now", each)
            again.append(each)
    with transaction.atomic():
        for each in again:
            events.look_later([each])


def look_at(image_id: UUID) -> None:
    """Decode a stored image and make its usual renditions. Raises for trouble that may pass; a picture that
    cannot be decoded is marked broken, and stays: it was paid for."""
    image = catalogue.to_decode(image_id)
    if image is None or image.state == "broken":
        return
    content = store().get(image.blob)
    try:
        _make(image, content, FIRST)
        _make(image, content, THEN)
    except BadImage as problem:
        log.warning("image %s cannot be decoded: %s", image_id, problem)
        with transaction.atomic():
            catalogue.mark_broken(image_id, str(problem))
            events.tell([_news(image, "broken")])


def wish_for(image_id: UUID, spec: str) -> None:
    """Have a rendition made that is made only when somebody wants it. Many wishes at once make one job."""
    events.defer_once("rendition", {"image_id": str(image_id), "spec": spec}, key=f"{image_id} {spec}")


def make_rendition(image_id: UUID, spec: str) -> None:
    """Make one rendition that is not made beforehand, such as AVIF."""
    image = catalogue.to_decode(image_id)
    if image is not None and image.state != "broken":
        _make(image, store().get(image.blob), (spec,))


def _make(image: ToDecode, content: bytes, specs: tuple[str, ...]) -> None:
    provenance = Provenance(source=source_type(image.digital_source_type), tool=image.tool)
    decoded = decoder().make(content, specs, xmp=write_xmp(provenance), fit=fit_of(image))
    made = [
        MadeRendition(
            each.spec,
            store().put(each.content),
            each.media_type,
            each.width_px,
            each.height_px,
            len(each.content),
        )
        for each in decoded.renditions
    ]
    with transaction.atomic():
        catalogue.keep_renditions(image.id, made)
        events.tell([_news(image, "landed" if specs == FIRST else "rendered")])


def fit_of(image: ToDecode) -> Fit | None:
    """How its copies come into the shape that was asked for; the image itself stays as it came.

    As was said when it was asked for: copies that are made later agree with those that are there.
    """
    how = image.shape_fit or preferences.get("shape_fit")
    found = _SHAPE.fullmatch(image.shape or "")
    if found is None or how == "keep":
        return None
    return Fit(int(found[1]), int(found[2]), "pad" if how == "pad" else "crop")


def _news(image: ToDecode, kind: str) -> Happening:
    return Happening(
        "image",
        kind,
        str(image.id),
        {
            "product": str(image.product_id),
            "generation": str(image.generation_id) if image.generation_id else None,
        },
    )
