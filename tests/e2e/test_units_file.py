# SPDX-License-Identifier: MIT
"""The units file names units, gives them options of their own and, with unknown = reject, says who is admitted."""

import signal
import socket
import subprocess
import threading

import pytest
from conftest import BUILD, Unit, v1, wait_for
from test_jt808 import frame, location, unescape
from test_strangers import unit_from

UNITS = """[9170503816]
name = Van 12
id = 12
type = ST-903
topic = van-12
ack = r12
[13912345678]
timezone = +00:00
"""


@pytest.fixture
def world(make_bridge, subscribe, tmp_path):
    path = tmp_path / "units.ini"
    path.write_text(UNITS)

    def make(unknown):
        bridge = make_bridge({"units": {"file": path, "unknown": unknown}, "publish": {"raw": "yes"}})
        bridge.wait_connected()
        return bridge, subscribe(), path

    return make


def test_names_topics_and_options(world):
    bridge, sub, _ = world("accept")
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    assert b",R12," in unit.receive()
    record = sub.on("trackers/van-12/position")[0].record
    assert record["ident"] == "9170503816" and record["device.name"] == "Van 12"
    assert record["device.id"] == 12 and record["device.type.id"] == "ST-903"
    sub.on("trackers/van-12/status")
    sub.on("trackers/van-12/raw")
    for n, name in enumerate(("van-12", "9170503816")):
        sub.publish(f"trackers/{name}/cmd", f"S32,00000{n},1")
        assert unit.receive() == f"*HQ,9170503816,S32,00000{n},1#".encode()
        assert sub.on(f"trackers/{name}/cmd/reply")[0].record["ident"] == "9170503816"
    other = Unit(bridge.port)
    other.send(v1("9170503817"))
    assert b",V4,V1," in other.receive()
    assert "device.name" not in sub.on("trackers/9170503817/position")[0].record
    modern = Unit(bridge.port)
    modern.send(frame(0x0200, location("200101000000")))
    assert sub.on("trackers/13912345678/position")[0].record["timestamp"] == 1577836800
    for u in (unit, other, modern):
        u.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_each_protocol_reads_its_own_options(make_bridge, subscribe, tmp_path, transport):
    """A unit that is named in two protocols, in turns: by one UDP peer, by connections that take it over or are its guests. Each
    frame is read and answered with the options of its own protocol, those of the unit over the general ones."""
    path = tmp_path / "units.ini"
    path.write_text("[13912345678]\ntimezone = +02:00\n")
    bridge = make_bridge({"h02": {"ack": "r12"}, "jt808": {"registration": "reject"}, "units": {"file": path}})
    bridge.wait_connected()
    sub = subscribe()
    peer, units, times = Unit(bridge.port, "udp"), [], []
    for n in range(4):
        old, modern = (Unit(bridge.port), Unit(bridge.port)) if transport == "tcp" else (peer, peer)
        units += [old, modern]
        old.send(v1("13912345678", f"12350{n}"))
        assert b",R12," in old.receive()
        if transport == "tcp" and n > 0:  # whoever has the unit speaks behind its guest; it may have been taken over
            units[1].send(frame(0x0200, location(f"20010102001{n}"), serial=100 + n))
            answer = units[1].receive()
            assert not answer or unescape(answer)[12:-1] == bytes.fromhex(f"{100 + n:04x}020000")
            times += [10 + n] if answer else []
        modern.send(frame(0x0200, location(f"20010102000{n}"), serial=n))
        assert unescape(modern.receive())[12:-1] == bytes.fromhex(f"{n:04x}020000")
        times.append(n)
        modern.send(frame(0x0100, bytes(37) + b"plate", serial=n))
        assert unescape(modern.receive())[12:-1] == bytes.fromhex(f"{n:04x}04")
    got = sub.on("trackers/13912345678/position", 4 + len(times))
    assert [m.record["timestamp"] - 1577836800 for m in got if m.record["message.type"] == "0x0200"] == times
    for unit in {peer, *units}:
        unit.close()


def test_a_reload_reaches_units_that_have_options_of_their_own(make_bridge, subscribe, tmp_path):
    path = tmp_path / "units.ini"
    path.write_text("[9170503816]\nname = a\n[9170503817]\ntimezone = +00:00\n[9170503818]\nack = v4\n[13912345678]\ntimezone = +00:00\n")
    bridge = make_bridge({"h02": {"ack": "r12"}, "jt808": {"registration": "reject", "timezone": "+01:00"}, "units": {"file": path}})
    bridge.wait_connected()
    sub = subscribe()
    modern, other = Unit(bridge.port), Unit(bridge.port)

    def check(form, accepted, offset_s, time):
        for ident in ("9170503816", "9170503817", "9170503818", "9170503819"):
            unit = Unit(bridge.port)
            unit.send(v1(ident))
            assert (b",V4," if ident == "9170503818" else form) in unit.receive()
            unit.close()
        for unit, phone, offset in (modern, "013912345678", 0), (other, "013912345679", offset_s):
            unit.send(frame(0x0100, bytes(37), phone=phone))
            assert unescape(unit.receive())[14] == (0 if accepted else 4)
            unit.send(frame(0x0200, location(time), phone=phone))
            unit.receive()
            sub.on(f"trackers/{phone.lstrip('0')}/position", where=lambda m: m.record["timestamp"] % 86400 == 43200 - offset)

    check(b",R12,", False, 3600, "200101120000")
    bridge.sections["h02"]["ack"] = "auto"
    bridge.sections["jt808"].update({"registration": "accept", "timezone": "+05:00"})
    bridge.write()
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    check(b",V4,", True, 5 * 3600, "200102120000")
    for unit in (modern, other):
        unit.close()


