"""Each command as a person types it, on the real database."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from packshot import accounts, catalogue, events, generations, ledger, reports
from packshot.accounts.models import AuditEntry, User
from packshot.blobs import BlobStore, open_store
from packshot.catalogue.models import Image, Product
from packshot.cli import main, screen
from packshot.cli.commands import COMMANDS
from packshot.flows import admit, inspecting, look
from packshot.flows.desk import Desk, quoting
from packshot.generations.bulk_models import BulkAction
from packshot.generations.models import Generation, Run
from packshot.imaging import studio
from packshot.kernel.errors import Refused, Unsure
from packshot.kernel.money import micros
from packshot.providers.contract import Account, Inspection
from packshot.providers.openai import OpenAI
from tests import build
from tests.unit.test_docs import command

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Packshot = Callable[..., Ran]


@pytest.fixture
def packshot(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Packshot:
    """The program, run in this process so that it sees the test's transaction."""

    def run(*words: object, columns: int = 200) -> Ran:
        monkeypatch.setattr(sys, "argv", ["packshot", *map(str, words)])
        monkeypatch.setenv("COLUMNS", str(columns))
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


@pytest.fixture
def sandbox() -> None:
    """The free provider, enrolled, and a template that fits every product."""
    build.provider_row("sandbox")
    catalogue.save_template(catalogue.GENERAL, "A photograph of {{name}}")


def claim(provider: str = "sandbox") -> generations.Claim:
    """The next generation in the queue, its paid call begun."""
    process_id = build.process().id
    (found,) = admit.admit(quoting()[provider], process_id=process_id, most=1)
    admit.start_sending([found], process_id=process_id)
    return found


def an_image(product: Product) -> Image:
    return Image.objects.create(
        product=product,
        blob="ab" * 32,
        media_type="image/png",
        width_px=64,
        height_px=64,
        size_bytes=100,
        provider="photo",
        model="",
        simulated=False,
        digital_source_type="digitalCapture",
    )


# -- the program itself ------------------------------------------------------------------------


def test_help_and_version_read_neither_django_nor_a_decoder_nor_a_server() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['packshot', sys.argv[1]]\n"
        "from packshot.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('django', 'pyvips', 'uvicorn', 'httpx') if name in sys.modules])"
    )
    for word in ("--help", "--version"):
        ran = subprocess.run([sys.executable, "-c", code, word], capture_output=True, text=True, check=True)
        assert ran.stdout.splitlines()[-1] == "[]"


def test_the_next_command_is_told_as_it_can_be_typed_here(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin" / "packshot")])
    assert screen.program() == "bin/packshot"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "src" / "packshot" / "__main__.py")])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert screen.program() == "bin/python -m packshot"
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/packshot")
    assert screen.program() == "packshot"


def _commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command by the words that call it."""
    for name, each in getattr(group, "commands", {}).items():
        yield (*words, name)
        yield from _commands(each, (*words, name))


def test_every_help_names_its_options_whole_in_a_narrow_window(packshot: Packshot) -> None:
    for name in COMMANDS:
        for words in [(name,), *_commands(command(name), (name,))]:
            told = packshot(*words, "--help", columns=80).out
            assert "…" not in told, words
            assert "...}" not in told and "...]]" not in told and "]...]" not in told, words


def test_a_filter_by_a_provider_that_never_was_is_refused_and_not_just_empty(packshot: Packshot) -> None:
    build.provider_row("flux")
    assert "No generation fits" in packshot("queue", "list", "--provider", "flux").out
    for words in (("queue", "list"), ("queue", "retry"), ("queue", "cancel")):
        ran = packshot(*words, "--provider", "flix")
        assert ran.code == 2
        assert "there is no provider 'flix'; `packshot provider list` shows them" in ran.err


def test_a_wording_that_cannot_be_read_is_refused_in_words(packshot: Packshot, tmp_path: Path) -> None:
    ran = packshot("templates", "save", "Tea", tmp_path / "nowhere.txt")
    assert ran.err.strip().endswith("nowhere.txt cannot be read: No such file or directory. Check the path")
    (tmp_path / "odd.txt").write_bytes("Süß".encode("latin-1"))
    assert "odd.txt is not text in UTF-8" in packshot("templates", "save", "Tea", tmp_path / "odd.txt").err


def test_a_misspelt_command_is_answered_with_the_right_one(packshot: Packshot) -> None:
    ran = packshot("spendin", "show")
    assert ran.code == 2
    assert "spending" in ran.err


def test_a_bug_is_told_in_a_line_and_its_traceback_only_when_asked_for(
    packshot: Packshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("the key sk-abcdefghijklmnop is refused")

    monkeypatch.setattr("packshot.reports.queue", broken)
    ran = packshot("queue", "list")
    assert ran.code == 2
    assert "this is a bug: RuntimeError" in ran.err
    assert "Traceback" not in ran.err
    assert "sk-abcdefghijklmnop" not in ran.err

    monkeypatch.setenv("PACKSHOT_DEBUG", "1")
    ran = packshot("queue", "list")
    assert "Traceback" in ran.err
    assert "sk-abcdefghijklmnop" not in ran.err


def test_a_products_words_cannot_move_the_cursor_or_set_a_colour(packshot: Packshot) -> None:
    Product.objects.create(sku="evil", name="\x1b[2J\x1b]0;title\x07[red]Tea[/red]\x9b31m")
    ran = packshot("products", "list")
    assert "[red]Tea[/red]" in ran.out
    assert not {"\x1b", "\x07", "\x9b"} & set(ran.out)


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    """OpenAI on simulated money, and a store of the test's own."""
    build.provider_row("openai")
    build.budget("1000")
    store = open_store(f"file://{tmp_path / 'blobs'}")
    monkeypatch.setattr(look, "store", lambda: store)
    return store


