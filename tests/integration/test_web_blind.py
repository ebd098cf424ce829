"""Comparing blind: what the page does not send, what a click stores, and where it leads."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot.catalogue.models import Image, Product, Rendition
from packshot.generations.models import Generation
from packshot.quality.models import Review, Vote
from packshot.reports import voting
from tests.browser import story
from tests.integration.test_rights import FETCH, PAGE
from tests.integration.test_votes import PROVIDERS, lamp, made
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db

HX = FETCH | {"hx-request": "true"}


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(story.person("reviewer", "rita"))
    return client


def page(client: Client, product: Product, view: str = "4") -> str:
    return unescape(client.get(f"/compare/blind?product={product.pk}&view={view}", headers=PAGE).text)


def value(text: str, name: str) -> str:
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', text)
    assert found is not None
    return found[1]


def letters(text: str) -> list[str]:
    return re.findall(r'class="compare-pane" data-letter="([A-D])"', text)


def providers(text: str) -> list[str]:
    """Of the panes, in their order, by the bytes that they show."""
    blobs = re.findall(r'<img src="/media/([0-9a-f]{64})\.webp" alt="Image', text)
    by_blob = dict(Rendition.objects.filter(blob__in=blobs).values_list("blob", "image__provider"))
    return [by_blob[blob] for blob in blobs]


def answer(client: Client, product: Product, best: str, view: str = "4", **more: str):
    shown = page(client, product, view)
    given = {"product": str(product.pk), "round": value(shown, "round"), "view": view, "best": best} | more
    return client.post("/compare/blind/vote", given, headers=PAGE)


def test_nothing_on_the_page_tells_who_made_an_image(client):
    product = lamp(*PROVIDERS)
    for number, image in enumerate(Image.objects.filter(product=product)):
        Generation.objects.filter(pk=image.generation_id).update(
            prompt=f"a secret wording {number}", seed=987_650 + number, options={"quality": "tell-tale"}
        )
        Image.objects.filter(pk=image.pk).update(model=f"model-{number}", width_px=1_111 + number)
    text = page(client, product)
    assert letters(text) == list("ABCD")
    # The page itself, and then all that a browser is sent: comments, attributes, scripts' data.
    said = text.lower()
    for image in Image.objects.filter(product=product):
        told = {
            image.provider, image.model, str(image.pk), str(image.generation_id), str(image.attempt_id),
            image.blob, str(image.width_px), f"mark-{image.provider}",
        }  # fmt: skip
        assert [each for each in told if each.lower() in said] == []
    for words in ("openai", "midjourney", "stability", "stable", "flux", "black forest", "gpt", "dall"):
        assert words not in said
    for words in ("secret wording", "98765", "tell-tale", "0.04", "640", "<time", "stand-in", "score"):
        assert words not in said, words
    main = text[text.index("<main") : text.index("</main>")]
    assert "$" not in main and "simulated" not in main.lower()
    assert breaches(text) == []


def test_the_order_stays_at_a_reload_and_is_not_that_of_time_or_name(client):
    orders = set()
    for number in range(8):
        product = lamp(*PROVIDERS, name=f"Lamp {number}")
        first, again = page(client, product), page(client, product)
        assert providers(first) == providers(again)
        assert sorted(providers(first)) == list(PROVIDERS)
        orders.add(tuple(providers(first)))
    assert len(orders) > 3


def test_a_click_stores_the_votes_and_shows_who_made_them(client):
    product = lamp("flux", "openai")
    order = providers(page(client, product))
    response = answer(client, product, "B")
    assert response.status_code == 303
    vote = Vote.objects.get()
    assert (vote.provider, vote.other_provider, vote.blind) == (order[1], order[0], True)
    query = parse_qs(urlsplit(response["Location"]).query)
    by_id = dict(Image.objects.filter(product=product).values_list("pk", "provider"))
    assert [by_id[UUID(each)] for each in query["image"]] == order
    text = unescape(client.get(response["Location"], headers=PAGE).text)
    assert "You found B best" in text
    assert "B is best" in text, "the toast, which can take it back"
    assert re.findall(r'<figure class="compare-pane" data-letter="B">\s*<img [^>]*alt="([^"]*)"', text) == [
        f"B: {product.name} by {'OpenAI' if order[1] == 'openai' else 'FLUX'}"
    ]


@pytest.mark.parametrize(
    ("best", "verdict", "said"),
    [("equal", "equal", "You found them equal"), ("neither", "neither", "You found none good")],
)
def test_there_need_not_be_a_best_one(client, best, verdict, said):
    product = lamp("flux", "midjourney", "openai")
    response = answer(client, product, best)
    assert {each.verdict for each in Vote.objects.all()} == {verdict}
    assert Vote.objects.count() == 3
    assert said in client.get(response["Location"], headers=PAGE).text


@pytest.mark.parametrize("best", ["C", "E", "", "AB", "better"])
def test_what_does_not_stand_there_cannot_be_the_best(client, best):
    product = lamp("flux", "openai")
    response = answer(client, product, best)
    assert response["Location"].startswith("/compare/blind?")
    assert not Vote.objects.exists()


def test_an_old_page_is_told_to_look_again(client):
    product = lamp("flux", "openai")
    old = value(page(client, product), "round")
    made(product, "flux", 7)
    response = answer(client, product, "A", round=old)
    assert "have changed since" in client.get(response["Location"], headers=PAGE).text
    answer(client, product, "A")
    assert Vote.objects.count() == 1
    response = client.post(
        "/compare/blind/vote",
        {"product": str(product.pk), "round": old, "view": "4", "best": "A"},
        headers=PAGE,
    )
    assert Vote.objects.count() == 1


def test_a_vote_is_taken_back_and_given_anew(client):
    product = lamp("flux", "openai")
    answer(client, product, "A")
    round_id = str(Vote.objects.get().round)
    assert "Nothing here to vote on" in page(client, product)
    given = {"product": str(product.pk), "round": round_id, "view": "4"}
    text = client.post("/compare/blind/undo", given, headers=HX).text
    assert "Vote taken back" in text and f"/compare/blind?product={product.pk}" in text
    assert Vote.objects.get().withdrawn_at is not None
    assert value(page(client, product), "round") == round_id
    response = client.post("/compare/blind/undo", given, headers=PAGE)
    assert response["Location"] == f"/compare/blind?product={product.pk}&view=4"


def test_a_vote_that_was_not_blind_says_so(client):
    product = lamp("flux", "openai")
    rita = story.User.objects.get(username="rita")
    image = Image.objects.filter(product=product)[0]
    Review.objects.create(image=image, decision="approved", decided_by=rita, decided_by_name="rita")
    response = answer(client, product, "A")
    assert "Kept, but not counted" in client.get(response["Location"], headers=PAGE).text
    assert not Vote.objects.get().blind


def test_next_leads_to_what_is_left_and_then_says_that_all_is_done(client, monkeypatch):
    first, second = lamp("flux", "openai", name="A"), lamp("flux", "openai", name="B")
    lamp("flux", name="C")
    go = client.get(f"/compare/blind/next?after={first.pk}&view=4", headers=PAGE)
    assert go["Location"] == f"/compare/blind?product={second.pk}&view=4"
    answer(client, first, "A"), answer(client, second, "A")
    assert "voted on everything" in client.get("/compare/blind/next", headers=PAGE).text
    monkeypatch.setattr(voting, "LOOKED_THROUGH", 1)
    text = client.get("/compare/blind/next", headers=PAGE).text
    assert "Look on" in text and f"after={first.pk}" in text


def test_who_may_not_vote_is_not_offered_it(client):
    product = lamp("flux", "openai")
    viewer = Client()
    viewer.force_login(story.person("editor", "ed"))
    text = viewer.get(f"/compare?product={product.pk}", headers=PAGE).text
    assert "/compare/blind" not in text
    assert viewer.get(f"/compare/blind?product={product.pk}", headers=PAGE).status_code == 403
    text = client.get(f"/compare?product={product.pk}&view=blink", headers=PAGE).text
    assert f"/compare/blind?product={product.pk}&amp;view=2" in text


def test_nobody_reads_anothers_answer_by_its_address(client):
    product = lamp("flux", "openai")
    response = answer(client, product, "A")
    other = Client()
    other.force_login(story.person("reviewer", "bo"))
    assert "You found" not in other.get(response["Location"], headers=PAGE).text


def test_the_page_asks_as_often_for_two_images_as_for_many(client):
    counted = []
    for names in (("flux", "openai"), PROVIDERS):
        product = lamp(*names)
        for number in range(4 * (len(names) > 2)):
            made(product, "flux", number)
        page(client, product)
        with CaptureQueriesContext(connection) as queries:
            page(client, product)
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 12


@pytest.mark.parametrize("query", ["", "product=nonsense", "product=0192f1a4-0000-7000-8000-00000000000f"])
def test_without_a_product_there_is_no_such_page(client, query):
    assert client.get(f"/compare/blind?{query}", headers=PAGE).status_code == 404


def test_an_address_without_a_round_changes_nothing(client):
    product = lamp("flux", "openai")
    for path in ("vote", "undo"):
        for given in ({}, {"product": str(product.pk)}, {"product": "x", "round": "y"}):
            assert client.post(f"/compare/blind/{path}", given, headers=PAGE).status_code == 302
    assert not Vote.objects.exists()
