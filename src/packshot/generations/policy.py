"""What follows from how a paid call ended. Pure: no database, no clock."""

import random
from dataclasses import dataclass
from typing import Literal

from packshot.kernel.errors import (
    BadAnswer,
    Charge,
    Misconfigured,
    ProviderError,
    TryLater,
    Unsure,
)

AttemptEnd = Literal["succeeded", "failed_free", "failed_charged", "charged_no_image", "uncertain"]
GenerationNext = Literal["completed", "failed", "pending", "uncertain"]

# A provider that names a longer wait is asked again after this long; it will say so again if it must.
LONGEST_WAIT_S = 900.0
# Automatic tries after failures that cost nothing. A 429 is a wait, not a failure, and is not counted.
FREE_TRIES = 3
RETRYABLE = frozenset({"server_error", "bad_answer"})
# So many server errors in a row, with no good answer between them, are the provider's trouble and not the
# request's. Before that the others go on: waiting with all of them for each single 500 left a provider that
# fails one request in two hundred idle for four fifths of the time (measured).
OUTAGE_AFTER = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended and what its generation does next."""

    end: AttemptEnd
    then: GenerationNext
    # Seconds until the generation may be tried again; with `then == "pending"` only.
    again_after_s: float | None = None
    wait_reason: str | None = None
    # The provider takes no further request for this long, or until an administrator resumes it; 0 only
    # counts one more busy answer in a row.
    provider_waits_s: float | None = None
    pause_provider: bool = False


def verdict(error: ProviderError, *, tries: int, busy_in_row: int, jitter: random.Random) -> Verdict:
    """What follows from `error` on a generation that failed `tries` times for free, this one included."""
    match error:
        case TryLater() if error.alone:
            wait = min(max(error.after_s, 1.0), LONGEST_WAIT_S) * jitter.uniform(1.0, 1.1)
            return Verdict("failed_free", "pending", again_after_s=wait, wait_reason="retry")
        case TryLater() if error.kind == "server_error" and busy_in_row < OUTAGE_AFTER:
            if tries >= FREE_TRIES:
                return Verdict("failed_free", "failed", provider_waits_s=0.0)
            wait = min(max(error.after_s, 0.0), LONGEST_WAIT_S) * jitter.uniform(1.0, 1.1)
            return Verdict(
                "failed_free", "pending", again_after_s=wait, wait_reason="retry", provider_waits_s=0.0
            )
        case TryLater():
            wait = min(max(error.after_s, 0.0), LONGEST_WAIT_S)
            if error.kind in ("unreachable", "overloaded", "server_error"):
                # Nobody said how long: double each time in a row, from what was proposed.
                before = busy_in_row - OUTAGE_AFTER if error.kind == "server_error" else busy_in_row
                wait = min(max(wait, 1.0) * 2 ** min(before, 8), LONGEST_WAIT_S)
            spread = wait + jitter.uniform(0, max(wait * 0.1, 0.05))
            return Verdict(
                "failed_free", "pending", again_after_s=spread, wait_reason="rate", provider_waits_s=wait
            )
        case Misconfigured() if error.charge == "free":
            return Verdict("failed_free", "pending", pause_provider=True)
        case Unsure():
            return Verdict("uncertain", "uncertain")
    if error.charge == "free":
        if error.kind in RETRYABLE and tries < FREE_TRIES:
            wait = 2.0**tries * jitter.uniform(0.75, 1.25)
            return Verdict("failed_free", "pending", again_after_s=wait, wait_reason="retry")
        return Verdict("failed_free", "failed")
    return Verdict("charged_no_image" if isinstance(error, BadAnswer) else "failed_charged", "failed")


def cost_is_open(charge: Charge, cost: int | None) -> bool:
    """Whether the hold stays: nobody knows whether the call was charged, or it was and nobody said how much.

    With an unknown charge, `cost` is only what is at stake: BFL names it when it takes the order.
    """
    return charge == "unknown" or (charge == "charged" and cost is None)
