"""From bytes on disk to text, rows and documents: what the file is, how it is encoded, where a row ends.

Everything is refused as early as it can be known: by size before the first byte is read, by its first bytes
before it is decoded. A file is read in pieces; only a JSON document is held whole.
"""

import codecs
import csv
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, TextIO, TypeAlias

from packshot.catalogue.formats.product import RowProblem
from packshot.kernel.errors import BadInput

JsonValue: TypeAlias = "bool | int | Decimal | str | list[JsonValue] | dict[str, JsonValue] | None"

_MB = 1024 * 1024
_HEAD = 64 * 1024
_CHUNK = _MB
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a catalogue file may be. A JSON document has limits of its own because it is read whole."""

    file_bytes: int = 512 * _MB
    json_bytes: int = 256 * _MB
    # Three bytes such as `[],` take 64 in memory, so the size on disk alone does not bound what is needed.
    json_values: int = 10_000_000
    rows: int = 500_000
    columns: int = 1_000
    cell_chars: int = 1_000_000
    line_chars: int = 8_000_000


class Unreadable(BadInput):
    """The file as a whole cannot be imported. Everything wrong with its header is listed at once."""

    def __init__(self, message: str, *, row: int | None = None, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, field=None if row is None else f"row {row:,}")
        self.row = row
        self.problems = problems or (message,)


@dataclass(frozen=True, slots=True)
class Source:
    """A text file whose encoding is known for its whole length."""

    path: Path
    size_bytes: int
    encoding: str
    errors: Literal["strict", "replace"]
    notes: tuple[str, ...]
    head: str  # its first characters, at most 64 KB

    def open(self) -> TextIO:
        return self.path.open(encoding=self.encoding, errors=self.errors, newline="")


def examine(path: Path, limits: Limits) -> Source:
    """What kind of text `path` holds. Reads it once, in pieces; refuses what is no text, in words."""
    name = path.name
    try:
        status = path.stat()
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}. Check the path.") from None
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable(f"{path} is not a file. Give the path of one CSV, TSV, JSON or JSONL file.")
    if status.st_size > limits.file_bytes:
        raise Unreadable(
            f"{name} has {_size(status.st_size)}; a catalogue file may have {_size(limits.file_bytes)}. "
            "Split it, or raise the limit."
        )
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}. Check its permissions.") from None
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        if status.st_size <= _HEAD:
            raise Unreadable(f"{name} is empty. Export the catalogue again.")
        raise Unreadable(f"{name} begins with {_size(_HEAD)} of blanks. Export the catalogue again.")
    if foreign := _foreign_kind(head):
        kind, remedy = foreign
        raise Unreadable(f"{name} is {kind}, not a catalogue as text. {remedy}")
    encoding = _marked_encoding(head)
    if encoding is None and _looks_binary(head):
        raise Unreadable(f"{name} holds binary data, not text. Export the catalogue as CSV or JSON.")
    found, errors, notes = _settled_encoding(path, encoding)
    # An incremental decoder, because the head may end in the middle of a character.
    text = codecs.getincrementaldecoder(found)(errors).decode(head)
    return Source(path, status.st_size, found, errors, notes, text)


def _size(count: int) -> str:
    if count >= 1024 * _MB:
        return f"{count / (1024 * _MB):.1f} GB"
    if count >= _MB:
        return f"{count / _MB:.0f} MB"
    return f"{count / 1024:.0f} KB" if count >= 1024 else f"{count} bytes"


_SAVE_AS_CSV = "Open it in a spreadsheet program, save it as CSV (UTF-8), and import that."
_UNPACK = "Unpack it, and import the file inside."
_PICTURE = "Give the catalogue file; pictures come into it as addresses."
_EXPORT = "Export the products as CSV or JSON, and import that."
_MAGIC = (
    (b"\x89PNG\r\n", "a PNG picture", _PICTURE),
    (b"\xff\xd8\xff", "a JPEG picture", _PICTURE),
    (b"GIF8", "a GIF picture", _PICTURE),
    (b"%PDF-", "a PDF document", _EXPORT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", _SAVE_AS_CSV),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"SQLite format 3\x00", "an SQLite database", _EXPORT),
    (b"PGDMP", "a PostgreSQL dump", _EXPORT),
    (b"PAR1", "a Parquet file", _EXPORT),
    (b"\x7fELF", "a program", _EXPORT),
)


def _foreign_kind(head: bytes) -> tuple[str, str] | None:
    """What the file is, and what to do, when its first bytes are those of something else than text."""
    for magic, kind, remedy in _MAGIC:
        if head.startswith(magic):
            return kind, remedy
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "a WebP picture", _PICTURE
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        if b"xl/" in head:
            return "an Excel workbook (.xlsx)", _SAVE_AS_CSV
        if b"opendocument.spreadsheet" in head:
            return "an OpenDocument spreadsheet (.ods)", _SAVE_AS_CSV
        if b"word/" in head:
            return "a Word document", _EXPORT
        return "a ZIP archive", _UNPACK
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page", "The download was probably answered with a sign-in page; export it again."
    if start.startswith((b"<?xml", b"<rss")):
        return "XML", "Export the catalogue as CSV, TSV or JSON, and import that."
    return None


def _marked_encoding(head: bytes) -> str | None:
    """The encoding that a byte order mark, or UTF-16's own pattern of zero bytes, gives away."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith(
        (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
    ):  # before UTF-16, whose mark it begins with
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    pairs = len(head) // 2
    first, second = head[0::2].count(0), head[1::2].count(0)
    if pairs >= 4 and second > 0.6 * pairs and first < 0.05 * pairs:
        return "utf-16-le"
    if pairs >= 4 and first > 0.6 * pairs and second < 0.05 * pairs:
        return "utf-16-be"
    return None


