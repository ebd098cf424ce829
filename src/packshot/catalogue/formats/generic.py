"""Files that a mapping explains: plain tables, and JSON of any shape."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache, partial

from packshot.catalogue.formats.mapping import REQUIRED, AttributeList, FieldMapping, Join, Place, Where
from packshot.catalogue.formats.product import Draft, RowProblem
from packshot.catalogue.formats.reading import JsonValue, Table, Unreadable, header_key

Record = dict[str, JsonValue]
Records = Callable[[], Iterable[tuple[int, Record] | RowProblem]]  # as often as asked for

# Several addresses in one cell. An address may itself hold commas, so the next "http" has to follow.
_NEXT_ADDRESS = re.compile(r"[\s,;|]+(?=(?:https?:)?//)")
# One product with more joined records than this is a mapping gone wrong, or a file made to exhaust memory.
_MOST_JOINED = 20_000


@dataclass(frozen=True, slots=True)
class _Plan:
    """A mapping with what is computed from it once per file."""

    mapping: FieldMapping
    called: Mapping[str, str]
    used: frozenset[str]  # columns or top-level keys that are named somewhere


# -- tables --------------------------------------------------------------------------------------------


def read_table(table: Table, mapping: FieldMapping) -> Callable[[], Iterator[Draft | RowProblem]]:
    """The products of a table, as often as asked for. Raises Unreadable with all that its header lacks."""
    positions = table.positions()
    mapping = _bound(mapping, table, positions)
    names = {key: table.columns[places[0]] for key, places in positions.items()}
    columns = [(names[key], places) for key, places in positions.items()]

    def records() -> Iterator[tuple[int, Record] | RowProblem]:
        for item in table.rows():
            if isinstance(item, RowProblem):
                yield item
                continue
            row, cells = item
            record: Record = {}
            for name, places in columns:
                record[name] = cells[places[0]] if len(places) == 1 else [cells[place] for place in places]
            yield row, record

    plan = _plan(mapping)
    return partial(_drafts, records, plan, {})


def _bound(mapping: FieldMapping, table: Table, positions: Mapping[str, list[int]]) -> FieldMapping:
    """`mapping` with the columns spelled as this file spells them, and without those it lacks."""
    problems: list[str] = []

    def column(name: str) -> str | None:
        places = positions.get(header_key(name))
        return table.columns[places[0]] if places else None

    def place(what: str, wanted: Place, *, single: bool) -> Place:
        if wanted.constant is not None:
            return wanted
        found = tuple(name for path in wanted.paths if (name := column(path)))
        if not found and (what in REQUIRED or not mapping.lenient):
            problems.append(f"no column for {what} (looked for: {', '.join(wanted.paths)})")
        if mapping.lenient and what == "sku":
            found = found[:1]  # a row without a SKU must not be known by its id instead
        for name in found[:1] if single else ():
            if len(places := positions[header_key(name)]) > 1:
                where = " and ".join(str(place + 1) for place in places)
                problems.append(
                    f"the column {name} comes {len(places)} times (columns {where}): rename or delete one"
                )
        return replace(wanted, paths=found)

    fields = {
        what: place(what, wanted, single=what not in ("images", "category"))
        for what, wanted in mapping.fields.items()
    }
    bound = replace(
        mapping,
        fields=fields,
        attributes={
            name: place(f"attribute {name}", wanted, single=False)
            for name, wanted in (mapping.attributes or {}).items()
        },
        external_ids={
            name: place(f"external id {name}", wanted, single=False)
            for name, wanted in (mapping.external_ids or {}).items()
        },
        where=tuple((column(name) or name, wanted) for name, wanted in mapping.where),
        skip=tuple(name for skipped in mapping.skip if (name := column(skipped))),
        attribute_lists=(),  # a cell holds no list of objects
        attribute_objects=(),
    )
    problems += [f"no column {name} for `where`" for name, _ in mapping.where if not column(name)]
    if mapping.joins:
        problems.append("a table has no other records to join: joins are for JSON")
    if problems:
        raise Unreadable(
            f"The columns do not fit: {'; '.join(problems)}. "
            f"The file has these columns: {table.named()}. "
            "Rename them, or say which is which in a file of your own: "
            "packshot import FILE --mapping MAPPING (docs/import.md).",
            row=table.header_row,
            problems=tuple(problems),
        )
    return bound


def describe_places(table: Table, mapping: FieldMapping) -> str:
    """Which column was taken for which field, for a person to check."""
    known = table.positions()
    taken: list[str] = []
    for what, wanted in mapping.fields.items():
        for path in wanted.paths:
            if places := known.get(header_key(path)):
                taken.append(f"{what} from “{table.columns[places[0]]}”")
                break
    return "Read " + ", ".join(taken) + "."


# -- documents -----------------------------------------------------------------------------------------


def read_records(
    records: Records, mapping: FieldMapping, document: JsonValue
) -> Iterator[Draft | RowProblem]:
    """The products among `records` and what is joined to them. `document` is None for JSON lines."""
    return _drafts(records, _plan(mapping), _index(records, mapping.joins, document))


def list_of_records(document: JsonValue, path: str) -> list[JsonValue]:
    """The list of a document's records: at `path`, or the document itself, or its only list of objects."""
    if path:
        found = _at(document, path)
        if not isinstance(found, list):
            raise Unreadable(f"There is no list at “{path}”, where the mapping says the records are.")
        return found
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        lists = {key: value for key, value in document.items() if isinstance(value, list) and _objects(value)}
        if len(lists) == 1:
            return next(iter(lists.values()))
        if "products" in lists:
            return lists["products"]
        named = f"It has several lists: {', '.join(lists)}." if lists else "It holds no list of objects."
        raise Unreadable(
            f'{named} Say in a mapping where the products are: records = "path" (docs/import.md).'
        )
    raise Unreadable("It holds no list of objects. Export the products as a JSON list.")