def edited(packshot: Packshot, *words: object) -> Ran:
    sku = build.product().sku
    return packshot("generate", "--provider", "openai", "--sku", sku, "--prompt", "on slate", *words)


def test_pictures_from_files_and_from_images_go_with_the_request(
    packshot: Packshot, editor: BlobStore, tmp_path: Path
) -> None:
    image = an_image(build.product())
    file = tmp_path / "apron.png"
    file.write_bytes(build.PNG)
    ran = edited(packshot, "--input", image.id, "--input", file, "--yes")
    assert ran.code == 0, ran.err
    assert re.search(r"Pictures\s+image 64 x 64 px, image 1 x 1 px", ran.out)
    assert re.search(r"Note\s+How these models count pictures that go in is not published", ran.out)
    first, second = Generation.objects.get().inputs
    assert (first["image_id"], first["blob"]) == (str(image.id), image.blob)
    assert second["image_id"] is None
    assert editor.get(second["blob"]) == build.PNG


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--input", "no-such-file.png"), "no-such-file.png cannot be read: No such file"),
        (("--input", "0197a3c4-0000-7000-8000-000000000000"), "there is no image 0197a3c4"),
        (("--input", __file__), "test_cli_commands.py: this picture cannot be used: Not a PNG"),
        (("--negative", "logos"), "GPT Image 2 takes no negative prompt"),
        (("--style", "{png}"), "GPT Image 2 takes no style picture"),
        (("--mask", "{png}"), "A mask says what to change of a picture, and there is none"),
        (
            ("--input", "{png}", "--mask", "{wide}"),
            "The mask must be as large as the first picture, 1 x 1 px",
        ),
    ],
)
def test_pictures_that_cannot_go_along_are_refused_by_name(
    packshot: Packshot, editor: BlobStore, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    small, wide = tmp_path / "small.png", tmp_path / "wide.png"
    small.write_bytes(build.PNG)
    scene = studio.describe("a jar", style="sandbox", seed=1, width_px=64, height_px=32)
    wide.write_bytes(studio.render(scene, media_type="image/png"))
    ran = edited(packshot, *(word.format(png=small, wide=wide) for word in words), "--yes")
    assert ran.code == 2
    assert why in " ".join(ran.err.split())
    assert not Generation.objects.exists()


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Inspection], None]:
    """OpenAI with a real key, whose account says what it is told to."""
    build.provider_row("openai", simulated=False)
    adapter = OpenAI(Account("sk-canary", "https://api.openai.com", simulated=False), None)  # type: ignore[arg-type]
    monkeypatch.setattr(inspecting, "desk", lambda: Desk({"openai": adapter}, {"openai": False}, {}))
    monkeypatch.setattr(inspecting, "today", lambda: date(2026, 11, 22))

    def say(found: Inspection) -> None:
        async def inspect(_: OpenAI) -> Inspection:
            return found

        monkeypatch.setattr(OpenAI, "inspect", inspect)

    return say


