"""Where the published prices are from: the head of each table in `prices/*.toml`."""

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Source:
    """A page that was read, and where it is."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class PriceList:
    """A provider's table: its version, the day on which its sources were read, and what they are."""

    version: str
    read_on: date
    sources: tuple[Source, ...]


@cache
def price_list(provider: str) -> PriceList | None:
    """None: its adapter has no table here, such as one that costs nothing or that came in another package."""
    file = files(__package__).joinpath("prices", f"{provider}.toml")
    if not file.is_file():
        return None
    table = tomllib.loads(file.read_text("utf-8"))
    sources = tuple(Source(each["name"], each["url"]) for each in table["sources"])
    return PriceList(table["version"], table["read_on"], sources)
