"""The formats themselves: Shopify's two, WooCommerce's, plain tables, JSON and the mapping language."""

import csv
import io
import json
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packshot.catalogue.formats import (
    ParsedProduct,
    RowProblem,
    Unreadable,
    load_mapping,
    open_catalogue,
    parse_mapping,
    shipped_mappings,
)
from packshot.kernel.errors import BadInput

# fmt: off
CURRENT = [  # the column list of Shopify's current template
    "Title", "URL handle", "Description", "Vendor", "Product category", "Type", "Tags",
    "Published on online store", "Status", "SKU", "Barcode", "Option1 name", "Option1 value",
    "Option1 Linked To", "Option2 name", "Option2 value", "Option2 Linked To", "Option3 name",
    "Option3 value", "Option3 Linked To", "Price", "Compare-at price", "Cost per item", "Charge tax",
    "Tax code",
    "Unit price total measure", "Unit price total measure unit", "Unit price base measure",
    "Unit price base measure unit", "Inventory tracker", "Inventory quantity",
    "Continue selling when out of stock", "Weight value (grams)", "Weight unit for display",
    "Requires shipping", "Fulfillment service", "Product image URL", "Image position", "Image alt text",
    "Variant image URL", "Gift card", "SEO title", "SEO description",
    "Color (product.metafields.shopify.color-pattern)", "Google Shopping / Google product category",
    "Google Shopping / Gender", "Google Shopping / Age group",
    "Google Shopping / Manufacturer part number (MPN)", "Google Shopping / Ad group name",
    "Google Shopping / Ads labels", "Google Shopping / Condition", "Google Shopping / Custom product",
    "Google Shopping / Custom label 0",
]
LEGACY = [
    "Handle", "Title", "Body (HTML)", "Vendor", "Type", "Tags", "Published", "Option1 Name", "Option1 Value",
    "Option2 Name", "Option2 Value", "Option3 Name", "Option3 Value", "Variant SKU", "Variant Grams",
    "Variant Price", "Variant Barcode", "Image Src", "Image Position", "Image Alt Text", "Gift Card",
    "Google Shopping / MPN", "Variant Image", "Variant Weight Unit",
]
WOO = [
    "ID", "Type", "SKU", "Name", "Published", "Is featured?", "Visibility in catalog", "Short description",
    "Description", "Tax status", "In stock?", "Weight (kg)", "Length (cm)", "Sale price", "Regular price",
    "Categories", "Tags", "Images", "Parent", "Position", "Attribute 1 name", "Attribute 1 value(s)",
    "Attribute 1 visible", "Attribute 1 global", "Attribute 2 name", "Attribute 2 value(s)", "Meta: _secret",
]
# fmt: on


