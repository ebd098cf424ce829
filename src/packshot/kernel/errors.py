"""Expected trouble, named for what to do next.

    PackshotError
    |-- BadInput            the caller can mend it: says what, where, and what to do
    |-- OverBudget          no room now; names the budget and its figures
    |-- NoDatabase          embedded: no server can run here; says why and what to set
    |-- StoreDown, StoreFull, MissingBlob    blobs: bytes cannot be kept, or are not there
    |-- BadImage, DecoderDied                imaging: bytes that are no picture, or that killed the decoder
    |-- NotSealed, BadIdentity               imaging: a copy that could not be signed, and so is not delivered
    |-- CallFailed          providers.http: no complete answer; its kinds say whether anything was sent
    `-- ProviderError       what a provider did with one paid request
        |-- TryLater        busy, charged nothing: ask again after `after_s`
        |-- Refused         final for this request: the prompt, a parameter, a retired model
        |-- Misconfigured   final until an administrator acts: key, credit, verification
        |-- BadAnswer       it answered, and no usable image came of it
        `-- Unsure          bytes were sent and nobody knows the outcome; evidence settles it

Anything else is a bug: it flies, the worker records it and moves on.
"""

from typing import Literal

from packshot.kernel.money import Micros

# What a failed call cost: `free`, `charged` (an amount, or unknown when it is None), or nobody knows.
Charge = Literal["free", "charged", "unknown"]

# The classes that pages group, filter and explain by. The remedy of each stands in REMEDIES.
ErrorKind = Literal[
    "rate_limited",
    "overloaded",
    "unreachable",
    "refused",
    "bad_request",
    "bad_input_image",
    "retired_model",
    "bad_key",
    "no_credit",
    "not_verified",
    "timeout",
    "cut_off",
    "server_error",
    "bad_answer",
    "expired",
    "unknown_price",
    "worker_lost",
    "bug",
]

REMEDIES: dict[str, str] = {
    "rate_limited": "Nothing to do: the request waits and is sent again when the provider allows it.",
    "overloaded": "Nothing to do: the provider is busy; the request is sent again later.",
    "unreachable": "Check this machine's network and the provider's base URL, then retry.",
    "refused": "Change the prompt, or use another provider.",
    "bad_request": "Choose other options for this model; the message says which one it refused.",
    "bad_input_image": "Replace the reference image: it could not be read.",
    "retired_model": "Choose the model's successor.",
    "bad_key": "Set a valid API key in the environment, restart, then resume the provider.",
    "no_credit": "Add credit at the provider, then resume it.",
    "not_verified": "Verify the organisation at the provider, then resume it.",
    "timeout": "Look at the provider's usage page, then settle the charge: charged, or not charged.",
    "cut_off": "Look at the provider's usage page, then settle the charge: charged, or not charged.",
    "server_error": "Retry, or use another provider.",
    "bad_answer": "Retry, or use another provider; the answer is kept with the attempt.",
    "expired": "Retry: time ran out before the image was made, or before it could be fetched.",
    "unknown_price": "Enter a price for this model; an unknown price is never spent automatically.",
    "worker_lost": "Find the cause in the workers' log; settle the charge where one is open; then retry.",
    "bug": "Retry; if it fails again, report it with the reference.",
}


class PackshotError(Exception):
    """The root: everything below is expected and has a message for a person."""


class BadInput(PackshotError):
    """The caller's input cannot be used. `field` names where, when there is a field."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class OverBudget(PackshotError):
    """No room in a budget for what was asked."""


class ProviderError(PackshotError):
    """What a provider did with one request. `charge` says what is known about its cost."""

    charge: Charge = "free"

    def __init__(
        self,
        reason: str,
        *,
        kind: ErrorKind,
        charge: Charge | None = None,
        cost: Micros | None = None,
        request_id: str | None = None,
        raw: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind: ErrorKind = kind
        if charge is not None:
            self.charge = charge
        self.cost = cost
        self.request_id = request_id
        self.raw = raw


class TryLater(ProviderError):
    """The provider is busy and charged nothing. Ask again after `after_s` seconds."""

    def __init__(
        self,
        reason: str,
        *,
        after_s: float,
        kind: ErrorKind = "rate_limited",
        request_id: str | None = None,
        raw: str = "",
    ) -> None:
        super().__init__(reason, kind=kind, charge="free", request_id=request_id, raw=raw)
        self.after_s = after_s
        self.alone = False  # only this request waits: it is no reason to ask the provider for nothing else


class Refused(ProviderError):
    """The provider will not make this image. Asking the same again is useless."""


class Misconfigured(ProviderError):
    """Nothing from this provider works until an administrator acts; it pauses, and generations wait."""


class BadAnswer(ProviderError):
    """The provider finished and no usable image came of it; `charge` says whether it was paid for."""

    charge: Charge = "charged"


class Unsure(ProviderError):
    """Bytes were sent and the outcome is not known. The reservation stays until evidence settles it."""

    charge: Charge = "unknown"
