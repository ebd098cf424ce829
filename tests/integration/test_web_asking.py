"""What the form that asks for images takes besides words: pictures, masks, options, and an earlier image's
settings. Nothing here needs our script."""

import asyncio
import re
from html import unescape
from uuid import UUID

import pytest
import pyvips
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from packshot import catalogue
from packshot.accounts.models import User
from packshot.blobs import StoreFull
from packshot.catalogue.models import Image, Product
from packshot.flows import generate, inputs, look
from packshot.flows.generate import Ask
from packshot.generations.models import Generation
from packshot.imaging import masks
from packshot.imaging.header import read_header
from packshot.imaging.masks import Box
from packshot.kernel.errors import BadInput
from packshot.providers.http import Answer, GuardedClient, Redirected
from packshot.web.pages import given
from tests import build
from tests.browser import story
from tests.integration.test_rights import PAGE
from tests.integration.test_web_product import button, fields, image_of
from tests.integration.test_web_products import HX
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> build.StandIn:
    for name in ("openai", "flux", "stability", "sandbox"):
        build.provider_row(name)
    build.budget("100")
    catalogue.save_template("General", "A packshot of {{name}}.")
    return build.StandIn()


@pytest.fixture
def me() -> User:
    return story.person("publisher", "pat")


@pytest.fixture
def client(me) -> Client:
    client = Client()
    client.force_login(me)
    return client


@pytest.fixture
def product(provider) -> Product:
    return build.product()


def picture(width: int = 600, height: int = 400) -> bytes:
    shade = pyvips.Image.xyz(width, height)[0] % 256
    whole = shade.bandjoin([shade, shade]).cast("uchar").copy(interpretation="srgb")
    content: bytes = whole.pngsave_buffer()
    return content


