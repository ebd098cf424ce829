"""Prompt templates: what may be filled in, what is reported, and what must come out as it went in."""

import itertools
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.catalogue.prompts import (
    FIELDS,
    PROMPT_CHARS,
    VALUE_CHARS,
    ProductFacts,
    placeholders,
    problems,
    render,
)


def soap(**changes: object) -> ProductFacts:
    facts: dict[str, object] = {
        "name": "Hemp soap",
        "sku": "HS-1",
        "description": "Kind to hands.\n\nSmells of mint.",
        "category_path": ("Cosmetics", "Soap"),
        "attributes": {"Colour": "green", "Pack type": ["box", "paper band"]},
    }
    return ProductFacts(**{**facts, **changes})  # type: ignore[arg-type]


def rendered(text: str, brand_style: str = "Soft light", **changes: object) -> str:
    result = render(text, soap(**changes), brand_style)
    assert result.missing == ()
    return result.prompt


# -- filling in ----------------------------------------------------------------------------------------


def test_every_fact_has_its_placeholder():
    text = (
        "{{name}} {{ sku }}: {{description}} [{{category}}] ({{category_path}}) "
        "{{attribute:colour}} {{brand_style}}"
    )
    assert rendered(text) == (
        "Hemp soap HS-1: Kind to hands. Smells of mint. [Soap] (Cosmetics > Soap) green Soft light"
    )
    assert {placeholder.name for placeholder in placeholders(text)} == {*FIELDS, "attribute:colour"}


@pytest.mark.parametrize("name", ["colour", "Colour", " COLOUR ", "color"])
def test_an_attribute_is_found_however_its_name_is_spelled(name):
    assert rendered(f"{{{{attribute:{name}}}}}") == "green"
    assert rendered("{{attribute:colour}}", attributes={"Color": "red"}) == "red"


@pytest.mark.parametrize("name", ["Pack type", "pack_type", "pack-type"])
def test_several_values_are_listed(name):
    assert rendered(f"{{{{attribute:{name}}}}}") == "box, paper band"


def test_a_default_stands_in_and_is_taken_literally():
    assert rendered("a {{attribute:finish|matt}} {{attribute:colour|red}} bar") == "a matt green bar"
    assert rendered("a {{attribute:finish|}} bar") == "a bar"
    assert rendered("{{attribute:finish|a | b}}") == "a | b"
    assert rendered("{{attribute:finish|name}}") == "name"


def test_what_was_used_is_told_without_defaults_and_repeats():
    result = render("{{name}} {{name}} {{attribute:finish|matt}} {{attribute:colour}}", soap(), "")
    assert result.used == ("name", "attribute:colour")


@pytest.mark.parametrize(
    ("text", "changes", "missing"),
    [
        ("{{attribute:finish}}", {}, ("attribute:finish",)),
        ("{{description}}", {"description": " \n"}, ("description",)),
        ("{{category}} {{category_path}}", {"category_path": ()}, ("category", "category_path")),
        ("{{attribute:colour}}", {"attributes": {"colour": []}}, ("attribute:colour",)),
        ("{{brand_style}}", {}, ("brand_style",)),
    ],
)
def test_a_missing_fact_is_reported_and_stays_visible(text, changes, missing):
    result = render(text, soap(**changes), brand_style="")
    assert result.missing == missing
    assert result.prompt == text


def test_white_space_is_tidied_and_paragraphs_kept():
    text = "  A  {{name}}\t on   oak. \r\n\r\n\r\n\r\n  Light: {{attribute:light|}} soft.  \n"
    assert rendered(text) == "A Hemp soap on oak.\n\nLight: soft."


def test_control_characters_never_reach_a_provider():
    assert rendered("{{name}}\x00\x1b", name="So\x00ap\u202e\x07") == "Soap"


def test_the_longest_texts_are_cut_and_said():
    result = render("{{description}}", soap(description="word " * 10_000), "")
    assert len(result.prompt) <= VALUE_CHARS
    assert result.prompt.endswith("word")
    assert result.shortened == ("description",)
    whole = render("{{description}} " * 20, soap(description="word " * 700), "")
    assert len(whole.prompt) <= PROMPT_CHARS
    assert whole.shortened == ("prompt",)


