"""`packshot products`: what the catalogue holds."""

from typing import Annotated

import typer

from packshot import accounts, catalogue
from packshot.catalogue.finding import holding
from packshot.catalogue.models import Product
from packshot.cli.screen import Column, many, print_json, program, say, status, table
from packshot.flows import retire

app = typer.Typer(add_completion=False, no_args_is_help=True, help="List and archive products.")

_FIELDS = (
    "id", "sku", "name", "category__path", "price", "currency", "attributes", "active_image_id",
    "placeholder", "listed_image_url", "last_generation_status", "last_generation_at",
)  # fmt: skip


@app.callback()
def products() -> None:
    """List and archive products."""


@app.command("list")
def list_products(
    text: Annotated[str | None, typer.Option(help="Words of SKU, name, attributes.", metavar="TEXT")] = None,
    without_image: Annotated[
        bool, typer.Option("--without-image", help="Those that have no active image.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many, by SKU.", min=1, metavar="N")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """List products by SKU, archived ones left out."""
    found = Product.objects.filter(holding(text or ""), archived_at=None)
    if without_image:
        found = found.filter(active_image=None)
    rows = [
        dict(zip(_FIELDS, row, strict=True)) for row in found.order_by("sku").values_list(*_FIELDS)[:limit]
    ]
    for row in rows:
        row["category"] = row.pop("category__path") or ""
    if as_json:
        print_json(rows)
        return
    table(
        [
            Column("SKU", whole=True),
            Column("Name"),
            Column("Category"),
            Column("Image", whole=True),
            Column("Last", whole=True),
        ],
        [
            [
                row["sku"],
                row["name"],
                row["category"],
                _image(row),
                status(row["last_generation_status"]),
            ]
            for row in rows
        ],
        empty="No product fits."
        if text or without_image
        else f"The catalogue is empty. Import one: {program()} import FILE",
    )
    total = found.count() if len(rows) == limit else len(rows)
    if total > len(rows):
        say(f"{len(rows):,} of {many(total, 'product')}; --limit N shows more.", style="dim")


@app.command("archive")
def archive_products(
    skus: Annotated[list[str], typer.Argument(help="SKUs.", metavar="SKU")],
) -> None:
    """Take products out of the catalogue; importing them again brings them back. What waits for them is
    cancelled, and what is on its way is kept."""
    found = catalogue.by_sku(skus)
    done = retire.archive([each.id for each in found], accounts.this_shell())
    say(f"{many(done.products, 'product')} archived; {many(done.cancelled, 'generation')} cancelled.")
    if done.on_their_way:
        say(f"{many(done.on_their_way, 'call')} on the way: its image is kept, and shown to no shopper.")


def _image(row: dict[str, object]) -> str:
    if row["active_image_id"]:
        return "active"
    if row["placeholder"]:
        return "placeholder"
    return "shop's own" if row["listed_image_url"] else "none"
