"""What shoppers see: the one active image of a product."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from packshot import catalogue, events, preferences
from packshot.accounts import Actor, audit
from packshot.catalogue import Activation
from packshot.events import Happening
from packshot.kernel.errors import BadInput
from packshot.quality import reviews

# So many can be undone by what a page remembers of them, and looked through by a person.
MOST_AT_ONCE = 1_000


def activate(image_id: UUID, actor: Actor) -> Activation:
    """Make this image its product's active one. Doing it again changes nothing and tells nobody."""
    _must_publish(actor)
    with transaction.atomic():
        # Under the lock that decisions take, so that none changes between this look and the commit.
        if preferences.get("approval_required") and image_id not in reviews.approved([image_id]):
            raise BadInput("only an approved image may become active here; review it first", field="image")
        done = catalogue.activate(image_id)
        if done.before != done.after:
            before = str(done.before) if done.before else None
            audit(actor, "activate image", done.sku, image=str(done.after), before=before)
            _announce([done], actor)
    return done


def activate_newest(product_ids: Sequence[UUID], actor: Actor) -> list[Activation]:
    """Make the newest image of each product its active one. Returns those that changed, by SKU."""
    _must_publish(actor)
    _must_be_few(product_ids)
    with transaction.atomic():
        ids = sorted(set(product_ids))
        among = None
        if preferences.get("approval_required"):
            # Images before products, as decisions lock them; what became the newest since is not among them.
            among = reviews.approved(list(catalogue.newest_images(ids).values()))
        done = catalogue.activate_newest(ids, among=among)
        if done:
            audit(actor, "activate newest images", f"{len(done)} products", changes=_changes(done))
            _announce(done, actor)
    return done


@dataclass(frozen=True, slots=True)
class Restored:
    """What an undo did: products that have again what they had, and those that somebody changed meanwhile."""

    restored: int
    changed_meanwhile: int


def restore(done: Sequence[Activation], actor: Actor) -> Restored:
    """Take activations back: each product gets what it had before, unless it has another image by now."""
    _must_publish(actor)
    _must_be_few(done)
    with transaction.atomic():
        changed = set(catalogue.restore_active(done))
        undone = [each for each in done if each.product_id in changed]
        if undone:
            subject = undone[0].sku if len(undone) == 1 else f"{len(undone)} products"
            audit(actor, "restore active images", subject, changes=_changes(undone))
            events.tell(
                [
                    Happening(
                        "product",
                        "restored",
                        str(each.product_id),
                        {"sku": each.sku, **_turn(each.after, each.before), "by": actor.name},
                    )
                    for each in undone
                ]
            )
    return Restored(len(undone), len(done) - len(undone))


def _must_publish(actor: Actor) -> None:
    if not actor.may("publish"):
        raise BadInput("your role may not choose active images")


def _must_be_few(several: Sequence[object]) -> None:
    if len(several) > MOST_AT_ONCE:
        raise BadInput(
            f"{len(several):,} products are more than {MOST_AT_ONCE:,} at once; narrow the list",
            field="products",
        )


def _announce(done: Sequence[Activation], actor: Actor) -> None:
    events.tell(
        [
            Happening(
                "product",
                "activated",
                str(each.product_id),
                {"sku": each.sku, **_turn(each.before, each.after), "by": actor.name},
            )
            for each in done
        ]
    )


def _turn(before: UUID | None, after: UUID | None) -> dict[str, str | None]:
    return {"image": str(after) if after else None, "before": str(before) if before else None}


def _changes(done: Sequence[Activation]) -> list[list[str | None]]:
    """SKU, image before and image after of each, for the audit log."""
    return [[each.sku, str(each.before) if each.before else None, str(each.after)] for each in done]
