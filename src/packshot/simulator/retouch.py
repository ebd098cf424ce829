"""What an edit makes of the picture it was given: nothing clever, but of that picture and within the mask."""

from collections.abc import Mapping

import pyvips

from packshot.imaging import MediaType

_SUFFIXES: dict[MediaType, str] = {
    "image/png": ".png",
    "image/jpeg": ".jpg[Q=90]",
    "image/webp": ".webp[Q=90]",
}
_SOFT_PX = 2.0


def cut_out(content: bytes, media_type: MediaType) -> bytes:
    """The picture with everything that looks like its corners made transparent."""
    picture = _read(content)
    unlike = ((picture - _corners(picture)) ** 2).bandmean() ** 0.5
    alpha = ((unlike - 6) * 20).cast("uchar").gaussblur(1)
    return _written(picture.bandjoin(alpha), media_type)


def resized(content: bytes, width_px: int, height_px: int, media_type: MediaType) -> bytes:
    picture = _read(content)
    wide, high = width_px / picture.width, height_px / picture.height
    larger = picture.resize(wide, vscale=high, kernel="lanczos3")
    return _written(_exactly(larger, width_px, height_px), media_type)


def extended(content: bytes, sides: Mapping[str, int], media_type: MediaType) -> bytes:
    """The picture with more room, in the colours of its edges."""
    picture = _read(content)
    left, right, up, down = (sides[side] for side in ("left", "right", "up", "down"))
    width, height = picture.width + left + right, picture.height + up + down
    return _written(picture.embed(left, up, width, height, extend="copy"), media_type)


def filled(content: bytes, mask: bytes | None, filling: bytes | None, media_type: MediaType) -> bytes:
    """The picture with `filling` where the mask is white, or where it is itself transparent; without a
    filling, with the colour of its corners."""
    whole = pyvips.Image.new_from_buffer(content, "")
    picture = _read(content)
    if mask is not None:
        where = _exactly(_fit(_read(mask), picture.width, picture.height), picture.width, picture.height)
        where = where.colourspace("b-w")[0]
    else:
        where = 255 - whole[whole.bands - 1]
    where = where.cast("uchar").gaussblur(_SOFT_PX)
    if filling is None:
        put = picture.new_from_image(_corners(picture)).cast("uchar")
    else:
        put = _exactly(_fit(_read(filling), picture.width, picture.height), picture.width, picture.height)
    return _written(where.ifthenelse(put, picture, blend=True), media_type)


def blurred(content: bytes, media_type: MediaType) -> bytes:
    """What is left of a picture that moderation filtered."""
    picture = _read(content)
    return _written(picture.gaussblur(max(picture.width, picture.height) / 40), media_type)


def _read(content: bytes) -> pyvips.Image:
    picture = pyvips.Image.new_from_buffer(content, "")
    if picture.hasalpha():
        picture = picture.flatten(background=255)
    return picture.colourspace("srgb").cast("uchar")


def _fit(picture: pyvips.Image, width_px: int, height_px: int) -> pyvips.Image:
    return picture.resize(width_px / picture.width, vscale=height_px / picture.height)


def _exactly(picture: pyvips.Image, width_px: int, height_px: int) -> pyvips.Image:
    """A scale that is rounded may miss a pixel."""
    return picture.embed(0, 0, width_px, height_px, extend="copy")


def _corners(picture: pyvips.Image) -> list[float]:
    """The mean colour of the four corners."""
    right, bottom = picture.width - 1, picture.height - 1
    points = [picture(x, y) for x in (0, right) for y in (0, bottom)]
    return [sum(values) / 4 for values in zip(*points, strict=True)]


def _written(picture: pyvips.Image, media_type: MediaType) -> bytes:
    content: bytes = picture.copy(interpretation="srgb").write_to_buffer(_SUFFIXES[media_type])
    return content