_CONTROL = bytes(code for code in range(32) if code not in b"\t\n\r\x0b\x0c\x1b")


def _looks_binary(head: bytes) -> bool:
    control = len(head) - len(head.translate(None, _CONTROL))
    # A few stray bytes in a damaged export are mended and reported; one byte in thirty is no text.
    return control > 32 + len(head) / 30


def _settled_encoding(
    path: Path, marked: str | None
) -> tuple[str, Literal["strict", "replace"], tuple[str, ...]]:
    """The encoding that decodes the whole file, found before the first row is read.

    A file without a mark is UTF-8 if all of it is. One that is not is either UTF-8 with damage (most of its
    other characters decode) or Windows-1252, which is what Excel means by CSV in western Europe.
    """
    name = marked or "utf-8"
    line = 1
    decoder = codecs.getincrementaldecoder(name)("strict")
    with path.open("rb") as stream:
        while True:
            chunk = stream.read(_CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += chunk[: error.start].count(b"\n")
                break
            if not chunk:
                return name, "strict", ()
            line += chunk.count(b"\n")
    if marked not in (None, "utf-8-sig"):
        raise Unreadable(
            f"{path.name} says it is {name.upper()} and is not, from line {line:,} on: it is damaged or cut "
            "off. Export it again, as UTF-8."
        )
    read, lost, fits_1252 = _census(path)
    if marked or read > 10 * lost:
        note = f"{lost:,} bytes, the first in line {line:,}, are not UTF-8 and were read as �."
        return name, "replace", (note,)
    if fits_1252:
        return "cp1252", "strict", (f"Not UTF-8 (line {line:,}): read as Windows-1252 (Western European).",)
    return "latin-1", "strict", (f"Not UTF-8 (line {line:,}): read as Latin-1.",)


def _census(path: Path) -> tuple[int, int, bool]:
    """How many characters beyond ASCII UTF-8 reads, how many it cannot, and whether Windows-1252 has all."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    read = lost = 0
    fits_1252 = True
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            text = decoder.decode(chunk)
            beyond = text.encode("ascii", "replace").count(b"?") - text.count("?")
            bad = text.count("\ufffd")
            read, lost = read + beyond - bad, lost + bad
            fits_1252 = fits_1252 and not any(code in chunk for code in (0x81, 0x8D, 0x8F, 0x90, 0x9D))
    return read, lost, fits_1252


def header_key(name: str) -> str:
    """How column names are compared: without case, padding, byte order marks, and the kind of space."""
    return " ".join(name.replace("\ufeff", "").replace("_", " ").replace("-", " ").split()).casefold()


class _Lines:
    """The lines of a stream, that know whether they came to their end and whether one held a NUL."""

    def __init__(self, stream: TextIO, limits: Limits) -> None:
        self._read = stream.readline
        self._longest = limits.line_chars
        self.ended = False
        self.met_nul = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._read(self._longest)
        if not line:
            self.ended = True
            raise StopIteration
        if len(line) == self._longest and line[-1] not in "\r\n":
            raise Unreadable(
                f"It holds a line of more than {self._longest:,} characters, which is no catalogue row."
            )
        if "\0" in line:
            self.met_nul = True
            line = line.replace("\0", "")
        return line


class Table:
    """A delimited text file: its columns, and its rows as often as they are asked for."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self.notes: list[str] = []
        first_line = source.head.lstrip("\ufeff").split("\n", 1)[0].strip()
        # Excel's own way to say the delimiter: a first line "sep=;".
        said = first_line[4:] if first_line.lower().startswith("sep=") else ""
        self.delimiter = said if said in DELIMITERS else self._best_delimiter()
        self._skip_rows = 1 if said in DELIMITERS else 0
        self.header_row, header = self._header(self.delimiter)
        while header and not header[-1].strip():
            header.pop()
        if len(header) > limits.columns:
            raise Unreadable(f"It has {len(header):,} columns; at most {limits.columns:,} are read.")
        self.columns = tuple(" ".join(name.replace("\ufeff", "").split()) for name in header)
        if self.delimiter not in (",", "\t"):
            self.notes.append(f"The columns are separated by the {DELIMITERS[self.delimiter]}.")
        if nameless := [str(n) for n, name in enumerate(self.columns, start=1) if not name]:
            self.notes.append(f"Columns without a name are ignored: {', '.join(nameless)}.")

    def positions(self) -> dict[str, list[int]]:
        """Where each column stands, by `header_key`; two places when a name comes twice."""
        found: dict[str, list[int]] = {}
        for position, name in enumerate(self.columns):
            if name:
                found.setdefault(header_key(name), []).append(position)
        return found

    def named(self) -> str:
        """The columns' names for a message, which an odd file must not make endless."""
        names = [name if len(name) <= 60 else name[:57] + "..." for name in self.columns if name]
        return ", ".join(names[:100]) + (f" and {len(names) - 100} more" if len(names) > 100 else "")

    def rows(self) -> Iterator[tuple[int, list[str]] | RowProblem]:
        """Each row below the header that is not blank, with as many cells as there are columns.

        Rows are numbered as a spreadsheet does: line breaks inside a cell do not count, blank rows do.
        """
        width = len(self.columns)
        with self._source.open() as stream:
            lines = _Lines(stream, self._limits)
            for number, cells in self._records(lines, self.delimiter):
                if number <= self.header_row:
                    lines.met_nul = False
                    continue
                if not any(map(str.strip, cells)):
                    continue
                if number > self._limits.rows + self.header_row:
                    raise Unreadable(
                        f"It has more than {self._limits.rows:,} rows. Split it, or raise the limit.",
                        row=number,
                    )
                if lines.met_nul:
                    lines.met_nul = False
                    reason, remedy = (
                        "it held NUL bytes, which were removed",
                        "Check the row: the file is damaged.",
                    )
                    yield RowProblem(number, "", reason, remedy, False)
                if len(cells) > width:
                    if any(map(str.strip, cells[width:])):
                        mark = DELIMITERS[self.delimiter]
                        reason = f"{len(cells)} cells, and the header has {width}: a {mark} is not quoted"
                        remedy = f"Put the cell that holds the {mark} in quotation marks."
                        yield RowProblem(number, "", reason, remedy, True)
                        continue
                    del cells[width:]
                elif len(cells) < width:
                    reason = (
                        f"{len(cells)} cells, and the header has {width}: the missing ones were read as empty"
                    )
                    remedy = "Check that no line break stands outside quotation marks."
                    yield RowProblem(number, "", reason, remedy, False)
                    cells += [""] * (width - len(cells))
                yield number, cells

    def has_rows(self) -> bool:
        return next(self.rows(), None) is not None

    def _header(self, delimiter: str) -> tuple[int, list[str]]:
        with self._source.open() as stream:
            for number, cells in self._records(_Lines(stream, self._limits), delimiter):
                if number > self._skip_rows and any(map(str.strip, cells)):
                    return number, cells
        raise Unreadable(f"{self._source.path.name} is empty. Export the catalogue again.")

    def _best_delimiter(self) -> str:
        """The one that cuts the header into most names."""
        self._skip_rows = 0
        counts = {d: sum(bool(name.strip()) for name in self._header(d)[1]) for d in DELIMITERS}
        return max(counts, key=lambda delimiter: counts[delimiter])

    def _records(self, lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str]]]:
        # The csv module keeps this limit for the whole process; nothing else in it reads CSV.
        csv.field_size_limit(self._limits.cell_chars)
        # A quotation mark may follow a space (padded columns), and a stray one inside a cell is kept as text.
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != "\t")
        number = 0
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                raise Unreadable(
                    f"Row {number + 1:,}: a cell has more than {self._limits.cell_chars:,} characters. A "
                    "quotation mark opens there and is never closed; close it and import again.",
                    row=number + 1,
                ) from None
            except UnicodeDecodeError:
                raise Unreadable(
                    f"{self._source.path.name} changed while it was read. Import it again."
                ) from None
            number += 1
            if lines.ended:  # the reader asked for more in the middle of a cell
                raise Unreadable(
                    f"Row {number:,}: a quotation mark opens there and is never closed, so the rest of the "
                    "file was read as one cell. Close it and import again.",
                    row=number,
                )
            yield number, cells