def table(folder: Path, header: list[str], *rows: dict[str, str], name: str = "catalogue.csv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, header, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def document(folder: Path, content: object, name: str = "catalogue.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def products_of(items: Iterable[ParsedProduct | RowProblem]) -> list[ParsedProduct]:
    return [item for item in items if isinstance(item, ParsedProduct)]


def problems_of(items: Iterable[ParsedProduct | RowProblem]) -> list[RowProblem]:
    return [item for item in items if isinstance(item, RowProblem)]


# -- the sample files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shopify-apparel.csv", "shopify-home-and-garden.csv"])
def test_shopifys_own_samples_give_one_product_per_handle(shared, name):
    path = shared / "sample-catalogues" / name
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    handles = list(dict.fromkeys(row["Handle"] for row in rows))
    items = list(open_catalogue(path))
    assert problems_of(items) == []
    assert [product.sku for product in products_of(items)] == handles
    assert len(handles) == 20
    pictures = {row["Image Src"] for row in rows if row["Image Src"]}
    assert {url for product in products_of(items) for url in product.reference_image_urls} == pictures
    first_prices = {row["Handle"]: Decimal(row["Variant Price"]) for row in reversed(rows)}
    assert {product.sku: product.price for product in products_of(items)} == first_prices


def test_every_product_of_saleors_dump_is_read_by_the_shipped_mapping(shared):
    path = shared / "sample-catalogues" / "saleor-populatedb_data.json"
    records = json.loads(path.read_text("utf-8"))
    slugs = [one["fields"]["slug"] for one in records if one["model"] == "product.product"]
    file = open_catalogue(path)
    assert "Recognised by the shipped mapping “saleor”." in file.notes
    products = products_of(file)
    assert [product.sku for product in products] == slugs
    assert len(slugs) == 32
    tee = next(product for product in products if product.sku == "ascii-tee")
    assert tee.name == "Monospace Tee"
    assert tee.category_path == ("Apparel", "Shirts", "T-shirts")
    assert tee.attributes["Material"] == "Cotton"
    assert tee.attributes["Size"] == ["S", "M", "L", "XL", "XXL"]
    assert (tee.price, tee.currency) == (Decimal("20.00"), "USD")
    assert tee.external_ids["variant_skus"].split("\n")[0] == "328223580"
    assert tee.external_ids["saleor"] == "134"
    assert "&nbsp;" not in "".join(product.description for product in products)


def test_saleors_pictures_come_with_an_image_base(shared):
    path = shared / "sample-catalogues" / "saleor-populatedb_data.json"
    mapping = replace(load_mapping("saleor"), image_base="https://shop.example.com/media/")
    items = list(open_catalogue(path, mapping=mapping))
    assert problems_of(items) == []
    urls = [url for product in products_of(items) for url in product.reference_image_urls]
    records = json.loads(path.read_text("utf-8"))
    media = {one["fields"]["image"] for one in records if one["model"] == "product.productmedia"}
    assert {url.removeprefix("https://shop.example.com/media/") for url in urls} == media


# -- Shopify -------------------------------------------------------------------------------------------


def test_the_current_headers_are_read(tmp_path):
    path = table(
        tmp_path,
        CURRENT,
        {
            "Title": "Hemp hand cream",
            "URL handle": "hemp-hand-cream",
            "Description": "<p>Quick to <b>sink in</b>.</p><ul><li>75 ml</li></ul>",
            "Vendor": "Field & Fibre",
            "Product category": "Health & Beauty > Personal Care > Cosmetics",
            "Type": "Hand care",
            "Tags": "cream, hands",
            "SKU": "HC-75",
            "Barcode": "4012345678901",
            "Option1 name": "Size",
            "Option1 value": "75 ml",
            "Price": "12.90",
            "Product image URL": "https://images.example.com/cream-2.jpg",
            "Image position": "2",
            "Color (product.metafields.shopify.color-pattern)": "green; white",
            "Google Shopping / Gender": "Unisex",
        },
        {
            "URL handle": "hemp-hand-cream",
            "SKU": "HC-200",
            "Option1 value": "200 ml",
            "Price": "24.90",
            "Product image URL": "https://images.example.com/cream-1.jpg",
            "Image position": "1",
            "Variant image URL": "https://images.example.com/cream-200.jpg",
        },
        {"Title": "Hemp soap", "URL handle": "hemp-soap", "Type": "Soap", "Price": "6"},
    )
    file = open_catalogue(path)
    assert file.label == "Shopify product CSV, current headers"
    cream, soap = products_of(file)
    assert cream == ParsedProduct(
        row=2,
        sku="hemp-hand-cream",
        name="Hemp hand cream",
        description="Quick to sink in.\n\n- 75 ml",
        category_path=("Health & Beauty", "Personal Care", "Cosmetics"),
        attributes={
            "Size": ["75 ml", "200 ml"],
            "Color": ["green", "white"],
            "Vendor": "Field & Fibre",
            "Type": "Hand care",
            "Tags": ["cream", "hands"],
            "Gender": "Unisex",
        },
        price=Decimal("12.90"),
        currency=None,
        reference_image_urls=(
            "https://images.example.com/cream-1.jpg",
            "https://images.example.com/cream-2.jpg",
            "https://images.example.com/cream-200.jpg",
        ),
        external_ids={
            "shopify_handle": "hemp-hand-cream",
            "variant_skus": "HC-75\nHC-200",
            "barcodes": "4012345678901",
        },
    )
    assert (soap.category_path, soap.attributes, soap.price) == (("Soap",), {}, Decimal("6.00"))


def test_a_mix_of_old_and_new_headers_is_one_format(tmp_path):
    header = ["Handle", "Title", "Description", "Price", "Product image URL"]
    row = {"Handle": "soap", "Title": "Soap", "Product image URL": "https://images.example.com/soap.jpg"}
    assert products_of(open_catalogue(table(tmp_path, header, row)))[0].sku == "soap"


def test_a_file_without_handles_takes_them_from_the_titles(tmp_path):
    header = ["Title", "Description", "Product image URL", "Option1 name", "Option1 value", "Price"]
    path = table(tmp_path, header, {"Title": "Crème  de Chanvre No 5"}, {"Title": "Soap"})
    assert [one.sku for one in products_of(open_catalogue(path))] == ["creme-de-chanvre-no-5", "soap"]


def test_the_default_variant_is_no_attribute(tmp_path):
    row = {"Handle": "soap", "Title": "Soap", "Option1 Name": "Title", "Option1 Value": "Default Title"}
    assert products_of(open_catalogue(table(tmp_path, LEGACY, row)))[0].attributes == {}


def test_a_handle_that_comes_back_later_is_reported_with_its_first_row(tmp_path):
    path = table(
        tmp_path,
        LEGACY,
        {"Handle": "soap", "Title": "Soap"},
        {"Handle": "soap", "Option1 Value": "Large"},
        {"Handle": "balm", "Title": "Balm"},
        {"Handle": "soap", "Image Src": "https://images.example.com/soap.jpg"},
    )
    items = list(open_catalogue(path))
    assert [one.sku for one in products_of(items)] == ["soap", "balm"]
    (problem,) = problems_of(items)
    assert (problem.row, problem.field, problem.fatal_for_product) == (5, "Handle", True)
    assert problem.reason == "duplicate handle 'soap', first at row 2"


def test_a_different_title_under_the_same_handle_is_said_and_the_first_kept(tmp_path):
    path = table(tmp_path, LEGACY, {"Handle": "soap", "Title": "Soap"}, {"Handle": "soap", "Title": "Balm"})
    items = list(open_catalogue(path))
    assert [one.name for one in products_of(items)] == ["Soap"]
    assert [(p.row, p.fatal_for_product) for p in problems_of(items)] == [(3, False)]


def test_a_row_with_neither_handle_nor_title_is_reported(tmp_path):
    path = table(tmp_path, LEGACY, {"Handle": "soap", "Title": "Soap"}, {"Variant Price": "12"})
    assert [(p.row, p.fatal_for_product) for p in problems_of(open_catalogue(path))] == [(3, True)]


def test_a_note_row_in_the_handle_column_is_no_product(tmp_path):
    path = table(tmp_path, LEGACY, {"Handle": "soap", "Title": "Soap"}, {"Handle": "Note: red is required"})
    (problem,) = problems_of(open_catalogue(path))
    assert (problem.row, problem.field, problem.reason) == (3, "Title", "it is empty")


def test_a_shopify_file_without_titles_is_refused_with_its_columns(tmp_path):
    path = table(tmp_path, ["Handle", "Body (HTML)", "Image Src"], {"Handle": "soap"})
    with pytest.raises(Unreadable, match=r"the column Title is missing\. .*Handle, Body \(HTML\), Image Src"):
        open_catalogue(path)


# -- WooCommerce ---------------------------------------------------------------------------------------


def woo_rows() -> list[dict[str, str]]:
    return [
        {
            "ID": "44",
            "Type": "variable",
            "SKU": "hemp-tee",
            "Name": "Hemp tee",
            "Description": r"<strong>Soft.</strong>\nA second paragraph with a \\n in it.",
            "Weight (kg)": ".25",
            "Length (cm)": "70",
            "Categories": "Clothing > T-shirts, Gifts",
            "Tags": r"summer, salt\, pepper",
            "Images": "https://images.example.com/w_100,h_100/tee.jpg, https://images.example.com/tee-2.jpg",
            "Attribute 1 name": "Colour",
            "Attribute 1 value(s)": r"Green, Black\, faded",
        },
        {
            "ID": "46",
            "Type": "simple, virtual",
            "Name": "Gift card",
            "Regular price": "25",
            "Categories": "Gifts",
        },
        {
            "ID": "76",
            "Type": "variation",
            "SKU": "hemp-tee-green",
            "Name": "Hemp tee - Green",
            "Parent": "hemp-tee",
            "Regular price": "39.00",
            "Images": "https://images.example.com/tee-green.jpg",
            "Attribute 1 name": "Colour",
            "Attribute 1 value(s)": "Green",
        },
        {
            "ID": "77",
            "Type": "variation",
            "Parent": "id:44",
            "Attribute 1 name": "Size",
            "Attribute 1 value(s)": "M",
        },
    ]


def test_variations_join_their_parent_wherever_they_stand(tmp_path):
    file = open_catalogue(table(tmp_path, WOO, *woo_rows()))
    assert file.label == "WooCommerce product CSV"
    items = list(file)
    assert problems_of(items) == []
    tee, card = products_of(items)
    assert tee == ParsedProduct(
        row=2,
        sku="hemp-tee",
        name="Hemp tee",
        description="Soft.\nA second paragraph with a \\n in it.",
        category_path=("Clothing", "T-shirts"),
        attributes={
            "Colour": ["Green", "Black, faded"],
            "Tags": ["summer", "salt, pepper"],
            "Weight": ".25 kg",
            "Length": "70 cm",
            "Size": "M",
        },
        price=Decimal("39.00"),
        currency=None,
        reference_image_urls=(
            "https://images.example.com/w_100,h_100/tee.jpg",
            "https://images.example.com/tee-2.jpg",
            "https://images.example.com/tee-green.jpg",
        ),
        external_ids={"woocommerce": "44", "variant_skus": "hemp-tee-green"},
    )
    assert (card.sku, card.price) == ("woo-46", Decimal("25.00"))


def test_a_woocommerce_file_reads_the_same_twice(tmp_path):
    file = open_catalogue(table(tmp_path, WOO, *woo_rows()))
    assert list(file) == list(file)


def test_a_variation_whose_parent_is_elsewhere_is_reported(tmp_path):
    rows = [*woo_rows()[:2], {"ID": "9", "Type": "variation", "Name": "Lost", "Parent": "gone"}]
    (problem,) = problems_of(open_catalogue(table(tmp_path, WOO, *rows)))
    assert (problem.row, problem.reason) == (4, "its parent 'gone' is not in this file")


def test_the_quote_that_woocommerce_puts_before_formulas_is_taken_off(tmp_path):
    row = {"ID": "1", "Type": "simple", "SKU": "'-40C", "Name": "'=Hemp=", "Regular price": "1"}
    product = products_of(open_catalogue(table(tmp_path, WOO, row)))[0]
    assert (product.sku, product.name) == ("-40C", "=Hemp=")


def test_a_woocommerce_file_without_its_columns_is_refused_with_all_that_is_missing(tmp_path):
    path = table(tmp_path, ["Type", "Regular price", "Tax status"], {"Type": "simple"})
    with pytest.raises(Unreadable) as refusal:
        open_catalogue(path, format="woocommerce")
    assert len(refusal.value.problems) == 2


# -- plain tables --------------------------------------------------------------------------------------


def test_a_google_merchant_feed_is_read_by_the_usual_names(tmp_path):
    path = tmp_path / "feed.tsv"
    path.write_text(
        "id\ttitle\tdescription\tlink\timage_link\tadditional_image_link\tprice\tproduct_type\tcolor\tgtin\n"
        "A-1\tHemp soap\tKind\thttps://shop.example.com/a\thttps://images.example.com/1.jpg\t"
        "https://images.example.com/2.jpg,https://images.example.com/3.jpg\t12.50 EUR\tHome > Bath\tgreen\t"
        "4012\n",
        "utf-8",
    )
    (product,) = products_of(open_catalogue(path))
    assert (product.sku, product.name, product.category_path) == ("A-1", "Hemp soap", ("Home", "Bath"))
    assert (product.price, product.currency) == (Decimal("12.50"), "EUR")
    assert [url[-5:] for url in product.reference_image_urls] == ["1.jpg", "2.jpg", "3.jpg"]
    assert product.attributes == {"color": "green"}
    assert product.external_ids == {"id": "A-1", "gtin": "4012"}


def test_a_row_without_a_sku_is_not_known_by_its_id_instead(tmp_path):
    path = table(
        tmp_path, ["id", "sku", "name"], {"id": "1", "sku": "A-1", "name": "Soap"}, {"id": "2", "name": "B"}
    )
    items = list(open_catalogue(path))
    assert [one.sku for one in products_of(items)] == ["A-1"]
    assert [(p.row, p.field, p.fatal_for_product) for p in problems_of(items)] == [(3, "sku", True)]


def test_the_same_sku_twice_is_reported_with_its_first_row(tmp_path):
    path = table(tmp_path, ["Item no", "Name"], *[{"Item no": " A-1 ", "Name": name} for name in "ab"])
    (problem,) = problems_of(open_catalogue(path))
    assert (problem.row, problem.reason) == (3, "duplicate item no 'A-1', first at row 2")


def test_a_mapping_decides_over_what_the_headers_look_like(tmp_path):
    mapping = parse_mapping({"fields": {"sku": "Variant SKU", "name": "Title"}}, name="mine")
    path = table(tmp_path, LEGACY, {"Handle": "soap", "Title": "Soap", "Variant SKU": "S-1"})
    file = open_catalogue(path, mapping=mapping)
    assert (file.format, products_of(file)[0].sku) == ("csv", "S-1")


def test_a_format_that_is_said_is_not_guessed_again(tmp_path):
    path = table(tmp_path, ["sku", *LEGACY], {"sku": "S-1", "Handle": "soap", "Title": "Soap"})
    assert open_catalogue(path).format == "shopify"
    file = open_catalogue(path, format="csv")
    assert (file.format, products_of(file)[0].sku) == ("csv", "S-1")


def test_a_mapping_whose_where_fits_nothing_says_so(tmp_path):
    mapping = parse_mapping({"where": {"kind": "x"}, "fields": {"sku": "sku", "name": "name"}}, name="mine")
    with pytest.raises(Unreadable, match=r"No record fits the mapping's `where` \(kind\)"):
        list(open_catalogue(document(tmp_path, [SOAP]), mapping=mapping))


def test_a_mapping_reads_a_table(tmp_path):
    mapping = parse_mapping(
        {
            "image_base": "https://shop.example.com/media/",
            "where": {"status": ["active", "new"]},
            "rest": True,
            "skip": ["Note", "status"],
            "fields": {
                "sku": "article_no",
                "name": ["Web title", "Title"],
                "category": {"path": "Group", "split": "/"},
                "price": "Preis",
                "currency": {"value": "EUR"},
                "images": {"path": "Pictures", "split": ","},
            },
            "attributes": {"Colour": "Farbe"},
            "external_ids": {"erp": "Id"},
        },
        name="erp",
    )
    header = "Article No;Web title;Title;Group;Preis;Pictures;Farbe;Id;Status;Note;Stoff"
    rows = "A-1;;Soap;Bath/Soaps;1.234,50;a.jpg, b.jpg;grün;7;active;x;hemp\nA-2;B;;;;;;8;old;x;"
    path = tmp_path / "erp.csv"
    path.write_text(f"{header}\n{rows}\n", "utf-8")
    (product,) = products_of(open_catalogue(path, mapping=mapping))
    assert product == ParsedProduct(
        row=2,
        sku="A-1",
        name="Soap",
        description="",
        category_path=("Bath", "Soaps"),
        attributes={"Colour": "grün", "Stoff": "hemp"},
        price=Decimal("1234.50"),
        currency="EUR",
        reference_image_urls=("https://shop.example.com/media/a.jpg", "https://shop.example.com/media/b.jpg"),
        external_ids={"erp": "7"},
    )


def test_a_mapping_that_does_not_fit_the_file_says_everything_at_once(tmp_path):
    mapping = parse_mapping(
        {
            "fields": {"sku": "No", "name": "Title", "price": "Cost"},
            "where": {"State": "on"},
            "joins": {"x": {"key": "a", "equals": "b"}},
        },
        name="mine",
    )
    with pytest.raises(Unreadable) as refusal:
        open_catalogue(table(tmp_path, ["Title", "Colour"], {"Title": "Soap"}), mapping=mapping)
    assert refusal.value.problems == (
        "no column for sku (looked for: No)",
        "no column for price (looked for: Cost)",
        "no column State for `where`",
        "a table has no other records to join: joins are for JSON",
    )


# -- JSON ----------------------------------------------------------------------------------------------

SOAP = {
    "sku": "A-1",
    "name": "Soap",
    "price": 12.5,
    "images": [{"src": "https://images.example.com/1.jpg"}, {"src": "https://images.example.com/2.jpg"}],
    "attributes": {"Colour": "green", "Scent": ["mint", "lime"], "vegan": True, "none": None},
}


@pytest.mark.parametrize(
    "content", [[SOAP], {"products": [SOAP], "tags": [{"a": 1}]}, {"items": [SOAP], "n": 1}]
)
def test_json_with_the_usual_names_needs_no_mapping(tmp_path, content):
    (product,) = products_of(open_catalogue(document(tmp_path, content)))
    assert (product.row, product.sku, product.price) == (1, "A-1", Decimal("12.50"))
    assert [url[-5:] for url in product.reference_image_urls] == ["1.jpg", "2.jpg"]
    assert product.attributes == {"Colour": "green", "Scent": ["mint", "lime"], "vegan": "yes"}


def test_attributes_may_be_a_list_of_names_and_values(tmp_path):
    attributes = [
        {"name": "Colour", "value": "red"},
        {"name": "Size", "value": ["S", "M"]},
        {"value": "lost"},
    ]
    path = document(tmp_path, [{"sku": "A", "name": "B", "attributes": attributes}])
    assert products_of(open_catalogue(path))[0].attributes == {"Colour": "red", "Size": ["S", "M"]}


def test_json_lines_are_read_line_by_line_and_a_bad_line_stands_alone(tmp_path):
    lines = [json.dumps(SOAP), "", "{broken", '"text"', json.dumps({**SOAP, "sku": "A-2"}), "[" * 100_000]
    file = open_catalogue(document(tmp_path, "\n".join(lines), "catalogue.jsonl"))
    items = list(file)
    assert [one.sku for one in products_of(items)] == ["A-1", "A-2"]
    assert [p.row for p in problems_of(items)] == [3, 4, 6]
    assert "nested too deep" in problems_of(items)[2].reason


def test_json_lines_are_known_by_their_look_too(tmp_path):
    lines = [json.dumps(SOAP), json.dumps({**SOAP, "sku": "A-2"})]
    file = open_catalogue(document(tmp_path, "\n".join(lines), "export.txt"))
    assert (file.format, len(products_of(file))) == ("jsonl", 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"sku": "A"', "not valid JSON"),
        ("[" * 200_000, "nested too deep|not valid JSON"),
        ('[{"a": ' + '{"a": ' * 100_000, "nested too deep"),
        ('[{"sku": NaN}]', "NaN is not a number"),
        ("{}", "holds no list of objects"),
        ("[]", "holds an empty list"),
        ('{"a": [{"b": 1}], "c": [{"d": 1}]}', "several lists: a, c"),
        ('[{"sku": ' + "9" * 5_000 + "}]", "not valid JSON"),
    ],
)
def test_json_that_is_no_catalogue_is_refused_in_words(tmp_path, content, message):
    with pytest.raises(Unreadable, match=message):
        open_catalogue(document(tmp_path, content))