def matches(record: Record, where: Where) -> bool:
    """Whether `record` has one of the wanted values at every place."""
    for path, wanted in where:
        words = {_word(value) for value in wanted}
        if not any(text_of(found) in words for found in find(record, path)):
            return False
    return True


def find(value: JsonValue, path: str) -> list[JsonValue]:
    """Every value at `path`, lists opened, nulls left out. A key that holds dots itself is found whole."""
    if isinstance(value, dict):
        if (whole := value.get(path)) is not None:
            return _opened(whole)
        head, _, rest = path.partition(".")
        return find(value.get(head), rest) if rest else []
    if not isinstance(value, list):
        return []
    head, _, rest = path.partition(".")
    if head.isdecimal():
        index = int(head[:9])
        item = value[index] if index < len(value) else None
        return find(item, rest) if rest else _opened(item)
    return [found for item in _opened(value) for found in find(item, path)]


def text_of(value: JsonValue) -> str:
    """A scalar as text; "" for null, lists and objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    # A number written 1e999999999 is nine characters in the file and a gigabyte spelled out.
    if isinstance(value, Decimal) and abs(value.adjusted()) < 30:
        return format(value, "f")
    return str(value) if isinstance(value, int | Decimal) else ""


def _word(value: str | int | float | bool) -> str:
    return text_of(value) if isinstance(value, str | bool | int) else text_of(Decimal(str(value)))


def _opened(value: JsonValue) -> list[JsonValue]:
    """`value` as a list without nulls or lists in it. No recursion: a file may nest a thousand deep."""
    if not isinstance(value, list):
        return [] if value is None else [value]
    opened: list[JsonValue] = []
    waiting = list(reversed(value))
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif item is not None:
            opened.append(item)
    return opened


def _at(value: JsonValue, path: str) -> JsonValue:
    """The value at `path` itself, lists unopened."""
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _objects(items: list[JsonValue]) -> bool:
    return bool(items) and isinstance(items[0], dict)


# -- joins ---------------------------------------------------------------------------------------------

_Index = dict[str, dict[str, list[Record]]]  # join -> key -> its records


def _index(records: Records, joins: tuple[Join, ...], document: JsonValue) -> _Index:
    index: _Index = {join.name: {} for join in joins}
    shared = [join for join in joins if not join.records]
    if shared:
        for item in records():
            if not isinstance(item, RowProblem):
                for join in shared:
                    _file(index[join.name], join, item[1])
    for join in joins:
        if join.records:
            for record in list_of_records(document, join.records):
                if isinstance(record, dict):
                    _file(index[join.name], join, record)
    return index


def _file(shelf: dict[str, list[Record]], join: Join, record: Record) -> None:
    if matches(record, join.where):
        for key in find(record, join.key):
            shelf.setdefault(text_of(key), []).append(record)


class _TooManyJoined(Exception):
    """One product would get more records than any product has."""


def _joined(record: Record, joins: tuple[Join, ...], index: _Index) -> Record:
    """`record` with the records of every join beneath it."""
    left = _MOST_JOINED

    def beneath(parent: Record, name: str) -> Record:
        nonlocal left
        whole = dict(parent)
        for join in joins:
            if join.into != name:
                continue
            shelf = index[join.name]
            children: list[JsonValue] = []
            for key in find(whole, join.equals):
                for child in shelf.get(text_of(key), ()):
                    line = _line_of(child, join, shelf) if join.tree else [child]
                    left -= len(line)
                    if left < 0:
                        raise _TooManyJoined
                    children.extend(beneath(one, join.name) for one in line)
            if join.sort:
                children.sort(key=lambda child, path=join.sort: _order(child, path))  # type: ignore[misc]
            whole[join.name] = children
        return whole

    return beneath(record, "")


def _line_of(record: Record, join: Join, shelf: Mapping[str, list[Record]]) -> list[Record]:
    """`record` and its parents, from the top down. A circle ends where it began."""
    line = [record]
    met = {id(record)}
    while parents := [one for key in find(line[-1], join.tree) for one in shelf.get(text_of(key), ())]:
        if id(parents[0]) in met:
            break
        met.add(id(parents[0]))
        line.append(parents[0])
    return line[::-1]


def _order(record: JsonValue, path: str) -> tuple[bool, Decimal, str]:
    """Numbers by size, then words, then those that say nothing, which keep the file's order."""
    for value in find(record, path):
        if isinstance(value, int | Decimal):
            return False, Decimal(value), ""
        if isinstance(value, str):
            return False, Decimal("Infinity"), value
    return True, Decimal(0), ""


