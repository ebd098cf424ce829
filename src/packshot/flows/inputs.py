"""Pictures that go with a request: an image that is here already, or a file that somebody brings."""

from typing import cast
from uuid import UUID

from packshot.accounts import Actor
from packshot.catalogue.models import Image
from packshot.flows import look
from packshot.generations import Given
from packshot.imaging.header import BadImage, read_header
from packshot.kernel.errors import BadInput
from packshot.providers.contract import MediaType, Role


def of_image(image_id: UUID, role: Role = "image") -> Given:
    """An image of this site, with what its provider gave for going on from it."""
    image = Image.objects.filter(pk=image_id).first()
    if image is None:
        raise BadInput(f"there is no image {image_id}", field="inputs")
    if image.state == "broken":
        raise BadInput(
            f"image {image_id} could not be decoded ({image.problem}); choose another", field="inputs"
        )
    return Given(
        role,
        image.blob,
        cast(MediaType, image.media_type),
        image.width_px,
        image.height_px,
        image.size_bytes,
        image.id,
        image.handle,
    )


def of_file(content: bytes, actor: Actor, role: Role = "image") -> Given:
    """A file's bytes, looked at no further than their header and put into the store. Storing them twice is
    storing them once."""
    if not actor.may("generate"):
        raise BadInput("your role may not generate images")
    try:
        header = read_header(content)
    except BadImage as problem:
        raise BadInput(f"this picture cannot be used: {problem}", field="inputs") from problem
    blob = look.store().put(content)
    return Given(role, blob, header.media_type, header.width_px, header.height_px, len(content))
