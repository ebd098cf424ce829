"""`packshot up`: the whole of Packshot on this machine, until Ctrl-C."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from packshot.cli.addresses import answers, port_is_free, reachable
from packshot.cli.children import Child, Supervisor
from packshot.cli.screen import many, program, say, screen, use_data, warn
from packshot.embedded import Cluster
from packshot.kernel.errors import BadInput, PackshotError

if TYPE_CHECKING:
    from packshot.cli.preparing import Beginning

app = typer.Typer(add_completion=False)

LOOK_AT_DATABASE_EVERY_S = 3.0
# Importing is slow on a busy machine; whoever needs longer than this is stuck.
START_PATIENCE_S = 90.0


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(help="Port of the site, 8000 unless told.", metavar="PORT")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on, 127.0.0.1 unless told.", metavar="HOST")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data.", file_okay=False, metavar="DIR")
    ] = None,
    demo: Annotated[bool, typer.Option(help="Load the demo catalogue into a new site.")] = True,
) -> None:
    """Start everything, and keep it running: database, site, workers, and a simulator where no key is set.

    The first start makes an administrator and shows the password once. Every later one keeps all data.
    """
    # Settings are read once, from the environment, by this process and by each that it starts.
    given = {"PACKSHOT_PORT": port, "PACKSHOT_HOST": host}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    if data is not None:
        use_data(data)
    from packshot import settings

    with ExitStack() as at_the_end:
        at_the_end.enter_context(_alone_in(settings.DATA, settings.SITE_URL))
        if not port_is_free(settings.HOST, settings.PORT):
            raise BadInput(
                f"port {settings.PORT} of {settings.HOST} is taken by another program. "
                f"Choose another one: --port {settings.PORT + 1}",
                field="port",
            )
        supervisor = at_the_end.enter_context(Supervisor(say=warn))
        database = None if settings.DATABASE_URL else Cluster(settings.DATA)
        site = _Site(supervisor, database, reachable(settings.HOST), settings.PORT)
        site.run(demo=demo)


@contextmanager
def _alone_in(folder: Path, url: str) -> Iterator[None]:
    """Hold the folder's lock; say who has it when it is taken."""
    try:
        # Root's own must be passable: the database's user lives inside.
        folder.mkdir(parents=True, exist_ok=True, mode=0o755 if os.geteuid() == 0 else 0o700)
        lock = (folder / "up.lock").open("a+")
    except OSError as problem:
        raise BadInput(
            f"the data cannot live in {folder}: {problem.strerror}. Choose another folder with --data",
            field="data",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise BadInput(
                f"Packshot runs on {folder} already ({lock.read().strip() or 'it is starting'}). "
                "Stop that one first, or give this one a folder of its own with --data",
                field="data",
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, {url}\n")
        lock.flush()
        yield
        lock.truncate(0)


class _ToldToStop(Exception):
    """A signal came while things were still starting."""


class _Site:
    """One run of everything. What needs another part starts after it and ends before it."""

    def __init__(self, supervisor: Supervisor, database: Cluster | None, host: str, port: int) -> None:
        self.supervisor = supervisor
        self.database = database
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.web: Child | None = None
        self.work: Child | None = None
        self.simulator: Child | None = None
        self.first_page_s = 0.0
        self._looked_at = 0.0
        self._on_their_way = 0

    def run(self, *, demo: bool) -> None:
        try:
            with screen().status("Starting the database") as step:
                beginning = self._start(step.update, demo=demo)
            self._greet(beginning)
            self.supervisor.watch(self._look_at_database)
        except _ToldToStop:
            pass
        finally:
            self._stop()

    # -- start ---------------------------------------------------------------------------------

    def _start(self, step: Callable[[str], None], *, demo: bool) -> "Beginning | None":
        import django

        with ThreadPoolExecutor(1) as background:
            # Making or recovering a cluster is the server's work: meanwhile two processes read their code.
            ready = background.submit(self.database.ensure_running) if self.database else None
            self.web = self.supervisor.add(Child("The site", ["serve"]))
            django.setup()
            if ready is not None:
                ready.result()
        from packshot.cli.preparing import begin, migrate

        self._go_on(step, "Bringing the tables up to date")
        migrate()
        self._go_on(step, "Waiting for the first page")
        beginning = begin(demo=demo)
        self._start_simulator()
        self._wait_for("the site", lambda: answers(f"{self.address}/healthz"))
        self.first_page_s = _seconds_since_start()
        self._go_on(step, "Starting the workers")
        self._start_workers()
        return beginning

    def _go_on(self, step: Callable[[str], None], words: str) -> None:
        if self.supervisor.told_to_stop:
            raise _ToldToStop
        step(words)

    def _start_simulator(self) -> None:
        from packshot import settings
        from packshot.flows.desk import uses_simulator

        if uses_simulator() and not settings.SIMULATOR_URL:
            # Left by the last run; the new one writes it when it answers.
            (settings.DATA / "simulator" / "url").unlink(missing_ok=True)
            self.simulator = self.supervisor.add(Child("The simulator", ["simulate"]))

    def _start_workers(self) -> None:
        from packshot.flows.desk import enrol_desk, simulator_url

        if self.simulator is not None:
            self._wait_for("the simulator", lambda: simulator_url() is not None)
        enrol_desk()  # so that requests are taken before the first worker is there
        # The simulator reports to the site itself; a real provider could not reach this address.
        here = {"PACKSHOT_CALLBACK_URL": self.address} if self._simulates() else {}
        self.work = self.supervisor.add(Child("The workers", ["work"], environment=here, patience_s=None))

    def _simulates(self) -> bool:
        from packshot.flows.desk import uses_simulator

        return uses_simulator() and not os.environ.get("PACKSHOT_CALLBACK_URL")

    def _wait_for(self, who: str, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + START_PATIENCE_S
        while not ready():
            if self.supervisor.told_to_stop:
                raise _ToldToStop
            if time.monotonic() > until:
                raise PackshotError(
                    f"{who} did not start within {START_PATIENCE_S:.0f} s; what it said stands above"
                )
            self.supervisor.look()
            time.sleep(0.05)

    def _greet(self, beginning: "Beginning | None") -> None:
        from packshot import settings
        from packshot.flows.desk import desk

        lines = Table.grid(padding=(0, 2, 0, 0))
        lines.add_column(style="dim", no_wrap=True)
        lines.add_column(overflow="fold")
        lines.add_row("Address", Text(settings.SITE_URL, style="bold"))
        if beginning is not None:
            lines.add_row("Name", Text(beginning.administrator["name"], style="bold"))
            lines.add_row("Password", Text(beginning.administrator["password"], style="bold"))
            lines.add_row("", "Shown this once. Change it after signing in.")
        else:
            lines.add_row("Sign in", f"A new password: {program()} people password NAME")
        lines.add_row("Providers", _providers(desk().simulated))
        if beginning is not None and beginning.demo_products:
            lines.add_row("Catalogue", f"{many(beginning.demo_products, 'demo product')}")
        lines.add_row("Data", str(settings.DATA))
        out = screen()
        out.print(Panel(lines, title="Packshot", title_align="left", expand=False, padding=(1, 2)))
        out.print(f"Ready. First page after {self.first_page_s:.1f} s. Ctrl-C stops it.")
        if settings.HOST not in ("127.0.0.1", "localhost", "::1"):
            warn(
                f"It listens on {settings.HOST}: others on the network can reach it, without encryption. "
                "Put a proxy with TLS in front, and set PACKSHOT_URL to the address that people use."
            )

    # -- run -----------------------------------------------------------------------------------

    def _look_at_database(self) -> None:
        """The embedded server has no parent that would miss it: bring it back when it was killed."""
        now = time.monotonic()
        if self.database is None or now - self._looked_at < LOOK_AT_DATABASE_EVERY_S:
            return
        self._looked_at = now
        if not self.database.is_running():
            warn("The database was gone; starting it again.")
            try:
                self.database.ensure_running()
            except PackshotError as problem:
                warn(f"{problem}\nTrying again.")

    # -- stop ----------------------------------------------------------------------------------

    def _stop(self) -> None:
        """The site first, so that nothing new is asked for; the database last, when all is written."""
        say("Stopping.")
        if self.web is not None:
            self.supervisor.end(self.web)
        if self.work is not None:
            self.supervisor.end(self.work, while_waiting=self._say_what_is_on_its_way)
        if self.simulator is not None:
            self.supervisor.end(self.simulator)
        if self.database is not None:
            from packshot.cli.database import stop_when_idle

            others = stop_when_idle(self.database)
            if others:
                say(
                    f"The database still serves {many(others, 'connection')} of others and stays. "
                    f"To stop it: {program()} db stop"
                )
        say("Stopped.")

    def _say_what_is_on_its_way(self) -> None:
        from packshot.cli.preparing import paid_calls_on_their_way

        count = paid_calls_on_their_way()
        if count and count != self._on_their_way:
            way_out = "" if self._on_their_way else " Ctrl-C again stops at once: they become uncertain."
            say(f"Waiting for {many(count, 'paid call')} on the way.{way_out}")
            self._on_their_way = count


def _providers(simulated: Mapping[str, bool]) -> str:
    """Which money can be spent here, in one line."""
    real = sorted(name for name, is_simulated in simulated.items() if not is_simulated)
    if not real:
        return "all simulated: no key is set, nothing costs real money"
    return (
        f"real keys for {', '.join(real)}; each is off until `{program()} provider on NAME --limit DOLLARS`"
    )


def _seconds_since_start() -> float:
    """Since this process began; a shell script that became it by `exec` counts, too."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
