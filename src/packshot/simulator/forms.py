"""Reading multipart/form-data: strict about what a form is, since that is what is being tested."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser


@dataclass(frozen=True, slots=True)
class File:
    """A part with a file name."""

    filename: str
    media_type: str
    content: bytes


class NotAForm(ValueError):
    """The body is not the form that its content type promises."""


def read_form(content_type: str, body: bytes) -> Mapping[str, str | File]:
    """The fields of a form by name; of several with one name the first counts. Raises NotAForm."""
    fields: dict[str, str | File] = {}
    for name, value in read_parts(content_type, body):
        fields.setdefault(name, value)
    return fields


def read_parts(content_type: str, body: bytes) -> list[tuple[str, str | File]]:
    """The parts of a form in order, each with its name. Raises NotAForm."""
    kind = Message()
    kind["content-type"] = content_type
    boundary = kind.get_boundary()
    if kind.get_content_type() != "multipart/form-data" or not boundary:
        raise NotAForm("it is not multipart/form-data with a boundary")
    # Each part stands between two delimiters, and the last of these ends with two dashes.
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))
    if not parts or not parts.pop().startswith(b"--"):
        raise NotAForm("its last delimiter is missing")
    return [_part(part) for part in parts]


def _part(part: bytes) -> tuple[str, str | File]:
    head, blank, content = part.partition(b"\r\n\r\n")
    if not head.startswith(b"\r\n") or not blank:
        raise NotAForm("a part has no head")
    headers = BytesHeaderParser().parsebytes(head[2:] + b"\r\n")
    name = headers.get_param("name", header="content-disposition")
    if headers.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise NotAForm("a part has no name")
    filename = headers.get_filename()
    if filename is not None:
        return name, File(filename, headers.get_content_type(), content)
    try:
        return name, content.decode()
    except UnicodeDecodeError:
        raise NotAForm(f"the text of {name} is not UTF-8") from None
