"""A product's own page, and the form that asks for images: the price before the click, one set per click."""

import re
from datetime import date
from html import unescape
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot import catalogue, generations, ledger
from packshot.accounts.models import User
from packshot.catalogue.models import Image, Product
from packshot.catalogue.products import ProductRow
from packshot.events import Happening
from packshot.flows import generate as flow
from packshot.flows.desk import quoting
from packshot.generations.models import Generation, RequestRecord, Run
from packshot.kernel.money import Micros, micros
from packshot.providers.contract import Quote
from packshot.web.pages import generate
from tests import build
from tests.browser import story
from tests.integration.test_rights import PAGE
from tests.integration.test_web_products import HX, active, frame
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> build.StandIn:
    """Three providers that can be asked, on simulated money."""
    return story.three_providers("A packshot of {{name}}, {{attribute:colour|natural}}.")


@pytest.fixture
def me() -> User:
    return story.person("publisher", "pat")


@pytest.fixture
def client(me) -> Client:
    client = Client()
    client.force_login(me)
    return client


@pytest.fixture
def product() -> Product:
    made = build.product()
    Product.objects.filter(pk=made.pk).update(attributes={"colour": "moss green"})
    return made


def image_of(provider: build.StandIn, product: Product, *, look: bool = True, number: int = 0) -> Image:
    made = story.land(build.sent(provider), look=False, number=number)
    Image.objects.filter(pk=made.pk).update(product=product)
    Generation.objects.filter(pk=made.generation_id).update(product=product)
    if look:
        story.make_thumbnail(made, number)
    return made


