"""Both clients behind one interface, and servers that misbehave."""

import asyncio
import socket
import threading
import time

import pytest
from patd_client import AsyncClient, Client

SEED = """
[[users]]
name = "Ada"
email = "ada@example.com"
password = "an engine of 1000 wheels"

[[service_accounts]]
name = "Nightly build"
managers = ["Ada"]

[[environments]]
name = "Staging"
owner = "Nightly build"

[[tokens]]
name = "Reader"
owner = "Ada"
abilities = ["calls:read"]

[[tokens]]
name = "Deployment"
environment = "Staging"

[[tokens]]
name = "Brief"
owner = "Ada"
abilities = ["calls:read"]
expires_in = "1s"
"""


@pytest.fixture(scope="session")
def patd_options():
    return {"seed": SEED}


@pytest.fixture(scope="session")
def expired(patd):
    """A token that has expired."""
    secret = patd.seeded.tokens["Brief"].secret
    with Client(patd.url, patd.introspect_token) as client:
        for _ in range(200):
            if not client.verify(secret).valid:
                break
            time.sleep(0.05)
    return secret


class AsyncFacade:
    """An AsyncClient on an event loop of its own, with the methods of Client."""

    def __init__(self, *arguments, **options):
        self._loop = asyncio.new_event_loop()
        self.inner = AsyncClient(*arguments, **options)

    def verify(self, *arguments, **options):
        return self._loop.run_until_complete(self.inner.verify(*arguments, **options))

    def __repr__(self):
        return repr(self.inner)

    def close(self):
        self._loop.run_until_complete(self.inner.aclose())
        self._loop.close()


@pytest.fixture(params=[Client, AsyncFacade], ids=["sync", "async"])
def make_client(request):
    """Makes clients of both kinds."""
    clients = []

    def make_client(*arguments, **options):
        client = request.param(*arguments, **options)
        clients.append(client)
        return client

    yield make_client
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client, patd):
    """A client of the real server."""
    return make_client(patd.url, patd.introspect_token)


class FakeServer:
    """Answers each request with the same bytes, the body byte by byte if there is a pause.

    None: it stays silent. It closes the connection at last, so that a client without a time-out fails instead of hanging.
    """

    def __init__(self, answer, pause=0.0):
        self._answer = answer
        self._pause = pause
        self._ended = threading.Event()
        self.connections = 0
        self.requests = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            while (request := self._read(connection)) is not None:
                self.requests.append(request)
                if self._answer is None:
                    self._ended.wait(10)
                    return
                head, end, body = self._answer.partition(b"\r\n\r\n")
                pieces = [head + end, *(bytes([byte]) for byte in body)] if self._pause else [self._answer]
                try:
                    for piece in pieces:
                        connection.sendall(piece)
                        if self._ended.wait(self._pause):
                            return
                except OSError:
                    return
                if not self._answer.startswith(b"HTTP") or b"Connection: close" in self._answer:
                    return

    @staticmethod
    def _read(connection):
        """One request with its body, or None at the end."""
        data = b""
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            if end:
                lines = head.lower().split(b"\r\n")
                length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
                if len(body) >= length:
                    return data
            try:
                chunk = connection.recv(65536)
            except OSError:
                return None
            if not chunk:
                return None
            data += chunk

    def close(self):
        self._ended.set()
        self._listener.close()


@pytest.fixture
def fake_server():
    """Starts servers that misbehave."""
    servers = []

    def fake_server(*arguments, **options):
        server = FakeServer(*arguments, **options)
        servers.append(server)
        return server

    yield fake_server
    for server in servers:
        server.close()


@pytest.fixture
def dead_url():
    """Where nobody listens. The port is bound, so that no other program takes it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
