"""A local cache of accepted tokens. It is off unless a client gets one."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from datetime import datetime
from typing import Optional, Sequence, Tuple

from ._verdict import Verdict


class Cache:
    """Remembers accepted tokens for up to `max_age` seconds.

    This gives up the exactness of revocation: a token that was revoked, disabled or rotated may be accepted for
    `max_age` seconds more. Uses that the cache answers do not count for rates, quotas and the time of the last use.
    Refused tokens and undecided checks are not cached.
    """

    def __init__(self, max_age: float, max_entries: int = 10_000) -> None:
        if max_age <= 0 or max_entries < 1:
            raise ValueError("max_age and max_entries must be positive")
        self._max_age = max_age
        self._max_entries = max_entries
        self._entries: "OrderedDict[bytes, Tuple[float, Verdict]]" = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Optional[Verdict]:
        """The verdict, unless it is too old."""
        with self._lock:
            until, verdict = self._entries.get(key, (0.0, None))
            if verdict is not None and time.monotonic() >= until:
                del self._entries[key]
                return None
            return verdict

    def put(self, key: bytes, verdict: Verdict, asked_at: float) -> None:
        """Keeps the verdict if it accepts the token. Its age counts from the time (monotonic) at which it was asked for."""
        if not verdict.valid or verdict.token is None:
            return
        age = self._max_age
        if verdict.token.expires_at is not None:
            age = min(age, _seconds_until(verdict.token.expires_at))
        with self._lock:
            self._entries.pop(key, None)
            if age <= 0:
                return
            if len(self._entries) >= self._max_entries:
                self._entries.popitem(last=False)
            self._entries[key] = (asked_at + age, verdict)


def cache_key(token: str, abilities: Sequence[str], ip: Optional[str]) -> bytes:
    """A hash of the whole question, so that the cache does not hold secrets."""
    return hashlib.sha256(json.dumps([token, sorted(set(abilities)), ip]).encode()).digest()


def _seconds_until(at: str) -> float:
    try:
        return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() - time.time()
    except (ValueError, TypeError):
        return 0
