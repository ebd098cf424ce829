"""Forms as providers read them: every part comes out as it went in, and the same parts are the same bytes."""

from hypothesis import given
from hypothesis import strategies as st

from packshot.providers.multipart import Upload, form
from tests.forms import read

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
NAMES = st.sampled_from(["prompt", "negative_prompt", "image", "image[]", "mask"])
UPLOADS = st.builds(Upload, st.just("picture.png"), st.just("image/png"), st.binary(max_size=3000))


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
