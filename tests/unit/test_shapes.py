"""Any shape can be asked of any model: it makes its nearest, and the rest is cropped or padded."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.kernel.errors import BadInput
from packshot.providers.cards import fitting, nearest, ratio
from packshot.providers.contract import AS_INPUT, ImageRequest, ModelCard

CARD = ModelCard("m", "M", "p", "direct", 60, shapes=("1:1", "4:5", "3:4", "16:9", "9:16"))
EDIT = ModelCard("e", "E", "p", "direct", 60, shapes=(AS_INPUT,), kind="edit", min_inputs=1, max_inputs=1)


@pytest.mark.parametrize(
    ("asked", "made"),
    [("1:1", "1:1"), ("5:6", "4:5"), ("5:7", "3:4"), ("2:1", "16:9"), ("1:3", "9:16"), ("100:99", "1:1")],
)
def test_the_nearest_is_made(asked, made):
    assert nearest(CARD, asked) == made


@given(st.integers(1, 400), st.integers(1, 400))
def test_no_other_shape_of_the_model_is_nearer(width, height):
    if not 1 / 4 <= width / height <= 4:
        return
    made = nearest(CARD, f"{width}:{height}")
    away = [abs(math.log(ratio(each) * height / width)) for each in CARD.shapes]
    assert away[CARD.shapes.index(made)] == min(away)


@pytest.mark.parametrize("shape", ["", "1", "0:1", "1:0", "5:1", "1:5", "4x5", "-1:1", "1:1:1", "wide"])
def test_what_is_no_shape_is_refused_in_words(shape):
    with pytest.raises(BadInput, match="is no shape: write width:height"):
        nearest(CARD, shape)


def test_an_edit_keeps_the_shape_of_its_picture():
    assert fitting(ImageRequest("e", "x", "4:5"), EDIT).shape == AS_INPUT


def test_a_model_that_is_not_known_is_left_to_whoever_knows():
    assert fitting(ImageRequest("x", "x", "5:7"), None).shape == "5:7"
