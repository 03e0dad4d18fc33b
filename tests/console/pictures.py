"""Makes the pictures of docs/console.md: PATD=BINARY AXE=/dev/null SCREENSHOTS=. python tests/console/pictures.py DIRECTORY"""

import pathlib
import sys
import tempfile

from playwright.sync_api import sync_playwright

from conftest import CHROMIUM, Server, sign_in

SIZE = {"width": 1024, "height": 640}


def main():
    pictures = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        server = Server(pathlib.Path(directory))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            take(server, browser, pictures)
        finally:
            browser.close()
            server.stop()


def take(server, browser, pictures):
    server.create("nightly report", description="Sends the report of the day", expires_in_days=14)
    old = server.create("old importer", expires_in_days=60)
    server.api("POST", f"/api/v1/user/api-tokens/{old['id']}/disable")
    shop = server.create("shop deployment", description="Deploys from the main branch",
                         abilities=["calls:read", "calls:write", "agents:read", "agents:write"], expires_in_days=90)
    for _ in range(5):
        server.check(shop["token"])

    def page_of(scheme, **size):
        page = browser.new_context(base_url=server.url, color_scheme=scheme, viewport=SIZE | size).new_page()
        sign_in(page, server)
        return page

    page = page_of("light")
    page.screenshot(path=pictures / "tokens.png")
    page.goto("/console/tokens/new?name=backup&abilities=calls:read")
    page.screenshot(path=pictures / "new-token.png")
    page = page_of("dark", height=760)
    page.goto(f"/console/tokens/{shop['id']}")
    page.screenshot(path=pictures / "token.png")
    page = page_of("dark", width=360)
    page.screenshot(path=pictures / "phone.png")


main()