def test_half_characters_and_enormous_numbers_do_no_harm(tmp_path):
    path = document(
        tmp_path, '[{"sku": "A\\ud83d", "name": "Soap\\u0000 \\u202eevil", "weight": 1e999999999}]'
    )
    (product,) = products_of(open_catalogue(path))
    assert product.name == "Soap evil"
    assert "\ud83d" not in product.sku
    assert product.attributes == {"weight": "1E+999999999"}


def relational() -> list[dict[str, object]]:
    return [
        {"model": "category", "pk": 1, "name": "Home", "parent": None},
        {"model": "category", "pk": 2, "name": "Bath", "parent": 1},
        {"model": "category", "pk": 3, "name": "Round", "parent": 4},
        {"model": "category", "pk": 4, "name": "And round", "parent": 3},
        {"model": "product", "pk": 10, "title": "Soap", "category": 2},
        {"model": "product", "pk": 11, "title": "Balm", "category": 3},
        {"model": "variant", "pk": 20, "product": 10, "sku": "S-2", "order": 2},
        {"model": "variant", "pk": 21, "product": 10, "sku": "S-1", "order": 1},
        {"model": "variant", "pk": 22, "product": 11, "sku": "B-1", "order": None},
        {"model": "picture", "variant": 21, "url": "https://images.example.com/1.jpg"},
    ]