def test_a_key_is_proved_without_an_image_and_models_that_stop_are_named(
    packshot: Packshot, looked_at: Callable[[Inspection], None]
) -> None:
    looked_at(Inspection(True, "The key works.", micros("12.34"), {"gpt-image-2.5-flare": date(2027, 1, 2)}))
    ran = packshot("provider", "check", "openai")
    assert ran.code == 0
    assert re.search(r"openai\s+real\s+works\s+\$12\.34\s+The key works\.", ran.out)
    stops = ran.err.splitlines()
    assert "openai: gpt-image-1.5 stops on 2026-12-01, use gpt-image-2" in stops
    assert "openai: gpt-image-2.5-flare stops on 2027-01-02, use gpt-image-2" in stops
    assert packshot("provider", "list").err.splitlines() == stops
    (row,) = json.loads(packshot("provider", "list", "--json").out)
    assert (row["name"], row["key_works"], row["balance_micros"]) == ("openai", True, 12_340_000)
    assert {"model": "gpt-image-1.5", "on": "2026-12-01", "successor": "gpt-image-2"}.items() <= (
        row["stops"][2].items()
    )
    assert not Generation.objects.exists()


def test_a_key_that_is_refused_ends_with_one_and_one_that_cannot_be_told_with_nought(
    packshot: Packshot, looked_at: Callable[[Inspection], None]
) -> None:
    looked_at(Inspection(False, "Incorrect API key provided."))
    ran = packshot("provider", "check")
    assert ran.code == 1
    assert re.search(r"openai\s+real\s+refused\s+Incorrect API key", ran.out)
    looked_at(Inspection(None, "OpenAI could not be asked: no route to host"))
    ran = packshot("provider", "check", "--json")
    assert (ran.code, json.loads(ran.out)[0]["found"]["key_works"]) == (0, None)
    assert packshot("provider", "check", "nobody").code == 2


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit_the_window(packshot: Packshot, sandbox: None, columns: int) -> None:
    build.budget("1000")
    for number in range(3):
        Product.objects.create(sku=f"SKU-{number}", name="A very long name of a product " * 5)
    packshot("generate", "--all", "--provider", "sandbox")
    for words in (("products", "list"), ("queue", "list"), ("provider", "list"), ("spending", "show")):
        ran = packshot(*words, columns=columns)
        assert ran.code == 0
        table = [line for line in ran.out.splitlines() if "  " in line]
        assert max(map(len, table)) <= columns


# -- import ------------------------------------------------------------------------------------


@pytest.fixture
def catalogue_file(tmp_path: Path) -> Path:
    file = tmp_path / "shop.csv"
    file.write_text("sku,name,price\nTEA-1,Nettle tea,4.50\n,No name,3\nTEA-2,Mint tea,cheap\n")
    return file


def test_a_dry_run_names_row_field_reason_and_remedy_and_changes_nothing(
    packshot: Packshot, catalogue_file: Path
) -> None:
    ran = packshot("import", catalogue_file, "--dry-run")
    assert ran.code == 0
    cells = [re.split(r"\s{2,}", line.strip()) for line in ran.out.splitlines()]
    assert ["2", "0", "0", "1"] in cells  # created, changed, unchanged, rejected
    assert ["3", "sku", "it is empty", "Fill it in.", "rejected"] in cells
    assert any(row[:2] == ["4", "price"] and row[-1] == "imported" for row in cells)
    assert "Nothing was changed." in ran.out
    assert not Product.objects.exists()


def test_an_import_without_a_terminal_applies_and_a_second_one_changes_nothing(
    packshot: Packshot, catalogue_file: Path
) -> None:
    first = packshot("import", catalogue_file)
    assert "Imported: 2 created, 0 changed, 0 unchanged, 1 rejected." in first.out
    second = packshot("import", catalogue_file)
    assert "Imported: 0 created, 0 changed, 2 unchanged, 1 rejected." in second.out
    assert set(Product.objects.values_list("sku", flat=True)) == {"TEA-1", "TEA-2"}
    assert AuditEntry.objects.filter(action="import catalogue").count() == 2


