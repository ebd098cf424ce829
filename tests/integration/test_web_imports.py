"""Imports in the browser: the dry run says what would happen, and applying it does that, once."""

import re
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core import signing
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot.accounts.models import AuditEntry
from packshot.catalogue.models import ImportRecord, Product
from packshot.events.models import Event
from packshot.flows import look
from packshot.web.live import Audience, make_frames
from packshot.web.pages import imports as pages
from packshot.web.uploads import up_to_limit
from tests.browser import story
from tests.integration.test_rights import PAGE
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db

GOOD = "sku,name,price\nA,Hemp oil,3.50\nB,Hemp soap,4\n"
MIXED = GOOD + ",Nameless,1\nC,<b>Hemp</b> balm,not a price\n"


@pytest.fixture
def editor() -> Client:
    client = Client()
    client.force_login(story.person("editor", "ed"))
    return client


def send(client: Client, text: str | bytes, name: str = "products.csv", **options: str) -> object:
    content = text.encode() if isinstance(text, str) else text
    return client.post("/imports/plan", options | {"file": SimpleUploadedFile(name, content)}, headers=PAGE)


def sealed(answer: object) -> str:
    assert answer.status_code == 303, answer.text
    return parse_qs(urlsplit(answer.headers["Location"]).query)["file"][0]


def dry_run(client: Client, text: str | bytes, name: str = "products.csv", **options: str) -> object:
    return client.get("/imports/plan", {"file": sealed(send(client, text, name, **options))}, headers=PAGE)


def figures(page: str) -> list[str]:
    return re.findall(r'<div class="big">([\d,]+)</div>', page)


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


# -- the dry run ---------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_happen_and_changes_nothing(editor):
    page = dry_run(editor, MIXED)
    assert page.status_code == 200
    assert figures(page.text) == ["3", "0", "0", "1"]
    assert "Import 3 products" in page.text
    assert "Choose another file" in page.text
    said = words(page.text)
    assert "Row 4" in said
    assert "Rejected" in said
    assert re.search(r"Row 5 price .*? Comes without it", said)
    assert breaches(page.text) == []
    assert not Product.objects.exists()
    assert not ImportRecord.objects.exists()


def test_what_changes_is_shown_by_field(editor):
    editor.post("/imports/apply", {"file": sealed(send(editor, GOOD))})
    page = dry_run(editor, "sku,name,price\nA,Hemp seed oil,3.50\nB,Hemp soap,4\nZ,New one,1\n").text
    assert figures(page) == ["1", "1", "1", "0"]
    assert re.search(r'>A</small></th><td class="c-fields">name</td>', page)
    assert "What is new" in page
    assert "Import 2 products" in page


def test_a_file_that_changes_nothing_has_no_button(editor):
    editor.post("/imports/apply", {"file": sealed(send(editor, GOOD))})
    page = dry_run(editor, GOOD).text
    assert "Nothing to import." in page
    assert "/imports/apply" not in page


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "empty.csv", "empty.csv is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2_000), "photo.csv", "photo.csv is a PNG picture"),
        (bytes(range(256)) * 40, "noise.csv", "noise.csv holds binary data"),
        (b"colour,size\nred,4\n", "wrong.csv", "sku"),
        (b"sku,name\n", "bare.csv", "no products"),
        (b'{"products": [', "cut.json", "cut.json is not valid JSON"),
    ],
)
def test_what_is_no_catalogue_is_answered_in_the_form(editor, content, name, said):
    answer = send(editor, content, name)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "packshot-import-" not in answer.text, "no path of this machine"


def test_a_fault_that_shows_only_further_down_is_answered_in_the_form_too(editor):
    page = dry_run(editor, 'sku,name\nA,Hemp oil\nB,"Hemp soap\nC,Hemp balm\n')
    assert page.status_code == 422
    assert "Row 3: a quotation mark opens there and is never closed" in page.text


def test_a_form_without_a_file_asks_for_one(editor):
    answer = editor.post("/imports/plan", {"format": "csv"}, headers=PAGE)
    assert answer.status_code == 422
    assert "Choose a file first." in answer.text
    assert '<option value="csv" selected>' in answer.text


def test_an_option_that_cannot_be_is_told_beside_its_field(editor):
    for options, field in (
        ({"format": "xls"}, "format"),
        ({"mapping": "/etc/passwd"}, "mapping"),
        ({"image_base": "https://shop.example/media/"}, "image_base"),
        ({"mapping": "plain", "image_base": "ftp://x"}, "image_base"),
    ):
        answer = send(editor, GOOD, **options)
        assert answer.status_code == 422, options
        assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text), options
        assert '<details class="how" open>' in answer.text


