"""Forms as somebody else's parser reads them."""

import re

from python_multipart.multipart import MultipartParser

from packshot.providers.multipart import Upload


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
