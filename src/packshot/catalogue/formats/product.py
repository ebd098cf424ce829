"""One product as a file describes it, or one thing wrong with it. Every format fills a `Draft`;
what is a usable name, price or address is decided here, once for all formats."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from urllib.parse import urljoin

from packshot.catalogue.formats.text import cleaned, one_line, plain_text

SKU_CHARS = 200
NAME_CHARS = 500
DESCRIPTION_CHARS = 50_000
# The path is one unique index entry, which PostgreSQL limits to 2,704 bytes: 600 characters of 4 bytes fit.
CATEGORY_CHARS = 600
CATEGORY_DEPTH = 10
ATTRIBUTES = 200
ATTRIBUTE_NAME_CHARS = 100
ATTRIBUTE_CHARS = 2_000
ATTRIBUTE_VALUES = 500
IMAGES = 50
URL_CHARS = 2_000
_PRICE_CHARS = 100
LARGEST_PRICE = Decimal("999999999999.99")

_CENT = Decimal("0.01")
_CURRENCY_SIGNS = {"€": "EUR", "£": "GBP", "US$": "USD", "CA$": "CAD", "A$": "AUD", "zł": "PLN", "Kč": "CZK"}
_PRICE = re.compile(r"(?P<before>[^\d.,+-]*)(?P<number>[+-]?[0-9.,][0-9.,' \u00a0\u202f’]*)(?P<after>[^\d]*)")
_BY_THOUSANDS = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{3})+")
_ADDRESS = re.compile(r"https?://([^/?#\\\s]*)", re.IGNORECASE)
_HOST = re.compile(r"(?:[^:\[\]%]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]+")


@dataclass(frozen=True, slots=True)
class ParsedProduct:
    """A product that can be imported. `row` is its first row, counted as a spreadsheet does."""

    row: int
    sku: str
    name: str
    description: str  # text, several lines
    category_path: tuple[str, ...]  # from the top: ("Food", "Seeds")
    attributes: dict[str, str | list[str]]
    price: Decimal | None  # two decimals
    currency: str | None  # ISO 4217, None when the file does not say
    reference_image_urls: tuple[str, ...]  # in the shop's order: the first is its main image
    external_ids: dict[str, str]


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing wrong with one row. When it is fatal the row's product is not imported."""

    row: int
    field: str  # the column or key, in the file's own words; empty for the row as a whole
    reason: str
    what_to_do: str
    fatal_for_product: bool


