"""Catalogue files become products: all of their good rows or nothing, and a second time nothing at all."""

import csv
import json
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from packshot import catalogue, preferences
from packshot.accounts import Actor
from packshot.accounts.models import AuditEntry
from packshot.catalogue.models import Category, Image, ImportRecord, Product, PromptTemplate
from packshot.events.models import Event
from packshot.flows import import_catalogue
from packshot.flows.import_catalogue import ImportPlan
from packshot.kernel.errors import BadInput
from tests.beside import Beside
from tests.build import ADMIN, EDITOR

pytestmark = pytest.mark.django_db

SAMPLES = (
    ("shopify-apparel.csv", 20),
    ("shopify-home-and-garden.csv", 20),
    ("saleor-populatedb_data.json", 32),
)
VIEWER = Actor(None, "vic", "viewer")


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV of these rows: one column for every key that any of them has."""

    def write(*rows: dict[str, str], name: str = "catalogue.csv") -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as stream:
            table = csv.DictWriter(stream, list(dict.fromkeys(key for row in rows for key in row)))
            table.writeheader()
            table.writerows(rows)
        return path

    return write


def oil(**more: str) -> dict[str, str]:
    return {"sku": "oil", "name": "Hemp seed oil"} | more


def apply(path: Path, **more: str) -> ImportPlan:
    return import_catalogue.apply(path, EDITOR, **more)


def counts(plan: ImportPlan) -> tuple[int, int, int, int]:
    return plan.created, plan.changed, plan.unchanged, plan.rejected


def digest() -> dict[str, str]:
    """Every row of every table, in short."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(
                f"SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {table} AS t"
            )
            (found[table],) = cursor.fetchone()
    assert "packshot_product" in found
    return found


# -- the whole of it --------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "products"), SAMPLES)
def test_every_sample_file_imports_and_a_second_time_changes_nothing(shared, name, products):
    path = shared / "sample-catalogues" / name
    assert counts(apply(path)) == (products, 0, 0, 0)
    before = list(Product.objects.order_by("id").values())
    assert counts(apply(path)) == (0, 0, products, 0)
    assert list(Product.objects.order_by("id").values()) == before
    assert Product.objects.exclude(name="").exclude(sku="").count() == products


def test_a_dry_run_says_what_would_happen_and_writes_nothing(file):
    apply(file(oil(price="9.50"), {"sku": "rope", "name": "Rope", "price": "4"}))
    path = file(
        {"sku": "lamp", "name": "Lamp", "category": "Home > Light", "price": "x"},
        {"sku": "rope", "name": "Rope", "price": "4"},
        {"sku": "", "name": "Nobody"},
        oil(price="12"),
    )
    before = digest()
    plan = import_catalogue.plan(path)
    assert digest() == before
    assert counts(plan) == (1, 1, 1, 1)
    assert [(each.row, each.sku, each.created, each.fields) for each in plan.examples] == [
        (5, "oil", False, "price"),
        (2, "lamp", True, ""),
    ]
    assert [(each.row, each.field, each.fatal_for_product) for each in plan.problems] == [
        (2, "price", False),
        (4, "sku", True),
    ]
    assert all(each.reason and each.what_to_do for each in plan.problems)
    assert not plan.applied
    assert plan.id is None
    assert counts(apply(path)) == counts(plan)


def test_new_products_are_numbered_in_the_order_of_the_file(file):
    skus = [f"{kind}-{number}" for kind in ("rope", "oil", "lamp") for number in range(20)]
    apply(file(*({"sku": sku, "name": sku} for sku in skus)))
    assert list(Product.objects.order_by("id").values_list("sku", flat=True)) == skus


HEAD = "sku,name\noil,Oil\nrope,Rope\n"
TURNS_BAD = {
    "a quotation mark never closes": HEAD + 'lamp,"Lamp\n' + "tea,Tea\n" * 2_000,
    "a cell has no end": HEAD + f'lamp,"{"La" * 600_000}"\n',
    "there are too many rows": HEAD + "\n" * 500_000 + "lamp,Lamp\n",
}


