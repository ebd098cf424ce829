"""Providers across products: which images stand in the table, the figures above it, what it costs to ask."""

import csv
import io
import re
from html import unescape

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot.accounts.people import of_user
from packshot.catalogue.models import Image, Product
from packshot.flows import review as reviewing
from packshot.flows import vote as voting
from packshot.quality.models import Score, Vote
from packshot.reports import across, ratings
from tests import build
from tests.browser import story
from tests.integration.test_rights import PAGE
from tests.integration.test_votes import PROVIDERS, choose, lamp, made
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db

ALL = "&".join(f"provider={each}" for each in PROVIDERS)


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(story.person("reviewer", "rita"))
    return client


def page(client: Client, query: str = "") -> str:
    response = client.get(f"/compare/providers?{query}", headers=PAGE)
    assert response.status_code == 200
    return unescape(response.text)


def names(text: str) -> list[str]:
    return re.findall(r'<th scope="row" class="c-name"><a data-page href="[^"]*"><b>([^<]*)</b>', text)


def row(text: str, product: Product) -> str:
    start = text.index(f"<b>{product.name}</b>")
    return text[start : text.index("</tr>", start)]


def line(text: str, label: str) -> str:
    """How a provider does."""
    table = text[text.index("standings-title") :]
    start = table.index(f"{label}</a>")
    return re.sub(r"<[^>]+>|\s+", " ", table[start : table.index("</tr>", start)])


def test_each_product_shows_the_active_image_of_a_provider_or_else_its_newest(client):
    product = lamp("flux", "openai")
    lamp("midjourney", "stability", name="Other")
    first = Image.objects.get(product=product, provider="flux")
    made(product, "flux", 5)
    newest_openai = made(product, "openai", 6)
    Product.objects.filter(pk=product.pk).update(active_image=first)
    found = across.cells([product.pk], PROVIDERS)
    assert {key[1]: cell.image_id for key, cell in found.items()} == {
        "flux": first.pk,
        "openai": newest_openai.pk,
    }
    assert [cell.active for cell in found.values()].count(True) == 1
    text = row(page(client, ALL), product)
    assert text.count("across-image") == 2
    assert text.count("no image by") == 2
    assert f"image={first.pk}&image={newest_openai.pk}" in text


def test_a_cell_says_what_is_known_of_its_image(client):
    product = lamp("flux", "openai")
    flux, openai = (Image.objects.get(product=product, provider=each) for each in ("flux", "openai"))
    admin = of_user(story.person("administrator", "ada"))
    reviewing.decide([flux.pk], "approved", "", admin)
    reviewing.decide([openai.pk], "rejected", "cropped", admin)
    Score.objects.create(image=flux, scorer="sharpness", value=81)
    Score.objects.create(image=flux, scorer="background", value=63.6)
    text = row(page(client, "provider=flux&provider=openai"), product)
    for said in ("$0.040", "score 64", "Approved", "Rejected", "simulated"):
        assert said in text


def test_words_category_and_completeness_narrow_the_products(client):
    both = lamp("flux", "openai", name="Oak lamp", category="Light > Lamps")
    flux = lamp("flux", name="Ash lamp", category="Light")
    mug = lamp("openai", name="Mug", category="Kitchen")
    lamp("stability", name="Other lamp")
    build.product("Empty lamp")
    two = "provider=flux&provider=openai"
    assert names(page(client, two)) == [flux.name, mug.name, both.name]
    assert names(page(client, f"{two}&all=1")) == [both.name]
    assert names(page(client, f"{two}&q=lamp")) == [flux.name, both.name]
    assert names(page(client, f"{two}&category=Light")) == [flux.name, both.name]
    assert names(page(client, f"{two}&category=Light+%3E+Lamps")) == [both.name]
    assert names(page(client, "provider=flux")) == [flux.name, both.name]
    assert "No product fits" in page(client, f"{two}&q=nothing-is-called-this")
    Product.objects.filter(pk=both.pk).update(archived_at="2026-01-01T00:00Z")
    assert names(page(client, f"{two}&all=1")) == []


def test_the_list_goes_on_and_back_by_name(client, monkeypatch):
    monkeypatch.setattr("packshot.web.pages.across.SHOWN_AT_ONCE", 2)
    made_of = [lamp("flux", name=f"Lamp {letter}") for letter in "ABCDE"]
    wanted = [each.name for each in made_of]
    text, seen = page(client, "provider=flux"), []
    while True:
        seen += names(text)
        on = re.search(r'rel="next" href="/compare/providers\?([^"]*)"', text)
        if on is None:
            break
        text = page(client, on[1])
    assert seen == wanted
    back = re.search(r'rel="prev" href="/compare/providers\?([^"]*)"', text)
    assert back is not None
    assert names(page(client, back[1])) == wanted[2:4]


def test_a_long_look_ends_and_goes_on_from_there(client, monkeypatch):
    monkeypatch.setattr(across, "LOOKED_THROUGH", 2)
    last = [lamp("openai", name=f"Lamp {letter}") for letter in "AB"][-1]
    wanted = lamp("flux", name="Lamp C")
    text = page(client, "provider=flux")
    assert names(text) == [] and "Look on" in text
    assert names(page(client, f"provider=flux&after={last.pk}")) == [wanted.name]


