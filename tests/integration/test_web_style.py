"""The style page's own arithmetic: the colours of the sheet, and how much they differ."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot.web.pages import style
from tests.browser import story
from tests.integration.test_rights import PAGE
from tests.integration.test_web_templates import breaches


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("oklch(1 0 0)", "oklch(0 0 0)", 21),
        ("oklch(.5 0 0)", "oklch(.5 0 0)", 1),
        # #777777 on white, the text-book case that just fails: 4.48.
        ("oklch(.5693 0 0)", "oklch(1 0 0)", 4.48),
        # Pure sRGB red on white: 4.0.
        ("oklch(.627955 .257704 29.2339)", "oklch(1 0 0)", 4.0),
        # Pure sRGB blue on white: 8.59.
        ("oklch(.452014 .313214 264.052)", "oklch(1 0 0)", 8.59),
    ],
)
def test_contrast_is_counted_as_wcag_counts_it(one, other, expected):
    assert style.contrast(one, other) == pytest.approx(expected, abs=0.02)
    assert style.contrast(other, one) == style.contrast(one, other)


@pytest.mark.parametrize("pair", style.contrasts(), ids=lambda pair: f"{pair.name} on {pair.ground}")
def test_every_colour_stands_out_from_its_ground_in_both_themes(pair):
    assert pair.holds, f"light {pair.light:.2f}, dark {pair.dark:.2f}, needs {pair.least}"


def test_every_colour_of_the_sheet_is_shown():
    known = style.colours()
    assert {"bg", "surface", "ink", "accent", "openai", "flux", "bad-soft"} <= known.keys()
    assert len(known) > 30


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/style", "/style/charts"])
def test_the_page_asks_for_nothing_but_who_is_looking_and_what_its_edge_shows(address):
    client = Client()
    client.force_login(story.person())
    with CaptureQueriesContext(connection) as captured:
        page = client.get(address, headers=PAGE)
    assert page.status_code == 200
    assert len(captured) <= 4
    assert breaches(page.text) == []
    assert page.text.count('class="themed" data-theme="dark"') == page.text.count(
        'class="themed" data-theme="light"'
    )
