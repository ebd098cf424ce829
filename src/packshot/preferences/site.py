"""Every setting of the site: its key, its default and what it accepts."""

import json
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal, cast, overload

from django.db import connection
from django.utils import timezone

from packshot.kernel.errors import BadInput
from packshot.preferences.models import Preference
from packshot.sql.reading import planned

Value = str | int | bool | list[str]

DEFAULTS: Mapping[str, Value] = MappingProxyType(
    {
        # Days, weeks and months of the reports; budgets have zones of their own.
        "time_zone": "UTC",
        # Of catalogue prices whose file names none. Spend is always in US dollars, as providers bill it.
        "currency": "USD",
        # Parts of addresses of stand-in images, `*` for anything: what shops show when they have no photo.
        "placeholder_list": [
            "placeholder", "placehold.co", "dummyimage.com", "no-image", "no_image", "noimage",
            "image-not-available", "image-coming-soon", "missing-image",
        ],
        # What `{{brand_style}}` becomes in prompts.
        "brand_style": "",
        # Attention: an active image with a score below this (0 to 100), or older than so many days.
        "low_score": 30,
        "old_image_days": 365,
        # Whether only an approved image may become active.
        "approval_required": False,
        # Whether nobody decides about images that they asked for themselves.
        "four_eyes": False,
        # What happens to a paid call whose outcome nobody could find out: `off`, or `once`, ask again once.
        "retry_uncertain": "off",
        # How copies of an image come into the shape that was asked for: `crop`, `pad`, or `keep` as it came.
        "shape_fit": "crop",
        # Whether active images may be fetched without signing in, at /i/SKU, and in which widths.
        "public_images": True,
        "public_widths": ["160", "320", "480", "640", "960", "1200", "1600", "2048"],
        # What /i/SKU answers for a product without an active image: `not-found`, or a `placeholder`.
        "missing_image": "not-found",
    }
)  # fmt: skip


@overload
def get(key: Literal["time_zone", "currency", "brand_style", "retry_uncertain", "shape_fit"]) -> str: ...
@overload
def get(key: Literal["low_score", "old_image_days"]) -> int: ...
@overload
def get(key: Literal["approval_required", "four_eyes"]) -> bool: ...
@overload
def get(key: Literal["placeholder_list"]) -> list[str]: ...
@overload
def get(key: str) -> Value: ...
def get(key: str) -> Value:
    """The setting's value, or its default while nobody has set it."""
    _must_be_known(key)
    with planned() as cursor:
        cursor.execute("SELECT value FROM packshot_preference WHERE key = %s", [key])
        stored = cursor.fetchone()
    return DEFAULTS[key] if stored is None else cast(Value, json.loads(stored[0]))


def everything() -> dict[str, Value]:
    """Every setting with its value now."""
    return {**DEFAULTS, **dict(Preference.objects.filter(pk__in=DEFAULTS).values_list("key", "value"))}


def set(key: str, value: object, by_name: str) -> Value:  # noqa: A001 - reads as preferences.set(...)
    """Store a setting and return it as it was understood. Raises BadInput in words when it was not."""
    understood = understand(key, value)
    Preference.objects.update_or_create(
        key=key, defaults={"value": understood, "changed_at": timezone.now(), "changed_by_name": by_name}
    )
    return understood


def understand(key: str, value: object) -> Value:
    """What `set` would store. Raises BadInput in words for what is none of it."""
    _must_be_known(key)
    return _READ[key](key, value)


def is_placeholder(url: str, patterns: Iterable[str]) -> bool:
    """Whether an image's address is on the placeholder list, whatever its case."""
    return any(fnmatchcase(url.lower(), f"*{pattern.lower()}*") for pattern in patterns)


def _must_be_known(key: str) -> None:
    if key not in DEFAULTS:
        raise BadInput(f"there is no setting {key!r}; there are {', '.join(sorted(DEFAULTS))}", field="key")


def _zone(key: str, value: object) -> str:
    # The database's list, not Python's: it is the database that cuts days out of it.
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_timezone_names WHERE name = %s", [str(value)])
        if cursor.fetchone()[0] != 1:
            raise BadInput(f"{value!r} is not a time zone; write one like UTC or Europe/Berlin", field=key)
    return str(value)


def _currency(key: str, value: object) -> str:
    code = str(value).strip().upper()
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        raise BadInput(f"{value!r} is not a currency; write its three letters, like EUR", field=key)
    return code


def _widths(key: str, value: object) -> list[str]:
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(words, list | tuple):
        raise BadInput("the widths are whole numbers of pixels", field=key)
    # Each is a copy of every image in every format: few of them, and no two nearly the same by accident.
    numbers = sorted({_between(16, 4096)(key, word) for word in words})
    if not 1 <= len(numbers) <= 16:
        raise BadInput("write 1 to 16 widths in pixels, such as 320 640 1200", field=key)
    return list(map(str, numbers))


def _style(key: str, value: object) -> str:
    text = str(value).strip()
    if len(text) > 2_000:
        raise BadInput(f"the brand style has {len(text):,} characters; 2,000 is the most", field=key)
    return text


def _patterns(key: str, value: object) -> list[str]:
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        raise BadInput("the placeholder list is one part of an address per line", field=key)
    parts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    # `*` alone would make a placeholder of every image in the shop.
    if useless := [part for part in parts if len(part.replace("*", "")) < 3]:
        raise BadInput(f"{useless[0]!r} fits too many addresses; write at least three characters", field=key)
    if len(parts) > 200 or any(len(part) > 200 for part in parts):
        raise BadInput("the placeholder list holds at most 200 lines of 200 characters", field=key)
    return parts


def _between(lowest: int, highest: int) -> Callable[[str, object], int]:
    def read(key: str, value: object) -> int:
        try:
            # A string from a form; True is an int to Python and none to a person.
            number = int(str(value))
        except ValueError:
            number = lowest - 1
        if not lowest <= number <= highest:
            raise BadInput(f"{value!r} is not a whole number from {lowest} to {highest:,}", field=key)
        return number

    return read


def _yes_or_no(key: str, value: object) -> bool:
    word = str(value).strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0", ""):
        return False
    raise BadInput(f"{value!r} is neither yes nor no", field=key)


def _one_of(*words: str) -> Callable[[str, object], str]:
    def read(key: str, value: object) -> str:
        word = str(value).strip().lower() or words[0]
        if word not in words:
            raise BadInput(f"{value!r} is none of {', '.join(words)}", field=key)
        return word

    return read


_READ: Mapping[str, Callable[[str, object], Value]] = {
    "time_zone": _zone,
    "currency": _currency,
    "placeholder_list": _patterns,
    "brand_style": _style,
    "low_score": _between(0, 100),
    "old_image_days": _between(1, 36_500),
    "approval_required": _yes_or_no,
    "four_eyes": _yes_or_no,
    "retry_uncertain": _one_of("off", "once"),
    "shape_fit": _one_of("crop", "pad", "keep"),
    "public_images": _yes_or_no,
    "public_widths": _widths,
    "missing_image": _one_of("not-found", "placeholder"),
}
