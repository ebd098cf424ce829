"""Templates in the browser: written, tried on a product, saved as versions, taken back; no words are lost."""

import html
import re
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot import catalogue, preferences
from packshot.catalogue import templates
from packshot.catalogue.models import Product
from packshot.flows import generate, wording
from packshot.flows.generate import Ask
from packshot.generations.models import Generation
from tests import build
from tests.browser import story
from tests.build import ADMIN, EDITOR
from tests.integration.test_rights import PAGE
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def editor() -> Client:
    client = Client()
    client.force_login(story.person("editor", "ed"))
    return client


@pytest.fixture
def oils() -> UUID:
    product = build.product()
    Product.objects.filter(pk=product.pk).update(attributes={"colour": "green", "pack size": "250 ml"})
    return wording.create("Oils", "A bottle of {{name}}.", EDITOR, category_path="Food > Oils")


def save(client: Client, template: UUID, text: str, based_on: int, **more: object) -> object:
    return client.post(
        f"/templates/{template}/save", {"text": text, "based_on": based_on}, headers=PAGE, **more
    )


def try_on(client: Client, text: str, **more: str) -> str:
    answer = client.post("/templates/preview", {"text": text} | more, headers=HTMX)
    assert answer.status_code == 200
    return answer.text


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def marks(page: str) -> list[tuple[str, str]]:
    return re.findall(r'<mark class="(\w+)" title="[^"]+">([^<]*)</mark>', page)


# -- the list ------------------------------------------------------------------------------------------


def test_the_list_says_what_each_template_serves_and_who_wrote_it(editor, oils):
    wording.create("General", "Any {{name}}", EDITOR, category_path=None)
    save(editor, oils, "A tall bottle of {{name}}.", 1)
    said = words(editor.get("/templates").text)
    assert re.search(r"General Catches everything Version 1 Any {{name}} Serves every category without", said)
    assert re.search(r"Oils Version 2 A tall bottle of {{name}}\. Serves Food > Oils ed,", said)


def test_archived_templates_have_a_list_of_their_own(editor, oils):
    wording.archive(oils, EDITOR)
    assert f"/templates/{oils}" not in editor.get("/templates").text
    assert f"/templates/{oils}" in editor.get("/templates?archived=1").text


def test_a_site_without_templates_says_how_to_begin(editor):
    assert "No template yet" in editor.get("/templates").text


# -- writing -------------------------------------------------------------------------------------------


def test_a_saved_wording_is_the_newest_version_and_can_be_taken_back(editor, oils):
    answer = save(editor, oils, "A tall bottle\r\nof {{name}}.", 1)
    assert answer.status_code == 303
    page = editor.get(answer.headers["Location"]).text
    assert "Template saved" in page
    assert ">A tall bottle\nof {{name}}.</textarea>" in page
    undo = re.search(r'data-undo hx-post="([^"]+)" hx-vals="([^"]+)"', page)
    assert undo is not None
    assert html.unescape(undo[2]) == '{"version": "1", "based_on": "2"}'
    taken_back = editor.post(undo[1], {"version": "1", "based_on": "2"}, headers=HTMX).text
    assert '<hx-partial hx-target="#page" hx-swap="outerMorph">' in taken_back
    assert "Version 1 restored" in taken_back
    assert ">A bottle of {{name}}.</textarea>" in taken_back
    assert [each.number for each in templates.versions(oils)] == [3, 2, 1]


def test_two_who_write_at_once_both_keep_their_words(editor, oils):
    other = Client()
    other.force_login(story.person("editor", "bo"))
    save(other, oils, "Bo's {{name}}", 1)
    answer = save(editor, oils, "Ed's {{name}}", 1)
    assert answer.status_code == 422
    said = words(answer.text)
    assert "bo saved version 2 while you wrote." in said
    assert "Bo's {{name}}" in said
    assert ">Ed&#39;s {{name}}</textarea>" in answer.text
    assert 'name="based_on" value="2"' in answer.text
    assert save(editor, oils, "Ed's and Bo's {{name}}", 2).status_code == 303
    assert [each.text for each in templates.versions(oils)][:2] == ["Ed's and Bo's {{name}}", "Bo's {{name}}"]


def test_an_undo_never_covers_what_somebody_saved_since(editor, oils):
    save(editor, oils, "Second {{name}}", 1)
    save(editor, oils, "Third {{name}}", 2)
    answer = editor.post(f"/templates/{oils}/again", {"version": "1", "based_on": "2"}, headers=HTMX)
    assert "Version 3 came from ed meanwhile" in answer.text
    assert templates.template_by_id(oils).text == "Third {{name}}"


