"""Pictures that go with a form: brought, chosen, put in order.

A form carries references and no files: a picture that was brought is in the store, and a sealed reference
says so. So a form that comes back with a mistake, or asks for another price, asks for no file again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.core import signing
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict
from django.urls import reverse

from packshot.accounts import Actor
from packshot.flows import inputs, uploads
from packshot.flows.inputs import Brought
from packshot.generations import Given
from packshot.imaging import masks
from packshot.imaging.header import MAX_BYTES
from packshot.imaging.masks import Box, Marks
from packshot.kernel.errors import BadInput
from packshot.providers.contract import ModelCard, Role
from packshot.web.pages import products as listing
from packshot.web.uploads import was_cut

_SALT = "packshot.given"
KEPT_S = 7 * 24 * 3600
MOST = 16  # that any model takes
_NAME_CHARS = 60


@dataclass(frozen=True, slots=True)
class Along:
    """A picture of the form: the value that stands for it, and how it is shown."""

    value: str
    given: Given
    name: str
    shown: str  # the address of a small copy

    @property
    def size(self) -> str:
        return f"{self.given.width_px} x {self.given.height_px} px"


@dataclass(frozen=True, slots=True)
class Pictures:
    """Everything that goes along, in the order in which a prompt may speak of it."""

    images: tuple[Along, ...] = ()
    mask: Along | None = None
    gone: int = 0  # of those that the form carries; it is not asked with less than it showed

    @property
    def given(self) -> tuple[Given, ...]:
        return tuple(each.given for each in (*self.images, *([self.mask] if self.mask else [])))

    def __bool__(self) -> bool:
        return bool(self.images or self.mask)


def pictures_of(form: QueryDict) -> Pictures:
    """The pictures that a form carries. One whose seal is broken or too old is counted as gone."""
    carried, mask = [each for each in form.getlist("picture") if each], form.get("mask", "")
    images = carried[:MOST]
    here = inputs.of_images([found for each in (*images, mask) if (found := listing.id_of(each))])
    shown = tuple(opened for each in images if (opened := _along(each, "image", here)))
    covers = _along(mask, "mask", here) if mask else None
    return Pictures(shown, covers, len(carried) - len(shown) + bool(mask and covers is None))


def of_stored(stored: Sequence[Given], actor: Actor) -> Pictures:
    """The pictures of an earlier request, to go with another. Raises BadInput when one is gone."""
    along = [
        (
            each.role,
            of_image(replace(each, role=each.role))
            if each.image_id
            else sealed(inputs.again(each, actor), ""),
        )
        for each in stored
    ]
    return Pictures(
        tuple(each for role, each in along if role == "image"),
        next((each for role, each in along if role == "mask"), None),
    )


def of_image(given: Given) -> Along:
    """An image of this site."""
    assert given.image_id is not None, "it is one of this site"
    return Along(
        str(given.image_id),
        given,
        "Image of this site",
        reverse("picture", args=[given.image_id, "webp-320"]),
    )


def sealed(brought: Brought, name: str) -> Along:
    """A picture that was brought, under a seal: nobody can name other bytes of the store by it."""
    given = brought.given
    facts = [
        given.blob,
        given.media_type,
        given.width_px,
        given.height_px,
        given.size_bytes,
        brought.shown,
        name,
    ]
    value = signing.dumps(facts, salt=_SALT, compress=True)
    return _opened(value, given.role, brought.shown, given, name)


def shown_blob(value: str) -> str | None:
    """The blob of the small copy that a sealed reference names."""
    facts = _facts(value)
    return facts[5] if facts else None


# -- what a form does with them ----------------------------------------------------------------------


def change(
    request: HttpRequest, now: Pictures, actor: Actor, addresses: Sequence[str], marks: Marks
) -> Pictures:
    """The pictures after what the pressed button says. Raises BadInput, and nothing is changed."""
    do, _, which = request.POST.get("do", "").partition(":")
    images = list(now.images)
    place = int(which) if which.isdecimal() and len(which) < 3 and int(which) < len(images) else None
    match do:
        case "remove" if place is not None:
            del images[place]
        case "earlier" if place:
            images.insert(place - 1, images.pop(place))
        case "later" if place is not None:
            images.insert(place + 1, images.pop(place))
        case "image":
            images.append(of_image(inputs.of_image(_id(which))))
        case "address":
            images.append(_fetched(which, addresses, actor))
        case "mask-remove":
            return replace(now, mask=None)
        case "mask-image":
            return replace(now, mask=of_image(inputs.of_image(_id(which), "mask")))
        case "rectangle":
            return replace(now, mask=_rectangle(request.POST, now, marks, actor))
        case _:
            return with_files(request, now, actor)
    if len(images) > MOST:
        raise BadInput(f"no model takes more than {MOST} pictures", field="inputs")
    return replace(now, images=tuple(images))


def with_files(request: HttpRequest, now: Pictures, actor: Actor) -> Pictures:
    """`now` with the files that came with the form."""
    if was_cut(request):
        raise BadInput(f"a picture may have at most {MAX_BYTES // 2**20} MB", field="inputs")
    files, masked = request.FILES.getlist("picture-files"), request.FILES.getlist("mask-file")[-1:]
    # Counted before one of them is decoded.
    if len(now.images) + len(files) > MOST:
        raise BadInput(f"no model takes more than {MOST} pictures", field="inputs")
    images = (*now.images, *(_brought(each, actor, "image") for each in files))
    return replace(now, images=images, mask=_brought(masked[0], actor, "mask") if masked else now.mask)


def _brought(file: "UploadedFile[Any]", actor: Actor, role: Role) -> Along:
    name = uploads.plain_name(file.name or "")[:_NAME_CHARS]
    try:
        return sealed(inputs.bring(file.read(MAX_BYTES + 1), actor, role), name)
    except BadInput as problem:
        raise BadInput(f"file {name}: {problem}", field="inputs") from None


def _fetched(which: str, addresses: Sequence[str], actor: Actor) -> Along:
    """By its number among the product's own: a form cannot say where to."""
    if not which.isdecimal() or len(which) > 3 or int(which) >= len(addresses):
        raise BadInput("this product has no such address", field="inputs")
    address = addresses[int(which)]
    content = async_to_sync(inputs.fetch)(address)
    name = uploads.plain_name(address.partition("?")[0])[:_NAME_CHARS]
    return sealed(inputs.bring(content, actor), name)


