# SPDX-License-Identifier: MIT
"""The page in a real browser: what a person sees of the units, the bridges and the connection."""

import json
import pathlib
import signal

import pytest

pytest.importorskip("selenium")

from browser import chromium, open_page  # noqa: E402, F401
from conftest import Unit, free_port, v1, wait_for  # noqa: E402
from pagesite import IDENT, ROOT, built, frame_is_shown, make_site, site  # noqa: E402, F401

# ruff: noqa: F811
pytestmark = built
SOURCES = pathlib.Path(__file__).parents[2] / "etc/web/src"
VIEWS = ("units", "alarms", "bridges", "strangers", "add", "map")


def places(n):
    """Frames of n units, each somewhere else."""
    return [f"*HQ,{9170500000 + i},V1,123506,A,10{i:02d}.6024,N,{10 + i:03d}55.7983,E,021.60,090,131216,FFFFFBFF#" for i in range(n)]


def test_fifty_units_in_table_and_map(site, open_page):
    units = [Unit(site.bridge.port) for _ in range(50)]
    for unit, frame in zip(units, places(50)):
        unit.send(frame)
    page = open_page()
    page.open(site.url, "viewer")
    wait_for(lambda: page.shown() == 50, "fifty units on the map")
    wait_for(lambda: page.text('[data-view="units"] .count') == "50", "fifty units counted")
    page.click('[data-view="units"]')
    names = set()

    def all_seen():
        names.update(page.script("return [...document.querySelectorAll('.row')].map((r) => r.dataset.name)"))
        page.script("document.querySelector('.rows').scrollTop += 300")
        return len(names) == 50

    wait_for(all_seen, "fifty rows, by scrolling")
    page.enter(".find input", "9170500037")
    wait_for(lambda: [r.get_attribute("data-name") for r in page.all(".row")] == ["9170500037"], "the one that was looked for")
    for unit in units:
        unit.close()
    page.enter(".find input", "")
    wait_for(lambda: page.text('[data-only="offline"] b') == "50", "fifty off line")
    page.no_faults()


def at(ident, latitude, longitude, time):
    """A frame from there: degrees and minutes, as the unit writes them."""
    return f"*HQ,{ident},V1,{time},A,{latitude},N,{longitude},E,021.60,090,131216,FFFFFBFF#"


def test_all_units_are_in_view_until_somebody_moves_the_map(site, open_page):
    """Near to one another they are seen to move, and who drives away stays in view; but the map is left where a person has put it."""
    page = open_page()
    first, second = "9170503801", "9170503802"
    unit, other = Unit(site.bridge.port), Unit(site.bridge.port)
    where = "const p = __page.map.where(__page.store.units.get(arguments[0])); return p && p.x"
    here = "const b = document.querySelector('.map').getBoundingClientRect(), x = __page.map.where(__page.store.units.get(arguments[0])).x; return x >= b.left && x <= b.right"

    def send(u, ident, longitude, time):
        u.send(at(ident, "5005.0000", longitude, time))

    def placed(ident, degrees):
        wait_for(lambda: page.script("return __page.store.units.get(arguments[0])?.known['position.longitude'] ?? 0", ident) > degrees - 1e-4,
                 f"{ident} at {degrees}")

    send(unit, first, "01425.0000", "100000")
    page.open(site.url, "viewer")
    page.ready()
    wait_for(lambda: page.shown() == 1, "the first one")
    send(other, second, "01425.8390", "100000")  # a kilometre to the east
    wait_for(lambda: page.shown() == 2, "both")
    assert page.script(where, second) - page.script(where, first) > 50
    send(other, second, "01655.0000", "100100")  # far away
    placed(second, 16.9166)
    wait_for(lambda: page.shown() == 2 and page.script(here, second), "both, also now")
    page.click(".leaflet-control-zoom-in")
    send(other, second, "05655.0000", "100200")
    placed(second, 56.9166)
    drawn = page.script("return __page.map.counts.drawn")
    wait_for(lambda: page.script("return __page.map.counts.drawn") > drawn + 1, "the map drawn since")
    assert not page.script(here, second)  # the map is as the person has left it
    page.click(".fit")
    wait_for(lambda: page.shown() == 2 and page.script(here, second), "both, as was asked for")
    unit.close()
    other.close()
    page.no_faults()


