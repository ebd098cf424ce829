"""Photos that people bring as images of a product. What they bring is hostile until it is decoded and encoded
again, and it says where and by whom it was taken: so the picture is kept, and the file is not."""

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from django.db import transaction

from packshot import catalogue, events
from packshot.accounts import Actor, audit
from packshot.catalogue import CAPTURE, BroughtPhoto
from packshot.events import Happening
from packshot.flows import look
from packshot.flows.uploads import plain_name
from packshot.imaging.header import MAX_BYTES, BadImage, has_alpha, read_header
from packshot.imaging.polyglots import also
from packshot.imaging.provenance import Provenance, declared, write_xmp
from packshot.imaging.renditions import LARGEST_SIDE_PX, DecoderDied, Rendition
from packshot.kernel.errors import BadInput

MOST_AT_ONCE = 12
_NAME_CHARS = 100


@dataclass(frozen=True, slots=True)
class Added:
    """A photo of a product: the image it is, and whether it became one now."""

    image_id: UUID
    new: bool


def add(product_id: UUID, content: bytes, file_name: str, actor: Actor) -> Added:
    """Make this file's picture an image of the product. The same bytes once more are the image that they are.

    Raises BadInput, in words that name the file, for what is no picture, for what is something else besides,
    and for a product that takes none.
    """
    if not actor.may("generate"):
        raise BadInput("your role may not add images")
    name = plain_name(file_name)[:_NAME_CHARS]
    digest = sha256(content).hexdigest()
    known = catalogue.photo_of(product_id, digest)
    if known is not None:
        return Added(known, new=False)
    source = declared(content)
    try:
        clean = _clean(content, Provenance(source, "Packshot"))
    except (BadImage, DecoderDied) as problem:
        raise BadInput(f"{name}: {problem}", field="photos") from problem
    # Before any row: bytes that nothing points to do no harm, a row without bytes would.
    blob = look.store().put(clean.content)
    with transaction.atomic():
        sku = catalogue.open_product(product_id)
        # Of two who bring the same at once, the later finds what the earlier made.
        known = catalogue.photo_of(product_id, digest)
        if known is not None:
            return Added(known, new=False)
        image_id = catalogue.add_photo(
            BroughtPhoto(
                product_id,
                digest,
                name,
                blob,
                clean.media_type,
                clean.width_px,
                clean.height_px,
                len(clean.content),
                source or CAPTURE,
                actor.id,
                actor.name,
            )
        )
        audit(actor, "add photo", sku, image=str(image_id), file=name)
        # Before what a run of hundreds brought: somebody sits there and waits for this one.
        events.look_later([image_id], priority=20)
        events.tell(
            [Happening("image", "brought", str(image_id), {"product": str(product_id), "by": actor.name})]
        )
    return Added(image_id, new=True)


def _clean(content: bytes, provenance: Provenance) -> Rendition:
    """The picture in our own encoding: upright, sRGB, nothing beside it but our mark, and hardly any loss."""
    header = read_header(content)
    besides = also(content)
    if besides is not None:
        raise BadImage(f"It is {besides}, too. Save the picture anew, and bring that.")
    xmp = write_xmp(provenance)
    exact = header.media_type == "image/png" or has_alpha(content)
    for kind in ("png", "webp") if exact else ("jpeg",):
        spec = f"{kind}-{LARGEST_SIDE_PX}"
        (copy,) = look.decoder().make(content, [spec], xmp=xmp, fine=True).renditions
        if len(copy.content) <= MAX_BYTES:
            return copy
    raise BadImage("It is too large once it is decoded. Bring a smaller one.")
