"""A product's past: everything that was made, what was made from what, and which image was active when."""

import pytest
from django.db import connection

from packshot.accounts import Actor
from packshot.catalogue.models import Image, Product
from packshot.flows import look, photos, publish, review
from packshot.generations.models import Generation
from packshot.reports.history import Entry, History, Past, history
from tests import build
from tests.browser import story
from tests.integration.test_photos import photo
from tests.integration.test_web_product import image_of

pytestmark = pytest.mark.django_db

PAT = Actor(None, "pat", "publisher")


@pytest.fixture
def provider() -> build.StandIn:
    for name in ("openai", "flux"):
        build.provider_row(name)
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def product() -> Product:
    return build.product()


def past(product: Product, *, limit: int = 50, **wanted: object) -> History:
    return history(product.pk, product.sku, Past(**wanted), limit=limit)  # type: ignore[arg-type]


def given(image: Image, *sources: Image, model: str = "", person: str = "") -> None:
    """As if this image had been asked for with those."""
    inputs = [{"role": "image", "image_id": str(each.pk)} for each in sources]
    changes = {"model": model} if model else {}
    changes |= {"asked_by_name": person} if person else {}
    Generation.objects.filter(pk=image.generation_id).update(inputs=inputs, **changes)


def failed(provider: build.StandIn, product: Product, reason: str = "names a brand") -> Generation:
    claim = build.sent(provider)
    Generation.objects.filter(pk=claim.generation.id).update(product=product)
    story.refuse(claim, reason)
    return build.generation(claim)


def images(found: History) -> list[object]:
    return [each.image_id for each in found.entries]


def test_every_image_is_there_with_how_it_came_about(provider, product):
    made = image_of(provider, product)
    given(made, person="Ines")
    (entry,) = past(product).entries
    assert (entry.id, entry.image_id, entry.generation_id) == (made.pk, made.pk, made.generation_id)
    assert (entry.number, entry.provider, entry.model, entry.person) == (1, "openai", "stand-in", "Ines")
    assert (entry.cost_micros, entry.review, entry.failure) == (40_000, "", "")
    assert entry.prompt == "a bottle of hemp seed oil on slate"
    assert entry.seconds is not None


def test_pages_follow_each_other_without_a_gap_and_new_images_move_nothing(provider, product):
    made = [image_of(provider, product, number=each, look=False) for each in range(7)]
    newest_first = [each.pk for each in reversed(made)]
    first = past(product, limit=3)
    assert images(first) == newest_first[:3]
    assert first.has_older
    image_of(provider, product, look=False)
    second = past(product, limit=3, older=first.entries[-1].id)
    assert images(second) == newest_first[3:6]
    last = past(product, limit=3, older=second.entries[-1].id)
    assert images(last) == newest_first[6:]
    assert not last.has_older
    assert [each.number for each in last.entries] == [1]


def test_what_failed_stands_among_them_with_its_reason(provider, product):
    first = image_of(provider, product)
    wrong = failed(provider, product)
    second = image_of(provider, product, number=1)
    found = past(product)
    assert [each.id for each in found.entries] == [second.pk, wrong.pk, first.pk]
    entry = found.entries[1]
    assert (entry.image_id, entry.generation_id, entry.failure) == (None, wrong.pk, "failed")
    assert (entry.error_kind, entry.error_message, entry.tries) == ("refused", "names a brand", 1)
    assert entry.cost_micros == 0


def test_a_charge_that_nobody_knows_is_not_shown_as_nothing(provider, product):
    claim = build.sent(provider)
    Generation.objects.filter(pk=claim.generation.id).update(product=product, status="uncertain")
    (entry,) = past(product).entries
    assert (entry.failure, entry.cost_micros) == ("uncertain", None)


def test_it_is_narrowed_by_provider_person_and_decision(provider, product):
    flux = image_of(build.StandIn("flux"), product)
    openai = image_of(provider, product, number=1)
    given(openai, person="Ines")
    wrong = failed(provider, product)
    own = photos.add(product.pk, photo(), "a.jpg", Actor(None, "Olga", "editor")).image_id
    review.decide([flux.pk], "approved", "", build.ADMIN)
    review.decide([openai.pk], "rejected", "wrong colour", build.ADMIN)
    assert images(past(product, provider="flux")) == [flux.pk]
    assert [each.id for each in past(product, provider="openai").entries] == [wrong.pk, openai.pk]
    assert images(past(product, provider="upload")) == [own]
    assert images(past(product, person="Ines")) == [openai.pk]
    assert images(past(product, person="Olga")) == [own]
    assert images(past(product, standing="approved")) == [flux.pk]
    assert images(past(product, standing="undecided")) == [own]
    assert [each.id for each in past(product, standing="failed").entries] == [wrong.pk]
    rejected = past(product, standing="rejected")
    assert images(rejected) == [openai.pk]
    assert rejected.entries[0].reason == "wrong colour"
    nothing = past(product, provider="flux", standing="rejected")
    assert nothing.entries == []
    assert nothing.providers == ["flux", "openai", "upload"], "what it can be narrowed to, whatever it is"
    assert nothing.people == ["Ines", "Olga", "ed"]


