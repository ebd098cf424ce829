"""`packshot spending`: budgets, and the switch that stops all of it."""

from collections.abc import Sequence
from typing import Annotated

import typer

from packshot import accounts, generations, ledger, preferences
from packshot.cli.screen import Column, dollars_typed, many, money, print_json, program, say, table, when
from packshot.flows import spending as flow
from packshot.generations.models import Attempt
from packshot.kernel.errors import BadInput
from packshot.ledger import BudgetState, Limit, StopState

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="See budgets; stop all spending, resume it."
)


@app.command("show")
def show_spending(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Show whether money is spent, and each budget with its figures."""
    state, budgets = ledger.stop_state(), ledger.budgets()
    if as_json:
        print_json({"stopped": state.stopped, "state": _words(state), "budgets": budgets})
        return
    say(_words(state), style="yellow" if state.stopped else "")
    say()
    _show_budgets(budgets)


@app.command("stop")
def stop() -> None:
    """Send nothing more, to any provider. What is on its way is paid for, and ends."""
    say(_words(flow.stop(accounts.this_shell())))
    say(f"To go on: {program()} spending resume")


@app.command("resume")
def resume() -> None:
    """Spend again: what waited goes on."""
    say(_words(flow.resume(accounts.this_shell())))


@app.command("limit")
def limit(
    amount: Annotated[str, typer.Argument(help="Dollars, such as 25 or 1200.50.", metavar="DOLLARS")],
    scope: Annotated[str, typer.Option(help="everything, provider, category, person or run.")] = "everything",
    of: Annotated[str, typer.Option(help="Which provider, category, person or run.")] = "",
    period: Annotated[str, typer.Option(help="day, week, month or total.")] = "month",
    zone: Annotated[str, typer.Option(help="Time zone of its days; the site's if unset.")] = "",
    simulated: Annotated[bool, typer.Option("--simulated", help="Count simulated money.")] = False,
) -> None:
    """Set a limit: a budget for a scope and a period is made, or changed where it stands."""
    actor = accounts.this_shell()
    micros = dollars_typed(amount)
    stands = next(
        (
            each
            for each in ledger.budgets()
            if (each.scope, each.scope_value, each.period, each.simulated) == (scope, of, period, simulated)
        ),
        None,
    )
    if stands is None:
        zone = zone or str(preferences.get("time_zone"))
        made = flow.add_budget(Limit(micros, scope, of, period, zone, simulated), actor)
    else:
        made = flow.change_budget(stands.id, actor, limit_micros=micros, zone=zone or None)
    _show_budgets([made])


@app.command("drop")
def drop(
    name: Annotated[str, typer.Argument(help="A budget's name or id, as `show` lists it.")],
    period: Annotated[
        str, typer.Option(help="Where several have that name: day, week, month or total.")
    ] = "",
) -> None:
    """Take a budget away. What it counted stays in the ledger."""
    found = [
        each for each in ledger.budgets() if name in (each.name, str(each.id)) and period in ("", each.period)
    ]
    if len(found) != 1:
        raise BadInput(
            f"{len(found)} budgets are called {name!r}" + ("; add --period" if found else ""), field="name"
        )
    flow.archive_budget(found[0].id, accounts.this_shell())
    say(f"{found[0].name}, per {found[0].period}, no longer counts.")


def _words(state: StopState) -> str:
    """Where the switch stands. It says "stopped" once every living worker confirmed that nothing leaves."""
    if not state.stopped:
        return "Spending goes on."
    by = f" by {state.changed_by_name}, {when(state.changed_at)}" if state.changed_by_name else ""
    if waiting := generations.unacknowledged(state.version):
        away = Attempt.objects.filter(state="sending").count()
        return f"Stopping{by}: {many(away, 'call')} on the way, {many(len(waiting), 'worker')} to confirm."
    return f"Stopped{by}. Nothing is sent."


def _show_budgets(budgets: Sequence[BudgetState]) -> None:
    table(
        [
            Column("Budget"),
            Column("Per", whole=True),
            Column("Counts", whole=True),
            Column("Limit", whole=True, right=True),
            Column("Spent", whole=True, right=True),
            Column("Held", whole=True, right=True),
            Column("Left", whole=True, right=True),
            Column("Until", whole=True),
        ],
        [
            [
                each.name,
                each.period,
                "simulated" if each.simulated else "real",
                money(each.limit_micros, simulated=False),
                money(each.spent_micros, simulated=False),
                money(each.reserved_micros, simulated=False),
                money(each.left_micros, simulated=False),
                when(each.ends_at) if each.ends_at else "for good",
            ]
            for each in budgets
        ],
        empty="There is no budget.",
    )
    if not any(each.scope == "everything" and not each.simulated for each in budgets):
        say(
            "No limit is set for real money, so none is spent. "
            f"Set one: {program()} provider on NAME --limit DOLLARS",
            style="dim",
        )
