"""A server, a browser and a person for the tests of the console."""

import json
import os
import pathlib
import subprocess
import urllib.request

import pytest
from playwright.sync_api import sync_playwright

PATD = os.environ["PATD"]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
AXE = pathlib.Path(os.environ["AXE"]).read_text()
SCREENSHOTS = pathlib.Path(os.environ["SCREENSHOTS"])

SETTINGS = """
[tokens]
abilities = ["calls:read", "calls:write", "agents:read", "agents:write", "settings:write"]
[[policies]]
name = "app"
rules = [
    { paths = ["/health"], public = true },
    { methods = ["GET", "HEAD"], paths = ["/calls/**"], abilities = ["calls:read"] },
    { paths = ["/calls/**"], abilities = ["calls:write"] },
]
"""


class Server:
    """A throwaway server, and the secrets that it printed."""

    def __init__(self, directory):
        settings = directory / "patd.toml"
        settings.write_text(SETTINGS)
        self.process = subprocess.Popen(
            [PATD, "dev", "--port", "0", "--json", "--config", str(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.demo = json.loads(self.process.stdout.readline())
        self.url = self.demo["url"]

    def api(self, method, path, body=None, session=None):
        """Asks the API with a session, and returns the answer."""
        request = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else json.dumps(body).encode()
        )
        request.add_header("Authorization", f"Bearer {session or self.demo['session_token']}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def create(self, name, **fields):
        """Creates a token."""
        body = {"name": name, "abilities": ["calls:read"], "expires_in_days": 60, **fields}
        return self.api("POST", "/api/v1/user/api-tokens", body)["data"]

    def tokens(self, state="active"):
        """The tokens of the demo user."""
        return self.api("GET", f"/api/v1/user/api-tokens?state={state}")["data"]

    def check(self, secret, method="GET", path="/calls/1"):
        """The status of a check of the policy by a secret."""
        request = urllib.request.Request(f"{self.url}/api/v1/tokens/verify", method="POST")
        request.add_header("Authorization", f"Bearer {self.demo['introspect_token']}")
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps({"token": secret, "abilities": ["calls:read"]}).encode()
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["data"]["code"]

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, server):
    """Opens a page in a browser of its own. What the page logs as an error fails the test."""
    contexts = []

    def open_page(signed_in=True, **options):
        context = browser.new_context(base_url=server.url, locale="en-US", timezone_id="Europe/Vienna", **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda line: page.problems.append(line.text) if is_problem(line) else None)
        if signed_in:
            sign_in(page, server)
        return page

    yield open_page
    problems = [problem for context in contexts for page in context.pages for problem in page.problems]
    for context in contexts:
        context.close()
    assert problems == []


def is_problem(line):
    """A status that the page answers on purpose is no problem of the page."""
    return line.type == "error" and "the server responded with a status of" not in line.text


def sign_in(page, server, password=None):
    page.goto("/console/sign-in")
    page.get_by_label("E-mail address").fill(server.demo["email"])
    page.get_by_label("Password", exact=True).fill(password or server.demo["password"])
    page.get_by_role("button", name="Sign in").click()