# -- records to products -------------------------------------------------------------------------------


def _plan(mapping: FieldMapping) -> _Plan:
    called = {what: place.paths[0] for what, place in mapping.fields.items() if len(place.paths) == 1}
    places = (mapping.fields, mapping.attributes or {}, mapping.external_ids or {})
    paths = [path for group in places for place in group.values() for path in place.paths]
    paths += [path for path, _ in mapping.where]
    paths += [listed.each for listed in mapping.attribute_lists] + list(mapping.attribute_objects)
    paths += [join.equals for join in mapping.joins if not join.into] + [join.name for join in mapping.joins]
    paths += mapping.skip
    used = set(paths) | {path.partition(".")[0] for path in paths}
    return _Plan(mapping, called, frozenset(used))


def _drafts(records: Records, plan: _Plan, index: _Index) -> Iterator[Draft | RowProblem]:
    mapping = plan.mapping
    fits = False
    for item in records():
        if isinstance(item, RowProblem):
            yield item
            continue
        row, record = item
        if mapping.where and not matches(record, mapping.where):
            continue
        fits = True
        if mapping.joins:
            try:
                record = _joined(record, mapping.joins, index)
            except _TooManyJoined:
                reason = f"more than {_MOST_JOINED:,} records belong to it"
                yield RowProblem(row, "", reason, "Check `key` and `equals` in the mapping's joins.", True)
                continue
        yield _draft(row, record, plan)
    if mapping.where and not fits:
        wanted = ", ".join(path for path, _ in mapping.where)
        raise Unreadable(f"No record fits the mapping's `where` ({wanted}), so there is nothing to import.")


def _draft(row: int, record: Record, plan: _Plan) -> Draft:
    mapping = plan.mapping
    fields = {what: _texts(record, place) for what, place in mapping.fields.items() if what != "images"}

    def first(what: str) -> str:
        return next(iter(fields.get(what, ())), "")

    draft = Draft(
        row,
        plan.called,
        sku=first("sku"),
        name=first("name"),
        description=first("description"),
        category=fields.get("category", ()),
        price=first("price"),
        currency=first("currency"),
        image_base=mapping.image_base,
    )
    for listed in _all_texts(record, mapping.fields.get("images", Place())):
        draft.images += [(row, address) for address in _NEXT_ADDRESS.split(listed)]
    for name, place in (mapping.attributes or {}).items():
        draft.describe(name, _texts(record, place))
    for attributes in mapping.attribute_lists:
        _describe_each(draft, record, attributes)
    for path in mapping.attribute_objects:
        described = _at(record, path)
        for name, value in described.items() if isinstance(described, dict) else ():
            draft.describe(name, [text_of(one) for one in _opened(value)])
    if mapping.rest:
        for name, value in record.items():
            if value and name not in plan.used:
                draft.describe(name, [text_of(one) for one in _opened(value)])
    for system, place in (mapping.external_ids or {}).items():
        draft.identify(system, *_texts(record, place))
    return draft


def _describe_each(draft: Draft, record: Record, listed: AttributeList) -> None:
    for item in find(record, listed.each):
        name = next((text for one in find(item, listed.name) if (text := text_of(one))), "")
        draft.describe(name, [text_of(one) for one in find(item, listed.value)])


def _texts(record: Record, place: Place) -> list[str]:
    """The words at the first of the place's paths that has any."""
    if place.constant is not None:
        return [place.constant]
    for path in place.paths:
        if words := _words_at(record, path, place.split):
            return words
    return []


def _all_texts(record: Record, place: Place) -> list[str]:
    """The words at all of the place's paths: a product's pictures may stand in several columns."""
    if place.constant is not None:
        return [place.constant]
    return [word for path in place.paths for word in _words_at(record, path, place.split)]


@lru_cache(maxsize=4_096)
def _first_key(path: str) -> str:
    return path.partition(".")[0]


def _words_at(record: Record, path: str, split: str | None) -> list[str]:
    if _first_key(path) not in record and path not in record:
        return []
    words = [text for value in find(record, path) if (text := text_of(value).strip())]
    if split:
        words = [part.strip() for word in words for part in word.split(split) if part.strip()]
    return words
