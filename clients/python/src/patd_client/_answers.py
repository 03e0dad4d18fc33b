"""What an application answers to its own client: the same for every framework."""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass, field
from typing import Any, Dict, Optional

from ._verdict import Undecided, Verdict

_LOG = logging.getLogger("patd_client")


@dataclass(frozen=True)
class Answer:
    """A refusal. The codes are those of the API of patd."""

    status: int
    code: str
    message: str
    headers: Dict[str, str] = field(default_factory=dict)
    details: Dict[str, Any] = field(default_factory=dict)

    def body(self) -> Dict[str, Any]:
        """The body in the form of patd's errors."""
        return {"message": self.message, "code": self.code, **self.details}


NO_TOKEN = Answer(401, "unauthenticated", "Send a token as Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"})
#: The same for each reason, so that a refusal tells a thief nothing.
NOT_ACCEPTED = Answer(
    401, "unauthenticated", "The token is not accepted.", {"WWW-Authenticate": 'Bearer error="invalid_token"'}
)
SESSION = Answer(403, "wrong_kind", "A session is not accepted here. Use a token.")
UNDECIDED = Answer(503, "undecided", "The token cannot be checked now. Try again.", {"Retry-After": "1"})
_LIMITS = {
    "rate_limited": Answer(429, "too_many_attempts", "The token reached its limit of requests per minute."),
    "quota_exceeded": Answer(429, "quota_exceeded", "The token has been used as often as its quota allows."),
}


def refusal(verdict: Verdict, accept_sessions: bool) -> Optional[Answer]:
    """What to answer to the sender of the token, or None if it may pass."""
    if verdict.valid:
        is_session = verdict.token is not None and verdict.token.type == "session"
        return SESSION if is_session and not accept_sessions else None
    if verdict.code == "missing_ability":
        challenge = 'Bearer error="insufficient_scope"'
        if verdict.required:
            challenge += f', scope="{" ".join(verdict.required)}"'
        details = {"required": list(verdict.required)}
        message = "The token lacks an ability that is needed here."
        return Answer(403, "missing_ability", message, {"WWW-Authenticate": challenge}, details)
    return _LIMITS.get(verdict.code, NOT_ACCEPTED)


def undecided(error: Undecided) -> Answer:
    """The answer if the token could not be checked. Logs why."""
    _LOG.warning("a token could not be checked: %s", error)
    return UNDECIDED


def bearer_token(authorization: Optional[str]) -> str:
    """The token in the header, or an empty text."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def client_address(text: Optional[str]) -> Optional[str]:
    """The address as the server reads it, or None if it is none, such as that of a Unix socket."""
    try:
        return str(ipaddress.ip_address((text or "").partition("%")[0]))
    except ValueError:
        return None
