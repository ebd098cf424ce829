"""Setting what goes wrong at the simulator, from a page and from a shell, and its bill beside the ledger."""

import html
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from packshot.accounts.models import AuditEntry, Role
from packshot.cli import main
from packshot.flows import simulate
from packshot.flows.simulate import UnusableFault, Wish, understood
from packshot.kernel.errors import BadInput
from packshot.simulator import Control, Rule, SimulatorConfig, running
from packshot.simulator.book import read_charges
from packshot.simulator.kinds import KINDS
from tests import build
from tests.browser import story
from tests.integration.test_provider_faults import Ended, Stage, staged
from tests.integration.test_rights import PAGE
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
HERE = "/admin/settings/simulator"


@pytest.fixture
def site(settings, tmp_path: Path) -> Path:
    """The data folder of a site that runs on the simulator; nobody serves it yet."""
    settings.DATA, settings.SIMULATOR, settings.SIMULATOR_URL = tmp_path, "on", ""
    return tmp_path


@pytest.fixture
def simulator(site: Path) -> Iterator[Control]:
    config = SimulatorConfig(site / "simulator", speed=1000.0, image="small")
    with running(config) as control:
        (site / "simulator" / "url").write_text(control.address)
        yield control


@pytest.fixture
def flux(simulator: Control, tmp_path: Path) -> Stage:
    """The real adapter and the real flow on it."""
    return staged("flux", simulator, tmp_path, simulator.flux_url)


@pytest.fixture
def openai(simulator: Control, tmp_path: Path) -> Stage:
    return staged("openai", simulator, tmp_path, simulator.openai_url)


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(story.person("administrator", "ada"))
    return client


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def asked(stage: Stage) -> Ended:
    """One generation taken the whole way."""
    stage.ask()
    (claim,) = stage.claim()
    began_at = timezone.now()
    stage.run([claim])
    return replace(stage.ended(claim), began_at=began_at)


def ask_one(stage: Stage) -> str:
    """One generation taken the whole way: the kind of its error, or how it ended."""
    ended = asked(stage)
    return ended.attempt.error_kind or ended.generation.status


def add(admin: Client, *, htmx: bool = False, **typed: object) -> object:
    form = {"do": "add"} | {name: str(value) for name, value in typed.items()}
    return admin.post(HERE, form, headers=HTMX if htmx else PAGE)


def problems(page: str) -> dict[str, str]:
    """What a form says is wrong, by field."""
    found = re.findall(r'<p class="error" id="(\w+)-wrong"[^>]*>(.*?)</p>', page, re.DOTALL)
    return {name: words(said) for name, said in found}


# -- the page --------------------------------------------------------------------------------------


def test_a_fault_set_on_the_page_makes_the_next_call_fail_so(admin, flux, simulator):
    assert "Everything goes well" in words(admin.get(HERE).text)
    answer = add(admin, kind="rate_limited", provider="flux", share="100", count="1", seconds="7")
    assert answer.status_code == 303
    page = words(admin.get(HERE).text)
    assert "Fault added" in page
    assert (
        "Busy: 429, too many requests, asks to wait 7 s FLUX Of requests all Happened 0 of at most 1" in page
    )
    ended = asked(flux)
    assert (ended.attempt.error_kind, ended.spent, ended.billed) == ("rate_limited", 0, 0)
    assert ended.waits_between(7, 7)
    page = words(admin.get(HERE).text)
    assert "Happened 1 of at most 1 (over)" in page


def test_what_happens_elsewhere_is_left_alone(admin, flux, openai):
    add(admin, kind="moderation_input", provider="openai")
    assert ask_one(flux) == "completed"
    assert ask_one(openai) == "refused"