def test_who_is_admitted_and_who_no_longer(world):
    bridge, sub, path = world("reject")
    unit, other = Unit(bridge.port), Unit(bridge.port)
    unit.send(v1("9170503816"))
    assert b",R12," in unit.receive()
    other.send(v1("9170503817"))
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["frames.rejected.refused"] == 1)
    assert not sub.now(lambda m: m.topic.startswith("trackers/9170503817/"))
    path.write_text("[9170503817]\nname = New\n")
    bridge.process.send_signal(signal.SIGHUP)
    assert unit.receive() == b""
    gone = sub.on("trackers/van-12/status", where=lambda m: m.payload and m.record["state"] == "offline")[0].record
    assert gone["reason"] == "no longer admitted"
    wait_for(lambda: "9170503816 is no longer admitted" in bridge.log(), "the log")
    other.send(v1("9170503817"))
    assert b",V4,V1," in other.receive()
    path.write_text("[9170503817]\ncolour = red\n")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "the units stay as they were" in bridge.log(), "the refusal")
    other.send(v1("9170503817", "123600"))
    assert b",V4,V1," in other.receive()
    unit.close()
    other.close()


def test_faults(tmp_path):
    units, ini = tmp_path / "units.ini", tmp_path / "a.ini"
    ini.write_text(f"[units]\nfile = {units}\n")
    units.write_text("[91 70]\nname = a\n[1]\nid = x\ntopic = a/b\nack = loud\ntimezone = 8\ncolour = red\n"
                     "[2]\ntopic = t\n[3]\ntopic = t\n[4]\ntopic = u\ntopic = v\n")
    result = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    lines = [int(line.split(":")[1]) for line in result.stderr.splitlines() if line.startswith(str(units))]
    assert lines == [2, 4, 5, 6, 7, 8, 12, 15], result.stderr
    units.unlink()
    result = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and "No such file" in result.stderr


@pytest.mark.parametrize("text,line,owner", [
    ("[12]\nname = a\n[13]\ntopic = 12\n", 4, "13"), ("[13]\ntopic = 12\n[12]\nname = a\n", 2, "13"),
    ("[13]\nname = b\ntopic = 12\n[12]\n", 3, "13"), ("[a1]\ntopic = B2\n[B2]\ntopic = c\n", 2, "a1")])
def test_a_topic_that_is_another_units_ident(tmp_path, text, line, owner):
    units, ini = tmp_path / "units.ini", tmp_path / "a.ini"
    ini.write_text(f"[units]\nfile = {units}\n")
    units.write_text(text)
    result = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    faults = [fault for fault in result.stderr.splitlines() if fault.startswith(str(units))]
    assert len(faults) == 1 and faults[0].startswith(f"{units}:{line}: topic = "), result.stderr
    assert "ident of another unit" in faults[0] and "allowed: " in faults[0] and owner in faults[0]


def test_names_of_the_bridge_are_no_idents_and_no_topics(tmp_path):
    units, ini = tmp_path / "units.ini", tmp_path / "a.ini"
    ini.write_text(f"[units]\nfile = {units}\n")
    units.write_text("[bridge]\nname = a\n[unknown]\n[1]\ntopic = unknown\n[2]\ntopic = bridge\n[3]\ntopic = 3\n")
    result = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)
    lines = sorted(int(fault.split(":")[1]) for fault in result.stderr.splitlines() if fault.startswith(str(units)))
    assert result.returncode == 1 and lines == [2, 3, 5, 7], result.stderr


def test_a_section_without_keys_admits_its_unit(make_bridge, tmp_path):
    path = tmp_path / "units.ini"
    path.write_text("[9170503816]\n[9170503817]\nname = b\n")
    bridge = make_bridge({"units": {"file": path, "unknown": "reject"}})
    for ident in ("9170503816", "9170503817"):
        unit = Unit(bridge.port)
        unit.send(v1(ident))
        assert b"V4,V1" in unit.receive()
        unit.close()


