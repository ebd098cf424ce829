"""What shoppers see: the one active image of a product."""

from uuid import UUID

from django.db import transaction

from packshot import catalogue, events
from packshot.accounts import Actor, audit
from packshot.catalogue import Activation
from packshot.events import Happening
from packshot.kernel.errors import BadInput


def activate(image_id: UUID, actor: Actor) -> Activation:
    """Make this image its product's active one. Doing it again changes nothing and tells nobody."""
    if not actor.may("publish"):
        raise BadInput("your role may not choose active images")
    with transaction.atomic():
        done = catalogue.activate(image_id)
        if done.before != done.after:
            before = str(done.before) if done.before else None
            audit(actor, "activate image", done.sku, image=str(done.after), before=before)
            events.tell(
                [
                    Happening(
                        "product",
                        "activated",
                        str(done.product_id),
                        {"sku": done.sku, "image": str(done.after)},
                    )
                ]
            )
    return done