def test_a_unit_appears_and_is_told_of(site, open_page):
    page = open_page()
    page.open(site.url, "viewer")
    page.wait_text("No unit has been heard yet.")
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.click(f'[data-name="{IDENT}"]')
    wait_for(lambda: page.shown() == 1, "the unit on the map")
    page.wait_text("position.latitude", ".unit")
    page.wait_text("latitude, WGS 84, north positive", ".unit")  # the meaning, from the bridge's own table
    page.wait_text("°", ".unit .record")
    assert page.script("return location.hash") == f"#unit={IDENT}"
    page.click('[data-tab="frames"]')
    frame_is_shown(page, unit, "124006")
    unit.send(f"*HQ,{IDENT},V1,124106,A,9932.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#")
    page.wait_text("bad-latitude", ".frames .error")
    unit.close()
    page.wait_text("off line", f'[data-name="{IDENT}"]')
    page.wait_text("closed by the unit", ".facts")
    page.no_faults()


def test_a_wrong_password(site, open_page):
    page = open_page()
    page.open(site.url, "viewer", "wrong")
    page.wait_text("does not know this user and password", ".login")
    assert page.all('input[name="username"]')


def test_a_login_is_kept_for_the_tab_and_ends_with_it(site, open_page):
    page = open_page()
    page.open(site.url, "viewer")
    page.find('[data-view="units"]')
    page.driver.refresh()
    page.find('[data-view="units"]')
    assert page.script("return JSON.stringify(localStorage)").find("secret") < 0 and "secret" not in page.driver.current_url
    page.click(".logout")
    page.find('input[name="username"]')
    assert "secret" not in page.script("return JSON.stringify(sessionStorage)")


def test_the_broker_goes_and_comes(site, open_page):
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


def tell_of_units(site, count):
    """What is retained of so many units, as a bridge would have it; one that has no units of its own."""
    stranger = site.stranger()
    for n in range(count):
        last = stranger.say(f"trackers/{9170500000 + n}/status", {"state": "online", "since": 1.0, "instance": "test"}, retain=True)
    stranger.say("trackers/bridge/big/status", b"online", retain=True)
    stranger.say("trackers/bridge/big/stats", {"uptime": 5, "units.online": count}, retain=True)
    stranger.close(last)


def test_the_broker_drops_what_it_should_keep(make_site, open_page):
    """By the broker's own WebSocket, with room for 10 messages: of 400 units most are not told, and the page says how many, and which
    setting does it."""
    port = free_port()
    site = make_site({"web": {"mqtt": f"ws://127.0.0.1:{port}"}},
                     broker=f"max_queued_messages 10\nmax_inflight_messages 10\nlistener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n")
    page = open_page()
    tell_of_units(site, 400)
    page.open(site.url, "viewer")
    page.wait_text("max_queued_messages", '[data-banner="missing"]')
    known = page.script("return __page.store.units.size")
    assert 0 < known < 400 and str(400 - known) in page.text('[data-banner="missing"]')


def test_all_units_come_where_the_broker_queues_little(make_site, open_page):
    """By the bridge's way, all of 400 units are told by a broker with room for 10 messages."""
    site = make_site(broker="max_queued_messages 10\nmax_inflight_messages 10\n")
    page = open_page()
    tell_of_units(site, 400)
    page.open(site.url, "viewer")
    page.ready()
    wait_for(lambda: page.text('[data-only="offline"] b') == "" and page.text(".chips .chip b") == "400", "all units, none off line")


