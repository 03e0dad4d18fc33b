"""Both clients against the real server and against servers that misbehave."""

import asyncio
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from answers import MISBEHAVING, TOKEN, answer, verdict
from patd_client import AsyncClient, Cache, Client, Undecided

#: No token of this client may show up anywhere.
OWN = "pat_ownsecretownsecretownsecretownsecret12345678"


def make_old(cache):
    """Lets the time of all entries pass."""
    for key, (_, verdict) in list(cache._entries.items()):
        cache._entries[key] = (time.monotonic(), verdict)


def test_a_valid_token_is_accepted(client, patd):
    token = patd.create_token(["calls:read"], name="deploy", metadata={"team": "payments"})
    verdict = client.verify(token.secret, ["calls:read"])
    assert verdict and (verdict.valid, verdict.code) == (True, "valid")
    assert verdict.token.id == token.id
    assert (verdict.token.type, verdict.token.name) == ("personal_access_token", "deploy")
    assert verdict.token.abilities == ("calls:read",)
    assert verdict.token.metadata == {"team": "payments"}
    assert (verdict.owner.type, verdict.owner.email) == ("user", "demo@example.com")


def test_a_token_is_refused_as_soon_as_it_is_revoked(client, patd):
    token = patd.create_token(["calls:read"])
    assert client.verify(token.secret).valid
    patd.revoke_token(token)
    assert client.verify(token.secret).code == "revoked"


def test_an_expired_token_is_refused(client, expired):
    assert client.verify(expired).code == "expired"


def test_a_missing_ability_is_named(client, patd):
    token = patd.create_token(["calls:read"])
    verdict = client.verify(token.secret, ["calls:read", "calls:write"])
    assert not verdict
    assert (verdict.code, verdict.token) == ("missing_ability", None)
    assert verdict.required == ("calls:read", "calls:write")
    assert verdict.missing == ("calls:write",)


@pytest.mark.parametrize("token", ["", "x", "pat_unknown", "pät_\N{SNOWMAN}\0"])
def test_what_is_no_token_is_refused(client, token):
    assert client.verify(token).code == "malformed"


def test_an_unknown_token_is_refused(client, start_patd):
    token = start_patd().create_token([])
    assert client.verify(token.secret).code == "unknown"


def test_the_address_decides_about_a_token_that_allows_some(client, patd):
    token = patd.create_token([], ip_allowlist=["192.0.2.0/24"])
    assert client.verify(token.secret, ip="192.0.2.7").valid
    assert client.verify(token.secret, ip="198.51.100.7").code == "ip_not_allowed"
    assert client.verify(token.secret).code == "ip_not_allowed"


def test_limits_are_refusals(client, patd):
    token = patd.create_token([], requests_per_minute=1)
    assert client.verify(token.secret).valid
    assert client.verify(token.secret).code == "rate_limited"
    token = patd.create_token([], quota=1)
    assert client.verify(token.secret).valid
    assert client.verify(token.secret).code == "quota_exceeded"


def test_an_ability_that_is_none_is_a_mistake_of_the_application(client, patd):
    token = patd.create_token(["*"])
    with pytest.raises(Undecided, match="422"):
        client.verify(token.secret, ["no ability"])
    with pytest.raises(TypeError):
        client.verify(token.secret, "calls:read")


def test_a_credential_of_the_client_that_is_refused_says_nothing_about_the_token(make_client, patd):
    token = patd.create_token(["*"])
    with pytest.raises(Undecided, match="401"):
        make_client(patd.url, OWN).verify(token.secret)
    with pytest.raises(Undecided, match="403"):
        make_client(patd.url, token.secret).verify(token.secret)


@pytest.mark.parametrize("kind", MISBEHAVING)
def test_what_is_no_verdict_is_undecided(make_client, fake_server, kind):
    with pytest.raises(Undecided):
        make_client(fake_server(MISBEHAVING[kind]).url, OWN).verify("pat_x")


def test_a_redirect_is_not_followed(make_client, fake_server):
    elsewhere = fake_server(answer("200 OK", verdict()))
    for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
        redirect = fake_server(answer(status, "", f"Location: {elsewhere.url}/api/v1/tokens/verify"))
        with pytest.raises(Undecided, match=status[:3]):
            make_client(redirect.url, OWN).verify("pat_x")
    assert elsewhere.connections == 0