def test_a_file_that_is_no_catalogue_is_refused_in_words(packshot: Packshot, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    ran = packshot("import", tmp_path / "empty.csv")
    assert ran.code == 2
    assert ran.err.startswith("packshot: ")
    assert packshot("import", tmp_path / "missing.csv").code == 2


# -- generate ----------------------------------------------------------------------------------


def test_a_request_shows_its_price_first_and_lands_in_the_queue(packshot: Packshot, sandbox: None) -> None:
    one, two = build.product("Tea"), build.product("Oil")
    ran = packshot("generate", "--sku", f"{one.sku},{two.sku}", "--provider", "sandbox", "--shape", "4:5")
    assert ran.code == 0
    assert "2 of 2 products, 4:5" in ran.out
    assert "simulated: nothing is charged" in ran.out
    assert "Request key" in ran.out
    found = Generation.objects.order_by("id")
    assert [each.prompt for each in found] == [f"A photograph of {one.name}", f"A photograph of {two.name}"]
    assert Run.objects.get().title == "2 images from Sandbox", "as pages name the provider"


def test_a_repeat_with_the_same_key_gets_the_first_answer(packshot: Packshot, sandbox: None) -> None:
    product = build.product()
    words = ("generate", "--sku", product.sku, "--provider", "sandbox", "--key", "a-key-of-mine")
    assert packshot(*words).code == 0
    again = packshot(*words)
    assert again.code == 0
    assert "stored before" in again.out
    assert Generation.objects.count() == 1

    other = packshot(*words, "--shape", "4:5")
    assert other.code == 2
    assert "used before for a different request" in other.err


def test_products_with_gaps_are_listed_and_nothing_is_asked_for(packshot: Packshot, sandbox: None) -> None:
    product = build.product()
    ran = packshot(
        "generate",
        "--sku",
        product.sku,
        "--provider",
        "sandbox",
        "--prompt",
        "{{name}} in {{attribute:colour}}",
    )
    assert ran.code == 2
    assert product.sku in ran.out and "attribute:colour" in ran.out
    assert "nothing was asked for" in ran.err
    assert not Generation.objects.exists()


def test_real_money_is_not_spent_by_a_script_that_did_not_agree(packshot: Packshot) -> None:
    build.provider_row("openai", simulated=False)
    build.budget("25", simulated=False)
    words = ("generate", "--sku", build.product().sku, "--provider", "openai", "--prompt", "A photograph")
    ran = packshot(*words)
    assert ran.code == 2
    assert "REAL" in ran.out and "--yes" in ran.err
    assert not Generation.objects.exists()
    assert packshot(*words, "--yes").code == 0
    assert Generation.objects.get().simulated is False


def test_an_option_is_checked_against_the_models_card(packshot: Packshot, sandbox: None) -> None:
    words = ("generate", "--sku", build.product().sku, "--provider", "sandbox", "--option")
    assert "it has long_side" in packshot(*words, "quality=high").err
    assert packshot(*words, "long_side=7").code == 2
    assert packshot(*words, "long_side=512").code == 0
    assert Generation.objects.get().options == {"long_side": "512"}


def test_waiting_ends_with_1_and_sums_up_what_failed_and_what_to_do(
    packshot: Packshot, sandbox: None
) -> None:
    build.budget("1")
    build.product(), build.product()
    words = ("generate", "--all", "--provider", "sandbox", "--key", "a-key-of-mine")
    assert packshot(*words).code == 0
    good, bad = claim(), claim()
    build.end(
        build.delivered(good, cost="0.00"), build.failed(bad, Refused("another brand's logo", kind="refused"))
    )
    ran = packshot(*words, "--wait")
    assert ran.code == 1
    assert "1 completed, 1 failed." in ran.out
    assert "Change the prompt, or use another provider." in ran.out


def test_waiting_without_a_worker_says_so(packshot: Packshot, sandbox: None) -> None:
    build.product()
    words = ("generate", "--all", "--provider", "sandbox", "--key", "a-key-of-mine")
    packshot(*words)
    done = claim()
    build.end(build.delivered(done, cost="0.00"))
    generations.retire(build.attempt(done).process_id)
    ran = packshot(*words, "--wait")
    assert ran.code == 0
    assert "No worker runs" in ran.err


# -- the queue ---------------------------------------------------------------------------------


def test_the_queue_is_listed_for_people_and_for_scripts(packshot: Packshot, sandbox: None) -> None:
    product = build.product("Tea")
    packshot("generate", "--sku", product.sku, "--provider", "sandbox")
    key = Generation.objects.get().id
    assert str(key)[-8:] in packshot("queue", "list", "--status", "pending", "--text", "tea").out
    assert "No generation fits." in packshot("queue", "list", "--status", "failed").out
    (row,) = json.loads(packshot("queue", "list", "--json").out)
    assert row["id"] == str(key)
    assert row["sku"] == product.sku
    assert packshot("queue", "list", "--status", "lost").code == 2


def test_what_waits_is_cancelled_and_what_failed_is_retried(packshot: Packshot, sandbox: None) -> None:
    build.budget("1")
    build.product(), build.product()
    packshot("generate", "--all", "--provider", "sandbox")
    build.end(build.failed(claim(), Refused("no", kind="refused")))

    assert "1 generation cancelled." in packshot("queue", "cancel", "--pending").out
    assert "1 generation went back into the queue." in packshot("queue", "retry", "--failed").out
    assert sorted(Generation.objects.values_list("status", flat=True)) == ["cancelled", "pending"]
    assert packshot("queue", "retry", "--failed").code == 2
    assert packshot("queue", "cancel").code == 2


def test_the_queue_is_acted_on_by_the_filter_of_its_page(packshot: Packshot, sandbox: None) -> None:
    build.budget("1")
    teapot, mug = build.product("Teapot"), build.product("Mug")
    packshot("generate", "--all", "--provider", "sandbox")

    seen = packshot("queue", "cancel", "--text", "teapot", "--age", "1h", "--dry-run").out
    assert "1 generation." in seen and "Nothing was changed." in seen
    assert set(Generation.objects.values_list("status", flat=True)) == {"pending"}
    assert (
        "1 generation with the new priority."
        in packshot("queue", "reprioritise", "--text", "mug", "--priority", "20").out
    )
    assert Generation.objects.get(product=mug).priority == 20
    assert Generation.objects.get(product=teapot).priority == 0
    assert "1 generation cancelled." in packshot("queue", "cancel", "--text", "teapot").out
    assert Generation.objects.get(product=mug).status == "pending"
    action = BulkAction.objects.latest("id")
    assert (action.filter, action.asked_by_name.partition(":")[0]) == ({"text": "teapot"}, "cli")
    for wrong in (("--age", "yesterday"), ("--error", "bored"), ("--cost", "much"), ("--template", "none")):
        assert packshot("queue", "cancel", *wrong).code == 2, wrong
    assert packshot("queue", "cancel", "--all").code == 0
    assert Generation.objects.get(product=mug).status == "cancelled"


def test_an_uncertain_charge_is_settled_by_a_persons_evidence(packshot: Packshot) -> None:
    build.budget("1")
    build.provider_row("openai")
    sent = build.sent(build.StandIn())
    build.end(build.failed(sent, Unsure("cut off", kind="cut_off")))
    short = str(sent.generation.id)[-8:]

    shown = packshot("queue", "show", short)
    assert "queue resolve" in shown.out
    assert packshot("queue", "resolve", short, "--free").code == 2  # no evidence
    assert packshot("queue", "resolve", short, "--note", "line 3").code == 2  # no verdict
    ran = packshot("queue", "resolve", short, "--charged", "--amount", "0.03", "--note", "line 3 of the bill")
    assert ran.code == 0
    assert build.balances() == (micros("0.03"), 0)
    shown = packshot("queue", "show", sent.generation.id)
    assert "charged_no_image" in shown.out and "line 3 of the bill" in shown.out
    assert packshot("queue", "resolve", short, "--free", "--note", "again").code == 2


def test_an_id_that_is_not_there_or_ends_like_two_others_is_refused(packshot: Packshot) -> None:
    assert "there is no generation" in packshot("queue", "show", "00000000").err
    assert "not an id" in packshot("queue", "show", "tea").err


# -- images, products, templates ---------------------------------------------------------------


def test_an_image_becomes_the_active_one_and_everybody_hears_of_it(packshot: Packshot) -> None:
    product = build.product()
    image = an_image(product)
    assert f"{str(image.id)[-8:]}" in packshot("images", "list", "--sku", product.sku).out
    ran = packshot("images", "activate", str(image.id)[-8:])
    assert ran.code == 0
    assert Product.objects.get(pk=product.pk).active_image_id == image.id
    assert [(each.topic, each.kind) for each in events.since(0)] == [("product", "activated")]
    assert "already" in packshot("images", "activate", image.id).out
    (row,) = json.loads(packshot("images", "list", "--json").out)
    assert row["active"] is True
    assert AuditEntry.objects.filter(action="activate image").count() == 1


def test_products_are_found_by_text_and_by_what_they_lack(packshot: Packshot) -> None:
    tea, oil = build.product("Tea"), build.product("Oil")
    Product.objects.filter(pk=tea.pk).update(active_image=an_image(tea))
    assert [
        row["sku"] for row in json.loads(packshot("products", "list", "--without-image", "--json").out)
    ] == [oil.sku]
    listed = packshot("products", "list", "--text", "tea").out
    assert tea.sku in listed and oil.sku not in listed
    assert "1 of 2 products" in packshot("products", "list", "--limit", "1").out
    # A letter or two find what begins with them, as on the page.
    assert tea.sku in packshot("products", "list", "--text", "te").out
    assert "No product fits" in packshot("products", "list", "--text", "ea").out


def test_a_template_is_saved_tried_and_listed(packshot: Packshot, tmp_path: Path) -> None:
    product = build.product("Tea", category="Food > Tea")
    file = tmp_path / "tea.txt"
    file.write_text("{{name}} in a {{attribute:vessel|cup}}")
    assert packshot("templates", "save", "Tea", file, "--category", "Food > Tea").code == 0
    assert f"{product.name} in a cup" in packshot("templates", "preview", "Tea", "--sku", product.sku).out
    assert "Food > Tea" in packshot("templates", "list").out
    file.write_text("{{name}} with {{attribute:vessel}}")
    packshot("templates", "save", "Tea", file)
    assert packshot("templates", "show", "Tea").out.strip() == "{{name}} with {{attribute:vessel}}"
    ran = packshot("templates", "preview", "Tea", "--sku", product.sku)
    assert ran.code == 2 and "attribute:vessel" in ran.err
    file.write_text("{{nmae}}")
    assert "did you mean {{name}}" in packshot("templates", "save", "Tea", file).err


def test_a_template_is_drafted_used_and_taken_back(packshot: Packshot, tmp_path: Path) -> None:
    file = tmp_path / "tea.txt"
    file.write_text("First {{name}}")
    packshot("templates", "save", "Tea", file, "--draft")
    assert packshot("templates", "show", "Tea").out.strip() == "First {{name}}", "its first is in use"
    file.write_text("Second {{name}}")
    assert re.search(r"In use\s+1", packshot("templates", "save", "Tea", file, "--draft").out)
    assert packshot("templates", "show", "Tea").out.strip() == "First {{name}}"
    assert packshot("templates", "show", "Tea", "--version", "2").out.strip() == "Second {{name}}"
    assert re.search(r"Tea\s+when named\s+1\s+2", packshot("templates", "list").out)
    assert "draft" in packshot("templates", "versions", "Tea").out
    assert re.search(r"In use\s+2\s+Before\s+1", packshot("templates", "use", "Tea", "2").out)
    assert packshot("templates", "show", "Tea").out.strip() == "Second {{name}}"
    listed = packshot("templates", "versions", "Tea").out
    assert re.search(r"2\s+in use.*\n.*1\s+was in use", listed), listed
    assert "2, as before" in packshot("templates", "use", "Tea", "2").out
    packshot("templates", "use", "Tea", "1")
    assert packshot("templates", "show", "Tea").out.strip() == "First {{name}}"
    for wrong in (("use", "Tea", "7"), ("show", "Tea", "--version", "7")):
        ran = packshot("templates", *wrong)
        assert ran.code == 2 and "has no version 7; it has 1 to 2" in ran.err
    assert "there is no template 'Coffee'" in packshot("templates", "use", "Coffee", "1").err


# -- money -------------------------------------------------------------------------------------


def test_spending_stops_at_once_and_says_stopped_once_every_worker_confirmed(packshot: Packshot) -> None:
    worker = build.process()
    assert "Spending goes on." in packshot("spending", "show").out
    assert "Stopping" in packshot("spending", "stop").out
    state = ledger.stop_state()
    assert state.stopped
    generations.beat(worker.id, stop_acknowledged=state.version)
    assert "Stopped" in packshot("spending", "show").out
    assert "Spending goes on." in packshot("spending", "resume").out
    assert [(each.topic, each.kind) for each in events.since(0)] == [
        ("spending", "stopped"),
        ("spending", "resumed"),
    ]
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"stop spending", "resume spending"}


