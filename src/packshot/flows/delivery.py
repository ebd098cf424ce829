"""Images for the public: which copy an address means, and how it is made: decoded, encoded, marked, signed.

Copies are made in the chores process when somebody first asks, once for all processes. Nothing leaves without
its mark: a copy that cannot be signed is not delivered.
"""

import functools
import logging
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from packshot import catalogue, events, preferences
from packshot.accounts import Actor
from packshot.blobs import MissingBlob
from packshot.catalogue import MadeRendition, public
from packshot.catalogue.public import SEALED, Published, Wanted
from packshot.flows import look
from packshot.imaging import signing
from packshot.imaging.header import BadImage
from packshot.imaging.provenance import Provenance, source_type, write_xmp
from packshot.imaging.renditions import LARGEST_SIDE_PX, MEDIA_TYPES
from packshot.imaging.sealing import Sealer
from packshot.imaging.signing import Identity
from packshot.kernel.errors import BadInput

log = logging.getLogger(__name__)

# By the ending of an address. What a browser takes is offered smallest first.
FORMATS: Mapping[str, str] = {"avif": "avif", "webp": "webp", "jpeg": "jpeg", "jpg": "jpeg", "png": "png"}
OFFERED = ("avif", "webp", "jpeg")
USUAL_WIDTH_PX = 1200
LONGEST_LINK_S = 30 * 24 * 3600
# Anybody can wish for a copy: copies have a queue of their own, which no other work waits behind, and an end.
QUEUE = "seals"
WISHED_FOR_AT_ONCE = 500
_ENDING = re.compile(r"(.+)\.([a-z]{3,4})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the site says about its public images."""

    public: bool
    widths_px: tuple[int, ...]
    missing: str  # not-found, placeholder

    def width(self, asked: str | None) -> int:
        """The width that is meant by `w`. Raises BadInput for one that is not on the list."""
        if asked is None:
            fitting = [each for each in self.widths_px if each <= USUAL_WIDTH_PX]
            return max(fitting) if fitting else min(self.widths_px)
        if asked.isascii() and asked.isdigit() and len(asked) < 6 and int(asked) in self.widths_px:
            return int(asked)
        raise BadInput(f"w must be one of {', '.join(map(str, self.widths_px))}", field="w")


def rules() -> Rules:
    said = preferences.everything()
    widths = said["public_widths"]
    assert isinstance(widths, list)
    return Rules(bool(said["public_images"]), tuple(map(int, widths)), str(said["missing_image"]))


# -- which copy is meant --------------------------------------------------------------------------


def address(sku: str, format: str | None = None, *, product_id: UUID | None = None) -> str:  # noqa: A002
    """The lasting address of a product's active image, without the site's own. Browsers take dots between
    slashes for a way up: such a SKU goes by its product's id."""
    if any(part in (".", "..") for part in sku.split("/")) and product_id is not None:
        sku = str(product_id)
    # A SKU that ends like a file would lose its ending to the format: it is given one of its own.
    if format is None and _stem(sku) is not None:
        format = "webp"  # noqa: A001
    return f"/i/{quote(sku, safe='/')}" + (f".{format}" if format else "")


def lasting(blob: str, format: str) -> str:  # noqa: A002
    """Where these bytes are, and nothing else ever."""
    return f"/r/{blob}.{format}"


def spec_of(format: str, width_px: int) -> str:  # noqa: A002
    return f"{SEALED}{format}-{width_px}"


def find(name: str, accepted: str, width_px: int) -> tuple[Wanted | None, str | None] | None:
    """The copy that `/i/NAME` means, and the format when the address itself names it. None: no such product.

    `A.webp` is the product A as WebP, unless there is none; then it is the product whose SKU ends so.
    """
    if not name or "\x00" in name:  # which PostgreSQL's text cannot hold
        return None
    chosen = negotiated(accepted)
    asked = [(name, spec_of(chosen, width_px))]
    formats: list[str | None] = [None]
    stem = _stem(name)
    if stem is not None:
        asked.insert(0, (stem[0], spec_of(stem[1], width_px)))
        formats.insert(0, stem[1])
    found = public.active(asked)
    if found is None:
        for place, (sku, spec) in enumerate(asked):
            product_id = _uuid(sku)
            by_id = public.active_of(product_id, spec) if product_id is not None else None
            if by_id is not None:
                return by_id[1], formats[place]
        return None
    return found[1], formats[found[0]]


def negotiated(accepted: str) -> str:
    """The format for who sends this Accept header: AVIF or WebP to who names them, JPEG to everybody else."""
    quality: dict[str, float] = {}
    for each in accepted.lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        value = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            quality[kind] = float(value)
        except ValueError:
            quality[kind] = 0.0
    usual = quality.get("image/jpeg", quality.get("image/*", quality.get("*/*", 0.0)))
    rated = [(quality.get(f"image/{each}", 0.0), each) for each in OFFERED[:-1]]
    # The first of the best: `max` keeps the order of OFFERED.
    best = max(rated, key=lambda each: each[0])
    return best[1] if best[0] > 0 and best[0] >= usual else OFFERED[-1]


def _stem(name: str) -> tuple[str, str] | None:
    ending = _ENDING.fullmatch(name)
    return (ending[1], FORMATS[ending[2]]) if ending and ending[2] in FORMATS else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


# -- bytes ------------------------------------------------------------------------------------------


def published(blob: str) -> Published | None:
    return public.published(blob)


def content(blob: str) -> bytes:
    """Raises MissingBlob, StoreDown."""
    return look.store().get(blob)


def wish(wanted: Wanted) -> bool:
    """Have a copy made. Many wishes at once make one job. False: too many others wait to be made. Raises
    MissingBlob when nothing is left to make it from."""
    if not look.store().exists(wanted.original):
        raise MissingBlob(f"image {wanted.image_id} has no bytes in the store")
    if events.due(QUEUE, at_most=WISHED_FOR_AT_ONCE) >= WISHED_FOR_AT_ONCE:
        return False
    events.defer_once(
        "seal",
        {"image_id": str(wanted.image_id), "spec": wanted.spec},
        key=f"{wanted.image_id} {wanted.spec}",
        queue=QUEUE,
    )
    return True


def made(asked: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], str]:
    """Which of these copies are there by now, and where."""
    return public.sealed(asked)


