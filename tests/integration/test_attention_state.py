"""What is wrong with a product's active image stands in its own row, through whichever door it came."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from packshot.kernel.ids import uuid7
from packshot.models import Image, Product, Review, Score
from tests import build


def image_of(product: Product) -> Image:
    return Image.objects.create(
        product=product,
        blob="a" * 64,
        media_type="image/png",
        width_px=1,
        height_px=1,
        size_bytes=1,
        provider="openai",
        model="stand-in",
        simulated=True,
        digital_source_type="algorithmicMedia",
        state="ready",
    )


def reviewed(image: Image, decision: str) -> Review:
    Review.objects.filter(image=image, current=True).update(current=False)
    return Review.objects.create(image=image, decision=decision, decided_by_name="ada")


def scored(image: Image, value: float, scorer: str = "sharpness") -> Score:
    return Score.objects.create(image=image, scorer=scorer, value=value)


def issue_of(product: Product) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT issue_type FROM products_needing_attention WHERE id = %s", [product.id])
        return next((row[0] for row in cursor.fetchall()), None)


def stands(product: Product) -> tuple[bool, float | None, int | None]:
    product.refresh_from_db()
    return product.active_rejected, product.active_score, product.severity


@pytest.fixture
def shown() -> tuple[Product, Image]:
    product = build.product()
    image = image_of(product)
    Product.objects.filter(pk=product.pk).update(active_image=image)
    return product, image


@pytest.mark.django_db
def test_a_rejection_of_the_active_image_shows_until_it_is_taken_back(shown):
    product, image = shown
    assert issue_of(product) is None
    reviewed(image, "rejected")
    assert (issue_of(product), stands(product)) == ("rejected", (True, None, 5))
    reviewed(image, "approved")
    assert (issue_of(product), stands(product)) == (None, (False, None, None))
    reviewed(image, "rejected")
    Review.objects.filter(image=image).delete()
    assert issue_of(product) is None


@pytest.mark.django_db
def test_the_lowest_score_of_the_active_image_counts_as_it_stands_now(shown):
    product, image = shown
    scored(image, 80)
    lowest = scored(image, 12, "background")
    assert (issue_of(product), stands(product)) == ("low_score", (False, 12, None))
    Score.objects.filter(pk=lowest.pk).update(value=31)
    assert (issue_of(product), stands(product)) == (None, (False, 31, None))
    lowest.delete()
    assert stands(product) == (False, 80, None)


@pytest.mark.django_db
def test_another_active_image_brings_its_own_review_and_score(shown):
    product, good = shown
    bad = image_of(product)
    reviewed(bad, "rejected")
    scored(bad, 5)
    assert stands(product) == (False, None, None)
    Product.objects.filter(pk=product.pk).update(active_image=bad)
    assert stands(product) == (True, 5, 5)
    Product.objects.filter(pk=product.pk).update(active_image=good)
    assert stands(product) == (False, None, None)
    Product.objects.filter(pk=product.pk).update(active_image=bad)
    Product.objects.filter(pk=product.pk).update(active_image=None)
    assert stands(product) == (False, None, 3)


@pytest.mark.django_db
def test_a_product_that_is_made_with_a_rejected_image_is_born_with_it(shown):
    _, bad = shown
    reviewed(bad, "rejected")
    other = Product.objects.create(sku="born", name="Born", active_image=bad)
    assert stands(other) == (True, None, 5)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("judged", ["review", "score"])
def test_a_judgement_and_a_choice_at_the_same_moment_both_count(judged):
    product = build.product()
    image = image_of(product)
    judge: Callable[[], object] = (
        (lambda: reviewed(image, "rejected")) if judged == "review" else (lambda: scored(image, 5))
    )
    written, chosen = threading.Event(), threading.Event()

    def choose() -> None:
        try:
            written.wait(60)
            Product.objects.filter(pk=product.pk).update(active_image=image)
            chosen.set()
        finally:
            connection.close()

    chooser = threading.Thread(target=choose)
    chooser.start()
    with transaction.atomic():
        judge()
        written.set()
        until_somebody_waits_for_a_row()
        assert not chosen.is_set()
    chooser.join(60)
    assert issue_of(product) == ("rejected" if judged == "review" else "low_score")


def until_somebody_waits_for_a_row() -> None:
    with connection.cursor() as cursor:
        for _ in range(6_000):
            # Within a transaction the first look at who is there would be the only one.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*), pg_sleep(0.01) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
                " AND datname = current_database()"
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("the choice did not wait for the judgement")


@pytest.mark.django_db
def test_products_are_found_by_trigrams_and_without_the_extension_all_the_same():
    product = build.product("Hand-thrown stoneware jug")
    found = "SELECT id FROM packshot_product WHERE words ILIKE '%%STONEWARE%%'"
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('packshot_product_by_all_words') IS NOT NULL")
        assert cursor.fetchone() == (True,)
        cursor.execute(found)
        assert cursor.fetchall() == [(product.id,)]
        cursor.execute("DROP EXTENSION pg_trgm CASCADE")
        cursor.execute(found)
        assert cursor.fetchall() == [(product.id,)]


@pytest.mark.django_db
def test_whoever_may_not_create_the_extension_goes_on_without_it():
    role = f"owner_{uuid7().hex}"
    with connection.cursor() as cursor:
        cursor.execute("DROP EXTENSION pg_trgm CASCADE")
        cursor.execute(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA packshot TO {role}; SET LOCAL ROLE {role}")
        cursor.execute("SELECT packshot_search_by_trigrams()")
        assert cursor.fetchone() == (False,)
        cursor.execute("RESET ROLE")
        cursor.execute("SELECT packshot_search_by_trigrams()")
        assert cursor.fetchone() == (True,)
