"""The Providers page: states in words, figures of a window, what an administrator decides, prices edited."""

import csv
import html
import io
import re
from datetime import date, timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from packshot import events, generations, ledger, preferences, reports
from packshot.accounts.models import AuditEntry
from packshot.flows import inspecting, prices
from packshot.flows.desk import Desk, quoting
from packshot.generations.models import Generation, ProviderRecord
from packshot.kernel.errors import REMEDIES, BadAnswer, Refused, TryLater
from packshot.kernel.money import micros
from packshot.ledger.models import PriceEdit
from packshot.providers.contract import Account, Inspection
from packshot.providers.openai import OpenAI
from packshot.reports import Delta
from packshot.reports import health as reads
from packshot.web import health
from packshot.web.live import Audience, make_frames
from packshot.web.pages import providers
from packshot.web.words import percent
from tests import build
from tests.browser import story
from tests.integration.test_rights import PAGE
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
LIST = "/admin/providers"


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(story.person("administrator", "ada"))
    return client


@pytest.fixture
def viewer() -> Client:
    client = Client()
    client.force_login(story.person("viewer", "vi"))
    return client


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def part(page: str, name: str) -> str:
    """The words of the element with this id."""
    begins = page.index(f'id="{name}"')
    tag = re.search(r"<(\w+)[^<]*$", page[:begins])[1]
    depth = 0
    for found in re.finditer(rf"<(/?){tag}\b", page[page.rindex("<", 0, begins) :]):
        depth += -1 if found[1] else 1
        if depth == 0:
            start = page.rindex("<", 0, begins)
            return words(page[start : start + found.start()])
    raise AssertionError(f"#{name} never ends")


def do(client: Client, name: str, what: str, *, htmx: bool = False, **more: str) -> object:
    return client.post(f"{LIST}/{name}/change", {"do": what} | more, headers=HTMX if htmx else PAGE)


def stands(name: str, **columns: object) -> None:
    ProviderRecord.objects.filter(pk=name).update(**columns)


def did(
    name: str = "openai", model: str = "gpt-image-2", *, hours_ago: float = 0.1, **figures: object
) -> None:
    at = timezone.now() - timedelta(hours=hours_ago)
    reports.add([Delta(at, name, model, True, **figures)], slot=0)


# -- states --------------------------------------------------------------------------------------------


SOON = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("columns", "word", "said"),
    [
        ({}, "Healthy", ""),
        ({"wait_until": SOON}, "Waiting", "It asked to wait. Again at .* Nothing to do."),
        (
            {"busy_in_row": 4},
            "Testing",
            "It failed 4 times in a row. One request at a time tests it. Nothing to do.",
        ),
        (
            {"busy_in_row": 3, "wait_until": SOON},
            "Stopped",
            "It failed 3 times in a row. Again at .* What is queued waits.",
        ),
        ({"draining": True}, "Draining", "It takes no new requests. Everything queued is made. Resume it"),
        (
            {"paused_at": timedelta(0), "paused_kind": "person", "paused_message": "paused by bo"},
            "Paused",
            "Paused by bo. What is queued waits until somebody resumes it.",
        ),
        (
            {"paused_at": timedelta(0), "paused_kind": "bad_key", "paused_message": "no such key"},
            "Paused",
            f"No such key. {re.escape(REMEDIES['bad_key'])}",
        ),
        (
            {"simulated": False, "switched_on": False},
            "Off",
            "It may not spend real money. Switch it on with a spending limit.",
        ),
        (
            {"available": False, "simulated": False},
            "Unavailable",
            "It cannot be asked here. Set OPENAI_API_KEY in the environment and restart.",
        ),
    ],
)
@pytest.mark.parametrize("address", [LIST, f"{LIST}/openai"])
def test_how_a_provider_stands_is_said_with_what_to_do(admin, address, columns, word, said):
    build.provider_row("openai")
    now = timezone.now()
    stands("openai", **{k: now + v if isinstance(v, timedelta) else v for k, v in columns.items()})
    page = admin.get(address).text
    assert part(page, "state-openai") == word
    assert re.search(said, part(page, "now-openai"))
    assert breaches(page) == []


def test_simulated_work_says_so_and_real_work_does_not(admin):
    build.provider_row("openai")
    build.provider_row("flux", simulated=False)
    page = admin.get(LIST).text
    assert "simulated" in part(page, "line-openai")
    assert "simulated" not in part(page, "line-flux")
    assert "Simulated money" in words(admin.get(f"{LIST}/openai").text)
    assert "Money Real" in words(admin.get(f"{LIST}/flux").text)


def test_a_new_site_is_told_what_to_start(admin):
    page = words(admin.get(LIST).text)
    assert "No provider is known yet" in page
    assert "packshot up" in page


def test_a_provider_that_is_not_there_has_no_page(admin):
    assert admin.get(f"{LIST}/nobody").status_code == 404


