"""`packshot simulate`: the simulator of the providers in a process of its own, and what goes wrong there."""

import contextlib
from collections.abc import Sequence
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import django
import typer

from packshot import settings
from packshot.cli.addresses import port_is_free
from packshot.cli.database import use_database
from packshot.cli.screen import Column, many, money, print_json, program, say, table
from packshot.kernel.errors import BadInput
from packshot.kernel.money import show
from packshot.simulator.kinds import KINDS

if TYPE_CHECKING:
    from packshot.flows.simulate import Beside
    from packshot.simulator.faults import InForce, Rule

app = typer.Typer(add_completion=False)

Json = Annotated[bool, typer.Option("--json", help="For scripts.")]


@app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(help="Port on 127.0.0.1; the last one, or any, unless told.", metavar="PORT")
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(help="Fault script: a JSON list of rules.", metavar="FILE")
    ] = None,
    speed: Annotated[float, typer.Option(help="Divides every latency.", min=0.01, metavar="X")] = 1.0,
    age: Annotated[
        float,
        typer.Option(help="So many times sooner links, results and tasks die.", min=0.01, metavar="X"),
    ] = 1.0,
) -> None:
    """Run the providers' simulator alone. Real adapters, invented images, a bill book in DATA/simulator.

    With a command: set what goes wrong at the simulator that runs, and read its bill.
    """
    if context.invoked_subcommand is None:
        _run(port, faults, speed=speed, age=age)
        return
    given = [name for name in context.params if _was_typed(context, name)]
    if given:
        raise BadInput(
            f"--{given[0]} is for starting a simulator; `{context.invoked_subcommand}` asks one that runs"
        )
    django.setup()


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _run(port: int | None, script: Path | None, *, speed: float, age: float) -> None:
    from pydantic import ValidationError

    from packshot.simulator import SimulatorConfig, serve
    from packshot.simulator.faults import RULES
    from packshot.simulator.state import read_address

    folder = Path(settings.DATA) / "simulator"
    rules: tuple[Rule, ...] = ()
    if script is not None:
        try:
            rules = RULES.validate_json(script.read_bytes())
        except (OSError, ValidationError) as problem:
            raise BadInput(f"the fault script {script} cannot be used: {problem}", field="faults") from None
    wanted = port if port is not None else settings.SIMULATOR_PORT
    if not wanted:
        # The workers hold the address: a simulator that comes back comes back where it was.
        with contextlib.suppress(OSError, ValueError):
            last = urlsplit(read_address(folder)).port or 0
            wanted = last if port_is_free("127.0.0.1", last) else 0
    serve(
        SimulatorConfig(state_dir=folder, speed=speed, faults=rules).aged(age),
        "127.0.0.1",
        wanted,
        started=lambda address: _announce(folder, address),
    )


def _announce(folder: Path, address: str) -> None:
    fresh = folder / "url.new"
    fresh.write_text(address)
    fresh.replace(folder / "url")
    say(f"Simulator on {address}")


# -- what goes wrong -------------------------------------------------------------------------------


@app.command("faults")
def show_faults(as_json: Json = False) -> None:
    """Show what goes wrong at the simulator that runs, how often each did, and what it charges."""
    from packshot.flows import simulate as flow

    now = flow.standing()
    if as_json:
        print_json({"faults": [_as_document(each) for each in now.faults], "prices": now.prices})
        return
    table(
        [
            Column("Fault", whole=True),
            Column("Provider", whole=True),
            Column("Kind", whole=True),
            Column("Of requests", whole=True, right=True),
            Column("Times", whole=True, right=True),
            Column("Fired", whole=True, right=True),
            Column("What happens"),
        ],
        [
            [
                each.id,
                each.rule.dialect or "all",
                flow.kind_in_force(each.rule).name,
                f"{100 * each.rule.probability:.4g} %",
                "any" if each.rule.times is None else f"{each.rule.times:,}",
                f"{each.fired:,} of {each.met:,}",
                flow.in_words(each.rule),
            ]
            for each in now.faults
        ],
        empty=f"Everything goes well. To change that: {program()} simulate fault --kind rate_limited",
    )
    for name, times in now.prices.items():
        if times != 1:
            say(f"{name} charges {_times(times)} times its published prices.")


@app.command("kinds")
def show_kinds(as_json: Json = False) -> None:
    """List every way to go wrong, in words, and where it happens."""
    kinds = list(KINDS.values())
    if as_json:
        print_json([{"kind": each.name, "words": each.words, "where": each.where} for each in kinds])
        return
    table(
        [Column("Kind", whole=True), Column("What happens"), Column("Where")],
        [[each.name, each.words, ", ".join(each.where)] for each in kinds],
        empty="",
    )