def file(content: bytes, name: str = "photo.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, "image/png")


def opened(client: Client, product: Product, **changes: object) -> dict[str, object]:
    """The form of the product's page, as a browser holds it."""
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    return {**fields(page), "provider": "flux", "images": "1", "shape": "1:1", **changes}


def act(client: Client, form: dict[str, object], do: str, **more: object) -> str:
    answer = client.post("/generate/pictures", {**form, "do": do, **more}, headers=HX)
    assert breaches(answer.text) == []
    return str(answer.text)


def kept(text: str, name: str = "picture") -> list[str]:
    return [unescape(each) for each in re.findall(rf'name="{name}" value="([^"]+)"', text)]


def added(client: Client, form: dict[str, object], *contents: bytes) -> dict[str, object]:
    """The form after these pictures were added to it."""
    text = act(client, form, "add", **{"picture-files": [file(each) for each in contents]})
    return {**form, "picture": kept(text)}


def quoted(client: Client, form: dict[str, object]) -> str:
    return str(client.post("/generate/quote", form, headers=HX).text)


def agreed(client: Client, form: dict[str, object]) -> dict[str, object]:
    """The form with the price that it would show now."""
    return form | dict(re.findall(r'name="(agreed-[^"]+)" value="(\d+)"', quoted(client, form)))


def alert(text: str) -> str:
    found = re.search(r'role="alert">(.*?)</(?:p|div)>', text, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", unescape(found[1])).split()) if found else ""


# -- pictures ------------------------------------------------------------------------------------------


def test_a_picture_that_was_brought_is_shown_and_goes_along_in_its_order(client, product):
    first, second = picture(), picture(300, 300)
    form = added(client, opened(client, product), first, second)
    assert len(form["picture"]) == 2
    shown = client.get(f"/generate/picture/{form['picture'][0]}")
    assert (shown.status_code, shown["Content-Type"]) == (200, "image/webp")
    assert "sandbox" in shown["Content-Security-Policy"]
    assert read_header(shown.content).width_px == 600
    form["picture"] = kept(act(client, form, "earlier:1"))
    answer = client.post("/generate", agreed(client, form), headers=HX)
    assert answer.status_code == 200, alert(answer.text)
    sent = Generation.objects.get().inputs
    assert [(each["role"], each["width_px"], each["height_px"]) for each in sent] == [
        ("image", 300, 300),
        ("image", 600, 400),
    ]
    assert [look.store().get(each["blob"]) for each in sent] == [second, first]


def test_what_the_model_sees_holds_the_pictures_and_the_size_that_is_asked_for(client, product):
    form = added(client, opened(client, product, shape="4:5"), picture())
    seen = quoted(client, form)
    seen = seen[seen.index('id="ask-seen"') : seen.index('id="ask-shapes"')]
    assert form["picture"][0] in unescape(seen)
    assert "FLUX.2 pro: 896 x 1120 px" in seen or re.search(r"FLUX\.2 pro: \d+ x \d+ px", seen)


def test_a_mistake_brings_the_form_back_with_its_pictures(client, product):
    form = added(client, opened(client, product, prompt="{{nothing}}"), picture())
    answer = client.post("/generate", form, headers=HX)
    assert answer.status_code == 422
    assert kept(answer.text) == form["picture"]
    assert not Generation.objects.exists()


def test_pictures_are_removed_and_put_in_order(client, product):
    form = added(client, opened(client, product), picture(), picture(300, 300), picture(200, 200))
    a, b, c = form["picture"]
    assert kept(act(client, form, "remove:1")) == [a, c]
    assert kept(act(client, form, "later:0")) == [b, a, c]
    assert kept(act(client, form, "earlier:2")) == [a, c, b]
    assert kept(act(client, form, "earlier:0")) == [a, b, c]
    assert kept(act(client, form, "remove:99")) == [a, b, c]


def test_an_earlier_image_of_the_product_goes_along_by_its_id(client, provider, product):
    image = image_of(provider, product)
    form = opened(client, product)
    text = act(client, form, f"image:{image.id}")
    assert kept(text) == [str(image.id)]
    client.post("/generate", agreed(client, {**form, "picture": kept(text)}), headers=HX)
    (sent,) = Generation.objects.exclude(pk=image.generation_id).get().inputs
    assert (sent["image_id"], sent["blob"]) == (str(image.id), image.blob)
    assert "there is no image" in alert(act(client, form, f"image:{UUID(int=7)}")).lower()


def test_an_image_without_a_small_copy_yet_is_not_offered_to_go_along(client, provider, product):
    image = image_of(provider, product)
    offered = f'id="past-{image.id}"'
    assert offered in client.get(f"/products/{product.sku}", headers=PAGE).text
    Image.objects.filter(pk=image.pk).update(state="stored")
    assert offered not in client.get(f"/products/{product.sku}", headers=PAGE).text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Not a PNG, JPEG or WebP"),
        (picture()[:-400] + b"\0" * 400, "cannot be"),
        (b"", "empty"),
    ],
)
def test_what_is_no_picture_is_refused_by_name_and_the_others_stay(client, product, content, words):
    form = added(client, opened(client, product), picture())
    text = act(client, form, "add", **{"picture-files": file(content, "strange.png")})
    assert "strange.png" in alert(text) and words in alert(text)
    assert kept(text) == form["picture"]


@pytest.mark.parametrize("harm", ["too old", "another key", "cut", "image gone", "mask"])
def test_a_form_that_lost_a_picture_asks_for_nothing_and_says_so_once(client, product, monkeypatch, harm):
    form = agreed(client, added(client, opened(client, product, provider="openai"), picture()))
    match harm:
        case "too old":
            monkeypatch.setattr(given, "KEPT_S", -1)
        case "another key":
            form["picture"] = [f"{form['picture'][0]}x"]
        case "cut":
            form["picture"] = form["picture"] * (given.MOST + 1)
        case "image gone":
            form["picture"] = [str(UUID(int=7))]
        case "mask":
            form["mask"] = "nobody:sealed:this"
    words = "A picture of this form is gone; add it again."
    answer = client.post("/generate", form, headers=HX)
    assert answer.status_code == 422 and alert(answer.text) == words
    assert not Generation.objects.exists()
    assert words in quoted(client, form)
    assert words in act(client, form, "add")
    # The form that came back carries what there is, and can be sent.
    left = {**form, **fields(answer.text), "picture": kept(answer.text), "mask": kept(answer.text, "mask")}
    assert words not in quoted(client, left)


