"""The Queue's pages and actions: what they show to whom, what they change, and what they ask first."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.template import engines
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from packshot import generations
from packshot.catalogue.models import Image, Product
from packshot.flows import bulk, generate
from packshot.generations import Given
from packshot.generations.models import Generation, ProviderRecord, Run
from packshot.kernel.errors import BadAnswer, ErrorKind, Refused, Unsure
from packshot.kernel.ids import uuid7
from packshot.reports import monitor
from packshot.web import remedies
from packshot.web.jinja import drawn
from packshot.web.pages import queue as page
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


def of(role: str) -> Client:
    client = Client()
    client.force_login(story.person(role))
    return client


@pytest.fixture
def editor() -> Client:
    return of("editor")


def failed(provider: build.StandIn, count: int = 1, *, me: UUID) -> list[UUID]:
    """`count` generations that the provider refused."""
    build.asked(provider, count)
    claims = story.begin(provider, me, most=count)
    build.end(*(build.failed(claim, Refused("names a brand", kind="refused")) for claim in claims))
    return [claim.generation.id for claim in claims]


def uncertain(provider: build.StandIn, *, me: UUID) -> UUID:
    build.asked(provider)
    (claim,) = story.begin(provider, me)
    build.end(build.failed(claim, Unsure("the answer broke off", kind="cut_off")))
    return claim.generation.id


def rows(text: str) -> list[str]:
    return re.findall(r'<tr id="generation-([0-9a-f-]{36})"', text)


def tabs(text: str) -> dict[str, str]:
    found = re.search(r'<nav class="tabs".*?</nav>', text, re.DOTALL)
    return dict(re.findall(r">([A-Z][a-z]+)<span class=\"count\"[^>]*>([\d,]+)</span>", found[0]))


def status_of(key: UUID) -> str:
    return Generation.objects.values_list("status", flat=True).get(pk=key)


def said(answer: object) -> str:
    found = re.search(r"<span data-words>(.*?)</span>", answer.text)
    return found[1] if found else ""


# -- the list ----------------------------------------------------------------------------------------


def test_tabs_count_and_each_leads_to_its_own(provider, me, editor):
    failed(provider, 2, me=me)
    build.asked(provider, 3)
    text = editor.get(QUEUE, headers=PAGE).text
    assert tabs(text) == {
        "All": "5", "Pending": "3", "Processing": "0", "Completed": "0", "Failed": "2", "Uncertain": "0",
        "Cancelled": "0",
    }  # fmt: skip
    assert len(rows(text)) == 5
    link = re.search(r'<a href="([^"]*)"[^>]*>Failed', text)[1]
    narrowed = editor.get(link, headers=PAGE).text
    assert len(rows(narrowed)) == 2
    assert tabs(narrowed)["Pending"] == "3"


def test_every_filter_stands_in_the_address_and_can_be_taken_off(provider, me, editor):
    build.provider_row("flux")
    build.asked(build.StandIn("flux"), 2)
    build.asked(provider, 3)
    run = Run.objects.first()
    Product.objects.filter(pk=Generation.objects.filter(run=run)[0].product_id).update(name="Linen tote & co")
    address = f"{QUEUE}?status=pending&provider=flux&q=linen+tote+%26&run={run.id}"
    text = editor.get(address, headers=PAGE).text
    assert len(rows(text)) == 1
    assert 'value="Linen tote &amp; co"' not in text
    assert 'value="linen tote &amp;"' in text
    assert "Provider <b>Flux</b>" in text or "Provider <b>FLUX</b>" in text or "Provider <b>flux</b>" in text
    assert "Run <b>a story</b>" in text
    without = re.findall(r'<a class="remove" href="([^"]*)"', text)
    assert [each.replace("&amp;", "&") for each in without] == [
        f"{QUEUE}?status=pending&q=linen+tote+%26&run={run.id}",
        f"{QUEUE}?status=pending&provider=flux&q=linen+tote+%26",
    ]


@pytest.mark.parametrize(
    "query",
    [
        "status=done",
        "provider=nobody",
        "after=x",
        "run=1",
        "generation=zz",
        "q=%00",
        "before=",
        "status=&q=++",
    ],
)
def test_an_address_that_makes_no_sense_still_shows_a_list(query, provider, editor):
    build.asked(provider)
    answer = editor.get(f"{QUEUE}?{query}", headers=PAGE)
    assert answer.status_code == 200
    assert len(rows(answer.text)) == (0 if query == "provider=nobody" else 1)


def test_pages_lead_on_and_back_and_only_the_first_takes_new_rows(provider, editor, monkeypatch):
    monkeypatch.setattr(page, "ROWS", 4)
    newest_first = [str(each) for each in build.asked(provider, 10)[::-1]]
    seen, address = [], QUEUE
    for number in range(3):
        text = editor.get(address, headers=PAGE).text
        seen += rows(text)
        assert ('<tbody id="queue"' in text) == (number == 0)
        onward = re.search(r'rel="next" href="([^"]*)"', text)
        address = onward[1].replace("&amp;", "&") if onward else ""
    assert (seen, address) == (newest_first, "")
    back = re.search(r'rel="prev" href="([^"]*)"', text)[1]
    assert rows(editor.get(back, headers=PAGE).text) == newest_first[4:8]


def test_a_row_that_is_kept_looks_as_it_would_be_drawn_tomorrow(provider, me, monkeypatch):
    failed(provider, me=me)
    uncertain(provider, me=me)
    build.asked(provider)
    (claim,) = story.begin(provider, me)
    story.land(claim)
    build.asked(provider)
    found = monitor.listing(monitor.Filter()).rows
    assert {row.status for row in found} == {"failed", "uncertain", "completed", "pending"}
    macro = engines["jinja2"].env.get_template("components/generation.html").module.queue_row
    kept = [(row, costs, drawn(macro, row, costs, "4m")) for row in found for costs in (True, False)]
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(days=1))
    assert all(html == macro(row, costs, "4m") for row, costs, html in kept), "nothing but its values decides"
    row, costs, html = kept[0]
    for other in ((row, not costs, "4m"), (row, costs, "5m"), (replace(row, attempts=3), costs, "4m")):
        assert drawn(macro, *other) != html


def test_a_name_from_outside_stays_text(provider, editor):
    build.asked(provider)
    Product.objects.update(name="<img src=x onerror=alert(1)>", sku='A/B "1" #?')
    text = editor.get(QUEUE, headers=PAGE).text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "<img src=x" not in text
    assert "/products/A" in text and '"1" #?' not in text


def test_what_stands_where_no_row_is_depends_on_why(provider, me, editor):
    assert "Nothing was asked for yet" in editor.get(QUEUE, headers=PAGE).text
    failed(provider, 2, me=me)
    assert "Nothing is waiting" in editor.get(f"{QUEUE}?status=pending", headers=PAGE).text
    text = editor.get(f"{QUEUE}?status=completed&provider=openai", headers=PAGE).text
    assert "No generation here is completed" in text
    assert "2 of another status fit the rest of the filter." in text
    text = editor.get(f"{QUEUE}?q=zeppelin", headers=PAGE).text
    assert "No generation fits" in text
    assert "Clear filters" in text


# -- one in full ---------------------------------------------------------------------------------------


def test_the_panel_stands_in_the_address_and_alone_for_a_script(provider, me, editor):
    (key,) = failed(provider, me=me)
    whole = editor.get(f"{QUEUE}?generation={key}", headers=PAGE).text
    assert f'id="panel" data-generation="{key}"' in whole
    assert len(rows(whole)) == 1
    alone = editor.get(f"{QUEUE}?generation={key}", headers=HTMX | {"HX-Target": "aside#panel"}).text
    assert f'id="panel" data-generation="{key}"' in alone
    assert rows(alone) == []
    assert "<html" not in alone
    for text in (whole, alone, editor.get(f"{QUEUE}/{key}", headers=PAGE).text):
        assert "OpenAI refused the prompt." in text
        assert "names a brand" in text
        assert "Not charged." in text
        assert "Change the prompt, or use another provider." in text
        assert "Retry $0.040" in text


def test_what_an_image_was_made_from_is_shown_with_the_way_there(provider, me, editor):
    first = build.sent(provider)
    build.end(build.delivered(first))
    image = Image.objects.get()
    edited = replace(
        build.wanted(provider),
        negative_prompt="text & logos",
        inputs=(
            Given("image", image.blob, "image/png", 640, 480, 9_000, image.id),
            Given("mask", "b" * 64, "image/png", 640, 480, 100),
        ),
    )
    with transaction.atomic():
        generations.request(
            [edited], key=uuid4().hex, fingerprint="f" * 64, title="", person_id=None, person_name="ed",
            quoted_micros=None,
        )  # fmt: skip
    text = editor.get(f"{QUEUE}/{edited.id}", headers=PAGE).text
    sku = Product.objects.get(pk=image.product_id).sku
    assert re.search(
        rf'Made from</dt><dd><a class="link" href="{QUEUE}/{first.generation.id}">image of {sku}</a> '
        r'<span class="muted">640 × 480 px',
        text,
    )
    assert re.search(r"Mask</dt><dd>a file", text)
    assert "<dt>Not in it</dt><dd>text &amp; logos</dd>" in text


def test_a_generation_that_is_gone_is_said(editor, provider):
    build.asked(provider)
    nobody = uuid7()
    text = editor.get(f"{QUEUE}?generation={nobody}", headers=PAGE).text
    assert "This generation is not here." in text
    assert len(rows(text)) == 1
    assert editor.get(f"{QUEUE}/{nobody}", headers=PAGE).status_code == 404
    target = HTMX | {"HX-Target": "aside#panel"}
    assert editor.get(f"{QUEUE}?generation={nobody}", headers=target).status_code == 404


def test_a_viewer_sees_everything_and_no_way_to_change_it(provider, me):
    (key,) = failed(provider, me=me)
    viewer = of("viewer")
    for address in (f"{QUEUE}?generation={key}", f"{QUEUE}/{key}"):
        text = viewer.get(address, headers=PAGE).text
        assert "refused the prompt" in text
        assert "/admin/queue/retry" not in text
        assert "/admin/queue/resolve" not in text
        assert 'class="bulk"' not in text
    assert (
        viewer.post(f"{QUEUE}/retry", {"generation": key, "agreed": "99999999"}, headers=HTMX).status_code
        == 403
    )
    assert status_of(key) == "failed"


def test_every_kind_of_error_says_what_happened_what_it_cost_and_what_comes_next(provider, me, editor):
    (key,) = failed(provider, me=me)
    for kind in ErrorKind.__args__:
        Generation.objects.filter(pk=key).update(error_kind=kind)
        note = remedies.note_of(monitor.detail(key), "Stand-in")
        assert note.what.endswith(".") and note.what != "It did not work.", kind
        assert note.charged == "Not charged."
        assert note.next.endswith("."), kind
        if kind in ("timeout", "cut_off"):
            assert "settle" not in note.next, "nothing is open"


def test_what_it_cost_is_said_in_each_case(provider, me):
    build.asked(provider, 2)
    paid, unknown = story.begin(provider, me)
    build.end(
        build.failed(paid, BadAnswer("no image in it", kind="bad_answer", cost=40_000)),
        build.failed(unknown, BadAnswer("no image in it", kind="bad_answer")),
    )
    notes = [
        remedies.note_of(monitor.detail(each.generation.id), "Stand-in").charged for each in (paid, unknown)
    ]
    assert notes == ["Charged $0.040.", "Charged an unknown amount; $0.040 stays held."]
    lost = remedies.note_of(monitor.detail(uncertain(provider, me=me)), "Stand-in")
    assert lost.charged == "Nobody knows whether it was charged; $0.040 is held."


def test_the_same_trouble_three_times_is_said_once(provider, me, editor):
    (key,) = failed(provider, me=me)
    for _ in range(2):
        generate.retry([key], build.EDITOR)
        (claim,) = story.begin(provider, me)
        build.end(build.failed(claim, Refused("names a brand", kind="refused")))
    text = editor.get(f"{QUEUE}/{key}", headers=PAGE).text
    assert "OpenAI refused the prompt three times." in text
    assert text.count("Content refused, ") == 3


# -- retry -----------------------------------------------------------------------------------------------


def test_a_retry_at_the_price_on_the_button_happens_at_once(provider, me, editor):
    (key,) = failed(provider, me=me)
    answer = editor.post(f"{QUEUE}/retry", {"generation": key, "agreed": "40000"}, headers=HTMX)
    assert said(answer) == "1 generation retried"
    assert rows(answer.text) == [str(key)]
    assert answer.headers["HX-Trigger"] == "queue:done"
    assert status_of(key) == "pending"
    again = editor.post(f"{QUEUE}/retry", {"generation": key, "agreed": "40000"}, headers=HTMX)
    assert said(again) == "Nothing was changed: it is pending by now"
    assert status_of(key) == "pending"


def test_a_price_that_was_not_on_the_button_is_asked_about_first(provider, me, editor):
    keys = failed(provider, 2, me=me)
    for agreed in ("40000", "", "79999", "-1", "9" * 30, "eighty"):
        answer = editor.post(f"{QUEUE}/retry", {"generation": keys, "agreed": agreed}, headers=HTMX)
        assert "Retry 2 generations $0.08" in answer.text, agreed
        assert [status_of(each) for each in keys] == ["failed", "failed"]
    fields = dict(re.findall(r'<input type="hidden" name="(count|agreed)" value="(\d+)"', answer.text))
    done = editor.post(f"{QUEUE}/retry", {"generation": keys, **fields}, headers=HTMX)
    assert said(done) == "2 generations retried"


def test_an_unknown_price_is_said_and_asked_about(provider, me, editor):
    keys = failed(provider, 2, me=me)
    Generation.objects.filter(pk=keys[0]).update(expected_micros=None)
    assert "price unknown" in editor.get(f"{QUEUE}/{keys[0]}", headers=PAGE).text
    answer = editor.post(f"{QUEUE}/retry", {"generation": keys, "agreed": "99999999"}, headers=HTMX)
    assert "For 1 of them no price is known" in answer.text
    done = editor.post(f"{QUEUE}/retry", {"generation": keys, "agreed": "0", "count": "2"}, headers=HTMX)
    assert said(done) == "2 generations retried"


def test_of_several_only_what_failed_is_retried_and_the_rest_is_counted(provider, me, editor):
    keys = failed(provider, 2, me=me)
    waiting = build.asked(provider, 1)
    answer = editor.post(f"{QUEUE}/retry", {"generation": [*keys, *waiting], "agreed": "80000"}, headers=HTMX)
    assert said(answer) == "2 generations retried, 1 had not failed"


# -- cancel ------------------------------------------------------------------------------------------------


def test_one_is_cancelled_at_once_and_several_are_asked_about_with_their_number(provider, me, editor):
    keys = build.asked(provider, 4)
    assert (
        said(editor.post(f"{QUEUE}/cancel", {"generation": keys[0]}, headers=HTMX))
        == "1 generation cancelled"
    )
    asked = editor.post(f"{QUEUE}/cancel", {"generation": keys}, headers=HTMX)
    assert "Cancel 3 generations" in asked.text
    assert [status_of(each) for each in keys] == ["cancelled", "pending", "pending", "pending"]
    done = editor.post(f"{QUEUE}/cancel", {"generation": keys, "count": "3"}, headers=HTMX)
    assert said(done) == "3 generations cancelled, 1 had ended already"
    assert sorted(rows(done.text)) == sorted(map(str, keys[1:]))


def test_what_is_on_its_way_is_paid_for_and_said(provider, me, editor):
    build.asked(provider, 2)
    (claim,) = story.begin(provider, me, most=1)
    keys = list(Generation.objects.values_list("id", flat=True))
    asked = editor.post(f"{QUEUE}/cancel", {"generation": keys}, headers=HTMX)
    assert "1 may be on the way: that is paid for" in asked.text
    done = editor.post(f"{QUEUE}/cancel", {"generation": keys, "count": "2"}, headers=HTMX)
    assert said(done) == ("1 generation cancelled, 1 on the way and paid for, the image is kept if it comes")
    text = editor.get(f"{QUEUE}/{claim.generation.id}", headers=PAGE).text
    assert "Cancelling, but the call is on its way." in text
    assert "Cancel generation" not in text


def test_all_that_match_are_what_the_server_finds_not_what_the_page_showed(provider, me, editor):
    build.provider_row("flux")
    others = build.asked(build.StandIn("flux"), 2)
    build.asked(provider, 3)
    scope = {"all": "1", "provider": "openai", "status": "pending"}
    asked = editor.post(f"{QUEUE}/cancel", {**scope, "generation": others}, headers=HTMX)
    assert "Cancel 3 generations" in asked.text
    build.asked(provider)
    more = editor.post(f"{QUEUE}/cancel", {**scope, "count": "3"}, headers=HTMX)
    assert "Cancel 4 generations" in more.text, "one came in meanwhile: the question is asked again"
    done = editor.post(f"{QUEUE}/cancel", {**scope, "count": "4"}, headers=HTMX)
    assert said(done) == "4 generations cancelled"
    assert [status_of(each) for each in others] == ["pending", "pending"]


def test_all_by_text_and_run_meet_only_those(provider, me, editor):
    keys = failed(provider, 3, me=me)
    odd = Generation.objects.get(pk=keys[1])
    Product.objects.filter(pk=odd.product_id).update(sku="ODD-1")
    scope = {"all": "1", "q": "odd-", "run": str(odd.run_id), "count": "1", "agreed": "40000"}
    assert said(editor.post(f"{QUEUE}/retry", scope, headers=HTMX)) == "1 generation retried"
    assert [status_of(each) for each in keys] == ["failed", "pending", "failed"]


def test_one_action_takes_so_many_and_says_so(provider, editor, monkeypatch):
    monkeypatch.setattr(bulk, "MOST", 4)
    monkeypatch.setattr(bulk, "PER_TURN", 3)
    keys = build.asked(provider, 6)
    asked = editor.post(f"{QUEUE}/cancel", {"all": "1", "status": "pending"}, headers=HTMX)
    assert "More than 4 match. The oldest 4 go out of the queue." in asked.text
    done = editor.post(f"{QUEUE}/cancel", {"all": "1", "status": "pending", "count": "4"}, headers=HTMX)
    assert said(done) == "4 generations cancelled"
    assert [status_of(each) for each in keys] == ["cancelled"] * 4 + ["pending"] * 2


def test_without_a_filter_it_has_to_be_said_that_the_whole_queue_is_meant(provider, editor):
    keys = build.asked(provider, 2)
    asked = editor.post(f"{QUEUE}/cancel", {"all": "1", "count": "2"}, headers=HTMX)
    assert "I mean the whole queue" in asked.text
    assert [status_of(each) for each in keys] == ["pending"] * 2
    done = editor.post(f"{QUEUE}/cancel", {"all": "1", "count": "2", "whole": "1"}, headers=HTMX)
    assert said(done) == "2 generations cancelled"


def test_nothing_to_act_on_is_said(provider, me, editor):
    assert said(editor.post(f"{QUEUE}/cancel", {}, headers=HTMX)) == "Nothing to cancel here"
    assert said(editor.post(f"{QUEUE}/retry", {"generation": "x"}, headers=HTMX)) == "Nothing to retry here"
    keys = failed(provider, 2, me=me)
    told = said(editor.post(f"{QUEUE}/cancel", {"generation": keys}, headers=HTMX))
    assert told == "Nothing was changed: none of them is in the queue any more"


def test_without_a_script_a_form_asks_on_a_page_and_leads_back_with_the_result(provider, editor):
    keys = build.asked(provider, 2)
    asked = editor.post(f"{QUEUE}/cancel", {"generation": keys, "then": QUEUE}, headers=PAGE)
    assert "<h1>Cancel 2 generations?</h1>" in asked.text
    fields = re.findall(r'<input type="hidden" name="(generation|count|then)" value="([^"]*)"', asked.text)
    data: dict[str, list[str]] = {}
    for name, value in fields:
        data.setdefault(name, []).append(value)
    done = editor.post(f"{QUEUE}/cancel", data, headers=PAGE)
    assert (done.status_code, done.headers["Location"]) == (303, QUEUE)
    assert "2 generations cancelled" in editor.get(QUEUE, headers=PAGE).text


def test_an_action_leads_to_no_other_site(provider, editor):
    (key,) = build.asked(provider)
    done = editor.post(f"{QUEUE}/cancel", {"generation": key, "then": "https://evil.example/"}, headers=PAGE)
    assert done.headers["Location"] == "/"


# -- settle ------------------------------------------------------------------------------------------------


def test_an_administrator_settles_a_charge_and_the_panel_tells_by_whom(provider, me, editor):
    key = uncertain(provider, me=me)
    admin = of("administrator")
    text = admin.get(f"{QUEUE}/{key}", headers=PAGE).text
    assert "Settle the charge" in text
    assert "Settle the charge" not in editor.get(f"{QUEUE}/{key}", headers=PAGE).text
    assert "An administrator settles it." in editor.get(f"{QUEUE}/{key}", headers=PAGE).text
    done = admin.post(
        f"{QUEUE}/resolve",
        {"generation": key, "how": "charged", "amount": "0.031", "note": "line 7 of the bill"},
        headers=HTMX,
    )
    assert said(done) == "Charge settled"
    text = admin.get(f"{QUEUE}/{key}", headers=PAGE).text
    assert "Charged $0.031." in text
    assert "Settled by hand by administrator: line 7 of the bill" in text


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"how": "charged", "note": ""}, "Say what the evidence is"),
        ({"how": "", "note": "the bill"}, "Say what the provider did."),
        ({"how": "charged", "amount": "4 cents", "note": "the bill"}, "is not an amount of dollars"),
    ],
)
def test_what_is_wrong_with_a_settlement_is_said_beside_it_and_what_was_typed_stays(
    typed, problem, provider, me
):
    key = uncertain(provider, me=me)
    admin = of("administrator")
    for headers in (HTMX, PAGE):
        answer = admin.post(f"{QUEUE}/resolve", {"generation": key, **typed}, headers=headers)
        assert answer.status_code == 422
        assert problem in answer.text
        assert f'value="{typed.get("amount", "")}"' in answer.text
    assert status_of(key) == "uncertain"


def test_asking_again_after_an_uncertain_charge_puts_it_back_into_the_queue(provider, me):
    key = uncertain(provider, me=me)
    of("administrator").post(
        f"{QUEUE}/resolve", {"generation": key, "how": "again", "note": "not on the bill"}, headers=HTMX
    )
    assert status_of(key) == "pending"


# -- cost ----------------------------------------------------------------------------------------------------


def queries(client: Client, address: str, headers: dict[str, str] = PAGE) -> int:
    client.get(address, headers=headers)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address, headers=headers).status_code == 200
    return len(captured)


def test_pages_ask_the_database_a_fixed_number_of_times(provider, me, editor):
    (first,) = failed(provider, me=me)
    run_of_two = failed(provider, 2, me=me)
    run = Generation.objects.get(pk=run_of_two[0]).run_id
    addresses = {
        QUEUE: 8,
        f"{QUEUE}?status=failed&provider=openai": 8,
        f"{QUEUE}?q=hemp&run={run}": 9,
        f"{QUEUE}?generation={first}": 9,
        f"{QUEUE}?q=hemp&run={run}&generation={first}": 10,
        f"{QUEUE}/{first}": 5,
    }
    few = {address: queries(editor, address) for address in addresses}
    failed(provider, 30, me=me)
    for _ in range(3):
        generate.retry([first], build.EDITOR)
        (claim,) = story.begin(provider, me, most=1)
        story.refuse(claim)
    ProviderRecord.objects.update(wait_until=None)
    many = {address: queries(editor, address) for address in addresses}
    assert few == many == addresses
    assert queries(editor, f"{QUEUE}?generation={first}", HTMX | {"HX-Target": "aside#panel"}) == 3