def test_a_wording_that_cannot_be_is_told_beside_it_and_stays_in_the_editor(editor, oils):
    answer = save(editor, oils, "A bottle\nof {{nmae}} and {{attribute:}} {{name", 1)
    assert answer.status_code == 422
    assert "line 2: there is no {{nmae}}; did you mean {{name}}?" in html.unescape(answer.text)
    assert ">A bottle\nof {{nmae}}" in answer.text
    assert templates.template_by_id(oils).number == 1


def test_a_new_template_is_made_with_its_category_or_says_what_is_taken(editor, oils):
    page = editor.get("/templates/new").text
    assert "Food &gt; Oils</option>" not in page, "it is served already"
    for sent, field in (
        ({"name": "Oils", "text": "A {{name}}"}, "name"),
        ({"name": "New", "text": "A {{name}}", "category": "Food > Oils"}, "category"),
        ({"name": "New", "text": "A {{wrong}}"}, "text"),
    ):
        answer = editor.post("/templates/new", sent, headers=PAGE)
        assert answer.status_code == 422
        assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text), field
    made = editor.post("/templates/new", {"name": "New", "text": "A {{name}}"}, headers=PAGE)
    assert "Template created" in editor.get(made.headers["Location"]).text


def test_archiving_can_be_undone_and_the_general_one_stays(editor, oils):
    general = wording.create("General", "Any {{name}}", EDITOR, category_path=None)
    assert "Archive template" not in editor.get(f"/templates/{general}").text
    refused = editor.post(f"/templates/{general}/archive", {"archived": "1"}, headers=HTMX).text
    assert "so it stays" in refused
    archived = editor.post(f"/templates/{oils}/archive", {"archived": "1"}, headers=HTMX).text
    assert "Template archived" in archived
    assert "Restore template" in archived
    editor.post(f"/templates/{oils}/archive", {"archived": "0"}, headers=HTMX)
    assert templates.template_by_id(oils).archived_at is None


def test_who_may_only_read_sees_it_all_and_changes_nothing(editor, oils):
    save(editor, oils, "Second {{name}}", 1)
    viewer = Client()
    viewer.force_login(story.person("viewer"))
    page = viewer.get(f"/templates/{oils}").text
    assert re.search(r"<textarea[^>]*readonly", page)
    for button in ("Save template", "Use this wording again", "Archive template", "data-inserts"):
        assert button not in page
    assert "Version 1" in page
    assert save(viewer, oils, "Mine {{name}}", 2).status_code == 403
    assert marks(try_on(viewer, "Any {{name}}"))


def test_a_template_that_is_not_there_is_said_so(editor):
    for path in ("", "/save", "/again", "/archive"):
        address = f"/templates/{uuid4()}{path}"
        status = editor.post(address, headers=PAGE).status_code if path else editor.get(address).status_code
        assert status == 404, path


# -- trying --------------------------------------------------------------------------------------------


def test_a_preview_marks_what_was_filled_in_what_is_a_default_and_what_is_missing(editor, oils):
    name = Product.objects.get().name
    page = try_on(editor, "A {{attribute:colour}} {{attribute:cap|black}} {{name}} from {{attribute:farm}}.")
    assert marks(page) == [
        ("filled", "green"),
        ("default", "black"),
        ("filled", name),
        ("missing", "{{attribute:farm}}"),
    ]
    assert "This product lacks attribute:farm." in words(page)
    assert "{{attribute:farm|…}}" in words(page)


def test_a_preview_names_what_is_no_placeholder_with_its_line(editor, oils):
    page = words(try_on(editor, "Fine {{name}}\nand {{nmae}}\nand {{name"))
    assert "Line 2: there is no {{nmae}}; did you mean {{name}}?" in page
    assert "Line 3: a {{ is never closed" in page
    assert "This product lacks" not in page, "no product could have it"


def test_a_preview_is_of_the_product_that_is_chosen_or_looked_for(editor, oils):
    first = Product.objects.get()
    balm = build.product("Balm", category="Care")
    assert marks(try_on(editor, "{{name}}", category="Food > Oils")) == [("filled", first.name)]
    assert marks(try_on(editor, "{{name}}", q="balm")) == [("filled", balm.name)]
    assert marks(try_on(editor, "{{name}}", product=balm.sku, category="Food > Oils")) == [
        ("filled", balm.name)
    ]
    nowhere = try_on(editor, "{{name}}", q="bicycle")
    assert "No product holds “bicycle”." in words(nowhere)
    assert len(marks(nowhere)) == 1
    assert len(marks(try_on(editor, "{{name}}", product="no such SKU"))) == 1