def test_a_real_provider_is_switched_on_with_a_limit_only(packshot: Packshot) -> None:
    build.provider_row("openai", simulated=False, on=False)
    assert "--limit" in packshot("provider", "on", "openai").err
    assert "amount of dollars" in packshot("provider", "on", "openai", "--limit", "plenty").err
    ran = packshot(
        "provider", "on", "openai", "--limit", "25.50", "--period", "week", "--zone", "Europe/Berlin"
    )
    assert ran.code == 0
    limit = ledger.spending_limit()
    assert limit is not None
    assert (limit.limit_micros, limit.period, limit.zone) == (micros("25.50"), "week", "Europe/Berlin")
    assert "$25.50" in packshot("spending", "show").out
    assert generations.provider_switch("openai") == generations.Switch(False, True, True)
    packshot("provider", "off", "openai")
    assert generations.provider_switch("openai") == generations.Switch(False, True, False)


def test_a_simulated_provider_needs_no_switch(packshot: Packshot) -> None:
    build.provider_row("openai")
    ran = packshot("provider", "on", "openai", "--limit", "5")
    assert ran.code == 2
    assert ledger.spending_limit() is None


def test_a_provider_is_paused_and_resumed(packshot: Packshot) -> None:
    build.provider_row("openai")
    assert "is paused" in packshot("provider", "pause", "openai").out
    assert "paused already" in packshot("provider", "pause", "openai").out
    (row,) = json.loads(packshot("provider", "list", "--json").out)
    assert row["state"] == "paused"
    assert "goes on" in packshot("provider", "resume", "openai").out
    assert packshot("provider", "pause", "nobody").code == 2