def read_document(source: Source, limits: Limits) -> JsonValue:
    """The whole JSON document, its numbers exact."""
    if source.size_bytes > limits.json_bytes:
        raise Unreadable(
            f"{source.path.name} has {_size(source.size_bytes)}; a JSON document, which is read whole, may "
            f"have {_size(limits.json_bytes)}. Export it as JSON lines or CSV."
        )
    try:
        with source.open() as stream:
            text = stream.read()
        if (values := sum(map(text.count, "[{,"))) > limits.json_values:
            raise Unreadable(
                f"{source.path.name} holds some {values:,} values; a JSON document, which is read whole, "
                f"may hold {limits.json_values:,}. Export it as JSON lines or CSV."
            )
        return parse_json(text)
    except ValueError as error:
        raise Unreadable(f"{source.path.name} is not valid JSON: {error}. Export it again.") from None


def parse_json(text: str) -> JsonValue:
    """One JSON value with exact numbers. ValueError, in words, for anything else."""
    try:
        value: JsonValue = json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return value


def _no_number(word: str) -> JsonValue:
    raise ValueError(f"{word} is not a number")


def lines_of(source: Source, limits: Limits) -> Iterator[tuple[int, str]]:
    """Each line of a text file that is not blank, with its number."""
    with source.open() as stream:
        for number, line in enumerate(_Lines(stream, limits), start=1):
            if number > limits.rows:
                raise Unreadable(
                    f"It has more than {limits.rows:,} lines. Split it, or raise the limit.", row=number
                )
            if line.strip("\ufeff \t\r\n"):
                yield number, line.strip("\ufeff \t\r\n")