def test_an_encoding_that_was_guessed_is_said(editor):
    page = dry_run(editor, "sku,name\nA,Öl für Küche und Gemüt\n".encode("cp1252")).text
    assert "read as Windows-1252" in page


def test_a_file_that_is_too_large_is_said_so_and_does_not_arrive(editor, settings, monkeypatch):
    settings.UPLOAD_BYTES = 1 << 20
    monkeypatch.setattr(pages.uploads, "keep", lambda *_, **__: pytest.fail("it arrived"))
    answer = send(editor, b"x" * ((1 << 20) + 1), format="csv")
    assert answer.status_code == 413
    assert "The file is larger than 1 MB" in words(answer.text)
    assert '<option value="csv" selected>' in answer.text


def test_a_files_name_is_shown_as_text_and_leads_nowhere(editor):
    page = dry_run(editor, GOOD, "..\\..\\<img src=x onerror=alert(1)>.csv").text
    assert "&lt;img src=x onerror=alert(1)&gt;.csv" in page
    assert breaches(page) == []


def test_words_from_the_file_are_shown_as_text(editor):
    page = dry_run(editor, 'sku,name,price\n"<script>a()</script>",Oil,"<img src=x onerror=b()>"\n').text
    assert breaches(page) == []
    assert "<script>a()" not in page


def test_many_problems_are_shown_a_page_at_a_time_and_can_be_narrowed(editor):
    rows = "".join(f"P{n},Hemp {n},none\n" for n in range(150)) + ",Nameless,1\n" * 1_200
    file = sealed(send(editor, "sku,name,price\n" + rows))
    first = editor.get("/imports/plan", {"file": file}).text
    assert first.count('data-fate="') == 100
    assert "1 to 100 of 1,000" in first
    assert "350 more are not listed" in first
    second = editor.get("/imports/plan", {"file": file, "page": "2"}).text
    assert second.count('data-fate="imported"') == 50
    assert second.count('data-fate="rejected"') == 50
    rejected = editor.get("/imports/plan", {"file": file, "show": "rejected", "page": "99"}).text
    assert "801 to 850 of 850" in rejected
    assert 'data-fate="imported"' not in rejected
    assert editor.get("/imports/plan", {"file": file, "page": "-1"}).status_code == 200


# -- applying ------------------------------------------------------------------------------------------


def test_applying_does_what_was_foreseen_and_leads_to_its_record(editor):
    file = sealed(send(editor, MIXED))
    answer = editor.post("/imports/apply", {"file": file}, headers=PAGE)
    assert answer.status_code == 303
    page = editor.get(answer.headers["Location"], headers=PAGE).text
    assert "3 products imported" in page
    assert 'href="/products"' in page
    assert figures(page) == ["3", "0", "0", "1"]
    assert "Imported without it" in page
    assert set(Product.objects.values_list("sku", flat=True)) == {"A", "B", "C"}
    assert AuditEntry.objects.filter(action="import catalogue", actor_name="ed").count() == 1
    assert Event.objects.filter(topic="catalogue", kind="imported").count() == 1
    history = editor.get("/imports").text
    assert history.count('id="import-') == 1
    assert "products.csv" in history


def test_a_double_click_and_a_form_sent_again_import_once(editor):
    file = sealed(send(editor, GOOD))
    places = {editor.post("/imports/apply", {"file": file}).headers["Location"] for _ in range(3)}
    assert len(places) == 1
    assert ImportRecord.objects.count() == 1
    assert Event.objects.filter(topic="catalogue").count() == 1
    page = editor.get("/imports/plan", {"file": file}).text
    assert "This file was imported already" in page


def test_the_true_figures_are_told_when_the_catalogue_changed_meanwhile(editor):
    mine, theirs = sealed(send(editor, GOOD)), sealed(send(editor, "sku,name\nA,Something else\n"))
    editor.post("/imports/apply", {"file": theirs})
    place = editor.post("/imports/apply", {"file": mine}).headers["Location"]
    assert figures(editor.get(place).text) == ["1", "1", "0", "0"]


def test_another_web_process_goes_on_with_it(editor):
    file = sealed(send(editor, GOOD))
    look._opened.cache_clear()
    other = Client()
    other.cookies = editor.cookies
    assert other.post("/imports/apply", {"file": file}).status_code == 303
    assert Product.objects.count() == 2