def test_another_products_past_is_not_among_it(provider, product):
    image_of(provider, build.product())
    failed(provider, build.product())
    found = past(product)
    assert (found.entries, found.providers, found.people) == ([], [], [])


# -- lineage -------------------------------------------------------------------------------------------------


def test_an_image_says_what_it_was_made_from_and_what_it_was_used_for(provider, product):
    grid, upscaled, edit = (image_of(provider, product, number=each) for each in range(3))
    given(upscaled, grid, model="midjourney-upscale")
    given(edit, upscaled, grid, model="stand-in")
    by_number = {each.number: each for each in past(product).entries}
    assert [(kin.image_id, kin.number) for kin in by_number[3].made_from] == [(upscaled.pk, 2), (grid.pk, 1)]
    assert [(kin.number, kin.model) for kin in by_number[2].made_from] == [(1, "midjourney-upscale")]
    assert [(kin.number, kin.model) for kin in by_number[1].used_for] == [
        (2, "midjourney-upscale"),
        (3, "stand-in"),
    ]
    assert [kin.image_id for kin in by_number[2].used_for] == [edit.pk]
    assert by_number[3].used_for == ()


def test_kin_of_another_product_is_named_by_its_sku(provider, product):
    other = build.product()
    mine, theirs = image_of(provider, product), image_of(provider, other, number=1)
    given(theirs, mine)
    (down,) = past(product).entries[0].used_for
    assert (down.image_id, down.number, down.sku) == (theirs.pk, None, other.sku)
    (up,) = past(other).entries[0].made_from
    assert (up.image_id, up.number, up.sku) == (mine.pk, None, product.sku)


def test_what_an_image_was_used_for_is_found_by_an_index(provider, product):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT 1 FROM packshot_generation WHERE inputs <> '[]'::jsonb AND inputs"
            """ @> jsonb_build_array(jsonb_build_object('image_id', %s::text, 'role', 'image'))""",
            [str(product.pk)],
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "packshot_generation_inputs" in plan


# -- what was active -----------------------------------------------------------------------------------------


def turns(product: Product) -> list[tuple[int | None, str, bool]]:
    return [(each.number, each.by, each.undone) for each in past(product).turns]


def test_the_active_images_are_told_from_the_newest_back_with_who_chose(provider, product):
    first, second = image_of(provider, product), image_of(provider, product, number=1)
    publish.activate(first.pk, PAT)
    publish.activate(second.pk, build.ADMIN)
    assert turns(product) == [(2, "ada", False), (1, "pat", False)]
    (told, _) = past(product).turns
    assert (told.image_id, told.provider) == (second.pk, "openai")


def test_what_was_taken_back_is_told_as_that(provider, product):
    first, second = image_of(provider, product), image_of(provider, product, number=1)
    publish.restore([publish.activate(first.pk, PAT)], PAT)
    assert turns(product) == [(None, "pat", True), (1, "pat", False)]
    publish.activate(first.pk, PAT)
    publish.restore([publish.activate(second.pk, PAT)], build.ADMIN)
    assert turns(product)[:2] == [(1, "ada", True), (2, "pat", False)]


def test_choosing_for_many_products_at_once_is_told_on_each(provider, product):
    other = build.product()
    mine, theirs = image_of(provider, product), image_of(provider, other, number=1)
    for each in (mine, theirs):
        look_at_it(each)
    done = publish.activate_newest([product.pk, other.pk], PAT)
    assert turns(product) == turns(other) == [(1, "pat", False)]
    publish.restore(done, build.ADMIN)
    assert turns(product) == turns(other) == [(None, "ada", True), (1, "pat", False)]


def look_at_it(image: Image) -> None:
    Product.objects.filter(pk=image.product_id).update(newest_image=image)


def test_an_archived_product_with_the_same_sku_has_a_past_of_its_own(provider, product):
    publish.activate(image_of(provider, product).pk, PAT)
    Product.objects.filter(pk=product.pk).update(archived_at="2026-01-01T00:00Z")
    heir = build.product("heir")
    Product.objects.filter(pk=heir.pk).update(sku=product.sku)
    heir.refresh_from_db()
    assert turns(heir) == []
    assert turns(product) == [(1, "pat", False)]


def test_a_photo_is_part_of_the_past_and_cost_nothing(product):
    added = photos.add(product.pk, photo(), "a.jpg", Actor(None, "Olga", "editor"))
    look.look_at(added.image_id)
    entry: Entry = past(product).entries[0]
    assert (entry.provider, entry.model, entry.person, entry.cost_micros) == ("upload", "Olga", "Olga", 0)
    assert (entry.generation_id, entry.seconds, entry.prompt) == (None, None, "")
    assert entry.state == "ready"