def test_reports_are_not_acknowledged(site, open_page):
    """A busy fleet's reports cost the browser no frame of its own; who comes and goes does: it must not get lost behind them."""
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT, "100000"))
    page.open(site.url + f"#unit={IDENT}", "viewer")
    page.ready()
    page.wait_text("position.speed", ".unit")
    newest = "return __page.store.units.get(arguments[0]).known.timestamp"
    first = page.script(newest, IDENT)
    page.frames_sent()
    for n in range(30):
        unit.send(v1(IDENT, f"1001{n:02d}"))
        unit.receive()
    wait_for(lambda: page.script(newest, IDENT) == first + 89, "the last report")
    acknowledged = page.frames_sent()  # a ping may be among them
    unit.close()
    page.wait_text("off line", f'[data-name="{IDENT}"]')
    assert acknowledged < 5 and page.frames_sent() > 0


@pytest.mark.parametrize("options", [{"publish": {"format": "msgpack"}}, {"publish": {"prefix": "a/b"}}])
def test_other_formats_and_prefixes(make_site, open_page, options):
    site = make_site(options)
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + f"#unit={IDENT}", "viewer")
    page.wait_text("position.speed", ".unit")
    page.click('[data-view="bridges"]')
    page.wait_text("on line", "[data-instance]")
    unit.close()
    page.no_faults()


def test_two_bridges_one_page(site, open_page):
    """A unit that moves from one bridge to the other stays one row."""
    second = site.second()
    page = open_page()
    page.open(site.url, "viewer")
    for port in (site.bridge.port, second.port):
        unit = Unit(port)
        unit.send(v1(IDENT))
        unit.receive()
        page.wait_text("on line", f'[data-name="{IDENT}"]')
        unit.close()
        page.wait_text("off line", f'[data-name="{IDENT}"]')
    assert len(page.all(f'[data-name="{IDENT}"]')) == 1 and page.text('[data-view="units"] .count') == "1"
    page.click('[data-view="bridges"]')
    wait_for(lambda: len(page.all("[data-instance]")) == 2, "both bridges")


def test_an_alarm_stays_until_it_is_seen(site, open_page):
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url, "viewer")
    page.wait_text("on line", f'[data-name="{IDENT}"]')

    def raised():
        unit.send(v1(IDENT, status="FFFFFBFD") + v1(IDENT, "123507"))  # it is over with the next report
        return page.text('[data-view="alarms"] .count')

    wait_for(raised, "an alarm that the page hears")
    wait_for(lambda: page.all(f'[data-name="{IDENT}"] .dot.alarm'), "the colour in the table")
    assert "(" in page.script("return document.title")
    page.click('[data-view="alarms"]')
    page.wait_text("sos.alarm", ".alarms")
    page.click(".view header button")
    wait_for(lambda: not page.all(".alarms .alarm"), "all seen")
    page.click('[data-view="map"]')
    wait_for(lambda: page.all(f'[data-name="{IDENT}"] .dot.moving'), "the colour of before")
    unit.close()


def raise_alarm(page, unit, minute):
    """A new one that the page has heard of."""
    before = page.script("return __page.store.alarms.length")
    unit.send(v1(IDENT, f"10{minute:02d}00", status="FFFFFBFD") + v1(IDENT, f"10{minute:02d}30"))
    wait_for(lambda: page.script("return __page.store.alarms.length") > before, "the alarm in the page")


def test_an_alarm_is_heard_where_that_is_wanted(site, open_page):
    """Not before; and the browser remembers it."""
    count = """globalThis.__tones = 0; const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (...a) { globalThis.__tones++; return start.apply(this, a); }"""
    tones = "return globalThis.__tones"
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT, "100000"))
    page.open(site.url, "viewer")
    page.ready()
    page.script("localStorage.removeItem('alarm.sound')")
    page.script(count)
    page.click('[data-view="alarms"]')
    assert not page.find('input[name="sound"]').is_selected()
    raise_alarm(page, unit, 1)
    assert page.script(tones) == 0
    page.click('input[name="sound"]')
    wait_for(lambda: page.script(tones) == 2, "both tones of the example")
    page.driver.refresh()
    page.ready()
    page.click('[data-view="alarms"]')
    page.script(count)
    assert page.find('input[name="sound"]').is_selected()
    raise_alarm(page, unit, 2)
    wait_for(lambda: page.script(tones) == 2, "the sound of the alarm")
    page.click('input[name="sound"]')
    raise_alarm(page, unit, 3)
    assert page.script(tones) == 2 and page.script("return localStorage.getItem('alarm.sound')") is None
    unit.close()
    page.no_faults()


