# SPDX-License-Identifier: MIT
"""Commands and requests for frames from the page: what is offered, who may, and what is said of each."""

import json
import socket
import subprocess
import urllib.request

import pytest

pytest.importorskip("selenium")

from browser import chromium, open_page  # noqa: E402, F401
from conftest import BUILD, Subscriber, Unit, v1, wait_for  # noqa: E402
from pagesite import IDENT, built, make_site, site  # noqa: E402, F401

# ruff: noqa: F811
pytestmark = built


def open_commands(page, site, user, port=None):
    unit = Unit(port or site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + f"#unit={IDENT}", user)
    page.click('[data-tab="commands"]')
    page.find('select[name="command"] option[value="position.request"]')
    return unit


def choose(page, name):
    page.enter('select[name="command"]', name)
    page.click('.commands button[type="submit"]')


def test_a_unit_obeys_and_its_words_are_shown(site, open_page):
    page = open_page()
    unit = open_commands(page, site, "dispatcher")
    choose(page, "position.request")
    assert unit.receive_until(b",D1,")
    page.find('[data-status="sent"]')
    unit.send(v1(IDENT, "123906"))
    page.wait_text("the unit answered", ".requests")
    page.wait_text(f"*HQ,{IDENT},V1,123906", ".requests")
    unit.close()
    page.no_faults()


def test_what_stops_a_vehicle_is_asked_twice(site, open_page):
    page = open_page()
    unit = open_commands(page, site, "dispatcher")
    for answer in ("no", "yes"):
        choose(page, "engine.stop")
        page.find('[role="alertdialog"]')
        assert not page.all(".request")
        assert page.script("return document.activeElement.name") == "no"  # Return does no harm
        page.click(f'[role="alertdialog"] button[name="{answer}"]')
        wait_for(lambda: not page.all('[role="alertdialog"]'), "the end of the question")
    assert unit.receive_until(b",S20,").count(b"S20") == 1
    page.wait_text("sent to the unit", ".requests")
    assert len(page.all(".request")) == 1
    unit.close()


def test_a_viewer_may_not_command(site, open_page):
    page = open_page()
    unit = open_commands(page, site, "viewer")
    choose(page, "position.request")
    page.wait_text("does not allow you to send commands", ".requests")
    unit.send(v1(IDENT, "123706"))
    heard = unit.receive_until(b"V4,V1")
    unit.socket.shutdown(socket.SHUT_WR)
    while piece := unit.receive():
        heard += piece
    assert b"D1" not in heard
    unit.close()


def test_each_end_is_told_and_none_is_a_success(make_site, open_page):
    site = make_site({"commands": {"timeout": "1s"}})
    page = open_page()
    unit = open_commands(page, site, "dispatcher")

    def send(text, hold=""):
        page.enter('input[name="text"]', text)
        page.enter('input[name="hold"]', hold)
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
    send("S32,000002,1", "1s")  # as the bridge takes it: with a unit
    page.wait_text("the unit is absent: held", ".requests")
    page.wait_text("too old: it was not sent", ".requests")
    send("S32,000003,1", "soon")
    wait_for(lambda: page.text(".requests").count("rejected") == 2, "the bridge's word about the hold")
    ends = [e.get_attribute("data-status") for e in page.all(".step:last-child")]
    assert sorted(ends) == ["expired", "offline", "rejected", "rejected", "timeout"]
    assert "the unit answered" not in page.text(".requests") and not page.all(".step.answered")