def test_pictures_are_counted_before_one_is_decoded(client, product, monkeypatch):
    form = opened(client, product)
    monkeypatch.setattr(inputs, "bring", lambda *_: pytest.fail("one was decoded"))
    many = [file(picture(20, 20)) for _ in range(given.MOST + 1)]
    assert f"more than {given.MOST} pictures" in alert(act(client, form, "add", **{"picture-files": many}))


@pytest.mark.parametrize("value", ["nobody:sealed:this", "a" * 64, str(UUID(int=7)), ""])
def test_nobody_can_name_other_bytes_of_the_store(client, product, value):
    blob = look.store().put(picture())
    for each in (value, blob, f"{blob}:x"):
        form = opened(client, product, picture=[each])
        assert kept(act(client, form, "add")) == []
        assert client.get(f"/generate/picture/{each or 'x'}").status_code == 404


def test_models_are_grey_where_these_pictures_do_not_fit(client, product):
    form = opened(client, product, provider=["stability", "sandbox"])
    bare = quoted(client, form)
    assert re.search(r'<option value="inpaint"[^>]*disabled>[^<]*\(needs a picture\)', bare)
    held = quoted(client, added(client, form, picture()))
    assert re.search(r'<option value="stable-image-core"[^>]*disabled>[^<]*\(takes no picture\)', held)
    card = held[held.index('id="ask-card-sandbox"') :]
    assert "takes no picture" in card[: card.index("</div>")]
    assert re.search(r'value="sandbox"[^>]*disabled', card)


def test_a_model_that_takes_no_words_gets_none(client, product):
    form = added(client, opened(client, product, provider="stability"), picture())
    form["model-stability"] = "remove-background"
    answer = client.post("/generate", agreed(client, form), headers=HX)
    assert answer.status_code == 200, alert(answer.text)
    made = Generation.objects.get()
    assert (made.model, made.prompt, made.template_version_id, made.shape) == (
        "remove-background",
        "",
        None,
        "input",
    )


def test_no_more_go_along_than_the_model_takes(client, product):
    form = added(client, opened(client, product, provider="stability"), picture())
    form["model-stability"] = "inpaint"
    ways = quoted(client, form)
    assert "takes no more pictures" in ways or re.search(r"Inpaint takes one, and a mask", ways)


# -- masks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider_name", "model", "marks", "said"),
    [
        ("stability", "inpaint", "white", "White in it is changed"),
        ("openai", "gpt-image-2", "transparent", "transparent"),
    ],
)
def test_a_rectangle_by_numbers_becomes_a_mask_as_the_model_reads_it(
    client, product, provider_name, model, marks, said
):
    form = added(client, opened(client, product, provider=provider_name), picture())
    form[f"model-{provider_name}"] = model
    assert said in quoted(client, form)
    numbers = {"mask-left": "25", "mask-top": "50", "mask-width": "50", "mask-height": "25"}
    text = act(client, form, "rectangle", **numbers)
    (mask,) = kept(text, "mask")
    assert kept(text) == form["picture"]
    answer = client.post("/generate", agreed(client, {**form, "mask": mask}), headers=HX)
    assert answer.status_code == 200, alert(answer.text)
    sent = Generation.objects.get().inputs
    assert [each["role"] for each in sent] == ["image", "mask"]
    drawn = pyvips.Image.new_from_buffer(look.store().get(sent[1]["blob"]), "")
    assert (drawn.width, drawn.height) == (600, 400)
    inside, outside = drawn(300, 250), drawn(10, 10)
    assert (inside[3], outside[3]) == ((255, 255) if marks == "white" else (0, 255))
    assert (inside[0], outside[0]) == ((255, 0) if marks == "white" else (0, 255))
    (without,) = (kept(act(client, {**form, "mask": mask}, "mask-remove"), "mask"),)
    assert without == []


@pytest.mark.parametrize(
    "numbers", [("90", "0", "20", "10"), ("0", "0", "0", "10"), ("-1", "0", "5", "5"), ("x", "0", "5", "5")]
)
def test_a_rectangle_that_does_not_lie_in_the_picture_is_refused(client, product, numbers):
    form = added(client, opened(client, product, provider="openai"), picture())
    sides = dict(zip(("mask-left", "mask-top", "mask-width", "mask-height"), numbers, strict=True))
    text = act(client, form, "rectangle", **sides)
    assert alert(text) and kept(text, "mask") == []


