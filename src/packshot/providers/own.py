"""What adapters to a team's own machines share: sizes, the price, and what a failure means without one."""

import re
from collections.abc import Awaitable
from math import sqrt

from packshot.kernel.errors import BadAnswer, BadInput, TryLater
from packshot.kernel.money import Micros
from packshot.providers.answers import LONGEST_WAIT_S
from packshot.providers.contract import AS_INPUT, ImageRequest, InputImage, Option, Quote
from packshot.providers.http import Answer, Cut, Deadline, NotSent, Redirected, TooLarge

FREE_QUOTE = Quote(Micros(0), Micros(0), "own-machine", "Your own machine: nothing is charged per picture.")
SEEDS = 2**32
_UNREACHABLE_WAIT_S = 30.0
_ERROR_WAIT_S = 10.0

SHAPES = ("1:1", "4:5", "3:4", "2:3", "9:16", "5:4", "4:3", "3:2", "16:9")
RESOLUTION = Option(
    "resolution",
    "Resolution",
    "choice",
    "1024",
    ("512", "768", "1024", "1280", "1536"),
    help="The side of a square, in pixels; other shapes have about as many.",
)
STEPS = Option("steps", "Steps", "integer", 25, minimum=1, maximum=150)
CFG_SCALE = Option(
    "cfg_scale",
    "Guidance (CFG)",
    "choice",
    "7",
    tuple(f"{half / 2:g}" for half in range(2, 41)),
    help="How closely it keeps to the words. Newer models want 1 to 4.",
)
_STEP_PX = 16  # what every model divides by, FLUX included
_OUT_OF_MEMORY = re.compile(r"out ?of ?memory", re.IGNORECASE)


def size_of(request: ImageRequest, resolution: str) -> tuple[int, int]:
    """Width and height in pixels. A shape is kept exactly; that of a picture to the nearest 16 pixels."""
    side = int(resolution)
    if request.shape == AS_INPUT:
        picture = request.inputs[0]
        scale = side / sqrt(max(picture.width_px * picture.height_px, 1))
        return _stepped(picture.width_px * scale), _stepped(picture.height_px * scale)
    across, down = (int(part) for part in request.shape.split(":"))
    unit = _stepped(side / sqrt(across * down))
    return across * unit, down * unit


def _stepped(pixels: float) -> int:
    return max(_STEP_PX, round(pixels / _STEP_PX) * _STEP_PX)


def pictures(request: ImageRequest) -> list[InputImage]:
    return [each for each in request.inputs if each.role == "image"]


def check_seed(request: ImageRequest) -> None:
    """Raises BadInput for a seed that no sampler takes."""
    if request.seed is not None and not 0 <= request.seed < SEEDS:
        raise BadInput(f"A seed is a whole number from 0 to {SEEDS - 1:,}.", field="seed")


async def answered(call: Awaitable[Answer]) -> Answer:
    """The complete answer of a machine that charges nothing, or the ProviderError that says what follows.

    Nothing is paid for here, so whether the call left does not matter: a machine that went away is asked
    again. One that is only too slow is not: it may be at work still, and the next job would wait behind it.
    """
    try:
        return await call
    except (NotSent, Redirected) as error:
        raise unreachable(error) from error
    except Deadline as error:
        raise BadAnswer(str(error), kind="timeout", charge="free") from error
    except Cut as error:
        raise TryLater(str(error), after_s=_ERROR_WAIT_S, kind="server_error") from error
    except TooLarge as error:
        raise BadAnswer(str(error), kind="bad_answer", charge="free") from error


def unreachable(error: NotSent | Redirected) -> TryLater:
    """What an address means at which nobody took the request."""
    if isinstance(error, Redirected):
        return TryLater(f"{error} Check its address.", after_s=LONGEST_WAIT_S, kind="unreachable")
    return TryLater(str(error), after_s=_UNREACHABLE_WAIT_S, kind="unreachable")


def is_out_of_memory(told: str) -> bool:
    """Whether the machine says that its GPU is too small for what was asked."""
    return _OUT_OF_MEMORY.search(told) is not None


TOO_SMALL = (
    "The machine's GPU has too little memory for this: choose a smaller resolution, or fewer pictures."
)
