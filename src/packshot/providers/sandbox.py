"""The built-in provider: free, offline, at once. It makes packshots out of renders, for trying."""

import asyncio

from packshot.imaging.studio import describe, render
from packshot.kernel.errors import BadAnswer, BadInput
from packshot.kernel.money import Micros
from packshot.providers.answers import read_image
from packshot.providers.cards import accept, refusal
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    GeneratedImage,
    ImageRequest,
    Limits,
    MediaType,
    ModelCard,
    Option,
    Pending,
    Quote,
    Ticket,
)
from packshot.providers.http import GuardedClient

_LONG_SIDE = Option("long_side", "Longer side in pixels", "choice", "1024", ("512", "1024", "1536"))
_FORMAT = Option("output_format", "File format", "choice", "png", ("png", "jpeg", "webp"))
_MEDIA_TYPES: dict[str, MediaType] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}

CARDS = (
    ModelCard(
        id="studio",
        label="Studio",
        provider="sandbox",
        delivery="direct",
        deadline_s=60,
        shapes=("1:1", "4:5", "3:4", "2:3", "9:16", "5:4", "4:3", "3:2", "16:9"),
        max_images=4,
        takes_seed=True,
        options=(_LONG_SIDE, _FORMAT),
        typical_s=0.3,
        note="Made on this machine from renders, without a model: for trying things out.",
    ),
)


class Sandbox:
    """Free packshots without a network."""

    name = "sandbox"
    label = "Sandbox"
    key_variable = None
    default_base_url = "http://localhost"  # nothing is ever called
    hosts = ()
    limits = Limits(in_flight=4)  # each picture takes a core for a moment
    free = True

    def __init__(self, account: Account, client: GuardedClient) -> None:
        pass

    def models(self) -> tuple[ModelCard, ...]:
        return CARDS

    def quote(self, request: ImageRequest) -> Quote:
        accept(request, CARDS)
        return Quote(Micros(0), Micros(0), "sandbox-free")

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        try:
            _, options = accept(request, CARDS)
        except BadInput as error:
            raise refusal(error) from error
        # Without a wish, each attempt draws its own picture.
        seed = request.seed if request.seed is not None else attempt.id.int & 0xFFFF_FFFF
        images = [
            await asyncio.to_thread(
                _draw,
                request,
                seed + place,
                int(options["long_side"]),
                _MEDIA_TYPES[options["output_format"]],
            )
            for place in range(request.images)
        ]
        return Delivery(images, Micros(0), str(attempt.id), seed=seed)

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        # The sandbox gives no tickets: a picture is there when the call returns.
        raise BadAnswer("The sandbox keeps no result to collect.", kind="bad_answer", charge="free")


def _draw(request: ImageRequest, seed: int, long_side: int, media_type: MediaType) -> GeneratedImage:
    across, down = (int(part) for part in request.shape.split(":"))
    scale = long_side / max(across, down)
    packshot = describe(
        request.prompt,
        style="sandbox",
        seed=seed,
        width_px=round(across * scale),
        height_px=round(down * scale),
    )
    return read_image(render(packshot, media_type=media_type))