def test_a_fault_is_removed_alone_and_the_others_go_on_counting(admin, openai, simulator):
    add(admin, kind="moderation_input", provider="openai", prompt="hemp")
    add(admin, kind="server_error", provider="flux")
    ask_one(openai)
    kept, gone = simulator.faults()
    answer = admin.post(HERE, {"do": "remove", "fault": gone.id}, headers=HTMX)
    assert "Fault removed" in answer.text
    assert '<hx-partial hx-target="#page" hx-swap="outerMorph">' in answer.text
    assert f"fault-{kept.id}" in answer.text
    assert f"fault-{gone.id}" not in answer.text
    (left,) = simulator.faults()
    assert (left.id, left.fired) == (kept.id, 1)
    assert "gone already" in admin.post(HERE, {"do": "remove", "fault": gone.id}, headers=HTMX).text


def test_adding_is_undone_and_all_are_removed_at_once(admin, simulator):
    add(admin, kind="hang")
    page = admin.get(HERE).text
    undo = re.search(r'data-undo hx-post="([^"]+)" hx-vals="([^"]+)"', page)
    assert undo is not None
    admin.post(undo[1], json.loads(html.unescape(undo[2])), headers=HTMX)
    assert simulator.faults() == []
    for kind in ("hang", "garbage:html", "late"):
        add(admin, kind=kind)
    assert [each.rule.action for each in simulator.faults()] == ["hang", "garbage", "slow"]
    answer = admin.post(HERE, {"do": "calm"}, headers=HTMX)
    assert "Everything goes well again" in answer.text
    assert simulator.faults() == []


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"kind": "explode"}, {"kind": "there is no fault 'explode'"}),
        ({"kind": "hang", "provider": "nobody"}, {"provider": "no provider 'nobody'"}),
        ({"kind": "not_verified", "provider": "flux"}, {"kind": "never happens at flux, only at openai"}),
        ({"kind": "late", "provider": "stability"}, {"kind": "never happens at stability"}),
        ({"kind": "hang", "share": "0"}, {"share": "more than 0"}),
        ({"kind": "hang", "share": "101"}, {"share": "at most all"}),
        ({"kind": "hang", "share": "half"}, {"share": "'half' is not a share"}),
        ({"kind": "hang", "share": "nan"}, {"share": "is not a share"}),
        ({"kind": "hang", "share": "1e999"}, {"share": "is not a share"}),
        ({"kind": "hang", "count": "0"}, {"count": "from 1 to"}),
        ({"kind": "hang", "count": "2.5", "after": "-1"}, {"count": "not a whole number"}),
        ({"kind": "hang", "after": "-1"}, {"after": "from 0 to"}),
        ({"kind": "hang", "seconds": "3"}, {"seconds": "has no time to choose"}),
        ({"kind": "slow", "seconds": "1e9"}, {"seconds": "from 0 to 3,600"}),
        ({"kind": "answer"}, {"status": "needs its HTTP status"}),
        ({"kind": "answer", "status": "99"}, {"status": "from 200 to 599"}),
        ({"kind": "quota", "status": "402"}, {"status": "has a status of its own"}),
    ],
)
def test_what_cannot_be_is_told_beside_its_field_and_nothing_is_set(admin, simulator, typed, wrong):
    answer = add(admin, **typed)
    assert answer.status_code == 422
    said = problems(answer.text)
    assert said.keys() == wrong.keys()
    for name, part in wrong.items():
        assert part.lower() in said[name].lower()
        assert re.search(
            rf'id="{name}"[^>]*aria-invalid="true"[^>]*aria-describedby="{name}-wrong', answer.text
        )
    for name, value in typed.items():
        if name not in ("kind", "provider"):
            assert f'name="{name}"' in answer.text
            assert f'value="{value}"' in answer.text
    assert simulator.faults() == []
    assert not AuditEntry.objects.filter(action__contains="simulator").exists()