RELATIONS = {
    "where": {"model": "product"},
    "fields": {
        "sku": "variants.0.sku",
        "name": "title",
        "category": "group.name",
        "images": "variants.pictures.url",
    },
    "external_ids": {"variant_skus": "variants.sku"},
    "joins": {
        "group": {"where": {"model": "category"}, "key": "pk", "equals": "category", "tree": "parent"},
        "variants": {"where": {"model": "variant"}, "key": "product", "equals": "pk", "sort": "order"},
        "pictures": {"where": {"model": "picture"}, "key": "variant", "equals": "pk", "into": "variants"},
    },
}


@pytest.mark.parametrize("lines", [False, True])
def test_joins_bring_together_what_a_dump_keeps_apart(tmp_path, lines):
    records = relational()
    if lines:
        path = document(tmp_path, "\n".join(json.dumps(one) for one in records), "dump.jsonl")
    else:
        path = document(tmp_path, records)
    soap, balm = products_of(open_catalogue(path, mapping=parse_mapping(RELATIONS, name="dump")))
    assert (soap.row, soap.sku, soap.category_path) == (5, "S-1", ("Home", "Bath"))
    assert soap.external_ids == {"variant_skus": "S-1\nS-2"}
    assert soap.reference_image_urls == ("https://images.example.com/1.jpg",)
    assert balm.category_path == ("And round", "Round")  # a circle ends where it began


