# SPDX-License-Identifier: MIT
"""The page behind the proxies of the samples: with TLS, under /tracker/, seen and used as if the browser reached the bridge itself."""

import http.client
import re
import ssl
import subprocess

import pytest
from certificates import Authority
from conftest import PATIENCE, ROOT, free_port, stop, wait_for
from test_web_tunnel import Browser, connect_packet, fill, frame, subscribe_packet, web  # noqa: F401

SAMPLES = {"haproxy": "haproxy-web.cfg", "nginx": "nginx-web.conf"}


def listens(port):
    def check():
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
            return True
        except OSError:
            return False
    wait_for(check, "the proxy")


def start_haproxy(directory, text, cert, key):
    (directory / "page.pem").write_bytes(cert.read_bytes() + key.read_bytes())
    path = directory / "haproxy.cfg"
    path.write_text(text.replace("/etc/haproxy/page.pem", str(directory / "page.pem")))
    return subprocess.Popen(["haproxy", "-f", path, "-db"], stderr=subprocess.DEVNULL)


def start_nginx(directory, text, cert, key):
    path = directory / "nginx.conf"
    text = text.replace("/etc/nginx/page.pem", str(cert)).replace("/etc/nginx/page.key", str(key))
    places = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    path.write_text(f"daemon off;\nmaster_process off;\npid {directory}/nginx.pid;\nerror_log {directory}/error.log;\n"
                    f"events {{}}\nhttp {{\naccess_log off;\n{places}{text}\n}}\n")
    return subprocess.Popen(["/usr/sbin/nginx", "-c", path, "-e", f"{directory}/start.log"], stderr=subprocess.DEVNULL)


def sample(proxy, public, bridge):
    """The sample with a test's ports."""
    text = (ROOT / "etc" / SAMPLES[proxy]).read_text()
    text, n = re.subn(r"(bind :|listen )443", rf"\g<1>{public}", text)
    text, m = re.subn(r"127\.0\.0\.1:8880(?=[/\n])", f"127.0.0.1:{bridge}", text)
    assert n == 1 and m >= 1
    return text


@pytest.fixture(params=SAMPLES)
def site(request, tmp_path, web):  # noqa: F811
    root = tmp_path / "page"
    root.mkdir()
    (root / "index.html").write_text("page")
    (root / "app.js").write_text("1;")
    ca = Authority(tmp_path)
    cert, key = ca.issue("page")
    listen = free_port()
    bridge = web({"web": {"listen": f"127.0.0.1:{listen}", "root": root, "frame_ancestors": "https://ha.example:8123"},
                  "metrics": {"listen": f"127.0.0.1:{listen}"}})
    bridge.web, bridge.public = listen, free_port()
    process = {"haproxy": start_haproxy, "nginx": start_nginx}[request.param](
        tmp_path, sample(request.param, bridge.public, listen), cert, key)
    try:
        listens(bridge.public)
        bridge.context = ssl.create_default_context(cafile=str(ca.pem))
        yield bridge
    finally:
        stop(process)


def get(site, path, headers=None):
    c = http.client.HTTPSConnection("localhost", site.public, timeout=PATIENCE, context=site.context)
    c.request("GET", path, headers=headers or {})
    answer = c.getresponse()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def browse(site, **headers):
    return Browser(site.public, {"Host": f"localhost:{site.public}", "Origin": f"https://localhost:{site.public}", **headers},
                   wrap=lambda s: site.context.wrap_socket(s, server_hostname="localhost"), path="/tracker/mqtt")


def test_the_page(site):
    status, headers, body = get(site, "/tracker/")
    assert (status, body) == (200, b"page")
    assert "frame-ancestors https://ha.example:8123" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert get(site, "/tracker/app.js")[2] == b"1;" and get(site, "/tracker/config.json")[0] == 200
    status, headers, _ = get(site, "/tracker")
    assert status == 301 and re.sub("^https://localhost(:[0-9]+)?", "", headers["location"]) == "/tracker/"


@pytest.mark.parametrize("path", ["/tracker/metrics", "/tracker/healthz", "/tracker/%6detrics", "/tracker/%6Detric%73", "/tracker//metrics",
                                  "/tracker/./metrics", "/tracker/x/../metrics", "/metrics", "/tracker/metrics?a", "/tracker/metrics/", "/mqtt",
                                  "/tracker/../metrics", "/trackermetrics"])
def test_what_is_not_passed_on(site, path):
    assert get(site, path)[0] in (400, 404)


def test_the_way_to_the_broker(site, subscribe):
    """Many bytes come, and in order; the name of the server is the one that the browser used."""
    fill(subscribe, 100, 4000)
    b = browse(site)
    assert b.status == 101
    b.send(frame(connect_packet()) + frame(subscribe_packet("many/#")))
    data = b""
    while data.count(b"x" * 4000) < 100:
        data += b.receive()[1]
    for n in range(100):
        assert data.count(f"{n:08}".encode() + b"x" * 4000) == 1


def test_rules_hold_behind_it(site):
    for origin in ("https://evil.example", "https://localhost", f"https://127.0.0.1:{site.web}", None, "null"):
        assert browse(site, Origin=origin).status == 403, origin
    b = browse(site)
    b.send(frame(connect_packet(user=None)))
    assert b.close_code() == 1008
    assert browse(site, Upgrade=None, Connection=None).status == 426


def test_who_asks_too_often_is_stopped_at_the_door(site):
    statuses = set()
    for _ in range(300):
        statuses.add(get(site, "/tracker/app.js")[0])
        if 429 in statuses:
            return
    assert 429 in statuses
