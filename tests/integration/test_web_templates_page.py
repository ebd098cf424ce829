"""Templates in the browser: written, tried on products, saved as drafts or for use, taken back; no words are
lost, and what came of each version stands beside it."""

import html
import re
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot import catalogue, preferences
from packshot.accounts import Actor
from packshot.catalogue import templates
from packshot.catalogue.models import Image, Product, PromptTemplateVersion
from packshot.flows import admit, generate, wording
from packshot.flows.generate import Ask
from packshot.generations.models import Generation
from packshot.quality.models import Review, Score
from packshot.reports import wordings
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


def save(
    client: Client, template: UUID, text: str, based_on: int, *, in_use: int | None = None, use: bool = True
) -> object:
    """As the buttons do: by default on a page whose newest version is in use, to be used."""
    sent = {"text": text, "based_on": based_on, "in_use": in_use or based_on, "use": "1" if use else "0"}
    return client.post(f"/templates/{template}/save", sent, headers=PAGE)


def put_in_use(client: Client, template: UUID, number: int, *, in_use: int) -> str:
    sent = {"version": str(number), "in_use": str(in_use)}
    return client.post(f"/templates/{template}/use", sent, headers=HTMX).text


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


def test_a_wording_saved_for_use_is_in_use_and_can_be_taken_back(editor, oils):
    answer = save(editor, oils, "A tall bottle\r\nof {{name}}.", 1)
    assert answer.status_code == 303
    page = editor.get(answer.headers["Location"]).text
    assert "Version 2 in use" in page
    assert ">A tall bottle\nof {{name}}.</textarea>" in page
    undo = re.search(r'data-undo hx-post="([^"]+)" hx-vals="([^"]+)"', page)
    assert undo is not None
    assert undo[1] == f"/templates/{oils}/use"
    assert html.unescape(undo[2]) == '{"version": "1", "in_use": "2"}'
    taken_back = put_in_use(editor, oils, 1, in_use=2)
    assert '<hx-partial hx-target="#page" hx-swap="outerMorph">' in taken_back
    assert "Version 1 in use" in taken_back
    assert ">A bottle of {{name}}.</textarea>" in taken_back
    assert [each.number for each in templates.versions(oils)] == [2, 1], "no text was copied"
    assert "Version 1 put in use instead of version 2 by ed" in words(taken_back)


def test_a_draft_is_saved_beside_what_is_in_use_and_used_with_one_click(editor, oils):
    answer = save(editor, oils, "A tall bottle of {{name}}.", 1, use=False)
    page = editor.get(answer.headers["Location"]).text
    assert "Draft saved" in page
    assert "data-undo" not in page, "nothing that is used has changed"
    assert "Version 2 is a draft. Images are made with version 1 until you use it." in words(page)
    assert ">A tall bottle of {{name}}.</textarea>" in page, "whoever writes goes on from the draft"
    assert templates.template_by_id(oils).number == 1
    assert "Draft 2 Version 1" in words(editor.get("/templates").text)
    used = put_in_use(editor, oils, 2, in_use=1)
    assert "Version 2 is a draft" not in words(used)
    assert templates.template_by_id(oils).number == 2
    assert re.search(r"data-undo hx-post=", used)
    again = save(editor, oils, "A tall bottle of {{name}}.", 2, use=False)
    assert "It is saved already" in editor.get(again.headers["Location"]).text


def test_an_older_wording_can_be_written_on_from(editor, oils):
    save(editor, oils, "Second {{name}}", 1)
    page = editor.get(f"/templates/{oils}?version=1").text
    assert ">A bottle of {{name}}.</textarea>" in page
    assert 'name="based_on" value="2"' in page
    assert "Version 1, to write on from" in page
    assert ">Second {{name}}</textarea>" in editor.get(f"/templates/{oils}?version=77").text


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


def test_an_undo_never_covers_what_somebody_used_since(editor, oils):
    save(editor, oils, "Second {{name}}", 1)
    save(editor, oils, "Third {{name}}", 2)
    answer = put_in_use(editor, oils, 1, in_use=2)
    assert "ed put version 3 in use meanwhile. Nothing was changed" in answer
    assert '<hx-partial hx-target="#page"' in answer, "the page shows what holds now"
    assert templates.template_by_id(oils).text == "Third {{name}}"
    assert "has no version 9" in put_in_use(editor, oils, 9, in_use=3)
    assert "in use meanwhile" in editor.post(f"/templates/{oils}/use", {"version": "1"}, headers=HTMX).text, (
        "whoever says not what they saw moves nothing"
    )


