"""The documentation is true to the code: links, files, variables, settings, commands, rights."""

import os
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from typer.main import get_command

from packshot import accounts
from packshot.accounts.models import Role
from packshot.cli.commands import COMMANDS
from packshot.preferences import DEFAULTS
from packshot.web.security import CONTENT_SECURITY_POLICY

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "packshot"
PAGES = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "changes/*.md", "src/**/*.md") for path in ROOT.glob(pattern)
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

# Not called `page`: that is a browser's, in the tests that have one.
every_page = pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def prose(text: str) -> str:
    return _FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """What stands in code type within the prose, on one line each."""
    return [" ".join(span.split()) for span in _SPAN.findall(prose(text))]


def anchors(text: str) -> set[str]:
    """The addresses of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@every_page
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for link in _LINK.findall(prose(document.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target.read_text()), f"{link}: there is no such heading"


def test_the_readme_opens_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    first = _FENCE.search(text)
    assert first is not None
    assert first[2].split("\n") == ["bin/up", "bin/test", ""]
    assert text[: first.start()].count("\n") < 10
    for command in ("bin/up", "bin/test"):
        assert os.access(ROOT / command, os.X_OK)


# -- variables and settings ----------------------------------------------------------------------


def variables_read(monkeypatch: pytest.MonkeyPatch, home: Path) -> set[str]:
    """Every name that settings.py looks up in the environment, for a user who set none."""
    read: set[str] = set()

    class Watched(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            if sys._getframe(1).f_code.co_filename == str(SOURCE / "settings.py"):
                read.add(name)
            return super().get(name, default)

    ours = re.compile(r"PACKSHOT_|XDG_|DATABASE_URL|BLOB_URL|.*_API_KEY")
    plain = {name: value for name, value in os.environ.items() if not ours.match(name)}
    monkeypatch.setattr(os, "environ", Watched(plain, HOME=str(home)))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # root's data folder is fixed: no variable is looked up
    runpy.run_path(str(SOURCE / "settings.py"))
    return read


def test_every_variable_that_the_settings_read_is_documented(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read = variables_read(monkeypatch, tmp_path)
    assert {"PACKSHOT_DATA", "XDG_DATA_HOME", "PACKSHOT_FLUX_URL", "OPENAI_API_KEY"} <= read
    documented = (ROOT / "docs" / "settings.md").read_text()
    assert [name for name in sorted(read) if f"| `{name}` |" not in documented] == []


@every_page
def test_every_variable_of_ours_in_a_page_is_read_somewhere(document: Path) -> None:
    programs = [*SOURCE.rglob("*.py"), *(ROOT / "bin").iterdir(), *(ROOT / "tests").rglob("*.py")]
    code = "\n".join(path.read_text() for path in programs if path != Path(__file__))
    # Where a provider is reached is put together from its name.
    code += "".join(f"PACKSHOT_{name}_URL" for name in ("OPENAI", "FLUX", "STABILITY", "MIDJOURNEY"))
    named = set(re.findall(r"PACKSHOT_[A-Z]+(?:_[A-Z]+)*", document.read_text()))
    assert sorted(name for name in named if name not in code) == []


def test_every_setting_of_the_site_is_documented() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text()
    assert [key for key in DEFAULTS if f"| `{key}` |" not in documented] == []


# -- commands ------------------------------------------------------------------------------------


def command(name: str) -> Any:
    module, _, attribute = COMMANDS[name].home.partition(":")
    return get_command(getattr(import_module(f"packshot.cli.{module}"), attribute))


def written_commands(text: str) -> Iterator[list[str]]:
    """Each `packshot ...` and `bin/up ...` of a page as its words after the program's name."""
    lines = [line for kind, block in _FENCE.findall(text) if kind == "sh" for line in block.splitlines()]
    for line in [*lines, *spans(text)]:
        line = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line)
        if re.match(r"(?:packshot|bin/up)(?: |$)", line):
            program, *words = shlex.split(line.replace("...", ""))
            yield ["up", *words] if program == "bin/up" else words


@every_page
def test_every_command_in_a_page_exists_with_its_options(document: Path) -> None:
    for words in written_commands(document.read_text()):
        if words[:1] == ["--data"]:
            words = words[2:]
        if not words or words[0] in ("--help", "--version"):
            continue
        assert words[0] in COMMANDS, f"there is no `packshot {words[0]}`"
        found, rest = command(words[0]), words[1:]
        if rest and hasattr(found, "commands") and not rest[0].startswith("-"):
            assert rest[0] in found.commands, f"there is no `packshot {' '.join(words[:2])}`"
            found, rest = found.commands[rest[0]], rest[1:]
        known = {"--help", *(name for each in found.params for name in (*each.opts, *each.secondary_opts))}
        unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in known]
        assert not unknown, f"`packshot {' '.join(words)}`: there is no {unknown[0]}"


def test_the_pages_name_every_command_group() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    named = {words[0] for words in written_commands(text) if words}
    assert set(COMMANDS) - named == set()


# -- what else a page claims ---------------------------------------------------------------------


@every_page
def test_every_file_named_in_a_page_exists(document: Path) -> None:
    for span in spans(document.read_text()):
        if re.fullmatch(r"[\w./-]+\.(?:py|sql|toml|md)", span) and not re.search(r"NAME|\.vN\.", span):
            homes = (ROOT, SOURCE, SOURCE / "providers", SOURCE / "catalogue" / "demo", document.parent)
            assert any((home / span).exists() for home in homes), f"there is no {span}"


def test_every_function_and_table_of_the_tour_exists() -> None:
    text = (ROOT / "docs" / "tour.md").read_text()
    dotted = [
        span for span in spans(text) if re.fullmatch(r"(?:flows|generations|ledger|events)(?:\.\w+)+", span)
    ]
    assert len(dotted) > 10
    for span in dotted:
        module, _, name = f"packshot.{span}".rpartition(".")
        assert hasattr(import_module(module), name), f"there is no {span}"
    tables = {model._meta.db_table.removeprefix("packshot_") for model in apps.get_models()}
    for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE):
        assert set(_SPAN.findall(row)) <= tables, f"there is no table {row}"


def test_the_rights_in_the_security_page_are_those_of_the_roles() -> None:
    columns = ["anyone", *Role.values]
    shown = {}
    for row in re.findall(
        r"^\| `(\w+)` \|(.+)\|$", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE
    ):
        cells = [cell.strip() == "yes" for cell in row[1].split("|")[1:]]
        shown[row[0]] = {column for column, cell in zip(columns, cells, strict=True) if cell}
    everybody = set(columns)
    assert shown == {
        right: everybody if "anyone" in roles else set(roles) for right, roles in accounts.matrix().items()
    }


def test_the_policy_in_the_security_page_is_the_one_that_is_sent() -> None:
    text = " ".join((ROOT / "docs" / "security.md").read_text().split())
    assert f"Content-Security-Policy: {CONTENT_SECURITY_POLICY}" in text


def test_every_decision_says_context_decision_and_consequence_and_is_listed() -> None:
    listed = (ROOT / "docs" / "README.md").read_text()
    decisions = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    assert decisions
    for path in decisions:
        assert f"decisions/{path.name}" in listed
        text = path.read_text()
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == ["Context", "Decision", "Consequence"]