def test_a_provider_whose_adapter_is_gone_keeps_its_page_and_figures(admin):
    build.provider_row("acme")
    did("acme", "anvil-1", completed=3, images=3, duration_s=2.0)
    page = words(admin.get(f"{LIST}/acme").text)
    assert "Its adapter is not installed any more" not in part(admin.get(f"{LIST}/acme").text, "models")
    assert "anvil-1" in part(admin.get(f"{LIST}/acme").text, "models")
    assert "100.0%" in page
    assert breaches(admin.get(LIST).text) == []


# -- figures -------------------------------------------------------------------------------------------


def test_success_comes_with_its_interval_and_how_many_it_was_counted_from(admin):
    build.provider_row("openai")
    did(completed=18, failed=2)
    page = admin.get(LIST).text
    low, high = map(percent, reads.wilson(18, 20))
    assert f"90.0% {low} to {high}, 20" in part(page, "line-openai")
    assert f"24 hours, n 20 {low} to {high}" in part(page, "provider-openai")


def test_where_all_or_none_succeeded_the_interval_ends_there():
    for of in range(1, 200):
        assert reads.wilson(of, of)[1] == 1.0
        assert reads.wilson(0, of)[0] == 0.0


def test_the_interval_is_the_one_of_the_views():
    build.provider_row("openai")
    for completed, failed in ((1, 0), (3, 1), (0, 5), (997, 3)):
        did(completed=completed, failed=failed)
        (row,) = reports.providers()
        low, high = reads.wilson(row.success_count, row.success_count + row.failed_count)
        assert (low, high) == pytest.approx((row.success_rate_low, row.success_rate_high))


def test_each_model_has_its_own_figures_under_its_provider(admin):
    build.provider_row("openai")
    for _ in range(9):
        did(completed=1, images=1, amount_micros=60_000, duration_s=11.0)
    did(model="gpt-image-2.6-flare", completed=1, images=1, amount_micros=120_000, duration_s=40.0)
    page = words(admin.get(LIST).text)
    assert re.search(r"Openai simulated 10 100.0% .*? \$0.066", page)
    assert re.search(r"GPT Image 2 9 100.0% .*? \$0.060", page)
    assert re.search(r"GPT Image 2.6 Flare 1 100.0% .*? \$0.120", page)
    (window,) = [reads.window(days=1).work["openai"]]
    assert window.models["gpt-image-2"].p50_s == pytest.approx(11.0, rel=0.4)
    assert window.models["gpt-image-2.6-flare"].p95_s == pytest.approx(40.0, rel=0.4)
    assert window.whole.p95_s > window.whole.p50_s


@pytest.mark.parametrize(("days", "counted"), [(1, 1), (7, 3), (30, 7)])
def test_a_window_holds_what_happened_in_it_and_nothing_else(admin, days, counted):
    build.provider_row("openai")
    did(completed=1)
    did(hours_ago=3 * 24, completed=2)
    did(hours_ago=20 * 24, completed=4)
    did(hours_ago=40 * 24, completed=8)
    found = reads.window(days=days)
    assert found.work["openai"].whole.completed == counted
    assert len(found.spans) == (24 if days == 1 else days)
    assert len(found.work["openai"].rates) == len(found.spans)
    page = words(admin.get(f"{LIST}?days={days}").text)
    assert providers.WINDOWS[days] in page
    assert admin.get(f"{LIST}?days=nonsense").status_code == 200


def test_simulated_and_real_figures_never_mix():
    build.provider_row("openai", simulated=False)
    did(completed=5)
    assert reads.window(days=1).work == {}
    at = timezone.now() - timedelta(minutes=5)
    reports.add([Delta(at, "openai", "gpt-image-2", False, completed=1, amount_micros=7)], slot=0)
    assert reads.window(days=1).work["openai"].whole.completed == 1
    assert reads.use()["openai"].today_micros in (7, 0), "yesterday's, just after midnight"


def test_the_best_of_each_figure_is_marked_where_there_is_enough_to_compare(admin):
    for name in ("openai", "flux", "sandbox"):
        build.provider_row(name)
    for _ in range(25):
        did("openai", completed=1, images=1, amount_micros=60_000, duration_s=11.0)
        did("flux", "flux-2-pro", completed=1, images=1, amount_micros=40_000, duration_s=9.0)
    did("flux", "flux-2-pro", failed=2)
    did("sandbox", "studio", completed=1, images=1, duration_s=0.1)

    def best() -> dict[str, frozenset[str]]:
        lines = health.lines_of(reports.providers(), reads.window(days=1).work, {}, [])
        return {line.row.name: line.best for line in lines if not line.model}

    # 25 of 25 and 25 of 27 may well be equally good: nobody is first.
    assert best() == {"openai": set(), "flux": {"median", "cost"}, "sandbox": set()}
    did("flux", "flux-2-pro", failed=13)
    assert best() == {"openai": {"success"}, "flux": {"median", "cost"}, "sandbox": set()}
    assert admin.get(LIST).text.count('class="best"') == 3


