"""The command line: each command parses, calls one flow or reads one module, and shows."""

import os
import sys
import traceback

from packshot.kernel.errors import PackshotError
from packshot.kernel.redaction import redact


def main() -> None:
    """The `packshot` program. Ends with 0, 1 when a check or an image failed, 2 when it cannot do as told."""
    from packshot.cli.children import follow_supervisor
    from packshot.cli.commands import app

    follow_supervisor()
    try:
        app()
    except PackshotError as problem:
        _end_with(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as problem:  # noqa: BLE001 - the outermost frame: what is left is a bug or the database
        _end_with(_in_words(problem))


def _end_with(message: str) -> None:
    from packshot.cli.screen import complain

    complain(redact(message))
    sys.exit(2)


def _in_words(problem: Exception) -> str:
    """What to tell a person of an error that nobody expected; its traceback only when asked for."""
    if words := _database_trouble(problem):
        return words
    if os.environ.get("PACKSHOT_DEBUG", "").lower() in ("1", "true", "yes", "on"):
        return redact("".join(traceback.format_exception(problem)))
    return (
        f"this is a bug: {type(problem).__name__}: {problem}\n"
        "Run the command again with PACKSHOT_DEBUG=1 for the whole story, and report it."
    )


def _database_trouble(problem: Exception) -> str | None:
    if "django.db" not in sys.modules:
        return None
    import psycopg
    from django.db import InterfaceError, OperationalError, ProgrammingError

    cause = problem.__cause__
    if isinstance(problem, ProgrammingError) and isinstance(
        cause,
        psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn | psycopg.errors.UndefinedFunction,
    ):
        return "the database lacks this version's tables. Run `packshot up`, or `packshot db migrate`."
    if isinstance(problem, OperationalError | InterfaceError):
        said = str(problem).strip().splitlines()[0]
        return f"the database does not answer: {said}\nLook at DATABASE_URL, and at `packshot db status`."
    return None
