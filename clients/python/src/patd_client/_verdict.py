"""What a check of a token can end with, and how an answer of the server is read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple


class Undecided(Exception):
    """The token could be neither accepted nor refused. Answer 503 with it, never 401."""


@dataclass(frozen=True)
class Token:
    """What an accepted token is."""

    id: str
    #: `personal_access_token`, `environment_token` or `session`.
    type: str
    name: Optional[str]
    abilities: Tuple[str, ...]
    created_at: Optional[str]
    #: An RFC 3339 time, or None if the token does not expire.
    expires_at: Optional[str]
    description: Optional[str] = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Owner:
    """The user or service account that owns an accepted token."""

    id: str
    #: `user` or `service_account`.
    type: str
    name: str
    email: Optional[str] = None


@dataclass(frozen=True)
class Verdict:
    """The answer of the server about a token."""

    valid: bool
    #: `valid`, or why the token is refused: see the table of verdicts in docs/errors.md of patd.
    code: str
    token: Optional[Token] = None
    owner: Optional[Owner] = None
    environment_id: Optional[str] = None
    #: For `missing_ability`: the abilities that were asked for, and those that the token lacks.
    required: Tuple[str, ...] = ()
    missing: Tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.valid


def read_verdict(status: int, body: bytes) -> Verdict:
    """Reads an answer. Whatever is not a verdict, such as a redirect or a page of a proxy, is `Undecided`."""
    if status in (401, 403):
        raise Undecided(f"patd refused the credential of this client ({status}); it must be a token with tokens:introspect")
    if status != 200:
        raise Undecided(f"patd answered {status}")
    try:
        data = json.loads(body)["data"]
        valid, code = data["valid"], data["code"]
        if not isinstance(valid, bool) or not isinstance(code, str) or valid != (code == "valid"):
            raise ValueError
        if not valid:
            required, missing = _texts(data.get("required", [])), _texts(data.get("missing", []))
            return Verdict(False, code, required=required, missing=missing)
        owner = None if data.get("owner") is None else _owner(data["owner"])
        environment = None if data.get("environment_id") is None else _text(data["environment_id"])
        return Verdict(True, code, _token(data["token"]), owner, environment)
    # RecursionError: JSON that is nested too deeply.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Undecided("the answer is not one of patd: check the URL and what is in front of it") from None


def _token(data: Mapping[str, Any]) -> Token:
    return Token(
        id=_text(data["id"]),
        type=_text(data["type"]),
        name=_optional_text(data.get("name")),
        abilities=_texts(data["abilities"]),
        created_at=_optional_text(data.get("created_at")),
        expires_at=_optional_text(data.get("expires_at")),
        description=_optional_text(data.get("description")),
        metadata={_text(key): _text(value) for key, value in (data.get("metadata") or {}).items()},
    )


def _owner(data: Mapping[str, Any]) -> Owner:
    return Owner(_text(data["id"]), _text(data["type"]), _text(data["name"]), _optional_text(data.get("email")))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _optional_text(value: Any) -> Optional[str]:
    return None if value is None else _text(value)


def _texts(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError
    return tuple(_text(item) for item in value)
