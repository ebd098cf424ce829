"""What every test may use. Stories are built with `tests.build`."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of sample files and provider specifications, which a user's clone does not have."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with sample files is not here")
    return SHARED


@pytest.fixture(autouse=True)
def only_loopback(socket_enabled: None) -> None:
    """Tests reach nothing but this machine."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
