"""The simulator reads the forms of others' encoders, and nothing that is not a form."""

import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.simulator.forms import File, NotAForm, read_form

NAMES = st.sampled_from(["prompt", "image", "mask", "seed", "image[]"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
FILES = st.builds(File, st.just("a picture.png"), st.just("image/png"), st.binary(max_size=2000))


@given(st.dictionaries(NAMES, TEXTS | FILES, min_size=1))
def test_what_httpx_wrote_is_read_back(fields):
    files = [
        (
            name,
            (value.filename, value.content, value.media_type) if isinstance(value, File) else (None, value),
        )
        for name, value in fields.items()
    ]
    request = httpx.Request("POST", "http://x", files=files)
    assert read_form(request.headers["content-type"], request.read()) == fields


def test_the_first_of_two_fields_with_one_name_counts():
    request = httpx.Request("POST", "http://x", files=[("a", (None, "1")), ("a", (None, "2"))])
    assert read_form(request.headers["content-type"], request.read()) == {"a": "1"}


GOOD = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na mug\r\n--x--\r\n'
TYPE = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"), ("multipart/form-data", GOOD), ("multipart/mixed; boundary=x", GOOD),
        ("", GOOD), ("multipart/form-data; boundary=y", GOOD), (TYPE, b""), (TYPE, GOOD[:-6]),
        (TYPE, GOOD.replace(b'; name="prompt"', b"")), (TYPE, GOOD.replace(b"form-data", b"attachment")),
        (TYPE, GOOD.replace(b"a mug", b"\xff")), (TYPE, b"--x\r\nno head\r\n--x--\r\n"), (TYPE, b"--x--"[:3]),
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(content_type, body):
    assert read_form(TYPE, GOOD) == {"prompt": "a mug"}
    with pytest.raises(NotAForm):
        read_form(content_type, body)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_are_not(noise):
    for body in (noise, GOOD[:20] + noise, GOOD + noise):
        with contextlib.suppress(NotAForm):
            read_form(TYPE, body)
