"""The description of the API is sound, generators understand it, and the server does what it says."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import pytest

PATD = os.environ["PATD"]
NPM = pathlib.Path(os.environ["NPM"])
HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "docs"
BIN = pathlib.Path(sys.executable).parent
VERSIONS = ["openapi.json", "openapi-3.0.json"]


class Server:
    """A throwaway server, and the secrets that it printed."""

    def __init__(self):
        self.process = subprocess.Popen(
            [PATD, "dev", "--port", "0", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.demo = json.loads(self.process.stdout.readline())
        self.url = self.demo["url"]

    def ask(self, path, body, secret=None):
        """Sends a body, and returns the `data` of the answer."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        if secret:
            request.add_header("Authorization", f"Bearer {secret}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def stop(self):
        """The server ends with its standard input."""
        self.process.stdin.close()
        self.process.wait(timeout=30)


@pytest.fixture
def server():
    started = Server()
    yield started
    started.stop()


def run(*command, seconds=240, directory=None, **environment):
    """Runs a program, and fails with its output if it fails."""
    ended = subprocess.run(
        [str(part) for part in command], env={**os.environ, **environment}, timeout=seconds, text=True,
        cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    assert ended.returncode == 0, ended.stdout[-20_000:]
    return ended.stdout


def lint(document, directory):
    rules = directory / "rules.yaml"
    rules.write_text('extends: ["spectral:oas"]\n')
    run(NPM / ".bin/spectral", "lint", "--ruleset", rules, "--fail-severity", "error", document)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_linter_finds_no_error(version, tmp_path):
    lint(DOCS / version, tmp_path)


def test_a_linter_does_find_an_error(tmp_path):
    wrong = json.loads((DOCS / VERSIONS[0]).read_text())
    wrong["paths"]["/api/user"]["get"]["parameters"] = [{"name": "fields"}]
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(wrong))
    with pytest.raises(AssertionError):
        lint(path, tmp_path)


PROGRAM = """
import type { paths } from "./schema";
type Creation = paths["/api/v1/user/api-tokens"]["post"];
type Created = Creation["responses"][201]["content"]["application/json"];
const body: Creation["requestBody"]["content"]["application/json"] = { name: "generated", abilities: ["calls:read"] };
async function main(): Promise<void> {
    const answer = await fetch(process.env.PATD_URL + "/api/v1/user/api-tokens", {
        method: "POST",
        headers: { Authorization: "Bearer " + process.env.PATD_SESSION, "Content-Type": "application/json" },
        body: JSON.stringify(body),
    });
    const created = (await answer.json()) as Created;
    const secret: string = created.data.token;
    console.log(created.data.name, secret.length > 40);
}
main();
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_types_for_typescript_compile_and_fit(version, server, tmp_path):
    run(NPM / ".bin/openapi-typescript", DOCS / version, "-o", tmp_path / "schema.ts")
    (tmp_path / "main.ts").write_text(PROGRAM)
    (tmp_path / "node.d.ts").write_text("declare const process: { env: Record<string, string> };\n")
    compiler = [NPM / ".bin/tsc", "--strict", "--target", "es2022", "--module", "commonjs", "--outDir", tmp_path / "out"]
    run(*compiler, tmp_path / "main.ts", tmp_path / "node.d.ts")
    said = run("node", tmp_path / "out/main.js", PATD_URL=server.url, PATD_SESSION=server.demo["session_token"])
    assert said == "generated true\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_for_python_compiles_and_works(version, server, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("post_hooks: []\n")
    client = tmp_path / "patd_client"
    said = run(
        BIN / "openapi-python-client", "generate", "--path", DOCS / version, "--meta", "none", "--output-path", client,
        "--config", settings, "--fail-on-warning",
    )
    assert "Unable to process" not in said
    program = """
import os
from patd_client import AuthenticatedClient
from patd_client.api.tokens import create_token, list_tokens
from patd_client.models import NewToken
with AuthenticatedClient(os.environ["PATD_URL"], os.environ["PATD_SESSION"]) as client:
    created = create_token.sync(client=client, body=NewToken(name="generated", abilities=["calls:read"]))
    names = [token.name for token in list_tokens.sync(client=client).data]
    print(created.data.name, "generated" in names)
"""
    said = run(
        BIN / "python", "-c", program, PYTHONPATH=str(tmp_path), PATD_URL=server.url, PATD_SESSION=server.demo["session_token"]
    )
    assert said == "generated True\n"


def member(server):
    """A user without a role."""
    person = {"email": "member@example.com", "password": "an engine of 1000 wheels"}
    server.ask("/api/v1/auth/register", {"name": "Member", **person})
    return person


PHASES = "examples,coverage,fuzzing,stateful"


@pytest.mark.parametrize("who, phases, examples", [("admin", PHASES, 5), ("member", "fuzzing,stateful", 5), ("token", "fuzzing", 5)])
def test_the_server_answers_as_described(who, phases, examples, server, tmp_path):
    """The first run sends more than three thousand requests: examples, values at the limits of each shape, random ones, wrong ones, and
    chains along the links. The others send random and wrong ones with less power."""
    (tmp_path / "schemathesis.toml").write_text((HERE / "schemathesis.toml").read_text())
    environment = {"PATD_URL": server.url, "PATD_EMAIL": server.demo["email"], "PATD_PASSWORD": server.demo["password"],
                   "PATD_USER": server.demo["user_id"]}
    if who == "member":
        person = member(server)
        environment |= {"PATD_EMAIL": person["email"], "PATD_PASSWORD": person["password"], "PATD_USER": "none"}
    if who == "token":
        token = {"name": "fuzzed", "abilities": ["user:read", "environments:read", "admin:read", "tokens:introspect"]}
        created = server.ask("/api/v1/user/api-tokens", token, server.demo["session_token"])
        environment["PATD_CREDENTIAL"] = created["token"]
    run(
        BIN / "schemathesis", "--config-file", tmp_path / "schemathesis.toml", "run", server.url + "/api/openapi.json",
        "--phases", phases, "--max-examples", examples, "--checks", "all", "--continue-on-failure", "--no-color", "--seed", "18",
        "--suppress-health-check", "all", "--request-timeout", "30",
        seconds=600, directory=tmp_path, SCHEMATHESIS_HOOKS="hooks", PYTHONPATH=str(HERE), PYTHONDONTWRITEBYTECODE="1", **environment,
    )
