"""Midjourney by hand: a person copies the prompt, makes the image there, and brings it back. No key, no
automation, and so none of Midjourney's terms broken. Nothing here ever calls anybody."""

from packshot.kernel.errors import BadAnswer, Misconfigured
from packshot.kernel.money import Micros
from packshot.providers.cards import accept
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    ImageRequest,
    Limits,
    ModelCard,
    Option,
    Pending,
    Quote,
    Ticket,
)
from packshot.providers.http import GuardedClient

_VERSION = Option("version", "Version", "choice", "8.1", ("8.1", "8", "7"))
CARDS = (
    ModelCard(
        id="midjourney-by-hand",
        label="Midjourney",
        provider="by-hand",
        delivery="direct",
        deadline_s=60,
        shapes=("1:1", "4:5", "3:4", "2:3", "9:16", "5:4", "4:3", "3:2", "16:9"),
        max_images=4,
        options=(_VERSION,),
        takes_negative_prompt=True,
        typical_s=600,
        note="Somebody copies the prompt, makes the image in Midjourney, and brings it back.",
    ),
)


class ByHand:
    """Images that people make elsewhere and bring."""

    name = "by-hand"
    label = "By hand"
    key_variable = None
    default_base_url = "http://localhost"  # nothing is ever called
    hosts = ()
    limits = Limits(in_flight=1)
    free = True  # a plan is paid by the month; a price per image is the site's own to set
    by_hand = True

    def __init__(self, account: Account, client: GuardedClient) -> None:
        pass

    def models(self) -> tuple[ModelCard, ...]:
        return CARDS

    def quote(self, request: ImageRequest) -> Quote:
        accept(request, CARDS)
        return Quote(Micros(0), Micros(0), "by-hand-plan", "Covered by the plan that is paid by the month.")

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        raise Misconfigured("Nobody can be called: its images are brought by people.", kind="bad_key")

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        raise BadAnswer("There is nothing to collect.", kind="bad_answer", charge="free")


def to_copy(request: ImageRequest) -> str:
    """The prompt as Midjourney takes it, its parameters at the end (its documentation, 2026-07)."""
    _, options = accept(request, CARDS)
    words = [" ".join(request.prompt.split()), f"--ar {request.shape}", f"--v {options['version']}"]
    if request.negative_prompt:
        # Midjourney parts what is not wanted by commas.
        parts = [part.strip() for part in request.negative_prompt.replace("\n", ",").split(",")]
        words.append(f"--no {', '.join(part for part in parts if part)}")
    return " ".join(words)
