"""Taking products out of the catalogue: archived, never deleted, for money, images and history name them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from packshot import catalogue, events
from packshot.accounts import Actor, audit
from packshot.events import Happening
from packshot.flows import generate
from packshot.generations.models import Generation
from packshot.kernel.errors import BadInput


@dataclass(frozen=True, slots=True)
class Retired:
    """What archiving did: products that went, generations that ended, and calls that are still out."""

    products: int
    cancelled: int
    on_their_way: int


def archive(product_ids: Sequence[UUID], actor: Actor) -> Retired:
    """Take these products out. What waits for them is cancelled; an image that is on its way is paid for, so
    it is kept with the product, and shown to no shopper. Doing it again finishes what was cut short."""
    if not actor.may("edit_catalogue"):
        raise BadInput("your role may not archive products")
    ids = sorted(set(product_ids))
    with transaction.atomic():
        gone = catalogue.archive(ids)
        if gone:
            audit(actor, "archive products", f"{len(gone)} products", skus=list(gone.values())[:1_000])
            events.tell(
                [
                    Happening("product", "archived", str(product_id), {"sku": sku, "by": actor.name})
                    for product_id, sku in gone.items()
                ]
            )
    # Afterwards, so that nothing new is asked for meanwhile; and by itself, for cancelling tells, too.
    waiting = list(
        Generation.objects.filter(product_id__in=ids, status__in=("pending", "processing")).values_list(
            "id", flat=True
        )
    )
    if not waiting:
        return Retired(len(gone), 0, 0)
    ended = generate.cancel(waiting, actor)
    return Retired(len(gone), ended.ended, ended.on_their_way)


def unarchive(product_ids: Sequence[UUID], actor: Actor) -> int:
    """Take these products back in, and return how many came back. They have the images that they had; what
    was cancelled when they went is not asked for again."""
    if not actor.may("edit_catalogue"):
        raise BadInput("your role may not archive products")
    with transaction.atomic():
        back = catalogue.unarchive(sorted(set(product_ids)))
        if back:
            audit(actor, "unarchive products", f"{len(back)} products", skus=list(back.values())[:1_000])
            events.tell(
                [
                    Happening("product", "unarchived", str(product_id), {"sku": sku, "by": actor.name})
                    for product_id, sku in back.items()
                ]
            )
    return len(back)
