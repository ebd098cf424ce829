"""What goes wrong inside a pay process and is no answer of a provider: called in the child."""

import os
import resource
from typing import Any

BAD = "no. 7,"  # a part of the prompt of the product that brings it


def _when_it_collects(bad: Any) -> None:
    """`bad` is called in the middle of looking at the ticket of the bad product."""
    from packshot.flows import run
    from packshot.providers.flux import Flux

    look = Flux.collect
    resumed = run._collect

    async def collect(claim: Any, provider: Any, ticket: Any, around: Any) -> Any:
        marked = BAD in claim.generation.prompt

        async def looked(self: Flux, its: Any, attempt: Any) -> Any:
            if its.state.get("id") in _marked:
                bad()
            return await look(self, its, attempt)

        if marked:
            _marked.add(ticket.state["id"])
        Flux.collect = looked  # type: ignore[method-assign]
        return await resumed(claim, provider, ticket, around)

    run._collect = collect


_marked: set[str] = set()


def _without_a_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def abort_while_collecting() -> None:
    """As a fault in a C library does: no exception, no farewell."""
    _without_a_core()
    _when_it_collects(os.abort)


def spin_while_collecting() -> None:
    def spin() -> None:
        while True:
            pass

    _when_it_collects(spin)


def spin_while_submitting() -> None:
    from packshot.providers.openai import OpenAI

    submit = OpenAI.submit

    async def stuck(self: OpenAI, request: Any, attempt: Any) -> Any:
        while BAD in request.prompt:
            pass
        return await submit(self, request, attempt)

    OpenAI.submit = stuck  # type: ignore[method-assign]


def abort_while_submitting() -> None:
    _without_a_core()
    from packshot.providers.openai import OpenAI

    submit = OpenAI.submit

    async def killed(self: OpenAI, request: Any, attempt: Any) -> Any:
        if BAD in request.prompt:
            os.abort()
        return await submit(self, request, attempt)

    OpenAI.submit = killed  # type: ignore[method-assign]


def hold_the_interpreter_while_submitting() -> None:
    """As C code does that keeps the interpreter's lock: no thread of Python can help."""
    import ctypes

    from packshot.providers.openai import OpenAI

    submit = OpenAI.submit

    async def stuck(self: OpenAI, request: Any, attempt: Any) -> Any:
        if BAD in request.prompt:
            ctypes.PyDLL(None).sleep(3600)
        return await submit(self, request, attempt)

    OpenAI.submit = stuck  # type: ignore[method-assign]