def test_a_join_may_read_another_list_of_the_document(tmp_path):
    content = {
        "data": {"products": [{"id": 1, "sku": "A", "name": "Soap", "cat": "b"}]},
        "categories": [{"key": "b", "label": "Bath"}],
    }
    mapping = parse_mapping(
        {
            "records": "data.products",
            "fields": {"sku": "sku", "name": "name", "category": "cats.label"},
            "joins": {"cats": {"records": "categories", "key": "key", "equals": "cat"}},
        },
        name="api",
    )
    (product,) = products_of(open_catalogue(document(tmp_path, content), mapping=mapping))
    assert product.category_path == ("Bath",)


def test_a_join_that_explodes_is_stopped_for_that_product(tmp_path):
    records = [{"model": "product", "pk": 1, "sku": "A", "name": "Soap"}]
    records += [{"model": "a", "to": 1, "pk": n} for n in range(300)]
    records += [{"model": "b", "to": n, "pk": n} for n in range(300) for _ in range(100)]
    mapping = parse_mapping(
        {
            "where": {"model": "product"},
            "fields": {"sku": "sku", "name": "name"},
            "joins": {
                "a": {"where": {"model": "a"}, "key": "to", "equals": "pk"},
                "b": {"where": {"model": "b"}, "key": "to", "equals": "pk", "into": "a"},
            },
        },
        name="bad",
    )
    (problem,) = list(open_catalogue(document(tmp_path, records), mapping=mapping))
    assert isinstance(problem, RowProblem)
    assert problem.fatal_for_product


