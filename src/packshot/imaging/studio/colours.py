"""Colours as #rrggbb, and as the linear light that renders are put together in."""

import math

Linear = tuple[float, float, float]


def mix(one: str, other: str, share: float) -> str:
    """`one` with `share` (0 to 1) of `other` in it, as #rrggbb."""
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#{:02x}{:02x}{:02x}".format(*(round(a + (b - a) * share) for a, b in pairs))


def darker(colour: str, share: float) -> str:
    # A shadow is never neutral in a photo: it keeps a little warmth.
    return mix(colour, "#0d0906", share)


def lighter(colour: str, share: float) -> str:
    return mix(colour, "#fffdf9", share)


def lightness(colour: str) -> float:
    """How light a colour looks, 0 to 1 (gamma-encoded luma)."""
    red, green, blue = _channels(colour)
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def contrast(one: str, other: str) -> float:
    """How well two colours tell apart, 0 to about 1: luma first, hue as a help."""
    pairs = list(zip(_channels(one), _channels(other), strict=True))
    distance = math.hypot(*(a - b for a, b in pairs)) / 441.7
    return max(abs(lightness(one) - lightness(other)), distance)


def ink_on(paper: str, tint: str) -> str:
    """A lettering colour that reads on `paper` and keeps some of `tint`."""
    return darker(tint, 0.72) if lightness(paper) > 0.45 else lighter(tint, 0.86)


def linear(colour: str) -> Linear:
    """The light that a surface of `colour` gives back, 0 to 1 a channel."""
    red, green, blue = (
        (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
        for value in (channel / 255 for channel in _channels(colour))
    )
    return red, green, blue


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
