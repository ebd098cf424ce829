"""What a product's page takes in and remembers: photos, history, what was active, links, and going."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot import events
from packshot.accounts import Actor
from packshot.accounts.models import AuditEntry
from packshot.catalogue.models import Image, Product
from packshot.events import Happening
from packshot.flows import delivery, export, look, photos, publish, review
from packshot.generations.models import Generation
from packshot.imaging.header import MAX_BYTES
from packshot.web.pages.product import HISTORY_SHOWN
from tests import build
from tests.browser import story
from tests.integration.test_history import failed, given
from tests.integration.test_photos import photo
from tests.integration.test_rights import PAGE
from tests.integration.test_web_product import image_of
from tests.integration.test_web_products import HX, frame

pytestmark = pytest.mark.django_db

INES = Actor(None, "Ines", "editor")


@pytest.fixture
def provider() -> build.StandIn:
    return story.three_providers("A packshot of {{name}}.")


@pytest.fixture
def product() -> Product:
    return build.product()


def signed_in(role: str, name: str | None = None) -> Client:
    client = Client()
    client.force_login(story.person(role, name))
    return client


@pytest.fixture
def client() -> Client:
    return signed_in("publisher", "pat")


def bring(
    client: Client, product: Product, *files: tuple[str, bytes], then: str = "", **more
) -> HttpResponse:
    uploads = [SimpleUploadedFile(name, content) for name, content in files]
    return client.post(f"/photos/{product.pk}", {"photos": uploads, "then": then}, **more)


def past(client: Client, product: Product, query: str = "") -> str:
    page = client.get(f"/products/{product.sku}{query}", headers=PAGE).text
    start = page.index('id="product-history"')
    return page[start : page.index("</section>", start)]


def listed(history: str) -> list[str]:
    return re.findall(r'<tr id="made-([^"]+)"', history)


def link_of(history: str, words: str) -> str:
    found = re.search(rf'href="([^"]+)"[^>]*>(?:<svg.*?</svg>)?{words}<', history, re.DOTALL)
    assert found, f"there is no link {words}"
    return unescape(found[1])


# -- photos -----------------------------------------------------------------------------------------


def test_photos_are_brought_several_at_once_and_shown(client, provider, product):
    answer = bring(client, product, ("a.jpg", photo()), ("b.jpg", photo(1)), headers=HX)
    assert "2 photos added" in answer.text
    made = list(Image.objects.filter(product=product, provider="upload"))
    assert len(made) == 2
    for image in made:
        assert f'hx-target="#image-{image.pk}"' in answer.text
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert page.count("Photo by pat") >= 4, "on the stage, in the strip and in the history"
    assert "free" in past(client, product)


def test_without_a_script_the_page_comes_back_with_the_answer_on_it(client, provider, product):
    answer = bring(client, product, ("a.jpg", photo()), then=f"/products/{product.sku}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/products/{product.sku}")
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert "Photo added" in page
    image = Image.objects.get(product=product)
    assert f'href="/products/{product.sku}?image={image.pk}">Show<' in page
    assert 'enctype="multipart/form-data"' in page


def test_one_that_is_refused_is_named_and_hinders_no_other(client, provider, product):
    answer = bring(client, product, ("good.jpg", photo()), ("logo.svg", b"<svg/>"), headers=HX)
    assert "Photo added. logo.svg: Not a PNG, JPEG or WebP image" in answer.text
    assert "toast warn" in answer.text
    alone = bring(client, product, ("logo.svg", b"<svg/>"), headers=HX)
    assert "Logo.svg: Not a PNG" not in alone.text, "a file keeps its name"
    assert "logo.svg: Not a PNG, JPEG or WebP image" in alone.text
    assert "toast bad" in alone.text
    assert Image.objects.filter(product=product).count() == 1


def test_sending_the_page_again_makes_one_photo_and_says_so(client, provider, product):
    bring(client, product, ("a.jpg", photo()), headers=HX)
    again = bring(client, product, ("a.jpg", photo()), headers=HX)
    assert "This photo is here already" in again.text
    assert Image.objects.filter(product=product).count() == 1


def test_too_many_and_too_large_are_refused_before_one_is_decoded(client, provider, product, monkeypatch):
    monkeypatch.setattr(photos.look, "decoder", lambda: pytest.fail("it was decoded"))
    several = [(f"{number}.jpg", photo(number)) for number in range(photos.MOST_AT_ONCE + 1)]
    assert "up to 12 photos at once" in bring(client, product, *several, headers=HX).text
    assert "Choose a photo first" in bring(client, product, headers=HX).text
    large = photo() + bytes(MAX_BYTES)
    assert "large.jpg: The image has" in bring(client, product, ("large.jpg", large), headers=HX).text
    assert not Image.objects.filter(product=product).exists()


def test_a_form_that_was_cut_off_says_how_much_is_taken(client, provider, product, settings):
    settings.UPLOAD_BYTES = 1000
    answer = bring(client, product, ("a.jpg", photo(width_px=2000)), headers=HX)
    assert "Photos may have 30 MB each" in answer.text


def test_a_photo_is_told_to_the_pages_that_are_open(client, provider, product):
    added = photos.add(product.pk, photo(), "a.jpg", INES)
    happening = Happening("image", "brought", str(added.image_id), {"product": str(product.pk), "by": "Ines"})
    told = frame(happening, role="editor", topics=(f"product:{product.pk}",))
    assert f'hx-target="#image-{added.image_id}"' in told
    newest = events.newest_id()
    assert f'id="happened" hidden data-event="{newest}"' in told, "each page reads its history anew by itself"


def test_the_form_offers_the_provider_of_the_newest_image_that_one_made(client, provider, product):
    image_of(build.StandIn("flux"), product)
    photos.add(product.pk, photo(), "a.jpg", INES)
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert re.search(r'name="provider" value="([^"]+)" checked', page)[1] == "flux"


def test_a_photo_is_named_wherever_images_are(client, provider, product):
    added = photos.add(product.pk, photo(), "a.jpg", INES)
    look.look_at(added.image_id)
    image_of(provider, product)
    assert "Photo by Ines" in client.get("/review?view=grid", headers=PAGE).text
    assert "Photo by Ines" in client.get(f"/compare?product={product.pk}", headers=PAGE).text
    publish.activate(added.image_id, build.ADMIN)
    assert "Photo by Ines" in client.get("/products?view=list", headers=PAGE).text
    assert "upload,Ines" in b"".join(export.csv_pieces(export.Sought())).decode()


# -- history ----------------------------------------------------------------------------------------


def test_the_history_lists_what_was_made_and_what_failed_with_the_way_to_the_queue(client, provider, product):
    made = image_of(provider, product)
    wrong = failed(provider, product, "names a brand")
    shown = past(client, product)
    assert listed(shown) == [str(wrong.pk), str(made.pk)]
    assert "$0.040" in shown
    assert 'title="names a brand"' in shown
    assert f'href="/admin/queue/{wrong.pk}"' in shown
    assert f'href="/admin/queue/{made.generation_id}"' in shown
    assert f"/images/{made.pk}/activate" in shown


def test_costs_are_for_those_who_may_read_them(client, provider, product, monkeypatch):
    image_of(provider, product)
    assert "$0.040" in past(client, product)
    really = Actor.may
    monkeypatch.setattr(Actor, "may", lambda self, right: right != "read_costs" and really(self, right))
    shown = past(client, product)
    assert "$0.040" not in shown
    assert "Cost" not in shown


def test_its_filter_stands_in_the_address_and_needs_no_script(client, provider, product):
    flux, openai = image_of(build.StandIn("flux"), product), image_of(provider, product, number=1)
    given(openai, person="Ines")
    review.decide([flux.pk], "approved", "", build.ADMIN)
    assert listed(past(client, product, "?provider=flux")) == [str(flux.pk)]
    assert listed(past(client, product, "?person=Ines")) == [str(openai.pk)]
    assert listed(past(client, product, "?review=approved")) == [str(flux.pk)]
    shown = past(client, product, "?review=approved&q=oil&state=active")
    form = shown[shown.index("<form class=") : shown.index("</form>")]
    assert 'method="get"' in form
    assert '<option value="approved" selected>' in form
    assert '<input type="hidden" name="q" value="oil">' in form, "the list that one came from stays"
    everything = link_of(shown, "Show everything")
    assert parse_qs(urlsplit(everything).query) == {"state": ["active"], "q": ["oil"]}
    nothing = past(client, product, "?provider=flux&review=rejected")
    assert "Nothing fits this filter" in nothing
    assert "Show everything" in nothing
    assert listed(past(client, product, "?review=nonsense&older=nonsense")) == [str(openai.pk), str(flux.pk)]


def test_older_pages_follow_by_their_address_with_the_same_filter(client, provider, product):
    first = image_of(provider, product, look=False)
    for number in range(HISTORY_SHOWN):
        image_of(provider, product, look=False, number=number)
    image_of(build.StandIn("flux"), product, look=False)
    shown = past(client, product, "?provider=openai")
    assert len(listed(shown)) == HISTORY_SHOWN
    older = link_of(shown, "Older")
    assert parse_qs(urlsplit(older).query)["provider"] == ["openai"]
    second = past(client, product, "?" + urlsplit(older).query)
    assert listed(second) == [str(first.pk)]
    assert ">Older<" not in second
    newest = link_of(second, "Newest")
    assert parse_qs(urlsplit(newest).query) == {"provider": ["openai"]}


def test_an_image_older_than_the_strip_can_be_looked_at(client, provider, product, monkeypatch):
    monkeypatch.setattr("packshot.web.pages.product.FRAMES_SHOWN", 2)
    old, *_ = [image_of(provider, product, number=number) for number in range(4)]
    page = client.get(f"/products/{product.sku}?image={old.pk}", headers=PAGE).text
    assert f'id="stage-{old.pk}"' in page
    strange = image_of(provider, build.product(), number=9)
    page = client.get(f"/products/{product.sku}?image={strange.pk}", headers=PAGE).text
    assert f'id="stage-{strange.pk}"' not in page


def test_lineage_stands_on_the_stage_and_in_the_history_both_ways(client, provider, product):
    grid, upscaled, edit = (image_of(provider, product, number=number) for number in range(3))
    given(upscaled, grid, model="midjourney-upscale")
    given(edit, upscaled)
    stage = client.get(f"/products/{product.sku}?image={edit.pk}", headers=PAGE).text
    stage = stage[stage.index("data-stage") : stage.index('class="strip"')]
    assert re.search(rf'href="\?image={upscaled.pk}"[^>]*>.*?Edited from image 2<', stage)
    shown = past(client, product)
    assert "Upscaled from image 1" in shown
    rows = shown.split("<tr id=")
    assert f'href="?image={upscaled.pk}" data-shows-image="{upscaled.pk}">image 2</a>' in rows[-1]
    assert "Used for" in rows[-1]
    given(upscaled, grid, model="midjourney-variation")
    assert "Variation of image 1" in past(client, product)


@pytest.mark.parametrize("images", [0, 40])
def test_the_page_with_its_history_costs_at_most_twelve_queries(client, provider, product, images):
    made = [image_of(provider, product, number=number, look=number % 2 == 0) for number in range(images)]
    for number in range(images // 4):
        failed(provider, product)
        given(made[number + 1], made[number])
        photos.add(product.pk, photo(number), f"{number}.jpg", INES)
        publish.activate(made[number].pk, build.ADMIN)
    query = f"?provider=openai&image={made[0].pk}" if made else ""
    client.get(f"/products/{product.sku}{query}", headers=PAGE)
    with CaptureQueriesContext(connection) as queries:
        client.get(f"/products/{product.sku}{query}", headers=PAGE)
    assert len(queries) == 12, [each["sql"][:90] for each in queries]


# -- what was active --------------------------------------------------------------------------------


def test_any_image_of_the_history_is_made_active_at_one_press_and_taken_back(client, provider, product):
    old, new = image_of(provider, product), image_of(provider, product, number=1)
    publish.activate(new.pk, build.ADMIN)
    then = f"/products/{product.sku}?review=undecided"
    answer = client.post(f"/images/{old.pk}/activate", {"shows": "product", "then": then})
    assert (answer.status_code, answer.headers["Location"]) == (303, then)
    shown = past(client, product)
    turns = shown[shown.index('id="turns"') :]
    assert re.findall(r"<b>Image (\d)</b>", turns) == ["1", "2"]
    assert "by pat" in turns
    assert "by ada" in turns
    done = client.post(f"/images/{new.pk}/activate", {"shows": "product"}, headers=HX).text
    undo = re.search(r"hx-vals=\"({.*?})\"", done)
    assert undo
    token = re.search(r'"undo": "([^"]+)"', unescape(undo[1]))
    assert token
    client.post("/images/restore", {"undo": token[1], "shows": "product"}, headers=HX)
    product.refresh_from_db()
    assert product.active_image_id == old.pk
    assert "taken back by pat" in " ".join(past(client, product).split())


def test_who_may_not_publish_is_offered_no_choice(provider, product):
    image_of(provider, product)
    page = signed_in("editor").get(f"/products/{product.sku}", headers=PAGE).text
    assert "/activate" not in page
    assert 'id="add-photo"' in page
    viewer = signed_in("viewer").get(f"/products/{product.sku}", headers=PAGE).text
    assert 'id="add-photo"' not in viewer
    assert "/archive/" not in viewer
    assert "/link" not in viewer


# -- a link for a colleague -------------------------------------------------------------------------


@pytest.mark.parametrize(("chosen", "seconds"), [("hour", 3600), ("day", 86_400), ("week", 604_800)])
def test_a_link_shows_an_image_that_is_not_public_for_as_long_as_chosen(provider, product, chosen, seconds):
    made = image_of(provider, product)
    answer = signed_in("reviewer").post(f"/images/{made.pk}/link", {"for": chosen}, headers=HX).text
    assert f'hx-target="#link-{made.pk}"' in answer
    address = unescape(re.search(r'value="([^"]+)"', answer)[1])
    parts = urlsplit(address)
    assert parts.path == f"/s/{made.pk}/1200.webp"
    query = parse_qs(parts.query)
    left = delivery.opened(made.pk, delivery.spec_of("webp", 1200), query["until"][0], query["key"][0])
    assert seconds - 60 < left <= seconds


def test_without_a_script_the_link_stands_in_the_message(provider, product):
    made = image_of(provider, product)
    reviewer = signed_in("reviewer")
    answer = reviewer.post(f"/images/{made.pk}/link", {"for": "hour", "then": f"/products/{product.sku}"})
    assert answer.status_code == 303
    page = reviewer.get(f"/products/{product.sku}", headers=PAGE).text
    assert "The link holds for 1 hour" in page
    assert re.search(rf'href="[^"]*/s/{made.pk}/1200\.webp\?until=\d+&amp;key=[0-9a-f]+"', page)


def test_an_active_image_needs_no_link_and_a_strange_one_gets_none(provider, product):
    made = image_of(provider, product)
    reviewer = signed_in("reviewer")
    assert '<div class="share">' in reviewer.get(f"/products/{product.sku}", headers=PAGE).text
    publish.activate(made.pk, build.ADMIN)
    assert '<div class="share" hidden>' in reviewer.get(f"/products/{product.sku}", headers=PAGE).text
    refused = reviewer.post(f"/images/{uuid4()}/link", {"for": "day"}, headers=HX)
    assert "There is no image" in refused.text
    assert "/s/" not in refused.text


# -- going, and coming back -------------------------------------------------------------------------


def test_a_product_is_archived_from_its_page_and_taken_back(client, provider, product):
    waiting, *_ = build.asked(provider)
    Generation.objects.filter(pk=waiting).update(product=product)
    gone = client.post(f"/archive/{product.pk}")
    assert (gone.status_code, gone.headers["Location"]) == (303, f"/products/{product.sku}")
    page = client.get(gone.headers["Location"], headers=PAGE).text
    assert "Product archived, 1 waiting image cancelled" in page
    assert "This product is archived" in page
    assert 'id="add-photo"' not in page
    product.refresh_from_db()
    assert product.archived_at is not None
    undo = re.search(r'data-undo hx-post="([^"]+)"', page)
    assert undo
    back = client.post(undo[1], headers=HX)
    assert back.headers["HX-Redirect"] == f"/products/{product.sku}"
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert "Product is back in the catalogue" in page
    assert 'id="add-photo"' in page
    product.refresh_from_db()
    assert product.archived_at is None
    assert build.generation(waiting).status == "cancelled"
    actions = AuditEntry.objects.filter(action__endswith="products").values_list("action", flat=True)
    assert list(actions.order_by("pk")) == ["archive products", "unarchive products"]


def test_twice_is_said_and_does_nothing(client, provider, product):
    assert client.post(f"/archive/{product.pk}/undo", headers=HX).headers["HX-Redirect"]
    client.post(f"/archive/{product.pk}")
    client.post(f"/archive/{product.pk}")
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    assert "This product is archived already" in page
    assert AuditEntry.objects.filter(action="archive products").count() == 1


def test_where_another_product_has_its_sku_it_stays_archived_and_says_why(client, provider, product):
    client.post(f"/archive/{product.pk}")
    heir = build.product("heir")
    Product.objects.filter(pk=heir.pk).update(sku=product.sku)
    answer = client.post(f"/archive/{product.pk}/undo", headers=HX)
    assert "another product of the catalogue has this SKU by now" in answer.text.replace("Another", "another")
    product.refresh_from_db()
    assert product.archived_at is not None
