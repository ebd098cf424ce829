"""How a simulator behaves: latencies, limits, what it charges for."""

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Literal

from packshot.simulator.faults import Rule

Seconds = tuple[float, float]  # least and most


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """What one simulator is started with; its bill book, token and signing key live in `state_dir`."""

    state_dir: Path
    seed: int = 0  # of the jitter in latencies
    speed: float = (
        1.0  # divides every latency; limits stay in real time, and so do the lives of links: see `aged`
    )

    openai_latency_s: Seconds = (2.0, 4.0)
    openai_batch_latency_s: Seconds = (120.0, 240.0)  # of a batch, however many lines it has
    openai_batch_window_s: float = 86_400.0  # then it expires; `speed` divides it
    openai_images_per_minute: int | None = 250  # tier 5; None: no limit
    flux_latency_s: Seconds = (1.5, 3.0)
    flux_concurrent_tasks: int | None = 24
    flux_credits: Fraction = Fraction(1_000_000)  # the balance before the first charge

    stability_latency_s: Seconds = (2.0, 4.0)
    stability_later_latency_s: Seconds = (12.0, 25.0)  # of the edits that are collected later
    stability_requests_per_10s: int | None = 150  # looks at results included; None: no limit
    stability_lock_out_s: float = 60.0  # after one more than that
    # Between looks at one result. Whether the live service insists on it is not known; `speed` divides it.
    stability_look_every_s: float = 10.0
    stability_result_life_s: float = 86_400.0  # then a look is a 404
    stability_credits: Fraction = Fraction(1_000_000)

    midjourney_latency_s: Seconds = (4.0, 8.0)
    midjourney_concurrent_tasks: int | None = 3  # of the plan; more wait for their turn. None: no limit
    midjourney_queue: int | None = 10  # that wait; the next one is refused. None: no limit
    midjourney_link_life_s: float = 86_400.0  # Discord's links are signed for about a day

    # `packshot`: drawn by the studio. `small`: a flat colour of the right size padded to `small_bytes`,
    # different for each request and nearly free to make.
    image: Literal["packshot", "small"] = "packshot"
    small_bytes: int = 20_000
    drawing_threads: int = 2

    # Neither OpenAI nor BFL says whether a moderated request costs anything, nor Stability whether a picture
    # does that it made and then filtered.
    charge_moderated_input: bool = False
    charge_moderated_output: bool = True

    delivery_life_s: float = 600.0  # BFL's links die after 10 minutes
    task_life_s: float = 3600.0  # then a poll answers "Task not found"
    today: date | None = None  # which models are retired; None: by the calendar
    faults: tuple[Rule, ...] = ()

    def aged(self, times: float) -> "SimulatorConfig":
        """The same, where links, results and tasks die so many times sooner."""
        return replace(
            self,
            delivery_life_s=self.delivery_life_s / times,
            task_life_s=self.task_life_s / times,
            stability_result_life_s=self.stability_result_life_s / times,
            midjourney_link_life_s=self.midjourney_link_life_s / times,
        )
