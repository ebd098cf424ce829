"""Templates: who changes them, what is kept of them, and that nobody writes over what they have not seen."""

import pytest

from packshot import catalogue, preferences
from packshot.accounts import Actor
from packshot.accounts.models import AuditEntry
from packshot.catalogue import templates
from packshot.catalogue.models import Category, PromptTemplateVersion
from packshot.catalogue.templates import GENERAL, Overtaken
from packshot.flows import wording
from packshot.kernel.errors import BadInput
from tests import build
from tests.browser import story
from tests.build import EDITOR

pytestmark = pytest.mark.django_db

VIEWER = Actor(None, "vic", "viewer")


@pytest.fixture
def oils():
    build.product()
    return wording.create("Oils", "A bottle of {{name}}.", EDITOR, category_path="Food > Oils")


def test_a_new_template_serves_its_category_at_once(oils):
    assert catalogue.templates_for(["Food > Oils"])["Food > Oils"].text == "A bottle of {{name}}."
    row = templates.template_by_id(oils)
    assert row is not None
    assert (row.name, row.category_path, row.number, row.by_name) == ("Oils", "Food > Oils", 1, None)


@pytest.mark.parametrize(
    ("name", "text", "category", "field"),
    [
        ("Oils", "Another {{name}}", None, "name"),
        ("Other oils", "Another {{name}}", "Food > Oils", "category"),
        ("Nowhere", "Another {{name}}", "Not > There", "category"),
        ("  ", "Another {{name}}", None, "name"),
        ("x" * 121, "Another {{name}}", None, "name"),
        ("Empty", "   ", None, "text"),
        ("Wrong", "A {{nmae}}", None, "text"),
    ],
)
def test_what_cannot_be_made_names_its_field_and_leaves_nothing(oils, name, text, category, field):
    with pytest.raises(BadInput) as caught:
        wording.create(name, text, EDITOR, category_path=category)
    assert caught.value.field == field
    assert [row.name for row in templates.templates()] == ["Oils"]


def test_every_saved_wording_is_a_version_with_its_writer(oils):
    ada = story.person("editor", "ada")
    actor = Actor(ada.id, "ada", "editor")
    saved = wording.rewrite(oils, "A tall bottle of {{name}}.\r\n\r\nOn slate.", actor, based_on=1)
    assert (saved.number, saved.text, saved.by_name) == (2, "A tall bottle of {{name}}.\n\nOn slate.", "ada")
    again = wording.rewrite(oils, saved.text, actor, based_on=2)
    assert again.number == 2, "the same text again is no version"
    assert [each.number for each in templates.versions(oils)] == [2, 1]
    assert AuditEntry.objects.filter(action="save template", actor_name="ada").count() == 1


def test_nobody_saves_over_a_version_that_they_have_not_seen(oils):
    wording.rewrite(oils, "Ada's {{name}}", EDITOR, based_on=1)
    with pytest.raises(Overtaken) as caught:
        wording.rewrite(oils, "Bo's {{name}}", EDITOR, based_on=1)
    assert caught.value.newest.text == "Ada's {{name}}"
    assert PromptTemplateVersion.objects.filter(template_id=oils).count() == 2
    # A double click sends the same text twice, based on what it was at first.
    assert wording.rewrite(oils, "Ada's {{name}}", EDITOR, based_on=1).number == 2


def test_an_older_wording_comes_back_as_the_newest_version(oils):
    wording.rewrite(oils, "Second {{name}}", EDITOR, based_on=1)
    back = wording.use_again(oils, 1, EDITOR, based_on=2)
    assert (back.number, back.text) == (3, "A bottle of {{name}}.")
    with pytest.raises(Overtaken):
        wording.use_again(oils, 2, EDITOR, based_on=2)
    with pytest.raises(BadInput, match="no version 9"):
        wording.use_again(oils, 9, EDITOR, based_on=3)


