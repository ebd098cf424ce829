"""Packshots drawn by rule, for the sandbox and the simulator: name, kind and colours on a lit set.

No model makes them, no byte leaves the machine, and the same packshot is the same picture everywhere.
SVG is loaded here and nowhere else, and only our own: foreign bytes never come this way.
"""

from packshot.imaging.studio.brief import Packshot, describe
from packshot.imaging.studio.picture import render

__all__ = ["Packshot", "describe", "render"]
