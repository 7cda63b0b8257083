# SPDX-License-Identifier: MIT
"""A disk that takes long, or fails, with sync = always: only acknowledgements wait for it. Nothing is acknowledged, and nothing is
published, that is not safe; units are read, commands go out, and what is safe is published meanwhile."""

import pathlib
import re
import signal
import subprocess

import pytest
from conftest import Unit, v1, wait_for

A, B, C = "9170503816", "9170503817", "9170503818"


class Disk:
    def __init__(self, directory):
        self.gate = directory / "gate"
        self.gate.mkdir()
        library = directory / "gate.so"
        subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-fPIC", "-shared", "-o", library,
                        pathlib.Path(__file__).with_name("gate.c")], check=True)
        self.environment = {"LD_PRELOAD": str(library), "DISK_GATE": str(self.gate),
                            "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def hold(self):
        (self.gate / "waits").unlink(missing_ok=True)
        (self.gate / "hold").touch()

    def wait(self):
        wait_for((self.gate / "waits").exists, "a sync that does not end")

    def release(self):
        (self.gate / "hold").unlink(missing_ok=True)

    def fail(self):
        (self.gate / "fail").touch()

    def heal(self):
        (self.gate / "fail").unlink()


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


@pytest.fixture
def bridge(disk, make_bridge):
    yield make_bridge(environment=disk.environment)
    disk.release()  # or the bridge could not stop


def clock(n):
    return f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}"


def report(unit, ident, n):
    """A report that is acknowledged."""
    unit.send(v1(ident, clock(n)))
    assert b"V4,V1" in unit.receive()


def is_answered(unit):
    """Has anything come for it by now?"""
    unit.socket.setblocking(False)
    try:
        return unit.socket.recv(65536) != b""
    except BlockingIOError:
        return False
    finally:
        unit.socket.setblocking(True)
        unit.socket.settimeout(30)


def positions(sub, ident):
    return [m.record for m in sub.now(lambda m: m.topic == f"trackers/{ident}/position")]


def command(sub, unit, ident, id_):
    """A command that goes out, and is answered by the unit."""
    sub.publish(f"trackers/{ident}/cmd", f'{{"id": "{id_}", "command": "engine.resume"}}')
    frame = unit.receive_until(b"#").decode()
    serial = re.match(r"\*HQ,\d+,S20,(\d+)", frame)
    assert serial, frame
    return frame


def answer(unit, ident, frame):
    time_ = frame.split(",")[3]
    unit.send(f"*HQ,{ident},V4,S20,{time_},{time_},V,2232.6024,N,11355.7983,E,0.00,000,131216,FFFFFBFF#")


def replies(sub, ident, status):
    return sub.wait(lambda m: m.topic == f"trackers/{ident}/cmd/reply" and m.record["status"] == status, status)


def counter(sub, name, least):
    """The bridge's own counters go beside the outbox."""
    sub.wait(lambda m: m.topic == "trackers/bridge/test/stats" and m.record.get(name, 0) >= least, f"{name} >= {least}")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_only_acknowledgements_wait(disk, bridge, subscribe, transport):
    sub = subscribe()
    bridge.wait_connected()
    a, b = Unit(bridge.port, transport), Unit(bridge.port)
    report(a, A, 1)
    report(b, B, 1)
    sub.on(f"trackers/{B}/position")
    disk.hold()
    a.send(v1(A, clock(2)))
    disk.wait()
    frame = command(sub, b, B, "one")
    answer(b, B, frame)
    c = Unit(bridge.port, transport)
    c.send(v1(C, clock(1)))
    counter(sub, "records", 5)  # C was read
    again = command(sub, b, B, "two")
    assert again != ""
    assert not is_answered(a) and not is_answered(c)
    assert len(positions(sub, A)) == 1 and not positions(sub, C)
    disk.release()
    assert b"V4,V1" in a.receive() and b"V4,V1" in c.receive()
    assert len(sub.on(f"trackers/{A}/position", 2)) == 2
    sub.on(f"trackers/{C}/position")
    assert len([m for m in replies(sub, B, "answered") if m.record["id"] == "one"]) == 1
    for unit in (a, b, c):
        unit.close()