# -- mappings ------------------------------------------------------------------------------------------


def test_the_shipped_mappings_are_valid():
    assert shipped_mappings() == ("plain", "saleor")
    assert [load_mapping(name).label for name in shipped_mappings()] == ["usual names", "Saleor dump"]


def test_the_mappings_in_the_documentation_work(shared):
    page = (Path(__file__).resolve().parents[2] / "docs" / "import.md").read_text("utf-8")
    blocks = [part.partition("```")[0] for part in page.split("```toml\n")[1:]]
    plain, saleor = (parse_mapping(tomllib.loads(block), name="docs/import.md") for block in blocks)
    assert plain.fields["category"].split == "/"
    dump = shared / "sample-catalogues" / "saleor-populatedb_data.json"
    assert len(products_of(open_catalogue(dump, mapping=saleor))) == 32


def test_everything_wrong_with_a_mapping_is_said_at_once():
    with pytest.raises(BadInput) as refusal:
        parse_mapping(
            {
                "lable": "x",
                "fields": {"name": {"path": "a", "value": "b"}, "colour": "c", "price": 3},
                "where": {"model": {}},
                "joins": {"a": {"key": "x"}, "b": {"key": "x", "equals": "y", "into": "c"}},
                "rest": "yes",
            },
            name="mine",
        )
    for part in (
        "the mapping has no `lable`",
        "fields has no `colour`",
        "fields.sku is missing",
        "fields.name needs either `path` or `value`",
        "fields.price must be a table",
        "where.model must be a value",
        "joins.a needs `key` and `equals`",
        "joins.b.into names `c`, which is no earlier join",
        "rest must be true or false",
    ):
        assert part in str(refusal.value)