def test_models_that_read_masks_differently_are_not_asked_with_one_mask(client, product):
    form = added(client, opened(client, product, provider=["openai", "stability"]), picture())
    form["model-stability"] = "inpaint"
    assert "in different ways" in quoted(client, form)


def test_a_drawn_mask_has_exactly_its_rectangle():
    drawn = pyvips.Image.new_from_buffer(masks.rectangle(7, 5, Box(2, 1, 3, 2), "white"), "")
    white = [(x, y) for y in range(5) for x in range(7) if drawn(x, y)[0] == 255]
    assert white == [(x, y) for y in (1, 2) for x in (2, 3, 4)]


# -- addresses of the catalogue ------------------------------------------------------------------------


def test_a_picture_is_fetched_from_an_address_of_the_catalogue_and_from_no_other(
    client, product, monkeypatch
):
    address = "https://cdn.example.com/mug.png"
    Product.objects.filter(pk=product.pk).update(
        reference_image_urls=[address, "http://plain.example.com/a.png"]
    )
    asked: list[str] = []

    async def get(self, url, **_):
        asked.append(url)
        return Answer(200, {}, picture(500, 500))

    monkeypatch.setattr(GuardedClient, "get", get)
    form = opened(client, product)
    text = act(client, form, "address:0")
    assert asked == [address]
    assert len(kept(text)) == 1 and "mug.png" in text
    assert "no such address" in alert(act(client, form, "address:1"))
    assert "no such address" in alert(act(client, form, "address:https://evil.example.com"))
    assert asked == [address]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://cdn.example.com/a.png", "no https address"),
        ("https://localhost/a.png", "no https address"),
        ("https://127.0.0.1/a.png", "no https address"),
        ("https://[::1]/a.png", "no https address"),
        ("https://10.0.0.7/a.png", "no https address"),
        ("https://me.localhost/a.png", "no https address"),
        ("https://cdn.example.com:8443/a.png", "port 443"),
        ("https://[1]/a.png", "cannot be reached"),
        ("https://cdn.example.com:x/a.png", "cannot be reached"),
        ("file:///etc/passwd", "no https address"),
    ],
)
def test_no_address_leads_into_this_network(address, words, monkeypatch):
    async def nobody(host, port):
        return ["192.168.1.9"]

    monkeypatch.setattr("packshot.providers.http.resolve_by_dns", nobody)
    with pytest.raises(BadInput, match=words):
        asyncio.run(inputs.fetch(address))


def test_an_address_that_answers_otherwise_is_told_in_words(monkeypatch):
    replies = [Answer(404, {}, b""), Redirected("elsewhere", status=302)]

    async def get(self, url, **_):
        reply = replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    monkeypatch.setattr(GuardedClient, "get", get)
    for words in ("answers 404", "another address"):
        with pytest.raises(BadInput, match=words):
            asyncio.run(inputs.fetch("https://cdn.example.com/a.png"))


# -- negative prompt, seed, options ----------------------------------------------------------------------


def test_each_model_is_sent_what_it_takes_and_the_form_says_what_goes_where(client, product):
    form = opened(client, product, provider=["openai", "stability"], negative="no hands", seed="42")
    form["option-stability-style_preset"] = "photographic"
    text = quoted(client, form)
    assert "Not sent to GPT Image 2" in text
    answer = client.post("/generate", agreed(client, form), headers=HX)
    assert answer.status_code == 200, alert(answer.text)
    made = {each.provider_id: each for each in Generation.objects.all()}
    assert (made["openai"].negative_prompt, made["openai"].seed) == ("", None)
    assert (made["stability"].negative_prompt, made["stability"].seed) == ("no hands", 42)
    assert made["stability"].options == {"style_preset": "photographic"}