def _rectangle(form: QueryDict, now: Pictures, marks: Marks, actor: Actor) -> Along:
    """A mask of one rectangle, given in hundredths of the first picture."""
    if not now.images:
        raise BadInput("a mask says what to change of a picture; add one first", field="inputs")
    left, top, width, height = (_percent(form, side) for side in ("left", "top", "width", "height"))
    if left + width > 100 or top + height > 100 or not width or not height:
        raise BadInput("the rectangle must lie within the picture, and not be empty", field="inputs")
    first = now.images[0].given
    box = Box(
        round(first.width_px * left / 100),
        round(first.height_px * top / 100),
        max(1, round(first.width_px * width / 100)),
        max(1, round(first.height_px * height / 100)),
    )
    box = replace(
        box,
        width=min(box.width, first.width_px - box.left),
        height=min(box.height, first.height_px - box.top),
    )
    drawn = masks.rectangle(first.width_px, first.height_px, box, marks)
    return sealed(inputs.bring(drawn, actor, "mask"), f"Rectangle {left}, {top}, {width} x {height} %")


def _percent(form: QueryDict, side: str) -> int:
    text = form.get(f"mask-{side}", "")
    if not text.isdecimal() or len(text) > 3 or int(text) > 100:
        raise BadInput("each number of the rectangle is a whole one from 0 to 100", field="inputs")
    return int(text)


def _id(text: str) -> UUID:
    found = listing.id_of(text)
    if found is None:
        raise BadInput("there is no such image", field="inputs")
    return found


# -- what a model takes ------------------------------------------------------------------------------


def unfit(card: ModelCard, pictures: Pictures) -> str:
    """Why a model cannot be asked with these pictures, in a few words; empty: it can."""
    count = len(pictures.images)
    if count and not card.max_inputs:
        return "takes no picture"
    if count < card.min_inputs:
        return "needs a picture" if card.min_inputs == 1 else f"needs {card.min_inputs} pictures"
    if count > card.max_inputs:
        return "takes one picture" if card.max_inputs == 1 else f"takes {card.max_inputs} pictures"
    return "takes no mask" if pictures.mask and not card.takes_mask else ""


def takes(card: ModelCard) -> str:
    """What pictures a model takes, as a sentence."""
    if not card.max_inputs:
        return f"{card.label} takes none."
    if card.max_inputs == 1:
        count = "one" if card.min_inputs else "one, or none"
    else:
        count = f"{card.min_inputs} to {card.max_inputs}" if card.min_inputs else f"up to {card.max_inputs}"
    return f"{card.label} takes {count}{', and a mask' if card.takes_mask else ''}."


def marks_of(cards: Iterable[ModelCard]) -> Marks | None:
    """How a mask for these models says what is to be changed; None: none takes one, or they differ."""
    found = {card.mask_marks for card in cards if card.takes_mask}
    return found.pop() if len(found) == 1 else None


# -- references --------------------------------------------------------------------------------------


def _along(value: str, role: Role, here: Mapping[UUID, Given]) -> Along | None:
    if (key := listing.id_of(value)) is not None:
        return of_image(replace(here[key], role=role)) if key in here else None
    facts = _facts(value)
    if facts is None:
        return None
    blob, media_type, width_px, height_px, size_bytes, shown, name = facts
    return _opened(value, role, shown, Given(role, blob, media_type, width_px, height_px, size_bytes), name)


def _opened(value: str, role: Role, shown: str, given: Given, name: str) -> Along:
    words = name or ("Mask" if role == "mask" else "Picture")
    return Along(value, given, words, reverse("ask_picture", args=[value]) if shown else "")


def _facts(value: str) -> list | None:  # type: ignore[type-arg]  # JSON of our own, under our seal
    try:
        return list(signing.loads(value, salt=_SALT, max_age=KEPT_S))
    except signing.BadSignature:
        return None
