"""Bulk actions, facets, orders, saved views and files of the Queue, by its pages."""

import csv
import io
import re
from html import unescape
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot.catalogue.models import Product, PromptTemplate, PromptTemplateVersion
from packshot.flows import bulk, generate
from packshot.generations.bulk_models import BulkAction
from packshot.generations.models import Attempt, Generation, Run
from packshot.kernel.errors import Refused, TryLater
from packshot.preferences.models import SavedView
from packshot.reports import actions as reads
from packshot.reports import finding, monitor
from packshot.reports.finding import Filter
from packshot.web import sheets
from packshot.web.pages import bulk as page
from tests import build
from tests.browser import story
from tests.integration.test_rights import PAGE

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "accept": "text/html", "sec-fetch-mode": "cors"}
QUEUE = "/admin/queue"


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def me() -> UUID:
    return build.process().id


def of(role: str, name: str | None = None) -> Client:
    client = Client()
    client.force_login(story.person(role, name))
    return client


@pytest.fixture
def editor() -> Client:
    return of("editor")


@pytest.fixture
def background(monkeypatch) -> None:
    """Nothing is carried out in the request."""
    monkeypatch.setattr(bulk, "AT_HAND", 0)


def failed(provider: build.StandIn, me: UUID, count: int = 1, kind: str = "refused") -> list[UUID]:
    build.asked(provider, count)
    claims = story.begin(provider, me, most=count)
    build.end(*(build.failed(claim, Refused("names a brand", kind=kind)) for claim in claims))
    return [claim.generation.id for claim in claims]


def rows(text: str) -> list[str]:
    return re.findall(r'<tr id="generation-([0-9a-f-]{36})"', text)


def shown(client: Client, query: str) -> list[str]:
    return rows(client.get(f"{QUEUE}?{query}", headers=PAGE).text)


def said(answer: object) -> str:
    found = re.search(r"<span data-words>(.*?)</span>", answer.text)
    return found[1] if found else ""


def fields(text: str) -> dict[str, list[str]]:
    """The hidden fields of the question in an answer."""
    found: dict[str, list[str]] = {}
    dialog = text[text.index('id="question"') :]
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', dialog):
        found.setdefault(name, []).append(unescape(value))
    return found


def read_csv(response: StreamingHttpResponse) -> list[dict[str, str]]:
    async def whole() -> str:
        return b"".join([part async for part in response.streaming_content]).decode()

    return list(csv.DictReader(io.StringIO(async_to_sync(whole)())))


def statuses(keys: list[UUID]) -> list[str]:
    found = dict(Generation.objects.filter(pk__in=keys).values_list("id", "status"))
    return [found[each] for each in keys]


# -- facets ------------------------------------------------------------------------------------------


@pytest.fixture
def varied(provider, me) -> dict[str, UUID]:
    """A generation for each thing that a facet can say."""
    keys = build.asked(provider, 8)
    names = ("model", "error", "person", "template", "category", "old", "dear", "unknown")
    found = dict(zip(names, keys, strict=True))
    template = PromptTemplate.objects.create(name="On slate")
    version = PromptTemplateVersion.objects.create(template=template, number=1, text="{{name}}")
    change = Generation.objects.filter
    change(pk=found["model"]).update(model="other-model")
    change(pk=found["error"]).update(error_kind="no_credit")
    change(pk=found["person"]).update(asked_by_name="zoe")
    change(pk=found["template"]).update(template_version=version)
    shelf = build.product(category="Home > Tableware > Cups")
    change(pk=found["category"]).update(product=shelf)
    change(pk=found["dear"]).update(expected_micros=700_000)
    change(pk=found["unknown"]).update(cost_unknown=True)
    return found | {"template_id": template.id}


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("model", "model=other-model"),
        ("error", "error=no_credit"),
        ("person", "person=zoe"),
        ("template", "template={template_id}"),
        ("category", "category=Home"),
        ("category", "category=Home+%3E+Tableware+%3E+Cups"),
        ("dear", "cost=0.5-"),
        ("dear", "cost=0.5-0.8"),
        ("unknown", "cost=unknown"),
    ],
)
def test_each_facet_shows_its_own_and_an_action_on_all_meets_the_same(name, query, varied, editor):
    query = query.format(**varied)
    assert shown(editor, query) == [str(varied[name])]
    asked = editor.post(f"{QUEUE}/cancel", {"all": "1", **dict(parse_qsl(query))}, headers=HTMX)
    done = editor.post(f"{QUEUE}/cancel", fields(asked.text), headers=HTMX)
    assert said(done) == "1 generation cancelled"
    assert Generation.objects.filter(status="cancelled").get().id == varied[name]