def test_the_figures_are_of_the_images_of_the_filter(client):
    admin = of_user(story.person("administrator", "ada"))
    for number in range(4):
        lamp("flux", name=f"Lamp {number}", category="Light")
    mug = lamp("flux", "openai", name="Mug", category="Kitchen")
    images = list(Image.objects.filter(provider="flux").exclude(product=mug).values_list("pk", flat=True))
    reviewing.decide(images[:3], "approved", "", admin)
    reviewing.decide(images[3:], "rejected", "cropped", admin)
    light = across.totals(across.Sought(("flux", "openai"), category="Light"))
    assert set(light.of) == {"flux"}
    found = light.of["flux"]
    assert (found.products, found.approved, found.decided, found.known, found.micros_each) == (
        4,
        3,
        4,
        4,
        40_000,
    )
    assert found.p50_s is not None
    assert found.interval == pytest.approx((0.3006, 0.9544), abs=1e-3)
    text = line(page(client, "provider=flux&category=Light"), "flux".title())
    assert "75.0%" in text and "$0.040" in text and "no votes" in text


def test_figures_of_many_products_are_said_to_be_of_the_first(client, monkeypatch):
    monkeypatch.setattr(across, "SAMPLE", 2)
    for number in range(3):
        lamp("flux", name=f"Lamp {number}")
    assert "Figures of the first 2 products by name" in page(client)
    assert across.totals(across.Sought(("flux",))).of["flux"].products == 2


def test_a_rating_stands_beside_its_interval_and_too_few_votes_beside_none(client, monkeypatch):
    product = lamp("flux", "openai")
    assert "Nobody has compared blind" in page(client)
    people = [of_user(story.person("reviewer", f"p{number}")) for number in range(12)]
    for number, person in enumerate(people):
        if number == 9:
            assert "too few votes, 9 of 10" in line(page(client), "Openai")
        choose(product, person, "openai")
    (best, last) = ratings.ratings(simulated=True).providers
    text = page(client)
    assert f"{best.chance * 100:.1f}%" in line(text, "Openai") and "12" in line(text, "Openai")
    assert (best.rank, last.rank) == (1, 2)
    # Of another category there are none; and what is taken back is gone.
    assert "no votes" in line(page(client, "category=Kitchen&provider=flux"), "Flux")
    voting.take_back(Vote.objects.filter(person=people[0].id)[0].round, people[0])
    assert "11" in line(page(client), "Openai")


def test_costs_are_for_those_who_may_read_them(client, monkeypatch):
    product = lamp("flux", "openai")
    there = page(client)
    assert "$0.040" in there and "Cost each" in there
    from packshot.accounts import rights

    table = {
        name: roles - {"reviewer"} if name == "read_costs" else roles
        for name, roles in rights.matrix().items()
    }
    monkeypatch.setattr(rights, "matrix", lambda: table)
    text = page(client)
    main = text[text.index("<main") : text.index("</main>")]
    assert "$" not in main and "Cost" not in main
    assert names(text) == [product.name]


def test_the_page_asks_as_often_for_one_product_as_for_many(client):
    counted = []
    for start, more in ((0, 1), (1, 12)):
        for number in range(start, start + more):
            lamp(*PROVIDERS, name=f"Lamp {number}", category=f"Light > {number}")
        person = of_user(story.person("reviewer", f"p{start}"))
        product = Product.objects.order_by("name")[0]
        if voting.round_of(product.id, person, size=4):
            choose(product, person, "flux")
        page(client, ALL)
        with CaptureQueriesContext(connection) as queries:
            text = page(client, ALL)
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 12
    assert breaches(text) == []


def test_before_anything_was_made_the_page_says_what_to_do(client):
    assert "No image has been made yet" in page(client)


def sheet(client: Client, query: str) -> list[dict[str, str]]:
    async def read() -> str:
        response = await sync_to_async(client.get)(f"/compare/providers.csv?{query}")
        return b"".join([part async for part in response.streaming_content]).decode()

    return list(csv.DictReader(io.StringIO(async_to_sync(read)())))


def test_the_sheet_holds_a_line_for_each_image(client, monkeypatch):
    monkeypatch.setattr(across, "SAMPLE", 1)
    one = lamp("flux", "openai", name="=Lamp A")
    two, three = lamp("flux", name="Lamp B"), lamp("openai", name="C")
    found = sheet(client, "provider=flux&provider=openai")
    assert [(each["sku"], each["provider"]) for each in found] == [
        (one.sku, "openai"),
        (one.sku, "flux"),
        (three.sku, "openai"),
        (two.sku, "flux"),
    ]
    assert found[0]["name"].startswith("'=Lamp")
    assert {each["dollars"] for each in found} == {"0.04"}
    assert [each["sku"] for each in sheet(client, "provider=flux&q=lamp")] == [one.sku, two.sku]
