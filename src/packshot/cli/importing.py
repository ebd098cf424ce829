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
SHOWN_CHANGES = 10


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
    image_base: Annotated[
        str | None,
        typer.Option(help="Completes relative image addresses of a mapped file.", metavar="URL"),
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
            found = import_catalogue.plan(file, format=format, mapping=mapping, image_base=image_base)
        _show_file(found)
        _show_plan(found)
        _show_problems(found, problems)
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
        done = import_catalogue.apply(file, actor, format=format, mapping=mapping, image_base=image_base)
    if not asks:
        _show_file(done)
        _show_problems(done, problems)
    revived = f" ({done.revived:,} came back from the archive)" if done.revived else ""
    say(
        f"Imported: {done.created:,} created, {done.changed:,} changed{revived}, "
        f"{done.unchanged:,} unchanged, {done.rejected:,} rejected."
    )


def _show_file(found: ImportPlan) -> None:
    say(f"{found.file_name}: {found.label}")
    for note in found.notes:
        say(f"  {note}", style="dim")


def _show_plan(found: ImportPlan) -> None:
    """How many of each, and what would change in products that are there."""
    table(
        [Column(title, right=True) for title in ("Created", "Changed", "Unchanged", "Rejected")],
        [[f"{number:,}" for number in (found.created, found.changed, found.unchanged, found.rejected)]],
        empty="",
    )
    if found.revived:
        say(f"Of the changed, {many(found.revived, 'product')} would come back from the archive.")
    changes = [each for each in found.examples if not each.created]
    if changes:
        say()
        table(
            [Column("Row", whole=True, right=True), Column("SKU"), Column("Changes", fold=True)],
            [[f"{each.row:,}", each.sku, each.fields] for each in changes[:SHOWN_CHANGES]],
            empty="",
        )
        if found.changed > SHOWN_CHANGES:
            say(f"... and {many(found.changed - SHOWN_CHANGES, 'more change')}", style="dim")


def _show_problems(found: ImportPlan, most: int) -> None:
    if not found.problem_count or not most:
        return
    say()
    table(
        [
            Column("Row", whole=True, right=True),
            Column("Field"),
            Column("Problem", fold=True),
            Column("What to do", fold=True),
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
    left = found.problem_count - min(most, len(found.problems))
    if left > 0:
        say(f"... and {many(left, 'more problem')}; --problems N shows more.", style="dim")
