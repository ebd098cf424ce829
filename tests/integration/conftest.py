"""What the integration tests share."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def all_pages() -> None:
    """Pages offer their topics to the stream when they are read, as the site does before its first request.

    So no test depends on whether another one asked for a page before it.
    """
    from django.urls import get_resolver

    assert get_resolver().url_patterns
