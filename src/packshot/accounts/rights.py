"""Reads rights.toml: what each role may do. No right comes from anywhere else."""

import tomllib
from functools import cache
from importlib.resources import files

from packshot.accounts.models import Role


@cache
def matrix() -> dict[str, frozenset[str]]:
    """Each right with the roles that hold it. `anyone` stands for people who are not signed in, too."""
    table = tomllib.loads(files(__package__).joinpath("rights.toml").read_text("utf-8"))["rights"]
    known = {*Role.values, "anyone"}
    for right, roles in table.items():
        if unknown := set(roles) - known:
            raise ValueError(f"rights.toml: {right} names unknown roles {sorted(unknown)}")
    return {right: frozenset(roles) for right, roles in table.items()}


def allows(role: str | None, right: str) -> bool:
    """Whether `role` (None: not signed in) holds `right`. An unknown right is held by nobody."""
    roles = matrix().get(right, frozenset())
    return "anyone" in roles or role in roles
