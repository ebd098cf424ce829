"""A product that goes while images of it are made, and two people who choose for one product at once."""

import threading

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import ProtectedError

from packshot import events
from packshot.accounts import Actor
from packshot.accounts.models import AuditEntry
from packshot.catalogue.models import Image, Product
from packshot.flows import delivery, look, publish, retire
from packshot.generations.models import Generation
from packshot.kernel.errors import BadInput
from packshot.kernel.money import micros
from packshot.ledger.models import Entry
from tests import build
from tests.browser import story
from tests.build import ADMIN, EDITOR

pytestmark = pytest.mark.django_db(transaction=True)
PAT, KIM = Actor(None, "pat", "publisher"), Actor(None, "kim", "publisher")
VIEWER = Actor(None, "vera", "viewer")


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


def image(provider: build.StandIn, of: Product | None = None, *, number: int = 0) -> Image:
    made = story.land(build.sent(provider), number=number)
    if of is not None:
        Image.objects.filter(pk=made.pk).update(product=of)
        made.refresh_from_db()
    return made


# -- gone in the middle ------------------------------------------------------------------------------


def test_an_image_that_lands_after_its_product_went_is_kept_paid_for_and_shown_to_no_shopper(provider):
    claim = build.sent(provider)
    product = Product.objects.get(pk=Generation.objects.get(pk=claim.generation.id).product_id)
    done = retire.archive([product.pk], EDITOR)
    assert done == retire.Retired(products=1, cancelled=0, on_their_way=1)
    landed = story.land(claim, cost="0.04", look=False)
    # Everything about it is right: bytes, row, money, hold.
    assert look.store().exists(landed.blob)
    assert build.generation(claim).status == "completed"
    assert sum(Entry.objects.values_list("amount_micros", flat=True)) == micros("0.04")
    assert build.balances() == (micros("0.04"), 0)
    look.look_at(landed.pk)
    landed.refresh_from_db()
    product.refresh_from_db()
    assert (landed.state, landed.product_id) == ("ready", product.pk)
    # And nobody sees it, nor can make it seen.
    with pytest.raises(BadInput, match="archived"):
        publish.activate(landed.pk, ADMIN)
    assert publish.activate_newest([product.pk], ADMIN) == []
    assert product.active_image_id is None
    assert delivery.find(product.sku, "*/*", 640) is None


def test_what_waited_for_a_product_that_went_is_never_sent_and_holds_no_money(provider):
    (waiting,) = build.asked(provider, 1)
    claimed = build.claimed(provider, most=1)
    pending = build.asked(provider, 1)
    products = list(Generation.objects.values_list("product_id", flat=True))
    before = build.balances()
    assert before[1] > 0
    done = retire.archive(products, EDITOR)
    assert (done.cancelled, done.on_their_way) == (2, 0)
    for each in (waiting, *pending):
        assert build.generation(each).status == "cancelled"
    assert build.attempt(claimed[0]).state == "released"
    assert build.balances() == (0, 0)
    assert build.claimed(provider) == []


def test_archiving_again_changes_nothing_and_finishes_what_was_cut_short(provider):
    (pending,) = build.asked(provider, 1)
    product_id = build.generation(pending).product_id
    # Cut short after its first half.
    Product.objects.filter(pk=product_id).update(archived_at="2026-01-01T00:00Z")
    assert retire.archive([product_id], EDITOR) == retire.Retired(0, 1, 0)
    assert build.generation(pending).status == "cancelled"
    said = events.newest_id()
    assert retire.archive([product_id], EDITOR) == retire.Retired(0, 0, 0)
    assert events.newest_id() == said
    assert not AuditEntry.objects.filter(action="archive products").exists()


def test_only_who_may_edit_the_catalogue_archives(provider):
    product = build.product()
    with pytest.raises(BadInput, match="role"):
        retire.archive([product.pk], VIEWER)
    product.refresh_from_db()
    assert product.archived_at is None
    retire.archive([product.pk], EDITOR)
    assert AuditEntry.objects.get(action="archive products").detail["skus"] == [product.sku]


def test_a_product_that_anything_names_cannot_be_deleted_by_anybody(provider):
    product = Product.objects.get(pk=image(provider).product_id)
    with pytest.raises(ProtectedError):
        product.delete()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM packshot_product WHERE id = %s", [product.pk])


# -- two people at once ------------------------------------------------------------------------------


def test_of_two_people_who_choose_at_once_the_later_counts_and_both_choices_are_told_in_order(provider):
    first = image(provider, number=1)
    second = image(provider, Product.objects.get(pk=first.product_id), number=2)
    failed: list[BaseException] = []

    def choose(chosen: Image, who: Actor, gate: threading.Barrier) -> None:
        try:
            gate.wait(60)
            publish.activate(chosen.pk, who)
        except BaseException as problem:
            failed.append(problem)
        finally:
            connections.close_all()

    for _ in range(15):
        Product.objects.filter(pk=first.product_id).update(active_image=None)
        started = events.newest_id()
        gate = threading.Barrier(2)
        people = [
            threading.Thread(target=choose, args=(chosen, who, gate))
            for chosen, who in ((first, PAT), (second, KIM))
        ]
        for each in people:
            each.start()
        for each in people:
            each.join(60)
        assert failed == []
        told = [each for each in events.since(started) if each.kind == "activated"]
        # One after the other: what the second replaced is what the first chose, and the second is what shows.
        assert [each.data["before"] for each in told] == [None, told[0].data["image"]]
        assert {each.data["image"] for each in told} == {str(first.pk), str(second.pk)}
        now = str(Product.objects.get(pk=first.product_id).active_image_id)
        assert now == told[1].data["image"]
        found = delivery.find(Product.objects.get(pk=first.product_id).sku, "*/*", 640)
        assert found is not None and found[0] is not None and str(found[0].image_id) == now


def test_a_choice_and_an_archiving_at_once_leave_no_image_in_public(provider):
    made = image(provider)
    sku = Product.objects.get(pk=made.product_id).sku
    gate = threading.Barrier(2)

    def choose() -> None:
        try:
            gate.wait(60)
            publish.activate(made.pk, PAT)
        except BadInput as problem:
            assert "archived" in str(problem)
        finally:
            connections.close_all()

    person = threading.Thread(target=choose)
    person.start()
    gate.wait(60)
    retire.archive([made.product_id], EDITOR)
    person.join(60)
    assert delivery.find(sku, "*/*", 640) is None
