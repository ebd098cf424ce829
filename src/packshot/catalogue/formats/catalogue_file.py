"""The one way in: a path becomes a catalogue file that says what it is and yields its products in order."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from packshot.catalogue.formats import shopify, woocommerce
from packshot.catalogue.formats.generic import (
    Record,
    Records,
    describe_places,
    list_of_records,
    matches,
    read_records,
    read_table,
)
from packshot.catalogue.formats.mapping import FieldMapping, load_mapping, shipped_mappings
from packshot.catalogue.formats.product import Draft, ParsedProduct, RowProblem, sku_of
from packshot.catalogue.formats.reading import (
    JsonValue,
    Limits,
    Source,
    Table,
    Unreadable,
    examine,
    lines_of,
    parse_json,
    read_document,
)

Format = Literal["shopify", "woocommerce", "csv", "json", "jsonl"]

_PLAIN = "plain"  # the shipped mapping that knows the usual column names
_DOCUMENT = re.compile(r"\s*(?:\{|\[\s*[\{\[\]])")


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """A file that can be imported. Iterating reads it, as often as asked for, with memory that does not grow
    with its length (a JSON document is the exception: it is held whole)."""

    path: Path
    format: Format
    label: str  # for people: "Shopify product CSV, legacy headers"
    encoding: str
    notes: tuple[str, ...]  # what a person should know before importing
    _drafts: Callable[[], Iterator[Draft | RowProblem]]

    def __iter__(self) -> Iterator[ParsedProduct | RowProblem]:
        """Products and problems in file order; a product's problems come just before it."""
        first_rows: dict[str, int] = {}
        for draft in self._drafts():
            if isinstance(draft, RowProblem):
                yield draft
                continue
            sku = draft.sku = sku_of(draft.sku)
            first_row = first_rows.setdefault(sku, draft.row) if sku else draft.row
            if first_row != draft.row:
                word = draft.called.get("sku", "sku")
                reason = f"duplicate {word.lower()} {sku[:80]!r}, first at row {first_row:,}"
                remedy = "Put the product's rows together, or give each product its own."
                yield RowProblem(draft.row, word, reason, remedy, True)
            else:
                yield from draft.finish()


def open_catalogue(
    path: str | Path,
    *,
    mapping: FieldMapping | None = None,
    format: Format | None = None,  # noqa: A002 (the word the command line and the page use)
    limits: Limits | None = None,
) -> CatalogueFile:
    """Find out what `path` is. Raises Unreadable, in words, for what cannot be imported at all.

    A mapping says that the file is a plain table or JSON; without one the shops' own exports are recognised
    and everything else goes by the usual column names.
    """
    path = Path(path)
    limits = limits or Limits()
    source = examine(path, limits)
    text = format or _recognised_text(source)
    if text in ("json", "jsonl"):
        return _open_json(source, limits, mapping, lines=text == "jsonl")
    return _open_table(source, limits, mapping, format)


def _recognised_text(source: Source) -> Format:
    if source.path.suffix.lower() in (".jsonl", ".ndjson"):
        return "jsonl"
    if not _DOCUMENT.match(source.head):
        return "csv"
    first, _, others = source.head.lstrip("\ufeff \t\r\n").partition("\n")
    try:
        if isinstance(parse_json(first), dict) and others.lstrip().startswith("{"):
            return "jsonl"
    except ValueError:
        pass  # a document over several lines
    return "json"


def _open_table(
    source: Source,
    limits: Limits,
    mapping: FieldMapping | None,
    format: Format | None,  # noqa: A002
) -> CatalogueFile:
    table = Table(source, limits)
    positions = table.positions()
    found = "csv" if mapping else format or _recognised_shop(positions)
    if found == "shopify":
        label, drafts = shopify.label(positions), shopify.read_shopify(table)
    elif found == "woocommerce":
        label, drafts = "WooCommerce product CSV", woocommerce.read_woocommerce(table)
    else:
        chosen = mapping or load_mapping(_PLAIN)
        label, drafts = f"Table, {chosen.label}", read_table(table, chosen)
        table.notes.append(describe_places(table, chosen))
    if not table.has_rows():
        raise Unreadable(f"{source.path.name} has a header and no products. Export the catalogue again.")
    return CatalogueFile(source.path, found, label, source.encoding, (*source.notes, *table.notes), drafts)


def _recognised_shop(positions: dict[str, list[int]]) -> Format:
    if shopify.is_shopify(positions):
        return "shopify"
    return "woocommerce" if woocommerce.is_woocommerce(positions) else "csv"


def _open_json(source: Source, limits: Limits, mapping: FieldMapping | None, *, lines: bool) -> CatalogueFile:
    notes = list(source.notes)
    if lines:
        document = None
        chosen = mapping or load_mapping(_PLAIN)
        if any(join.records for join in chosen.joins):
            raise Unreadable("JSON lines have no other lists: a join of this mapping names `records`.")
        records: Records = partial(_line_records, source, limits)
    else:
        document = read_document(source, limits)
        listed = list_of_records(document, mapping.records if mapping else "")
        if len(listed) > limits.rows:
            raise Unreadable(f"It has more than {limits.rows:,} records. Split it, or raise the limit.")
        if not listed:
            raise Unreadable(f"{source.path.name} holds an empty list. Export the catalogue again.")
        chosen = mapping or _fitting_mapping(listed, notes)
        records = partial(_document_records, listed)
    label = f"JSON{' lines' if lines else ''}, {chosen.label}"
    return CatalogueFile(
        source.path,
        "jsonl" if lines else "json",
        label,
        source.encoding,
        tuple(notes),
        partial(read_records, records, chosen, document),
    )


def _fitting_mapping(listed: list[JsonValue], notes: list[str]) -> FieldMapping:
    """The shipped mapping whose products are in the file, else the one for the usual names."""
    for name in shipped_mappings():
        mapping = load_mapping(name)
        if mapping.where and any(isinstance(one, dict) and matches(one, mapping.where) for one in listed):
            notes.append(f"Recognised by the shipped mapping “{name}”.")
            return mapping
    return load_mapping(_PLAIN)


def _document_records(listed: list[JsonValue]) -> Iterator[tuple[int, Record] | RowProblem]:
    for number, record in enumerate(listed, start=1):
        if isinstance(record, dict):
            yield number, record
        else:
            yield RowProblem(number, "", "it is not an object", "Export the products as objects.", True)


def _line_records(source: Source, limits: Limits) -> Iterator[tuple[int, Record] | RowProblem]:
    for number, line in lines_of(source, limits):
        try:
            record = parse_json(line)
        except ValueError as error:
            yield RowProblem(number, "", f"it is not valid JSON: {error}", "Export the line again.", True)
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            yield RowProblem(number, "", "it is not an object", "Write one object per line.", True)
