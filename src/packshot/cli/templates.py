"""`packshot templates`: the wordings of prompts."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from django.db.models import Max

from packshot import accounts, catalogue
from packshot.catalogue import prompts
from packshot.catalogue.models import PromptTemplate
from packshot.cli.screen import Column, facts, say, table
from packshot.flows import wording
from packshot.kernel.errors import BadInput

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Show, try and save prompt templates.")

Name = Annotated[str, typer.Argument(help="A template's name; put it in quotes.", metavar="NAME")]


@app.command("list")
def list_templates() -> None:
    """List templates, with the category that each serves."""
    rows = (
        PromptTemplate.objects.filter(archived_at=None)
        .annotate(version=Max("versions__number"))
        .order_by("name")
        .values_list("name", "category__path", "version")
    )
    table(
        [Column("Name"), Column("Serves"), Column("Version", whole=True, right=True)],
        [
            [name, path or ("every other category" if name == catalogue.GENERAL else "when named"), version]
            for name, path, version in rows
        ],
        empty="There is no template yet.",
    )


@app.command("show")
def show_template(name: Name) -> None:
    """Print the newest wording of a template."""
    say(catalogue.template_by_name(name).text)


@app.command("preview")
def preview(
    name: Name,
    sku: Annotated[str, typer.Option(help="For this product.", metavar="SKU")],
) -> None:
    """Show the prompt that a product would get, and what it lacks for it."""
    [product] = catalogue.by_sku([sku])
    rendered = wording.preview(name, product)
    say(rendered.prompt)
    if rendered.shortened:
        say(f"Too long for a prompt, and cut: {', '.join(rendered.shortened)}.", style="yellow")
    if rendered.missing:
        raise BadInput(
            f"{sku} says nothing about {', '.join(rendered.missing)}; the prompt could not be sent"
        )


@app.command("save")
def save(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A text file; - reads the standard input.", metavar="FILE")],
    category: Annotated[
        str | None,
        typer.Option(help="The category it serves, for a new template: 'Food > Seeds'.", metavar="PATH"),
    ] = None,
) -> None:
    """Save a file as the newest wording of a template; a new name makes a new template."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"{file} cannot be read: {problem}", field="file") from None
    saved = wording.save(name, text, accounts.this_shell(), category_path=category)
    fields = ", ".join(dict.fromkeys(each.name for each in prompts.placeholders(text)))
    facts([("Template", saved.template), ("Version", saved.number), ("Uses", fields or "no placeholder")])
