"""Two texts word by word: what is told is true of both, whatever they are, and told in no time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.kernel import differences
from packshot.kernel.differences import Stretch, word_by_word

TEXTS = st.lists(st.sampled_from(["a", "b", "lamp", "on", "\n", "slate."]), max_size=30).map(" ".join)


def told(before: str, after: str) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in word_by_word(before, after)]


def words(stretches: tuple[Stretch, ...], without: str) -> list[str]:
    return [word for each in stretches if each.kind != without for word in each.text.split()]


def test_what_was_removed_stands_before_what_came_for_it():
    assert told("a lamp on a clay ledge", "a lamp on a white ledge") == [
        ("same", "a lamp on a"),
        ("removed", "clay"),
        ("added", "white"),
        ("same", "ledge"),
    ]


def test_texts_that_are_alike_and_texts_that_are_not_there():
    assert told("the same", "the  same") == [("same", "the same")]
    assert told("", "") == []
    assert told("", "new words") == [("added", "new words")]
    assert told("old", "") == [("removed", "old")]


def test_line_ends_stay_and_hold_no_two_places_together():
    assert told("one\n\ntwo three", "one\ntwo four three\nfive") == [
        ("same", "one\n"),
        ("removed", "\n"),
        ("same", "two"),
        ("added", "four"),
        ("same", "three"),
        ("added", "\nfive"),
    ]


def is_true_of_both(before: str, after: str) -> bool:
    found = word_by_word(before, after)
    assert words(found, "added") == before.split()
    assert words(found, "removed") == after.split()
    return all(one.kind != other.kind for one, other in pairwise(found))


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_out_of_what_is_told(before, after):
    assert is_true_of_both(before, after)


@given(TEXTS, TEXTS)
def test_both_can_be_read_where_texts_are_cut_into_parts_too(before, after):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(differences, "MOST_PAIRS", 4)
        assert is_true_of_both(before, after)


def test_a_word_in_a_long_text_is_told_alone():
    text = [f"word{number}" for number in range(4_000)]
    other = [*text[:1_000], "instead", *text[1_001:3_000], *text[3_001:]]
    assert [each for each in told(" ".join(text), " ".join(other)) if each[0] != "same"] == [
        ("removed", "word1000"),
        ("added", "instead"),
        ("removed", "word3000"),
    ]


def test_long_texts_of_words_that_repeat_are_told_as_a_whole():
    # By their places it would take minutes, and no word of them stands once.
    found = told("a b " * 4_000, "b a " * 4_000 + "lamp")
    assert [kind for kind, _ in found] == ["removed", "added"]