def test_prices_are_set_by_provider_and_shown(admin, flux, simulator):
    form = {"do": "prices", "openai": "1", "flux": "1.5", "stability": "", "midjourney": "0"}
    assert admin.post(HERE, form, headers=PAGE).status_code == 303
    assert simulator.prices() == {"flux": Fraction(3, 2), "midjourney": Fraction(0)}
    page = admin.get(HERE).text
    shown = {name: re.search(rf'name="{name}"[^>]*value="([^"]*)"', page)[1] for name in simulate.PROVIDERS}
    assert shown == {"openai": "1", "flux": "1.5", "stability": "1", "midjourney": "0"}
    for wrong in ("dear", "-1", "1e9", "1001", "1/2", "NaN"):
        answer = admin.post(HERE, form | {"flux": wrong, "openai": "2"}, headers=PAGE)
        assert answer.status_code == 422
        assert problems(answer.text).keys() == {"flux"}
        assert f'value="{wrong}"' in answer.text
    assert simulator.prices() == {"flux": Fraction(3, 2), "midjourney": Fraction(0)}, "all or none"


def test_everything_set_is_written_to_the_audit_log(admin, simulator):
    add(admin, kind="rate_limited", provider="flux", seconds="7")
    admin.post(HERE, {"do": "remove", "fault": simulator.faults()[0].id}, headers=PAGE)
    add(admin, kind="hang")
    admin.post(HERE, {"do": "calm"}, headers=PAGE)
    admin.post(HERE, {"do": "calm"}, headers=PAGE)  # nothing left: nothing to write down
    admin.post(HERE, {"do": "prices", "flux": "2"}, headers=PAGE)
    written = AuditEntry.objects.filter(actor_name="ada", action__contains="simulator").order_by("pk")
    assert [(each.action, each.subject) for each in written] == [
        ("add simulator fault", "flux"),
        ("remove simulator fault", "flux"),
        ("add simulator fault", "simulator"),
        ("calm simulator", "simulator"),
        ("set simulator price", "flux"),
    ]
    assert written[0].detail == {"rule": {"action": "rate_limited", "dialect": "flux", "retry_after_s": 7.0}}
    assert written[4].detail == {"times": "2", "before": "1"}


def test_two_faults_of_the_same_share_do_not_meet_the_same_requests(admin, simulator):
    for kind in ("server_error", "overloaded"):
        add(admin, kind=kind, share="50")
    admin.post(HERE, {"do": "remove", "fault": simulator.faults()[0].id}, headers=HTMX)
    add(admin, kind="hang", share="50")
    first, second = (each.rule for each in simulator.faults())
    assert first.seed != second.seed


@pytest.mark.parametrize("role", [role for role in Role.values if role != Role.ADMINISTRATOR])
def test_nobody_but_an_administrator_sees_or_sets_it(simulator, role):
    client = Client()
    client.force_login(story.person(role))
    assert client.get(HERE, headers=PAGE).status_code == 403
    assert add(client, kind="hang").status_code == 403
    assert "Simulator" not in words(tabs(client))
    assert simulator.faults() == []


def tabs(client: Client) -> str:
    page = client.get("/admin/settings").text
    bar = re.search(r'<nav class="tabs" aria-label="Settings">(.*?)</nav>', page, re.DOTALL)
    assert bar is not None
    return bar[1]


def test_a_flow_lets_no_editor_past_either(simulator):
    for act in (
        lambda: simulate.add_fault(Wish("hang"), build.EDITOR),
        lambda: simulate.remove_fault("any", build.EDITOR),
        lambda: simulate.calm(build.EDITOR),
        lambda: simulate.set_price("flux", "2", build.EDITOR),
    ):
        with pytest.raises(BadInput, match="only an administrator"):
            act()
    assert (simulator.faults(), simulator.prices()) == ([], {})


def test_the_page_is_there_only_while_the_site_runs_on_the_simulator(admin, simulator, settings):
    assert "Simulator" in words(tabs(admin))
    settings.SIMULATOR = "off"
    assert "Simulator" not in words(tabs(admin))
    assert admin.get(HERE).status_code == 404
    assert add(admin, kind="hang").status_code == 404
    assert simulator.faults() == []


