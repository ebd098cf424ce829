"""The active images of a list of products, to take away: as CSV, or as a ZIP. Both come in pieces, so that no
number of products needs more memory than a few."""

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from packshot import blobs
from packshot.catalogue import finding
from packshot.catalogue.finding import ActiveImage, Sought
from packshot.flows import delivery
from packshot.imaging.renditions import MEDIA_TYPES, DecoderDied
from packshot.imaging.sealing import NotSealed
from packshot.kernel.errors import BadInput
from packshot.kernel.spreadsheet import harmless

PAGE = 500
# A ZIP keeps a line for each of its files until its end.
MOST_IN_A_ZIP = 20_000
COLUMNS = (
    "sku", "name", "category", "url", "file", "provider", "model", "simulated", "digital_source_type",
    "width_px", "height_px", "image_id", "generation_id", "made_at",
)  # fmt: skip
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
# What Windows takes for a device, whatever ending it has.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_NAME_BYTES = 150


@dataclass(frozen=True, slots=True)
class Size:
    """Which copies a ZIP holds."""

    format: str
    width_px: int

    @property
    def spec(self) -> str:
        return delivery.spec_of(self.format, self.width_px)


def size(format: str, width_px: int | None) -> Size:  # noqa: A002
    """Raises BadInput for what is never made. Without a width, the largest on the list."""
    if format not in MEDIA_TYPES:
        raise BadInput(f"{format!r} is none of {', '.join(MEDIA_TYPES)}", field="format")
    rules = delivery.rules()
    return Size(format, max(rules.widths_px) if width_px is None else rules.width(str(width_px)))


def page(sought: Sought, after: UUID | None) -> list[ActiveImage]:
    """The next active images of these products; an empty list at the end."""
    return finding.active_images(sought, after=after, limit=PAGE)


def must_fit_a_zip(sought: Sought) -> None:
    counted = sought if sought.state else Sought(sought.text, sought.category, "active")
    total = len(finding.ids(counted, limit=MOST_IN_A_ZIP + 1))
    if total > MOST_IN_A_ZIP:
        raise BadInput(
            f"more than {MOST_IN_A_ZIP:,} images do not go into one ZIP; narrow the list", field="products"
        )


# -- CSV --------------------------------------------------------------------------------------------


def head() -> bytes:
    return _line(list(COLUMNS))


def line(image: ActiveImage, file: str = "") -> bytes:
    """One image as a line of the CSV."""
    return _line(
        [
            image.sku,
            image.name,
            image.category_path,
            settings.SITE_URL + delivery.address(image.sku, product_id=image.product_id),
            file,
            image.provider,
            image.model,
            "yes" if image.simulated else "no",
            image.digital_source_type,
            str(image.width_px),
            str(image.height_px),
            str(image.image_id),
            str(image.generation_id or ""),
            f"{image.made_at:%Y-%m-%dT%H:%M:%SZ}",
        ]
    )


def _line(cells: list[str]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerow([harmless(each) for each in cells])
    return written.getvalue().encode()


# -- ZIP --------------------------------------------------------------------------------------------


class Archive:
    """A ZIP that is handed on while it is written: `add` files, `taken` gives the bytes so far.

    The images are compressed already, so nothing is packed again.
    """

    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._zip = zipfile.ZipFile(self._pipe, "w", zipfile.ZIP_STORED)

    def add(self, name: str, content: bytes) -> None:
        self._zip.writestr(name, content)

    @contextmanager
    def open(self, name: str) -> Iterator[Callable[[bytes], object]]:
        """For a file that is written in pieces."""
        with self._zip.open(name, "w") as file:
            yield file.write

    def close(self) -> None:
        self._zip.close()

    def taken(self) -> bytes:
        return self._pipe.taken()


class _Pipe(io.RawIOBase):
    """Takes bytes at one end; cannot go back, and says so, so that the ZIP's own marks come behind."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        piece = bytes(content)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def file_name(image: ActiveImage, format: str) -> str:  # noqa: A002
    """What an image is called in a ZIP: its SKU, where that can be a file's name everywhere."""
    # Composed, as most write it: some file systems take both spellings of a name for one.
    plain = _UNSAFE.sub("_", unicodedata.normalize("NFC", image.sku)).strip(" .")
    cut = plain.encode()[:_NAME_BYTES].decode("utf-8", "ignore")
    # Two SKUs may become the same name, also where capitals count for nothing.
    unlike = cut != image.sku or cut.lower() != cut
    own = f"-{image.image_id.hex[-8:]}" if unlike or not cut or _DEVICE.fullmatch(cut) else ""
    return f"images/{'_' if _DEVICE.fullmatch(cut) else ''}{cut}{own}.{format}"


def missing(lost: list[tuple[str, str]]) -> bytes:
    """The CSV of what a ZIP does not hold, with the reason of each."""
    return b"".join([_line(["sku", "reason"]), *(_line([sku, reason]) for sku, reason in lost)])


# -- in one process -------------------------------------------------------------------------------


def csv_pieces(sought: Sought) -> Iterator[bytes]:
    yield head()
    for image in _all(sought):
        yield line(image)


def zip_pieces(
    sought: Sought, wanted: Size, told: Callable[[ActiveImage, str], None] = lambda *_: None
) -> Iterator[bytes]:
    """A ZIP whose copies are made here, one after the other. `told` hears of each that is not in it."""
    must_fit_a_zip(sought)
    archive, lost = Archive(), list[tuple[str, str]]()
    with archive.open("active.csv") as write:
        write(head())
        for image in _all(sought):
            write(line(image, file_name(image, wanted.format)))
            yield archive.taken()
    for image in _all(sought):
        try:
            blob = delivery.make(image.image_id, wanted.spec)
            if blob is None:
                raise BadInput("it could not be decoded")
            archive.add(file_name(image, wanted.format), delivery.content(blob))
        except (BadInput, blobs.MissingBlob, DecoderDied, NotSealed) as problem:
            lost.append((image.sku, str(problem)))
            told(image, str(problem))
        yield archive.taken()
    if lost:
        archive.add("missing.csv", missing(lost))
    archive.close()
    yield archive.taken()


def _all(sought: Sought) -> Iterator[ActiveImage]:
    after = None
    while found := page(sought, after):
        yield from found
        after = found[-1].product_id
