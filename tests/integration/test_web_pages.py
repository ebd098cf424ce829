"""The pages themselves: what they say, what they refuse, and what goes along with every answer."""

import gzip
import re
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest
from django.core.exceptions import DisallowedHost
from django.db import connection
from django.template import engines
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from packshot.accounts.models import User
from packshot.catalogue.models import Image, Product
from packshot.web import words
from packshot.web.assets import assets, static
from packshot.web.security import CONTENT_SECURITY_POLICY
from tests import build
from tests.browser import story
from tests.integration.test_rights import ADDRESSES, FETCH, PAGE, address, routes
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(story.person())
    return client


def sign_in(client: Client, name: str, password: str, *, then: str = "") -> object:
    return client.post(
        reverse("account_login") + (f"?next={then}" if then else ""),
        {"login": name, "password": password, "next": then},
        headers=PAGE,
    )


# -- headers -------------------------------------------------------------------------------------


def test_every_answer_carries_the_same_guards(admin, client):
    answers = [
        who.get(address(route), headers=headers)
        for route in routes()
        for who in (client, admin)
        for headers in (PAGE, FETCH)
    ]
    answers += [
        admin.get("/nowhere", headers=PAGE),
        client.get("/nowhere", headers=PAGE),
        admin.delete(reverse("overview"), headers=PAGE),
        client.get("/", headers=PAGE, SERVER_NAME="evil.example"),
        Client(enforce_csrf_checks=True).post(reverse("account_login"), headers=PAGE),
        admin.get(reverse("events") + "?topics=figures"),
    ]
    assert {answer.status_code for answer in answers} >= {200, 302, 400, 401, 403, 404, 405}
    parts = [each for each in answers if is_part(each)]
    assert parts
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "Server" not in answer.headers
        if answer in parts:
            assert not OF_DOCUMENTS & set(answer.headers)
            continue
        policy = answer.headers["Content-Security-Policy"]
        assert policy.removesuffix("; sandbox") == CONTENT_SECURITY_POLICY
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "camera=()" in answer.headers["Permissions-Policy"]


@pytest.mark.parametrize(
    ("name", "whole"),
    [("packshot.js", False), ("packshot.css", False), ("fonts/geist.woff2", False), ("icon.svg", True)],
)
def test_only_what_can_be_a_document_carries_what_documents_heed(client, name, whole):
    answer = client.get(static(name))
    assert answer.status_code == 200
    assert is_part(answer) is not whole
    assert (set(answer.headers) >= OF_DOCUMENTS) is whole


OF_DOCUMENTS = {"Content-Security-Policy", "Permissions-Policy", "X-Frame-Options"}


def is_part(answer) -> bool:
    """Whether it is a script, a style or a font, which runs nowhere as a document."""
    return answer.headers.get("Content-Type", "").startswith(("text/javascript", "text/css", "font/"))


def test_the_policy_allows_our_own_files_and_nothing_else():
    assert CONTENT_SECURITY_POLICY == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'; manifest-src 'self'"
    )


def test_no_answer_breaks_the_policy_by_itself(admin, client, provider):
    story.refuse(build.sent(provider))
    for who in (client, admin):
        for url in [*(address(route) for route in routes()), "/nowhere"]:
            answer = who.get(url, headers=PAGE)
            if answer.headers["Content-Type"].startswith("text/html"):
                assert breaches(answer.text) == [], url


def test_every_key_of_a_page_stands_in_its_list_of_keys(admin, provider):
    """Whoever asks with `?` is told all that a press would do here."""
    story.land(build.sent(provider))
    story.refuse(build.sent(provider))
    listed_somewhere = set()
    for url in [address(route) for route in routes()]:
        answer = admin.get(url, headers=PAGE)
        if not answer.headers["Content-Type"].startswith("text/html") or 'id="keys"' not in answer.text:
            continue
        page, _, rest = answer.text.partition('<dialog class="dialog" id="keys"')
        listed = {key.lower() for key in re.findall(r"<kbd>(.*?)</kbd>", rest.partition("</dialog>")[0])}
        works = set(re.findall(r'data-key="([^"{]+)"', page)) - {"escape"}
        # `1 to 5` names its ends.
        works -= {key for key in works if key.isdigit() and "to<kbd>" in rest}
        assert works <= listed, url
        listed_somewhere |= works
    assert len(listed_somewhere) >= 3