def test_an_answer_without_an_end_is_undecided(make_client, fake_server):
    server = fake_server(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + b" " * 3_000_000)
    with pytest.raises(Undecided, match="too large"):
        make_client(server.url, OWN).verify("pat_x")


def test_a_server_that_is_down_is_undecided(make_client, dead_url):
    with pytest.raises(Undecided, match="no answer"):
        make_client(dead_url, OWN).verify("pat_x")


def test_a_server_that_is_silent_is_undecided(make_client, fake_server):
    with pytest.raises(Undecided, match="no answer from patd: (Read)?Timeout"):
        make_client(fake_server(None).url, OWN, timeout=0.2).verify("pat_x")


def test_a_server_that_sends_a_byte_at_a_time_is_undecided(make_client, fake_server):
    server = fake_server(answer("200 OK", verdict()), pause=0.05)
    # The whole answer would be a verdict, after 15 seconds.
    with pytest.raises(Undecided, match="no answer"):
        make_client(server.url, OWN, timeout=0.5).verify("pat_x")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("options, expected", [({}, (1.0, 2.0)), ({"connect_timeout": 0.3, "timeout": 0.7}, (0.3, 0.7))])
def test_the_time_outs_are_the_documented_ones(kind, options, expected):
    client = kind("http://127.0.0.1:1", OWN, **options)
    assert (client._extensions["timeout"]["connect"], client._timeout) == expected


def test_a_connection_is_used_again(make_client, fake_server):
    server = fake_server(answer("200 OK", verdict()))
    client = make_client(server.url, OWN)
    for _ in range(20):
        assert client.verify("pat_x").valid
    assert (server.connections, len(server.requests)) == (1, 20)


def test_a_connection_that_the_server_closed_is_not_used(make_client, fake_server, patd):
    server = fake_server(answer("200 OK", verdict(), "Connection: close"))
    client = make_client(server.url, OWN)
    for _ in range(3):
        assert client.verify("pat_x").valid
    assert server.connections == 3


def test_threads_share_a_client(patd):
    token = patd.create_token(["calls:read"])
    with Client(patd.url, patd.introspect_token) as client, ThreadPoolExecutor(8) as threads:
        verdicts = threads.map(lambda needed: (needed, client.verify(token.secret, [needed])), ["calls:read", "calls:write"] * 50)
        assert all(verdict.valid == (needed == "calls:read") for needed, verdict in verdicts)


