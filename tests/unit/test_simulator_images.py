"""The padded images of load tests: real files of the right size, each with bytes of its own."""

from dataclasses import replace

import pytest
import pyvips

from packshot.imaging import read_header
from packshot.simulator.painter import Picture, padded

PICTURE = Picture("a mug", "openai", 7, 1024, 1536, "image/png")


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/webp"])
@pytest.mark.parametrize("at_least_bytes", [0, 20_001, 150_000])
def test_a_padded_image_is_what_its_header_says(media_type, at_least_bytes: int):
    content = padded(replace(PICTURE, media_type=media_type), at_least_bytes)
    header = read_header(content)
    assert (header.media_type, header.width_px, header.height_px) == (media_type, 1024, 1536)
    assert len(content) >= at_least_bytes
    decoded = pyvips.Image.new_from_buffer(content, "", fail_on="warning")
    assert decoded.avg() > 0
    assert (decoded.width, decoded.height) == (1024, 1536)


def test_the_same_picture_is_the_same_bytes_and_another_is_not():
    assert padded(PICTURE, 20_000) == padded(PICTURE, 20_000)
    assert padded(PICTURE, 20_000) != padded(replace(PICTURE, seed=8), 20_000)
    assert padded(PICTURE, 20_000) != padded(replace(PICTURE, prompt="a bowl"), 20_000)


def test_a_picture_survives_being_written_down():
    assert Picture.from_json(PICTURE.to_json()) == PICTURE