def test_what_is_private_is_not_kept_and_what_never_changes_is(admin, client, provider):
    assert "no-store" in admin.get(reverse("overview")).headers["Cache-Control"]
    assert "no-store" in client.get(reverse("account_login"), headers=PAGE).headers["Cache-Control"]
    assert "no-store" in client.get("/nowhere", headers=PAGE).headers["Cache-Control"]
    now = client.get(reverse("static", args=[assets().version, "packshot.css"]))
    assert now.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    before_the_upgrade = client.get(reverse("static", args=["0ld", "packshot.css"]))
    assert before_the_upgrade.headers["Cache-Control"] == "no-cache"
    assert before_the_upgrade.content == now.content


def test_a_strange_host_is_turned_away_without_a_look_at_the_session(client, admin):
    with pytest.raises(DisallowedHost):
        client.get("/", SERVER_NAME="evil.example").wsgi_request.get_host()
    admin.raise_request_exception = False
    answer = admin.get("/admin", headers=PAGE, SERVER_NAME="evil.example")
    assert answer.status_code == 400
    assert "This request cannot be understood" in answer.text


# -- signing in and out ------------------------------------------------------------------------


def test_the_front_door_leads_to_sign_in_and_from_there_to_the_page_that_was_asked_for(client):
    story.person()
    assert client.get("/", headers=PAGE).headers["Location"] == "/accounts/login/"
    door = client.get("/admin?x=1", headers=PAGE).headers["Location"]
    assert door == "/accounts/login/?next=%2Fadmin%3Fx%3D1"
    page = client.get(door, headers=PAGE)
    assert 'name="next" value="/admin?x=1"' in page.text
    assert (
        sign_in(client, "administrator", story.PASSWORD, then="/admin?x=1").headers["Location"]
        == "/admin?x=1"
    )
    assert client.get("/", headers=PAGE).headers["Location"] == "/admin"


def test_signing_in_leads_nowhere_outside(client):
    story.person()
    for outside in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"):
        answer = sign_in(Client(), "administrator", story.PASSWORD, then=outside)
        assert answer.headers["Location"] == "/admin", outside


def test_a_wrong_password_and_an_unknown_name_are_told_the_same(client):
    story.person()
    told = [
        re.search(r'role="alert">.*?</svg>(.*?)</p>', sign_in(client, name, "wrong").text, re.DOTALL)[1]
        for name in ("administrator", "nobody", "nobody@example.com")
    ]
    assert told[0].strip()
    assert len({text.replace("email address", "username") for text in told}) == 1
    assert client.get("/admin", headers=PAGE).status_code == 302


def test_ten_wrong_passwords_shut_the_account_for_a_while(client):
    story.person()
    for _ in range(10):
        sign_in(client, "administrator", "wrong")
    answer = sign_in(client, "administrator", story.PASSWORD)
    assert answer.status_code == 200
    assert "Too many" in answer.text


def test_somebody_shut_out_cannot_sign_in(client):
    user = story.person()
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert sign_in(client, "administrator", story.PASSWORD).headers["Location"] == "/accounts/inactive/"
    assert client.get("/admin", headers=PAGE).status_code == 302