def test_what_no_chosen_model_takes_is_grey_with_the_reason(client, product):
    text = quoted(client, opened(client, product, provider="openai"))
    negative = re.search(r'<textarea[^>]*name="negative"[^>]*>', text)[0]
    assert "readonly" in negative and "takes no negative prompt" in text
    seed = re.search(r'<input[^>]*name="seed"[^>]*>', text)[0]
    assert "readonly" in seed and "takes no seed" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": "many"}, "whole number"),
        ({"option-flux-guidance": "x", "model-flux": "flux-2-flex"}, "whole number|must be"),
        ({"shape": "own", "shape-own": "wide"}, "no shape"),
    ],
)
def test_what_a_model_does_not_understand_is_said_before_anything_is_asked(client, product, change, words):
    text = quoted(client, opened(client, product, **change))
    assert re.search(words, alert(text[text.index('id="ask-total"') :])), alert(text)
    assert button(text) == "Generate"


def test_an_option_that_is_needed_is_asked_for(client, product):
    form = added(client, opened(client, product, provider="stability"), picture())
    form["model-stability"] = "search-and-replace"
    text = quoted(client, form)
    assert "What to replace is missing" in alert(text[text.index('id="ask-total"') :])
    assert re.search(r'<details class="more" id="ask-more" open', text)
    form["option-stability-search_prompt"] = "the lid"
    answer = client.post("/generate", agreed(client, form), headers=HX)
    assert answer.status_code == 200, alert(answer.text)
    assert Generation.objects.get().options == {"search_prompt": "the lid"}


def test_any_shape_can_be_asked_for(client, product):
    form = opened(client, product, shape="own", **{"shape-own": "3:2"})
    client.post("/generate", agreed(client, form), headers=HX)
    assert Generation.objects.get().shape == "3:2"


def test_the_words_of_a_template_that_somebody_changed_keep_its_fit(client, product, provider):
    from packshot.catalogue.models import PromptTemplate

    PromptTemplate.objects.update(shape_fit="pad")
    form = opened(client, product, prompt="Another wording of {{name}}", template="General")
    client.post("/generate", agreed(client, form), headers=HX)
    made = Generation.objects.get()
    assert (made.template_version_id, made.shape_fit) == (None, "pad")


# -- an earlier image's settings -------------------------------------------------------------------------


def made_of(client: Client, product: Product, form: dict[str, object]) -> Image:
    """The image of what this form asks for, as it would have landed."""
    answer = client.post("/generate", agreed(client, form), headers=HX)
    assert answer.status_code == 200, alert(answer.text)
    asked = Generation.objects.latest("created_at")
    image = image_of(build.StandIn(), product)
    Image.objects.filter(pk=image.pk).update(generation_id=asked.pk)
    image.refresh_from_db()
    return image


def test_the_settings_of_an_earlier_image_fill_the_form(client, product):
    form = added(client, opened(client, product, provider="stability"), picture())
    form |= {
        "model-stability": "stable-image-ultra",
        "option-stability-strength": "0.5",
        "option-stability-style_preset": "photographic",
        "negative": "no hands",
        "seed": "7",
        "shape": "16:9",
        "images": "2",
        "prompt": "On slate: {{name}}",
    }
    image = made_of(client, product, form)
    page = client.get(f"/products/{product.sku}?reuse={image.pk}", headers=PAGE).text
    assert breaches(page) == []
    held = fields(page)
    assert held["prompt"] == f"On slate: {product.name}"
    assert re.findall(r'name="provider" value="(\w+)" checked', page) == ["stability"]
    assert re.search(r'<option value="stable-image-ultra" selected', page)
    assert re.search(r'<option value="0.5" selected', page) and re.search(
        r'<option value="photographic" selected', page
    )
    assert re.search(r'name="seed" value="7"', page) and ">no hands</textarea>" in page
    assert re.search(r'value="16:9" checked', page)
    (value,) = kept(page)
    again = {**form, **held, "picture": [value]}
    client.post("/generate", agreed(client, again), headers=HX)
    first, second = Generation.objects.filter(model="stable-image-ultra").order_by("created_at")[0::2][:2]
    same = ("provider_id", "model", "prompt", "shape", "seed", "options", "negative_prompt", "images")
    assert [getattr(first, each) for each in same] == [getattr(second, each) for each in same]
    assert [each["blob"] for each in first.inputs] == [each["blob"] for each in second.inputs]