def test_what_was_approved_is_counted_and_carries_the_whole_cost(admin):
    build.provider_row("openai")
    did("openai", completed=4, images=4, amount_micros=200_000, approved=2)
    page = words(admin.get(LIST).text)
    assert "2 , $0.100 each" in page or "2, $0.100 each" in page
    (line, _) = csv.DictReader(io.StringIO(admin.get(f"{LIST}.csv").text))
    assert (line["approved"], line["dollars_each_approved"]) == ("2", "0.1")


def test_a_class_of_errors_leads_to_what_failed_so(admin):
    build.provider_row("openai")
    build.budget("100")
    failing(Refused("no", kind="refused"))
    page = admin.get(f"{LIST}/openai").text
    link = html.unescape(re.search(r'href="(/admin/queue\?[^"]*error=refused)"', page)[1])
    assert "provider=openai" in link
    rows = admin.get(link, headers=PAGE).text
    assert len(re.findall(r"<tr [^>]*data-row", rows)) == 1


# -- what went wrong -----------------------------------------------------------------------------------


def failing(*errors: Exception, name: str = "openai") -> None:
    provider = build.StandIn(name)
    for error in errors:
        claim = build.sent(provider)
        build.end(build.failed(claim, error))
        stands(name, wait_until=None, busy_in_row=0)


def test_errors_are_counted_by_class_with_the_remedy(admin):
    build.provider_row("openai")
    failing(
        Refused("a brand", kind="refused"),
        Refused("a brand", kind="refused"),
        TryLater("slow down", after_s=0, kind="rate_limited"),
        BadAnswer("500", kind="server_error", charge="free"),
    )
    counted = reads.troubles(reads.window(days=1).spans)["openai"]
    assert {kind: sum(calls) for kind, calls in counted.items()} == {
        "refused": 2,
        "rate_limited": 1,
        "server_error": 1,
    }
    assert next(iter(counted)) == "refused", "the most frequent first"
    page = admin.get(LIST).text
    for said in ("Content refused 2", "Rate limit 1", "Provider error 1", REMEDIES["refused"]):
        assert said in part(page, "errors")
    assert 'aria-label="Openai: refused 2, rate limit 1, provider fault 1"' in page
    mine = admin.get(f"{LIST}/openai").text
    assert "4 failed calls in 24 hours" in mine
    assert REMEDIES["rate_limited"] in words(mine)


def test_failed_calls_of_all_providers_stand_over_time_too(admin):
    for name in ("openai", "flux"):
        build.provider_row(name)
    failing(Refused("a brand", kind="refused"), Refused("a brand", kind="refused"))
    failing(BadAnswer("500", kind="server_error", charge="free"), name="flux")
    said = part(admin.get(LIST).text, "errors")
    assert "Failed calls by kind" in said
    page = admin.get(LIST).text
    assert 'aria-label="3 failed calls in 24 hours, most of them' in page
    assert health.together([{"refused": (1, 0)}, {"refused": (2, 5), "bug": (0, 1)}]) == {
        "refused": [3, 5],
        "bug": [0, 1],
    }


def test_a_retired_model_keeps_its_line_greyed_and_named_so(admin):
    build.provider_row("openai")
    did(completed=3, images=3, amount_micros=120_000, duration_s=4.0)
    did(model="dall-e-3", completed=2, images=2, amount_micros=80_000, duration_s=9.0)
    did(model="never-heard-of", completed=1, images=1, amount_micros=40_000, duration_s=9.0)
    rows = re.findall(r'<tr class="part( gone)?(?: last)?">(.*?)</tr>', admin.get(LIST).text, re.DOTALL)
    assert [(bool(gone), ", retired" in words(row)) for gone, row in rows] == [
        (False, False),
        (True, True),
        (True, True),
    ]


def test_cost_and_speed_say_how_many_were_approved(admin):
    build.provider_row("openai")
    did(completed=3, images=3, amount_micros=120_000, duration_s=4.0, approved=2)
    page = admin.get(LIST).text
    assert "Approved  2 of 3 images" in html.unescape(page)
    table = page[page.index('id="plot-table"') :]
    assert re.search(r'<th scope="col">Approved</th>.*?<td>2 of 3 images</td>', table, re.DOTALL)


def test_every_class_of_error_has_a_group_and_a_remedy():
    kinds = [kind for _, kinds in health.GROUPS.values() for kind in kinds]
    assert sorted(kinds) == sorted(REMEDIES)
    assert health.group_of("something of a stranger's adapter") == "Other"


def test_without_an_error_it_says_so(admin):
    build.provider_row("openai")
    assert "No call failed" in part(admin.get(LIST).text, "errors")
    assert "No call failed in 24 hours" in words(admin.get(f"{LIST}/openai").text)


# -- in use --------------------------------------------------------------------------------------------