@app.command("fault", epilog="Kinds: " + ", ".join(KINDS) + ". `packshot simulate kinds` says what each is.")
def add_fault(
    kind: Annotated[str, typer.Option(help="What goes wrong, such as rate_limited.", metavar="KIND")],
    provider: Annotated[
        str | None, typer.Option(help="openai, flux, stability or midjourney; all of them unless told.")
    ] = None,
    share: Annotated[
        float, typer.Option(help="Of the requests, from 0 to 1: 0.1 is each tenth, by chance.")
    ] = 1.0,
    count: Annotated[int | None, typer.Option(help="At most so many times.", metavar="N")] = None,
    after: Annotated[int, typer.Option(help="So many requests go well first.", metavar="N")] = 0,
    prompt: Annotated[
        str | None, typer.Option(help="Only where the prompt holds this.", metavar="WORDS")
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(help="Requests to this address, such as '/delivery/*', in place of the paid ones."),
    ] = None,
    retry_after: Annotated[
        float | None, typer.Option(help="Seconds that rate_limited asks to wait; 2 unless told.")
    ] = None,
    delay: Annotated[
        float | None, typer.Option(help="Seconds until it answers, or hangs up; 10 for slow and late.")
    ] = None,
    status: Annotated[int | None, typer.Option(help="The HTTP status of `answer`.")] = None,
    charged: Annotated[
        bool | None,
        typer.Option("--charged/--free", help="Whether it costs; as the provider would unless told."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the chance: the same seed meets the same requests.")
    ] = None,
) -> None:
    """Let requests go wrong from now on. Faults add up; the first that fits a request decides it."""
    from packshot import accounts
    from packshot.flows import simulate as flow

    use_database()
    if retry_after is not None and delay is not None:
        raise BadInput("a kind has either --retry-after or --delay, not both", field="delay")
    fits = KINDS.get(kind)
    for option, value, means in (("retry-after", retry_after, "retry_after_s"), ("delay", delay, "delay_s")):
        if value is not None and fits is not None and fits.seconds != means:
            raise BadInput(f"{kind} takes no --{option}", field=option)
    wish = flow.Wish(
        kind=kind,
        provider=provider,
        share=share,
        count=count,
        after=after,
        prompt=prompt,
        path=path,
        seconds=delay if retry_after is None else retry_after,
        status=status,
        charged=charged,
        seed=seed,
    )
    added = flow.add_fault(wish, accounts.this_shell())
    at = added.rule.dialect or "every provider"
    say(f"Fault {added.id}: {flow.in_words(added.rule)}, at {at}.")
    say(f"To see how often: {program()} simulate faults. To end it: {program()} simulate calm {added.id}")


@app.command("calm")
def calm(
    fault: Annotated[
        str | None, typer.Argument(help="One fault, as `faults` lists it; all unless told.", metavar="FAULT")
    ] = None,
) -> None:
    """Let everything go well again. Prices stay as they were set."""
    from packshot import accounts
    from packshot.flows import simulate as flow

    use_database()
    actor = accounts.this_shell()
    if fault is None:
        count = flow.calm(actor)
        say(f"Everything goes well again: {many(count, 'fault')} gone." if count else "Nothing went wrong.")
        return
    removed = flow.remove_fault(fault, actor)
    if removed is None:
        raise BadInput(
            f"there is no fault {fault!r}; `{program()} simulate faults` lists them", field="fault"
        )
    say(f"Gone, after {many(removed.fired, 'time')}: {flow.in_words(removed.rule)}.")


@app.command("price")
def price(
    provider: Annotated[
        str, typer.Argument(help="openai, flux, stability or midjourney.", metavar="PROVIDER")
    ],
    times: Annotated[
        str, typer.Argument(help="What its published prices are multiplied with; 1 is as published.")
    ],
) -> None:
    """Change what the simulator charges, without a word to the site: its ledger has to find out."""
    from packshot import accounts
    from packshot.flows import simulate as flow

    use_database()
    set_to = flow.set_price(provider, times, accounts.this_shell())
    say(
        f"{provider} charges what is published."
        if set_to == 1
        else f"{provider} charges {_times(set_to)} times its published prices."
    )


def _as_document(each: "InForce") -> dict[str, object]:
    return {
        "id": each.id,
        "rule": each.rule.model_dump(mode="json", exclude_defaults=True),
        "met": each.met,
        "fired": each.fired,
    }


def _times(times: Fraction) -> str:
    return f"{float(times):g}"


# -- its bill --------------------------------------------------------------------------------------


@app.command("bill")
def show_bill(as_json: Json = False) -> None:
    """Lay what the simulator charged beside the ledger, by provider and in all, and say why they differ.

    Ends with 1 when they do. Requests that are on their way do: look again when all is at rest.
    """
    from packshot.flows import simulate as flow

    use_database()
    found = flow.bill()
    if as_json:
        print_json([_whole(each) for each in found])
    else:
        _show_bill(found)
    if any(each.reasons or each.unexplained_micros for each in found):
        raise typer.Exit(1)


def _whole(each: "Beside") -> dict[str, object]:
    named = {one.name: getattr(each, one.name) for one in fields(each)}
    return named | {
        "difference_micros": each.difference_micros,
        "unexplained_micros": each.unexplained_micros,
    }


def _show_bill(found: "Sequence[Beside]") -> None:
    rows = [(each.provider, each.charges, _amounts(each)) for each in found]
    amounts = [sum(column) for column in zip(*(amounts for _, _, amounts in rows), strict=True)]
    rows.append(("in all", sum(each.charges for each in found), amounts))
    titles = ("Charges", "Billed", "Booked", "Difference", "Held")
    table(
        [Column("Provider", whole=True), *(Column(each, whole=True, right=True) for each in titles)],
        [
            [name, f"{charges:,}", *(money(each, simulated=False) for each in amounts)]
            for name, charges, amounts in rows
        ],
        empty="",
    )
    say()
    for each in found:
        for reason in each.reasons:
            held = f", {show(reason.held_micros)} held" if reason.held_micros else ""
            say(
                f"{each.provider}: {many(reason.count, 'request')} {reason.words}: "
                f"{show(reason.difference_micros)}{held}."
            )
        if each.unexplained_micros:
            say(f"{each.provider}: {show(each.unexplained_micros)} without a reason.", style="red")
        if each.reasons:
            say(f"One by one: {program()} ledger reconcile {each.provider}", style="dim")
    if not any(each.reasons or each.unexplained_micros for each in found):
        say("Bill and ledger agree on every request.")


def _amounts(each: "Beside") -> list[int]:
    return [each.billed_micros, each.booked_micros, each.difference_micros, each.held_micros]