def test_settings_that_cannot_be_had_any_more_are_named(client, product):
    form = added(client, opened(client, product), picture())
    image = made_of(client, product, form)
    asked = Generation.objects.get(pk=image.generation_id)
    Generation.objects.filter(pk=asked.pk).update(
        model="flux-of-old", inputs=[{**asked.inputs[0], "blob": "f" * 64}]
    )
    page = client.get(f"/products/{product.sku}?reuse={image.pk}", headers=PAGE).text
    notice = page[page.index('id="ask-notice"') :][:600]
    assert "not in the store any more" in notice and "another model is chosen" in notice
    assert kept(page) == []


def test_a_page_that_is_loaded_again_decodes_no_picture_again(client, product, monkeypatch):
    form = added(client, opened(client, product), picture(321, 123))
    page = f"/products/{product.sku}?reuse={made_of(client, product, form).pk}"
    inputs._SHOWN.clear()

    def full(_store: object, _content: bytes) -> str:
        raise StoreFull("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(type(look.store()), "put", full)
        answer = client.get(page, headers=PAGE)
        assert answer.status_code == 200 and "disk is full" in answer.text
    assert len(kept(client.get(page, headers=PAGE).text)) == 1
    monkeypatch.setattr(inputs, "_small", lambda _: pytest.fail("it was decoded again"))
    monkeypatch.setattr(type(look.store()), "put", full)
    assert len(kept(client.get(page, headers=PAGE).text)) == 1


def test_settings_of_another_products_image_are_not_taken(client, provider, product):
    other = build.product()
    image = image_of(provider, other)
    page = client.get(f"/products/{product.sku}?reuse={image.pk}", headers=PAGE)
    assert page.status_code == 200 and "ask-notice" not in page.text


# -- without our script ------------------------------------------------------------------------------------


def test_without_our_script_the_form_is_a_page_that_keeps_everything(client, product):
    form = opened(client, product, negative="no hands", seed="3", images="2")
    page = client.post(
        "/generate/pictures", {**form, "do": "add", "picture-files": file(picture())}, headers=PAGE
    )
    assert page.status_code == 200 and breaches(page.text) == []
    assert 'enctype="multipart/form-data"' in page.text
    held = fields(page.text)
    assert len(kept(page.text)) == 1 and ">no hands</textarea>" in page.text
    assert re.search(r'name="images"[^>]*value="2"', page.text)
    sent = {**form, **held, "picture": kept(page.text), "images": "1"}
    answer = client.post("/generate", agreed(client, sent), headers=PAGE)
    assert answer.status_code == 303
    assert len(Generation.objects.get().inputs) == 1


def test_a_file_that_comes_with_the_order_itself_is_not_lost(client, product):
    form = agreed(client, opened(client, product))
    answer = client.post("/generate", {**form, "picture-files": file(picture())}, headers=PAGE)
    if answer.status_code == 422:  # it costs more with the picture: asked again, and the picture is kept
        assert not Generation.objects.exists()
        assert len(kept(answer.text)) == 1
    else:
        assert len(Generation.objects.get().inputs) == 1


def test_the_offer_of_the_form_is_the_flows_own_with_pictures_and_options(client, product):
    form = added(client, opened(client, product, provider="openai"), picture())
    form["option-openai-quality"] = "high"
    offered = generate.offer(
        Ask(
            catalogue.by_id([product.pk]),
            "openai",
            template="General",
            options={"quality": "high"},
            inputs=[inputs.of_file(picture(), build.ADMIN)],
        ),
        build.ADMIN,
    )
    assert agreed(client, form)["agreed-openai"] == str(offered.expected_micros)


def test_what_might_take_a_day_may_take_one_again(client, product):
    form = opened(client, product, provider="openai", delivery="tomorrow")
    image = made_of(client, product, form)
    assert Generation.objects.get(pk=image.generation_id).options["delivery"] == "tomorrow"
    page = client.get(f"/products/{product.sku}?reuse={image.pk}", headers=PAGE).text
    assert re.search(r'name="delivery" value="tomorrow" checked', page)
