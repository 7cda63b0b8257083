# SPDX-License-Identifier: MIT
"""The page in a real browser: what a person sees and can do, and what a stranger cannot make it do."""

import json
import os
import pathlib
import signal
import socket
import subprocess

import pytest

pytest.importorskip("selenium")

from browser import open_page  # noqa: E402, F401
from conftest import Broker, Bridge, Unit, free_port, mqtt_client, v1, wait_for  # noqa: E402

IDENT = "9170503816"
ROOT = pathlib.Path(os.environ.get("T2M_WEB", "")) if os.environ.get("T2M_WEB") else None
pytestmark = pytest.mark.skipif(ROOT is None or not (ROOT / "index.html").is_file(), reason="the page is not built (T2M_WEB)")


class Site:
    def __init__(self, directory, options=None, acl=True):
        passwords = directory / "passwords"
        for n, user in enumerate(["bridge", "viewer", "dispatcher"]):
            subprocess.run(["mosquitto_passwd", *(["-c"] if n == 0 else []), "-b", passwords, user, "secret"], check=True)
        rules = directory / "acl"
        rules.write_text("user bridge\ntopic readwrite #\nuser viewer\ntopic read trackers/#\n"
                         "user dispatcher\ntopic read trackers/#\ntopic write trackers/+/cmd\n")
        os.chmod(rules, 0o600)
        self.public = free_port()
        # the first listener is for the tests' own subscriber, the second one asks for a password
        self.broker = Broker(directory, f"listener {self.public} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
                             f"acl_file {rules}\n", "per_listener_settings true\n")
        self.port = free_port()
        options = options or {}
        options.setdefault("mqtt", {}).update({"username": "bridge", "password": "secret"})
        options.setdefault("web", {}).update({"listen": f"127.0.0.1:{self.port}", "root": ROOT})
        options.setdefault("publish", {}).setdefault("raw", "yes")
        self.url = f"http://127.0.0.1:{self.port}/"
        self.options, self.bridges = options, []

    @property
    def bridge(self):
        return self.bridges[0]

    def start(self, options):
        directory = self.broker.directory / f"bridge{len(self.bridges)}"
        directory.mkdir()
        self.bridges.append(Bridge(directory, self.public, options))
        wait_for(lambda: "connected to broker" in self.bridges[-1].log(), "the broker connection")
        return self.bridges[-1]

    def close(self):
        codes = [bridge.stop() for bridge in self.bridges]
        self.broker.stop()
        for code, bridge in zip(codes, self.bridges):
            assert code == 0 and "Sanitizer" not in bridge.log(), bridge.log()


@pytest.fixture
def make_site(tmp_path):
    made = []

    def make(options=None):
        directory = tmp_path / f"site{len(made)}"
        directory.mkdir()
        made.append(Site(directory, options))
        made[-1].start(made[-1].options)  # what is started is ended, also when this fails
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site):
    return make_site()


def no_faults(page):
    bad = [e for e in page.log() if e["level"] == "SEVERE" or "Content Security Policy" in e["message"]]
    assert not bad, bad


def frame_is_shown(page, unit, clock):
    """Sent until it is: nothing tells when the page's subscription has reached the broker."""
    def shown():
        unit.send(v1(IDENT, clock))
        return f"*HQ,{IDENT},V1,{clock}," in page.text(".frames")

    wait_for(shown, f"the frame of {clock}")


def test_a_unit_appears_and_obeys(site, open_page):  # noqa: F811
    page = open_page()
    page.open(site.url, "dispatcher")
    page.wait_text("No unit has been heard yet.")
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.click(f'[data-name="{IDENT}"]')
    wait_for(lambda: page.shown() == 1, "the unit on the map")
    page.wait_text("position.latitude", ".unit")
    page.click('[data-tab="commands"]')
    page.enter('select[name=command]', 'position.request')
    page.click('.commands button[type="submit"]')
    asked = unit.receive_until(b",D1,")
    assert asked
    page.find('[data-status="sent"]')
    unit.send(v1(IDENT, "123906"))
    page.wait_text("the unit answered", ".requests")
    page.click('[data-tab="frames"]')
    frame_is_shown(page, unit, "124006")
    unit.close()
    page.wait_text("off line", f'[data-name="{IDENT}"]')
    page.wait_text("closed by the unit", ".facts")
    no_faults(page)


def test_what_stops_a_vehicle_is_asked_twice(site, open_page):  # noqa: F811
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + f"#unit={IDENT}", "dispatcher")
    page.click('[data-tab="commands"]')
    page.enter('select[name=command]', 'engine.stop')
    page.click('.commands button[type="submit"]')
    page.find('[role="alertdialog"]')
    assert not page.all(".request")
    page.click('[role="alertdialog"] button[name="yes"]')
    assert unit.receive_until(b",S20,")
    page.wait_text("sent to the unit", ".requests")
    unit.close()