@dataclass(slots=True)
class Draft:
    """A product being put together from one or more rows, in the file's raw text."""

    row: int
    called: Mapping[str, str]  # field -> the file's own word for it, for messages
    sku: str = ""  # as `sku_of` gives it by the time the draft is finished
    name: str = ""
    description: str = ""
    category: Sequence[str] = ()
    price: str = ""
    currency: str = ""
    image_base: str | None = None
    images: list[tuple[int, str]] = field(default_factory=list)  # row, address
    attributes: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    external_ids: dict[str, str] = field(default_factory=dict)

    def describe(self, name: str, values: Sequence[str]) -> None:
        """Add `values` to the attribute `name`, each once. Names that differ only in case are one."""
        name = one_line(name)
        spelled, known = self.attributes.get(name.casefold(), (name, []))
        for value in values:
            word = one_line(value)
            if word and word not in known:
                known.append(word)
        if name and known:
            self.attributes[name.casefold()] = (spelled, known)

    def identify(self, system: str, *values: str) -> None:
        """Remember what another system calls this product; several values are kept one per line."""
        known = self.external_ids.get(system, "").split("\n") if system in self.external_ids else []
        known += [word for value in values if (word := one_line(value)) and word not in known]
        if known:
            self.external_ids[system] = "\n".join(known)

    def finish(self) -> Iterator[ParsedProduct | RowProblem]:
        """What is wrong with this product, then the product itself unless something was fatal."""
        problems = list(self._fatal())
        if problems:
            yield from problems
            return
        if _SCIENTIFIC.fullmatch(self.sku):
            reason = f"{self.sku} looks like a long number that a spreadsheet has rounded"
            problems.append(self._problem("sku", reason, "Format the column as text and export again."))
        product = ParsedProduct(
            row=self.row,
            sku=self.sku,
            name=one_line(self.name),
            description=self._description(problems),
            category_path=self._category_path(problems),
            attributes=self._attributes(problems),
            price=(priced := self._price(problems))[0],
            currency=priced[1],
            reference_image_urls=self._image_urls(problems),
            external_ids=self.external_ids,
        )
        yield from problems
        yield product

    def _problem(self, what: str, reason: str, what_to_do: str, *, fatal: bool = False) -> RowProblem:
        return RowProblem(self.row, self.called.get(what, what), reason, what_to_do, fatal)

    def _fatal(self) -> Iterator[RowProblem]:
        for what, text, longest in (("sku", self.sku, SKU_CHARS), ("name", self.name, NAME_CHARS)):
            text = text.strip()
            if "\n" in text or "\r" in text:
                # What a forgotten quotation mark looks like: it swallows the rows below it.
                reason = "it runs over several lines; a quotation mark is probably missing here or just above"
                yield self._problem(
                    what, reason, "Close the quotation mark, or remove the line break.", fatal=True
                )
            elif not one_line(text):
                yield self._problem(what, "it is empty", "Fill it in.", fatal=True)
            elif len(text) > longest:
                reason = f"it is {len(text):,} characters long; at most {longest:,} fit"
                yield self._problem(what, reason, "Shorten it.", fatal=True)

    def _description(self, problems: list[RowProblem]) -> str:
        text = plain_text(self.description)
        if len(text) > DESCRIPTION_CHARS:
            reason = f"it is {len(text):,} characters long; it was cut after {DESCRIPTION_CHARS:,}"
            problems.append(self._problem("description", reason, "Shorten it."))
            text = text[:DESCRIPTION_CHARS].rstrip()
        return text

    def _category_path(self, problems: list[RowProblem]) -> tuple[str, ...]:
        path = tuple(word for part in self.category for step in part.split(">") if (word := one_line(step)))
        if len(path) > CATEGORY_DEPTH or len(" > ".join(path)) > CATEGORY_CHARS:
            reason = (
                f"a path has at most {CATEGORY_DEPTH} levels and {CATEGORY_CHARS} characters; it was left out"
            )
            problems.append(self._problem("category", reason, "Shorten the category path."))
            return ()
        return path

    def _attributes(self, problems: list[RowProblem]) -> dict[str, str | list[str]]:
        kept: dict[str, str | list[str]] = {}
        for name, values in self.attributes.values():
            if len(kept) == ATTRIBUTES:
                reason = f"more than {ATTRIBUTES} attributes; the rest were left out"
                problems.append(
                    self._problem("attributes", reason, "Remove columns that do not describe it.")
                )
                break
            if len(name) > ATTRIBUTE_NAME_CHARS or any(len(value) > ATTRIBUTE_CHARS for value in values):
                reason = (
                    f"an attribute's name has at most {ATTRIBUTE_NAME_CHARS} characters and a value at most"
                    f" {ATTRIBUTE_CHARS:,}; it was left out"
                )
                problems.append(self._problem(name[:ATTRIBUTE_NAME_CHARS], reason, "Shorten it."))
                continue
            if len(values) > ATTRIBUTE_VALUES:
                reason = f"more than {ATTRIBUTE_VALUES} values; the rest were left out"
                problems.append(self._problem(name, reason, "Keep the values that matter for a picture."))
            kept[name] = values[0] if len(values) == 1 else values[:ATTRIBUTE_VALUES]
        return kept

    def _price(self, problems: list[RowProblem]) -> tuple[Decimal | None, str | None]:
        currency: str | None = self.currency.strip().upper() or None
        if currency and not re.fullmatch("[A-Z]{3}", currency):
            reason = f"{currency[:20]!r} is not a currency code; it was left out"
            problems.append(self._problem("currency", reason, "Write three letters, such as EUR."))
            currency = None
        if not self.price.strip():
            return None, currency
        try:
            price, own_currency = parse_price(self.price)
        except ValueError as error:
            reason = f"{error}; the product has no price"
            problems.append(self._problem("price", reason, "Write it like 12.50."))
            return None, currency
        return price, own_currency or currency

    def _image_urls(self, problems: list[RowProblem]) -> tuple[str, ...]:
        urls: list[str] = []
        seen: set[str] = set()
        for row, listed in self.images:
            try:
                url = image_url(listed, base=self.image_base)
            except ValueError as error:
                reason = f"{_short(listed)} was left out: {error}"
                remedy = (
                    "Give its whole address, from https:// on; a mapping's image_base completes short ones."
                )
                problems.append(RowProblem(row, self.called.get("images", "images"), reason, remedy, False))
                continue
            if url and url not in seen:
                seen.add(url)
                urls.append(url)
        if len(urls) > IMAGES:
            reason = f"{len(urls)} images; the first {IMAGES} were kept"
            problems.append(self._problem("images", reason, "Nothing, unless a later one matters."))
        return tuple(urls[:IMAGES])


