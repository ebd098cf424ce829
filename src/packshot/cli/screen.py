"""What commands print with: tables that fit the window, amounts, times, questions.

Words of products and providers are data: they never move the cursor, set a colour or break a row.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from packshot.kernel.errors import BadInput
from packshot.kernel.money import Micros, parse_dollars, show

# What a file or a pipe gets: wide enough that nothing a script reads is cut.
_PIPE_WIDTH = 240
_data_was_typed = False
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if code not in (9, 10)}
_TONES = {
    "completed": "green",
    "ready": "green",
    "healthy": "green",
    "failed": "red",
    "broken": "red",
    "uncertain": "yellow",
    "paused": "yellow",
    "draining": "yellow",
    "waiting": "yellow",
    "testing": "yellow",
    "stopped": "red",
    "processing": "cyan",
    "cancelled": "dim",
    "off": "dim",
    "unavailable": "dim",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `whole`: never cut, however narrow the window. `fold`: on several lines."""

    title: str
    whole: bool = False
    right: bool = False
    fold: bool = False


def screen(*, errors: bool = False) -> Console:
    """The console for what was asked for, or for what went wrong."""
    stream = sys.stderr if errors else sys.stdout
    wide = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(stderr=errors, highlight=False, width=_PIPE_WIDTH if wide else None)


def say(words: str | Text = "", style: str = "") -> None:
    """One line or several, folded at words."""
    screen().print(
        words if isinstance(words, Text) else plain(words),
        style=style or None,
        soft_wrap=not sys.stdout.isatty(),
    )


def complain(words: str) -> None:
    """What went wrong, on the error stream."""
    text = Text("packshot: ", style="bold red")
    text.append_text(plain(words))
    screen(errors=True).print(text, soft_wrap=True)


def warn(words: str) -> None:
    screen(errors=True).print(plain(words), style="yellow", soft_wrap=True)


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print `rows`, or `empty` when there are none. What is too wide is cut with an ellipsis."""
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        grid.add_column(
            column.title,
            no_wrap=column.whole,
            justify="right" if column.right else "left",
            overflow="ellipsis",
        )
    for row in rows:
        grid.add_row(*(_cell(value, column) for value, column in zip(row, columns, strict=True)))
    if grid.row_count:
        screen().print(grid)
    else:
        say(empty)


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values, one pair a line, long values folded beside their names."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, value if isinstance(value, Text) else plain(value))
    screen().print(grid)


def print_json(value: object) -> None:
    """`value` for a script: one document; dates, ids and decimals as text."""
    sys.stdout.write(json.dumps(value, indent=2, default=_jsonable, ensure_ascii=False) + "\n")


def _jsonable(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        # Field by field: `asdict` copies, and leaves dates and ids to us anyway.
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return value.isoformat() if isinstance(value, datetime) else str(value)


def plain(value: object) -> Text:
    """`value` as text that only says something."""
    return Text(("" if value is None else str(value)).translate(_CONTROLS))


def status(word: str) -> Text:
    return Text(word, style=_TONES.get(word, ""))


def money(amount: int | None, *, simulated: bool) -> Text:
    """An amount of micro-dollars; simulated money says so."""
    return Text(show(amount) + (" sim" if simulated and amount != 0 else ""))


def when(at: datetime | None) -> str:
    """`2026-11-22 14:10` on this machine's clock."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M") if at else ""


def brief(at: datetime | None) -> str:
    """`14:10:22` for today, `22 Nov` for another day of this machine's calendar."""
    if at is None:
        return ""
    here = at.astimezone()
    today = here.date() == datetime.now(here.tzinfo).date()
    return here.strftime("%H:%M:%S") if today else f"{here.day} {here:%b %Y}"


def clock(at: datetime | None) -> str:
    """`14:10:22` on this machine's clock."""
    return at.astimezone().strftime("%H:%M:%S") if at else ""


def dollars_typed(text: str) -> Micros:
    """What a person typed as dollars, in micro-dollars. Raises BadInput."""
    try:
        return parse_dollars(text)
    except ValueError as problem:
        raise BadInput(str(problem), field="amount") from None


def many(count: int, one: str, several: str = "") -> str:
    """`1 image`, `1,204 images`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def program() -> str:
    """How the next command is called from where the person stands: `packshot`, or its path, and --data."""
    called, here = Path(sys.argv[0]), Path.cwd()
    as_module = called.name == "__main__.py"  # python -m packshot: the file alone cannot be run
    if as_module:
        called = Path(sys.executable)
    if shutil.which("packshot"):
        called, as_module = Path("packshot"), False
    elif called.is_relative_to(here):
        called = called.relative_to(here)
    words = [
        str(called),
        *(["-m", "packshot"] if as_module else []),
        *(["--data", os.environ["PACKSHOT_DATA"]] if _data_was_typed else []),
    ]
    return shlex.join(words)


def use_data(folder: Path) -> None:
    """Work on this folder, and say so in every command that is shown: its reader has to type it, too."""
    global _data_was_typed
    _data_was_typed = True
    os.environ["PACKSHOT_DATA"] = str(folder.absolute())


def on_a_terminal() -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def agreed(question: str) -> bool:
    """What a person answers; anything but yes is no."""
    screen().print(plain(question), end=" ")
    return input("[y/N] ").strip().lower() in ("y", "yes")


def _cell(value: object, column: Column) -> Text:
    text = value if isinstance(value, Text) else plain(value)
    if "\n" in text.plain:
        text = Text(" ".join(text.plain.split()), style=text.style)
    text.no_wrap = not column.fold
    text.overflow = "fold" if column.whole or column.fold else "ellipsis"
    return text