def test_a_wording_for_use_waits_when_somebody_moved_the_label_meanwhile(editor, oils):
    save(editor, oils, "Second {{name}}", 1)
    other = Client()
    other.force_login(story.person("editor", "bo"))
    put_in_use(other, oils, 1, in_use=2)
    answer = save(editor, oils, "Third {{name}}", 2)
    assert answer.status_code == 422
    assert "bo put version 1 in use while you wrote." in words(answer.text)
    assert ">Third {{name}}</textarea>" in answer.text
    assert 'name="based_on" value="2"' in answer.text
    assert 'name="in_use" value="1"' in answer.text
    assert re.search(r'id="wording"[^>]* hx-morph-skip', answer.text), "what is not saved is not drawn over"
    assert templates.template_by_id(oils).newest == 2
    assert save(editor, oils, "Third {{name}}", 2, in_use=1).status_code == 303
    assert templates.template_by_id(oils).number == 3


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
    for button in (
        "Save and use",
        "Save draft",
        "Use version 1",
        "Write on",
        "Archive template",
        "data-inserts",
    ):
        assert button not in page
    assert "Version 1" in page
    assert save(viewer, oils, "Mine {{name}}", 2).status_code == 403
    assert viewer.post(f"/templates/{oils}/use", {"version": "1"}, headers=HTMX).status_code == 403
    assert marks(try_on(viewer, "Any {{name}}"))


def test_a_template_that_is_not_there_is_said_so(editor):
    for path in ("", "/save", "/use", "/archive"):
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
    save(editor, oils, "A draft of {{name}}", 31, use=False)
    page = f"/templates/{oils}"
    for url in (
        *("/templates", "/templates/new", page),
        *(f"{page}?{query}" for query in ("on=ten", "before=12", "from=1&to=2", "version=1")),
    ):
        with CaptureQueriesContext(connection) as captured:
            assert editor.get(url).status_code == 200
        assert len(captured) <= 12, (url, [each["sql"] for each in captured])
    for on in ("one", "ten"):
        with CaptureQueriesContext(connection) as captured:
            try_on(editor, "Any {{name}}", category="Food > Oils", on=on)
        assert len(captured) <= 12


def test_a_wording_is_tried_on_ten_products_those_that_lack_something_first(editor, oils):
    for number in range(12):
        made = build.product(f"Oil {number}")
        if number != 7:
            Product.objects.filter(pk=made.pk).update(attributes={"farm": "Home"})
    Product.objects.filter(name__startswith="Oil 7").update(description="word " * 1_000)
    page = try_on(
        editor, "{{name}} from {{attribute:farm}} {{description|}}", category="Food > Oils", on="ten"
    )
    said = words(page)
    assert page.count('<p class="prompt">') == 10
    assert "2 of 13 products looked at lack something and would not be asked for." in said
    assert said.index("Lacks attribute:farm") < said.index("Home")
    assert said.count("Lacks attribute:farm") == 2
    assert said.count("Cut: description") == 1
    assert ("missing", "{{attribute:farm}}") in marks(page)
    assert re.search(r"\d+ characters", said)
    assert breaches(page) == []
    complete = words(try_on(editor, "{{name}}", category="Food > Oils", on="ten"))
    assert "None of 13 products looked at lacks anything." in complete
    wrong = words(try_on(editor, "{{nmae}}", category="Food > Oils", on="ten"))
    assert "did you mean {{name}}?" in wrong
    assert "Lacks" not in wrong
    assert 'value="ten" checked' in editor.get(f"/templates/{oils}?on=ten").text


# -- versions beside each other ------------------------------------------------------------------------


def changed(page: str) -> tuple[list[str], list[str]]:
    found = re.search(r'<p class="prompt">((?:(?!</p>).)*<(?:del|ins)>.*?)</p>', page, re.DOTALL)
    assert found is not None
    return tuple(
        re.findall(rf'<{tag}><span class="hidden-text">[a-z]+: </span>(.*?)</{tag}>', found[1], re.DOTALL)
        for tag in ("del", "ins")
    )


def test_what_changed_is_shown_word_by_word_of_any_two_versions(editor, oils):
    assert "What changed" not in editor.get(f"/templates/{oils}").text, "there is one version"
    save(editor, oils, "A tall bottle of {{name}}.", 1)
    save(editor, oils, "A tall jar of {{name}} on slate.", 2, use=False)
    page = editor.get(f"/templates/{oils}").text
    assert changed(page) == (["bottle", "{{name}}."], ["jar", "{{name}} on slate."])
    assert "2 words removed 4 words added" in words(page)
    page = editor.get(f"/templates/{oils}?from=3&to=1").text
    assert changed(page) == (["tall jar", "{{name}} on slate."], ["bottle", "{{name}}."])
    assert re.search(r'id="difference-from"[^>]*>.*?value="3" selected', page, re.DOTALL)
    assert "No word differs." in words(editor.get(f"/templates/{oils}?from=2&to=2").text)
    assert editor.get(f"/templates/{oils}?from=99&to=x").status_code == 200
    put_in_use(editor, oils, 3, in_use=2)
    page = editor.get(f"/templates/{oils}").text
    assert changed(page)[0] == ["bottle", "{{name}}."], "what is in use beside the version before"


