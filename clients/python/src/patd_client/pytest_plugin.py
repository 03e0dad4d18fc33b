"""Fixtures for tests of applications that accept tokens of patd. pytest finds them by itself."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator

import pytest

from .dev import DevServer


@pytest.fixture(scope="session")
def patd_options() -> Dict[str, Any]:
    """The arguments of `DevServer` for the server of `patd`. Override this in your conftest.py."""
    return {}


@pytest.fixture(scope="session")
def patd(patd_options: Dict[str, Any]) -> Iterator[DevServer]:
    """A server for all tests of this run."""
    with DevServer(**patd_options) as server:
        yield server


@pytest.fixture
def start_patd() -> Iterator[Callable[..., DevServer]]:
    """Starts a server for one test, with the arguments of `DevServer`. Any number may run at once."""
    servers = []

    def start(**options: Any) -> DevServer:
        server = DevServer(**options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()
