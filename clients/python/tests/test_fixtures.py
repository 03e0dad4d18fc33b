"""The fixtures for tests of applications."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import SEED
from patd_client import Client
from patd_client.dev import DevServer, DevServerError, Seeded

EXAMPLE = """
def test_a_token_of_this_server(patd, start_patd):
    from patd_client import Client
    token = patd.create_token(["calls:read"])
    assert Client(patd.url, patd.introspect_token).verify(token.secret, ["calls:read"]).valid
    other = start_patd(config='[tokens]\\nabilities = ["a"]')
    assert other.url != patd.url
    assert Client(other.url, other.introspect_token).verify(token.secret).code == "unknown"
"""


def ends(pid, database):
    """Whether the process ends and its files are deleted."""
    for _ in range(200):
        if not os.path.exists(f"/proc/{pid}") and not os.path.exists(database):
            return True
        time.sleep(0.05)
    return False


def test_pytest_finds_the_fixtures_and_five_runs_at_once_do_not_meet(tmp_path):
    def run(number):
        file = tmp_path / str(number) / "test_example.py"
        file.parent.mkdir()
        file.write_text(EXAMPLE)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(file.parent), str(file)]
        return subprocess.run(command, capture_output=True, text=True)

    with ThreadPoolExecutor(5) as threads:
        runs = list(threads.map(run, range(5)))
    assert [run.stdout for run in runs if run.returncode != 0 or "1 passed" not in run.stdout] == []


def test_five_servers_know_only_their_own_tokens(start_patd):
    with ThreadPoolExecutor(5) as threads:
        servers = list(threads.map(lambda _: start_patd(), range(5)))
    tokens = [server.create_token([]).secret for server in servers]
    for server in servers:
        with Client(server.url, server.introspect_token) as client:
            codes = [client.verify(token).code for token in tokens]
        assert sorted(codes) == ["unknown"] * 4 + ["valid"]


def test_a_closed_server_has_ended_and_leaves_nothing():
    server = DevServer()
    process, database = server._process, server._demo["database"]
    assert os.path.exists(database)
    server.close()
    assert process.returncode == 0
    assert not os.path.exists(database) and not os.path.exists(server._directory.name)


def test_a_server_ends_when_the_test_run_is_killed():
    program = (
        "import json, time\n"
        "from patd_client.dev import DevServer\n"
        "server = DevServer()\n"
        "print(json.dumps([server._process.pid, server._demo['database']]), flush=True)\n"
        "time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pid, database = json.loads(run.stdout.readline())
    assert os.path.exists(database)
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert ends(pid, database)


def test_a_missing_program_is_named(monkeypatch):
    monkeypatch.setenv("PATD_BIN", "/nowhere/patd")
    with pytest.raises(DevServerError, match="/nowhere/patd is no program: install patd, or set PATD_BIN"):
        DevServer()
    monkeypatch.delenv("PATD_BIN")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DevServerError, match="patd is no program"):
        DevServer()


def test_a_server_that_does_not_start_says_why():
    with pytest.raises(DevServerError, match="misspelt"):
        DevServer(config="misspelt = 1")


def test_what_a_seed_asks_for_is_there(patd, start_patd, tmp_path):
    file = tmp_path / "seed.toml"
    file.write_text(SEED)
    other = start_patd(seed=file).seeded
    seeded = patd.seeded
    assert (seeded.users, seeded.service_accounts, seeded.environments) == (other.users, other.service_accounts, other.environments)
    assert [list(items) for items in (seeded.users, seeded.service_accounts, seeded.environments)] == [["Ada"], ["Nightly build"], ["Staging"]]
    ada = seeded.users["Ada"]
    body = {"email": ada.email, "password": ada.password}
    session = patd.api("POST", "/api/v1/auth/login", body)["data"]
    assert (session["user"]["id"], session["user"]["current_environment_id"]) == (ada.id, ada.default_environment_id)
    account = patd.api("GET", f"/api/v1/service-accounts/{seeded.service_accounts['Nightly build'].id}")["data"]
    assert account["name"] == "Nightly build"
    assert set(seeded.tokens) == {"Brief", "Deployment", "Reader"}
    for name in ("Deployment", "Reader"):
        token = seeded.tokens[name]
        assert (token.id, token.secret != other.tokens[name].secret) == (other.tokens[name].id, True)


def test_seeded_tokens_can_be_used_and_revoked(start_patd):
    server = start_patd(seed=SEED)
    seeded = server.seeded
    with Client(server.url, server.introspect_token) as client:
        reader, deployment = [client.verify(seeded.tokens[name].secret) for name in ("Reader", "Deployment")]
        assert (reader.token.id, reader.owner.id) == (seeded.tokens["Reader"].id, seeded.users["Ada"].id)
        assert deployment.environment_id == seeded.environments["Staging"].id
        for token in seeded.tokens.values():
            server.revoke_token(token)
        assert {client.verify(token.secret).code for token in seeded.tokens.values()} == {"revoked"}


def test_a_server_without_a_seed_has_nothing_seeded(start_patd):
    assert start_patd().seeded == Seeded()


def test_every_mistake_in_a_seed_is_named(tmp_path):
    seed = "".join(f'[[users]]\nname = "User {number}"\n' for number in range(50)) + "[[token]]\n"
    file = tmp_path / "mistakes.toml"
    file.write_text(seed)
    for source, name in [(seed, "seed.toml"), (file, str(file))]:
        with pytest.raises(DevServerError, match="dev did not start: ") as error:
            DevServer(seed=source)
        message = str(error.value)
        assert all(f"users[{number}].email (" in message for number in range(50)), message
        assert f"{name}, line 101) " in message and "perhaps tokens is meant" in message
    with pytest.raises(DevServerError, match="/nowhere/seed.toml"):
        DevServer(seed=pathlib.Path("/nowhere/seed.toml"))


def test_settings_of_the_environment_are_left_out(monkeypatch, start_patd):
    monkeypatch.setenv("PATD_CONFIG", "/nowhere/patd.toml")
    assert start_patd().create_token([]).secret.startswith("pat_")


def test_a_request_that_is_refused_is_an_error(patd):
    with pytest.raises(DevServerError, match="422"):
        patd.create_token(["no ability"])


def test_the_package_has_all_its_files():
    import patd_client

    names = {path.name for path in pathlib.Path(patd_client.__file__).parent.iterdir()}
    assert {"py.typed", "fastapi.py", "django.py", "dev.py", "pytest_plugin.py"} <= names
