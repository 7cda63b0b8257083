# SPDX-License-Identifier: MIT
"""What is known of units: it is listed while the bridge runs or not, it outlives kills, it is forgotten on demand."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from conftest import BUILD, Subscriber, Unit, wait_for
from test_state import retained, v1
from test_truth import NOT_BACK, Retained

STATE = {"publish": {"state": "yes", "state_interval": "100ms"}, "units": {"return": "2s"}}


def tool(bridge, *args):
    return subprocess.run([BUILD / "tracker2mqtt", "-c", bridge.path, *args], capture_output=True, text=True, timeout=60)


def listed(bridge):
    """ident -> columns"""
    r = tool(bridge, "--units")
    assert r.returncode == 0 and r.stderr == "", r.stderr
    rows = [re.split(r"  +", line.strip()) for line in r.stdout.splitlines()]
    assert not rows or rows[0] == ["ident", "protocol", "last heard", "state", "since", "reason"]
    return {row[0]: dict(zip(rows[0], row)) for row in rows[1:]}


def test_units_are_listed(make_bridge, subscribe):
    bridge = make_bridge(STATE)
    assert listed(bridge) == {}
    bridge.wait_connected()
    sub = subscribe()
    units, now = [Unit(bridge.port) for _ in range(30)], int(time.time())
    for n, unit in enumerate(units):
        unit.send(v1(f"917020{n:04d}", now))
    sub.wait(lambda m: m.topic.endswith("/state"), "states", 30)
    units[0].finish()
    sub.on("trackers/9170200000/status", where=lambda m: m.record["state"] == "offline")
    wait_for(lambda: listed(bridge).get("9170200000", {}).get("state") == "offline", "the unit that has gone")
    rows = listed(bridge)
    assert sorted(rows) == [f"917020{n:04d}" for n in range(30)]
    assert {r["protocol"] for r in rows.values()} == {"h02"}
    assert {r["state"] for ident, r in rows.items() if ident != "9170200000"} == {"online"}
    heard = time.mktime(time.strptime(rows["9170200001"]["last heard"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    assert abs(heard - now) < 60 and rows["9170200000"]["reason"]
    bridge.stop(signal.SIGKILL)
    assert listed(bridge).keys() == rows.keys()
    bridge.start()
    wait_for(lambda: listed(bridge)["9170200001"]["state"] == "offline", "those that have not come back")
    assert listed(bridge)["9170200001"]["reason"] == NOT_BACK


def test_units_of_no_outbox(tmp_path):
    for options, says in (("[outbox]\npath = /nonexistent/outbox\n", "No such file"), ("[outbox]\npath =\n", "outbox")):
        (tmp_path / "c.ini").write_text(options)
        for args in (["--units"], ["--forget", "9170200001"]):
            r = subprocess.run([BUILD / "tracker2mqtt", "-c", tmp_path / "c.ini", *args], capture_output=True, text=True)
            assert r.returncode == 1 and says in r.stderr and r.stdout == ""


def test_what_cannot_be_forgotten(make_bridge):
    bridge = make_bridge(STATE)
    for ident in ("", "../x", "a/b", "+", "bridge", "123456789012345678901"):
        r = tool(bridge, "--forget", ident)
        assert r.returncode == 1 and "is no ident" in r.stderr


def clear_of(broker, ident):
    return not any(topic.split("/")[1] == ident for topic in Retained(broker.port).of)


@pytest.mark.parametrize("runs", [True, False])
def test_forgotten(make_bridge, subscribe, broker, runs):
    bridge = make_bridge({**STATE, "homeassistant": {"discovery": "yes", "retain": "yes", "unknown": "yes"}})
    bridge.wait_connected()
    sub = subscribe("#")
    gone, stays = "9170210001", "9170210002"
    for ident in (gone, stays):
        unit = Unit(bridge.port)
        unit.send(v1(ident, int(time.time())))
        sub.on(f"trackers/{ident}/state")
        unit.finish()
        sub.on(f"trackers/{ident}/state", where=lambda m: m.record["status"] == "offline")
        sub.on(f"homeassistant/device/tracker2mqtt_{ident}/config")
    if not runs:
        bridge.stop(signal.SIGKILL)
    r = tool(bridge, "--forget", gone)
    assert r.returncode == 0 and gone in r.stdout
    if not runs:
        bridge.start()
        bridge.wait_connected()
    sub.on(f"homeassistant/device/tracker2mqtt_{gone}/config", where=lambda m: m.payload == b"")
    wait_for(lambda: clear_of(broker, gone), "its topics to be cleared")
    assert not clear_of(broker, stays)
    wait_for(lambda: listed(bridge).keys() == {stays}, "it to be gone from the list")
    bridge.stop()
    bridge.start()
    bridge.wait_connected()
    assert clear_of(broker, gone) and listed(bridge).keys() == {stays}


def test_a_unit_that_nobody_knows_is_cleared(make_bridge, subscribe, broker):
    """Another outbox has told of it, which is lost."""
    sub = subscribe()
    for leaf in ("position", "status", "state"):
        sub.publish(f"trackers/9170210003/{leaf}", b"{}", retain=True)
    bridge = make_bridge(STATE)
    bridge.wait_connected()
    assert tool(bridge, "--forget", "9170210003").returncode == 0
    wait_for(lambda: clear_of(broker, "9170210003"), "its topics to be cleared")
    assert listed(bridge) == {}


def test_a_wish_beside_what_cannot_be_removed(make_bridge, subscribe, broker):
    """A directory, a link and a pipe have the names of wishes: none of them keeps a true wish waiting."""
    bridge = make_bridge(STATE)
    bridge.wait_connected()
    outbox, sub = bridge.directory / "outbox", subscribe()
    (outbox / "forget-9170210005").mkdir()
    (outbox / "forget-9170210006").symlink_to(outbox / "nothing")
    os.mkfifo(outbox / "forget-9170210007")
    for ident in ("9170210008", "9170210009"):
        sub.publish(f"trackers/{ident}/state", b"{}", retain=True)
        assert tool(bridge, "--forget", ident).returncode == 0
        wait_for(lambda: clear_of(broker, ident), "its topics to be cleared")
    assert "cannot be removed" not in bridge.log()


def test_one_on_line_begins_anew(make_bridge, subscribe, broker):
    bridge = make_bridge(STATE)
    bridge.wait_connected()
    sub = subscribe()
    unit, now, ident = Unit(bridge.port), int(time.time()), "9170210004"
    unit.send(v1(ident, now))
    sub.on(f"trackers/{ident}/state")
    tool(bridge, "--forget", ident)
    sub.wait(lambda m: m.topic == f"trackers/{ident}/state" and m.payload == b"", "cleared state")
    wait_for(lambda: "is forgotten" in bridge.log(), "the log")
    unit.send(v1(ident, now - 3600, "2300.0000"))
    state = sub.wait(lambda m: m.topic == f"trackers/{ident}/state" and m.payload and
                     m.record["timestamp"] == now - 3600, "the state of after")[-1].record
    assert state["position.latitude"] == 23 and state["status"] == "online"
    assert retained(broker.port, f"trackers/{ident}/status")["state"] == "online"


def test_a_killed_bridge_and_a_unit_that_is_gone(make_bridge, broker):
    bridge = make_bridge(STATE)
    bridge.wait_connected()
    unit = Unit(bridge.port)
    unit.send(v1("9170000061", int(time.time())))
    before = retained(broker.port, "trackers/9170000061/status")
    assert before["state"] == "online"
    bridge.stop(signal.SIGKILL)
    unit.close()
    bridge.start()
    bridge.wait_connected()
    after = retained(broker.port, "trackers/9170000061/status", lambda r: r["state"] == "offline")
    assert after["reason"] == NOT_BACK and after["since"] > before["since"] and after["protocol"] == "h02"
    unit = Unit(bridge.port)
    unit.send(v1("9170000061", int(time.time())))
    assert retained(broker.port, "trackers/9170000061/status", lambda r: r["state"] == "online")


def test_a_broker_that_has_lost_all(make_bridge, broker):
    broker.stop()
    broker.config.write_text(broker.config.read_text().replace("persistence true", "persistence false"))
    broker.start()
    bridge = make_bridge({"homeassistant": {"discovery": "yes", "unknown": "yes"}})
    bridge.wait_connected()
    unit, ident = Unit(bridge.port), "9170000053"
    unit.send(v1(ident, int(time.time())))
    retained(broker.port, f"trackers/{ident}/state")
    broker.stop()
    broker.start()
    sub = Subscriber(broker.port, "#")
    status = sub.on(f"trackers/{ident}/status")[0].record
    assert status["state"] == "online" and status["transport"] == "tcp"
    state = sub.on(f"trackers/{ident}/state")[0].record
    assert state["status"] == "online" and round(state["position.latitude"], 3) == 22.543
    config = sub.on(f"homeassistant/device/tracker2mqtt_{ident}/config")[0]
    assert "location" in json.loads(config.payload)["cmps"]
    sub.on("trackers/bridge/test/status", where=lambda m: m.payload == b"online")
    sub.close()
    assert retained(broker.port, f"trackers/{ident}/status") == status
    unit.send(v1(ident, int(time.time())))


def frames_of(ident, latitude, heartbeat):
    """A position, and perhaps something newer that is none."""
    now = int(time.time())
    clock = time.strftime("%H%M%S", time.gmtime(now))
    link = f"*HQ,{ident},LINK,{clock},22,6,100,0,0,{time.strftime('%d%m%y', time.gmtime(now))},FFFFFBFF#"
    return v1(ident, now - 5, latitude) + (link if heartbeat else "")


@pytest.mark.parametrize("both", [False, True])
def test_positions_of_a_broker_that_has_lost_all(make_bridge, broker, both):
    """`both`: the bridge was away, too. The newest is there again: the very record, or all that is known of it."""
    broker.stop()
    broker.config.write_text(broker.config.read_text().replace("persistence true", "persistence false"))
    broker.start()
    bridge = make_bridge({"publish": {"state": "yes", "state_interval": "100ms"}})
    bridge.wait_connected()
    plain, newer = "9170000054", "9170000055"
    units = {ident: Unit(bridge.port) for ident in (plain, newer)}
    for ident, unit in units.items():
        unit.send(frames_of(ident, "2300.0000", False))
        retained(broker.port, f"trackers/{ident}/position")
        unit.send(frames_of(ident, "2400.0000", ident == newer))
    before = {ident: retained(broker.port, f"trackers/{ident}/position", lambda r: r["position.latitude"] == 24) for ident in units}
    retained(broker.port, f"trackers/{newer}/state", lambda r: r["message.type"] == "LINK")
    if both:
        bridge.stop()
    broker.stop()
    broker.start()
    if both:
        bridge.start()
    assert retained(broker.port, f"trackers/{plain}/position") == before[plain]
    again = retained(broker.port, f"trackers/{newer}/position")
    assert again.pop("server.seqnum") > before[newer]["server.seqnum"]
    assert again.items() <= before[newer].items()
    assert {"ident", "protocol.id", "timestamp", "position.valid", "position.latitude", "position.speed"} <= again.keys()


def test_positions_of_a_broker_that_has_kept_all(make_bridge, broker):
    """They are not told again: whoever logs each position would have one twice at each start and each new connection."""
    bridge = make_bridge({"publish": {"state": "yes", "state_interval": "100ms"}})
    bridge.wait_connected()
    unit, ident = Unit(bridge.port), "9170000056"
    unit.send(frames_of(ident, "2300.0000", True))  # were it told again, it would have another number
    position = retained(broker.port, f"trackers/{ident}/position")
    retained(broker.port, f"trackers/{ident}/state", lambda r: r["message.type"] == "LINK")
    sub = Subscriber(broker.port, "trackers/#", "logger", clean=False)
    sub.on(f"trackers/{ident}/position")
    for other, how in (("9170000057", signal.SIGTERM), ("9170000058", signal.SIGKILL)):
        bridge.stop(how)
        bridge.start()
        bridge.wait_connected()
        unit = Unit(bridge.port)
        unit.send(v1(other, int(time.time())))  # behind all that is told again
        sub.on(f"trackers/{other}/position")
    unit.send(frames_of(ident, "2400.0000", False))
    sub.on(f"trackers/{ident}/position", where=lambda m: m.record["position.latitude"] == 24)
    seen = sub.now(lambda m: m.topic == f"trackers/{ident}/position" and m.record["position.latitude"] == 23)
    assert {m.record["server.seqnum"] for m in seen} == {position["server.seqnum"]}, "it was told again"
    sub.close()


def test_an_outbox_of_before(make_bridge, subscribe, broker):
    """A unit that only the memory of positions knows: its status is told when it has not come back, and what is older stays older."""
    bridge = make_bridge(STATE)
    bridge.wait_connected()
    ident, now = "9170000062", int(time.time())
    Unit(bridge.port).send(v1(ident, now))
    retained(broker.port, f"trackers/{ident}/state")
    bridge.stop()
    forget_notes(bridge.directory / "outbox")
    rows = listed(bridge)
    assert rows[ident]["state"] == "-" and rows[ident]["last heard"] != "-"
    bridge.start()
    bridge.wait_connected()
    retained(broker.port, f"trackers/{ident}/status", lambda r: r.get("reason") == NOT_BACK)
    sub = subscribe(f"trackers/{ident}/position")
    Unit(bridge.port).send(v1(ident, now - 3600))
    sub.on(f"trackers/{ident}/position", where=lambda m: m.record["timestamp"] == now - 3600 and not m.retain)


def forget_notes(outbox):
    """As a program would leave it that keeps no notes."""
    script = (
        "import sys, lmdb\n"
        "env = lmdb.open(sys.argv[1], max_dbs=8, lock=False)\n"
        "with env.begin(write=True) as txn: txn.drop(env.open_db(b'units', txn=txn, create=False), delete=True)\n")
    subprocess.run(["/usr/bin/python3", "-c", script, outbox], check=True)