def fields(page: str) -> dict[str, str]:
    """The hidden fields of the form, and its text."""
    form = page[page.index('id="ask"') :]
    found = dict(re.findall(r'<input type="hidden" name="([^"]+)"[^>]* value="([^"]*)"', form))
    if text := re.search(r'<textarea[^>]*name="prompt"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        found["prompt"] = text[1]
    if template := re.search(r'<option value="([^"]*)" selected>[^<]*v\d', form):
        found["template"] = template[1]
    return {name: unescape(value) for name, value in found.items() if name != "csrfmiddlewaretoken"}


def form_of(client: Client, product: Product, **changes: object) -> dict[str, object]:
    """What a browser would send from the product's page, with these choices."""
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    given: dict[str, object] = {**fields(page), "provider": "flux", "images": "1", "shape": "1:1", **changes}
    quoted = client.post("/generate/quote", given, headers=HX).text
    agreed = dict(re.findall(r'name="(agreed-[^"]+)" value="(\d+)"', quoted))
    return (
        {name: value for name, value in given.items() if not name.startswith("agreed-")}
        | agreed
        | {name: value for name, value in changes.items() if name.startswith("agreed-")}
    )


def button(text: str) -> str:
    """What the button that spends says."""
    inner = re.search(
        r"<button[^>]*data-spends[^>]*>(.*?)</button>", text[text.index('id="ask-total"') :], re.DOTALL
    )
    words = re.sub(r"<svg.*?</svg>|<kbd.*?</kbd>", "", inner[1], flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", words).split())


# -- the page ----------------------------------------------------------------------------------------


def test_the_stage_shows_the_wish_or_else_the_active_or_else_the_newest(client, provider, product):
    old, new = image_of(provider, product), image_of(provider, product, number=1)

    def staged(query: str = "") -> str:
        return re.search(
            r'id="stage-([^"]+)"', client.get(f"/products/{product.sku}{query}", headers=PAGE).text
        )[1]

    assert staged() == str(new.pk)
    Product.objects.filter(pk=product.pk).update(active_image=old)
    assert staged() == str(old.pk)
    assert staged(f"?image={new.pk}") == str(new.pk)
    assert staged(f"?image={uuid4()}") == str(old.pk)
    strange = story.land(build.sent(provider), number=2)
    assert staged(f"?image={strange.pk}") == str(old.pk), "another product's image is not shown here"


def test_the_film_strip_holds_every_image_newest_first_in_every_state(client, provider, product):
    first, broken = image_of(provider, product), image_of(provider, product, look=False)
    fresh = image_of(provider, product, look=False)
    Image.objects.filter(pk=broken.pk).update(state="broken", problem="cut short")
    Product.objects.filter(pk=product.pk).update(active_image=first)
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    frames = re.findall(
        r'id="image-([^"]+)"[^>]* data-status="([^"]+)">\s*<a class="frame" href="[^"]+"( aria-current)?',
        page,
    )
    assert frames == [
        (str(fresh.pk), "stored", ""),
        (str(broken.pk), "broken", ""),
        (str(first.pk), "ready", " aria-current"),
    ]
    assert page.count('class="star"') == 1
    broken_page = client.get(f"/products/{product.sku}?image={broken.pk}", headers=PAGE).text
    assert "This image cannot be read" in broken_page
    assert "cut short" in broken_page
    assert f"/images/{broken.pk}/activate" not in broken_page


def test_what_is_on_its_way_and_what_failed_is_said(client, provider, product):
    running, failed = build.sent(provider), build.sent(provider)
    story.refuse(failed)
    waiting, *_ = build.asked(provider)
    ids = [waiting, running.generation.id, failed.generation.id]
    Generation.objects.filter(pk__in=ids).update(product=product)
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert "1 of 2 being made" in page
    assert page.count('data-status="pending"') == page.count('data-status="processing"') == 1
    assert f"/admin/queue?status=failed&amp;q={product.sku}" in page
    assert "The first one lands here" in page


def test_the_facts_are_there_and_addresses_of_others_are_never_fetched(client, provider, product):
    Product.objects.filter(pk=product.pk).update(
        reference_image_urls=["https://shop.example/ref.jpg", "javascript:alert(1)"],
        listed_image_url="https://shop.example/main.jpg",
        description="<b>Cold</b> pressed",
        price="12.50",
        currency="EUR",
    )
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert "moss green" in page
    assert "12.50 EUR" in page
    assert "&lt;b&gt;Cold&lt;/b&gt;" in page
    assert 'href="https://shop.example/ref.jpg" rel="noreferrer noopener"' in page
    assert not re.search(r'src="https?:', page)
    assert 'href="javascript' not in page
    assert set(breaches(page)) <= {"an address of somebody else"}, "as a link that a person follows"


def test_the_history_says_how_each_image_came_about(client, provider, product):
    made = image_of(provider, product)
    Generation.objects.filter(pk=made.generation_id).update(asked_by_name="Ines")
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    history = page[page.index('id="product-history"') :]
    assert "$0.040" in history
    assert "Ines" in history


def test_one_comes_from_a_filtered_list_and_its_order_is_kept(client, provider):
    a, b, c = build.product("a"), build.product("b"), build.product("c")
    Product.objects.filter(pk__in=[a.pk, c.pk]).update(last_generation_status="failed")
    came = client.get(
        f"/products/{a.sku}", headers=PAGE | {"referer": "http://testserver/products?state=failed&view=list"}
    )
    assert came.status_code == 302
    assert came.headers["Location"] == f"/products/{a.sku}?state=failed"
    page = client.get(came.headers["Location"], headers=PAGE).text
    assert f'href="/products/{c.sku}?state=failed" rel="next"' in page
    assert 'href="/products?state=failed"' in page
    assert 'rel="prev"' not in page
    elsewhere = {"referer": "http://evil.example/products?state=failed"}
    plain = client.get(f"/products/{a.sku}", headers=PAGE | elsewhere)
    assert f'href="/products/{b.sku}" rel="next"' in plain.text


def test_a_product_that_is_not_there_is_not_found(client):
    for sku in ("nothing", str(uuid4()), "a%00b"):
        assert client.get(f"/products/{sku}", headers=PAGE).status_code == 404, sku


def test_an_archived_product_can_be_seen_and_not_spent_on(client, provider, product):
    Product.objects.filter(pk=product.pk).update(archived_at="2026-01-01T00:00Z")
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert "archived" in page
    assert 'id="ask"' not in page
    heir = build.product("heir")
    Product.objects.filter(pk=heir.pk).update(sku=product.sku)
    assert heir.name in client.get(f"/products/{product.sku}", headers=PAGE).text


def test_a_viewer_sees_the_product_and_nothing_to_press(provider, product):
    made = image_of(provider, product)
    viewer, editor = Client(), Client()
    viewer.force_login(story.person("viewer"))
    editor.force_login(story.person("editor"))
    page = viewer.get(f"/products/{product.sku}", headers=PAGE).text
    assert f'id="stage-{made.pk}"' in page
    assert 'id="ask"' not in page
    assert "/activate" not in page
    page = editor.get(f"/products/{product.sku}", headers=PAGE).text
    assert 'id="ask"' in page
    assert "/activate" not in page


@pytest.mark.parametrize("images", [0, 30])
def test_the_page_costs_at_most_twelve_queries_however_many_images_there_are(
    client, provider, product, images
):
    for number in range(images):
        image_of(provider, product, number=number, look=number % 2 == 0)
    client.get(f"/products/{product.sku}", headers=PAGE)
    with CaptureQueriesContext(connection) as queries:
        client.get(f"/products/{product.sku}", headers=PAGE)
    # Session, person, product, newest event, images, under way, neighbours, providers, templates, brand
    # style, budgets, figures.
    assert len(queries) == 12, [each["sql"][:90] for each in queries]


# -- the price -------------------------------------------------------------------------------------------


def test_the_price_that_the_page_opens_with_is_the_one_that_asking_quotes(client, provider, product):
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    chosen = re.search(r'name="provider" value="([^"]+)" checked', page)[1]
    quoted = client.post(
        "/generate/quote", {**fields(page), "provider": chosen, "images": "1", "shape": "1:1"}, headers=HX
    ).text
    assert button(page) == button(quoted)
    assert re.fullmatch(r"Generate 1 image \$\d+\.\d+", button(page))
    first = fields(page)
    assert (
        first[f"agreed-{chosen}"]
        == dict(re.findall(r'name="(agreed-[^"]+)" value="(\d+)"', quoted))[f"agreed-{chosen}"]
    )
    assert "left in this month’s budget" in page
    assert "Simulated money" in page


def test_the_button_says_how_many_images_and_their_price_for_every_choice(client, provider, product):
    row = _row(product)
    text = "A packshot of " + row.name + ", moss green."
    one = quoting()["flux"].quote(generate.ImageRequest("flux-2-pro", text)).expected
    quoted = client.post("/generate/quote", form_of(client, product, images="3"), headers=HX).text
    assert button(quoted) == f"Generate 3 images {generate._amount(3 * one, 3)}"
    both = client.post(
        "/generate/quote", form_of(client, product, provider=["flux", "sandbox"], images="2"), headers=HX
    ).text
    assert button(both) == f"Generate 4 images {generate._amount(2 * one, 4)}"
    free = client.post("/generate/quote", form_of(client, product, provider="sandbox"), headers=HX).text
    assert button(free) == "Generate 1 image free"
    none = client.post("/generate/quote", form_of(client, product, provider=[]), headers=HX).text
    assert "Choose a provider." in none
    assert button(none) == "Generate"


def test_an_unknown_price_is_said_and_never_shown_as_nothing(client, provider, product, monkeypatch):
    flux = quoting()["flux"]
    monkeypatch.setattr(flux, "quote", lambda request: Quote(None, None, "none"))
    quoted = client.post("/generate/quote", form_of(client, product), headers=HX).text
    assert button(quoted) == "Generate 1 image price unknown"
    assert "Nobody knows the price" in quoted


def test_the_budget_says_how_many_fit_now(client, provider, product):
    def quoted(limit: str, images: str) -> str:
        build.budget(limit)
        return client.post("/generate/quote", form_of(client, product, images=images), headers=HX).text

    assert "1 of 4 fits the budget now; the rest waits." in quoted("0.05", "4")
    assert "$0.05 left" in quoted("0.05", "4")
    assert "2 of 4 fit the budget now; the rest waits." in quoted("0.10", "4")
    assert "None of the 4 fits the budget now; they wait." in quoted("0.01", "4")
    assert "It does not fit the budget now, and waits." in quoted("0.01", "1")


def test_real_money_without_a_limit_cannot_be_asked_for(client, product):
    build.provider_row("flux", simulated=False)
    catalogue.save_template("General", "A packshot of {{name}}.")
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert "No spending limit is set for real money" in page
    assert button(page) == "Generate"


def test_models_that_work_on_a_picture_are_grey_where_there_is_none(client, provider, product):
    build.provider_row("stability")
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert re.search(r'<option value="sd3.5-large"[^>]*>Stable Diffusion 3.5 Large<', page)
    offered = set(re.findall(r'<option value="([^"]+)"(?: selected)?>', page))
    cards = quoting()["stability"].models()
    assert {card.id for card in cards if card.kind == "generate" and not card.retired} <= offered
    edits = {card.id for card in cards if card.kind == "edit" and not card.retired}
    assert not edits & offered
    assert edits == set(re.findall(r'<option value="([^"]+)" disabled>[^<]+\(needs a picture\)', page))


def test_retired_models_are_grey_and_say_what_to_use_instead(client, provider, product, monkeypatch):
    monkeypatch.setattr("packshot.web.pages.generate.today", lambda: date(2026, 11, 22))
    build.provider_row("openai")
    page = unescape(client.get(f"/products/{product.sku}", headers=PAGE).text)
    for model, words in {
        "dall-e-3": "DALL·E 3 (retired, use GPT Image 2)",
        "gpt-image-1": "GPT Image 1 (retired, use GPT Image 2)",
    }.items():
        assert f'<option value="{model}" disabled>{words}</option>' in page
    assert '<option value="gpt-image-1.5">GPT Image 1.5 (until 1 Dec 2026)</option>' in page
    assert re.search(r'<option value="gpt-image-2"[^>]*>GPT Image 2</option>', page)
    # Who sends its name all the same gets the default, and no retired model is ever asked for.
    wish = form_of(client, product, provider="openai", **{"model-openai": "dall-e-3"})
    client.post("/generate", wish, headers=PAGE)
    assert {each.model for each in Generation.objects.all()} <= {"gpt-image-2"}


def test_what_a_retired_model_made_keeps_its_name(client, provider, product):
    build.provider_row("openai")
    claim = build.sent(build.StandIn("openai"))
    build.end(build.delivered(claim))
    Generation.objects.filter(pk=claim.generation.id).update(model="dall-e-3")
    page = client.get(f"/admin/queue/{claim.generation.id}", headers=PAGE).text
    assert "DALL·E 3" in unescape(page)


def test_a_provider_that_cannot_be_asked_is_grey_with_its_reason(client, provider, product):
    generations.pause("flux", kind="bad_key", message="the key was refused")
    build.provider_row("openai", simulated=False, on=False)
    ledger.set_limit(Micros(1_000_000))
    generations.switch("openai", on=False)
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert re.search(r'id="ask-price-flux">paused<', page)
    assert re.search(r'id="ask-price-openai">switched off<', page)
    assert len(re.findall(r'name="provider" value="(?:flux|openai)" disabled', page)) == 2
    refused = client.post("/generate/quote", form_of(client, product, provider="flux"), headers=HX).text
    assert "cannot be asked now" in refused


def test_what_the_model_sees_marks_what_was_filled_in_and_names_what_is_missing(client, provider, product):
    text = "{{name}} in {{attribute:colour}}, {{attribute:pack|boxed}}, {{attribute:smell}} <b>"
    quoted = client.post("/generate/quote", form_of(client, product, prompt=text), headers=HX).text
    seen = quoted[quoted.index('id="ask-seen"') : quoted.index('id="ask-shapes"')]
    assert f"<mark>{product.name}</mark> in <mark>moss green</mark>, " in seen
    assert '<mark class="stand-in">boxed</mark>' in seen
    assert '<mark class="gap">{{attribute:smell}}</mark> &lt;b&gt;' in seen
    assert "This product has nothing for attribute:smell" in seen
    assert f'<span class="mono">{product.sku}</span> has nothing for attribute:smell' in quoted
    assert button(quoted) == "Generate"
    wrong = client.post("/generate/quote", form_of(client, product, prompt="{{nmae}}"), headers=HX).text
    assert "did you mean {{name}}?" in wrong


def test_another_template_fills_the_editor_and_the_same_one_leaves_it_alone(client, provider, product):
    catalogue.save_template("Slate", "{{name}} on slate.")
    other = client.post(
        "/generate/quote", form_of(client, product, template="Slate", prompt="mine"), headers=HX
    )
    assert "{{name}} on slate.</textarea>" in other.text
    same = client.post("/generate/quote", form_of(client, product, prompt="mine"), headers=HX)
    assert 'name="prompt"' not in same.text


def _row(product: Product) -> ProductRow:
    (row,) = catalogue.by_id([product.pk])
    return row


# -- asking ----------------------------------------------------------------------------------------------


def asked() -> list[tuple[str, UUID, int]]:
    return list(Generation.objects.order_by("id").values_list("provider_id", "product_id", "images"))


def test_asking_queues_what_the_button_said_and_says_where_to_look(client, provider, product):
    answer = client.post("/generate", form_of(client, product, images="2"), headers=HX)
    assert answer.status_code == 200
    assert asked() == [("flux", product.pk, 1)] * 2, "flux makes one image per call"
    assert "2 images asked for" in answer.text
    run = Run.objects.get()
    assert f"/admin/queue?run={run.pk}" in answer.text
    key = RequestRecord.objects.get().key
    assert f'data-asked="{key}"' in answer.text
    # The form that comes back has a key of its own.
    assert fields(answer.text)["request_key"] != key.partition(":")[0]
    assert Generation.objects.first().template_version_id, "the template's own words remember the template"


def test_a_repeat_of_the_same_form_gets_the_first_answer_and_pays_nothing(client, provider, product):
    form = form_of(client, product, provider=["flux", "sandbox"])
    first = client.post("/generate", form, headers=HX)
    again = client.post("/generate", form, headers=HX)
    assert "2 images asked for" in first.text
    assert "2 images asked for already" in again.text
    assert len(asked()) == 2
    assert RequestRecord.objects.count() == 2


def test_the_same_key_with_other_choices_comes_back_as_a_fresh_form(client, provider, product):
    form = form_of(client, product)
    client.post("/generate", form, headers=HX)
    changed = {**form_of(client, product, shape="4:5"), "request_key": form["request_key"]}
    answer = client.post("/generate", changed, headers=HX)
    assert answer.status_code == 422
    assert "sent before with other choices" in answer.text
    assert 'value="4:5" checked' in answer.text
    fresh = fields(answer.text)["request_key"]
    assert fresh != form["request_key"]
    assert len(asked()) == 1
    assert client.post("/generate", {**changed, "request_key": fresh}, headers=HX).status_code == 200
    assert len(asked()) == 2


def test_a_price_that_rose_asks_again_with_the_new_one(client, provider, product):
    form = form_of(client, product, **{"agreed-flux": "10"})
    answer = client.post("/generate", form, headers=HX)
    assert answer.status_code == 422
    assert "Nothing was asked for yet" in answer.text
    assert asked() == []
    agreed = fields(answer.text)
    assert int(agreed["agreed-flux"]) > 10
    client.post("/generate", {**form, **agreed}, headers=HX)
    assert len(asked()) == 1


def test_trouble_with_the_second_provider_leaves_the_first_asked_for_and_not_chosen(
    client, provider, product
):
    form = form_of(client, product, provider=["sandbox", "flux"], **{"agreed-flux": "10"})
    answer = client.post("/generate", form, headers=HX)
    assert answer.status_code == 422
    assert "Asked for from Sandbox. The price is" in answer.text
    assert [each for each, *_ in asked()] == ["sandbox"]
    assert 'value="flux" checked' in answer.text
    assert 'value="sandbox" checked' not in answer.text


def test_own_words_are_sent_as_they_were_seen(client, provider, product):
    client.post("/generate", form_of(client, product, prompt="{{name}} on the moon"), headers=HX)
    generation = Generation.objects.get()
    assert generation.prompt == f"{product.name} on the moon"
    assert generation.template_version_id is None


@pytest.mark.parametrize(
    "change",
    [{"provider": "nobody"}, {"products": "nonsense"}, {"products": ""}, {"request_key": ""}, {"prompt": ""}],
)
def test_a_form_that_makes_no_sense_asks_for_nothing(client, provider, product, change):
    answer = client.post("/generate", {**form_of(client, product), **change}, headers=HX)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert asked() == []


def test_without_our_script_the_form_is_a_page_and_leads_back(client, provider, product):
    other = build.product()
    page = client.post(
        "/generate/new",
        {"product": [str(product.pk), str(other.pk)], "then": "/products?state=no-image"},
        headers=PAGE,
    )
    assert page.status_code == 200
    assert "For 2 products" in page.text
    assert re.match(r"Generate 2 images \$", button(page.text))
    form = {**fields(page.text), "provider": "flux", "images": "1", "shape": "1:1", "template": ""}
    form.pop("agreed-flux", None)
    first = client.post("/generate", form, headers=PAGE)
    assert first.status_code == 422, "no price was agreed to yet"
    assert "Nothing was asked for yet" in first.text
    form |= {
        name: value for name, value in fields(first.text).items() if name in ("request_key", "agreed-flux")
    }
    done = client.post("/generate", form, headers=PAGE, follow=True)
    assert done.redirect_chain == [("/products?state=no-image", 303)]
    assert "2 images asked for" in done.text
    assert len(asked()) == 2


def test_all_that_match_are_those_that_were_priced_whatever_the_list_holds_by_then(client, provider):
    wanted = [build.product("wanted") for _ in range(3)]
    build.product("other")
    drawn = client.post("/generate/new", {"all": "1", "q": "wanted"}, headers=HX).text
    assert button(drawn).startswith("Generate 3 images")
    build.product("wanted")
    form = {**fields(drawn), "provider": "flux", "images": "1", "shape": "1:1", "template": ""}
    quoted = client.post("/generate/quote", form, headers=HX).text
    form |= dict(re.findall(r'name="(agreed-[^"]+)" value="(\d+)"', quoted))
    for _ in range(2):
        assert client.post("/generate", form, headers=HX).status_code == 200
    assert sorted(each for _, each, _ in asked()) == sorted(each.pk for each in wanted)


def test_products_whose_prompt_has_gaps_are_named_before_anything_is_asked(client, provider, product):
    catalogue.save_template("Colourful", "{{name}} in {{attribute:colour}}")
    bare = build.product()
    drawn = client.post("/generate/new", {"product": [str(product.pk), str(bare.pk)]}, headers=HX).text
    form = {**fields(drawn), "provider": "flux", "images": "1", "shape": "1:1", "template": "Colourful"}
    quoted = client.post("/generate/quote", form, headers=HX).text
    assert "1 of 2 prompts have gaps" in quoted
    assert f'<span class="mono">{bare.sku}</span> has nothing for attribute:colour' in quoted
    answer = client.post("/generate", form, headers=HX)
    assert answer.status_code == 422
    assert asked() == []


def test_every_price_is_read_in_a_few_queries_however_many_products_there_are(client, provider):
    counted = []
    for _ in range(2):
        for _ in range(10):
            build.product("many")
        drawn = client.post("/generate/new", {"all": "1", "q": "many"}, headers=HX).text
        form = {**fields(drawn), "provider": "flux", "images": "1", "shape": "1:1", "template": ""}
        with CaptureQueriesContext(connection) as queries:
            client.post("/generate/quote", form, headers=HX)
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 12, counted


# -- choosing, and what the stream shows -------------------------------------------------------------------


def test_setting_active_draws_the_stage_and_both_frames(client, provider, product):
    old, new = image_of(provider, product), image_of(provider, product, number=1)
    Product.objects.filter(pk=product.pk).update(active_image=old)
    answer = client.post(f"/images/{new.pk}/activate", {"shows": "product"}, headers=HX).text
    for each in (old, new):
        assert f'hx-target="#image-{each.pk}"' in answer
        assert f'hx-target="#stage-{each.pk}"' in answer
    assert active(product.pk) == new.pk


def test_news_of_a_product_reaches_its_page_and_no_other(provider, product):
    made = image_of(provider, product)
    topics = (f"product:{product.pk}",)
    landed = Happening("image", "landed", str(made.pk), {"product": str(product.pk)})
    told = frame(landed, topics=topics)
    assert f'hx-target="#image-{made.pk}"' in told
    assert 'data-list="film"' in told
    assert "aria-current" not in told, "which image stands on the stage is each reader's own"
    sku = Happening("generation", "processing", str(made.generation_id), {"sku": product.sku})
    assert 'id="making"' in frame(sku, topics=topics)
    other = Happening("generation", "processing", str(made.generation_id), {"sku": "another"})
    assert "hx-partial" not in frame(other, topics=topics)
    assert "hx-partial" not in frame(landed, topics=(f"product:{build.product().pk}",))
    assert "hx-partial" not in frame(landed, topics=("product:nonsense",))


def test_who_chose_another_image_is_told_to_the_page(provider, product):
    made = image_of(provider, product)
    chosen = Happening("product", "activated", str(product.pk), {"image": str(made.pk), "by": "ada"})
    told = frame(chosen, topics=(f"product:{product.pk}",))
    assert 'data-by="ada"' in told
    assert "Set active" in told.partition('id="stage-')[2]
    for_editor = frame(chosen, topics=(f"product:{product.pk}",), role="editor")
    assert "/activate" not in for_editor


def test_the_offer_of_a_first_page_is_the_flows_own(provider, product, me):
    (row,) = catalogue.by_id([product.pk])
    asked_for = flow.Ask([row], "flux", model="flux-2-pro", prompt="{{name}}")
    state = next(each for each in generate.read_now().states if each.name == "flux")
    ours = generate.first_offer(asked_for, "{{name}}", "", build.ADMIN, state)
    theirs = flow.offer(asked_for, build.ADMIN)
    assert (ours.expected_micros, ours.ceiling_micros, ours.simulated, ours.missing) == (
        theirs.expected_micros, theirs.ceiling_micros, theirs.simulated, theirs.missing,
    )  # fmt: skip
    assert micros("0") < ours.expected_micros