def test_the_ledger_names_every_hold(packshot: Packshot) -> None:
    build.budget("1")
    build.provider_row("openai")
    build.end(build.delivered(build.sent(build.StandIn())))
    uncertain = build.sent(build.StandIn())
    build.end(build.failed(uncertain, Unsure("cut off", kind="cut_off")))
    ran = packshot("ledger", "show")
    assert "nobody knows what was charged" in ran.out
    assert str(uncertain.generation.id)[-8:] in ran.out
    found = json.loads(packshot("ledger", "show", "--json").out)
    assert found["totals"] == [
        {"provider": "openai", "simulated": True, "charges": 1, "corrections": 0, "amount_micros": 40_000}
    ]
    assert [each["amount_micros"] for each in found["held"]] == [40_000]


def test_rollups_that_were_wrong_are_named_and_put_right(packshot: Packshot) -> None:
    assert "Every figure was right." in packshot("rollups", "rebuild").out
    never_made = reports.Delta(timezone.now(), "openai", "stand-in", simulated=True, images=3)
    reports.add([never_made], slot=generations.SHARED_SLOT)
    ran = packshot("rollups", "rebuild")
    assert ran.code == 1
    assert "images" in ran.out
    assert packshot("rollups", "rebuild").code == 0


# -- prices and limits -------------------------------------------------------------------------


