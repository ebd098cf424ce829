"""What may stand in a template, a script and an answer: nothing that the Content-Security-Policy forbids."""

import gzip
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import brotli
import pytest

from packshot import web
from packshot.generations.models import GENERATION_STATUSES, WAIT_REASONS
from packshot.kernel.errors import ErrorKind
from packshot.reports import ProviderState
from packshot.web import words
from packshot.web.assets import PAGE_STYLES, STYLES, assets
from packshot.web.assets import SCRIPTS as MODULES
from packshot.web.jinja import icon
from packshot.web.live import _topics

WEB = Path(web.__file__).parent
TEMPLATES = sorted((WEB / "templates").rglob("*.*"))
SCRIPTS = sorted((WEB / "static").glob("*.js"))

FORBIDDEN_IN_TEMPLATES = {
    "a style attribute": re.compile(r"""\sstyle\s*=""", re.IGNORECASE),
    "an inline handler": re.compile(r"""<[^>]*\son[a-z]+\s*=""", re.IGNORECASE),
    "htmx's own inline handler": re.compile(r"hx-on\b"),
    "a script address": re.compile(r"""["']\s*(?:javascript|js):"""),
    "an htmx trigger that needs eval": re.compile(r"""hx-trigger="[^"]*\["""),
    "innerMorph, which breaks on its own id": re.compile(r"innerMorph"),
    "an inline script": re.compile(r"<script(?![^>]*\ssrc=)", re.IGNORECASE),
    "an inline style sheet": re.compile(r"<style", re.IGNORECASE),
    "an address of somebody else": re.compile(r"""(?:src|href)=["']?(?:https?:)?//"""),
    "markup out of text": re.compile(r"\|\s*safe\b|Markup\(|\{%\s*autoescape"),
}
FORBIDDEN_IN_SCRIPTS = re.compile(
    r"\b(?:eval|Function|innerHTML|outerHTML|insertAdjacentHTML|localStorage)\b"
)


class _Reader(HTMLParser):
    """Collects what an answer must not have, as a browser would understand it: text in quotes is text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        wrong = {
            "a style attribute": "style" in given,
            "an inline handler": any(re.match(r"on[a-z]|hx-on", name) for name in given),
            "a script address": any(
                re.match(r"\s*(javascript|js):", value, re.IGNORECASE) for value in given.values()
            ),
            "an htmx trigger that needs eval": "[" in given.get("hx-trigger", ""),
            "innerMorph, which breaks on its own id": given.get("hx-swap") == "innerMorph",
            "an inline script": tag == "script" and "src" not in given,
            "an inline style sheet": tag == "style",
            "an address of somebody else": any(
                re.match(r"(https?:)?//", given.get(name, "")) for name in ("src", "href", "action")
            ),
        }
        self.found += [name for name, is_wrong in wrong.items() if is_wrong]


def breaches(markup: str) -> list[str]:
    """What the rules forbid and `markup` has."""
    reader = _Reader()
    reader.feed(markup)
    return reader.found


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.relative_to(WEB).as_posix())
def test_a_template_holds_nothing_that_the_policy_forbids(template):
    text = template.read_text("utf-8")
    assert [name for name, rule in FORBIDDEN_IN_TEMPLATES.items() if rule.search(text)] == []


def test_the_rules_find_what_they_are_for():
    assert breaches('<p style="color:red">') == ["a style attribute"]
    assert breaches("<p onclick=go()>") == ["an inline handler"]
    assert breaches("""<a href="javascript:go()">""") == ["a script address"]
    assert breaches("""<b hx-trigger="click[ctrlKey]">""") == ["an htmx trigger that needs eval"]
    assert breaches("<script>go()</script>") == ["an inline script"]
    assert breaches('<img src="//example.com/x.png">') == ["an address of somebody else"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_our_scripts_make_no_markup_out_of_text_and_ask_no_storage_for_rights(script):
    assert FORBIDDEN_IN_SCRIPTS.findall(script.read_text("utf-8")) == []


def test_a_fragment_of_the_stream_asks_for_no_forms_token_and_for_nobody():
    for topic in _topics.values():
        if not topic.template:
            assert topic.event, topic.name
            continue
        text = (WEB / "templates" / topic.template).read_text("utf-8")
        assert "csrf" not in text
        assert "actor" not in text


def test_vendored_files_are_what_their_list_says():
    listed = (WEB / "static" / "vendor" / "VENDOR.md").read_text("utf-8")
    for path, digest in re.findall(
        r"^\| `([^`]+\.(?:js|woff2))` \|.*`([0-9a-f]{64})` \|$", listed, re.MULTILINE
    ):
        if not path.startswith("dist/"):
            content = (WEB / "static" / "vendor" / path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == digest, path
    bundle = (WEB / "static" / "vendor" / "htmx.bundle.js").read_bytes()
    core, sse = bundle.split(b"\n", 1)
    parts = [hashlib.sha256(core).hexdigest(), hashlib.sha256(sse.removesuffix(b"\n")).hexdigest()]
    assert all(f"`{part}`" in listed for part in parts)


def test_every_icon_that_is_named_is_there():
    named = {word.icon for table in (words.STATUSES, words.PROVIDER_STATES) for word in table.values()}
    for template in TEMPLATES:
        named |= set(re.findall(r"""icon\("([a-z0-9-]+)\"""", template.read_text("utf-8")))
    assert len(named) > 20
    for name in named:
        assert "<svg" in icon(name)
    drawn = {path.stem for path in (WEB / "icons").glob("*.svg")}
    elsewhere = "\n".join(path.read_text("utf-8") for path in (WEB).rglob("*.py"))
    assert {name for name in drawn - named if f'"{name}"' not in elsewhere} == set(), (
        "icons that nobody shows"
    )