def test_an_archived_template_serves_nothing_until_it_is_restored(oils):
    wording.create(GENERAL, "Any {{name}}", EDITOR, category_path=None)
    assert wording.archive(oils, EDITOR)
    assert not wording.archive(oils, EDITOR)
    assert catalogue.templates_for(["Food > Oils"])["Food > Oils"].template == GENERAL
    assert [row.name for row in templates.templates(archived=True)] == ["Oils"]
    assert wording.restore(oils, EDITOR)
    assert catalogue.templates_for(["Food > Oils"])["Food > Oils"].template == "Oils"


def test_a_template_whose_place_was_taken_meanwhile_stays_archived(oils):
    wording.archive(oils, EDITOR)
    newer = wording.create("New oils", "A new {{name}}", EDITOR, category_path="Food > Oils")
    with pytest.raises(BadInput, match="serves Food > Oils already"):
        wording.restore(oils, EDITOR)
    wording.archive(newer, EDITOR)
    wording.create("Oils", "Third {{name}}", EDITOR, category_path=None)
    with pytest.raises(BadInput, match="there is a template 'Oils'"):
        wording.restore(oils, EDITOR)


def test_the_template_that_catches_everything_stays():
    general = wording.create(GENERAL, "Any {{name}}", EDITOR, category_path=None)
    with pytest.raises(BadInput, match="so it stays"):
        wording.archive(general, EDITOR)
    assert templates.templates()[0].general


def test_the_general_one_stands_first_and_the_others_by_name(oils):
    for name in ("Zips", GENERAL, "apples"):
        wording.create(name, "A {{name}}", EDITOR, category_path=None)
    assert [row.name for row in templates.templates()] == [GENERAL, "apples", "Oils", "Zips"]


def test_a_category_is_offered_until_a_template_serves_it(oils):
    Category.objects.create(path="Food", name="Food")
    assert templates.free_categories() == ["Food"]
    wording.archive(oils, EDITOR)
    assert templates.free_categories() == ["Food", "Food > Oils"]


def test_products_to_try_are_of_the_category_or_hold_the_words():
    oil = build.product()
    soap = build.product("Soap 100%", category="Care")
    assert [row.sku for row in templates.products_to_try(category_path="Food")] == [oil.sku]
    assert [row.sku for row in templates.products_to_try("soap 100%")] == [soap.sku]
    assert [row.sku for row in templates.products_to_try(oil.sku.upper())] == [oil.sku]
    assert templates.products_to_try("%%") == []
    assert len(templates.products_to_try(limit=1)) == 1


def test_a_preview_shows_what_came_from_where_and_what_would_be_sent(oils):
    preferences.set("brand_style", "Soft light", "ada")
    [product] = templates.products_to_try()
    text = "A {{attribute:colour|clear}} {{name}} of {{attribute:farm}}.  {{brand_style}}"
    pieces, rendered = wording.show(text, product)
    assert [(each.kind, each.name) for each in pieces if each.kind != "words"] == [
        ("default", "attribute:colour"),
        ("filled", "name"),
        ("missing", "attribute:farm"),
        ("filled", "brand_style"),
    ]
    assert " ".join("".join(each.text for each in pieces).split()) == rendered.prompt
    assert rendered.missing == ("attribute:farm",)
    assert rendered.prompt == f"A clear {product.name} of {{{{attribute:farm}}}}. Soft light"


def test_a_viewer_changes_nothing(oils):
    for act in (
        lambda: wording.create("Mine", "A {{name}}", VIEWER, category_path=None),
        lambda: wording.rewrite(oils, "A {{name}}", VIEWER, based_on=1),
        lambda: wording.use_again(oils, 1, VIEWER, based_on=1),
        lambda: wording.archive(oils, VIEWER),
        lambda: wording.restore(oils, VIEWER),
    ):
        with pytest.raises(BadInput, match="your role"):
            act()
    assert PromptTemplateVersion.objects.count() == 1