def test_a_category_is_not_another_that_begins_alike(provider, editor):
    build.asked(provider)
    Generation.objects.update(product=build.product(category="Homeware"))
    assert shown(editor, "category=Home") == []


def test_an_age_is_exact_at_its_edge(provider, editor):
    keys = build.asked(provider, 3)
    with connection.cursor() as cursor:
        # As if they had been asked for then: an id begins with its time.
        for key, hours in ((keys[0], 25), (keys[1], 23)):
            cursor.execute(
                "UPDATE packshot_generation SET created_at = now() - make_interval(hours => %s), "
                "id = overlay(id::text placing left(packshot_id_at("
                "now() - make_interval(hours => %s))::text, 13) from 1 for 13)::uuid WHERE id = %s",
                [hours, hours, key],
            )
    day_old, fresh, new = Generation.objects.order_by("id").values_list("id", flat=True)
    assert shown(editor, "age=24h") == [str(new), str(fresh)]
    assert shown(editor, "age=older-24h") == [str(day_old)]
    assert shown(editor, "age=1h") == [str(new)]
    assert len(shown(editor, "age=yesterday")) == 3, "what makes no sense is left out"


def test_a_text_is_found_in_product_prompt_and_as_a_whole_request_id(provider, me, editor):
    keys = build.asked(provider, 3)
    (claim,) = story.begin(provider, me, most=1)
    build.end(build.failed(claim, TryLater("busy", after_s=9, request_id="req-77")))
    Generation.objects.filter(pk=keys[1]).update(prompt="a vase on brushed zinc")
    Product.objects.filter(pk=Generation.objects.get(pk=keys[2]).product_id).update(sku="ZINC-9")
    assert shown(editor, "q=zinc") == [str(keys[2]), str(keys[1])]
    assert shown(editor, "q=req-77") == [str(claim.generation.id)]
    assert shown(editor, "q=req-7") == []
    assert shown(editor, "q=zinc&status=failed") == []


def test_a_menu_counts_in_the_rest_of_the_filter_and_leads_to_it(varied, editor):
    text = editor.get(f"{QUEUE}/facets/model?status=pending&model=other-model", headers=HTMX).text
    found = re.findall(r'href="([^"]*)".*?<span class="end muted">(\d+)</span>', text, re.DOTALL)
    assert found == [
        (f"{QUEUE}?status=pending&amp;model=stand-in", "7"),
        (f"{QUEUE}?status=pending&amp;model=other-model", "1"),
    ]
    assert len(shown(editor, "status=pending&model=stand-in")) == 7


@pytest.mark.parametrize("name", ["provider", "model", "error", "run", "person", "template", "category"])
def test_what_a_facet_counts_is_what_its_link_shows(name, varied, editor):
    text = editor.get(f"{QUEUE}/facets/{name}", headers=HTMX).text
    found = re.findall(r'href="([^"]*)".*?<span class="end muted">(\d+)</span>', text, re.DOTALL)
    assert found
    for url, number in found:
        assert len(rows(editor.get(url.replace("&amp;", "&"), headers=PAGE).text)) == int(number), url


@pytest.mark.parametrize("name", ["age", "cost"])
def test_what_a_range_counts_is_what_its_link_shows(name, varied, editor):
    text = editor.get(f"{QUEUE}/facets/{name}", headers=HTMX).text
    found = re.findall(r'href="([^"]*)".*?<span class="end muted">(\d+)</span>', text, re.DOTALL)
    assert len(found) >= 3
    for url, number in found:
        assert len(rows(editor.get(url.replace("&amp;", "&"), headers=PAGE).text)) == int(number), url


def test_a_menu_asks_once_or_twice_and_no_such_facet_is_not_found(varied, editor):
    def asked(query: str) -> int:
        editor.get(f"{QUEUE}/facets/{query}", headers=HTMX)
        with CaptureQueriesContext(connection) as captured:
            editor.get(f"{QUEUE}/facets/{query}", headers=HTMX)
        return len(captured)

    assert asked("person") == 3  # session, person, counts
    assert asked("person?q=hemp") == 4
    assert editor.get(f"{QUEUE}/facets/colour", headers=PAGE).status_code == 404