def test_what_is_safe_is_published(disk, bridge, subscribe, broker):
    sub = subscribe(client_id="all", clean=False)
    bridge.wait_connected()
    a, b = Unit(bridge.port), Unit(bridge.port)
    broker.stop()
    for n in range(1, 31):
        report(a, A, n)
    disk.hold()
    b.send(v1(B, clock(1)))
    disk.wait()
    broker.start()
    sub.wait(lambda m: len({r["timestamp"] for r in positions(sub, A)}) == 30, "what is safe")
    assert not is_answered(b) and not positions(sub, B)
    disk.release()
    assert b"V4,V1" in b.receive()
    sub.on(f"trackers/{B}/position")
    a.close()
    b.close()


def test_killed_while_the_disk_works(disk, bridge, subscribe):
    """What was acknowledged is there; a command that went out meanwhile has one end, and does not go out again."""
    sub = subscribe()
    bridge.wait_connected()
    a, b = Unit(bridge.port), Unit(bridge.port)
    report(b, B, 1)
    for n in range(1, 11):
        report(a, A, n)
    disk.hold()
    a.send(v1(A, clock(11)))
    disk.wait()
    frame = command(sub, b, B, "one")
    assert not is_answered(a)
    bridge.stop(signal.SIGKILL)
    disk.release()
    bridge.start()
    bridge.wait_connected()
    sub.wait(lambda m: len({r["timestamp"] for r in positions(sub, A)}) >= 10, "what was acknowledged")
    b = Unit(bridge.port)
    report(b, B, 2)
    answer(b, B, frame)
    answered = replies(sub, B, "answered")
    assert [m.record["id"] for m in answered] == ["one"]
    b.send(v1(B, clock(3)))
    assert b"S20" not in b.receive_until(b"V4,V1")
    assert not is_answered(b)
    a.close()
    b.close()


@pytest.mark.parametrize("held", [False, True])
def test_a_failed_sync_acknowledges_nothing(disk, bridge, subscribe, held):
    sub = subscribe()
    bridge.wait_connected()
    a, b = Unit(bridge.port), Unit(bridge.port)
    report(a, A, 1)
    sub.on(f"trackers/{A}/position")
    if held:
        disk.hold()
    else:
        disk.fail()
    a.send(v1(A, clock(2)))
    if held:
        disk.wait()
        disk.fail()
        disk.release()
    wait_for(lambda: "nothing is acknowledged" in bridge.log(), "what the log says of it")
    b.send(v1(B, clock(1)))
    sub.publish("trackers/other/cmd", "hello?")  # some turns later
    counter(sub, "commands", 1)
    assert not is_answered(a) and not is_answered(b)
    assert len(positions(sub, A)) == 1 and not positions(sub, B)
    disk.heal()
    assert b"V4,V1" in a.receive() and b"V4,V1" in b.receive()
    assert [r["server.seqnum"] for r in positions(sub, A)] == sorted({r["server.seqnum"] for r in positions(sub, A)})
    assert len(sub.on(f"trackers/{A}/position", 2)) == 2
    sub.on(f"trackers/{B}/position")
    assert bridge.log().count("nothing is acknowledged") == 1
    a.close()
    b.close()


def test_the_end_of_the_bridge_and_of_units(disk, bridge, subscribe):
    """A unit that is gone before its acknowledgement; one that comes back on a new connection; then the bridge stops. The records are
    there, and who still listens is acknowledged."""
    sub = subscribe(client_id="all", clean=False)
    bridge.wait_connected()
    a, b, c = Unit(bridge.port), Unit(bridge.port), Unit(bridge.port)
    report(c, C, 1)
    disk.hold()
    for unit, ident in ((a, A), (b, B)):
        unit.send(v1(ident, clock(1)))
    disk.wait()
    counter(sub, "records", 3)
    a.close()
    again = Unit(bridge.port)
    again.send(v1(B, clock(2)))
    c.send(v1(C, clock(2)))
    counter(sub, "records", 5)
    assert not is_answered(again)
    bridge.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stopping" in bridge.log(), "the end")
    disk.release()
    assert c.receive_until(b"V4,V1") and again.receive_until(b"V4,V1")
    assert bridge.stop() == 0, bridge.log()
    assert len(sub.on(f"trackers/{B}/position", 2)) == 2
    sub.on(f"trackers/{A}/position")
    for unit in (b, c, again):
        unit.close()