def sku_of(text: str) -> str:
    """`text` as a SKU: no entity decoded and no case changed, only what cannot be seen is taken away."""
    return re.sub(r"[^\S\n]+", " ", cleaned(text)).strip()


def parse_price(text: str) -> tuple[Decimal, str | None]:
    """An amount with two decimals, and the currency when it stands beside it. ValueError says what is wrong.

    `1,234.50`, `1.234,50`, `12,50`, `€ 12`, `12.50 USD` are read as meant. A lone comma before exactly three
    digits groups thousands; a lone dot never does.
    """
    words = text.strip()
    if len(words) > _PRICE_CHARS:  # the pattern's time grows with the square of a cell's length
        raise ValueError(f"{_short(words)} is not a price")
    match = _PRICE.fullmatch(words)
    if not match:
        raise ValueError(f"{_short(words)} is not a price")
    signs = [_currency(sign) for side in ("before", "after") if (sign := match[side].strip())]
    if None in signs:
        raise ValueError(f"{_short(words)} is not a price")
    number = re.sub("[' \u00a0\u202f’]", "", match["number"])
    if number.startswith("-"):
        raise ValueError(f"{_short(words)} is below zero")
    amount = _amount(number.removeprefix("+"))
    if amount is None:
        raise ValueError(f"{_short(words)} is not a price")
    if amount > LARGEST_PRICE:
        raise ValueError(f"{_short(words)} is too large for a price")
    return amount.quantize(_CENT, ROUND_HALF_EVEN), next(filter(None, signs), None)


def _currency(sign: str) -> str | None:
    """The code that `sign` stands for, "" when several countries use it, None when it is no currency."""
    if re.fullmatch("[A-Za-z]{3}", sign):
        return sign.upper()
    if sign in _CURRENCY_SIGNS:
        return _CURRENCY_SIGNS[sign]
    return "" if len(sign) == 1 and unicodedata.category(sign) == "Sc" else None


def _amount(number: str) -> Decimal | None:
    comma, dot = number.rfind(","), number.rfind(".")
    if comma >= 0 and dot >= 0:
        thousands, decimal = (",", ".") if dot > comma else (".", ",")
        whole, _, cents = number.rpartition(decimal)
        if not _BY_THOUSANDS.fullmatch(whole) or decimal in whole:
            return None
        number = whole.replace(thousands, "") + "." + cents
    elif number.count(",") > 1 or number.count(".") > 1:
        if not _BY_THOUSANDS.fullmatch(number):
            return None
        number = number.replace(",", "").replace(".", "")
    elif comma >= 0:
        groups = _BY_THOUSANDS.fullmatch(number) and not number.startswith("0")
        number = number.replace(",", "" if groups else ".")
    return Decimal(number) if re.fullmatch(r"[0-9]{0,40}\.?[0-9]{0,40}", number) and number != "." else None


def image_url(listed: str, *, base: str | None = None) -> str:
    """The absolute http(s) address of an image, "" for a blank. `base` completes a relative one."""
    url = listed.strip()
    if not url:
        return ""
    if url.startswith("//"):  # how Shopify's own pages write their CDN
        url = "https:" + url
    if base and "://" not in url:
        url = urljoin(base, url)
    if len(url) > URL_CHARS:
        raise ValueError(f"it is longer than {URL_CHARS:,} characters")
    address = _ADDRESS.match(url)
    if not address:
        raise ValueError("it does not start with http:// or https://")
    if "@" in address[1]:
        raise ValueError("it holds a name or password")
    if not _HOST.fullmatch(address[1]):
        raise ValueError("it names no host")
    if not url.isprintable():
        raise ValueError("it holds characters that no address can hold")
    return "%20".join(url.split())


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