def test_a_viewer_may_not_command(site, open_page):  # noqa: F811
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + f"#unit={IDENT}", "viewer")
    page.click('[data-tab="commands"]')
    page.enter('select[name=command]', 'position.request')
    page.click('.commands button[type="submit"]')
    page.wait_text("does not allow you to send commands", ".requests")
    unit.send(v1(IDENT, "123706"))
    heard = unit.receive_until(b"V4,V1")
    unit.socket.shutdown(socket.SHUT_WR)
    while piece := unit.receive():
        heard += piece
    assert b"D1" not in heard
    unit.close()


def test_each_end_is_told_and_none_is_a_success(make_site, open_page):  # noqa: F811
    site = make_site({"commands": {"timeout": "1s"}})
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + f"#unit={IDENT}", "dispatcher")
    page.click('[data-tab="commands"]')

    def send(text):
        page.enter('input[name=text]', text)
        page.click('.commands button[type="submit"]')
        page.click('[role="alertdialog"] button[name="yes"]')

    send("S32,000000,1")
    page.wait_text("the unit did not answer in time", ".requests")
    send("engine.stop")
    page.wait_text("rejected", ".requests")
    unit.close()
    page.wait_text("off line", ".facts")
    send("S32,000001,1")
    page.wait_text("the unit is not connected", ".requests")
    page.enter('input[name=hold]', '1')
    send("S32,000002,1")
    page.wait_text("the unit is absent: held", ".requests")
    page.wait_text("too old: it was not sent", ".requests")
    assert "the unit answered" not in page.text(".requests") and not page.all(".step.answered")


def test_a_wrong_password(site, open_page):  # noqa: F811
    page = open_page()
    page.open(site.url, "viewer", "wrong")
    page.wait_text("does not know this user and password", ".login")
    assert page.all('input[name="username"]')


def test_the_broker_goes_and_comes(site, open_page):  # noqa: F811
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + f"#unit={IDENT}", "viewer")
    page.wait_text("on line", ".facts")
    page.click('[data-tab="frames"]')
    frame_is_shown(page, unit, "140000")
    site.broker.stop(signal.SIGKILL)
    page.wait_text("The broker is away", ".banners")
    site.broker.start()
    wait_for(lambda: not page.all('[data-banner="away"]'), "the end of the banner")
    frame_is_shown(page, unit, "150000")
    wait_for(lambda: len(page.all(f'[data-name="{IDENT}"]')) == 1, "one row")
    assert page.all(".unit")
    unit.close()


EVIL = ["<img src=x onerror=alert(1)>", "\u202egnp.exe", "a" * 10000, "\x00\x07\x1b[31m", "{{constructor}}", "&lt;b&gt;"]


def test_strangers_stay_text(site, open_page):  # noqa: F811
    """Markup, endless names, control and direction characters from any topic are shown as text, and run nothing."""
    page = open_page()
    page.open(site.url, "viewer")
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.click(f'[data-name="{IDENT}"]')
    unit.send(f"*HQ,{IDENT},V4,S20,130305,OK#")
    page.wait_text("vendor.code", ".unit")  # what is not retained arrives, too
    client = mqtt_client("evil")
    client.username_pw_set("bridge", "secret")
    client.connect("127.0.0.1", site.public)
    client.loop_start()
    for n, evil in enumerate(EVIL):
        record = {"ident": evil, "device.name": evil, evil: evil, "timestamp": 1e9 + n, "server.timestamp": 1e9, "alarms": [evil], "position.valid": True,
                  "position.latitude": 50 + n, "position.longitude": 14, "sos.alarm": True}
        for leaf in ("state", "alarm", "position"):
            client.publish(f"trackers/evil{n}/{leaf}", json.dumps(record), 1).wait_for_publish()
        client.publish(f"trackers/evil{n}/status", json.dumps({"state": "offline", "reason": evil, "since": evil}), 1).wait_for_publish()
        client.publish("trackers/bridge/x/unknown", json.dumps({"peer": evil, "text": evil, "hex": evil, "looks.like": evil}), 1).wait_for_publish()
        client.publish(f"trackers/bridge/evil{n}/stats", json.dumps({"frames": evil, "refused.x": 1, "uptime": evil}), 1).wait_for_publish()
        client.publish(f"trackers/evil{n}/position", b"\xff\xfe\x00", 1).wait_for_publish()
        client.publish(f"trackers/evil{n}/state", json.dumps([1, None, evil]), 1).wait_for_publish()
    client.loop_stop()
    page.wait_text("evil5", ".rows")
    for view in ("alarms", "bridges", "strangers", "add", "units", "map"):
        page.click(f'[data-view="{view}"]')
    for n in range(len(EVIL)):
        page.click(f'[data-name="evil{n}"]')
        page.find(".unit")
    assert not page.all("#app img[src=x]") and "\u202e" not in page.text()
    no_faults(page)