def test_a_facet_that_says_something_is_a_chip_that_can_be_taken_off(varied, editor):
    text = editor.get(f"{QUEUE}?error=no_credit&cost=0-0.05&age=7d&status=pending", headers=PAGE).text
    chips = re.findall(r'<span class="facet on">(\w+) <b>([^<]*)</b><a class="remove" href="([^"]*)"', text)
    assert [(label, value) for label, value, _ in chips] == [
        ("Error", "No credit"),
        ("Age", "last 7 days"),
        ("Cost", "under $0.05"),
    ]
    assert chips[0][2].replace("&amp;", "&") == f"{QUEUE}?status=pending&age=7d&cost=0-0.05"


def test_counts_of_what_no_index_counts_are_bounded_and_say_so(varied, editor, monkeypatch):
    tally = monitor.tally(Filter(person="ed"))
    assert (tally.of(), tally.at_least) == (7, False)
    monkeypatch.setattr(finding, "COUNTED", 4)
    tally = monitor.tally(Filter(person="ed"))
    assert tally.at_least and tally.of() == 5
    assert "5+" in editor.get(f"{QUEUE}?person=ed", headers=PAGE).text


# -- orders ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["oldest", "dearest", "slowest", "priority"])
def test_each_order_pages_forth_and_back_through_every_row_once(sort, provider, monkeypatch):
    keys = build.asked(provider, 11)
    for place, key in enumerate(keys):
        Generation.objects.filter(pk=key).update(
            expected_micros=[10, 30, 30, None][place % 4], priority=[0, 5, -5][place % 3]
        )
    everything = list(Generation.objects.order_by("id").values_list("id", "expected_micros", "priority"))
    expected = {
        "oldest": [each[0] for each in everything],
        "dearest": [
            each[0] for each in sorted(everything, key=lambda row: (row[1] or -1, row[0]), reverse=True)
        ],
        "slowest": [each[0] for each in everything[::-1]],  # nothing ended: all the same
        "priority": [each[0] for each in sorted(everything, key=lambda row: (-row[2], row[0]))],
    }[sort]
    wanted = Filter(status="pending")
    seen, after, pages = [], None, []
    while True:
        listing = monitor.listing(wanted, after=after, limit=4, sort=sort)
        pages.append([row.id for row in listing.rows])
        seen += pages[-1]
        if not listing.older:
            break
        after = seen[-1]
    assert seen == expected
    back = monitor.listing(wanted, before=pages[2][0], limit=4, sort=sort)
    assert [row.id for row in back.rows] == pages[1]
    first = monitor.listing(wanted, before=pages[1][0], limit=4, sort=sort)
    assert ([row.id for row in first.rows], first.newer) == (pages[0], False)


def test_the_slowest_ended_one_stands_first(provider, me, editor):
    keys = failed(provider, me, 3)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_generation SET started_at = completed_at - interval '90 s' WHERE id = %s",
            [keys[1]],
        )
    assert shown(editor, "sort=slowest")[0] == str(keys[1])


def test_rows_of_another_order_are_not_put_on_top_by_the_stream(provider, editor):
    build.asked(provider)
    assert '<tbody id="queue"' in editor.get(QUEUE, headers=PAGE).text
    assert '<tbody id="queue"' not in editor.get(f"{QUEUE}?sort=dearest", headers=PAGE).text


# -- saved views -------------------------------------------------------------------------------------


def test_a_view_is_kept_named_opened_by_its_address_and_forgotten(provider, me, editor):
    failed(provider, me, 2)
    build.asked(provider)
    saved = editor.post(
        f"{QUEUE}/views", {"name": "  My   failures ", "status": "failed", "sort": "oldest"}, headers=PAGE
    )
    view = SavedView.objects.get()
    assert (view.name, view.query, view.saved_by_name) == (
        "My failures",
        "status=failed&sort=oldest",
        "editor",
    )
    assert saved.headers["Location"] == f"{QUEUE}?view={view.id}"
    text = editor.get(saved.headers["Location"], headers=PAGE).text
    assert len(rows(text)) == 2
    assert "<title>My failures" in text
    stranger = of("editor", "other")
    assert "This view is not here." in stranger.get(f"{QUEUE}?view={view.id}", headers=PAGE).text
    assert "My failures" not in stranger.get(QUEUE, headers=PAGE).text
    stranger.post(f"{QUEUE}/views/{view.id}", {"what": "remove"}, headers=PAGE)
    assert SavedView.objects.exists()
    editor.post(f"{QUEUE}/views/{view.id}", {"what": "remove"}, headers=PAGE)
    assert not SavedView.objects.exists()


