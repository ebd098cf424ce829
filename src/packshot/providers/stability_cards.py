"""Stability's models and edits as data, and how a request to one is written as a form."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from packshot.imaging.header import has_alpha
from packshot.kernel.errors import BadInput
from packshot.providers.cards import accept
from packshot.providers.contract import (
    AS_INPUT,
    ImageRequest,
    InputImage,
    JsonValue,
    ModelCard,
    Option,
)
from packshot.providers.multipart import Part, Upload

RATIOS = ("1:1", "4:5", "2:3", "9:16", "9:21", "5:4", "3:2", "16:9", "21:9")
_PROMPT_LIMIT = 10_000
_SEED_MOST = 4_294_967_294  # 0 asks for any
_REQUEST_BYTES = 10 * 1024 * 1024  # of the whole form
_PART_BYTES = 300  # around each part of a form: more than it ever is
_DEADLINE_S = 300
_OUTPAINT_PX = 200

_STYLES = (
    "3d-model", "analog-film", "anime", "cinematic", "comic-book", "digital-art", "enhance", "fantasy-art",
    "isometric", "line-art", "low-poly", "modeling-compound", "neon-punk", "origami", "photographic",
    "pixel-art", "tile-texture",
)  # fmt: skip
_FORMAT = Option("output_format", "File format", "choice", "png", ("png", "jpeg", "webp"))
_CLEAR_FORMAT = Option("output_format", "File format", "choice", "png", ("png", "webp"))
_STYLE = Option("style_preset", "Style", "choice", None, _STYLES)
_CFG_SCALE = Option(
    "cfg_scale",
    "Faithfulness to the prompt",
    "choice",
    None,
    tuple(f"{half / 2:g}" for half in range(2, 21)),
    help="Without: 4 for Large and Medium, 1 for Turbo and Flash.",
)


def _share(name: str, label: str, least: int = 0, most: int = 100, note: str = "") -> Option:
    """A number from 0 to 1 in twentieths, within so many hundredths."""
    return Option(
        name, label, "choice", None, tuple(f"{each / 100:g}" for each in range(least, most + 1, 5)), help=note
    )


def _grow_mask(most: int) -> Option:
    return Option("grow_mask", "Soften the mask's edge", "integer", None, minimum=0, maximum=most)


def _side(name: str, label: str) -> Option:
    return Option(
        name,
        label,
        "integer",
        None,
        minimum=0,
        maximum=2000,
        help=f"In pixels. Without any of the four: {_OUTPAINT_PX} on every side.",
    )


def _words(name: str, label: str, *, required: bool = False, note: str = "") -> Option:
    return Option(name, label, "text", None, maximum=_PROMPT_LIMIT, required=required, help=note)


_STRENGTH = _share(
    "strength", "Freedom", note="Needed with a picture: 0 gives it back, 1 does as if there were none."
)
_SIDES = tuple(_side(name, f"More room: {name}") for name in ("left", "right", "up", "down"))


@dataclass(frozen=True, slots=True)
class _Room:
    """What a picture may measure, in pixels."""

    least_side: int = 64
    most_side: int | None = None
    least: int = 4_096
    most: int | None = 9_437_184
    oblong: bool = True  # whether a side may be more than 2.5 times the other

    def check(self, picture: InputImage) -> None:
        width, height = picture.width_px, picture.height_px
        shown = f"The picture is {width:,} x {height:,} px"
        if min(width, height) < self.least_side:
            raise BadInput(f"{shown}; each side needs at least {self.least_side}.", field="inputs")
        if self.most_side is not None and max(width, height) > self.most_side:
            raise BadInput(f"{shown}; a side may have at most {self.most_side:,}.", field="inputs")
        if width * height < self.least:
            raise BadInput(f"{shown}; it needs at least {self.least:,} pixels.", field="inputs")
        if self.most is not None and width * height > self.most:
            raise BadInput(f"{shown}; it may have at most {self.most:,} pixels.", field="inputs")
        if not self.oblong and 2 * max(width, height) > 5 * min(width, height):
            raise BadInput(f"{shown}; one side may be at most 2.5 times the other.", field="inputs")


# By operation, not by one rule: Stability's reference as read by calesthio/generative-media-skills
# (2026-07-09), and its schema as compared by aself101/stability-ai-api (2025-12-03).
_ANY = _Room(most=None)
_WIDE = _Room()
_USUAL = _Room(oblong=False)
_SMALL = _Room(most=1_048_576)


@dataclass(frozen=True, slots=True)
class Operation:
    """One address of the API, as one model uses it."""

    path: str  # below /v2beta/stable-image/
    model: str | None = None  # where several share the address
    pictures: tuple[str, ...] = ()  # the fields of the pictures, in their order
    prompt: str = "prompt"  # the field of the prompt
    room: _Room = _USUAL


def _generate(
    model: str,
    label: str,
    options: tuple[Option, ...],
    *,
    max_inputs: int = 0,
    typical_s: float,
    note: str = "",
) -> ModelCard:
    return ModelCard(
        id=model,
        label=label,
        provider="stability",
        delivery="direct",
        deadline_s=_DEADLINE_S,
        shapes=RATIOS,
        takes_seed=True,
        options=options,
        typical_s=typical_s,
        note=note,
        prompt_limit=_PROMPT_LIMIT,
        takes_negative_prompt=True,
        max_inputs=max_inputs,
    )


def _edit(
    model: str,
    label: str,
    options: tuple[Option, ...],
    *,
    prompt: Literal["needed", "taken", "none"] = "needed",
    negative: bool = True,
    seed: bool = True,
    mask: bool = False,
    max_inputs: int = 1,
    waits: bool = False,
    typical_s: float = 8,
    note: str = "",
) -> ModelCard:
    return ModelCard(
        id=model,
        label=label,
        provider="stability",
        delivery="ticket" if waits else "direct",
        deadline_s=_DEADLINE_S,
        shapes=(AS_INPUT,),
        takes_seed=seed,
        options=options,
        typical_s=typical_s,
        note=note,
        kind="edit",
        needs_prompt=prompt == "needed",
        prompt_limit=0 if prompt == "none" else _PROMPT_LIMIT,
        takes_negative_prompt=negative,
        min_inputs=1,
        max_inputs=max_inputs,
        takes_mask=mask,
    )


def _sd35(variant: str, *, typical_s: float, note: str = "") -> tuple[ModelCard, Operation]:
    model = f"sd3.5-{variant.lower().replace(' ', '-')}"
    keeps = "With a picture the result has that picture's shape."
    card = _generate(
        model,
        f"Stable Diffusion 3.5 {variant}",
        (_FORMAT, _STYLE, _CFG_SCALE, _STRENGTH),
        max_inputs=1,
        typical_s=typical_s,
        note=f"{keeps} {note}".rstrip(),
    )
    return card, Operation("generate/sd3", model, ("image",), room=_ANY)


def _gone(model: str, label: str, on: date, successor: str) -> ModelCard:
    return ModelCard(
        id=model,
        label=label,
        provider="stability",
        delivery="direct",
        deadline_s=_DEADLINE_S,
        retires_on=on,
        retired=True,
        successor=successor,
    )


_OUTPAINT = (*_SIDES, _share("creativity", "Creativity"), _FORMAT, _STYLE)
_RELIGHT = (
    _FORMAT,
    _words("foreground_prompt", "What the subject is", note="Keeps the background out of the subject."),
    _share("preserve_original_subject", "Likeness of the subject"),
    _share("original_background_depth", "Likeness of the background's depth"),
    Option("keep_original_background", "Keep the background, change its light", "boolean", None),
    Option(
        "light_source_direction",
        "Light comes from",
        "choice",
        None,
        ("left", "right", "above", "below"),
    ),
    _share("light_source_strength", "Strength of that light"),
)

# Core comes first, and so is the default: the cheapest with a style of its own, and the largest pictures.
_OFFERED: tuple[tuple[ModelCard, Operation], ...] = (
    (
        _generate("stable-image-core", "Stable Image Core", (_FORMAT, _STYLE), typical_s=5),
        Operation("generate/core"),
    ),
    (
        _generate(
            "stable-image-ultra",
            "Stable Image Ultra",
            (_FORMAT, _STYLE, _STRENGTH),
            max_inputs=1,
            typical_s=10,
        ),
        Operation("generate/ultra", pictures=("image",), room=_ANY),
    ),
    _sd35("Large", typical_s=8),
    _sd35("Large Turbo", typical_s=4),
    _sd35("Medium", typical_s=6),
    _sd35("Flash", typical_s=3, note="A freedom of 0.95 suits it best."),
    (
        _edit(
            "remove-background",
            "Remove background",
            (_CLEAR_FORMAT,),
            prompt="none",
            negative=False,
            seed=False,
            typical_s=4,
        ),
        Operation("edit/remove-background", pictures=("image",), room=_Room(most=4_194_304)),
    ),
    (
        _edit(
            "replace-background-and-relight",
            "Replace background and relight",
            _RELIGHT,
            max_inputs=2,
            waits=True,
            typical_s=40,
            note="The prompt says what the background is. A second picture shows it.",
        ),
        Operation(
            "edit/replace-background-and-relight",
            # `subject_image`, not `image`.
            pictures=("subject_image", "background_reference"),
            prompt="background_prompt",
        ),
    ),
    (
        _edit(
            "inpaint",
            "Inpaint",
            (_grow_mask(100), _FORMAT, _STYLE),
            mask=True,
            note="White in the mask is changed, black is kept. Without a mask: what is transparent.",
        ),
        Operation("edit/inpaint", pictures=("image",), room=_WIDE),
    ),
    (
        _edit(
            "erase",
            "Erase",
            (_grow_mask(20), _FORMAT),
            prompt="none",
            negative=False,
            mask=True,
            note="White in the mask is erased, black is kept. Without a mask: what is transparent.",
        ),
        Operation("edit/erase", pictures=("image",), room=_WIDE),
    ),
    (
        _edit(
            "outpaint",
            "Outpaint",
            _OUTPAINT,
            prompt="taken",
            negative=False,
            note="Best with no more room on a side than the picture is long.",
        ),
        Operation("edit/outpaint", pictures=("image",)),
    ),
    (
        _edit(
            "search-and-replace",
            "Search and replace",
            (_words("search_prompt", "What to replace", required=True), _grow_mask(20), _FORMAT, _STYLE),
            note="The prompt says what comes in its place.",
        ),
        Operation("edit/search-and-replace", pictures=("image",)),
    ),
    (
        _edit(
            "search-and-recolor",
            "Search and recolour",
            (_words("select_prompt", "What to recolour", required=True), _grow_mask(20), _FORMAT, _STYLE),
            note="The prompt says the new colour.",
        ),
        Operation("edit/search-and-recolor", pictures=("image",)),
    ),
    (
        _edit(
            "upscale-fast",
            "Upscale, fast",
            (_FORMAT,),
            prompt="none",
            negative=False,
            seed=False,
            typical_s=2,
            note="Four times as wide and as high.",
        ),
        Operation(
            "upscale/fast",
            pictures=("image",),
            room=_Room(least_side=32, most_side=1536, least=1_024, most=1_048_576),
        ),
    ),
    (
        _edit(
            "upscale-conservative",
            "Upscale, conservative",
            (_share("creativity", "Creativity", 20, 50), _FORMAT),
            typical_s=30,
            note="To four megapixels, with few changes.",
        ),
        Operation("upscale/conservative", pictures=("image",)),
    ),
    (
        _edit(
            "upscale-creative",
            "Upscale, creative",
            (_share("creativity", "Creativity", 10, 50), _FORMAT, _STYLE),
            waits=True,
            typical_s=60,
            note="Invents what the picture lacks: not for products whose details must stay.",
        ),
        Operation("upscale/creative", pictures=("image",), room=_SMALL),
    ),
)
_OPERATIONS = {card.id: operation for card, operation in _OFFERED}
# Stability answers for the old names of SD 3, silently with a newer model: they are not asked for.
_SD3_GONE = date(2025, 4, 17)
CARDS: tuple[ModelCard, ...] = (
    *(card for card, _ in _OFFERED),
    _gone("sd3-large", "Stable Diffusion 3 Large", _SD3_GONE, "sd3.5-large"),
    _gone("sd3-large-turbo", "Stable Diffusion 3 Large Turbo", _SD3_GONE, "sd3.5-large-turbo"),
    _gone("sd3-medium", "Stable Diffusion 3 Medium", _SD3_GONE, "sd3.5-medium"),
    _gone("stable-diffusion-v1-6", "Stable Diffusion 1.6", date(2025, 7, 24), "sd3.5-medium"),
)


@dataclass(frozen=True, slots=True)
class Wire:
    """One request as it is sent: where to, and the parts of its form."""

    path: str
    card: ModelCard
    parts: tuple[Part, ...]


def wire_request(request: ImageRequest) -> Wire:
    """How `request` is asked for. Raises BadInput for what no call could ask."""
    card, options = accept(request, CARDS)
    operation = _OPERATIONS[card.id]
    _check_options(request, card, options)
    for picture in request.inputs:
        if picture.role == "image":
            operation.room.check(picture)
    if card.takes_mask:
        _check_mask(request, card)
    parts = (*_texts(request, card, operation, options), *_files(request, operation))
    if _length(request, parts) > _REQUEST_BYTES:
        raise BadInput("Pictures and words together are more than 10 MiB.", field="inputs")
    return Wire(f"/v2beta/stable-image/{operation.path}", card, parts)


def _texts(
    request: ImageRequest, card: ModelCard, operation: Operation, options: Mapping[str, JsonValue]
) -> Iterator[Part]:
    if operation.model is not None:
        yield "model", operation.model
    if request.prompt:
        yield operation.prompt, request.prompt
    if request.negative_prompt:
        yield "negative_prompt", request.negative_prompt
    with_picture = request.input("image") is not None
    if operation.path == "generate/sd3" and with_picture:
        yield "mode", "image-to-image"  # which takes no aspect_ratio
    elif card.kind == "generate":
        yield "aspect_ratio", request.shape
    if card.takes_seed and request.seed is not None:
        yield "seed", str(request.seed)
    for name, value in options.items():
        if value is not None:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _files(request: ImageRequest, operation: Operation) -> Iterator[Part]:
    pictures = [each for each in request.inputs if each.role == "image"]
    for field, picture in zip(operation.pictures, pictures, strict=False):
        yield field, _upload(field, picture)
    mask = request.input("mask")
    if mask is not None:
        yield "mask", _upload("mask", mask)


def _upload(field: str, picture: InputImage) -> Upload:
    return Upload(f"{field}.{picture.media_type.removeprefix('image/')}", picture.media_type, picture.content)


def _check_options(request: ImageRequest, card: ModelCard, options: dict[str, JsonValue]) -> None:
    """What the card cannot say: which goes with which. Fills in what no answer means."""
    if card.takes_seed and request.seed is not None and not 0 <= request.seed <= _SEED_MOST:
        raise BadInput(f"The seed must be between 0 and {_SEED_MOST:,}.", field="seed")
    if "strength" in options:
        with_picture = request.input("image") is not None
        if with_picture and options["strength"] is None:
            raise BadInput("A picture needs the freedom that the result has from it.", field="strength")
        if not with_picture and options["strength"] is not None:
            raise BadInput("Freedom from a picture needs a picture.", field="strength")
    if options.get("light_source_strength") is not None and options["light_source_direction"] is None:
        raise BadInput("The strength of the light needs its direction.", field="light_source_strength")
    if card.id == "outpaint":
        sides = [each.name for each in _SIDES]
        if all(options[side] is None for side in sides):
            options |= dict.fromkeys(sides, _OUTPAINT_PX)
        if not any(options[side] for side in sides):
            raise BadInput("Outpainting needs more room on one side at least.", field="left")


def _check_mask(request: ImageRequest, card: ModelCard) -> None:
    if request.input("mask") is not None:
        return
    picture = request.input("image")
    assert picture is not None, "accept looks for it"
    # A quote comes without the bytes; then only a JPEG is known to have no transparency.
    opaque = not has_alpha(picture.content) if picture.content else picture.media_type == "image/jpeg"
    if opaque:
        raise BadInput(f"{card.label} needs a mask, or a picture that is transparent there.", field="inputs")


def _length(request: ImageRequest, parts: tuple[Part, ...]) -> int:
    """Bytes of the whole form, rather too many than too few. A quote knows its pictures' sizes only."""
    texts = sum(len(value.encode()) for _, value in parts if isinstance(value, str))
    files = sum(max(each.size_bytes, len(each.content)) for each in request.inputs)
    return texts + files + _PART_BYTES * (len(parts) + 1)
