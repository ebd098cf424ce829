"""What calls cost, from the dated tables in `prices/*.toml`.

Exact until one rounding up to a micro-dollar. An unknown price is None, never 0.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.resources import files
from math import ceil, floor, sqrt
from typing import Any, Self

from packshot.kernel.money import LARGEST, PER_DOLLAR, Micros, micros
from packshot.providers.contract import Quote

UNKNOWN_NOTE = "The price of this choice is not known; it is not spent automatically."
_PER_MILLION = Fraction(1, 1_000_000)


@dataclass(frozen=True, slots=True)
class PictureTokens:
    """How many tokens a picture counts that goes in: by a published rule, and by a measured one."""

    base: int
    tile: int
    square: int
    oblong: int
    patch_px: int
    most_patches: int
    enlarged_to_px: int
    note: str

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        tiles, patches = table["tiles"], table["patches"]
        return cls(
            tiles["base"],
            tiles["tile"],
            tiles["square"],
            tiles["oblong"],
            patches["side_px"],
            patches["most"],
            patches["enlarged_to_px"],
            patches["note"],
        )

    def by_tiles(self, width: int, height: int, *, finely: bool, at_most: bool = False) -> int:
        """GPT Image 1's count. `at_most`: where the rule leaves something open, the larger reading."""
        short, long = sorted((width, height))
        shrink = min(Fraction(1), Fraction(2048, long))
        # Whether a small one is made larger is not said.
        scale = Fraction(512, 1) / (short * shrink)
        scale = shrink * (scale if at_most else min(scale, Fraction(1)))
        tiles = ceil(short * scale / 512) * ceil(long * scale / 512)
        square = short == long if at_most else 5 * short > 4 * long  # nearer to 1:1 than to 2:3
        more = (self.square if square else self.oblong) if finely else 0
        return self.base + tiles * self.tile + more

    def by_patches(self, width: int, height: int) -> int:
        """gpt-image-2's count, as measured."""
        short, long = sorted((width, height))
        short = max(short, -(-long // 3))
        larger = max(Fraction(1), min(Fraction(2), Fraction(self.enlarged_to_px, long)))
        sides = (short * larger, long * larger)
        patches = self._cover(sides)
        if patches <= self.most_patches:
            return patches
        # The guide's own steps for models with a budget; a square root is near enough in floating point.
        shrink = sqrt(self.patch_px**2 * self.most_patches / (sides[0] * sides[1]))
        each = [float(side) * shrink / self.patch_px for side in sides]
        shrink *= min(floor(part) / part for part in each)
        return min(self._cover([Fraction(int(float(side) * shrink)) for side in sides]), self.most_patches)

    def _cover(self, sides: Sequence[Fraction]) -> int:
        return ceil(sides[0] / self.patch_px) * ceil(sides[1] / self.patch_px)


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """One model that bills tokens. Prices in dollars per token."""

    text_in: Fraction
    image_in: Fraction
    out: Fraction
    axis: Mapping[str, int]
    tokens: Mapping[str, Mapping[str, int]]
    listed: Mapping[str, Mapping[str, Fraction]]
    times: Mapping[str, tuple[Fraction, Fraction]] | None
    spare_output_tokens: int
    note: str
    by_patches: bool
    batch: "TokenPrice | None"  # where the answer may take a day; None: it is not sold so, or nobody says

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        times = row.get("times")
        batch = row.get("batch") or None
        return cls(
            text_in=Fraction(row["text_in"]) * _PER_MILLION,
            image_in=Fraction(row["image_in"]) * _PER_MILLION,
            out=Fraction(row["image_out"]) * _PER_MILLION,
            axis=row.get("axis", {}),
            tokens=row.get("tokens", {}),
            listed={
                quality: {size: Fraction(price) for size, price in sizes.items()}
                for quality, sizes in row.get("per_image", {}).items()
            },
            times=times
            and {quality: (Fraction(low), Fraction(high)) for quality, (low, high) in times.items()},
            spare_output_tokens=row.get("spare_output_tokens", 0),
            note=row.get("note", ""),
            by_patches=row["pictures"] == "patches",
            batch=batch and cls.of(_in_batch(row, batch)),
        )

    def output(self, size: str, quality: str) -> tuple[Fraction, Fraction] | None:
        """Expected and most dollars for the output of one image; None when unknown."""
        if quality == "auto":
            # The provider chooses, so it may choose the dearest. Where some quality has no known price
            # (`times` models go beyond high), neither has the choice.
            each = [self.output(size, level) for level in ("low", "medium", "high")]
            known = [price for price in each if price is not None]
            if len(known) < len(each) or self.times is not None:
                return None
            return max(expected for expected, _ in known), max(most for _, most in known)
        tokens = self._tokens(size, quality)
        if tokens is None:
            return None
        expected, most = (self.times or {}).get(quality, (Fraction(1), Fraction(1)))
        exact, listed = tokens * self.out, self.listed.get(quality, {})
        dearest = listed.get(size) or max(listed.values(), default=Fraction(0))
        return exact * expected, max(exact, dearest) * most + self.spare_output_tokens * self.out

    def _tokens(self, size: str, quality: str) -> int | None:
        if quality in self.axis:
            factor = self.axis[quality]
            short, long = sorted(int(side) for side in size.split("x"))
            across = (2 * factor * short + long) // (2 * long)  # factor * short / long, rounded
            return ceil(Fraction(factor * across * (2_000_000 + short * long), 4_000_000))
        return self.tokens.get(quality, {}).get(size)


def _in_batch(row: Mapping[str, Any], batch: Mapping[str, str]) -> dict[str, Any]:
    """The row at its prices of a batch; what is listed for a whole image shrinks as its tokens do."""
    share = Fraction(batch["image_out"]) / Fraction(row["image_out"])
    listed = {
        quality: {size: Fraction(price) * share for size, price in sizes.items()}
        for quality, sizes in row.get("per_image", {}).items()
    }
    return {**row, **batch, "per_image": listed, "batch": None}


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """A provider's table of models that bill tokens."""

    version: str
    prompt_overhead_tokens: int
    models: Mapping[str, TokenPrice]
    picture_tokens: PictureTokens

    def quote(
        self,
        model: str,
        *,
        prompt: str,
        size: str,
        quality: str,
        images: int,
        pictures: Sequence[tuple[int, int]] = (),
        finely: bool = False,
        batch: bool = False,
    ) -> Quote:
        """The price of one call for `images` images, prompt included; in a `batch`, of one line of it.

        `pictures`: the sizes in pixels of those that go in, looked at `finely` where that is asked for.
        """
        price = self._price(model, batch)
        output = price.output(size, quality) if price else None
        if price is None or output is None:
            return Quote(None, None, self.version, UNKNOWN_NOTE)
        expected, most = output
        # A token is never shorter than a byte; four characters is the usual length. Each of several images
        # is billed with the whole prompt, as if asked for alone (measured by users of gpt-image-2).
        likely = len(prompt) // 4 + self.prompt_overhead_tokens
        longest = len(prompt.encode()) + self.prompt_overhead_tokens
        counts = [self._counted(price, *size, finely=finely) for size in pictures]
        shown = sum(tokens for tokens, _ in counts) * price.image_in
        shown_most = sum(tokens for _, tokens in counts) * price.image_in
        notes = [price.note, self.picture_tokens.note if counts and price.by_patches else ""]
        return Quote(
            micros(images * (expected + likely * price.text_in + shown)),
            micros(images * (most + longest * price.text_in + shown_most)),
            self.version,
            " ".join(filter(None, notes)),
        )

    def _counted(self, price: TokenPrice, width: int, height: int, *, finely: bool) -> tuple[int, int]:
        """Expected and most tokens of one picture that goes in."""
        rule = self.picture_tokens
        if price.by_patches:
            return rule.by_patches(width, height), rule.by_tiles(width, height, finely=True, at_most=True)
        return (
            rule.by_tiles(width, height, finely=finely),
            rule.by_tiles(width, height, finely=finely, at_most=True),
        )

    def _price(self, model: str, batch: bool) -> TokenPrice | None:
        price = self.models.get(model)
        return price.batch if price and batch else price

    def bill(
        self, model: str, usage: object, *, pictures: bool = False, batch: bool = False
    ) -> Micros | None:
        """What the `usage` of an answer costs; None when it is missing, damaged, or the model is unknown.

        With `pictures` in the request, it must say what they counted: they cost more than words.
        """
        price = self._price(model, batch)
        if price is None or not isinstance(usage, dict):
            return None
        details = usage.get("input_tokens_details")
        if pictures and not isinstance(details, dict):
            return None
        tokens_in = _count(usage.get("input_tokens"))
        tokens_out = _count(usage.get("output_tokens"))
        image_tokens = _count(details.get("image_tokens")) if isinstance(details, dict) else 0
        if tokens_in is None or tokens_out is None or image_tokens is None:
            return None
        text_tokens = max(tokens_in - image_tokens, 0)
        # Text that the model wrote to itself counts as output at the image price: the table lists no other.
        return _amount(text_tokens * price.text_in + image_tokens * price.image_in + tokens_out * price.out)


@dataclass(frozen=True, slots=True)
class PicturePrice:
    """One model that bills pictures: flat, by megapixels, or by resolution class. In dollars."""

    per_image: Fraction | None
    first_mp: Fraction | None
    next_mp: Fraction
    by_class: Mapping[str, tuple[Fraction, Fraction]]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(
            per_image=Fraction(row["per_image"]) if "per_image" in row else None,
            first_mp=Fraction(row["first_mp"]) if "first_mp" in row else None,
            next_mp=Fraction(row.get("next_mp", 0)),
            by_class={
                name: (Fraction(expected), Fraction(most))
                for name, (expected, most) in row.get("by_class", {}).items()
            },
        )

    def output(
        self, pixels: int, resolution: str, inputs: Sequence[int] = ()
    ) -> tuple[Fraction, Fraction] | None:
        """Expected and most dollars for one picture, made of others of `inputs` pixels; None when unknown."""
        if self.per_image is not None:
            return self.per_image, self.per_image
        if self.first_mp is not None:
            expected, most = _megapixels(pixels, 1024 * 1024), _megapixels(pixels, 1_000_000)
            expected += sum(_megapixels(each, 1024 * 1024) for each in inputs)
            most += sum(_megapixels(each, 1_000_000) for each in inputs)
            return self.first_mp + (expected - 1) * self.next_mp, self.first_mp + (most - 1) * self.next_mp
        return self.by_class.get(resolution)


def _megapixels(pixels: int, unit: int) -> int:
    """Begun ones count whole, and there is never less than one."""
    return max(1, -(-pixels // unit))


@dataclass(frozen=True, slots=True)
class PicturePrices:
    """A provider's table of models that bill pictures, in credits."""

    version: str
    dollars_per_credit: Fraction
    models: Mapping[str, PicturePrice]

    def quote(
        self, model: str, *, pixels: int = 0, resolution: str = "", inputs: Sequence[int] = ()
    ) -> Quote:
        """The price of one picture of so many pixels, or of that resolution class, made of others of `inputs`
        pixels."""
        price = self.models.get(model)
        output = price.output(pixels, resolution, inputs) if price else None
        if output is None:
            return Quote(None, None, self.version, UNKNOWN_NOTE)
        expected, most = output
        return Quote(micros(expected), micros(most), self.version)

    def bill(self, credits_spent: object) -> Micros | None:
        """What a number of credits costs; None when it is not a plain amount."""
        if isinstance(credits_spent, bool) or not isinstance(credits_spent, int | Decimal):
            return None
        amount = Decimal(credits_spent)
        # Looked at before it becomes a Fraction: one made of 1E+999999 would fill the memory.
        if not amount.is_finite() or not 0 <= amount <= LARGEST or amount.adjusted() < -9:
            return None
        return _amount(Fraction(amount) * self.dollars_per_credit)


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _amount(dollars: Fraction) -> Micros | None:
    """Rounded up to a micro-dollar; None above what any real bill can be."""
    return micros(dollars) if dollars * PER_DOLLAR <= LARGEST else None


@cache
def openai_prices() -> TokenPrices:
    table = _table("openai")
    rows = {model: row for row in table["models"] for model in row["ids"]}
    models = {
        model: TokenPrice.of({**rows[row["like"]], **row} if "like" in row else row)
        for model, row in rows.items()
    }
    tokens = PictureTokens.of(table)
    return TokenPrices(table["version"], table["prompt_overhead_tokens"], models, tokens)


@cache
def flux_prices() -> PicturePrices:
    table = _table("flux")
    models = {model: PicturePrice.of(row) for row in table["models"] for model in row["ids"]}
    return PicturePrices(table["version"], Fraction(table["dollars_per_credit"]), models)


@cache
def stability_prices() -> PicturePrices:
    table = _table("stability")
    credit = Fraction(table["dollars_per_credit"])
    models = {
        model: PicturePrice.of({"per_image": Fraction(row["credits"]) * credit})
        for row in table["models"]
        for model in row["ids"]
    }
    return PicturePrices(table["version"], credit, models)


@cache
def midjourney_examples() -> Mapping[str, Micros]:
    """What a call costs at relays, by its speed: for what runs on the simulator alone."""
    return {speed: micros(price) for speed, price in _table("midjourney")["per_call"].items()}


def _table(provider: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("prices", f"{provider}.toml").read_text())
