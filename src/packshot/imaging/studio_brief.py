"""From a free prompt to what a studio needs to know: the product's name, its kind, its colours."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from packshot.imaging.header import MAX_PIXELS, MAX_SIDE_PX

NAME_LENGTH = 60  # characters that a label can still carry
_PROMPT_READ = 2_000  # characters: what matters stands at the front, and hostile prompts are long


@dataclass(frozen=True, slots=True)
class Packshot:
    """One picture to draw. Colours are #rrggbb, the object's own first; none means the studio chooses."""

    name: str
    kind: str
    colours: tuple[str, ...]
    seed: int
    style: str
    width_px: int
    height_px: int


def describe(prompt: str, *, style: str, seed: int, width_px: int, height_px: int) -> Packshot:
    """What `prompt` asks for, as far as words tell. Any text works; an empty one gives a plain sample."""
    if not (
        0 < width_px <= MAX_SIDE_PX and 0 < height_px <= MAX_SIDE_PX and width_px * height_px <= MAX_PIXELS
    ):
        raise ValueError(f"cannot draw {width_px} x {height_px} px")
    text = _plain(prompt[:_PROMPT_READ])
    name = _name(text)
    kind = _kind(name) or _kind(text) or "generic"
    return Packshot(name, kind, _colours(name, text), seed, style, width_px, height_px)


def _plain(text: str) -> str:
    """`text` without what cannot be lettered or would break XML: controls, emoji, lone surrogates."""
    kept = (
        " " if unicodedata.category(char)[0] in "ZC" else char
        for char in unicodedata.normalize("NFC", text)
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk")
    )
    return re.sub(r"\s+", " ", "".join(kept)).strip()


# -- name --------------------------------------------------------------------------------------

