"""The mapping language: how a file that we do not know says which of its columns or keys is what.

A mapping is data, a TOML or JSON file. It names places, it computes nothing::

    label = "Our ERP's article list"
    image_base = "https://shop.example.com/media/"   # completes relative image addresses
    where = { status = ["active", "new"] }           # only these records are products
    rest = true                                      # what is named nowhere becomes an attribute
    skip = ["internal note"]                         # except these

    [fields]                       # sku and name are required
    sku = "Article no"
    name = ["Web title", "Title"]  # the first that is not empty
    description = "Text"
    category = { path = "Group", split = "/" }
    price = "Price"
    currency = { value = "EUR" }   # the same for all
    images = "Pictures"

    [attributes]                   # name = place
    Colour = "Farbe"

    [external_ids]
    erp = "Id"

**Places.** In CSV and TSV a place is a column's name; case, padding and `_`, `-`, space do not matter. In
JSON it is a path of keys with dots: `fields.name`. A list on the way stands for all its items (`variants.sku`
is every variant's SKU), a number for one of them (`images.0`). Where one value is wanted the first counts; a
category wants the whole path from the top; images are taken from all the places listed.

**JSON only.** `records` is the path of the list that holds the records; without it, the document itself or
its only list of objects. `attribute_objects` lists places of objects whose every entry is an attribute;
`[[attribute_lists]]` with `each`, `name` and `value` reads lists such as
`[{"name": "Colour", "values": ["red"]}]`.

**Joins** put records of the same file beneath the product they belong to, under the join's name, where paths
then find them. The records of one join can be put beneath those of an earlier one (`into`)::

    [joins.media]
    where = { model = "product.productmedia" }   # which records (or: records = "path.of.another.list")
    key = "fields.product"                       # this place in them
    equals = "pk"                                # has the value of this place in the product
    sort = "fields.sort_order"                   # in this order

    [joins.category]
    where = { model = "product.category" }
    key = "pk"
    equals = "fields.category"
    tree = "fields.parent"                       # and its parents: the list runs from the top down
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from packshot.kernel.errors import BadInput

FIELDS = ("sku", "name", "description", "category", "price", "currency", "images")
REQUIRED = ("sku", "name")
_LARGEST_MAPPING = 1024 * 1024

Literal_ = str | int | float | bool
Where = tuple[tuple[str, tuple[Literal_, ...]], ...]  # place -> any of these values; all places must fit


@dataclass(frozen=True, slots=True)
class Place:
    """Where one value stands: the first of `paths` that is not empty, or the same `constant` for all."""

    paths: tuple[str, ...] = ()
    constant: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True)
class AttributeList:
    """A list whose items each carry an attribute's name and its value or values."""

    each: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Join:
    """Records put beneath those they belong to."""

    name: str
    key: str
    equals: str
    where: Where = ()
    records: str = ""
    into: str = ""  # the name of an earlier join; empty: the product
    sort: str = ""
    tree: str = ""


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """What the mapping file says. `lenient`: places that a file does not have are not missed."""

    label: str
    fields: Mapping[str, Place]
    records: str = ""
    where: Where = ()
    attributes: Mapping[str, Place] | None = None
    attribute_lists: tuple[AttributeList, ...] = ()
    attribute_objects: tuple[str, ...] = ()
    external_ids: Mapping[str, Place] | None = None
    joins: tuple[Join, ...] = ()
    rest: bool = False
    skip: tuple[str, ...] = ()
    image_base: str | None = None
    lenient: bool = False


def shipped_mappings() -> tuple[str, ...]:
    """The names of the mappings that come with Packshot."""
    folder = resources.files("packshot.catalogue.formats") / "mappings"
    return tuple(
        sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))
    )


def load_mapping(source: str | Path) -> FieldMapping:
    """The mapping in a TOML or JSON file, or a shipped one by name. BadInput lists all that is wrong."""
    if str(source) in shipped_mappings():
        file = resources.files("packshot.catalogue.formats") / "mappings" / f"{source}.toml"
        return parse_mapping(tomllib.loads(file.read_text("utf-8")), name=str(source))
    path = Path(source)
    try:
        if path.stat().st_size > _LARGEST_MAPPING:
            raise BadInput(f"{path} is too large for a mapping (1 MB at most).", field="mapping")
        text = path.read_text("utf-8-sig")
        data = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        shipped = ", ".join(shipped_mappings())
        raise BadInput(
            f"The mapping {source} cannot be read: {error.strerror}. Shipped ones: {shipped}.",
            field="mapping",
        ) from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"The mapping {path.name} is not valid: {error}.", field="mapping") from None
    return parse_mapping(data, name=path.name)


def parse_mapping(data: object, *, name: str) -> FieldMapping:
    """The mapping that `data`, as read from TOML or JSON, describes."""
    return _Reader(name).mapping(data)


