"""The examples of the README, as they are."""

import os
import pathlib
import re
import subprocess
import sys

import test_frameworks  # noqa: F401 (it configures Django)
from fastapi.testclient import TestClient
from rest_framework.test import APIRequestFactory

README = pathlib.Path(os.environ["README"]).read_text()
CHECK, FASTAPI, DJANGO, *PYTEST = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def run(example, patd, monkeypatch):
    monkeypatch.setenv("PATD_URL", patd.url)
    monkeypatch.setenv("PATD_INTROSPECT_TOKEN", patd.introspect_token)
    names = {"__name__": "example"}
    exec(compile(example, "README.md", "exec"), names)
    return names


def test_the_check(patd, monkeypatch, capsys):
    names = run(CHECK, patd, monkeypatch)
    owner = patd.api("GET", "/api/user")["id"]
    may, may_not = patd.create_token(["calls:read"]).secret, patd.create_token([]).secret
    statuses = [names["may_read_calls"](token, "192.0.2.7") for token in (may, may_not, "pat_x")]
    assert statuses == [200, 403, 401]
    assert capsys.readouterr().out == f"used by {owner}\n"
    names["patd"]._headers = names["Client"]("http://127.0.0.1:1", "wrong")._headers
    assert names["may_read_calls"](may, "192.0.2.7") == 503


def test_fastapi(patd, monkeypatch):
    app = TestClient(run(FASTAPI, patd, monkeypatch)["app"])
    token = patd.create_token(["calls:read"]).secret
    assert app.get("/calls", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert app.get("/calls").status_code == 401
    # The description of the API names the scheme.
    assert app.get("/openapi.json").json()["components"]["securitySchemes"] == {"HTTPBearer": {"type": "http", "scheme": "bearer"}}


def test_django(patd, monkeypatch):
    view = run(DJANGO, patd, monkeypatch)["Calls"].as_view()
    token = patd.create_token(["calls:read"]).secret
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {token}")
    assert view(request).data == {"owner": patd.api("GET", "/api/user")["id"]}
    assert view(APIRequestFactory().get("/")).status_code == 401


def test_pytest(tmp_path):
    (tmp_path / "test_example.py").write_text("\n".join(PYTEST))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True).stdout
    assert "2 passed" in output, output