@pytest.mark.parametrize("trouble", TURNS_BAD)
def test_a_file_that_turns_bad_in_the_middle_leaves_nothing(tmp_path, trouble):
    path = tmp_path / "bad.csv"
    path.write_text(TURNS_BAD[trouble])
    before = digest()
    with pytest.raises(BadInput):
        apply(path)
    assert digest() == before


@pytest.mark.django_db(transaction=True)
def test_an_import_that_fails_at_its_commit_leaves_nothing(file):
    # The reference to whoever applied it is checked last of all.
    nobody = Actor(uuid4(), "gone", "editor")
    before = digest()
    with pytest.raises(IntegrityError, match="foreign key"):
        import_catalogue.apply(file(oil(category="Food > Oils")), nobody)
    assert digest() == before


def test_the_number_of_statements_does_not_grow_with_the_rows(file):
    def statements(count: int) -> int:
        path = file(*({"sku": f"{count}-{n}", "name": "Rope", "category": f"C{n % 7}"} for n in range(count)))
        with CaptureQueriesContext(connection) as first:
            apply(path)
        with CaptureQueriesContext(connection) as again:
            assert apply(path).unchanged == count
        return len(first) + len(again)

    assert statements(10) == statements(1_000)


def test_what_was_done_is_recorded_audited_and_told(file):
    done = apply(file(oil(), {"sku": "", "name": "Nobody"}))
    record = ImportRecord.objects.get()
    assert (record.id, record.file_name, record.format) == (done.id, "catalogue.csv", "csv")
    assert (record.created, record.changed, record.unchanged, record.rejected) == (1, 0, 0, 1)
    assert [problem["row"] for problem in record.problems] == [3]
    audited = AuditEntry.objects.get(action="import catalogue")
    assert (audited.actor_name, audited.subject) == ("ed", "catalogue.csv")
    assert audited.detail == {"sha256": record.file_sha256, "created": 1, "changed": 0, "rejected": 1}
    told = Event.objects.get(topic="catalogue")
    assert (told.kind, told.subject, told.data) == (
        "imported",
        str(record.id),
        {"created": 1, "changed": 0, "rejected": 1},
    )


def test_a_viewer_may_not_import(file):
    before = digest()
    for act in (
        lambda: import_catalogue.apply(file(oil()), VIEWER),
        lambda: import_catalogue.load_demo(VIEWER),
        lambda: import_catalogue.load_templates(VIEWER),
    ):
        with pytest.raises(BadInput, match="your role"):
            act()
    assert digest() == before


def test_a_thousand_problems_are_kept_and_all_are_counted(file):
    nameless = [{"sku": "", "name": "", "description": f"number {number}"} for number in range(1_200)]
    done = apply(file(*nameless, oil(description="the good one")))
    # Neither has a SKU nor a name: two problems, one product.
    assert counts(done) == (1, 0, 0, 1_200)
    assert done.problem_count == 2_400
    assert len(done.problems) == len(ImportRecord.objects.get().problems) == 1_000


# -- what changes -----------------------------------------------------------------------------------


def test_a_changed_row_changes_its_product_and_no_other(file):
    apply(file(oil(price="9.50", category="Food > Oils"), {"sku": "rope", "name": "Rope", "price": "4"}))
    rope = Product.objects.filter(sku="rope").values().get()
    before = Product.objects.get(sku="oil")
    path = file(
        oil(name="Hemp oil", price="12", currency="EUR", category="Food"),
        {"sku": "rope", "name": "Rope", "price": "4.00"},
    )
    done = apply(path)
    assert counts(done) == (0, 1, 1, 0)
    assert done.examples[0].fields == "name, category, price, currency"
    after = Product.objects.get(sku="oil")
    assert (after.pk, after.name, after.price, after.currency) == (before.pk, "Hemp oil", Decimal(12), "EUR")
    assert after.category.path == "Food"
    assert after.created_at == before.created_at
    assert Product.objects.filter(sku="rope").values().get() == rope