def test_current_use_stands_beside_the_limits(admin):
    build.provider_row("openai", in_flight=8, per_minute=600)
    provider = build.StandIn()
    process = build.process().id
    for _ in range(3):
        build.sent(provider, process_id=process)
        stands("openai", tokens=5)
    build.end(build.delivered(build.sent(provider, process_id=process)))
    build.asked(provider, 2)
    found = reads.use()["openai"]
    assert (found.in_flight, found.last_minute, found.today_micros) == (3, 4, 40_000)
    said = part(admin.get(LIST).text, "now-openai")
    assert "At once 3 of 8" in said
    assert "Per minute 4 of 600" in said
    assert "2 waiting $0.04 today, simulated" in said
    assert f'href="{reverse("queue")}?status=pending&amp;provider=openai"' in admin.get(LIST).text
    build.provider_row("flux")
    assert reads.use()["flux"].last_minute is None, "nothing to hold it against"
    assert "no limit" in part(admin.get(LIST).text, "now-flux")


def test_the_stream_shows_what_moves_to_each_role_as_the_page_does(admin, viewer):
    build.provider_row("openai")
    before = events.newest_id()
    do(admin, "openai", "pause")
    happened = events.since(before)
    frames = make_frames(
        [Audience(("providers-now",), role, "en") for role in ("administrator", "viewer")],
        happened,
        happened[-1].id,
        replay=True,
    )
    mine, theirs = (frame.decode() for frame in frames.values())
    for frame in (mine, theirs):
        assert 'hx-target="#state-openai"' in frame
        assert 'hx-target="#cell-openai"' in frame
        assert "Paused" in frame
        assert "Paused by ada." in words(frame.replace("data: ", ""))
        assert "csrf" not in frame
    assert 'aria-checked="false"' in mine
    assert 'role="switch"' not in theirs
    assert providers._moved([events.Happening("image", "ready", "x")]) is None


# -- what is charged beside what was expected ------------------------------------------------------------


def charged(*costs: str, name: str = "openai", expected: str = "0.04") -> list[Generation]:
    provider = build.StandIn(name, price="1", expected=expected)
    process, made = build.process().id, []
    for cost in costs:
        claim = build.sent(provider, process_id=process)
        build.end(build.delivered(claim, cost=None if cost == "unknown" else cost))
        made.append(Generation.objects.get(pk=claim.generation.id))
    return made


def test_charges_that_are_off_by_more_than_a_tenth_are_counted_by_model(admin):
    build.provider_row("openai")
    charged("0.04", "0.044", "0.0441", "0.036", "0.0359", "unknown")
    (found,) = reads.billed()
    assert (found.provider, found.model) == ("openai", "stand-in")
    assert (found.compared, found.off) == (5, 2), "exactly a tenth is not more than a tenth"
    assert found.ratio == pytest.approx((0.04 + 0.044 + 0.0441 + 0.036 + 0.0359) / 5 / 0.04)
    assert "2 of 5" in part(admin.get(LIST).text, "line-openai")
    page = words(admin.get(f"{LIST}/openai").text)
    assert "2 of 5 charges differ from the estimate by more than 10%" in page
    assert "1.00 times the estimate" in page


def test_what_was_to_be_free_and_was_charged_is_off():
    build.provider_row("openai")
    charged("0.02", expected="0")
    (found,) = reads.billed()
    assert (found.compared, found.off, found.ratio) == (1, 1, None)


def test_the_comparison_is_of_the_last_seven_days():
    build.provider_row("openai")
    charged("0.08")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('packshot.now', %s, true)", [str(timezone.now() + timedelta(days=6))]
        )
        assert reads.billed()[0].off == 1
        cursor.execute(
            "SELECT set_config('packshot.now', %s, true)", [str(timezone.now() + timedelta(days=8))]
        )
        assert reads.billed() == []


def test_a_generation_that_cost_something_else_says_so_on_its_page(admin):
    build.provider_row("openai")
    fine, dear = charged("0.042", "0.06")
    assert "Off the estimate" not in words(admin.get(f"/admin/queue/{fine.id}").text)
    page = words(admin.get(f"/admin/queue/{dear.id}").text)
    assert "Charged $0.060 simulated Off the estimate 1.50 times" in page
    (gift,) = charged("0.02", expected="0")
    assert "Off the estimate not free" in words(admin.get(f"/admin/queue/{gift.id}").text)


# -- what it costs to read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", [LIST, f"{LIST}?days=30", f"{LIST}/openai", f"{LIST}/flux", f"{LIST}?by=category&days=30"]
)
def test_a_page_asks_the_same_few_questions_however_much_there_is(admin, address):
    for name in ("openai", "flux", "stability"):
        build.provider_row(name)
    stands("flux", simulated=False, switched_on=False)

    def questions() -> int:
        admin.get(address)
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(address).status_code == 200
        return len(captured)

    few = questions()
    charged("0.04", "0.08")
    failing(Refused("a brand", kind="refused"), name="stability")
    for hours in range(40):
        did(hours_ago=hours, completed=3, failed=1, images=3, amount_micros=5, duration_s=3.0)
        did(model=f"model-{hours}", hours_ago=hours, completed=1)
    prices.set_price("openai", "gpt-image-2", build.ADMIN, amount_micros=1, source="a contract")
    assert questions() == few <= 12