def test_a_mapping_is_a_toml_or_a_json_file(tmp_path):
    toml, as_json = tmp_path / "map.toml", tmp_path / "map.json"
    toml.write_text('[fields]\nsku = "No"\nname = ["Title", "Name"]\n', "utf-8")
    as_json.write_text('{"fields": {"sku": "No", "name": ["Title", "Name"]}}', "utf-8")
    assert load_mapping(toml).fields == load_mapping(as_json).fields
    toml.write_text("[fields\n", "utf-8")
    with pytest.raises(BadInput, match=r"The mapping map\.toml is not valid"):
        load_mapping(toml)
    with pytest.raises(BadInput, match="Shipped ones: plain, saleor"):
        load_mapping("nothing")


# -- what a product may be -----------------------------------------------------------------------------


def one(tmp_path: Path, **cells: str) -> list[ParsedProduct | RowProblem]:
    row = {"sku": "A-1", "name": "Soap", **cells}
    return list(open_catalogue(table(tmp_path, list(row), row)))


def test_what_is_too_long_or_missing_keeps_a_product_out(tmp_path):
    for cells, field, words in (
        ({"sku": "x" * 201}, "sku", "201 characters long; at most 200 fit"),
        ({"name": "x" * 501}, "name", "501 characters long; at most 500 fit"),
        ({"name": "  "}, "name", "it is empty"),
        ({"name": "one\ntwo"}, "name", "several lines"),
    ):
        (problem,) = one(tmp_path, **cells)
        assert isinstance(problem, RowProblem)
        assert (problem.field, problem.fatal_for_product) == (field, True)
        assert words in problem.reason
        assert problem.what_to_do


