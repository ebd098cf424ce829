"""WooCommerce's product CSV. A variation is a row of its own that names its parent and may stand anywhere,
so the file is read twice: once for the variations, once for the products in order."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from packshot.catalogue.formats.product import Draft, RowProblem
from packshot.catalogue.formats.reading import Table, Unreadable

# fmt: off
_MARKS = {"visibility in catalog", "is featured?", "tax status", "backorders allowed?", "sold individually?",
          "regular price", "allow customer reviews?", "cross sells", "attribute 1 name", "in stock?",
          "shipping class"}
# fmt: on
_MEASURE = re.compile(r"(weight|length|width|height) \((\w+)\)")
_ATTRIBUTE = re.compile(r"attribute (\d{1,3}) name")
_NEXT_ADDRESS = re.compile(r"\s*,\s*(?=(?:https?:)?//)")
_COMMA = re.compile(r"(?<!\\),")


def is_woocommerce(positions: Mapping[str, Sequence[int]]) -> bool:
    return "name" in positions and "type" in positions and len(_MARKS & positions.keys()) > 1


def read_woocommerce(table: Table) -> Callable[[], Iterator[Draft | RowProblem]]:
    """The products of the file, as often as asked for. Raises Unreadable with all that its header lacks."""
    layout = _Layout(table)
    return partial(_drafts, table, layout)


class _Layout:
    """Where each of WooCommerce's columns stands in this file."""

    def __init__(self, table: Table) -> None:
        self._positions = table.positions()
        problems: list[str] = []
        if "name" not in self._positions:
            problems.append("the column Name is missing")
        if "sku" not in self._positions and "id" not in self._positions:
            problems.append("the columns SKU and ID are both missing: one is needed")
        for name in ("id", "sku", "name", "type", "parent", "description", "regular price"):
            if len(places := self._positions.get(name, [])) > 1:
                where = " and ".join(str(place + 1) for place in places)
                problems.append(f"the column {table.columns[places[0]]} comes twice (columns {where})")
        if problems:
            raise Unreadable(
                f"This is not a whole WooCommerce product CSV: {'; '.join(problems)}. "
                f"It has these columns: {table.named()}. Export it again.",
                row=table.header_row,
                problems=tuple(problems),
            )
        self.called = {
            what: table.columns[self._positions[name][0]]
            for what, name in (
                ("sku", "sku"),
                ("name", "name"),
                ("description", "description"),
                ("category", "categories"),
                ("price", "regular price"),
                ("images", "images"),
            )
            if name in self._positions
        }
        self.measures: list[tuple[str, str, int]] = []
        self.attributes: list[tuple[str, str]] = []
        for name, places in self._positions.items():
            if found := _MEASURE.fullmatch(name):
                self.measures.append((found[1].capitalize(), found[2], places[0]))
            if found := _ATTRIBUTE.fullmatch(name):
                self.attributes.append((name, f"attribute {found[1]} value(s)"))

    def cell(self, cells: Sequence[str], name: str) -> str:
        places = self._positions.get(name)
        if places is None:
            return ""
        text = cells[places[0]].strip()
        # WooCommerce's exporter puts a ' before what a spreadsheet would take for a formula.
        return text[1:] if text[:2] in ("'=", "'+", "'-", "'@") else text

    def described(self, cells: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        for name_column, values_column in self.attributes:
            if name := self.cell(cells, name_column):
                yield name, _values(self.cell(cells, values_column))


@dataclass(slots=True)
class _Variations:
    """What the variations of one parent add to it."""

    first_row: int
    images: list[tuple[int, str]] = field(default_factory=list)
    attributes: dict[str, list[str]] = field(default_factory=dict)
    skus: list[str] = field(default_factory=list)
    price: str = ""


def _drafts(table: Table, layout: _Layout) -> Iterator[Draft | RowProblem]:
    waiting = _variations(table, layout)
    for item in table.rows():
        if isinstance(item, RowProblem):
            yield item
            continue
        row, cells = item
        if not _is_variation(cells, layout):
            draft = _draft(row, cells, layout)
            woo_id = layout.cell(cells, "id")
            for key in (draft.sku, f"id:{woo_id}"):
                if found := waiting.pop(key, None):
                    _add(draft, found)
            yield draft
    for parent, found in sorted(waiting.items(), key=lambda pair: pair[1].first_row):
        reason = f"its parent {parent!r} is not in this file" if parent else "a variation without a parent"
        yield RowProblem(found.first_row, "Parent", reason, "Export the parent with its variations.", True)


def _is_variation(cells: Sequence[str], layout: _Layout) -> bool:
    kinds = [kind.strip().lower() for kind in layout.cell(cells, "type").split(",")]
    return "variation" in kinds


def _variations(table: Table, layout: _Layout) -> dict[str, _Variations]:
    """All variations in the file, by what they call their parent: its SKU, or `id:` and its ID."""
    found: dict[str, _Variations] = {}
    for item in table.rows():
        if isinstance(item, RowProblem) or not _is_variation(item[1], layout):
            continue
        row, cells = item
        group = found.setdefault(layout.cell(cells, "parent"), _Variations(row))
        group.images += _images(row, cells, layout)
        for name, values in layout.described(cells):
            known = group.attributes.setdefault(name, [])
            known += [value for value in values if value not in known]
        if sku := layout.cell(cells, "sku"):
            group.skus.append(sku)
        group.price = group.price or layout.cell(cells, "regular price")
    return found


def _draft(row: int, cells: Sequence[str], layout: _Layout) -> Draft:
    cell = layout.cell
    woo_id = cell(cells, "id")
    draft = Draft(
        row,
        layout.called,
        sku=cell(cells, "sku") or (f"woo-{woo_id}" if woo_id else ""),
        name=cell(cells, "name"),
        description=_line_breaks(cell(cells, "description") or cell(cells, "short description")),
        category=_values(cell(cells, "categories"))[:1],
        price=cell(cells, "regular price") or cell(cells, "sale price"),
        images=_images(row, cells, layout),
    )
    for name, values in layout.described(cells):
        draft.describe(name, values)
    draft.describe("Brand", _values(cell(cells, "brands")))
    draft.describe("Tags", _values(cell(cells, "tags")))
    for name, unit, place in layout.measures:
        if value := cells[place].strip():
            draft.describe(name, [f"{value} {unit}"])
    draft.identify("woocommerce", woo_id)
    draft.identify("gtin", cell(cells, "gtin, upc, ean, or isbn"))
    return draft


def _add(draft: Draft, variations: _Variations) -> None:
    draft.price = draft.price or variations.price
    draft.images += variations.images
    for name, values in variations.attributes.items():
        draft.describe(name, values)
    draft.identify("variant_skus", *variations.skus)


def _images(row: int, cells: Sequence[str], layout: _Layout) -> list[tuple[int, str]]:
    listed = layout.cell(cells, "images")
    return [(row, address) for address in _NEXT_ADDRESS.split(listed)] if listed else []


def _values(text: str) -> list[str]:
    """The values of a cell that lists them: commas separate, `\\,` is a comma."""
    return [part.strip().replace("\\,", ",") for part in _COMMA.split(text) if part.strip()]


def _line_breaks(text: str) -> str:
    """WooCommerce writes a line break as `\\n`, and those two characters as `\\\\n`."""
    return "\\n".join(part.replace("\\n", "\n") for part in text.split("\\\\n"))
