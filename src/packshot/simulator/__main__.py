"""`python -m packshot.simulator --state DIR`: serves until told to stop, and says its address in one line."""

import argparse
import contextlib
import sys
from fractions import Fraction
from pathlib import Path

from pydantic import ValidationError

from packshot.kernel.errors import BadInput
from packshot.simulator.config import SimulatorConfig
from packshot.simulator.faults import RULES, Rule
from packshot.simulator.server import serve


def main() -> int:
    """The exit code: 0 after a stop, 2 when it could not start."""
    given = _parser().parse_args()
    try:
        config = SimulatorConfig(
            state_dir=given.state,
            seed=given.seed,
            speed=given.speed,
            image=given.image,
            small_bytes=given.small_bytes,
            openai_images_per_minute=given.openai_images_per_minute or None,
            flux_concurrent_tasks=given.flux_concurrent_tasks or None,
            flux_credits=given.flux_credits,
            stability_requests_per_10s=given.stability_requests_per_10s or None,
            stability_credits=given.stability_credits,
            midjourney_concurrent_tasks=given.midjourney_concurrent_tasks or None,
            faults=_rules(given.faults),
        ).aged(given.age)
        with contextlib.suppress(KeyboardInterrupt):
            serve(config, given.host, given.port, started=_say)
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = SimulatorConfig(Path())
    parser = argparse.ArgumentParser(prog="python -m packshot.simulator", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of the bill book")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--host", default="127.0.0.1", help="other than loopback only when you mean it")
    parser.add_argument("--faults", type=Path, help="fault script, a JSON list of rules")
    parser.add_argument("--speed", type=_positive, default=defaults.speed, help="divides every latency")
    parser.add_argument(
        "--age", type=_positive, default=1.0, help="so many times sooner links, results and tasks die"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the latencies")
    parser.add_argument("--image", choices=("packshot", "small"), default=defaults.image)
    parser.add_argument("--small-bytes", type=int, default=defaults.small_bytes)
    parser.add_argument(
        "--openai-images-per-minute",
        type=int,
        default=defaults.openai_images_per_minute,
        help="0: no limit",
    )
    parser.add_argument(
        "--flux-concurrent-tasks", type=int, default=defaults.flux_concurrent_tasks, help="0: no limit"
    )
    parser.add_argument("--flux-credits", type=Fraction, default=defaults.flux_credits)
    parser.add_argument(
        "--stability-requests-per-10s",
        type=int,
        default=defaults.stability_requests_per_10s,
        help="0: no limit",
    )
    parser.add_argument("--stability-credits", type=Fraction, default=defaults.stability_credits)
    parser.add_argument(
        "--midjourney-concurrent-tasks",
        type=int,
        default=defaults.midjourney_concurrent_tasks,
        help="0: no limit, and so no queue",
    )
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _rules(path: Path | None) -> tuple[Rule, ...]:
    if path is None:
        return ()
    try:
        return RULES.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BadInput(f"The fault script {path} cannot be used: {error}", field="faults") from None


def _say(address: str) -> None:
    sys.stdout.write(f"Simulator on {address}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
