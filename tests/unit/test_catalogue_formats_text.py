"""Words, prices and addresses: what shops write, and what is kept of it."""

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.catalogue.formats.product import image_url, parse_price
from packshot.catalogue.formats.text import one_line, plain_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Kind to hands", "Kind to hands"),
        ("one\r\ntwo\rthree\x0bfour", "one\ntwo\nthree\nfour"),
        ("line <b>one</b>\nline two\n\n\n\nline three ", "line one\nline two\n\nline three"),
        ("<p>First</p>\n\n<p>Second\nstill second</p>", "First\n\nSecond still second"),
        ("<ul>\n<li>55&nbsp;% hemp</li>\n<li>45 % cotton</li>\n</ul>", "- 55 % hemp\n- 45 % cotton"),
        ("a<br>b<br/>c<BR />d", "a\nb\nc\nd"),
        ("<table><tr><td>Size</td><td>M</td></tr></table>", "Size M"),
        ("Salt &amp; pepper &lt;b&gt; &#8364;5 &hellip;", "Salt & pepper <b> €5 …"),
        ("R&D, AT&T, ?a=1&copy=2", "R&D, AT&T, ?a=1&copy=2"),
        ("3 < 4 and 5 > 4, <3 it", "3 < 4 and 5 > 4, <3 it"),
        ("<p title=\"a > b\" class='x>y'>Text</p>", "Text"),
        ('<p class="never closed>Text</p>', "Text"),
        ("<script>alert('<b>')</script>Safe<style>p{}</style>", "Safe"),
        ("<SCRIPT src=x>1</ScRiPt >Safe", "Safe"),
        ("before<script>never closed", "before"),
        ("a<!-- <b>hidden</b> -->b<!-- never closed", "ab"),
        ("<!DOCTYPE html><?xml version='1.0'?><o:p>Word</o:p>", "Word"),
        ("<svg/onload=alert(1)>", ""),
        ("\u202egnirts\u202c \ufeffBOM \x00NUL \x1bESC", "gnirts BOM NUL ESC"),
        ("cafe\u0301", "café"),
        ("<p> </p>\n<p>&nbsp;</p>", ""),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),  # text: shown escaped
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
    ],
)
def test_a_description_becomes_text(markup, text):
    assert plain_text(markup) == text


@given(st.text(max_size=300))
def test_any_text_at_all_becomes_storable_text(text):
    plain = plain_text(text)
    assert "\0" not in plain
    assert plain == plain.strip("\n")
    plain.encode()
    assert "\n" not in one_line(text)


@given(
    st.lists(
        st.sampled_from(["<p>", "</p>", "<b>", "</b>", "<br>", "<li>", "<i class='a'>", '<a href="x>y">'])
    )
)
def test_of_well_formed_tags_nothing_is_left(tags):
    assert "<" not in plain_text("word".join(tags))


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a <a ",
        '<a "',
        "<a 'x\"",
        "<!--",
        "<![",
        "</",
        "<script>",
        '<a "x<b "y "',
        "<a'\"",
        "<p>",
        "&#",
        "&amp",
    ],
)
def test_markup_made_to_be_slow_takes_no_longer_than_any_other(piece):
    began = time.process_time()
    plain_text(piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 4


@pytest.mark.parametrize(
    ("written", "amount", "currency"),
    [
        ("12.5", "12.50", None),
        ("0", "0.00", None),
        (".99", "0.99", None),
        ("12,50", "12.50", None),
        ("1,234", "1234.00", None),
        ("0,125", "0.12", None),
        ("1,234.50", "1234.50", None),
        ("1.234,50", "1234.50", None),
        ("1.234.567", "1234567.00", None),
        ("1'234.50", "1234.50", None),
        ("1 234,50 €", "1234.50", "EUR"),
        ("$12.50", "12.50", None),
        ("US$ 12.50", "12.50", "USD"),
        ("12.50 USD", "12.50", "USD"),
        ("£5", "5.00", "GBP"),
        ("40.000", "40.00", None),
        ("19.989999999999998", "19.99", None),
        (" +3 ", "3.00", None),
    ],
)
def test_prices_are_read_as_meant(written, amount, currency):
    assert parse_price(written) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    "written",
    [
        "free",
        "on request",
        "-1",
        "1e5",
        "NaN",
        "Infinity",
        "1_000",
        "12.5.1",
        "12 / 15",
        "٣",
        "1,23,456.0",
        "9" * 30,
        f"{'1' + '.' * 1_000_000}x1",  # a cell may be as long as that, and the pattern tries every way
        f"12{' ' * 100}EUR",
        "=1+1",
        ".",
        "$",
    ],
)
def test_what_is_no_price_is_said_to_be_none(written):
    with pytest.raises(ValueError, match=r"is not a price|is below zero|is too large"):
        parse_price(written)


@given(st.decimals(min_value=0, max_value=10**9, places=2))
def test_a_written_price_is_read_back(amount):
    assert parse_price(str(amount)) == (amount, None)
    assert parse_price(f"{amount:,}") == (amount, None)
    swapped = f"{amount:,}".translate(str.maketrans(",.", ".,"))
    assert parse_price(swapped) == (amount, None)


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        (" https://images.example.com/a b.jpg ", "https://images.example.com/a%20b.jpg"),
        ("//cdn.example.com/x.png", "https://cdn.example.com/x.png"),
        ("HTTP://images.example.com:8080/ü.jpg?w=1#x", "HTTP://images.example.com:8080/ü.jpg?w=1#x"),
        ("http://[2001:db8::1]/a.jpg", "http://[2001:db8::1]/a.jpg"),
        ("", ""),
    ],
)
def test_addresses_are_kept_whole(listed, url):
    assert image_url(listed) == url


@pytest.mark.parametrize(
    "listed",
    [
        "ftp://images.example.com/a.jpg",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "a.jpg",
        "https://",
        "https:///a.jpg",
        "http://:80/a.jpg",
        "http://[::1/a.jpg",
        "https://user:secret@images.example.com/a.jpg",
        "https://images.example.com/a\u200b.jpg",
        "https://images.example.com/" + "a" * 2_000,
    ],
)
def test_what_is_no_web_address_is_refused(listed):
    with pytest.raises(ValueError, match=r"^it "):
        image_url(listed)
    with pytest.raises(ValueError, match=r"^it "):
        image_url(listed if "/" in listed else "javascript:x", base="https://shop.example.com/media/")


def test_a_base_completes_relative_addresses_only():
    base = "https://shop.example.com/media/"
    assert image_url("products/a b.png", base=base) == "https://shop.example.com/media/products/a%20b.png"
    assert image_url("https://images.example.com/a.png", base=base) == "https://images.example.com/a.png"
