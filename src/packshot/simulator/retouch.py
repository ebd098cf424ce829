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
_SHARE = 0.8  # of the scene that a subject takes up at most


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


def restaged(content: bytes, scene: bytes, media_type: MediaType) -> bytes:
    """What stands in the picture, undistorted, in front of the colours of another scene."""
    stage = _read(scene)
    # Its colours and light without its things: as if far out of focus.
    stage = _exactly(_fit(_fit(stage, 16, 16).gaussblur(2), stage.width, stage.height), *_size(stage))
    picture = _read(content)
    # Wall and table differ, so each row is held against its own ends.
    ends = (picture.crop(0, 0, 1, picture.height) + picture.crop(picture.width - 1, 0, 1, picture.height)) / 2
    unlike = ((picture - ends.gaussblur(_SOFT_PX).zoom(picture.width, 1)) ** 2).bandmean() ** 0.5
    subject = picture.bandjoin(((unlike - 24) * 8).cast("uchar").gaussblur(1))
    scale = min(_SHARE * stage.width / picture.width, _SHARE * stage.height / picture.height)
    subject = subject.resize(scale, kernel="lanczos3")
    left, top = (stage.width - subject.width) // 2, round((stage.height - subject.height) * 0.7)
    put = stage.bandjoin(255).composite2(
        subject.copy(interpretation="srgb"), "over", x=left, y=top, compositing_space="srgb"
    )
    return _written(put.flatten(background=255).cast("uchar"), media_type)


def changed(content: bytes, mask: bytes, scene: bytes, media_type: MediaType) -> bytes:
    """The picture at the size of the scene, with the scene where the mask is transparent."""
    stage = _read(scene)
    size = _size(stage)
    picture = _exactly(_fit(_read(content), *size), *size)
    cut = pyvips.Image.new_from_buffer(mask, "")
    kept = cut[cut.bands - 1] if cut.hasalpha() else cut[0] * 0 + 255
    kept = _exactly(_fit(kept.cast("uchar"), *size), *size).gaussblur(_SOFT_PX)
    return _written((kept > 127).ifthenelse(picture, stage, blend=True), media_type)


def blurred(content: bytes, media_type: MediaType) -> bytes:
    """What is left of a picture that moderation filtered."""
    picture = _read(content)
    return _written(picture.gaussblur(max(picture.width, picture.height) / 40), media_type)


def _read(content: bytes) -> pyvips.Image:
    picture = pyvips.Image.new_from_buffer(content, "")
    if picture.hasalpha():
        picture = picture.flatten(background=255)
    return picture.colourspace("srgb").cast("uchar")


def _size(picture: pyvips.Image) -> tuple[int, int]:
    return picture.width, picture.height


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
