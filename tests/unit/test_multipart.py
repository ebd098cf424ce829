"""Forms as providers read them: every part comes out as it went in, and the same parts are the same bytes."""

import re

from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser

from packshot.providers.multipart import Upload, form

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
NAMES = st.sampled_from(["prompt", "negative_prompt", "image", "image[]", "mask"])
UPLOADS = st.builds(Upload, st.just("picture.png"), st.just("image/png"), st.binary(max_size=3000))


def read(body: bytes, media_type: str) -> list[tuple[str, str | Upload]]:
    """The parts of a form, read by somebody else's parser."""
    boundary = re.fullmatch(r"multipart/form-data; boundary=([\w]+)", media_type)
    assert boundary
    parts: list[tuple[str, str | Upload]] = []
    headers: dict[bytes, bytes] = {}
    name, value, content = bytearray(), bytearray(), bytearray()

    def header_end() -> None:
        headers[bytes(name).lower()] = bytes(value)
        name.clear()
        value.clear()

    def part_end() -> None:
        said = headers[b"content-disposition"].decode()
        field = re.search(r'\bname="([^"]*)"', said)
        filename = re.search(r'filename="([^"]*)"', said)
        assert field
        if filename:
            parts.append((field[1], Upload(filename[1], headers[b"content-type"].decode(), bytes(content))))
        else:
            parts.append((field[1], content.decode()))
        headers.clear()
        content.clear()

    parser = MultipartParser(
        boundary[1],
        {
            "on_header_field": lambda data, start, end: name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: value.extend(data[start:end]),
            "on_header_end": header_end,
            "on_part_data": lambda data, start, end: content.extend(data[start:end]),
            "on_part_end": part_end,
        },
    )
    parser.write(body)
    parser.finalize()
    return parts


@given(st.lists(st.tuples(NAMES, TEXT | UPLOADS), min_size=1, max_size=6))
def test_every_part_comes_out_as_it_went_in(parts):
    assert read(*form(parts)) == parts
    assert form(parts) == form(parts)


def test_a_form_without_a_file_is_still_a_form():
    body, media_type = form([("prompt", "Äpfel\r\n--\x00")])
    assert read(body, media_type) == [("prompt", "Äpfel\r\n--\x00")]
    assert b"filename" not in body


def test_a_part_that_holds_the_boundary_of_the_others_makes_another_boundary():
    _, media_type = form([("image", Upload("a.png", "image/png", b"x"))])
    boundary = media_type.partition("boundary=")[2].encode()
    hostile = Upload("a.png", "image/png", b"x\r\n--" + boundary + b"--\r\n")
    assert read(*form([("image", hostile)])) == [("image", hostile)]
