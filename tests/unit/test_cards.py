"""What a model card allows, as form, API and adapter alike read it."""

from dataclasses import replace

import pytest

from packshot.kernel.errors import BadInput
from packshot.providers.cards import accept
from packshot.providers.contract import ImageRequest, ModelCard, Option

SEARCH = Option("search", "What to look for", "text", None, maximum=20, required=True)
CARD = ModelCard("m", "The model", "acme", "direct", 60, options=(SEARCH,))
GOOD = ImageRequest("m", "An apron", options={"search": "the apron"})


def refused(request: ImageRequest, card: ModelCard = CARD) -> BadInput:
    with pytest.raises(BadInput) as trouble:
        accept(request, (card,))
    return trouble.value


@pytest.mark.parametrize("value", [None, "", "  \n", 7, "x" * 21, "\ud800", "half a \udfff"])
def test_a_text_that_must_be_there_is_more_than_blanks_and_whole(value):
    assert accept(GOOD, (CARD,))[1] == {"search": "the apron"}
    assert refused(replace(GOOD, options={"search": value})).field == "search"


def test_what_is_wrong_is_told_in_a_sentence_however_long_it_is():
    assert len(str(refused(replace(GOOD, options={"search": "x" * 100_000})))) < 250


def test_a_model_without_words_refuses_a_prompt_and_says_so():
    mute = replace(CARD, needs_prompt=False, prompt_limit=0)
    assert accept(replace(GOOD, prompt=""), (mute,))
    trouble = refused(GOOD, mute)
    assert (trouble.field, str(trouble)) == ("prompt", "The model takes no prompt.")
