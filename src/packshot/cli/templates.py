"""`packshot templates`: the wordings of prompts."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from packshot import accounts, catalogue
from packshot.catalogue import prompts, templates
from packshot.catalogue.templates import TemplateRow
from packshot.cli.screen import Column, facts, say, table
from packshot.flows import wording
from packshot.kernel.errors import BadInput

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Show, try, save and use prompt templates."
)

Name = Annotated[str, typer.Argument(help="A template's name; put it in quotes.", metavar="NAME")]


@app.command("list")
def list_templates() -> None:
    """List templates, with the category that each serves and the version that is in use."""
    table(
        [
            Column("Name"),
            Column("Serves"),
            Column("Version", whole=True, right=True),
            Column("Draft", whole=True, right=True),
        ],
        [
            [
                row.name,
                row.category_path or ("every other category" if row.general else "when named"),
                row.number,
                row.draft or "",
            ]
            for row in sorted(templates.templates(), key=lambda row: row.name)
        ],
        empty="There is no template yet.",
    )


@app.command("show")
def show_template(
    name: Name,
    version: Annotated[
        int | None, typer.Option(help="Another version than the one in use.", metavar="VERSION", min=1)
    ] = None,
) -> None:
    """Print the wording of a template that is in use, or that of another version."""
    if version is None:
        say(catalogue.template_by_name(name).text)
        return
    row = _named(name)
    found = templates.version(row.id, version)
    if found is None:
        raise BadInput(f"{name} has no version {version}; it has 1 to {row.newest}", field="version")
    say(found.text)


@app.command("versions")
def list_versions(name: Name) -> None:
    """List the versions of a template, newest first, and which one is in use."""
    row = _named(name)
    table(
        [Column("Version", whole=True, right=True), Column("Label"), Column("By"), Column("Saved (UTC)")],
        [
            [
                each.number,
                "in use" if each.number == row.number else "was in use" if each.used else "draft",
                each.by_name or "Packshot",
                f"{each.at:%Y-%m-%d %H:%M}",
            ]
            for each in templates.versions(row.id)
        ],
        empty="There is no version yet.",
    )


@app.command("use")
def use(
    name: Name,
    version: Annotated[int, typer.Argument(help="One of its versions.", metavar="VERSION", min=1)],
) -> None:
    """Put a version of a template in use: a draft, or an earlier one again."""
    before = wording.use_by_name(name, version, accounts.this_shell())
    was = f"{version}, as before" if before is None else before
    facts([("Template", name), ("In use", version), ("Before", was)])


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
    draft: Annotated[
        bool,
        typer.Option(
            "--draft", help="Leave what is in use as it is; a template's first version is in use at once."
        ),
    ] = False,
) -> None:
    """Save a file as the newest wording of a template and use it; a new name makes a new template."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    except OSError as problem:
        raise BadInput(f"{file} cannot be read: {problem.strerror}. Check the path", field="file") from None
    except UnicodeDecodeError:
        raise BadInput(f"{file} is not text in UTF-8; save it so", field="file") from None
    saved = wording.save(name, text, accounts.this_shell(), category_path=category, use=not draft)
    fields = ", ".join(dict.fromkeys(each.name for each in prompts.placeholders(text)))
    facts(
        [
            ("Template", saved.template),
            ("Version", saved.number),
            ("In use", catalogue.template_by_name(saved.template).number),
            ("Uses", fields or "no placeholder"),
        ]
    )


def _named(name: str) -> TemplateRow:
    catalogue.template_by_name(name)  # or says which there are
    return next(row for row in templates.templates() if row.name == name)
