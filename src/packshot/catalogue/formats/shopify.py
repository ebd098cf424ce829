"""Shopify's product CSV, with the headers of before and after its change (`Handle`, `URL handle`).

Rows with the same handle are one product; each further row is a variant or an image. The handle is the
product's SKU here: a product has one, it never changes by itself, and Shopify's own SKUs belong to variants.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from packshot.catalogue.formats.product import Draft, RowProblem
from packshot.catalogue.formats.reading import Table, Unreadable

_COLUMNS = {
    "handle": ("url handle", "handle"),
    "title": ("title",),
    "description": ("description", "body (html)"),
    "vendor": ("vendor",),
    "category": ("product category", "standardized product type"),
    "type": ("type", "custom product type"),
    "google category": ("google shopping / google product category",),
    "tags": ("tags",),
    "price": ("price", "variant price"),
    "sku": ("sku", "variant sku"),
    "barcode": ("barcode", "variant barcode"),
    "mpn": ("google shopping / manufacturer part number (mpn)", "google shopping / mpn"),
    "gender": ("google shopping / gender",),
    "age group": ("google shopping / age group",),
    "image": ("product image url", "image src"),
    "position": ("image position",),
    "variant image": ("variant image url", "variant image"),
    "option1 name": ("option1 name",),
    "option1 value": ("option1 value",),
    "option2 name": ("option2 name",),
    "option2 value": ("option2 value",),
    "option3 name": ("option3 name",),
    "option3 value": ("option3 value",),
}
# Names that no other catalogue has.
# fmt: off
_MARKS = {"body (html)", "variant sku", "variant price", "image src", "variant image", "option1 name",
          "option1 value", "product image url", "variant image url", "published on online store"}
# fmt: on
_METAFIELD = re.compile(r"(.*?)\s*\((?:product|variant)\.metafields\.([^)]+)\)")


def is_shopify(positions: Mapping[str, Sequence[int]]) -> bool:
    marks = len(_MARKS & positions.keys())
    return (("handle" in positions or "url handle" in positions) and marks > 0) or (
        "title" in positions and marks > 1
    )


def label(positions: Mapping[str, Sequence[int]]) -> str:
    legacy = "body (html)" in positions or "image src" in positions or "variant price" in positions
    return f"Shopify product CSV, {'legacy' if legacy else 'current'} headers"


def read_shopify(table: Table) -> Callable[[], Iterator[Draft | RowProblem]]:
    """The products of the file, as often as asked for. Raises Unreadable with all that its header lacks."""
    layout = _Layout(table)
    return partial(_drafts, table, layout)


class _Layout:
    """Where each of Shopify's columns stands in this file."""

    def __init__(self, table: Table) -> None:
        positions = table.positions()
        problems: list[str] = []
        self._at: dict[str, int] = {}
        self.called: dict[str, str] = {"sku": "Handle", "name": "Title", "images": "Image Src"}
        for what, names in _COLUMNS.items():
            present = [name for name in names if name in positions]
            if not present:
                continue
            places = positions[present[0]]
            if len(places) > 1:
                where = " and ".join(str(place + 1) for place in places)
                problems.append(f"the column {table.columns[places[0]]} comes twice (columns {where})")
            self._at[what] = places[0]
        if "title" not in self._at:
            problems.append("the column Title is missing")
        if problems:
            raise Unreadable(
                f"This is not a whole Shopify product CSV: {'; '.join(problems)}. "
                f"It has these columns: {table.named()}. Export it again.",
                row=table.header_row,
                problems=tuple(problems),
            )
        for field, what in (
            ("sku", "handle"),
            ("name", "title"),
            ("description", "description"),
            ("category", "category"),
            ("price", "price"),
            ("images", "image"),
        ):
            if what in self._at:
                self.called[field] = table.columns[self._at[what]]
        self.has_handle = "handle" in self._at
        self.metafields: list[tuple[str, int, bool]] = []
        for place, name in enumerate(table.columns):
            if found := _METAFIELD.fullmatch(name):
                # Shopify's own taxonomy fields hold several values, separated by semicolons.
                own = found[2].startswith("shopify.")
                self.metafields.append((found[1] or found[2].rpartition(".")[2], place, own))

    def cell(self, cells: Sequence[str], what: str) -> str:
        place = self._at.get(what)
        return "" if place is None else cells[place].strip()