FULL = oil(
    description="Pressed cold.",
    category="Food > Oils",
    price="9.50",
    currency="EUR",
    images="https://shop.example.com/oil.jpg",
    colour="green",
    pack="bottle",
)


def test_an_empty_cell_and_a_missing_column_leave_what_is_there(file):
    apply(file(FULL))
    before = Product.objects.values().get()
    assert counts(apply(file(dict.fromkeys(FULL, "") | oil()))) == (0, 0, 1, 0)
    assert counts(apply(file(oil()))) == (0, 0, 1, 0)
    assert Product.objects.values().get() == before


def test_attributes_are_added_name_by_name_and_a_list_is_replaced_whole(tmp_path):
    def attributes(**found: object) -> dict[str, object]:
        path = tmp_path / "one.json"
        path.write_text(json.dumps([{"sku": "oil", "name": "Oil", **found}]))
        apply(path)
        return Product.objects.get().attributes

    old = {"colour": ["green", "gold", "amber"], "pack": "bottle"}
    assert attributes(**old) == old
    # Some of the known values are not the known values: amber is no longer made.
    fewer = {"colour": ["green", "gold"], "pack": "bottle"}
    assert attributes(colour=["green", "gold"]) == fewer
    assert attributes(size="250 ml") == fewer | {"size": "250 ml"}


def test_ids_of_other_systems_are_merged(tmp_path):
    mapping = tmp_path / "mapping.toml"
    path = tmp_path / "one.json"

    def known(system: str, number: str) -> dict[str, str]:
        mapping.write_text(f'[fields]\nsku = "sku"\nname = "name"\n[external_ids]\n{system} = "id"\n')
        path.write_text(json.dumps([{"sku": "oil", "name": "Oil", "id": number}]))
        apply(path, mapping=str(mapping))
        return Product.objects.get().external_ids

    assert known("erp", "7") == {"erp": "7"}
    assert known("shop", "A1") == {"erp": "7", "shop": "A1"}
    assert known("erp", "8") == {"erp": "8", "shop": "A1"}


def test_an_archived_product_comes_back_as_itself_and_the_plan_says_so(file):
    path = file(oil())
    apply(path)
    before = Product.objects.get()
    Product.objects.update(archived_at=timezone.now())
    plan = import_catalogue.plan(path)
    assert (counts(plan), plan.revived) == ((0, 1, 0, 0), 1)
    assert plan.examples[0].fields == "archived"
    assert Product.objects.get().archived_at is not None
    done = apply(path)
    assert (counts(done), done.revived) == ((0, 1, 0, 0), 1)
    assert Product.objects.get() == before
    assert Product.objects.get().archived_at is None
    assert apply(path).revived == 0


def test_a_sku_means_the_product_in_use_and_not_the_archived_one_of_the_same_name(file):
    archived = Product.objects.create(sku="oil", name="An older oil", archived_at=timezone.now())
    Product.objects.create(sku="oil", name="Oil")
    done = apply(file(oil()))
    assert (counts(done), done.revived) == ((0, 1, 0, 0), 0)
    archived.refresh_from_db()
    assert archived.name == "An older oil"
    assert Product.objects.get(archived_at=None).name == "Hemp seed oil"


def test_of_several_archived_ones_the_last_archived_comes_back(file):
    now = timezone.now()
    for age, name in ((9, "oldest"), (1, "newest"), (5, "middle")):
        Product.objects.create(sku="oil", name=name, archived_at=now - timedelta(days=age))
    newest = Product.objects.get(name="newest")
    assert apply(file(oil())).revived == 1
    assert Product.objects.get(archived_at=None) == newest


