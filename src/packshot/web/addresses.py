"""Addresses of pages, each worked out once: a page of rows writes a hundred of them, and Django walks through
its patterns for each. Measured: a tenth of the Queue's own time."""

from functools import lru_cache

from django.urls import get_script_prefix, reverse


def address_of(name: str, *arguments: object) -> str:
    """Where the page called `name` is, below wherever this site is mounted."""
    return _kept(get_script_prefix(), name, *arguments)


# By type as well: 1 and True are the same key, and not the same address.
@lru_cache(maxsize=8192, typed=True)
def _kept(_prefix: str, name: str, *arguments: object) -> str:
    return reverse(name, args=arguments)
