"""`packshot import`: a catalogue file, looked at first, then applied whole or not at all."""

from pathlib import Path
from typing import Annotated

import typer

from packshot import accounts
from packshot.catalogue.formats import shipped_mappings
from packshot.cli.screen import Column, agreed, many, on_a_terminal, say, screen, table
from packshot.flows import import_catalogue
from packshot.flows.import_catalogue import ImportPlan

app = typer.Typer(add_completion=False)

SHOWN_PROBLEMS = 20


@app.command()
def import_file(
    file: Annotated[Path, typer.Argument(help="Shopify, WooCommerce or plain CSV, or JSON.", metavar="FILE")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    format: Annotated[  # noqa: A002 - the option's name
        str | None,
        typer.Option(
            help="What the file is, when it is not recognised: shopify, woocommerce, csv, json, jsonl.",
            metavar="NAME",
        ),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            help=f"What its columns mean: a TOML or JSON file, or one of {', '.join(shipped_mappings())}.",
            metavar="FILE",
        ),
    ] = None,
    problems: Annotated[
        int, typer.Option(help="How many problems to show.", min=0, metavar="N")
    ] = SHOWN_PROBLEMS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Apply without asking.")] = False,
) -> None:
    """Import products. The same file a second time changes nothing; products are never deleted."""
    actor = accounts.this_shell()
    asks = on_a_terminal() and not yes
    if dry_run or asks:
        with screen(errors=True).status(f"Reading {file.name}"):
            found = import_catalogue.plan(file, format=format, mapping=mapping)
        _show(found, problems)
        if dry_run:
            say("Nothing was changed.")
            return
        if not found.created and not found.changed:
            say("Nothing to import.")
            return
        if not agreed(f"Import {many(found.created + found.changed, 'product')}?"):
            say("Nothing was changed.")
            raise typer.Exit(1)
    with screen(errors=True).status(f"Importing {file.name}"):
        done = import_catalogue.apply(file, actor, format=format, mapping=mapping)
    if not asks:
        _show(done, problems)
    say(
        f"Imported: {done.created:,} created, {done.changed:,} changed, {done.unchanged:,} unchanged, "
        f"{done.rejected:,} rejected."
    )


def _show(found: ImportPlan, most: int) -> None:
    """The file in one line, what becomes of its products, and the problems, worst news last."""
    say(f"{found.file_name}: {found.label}")
    for note in found.notes:
        say(f"  {note}", style="dim")
    table(
        [
            Column("Created", right=True),
            Column("Changed", right=True),
            Column("Unchanged", right=True),
            Column("Rejected", right=True),
        ],
        [[f"{number:,}" for number in (found.created, found.changed, found.unchanged, found.rejected)]],
        empty="",
    )
    if found.revived:
        say(
            f"{many(found.revived, 'archived product')} of these SKUs came back."
            if found.applied
            else f"{many(found.revived, 'archived product')} of these SKUs would come back."
        )
    if found.problem_count and most:
        say()
        table(
            [
                Column("Row", whole=True, right=True),
                Column("Field"),
                Column("Problem"),
                Column("What to do"),
                Column("Product", whole=True),
            ],
            [
                [
                    f"{each.row:,}",
                    each.field or "(row)",
                    each.reason,
                    each.what_to_do,
                    "rejected" if each.fatal_for_product else "imported",
                ]
                for each in found.problems[:most]
            ],
            empty="",
        )
        if found.problem_count > most:
            say(
                f"... and {many(found.problem_count - most, 'more problem')}; --problems N shows more.",
                style="dim",
            )
