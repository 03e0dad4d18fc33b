"""A dependency for FastAPI."""

from __future__ import annotations

from typing import Any, Callable, Coroutine, Optional

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ._answers import NO_TOKEN, Answer, client_address, refusal, undecided
from ._client import AsyncClient
from ._verdict import Undecided, Verdict

_BEARER = HTTPBearer(auto_error=False)


class Tokens:
    """Makes dependencies that let a request pass if its token is valid and has all abilities.

    `address` returns the address of the client of a request; the default is the peer as uvicorn knows it. Behind a proxy,
    start uvicorn with `--forwarded-allow-ips`. Sessions of patd (`ses_…`) may do everything in the account of a user, so
    they are refused unless `accept_sessions` is set.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        accept_sessions: bool = False,
        address: Optional[Callable[[Request], Optional[str]]] = None,
    ) -> None:
        self._client = client
        self._accept_sessions = accept_sessions
        self._address = address or (lambda request: request.client and request.client.host)

    def __call__(self, *abilities: str) -> Callable[..., Coroutine[Any, Any, Verdict]]:
        """The dependency. Its value is the verdict, which says whose the token is."""

        async def verdict(
            request: Request, credentials: Optional[HTTPAuthorizationCredentials] = Depends(_BEARER)
        ) -> Verdict:
            if credentials is None or not credentials.credentials:
                raise _error(NO_TOKEN)
            try:
                ip = client_address(self._address(request))
                verdict = await self._client.verify(credentials.credentials, abilities, ip)
            except Undecided as error:
                raise _error(undecided(error)) from None
            answer = refusal(verdict, self._accept_sessions)
            if answer is not None:
                raise _error(answer)
            return verdict

        return verdict


def _error(answer: Answer) -> HTTPException:
    return HTTPException(answer.status, answer.body(), answer.headers)