def test_a_simulator_that_is_away_is_said_so_and_its_bill_is_still_shown(admin, site):
    assert "No simulator is running; start it with" in words(admin.get(HERE).text)
    with running(SimulatorConfig(site / "simulator", speed=1000.0, image="small")) as control:
        (site / "simulator" / "url").write_text(control.address)
        assert "Nothing was charged yet" in words(admin.get(HERE).text)
        ask_one(staged("flux", control, site, control.flux_url))
    page = words(admin.get(HERE).text)
    assert "does not answer" in page
    assert "Add a fault" not in page
    assert "Bill and ledger agree on every request." in page
    answer = add(admin, htmx=True, kind="hang")
    assert 'class="toast bad"' in answer.text


def test_a_simulator_of_another_folder_is_not_set_from_here(admin, simulator, settings, tmp_path):
    settings.DATA = tmp_path / "elsewhere"
    settings.SIMULATOR_URL = simulator.address
    assert "keeps its state in another folder" in words(admin.get(HERE).text)
    (settings.DATA / "simulator").mkdir(parents=True)
    (settings.DATA / "simulator" / "token").write_text("guess")
    assert "keeps its state in another folder" in words(admin.get(HERE).text)


def test_words_of_a_fault_are_shown_as_text(admin, simulator):
    add(admin, kind="hang", prompt='<b onclick="x()">oil</b>')
    page = admin.get(HERE).text
    assert "<b onclick" not in page
    assert breaches(page) == []


# -- the bill --------------------------------------------------------------------------------------


def test_a_bill_that_agrees_says_so(flux, openai, admin):
    assert [ask_one(flux), ask_one(openai)] == ["completed", "completed"]
    lines = {each.provider: each for each in simulate.bill()}
    for name in ("flux", "openai"):
        line = lines[name]
        assert line.billed_micros == line.booked_micros > 0
        assert (line.charges, line.held_micros, line.reasons) == (1, 0, ())
    assert lines["stability"].billed_micros == 0
    assert "Bill and ledger agree on every request." in words(admin.get(HERE).text)


def test_a_price_that_changed_without_a_word_is_a_difference_with_a_reason(openai, simulator, admin):
    simulator.set_price("openai", "1.5")
    assert ask_one(openai) == "completed"
    (line,) = (each for each in simulate.bill() if each.provider == "openai")
    assert line.difference_micros == line.billed_micros - line.booked_micros > 0
    assert line.billed_micros == pytest.approx(line.booked_micros * 1.5, abs=1)
    (reason,) = line.reasons
    assert (reason.count, reason.difference_micros, reason.held_micros) == (1, line.difference_micros, 0)
    assert line.unexplained_micros == 0
    assert "1 request billed at another price than was booked" in words(admin.get(HERE).text)


def test_an_answer_that_got_lost_is_a_charge_that_nobody_names_and_a_hold(openai, simulator):
    simulate.add_fault(Wish("cut_before_answer", charged=True), build.ADMIN)
    assert ask_one(openai) in ("cut_off", "timeout")
    (line,) = (each for each in simulate.bill() if each.provider == "openai")
    assert (line.booked_micros, line.unexplained_micros) == (0, 0)
    assert {
        each.words.partition(":")[0].partition(",")[0]: each.difference_micros for each in line.reasons
    } == {
        "billed": line.billed_micros,
        "held": 0,
    }
    assert line.held_micros > 0
    assert any("uncertain" in each.words for each in line.reasons)


def test_a_long_bill_is_added_up_when_somebody_asks(admin, flux, monkeypatch):
    assert ask_one(flux) == "completed"
    monkeypatch.setattr("packshot.web.pages.simulator.CHARGES_MOST", 0)
    page = admin.get(HERE).text
    assert "1 charges Adding them up takes a moment." in words(page)
    assert f'href="{HERE}?bill"' in page
    assert "Bill and ledger agree on every request." in words(admin.get(f"{HERE}?bill").text)


