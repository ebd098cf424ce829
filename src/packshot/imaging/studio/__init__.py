"""Packshots put together from rendered layers, for the sandbox and the simulator: product, name, set, light.

No model makes them, no byte leaves the machine, and the same packshot is the same picture everywhere.
The layers were rendered once by art/render.py; here they get colours and a name, with pyvips alone.
"""

from packshot.imaging.studio.brief import Packshot, describe
from packshot.imaging.studio.picture import render

__all__ = ["Packshot", "describe", "render"]