def test_the_same_name_keeps_the_newer_filter(provider, editor):
    for status in ("failed", "pending"):
        editor.post(f"{QUEUE}/views", {"name": "Mine", "status": status}, headers=PAGE)
    assert SavedView.objects.get().query == "status=pending"


def test_the_default_view_opens_at_the_bare_address_and_everything_is_a_click_away(provider, me, editor):
    failed(provider, me, 2)
    build.asked(provider)
    editor.post(f"{QUEUE}/views", {"name": "Mine", "status": "failed", "opens": "1"}, headers=PAGE)
    view = SavedView.objects.get()
    opened = editor.get(QUEUE, headers=PAGE)
    assert (opened.status_code, opened.headers["Location"]) == (302, f"{QUEUE}?view={view.id}")
    text = editor.get(f"{QUEUE}?view={view.id}", headers=PAGE).text
    everything = re.search(r'<a href="([^"]*)"[^>]*>All<', text)[1]
    assert everything == f"{QUEUE}?view=none"
    assert len(shown(editor, "view=none")) == 3
    editor.post(f"{QUEUE}/views/{view.id}", {"what": "close"}, headers=PAGE)
    assert editor.get(QUEUE, headers=PAGE).status_code == 200


def test_a_shared_view_is_an_administrators_and_is_shown_to_all(provider, editor):
    build.asked(provider)
    editor.post(f"{QUEUE}/views", {"name": "Ours", "status": "failed", "shared": "1"}, headers=PAGE)
    assert SavedView.objects.get().owner_id is not None, "an editor's is their own"
    SavedView.objects.all().delete()
    admin = of("administrator")
    admin.post(f"{QUEUE}/views", {"name": "Ours", "status": "failed", "shared": "1"}, headers=PAGE)
    view = SavedView.objects.get(owner=None)
    assert "Ours" in editor.get(QUEUE, headers=PAGE).text
    refused = editor.post(f"{QUEUE}/views/{view.id}", {"what": "remove", "shared": "1"}, headers=HTMX)
    assert said(refused) == "An administrator changes the views of everybody"
    admin.post(f"{QUEUE}/views/{view.id}", {"what": "remove", "shared": "1"}, headers=PAGE)
    assert not SavedView.objects.exists()


# -- bulk --------------------------------------------------------------------------------------------


def test_many_are_accepted_at_once_and_done_in_the_background(provider, me, editor, background):
    keys = failed(provider, me, 3)
    scope = {"all": "1", "status": "failed"}
    question = editor.post(f"{QUEUE}/retry", scope, headers=HTMX).text
    assert "Retry 3 generations $0.12" in question
    assert "It is done in the background" in question
    done = editor.post(f"{QUEUE}/retry", fields(question), headers=HTMX)
    assert said(done) == "Retrying 3 generations"
    action = BulkAction.objects.get()
    assert f"{QUEUE}/actions/{action.id}" in done.text
    assert statuses(keys) == ["failed"] * 3
    assert f'id="running-{action.id}"' in editor.get(QUEUE, headers=PAGE).text
    again = editor.post(f"{QUEUE}/retry", fields(question), headers=HTMX)
    assert BulkAction.objects.count() == 1, "the second click of a double click"
    assert said(again) == "Retrying 3 generations"
    bulk.carry_out_all(action.id)
    assert f'id="running-{action.id}"' not in editor.get(QUEUE, headers=PAGE).text
    text = editor.get(f"{QUEUE}/actions/{action.id}", headers=PAGE).text
    assert "3 of 3" in text and "3 done" in text and "Finished" in text
    assert "3 for $0.12" in text, "what the quote said"
    assert "Retry 3 generations" in editor.get(f"{QUEUE}/actions", headers=PAGE).text


