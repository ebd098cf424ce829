"""Going on from an image at the provider that made it: one of the four of a grid, or four more like it."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from packshot import catalogue, generations
from packshot.catalogue.models import Image
from packshot.flows import inputs, prices
from packshot.flows.desk import quoting
from packshot.flows.generate import Ask
from packshot.kernel.errors import BadInput
from packshot.kernel.money import dollars
from packshot.providers.contract import AS_INPUT, ImageRequest

QUADRANTS = (1, 2, 3, 4)  # top left, top right, bottom left, bottom right


@dataclass(frozen=True, slots=True)
class Way:
    """One way to go on, and what it is expected to cost, in micro-dollars; None: nobody knows."""

    model: str
    label: str
    expected_micros: int | None

    @property
    def expected(self) -> Decimal | None:
        """In dollars."""
        return None if self.expected_micros is None else dollars(self.expected_micros)


@dataclass(frozen=True, slots=True)
class Grid:
    """An image of four, and what can be made of one of them."""

    image_id: UUID
    ways: tuple[Way, ...]


def grid_of(generation_id: UUID, provider: str) -> Grid | None:
    """The grid that this generation made, with its ways on; None for any other image or provider."""
    adapter = quoting().get(provider)
    cards = [card for card in adapter.models() if card.kind == "follow_up"] if adapter else []
    if adapter is None or not cards:
        return None
    image = Image.objects.filter(generation_id=generation_id, handle__grid=True).order_by("pk").first()
    switch = generations.provider_switch(provider)
    if image is None or switch is None:
        return None
    picture = inputs.of_image(image.id).picture()
    ways = []
    for card in cards:
        request = ImageRequest(card.id, "", AS_INPUT, options={"quadrant": 1}, inputs=(picture,))
        try:
            quote = prices.quote(adapter, request, switch.price_edition)
        except BadInput:
            continue  # this one is not among what the grid offers
        ways.append(Way(card.id, card.label, quote.expected))
    return Grid(image.id, tuple(ways)) if ways else None


def of(image_id: UUID, model: str, quadrant: int) -> Ask:
    """What to ask for. Raises BadInput for an image that is no grid, and a way that is none."""
    image = Image.objects.filter(pk=image_id).first()
    if image is None or not image.generation_id:
        raise BadInput(f"there is no image {image_id} that somebody asked for", field="image")
    if quadrant not in QUADRANTS:
        raise BadInput("choose one of the four", field="quadrant")
    return Ask(
        products=catalogue.by_id([image.product_id]),
        provider=image.provider,
        model=model,
        prompt="",
        shape=AS_INPUT,
        options={"quadrant": quadrant},
        inputs=(inputs.of_image(image_id),),
    )
