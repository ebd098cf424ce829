"""Choosing what shoppers see, taking it back, and two people who choose at once."""

import threading
from uuid import UUID

import pytest
from django.db import connection, connections, transaction

from packshot import events
from packshot.accounts import Actor
from packshot.accounts.models import AuditEntry
from packshot.catalogue import Activation
from packshot.catalogue.models import Image, Product
from packshot.flows import publish
from packshot.kernel.errors import BadInput
from tests import build
from tests.browser import story
from tests.build import ADMIN, EDITOR

pytestmark = pytest.mark.django_db(transaction=True)
PAT = Actor(None, "pat", "publisher")


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


def image(provider: build.StandIn, of: Product | None = None, *, look: bool = True) -> Image:
    """An image that landed, of a product of its own or of `of`."""
    made = story.land(build.sent(provider), look=False)
    if of is not None:
        Image.objects.filter(pk=made.pk).update(product=of)
        made.refresh_from_db()
    if look:
        story.make_thumbnail(made)
    return made


def active(product_id: UUID) -> UUID | None:
    return Product.objects.get(pk=product_id).active_image_id


def told(kind: str) -> list[events.Happening]:
    return [each for each in events.since(0) if (each.topic, each.kind) == ("product", kind)]


# -- the newest image --------------------------------------------------------------------------------


def test_a_product_knows_its_newest_image_that_can_be_shown_whatever_order_they_get_ready_in(provider):
    first, second, third = image(provider), image(provider), image(provider, look=False)
    Image.objects.update(product_id=first.product_id)
    for each in (second, first):
        Image.objects.filter(pk=each.pk).update(state="stored")
    Product.objects.update(newest_image=None)
    for each in (second, first):
        story.make_thumbnail(each)
    assert Product.objects.get(pk=first.product_id).newest_image_id == second.pk
    story.make_thumbnail(third)
    assert Product.objects.get(pk=first.product_id).newest_image_id == third.pk


def test_the_newest_of_each_becomes_active_at_once_and_is_told_and_written_down_once(provider):
    one, two = image(provider), image(provider)
    waiting, undecoded = build.product(), image(provider, look=False)
    chosen = [one.product_id, two.product_id, waiting.pk, undecoded.product_id]
    done = publish.activate_newest(chosen, PAT)
    assert {each.product_id: (each.before, each.after) for each in done} == {
        one.product_id: (None, one.pk),
        two.product_id: (None, two.pk),
    }
    assert active(one.product_id) == one.pk
    assert active(waiting.pk) is None
    assert active(undecoded.product_id) is None
    (entry,) = AuditEntry.objects.filter(action="activate newest images")
    assert entry.actor_name == "pat"
    assert sorted(each[2] for each in entry.detail["changes"]) == sorted([str(one.pk), str(two.pk)])
    assert {each.subject: each.data["by"] for each in told("activated")} == {
        str(one.product_id): "pat",
        str(two.product_id): "pat",
    }
    assert publish.activate_newest(chosen, PAT) == []
    assert AuditEntry.objects.filter(action="activate newest images").count() == 1


def test_an_archived_product_gets_no_active_image(provider):
    made = image(provider)
    Product.objects.filter(pk=made.product_id).update(archived_at="2026-01-01T00:00Z")
    assert publish.activate_newest([made.product_id], PAT) == []


# -- undo --------------------------------------------------------------------------------------------


def test_undo_gives_back_what_was_before_or_none_and_the_placeholder_mark(provider):
    first = image(provider)
    other = image(provider)
    Product.objects.filter(pk=other.product_id).update(placeholder=True, listed_image_url="https://shop/x")
    before = publish.activate(first.pk, PAT)
    newer = image(provider, of=Product.objects.get(pk=first.product_id))
    done = publish.activate_newest([first.product_id, other.product_id], PAT)
    assert active(first.product_id) == newer.pk
    assert not Product.objects.get(pk=other.product_id).placeholder
    assert publish.restore(done, PAT) == publish.Restored(2, 0)
    assert active(first.product_id) == first.pk
    product = Product.objects.get(pk=other.product_id)
    assert (product.active_image_id, product.placeholder) == (None, True)
    (entry,) = AuditEntry.objects.filter(action="restore active images")
    assert len(entry.detail["changes"]) == 2
    assert {each.data["image"] for each in told("restored")} == {str(first.pk), None}
    assert publish.restore([before], PAT) == publish.Restored(1, 0)
    assert active(first.product_id) is None


def test_undo_leaves_alone_what_somebody_changed_meanwhile_and_says_so(provider):
    first, second = image(provider), image(provider)
    newer = image(provider, of=Product.objects.get(pk=first.product_id))
    done = publish.activate_newest([first.product_id, second.product_id], PAT)
    publish.activate(first.pk, ADMIN)
    assert publish.restore(done, PAT) == publish.Restored(1, 1)
    assert active(first.product_id) == first.pk != newer.pk
    assert active(second.product_id) is None
    # The same undo again finds nothing left to take back, changes nothing and tells nobody.
    said = len(events.since(0))
    assert publish.restore(done, PAT) == publish.Restored(0, 2)
    assert len(events.since(0)) == said


def test_undo_gives_no_product_the_image_of_another(provider):
    mine, strange = image(provider), image(provider)
    publish.activate(mine.pk, PAT)
    forged = Activation(mine.product_id, "sku", strange.pk, mine.pk)
    assert publish.restore([forged], PAT) == publish.Restored(0, 1)
    assert active(mine.product_id) == mine.pk


def test_an_undo_that_meets_another_choice_waits_for_it_and_then_leaves_it_alone(provider):
    first = image(provider)
    newer = image(provider, of=Product.objects.get(pk=first.product_id))
    done = publish.activate_newest([first.product_id], PAT)
    outcome: list[publish.Restored] = []

    def undo() -> None:
        try:
            outcome.append(publish.restore(done, PAT))
        finally:
            connections.close_all()

    late = threading.Thread(target=undo)
    with transaction.atomic():
        publish.activate(first.pk, ADMIN)
        late.start()
        wait_until_somebody_waits_for_a_lock()
    late.join(60)
    assert outcome == [publish.Restored(0, 1)]
    assert active(first.product_id) == first.pk != newer.pk


def wait_until_somebody_waits_for_a_lock() -> None:
    """Polls the server, which is the one who knows."""
    with connection.cursor() as cursor:
        for _ in range(6000):
            # Within a transaction the first look at who is there would be the only one.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT (SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE NOT granted AND datname = current_database()), pg_sleep(0.01)"
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody came to wait")


# -- rights and bounds -------------------------------------------------------------------------------


def test_only_who_may_publish_chooses_or_takes_back(provider):
    made = image(provider)
    with pytest.raises(BadInput, match="may not choose active images"):
        publish.activate_newest([made.product_id], EDITOR)
    done = publish.activate_newest([made.product_id], PAT)
    with pytest.raises(BadInput, match="may not choose active images"):
        publish.restore(done, EDITOR)
    assert active(made.product_id) == made.pk


def test_too_many_at_once_are_refused_before_anything_changes(provider, monkeypatch):
    monkeypatch.setattr(publish, "MOST_AT_ONCE", 1)
    one, two = image(provider), image(provider)
    with pytest.raises(BadInput, match="narrow the list"):
        publish.activate_newest([one.product_id, two.product_id], PAT)
    assert active(one.product_id) is None