def test_what_was_cancelled_is_taken_back_from_the_toast(provider, editor):
    keys = build.asked(provider, 2)
    done = editor.post(f"{QUEUE}/cancel", {"generation": keys, "count": "2"}, headers=HTMX)
    assert said(done) == "2 generations cancelled"
    undo = re.search(r'data-undo hx-post="([^"]*)"', done.text)[1]
    back = editor.post(undo, {"then": QUEUE}, headers=HTMX)
    assert said(back) == "2 generations taken back"
    assert statuses(keys) == ["pending", "pending"]
    assert sorted(rows(back.text)) == sorted(map(str, keys))


def test_a_priority_is_given_and_taken_back(provider, editor):
    keys = build.asked(provider, 2)
    done = editor.post(f"{QUEUE}/priority", {"generation": keys, "priority": "10"}, headers=HTMX)
    assert said(done) == "2 generations reprioritised"
    assert set(Generation.objects.values_list("priority", flat=True)) == {10}
    undo = re.search(r'data-undo hx-post="([^"]*)"', done.text)[1]
    editor.post(undo, {"then": QUEUE}, headers=HTMX)
    assert set(Generation.objects.values_list("priority", flat=True)) == {0}


def test_another_provider_is_chosen_then_priced_then_asked(provider, me, editor, monkeypatch):
    build.provider_row("flux")
    known = {"openai": build.StandIn(), "flux": build.StandIn("flux", price="0.05")}
    for module in (bulk, generate, page):
        monkeypatch.setattr(module, "quoting", lambda: known)
    keys = failed(provider, me, 3)
    whom = editor.post(f"{QUEUE}/hand-over", {"generation": keys}, headers=HTMX).text
    assert '<option value="flux/stand-in">' in whom and "$0.050 each" in whom
    priced = editor.post(f"{QUEUE}/hand-over", {**fields(whom), "with": "flux/stand-in"}, headers=HTMX).text
    assert "Ask for 3 images $0.15" in priced
    assert not Generation.objects.filter(provider="flux").exists()
    done = editor.post(f"{QUEUE}/hand-over", fields(priced), headers=HTMX)
    assert said(done).startswith("3 images asked of")
    made = Generation.objects.filter(provider="flux")
    assert {each.retry_of_id for each in made} == set(keys)
    assert Run.objects.filter(pk=made[0].run_id, size=3).exists()


def test_an_abort_stands_on_the_page_and_its_results_can_be_downloaded(
    provider, me, editor, background, monkeypatch
):
    monkeypatch.setattr(bulk, "PER_TURN", 2)
    failed(provider, me, 5)
    Product.objects.update(name="=HYPERLINK(1)")
    question = editor.post(f"{QUEUE}/retry", {"all": "1", "status": "failed"}, headers=HTMX).text
    editor.post(f"{QUEUE}/retry", fields(question), headers=HTMX)
    action = BulkAction.objects.get()
    bulk.carry_out(action.id, 0)
    assert "Abort" in editor.get(f"{QUEUE}/actions/{action.id}", headers=PAGE).text
    assert "Abort" not in of("viewer").get(f"{QUEUE}/actions/{action.id}", headers=PAGE).text
    aborted = editor.post(f"{QUEUE}/actions/{action.id}/abort", headers=HTMX)
    assert said(aborted) == "Aborted, 3 generations left as they were"
    text = editor.get(f"{QUEUE}/actions/{action.id}?outcome=skipped", headers=PAGE).text
    assert text.count("aborted by editor") == 3
    found = read_csv(editor.get(f"{QUEUE}/actions/{action.id}/results.csv"))
    assert [row["outcome"] for row in found] == ["done", "done", "skipped", "skipped", "skipped"]
    assert {row["product_name"] for row in found} == {"'=HYPERLINK(1)"}
    assert {row["quoted_dollars"] for row in found} == {"0.040000"}


def test_pages_of_actions_ask_the_database_a_fixed_number_of_times(provider, me, editor):
    def queries(address: str) -> int:
        editor.get(address, headers=PAGE)
        with CaptureQueriesContext(connection) as captured:
            assert editor.get(address, headers=PAGE).status_code == 200
        return len(captured)

    def act(count: int) -> UUID:
        keys = build.asked(provider, count)
        editor.post(f"{QUEUE}/cancel", {"generation": keys, "count": str(count)}, headers=HTMX)
        return BulkAction.objects.latest("id").id

    first = act(2)
    few = [queries(each) for each in (f"{QUEUE}/actions", f"{QUEUE}/actions/{first}", QUEUE)]
    for _ in range(4):
        first = act(12)
    many = [queries(each) for each in (f"{QUEUE}/actions", f"{QUEUE}/actions/{first}", QUEUE)]
    assert few == many
    assert max(many) <= 12