def test_a_fork_does_not_share_a_connection(fake_server):
    server = fake_server(answer("200 OK", verdict()))
    client = Client(server.url, OWN)
    assert client.verify("pat_x").valid
    child = os.fork()
    if child == 0:
        os._exit(0 if client.verify("pat_x").valid else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert client.verify("pat_x").valid
    assert server.connections == 2


def test_an_event_loop_does_not_use_connections_of_another(patd):
    client = AsyncClient(patd.url, patd.introspect_token)
    token = patd.create_token([]).secret
    for _ in range(3):
        assert asyncio.run(client.verify(token)).valid


def test_nothing_shows_the_credential_of_the_client(make_client, fake_server, dead_url, caplog):
    caplog.set_level(logging.DEBUG, logger="patd_client")
    shown = []
    for url in (dead_url, fake_server(MISBEHAVING["401 of the client's own token"]).url, fake_server(MISBEHAVING["no HTTP"]).url):
        client = make_client(url, OWN)
        shown.append(repr(client))
        with pytest.raises(Undecided) as error:
            client.verify("pat_presented")
        shown += [repr(error.value), str(error.value), repr(error.value.__cause__)]
    for token in ("", OWN + "\n", OWN + " x", OWN + "\N{SNOWMAN}"):
        with pytest.raises(ValueError) as error:
            make_client(dead_url, token)
        shown.append(repr(error.value))
    assert len(shown) == 16
    assert not [text for text in [*shown, caplog.text] if OWN in text or "pat_presented" in text]


@pytest.mark.parametrize("url", ["", "patd.example.com", "ftp://h", "http://", "http://user:secret@h", "http://h?x=1", "http://h#x"])
def test_a_url_that_is_none_is_refused(make_client, url):
    with pytest.raises(ValueError):
        make_client(url, OWN)


def test_a_path_in_front_of_the_api_is_kept(make_client, fake_server):
    server = fake_server(answer("200 OK", verdict()))
    make_client(server.url + "/patd/", OWN).verify("pat_x", ["a"], ip="::1")
    assert server.requests[0].startswith(b"POST /patd/api/v1/tokens/verify HTTP/1.1\r\n")
    assert server.requests[0].endswith(b'\r\n\r\n{"token": "pat_x", "abilities": ["a"], "ip": "::1"}')


def test_nothing_is_cached_by_default(make_client, fake_server):
    server = fake_server(answer("200 OK", verdict()))
    client = make_client(server.url, OWN)
    client.verify("pat_x"), client.verify("pat_x")
    assert len(server.requests) == 2


def test_a_cache_accepts_a_revoked_token_until_its_age(make_client, patd):
    cache = Cache(max_age=3600)
    client = make_client(patd.url, patd.introspect_token, cache=cache)
    token = patd.create_token(["calls:read"])
    assert client.verify(token.secret, ["calls:read"]).valid
    patd.revoke_token(token)
    assert client.verify(token.secret, ["calls:read"]).valid, "this is what the cache costs"
    assert client.verify(token.secret, []).code == "revoked", "another question is not in the cache"
    assert client.verify(token.secret, ["calls:read"], ip="::1").code == "revoked"
    assert len(cache) == 1
    make_old(cache)
    assert client.verify(token.secret, ["calls:read"]).code == "revoked"
    assert len(cache) == 0


def test_a_cache_keeps_neither_refusals_nor_secrets_nor_too_much(make_client, fake_server):
    refused = fake_server(answer("200 OK", '{"data":{"valid":false,"code":"revoked"}}'))
    failing = fake_server(MISBEHAVING["500"])
    cache = Cache(max_age=3600, max_entries=2)
    client = make_client(refused.url, OWN, cache=cache)
    assert [client.verify("pat_x").code for _ in range(2)] == ["revoked"] * 2
    client = make_client(failing.url, OWN, cache=cache)
    for _ in range(2):
        with pytest.raises(Undecided):
            client.verify("pat_x")
    assert (len(refused.requests), len(failing.requests), len(cache)) == (2, 2, 0)
    accepting = fake_server(answer("200 OK", verdict()))
    client = make_client(accepting.url, OWN, cache=cache)
    for token in ("pat_a", "pat_b", "pat_c", "pat_c", "pat_b"):
        client.verify(token, ["b", "a"])
    client.verify("pat_c", ["a", "b"])
    assert (len(accepting.requests), len(cache)) == (3, 2)
    assert "pat_" not in repr(vars(cache))


@pytest.mark.parametrize("expires_at", ["2020-01-01T00:00:00Z", "soon"])
def test_an_expired_token_is_not_cached(make_client, fake_server, expires_at):
    server = fake_server(answer("200 OK", verdict(token={**TOKEN, "expires_at": expires_at})))
    cache = Cache(max_age=3600)
    client = make_client(server.url, OWN, cache=cache)
    assert client.verify("pat_x").valid and len(cache) == 0
    assert client.verify("pat_x").valid and len(server.requests) == 2


def test_a_cache_stops_at_the_expiry_of_a_token(make_client, fake_server, monkeypatch):
    expires_at = datetime.fromtimestamp(time.time() + 600, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    server = fake_server(answer("200 OK", verdict(token={**TOKEN, "expires_at": expires_at})))
    client = make_client(server.url, OWN, cache=Cache(max_age=3600))
    for later, requests in [(0, 1), (500, 1), (600, 2)]:
        clock = SimpleNamespace(time=time.time, monotonic=lambda: time.monotonic() + later)
        monkeypatch.setattr("patd_client._cache.time", clock)
        assert client.verify("pat_x").valid
        assert len(server.requests) == requests, later


@pytest.mark.parametrize("options", [{"max_age": 0}, {"max_age": -1}, {"max_age": 1, "max_entries": 0}])
def test_a_cache_needs_limits(options):
    with pytest.raises(ValueError):
        Cache(**options)