class _Reader:
    """Reads one mapping and collects what is wrong with it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._problems: list[str] = []

    def mapping(self, data: object) -> FieldMapping:
        top = self._table(data, "the mapping", FieldMapping.__slots__)
        fields = self._places(top.get("fields", {}), "fields")
        self._problems += [f"fields has no `{word}`" for word in fields if word not in FIELDS]
        self._problems += [f"fields.{word} is missing" for word in REQUIRED if word not in fields]
        mapping = FieldMapping(
            label=self._text(top.get("label", self._name), "label"),
            fields=fields,
            records=self._text(top.get("records", ""), "records"),
            where=self._where(top.get("where", {}), "where"),
            attributes=self._places(top.get("attributes", {}), "attributes"),
            attribute_lists=self._attribute_lists(top.get("attribute_lists", [])),
            attribute_objects=self._texts(top.get("attribute_objects", []), "attribute_objects"),
            external_ids=self._places(top.get("external_ids", {}), "external_ids"),
            joins=self._joins(top.get("joins", {})),
            rest=self._truth(top.get("rest", False), "rest"),
            skip=self._texts(top.get("skip", []), "skip"),
            image_base=self._text(top["image_base"], "image_base") if "image_base" in top else None,
            lenient=self._truth(top.get("lenient", False), "lenient"),
        )
        if self._problems:
            listed = "; ".join(self._problems)
            raise BadInput(
                f"The mapping {self._name} cannot be used: {listed}. See docs/import.md.", field="mapping"
            )
        return mapping

    def _table(self, data: object, where: str, known: Sequence[str] | None = None) -> Mapping[str, object]:
        if not isinstance(data, Mapping):
            self._problems.append(f"{where} must be a table")
            return {}
        table: dict[str, object] = {str(key): value for key, value in data.items()}
        if known is not None:
            self._problems += [f"{where} has no `{key}`" for key in table if key not in known]
        return table

    def _text(self, data: object, where: str) -> str:
        if not isinstance(data, str):
            self._problems.append(f"{where} must be text")
            return ""
        return data

    def _texts(self, data: object, where: str) -> tuple[str, ...]:
        if not isinstance(data, list):
            self._problems.append(f"{where} must be a list of texts")
            return ()
        return tuple(self._text(item, where) for item in data)

    def _truth(self, data: object, where: str) -> bool:
        if not isinstance(data, bool):
            self._problems.append(f"{where} must be true or false")
        return data is True

    def _places(self, data: object, where: str) -> dict[str, Place]:
        table = self._table(data, where)
        return {name: self._place(value, f"{where}.{name}") for name, value in table.items()}

    def _place(self, data: object, where: str) -> Place:
        if isinstance(data, str):
            return Place(paths=(data,))
        if isinstance(data, list):
            return Place(paths=self._texts(data, where))
        table = self._table(data, where, ("path", "value", "split"))
        if ("path" in table) == ("value" in table):
            self._problems.append(f"{where} needs either `path` or `value`")
            return Place()
        if "value" in table:
            return Place(constant=self._text(table["value"], where))
        path = table["path"]
        split = self._text(table["split"], f"{where}.split") if "split" in table else None
        if split == "":
            self._problems.append(f"{where}.split is empty")
        paths = self._texts(path, where) if isinstance(path, list) else (self._text(path, where),)
        return Place(paths=paths, split=split or None)

    def _where(self, data: object, where: str) -> Where:
        tests: list[tuple[str, tuple[Literal_, ...]]] = []
        for place, wanted in self._table(data, where).items():
            values = wanted if isinstance(wanted, list) else [wanted]
            literals = tuple(value for value in values if isinstance(value, str | int | float | bool))
            if len(literals) < len(values) or not literals:
                self._problems.append(f"{where}.{place} must be a value or a list of values")
            tests.append((place, literals))
        return tuple(tests)

    def _attribute_lists(self, data: object) -> tuple[AttributeList, ...]:
        if not isinstance(data, list):
            self._problems.append("attribute_lists must be written as [[attribute_lists]]")
            return ()
        lists: list[AttributeList] = []
        for number, item in enumerate(data, start=1):
            where = f"attribute_lists {number}"
            table = self._table(item, where, AttributeList.__slots__)
            each, name, value = (
                self._text(table.get(key, ""), f"{where}.{key}") for key in AttributeList.__slots__
            )
            if not (each and name and value):
                self._problems.append(f"{where} needs `each`, `name` and `value`")
            lists.append(AttributeList(each, name, value))
        return tuple(lists)

    def _joins(self, data: object) -> tuple[Join, ...]:
        joins: list[Join] = []
        for name, item in self._table(data, "joins").items():
            where = f"joins.{name}"
            table = self._table(item, where, ("where", "records", "key", "equals", "into", "sort", "tree"))
            texts = {
                key: self._text(table.get(key, ""), f"{where}.{key}")
                for key in ("records", "key", "equals", "into", "sort", "tree")
            }
            if not (texts["key"] and texts["equals"]):
                self._problems.append(f"{where} needs `key` and `equals`")
            if texts["into"] and texts["into"] not in (earlier.name for earlier in joins):
                self._problems.append(f"{where}.into names `{texts['into']}`, which is no earlier join")
            if "." in name:
                self._problems.append(f"{where}: a join's name has no dot")
            joins.append(
                Join(name=name, where=self._where(table.get("where", {}), f"{where}.where"), **texts)
            )
        return tuple(joins)