def test_categories_and_those_above_them_are_made_once(file):
    Category.objects.create(path="Food", name="Food")
    rows = [
        {"sku": str(number), "name": "Thing", "category": path}
        for number, path in enumerate(["Food > Oils > Seed", "Food > Oils", "Home>Light", "Home > Light", ""])
    ]
    for _ in range(2):
        apply(file(*rows))
        assert dict(Category.objects.order_by("path").values_list("path", "name")) == {
            "Food": "Food",
            "Food > Oils": "Oils",
            "Food > Oils > Seed": "Seed",
            "Home": "Home",
            "Home > Light": "Light",
        }
    assert Product.objects.get(sku="2").category == Product.objects.get(sku="3").category
    assert Product.objects.get(sku="4").category is None


# -- pictures ---------------------------------------------------------------------------------------

STAND_IN = "https://cdn.example.com/no-image.png"
REAL = "https://cdn.example.com/oil.jpg"
OTHER = "https://cdn.example.com/oil-back.jpg"


def pictures() -> tuple[str, bool, list[str]]:
    return Product.objects.values_list("listed_image_url", "placeholder", "reference_image_urls").get()


def test_the_placeholder_list_decides_what_is_a_stand_in_and_none_is_a_reference_image(file):
    apply(file(oil(images=f"{STAND_IN} {REAL} {OTHER}")))
    assert pictures() == (STAND_IN, True, [REAL, OTHER])
    apply(file(oil(images=f"{REAL} {STAND_IN}")))
    assert pictures() == (REAL, False, [REAL])


def test_a_longer_placeholder_list_counts_from_the_next_import_on(file):
    path = file(oil(images=REAL))
    apply(path)
    assert pictures() == (REAL, False, [REAL])
    preferences.set("placeholder_list", ["oil.jpg"], "ada")
    assert apply(path).changed == 1
    assert pictures() == (REAL, True, [])
    assert apply(path).unchanged == 1


def test_a_persons_word_on_a_placeholder_stands_until_the_shop_lists_another_picture(file):
    apply(file(oil(images=REAL)))
    Product.objects.update(placeholder=True)
    apply(file(oil(images=REAL, price="7")))
    assert pictures() == (REAL, True, [REAL])
    apply(file(oil(images=OTHER)))
    assert pictures() == (OTHER, False, [OTHER])


def test_a_product_with_an_active_image_does_not_become_a_placeholder_again(file):
    apply(file(oil(images=REAL)))
    product = Product.objects.get()
    image = Image.objects.create(
        product=product, blob="a" * 64, media_type="image/png", width_px=1, height_px=1, size_bytes=68,
        provider="openai", model="m", simulated=True, digital_source_type="algorithmicMedia",
    )  # fmt: skip
    catalogue.activate(image.pk)
    apply(file(oil(images=STAND_IN)))
    assert pictures() == (STAND_IN, False, [])
    assert Product.objects.get().active_image == image


def test_saleors_pictures_come_with_an_image_base(shared):
    path = shared / "sample-catalogues" / "saleor-populatedb_data.json"
    done = apply(path, mapping="saleor", image_base="https://shop.example.com/media")
    assert (counts(done), done.problem_count) == ((32, 0, 0, 0), 0)
    urls = [url for product in Product.objects.all() for url in product.reference_image_urls]
    assert len(urls) >= 32
    assert all(url.startswith("https://shop.example.com/media/products/") for url in urls)
    again = import_catalogue.plan(path, mapping="saleor", image_base="https://shop.example.com/media/")
    assert counts(again) == (0, 0, 32, 0)


@pytest.mark.parametrize(
    ("base", "mapping", "words"),
    [
        ("https://shop.example.com/", None, "plain, saleor"),
        ("media/", "plain", "https://"),
        ("https://ada:secret@shop.example.com/", "plain", "password"),
        ("", "plain", "empty"),
    ],
)
def test_an_image_base_that_cannot_be_used_is_refused_in_words(file, base, mapping, words):
    with pytest.raises(BadInput, match=words) as refused:
        import_catalogue.plan(file(oil(images="oil.jpg")), mapping=mapping, image_base=base)
    assert refused.value.field == "image_base"


def test_an_unknown_format_is_refused_with_those_that_are_known(file):
    with pytest.raises(BadInput, match="shopify, woocommerce, csv"):
        apply(file(oil()), format="excel")