def test_a_preview_shows_a_products_words_as_text(editor, oils):
    Product.objects.update(name="<img src=x onerror=alert(1)>", sku='"><b>x')
    page = try_on(editor, "<script>alert(1)</script> {{name}} {{'\"><i>}}")
    assert breaches(page) == []
    assert "<img" not in page
    assert "<script" not in page


def test_what_the_products_at_hand_say_is_offered_as_placeholders(editor, oils):
    page = html.unescape(editor.get(f"/templates/{oils}").text)
    for inserts in ("{{name}}", "{{brand_style}}", "{{attribute:colour}}", "{{attribute:pack size}}"):
        assert f'data-inserts="{inserts}" data-into="text"' in page
    assert marks(try_on(editor, "{{attribute:pack size}}")) == [("filled", "250 ml")]


def test_a_site_without_products_can_be_written_for(editor):
    general = wording.create("General", "Any {{name}}", EDITOR, category_path=None)
    assert "There is no product yet to try it on" in editor.get(f"/templates/{general}").text
    assert "did you mean {{name}}?" in html.unescape(try_on(editor, "{{nmae}}"))


def test_the_pages_ask_a_fixed_number_of_questions(editor, oils):
    for number in range(30):
        save(editor, oils, f"Wording {number} of {{{{name}}}}", number + 1)
        wording.create(f"Template {number}", "Any {{name}}", EDITOR, category_path=None)
        build.product()
    for url in ("/templates", "/templates/new", f"/templates/{oils}"):
        with CaptureQueriesContext(connection) as captured:
            assert editor.get(url).status_code == 200
        assert len(captured) <= 12, (url, [each["sql"] for each in captured])
    with CaptureQueriesContext(connection) as captured:
        try_on(editor, "Any {{name}}", category="Food > Oils")
    assert len(captured) <= 12


# -- the shape of copies -------------------------------------------------------------------------------


def fit(client: Client, template: UUID, value: str, **more: object) -> object:
    return client.post(f"/templates/{template}/fit", {"shape_fit": value}, **more)


def checked(page: str) -> list[str]:
    return re.findall(r'name="shape_fit" value="(\w*)" checked', page)


def test_a_template_says_how_copies_come_into_their_shape_and_takes_it_back(editor, oils):
    page = editor.get(f"/templates/{oils}", headers=PAGE)
    assert breaches(page.text) == []
    assert checked(page.text) == [""] and "As the site says: crop" in page.text
    answer = fit(editor, oils, "pad", headers=HTMX)
    assert "Shape saved" in answer.text and checked(answer.text) == ["pad"]
    assert templates.template_by_id(oils).shape_fit == "pad"
    assert "saved already" in fit(editor, oils, "pad", headers=HTMX).text
    assert "none of crop, pad" in fit(editor, oils, "stretch", headers=HTMX).text
    fit(editor, oils, "", headers=PAGE)
    assert templates.template_by_id(oils).shape_fit == ""


def test_a_fit_is_recorded_with_what_is_asked_for_and_a_later_one_changes_nothing(editor, oils):
    build.provider_row(name="sandbox")
    product = catalogue.by_sku([Product.objects.get().sku])
    for said, site, recorded in (("pad", "crop", "pad"), ("", "keep", "keep"), ("crop", "pad", "crop")):
        wording.set_shape_fit(oils, said, EDITOR)
        preferences.set("shape_fit", site, "ada")
        asked = generate.request(
            Ask(product, "sandbox", shape="4:5"), ADMIN, request_key=f"fit-{recorded}-{site}", agreed_micros=0
        )
        wording.set_shape_fit(oils, "pad" if said == "crop" else "crop", EDITOR)
        assert Generation.objects.get(pk=asked.generation_ids[0]).shape_fit == recorded
    own = Ask(product, "sandbox", prompt="A bottle", shape_fit="pad")
    asked = generate.request(own, ADMIN, request_key="fit-of-own-words", agreed_micros=0)
    assert Generation.objects.get(pk=asked.generation_ids[0]).shape_fit == "pad"


def test_a_viewer_reads_the_shape_and_cannot_set_it(oils):
    viewer = Client()
    viewer.force_login(story.person("viewer", "vic"))
    page = viewer.get(f"/templates/{oils}", headers=PAGE).text
    assert page.count('name="shape_fit"') == page.count("checked disabled") + 2 and "Save shape" not in page
    assert fit(viewer, oils, "pad", headers=HTMX).status_code == 403
