"""Every page: without findings of axe in both schemes, and without overflow at three widths."""

import json

import pytest

from conftest import AXE, SCREENSHOTS, sign_in

WIDTHS = [320, 768, 1440]
ODD_NAMES = [
    '<b onclick="alert(1)">bold</b>',
    "\u0645\u0641\u062a\u0627\u062d \u0627\u0644\u0646\u0634\u0631 (CI)",
    "\U0001f511" * 255,
    "x" * 255,
]


@pytest.fixture(scope="module")
def filled(server):
    """A server with tokens of every state and name: the ids that the paths of pages need."""
    for number, name in enumerate(ODD_NAMES):
        server.create(name, description=name, expires_in_days=7 + number)
    one = server.create("the shop's deployment", abilities=["calls:read", "calls:write", "agents:read", "agents:write"],
                        description="Deploys the shop", expires_in_days=20, metadata={"team": "shop"}, quota=1000,
                        ip_allowlist=["127.0.0.0/8"])
    for _ in range(3):
        server.check(one["token"])
    gone = server.create("revoked")
    server.api("DELETE", f"/api/v1/user/api-tokens/{gone['id']}")
    api = server.api
    environment = api("POST", "/api/v1/environments", {"name": ODD_NAMES[3]})["data"]["id"]
    path = f"/api/v1/environments/{environment}/tokens"
    of_environment = api("POST", path, {"name": ODD_NAMES[1], "abilities": ["calls:read"]})["data"]["id"]
    service = api("POST", "/api/v1/service-accounts", {"name": ODD_NAMES[3], "description": ODD_NAMES[0]})["data"]["id"]
    return {
        "token": one["id"], "environment": environment, "environment_token": of_environment, "service": service,
        "user": server.demo["user_id"],
    }


def pages(ids):
    """The name and the path of every page that a signed-in person can open."""
    token = ids["token"]
    environment = f"/console/environments/{ids['environment']}"
    return {
        "tokens": "/console/tokens",
        "tokens-all": "/console/tokens?state=all&sort=expires",
        "tokens-none": "/console/tokens?search=nothing",
        "new-token": "/console/tokens/new",
        "new-token-filled": f"/console/tokens/new?like={token}",
        "token": f"/console/tokens/{token}",
        "environments": "/console/environments",
        "environment": environment,
        "environment-new-token": f"{environment}/tokens/new",
        "environment-token": f"{environment}/tokens/{ids['environment_token']}",
        "sessions": "/console/sessions",
        "activity": "/console/activity",
        "account": "/console/account",
        "admin-users": "/console/admin/users",
        "admin-user": f"/console/admin/users/{ids['user']}",
        "admin-service-accounts": "/console/admin/service-accounts",
        "admin-service-account": f"/console/admin/service-accounts/{ids['service']}",
        "admin-tokens": "/console/admin/tokens",
        "admin-token": f"/console/admin/tokens/{token}",
        "admin-audit": "/console/admin/audit",
        "admin-nodes": "/console/admin/nodes",
        "admin-leaks": "/console/admin/leaks",
        "missing": "/console/nothing",
    }


def findings(page):
    """What axe finds on the page."""
    page.evaluate(AXE)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    result = page.evaluate("tags => axe.run(document, { runOnly: { type: 'tag', values: tags } })", tags)
    return [
        f"{found['id']}: {node['html'][:160]} {node.get('failureSummary', '')}"
        for found in result["violations"]
        for node in found["nodes"]
    ]


def overflow(page):
    """The elements that reach beyond the width of the window."""
    return page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
            .filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && !node.closest(".wide"))
            .map((node) => node.outerHTML.slice(0, 120))"""
    )


def steps(page):
    """The pages that only a form leads to, with their names."""
    page.goto("/console/tokens/new?name=shown&abilities=calls:read,*")
    page.get_by_role("button", name="Continue to the summary").click()
    yield "review"
    page.get_by_role("button", name="Make the token").click()
    yield "secret"
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    yield "already-made"
    page.goto("/console/tokens/new?name=wrong")
    page.get_by_label("Other abilities").fill("calls:fly")
    page.get_by_role("button", name="Continue to the summary").click()
    yield "mistakes"
    page.goto("/console/tokens")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Revoke the chosen tokens").click()
    yield "revoke-several"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server, filled, open_page, scheme):
    page = open_page(signed_in=False, color_scheme=scheme, bypass_csp=True)
    found = {}

    def look(name):
        for detail in page.locator("details").all():
            detail.evaluate("node => { node.open = true; }")
        if problems := findings(page):
            found[name] = problems

    for path in ["/console/sign-in", "/console/sign-in?done=signed-out", "/console/set-password", "/console/signed-in"]:
        page.goto(path)
        look(path)
    sign_in(page, server)
    for name, path in pages(filled).items():
        page.goto(path)
        look(name)
    for name in steps(page):
        look(name)
    assert not found, json.dumps(found, indent=1)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits(server, filled, open_page, width):
    scheme = "dark" if width == 768 else "light"
    page = open_page(signed_in=False, viewport={"width": width, "height": 900}, color_scheme=scheme)
    found = {}

    def look(name):
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}.png", full_page=True)
        for detail in page.locator("details").all():
            detail.evaluate("node => { node.open = true; }")
        if problems := overflow(page):
            found[name] = problems

    for name, path in {"sign-in": "/console/sign-in", "set-password": "/console/set-password"}.items():
        page.goto(path)
        look(name)
    sign_in(page, server)
    for name, path in pages(filled).items():
        page.goto(path)
        look(name)
    for name in steps(page):
        look(name)
    assert not found, json.dumps(found, indent=1)


def test_the_checks_can_fail(server, open_page):
    page = open_page(bypass_csp=True)
    page.evaluate("""() => {
        document.querySelector("main").insertAdjacentHTML("beforeend",
            '<img src="/console/logo"><input id="bare"><div style="width: 3000px">wide</div>');
    }""")
    assert any(found.startswith("image-alt") for found in findings(page))
    assert overflow(page)


def test_names_are_text(server, filled, open_page):
    page = open_page()
    page.goto("/console/tokens?state=active")
    for name in [name if len(name) <= 60 else name[:60] + "…" for name in ODD_NAMES]:
        link = page.get_by_role("link", name=name, exact=True)
        assert link.is_visible(), name
        assert link.locator("bdi").inner_text() == name
    assert page.locator("main b").count() == 0


def test_print_and_motion(server, filled, open_page):
    page = open_page(reduced_motion="reduce")
    assert page.locator("button").first.evaluate("node => getComputedStyle(node).transitionDuration") == "0s"
    page.emulate_media(media="print")
    assert page.get_by_role("button", name="Sign out").count() == 0 or page.locator(".out").is_hidden()