def retained(subscribe):
    """What a new subscriber is given of units, by topic; the bridge's own left out."""
    sub = subscribe("trackers/#")
    sub.publish("trackers/marker", b"{}", retain=True)
    sub.on("trackers/marker")
    return {m.topic: m.record for m in sub.now(lambda m: m.retain and not m.topic.startswith("trackers/bridge/")) if m.payload != b"{}"}


def test_a_reload_that_changes_names_leaves_nothing_under_the_old_ones(make_bridge, subscribe, tmp_path):
    path = tmp_path / "units.ini"
    path.write_text("[9170503816]\ntopic = van\n[9170503817]\ntopic = bus\n")
    bridge = make_bridge({"units": {"file": path}, "homeassistant": {"discovery": "yes", "unknown": "yes"}})
    bridge.wait_connected()
    sub = subscribe("#")
    first, gone, plain = (Unit(bridge.port) for _ in range(3))
    for unit, ident in ((first, "9170503816"), (gone, "9170503817"), (plain, "9170503818")):
        unit.send(v1(ident))
        assert b",V4,V1," in unit.receive()
    gone.close()
    sub.on("trackers/bus/status", where=lambda m: m.record["state"] == "offline")
    assert set(retained(subscribe)) == {f"trackers/{n}/{leaf}" for n in ("van", "bus", "9170503818") for leaf in ("position", "state", "status")}
    # two units change their names with each other, and one that is on line gets its first
    path.write_text("[9170503816]\ntopic = bus\n[9170503817]\ntopic = van\n[9170503818]\ntopic = car\n")
    bridge.process.send_signal(signal.SIGHUP)
    sub.on("trackers/9170503818/status", where=lambda m: m.payload == b"")
    for name, state, count in (("bus", "online", 2), ("van", "offline", 1), ("car", "online", 1)):
        sub.on(f"trackers/{name}/status", count, where=lambda m: m.payload and m.record["state"] == state)
    wait_for(lambda: {topic for topic in retained(subscribe) if topic.endswith("/state")} == {
        f"trackers/{n}/state" for n in ("van", "bus", "car")}, "the states under the new names")
    told = retained(subscribe)
    assert {topic: record["state"] for topic, record in told.items() if topic.endswith("/status")} == {
        "trackers/bus/status": "online", "trackers/van/status": "offline", "trackers/car/status": "online"}
    wait_for(lambda: {topic: record["ident"] for topic, record in retained(subscribe).items() if topic.endswith("/position")} == {
        "trackers/bus/position": "9170503816", "trackers/van/position": "9170503817", "trackers/car/position": "9170503818"},
             "the positions under the new names")
    sub.on("homeassistant/device/tracker2mqtt_9170503816/config", where=lambda m: b'"trackers/bus/state"' in m.payload)
    # and back: without a file each has its own ident
    path.write_text("")
    bridge.process.send_signal(signal.SIGHUP)
    for ident in ("9170503816", "9170503818"):
        sub.on(f"trackers/{ident}/status", where=lambda m: m.payload and m.record["state"] == "online" and m.record["session"] > 0)
    wait_for(lambda: set(retained(subscribe)) == {
        f"trackers/{n}/{leaf}" for n in ("9170503816", "9170503818") for leaf in ("state", "status")}, "the old names' end")
    for unit in (first, plain):
        unit.close()


@pytest.mark.parametrize("what", ["outbox", "frames"])
def test_a_unit_of_the_file_is_heard_though_its_address_had_its_share(make_bridge, tmp_path, broker, what):
    """Units of others share its address, as behind an operator's router; it comes on a new connection each time."""
    path = tmp_path / "units.ini"
    path.write_text("[9170503817]\n")
    limits = {"frames_per_unit": 0, "frames_per_address": 10000 if what == "outbox" else 1}
    bridge = make_bridge({"units": {"file": path}, "outbox": {"size": "2M"}, "limits": limits})
    bridge.wait_connected()
    ends = threading.Event()
    others = [unit_from(bridge.port, f"127.0.0.{n}") for n in (1, 2)]  # two: who is alone may fill the outbox

    def talk():
        for other in others:
            other.socket.setblocking(False)
        while not ends.wait(0.005):
            for n, other in enumerate(others):
                try:
                    other.send(v1(f"555000000{n}") * 20)
                    other.receive()
                except BlockingIOError:
                    pass

    if what == "outbox":
        broker.stop()
    talker = threading.Thread(target=talk)
    talker.start()
    wait_for(lambda: "refused 127.0.0.1: " + ("outbox_share" if what == "outbox" else "frames_per_address") in bridge.log(),
             "the address' share to be used up")
    try:
        for n in range(5):
            unit = Unit(bridge.port)
            unit.send(v1("9170503817", f"12000{n}") * 2)
            assert unit.receive_until(b"V4,V1")
            unit.close()
    finally:
        ends.set()
        talker.join()
        if what == "outbox":
            broker.start()
    for other in others:
        other.close()