# -- hostile contents -------------------------------------------------------------------------------


def test_a_description_in_html_is_stored_as_text(file):
    markup = "<p>Pressed <b>cold</b>.</p><script>alert(1)</script><ul><li>raw &amp; green</li></ul>"
    apply(file(oil(description=markup), {"sku": "x", "name": "<b>Bold</b>", "description": "a &lt;b&gt; c"}))
    assert Product.objects.get(sku="oil").description == "Pressed cold.\n\n- raw & green"
    # What was escaped was meant as text, and text it is; whoever shows it escapes it again.
    assert Product.objects.get(sku="x").description == "a <b> c"
    assert Product.objects.get(sku="x").name == "<b>Bold</b>"


def test_characters_that_no_database_stores_do_no_harm(tmp_path):
    nasty = "a\x00b\ud800c\u202ed\te\\N\\.'\"{}"
    path = tmp_path / "nasty.json"
    fields = ("sku", "name", "description", "category", "price", "currency", "images", nasty)
    path.write_text(json.dumps([dict.fromkeys(fields, nasty)]))
    assert counts(apply(path)) == (1, 0, 0, 0)
    assert counts(apply(path)) == (0, 0, 1, 0)
    product = Product.objects.get()
    assert "\x00" not in product.sku + product.name + product.description
    assert product.name.endswith("\\N\\.'\"{}")


def test_a_file_name_that_is_no_text_is_stored_with_a_mark_in_its_place(tmp_path):
    path = tmp_path / "catal\udcf3go.csv"
    path.write_text("sku,name\noil,Oil\n")
    assert apply(path).file_name == "catal?go.csv"
    assert ImportRecord.objects.get().file_name == "catal?go.csv"


# -- beside others ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_an_import_that_waited_compares_with_what_the_one_before_it_wrote(file):
    first = file(*({"sku": str(n), "name": "Rope", "price": "4"} for n in range(60)), name="first.csv")
    second = file(*({"sku": str(n), "name": "Rope", "price": "5"} for n in range(40, 90)), name="second.csv")
    with transaction.atomic():
        assert counts(apply(first)) == (60, 0, 0, 0)
        waiting = Beside(lambda: apply(second))
        waiting.wait_until_blocked()
        # To look is never to wait.
        assert counts(Beside(lambda: import_catalogue.plan(second)).result()) == (50, 0, 0, 0)
    assert counts(waiting.result()) == (30, 20, 0, 0)
    assert Product.objects.count() == 90
    assert Product.objects.filter(price=4).count() == 40


@pytest.mark.django_db(transaction=True)
def test_of_many_imports_of_one_file_at_once_one_creates_and_the_others_change_nothing(file):
    path = file(*({"sku": str(n), "name": "Rope", "category": f"Rope > {n % 5}"} for n in range(200)))
    together = threading.Barrier(6)

    def go() -> ImportPlan:
        together.wait(30)
        return apply(path)

    done = sorted(counts(each.result()) for each in [Beside(go) for _ in range(6)])
    assert done == [(0, 0, 200, 0)] * 5 + [(200, 0, 0, 0)]
    assert Product.objects.count() == 200
    assert Category.objects.count() == 6