def test_lesser_trouble_is_reported_and_the_product_kept(tmp_path):
    addresses = "ftp://x.example.com/1.jpg https://images.example.com/2.jpg"
    items = one(
        tmp_path, price="on request", currency="euros", images=addresses, category=" > ".join("abcdefghijkl")
    )
    (product,) = products_of(items)
    assert (product.price, product.currency, product.category_path) == (None, None, ())
    assert product.reference_image_urls == ("https://images.example.com/2.jpg",)
    assert {p.field for p in problems_of(items)} == {"price", "currency", "images", "category"}
    assert not any(p.fatal_for_product for p in problems_of(items))
    assert isinstance(items[-1], ParsedProduct)


def test_at_most_fifty_images_are_kept(tmp_path):
    items = one(tmp_path, images=", ".join(f"https://images.example.com/{n}.jpg" for n in range(60)))
    assert len(products_of(items)[0].reference_image_urls) == 50
    assert problems_of(items)[0].reason == "60 images; the first 50 were kept"


def test_a_sku_that_a_spreadsheet_rounded_is_pointed_out(tmp_path):
    items = one(tmp_path, sku="7.35124E+12")
    assert products_of(items)
    assert "spreadsheet has rounded" in problems_of(items)[0].reason


def test_the_first_image_stays_first_so_that_a_placeholder_is_seen(tmp_path):
    urls = "https://cdn.example.com/placeholder.png, https://images.example.com/a.jpg"
    assert products_of(one(tmp_path, image_url=urls))[0].reference_image_urls[0].endswith("placeholder.png")


def test_names_attributes_and_categories_are_plain_single_lines(tmp_path):
    (product,) = products_of(
        one(tmp_path, name=" Salt &amp;  pepper\t", category="Food &gt; A>B", colour="dark\u00a0 green\x07")
    )
    assert product.name == "Salt & pepper"
    assert product.category_path == ("Food > A", "B")
    assert product.attributes == {"colour": "dark green"}


words = st.text(st.characters(codec="utf-8"), max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.tuples(words, words, words), min_size=1, max_size=6))
def test_whatever_stands_in_the_cells_the_result_can_be_stored(tmp_path, rows):
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([("sku", "name", "description"), *rows])
    path = tmp_path / "catalogue.csv"
    path.write_bytes(buffer.getvalue().encode())
    try:
        items = list(open_catalogue(path))
    except Unreadable:
        return
    skus = [product.sku for product in products_of(items)]
    assert len(skus) == len(set(skus))
    for product in products_of(items):
        assert 0 < len(product.sku) <= 200
        assert 0 < len(product.name) <= 500
        assert "\0" not in product.sku + product.name + product.description
        (product.sku + product.name + product.description).encode()
