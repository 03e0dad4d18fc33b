"""The whole life of a token: by mouse, by keyboard alone, and without JavaScript."""

import re

import pytest
from playwright.sync_api import expect


def secret_of(page):
    return page.locator("#secret").input_value()


def only(server, name):
    """The token with this name, in any state."""
    found = [token for state in ["active", "expired", "revoked"] for token in server.tokens(state) if token["name"] == name]
    assert found, name
    return found[0]


def live(page, server, name, press):
    """Makes, uses, renames, rotates and revokes a token. `press` activates a link or a button."""
    press(page.get_by_role("link", name="New token"))
    page.get_by_label("Name", exact=True).fill(name)
    press(page.get_by_label("calls:read"))
    press(page.get_by_role("button", name="Continue to the summary"))
    expect(page.get_by_text("GET HEAD /calls/**")).to_be_visible()
    assert name not in [token["name"] for token in server.tokens()]
    press(page.get_by_role("button", name="Make the token"))
    secret = secret_of(page)
    assert server.check(secret) == "valid"
    token = only(server, name)
    assert token["abilities"] == ["calls:read"] and token["expires_at"] is not None
    page.on("dialog", lambda dialog: dialog.accept())
    press(page.get_by_role("link", name="Done"))

    press(page.get_by_role("link", name=name, exact=True))
    expect(page.get_by_role("img", name=re.compile("1 use in 30 days"))).to_be_visible()
    press(page.get_by_text("Rename or describe"))
    page.get_by_label("Description").fill("Reads the calls")
    press(page.get_by_role("button", name="Save"))
    expect(page.get_by_text("The token is changed.")).to_be_visible()
    press(page.get_by_role("button", name="Disable"))
    expect(page.get_by_text("The token is disabled.")).to_be_visible()
    assert server.check(secret) != "valid"
    press(page.get_by_role("button", name="Enable"))
    expect(page.get_by_text("The token is enabled.")).to_be_visible()
    assert server.check(secret) == "valid"

    press(page.locator("summary", has_text="Rotate"))
    page.get_by_label("The old secret ends").select_option(label="at once")
    press(page.get_by_role("button", name="Rotate", exact=True))
    expect(page.get_by_text("The old secret has ended.")).to_be_visible()
    second = secret_of(page)
    assert server.check(secret) != "valid" and server.check(second) == "valid"
    press(page.get_by_role("link", name="Done"))

    press(page.get_by_role("link", name=name, exact=True))
    expect(page.get_by_text("Reads the calls").first).to_be_visible()
    press(page.locator("summary", has_text="Revoke"))
    press(page.get_by_role("button", name="Revoke", exact=True))
    expect(page.get_by_text("The token is revoked.")).to_be_visible()
    assert server.check(second) != "valid"


def test_by_mouse(server, open_page):
    page = open_page()
    live(page, server, "by mouse", lambda target: target.click())


def test_by_keyboard_alone(server, open_page):
    page = open_page()
    live(page, server, "by keyboard", lambda target: press_with_keys(page, target))


def press_with_keys(page, target):
    """Walks to the target with the Tab key, as a person does who has no mouse, and activates it."""
    handle = target.element_handle()
    page.locator("body").evaluate("body => { document.activeElement?.blur(); }")
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("target => document.activeElement === target || document.activeElement.contains(target)", handle):
            break
        seen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
    else:
        raise AssertionError(f"the Tab key does not reach the target: {seen}")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "focus is seen"
    is_box = page.evaluate("document.activeElement.type === 'checkbox'")
    page.keyboard.press("Space" if is_box else "Enter")
    page.wait_for_load_state()


def test_without_javascript(server, open_page):
    page = open_page(java_script_enabled=False)
    live(page, server, "without script", lambda target: target.click())
    expect(page.get_by_text("All times are in UTC.")).to_be_visible()


def test_a_secret_is_copied_and_guarded(server, open_page):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/console/tokens/new?name=copied&abilities=calls:read")
    page.get_by_role("button", name="Continue to the summary").click()
    page.get_by_role("button", name="Make the token").click()
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="Done").click()
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"] and page.locator("#secret").is_visible(), "it is not copied yet"
    page.get_by_role("button", name="Copy").first.click()
    page.locator("#announce", has_text="Copied.").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == secret_of(page)
    page.get_by_role("link", name="Done").click()
    page.wait_for_url("**/console/tokens")
    assert asked == ["beforeunload"]