def test_charges_read_quickly_are_those_of_the_bill(openai, flux, simulator):
    simulator.add_fault(Rule(action="charge_twice"))
    for stage in (openai, flux):
        ask_one(stage)
    assert [(each.dialect, each.reference, each.dollars) for each in read_charges(simulator.state_dir)] == [
        (line.dialect, line.reference, line.dollars) for line in simulator.bill()
    ]


def test_reasons_add_up_to_the_difference_whatever_happened(openai, flux, simulator):
    for kind, more in (
        ("charge_twice", {}),
        ("cut_half_body", {}),
        ("cut_before_answer", {"charged": False}),
        ("moderation_output", {}),
        ("garbage:html", {}),
    ):
        for stage in (openai, flux):
            simulate.calm(build.ADMIN)
            simulate.add_fault(Wish(kind, provider=stage.name, **more), build.ADMIN)
            ask_one(stage)
    for line in simulate.bill():
        assert line.unexplained_micros == 0
        assert line.held_micros == sum(each.held_micros for each in line.reasons)
        assert line.difference_micros == sum(each.difference_micros for each in line.reasons)
    assert any(each.difference_micros for each in simulate.bill())


# -- wishes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_can_be_wished_for(name):
    status = 418 if name == "answer" else None
    rule = understood(Wish(name, status=status))
    assert simulate.kind_in_force(rule).name == name
    assert simulate.in_words(rule).startswith(KINDS[name].words)
    for provider in KINDS[name].where:
        assert understood(Wish(name, provider=provider, status=status)).dialect == provider
    for provider in set(simulate.PROVIDERS) - set(KINDS[name].where):
        with pytest.raises(UnusableFault, match=f"never happens at {provider}"):
            understood(Wish(name, provider=provider, status=status))


def test_a_wish_becomes_the_rule_that_it_says():
    wish = Wish(
        "cut_before_answer", "stability", 0.25, 3, 2, "jar", "/edit/*", seconds=1.5, charged=False, seed=9
    )
    assert understood(wish) == Rule(
        action="cut_before_answer", dialect="stability", probability=0.25, times=3, after=2, prompt="jar",
        path="/edit/*", delay_s=1.5, charged=False, seed=9,
    )  # fmt: skip


# -- the shell -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Packshot = Callable[..., Ran]