def test_everything_the_database_can_say_has_a_word():
    assert words.STATUSES.keys() == set(GENERATION_STATUSES)
    assert words.WAITS.keys() >= set(WAIT_REASONS)
    assert words.ERRORS.keys() == set(get_args(ErrorKind))
    assert words.PROVIDER_STATES.keys() == set(get_args(ProviderState))


def scripts(*parts: str) -> set[str]:
    """The scripts that these templates name."""
    return {
        name
        for part in parts
        for name in re.findall(r"static\('([a-z./-]+\.js)'\)", (WEB / "templates" / part).read_text("utf-8"))
    }


def test_the_script_of_every_page_is_one_file_of_modules_that_give_each_other_what_they_import():
    served = assets().by_path
    (bundle,) = {path for path in served if path.removesuffix(".js") in MODULES}
    text = served[bundle].content.decode()
    places = [text.index(f"const ${name} = ") for name in MODULES[:-1]]
    assert places == sorted(places)
    for names, module in re.findall(r"const \{([^}]+)\} = \$(\w+);", text):
        (given,) = re.findall(rf"const \${module} = .*?return \{{([^}}]+)\}};\n\}}\)\(\);", text, re.DOTALL)
        assert set(re.findall(r"\w+", names)) <= set(re.findall(r"\w+", given)), module
    assert not re.search(r"^(import|export) (?!const \{)", text, re.MULTILINE), "nothing is left to fetch"
    for path, asset in served.items():
        if path.endswith(".js") and "/" not in path:
            imported = re.findall(r'^import .* from "\./(.*)";$', asset.content.decode(), re.MULTILINE)
            assert set(imported) <= set(served), path


def test_a_first_visit_weighs_little():
    weight = {path: len(asset.zipped or asset.content) for path, asset in assets().by_path.items()}
    everywhere = scripts("layouts/page.html", "layouts/desk.html")
    pages = sorted(path.name for path in (WEB / "templates" / "pages").iterdir())
    named = everywhere.union(*(scripts(f"pages/{page}") for page in pages))
    assert {path for path in weight if path.endswith(".js")} - named == {"charts.js"}, "loaded when asked for"
    for page in pages:
        loaded = everywhere | scripts(f"pages/{page}")
        assert sum(weight[name] for name in loaded) < 40_000, page
        text = (WEB / "templates" / "pages" / page).read_text("utf-8")
        sheets = {"packshot.css", *re.findall(r"static\('(\w+\.css)'\)", text)}
        assert sum(weight[name] for name in sheets) < 20_000, page
    assert sum(size for path, size in weight.items() if path.endswith(".woff2")) < 60_000


def test_what_is_served_zipped_is_what_is_served_plain():
    for path, asset in assets().by_path.items():
        assert asset.zipped is None or gzip.decompress(asset.zipped) == asset.content, path
        assert asset.brotli is None or brotli.decompress(asset.brotli) == asset.content, path


def test_the_style_sheet_is_all_of_its_parts_and_nothing_else():
    parts = {path.stem for path in (WEB / "styles").iterdir()}
    assert parts == {*STYLES, *PAGE_STYLES}
    sheet = assets().by_path["packshot.css"].content.decode()
    assert "/*" not in sheet
    for name in STYLES:
        rules = re.findall(
            r"^\s*(\.[a-z-]+) \{", (WEB / "styles" / f"{name}.css").read_text("utf-8"), re.MULTILINE
        )
        assert all(f"{rule} {{" in sheet for rule in rules), name