# -- what an administrator decides -----------------------------------------------------------------------


@pytest.fixture
def with_key(settings):
    settings.PROVIDER_KEYS = {"openai": "sk-very-secret-0123456789"}
    settings.SIMULATOR = "off"
    build.provider_row("openai", simulated=False, on=False)
    build.provider_row("flux", simulated=True, on=False)


@pytest.mark.usefixtures("with_key")
def test_a_key_is_said_to_be_there_and_never_shown(admin):
    page = admin.get(f"{LIST}/openai").text
    assert re.search(r"Set OPENAI_API_KEY Money Real", words(page))
    assert re.search(r"Not set FLUX_API_KEY", words(admin.get(f"{LIST}/flux").text))
    for part_of_it in ("sk-very", "secret", "0123456789", "6789"):
        assert part_of_it not in page + admin.get(LIST).text


@pytest.mark.usefixtures("with_key")
def test_real_money_needs_a_limit_and_is_switched_on_with_one(admin):
    for limit, said in (("", "needs a limit"), ("lots", "not an amount of dollars"), ("-1", "zero or more")):
        answer = do(admin, "openai", "on", limit=limit)
        assert answer.status_code == 422, limit
        assert said in words(answer.text)
    assert ledger.spending_limit() is None
    assert do(admin, "openai", "on", limit="$1,200.50", period="week").status_code == 303
    page = words(admin.get(f"{LIST}/openai").text)
    assert "Provider switched on" in page
    assert "$1,200.50 a week" in words(admin.get("/admin/settings/providers").text)
    assert generations.provider_switch("openai").switched_on
    do(admin, "openai", "off")
    assert not generations.provider_switch("openai").switched_on
    assert "Switch Openai on for real money" in words(admin.get(f"{LIST}/openai").text)


def test_what_charges_nothing_is_switched_on_without_a_limit_and_priced_by_the_site(admin):
    build.provider_row("by-hand", simulated=False, on=False)
    page = admin.get(f"{LIST}/by-hand").text
    assert "It charges nothing, and needs no limit." in part(page, "now-by-hand")
    assert 'name="limit"' not in page
    assert "/by-hand/price?model=" in page, "a plan is paid all the same"
    do(admin, "by-hand", "on")
    assert part(admin.get(f"{LIST}/by-hand").text, "state-by-hand") == "Healthy"
    build.provider_row("sandbox")
    assert "/price?" not in admin.get(f"{LIST}/sandbox").text
    assert admin.get(f"{LIST}/sandbox/price?model=studio", headers=PAGE).status_code == 404


@pytest.mark.parametrize("shows", ["", "list"])
def test_a_provider_is_paused_and_resumed_by_undo(admin, shows):
    build.provider_row("flux")
    answer = do(admin, "flux", "pause", htmx=True, shows=shows)
    assert "Provider paused" in answer.text
    assert "Paused by ada." in words(answer.text)
    assert ('hx-target="#page"' in answer.text) is (shows == "")
    undo = re.search(r'data-undo hx-post="([^"]+)" hx-vals="([^"]+)"', answer.text)
    assert undo[1] == f"{LIST}/flux/change"
    assert "&#34;do&#34;: &#34;resume&#34;" in undo[2]
    assert "Paused" not in words(do(admin, "flux", "resume", htmx=True, shows=shows).text)
    assert not ProviderRecord.objects.get(pk="flux").paused_at


def test_a_draining_provider_takes_no_new_request_and_makes_what_is_queued(admin):
    build.provider_row("flux")
    provider = build.StandIn("flux")
    build.asked(provider)
    answer = do(admin, "flux", "drain")
    assert answer.status_code == 303
    page = words(admin.get(f"{LIST}/flux").text)
    assert "It takes no new requests. 1 still to be made. Resume it to take them again." in page
    assert len(build.claimed(provider)) == 1, "what is queued is made"
    form = admin.get(f"/products/{build.product().sku}").text
    assert part(form, "ask-price-flux") == "takes no new requests"
    assert 'name="provider" value="flux" disabled' in form
    assert AuditEntry.objects.filter(action="drain provider", subject="flux", actor_name="ada").exists()
    do(admin, "flux", "resume")
    assert part(admin.get(f"{LIST}/flux").text, "state-flux") == "Healthy"


def test_limits_are_set_audited_and_told(admin):
    build.provider_row("flux", in_flight=8, per_minute=24)
    before = events.newest_id()
    assert do(admin, "flux", "limits", max_in_flight="3", per_minute="").status_code == 303
    row = ProviderRecord.objects.get(pk="flux")
    assert (row.max_in_flight, row.per_minute) == (3, None)
    entry = AuditEntry.objects.get(action="set provider limits")
    assert (entry.subject, entry.detail) == ("flux", {"max_in_flight": 3, "per_minute": None})
    assert [each.kind for each in events.since(before)] == ["limited"]
    assert "Nothing changed" in do(admin, "flux", "limits", max_in_flight="3", per_minute="", htmx=True).text
    do(admin, "flux", "limits", max_in_flight="1,000", per_minute="60")
    row.refresh_from_db()
    assert (row.max_in_flight, row.per_minute) == (1000, 60)
    # Workers that start again leave alone what somebody edited.
    build.provider_row("flux", in_flight=8, per_minute=24)
    row.refresh_from_db()
    assert (row.max_in_flight, row.per_minute) == (1000, 60)


