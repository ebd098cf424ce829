"""What one simulated packshot costs: processor time at 1024 px over all kinds and providers, and memory."""

import resource
import sys
import time
from itertools import product
from statistics import median

from measure import MB, below, describe_machine, report
from packshot.imaging.header import MediaType
from packshot.imaging.studio import Packshot, render
from packshot.imaging.studio.layers import KINDS
from packshot.imaging.studio.scenes import STYLES

SIDE_PX = 1024


def main() -> int:
    describe_machine()
    costs = {media_type: cost_ms(media_type) for media_type in ("image/png", "image/jpeg")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    met = [
        report("studio_png_cpu_median", median(costs["image/png"]), "ms", below(150)),
        report("studio_png_cpu_slowest_tenth", nearly_slowest(costs["image/png"]), "ms"),
        report("studio_jpeg_cpu_median", median(costs["image/jpeg"]), "ms", below(150)),
        report("studio_peak_memory", peak, "MB", below(500)),
    ]
    return 0 if all(met) else 1


def cost_ms(media_type: MediaType) -> list[float]:
    """Milliseconds of processor time a picture, encoding included, layers read when they are not yet kept."""
    costs = []
    for seed, (style, kind) in enumerate(product(STYLES, KINDS)):
        packshot = Packshot(f"Sample of {kind}", kind, (), seed, style, SIDE_PX, SIDE_PX)
        started = time.process_time()
        render(packshot, media_type=media_type)
        costs.append((time.process_time() - started) * 1000)
    return costs


def nearly_slowest(costs: list[float]) -> float:
    return sorted(costs)[len(costs) * 9 // 10]


if __name__ == "__main__":
    sys.exit(main())
