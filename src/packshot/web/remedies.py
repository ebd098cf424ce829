"""What went wrong, whether it was charged, what to do next; and the words for each turn of an attempt."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.urls import reverse

from packshot.kernel.errors import REMEDIES, ErrorKind
from packshot.reports import GenerationRow
from packshot.reports.monitor import AttemptLine, Detail
from packshot.web import words
from packshot.web.words import Word

# What happened, as a sentence with the provider in it.
HAPPENED: dict[ErrorKind, str] = {
    "rate_limited": "{provider} allowed no more requests",
    "overloaded": "{provider} was too busy",
    "unreachable": "{provider} could not be reached",
    "refused": "{provider} refused the prompt",
    "bad_request": "{provider} refused an option of the request",
    "bad_input_image": "{provider} could not read the reference image",
    "retired_model": "{provider} has retired this model",
    "bad_key": "{provider} refused the API key",
    "no_credit": "No credit is left at {provider}",
    "not_verified": "{provider} asks for a verified organisation",
    "timeout": "{provider} did not answer in time",
    "cut_off": "The answer of {provider} was cut off",
    "server_error": "{provider} had an error of its own",
    "bad_answer": "{provider} answered without a usable image",
    "expired": "The link to the image of {provider} expired before it was fetched",
    "unknown_price": "No price is known for this model",
    "worker_lost": "The worker stopped while {provider} was being asked",
    "bug": "Something broke on our side",
}
# Said once, however often it was met: the second time tells nothing new.
_STATES_OF_AFFAIRS = {"retired_model", "no_credit", "not_verified", "unknown_price"}
_TIMES = {2: "twice", 3: "three times", 4: "four times", 5: "five times"}

# The state of an attempt as people call it.
ATTEMPTS = {
    "intent": Word("About to be sent", "clock", "run"),
    "sending": Word("On its way", "loader-circle", "run"),
    "accepted": Word("Being made", "loader-circle", "run"),
    "uncertain": Word("Uncertain", "circle-question-mark", "warn"),
    "released": Word("Not sent", "ban"),
    "succeeded": Word("Completed", "circle-check", "ok"),
    "failed_free": Word("Failed", "circle-x", "bad"),
    "failed_charged": Word("Failed", "circle-x", "bad"),
    "charged_no_image": Word("No image", "circle-x", "bad"),
}

PROOFS = {
    "late_answer": "The answer came late",
    "callback": "The provider called back",
    "lookup": "Looked up at the provider",
    "reconciliation": "Found on the bill",
    "person": "Settled by hand",
    "policy": "Asked again by the site's policy",
}


@dataclass(frozen=True, slots=True)
class Note:
    """Three sentences about where a generation stands; any of the last three may be empty."""

    tone: str
    icon: str
    what: str
    charged: str = ""
    next: str = ""
    quote: str = ""  # the provider's own words


@dataclass(frozen=True, slots=True)
class Turn:
    """One point of the timeline."""

    word: Word
    title: str
    at: datetime
    facts: str
    quote: str = ""
    request_id: str = ""
    answer: str = ""
    proofs: tuple[str, ...] = ()


_CALLED_OFF = (
    "Cancelling: the batch is called off once nobody wants any of it. What is made by then is charged, and "
    "its image is kept."
)


def note_of(detail: Detail, provider: str) -> Note | None:
    """What a person should know of it now; None when all is well."""
    row = detail.row
    if row.status == "failed" or row.status == "uncertain":
        return Note(
            "bad" if row.status == "failed" else "warn",
            "shield-alert" if row.status == "failed" else "circle-question-mark",
            _happened(detail, provider),
            _charged(detail),
            _remedy(row),
            row.error_message,
        )
    if row.batch is not None and row.status == "processing":
        return None if not row.cancel_requested_at else Note("warn", "ban", _CALLED_OFF)
    if row.status == "processing" and row.cancel_requested_at:
        return Note(
            "warn",
            "ban",
            "Cancelling, but the call is on its way.",
            "The provider charges for it.",
            "The image is kept if it comes.",
        )
    if row.status == "completed" and row.cost_unknown:
        return Note(
            "warn",
            "circle-question-mark",
            "The image is here, and nobody knows what it cost.",
            f"{words.price(detail.held)} stays held.",
            "Look at the provider's usage page, then settle the charge.",
        )
    if row.status == "pending" and row.wait_reason:
        what = words.WAITS.get(row.wait_reason, row.wait_reason)
        return Note("warn", "clock", f"Waiting: {what}.", quote=row.wait_detail)
    return None


def _remedy(row: GenerationRow) -> str:
    if row.status == "uncertain":
        # Whatever made it uncertain: evidence settles it, and nothing else does.
        return REMEDIES["worker_lost"]
    if row.error_kind in ("timeout", "cut_off") and not row.cost_unknown:
        # Nothing is open: a machine of the team's was too slow, or a person settled the charge.
        return REMEDIES["server_error"]
    return REMEDIES[row.error_kind or "bug"]


@dataclass(frozen=True, slots=True)
class Remedy:
    """A way to mend what is wrong: a page, or with `asks` the question of asking another provider."""

    label: str
    icon: str
    url: str
    right: str
    asks: bool = False


# What mends each class of error, beside a retry; the first is what usually helps.
_ELSEWHERE = {"refused", "bad_request", "retired_model", "server_error", "bad_answer", "timeout", "cut_off"}
_AT_PROVIDER = {
    "bad_key": "Look at the key of {provider}",
    "no_credit": "Look at the account of {provider}",
    "not_verified": "Look at the account of {provider}",
    "unreachable": "See how {provider} does",
    "rate_limited": "See the limits of {provider}",
    "overloaded": "See how {provider} does",
    "unknown_price": "Enter a price",
}


def actions_of(detail: Detail) -> list[Remedy]:
    """What can be done about it besides a retry, by the class of its error or what it waits for."""
    row = detail.row
    found: list[Remedy] = []
    if row.status == "failed" and (row.error_kind in _ELSEWHERE or row.error_kind in _AT_PROVIDER):
        address = reverse("queue_hand_over")
        found.append(Remedy("Retry with another provider", "plug-zap", address, "generate", asks=True))
    if row.status in ("failed", "pending") and row.error_kind in _AT_PROVIDER:
        label = _AT_PROVIDER[row.error_kind].format(provider=row.provider)
        anchor = "#prices" if row.error_kind == "unknown_price" else ""
        found.append(Remedy(label, "settings", reverse("provider", args=[row.provider]) + anchor, "read"))
    if row.status == "failed" and row.error_kind in ("refused", "bad_input_image"):
        found.append(Remedy("Open the product", "package", reverse("product", args=[row.sku]), "read"))
    if row.status == "failed" and row.error_kind == "refused" and detail.template:
        found.append(Remedy("Change the template", "text-quote", reverse("templates"), "edit_templates"))
    if row.status == "pending" and row.wait_reason == "budget":
        found.append(Remedy("Look at the budgets", "wallet", reverse("budgets"), "read_costs"))
    if row.status == "pending" and row.wait_reason in ("paused", "off", "key", "circuit", "price"):
        found.append(Remedy("See why", "settings", reverse("provider", args=[row.provider]), "read"))
    return found


def turns_of(detail: Detail) -> list[Turn]:
    """The attempts, newest first."""
    return [_turn(attempt, detail.row.error_message) for attempt in reversed(detail.attempts)]


def _happened(detail: Detail, provider: str) -> str:
    row = detail.row
    what = HAPPENED.get(row.error_kind)  # type: ignore[call-overload]
    if what is None:
        return "It did not work."
    said: str = what.format(provider=provider)
    times = sum(each.error_kind == row.error_kind for each in detail.attempts)
    if times > 1 and row.error_kind not in _STATES_OF_AFFAIRS:
        said += f" {_TIMES.get(times, f'{times} times')}"
    return f"{said}."


def _charged(detail: Detail) -> str:
    row = detail.row
    if row.status == "uncertain":
        held = f"{words.price(detail.held)} is held" if detail.held else "nothing is held"
        return f"Nobody knows whether it was charged; {held}."
    if row.cost_unknown:
        return f"Charged an unknown amount; {words.price(detail.held)} stays held."
    if row.actual_cost:
        return f"Charged {words.price(row.actual_cost)}."
    return "Not charged."


def _turn(attempt: AttemptLine, said_above: str) -> Turn:
    word = ATTEMPTS[attempt.state]
    kind = words.ERRORS.get(attempt.error_kind, attempt.error_kind)  # type: ignore[call-overload]
    facts = [
        kind,
        words.duration(attempt.seconds) if attempt.seconds is not None else "",
        _money(attempt),
    ]
    said = ", ".join(fact for fact in facts if fact)
    return Turn(
        word,
        word.label,
        attempt.closed_at or attempt.accepted_at or attempt.sending_at or attempt.created_at,
        said[:1].upper() + said[1:],
        "" if attempt.error_message == said_above else attempt.error_message,
        attempt.request_id,
        attempt.answer,
        tuple(_proof(proof.kind, proof.by_name, proof.note) for proof in attempt.proofs),
    )


def _proof(kind: str, by_name: str, note: str) -> str:
    said = PROOFS.get(kind, kind.replace("_", " ").capitalize())
    by = f" by {by_name}" if by_name else ""
    return f"{said}{by}: {note}" if note else f"{said}{by}"


def _money(attempt: AttemptLine) -> str:
    if attempt.held is not None:
        if attempt.state in ("intent", "sending", "accepted", "uncertain"):
            return f"{words.price(attempt.held)} held" if attempt.held else "free"
        return f"cost unknown, {words.price(attempt.held)} held"
    if attempt.charged is None:
        return "" if attempt.closed_at is None else "cost unknown"
    return f"{words.price(attempt.charged)} charged" if attempt.charged > Decimal(0) else "not charged"