_QUOTED = re.compile(r"[\"“„«]([^\"“”„«»]{2,80})[\"”“»]")
_OPENING = re.compile(
    r"^(?:.{0,60}?\b(?:packshot|photo|photograph|photography|picture|image|render|rendering|shot|visual|"
    r"still life|close-up|advert|ad|portrait|view)s?\s+(?:of|for|showing)\s*:?\s+)",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(?:an?|the|our|one|some|this)\s+", re.IGNORECASE)
_NAME_ENDS = re.compile(r"[,;:.!?(\[\n|]\s|[,;:.!?]$|\s[-–—]\s|\s[(\[]|\s(?:on|against|in front of|standing on|isolated)\s+(?:an?|the)?\s*", re.IGNORECASE)


def _name(text: str) -> str:
    subject = _OPENING.sub("", text, count=1)
    quoted = _QUOTED.search(subject[:160])
    if quoted:
        subject = quoted.group(1)
    else:
        subject = _ARTICLE.sub("", subject, count=1)
        end = _NAME_ENDS.search(subject)
        subject = subject[: end.start()] if end and end.start() > 0 else subject
    subject = subject.strip(" ,;:.-–—'\"")
    if len(subject) > NAME_LENGTH:
        subject = (subject[:NAME_LENGTH].rsplit(" ", 1)[0] if " " in subject[:NAME_LENGTH] else subject[: NAME_LENGTH - 1]) + "…"
    return subject[:1].upper() + subject[1:]


# -- kind --------------------------------------------------------------------------------------

_KIND_WORDS: dict[str, str] = {
    "dropper": "dropper 'cbd oil' serum tincture cbd droplet drops extract elixir essence perfume fragrance cologne 'essential oil' 'beard oil' 'face oil' 'facial oil' 'massage oil' 'body oil' 'hair oil' 'nail oil' 'bath oil' aftershave",
    "flask": "bottle oil juice drink milk wine beer syrup vinegar soda lemonade cider kombucha water beverage sauce ketchup dressing cleaner detergent flask thermos vodka gin spirit smoothie varnish stain sealant lubricant resin ink",
    "pump": "shampoo conditioner lotion 'hand soap' 'liquid soap' wash 'body wash' 'hand wash' cleanser sanitizer sanitiser moisturizer moisturiser 'shower gel' dispenser pump toner spray mist mouthwash",
    "jar": "jar balm cream butter salve honey jam spread pesto scrub mask wax pomade ointment paste hummus pickle pickles marmalade chutney tahini deodorant 'body butter' 'hand cream' 'face cream' moisturizing capsule capsules tablet tablets supplement supplements vitamin vitamins gummies gummy pill pills softgels",
    "tin": "tin can canister tea 'loose tea' caddy spice cocoa",
    "pouch": "pouch seed seeds heart hearts flour protein powder granola muesli coffee snack snacks crisps chips bag-in nut nuts pasta rice oats oatmeal grain grains cereal treat treats kibble food feed litter mulch soil fertilizer fertiliser compost pellets pellet shiv hurd hurds sachet bedding mix blend trail crackers cookies cookie biscuit biscuits chocolate candy sugar salt jerky granulate tofu burger fiber fibre fluff",
    "tube": "tube toothpaste gel sunscreen sunblock lipbalm glue mascara concealer foundation primer",
    "box": "box carton packaging package pack parcel set kit crate case cube cubes tissue tissues 'gift set' 'soap box' game puzzle battery",
    "soap": "soap bar 'soap bar' 'shampoo bar' 'conditioner bar' 'bath bomb'",
    "fabric": "fabric textile cloth canvas linen denim jersey fleece felt upholstery twill muslin tarp carpet wallpaper roll wrap geotextile mat matting nonwoven leather",
    "board": "board panel plank sheet insulation slab slat slats flooring tile tiles plywood fiberboard fibreboard mdf particleboard decking fence cladding veneer composite worktop batt door siding shingle roofing drywall plasterboard",
    "block": "block brick blocks bricks hempcrete concrete plaster mortar cement paver lime",
    "mug": "mug cup tumbler glass teacup espresso",
    "bowl": "bowl plate dish tableware dinnerware cutlery saucer tray basin platter",
    "tote": "tote bag 'tote bag' 'shopping bag' 'carrier bag' handbag purse satchel shopper 'gym bag' 'drawstring bag' sack 'leather bag'",
    "backpack": "backpack rucksack knapsack daypack duffel suitcase luggage",
    "notebook": "notebook journal book diary planner sketchbook paper cardstock stationery pad folder magazine audiobook envelope envelopes notepaper napkin napkins 'printing paper' 'copy paper' calendar binder",
    "card": "'gift card' voucher 'business card' 'greeting card' card cards licence license subscription cloud ticket sticker",
    "tee": "tee t-shirt tshirt top polo vest tank singlet blouse 't shirt' jersey-shirt camisole",
    "shirt": "shirt jacket hoodie sweater jumper sweatshirt cardigan coat blazer tuxedo pullover parka robe bathrobe kimono 'long sleeve' 'sports jacket' overshirt fleece-jacket suit pyjamas pajamas",
    "trousers": "trousers jeans pants shorts leggings joggers chinos overalls dungarees underwear boxers briefs",
    "dress": "dress skirt gown apron",
    "sock": "sock socks stocking stockings glove gloves mitten mittens tights",
    "hat": "hat cap beanie beret hood headband bonnet",
    "scarf": "scarf shawl 'neck warmer' towel blanket throw 'bed sheet' duvet quilt bedspread sheets linens 'bed clothes' bedclothes tablecloth 'tea towel' curtain curtains bandana pashmina washcloth 'bath towel' 'beach towel' rug",
    "shoe": "shoe shoes sneaker sneakers trainer trainers plimsoll plimsolls boot boots sandal sandals slipper slippers 'high tops' footwear insole insoles loafers espadrilles",
    "sunglasses": "sunglasses glasses sunnies eyewear spectacles goggles frames shades",
    "cushion": "cushion pillow pillows cushions 'throw pillow' pouffe beanbag mattress 'pet bed' 'dog bed' 'cat bed' bolster bed futon 'yoga bolster'",
    "sofa": "sofa couch armchair chair loveseat settee stool bench recliner",
    "table": "table desk drawers shelf cabinet dresser nightstand sideboard 'bedside table' chest bookcase wardrobe",
    "lamp": "lamp light lantern lampshade pendant chandelier bulb",
    "pot": "pot planter 'plant pot' plant flowerpot pots planters vase sapling cactus",
    "candle": "candle candles tealight votive 'wax melt'",
    "rope": "rope twine cord string yarn thread 'ball of yarn' leash lead collar harness lanyard cordage webbing wool skein macrame 'dog leash'",
    "spool": "filament spool reel 'printer filament' '3d filament' tape cable wire ribbon hose",
    "can": "'watering can'",
    "tool": "trowel spade shovel hammer knife brush toothbrush comb razor spatula spoon fork broom rake scissors hairbrush utensil pen pencil straw straws",
    "bone": "toy chew bone 'dog toy' 'chew toy' 'cat toy' frisbee",
    "phone": "phone 'phone case' smartphone tablet-pc headphones laptop keyboard",
}


def _vocabulary() -> dict[tuple[str, ...], str]:
    words: dict[tuple[str, ...], str] = {}
    for kind, listed in _KIND_WORDS.items():
        for phrase, word in re.findall(r"'([^']+)'|(\S+)", listed):
            words[tuple((phrase or word).split())] = kind
    return words


_VOCABULARY = _vocabulary()
_LONGEST = max(map(len, _VOCABULARY))
# What follows these says what it is made of, goes with or is for: not what it is.
_ASIDE = re.compile(r"\s(?:with|for|from|made|in|without|featuring|by|and comes|containing)\s", re.IGNORECASE)


def _kind(text: str) -> str | None:
    """The kind named by `text`: the last fitting word before an aside, since English puts the noun last."""
    for part in (_ASIDE.split(text)[0], text):
        found = None
        for clause in re.split(r"[,.;:]", part):
            words = re.findall(r"[a-z0-9][a-z0-9-]*", clause.lower())
            found = _last_kind(words)
            if found:
                return found
    return None


def _last_kind(words: list[str]) -> str | None:
    for end in range(len(words), 0, -1):
        for length in range(min(_LONGEST, end), 0, -1):
            for form in _forms(words[end - length : end]):
                kind = _VOCABULARY.get(form)
                if kind:
                    return kind
    return None


def _forms(words: list[str]) -> Iterator[tuple[str, ...]]:
    yield tuple(words)
    *head, last = words
    for ending, replacement in (("ies", "y"), ("es", ""), ("s", "")):
        if last.endswith(ending) and len(last) > len(ending) + 2:
            yield (*head, last.removesuffix(ending) + replacement)


# -- colours -----------------------------------------------------------------------------------

_COLOURS: dict[str, str] = {
    "white": "#f4f2ed", "ivory": "#efe7d4", "cream": "#efe3c8", "ecru": "#e4d8bd", "beige": "#dcc9a8",
    "natural": "#d9c8a3", "sand": "#d8c096", "oatmeal": "#d8cbb4", "kraft": "#b98f62",
    "tan": "#c49a6c", "camel": "#bd8c55", "straw": "#dcc27a", "wheat": "#e0c48e", "oak": "#c19a6b",
    "wooden": "#b07d4f", "walnut": "#5f4330", "bamboo": "#d4b878", "brown": "#70472b", "chestnut": "#7a3f26",
    "chocolate": "#4a2c1d", "coffee": "#4b3226", "bronze": "#8c6239", "copper": "#b8693d", "amber": "#8a4a17",
    "honey": "#d99a2b", "gold": "#c9a14a", "golden": "#c9a14a", "mustard": "#d3a12c", "yellow": "#eec32f",
    "lemon": "#f0dc5a", "orange": "#e07b2e", "apricot": "#f0ac78", "peach": "#f2b99a", "coral": "#e8765f",
    "terracotta": "#bf5f3c", "rust": "#a4502c", "clay": "#b9684a", "brick": "#a04a38", "red": "#bf2f2f",
    "scarlet": "#c8262b", "crimson": "#a01c35", "burgundy": "#6b1f30", "maroon": "#651d2a", "wine": "#5d2231",
    "pink": "#e8a3b3", "rose": "#d98a94", "blush": "#e8c3ba", "magenta": "#b8317e", "fuchsia": "#c73a86",
    "purple": "#6d4294", "violet": "#7150a8", "lavender": "#b5a5d6", "lilac": "#c3b1de", "plum": "#5c2f55",
    "indigo": "#363f7d", "navy": "#24324f", "blue": "#2f64a8", "cobalt": "#2450a4", "sky": "#8fbfe0",
    "denim": "#46638a", "turquoise": "#36a9a5", "teal": "#1f6f70", "aqua": "#5fc4c0", "mint": "#a9d8bd",
    "green": "#3f7d4b", "olive": "#6d7038", "sage": "#9cab8a", "moss": "#5d6b3a", "forest": "#2c4a38",
    "emerald": "#1f7a5a", "lime": "#a3c53a", "khaki": "#9c9265", "grey": "#8d9093", "gray": "#8d9093",
    "silver": "#b9bdc1", "charcoal": "#383b3e", "slate": "#56616b", "graphite": "#44484c", "black": "#232323",
    "ebony": "#2b2522", "cardboard": "#b98f62",
}  # fmt: skip
_SETTING = re.compile(
    r"\s?(?:\S+\s){0,2}?(?:background|backdrop|seamless|surface|light|lighting|sweep|studio|wall|floor|table|"
    r"setting|room|cyclorama|shadow|shadows|tones?|sky|border)\b",
    re.IGNORECASE,
)
_COLOUR_WORDS = re.compile(r"#[0-9a-f]{6}\b|#[0-9a-f]{3}\b|[a-z]+", re.IGNORECASE)


def _colours(name: str, text: str) -> tuple[str, ...]:
    """Up to three colours, the name's first; those that describe the room around the product are left out."""
    found: list[str] = []
    for source in (name, text):
        for word in _COLOUR_WORDS.finditer(source):
            colour = _colour(word.group().lower())
            if colour and colour not in found and not _SETTING.match(source, word.end()):
                found.append(colour)
    return tuple(found[:3])


def _colour(word: str) -> str | None:
    if word.startswith("#"):
        return word if len(word) == 7 else "#" + "".join(2 * digit for digit in word[1:])
    return _COLOURS.get(word)