def test_a_dry_run_is_its_persons_own_and_cannot_be_made_up(editor):
    file = sealed(send(editor, GOOD))
    other = Client()
    other.force_login(story.person("editor", "eve"))
    for asking, sent in ((other, file), (editor, file[:-2] + "xx"), (editor, ""), (editor, "a:b:c")):
        answer = asking.post("/imports/apply", {"file": sent}, headers=PAGE, follow=True)
        assert "Send the file" in answer.text, sent
    assert "somebody else" in other.get("/imports/plan", {"file": file}).text
    assert not Product.objects.exists()


def test_a_dry_run_of_yesterday_is_asked_for_again(editor, monkeypatch):
    made = signing.time.time()
    file = sealed(send(editor, GOOD))
    monkeypatch.setattr(signing.time, "time", lambda: made + 24 * 3600 + 60)
    answer = editor.get("/imports/plan", {"file": file})
    assert answer.status_code == 422
    assert "older than a day" in answer.text


def test_who_may_only_read_sees_the_history_and_no_form(editor):
    place = editor.post("/imports/apply", {"file": sealed(send(editor, MIXED))}).headers["Location"]
    viewer = Client()
    viewer.force_login(story.person("viewer"))
    page = viewer.get("/imports").text
    assert "products.csv" in page
    assert 'type="file"' not in page
    assert "Nameless" not in viewer.get(place).text
    assert "Rejected" in viewer.get(place).text
    assert send(viewer, GOOD).status_code == 403


def test_an_import_that_is_not_there_is_said_so(editor):
    assert editor.get(f"/imports/{uuid4()}", headers=PAGE).status_code == 404


# -- the history ---------------------------------------------------------------------------------------


def test_the_history_goes_back_a_page_at_a_time(editor):
    for number in range(28):
        editor.post("/imports/apply", {"file": sealed(send(editor, f"sku,name\nA,Name {number}\n"))})
    first = editor.get("/imports").text
    assert first.count('id="import-') == 25
    assert 'id="imports" data-keeps="25"' in first
    older = re.search(r'href="(/imports\?before=[^"]+)"', first)
    assert older is not None
    second = editor.get(older[1]).text
    assert second.count('id="import-') == 3
    assert 'id="imports"' not in second, "what happens now does not belong to an older page"
    assert editor.get("/imports?before=nonsense").status_code == 200


def test_the_pages_ask_a_fixed_number_of_questions(editor):
    place = editor.post("/imports/apply", {"file": sealed(send(editor, MIXED))}).headers["Location"]
    for number in range(9):
        editor.post("/imports/apply", {"file": sealed(send(editor, f"sku,name\nA,Name {number}\n"))})
    for url in ("/imports", place):
        with CaptureQueriesContext(connection) as captured:
            assert editor.get(url).status_code == 200
        assert len(captured) <= 12, url


def test_an_import_is_pushed_to_open_pages(editor):
    place = editor.post("/imports/apply", {"file": sealed(send(editor, GOOD))}).headers["Location"]
    record = UUID(place.rpartition("/")[2])
    happened = [pages.Happening("catalogue", "imported", str(record), id=1)]
    audience = Audience(("imports",), "viewer", "en")
    frame = make_frames([audience], happened, 1, replay=True)[audience].decode()
    assert f'hx-target="#import-{record}"' in frame
    assert 'data-list="imports"' in frame


# -- what never reaches the disk -----------------------------------------------------------------------


def received(settings: object, *parts: int) -> tuple[list[int], dict[str, object]]:
    """How many bytes of each part are handed on, and what is noted of the request."""
    settings.UPLOAD_BYTES = 1 << 20
    waiting = iter(parts)
    scope: dict[str, object] = {}

    async def receive() -> dict[str, object]:
        size = next(waiting, None)
        if size is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"x" * size, "more_body": True}

    async def all_of_it() -> list[int]:
        limited = up_to_limit(scope, receive)
        handed = []
        while (message := await limited())["type"] == "http.request":
            handed.append(len(message["body"]))
        return handed

    return async_to_sync(all_of_it)(), scope


def test_a_request_without_end_fills_no_disk(settings):
    handed, scope = received(settings, *[700_000] * 5)
    assert handed == [700_000, 700_000, 0, 0, 0]
    assert scope == {"packshot.cut": True}


def test_a_request_within_the_limit_is_handed_on_untouched(settings):
    handed, scope = received(settings, 700_000, 0, 700_000)
    assert handed == [700_000, 0, 700_000]
    assert scope == {}