def test_a_session_is_new_after_signing_in_and_dead_after_signing_out(client):
    story.person()
    client.get(reverse("account_login"), headers=PAGE)
    planted = client.session.session_key
    sign_in(client, "administrator", story.PASSWORD)
    key = client.session.session_key
    assert key != planted
    cookie = client.cookies["packshot"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert "Sign out" in client.get(reverse("account_logout"), headers=PAGE).text
    assert client.get("/admin", headers=PAGE).status_code == 200, "looking at the page signs nobody out"
    client.post(reverse("account_logout"), headers=PAGE)
    thief = Client()
    thief.cookies["packshot"] = key
    assert thief.get("/admin", headers=PAGE).status_code == 302


def test_a_changed_password_ends_every_other_session(client):
    user = story.person()
    other = Client()
    other.force_login(user)
    client.force_login(user)
    new = "a long way to the harbour"
    answer = client.post(
        reverse("account_change_password"),
        {"oldpassword": story.PASSWORD, "password1": new, "password2": new},
        headers=PAGE,
        follow=True,
    )
    assert "Password changed" in answer.text
    assert client.get("/admin", headers=PAGE).status_code == 200
    assert other.get("/admin", headers=PAGE).status_code == 302


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("wrong", "a long way to the harbour", "a long way to the harbour"), "current password"),
        ((story.PASSWORD, "short", "short"), "at least 12 characters"),
        ((story.PASSWORD, "password1234", "password1234"), "too common"),
        ((story.PASSWORD, "a long way to the harbour", "another way entirely"), "same password"),
    ],
)
def test_a_password_that_will_not_do_is_explained_beside_its_field(admin, given, said):
    answer = admin.post(
        reverse("account_change_password"),
        dict(zip(("oldpassword", "password1", "password2"), given, strict=True)),
        headers=PAGE,
    )
    assert answer.status_code == 200
    assert 'aria-invalid="true"' in answer.text
    assert said in answer.text
    assert f'value="{given[1]}"' not in answer.text


def test_every_page_of_others_is_drawn_by_our_own_templates(admin, client):
    assert [engine.name for engine in engines.all()] == ["jinja2"]
    headlines = {
        "account_login": (client, "Sign in"),
        "account_inactive": (client, "This account is closed"),
        "account_logout": (admin, "Sign out"),
        "account_change_password": (admin, "Change password"),
        "account_reauthenticate": (admin, "Confirm it is you"),
    }
    assert headlines.keys() == {name for name in ADDRESSES if name.startswith("account_")}
    for name, (who, headline) in headlines.items():
        page = who.get(reverse(name), headers=PAGE)
        assert page.status_code == 200
        assert f"<h1>{headline}</h1>" in page.text
        assert 'class="brand"' in page.text


@pytest.mark.parametrize(
    "address",
    [
        "signup",
        "email",
        "confirm-email",
        "password/reset",
        "password/set",
        "login/code/confirm",
        "",
    ],
)
def test_what_allauth_has_beside_these_is_not_there(admin, client, address):
    for who in (admin, client):
        assert who.get(f"/accounts/{address}/".replace("//", "/"), headers=PAGE).status_code == 404


# -- the Overview ----------------------------------------------------------------------------------


def test_a_new_site_says_how_to_begin(admin):
    page = admin.get("/admin").text
    assert "Bring in your products" in page
    assert f'<a class="button primary" href="{reverse("imports")}">Import products</a>' in page
    assert 'id="charts"' not in page
    build.product()
    page = admin.get("/admin").text
    assert "Your products are here" in page
    assert (
        f'<a class="button primary" href="{reverse("products")}?state=no-image">Choose products</a>' in page
    )


def test_the_overview_shows_what_is_asked_what_runs_what_landed_and_what_failed(admin, provider):
    me = build.process().id
    story.ask(provider, 4)
    first, second, _ = story.begin(provider, me, most=3)
    image = story.land(first)
    story.refuse(second, "the prompt names <script>alert(1)</script>")
    page = admin.get("/admin").text
    assert "1 <small>pending</small>" in page
    assert "<span>1 processing</span>" in page
    assert "<span>1 completed</span><span>1 failed</span>" in page
    assert "content refused" in page
    assert "<script>alert(1)" not in page
    assert f'id="image-{image.id}"' in page
    assert f'href="{reverse("product", args=[image.product.sku])}"' in page
    assert "1 image is being made right now" in page
    assert "50.0%" in page
    assert "<th>" not in page
    table = re.search(r'<details class="chart-table" id="cost-table">.*?</details>', page, re.DOTALL)[0]
    assert '<th scope="col">OpenAI</th>' in table
    assert re.search(r"so far</th><td>\$0\.04</td></tr></tbody>", table)
    table = re.search(r'<details class="chart-table" id="made-table">.*?</details>', page, re.DOTALL)[0]
    assert table.count("<tr>") == 1 + 24
    assert re.search(r"so far</th><td>1</td></tr></tbody>", table)


