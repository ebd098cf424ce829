"""The catalogue and the templates that come with Packshot: the first thing anybody imports."""

import tomllib
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from packshot.catalogue.formats import ParsedProduct, RowProblem, open_catalogue
from packshot.catalogue.prompts import ProductFacts, placeholders, problems, render
from packshot.imaging.studio import describe
from packshot.imaging.studio.layers import KINDS

CATEGORIES = {"Food", "Cosmetics", "Textile", "Construction", "Paper", "Bioplastic", "Wellness", "Pet"}


@pytest.fixture(scope="module")
def products() -> list[ParsedProduct]:
    with resources.as_file(resources.files("packshot.catalogue") / "demo" / "hemp.csv") as path:
        items = list(open_catalogue(Path(path)))
    assert [item for item in items if isinstance(item, RowProblem)] == []
    return [item for item in items if isinstance(item, ParsedProduct)]


@pytest.fixture(scope="module")
def templates() -> dict[str | None, str]:
    file = resources.files("packshot.catalogue") / "demo" / "templates.toml"
    return {one.get("category"): one["text"] for one in tomllib.loads(file.read_text("utf-8"))["template"]}


def facts(product: ParsedProduct) -> ProductFacts:
    return ProductFacts(
        product.name, product.sku, product.description, product.category_path, product.attributes
    )


def test_it_has_at_least_eight_products_in_each_of_eight_categories(products):
    counts = Counter(product.category_path[0] for product in products)
    assert set(counts) == CATEGORIES
    assert min(counts.values()) >= 8
    assert len(products) >= 64
    assert all(len(product.category_path) == 2 for product in products)


def test_every_product_says_what_a_picture_needs(products):
    for product in products:
        assert set(product.attributes) == {"pack", "material", "colour", "accent", "finish", "size"}, (
            product.sku
        )
        assert product.price
        assert product.currency == "EUR"
        assert 60 <= len(product.description) <= 400, product.sku
    assert len({product.name for product in products}) == len(products)


def test_about_a_third_have_a_reference_image_and_a_few_a_placeholder(products):
    urls = [product.reference_image_urls for product in products]
    assert all(
        url.split("/")[2] in ("images.example.com", "cdn.example.com") for each in urls for url in each
    )
    real = sum(any("images.example.com" in url for url in each) for each in urls)
    assert 0.25 < real / len(products) < 0.45
    assert 4 <= sum(bool(each) and each[0].endswith("/placeholder.png") for each in urls) <= 10


def test_the_writing_promises_nothing_about_health(products):
    # fmt: off
    words = ("heal", "cure", "relie", "anti-", "inflamm", "detox", "immun", "cbd", "thc", "therap", "medic",
             "pain", "anxi", "stress", "omega", "vitamin", "protein", "superfood", "clinical", "lorem")
    # fmt: on
    for product in products:
        text = f"{product.name} {product.description}".lower()
        assert not [word for word in words if word in text], product.sku


def test_there_is_a_template_for_each_category_and_one_for_anything(templates):
    assert set(templates) == {None, *CATEGORIES}
    assert [problems(text) for text in templates.values()] == [[]] * 9
    for text in templates.values():
        assert {"name", "brand_style"} <= {placeholder.name for placeholder in placeholders(text)}


def test_every_product_fills_its_template_and_the_general_one_without_a_default(products, templates):
    for product in products:
        for text in (templates[product.category_path[0]], templates[None]):
            result = render(text, facts(product), brand_style="Our own light.")
            assert result.missing == result.shortened == ()
            assert {placeholder.name for placeholder in placeholders(text)} == set(result.used), product.sku
            assert "{{" not in result.prompt
            assert len(result.prompt) < 2_000


def test_a_product_with_nothing_but_a_name_still_gets_a_prompt(templates):
    bare = ProductFacts("Thing", "T-1", "", (), {})
    for text in templates.values():
        result = render(text, bare, brand_style="")
        assert result.missing == ()
        assert "  " not in result.prompt


def test_the_studio_has_a_render_for_every_product(products, templates):
    unknown = []
    for product in products:
        prompt = render(templates[product.category_path[0]], facts(product), "").prompt
        drawn = describe(prompt, style="sandbox", seed=1, width_px=320, height_px=320)
        assert drawn.name == product.name
        assert drawn.colours
        if drawn.kind not in KINDS:
            unknown.append(product.sku)
    assert unknown == []
