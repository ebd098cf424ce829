"""Templates: who changes them, which version is used, and that nobody writes over what they have not seen."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from threading import Barrier

import pytest
from django.db import DatabaseError, connection, transaction

from packshot import catalogue, preferences, sql
from packshot.accounts import Actor
from packshot.accounts.models import AuditEntry
from packshot.catalogue import templates
from packshot.catalogue.models import Category, Product, PromptMove, PromptTemplate, PromptTemplateVersion
from packshot.catalogue.templates import GENERAL, LabelMoved, MoveRow, Overtaken
from packshot.flows import generate, wording
from packshot.flows.generate import Ask
from packshot.generations.models import Generation
from packshot.kernel.errors import BadInput
from tests import build
from tests.browser import story
from tests.build import ADMIN, EDITOR

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


# -- the label -----------------------------------------------------------------------------------------


def moved(template) -> list[tuple[int | None, int, str]]:
    return [(each.from_number, each.to_number, each.by_name) for each in templates.moves(template)]


def test_a_draft_serves_nobody_until_it_is_put_in_use(oils):
    row = wording.rewrite(oils, "A draft of {{name}}.", EDITOR, based_on=1, use=False)
    assert (row.number, row.text, row.newest, row.draft) == (1, "A bottle of {{name}}.", 2, 2)
    assert catalogue.templates_for(["Food > Oils"])["Food > Oils"].text == "A bottle of {{name}}."
    assert catalogue.template_by_name("Oils").number == 1
    row, before = wording.use(oils, 2, EDITOR, in_use=1)
    assert (row.number, row.draft, before) == (2, None, 1)
    assert catalogue.templates_for(["Food > Oils"])["Food > Oils"].text == "A draft of {{name}}."
    assert AuditEntry.objects.filter(action="use template version", detail__instead_of=1).count() == 1


def test_what_is_asked_for_while_there_is_a_draft_is_worded_as_the_version_in_use(oils):
    build.provider_row(name="sandbox")
    product = catalogue.by_sku([Product.objects.get().sku])

    def asked(key: str, template: str | None = None) -> tuple[str, int]:
        made = generate.request(
            Ask(product, "sandbox", template=template), ADMIN, request_key=key, agreed_micros=0
        )
        generation = Generation.objects.select_related("template_version").get(pk=made.generation_ids[0])
        return generation.prompt, generation.template_version.number

    wording.rewrite(oils, "A draft of {{name}}.", EDITOR, based_on=1, use=False)
    old = (f"A bottle of {product[0].name}.", 1)
    assert (asked("by its category"), asked("by its name", "Oils")) == (old, old)
    wording.use(oils, 2, EDITOR)
    assert asked("once used") == (f"A draft of {product[0].name}.", 2)
    wording.use(oils, 1, EDITOR)
    assert asked("taken back") == old


def test_going_back_moves_the_label_and_copies_no_text(oils):
    wording.rewrite(oils, "Second {{name}}", EDITOR, based_on=1)
    row, before = wording.use(oils, 1, EDITOR, in_use=2)
    assert (row.number, row.text, row.newest, row.draft, before) == (1, "A bottle of {{name}}.", 2, None, 2)
    assert PromptTemplateVersion.objects.filter(template_id=oils).count() == 2
    assert moved(oils) == [(2, 1, "ed"), (1, 2, "ed"), (None, 1, "ed")]
    assert wording.use(oils, 1, EDITOR, in_use=1) == (row, None), "it is in use: nothing moves"
    assert len(moved(oils)) == 3
    with pytest.raises(BadInput, match="no version 9; it has 1 to 2"):
        wording.use(oils, 9, EDITOR, in_use=1)


def test_a_version_saved_for_use_and_its_move_bear_the_same_time(oils):
    wording.rewrite(oils, "Second {{name}}", EDITOR, based_on=1)
    wording.rewrite(oils, "Third {{name}}", EDITOR, based_on=2, use=False)
    wording.use(oils, 3, EDITOR)
    times = {each.number: each.at for each in templates.versions(oils)}
    third, second, first = templates.moves(oils)
    assert (first.at, second.at) == (times[1], times[2])
    assert third.at > times[3], "a draft came first"


def test_nobody_moves_a_label_that_somebody_moved_meanwhile(oils):
    wording.rewrite(oils, "Second {{name}}", EDITOR, based_on=1)
    wording.rewrite(oils, "Third {{name}}", EDITOR, based_on=2)
    wording.use(oils, 1, EDITOR, in_use=3)
    with pytest.raises(LabelMoved) as caught:
        wording.use(oils, 2, EDITOR, in_use=3)
    assert (caught.value.move.to_number, caught.value.move.by_name) == (1, "ed")
    with pytest.raises(LabelMoved):
        wording.rewrite(oils, "Fourth {{name}}", EDITOR, based_on=3, in_use=3)
    assert templates.template_by_id(oils).newest == 3, "nothing was saved either"
    # A draft takes nobody's place.
    assert wording.rewrite(oils, "Fourth {{name}}", EDITOR, based_on=3, in_use=3, use=False).draft == 4


def test_what_is_saved_for_use_twice_moves_once(oils):
    for _ in range(2):
        wording.rewrite(oils, "Second {{name}}", EDITOR, based_on=1, in_use=1)
    assert moved(oils) == [(1, 2, "ed"), (None, 1, "ed")]


def test_a_draft_saved_unchanged_for_use_becomes_the_version_in_use(oils):
    wording.rewrite(oils, "Second {{name}}", EDITOR, based_on=1, use=False)
    row = wording.rewrite(oils, "Second {{name}}", EDITOR, based_on=2, in_use=1)
    assert (row.number, row.newest, row.draft) == (2, 2, None)
    assert wording.rewrite(oils, row.text, EDITOR, based_on=2, use=False) == row, "no version, no move"


def test_a_version_that_was_in_use_is_no_draft(oils):
    wording.rewrite(oils, "Second {{name}}", EDITOR, based_on=1, use=False)
    wording.rewrite(oils, "Third {{name}}", EDITOR, based_on=2)
    wording.use(oils, 1, EDITOR)
    assert [(each.number, each.used) for each in templates.versions(oils)] == [
        (3, True),
        (2, False),
        (1, True),
    ]
    assert templates.template_by_id(oils).draft is None, "the newest was in use"


def test_the_command_lines_words_are_used_at_once_or_left_a_draft(oils):
    assert wording.save("Oils", "Second {{name}}", EDITOR, use=False).number == 2
    assert catalogue.template_by_name("Oils").number == 1
    assert wording.save("Oils", "Second {{name}}", EDITOR).number == 2
    assert catalogue.template_by_name("Oils").number == 2
    assert wording.use_by_name("Oils", 1, EDITOR) == 2
    assert wording.use_by_name("Oils", 1, EDITOR) is None
    with pytest.raises(BadInput, match="there is no template 'Balms'"):
        wording.use_by_name("Balms", 1, EDITOR)
    assert moved(oils) == [(2, 1, "ed"), (1, 2, "ed"), (None, 1, "ed")]


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        act()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return str(caught.value)


def test_the_database_itself_keeps_the_label_and_its_history_together(oils):
    wording.rewrite(oils, "Second {{name}}", EDITOR, based_on=1, use=False)
    other = wording.create("Other", "A {{name}}", EDITOR, category_path=None)
    wording.rewrite(other, "Another {{name}}", EDITOR, based_on=1, use=False)
    wording.rewrite(other, "A third {{name}}", EDITOR, based_on=2, use=False)
    row, moves = PromptTemplate.objects.filter(pk=oils), PromptMove.objects.filter(template_id=oils)
    assert "moves only with a line of its history" in refused(lambda: row.update(production_number=2))
    assert "only grows" in refused(lambda: moves.update(moved_by_name="nobody"))
    assert "only grows" in refused(lambda: moves.delete())

    def to_another_templates_version() -> None:
        moves.create(template_id=oils, number=2, from_number=1, to_number=3)
        row.update(production_number=3)

    assert "packshot_promptmove_to_its_own" in refused(to_another_templates_version)
    assert "packshot_template_production_is_its_own" in refused(
        lambda: PromptTemplate.objects.create(name="Without a version")
    )
    assert "packshot_promptmove_moves" in refused(
        lambda: moves.create(template_id=oils, number=2, from_number=None, to_number=2)
    )
    assert templates.template_by_id(oils).number == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_move_the_label_at_once_the_second_is_told():
    build.product()
    oils = wording.create("Oils", "First {{name}}", EDITOR, category_path="Food > Oils")
    wording.rewrite(oils, "Second {{name}}", EDITOR, based_on=1, use=False)
    wording.rewrite(oils, "Third {{name}}", EDITOR, based_on=2, use=False)
    together = Barrier(2)

    def use(number: int) -> int | MoveRow:
        try:
            together.wait(60)
            return wording.use(oils, number, Actor(None, f"who wants {number}", "editor"), in_use=1)[0].number
        except LabelMoved as problem:
            return problem.move
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(use, (2, 3)))
    (won,) = [each for each in outcomes if isinstance(each, int)]
    (told,) = [each for each in outcomes if isinstance(each, MoveRow)]
    assert (told.to_number, told.by_name) == (won, f"who wants {won}")
    assert templates.template_by_id(oils).number == won
    assert [(each.from_number, each.to_number) for each in templates.moves(oils)] == [(1, won), (None, 1)]


def test_templates_from_before_there_were_labels_keep_their_newest_version_and_its_past(oils):
    ada = story.person("editor", "ada")
    wording.rewrite(oils, "Second {{name}}", Actor(ada.id, "ada", "editor"), based_on=1)
    wording.rewrite(oils, "Third {{name}}", EDITOR, based_on=2, use=False)
    before = {each.number: each.at for each in templates.versions(oils)}
    with connection.cursor() as cursor:
        # As they stood: no moves, and the column as it comes.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM packshot_promptmove")
        cursor.execute("UPDATE packshot_prompttemplate SET production_number = 1")
        text = sql.text("prompt_labels", 1)
        cursor.execute(text[: text.index("-- The label stands on a version of its own")])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    assert templates.template_by_id(oils).number == 3
    assert [(each.from_number, each.to_number, each.by_name, each.at) for each in templates.moves(oils)] == [
        (2, 3, "", before[3]),
        (1, 2, "ada", before[2]),
        (None, 1, "", before[1]),
    ]
    assert import_module("packshot.migrations.0027_prompt_labels").Migration.operations[-1].sql == text


# -- where it serves -----------------------------------------------------------------------------------


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


def test_products_to_try_are_found_as_everywhere_by_words_in_any_order_attributes_and_beginnings():
    oil, soap = build.product("Cold pressed oil"), build.product("Soap", category="Care")
    Product.objects.filter(pk=soap.pk).update(attributes={"colour": "Dusty green"})

    def tried(text: str) -> list[str]:
        return [row.sku for row in templates.products_to_try(text)]

    assert tried("oil cold") == [oil.sku]
    assert tried("green soap") == [soap.sku]
    assert tried("so") == [soap.sku]
    assert tried("es") == []  # is in pressed, and begins nothing


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


def test_ten_products_are_tried_those_that_lack_something_first_and_then_different_ones():
    def product(name: str, category: str, **attributes: str) -> None:
        made = build.product(name, category=category)
        Product.objects.filter(pk=made.pk).update(name=name, attributes=attributes)

    for number in range(30):
        product(f"Oil {number}", "Food > Oils", farm="Home", colour="green")
    product("Plain oil", "Food > Oils", farm="Home")
    product("No farm", "Food > Seeds", colour="grey")
    product("Nothing said", "Food > Seeds")
    product("Served elsewhere", "Food > Tea")
    product("Elsewhere", "Care")
    product("Nowhere", "")
    wording.create("Tea", "A {{name}}", EDITOR, category_path="Food > Tea")
    text = "{{name}} of {{attribute:farm}}, {{attribute:colour|natural}}"
    found = wording.survey(text, "Food")
    assert (found.looked_at, found.lacking) == (33, 2)
    assert len(found.trials) == 10
    assert {each.product.name for each in found.trials[:2]} == {"No farm", "Nothing said"}
    assert all(each.missing == ("attribute:farm",) for each in found.trials[:2])
    assert "Plain oil" in {each.product.name for each in found.trials[2:]}, "it takes the default"
    assert not any(each.missing for each in found.trials[2:])
    everywhere = {each.product.category_path for each in wording.survey(text, None).trials}
    assert everywhere == {"Food > Oils", "Food > Seeds", "Care", ""}, "what no template serves by itself"
    assert wording.survey("{{name}} {{nmae}}", "Food").lacking == 0, "no product could have that"
    long = wording.survey("{{name}} " * 3_000, "Food")
    assert long.looked_at == 10, "as few as can be shown, where a wording is much work"


def test_a_viewer_changes_nothing(oils):
    for act in (
        lambda: wording.create("Mine", "A {{name}}", VIEWER, category_path=None),
        lambda: wording.rewrite(oils, "A {{name}}", VIEWER, based_on=1),
        lambda: wording.use(oils, 1, VIEWER, in_use=1),
        lambda: wording.use_by_name("Oils", 1, VIEWER),
        lambda: wording.archive(oils, VIEWER),
        lambda: wording.restore(oils, VIEWER),
    ):
        with pytest.raises(BadInput, match="your role"):
            act()
    assert PromptTemplateVersion.objects.count() == 1
