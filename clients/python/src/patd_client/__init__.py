"""Checks tokens against patd, the personal access token daemon.

`Client.verify` returns a `Verdict`: the token is accepted, or it is refused. If neither is known, it raises `Undecided`.
Answer that with 503, never with 401: the token may be valid.
"""

from ._cache import Cache
from ._client import AsyncClient, Client
from ._verdict import Owner, Token, Undecided, Verdict

__all__ = ["AsyncClient", "Cache", "Client", "Owner", "Token", "Undecided", "Verdict"]
