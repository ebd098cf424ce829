"""What people look for, as conditions of SQL."""

from typing import Any

from packshot.kernel import search


def test_no_character_of_a_text_is_special_in_its_pattern():
    assert search.containing(r"50%_\x") == r"%50\%\_\\x%"


def test_each_word_has_a_condition_and_the_last_holds_what_is_too_much():
    parameters: dict[str, Any] = {"limit": 5}
    assert (
        search.all_of("words", "oak  bowl", parameters) == "words ILIKE %(word_0)s AND words ILIKE %(word_1)s"
    )
    assert parameters == {"limit": 5, "word_0": "%oak%", "word_1": "%bowl%"}
    many = search.patterns(" ".join(f"word{number}" for number in range(20)))
    assert len(many) == search.MOST_WORDS
    assert many[-1].startswith("%word7 word8 ")
    assert many[-1].endswith(" word19%")


def test_nothing_to_look_for_excludes_nothing():
    parameters: dict[str, Any] = {}
    assert search.all_of("words", "  ", parameters) == "true"
    assert parameters == {}


def test_a_short_word_of_letters_begins_one():
    assert search.patterns("no 茶碗 & 0% abc") == ["% no%", "%茶碗%", "%&%", r"%0\%%", "%abc%"]