def test_a_form_that_is_sent_twice_makes_one_token(server, open_page):
    page = open_page()
    page.goto("/console/tokens/new?name=twice&abilities=calls:read")
    page.get_by_role("button", name="Continue to the summary").click()
    page.get_by_role("button", name="Make the token").dblclick()
    page.locator("h1", has_text=re.compile("Your new token|made already")).wait_for()
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.get_by_text("This token was made already")).to_be_visible()
    assert [token["name"] for token in server.tokens()].count("twice") == 1


def test_after_signing_out_the_back_button_shows_nothing(server, open_page):
    page = open_page()
    page.goto("/console/account")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.go_back()
    page.wait_for_load_state()
    page.wait_for_url("**/console/sign-in**")
    assert server.demo["email"] not in page.content()


def test_a_session_that_ended_elsewhere_comes_back_to_its_page(server, open_page):
    page = open_page()
    page.goto("/console/activity")
    sessions = server.api("GET", "/api/v1/user/sessions")["data"]
    for session in sessions:
        if not session["current"]:
            server.api("DELETE", f"/api/v1/user/sessions/{session['id']}")
    page.reload()
    expect(page.get_by_text("Sign in to see this page.")).to_be_visible()
    page.get_by_label("E-mail address").fill(server.demo["email"])
    page.get_by_label("Password", exact=True).fill(server.demo["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/activity")


def test_errors_are_announced_and_lead_to_their_field(server, open_page):
    page = open_page()
    page.goto("/console/tokens/new?name=mistaken")
    page.get_by_label("Other abilities").fill("calls:fly")
    page.get_by_role("button", name="Continue to the summary").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_visible()
    assert summary.evaluate("node => node === document.activeElement")
    summary.get_by_role("link").first.click()
    assert page.evaluate("document.activeElement.id") == "abilities"
    assert page.get_by_label("Other abilities").input_value() == "calls:fly"


def test_lists_are_filtered_while_one_types(server, open_page):
    for name in ["filter one", "filter two"]:
        server.create(name)
    page = open_page()
    page.get_by_label("Search by name").fill("FILTER O")
    expect(page.get_by_role("link", name="filter one")).to_be_visible()
    expect(page.get_by_role("link", name="filter two")).to_be_hidden()
    page.locator("#announce", has_text="1 shown").wait_for(state="attached")


def test_times_are_in_the_zone_of_the_reader(server, open_page):
    page = open_page()
    expect(page.get_by_text("All times are in your time zone: Europe/Vienna")).to_be_visible()
    assert "(Europe/Vienna)" in page.locator("time").first.get_attribute("title")


def test_framing_is_refused(server, open_page):
    page = open_page()
    page.route("**/framing", lambda route: route.fulfill(
        body=f'<iframe id="f" src="{server.url}/console/tokens"></iframe>', content_type="text/html"))
    page.goto("http://framing.test/framing")
    page.wait_for_timeout(500)
    assert all("Tokens" not in frame.content() for frame in page.frames if frame != page.main_frame)
    page.problems.clear()


@pytest.mark.parametrize("method", ["cross-site form", "no headers"])
def test_a_form_of_another_site_is_refused(server, open_page, method):
    page = open_page()
    token = server.create(f"forged by {method}")
    target = f"{server.url}/console/tokens/{token['id']}"
    if method == "no headers":
        # A script cannot forge the headers that say where a form comes from; a client that hides them is refused.
        answer = page.context.request.post(target, form={"do": "revoke"})
        assert answer.status == 403
    else:
        form = f'<form method="post" action="{target}"><button name="do" value="revoke">Win</button></form>'
        page.route("**/evil", lambda route: route.fulfill(body=form, content_type="text/html"))
        page.goto("http://evil.test/evil")
        page.get_by_role("button", name="Win").click()
        page.wait_for_load_state()
    assert server.check(token["token"]) == "valid"
    page.problems.clear()
