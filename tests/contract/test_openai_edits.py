"""Edits at the simulated OpenAI: by our adapter, by OpenAI's own Python client, and by hand."""

import asyncio
import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema
import openai
import pytest
import pyvips

from packshot.imaging import read_header, studio
from packshot.kernel.errors import BadAnswer, ProviderError, Refused, TryLater, Unsure
from packshot.providers.conformance import delivery_is_complete
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    ImageRequest,
    InputImage,
    Quote,
    Role,
    Ticket,
)
from packshot.providers.http import GuardedClient
from packshot.providers.openai import OpenAI
from packshot.simulator import Control, Rule, SimulatorConfig, running

KEY = {"authorization": "Bearer sk-test-0123456789"}
PROMPT = "The same mug on a beach at noon"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Control]]:
    with ExitStack() as stack:

        def started(**changes: Any) -> Control:
            config = {
                "state_dir": tmp_path / f"simulator-{uuid4().hex[:8]}",
                "speed": 1000.0,
                "image": "small",
                "openai_images_per_minute": None,
                "today": date(2026, 11, 22),
            }
            return stack.enter_context(running(SimulatorConfig(**{**config, **changes})))

        yield started


@pytest.fixture
def simulator(start: Callable[..., Control]) -> Control:
    return start()


def photo(seed: int = 3, width_px: int = 320, height_px: int = 240) -> bytes:
    scene = studio.describe(
        "a ceramic mug", style="sandbox", seed=seed, width_px=width_px, height_px=height_px
    )
    return studio.render(scene, media_type="image/png")