@pytest.mark.parametrize(
    ("at_once", "per_minute", "field", "said"),
    [
        ("0", "", "max_in_flight", "to send none, pause the provider"),
        ("", "", "max_in_flight", "from 1 to 10,000"),
        ("many", "", "max_in_flight", "no whole number"),
        ("-3", "", "max_in_flight", "no whole number"),
        ("10001", "", "max_in_flight", "from 1 to 10,000"),
        ("8", "0", "per_minute", "from 1 to 100,000"),
        ("8", "1.5", "per_minute", "no whole number"),
    ],
)
def test_limits_that_cannot_be_are_told_beside_their_field(admin, at_once, per_minute, field, said):
    build.provider_row("flux", in_flight=8)
    answer = do(admin, "flux", "limits", max_in_flight=at_once, per_minute=per_minute)
    assert answer.status_code == 422
    assert re.search(rf'id="{field}"[^>]*aria-invalid="true" aria-describedby="{field}-wrong"', answer.text)
    assert said in part(answer.text, f"{field}-wrong")
    assert f'value="{at_once}"' in answer.text, "what was typed stays"
    assert ProviderRecord.objects.get(pk="flux").max_in_flight == 8


def test_a_new_limit_holds_for_the_next_admission():
    build.provider_row("openai", in_flight=8)
    provider = build.StandIn()
    build.asked(provider, 5)
    with transaction.atomic():
        generations.set_limits("openai", max_in_flight=2, per_minute=None)
    assert len(build.claimed(provider)) == 2


def test_a_lower_rate_spends_nothing_that_was_saved_up_at_a_higher_one():
    build.provider_row("openai", per_minute=6_000)
    stands("openai", tokens=100)
    with transaction.atomic():
        generations.set_limits("openai", max_in_flight=1_000, per_minute=60)
    provider = build.StandIn()
    build.asked(provider, 50)
    assert len(build.claimed(provider)) == 1


def test_nonsense_is_refused(admin):
    build.provider_row("flux")
    assert "Say what to do" in words(do(admin, "flux", "explode", htmx=True).text)
    assert "There is no provider" in words(do(admin, "nobody", "pause", htmx=True).text)
    assert admin.get(f"{LIST}/flux/change", headers=PAGE).headers["Location"] == f"{LIST}/flux"


def test_who_may_not_manage_sees_how_things_stand_and_no_buttons(viewer):
    build.provider_row("flux")
    for address in (LIST, f"{LIST}/flux"):
        page = viewer.get(address).text
        assert "Healthy" in words(page)
        for what in ('name="do"', 'role="switch"', "Save limits", "/price?"):
            assert what not in page, (address, what)
    assert do(viewer, "flux", "pause").status_code == 403
    assert viewer.get(f"{LIST}/flux/price?model=flux-2-pro", headers=PAGE).status_code == 403
    assert ProviderRecord.objects.get(pk="flux").paused_at is None


# -- accounts ------------------------------------------------------------------------------------------


@pytest.fixture
def looked_at(monkeypatch):
    """OpenAI with a real key, whose account says what it is told to."""
    build.provider_row("openai", simulated=False)
    adapter = OpenAI(Account("sk-canary", "https://api.openai.com", simulated=False), None)
    monkeypatch.setattr(inspecting, "desk", lambda: Desk({"openai": adapter}, {"openai": False}, {}))
    monkeypatch.setattr(inspecting, "today", lambda: date(2026, 11, 22))

    def say(found: Inspection) -> None:
        async def inspect(_: OpenAI) -> Inspection:
            return found

        monkeypatch.setattr(OpenAI, "inspect", inspect)

    return say


def test_a_key_is_checked_at_once_and_what_stops_is_shown_with_what_to_use(admin, looked_at):
    before = words(admin.get(f"{LIST}/openai").text)
    assert re.search(r"stops .*GPT Image 1.5 on 1 Dec 2026\. Use GPT Image 2\.", before), "by its card"
    assert "not looked at yet" in before
    looked_at(Inspection(True, "The key works.", micros("12.34"), {"gpt-image-2": date(2027, 1, 20)}))
    assert "Key works" in do(admin, "openai", "check", htmx=True).text
    page = words(admin.get(f"{LIST}/openai").text)
    assert re.search(r"Account Key works now Balance \$12\.34", page)
    assert "stops GPT Image 2 on 20 Jan 2027. Use GPT Image 2.6 Flare." in page
    assert "Stops 20 Jan 2027" in part(admin.get(f"{LIST}/openai").text, "models")
    card = part(admin.get(LIST).text, "provider-openai")
    assert "Key works now $12.34 left" in card
    build.provider_row("flux")
    build.budget("1")
    build.end(build.delivered(build.sent(build.StandIn("flux"))))  # a site at work shows what happened
    feed = words(admin.get("/admin").text)
    assert "stops 4 models" in feed
    assert "use gpt-image-2" in feed


