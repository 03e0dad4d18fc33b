"""FastAPI and Django REST framework with the real server."""

import django
import pytest
from django.conf import settings
from patd_client import AsyncClient, Client

settings.configure(ALLOWED_HOSTS=["*"], REST_FRAMEWORK={"UNAUTHENTICATED_USER": None}, SECRET_KEY="x")
django.setup()

from fastapi import Depends, FastAPI  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402
from patd_client import django as patd_django, fastapi as patd_fastapi  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.test import APIRequestFactory  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class FastApiApplication:
    """An application with one route that needs `calls:read`."""

    def __init__(self, url, token, accept_sessions=False):
        app = FastAPI()
        address = lambda request: request.headers.get("X-Test-Address")  # noqa: E731
        tokens = patd_fastapi.Tokens(AsyncClient(url, token, timeout=0.5), accept_sessions=accept_sessions, address=address)

        @app.get("/calls")
        async def calls(verdict=Depends(tokens("calls:read"))):
            return {"owner": verdict.owner.id}

        self.client = TestClient(app)

    def get(self, authorization=None, address="192.0.2.7"):
        headers = {"X-Test-Address": address}
        if authorization is not None:
            headers["Authorization"] = authorization
        response = self.client.get("/calls", headers=headers)
        body = response.json()
        return response.status_code, body.get("detail", body), response.headers


class DjangoApplication:
    """The same with Django."""

    def __init__(self, url, token, accept_sessions=False):
        accepts = accept_sessions

        class Tokens(patd_django.TokenAuthentication):
            client = Client(url, token, timeout=0.5)
            accept_sessions = accepts

        class Calls(APIView):
            authentication_classes = [Tokens]
            permission_classes = [patd_django.HasAbilities]
            required_abilities = {"GET": ["calls:read"]}

            def get(self, request):
                return Response({"owner": request.user.id})

            def delete(self, request):
                return Response({})

        self.view = Calls.as_view()

    def get(self, authorization=None, address="192.0.2.7", method="get"):
        headers = {"REMOTE_ADDR": address}
        if authorization is not None:
            headers["HTTP_AUTHORIZATION"] = authorization
        response = self.view(getattr(APIRequestFactory(), method)("/calls", **headers))
        response.accepted_renderer = None
        return response.status_code, response.data, response.headers


@pytest.fixture(params=[FastApiApplication, DjangoApplication], ids=["fastapi", "django"])
def application(request):
    return request.param


@pytest.fixture
def app(application, patd):
    return application(patd.url, patd.introspect_token)


def test_a_valid_token_passes(app, patd):
    token = patd.create_token(["calls:read"])
    status, body, _ = app.get(f"Bearer {token.secret}")
    assert (status, body) == (200, {"owner": patd.api("GET", "/api/user")["id"]})
    assert app.get(f"bearer  {token.secret}")[0] == 200


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic dTpw", "pat_x"])
def test_a_request_without_a_token_is_a_401_without_an_error(app, authorization):
    status, _, headers = app.get(authorization)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("end", ["revoked", "malformed", "elsewhere", "expired"])
def test_a_token_that_is_not_accepted_is_a_401(app, patd, expired, end):
    limits = {"ip_allowlist": ["198.51.100.7"]} if end == "elsewhere" else {}
    token = patd.create_token(["calls:read"], **limits)
    if end == "revoked":
        patd.revoke_token(token)
    secret = {"malformed": "x", "expired": expired}.get(end, token.secret)
    status, body, headers = app.get(f"Bearer {secret}")
    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
    # The reason is not told.
    assert end not in str(body)


def test_the_address_of_the_client_is_checked(app, patd):
    token = patd.create_token(["calls:read"], ip_allowlist=["192.0.2.7", "fe80::1"])
    assert app.get(f"Bearer {token.secret}", address="192.0.2.7")[0] == 200
    assert app.get(f"Bearer {token.secret}", address="::ffff:192.0.2.7")[0] == 200
    assert app.get(f"Bearer {token.secret}", address="fe80::1%eth0")[0] == 200
    assert app.get(f"Bearer {token.secret}", address="192.0.2.8")[0] == 401
    assert app.get(f"Bearer {token.secret}", address="a socket")[0] == 401


def test_a_missing_ability_is_a_403(app, patd):
    token = patd.create_token(["calls:write"])
    status, body, headers = app.get(f"Bearer {token.secret}")
    assert (status, body["code"], body["required"]) == (403, "missing_ability", ["calls:read"])
    assert headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="calls:read"'


def test_a_session_passes_only_where_it_is_accepted(application, app, patd):
    status, body, _ = app.get(f"Bearer {patd.session_token}")
    assert (status, body["code"]) == (403, "wrong_kind")
    accepting = application(patd.url, patd.introspect_token, accept_sessions=True)
    assert accepting.get(f"Bearer {patd.session_token}")[0] == 200


def test_a_limit_is_a_429(app, patd):
    token = patd.create_token(["calls:read"], requests_per_minute=1)
    assert app.get(f"Bearer {token.secret}")[0] == 200
    status, body, _ = app.get(f"Bearer {token.secret}")
    assert (status, body["code"]) == (429, "too_many_attempts")
    token = patd.create_token(["calls:read"], quota=1)
    assert app.get(f"Bearer {token.secret}")[0] == 200
    status, body, _ = app.get(f"Bearer {token.secret}")
    assert (status, body["code"]) == (429, "quota_exceeded")


def test_what_cannot_be_known_is_a_503(application, patd, dead_url, fake_server, caplog):
    token = patd.create_token(["calls:read"])
    for url, own in [(dead_url, "own"), (fake_server(None).url, "own"), (patd.url, "own")]:
        caplog.clear()
        status, body, headers = application(url, own).get(f"Bearer {token.secret}")
        assert (status, body["code"], headers["Retry-After"]) == (503, "undecided", "1")
        assert "WWW-Authenticate" not in headers
        assert "a token could not be checked" in caplog.text


def test_a_method_for_which_the_view_names_no_abilities_is_refused(patd):
    token = patd.create_token(["*"])
    app = DjangoApplication(patd.url, patd.introspect_token)
    assert app.get(f"Bearer {token.secret}", method="delete")[0] == 405
    assert app.get(f"Bearer {token.secret}", method="head")[0] == 200


def test_what_another_class_authenticated_lacks_the_abilities():
    class Everybody(BaseAuthentication):
        def authenticate(self, request):
            return object(), None

    class Calls(APIView):
        authentication_classes = [Everybody]
        permission_classes = [patd_django.HasAbilities]

        def get(self, request):
            return Response({})

    assert Calls.as_view()(APIRequestFactory().get("/")).status_code == 403
