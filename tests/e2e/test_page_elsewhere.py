# SPDX-License-Identifier: MIT
"""The page under another's address, in a real browser: behind the proxies of the samples, and inside a page of another server, as Home
Assistant shows it."""

import http.server
import threading

import pytest

pytest.importorskip("selenium")

from browser import Page, start_browser  # noqa: E402
from certificates import Authority  # noqa: E402
from conftest import Unit, free_port, stop, v1, wait_for  # noqa: E402
from pagesite import IDENT, built, make_site  # noqa: E402, F401
from test_web_proxy import SAMPLES, listens, sample, start_haproxy, start_nginx  # noqa: E402

# ruff: noqa: F811
pytestmark = built


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    """A browser that takes any certificate."""
    driver = start_browser(tmp_path_factory.mktemp("trusting"), any_certificate=True)
    yield driver
    driver.quit()


@pytest.mark.parametrize("proxy", SAMPLES)
def test_under_a_path_with_tls(make_site, trusting, tmp_path, proxy):
    """Login, map, a command that reaches the unit, and what became of it; every request stays below the path."""
    site, public = make_site(), free_port()
    cert, key = Authority(tmp_path).issue("page")
    process = {"haproxy": start_haproxy, "nginx": start_nginx}[proxy](tmp_path, sample(proxy, public, site.port), cert, key)
    page, unit = Page(trusting), Unit(site.bridge.port)
    try:
        listens(public)
        unit.send(v1(IDENT))
        url = f"https://localhost:{public}/tracker/"
        page.open(f"{url}#unit={IDENT}", "dispatcher")
        wait_for(lambda: page.shown() == 1, "the unit on the map")
        page.click('[data-tab="commands"]')
        page.enter('select[name="command"]', "position.request")
        page.click('.commands button[type="submit"]')
        assert unit.receive_until(b",D1,")
        page.wait_text("sent to the unit", ".requests")
        urls = page.requests()
        assert any(u == f"wss://localhost:{public}/tracker/mqtt" for u in urls) and any(u.endswith("/tracker/world.json") for u in urls)
        assert all(u.startswith((url, url.replace("https", "wss"), "data:", "blob:", "chrome")) for u in urls), urls
        page.no_faults()
    finally:
        unit.close()
        page.close()
        stop(process)


@pytest.fixture
def around():
    """Another server, whose page shows the one of `url` inside it."""
    class Around(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f'<!doctype html><title>around</title><iframe width="900" height="600" src="{self.server.url}"></iframe>'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *a):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Around)
    server.origin = f"http://localhost:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "not allowed"])
def test_inside_another_servers_page(make_site, trusting, around, allowed):
    """As a panel of Home Assistant: with [web] frame_ancestors it works there, without it no other page may show it."""
    site = make_site({"web": {"frame_ancestors": around.origin}} if allowed else {})
    around.url = site.url
    page, unit = Page(trusting), Unit(site.bridge.port)
    try:
        unit.send(v1(IDENT))
        page.driver.get(around.origin)
        page.driver.switch_to.frame(page.find("iframe"))
        if allowed:
            page.find('input[name="username"]').send_keys("viewer")
            page.find('input[name="password"]').send_keys("secret")
            page.click('button[type="submit"]')
            wait_for(lambda: page.shown() == 1, "the unit on the map")
            page.no_faults()
        else:
            wait_for(lambda: any("frame-ancestors" in e["message"] for e in page.log()), "the browser's word")
            assert not page.all("#app")
        page.driver.switch_to.default_content()
    finally:
        unit.close()
        page.close()