def test_a_key_that_is_refused_is_said_so_and_stays_visible(admin, looked_at):
    looked_at(Inspection(False, "Incorrect API key provided."))
    answer = do(admin, "openai", "check", htmx=True)
    assert "Key refused: Incorrect API key provided" in html.unescape(answer.text)
    page = words(admin.get(f"{LIST}/openai").text)
    assert "Account Key refused" in page
    assert "Incorrect API key provided." in page
    assert "Key refused" in part(admin.get(LIST).text, "provider-openai")


def test_who_may_not_manage_sees_the_state_of_an_account_and_checks_nothing(viewer, looked_at):
    looked_at(Inspection(True, "The key works.", micros("12.34")))
    inspecting.look_now()
    page = viewer.get(f"{LIST}/openai").text
    assert "Key works" in words(page)
    assert 'value="check"' not in page
    assert do(viewer, "openai", "check").status_code == 403


def test_an_account_that_nobody_can_look_at_is_said_so(admin):
    build.provider_row("sandbox")
    assert "without buying an image" in do(admin, "sandbox", "check", htmx=True).text
    assert "Check key" not in words(admin.get(f"{LIST}/sandbox").text)


# -- models and prices -----------------------------------------------------------------------------------


def test_models_stand_with_their_end_their_successor_and_their_price(admin):
    build.provider_row("openai")
    said = part(admin.get(f"{LIST}/openai").text, "models")
    assert "DALL·E 3 dall-e-3 Retired use GPT Image 2" in said
    assert re.search(r"GPT Image 1.5 gpt-image-1.5 (Stops 1 Dec 2026|Retired) use GPT Image 2", said)
    assert re.search(r"GPT Image 2 gpt-image-2 Current 9:16 to 16:9, 9 in all \$0\.00\d to \$0\.2", said)


def test_prices_stand_with_their_source_and_date(admin):
    build.provider_row("flux")
    said = part(admin.get(f"{LIST}/flux").text, "prices")
    assert re.search(r"Table flux-2026-\d\d-\d\d, read \d\d? Nov 2026", said)
    assert "Published by Black Forest Labs, pricing" in said
    assert re.search(r"FLUX.2 \[?pro\]?.*? an image \$0\.030 at most \$0\.045", said)
    build.provider_row("sandbox")
    assert "Studio an image free" in part(admin.get(f"{LIST}/sandbox").text, "prices")


def fill(**changes: str) -> dict[str, str]:
    given = {"model": "flux-2-pro", "kind": "price", "amount": "0.05", "source": "Invoice of 22 November"}
    return given | changes


def test_a_price_is_set_on_its_page_and_shown_beside_the_published_one(admin):
    build.provider_row("flux")
    form = admin.get(f"{LIST}/flux/price?model=flux-2-pro").text
    assert "Now $0.030" in words(form)
    assert "Take yours back" not in form
    answer = admin.post(f"{LIST}/flux/price", fill(most="0.07"), headers=PAGE)
    assert answer.headers["Location"] == f"{LIST}/flux#prices"
    (row,) = PriceEdit.objects.all()
    assert (row.amount_micros, row.most_micros, row.by_name) == (50_000, 70_000, "ada")
    page = admin.get(f"{LIST}/flux").text
    said = part(page, "prices")
    assert "an image $0.050 Invoice of 22 November since" in said
    assert "ada; published $0.030" in said
    assert re.search(r"What was edited FLUX.2 .*?pro.*?: \$0.050, at most \$0.070", said)
    assert "Price set" in words(page)
    # The next one is offered to take it back.
    again = words(admin.get(f"{LIST}/flux/price?model=flux-2-pro").text)
    assert "instead of what ada wrote: Invoice of 22 November" in again
    admin.post(f"{LIST}/flux/price", fill(kind="withdrawn", amount=""), headers=PAGE)
    assert "published $0.030" not in part(admin.get(f"{LIST}/flux").text, "prices")
    admin.post(f"{LIST}/flux/price", fill(kind="unknown", amount=""), headers=PAGE)
    assert "an image unknown Invoice of 22 November" in part(admin.get(f"{LIST}/flux").text, "prices")


def test_a_price_is_for_the_choices_that_were_chosen(admin):
    build.provider_row("openai")
    address = f"{LIST}/openai/price?model=gpt-image-2&quality=high"
    form = admin.get(address).text
    assert re.search(r'<select[^>]* name="choice-quality".*?<option value="high" selected>', form, re.DOTALL)
    assert 'name="choice-moderation"' not in form, "makes no difference to the price"
    given = fill(model="gpt-image-2") | {"choice-quality": "high", "choice-shape": ""}
    admin.post(f"{LIST}/openai/price", given, headers=PAGE)
    assert PriceEdit.objects.get().key == "quality=high"
    assert "quality high $0.050" in part(admin.get(f"{LIST}/openai").text, "prices")


