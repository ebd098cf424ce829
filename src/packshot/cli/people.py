"""`packshot people`: who may sign in."""

from typing import Annotated

import typer

from packshot import accounts
from packshot.accounts.models import Role, User
from packshot.cli.screen import Column, facts, say, table, when
from packshot.flows import administer

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Who may sign in, and as what.")

Name = Annotated[str, typer.Argument(help="The name they sign in with.", metavar="NAME")]
RoleName = Annotated[str, typer.Option("--role", help=f"One of {', '.join(Role.values)}.", metavar="ROLE")]


@app.command("list")
def list_people() -> None:
    """List people, their roles and when they last signed in."""
    table(
        [
            Column("Name"),
            Column("Role", whole=True),
            Column("May sign in", whole=True),
            Column("Last signed in", whole=True),
        ],
        [
            [each.username, each.role, "yes" if each.is_active else "no", when(each.last_login) or "never"]
            for each in User.objects.order_by("username")
        ],
        empty="There is nobody yet. Add yourself: packshot people add NAME --role administrator",
    )


@app.command("add")
def add(name: Name, role: RoleName) -> None:
    """Make an account with a random password, shown once."""
    _show_password(name, administer.add_person(name, role, accounts.this_shell()))


@app.command("password")
def password(name: Name) -> None:
    """Give a person a new random password, shown once. It ends their sessions."""
    _show_password(name, administer.renew_password(name, accounts.this_shell()))


@app.command("role")
def role(name: Name, role: RoleName) -> None:
    """Change what a person may do."""
    changed = administer.set_role(name, role, accounts.this_shell())
    say(f"{name} is {role} now." if changed else f"{name} was {role} already.")


@app.command("disable")
def disable(name: Name) -> None:
    """End a person's access at once. The account stays: money and history name it."""
    changed = administer.set_access(name, accounts.this_shell(), active=False)
    say(f"{name} may no longer sign in." if changed else f"{name} could not sign in before either.")


@app.command("enable")
def enable(name: Name) -> None:
    """Let a person sign in again."""
    changed = administer.set_access(name, accounts.this_shell(), active=True)
    say(f"{name} may sign in again." if changed else f"{name} may sign in already.")


def _show_password(name: str, password: str) -> None:
    facts([("Name", name), ("Password", password)])
    say("Shown this once. They change it after signing in.", style="dim")