def test_what_is_offered_is_what_the_bridge_prints(site, open_page):
    """The commands and their arguments by --print-commands, and the meanings by --print-parameters, for both protocols."""
    printed = subprocess.run([BUILD / "tracker2mqtt", "--print-commands"], check=True, capture_output=True, text=True).stdout
    wanted, protocol = {}, None
    for line in printed.splitlines():
        if line.startswith("    ") and not line.strip().startswith("{"):
            wanted[protocol][-1][1].append(line.split()[0])
        elif line.startswith("  ") and not line.startswith("    "):
            wanted[protocol].append((line.split()[0], []))
        elif line and not line.startswith(" "):
            protocol = line.split()[0].rstrip(":")
            wanted.setdefault(protocol, [])
    wanted = {name: rows for name, rows in wanted.items() if rows}
    page = open_page()
    unit = open_commands(page, site, "dispatcher")
    assert wanted["h02"] and wanted["jt808"], wanted.keys()
    for name, rows in wanted.items():
        page.script("__page.store.units.get(arguments[0]).protocol = arguments[1]; __page.store.version++", IDENT, name)
        wait_for(lambda: page.script("return [...document.querySelectorAll('select[name=command] option')].slice(1).map((o) => o.value)") == [r[0] for r in rows], f"the commands of {name}")
        for command, arguments in rows:
            page.enter('select[name="command"]', command)
            wait_for(lambda: page.script("return [...document.querySelectorAll('.argument input')].map((i) => i.name)") == arguments, f"the arguments of {command}")
    rows = subprocess.run([BUILD / "tracker2mqtt", "--print-parameters"], check=True, capture_output=True, text=True).stdout.splitlines()[1:]
    known = page.script("return [...__page.store.bridges.values()][0].info.parameters.size")
    assert known == len(rows)
    with urllib.request.urlopen(site.url + "config.json") as answer:
        assert json.load(answer)["version"] in subprocess.run([BUILD / "tracker2mqtt", "--version"], check=True, capture_output=True, text=True).stdout
    unit.close()
    page.no_faults()


def test_arguments_are_what_the_table_says(site, open_page):
    """A text stays a text, a number becomes one, and an empty one is left out: the bridge takes all of it."""
    page = open_page()
    unit = open_commands(page, site, "dispatcher")
    page.enter('select[name="command"]', "server.set")
    page.enter('.argument input[name="host"]', "tracker.example.org")
    page.enter('.argument input[name="port"]', "9999")
    page.click('.commands button[type="submit"]')
    page.click('[role="alertdialog"] button[name="yes"]')
    assert b"tracker.example.org,9999" in unit.receive_until(b"tracker.example.org,9999")
    page.wait_text("sent to the unit", ".requests")
    page.enter('select[name="command"]', "report.interval")
    page.enter('.argument input[name="interval"]', "1")  # less than allowed: the browser itself says so
    page.click('.commands button[type="submit"]')
    assert not page.script("return document.querySelector('.argument input').validity.valid") and len(page.all(".request")) == 1
    unit.close()


def test_frames_are_asked_for(make_site, open_page):
    """With raw = no the page says why there are none, and asks for them: a message to raw/set that is not retained."""
    site = make_site({"publish": {"raw": "no"}})
    heard = Subscriber(site.broker.port, "trackers/+/raw/set")
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + f"#unit={IDENT}", "curious")
    page.click('[data-tab="frames"]')
    page.wait_text("does not publish the frames of this unit", ".raw")
    page.click('button[name="raw-ask"]')
    asked = heard.on(f"trackers/{IDENT}/raw/set")[0]
    assert asked.payload == b"10m" and not asked.retain
    page.find('button[name="raw-end"]')  # the bridge has answered
    unit.send(v1(IDENT))
    wait_for(lambda: len(page.all(".frames > li")) == 2, "the frame and its acknowledgement; the bridge's answer is none")
    page.wait_text("2A 48 51", ".frames")
    page.click('button[name="raw-end"]')
    assert heard.on(f"trackers/{IDENT}/raw/set", 2)[1].payload == b"0"
    page.find('button[name="raw-ask"]')  # it has ended
    page.ready()
    stranger = site.stranger()
    stranger.say(f"trackers/{IDENT}/raw", {"direction": "none", "error": "not allowed here", "instance": "test"})
    page.wait_text("not allowed here", ".raw")
    stranger.close()
    heard.close()
    unit.close()
    page.no_faults()


def test_who_may_not_ask_for_frames_is_told(make_site, open_page):
    site = make_site({"publish": {"raw": "no"}})
    page = open_page()
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url + f"#unit={IDENT}", "viewer")
    page.click('[data-tab="frames"]')
    page.click('button[name="raw-ask"]')
    page.wait_text("trackers/+/raw/set", '.raw [role="alert"]')
    unit.close()
