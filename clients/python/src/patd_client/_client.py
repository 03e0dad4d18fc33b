"""The clients: one for threads, one for coroutines."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from typing import Any, Dict, Iterable, Optional, Tuple, Type, TypeVar
from urllib.parse import urlsplit

import anyio
import httpcore

from ._cache import Cache, cache_key
from ._deadline import BoundedBackend, Deadline
from ._verdict import Undecided, Verdict, read_verdict

#: The largest answer that is read. A verdict has at most some tens of kilobytes.
_MAX_ANSWER = 1024 * 1024

#: The server closes idle connections after 75 seconds (`server.keep_alive`). The client must be first, so that it never
#: sends a check on a connection that is being closed.
_KEEP_ALIVE = 30.0

_Self = TypeVar("_Self", bound="Any")
_NETWORK_ERRORS = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError)


class _Base:
    """What both clients share."""

    _pool_type: Type[Any]

    def __init__(
        self,
        url: str,
        token: str,
        *,
        connect_timeout: float = 1.0,
        timeout: float = 2.0,
        max_connections: int = 100,
        ssl_context: Optional[ssl.SSLContext] = None,
        cache: Optional[Cache] = None,
    ) -> None:
        """A client of the server at `url`. `token` is its own credential, which needs the ability `tokens:introspect`.

        A connection is made within `connect_timeout` seconds, and a check ends within `timeout` seconds.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("the URL must be like https://patd.example.com, without user, query and fragment")
        # An error must not show the token.
        if not token or not token.isascii() or any(character <= " " or character == "\x7f" for character in token):
            raise ValueError("the token of this client is empty or has characters that no token has")
        if connect_timeout <= 0 or timeout <= 0:
            raise ValueError("the timeouts must be positive")
        self._url = url.rstrip("/")
        self._headers = [
            (b"Host", parts.netloc.encode()),
            (b"Authorization", b"Bearer " + token.encode()),
            (b"Content-Type", b"application/json"),
            (b"Accept", b"application/json"),
            (b"User-Agent", b"patd-client-python/0.1"),
        ]
        self._timeout = timeout
        self._extensions = {
            "timeout": {"connect": connect_timeout, "read": timeout, "write": timeout, "pool": timeout}
        }
        self._cache = cache
        self._pool_options: Dict[str, Any] = {
            "max_connections": max_connections,
            "max_keepalive_connections": max_connections,
            "keepalive_expiry": _KEEP_ALIVE,
            "ssl_context": ssl_context or (ssl.create_default_context() if parts.scheme == "https" else None),
        }
        self._new_pool()

    def _new_pool(self) -> None:
        self._place = self._current_place()
        self._pool = self._pool_type(**self._pool_options)

    def _own_pool(self) -> Any:
        # After a fork, both processes would read the answers of one connection: a check could get the verdict of another.
        # The connections of an event loop cannot be used on another one.
        if self._place != self._current_place():
            self._new_pool()
        return self._pool

    def _current_place(self) -> Tuple[Any, ...]:
        return (os.getpid(),)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url}>"

    def _prepare(self, token: str, abilities: Iterable[str], ip: Optional[str]) -> Tuple[Optional[Verdict], bytes, bytes]:
        """A verdict that needs no question, or the key of the cache and the body of the question."""
        if isinstance(abilities, str):
            raise TypeError("abilities must be a list of texts, not a text")
        abilities = list(abilities)
        if not token:
            return Verdict(False, "malformed"), b"", b""
        key = b"" if self._cache is None else cache_key(token, abilities, ip)
        cached = None if self._cache is None else self._cache.get(key)
        question: Dict[str, Any] = {"token": token, "abilities": abilities}
        if ip is not None:
            question["ip"] = ip
        return cached, key, json.dumps(question).encode()

    def _request(self, body: bytes) -> Dict[str, Any]:
        headers = [*self._headers, (b"Content-Length", str(len(body)).encode())]
        return {
            "method": "POST",
            "url": f"{self._url}/api/v1/tokens/verify",
            "headers": headers,
            "content": body,
            "extensions": self._extensions,
        }

    def _finish(self, status: int, body: bytes, key: bytes, asked_at: float) -> Verdict:
        verdict = read_verdict(status, body)
        if self._cache is not None:
            self._cache.put(key, verdict, asked_at)
        return verdict


def _no_answer(error: BaseException) -> Undecided:
    return Undecided(f"no answer from patd: {type(error).__name__} {error}".rstrip())


def _grown(answer: bytes, chunk: bytes) -> bytes:
    if len(answer) + len(chunk) > _MAX_ANSWER:
        raise Undecided("the answer is too large")
    return answer + chunk


class Client(_Base):
    """Checks tokens. Threads may share it, and should: it keeps connections open."""

    _pool_type = httpcore.ConnectionPool

    def _new_pool(self) -> None:
        self._deadline = Deadline()
        self._pool_options["network_backend"] = BoundedBackend(self._deadline)
        super()._new_pool()

    def verify(self, token: str, abilities: Iterable[str] = (), ip: Optional[str] = None) -> Verdict:
        """Asks whether `token` is valid and has all `abilities`. Raises `Undecided` if that cannot be known.

        `ip` is the address from which the token was sent. Without it, tokens with an `ip_allowlist` are refused.
        """
        known, key, body = self._prepare(token, abilities, ip)
        if known is not None:
            return known
        asked_at = time.monotonic()
        self._own_pool()
        self._deadline.at = asked_at + self._timeout
        answer = b""
        try:
            with self._pool.stream(**self._request(body)) as response:
                for chunk in response.iter_stream():
                    answer = _grown(answer, chunk)
        except _NETWORK_ERRORS as error:
            raise _no_answer(error) from None
        return self._finish(response.status, answer, key, asked_at)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Base):
    """Checks tokens in coroutines. Tasks of one event loop may share it, and should: it keeps connections open."""

    _pool_type = httpcore.AsyncConnectionPool

    def _current_place(self) -> Tuple[Any, ...]:
        try:
            return os.getpid(), asyncio.get_running_loop()
        except RuntimeError:  # No loop runs yet, or it is one of trio.
            return os.getpid(), None

    async def verify(self, token: str, abilities: Iterable[str] = (), ip: Optional[str] = None) -> Verdict:
        """Like `Client.verify`."""
        known, key, body = self._prepare(token, abilities, ip)
        if known is not None:
            return known
        asked_at = time.monotonic()
        answer = b""
        try:
            with anyio.fail_after(self._timeout):
                async with self._own_pool().stream(**self._request(body)) as response:
                    async for chunk in response.aiter_stream():
                        answer = _grown(answer, chunk)
        except _NETWORK_ERRORS as error:  # TimeoutError is an OSError.
            raise _no_answer(error) from None
        return self._finish(response.status, answer, key, asked_at)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._pool.aclose()

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