def test_prices_are_listed_with_their_source_and_date(packshot: Packshot) -> None:
    build.provider_row("flux")
    ran = packshot("provider", "prices", "flux")
    assert ran.code == 0, ran.err
    (line,) = [each for each in ran.out.splitlines() if re.search(r"flux-2-pro ", each)]
    assert re.search(r"every choice +\$0.030 +\$0.045 +flux-20\d\d-\d\d-\d\d +20\d\d-\d\d-\d\d", line)
    everything = json.loads(packshot("provider", "prices", "--json").out)
    assert {"openai", "flux", "stability", "midjourney", "sandbox"} <= {
        each["provider"] for each in everything
    }
    (found,) = [each for each in everything if (each["provider"], each["model"]) == ("flux", "flux-2-pro")]
    assert (found["low_micros"], found["most_micros"], found["yours"]) == (30_000, 45_000, False)
    assert found["sources"][0].startswith("https://")
    ran = packshot("provider", "prices", "nobody")
    assert ran.code == 2
    assert "there is no provider 'nobody'" in ran.err


def test_a_price_is_set_taken_back_and_set_to_unknown(packshot: Packshot) -> None:
    build.provider_row("openai")
    words = ("provider", "set-price", "openai", "gpt-image-2")
    ran = packshot(*words, "0.06", "--for", "quality=high", "--at-most", "$0.08", "--source", "an invoice")
    assert ran.out == "gpt-image-2, quality=high costs $0.060 an image.\n", ran.err
    lines = [
        each
        for each in packshot("provider", "prices", "openai").out.splitlines()
        if "gpt-image-2 " in each and "quality=high" in each
    ]
    # It holds for both deliveries, and stands on a line of its own.
    assert len(lines) == 3
    assert all(re.search(r"\$0.060 +\$0.080 +yours: an invoice \(cli:\w+\)", line) for line in lines)
    (entry,) = AuditEntry.objects.filter(action="set price")
    assert entry.actor_name.startswith("cli:")
    ran = packshot(*words, "unknown", "--for", "quality=high", "--source", "they changed it")
    assert "has no known price" in ran.out
    ran = packshot(*words, "published", "--for", "quality=high", "--source", "the page is right again")
    assert "costs what is published" in ran.out
    assert "yours" not in packshot("provider", "prices", "openai").out
    ran = packshot(*words, "0.07", "--from", "2099-01-01", "--source", "their announcement")
    assert "costs $0.070 an image from 2099-01-01 on." in ran.out
    assert generations.provider_switch("openai").price_edition != 0
    assert "$0.070" not in packshot("provider", "prices", "openai").out


def test_a_price_that_cannot_be_says_why(packshot: Packshot) -> None:
    build.provider_row("openai")
    words = ("provider", "set-price", "openai", "gpt-image-2")
    for more, said in (
        (("cheap", "--source", "a page"), "is not an amount of dollars"),
        (("0.05", "--source", "x"), "say where the price is from"),
        (("0.05", "--for", "quality", "--source", "a page"), "write it like quality=high"),
        (("0.05", "--for", "quality=best", "--source", "a page"), "is one of low, medium, high"),
        (("0.05",), "--source"),
    ):
        ran = packshot(*words, *more)
        assert ran.code == 2, more
        assert said in ran.err + ran.out, more
    assert not AuditEntry.objects.filter(action="set price").exists()