def test_simulated_work_is_named_so_on_the_page_and_on_each_image(admin, provider, settings):
    settings.SIMULATOR = "on"
    me = build.process().id
    story.ask(provider, 1)
    story.land(story.begin(provider, me)[0], cost="0.04")
    page = admin.get("/admin").text
    assert "Simulated money" in page
    assert '<span class="simulated">Simulated</span>' in page
    assert re.search(r"Today</dt><dd class=\"big\">\$0\.04<", page)
    settings.SIMULATOR = "off"
    page = admin.get("/admin").text
    assert "Simulated money" not in page
    assert re.search(r"Today</dt><dd class=\"big\">\$0\.00<", page), "real money was not spent"
    assert '<span class="simulated">Simulated</span>' in page, "the image stays what it is"


def test_what_products_are_called_is_shown_as_text_everywhere(admin, provider):
    nasty = '<img src=x onerror=alert(1)>"\'><hx-partial hx-target="#figures">{{ 7*7 }}'
    me = build.process().id
    story.ask(provider, 1)
    Product.objects.update(name=nasty, sku='"><b>sku')
    story.land(story.begin(provider, me)[0])
    page = admin.get("/admin").text
    assert breaches(page) == []
    assert "<img src=x" not in page
    assert "<hx-partial" not in page
    assert "49" not in re.findall(r"hx-target=&#34;#figures&#34;&gt;(.{0,12})", page)[0]


def test_the_overview_asks_a_fixed_number_of_questions(admin, provider):
    me = build.process().id

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin.get("/admin").status_code == 200
        return len(captured)

    story.ask(provider, 2)
    story.land(story.begin(provider, me)[0])
    few = queries()
    story.ask(provider, 30)
    for number, claim in enumerate(story.begin(provider, me, most=20)):
        story.land(claim, number=number)
    assert queries() == few <= 12


def test_the_theme_of_this_browser_is_painted_from_the_first_frame(admin):
    assert "data-theme" not in admin.get("/admin").text.partition(">")[2].partition(">")[0]
    admin.cookies["theme"] = "dark"
    assert '<html lang="en" data-theme="dark">' in admin.get("/admin").text
    admin.cookies["theme"] = '"><script>'
    assert '<html lang="en">' in admin.get("/admin").text


def test_head_is_answered_as_get_without_a_body(admin):
    answer = admin.head("/admin")
    assert answer.status_code == 200
    assert answer.content == b""


# -- pictures ----------------------------------------------------------------------------------------


@pytest.fixture
def image(provider) -> Image:
    story.ask(provider, 1)
    return story.land(story.begin(provider, build.process().id)[0], look=False)