def _drafts(table: Table, layout: _Layout) -> Iterator[Draft | RowProblem]:
    product: _Product | None = None
    for item in table.rows():
        if isinstance(item, RowProblem):
            yield item
            continue
        row, cells = item
        title = layout.cell(cells, "title")
        handle = layout.cell(cells, "handle") or handle_of(title)
        if not handle:
            reason = "it has neither a handle nor a title"
            yield RowProblem(
                row, layout.called["sku"], reason, "Fill in one of them, or delete the row.", True
            )
            continue
        if product is None or product.handle != handle:
            if product is not None:
                yield product.draft()
            product = _Product(row, handle, cells, layout)
        elif title and title != product.title:
            reason = f"the title differs from row {product.row}'s, which was kept"
            yield RowProblem(
                row, layout.called["name"], reason, "Give each product a handle of its own.", False
            )
        product.add(row, cells)
    if product is not None:
        yield product.draft()


def handle_of(title: str) -> str:
    """The handle that Shopify would give a product with this title."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", title) if not unicodedata.combining(one))
    return re.sub(r"[\W_]+", "-", bare.lower()).strip("-")


class _Product:
    """One product, gathered row by row."""

    def __init__(self, row: int, handle: str, cells: Sequence[str], layout: _Layout) -> None:
        self.row = row
        self.handle = handle
        self.title = layout.cell(cells, "title")
        self._layout = layout
        self._draft = Draft(
            row,
            layout.called,
            sku=handle,
            name=self.title,
            description=layout.cell(cells, "description"),
        )
        self._options = [layout.cell(cells, f"option{number} name") for number in (1, 2, 3)]
        self._category(cells)
        self._images: list[tuple[int, int, str]] = []  # position, row, address
        self._variant_images: list[tuple[int, str]] = []
        self._variant_skus: list[str] = []
        self._barcodes: list[str] = []
        self._described = False
        self._first = cells

    def _category(self, cells: Sequence[str]) -> None:
        """Shopify's taxonomy when it is filled in, else the shop's own type, else Google's category."""
        cell = self._layout.cell
        google = cell(cells, "google category")
        listed = cell(cells, "category") or cell(cells, "type") or ("" if google.isdecimal() else google)
        self._draft.category = (listed,)

    def add(self, row: int, cells: Sequence[str]) -> None:
        """What one row says of a variant or an image."""
        layout, draft = self._layout, self._draft
        cell = layout.cell
        for number in (1, 2, 3):
            value = cell(cells, f"option{number} value")
            if value:
                name = self._options[number - 1] or f"Option {number}"
                # What Shopify writes for a product without variants.
                if (name, value) != ("Title", "Default Title"):
                    draft.describe(name, [value])
        if not draft.price:
            draft.price = cell(cells, "price")
        if image := cell(cells, "image"):
            position = cell(cells, "position")
            order = int(position) if position.isascii() and position.isdecimal() and len(position) < 6 else 0
            self._images.append((order or len(self._images) + 1, row, image))
        if image := cell(cells, "variant image"):
            self._variant_images.append((row, image))
        if sku := cell(cells, "sku"):
            self._variant_skus.append(sku)
        if barcode := cell(cells, "barcode"):
            self._barcodes.append(barcode)
        for name, place, several in layout.metafields:
            if value := cells[place].strip():
                draft.describe(name, value.split(";") if several else [value])

    def draft(self) -> Draft:
        draft, cell, first = self._draft, self._layout.cell, self._first
        draft.describe("Vendor", [cell(first, "vendor")])
        if cell(first, "category"):
            draft.describe("Type", [cell(first, "type")])
        draft.describe("Tags", cell(first, "tags").split(","))
        draft.describe("Gender", [cell(first, "gender")])
        draft.describe("Age group", [cell(first, "age group")])
        draft.images = [(row, image) for _, row, image in sorted(self._images, key=lambda one: one[0])]
        draft.images += self._variant_images
        draft.identify("shopify_handle", self.handle)
        draft.identify("variant_skus", *self._variant_skus)
        draft.identify("barcodes", *self._barcodes)
        draft.identify("mpn", cell(first, "mpn"))
        return draft