def test_a_long_history_is_shown_in_parts(editor, oils):
    for number in range(1, 25):
        save(editor, oils, f"Wording {number} of {{{{name}}}}", number)
    put_in_use(editor, oils, 2, in_use=25)
    first = editor.get(f"/templates/{oils}").text
    assert re.findall(r'id="version-(\d+)"', first) == [str(each) for each in range(25, 5, -1)]
    assert "Version 2 put in use instead of version 25" in words(first)
    assert 'href="?before=6#history-title"' in first
    older = editor.get(f"/templates/{oils}?before=6").text
    assert re.findall(r'id="version-(\d+)"', older) == ["5", "4", "3", "2", "1"]
    assert "put in use instead" not in words(older)
    assert "Older versions" not in older


# -- what came of each version -------------------------------------------------------------------------


def made_with(
    template: UUID, number: int, looks: list[tuple[str, float | None, str | None]], *, simulated: bool = True
) -> None:
    """An image for each look: what was decided of it, its lowest score, what it cost."""
    version = PromptTemplateVersion.objects.get(template_id=template, number=number)
    provider, me = build.StandIn("openai" if simulated else "flux"), build.process().id
    for decision, score, cost in looks:
        build.asked(provider, simulated=simulated)
        (claim,) = build.claimed(provider, process_id=me, most=1)
        admit.start_sending([claim], process_id=me)
        build.end(build.delivered(claim, cost=cost))
        Generation.objects.filter(pk=claim.generation.id).update(template_version=version)
        image = Image.objects.get(generation_id=claim.generation.id)
        if decision:
            Review.objects.create(image=image, decision="rejected", decided_by_name="bo", current=False)
            Review.objects.create(image=image, decision=decision, decided_by_name="rev")
        if score is not None:
            Score.objects.create(image=image, scorer="sharpness", value=score)
            Score.objects.create(image=image, scorer="background", value=100)


def came_of(page: str, number: int) -> str:
    line = page[page.index(f'id="version-{number}">') :]
    return words(line[line.index('<span class="result">') : line.index('<span class="muted who">')])


@pytest.fixture
def providers():
    for name, simulated in (("openai", True), ("flux", False)):
        build.provider_row(name, simulated=simulated)
        build.budget("100", simulated=simulated)


def test_what_came_of_each_version_stands_beside_it(editor, oils, providers):
    save(editor, oils, "Second {{name}}", 1)
    save(editor, oils, "Third {{name}}", 2)
    made_with(oils, 1, [("approved", 60, "0.04"), ("approved", 80, "0.06"), ("rejected", None, None)])
    made_with(oils, 2, [("", None, "0")])
    page = editor.get(f"/templates/{oils}").text
    assert came_of(page, 1) == "3 images 66.6% approved 20.7% to 93.8%, n 3 $0.050 each Lowest score 70"
    assert came_of(page, 2) == "1 image None reviewed Free No score"
    assert came_of(page, 3) == "No request"
    assert "newest 3,333 requests of each version, simulated" in words(page)


def test_simulated_results_stand_only_where_there_are_no_real_ones(editor, oils, providers):
    save(editor, oils, "Second {{name}}", 1)
    made_with(oils, 1, [("approved", 50, "0.01")] * 2)
    made_with(oils, 2, [("rejected", 40, None)], simulated=False)
    page = editor.get(f"/templates/{oils}").text
    assert came_of(page, 1) == "No request"
    assert came_of(page, 2) == "1 image 0.0% approved 0.0% to 79.3%, n 1 Cost unknown Lowest score 40"
    assert "newest 5,000 requests of each version, the real ones" in words(page)


def test_who_may_not_read_costs_sees_none(editor, oils, providers, monkeypatch):
    made_with(oils, 1, [("approved", 50, "0.01")])
    assert "$0.010 each" in came_of(editor.get(f"/templates/{oils}").text, 1)
    may = Actor.may
    monkeypatch.setattr(Actor, "may", lambda self, right: right != "read_costs" and may(self, right))
    assert (
        came_of(editor.get(f"/templates/{oils}").text, 1)
        == "1 image 100.0% approved 20.6% to 100.0%, n 1 Lowest score 50"
    )


def test_results_are_read_by_an_index_and_of_so_many_requests_at_most(oils, providers, monkeypatch):
    made_with(oils, 1, [("approved", 10, "0.01"), ("approved", 20, "0.01"), ("rejected", 90, "0.01")])
    version = templates.versions(oils)[0].id
    monkeypatch.setattr(wordings, "COUNTED_AT_MOST", 2)
    result = wordings.results([version])[version]
    assert (result.requests, result.images, result.approved, result.decided) == (2, 2, 1, 2)
    assert result.score == 55, "of the newest two"
    with CaptureQueriesContext(connection) as captured, connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        wordings.results([version])
        cursor.execute("EXPLAIN " + captured[-1]["sql"])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    newest = plan[plan.index("Limit") :]
    assert "packshot_generation_template" in newest.split("\n")[1], "in the index's own order, without a sort"
    assert re.search(r"Index Cond: \(+(image\.)?generation_id = ", plan), plan


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
