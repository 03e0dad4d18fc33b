"""A throwaway server for integration tests: `patd dev` as a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Sequence, Union
from urllib.parse import urlsplit

_START_TIMEOUT = 20.0
_STOP_TIMEOUT = 10.0

#: How much of the messages of a failed start an error shows, in bytes. A seed with many mistakes has as many lines.
_MAX_MESSAGES = 64 * 1024


class DevServerError(Exception):
    """The server cannot be started, or refused a request of a test."""


@dataclass(frozen=True)
class CreatedToken:
    """A token for a test."""

    id: str
    secret: str


@dataclass(frozen=True)
class SeededUser:
    """A user of the seed."""

    id: str
    email: str
    password: str
    default_environment_id: str


@dataclass(frozen=True)
class SeededItem:
    """A service account or an environment of the seed."""

    id: str


@dataclass(frozen=True)
class Seeded:
    """What the seed asked for, by name. Ids are the same in each run, secrets are not."""

    users: Dict[str, SeededUser] = field(default_factory=dict)
    service_accounts: Dict[str, SeededItem] = field(default_factory=dict)
    environments: Dict[str, SeededItem] = field(default_factory=dict)
    tokens: Dict[str, CreatedToken] = field(default_factory=dict)


class DevServer:
    """A running server. It also ends when this process ends, however that happens."""

    def __init__(
        self,
        *,
        program: Optional[str] = None,
        config: Optional[str] = None,
        seed: Union[str, "os.PathLike[str]", None] = None,
    ) -> None:
        """Starts a server. The program is `program`, `PATD_BIN` of the environment, or `patd` in PATH.

        `config` is the text of a configuration file (TOML). `seed` names what the server starts with (`patd dev --seed`):
        the path of a file as a `Path`, or its text.
        """
        self._directory = tempfile.TemporaryDirectory(prefix="patd-test-")
        try:
            self._start(_program(program), config, seed)
        except BaseException:
            self._directory.cleanup()
            raise

    def _start(self, program: str, config: Optional[str], seed: Union[str, "os.PathLike[str]", None]) -> None:
        command = [program, "dev", "--json", "--port", "0"]
        if config is not None:
            command += ["--config", self._file("patd.toml", config)]
        if seed is not None:
            command += ["--seed", self._file("seed.toml", seed) if isinstance(seed, str) else os.fspath(seed)]
        # Settings of another patd must not change what a test sees.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PATD_")}
        errors = os.path.join(self._directory.name, "stderr")
        with open(errors, "w+b") as stderr:
            # The server ends when its standard input closes, so also when this process is killed.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment
            )
        line = self._first_line()
        try:
            self._demo: Dict[str, Any] = json.loads(line)
            parts = urlsplit(self._demo["url"])
        except (ValueError, KeyError):
            self._end()
            with open(errors, "rb") as stderr:
                message = stderr.read()[-_MAX_MESSAGES:].decode(errors="replace").strip()
            raise DevServerError(f"{program} dev did not start: {message}") from None
        self._host = parts.netloc
        #: Where the server listens.
        self.url = self._demo["url"]
        #: The credential for a client that checks tokens.
        self.introspect_token = self._demo["introspect_token"]
        #: The session of the demo user, an administrator. It may call the whole API.
        self.session_token = self._demo["session_token"]
        #: What the seed asked for.
        self.seeded = _seeded(self._demo.get("seeded", {}))

    def _file(self, name: str, text: str) -> str:
        path = os.path.join(self._directory.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def _first_line(self) -> bytes:
        # Ends the read below if the server prints nothing.
        timer = threading.Timer(_START_TIMEOUT, self._process.kill)
        timer.start()
        try:
            return self._process.stdout.readline()
        finally:
            timer.cancel()

    def api(self, method: str, path: str, body: Any = None, bearer: Optional[str] = None) -> Any:
        """Sends a request with the session of the demo user, or with `bearer`, and returns the JSON of the answer."""
        connection = http.client.HTTPConnection(self._host, timeout=10)
        headers = {"Authorization": f"Bearer {bearer or self.session_token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise DevServerError(f"{method} {path}: {response.status} {answer.decode(errors='replace')}")
        return json.loads(answer)

    def create_token(self, abilities: Sequence[str], name: str = "test", **fields: Any) -> CreatedToken:
        """Makes a token of the demo user. `fields` are those of a new token in docs/api.md, such as `ip_allowlist`."""
        data = self.api("POST", "/api/v1/user/api-tokens", {"name": name, "abilities": list(abilities), **fields})["data"]
        return CreatedToken(data["id"], data["token"].rpartition("|")[2])

    def revoke_token(self, token: CreatedToken) -> None:
        """Revokes a token. The next check refuses it."""
        self.api("DELETE", f"/api/v1/admin/tokens/{token.id}")

    def close(self) -> None:
        """Stops the server. Its data is deleted."""
        self._end()
        self._directory.cleanup()

    def _end(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> "DevServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _seeded(lists: Dict[str, Any]) -> Seeded:
    users = {
        name: SeededUser(user["id"], user["email"], user["password"], user["default_environment_id"])
        for name, user in lists.get("users", {}).items()
    }
    items = {
        key: {name: SeededItem(item["id"]) for name, item in lists.get(key, {}).items()}
        for key in ("service_accounts", "environments")
    }
    tokens = {name: CreatedToken(token["id"], token["token"]) for name, token in lists.get("tokens", {}).items()}
    return Seeded(users, tokens=tokens, **items)


def _program(program: Optional[str]) -> str:
    name = program or os.environ.get("PATD_BIN") or "patd"
    found = shutil.which(name)
    if found is None:
        raise DevServerError(f"{name} is no program: install patd, or set PATD_BIN to the path of its binary")
    return found