def right_half(width_px: int = 320, height_px: int = 240, *, alpha: bool = True) -> bytes:
    """A mask: the left half is kept, the right half is transparent."""
    whole = pyvips.Image.black(width_px, height_px, bands=3).copy(interpretation="srgb")
    if not alpha:
        return whole.write_to_buffer(".png")
    whole = whole.bandjoin(255).cast("uchar")
    kept = whole.draw_rect([0, 0, 0, 0], width_px // 2, 0, width_px // 2, height_px, fill=True)
    return kept.write_to_buffer(".png")


def given(content: bytes, role: Role = "image") -> InputImage:
    header = read_header(content)
    return InputImage(role, header.media_type, header.width_px, header.height_px, len(content), content)


def edit(model: str = "gpt-image-2", *pictures: InputImage, **more: Any) -> ImageRequest:
    return ImageRequest(model, PROMPT, inputs=pictures or (given(photo()),), **more)


def asked(simulator: Control, request: ImageRequest) -> tuple[Quote, Delivery | ProviderError]:
    async def story() -> tuple[Quote, Delivery | ProviderError]:
        client = GuardedClient(simulator.openai_url)
        adapter = OpenAI(Account("sk-test", simulator.openai_url, simulated=True), client)
        bare = replace(request, inputs=tuple(replace(each, content=b"") for each in request.inputs))
        quote = adapter.quote(bare)
        try:
            answer = await adapter.submit(request, AttemptRef(uuid4(), 1, 30.0))
        except ProviderError as error:
            return quote, error
        finally:
            await client.aclose()
        assert not isinstance(answer, Ticket)
        return quote, answer

    return asyncio.run(story())


def billed(simulator: Control) -> int:
    """All charges so far, in micro-dollars, rounded up once."""
    return ceil(sum((line.dollars for line in simulator.bill()), Fraction(0)) * 1_000_000)


# -- our adapter ------------------------------------------------------------------------------------

MODELS = [
    "gpt-image-2", "gpt-image-2-2026-04-21", "gpt-image-2.5-flare", "gpt-image-2.5-sunburst",
    "gpt-image-2.5-flare-2026-09-08", "gpt-image-2.5-sunburst-2026-09-08", "gpt-image-2.6-flare",
    "gpt-image-2.6-sunburst", "gpt-image-1.5", "chatgpt-image-latest", "gpt-image-1-mini",
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("images", [1, 3])
def test_an_edit_costs_what_the_bill_says_and_no_more_than_was_reserved(simulator, model, images):
    """Every model, with two pictures and a mask, for one image and for several."""
    request = edit(
        model, given(photo(1)), given(photo(2, 900, 1600)), given(right_half(), "mask"), images=images
    )
    quote, delivery = asked(simulator, request)
    assert isinstance(delivery, Delivery)
    delivery_is_complete(delivery, request)
    assert len(delivery.images) == images
    assert delivery.cost == billed(simulator) <= quote.ceiling
    (line,) = simulator.requests()
    assert (line.path, line.outcome, line.model) == ("/v1/images/edits", "delivered", model)
    assert line.image_sha256 == tuple(hashlib.sha256(each.content).hexdigest() for each in delivery.images)


@pytest.mark.parametrize("quality", ["low", "high"])
@pytest.mark.parametrize("fidelity", ["low", "high"])
def test_likeness_is_billed_as_it_was_asked_for(simulator, quality, fidelity):
    request = edit("gpt-image-1.5", options={"quality": quality, "input_fidelity": fidelity})
    quote, delivery = asked(simulator, request)
    assert delivery.cost == billed(simulator) <= quote.ceiling
    told = json.loads(delivery.raw)["usage"]["input_tokens_details"]["image_tokens"]
    # 320 x 240 is one tile, and nearer to 3:2 than to a square.
    assert told == 65 + 129 + (6240 if fidelity == "high" else 0)


def test_an_edit_shows_what_was_put_in_on_another_set(start):
    simulator = start(image="packshot")
    content = photo()
    _, delivery = asked(simulator, edit("gpt-image-2", given(content)))
    (made,) = delivery.images
    assert made.content != content
    before, after = _seen(content, 1024, 768), _seen(made.content)
    # The mug is red, and the set behind it is not the one it stood in.
    assert _red(before) > 0.02
    assert _red(after) > 0.02
    assert abs(before.crop(0, 0, 60, 60).avg() - after.crop(0, 0, 60, 60).avg()) > 5


def test_a_mask_keeps_what_it_covers_and_changes_what_it_leaves_open(start):
    simulator = start(image="packshot")
    content = photo(3, 1024, 1024)
    mask = right_half(1024, 1024)
    _, delivery = asked(simulator, edit("gpt-image-2", given(content), given(mask, "mask")))
    before, after = _seen(content), _seen(delivery.images[0].content)
    changed = (before - after).abs()
    assert changed.crop(0, 0, 480, 1024).avg() < 1
    assert changed.crop(544, 0, 480, 1024).avg() > 5


def _seen(content: bytes, *size: int) -> pyvips.Image:
    picture = pyvips.Image.new_from_buffer(content, "")[:3]
    if size:
        picture = picture.resize(size[0] / picture.width, vscale=size[1] / picture.height)
    return picture


def _red(picture: pyvips.Image) -> float:
    """Which share of it is red."""
    red = (picture[0] > 1.6 * picture[1]) & (picture[0] > 1.6 * picture[2]) & (picture[0] > 100)
    return red.avg() / 255


@pytest.mark.parametrize(
    ("rule", "kind_of", "charged"),
    [
        (Rule(action="moderation_input"), Refused, False),
        (Rule(action="moderation_output"), Refused, True),
        (Rule(action="rate_limited"), TryLater, False),
        (Rule(action="overloaded"), TryLater, False),
        (Rule(action="cut_before_answer", charged=True), Unsure, True),
        (Rule(action="cut_half_body"), Unsure, True),
        (Rule(action="html_502"), Unsure, False),
        (Rule(action="no_image"), BadAnswer, True),
        (Rule(action="garbage", variant="not_an_image"), BadAnswer, True),
    ],
    ids=lambda value: value.action if isinstance(value, Rule) else "",
)
def test_an_edit_that_goes_wrong_ends_as_a_generation_does(simulator, rule, kind_of, charged):
    simulator.set_faults(rule)
    _, error = asked(simulator, edit())
    assert type(error) is kind_of
    assert bool(simulator.bill()) is charged
    assert len(simulator.requests()) == 1


def test_the_list_of_models_tells_which_stop(simulator):
    async def story():
        client = GuardedClient(simulator.openai_url)
        try:
            return await OpenAI(Account("sk-test", simulator.openai_url, simulated=True), client).inspect()
        finally:
            await client.aclose()

    found = asyncio.run(story())
    assert found.key_works is True
    assert found.stops == dict.fromkeys(
        ("gpt-image-1.5", "chatgpt-image-latest", "gpt-image-1-mini"), date(2026, 12, 1)
    )
    assert simulator.bill() == []


# -- OpenAI's own client ------------------------------------------------------------------------------


@pytest.fixture
def official(simulator: Control) -> Iterator[openai.OpenAI]:
    # Its transport is its own, not ours; its retries would send a paid request again.
    with openai.OpenAI(
        api_key="sk-test-0123456789", base_url=f"{simulator.openai_url}/v1", max_retries=0
    ) as client:
        yield client


def test_the_official_client_generates_an_image(simulator, official):
    made = official.images.generate(model="gpt-image-2", prompt=PROMPT, size="1024x1024", quality="low", n=2)
    headers = [read_header(base64.b64decode(each.b64_json)) for each in made.data]
    assert [(each.width_px, each.height_px) for each in headers] == [(1024, 1024)] * 2
    tokens = made.usage
    assert tokens.total_tokens == tokens.input_tokens + tokens.output_tokens
    assert billed(simulator) == tokens.input_tokens * 5 + tokens.output_tokens * 30


@pytest.mark.parametrize("pictures", [1, 3])
def test_the_official_client_edits_pictures(simulator, official, pictures):
    """It sends one picture as `image` and several as `image[]`."""
    files = [io.BytesIO(photo(number)) for number in range(pictures)]
    for number, file in enumerate(files):
        file.name = f"{number}.png"
    made = official.images.edit(
        model="gpt-image-2.6-flare",
        image=files if pictures > 1 else files[0],
        prompt=PROMPT,
        size="1536x1024",
        quality="medium",
        output_format="webp",
        output_compression=80,
        background="opaque",
    )
    header = read_header(base64.b64decode(made.data[0].b64_json))
    assert (header.media_type, header.width_px, header.height_px) == ("image/webp", 1536, 1024)
    shown = made.usage.input_tokens_details
    assert shown.image_tokens > 0
    assert billed(simulator) == (
        shown.text_tokens * 5 + shown.image_tokens * 8 + made.usage.output_tokens * 30
    )


def test_the_official_client_edits_within_a_mask(simulator, official):
    made = official.images.edit(
        model="gpt-image-1.5",
        image=("mug.png", photo(), "image/png"),
        mask=("mask.png", right_half(), "image/png"),
        prompt=PROMPT,
        input_fidelity="high",
    )
    assert read_header(base64.b64decode(made.data[0].b64_json)).media_type == "image/png"
    assert made.usage.input_tokens_details.image_tokens == 2 * (65 + 129 + 6240)


def test_the_official_client_is_told_what_is_wrong(simulator, official):
    with pytest.raises(openai.BadRequestError) as refused:
        official.images.generate(model="dall-e-3", prompt=PROMPT)
    assert "does not exist" in str(refused.value)
    with pytest.raises(openai.BadRequestError) as refused:
        official.images.edit(model="gpt-image-2", image=photo(), prompt=PROMPT, input_fidelity="high")
    assert refused.value.code == "invalid_input_fidelity_model"
    assert simulator.bill() == []


def test_the_official_client_lists_models_with_their_last_day(official):
    listed = {each.id: each for each in official.models.list()}
    assert listed["gpt-image-1.5"].shutdown_date == "2026-12-01"
    assert listed["gpt-image-2"].shutdown_date is None
    assert "dall-e-3" not in listed


# -- forms that are wrong -----------------------------------------------------------------------------


def post(simulator: Control, files: Any, **texts: Any) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=30) as client:
        data = {"prompt": PROMPT, "model": "gpt-image-2", **texts}
        return client.post(
            f"{simulator.openai_url}/v1/images/edits",
            data={name: value for name, value in data.items() if value is not None},
            files=files,
            headers=KEY,
        )


ONE = [("image", ("a.png", photo(), "image/png"))]


@pytest.mark.parametrize(
    ("files", "texts", "param", "code"),
    [
        ([("surprise", ("a.png", photo()))], {}, "surprise", "invalid_type"),
        ([("mask", ("a.png", right_half()))], {}, "image", "missing_required_parameter"),
        (ONE * 17, {}, "image", "array_above_max_length"),
        (ONE, {"n": "11"}, "n", "integer_above_max_value"),
        (ONE, {"n": "many"}, "n", "invalid_type"),
        (ONE, {"response_format": "b64_json"}, "response_format", "unknown_parameter"),
        (ONE, {"moderation": "low"}, "moderation", "unknown_parameter"),
        (ONE, {"model": "gpt-image-1"}, "model", "invalid_value"),
        (ONE, {"prompt": None}, "prompt", "missing_required_parameter"),
        (ONE, {"size": "1000x1000"}, "size", "invalid_value"),
        ([*ONE, ("mask", ("m.png", right_half(100, 100)))], {}, "mask", "invalid_image_file"),
        ([*ONE, ("mask", ("m.png", right_half(alpha=False)))], {}, "mask", "invalid_image_file"),
        (ONE, {"input_fidelity": "high"}, "input_fidelity", "invalid_input_fidelity_model"),
        (ONE, {"model": "gpt-image-1.5", "input_fidelity": "medium"}, "input_fidelity", "invalid_value"),
    ],
)
def test_a_form_that_is_wrong_is_refused_and_costs_nothing(simulator, files, texts, param, code):
    answer = post(simulator, files, **texts)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert simulator.bill() == []
    assert simulator.requests()[-1].status == 400


def test_bytes_that_are_no_picture_are_refused_in_the_recorded_words(specs, simulator):
    recorded = json.loads((specs / "examples" / "openai-error-400-invalid-image-file.json").read_text())
    files = [*ONE, *ONE, ("image", ("c.png", b"not a picture", "image/png"))]
    answer = post(simulator, [(f"{name}[]", file) for name, file in files])
    assert answer.status_code == recorded["response"]["status"]
    assert answer.json() == recorded["response"]["body"]
    assert simulator.bill() == []


def test_fidelity_where_it_is_not_known_is_refused_in_the_recorded_words(specs, simulator):
    recorded = json.loads((specs / "examples" / "openai-error-400-input-fidelity.json").read_text())
    answer = post(simulator, ONE, input_fidelity="high")
    assert answer.json() == recorded["response"]["body"]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(b"{}", "application/json"), (b"--x\r\n", "multipart/form-data; boundary=x"), (b"", "")],
)
def test_what_is_no_form_is_a_400(simulator, content, media_type):
    with httpx.Client(trust_env=False) as client:
        answer = client.post(
            f"{simulator.openai_url}/v1/images/edits",
            content=content,
            headers={**KEY, "content-type": media_type},
        )
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert simulator.bill() == []


def test_an_answer_to_an_edit_fits_the_published_schema(specs, simulator):
    document = json.loads((specs / "openai-images.openapi.json").read_text())
    whole = {"$ref": "#/components/schemas/ImagesResponse", "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(post(simulator, ONE).json())


def test_a_truncated_picture_behind_a_good_header_is_answered_all_the_same(start):
    simulator = start(image="packshot")
    answer = post(simulator, [("image", ("a.png", photo()[:400], "image/png"))], quality="low")
    assert answer.status_code == 200
    assert len(simulator.bill()) == 1