def test_no_request_leaves_the_origin(site, open_page):  # noqa: F811
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url, "viewer")
    wait_for(lambda: page.shown() == 1, "the unit on the map")
    for view in ("units", "alarms", "bridges", "strangers", "add", "map"):
        page.click(f'[data-view="{view}"]')
    urls = page.requests()
    assert any(u.endswith("/mqtt") for u in urls) and any(u.endswith("/world.json") for u in urls)
    assert all(u.startswith((site.url, site.url.replace("http", "ws"), "data:", "blob:", "chrome")) for u in urls), urls
    unit.close()
    no_faults(page)


@pytest.mark.parametrize("options", [{"publish": {"format": "msgpack"}}, {"publish": {"prefix": "a/b"}}])
def test_other_formats_and_prefixes(make_site, open_page, options):  # noqa: F811
    site = make_site(options)
    if "prefix" in options["publish"]:
        rules = site.broker.directory / "acl"
        rules.write_text(rules.read_text().replace("trackers/", "a/b/"))
        site.broker.process.send_signal(signal.SIGHUP)
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + f"#unit={IDENT}", "viewer")
    page.wait_text("position.speed", ".unit")
    unit.close()


def test_a_phone(site, open_page):  # noqa: F811
    """390 x 844, by touch, in the dark: map, list, unit and a command; what is touched is large enough."""
    page = open_page(size=(390, 844), dark=True, touch=True)
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url, "dispatcher")
    wait_for(lambda: page.shown() == 1, "the unit on the map")
    page.click('[data-view="units"]')
    page.click(f'[data-name="{IDENT}"]')
    page.click('[data-tab="commands"]')
    page.find('select[name="command"]')
    small = page.script("""return [...document.querySelectorAll('button, select, input, [role=button]')].filter((e) => e.offsetParent)
        .filter((e) => e.offsetHeight < 40 && !e.closest('.leaflet-control')).map((e) => e.outerHTML.slice(0, 80))""")
    assert not small
    assert page.script("return document.documentElement.scrollWidth") <= 390
    r, g, b = page.script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert r + g + b < 200
    unit.close()


def test_the_table_by_keyboard(site, open_page):  # noqa: F811
    from selenium.webdriver.common.keys import Keys
    page = open_page()
    units = [Unit(site.bridge.port) for _ in range(3)]
    for n, unit in enumerate(units):
        unit.send(v1(f"917050380{n}"))
    page.open(site.url, "viewer")
    wait_for(lambda: len(page.all(".row")) == 3, "three rows")
    page.script("document.querySelector('.row').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait_text("9170503801", ".unit h2")
    for unit in units:
        unit.close()


def test_languages(site, open_page):  # noqa: F811
    """Each language has all words, with the same places for values."""
    texts = {}
    for name in ("en", "de", "es", "pt", "zh"):
        texts[name] = json.loads((pathlib.Path(__file__).parents[2] / "etc/web/src/lang" / f"{name}.json").read_text())
    for name, words in texts.items():
        assert words.keys() == texts["en"].keys(), name
        for key, text in words.items():
            places = [sorted(p.split("}")[0] for p in t.split("{")[1:]) for t in (text, texts["en"][key])]
            assert places[0] == places[1], (name, key)
    page = open_page()
    page.open(site.url, "viewer")
    page.find('[data-view="units"]')
    page.enter('.language select', 'de')
    page.wait_text("Geräte")


def test_two_bridges_one_page(site, open_page):  # noqa: F811
    """A unit that moves from one bridge to the other stays one row."""
    second = site.start({"mqtt": {"username": "bridge", "password": "secret"}, "publish": {"instance": "second", "state": "yes"}})
    page = open_page()
    page.open(site.url, "viewer")
    for port in (site.bridge.port, second.port):
        unit = Unit(port)
        unit.send(v1(IDENT))
        unit.receive()
        page.wait_text("on line", f'[data-name="{IDENT}"]')
        unit.close()
        page.wait_text("off line", f'[data-name="{IDENT}"]')
    assert len(page.all(f'[data-name="{IDENT}"]')) == 1
    page.click('[data-view="bridges"]')
    wait_for(lambda: len(page.all("[data-instance]")) == 2, "both bridges")