# -- checking a template -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        ("A {{nmae}}", "line 1: there is no {{nmae}}; did you mean {{name}}?"),
        ("\nA {{Name}}", "line 2: there is no {{Name}}; did you mean {{name}}?"),
        ("{{categorypath}}", "line 1: there is no {{categorypath}}; did you mean {{category_path}}?"),
        (
            "{{attributes.colour}}",
            "line 1: there is no {{attributes.colour}}; did you mean {{attribute:colour}}?",
        ),
        ("{{finish}}", "line 1: there is no {{finish}}; for an attribute write {{attribute:finish}}"),
        ("{{attribute:}}", "line 1: {{attribute:}} names no attribute; write it like {{attribute:colour}}"),
        ("a\nb {{name", "line 2: a {{ is never closed; write it like {{name}}"),
        ("{{name} and {{sku}}", "line 1: a {{ is never closed; write it like {{name}}"),
        ("{{}}", "line 1: there is no {{}}; there are name, sku"),
        ("{{7*7}}", "line 1: there is no {{7*7}}; there are name, sku"),
        ("x" * 32_001, "it has 32,001 characters; a prompt may have 32,000"),
    ],
)
def test_a_problem_says_where_and_what_to_write(text, problem):
    (found,) = problems(text)
    assert found.startswith(problem)


def test_all_problems_are_listed_at_once():
    assert len(problems("{{a1}}\n{{name\n{{attribute:}}\n{{name}}")) == 3


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        "{{ name }} {{attribute:Pack type|box}}",
        '{"scene": {"light": "soft"}}',
        "50 % {off} }} {",
    ],
)
def test_what_is_well_has_no_problems(text):
    assert problems(text) == []


# -- nothing is ever evaluated -------------------------------------------------------------------------

# fmt: off
EXPRESSIONS = [
    "7*7", "7*'7'", "config", "config.items()", "self", "self.__dict__", "request", "request.environ",
    "''.__class__", "''.__class__.__mro__[1].__subclasses__()", "[].__class__.__base__", "().__class__",
    "lipsum.__globals__", "cycler.__init__.__globals__.os", "namespace.__init__", "joiner.__init__",
    "name.__class__", "name|attr('x')", "name.format(1)", "name.__init__.__globals__[SECRET]",
    "settings.SECRET_KEY", "open('/etc/passwd').read()", "import os", "os.system('id')", "range(99999)",
    "'a'*10**6", "1/0", "loop", "product.delete()", "dump(app)", "constructor.constructor('x')()",
    "this.constructor", "$on.constructor", "T(java.lang.Runtime)", "@(1+1)", "php:phpinfo()", "name!r",
    "name:>99999999", "0.__class__", "g.pop",
]
WRAPPINGS = [
    "{{%s}}", "{%% %s %%}", "${%s}", "#{%s}", "{%s}", "{{{%s}}}", "<%%= %s %%>", "{#%s#}", "[[%s]]",
    "%%(%s)s",
]
# fmt: on
PAYLOADS = [wrapping % expression for expression, wrapping in itertools.product(EXPRESSIONS, WRAPPINGS)]


def test_there_are_at_least_two_hundred_payloads():
    assert len(set(PAYLOADS)) >= 200


@pytest.mark.parametrize("payload", PAYLOADS)
def test_an_expression_in_a_products_words_comes_out_verbatim(payload):
    everywhere = soap(name=payload, sku=payload, description=payload, attributes={"colour": payload})
    text = "{{name}} {{sku}} {{description}} {{attribute:colour}} {{brand_style}}"
    result = render(text, everywhere, payload)
    assert result.prompt == " ".join([payload] * 5)
    assert result.missing == ()


# Without those that hold a bar: {{name|words}} is a default, and literal.
@pytest.mark.parametrize("payload", [each for each in PAYLOADS if "{{" in each and "|" not in each])
def test_an_expression_in_a_template_is_refused_and_comes_out_verbatim(payload):
    assert problems(payload)
    result = render(payload, soap(), "")
    assert result.prompt == payload
    assert result.missing


def test_a_default_is_no_expression_either():
    assert rendered("{{attribute:x|attr('__class__')}}") == "attr('__class__')"


def test_values_are_not_filled_in_again():
    facts = soap(name="{{sku}}", description="{{name}}", attributes={"colour": "{{brand_style}}"})
    assert (
        render("{{name}} {{description}} {{attribute:colour}}", facts, "S").prompt
        == "{{sku}} {{name}} {{brand_style}}"
    )


@given(st.text(max_size=200), st.text(max_size=60))
def test_any_template_renders_and_any_problem_is_words(text, name):
    assert all(problem.strip() for problem in problems(text))
    result = render(text, soap(name=name or "x"), "style")
    assert len(result.prompt) <= PROMPT_CHARS
    assert result.prompt == result.prompt.strip()


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Zs", "Zl", "Zp"]), min_size=1)
)
def test_a_value_stands_in_the_prompt_as_it_is(value):
    result = render("{{name}}", soap(name=value), "")
    assert result.prompt == unicodedata.normalize("NFC", value)


@pytest.mark.parametrize("piece", ["{{", "}}", "{{a", "{{|", "{{attribute:", "{ {", "{{x}}"])
def test_a_template_made_to_be_slow_is_not(piece):
    began = time.process_time()
    text = piece * (32_000 // len(piece))
    problems(text)
    render(text, soap(), "")
    assert time.process_time() - began < 3
