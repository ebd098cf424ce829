"""Comparing the images of a product: which stand beside each other, and what is said to differ."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot.catalogue.models import Image, Product
from packshot.generations.models import Generation
from packshot.web.pages.compare import _pieces
from tests import build
from tests.browser import story
from tests.integration.test_rights import PAGE

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(story.person("publisher", "pat"))
    return client


@pytest.fixture
def product() -> Product:
    build.budget("100")
    for name in ("openai", "flux"):
        build.provider_row(name)
    return build.product("Lamp")


def made(product: Product, provider: str, prompt: str = "A lamp on slate.", number: int = 0) -> Image:
    """An image of this product by this provider."""
    image = story.land(build.sent(build.StandIn(provider)), number=number)
    Generation.objects.filter(pk=image.generation_id).update(product=product, prompt=prompt)
    Image.objects.filter(pk=image.pk).update(product=product)
    return image


def page(client: Client, product: Product, query: str = "") -> str:
    return unescape(client.get(f"/compare?product={product.pk}{query}", headers=PAGE).text)


def shown(text: str) -> list[tuple[str, str]]:
    """Letter and alternative text of each pane, in their order."""
    return re.findall(r'<figure class="compare-pane" data-letter="([A-D])">\s*<img [^>]*alt="([^"]*)"', text)


def test_the_active_image_stands_beside_the_newest_of_another_provider(client, product):
    first, _ = made(product, "openai"), made(product, "openai", number=1)
    made(product, "flux", number=2)
    Product.objects.filter(pk=product.pk).update(active_image=first)
    text = page(client, product)
    assert [(letter, alt.split(" by ")[1]) for letter, alt in shown(text)] == [("A", "OpenAI"), ("B", "FLUX")]
    assert str(first.pk) in re.findall(r"image=([0-9a-f-]{36})", text)[0]
    assert len(shown(page(client, product, "&view=4"))) == 3


def test_the_order_of_the_address_is_kept_and_what_is_not_the_products_is_left_out(client, product):
    a, b = made(product, "openai"), made(product, "flux", number=1)
    strange = made(build.product("Other"), "openai", number=2)
    text = page(client, product, f"&image={b.pk}&image={strange.pk}&image={a.pk}&image=nonsense")
    assert [alt.split(" by ")[1] for _, alt in shown(text)] == ["FLUX", "OpenAI"]
    assert str(strange.pk) not in text


def test_what_differs_is_told_apart_from_what_is_the_same(client, product):
    made(product, "openai", "A lamp on clay plaster.")
    made(product, "flux", "A lamp on white plaster.", number=1)
    text = page(client, product)
    table, same = text[text.index("compare-table") :], text[text.index("compare-same") :]
    assert "<mark>" in table[: table.index("</table>")]
    assert re.search(r"<mark>(clay|white)</mark>", table)
    assert "Provider" in table[: table.index("</table>")]
    assert "Shape" in same


def test_the_words_that_differ_are_marked_and_no_others():
    pieces = _pieces("a lamp on a clay ledge", "a lamp on a white ledge")
    assert [(piece.text, piece.other) for piece in pieces] == [
        ("a lamp on a", False),
        ("white", True),
        ("ledge", False),
    ]
    assert [piece.other for piece in _pieces("same", "same")] == [False]
    assert _pieces("", "") == ()


def test_long_prompts_of_words_that_repeat_are_compared_in_no_time():
    first, other = "a b " * 4_000, "b a " * 4_000 + "lamp"
    assert [(piece.text[-4:], piece.other) for piece in _pieces(first, other)][-1] == ("lamp", True)


def test_a_click_in_the_strip_puts_the_image_in_the_last_place(client, product):
    a, b, c = (made(product, "openai", number=number) for number in range(3))
    text = page(client, product, f"&image={a.pk}&image={b.pk}")
    links = [parse_qs(urlsplit(each).query) for each in re.findall(r'class="frame" href="([^"]+)"', text)]
    assert {UUID(each["image"][-1]) for each in links} == {a.pk, b.pk, c.pk}
    assert all(len(each["image"]) == 2 for each in links)


def test_the_page_asks_as_often_for_two_images_as_for_many(client, product):
    counted = []
    for start in (0, 2):
        for number in range(start, start + 2 + 4 * (start > 0)):
            made(product, "openai", number=number)
        page(client, product, "&view=4")
        with CaptureQueriesContext(connection) as queries:
            page(client, product, "&view=4")
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 12


@pytest.mark.parametrize("query", ["", "product=nonsense", "product=0192f1a4-0000-7000-8000-00000000000f"])
def test_without_a_product_there_is_no_such_page(client, query):
    assert client.get(f"/compare?{query}", headers=PAGE).status_code == 404


def test_a_product_without_images_says_so(client, product):
    assert "nothing to compare yet" in page(client, product)