def test_a_rendition_is_served_for_ever_as_what_it_is(admin, image):
    blob = story.make_thumbnail(image)
    answer = admin.get(f"/media/{blob}.webp")
    assert answer.status_code == 200
    assert answer.content[:4] == b"RIFF"
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert answer.headers["Content-Disposition"] == "inline"
    assert answer.headers["Content-Security-Policy"].endswith("; sandbox")
    again = admin.get(f"/media/{blob}.webp", headers={"if-none-match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_what_the_provider_sent_is_never_served_as_it_came(admin, image):
    for extension in ("png", "webp", "jpeg", "avif"):
        assert admin.get(f"/media/{image.blob}.{extension}").status_code == 404


def test_a_picture_is_served_under_its_own_kind_only(admin, image):
    blob = story.make_thumbnail(image)
    for wrong in ("png", "svg", "html", "WEBP"):
        assert admin.get(f"/media/{blob}.{wrong}").status_code == 404
    for wrong in ("0" * 64, blob.upper(), blob[:-1], "../" * 8):
        assert admin.get(f"/media/{wrong}.webp").status_code == 404


def test_pictures_are_for_people_who_are_signed_in(client, image):
    blob = story.make_thumbnail(image)
    assert client.get(f"/media/{blob}.webp", headers=FETCH).status_code == 401
    assert (
        client.get(f"/media/{blob}.webp", headers=FETCH | {"if-none-match": f'"{blob}"'}).status_code == 401
    )


# -- small things ------------------------------------------------------------------------------------


def test_healthz_says_whether_the_database_answers_and_nothing_else(client):
    assert client.get("/healthz").text == "ok\n"


def test_a_file_that_is_not_ours_cannot_be_had(client):
    for path in ("../settings.py", "..%2f..%2fsettings.py", "vendor/VENDOR.md", "nothing.css", "fonts/"):
        assert client.get(f"/static/{assets().version}/{path}").status_code == 404


def test_a_file_travels_zipped_to_browsers_that_can(client):
    url = reverse("static", args=[assets().version, "packshot.css"])
    brotli = client.get(url, headers={"accept-encoding": "gzip, br"})
    zipped = client.get(url, headers={"accept-encoding": "gzip"})
    plain = client.get(url)
    assert brotli.headers["Content-Encoding"] == "br"
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert brotli.headers["Vary"] == zipped.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert len(brotli.content) < len(zipped.content) < len(plain.content) / 3


def test_a_page_travels_zipped_and_its_length_keeps_its_secrets(admin, client, provider):
    def page() -> object:
        return admin.get("/admin", headers=PAGE | {"accept-encoding": "gzip, br"})

    zipped, plain = page(), admin.get("/admin", headers=PAGE)
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in zipped.headers["Vary"] and "Accept-Encoding" in plain.headers["Vary"]
    assert int(zipped.headers["Content-Length"]) == len(zipped.content) < len(plain.content) / 2
    assert "<h1" in gzip.decompress(zipped.content).decode()
    assert len({len(page().content) for _ in range(12)}) > 3
    stream = admin.get(reverse("events") + "?topics=figures", headers={"accept-encoding": "gzip"})
    assert "Content-Encoding" not in stream.headers


@pytest.mark.parametrize(
    ("dollars", "total", "single"),
    [
        ("41.8249", "$41.82", "$41.825"),
        ("1104.75", "$1,104.75", "$1,104.750"),
        ("0.063", "$0.06", "$0.063"),
        ("0", "$0.00", "$0.000"),
        ("0.000001", "$0.01", "$0.001"),
    ],
)
def test_money_reads_as_money_and_never_less_than_something(dollars, total, single):
    assert words.money(Decimal(dollars)) == total
    assert words.price(Decimal(dollars)) == single


@pytest.mark.parametrize(
    ("number", "more", "said"),
    [
        (0, False, "0 images"),
        (1, False, "1 image"),
        (3412, False, "3,412 images"),
        (1000, True, "1,000+ images"),
    ],
)
def test_how_many_of_something_reads_the_same_everywhere(number, more, said):
    assert words.many(number, "image", more=more) == said


def test_a_count_that_is_not_counted_to_its_end_says_so():
    assert [words.up_to(number, 999) for number in (0, 37, 999, 1000)] == ["0", "37", "999", "999+"]


def test_no_page_puts_a_noun_behind_its_number_by_itself():
    """`1 images` was said in one place while others said `1 image`."""
    by_itself = re.compile(r"""(["'])(image|product|generation|request)\1 if [^"']*== 1 else \1\2s\1""")
    pages = Path(str(files("packshot.web")))
    for file in [*pages.rglob("*.py"), *pages.rglob("*.html")]:
        assert not by_itself.search(file.read_text("utf-8")), file.name


def test_only_a_whole_reads_as_a_whole():
    assert words.percent(1) == "100.0%"
    assert words.percent(0.9996) == "99.9%"
    assert words.percent(0) == "0.0%"
    assert words.percent(0.964) == "96.4%"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.42, "0.4 s"), (6, "6.0 s"), (9.96, "10.0 s"), (42.4, "42 s"), (240, "4 min"), (7800, "2 h 10 min")],
)
def test_durations_read_as_people_say_them(seconds, said):
    assert words.duration(seconds) == said