# -- making one -----------------------------------------------------------------------------------


@functools.cache
def sealer() -> Sealer:
    """This process's child that signs; started at the first copy, replaced when it dies."""
    return Sealer()


def identity() -> Identity:
    """Whose name is signed. Raises BadIdentity when the team's certificate cannot be used."""
    if settings.SIGNING_CERT or settings.SIGNING_KEY:
        return signing.own(Path(settings.SIGNING_CERT), Path(settings.SIGNING_KEY))
    return signing.local(local_path())


def local_path() -> Path:
    """Where the certificate is that is made here."""
    return Path(settings.DATA) / "signing" / "signing.pem"


def make(image_id: UUID, spec: str) -> str | None:
    """Make a sealed copy, unless it is made, and return its blob. Whoever asks at the same time waits and
    finds it. None: there is no such image, or it cannot be decoded. Other trouble may pass, and is raised."""
    with public.alone_at(image_id, spec):
        there = public.sealed([(image_id, spec)]).get((image_id, spec))
        image = catalogue.to_decode(image_id)
        if there is not None or image is None or image.state == "broken":
            return there
        name = identity()
        original = look.store().get(image.blob)
        provenance = Provenance(source_type(image.digital_source_type), image.tool)
        try:
            [copy] = (
                look.decoder()
                .make(
                    original,
                    [spec.removeprefix(SEALED)],
                    xmp=write_xmp(provenance),
                    fit=look.fit_of(image),
                    across=True,
                )
                .renditions
            )
        except BadImage as problem:
            log.warning("image %s cannot be decoded: %s", image_id, problem)
            with transaction.atomic():
                catalogue.mark_broken(image_id, str(problem))
            return None
        signed = sealer().seal(copy.content, copy.media_type, provenance, name, original=original)
        blob = look.store().put(signed)
        row = MadeRendition(spec, blob, copy.media_type, copy.width_px, copy.height_px, len(signed))
        public.keep_sealed(image_id, row)
        return blob


# -- links to what is not public ------------------------------------------------------------------


def link(image_id: UUID, format: str, width_px: int, actor: Actor, *, for_s: int) -> str:  # noqa: A002
    """An address that shows one copy of an image to whoever has it, for so many seconds."""
    if not actor.may("review"):
        raise BadInput("your role may not share images that are not public")
    if format not in MEDIA_TYPES:
        raise BadInput(f"{format!r} is none of {', '.join(MEDIA_TYPES)}", field="format")
    rules().width(str(width_px))
    if not 60 <= for_s <= LONGEST_LINK_S:
        raise BadInput("a link holds for a minute to 30 days", field="for")
    wanted = public.any_image(image_id, spec_of(format, width_px))
    if wanted is None or wanted.broken:
        raise BadInput(f"there is no image {image_id} that can be shown", field="image")
    until = int(time.time()) + for_s
    return f"/s/{image_id}/{width_px}.{format}?until={until}&key={_key(image_id, wanted.spec, until)}"


def opened(image_id: UUID, spec: str, until: str, key: str) -> int:
    """For how many more seconds this link holds; 0 or less: it does no longer. Raises BadInput for a key that
    is not ours; the database is not asked."""
    number = int(until) if until.isascii() and until.isdigit() and len(until) < 12 else 0
    if not constant_time_compare(key, _key(image_id, spec, number)):
        raise BadInput("this link is not one of ours", field="key")
    return number - int(time.time())


def shared(image_id: UUID, spec: str) -> Wanted | None:
    return public.any_image(image_id, spec)


def _key(image_id: UUID, spec: str, until: int) -> str:
    said = f"{image_id} {spec} {until}"
    return salted_hmac("packshot image link", said, algorithm="sha256").hexdigest()[:48]


assert all(len(spec_of(each, LARGEST_SIDE_PX)) <= 20 for each in MEDIA_TYPES)
