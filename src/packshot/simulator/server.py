"""Serving the simulator over real HTTP: in this process, or in this thread's background for a test."""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from packshot.kernel.errors import BadInput
from packshot.simulator.app import HANG_UP, create_app
from packshot.simulator.config import SimulatorConfig
from packshot.simulator.control import Control
from packshot.simulator.state import announce

_STARTS_WITHIN_S = 20.0
_BACKLOG = 4096


class _CuttableProtocol(HttpToolsProtocol):
    """HTTP whose application may hang up on the client: ASGI itself has no word for a cut connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # The typed scope knows dictionaries only; the specification says extensions are the server's affair.
        self.scope["extensions"] = {HANG_UP: self.transport.close}  # type: ignore[dict-item]


def serve(
    config: SimulatorConfig,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; `started` is told the address once requests are answered.

    Port 0 takes a free one. Nothing but this machine can reach it unless `host` says so. Raises BadInput
    when the port or the state folder is taken.
    """
    with _listening(host, port) as listener:
        address = _address(listener)

        def tell() -> None:
            announce(config.state_dir, address)
            if started is not None:
                started(address)

        _Server(_settings(config), tell).run(sockets=[listener])


@contextmanager
def running(config: SimulatorConfig, host: str = "127.0.0.1", port: int = 0) -> Iterator[Control]:
    """A simulator served by a thread of this process for as long as the block lasts."""
    with _listening(host, port) as listener:
        ready = threading.Event()
        server = _Server(_settings(config), ready.set)
        announce(config.state_dir, _address(listener))  # the folder is ours by now
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="simulator")
        thread.start()
        try:
            if not ready.wait(_STARTS_WITHIN_S):
                raise BadInput(f"The simulator did not start on {config.state_dir}.")
            yield Control.of(config.state_dir)
        finally:
            server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    def __init__(self, settings: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(settings)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_started()


def _settings(config: SimulatorConfig) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(config),
        http=_CuttableProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,  # the control door looks at who really connects
        backlog=_BACKLOG,
        # Longer than any client keeps an idle connection: else a request could meet a closing one and be
        # taken for a call that was cut.
        timeout_keep_alive=600,
        timeout_graceful_shutdown=3,
        server_header=False,
    )


def _listening(host: str, port: int) -> socket.socket:
    """A socket that takes connections already: who comes before the server is ready waits, and is served."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    # A restart on the same port must not wait for the old connections to be forgotten.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise BadInput(f"Port {port} of {host} cannot be had: {error.strerror}.", field="port") from None
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
