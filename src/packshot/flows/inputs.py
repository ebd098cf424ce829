"""Pictures that go with a request: an image that is here already, a file that somebody brings, or what stands
at an address of the catalogue."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import cast
from urllib.parse import urlsplit
from uuid import UUID

from packshot.accounts import Actor
from packshot.blobs import MissingBlob
from packshot.catalogue.models import Image
from packshot.flows import look
from packshot.generations import Given
from packshot.imaging.header import MAX_BYTES, BadImage, read_header
from packshot.imaging.provenance import Provenance, write_xmp
from packshot.imaging.renditions import DecoderDied
from packshot.kernel.errors import BadInput
from packshot.providers.contract import MediaType, Role
from packshot.providers.http import Blocked, CallFailed, Deadline, GuardedClient, Redirected, TooLarge

SHOWN_SPEC = "webp-640"  # the copy of a brought picture that a form shows
FETCH_S = 20.0
# The small copies of pictures that went along before, by the blob of the picture.
_SHOWN: dict[str, str] = {}
_SHOWN_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Brought:
    """A picture that somebody brought, and the blob of the copy by which a page shows it."""

    given: Given
    shown: str


def of_image(image_id: UUID, role: Role = "image") -> Given:
    """An image of this site, with what its provider gave for going on from it."""
    image = Image.objects.filter(pk=image_id).first()
    if image is None:
        raise BadInput(f"there is no image {image_id}", field="inputs")
    return _given(image, role)


def of_images(image_ids: Collection[UUID]) -> dict[UUID, Given]:
    """Those of these images that are here and can be shown, by id."""
    found = Image.objects.filter(pk__in=image_ids).exclude(state="broken") if image_ids else ()
    return {image.pk: _given(image, "image") for image in found}


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


def bring(content: bytes, actor: Actor, role: Role = "image") -> Brought:
    """The same for a page, which shows it: decoded to its last row in the bounded child, so that a picture
    that cannot be decoded is refused before anything is paid for it."""
    if not actor.may("generate"):
        raise BadInput("your role may not generate images")
    shown = _small(content)
    return Brought(of_file(content, actor, role), look.store().put(shown))


def again(given: Given, actor: Actor) -> Brought:
    """A picture that went with an earlier request, to go with another. Raises BadInput when it is gone."""
    if not actor.may("generate"):
        raise BadInput("your role may not generate images")
    # A page may be loaded often: the picture was looked at when it came, and its small copy stands.
    shown = _SHOWN.get(given.blob)
    try:
        if shown is None or not look.store().exists(shown):
            shown = look.store().put(_small(look.store().get(given.blob)))
            if len(_SHOWN) >= _SHOWN_MOST:
                _SHOWN.clear()
            _SHOWN[given.blob] = shown
        elif not look.store().exists(given.blob):
            raise MissingBlob(given.blob)
    except MissingBlob:
        raise BadInput(
            "a picture of that image is not in the store any more; bring it again", field="inputs"
        ) from None
    return Brought(replace(given, image_id=None, handle=None), shown)


def _small(content: bytes) -> bytes:
    """The copy by which a page shows a picture. Raises BadInput for what cannot be decoded."""
    # What somebody brings was made we know not how; this copy never leaves the site, and only has to say so
    # that it is a copy by rule.
    xmp = write_xmp(Provenance("algorithmicMedia", "packshot"))
    try:
        (shown,) = look.decoder().make(content, (SHOWN_SPEC,), xmp=xmp).renditions
    except (BadImage, DecoderDied) as problem:
        raise BadInput(f"this picture cannot be used: {problem}", field="inputs") from problem
    return shown.content


async def fetch(address: str) -> bytes:
    """The bytes at an address of the catalogue: by https on port 443, of a public host, without redirects.

    Raises BadInput. Whoever imports a catalogue writes its addresses, so none may lead to a machine of this
    network.
    """
    client = None
    try:
        parts = urlsplit(address)
        if parts.port not in (None, 443):
            raise Blocked("not port 443")
        if parts.scheme != "https" or _is_this_machine(parts.hostname or ""):
            raise Blocked("not https")
        client = GuardedClient(f"https://{parts.netloc}")
        answer = await client.get(address, deadline_s=FETCH_S, max_bytes=MAX_BYTES)
    except Blocked:
        problem = "it is no https address of a public host on port 443, and no other is fetched"
    except TooLarge:
        problem = f"it is larger than {MAX_BYTES // 2**20} MiB"
    except Redirected:
        problem = "it leads to another address; import that one"
    except Deadline:
        problem = f"it did not answer within {FETCH_S:g} s"
    except (CallFailed, ValueError):
        problem = "it cannot be reached"
    else:
        if answer.status == 200:
            return answer.body
        problem = f"it answers {answer.status}"
    finally:
        if client is not None:
            await client.aclose()
    raise BadInput(f"{address[:200]} cannot be used: {problem}", field="inputs")


def _is_this_machine(host: str) -> bool:
    """Whether a host is an address, or names this machine: the guarded client lets its own base be that."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _given(image: Image, role: Role) -> Given:
    if image.state == "broken":
        raise BadInput(
            f"image {image.pk} could not be decoded ({image.problem}); choose another", field="inputs"
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