def locked(ids: Sequence[object]) -> set[object]:
    """Those of these products whose rows somebody else holds."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM packshot_product WHERE id = ANY(%s) FOR NO KEY UPDATE SKIP LOCKED", [ids]
        )
        return set(ids) - {row[0] for row in cursor.fetchall()}


@pytest.mark.django_db(transaction=True)
def test_an_import_and_closing_attempts_lock_products_in_one_order(file):
    rows = [{"sku": f"rope-{number:03}", "name": "Rope"} for number in range(50)]
    apply(file(*rows))
    ids = list(Product.objects.order_by("id").values_list("id", flat=True))
    # The file names them in reverse, and so do the ends: locking in the order in which they are named would
    # give each of the two what the other waits for.
    path = file(*({**row, "price": "5"} for row in reversed(rows)))
    outcomes = [catalogue.Outcome(each, "completed") for each in reversed(ids)]

    def close() -> None:
        with transaction.atomic():
            catalogue.record_outcomes(outcomes)

    with transaction.atomic():
        Product.objects.select_for_update().get(pk=ids[0])
        importing = Beside(lambda: apply(path))
        importing.wait_until_blocked()
        closing = Beside(close)
        closing.wait_until_blocked()
        # Both wait for the lowest id, and neither holds any other.
        assert Beside(lambda: locked(ids)).result() == {ids[0]}
    assert counts(importing.result()) == (0, 50, 0, 0)
    closing.result()
    assert Product.objects.filter(price=5, last_generation_status="completed").count() == 50


@pytest.mark.django_db(transaction=True)
def test_imports_and_closing_attempts_over_and_over_never_deadlock(file):
    rows = [{"sku": f"rope-{number:03}", "name": "Rope"} for number in range(100)]
    apply(file(*rows))
    ids = list(Product.objects.order_by("id").values_list("id", flat=True))
    paths = [
        file(*({**row, "price": str(price)} for row in rows[::step]), name=f"{price}.csv")
        for price, step in ((3, 1), (4, -1))
    ]
    over = threading.Event()

    def close(order: int) -> int:
        ended = 0
        while not over.is_set() or not ended:
            with transaction.atomic():
                catalogue.record_outcomes([catalogue.Outcome(each, "failed") for each in ids[::order]])
            ended += 1
        return ended

    closing = [Beside(lambda order=order: close(order)) for order in (1, -1)]  # type: ignore[misc]
    try:
        for turn in range(6):
            assert counts(apply(paths[turn % 2])) == (0, 100, 0, 0)
    finally:
        over.set()
    ended = sum(each.result() for each in closing)
    assert set(Product.objects.values_list("failures_in_row", "price")) == {(ended, Decimal(4))}


# -- the catalogue that ships -----------------------------------------------------------------------


def test_the_demo_catalogue_loads_into_an_empty_site_with_its_templates():
    loaded = import_catalogue.load_demo(ADMIN)
    assert loaded is not None
    assert (counts(loaded), loaded.problem_count) == ((72, 0, 0, 0), 0)
    assert PromptTemplate.objects.count() == len(catalogue.shipped_templates())
    paths = set(Product.objects.values_list("category__path", flat=True))
    chosen = catalogue.templates_for(sorted(paths))
    # Each of the eight has a wording of its own, found from the level below it.
    assert {path: wording.template for path, wording in chosen.items()} == {
        path: path.split(" > ")[0] for path in paths
    }
    assert catalogue.templates_for(["Garden > Tools"])["Garden > Tools"].template == catalogue.GENERAL
    assert 0 < Product.objects.filter(placeholder=True).count() < 10
    before = digest()
    assert import_catalogue.load_demo(ADMIN) is None
    assert digest() == before


@pytest.mark.parametrize("archived_at", [None, timezone.now()])
def test_a_site_that_ever_had_a_product_gets_no_demo(archived_at):
    Product.objects.create(sku="mine", name="Mine", archived_at=archived_at)
    assert import_catalogue.load_demo(ADMIN) is None
    assert Product.objects.count() == 1
    assert not PromptTemplate.objects.exists()


def test_shipped_templates_leave_alone_what_people_made_of_theirs():
    catalogue.save_template("Our food", "A photo of {{name}}.", category_path="Food")
    catalogue.save_template("Paper", "A photo of {{name}}.")
    PromptTemplate.objects.filter(name="Paper").update(archived_at=timezone.now())
    shipped = {each.name for each in catalogue.shipped_templates()}
    assert import_catalogue.load_templates(ADMIN) == len(shipped) - 2
    assert set(PromptTemplate.objects.filter(archived_at=None).values_list("name", flat=True)) == (
        shipped - {"Food", "Paper"} | {"Our food"}
    )
    before = digest()
    assert import_catalogue.load_templates(ADMIN) == 0
    assert digest() == before