def test_a_later_price_is_of_a_day_of_the_site(admin):
    build.provider_row("flux")
    preferences.set("time_zone", "Pacific/Auckland", "ada")
    day = timezone.now().date() + timedelta(days=3)
    admin.post(f"{LIST}/flux/price", fill(**{"from": day.isoformat()}), headers=PAGE)
    (row,) = PriceEdit.objects.all()
    assert row.valid_from.isoformat() != f"{day}T00:00:00+00:00"
    from zoneinfo import ZoneInfo

    assert row.valid_from.astimezone(ZoneInfo("Pacific/Auckland")).isoformat().startswith(f"{day}T00:00:00")
    assert f"holds from {day.day} {day:%b %Y}" in part(admin.get(f"{LIST}/flux").text, "prices")
    edition = generations.provider_switch("flux").price_edition
    assert edition == 0, "it does not hold yet"


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"amount": ""}, "amount", "write the price of one image"),
        ({"amount": "cheap"}, "amount", "not an amount of dollars"),
        ({"amount": "0"}, "amount", "more than nothing"),
        ({"most": "0.01"}, "most", "not less than"),
        ({"source": ""}, "source", "where the price is from"),
        ({"from": "tomorrow"}, "from", "is no day"),
        ({"choice-shape": "7:1"}, "key", "is one of"),
    ],
)
def test_a_price_that_cannot_be_is_told_beside_its_field(admin, changes, field, said):
    build.provider_row("flux")
    answer = admin.post(f"{LIST}/flux/price", fill(**changes), headers=PAGE)
    assert answer.status_code == 422
    assert said in part(answer.text, f"{field}-wrong")
    assert not PriceEdit.objects.exists()


@pytest.mark.parametrize("address", ["flux/price", "flux/price?model=flux-99", "nobody/price?model=x"])
def test_what_has_no_price_has_no_form(admin, address):
    build.provider_row("flux")
    assert admin.get(f"{LIST}/{address}", headers=PAGE).status_code == 404
    assert admin.get(f"{LIST}/openai/price?model=dall-e-3", headers=PAGE).status_code == 404


def test_words_of_people_and_adapters_are_shown_as_text(admin):
    nasty = "<img src=x onerror=alert(1)>\"'>"
    build.provider_row("flux")
    stands("flux", label=nasty, paused_at=timezone.now(), paused_kind="person", paused_message=nasty)
    prices.set_price("flux", "flux-2-pro", build.ADMIN, amount_micros=50_000, source=nasty)
    for address in (LIST, f"{LIST}/flux", f"{LIST}/flux/price?model=flux-2-pro"):
        page = admin.get(address).text
        assert breaches(page) == []
        assert "<img src=x" not in page


# -- around them -----------------------------------------------------------------------------------------


def test_the_page_has_its_place_and_its_key(admin):
    page = admin.get(LIST).text
    assert re.search(r'<a class="place" href="/admin/providers" data-go="v" aria-current="page">', page)
    assert '<div role="option" id="palette-providers" data-href="/admin/providers"' in page


def test_the_comparison_is_taken_along_as_csv(admin):
    build.provider_row("openai")
    did(completed=3, failed=1, images=3, amount_micros=120_000, duration_s=4.0)
    answer = admin.get(f"{LIST}.csv?days=7")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="packshot-providers-7d.csv"'
    whole, model = csv.DictReader(io.StringIO(answer.text))
    assert (whole["provider"], whole["model"], model["model"]) == ("openai", "", "gpt-image-2")
    assert (whole["money"], whole["images"], whole["completed"], whole["failed"]) == (
        "simulated",
        "3",
        "3",
        "1",
    )
    assert (whole["success_rate"], whole["dollars"], whole["dollars_each"]) == ("0.7500", "0.12", "0.04")


def test_no_spreadsheet_runs_the_name_of_a_model(admin):
    build.provider_row("openai")
    did(model="@cf/black-forest-labs/flux", completed=1, images=1)
    rows = csv.DictReader(io.StringIO(admin.get(f"{LIST}.csv").text))
    assert [row["model"] for row in rows] == ["", "'@cf/black-forest-labs/flux"]


def test_who_set_a_price_is_in_the_feed(admin):
    build.provider_row("flux")
    build.budget("1")
    build.end(build.delivered(build.sent(build.StandIn("flux"))))
    prices.set_price("flux", "flux-2-pro", build.ADMIN, amount_micros=50_000, source="a contract")
    feed = words(admin.get("/admin").text)
    assert "Flux priced anew by ada" in feed


def test_quotes_are_shown_at_the_price_that_was_set(admin):
    build.provider_row("flux")
    product = build.product()
    prices.set_price("flux", "flux-2-pro", build.ADMIN, amount_micros=77_000, source="a contract")
    page = words(admin.get(f"/products/{product.sku}").text)
    assert "$0.077" in page
    assert quoting()["flux"].models()
