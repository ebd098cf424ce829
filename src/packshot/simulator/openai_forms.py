"""The form of `POST /v1/images/edits`: its fields, its pictures, and what is wrong with them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packshot.imaging import BadImage, read_header
from packshot.imaging.header import has_alpha
from packshot.simulator.forms import File, NotAForm, read_parts

_PICTURES_MOST = 16
_PICTURE_BYTES = 50 * 1024 * 1024
_MASK_BYTES = 4 * 1024 * 1024
_NUMBERS = ("n", "output_compression", "partial_images")
_YES_OR_NO = {"true": True, "false": False}


class Wrong(Exception):
    """What the service would refuse of a form, in its words."""

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, user_error: bool = False
    ) -> None:
        super().__init__(message)
        self.param, self.code = param, code
        self.kind = "image_generation_user_error" if user_error else "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Given:
    """One picture of the form."""

    content: bytes
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Form:
    """The fields as a JSON document would have them, and the pictures."""

    fields: Mapping[str, Any]
    pictures: Sequence[Given]
    mask: Given | None

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Of all pictures, the mask last: each counts."""
        return [(each.width_px, each.height_px) for each in (*self.pictures, self.mask) if each is not None]


def texts_of(content_type: str, body: bytes) -> dict[str, Any]:
    """The text fields, whatever else is wrong; nothing when it is no form."""
    try:
        return _fields(read_parts(content_type, body))
    except NotAForm:
        return {}


def read_edit(content_type: str, body: bytes) -> Form:
    """The form, its pictures looked at no further than their header. Raises Wrong."""
    try:
        parts = read_parts(content_type, body)
    except NotAForm as problem:
        raise Wrong(f"We could not parse the form of your request: {problem}.") from None
    named = [(name.removesuffix("[]"), value) for name, value in parts]
    for name, value in named:
        if isinstance(value, File) != (name in ("image", "mask")):
            raise Wrong(f"Invalid type for '{name}'.", param=name, code="invalid_type")
    files = [value for name, value in named if name == "image" and isinstance(value, File)]
    if not files:
        message = "Missing required parameter: 'image'."
        raise Wrong(message, param="image", code="missing_required_parameter")
    if len(files) > _PICTURES_MOST:
        message = f"Invalid 'image': array too long. Expected an array with maximum length {_PICTURES_MOST}, "
        message += f"but got an array with length {len(files)} instead."
        raise Wrong(message, param="image", code="array_above_max_length")
    pictures = [_picture(file, number) for number, file in enumerate(files, 1)]
    masks = [value for name, value in named if name == "mask" and isinstance(value, File)]
    mask = _mask(masks[0], pictures[0]) if masks else None
    return Form(_fields(parts), pictures, mask)


def _fields(parts: Sequence[tuple[str, str | File]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in parts:
        if isinstance(value, File):
            continue
        if name in _NUMBERS and re.fullmatch(r"-?\d{1,9}", value, re.ASCII):
            fields[name] = int(value)
        elif name == "stream" and value in _YES_OR_NO:
            fields[name] = _YES_OR_NO[value]
        else:
            fields[name] = value
    return fields


def _picture(file: File, number: int) -> Given:
    if len(file.content) > _PICTURE_BYTES:
        raise Wrong(f"Image {number} is larger than 50 MB.", param="image", code="invalid_value")
    try:
        header = read_header(file.content)
    except BadImage:
        raise Wrong(
            f"Invalid image file or mode for image {number}, please check your image file.",
            code="invalid_image_file",
            user_error=True,
        ) from None
    return Given(file.content, header.width_px, header.height_px)


def _mask(file: File, first: Given) -> Given:
    if len(file.content) > _MASK_BYTES:
        raise Wrong("The mask is larger than 4 MB.", param="mask", code="invalid_value")
    try:
        header = read_header(file.content)
    except BadImage:
        header = None
    if header is None or header.media_type != "image/png" or not has_alpha(file.content):
        message = "Invalid mask image format - mask must be a PNG with an alpha channel."
        raise Wrong(message, param="mask", code="invalid_image_file", user_error=True)
    if (header.width_px, header.height_px) != (first.width_px, first.height_px):
        message = "Invalid mask image format - mask size does not match image size."
        raise Wrong(message, param="mask", code="invalid_image_file", user_error=True)
    return Given(file.content, header.width_px, header.height_px)