def test_limits_are_set_and_a_provider_drains(packshot: Packshot) -> None:
    build.provider_row("flux", in_flight=8)
    assert packshot("provider", "limits", "flux", "--at-once", 3, "--per-minute", 60).out == (
        "flux: 3 at once, 60 a minute.\n"
    )
    assert (
        "had these limits already"
        in packshot("provider", "limits", "flux", "--at-once", 3, "--per-minute", 60).out
    )
    assert "any number a minute" in packshot("provider", "limits", "flux", "--at-once", 3).out
    assert packshot("provider", "limits", "flux", "--at-once", 0).code == 2
    assert "takes no new requests" in packshot("provider", "drain", "flux").out
    assert "draining" in packshot("provider", "list").out
    assert "goes on" in packshot("provider", "resume", "flux").out
    assert "draining" not in packshot("provider", "list").out


# -- people and settings -----------------------------------------------------------------------


def test_a_password_is_shown_once_and_works(packshot: Packshot) -> None:
    ran = packshot("people", "add", "bo", "--role", "editor")
    password = next(line.split()[1] for line in ran.out.splitlines() if line.startswith("Password"))
    person = User.objects.get(username="bo")
    assert person.check_password(password)
    assert person.role == "editor"
    packshot("people", "password", "bo")
    assert not User.objects.get(username="bo").check_password(password)
    assert packshot("people", "add", "BO", "--role", "viewer").code == 2
    assert packshot("people", "add", "eve", "--role", "owner").code == 2
    assert password not in packshot("people", "list").out


def test_the_last_administrator_cannot_be_shut_out(packshot: Packshot) -> None:
    accounts.first_administrator()
    assert "last administrator" in packshot("people", "disable", "admin").err
    assert "last administrator" in packshot("people", "role", "admin", "--role", "viewer").err
    packshot("people", "add", "bo", "--role", "administrator")
    assert packshot("people", "disable", "admin").code == 0
    assert not User.objects.get(username="admin").is_active
    assert packshot("people", "enable", "admin").code == 0


def test_a_setting_is_changed_or_refused_in_words(packshot: Packshot) -> None:
    assert "old_image_days is 90 now." in packshot("settings", "set", "old_image_days", "90").out
    assert packshot("settings", "get", "old_image_days").out.strip() == "90"
    assert "whole number" in packshot("settings", "set", "old_image_days", "never").err
    packshot("settings", "set", "placeholder_list", "stand-in", "soon.png")
    assert packshot("settings", "get", "placeholder_list").out.split() == ["stand-in", "soon.png"]
    assert "there is no setting" in packshot("settings", "get", "colour").err
    assert json.loads(packshot("settings", "list", "--json").out)["old_image_days"] == 90


# -- the doctor --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_doctor_finds_what_is_wrong_and_says_how_to_mend_it(packshot: Packshot) -> None:
    ran = packshot("doctor", "--json")
    assert ran.code == 1
    found = {each["name"]: each for each in json.loads(ran.out)}
    for name in ("keys", "database", "tables", "connections", "sessions", "realtime", "views", "image store"):
        assert found[name]["ok"], found[name]
    assert "people add" in found["people"]["remedy"]
    assert "packshot" in found["workers"]["remedy"]
    assert not found["providers"]["ok"]


@pytest.mark.django_db(transaction=True)
def test_the_doctor_names_paused_providers_and_stopped_spending(packshot: Packshot) -> None:
    build.provider_row("sandbox")
    accounts.first_administrator()
    with transaction.atomic():
        generations.enrol("pay")
        generations.enrol("chores")
        generations.pause("sandbox", kind="person", message="enough for today")
        ledger.stop_spending("ada")
    ran = packshot("doctor", columns=80)
    assert ran.code == 1
    assert "enough for today" in ran.out and "provider resume sandbox" in ran.out
    assert "stopped by ada" in ran.out
    assert "✓ workers" in ran.out


def test_the_doctor_shows_whether_a_key_is_there_and_never_the_key(
    packshot: Packshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PROVIDER_KEYS", {"openai": "sk-very-secret-key"})
    ran = packshot("doctor")
    assert "OpenAI set (OPENAI_API_KEY)" in ran.out
    assert "secret" not in ran.out + ran.err