# -- files -------------------------------------------------------------------------------------------


def test_a_file_holds_every_row_of_the_filter_with_all_columns_and_no_formula(
    provider, me, editor, monkeypatch
):
    monkeypatch.setattr(reads, "EXPORTED_AT_ONCE", 3)
    keys = failed(provider, me, 8)
    build.asked(provider, 2)
    Generation.objects.filter(pk=keys[0]).update(prompt="@SUM(A1)", error_message="+1 more")
    response = editor.get(f"{QUEUE}/export.csv?status=failed")
    assert response.headers["Content-Disposition"].startswith('attachment; filename="packshot-queue-')
    found = read_csv(response)
    assert [row["id"] for row in found] == [str(each) for each in keys[::-1]]
    view = {column.name for column in connection.introspection.get_table_description(
        connection.cursor(), "image_generation_monitor")}  # fmt: skip
    assert view <= found[0].keys()
    assert {"category", "template", "request_id", "priority"} <= found[0].keys()
    assert (found[-1]["prompt"], found[-1]["error_message"]) == ("'@SUM(A1)", "'+1 more")
    assert found[0]["estimated_cost"] == "0.040000"


def test_a_file_is_read_in_parts_of_a_fixed_size(provider, monkeypatch):
    build.asked(provider, 10)
    monkeypatch.setattr(reads, "EXPORTED_AT_ONCE", 4)
    assert [len(each) for each in reads.Export(Filter())] == [4, 4, 2]


def test_numbers_stay_numbers_in_a_file():
    assert sheets.lines([(-3, None, "-3", True, "a,b")]) == '-3,,\'-3,yes,"a,b"\r\n'


# -- one in full -------------------------------------------------------------------------------------


def test_the_panel_breaks_down_what_it_cost_and_shows_what_was_asked(provider, me, editor):
    (key,) = failed(provider, me)
    generate.retry([key], build.EDITOR)
    story.begin(provider, me)
    text = editor.get(f"{QUEUE}/{key}", headers=PAGE).text
    money = re.search(r'<table class="charges">.*?</table>', text, re.DOTALL)[0]
    cells = [
        re.sub(r"<[^>]*>", " ", each).split() for each in re.findall(r"<tr>(.*?)</tr>", money, re.DOTALL)
    ]
    assert cells[1:] == [
        ["1", "$0.040", "$0.000", "–"],
        ["2", "$0.040", "open", "$0.040"],
        ["Together", "$0.000", "$0.040"],
    ]
    assert Attempt.objects.count() == 2
    assert "Request as JSON" in text
    assert "&#34;prompt&#34;: &#34;a bottle of hemp seed oil on slate&#34;" in text


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("refused", "Retry with another provider"),
        ("no_credit", "Look at the account of openai"),
        ("bad_key", "Look at the key of openai"),
        ("unknown_price", "Enter a price"),
        ("bad_input_image", "Open the product"),
    ],
)
def test_each_class_of_error_has_the_action_that_mends_it(kind, remedy, provider, me, editor):
    (key,) = failed(provider, me)
    Generation.objects.filter(pk=key).update(error_kind=kind)
    assert remedy in editor.get(f"{QUEUE}/{key}", headers=PAGE).text
    viewer = of("viewer").get(f"{QUEUE}/{key}", headers=PAGE).text
    assert "Retry with another provider" not in viewer


def test_the_request_key_of_a_question_is_its_own(provider, me, editor):
    failed(provider, me, 2)
    scope = {"all": "1", "status": "failed"}
    keys = {fields(editor.post(f"{QUEUE}/retry", scope, headers=HTMX).text)["key"][0] for _ in range(2)}
    assert len(keys) == 2 and uuid4().hex not in keys


@pytest.mark.parametrize(
    ("provider", "model", "called"),
    [
        ("flux", "flux-2-pro", "FLUX.2 pro"),
        ("openai", "gpt-image-2", "OpenAI GPT Image 2"),
        ("midjourney", "Midjourney 8.1", "Midjourney 8.1"),
    ],
)
def test_no_question_names_a_provider_twice(provider, model, called):
    assert page._called(provider, model) == called