@pytest.fixture
def packshot(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Packshot:
    """`packshot simulate ...`, run in this process so that it sees the test's transaction."""

    def run(*typed: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["packshot", "simulate", *map(str, typed)])
        monkeypatch.setenv("COLUMNS", "220")
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Ran(code, " ".join(out.split()), " ".join(err.split()))

    return run


@pytest.fixture
def process(site: Path) -> Iterator[Control]:
    """The simulator as `packshot simulate` starts it, in a process of its own."""
    environment = os.environ | {"PACKSHOT_DATA": str(site)}
    command = [sys.executable, "-m", "packshot", "simulate", "--speed", "50"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            said = started.stdout.readline()
            assert said.startswith("Simulator on http://127.0.0.1:"), said
            yield Control.of(site / "simulator")
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(20)


def test_in_a_shell_faults_are_set_seen_and_ended(packshot, process, tmp_path):
    flux = staged("flux", process, tmp_path, process.flux_url)
    assert "Everything goes well." in packshot("faults").out
    typed = "--provider flux --kind rate_limited --retry-after 7 --count 1 --after 1"
    ran = packshot("fault", *typed.split())
    assert ran.code == 0, ran.err
    assert "Busy: 429, too many requests, asks to wait 7 s, the first 1 go well, at flux" in ran.out
    assert [ask_one(flux), ask_one(flux)] == ["completed", "rate_limited"]
    (fault,) = json.loads(packshot_json(packshot, "faults"))["faults"]
    assert (fault["fired"], fault["met"], fault["rule"]["times"]) == (1, 2, 1)
    assert re.search(r"flux rate_limited 100 % 1 1 of 2 Busy", packshot("faults").out)
    assert "there is no fault 'nobody'" in packshot("calm", "nobody").err
    assert "Gone, after 1 time: Busy" in packshot("calm", fault["id"]).out
    packshot("fault", "--kind", "hang", "--share", "0.5", "--seed", "3")
    assert process.faults()[0].rule == Rule(action="hang", probability=0.5, seed=3)
    assert "1 fault gone" in packshot("calm").out
    assert "Nothing went wrong." in packshot("calm").out
    actors = set(AuditEntry.objects.filter(action__contains="simulator").values_list("actor_name", flat=True))
    assert [name.partition(":")[0] for name in actors] == ["cli"]


def packshot_json(packshot: Packshot, *typed: str) -> str:
    return packshot(*typed, "--json").out


def test_in_a_shell_a_price_changes_and_the_bill_shows_it(packshot, process, tmp_path):
    openai = staged("openai", process, tmp_path, process.openai_url)
    assert ask_one(openai) == "completed"
    ran = packshot("bill")
    assert (ran.code, "Bill and ledger agree on every request." in ran.out) == (0, True)
    assert "openai charges 1.5 times its published prices." in packshot("price", "openai", "1.5").out
    assert "openai charges 1.5 times" in packshot("faults").out
    assert ask_one(openai) == "completed"
    ran = packshot("bill")
    assert ran.code == 1
    assert "openai: 1 request billed at another price than was booked" in ran.out
    assert "ledger reconcile openai" in ran.out
    (line, *_others) = json.loads(packshot_json(packshot, "bill"))
    assert re.search(rf"in all 2 .*{line['difference_micros'] / 1e6:.3f}", ran.out)
    assert line["difference_micros"] == line["reasons"][0]["difference_micros"] > 0
    assert "openai charges what is published." in packshot("price", "openai", "1").out
    assert "times" not in packshot("faults").out.replace("Times", "")


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (("fault", "--kind", "explode"), "there is no fault 'explode'"),
        (("fault", "--kind", "hang", "--share", "2"), "at most all"),
        (("fault", "--kind", "hang", "--retry-after", "2"), "hang takes no --retry-after"),
        (("fault", "--kind", "slow", "--retry-after", "2"), "slow takes no --retry-after"),
        (("fault", "--kind", "slow", "--retry-after", "2", "--delay", "2"), "not both"),
        (("fault", "--kind", "early", "--path", "/v1/*"), "has an address of its own"),
        (("price", "nobody", "2"), "no provider 'nobody'"),
        (("price", "flux", "dear"), "'dear' is not how many times"),
        (("--speed", "3", "faults"), "--speed is for starting a simulator"),
    ],
)
def test_in_a_shell_what_cannot_be_is_told_in_a_line(packshot, simulator, typed, why):
    ran = packshot(*typed)
    assert ran.code == 2
    assert why in ran.err
    assert (simulator.faults(), simulator.prices()) == ([], {})


def test_in_a_shell_a_simulator_that_is_not_there_is_said_so(packshot, site, settings):
    for typed in (("faults",), ("fault", "--kind", "hang"), ("calm",), ("price", "flux", "2")):
        ran = packshot(*typed)
        assert ran.code == 2
        assert "no simulator is running; start it with `packshot up` or `packshot simulate`" in ran.err
    assert "no simulator has charged anything" in packshot("bill").err
    settings.SIMULATOR = "off"
    assert "this site does not run on the simulator" in packshot("faults").err


def test_every_kind_is_listed_with_its_words(packshot):
    ran = packshot("kinds")
    assert all(f"{each.name} {each.words}" in ran.out for each in KINDS.values())