def test_strangers_and_what_they_look_like(site, open_page):
    page = open_page()
    page.open(site.url, "viewer")
    page.click('[data-view="strangers"]')

    def told():
        unit = Unit(site.bridge.port)
        unit.send("imei:359586015829802,tracker,")
        unit.close()
        return "GPS103" in page.text(".view")

    wait_for(told, "what the stranger looks like")
    page.wait_text("Is it your tracker?", ".view")


def test_a_tracker_is_added(site, open_page):
    page = open_page()
    page.open(site.url, "viewer")
    page.click('[data-view="add"]')
    page.enter('input[name="server"]', "tracker.example.org")
    page.enter('input[name="apn"]', "iot.example")
    page.enter('input[name="password"]', "4321")
    page.wait_text("8034321 iot.example", ".sms")
    page.wait_text("8044321 tracker.example.org 8888", ".sms")
    assert not page.all(".lamp.green")
    unit = Unit(site.bridge.port)
    wait_for(lambda: [unit.send(v1(IDENT)), page.all(".lamp.green")][1], "the green light")
    page.wait_text(f"{IDENT} has come", ".light")
    unit.close()


def test_a_link_names_a_unit(site, open_page):
    """Also one that does not exist, or that is no proper link."""
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + "#unit=%E0%A4%A", "viewer")
    page.wait_text("on line", f'[data-name="{IDENT}"]')
    page.script("location.hash = '#unit=nobody'")
    page.script(f"location.hash = '#unit={IDENT}'")
    page.wait_text(IDENT, ".unit h2")
    page.keys("\ue00c")  # Escape, in the page
    page.click(".unit header button")
    wait_for(lambda: not page.all(".unit"), "the end of the panel")
    assert page.script("return location.hash") == ""
    unit.close()
    page.no_faults()


def test_languages(site, open_page):
    """Each language has all words, with the same places for values, and the page speaks it at once."""
    texts = {name: json.loads((SOURCES / "lang" / f"{name}.json").read_text()) for name in ("en", "de", "es", "pt", "zh")}
    for name, words in texts.items():
        assert words.keys() == texts["en"].keys(), name
        for key, text in words.items():
            wanted = [sorted(p.split("}")[0] for p in t.split("{")[1:]) for t in (text, texts["en"][key])]
            assert text and wanted[0] == wanted[1], (name, key)
    page = open_page()
    page.open(site.url, "viewer")
    page.find('[data-view="units"]')
    for name, words in texts.items():
        page.enter(".language select", name)
        page.wait_text(words["units"], '[data-view="units"]')
        assert page.script("return document.documentElement.lang") == name
        for view in VIEWS:
            page.click(f'[data-view="{view}"]')
            page.find(f".view-{view}")
    page.no_faults()


def test_no_request_leaves_the_origin(site, open_page):
    """On every view, with a unit open, and nothing breaks the rules of the page's own headers."""
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url, "viewer")
    wait_for(lambda: page.shown() == 1, "the unit on the map")
    for view in VIEWS:
        page.click(f'[data-view="{view}"]')
    page.click(f'[data-name="{IDENT}"]')
    for tab in ("frames", "commands", "record"):
        page.click(f'[data-tab="{tab}"]')
    urls = page.requests()
    assert any(u.endswith("/mqtt") for u in urls) and any(u.endswith("/world.json") for u in urls) and any(u.endswith("/places.json") for u in urls)
    assert all(u.startswith((site.url, site.url.replace("http", "ws"), "data:", "blob:", "chrome")) for u in urls), urls
    unit.close()
    page.no_faults()
