"""`packshot rollups`: the sums behind the reports, counted anew."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from packshot import reports
from packshot.cli.screen import Column, many, say, table, when

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Prove the figures of the reports, and repair them."
)

SHOWN = 50


@app.callback()
def rollups() -> None:
    """Prove the figures of the reports, and repair them."""


@app.command("rebuild")
def rebuild(
    start: Annotated[datetime | None, typer.Option("--from", help="From this instant, UTC.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="Up to this instant, UTC.")] = None,
) -> None:
    """Count the quarter-hours anew, and say what they had wrong. Workers wait meanwhile.

    Ends with 1 when something was wrong; it is right afterwards.
    """
    differences = reports.rebuild_rollups(_utc(start), _utc(end))
    if not differences:
        say("Every figure was right.")
        return
    table(
        [
            Column("Quarter-hour", whole=True),
            Column("Provider", whole=True),
            Column("Model"),
            Column("Money", whole=True),
            Column("Figure"),
            Column("Was", whole=True, right=True),
            Column("Is", whole=True, right=True),
        ],
        [
            [
                "all time" if each.bucket == reports.ALL_TIME else when(each.bucket),
                each.provider,
                each.model,
                "simulated" if each.simulated else "real",
                each.figure,
                f"{each.stored:,}",
                f"{each.exact:,}",
            ]
            for each in differences[:SHOWN]
        ],
        empty="",
    )
    say(f"{many(len(differences), 'figure')} put right.")
    raise typer.Exit(1)


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at else None
