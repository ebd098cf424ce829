"""Images that people make elsewhere and bring: one transaction from the hold to the booked end."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from django.db import transaction

from packshot import catalogue, generations, ledger
from packshot.accounts import Actor, audit
from packshot.flows import look, prices
from packshot.flows.admit import image_request, start_sending
from packshot.flows.close import Completion, Stored, close
from packshot.flows.desk import quoting
from packshot.generations import SHARED_SLOT, Candidate, Claim
from packshot.imaging.header import BadImage, read_header
from packshot.kernel.errors import BadInput, OverBudget
from packshot.kernel.ids import uuid7
from packshot.kernel.money import Micros
from packshot.ledger import Wish
from packshot.providers import registry

MOST = 4  # a grid has four


def waits_for_a_person(provider: str) -> bool:
    """Whether a generation of this provider is brought by somebody, and never asked for by a worker."""
    adapter = registry.adapters().get(provider)
    return adapter is not None and registry.is_by_hand(adapter)


def bring(generation_id: UUID, pictures: Sequence[bytes], actor: Actor) -> int:
    """Keep `pictures` as the images of a generation that waits for them. Returns how many.

    What they cost by the site's price is held and booked at once. Raises BadInput for pictures that cannot be
    used and for a generation that waits for nobody, OverBudget where no budget has room.
    """
    if not actor.may("generate"):
        raise BadInput("your role may not generate images")
    if not 1 <= len(pictures) <= MOST:
        raise BadInput(f"bring 1 to {MOST} pictures, not {len(pictures)}", field="pictures")
    headers = []
    for place, content in enumerate(pictures, 1):
        try:
            headers.append(read_header(content))
        except BadImage as problem:
            raise BadInput(f"picture {place} cannot be used: {problem}", field="pictures") from problem
    # Before any row: bytes that nothing points to do no harm, a row without bytes would.
    kept = tuple(
        Stored(look.store().put(content), header.media_type, header.width_px, header.height_px, len(content))
        for content, header in zip(pictures, headers, strict=True)
    )
    with transaction.atomic():
        found = generations.pending_one(generation_id)
        if found is None or not waits_for_a_person(found.provider):
            raise BadInput(f"generation {generation_id} waits for nobody's image", field="generation")
        # What close locks after the attempt and before the budgets, which are held from here on.
        catalogue.lock_products([found.product_id])
        _book(found, kept)
        audit(actor, "bring images", str(generation_id), images=len(kept))
    return len(kept)


def _book(found: Candidate, kept: tuple[Stored, ...]) -> None:
    switch = generations.provider_switch(found.provider)
    edition = switch.price_edition if switch else 0
    provider = quoting()[found.provider]
    quote = prices.quote(provider, image_request(found, provider), edition)
    if quote.expected is None:
        raise BadInput("the price of an image is set to unknown here; an administrator sets it first")
    price = Micros(quote.expected)
    if quote.price_version != found.price_version:
        generations.requote(
            found.id, expected=quote.expected, ceiling=quote.ceiling, price_version=quote.price_version
        )
        found = replace(
            found,
            expected_micros=quote.expected,
            ceiling_micros=quote.ceiling,
            price_version=quote.price_version,
        )
    claim = Claim(uuid7(), found.attempts + 1, found, deadline_s=60)
    wish = Wish(
        claim.attempt_id,
        price,
        found.simulated,
        found.provider,
        found.category_path,
        found.person_name,
        found.run_id,
    )
    funded, short = ledger.reserve([wish])
    if not funded:
        raise OverBudget(short[0][1])
    # A process of this transaction alone: it ends with it, so nobody ever rescues what it left.
    me = generations.enrol("web")
    generations.open_attempts([claim], process_id=me.id)
    if not start_sending([claim], process_id=me.id):
        raise BadInput("spending is stopped for the whole site; bring it when an administrator resumes it")
    close([Completion(claim.attempt_id, images=kept, cost_micros=price)], slot=SHARED_SLOT)
    generations.retire(me.id)
