# SPDX-License-Identifier: MIT
"""The page against what units, strangers and others on the broker may send: it shows what it can, as text, and goes on."""

import json

import msgpack
import pytest

pytest.importorskip("selenium")

from browser import chromium, open_page  # noqa: E402, F401
from conftest import Unit, v1, wait_for  # noqa: E402
from pagesite import IDENT, built, make_site, site  # noqa: E402, F401

# ruff: noqa: F811
pytestmark = built
VIEWS = ("units", "alarms", "bridges", "strangers", "add", "map")
LEAVES = ("status", "state", "position", "telemetry", "alarm", "raw", "cmd/reply", "cmd", "raw/set", "x/y")
EVIL = ["<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "\u202egnp.exe", "a" * 10000, "\x00\x07\x1b[31m", "{{constructor}}", "&lt;b&gt;", "\u2066\u200f\ufeff", "🚚 Лкв 貨車", "__proto__",
        "javascript:alert(1)", "${alert(1)}", "é" * 50 + "\u0301" * 500]
NAMES = ["__proto__", "constructor", "toString", "hasOwnProperty", "🚚", "a b", "'\"><b>", "%2e%2e", "..", "x" * 300, "9" * 20, "null", "unknown", "-1"]
DEEP = b"[" * 20000 + b"]" * 20000
BYTES = [b"", b"{", b"null", b"true", b"[]", b"{}", b"0", b"\"text\"", b"\xff\xfe\x00", b"\x81", b"\x82\xa1a\x01\xa1", b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc7\x05\x01hello", b"\x81\xa1t\xd6\xff\x00\x00\x00\x01",
         b"\x81\xa9__proto__\x81\xa1x\x01", b"\xef\xbb\xbf{}", DEEP, b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"ident":' + DEEP + b"}", b"{\"n\":\"" + b"n" * 1_000_000 + b"\"}", b"online", b"1e999", b"NaN"]
ODD = [None, True, 0, -1, 1e308, -1e308, 4294967295, 1e15, "45", "", [], [[[1]]], {}, {"toString": 1}, {"toString": {}, "valueOf": 3}, {"__proto__": {"x": 1}}, "x" * 1000, [None, {"length": 1e9}]]
KEYS = ["ident", "timestamp", "server.timestamp", "position.timestamp", "position.valid", "position.latitude", "position.longitude", "position.speed", "position.direction", "battery.level", "gsm.signal.level",
        "engine.ignition.status", "device.name", "protocol.id", "sos.alarm", "alarms", "rejected", "status", "status.since", "message.buffered.status", "__proto__", "state", "since", "reason", "instance", "protocol",
        "transport", "peer", "direction", "hex", "text", "error", "until", "id", "reply", "result", "elapsed", "looks.like", "uptime", "units.online", "frames", "frames.rejected.x", "version", "protocols", "parameters", "raw.mode"]


def as_level(text):
    """What mosquitto takes as a part of a topic; for other characters it ends the connection."""
    return "".join(c for c in text[:40] if c.isprintable() and c not in "/+#")


def every_view(page, names):
    """Each view, and each of these units with all that is told of it."""
    for view in VIEWS:
        page.click(f'[data-view="{view}"]')
        page.find(f".view-{view}")
    shown = page.driver.execute_async_script("""const [names, done] = arguments, until = async (f) => { for (let i = 0; i < 1000 && !f(); i++) await new Promise((r) => setTimeout(r, 20)); return f(); };
        (async () => {
            const failed = [];
            for (const name of names) {
                location.hash = "#unit=" + encodeURIComponent(name);
                const there = () => document.querySelector(".unit")?.dataset.unit === name;
                for (const tab of (await until(there)) ? ["frames", "commands", "record"] : []) {
                    document.querySelector(`[data-tab="${tab}"]`).click();
                    if (!await until(() => there() && document.querySelector(`[data-tab="${tab}"][aria-selected="true"]`))) failed.push(name + " " + tab);
                }
                const box = document.querySelector(".unit")?.getBoundingClientRect();
                if (!there() || !box || box.right > innerWidth + 1 || box.bottom > innerHeight + 1) failed.push(name);
            }
            done(failed);
        })();""", names)
    assert not shown, shown
    assert not page.all('[role="alert"].empty'), page.text()  # no part has failed
    assert page.script("return document.querySelectorAll('#app script, #app img[src=x], #app iframe').length") == 0
    assert page.script("return ({}).x === undefined && ({}).polluted === undefined")


def test_what_strangers_say_stays_text(site, open_page):
    """Markup, endless names, control and direction characters from any topic are shown as text, and run nothing."""
    page = open_page()
    page.open(site.url, "viewer")
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.click(f'[data-name="{IDENT}"]')
    page.ready()
    stranger = site.stranger()
    for n, evil in enumerate(EVIL):
        record = {"ident": evil, "device.name": evil, evil: evil, "timestamp": 1e9 + n, "server.timestamp": 1e9, "alarms": [evil], "position.valid": True,
                  "position.latitude": 50 + n, "position.longitude": 14, "sos.alarm": True, evil + ".alarm": True}
        for leaf in ("state", "alarm", "position"):
            stranger.say(f"trackers/evil{n}/{leaf}", record, retain=True)
        stranger.say(f"trackers/evil{n}/status", {"state": "offline", "reason": evil, "since": evil}, retain=True)
        stranger.say(f"trackers/bridge/evil{n}/unknown", {"peer": evil, "text": evil, "hex": evil, "looks.like": evil, "reason": evil})
        stranger.say(f"trackers/bridge/evil{n}/stats", {"frames": evil, "refused." + evil: 1, "uptime": evil}, retain=True)
        stranger.say(f"trackers/bridge/{n}{as_level(evil)}/status", evil.encode(), retain=True)
        stranger.say(f"trackers/evil{n}/raw", {"direction": evil, "text": evil, "hex": evil, "error": evil})
    stranger.close(stranger.say("trackers/last/status", {"state": "online"}, retain=True))
    page.find('[data-name="last"]')
    every_view(page, [IDENT, *(f"evil{n}" for n in range(len(EVIL)))])
    assert "\u202e" not in page.text() and "\\u202egnp.exe" in page.script("return __page.store && document.body.innerText + [...document.querySelectorAll('.row')].map((r) => r.innerText).join()")
    assert page.script("return document.documentElement.scrollWidth") <= 1280
    unit.close()
    page.no_faults()


def test_names_of_the_units_file_stay_text(make_site, open_page, tmp_path):
    name = "<b onmouseover=alert(1)>Van</b> \u202eabc"
    (tmp_path / "units.ini").write_text(f"[{IDENT}]\nname = {name}\n")
    site = make_site({"units": {"file": tmp_path / "units.ini"}})
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    unit.send(f"*HQ,{IDENT},V4,S20,130305,<img src=x onerror=alert(1)>\xff\xfe#".encode("latin1"))
    page.open(site.url, "viewer")
    page.wait_text("<b onmouseover=alert(1)>Van</b>", f'[data-name="{IDENT}"]')
    every_view(page, [IDENT])
    page.wait_text("<b onmouseover=alert(1)>Van</b>", ".unit h2")
    assert not page.all("#app b[onmouseover]") and "\u202e" not in page.text()
    unit.close()
    page.no_faults()


def test_wrong_types_on_every_topic(site, open_page):
    """Numbers as texts, nested lists, huge numbers, no value, objects without a text: under every key, on every topic, as JSON and as MessagePack."""
    page = open_page()
    page.open(site.url, "dispatcher")
    page.ready()
    stranger, units = site.stranger(), []
    for n, odd in enumerate(ODD):
        document = dict.fromkeys(KEYS, odd)
        units.append(f"odd{n}")
        for leaf in LEAVES:
            stranger.say(f"trackers/odd{n}/{leaf}", document, retain=leaf in ("status", "state", "position"))
            stranger.say(f"trackers/pack{n}/{leaf}", msgpack.packb({k: v for k, v in document.items() if k != "__proto__"}, strict_types=False))
        placed = {**document, "position.valid": True, "position.latitude": 900 if n % 2 else 50.0 + n, "position.longitude": 14.5, "timestamp": 1e9}
        stranger.say(f"trackers/odd{n}/position", placed)
        for leaf in ("status", "info", "stats", "unknown", "x"):
            stranger.say(f"trackers/bridge/odd{n}/{leaf}", document)
        commands = [{"name": odd, "help": odd, "args": odd}, {"name": "x", "args": [odd, {"name": odd}, {"name": "a", "type": odd, "min": odd, "max": odd, "default": odd, "help": odd, "unit": odd}]}]
        stranger.say(f"trackers/bridge/info{n}/info", {"protocols": [odd, {"name": odd, "commands": odd}, {"name": "h02", "commands": commands}], "parameters": [odd, {"name": "x", "unit": odd, "help": odd}]})
    for n, payload in enumerate(msgpack.packb({k: v for k in KEYS if k != "__proto__"}) for v in (float("nan"), float("inf"), b"\x00\xff", msgpack.ExtType(5, b"x"), msgpack.Timestamp(1), 2**64 - 1)):
        units.append(f"pack{100 + n}")
        for leaf in LEAVES:
            stranger.say(f"trackers/pack{100 + n}/{leaf}", payload)
    stranger.close(stranger.say("trackers/last/status", {"state": "online"}, retain=True))
    page.find('[data-only="offline"]')
    wait_for(lambda: page.script("return __page.store.units.has('last')"), "the last unit")
    every_view(page, units)
    assert page.script("return [...__page.store.units.values()].every((u) => u.x === null || (Math.abs(u.x) <= 1.01 && Math.abs(u.y) <= 1.01))")
    page.no_faults()


def test_broken_payloads_and_strange_names(site, open_page):
    page = open_page()
    page.open(site.url, "viewer")
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.find(f'[data-name="{IDENT}"]')
    page.ready()
    stranger = site.stranger()
    for payload in BYTES:
        for leaf in LEAVES:
            stranger.say(f"trackers/broken/{leaf}", payload)
        for leaf in ("status", "info", "stats", "unknown"):
            stranger.say(f"trackers/bridge/broken/{leaf}", payload)
    for name in NAMES:
        stranger.say(f"trackers/{name}/state", {"ident": name, "device.name": name, "__proto__": {"polluted": 1}, "timestamp": 1e9, "server.timestamp": 1e9}, retain=True)
        stranger.say(f"trackers/{name}/status", {"state": "online", "since": 1.0}, retain=True)
        stranger.say(f"trackers/bridge/{name}/stats", {"uptime": 1, "units.online": 1, "__proto__": {"polluted": 1}}, retain=True)
    stranger.close(stranger.say("trackers/last/status", {"state": "online"}, retain=True))
    wait_for(lambda: page.script("return __page.store.units.has('last')"), "the last unit")
    every_view(page, [IDENT, *NAMES])
    assert page.script("return ({}).polluted === undefined && Object.prototype.polluted === undefined")
    page.wait_text("too large to be shown", '[data-banner="large"]')
    # the page lives: what the unit says is heard
    unit.send(f"*HQ,{IDENT},HTBT,37#")
    page.script("location.hash = '#unit=' + arguments[0]", IDENT)
    page.wait_text("37 %", ".tiles")
    unit.close()
    page.no_faults()


def test_a_table_of_commands_that_wants_harm(site, open_page):
    """Names that are markup or no names at all are offered as text; what is not known to be harmless is asked twice; nothing runs."""
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + f"#unit={IDENT}", "dispatcher")
    page.wait_text("on line", ".facts")
    commands = [{"name": name, "help": name, "args": [{"name": name, "type": "string", "help": name, "default": name}]} for name in EVIL]
    stranger = site.stranger()
    stranger.close(stranger.say("trackers/bridge/test/info", {"version": EVIL[0], "protocols": [{"name": "h02", "commands": commands + [{"name": f"c{n}"} for n in range(2000)]}], "parameters": [{"name": EVIL[0]}]}))
    page.click('[data-tab="commands"]')
    wait_for(lambda: page.all('select[name="command"] option[value="__proto__"]'), "the commands")
    assert len(page.all('select[name="command"] option')) <= 1001
    for n, name in enumerate(EVIL, 1):
        page.enter('select[name="command"]', page.script("return document.querySelector('select[name=command]').options[arguments[0]].value", n))
        page.find(".argument input")
        page.click('.commands button[type="submit"]')
        page.find('[role="alertdialog"]')
        page.click('[role="alertdialog"] button[name="no"]')
    assert not page.all("#app img[src=x], #app script")
    unit.close()
    page.no_faults()


def test_a_hundred_thousand_names(site, open_page):
    """A stranger invents units without end: the page holds them, goes on, and still finds the one that is real."""
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url, "viewer")
    page.find(f'[data-name="{IDENT}"]')
    page.script("""const store = __page.store, now = Date.now();
        for (let i = 0; i < 210000; i++) store.take("trackers/s" + i + "/status", {state: "online", since: 1, instance: "x"}, false, now);
        for (let i = 0; i < 5000; i++) store.take("trackers/bridge/s" + i + "/stats", {uptime: i}, false, now);""")
    page.wait_text("more units than this page can hold", '[data-banner="left"]')
    assert page.script("return __page.store.units.size") == 200000
    page.enter(".find input", IDENT)
    wait_for(lambda: [r.get_attribute("data-name") for r in page.all(".row")] == [IDENT], "the real one")
    page.click(f'[data-name="{IDENT}"]')
    unit.send(f"*HQ,{IDENT},HTBT,38#")
    page.wait_text("38 %", ".tiles")
    assert json.loads(page.script("return JSON.stringify([__page.store.bridges.size <= 200, __page.store.alarms.length <= 200])")) == [True, True]
    unit.close()
    page.no_faults()
