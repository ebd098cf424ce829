"""`packshot images`: what was made, and which image a product shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from django.conf import settings
from django.db.models import F

from packshot import accounts, catalogue
from packshot.catalogue.finding import Sought
from packshot.catalogue.models import Image
from packshot.cli import identity
from packshot.cli.screen import Column, brief, print_json, say, status, table
from packshot.flows import delivery, export, photos, publish
from packshot.imaging.header import MAX_BYTES
from packshot.kernel.errors import BadInput

app = typer.Typer(add_completion=False, no_args_is_help=True, help="List, choose, share and export images.")

_FIELDS = (
    "id", "product__sku", "provider", "model", "simulated", "state", "problem", "width_px", "height_px",
    "size_bytes", "media_type", "blob", "generation_id", "created_at", "active",
)  # fmt: skip


@app.command("list")
def list_images(
    sku: Annotated[str | None, typer.Option(help="Of this product.", metavar="SKU")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, metavar="N")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """List images, newest first. The active one of each product is marked."""
    images = Image.objects.annotate(active=F("product__active_image_id")).order_by("-pk")
    if sku is not None:
        images = images.filter(product__sku=sku, product__archived_at=None)
    rows = [dict(zip(_FIELDS, row, strict=True)) for row in images.values_list(*_FIELDS)[:limit]]
    for row in rows:
        row["active"] = row["active"] == row["id"]
        row["sku"] = row.pop("product__sku")
    if as_json:
        print_json(rows)
        return
    table(
        [
            Column("Id", whole=True),
            Column("SKU"),
            Column("Provider", whole=True),
            Column("Model"),
            Column("Pixels", whole=True, right=True),
            Column("State", whole=True),
            Column("Made", whole=True),
            Column("Note", whole=True),
        ],
        [
            [
                identity.short(row["id"]),
                row["sku"],
                row["provider"],
                row["model"],
                f"{row['width_px']}x{row['height_px']}",
                status(row["state"]),
                brief(row["created_at"]),
                ", ".join(word for word in ("active", "simulated") if row[word]),
            ]
            for row in rows
        ],
        empty=f"{sku} has no image." if sku else "There is no image yet.",
    )


@app.command("add")
def add(
    sku: Annotated[str, typer.Argument(help="The product that it is of.", metavar="SKU")],
    files: Annotated[list[Path], typer.Argument(help="PNG, JPEG or WebP.", metavar="FILE")],
) -> None:
    """Add your own photos as images of a product. The same file again is the image that it is."""
    [product] = catalogue.by_sku([sku])
    for file in files:
        try:
            with file.open("rb") as opened:
                content = opened.read(MAX_BYTES + 1)
        except OSError as problem:
            raise BadInput(f"{file} cannot be read: {problem.strerror}", field="files") from None
        added = photos.add(product.id, content, file.name, accounts.this_shell())
        short = identity.short(added.image_id)
        say(f"{file.name} is image {short} now." if added.new else f"{file.name} is image {short} already.")


@app.command("activate")
def activate(
    image: Annotated[str, typer.Argument(help="An id, whole or its last 8 characters.", metavar="ID")],
) -> None:
    """Make an image the one that its product shows."""
    [key] = identity.find([image], table="packshot_image", what="image")
    done = publish.activate(key, accounts.this_shell())
    if done.before == done.after:
        say(f"It was the active image of {done.sku} already.")
    elif done.before is None:
        say(f"It is the active image of {done.sku} now, the first one.")
    else:
        say(f"It is the active image of {done.sku} now, in place of {identity.short(done.before)}.")


@app.command("link")
def link(
    image: Annotated[str, typer.Argument(help="An id, whole or its last 8 characters.", metavar="ID")],
    width: Annotated[int, typer.Option(help="In pixels, one of public_widths.", metavar="PIXELS")] = 1200,
    format: Annotated[str, typer.Option(help="webp, avif, jpeg or png.", metavar="FORMAT")] = "webp",  # noqa: A002
    days: Annotated[int, typer.Option(help="How long it holds, 1 to 30.", min=1, max=30, metavar="N")] = 7,
) -> None:
    """Make a link that shows an image to somebody without an account, until it ends."""
    [key] = identity.find([image], table="packshot_image", what="image")
    path = delivery.link(key, format, width, accounts.this_shell(), for_s=days * 24 * 3600)
    say(f"{settings.SITE_URL}{path}")


@app.command("export")
def export_images(
    text: Annotated[str, typer.Option(help="Words of SKU, name, attributes.", metavar="TEXT")] = "",
    category: Annotated[str, typer.Option(help="A category, with what is below it.", metavar="PATH")] = "",
    csv: Annotated[
        Path | None, typer.Option(help="Where each image is and came from.", metavar="FILE")
    ] = None,
    zip: Annotated[Path | None, typer.Option(help="The images, with the CSV.", metavar="FILE")] = None,  # noqa: A002
    width: Annotated[int | None, typer.Option(help="In pixels, one of public_widths.", metavar="N")] = None,
    format: Annotated[str, typer.Option(help="webp, avif, jpeg or png.", metavar="FORMAT")] = "jpeg",  # noqa: A002
) -> None:
    """Take the active images of products away, as a CSV, a ZIP, or both."""
    if csv is None and zip is None:
        raise BadInput("say where to: --csv FILE, --zip FILE, or both", field="zip")
    sought = Sought(text=text, category=category)
    if csv is not None:
        _write(csv, export.csv_pieces(sought))
    if zip is not None:
        wanted = export.size(format, width)
        _write(zip, export.zip_pieces(sought, wanted, lambda image, why: say(f"{image.sku}: {why}")))


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    """All of it, or nothing under that name."""
    fresh = path.with_name(f".{path.name}.part")
    try:
        with fresh.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    say(f"{path} has {path.stat().st_size:,} bytes.")
