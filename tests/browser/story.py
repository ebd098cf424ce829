"""What the pages show, made through the product's own verbs: people, generations that land, pictures."""

from functools import cache
from uuid import UUID

import pyvips
from django.contrib.auth.hashers import make_password
from django.db import transaction

from packshot import catalogue, events
from packshot.accounts.models import User
from packshot.catalogue.models import Image
from packshot.events import Happening
from packshot.flows import admit
from packshot.flows.close import Completion, Stored
from packshot.flows.look import store
from packshot.generations import Claim
from packshot.kernel.errors import Refused
from packshot.kernel.money import micros
from tests import build
from tests.build import StandIn

PASSWORD = "sunlit meadow under glass"
COLOURS = ([205, 132, 90], [104, 138, 115], [82, 100, 132], [208, 178, 96], [150, 110, 140])


def person(role: str = "administrator", name: str | None = None) -> User:
    """Somebody with an account, whose password is PASSWORD."""
    return User.objects.create(username=name or role, role=role, password=_hash())


def three_providers(wording: str) -> StandIn:
    """Three providers that can be asked on simulated money, and a template of these words for all."""
    for name in ("openai", "flux", "sandbox"):
        build.provider_row(name)
    build.budget("100")
    catalogue.save_template("General", wording)
    return StandIn()


def ask(provider: StandIn, count: int = 1) -> list[UUID]:
    """`count` generations in the queue, announced as the flow announces them."""
    with transaction.atomic():
        ids = build.asked(provider, count)
        events.tell([Happening("generation", "pending", str(each)) for each in ids])
    return ids


def begin(provider: StandIn, process_id: UUID, most: int = 100) -> list[Claim]:
    """Take generations from the queue and begin their calls."""
    claims = build.claimed(provider, process_id=process_id, most=most)
    admit.start_sending(claims, process_id=process_id)
    return claims


def land(claim: Claim, *, cost: str = "0.04", number: int = 0, look: bool = True) -> Image:
    """The call ends with an image; with `look` its thumbnail is made too."""
    content = _picture(number, 640, ".png")
    stored = Stored(store().put(content), "image/png", 640, 640, len(content))
    build.end(Completion(claim.attempt_id, images=(stored,), cost_micros=micros(cost), request_id="req"))
    image = Image.objects.get(attempt_id=claim.attempt_id)
    if look:
        make_thumbnail(image, number)
    return image


def make_thumbnail(image: Image, number: int = 0) -> str:
    """The 320 px rendition that lists show. Returns its hash."""
    content = _picture(number, 320, ".webp")
    blob = store().put(content)
    made = catalogue.MadeRendition("webp-320", blob, "image/webp", 320, 320, len(content))
    with transaction.atomic():
        catalogue.keep_renditions(image.id, [made])
        events.tell([Happening("image", "ready", str(image.id))])
    return blob


def refuse(claim: Claim, reason: str = "the prompt names another brand") -> None:
    """The provider refuses, and charges nothing."""
    build.end(build.failed(claim, Refused(reason, kind="refused")))


@cache
def _hash() -> str:
    return make_password(PASSWORD)


def _picture(number: int, side: int, suffix: str) -> bytes:
    colour = [(channel + 7 * number) % 256 for channel in COLOURS[number % len(COLOURS)]]
    plain = pyvips.Image.black(side, side).copy(interpretation="srgb") + colour
    content: bytes = plain.cast("uchar").write_to_buffer(suffix)
    return content
