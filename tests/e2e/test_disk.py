# SPDX-License-Identifier: MIT
"""The disk under the outbox: full, cut, taken away, damaged, looked at by others. What was acknowledged is not lost by it where
that can be helped, what is lost is told, and the bridge serves on."""

import pathlib
import random
import shutil
import signal
import subprocess
import time

import lmdb
import pytest
from conftest import BUILD, PATIENCE, Unit, v1, wait_for

PROGRAM = BUILD / "tracker2mqtt"
IDENT = "9170503816"


def clock(n):
    return f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}"


def tool(bridge, *args):
    return subprocess.run([PROGRAM, "-c", bridge.path, *args], capture_output=True, text=True, timeout=PATIENCE)


def status(bridge):
    result = tool(bridge, "--outbox-status")
    assert result.returncode == 0, result.stderr
    return dict(line.split(": ", 1) for line in result.stdout.splitlines())


def report(bridge, numbers, patience=PATIENCE):
    """Sends so many reports and hears as many acknowledgements."""
    unit = Unit(bridge.port)
    unit.socket.settimeout(patience)
    for n in numbers:
        unit.send(v1(IDENT, clock(n)))
        assert b"V4,V1" in unit.receive()
    unit.close()


def damage(data, how):
    content = data.read_bytes()
    used = content.rstrip(b"\0")
    if how == "cut":
        bad = content[:len(used) // 2]
    elif how == "random":
        bad = random.Random(1).randbytes(len(content))
    else:
        bad = content[:8192] + bytes(len(content) - 8192)
    data.write_bytes(bad)
    return bad


@pytest.mark.parametrize("how", ["cut", "random", "zeroes"])
def test_a_damaged_outbox_is_moved_aside_and_units_are_served(make_bridge, subscribe, broker, how):
    broker.stop()
    bridge = make_bridge()
    report(bridge, range(100))
    bridge.stop()
    bad = damage(bridge.directory / "outbox/data.mdb", how)
    result = tool(bridge, "--outbox-status")
    assert result.returncode == 1 and "damaged" in result.stderr
    broker.start()
    sub = subscribe()
    bridge.start()
    report(bridge, range(200, 210))
    aside = [p for p in bridge.directory.iterdir() if p.name.startswith("outbox.aside-")]
    assert len(aside) == 1 and (aside[0] / "data.mdb").read_bytes() == bad
    told = [line for line in bridge.log().splitlines() if "error" in line and str(aside[0]) in line]
    assert len(told) == 1 and "not published" in told[0]
    numbers = [m.record["server.seqnum"] for m in sub.on(f"trackers/{IDENT}/position", 10)]
    assert numbers == sorted(numbers) and numbers[0] > 101  # a subscriber must not take it for a repeat
    bridge.stop()
    bridge.start()
    report(bridge, range(300, 301))
    assert sub.on(f"trackers/{IDENT}/position", 11)[-1].record["server.seqnum"] > numbers[-1]


@pytest.mark.parametrize("how", ["cut", "random"])
def test_a_damaged_outbox_is_refused_when_that_is_wanted(make_bridge, broker, how):
    broker.stop()
    bridge = make_bridge({"limits": {"frames_per_unit": 0}, "outbox": {"damaged": "refuse"}})
    report(bridge, range(100))
    bridge.stop()
    data = bridge.directory / "outbox/data.mdb"
    bad = damage(data, how)
    result = tool(bridge)
    assert result.returncode == 2 and "--outbox-aside" in result.stderr, result.stderr
    assert data.read_bytes() == bad
    assert tool(bridge, "--outbox-reset" if how == "cut" else "--outbox-aside").returncode == 0
    aside = [p for p in bridge.directory.iterdir() if p.name.startswith("outbox.aside-")]
    assert len(aside) == 1 and (aside[0] / "data.mdb").read_bytes() == bad
    bridge.start()
    report(bridge, range(1))


def test_files_that_are_no_outbox(make_bridge):
    """Another program's LMDB, a text, a directory where the file should be."""
    bridge = make_bridge()
    bridge.stop()
    outbox = bridge.directory / "outbox"
    for n in range(3):
        shutil.rmtree(outbox)
        outbox.mkdir()
        if n == 0:
            with lmdb.open(str(outbox), map_size=1 << 20) as env, env.begin(write=True) as txn:
                txn.put(b"some", b"thing")
        elif n == 1:
            (outbox / "data.mdb").write_text("hello " * 5000)
        else:
            (outbox / "data.mdb").mkdir()
        assert tool(bridge, "--outbox-status").returncode == 1
        bridge.start()
        report(bridge, range(3))
        bridge.stop()
        assert len([p for p in bridge.directory.iterdir() if p.name.startswith("outbox.aside-")]) == n + 1


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, of a size that the test chooses."""
    mounted = []

    def make(size):
        mount = tmp_path / f"disk{len(mounted)}"
        mount.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mount], capture_output=True)
        if done.returncode != 0:
            pytest.skip("mounting a tmpfs needs root")
        mounted.append(mount)
        return mount

    yield make
    for mount in mounted:
        subprocess.run(["umount", "-l", mount], check=True)


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while f.write(bytes(4096)):
                pass
        except OSError:
            pass


def send_until_it_pauses(bridge, unit, most=20000):
    """(sent, acknowledged): reports until the bridge does not answer any more."""
    sent = told = 0
    unit.socket.settimeout(1)
    while sent < most:
        unit.send(b"".join(v1(IDENT, clock(sent + i)).encode() for i in range(20)))
        sent += 20
        try:
            while told < sent:
                told += unit.receive().count(b"#")
        except TimeoutError:
            return sent, told
    pytest.fail("it never paused")


@pytest.mark.parametrize("size", ["2m", "12m"])
def test_a_full_disk_is_told_once_and_goes_on_when_there_is_room(make_bridge, subscribe, broker, disk, size):
    mount = disk(size)
    bridge = make_bridge({"limits": {"frames_per_unit": 0}, "outbox": {"path": mount / "outbox"}})
    bridge.wait_connected()
    sub = subscribe()
    report(bridge, range(1))
    sub.on(f"trackers/{IDENT}/position")
    broker.stop()
    fill(mount / "ballast")
    unit = Unit(bridge.port)
    sent, told = send_until_it_pauses(bridge, unit)
    assert bridge.log().count("disk full") <= 1
    (mount / "ballast").unlink()
    unit.socket.settimeout(PATIENCE)
    while told < sent:
        told += unit.receive().count(b"#")
    broker.start()
    subscribe().on(f"trackers/{IDENT}/position", sent)
    unit.close()


def test_a_full_disk_drains_when_the_broker_is_back(make_bridge, subscribe, broker, disk):
    """The disk stays as full as it is; the units go on as soon as the broker has taken what waits, more than once."""
    mount = disk("12m")
    bridge = make_bridge({"limits": {"frames_per_unit": 0}, "outbox": {"path": mount / "outbox"}})
    for n in range(2):
        broker.stop()
        unit = Unit(bridge.port)
        sent, told = send_until_it_pauses(bridge, unit)
        assert told > 500
        if n == 0:
            fill(mount / "ballast")
        broker.start()
        sub = subscribe()
        unit.socket.settimeout(PATIENCE)
        while told < sent:
            told += unit.receive().count(b"#")
        unit.close()
        sub.on(f"trackers/{IDENT}/position", sent)
        wait_for(lambda: status(bridge)["messages"] == "0", "an empty outbox")
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["outbox.full"] == 0)


def test_what_the_broker_has_does_not_come_again_after_a_full_disk(make_bridge, subscribe, broker, disk):
    """Acknowledgements of the broker that come while the disk takes nothing, are kept."""
    mount = disk("12m")
    bridge = make_bridge({"limits": {"frames_per_unit": 0}, "outbox": {"path": mount / "outbox"}})
    bridge.wait_connected()
    broker.stop()
    report(bridge, range(1500))
    fill(mount / "ballast")
    sub = subscribe_when_back(broker, subscribe)
    got = sub.on(f"trackers/{IDENT}/position", 1500)
    (mount / "ballast").unlink()
    wait_for(lambda: status(bridge)["messages"] == "0", "an empty outbox")
    broker.stop()
    sub = subscribe_when_back(broker, subscribe)
    report(bridge, range(2000, 2001))
    again = sub.on(f"trackers/{IDENT}/position", where=lambda m: m.record["timestamp"] % 86400 == 2000)
    repeated = sub.now(lambda m: m.topic.endswith("/position") and not m.retain)
    assert len(again) == 1 and repeated == []
    assert len({m.record["server.seqnum"] for m in got}) == 1500


def subscribe_when_back(broker, subscribe):
    broker.start()
    return subscribe()


@pytest.mark.parametrize("way", ["removed", "moved", "replaced"])
def test_the_directory_is_taken_away_while_it_is_in_use(make_bridge, subscribe, broker, way):
    broker.stop()
    bridge = make_bridge()
    report(bridge, range(200))
    outbox = bridge.directory / "outbox"
    if way == "removed":
        shutil.rmtree(outbox)
    else:
        outbox.rename(bridge.directory / "elsewhere")
        if way == "replaced":
            outbox.mkdir()
            (outbox / "data.mdb").write_text("something else")
    wait_for(lambda: "taken away while it was in use" in bridge.log(), "a line about it")
    report(bridge, range(200, 250))
    bridge.stop(signal.SIGKILL)
    broker.start()
    sub = subscribe()
    bridge.start()
    assert [m.record["timestamp"] % 86400 for m in sub.on(f"trackers/{IDENT}/position", 250)] == list(range(250))


@pytest.mark.parametrize("left", [0, 8192, 30000])
def test_the_file_is_cut_while_it_is_in_use(make_bridge, subscribe, broker, left):
    broker.stop()
    bridge = make_bridge()
    report(bridge, range(200))
    with open(bridge.directory / "outbox/data.mdb", "r+b") as f:
        f.truncate(left)
    broker.start()
    sub = subscribe()
    report(bridge, range(300, 320), patience=2 * PATIENCE)
    sub.on(f"trackers/{IDENT}/position", 20, where=lambda m: m.record["timestamp"] % 86400 >= 300)
    assert "cut or changed while it was in use" in bridge.log()
    bridge.stop()
    bridge.start()
    report(bridge, range(320, 321))


@pytest.mark.parametrize("look", ["status", "foreign"])
def test_whoever_looks_into_it_and_stops_does_not_hold_it(make_bridge, subscribe, look):
    """A reader that is stopped or killed in the middle: pages are used again all the same."""
    bridge = make_bridge({"limits": {"frames_per_unit": 0}, "outbox": {"size": "1M", "sync": "never"}})
    bridge.wait_connected()
    data = bridge.directory / "outbox/data.mdb"
    report(bridge, range(50))
    if look == "status":
        readers = [subprocess.Popen([PROGRAM, "-c", bridge.path, "--outbox-status"], stdout=subprocess.DEVNULL)
                   for _ in range(5)]
        for n, reader in enumerate(readers):
            time.sleep(0.002 * n)
            reader.send_signal(signal.SIGSTOP)
    else:
        reader = lmdb.open(str(data.parent), readonly=True, max_dbs=4)
        held = reader.begin()
    sub = subscribe()
    unit = Unit(bridge.port)
    frames = b"".join(v1(IDENT, clock(n)).encode() for n in range(100))
    for n in range(60):
        unit.send(frames)
        heard = 0
        while heard < 100:
            heard += unit.receive().count(b"#")
    sub.on(f"trackers/{IDENT}/position", 6000)
    assert data.stat().st_size < 16 << 20
    unit.close()
    if look == "status":
        for reader in readers:
            reader.kill()
            reader.wait()
    else:
        held.abort()
        reader.close()


def test_status_of_a_busy_bridge(make_bridge, subscribe):
    bridge = make_bridge({"limits": {"frames_per_unit": 0}, "outbox": {"sync": "never"}})
    sim = subprocess.Popen([BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{bridge.port}", "-n", "50", "-i", "0.01"],
                           stdout=subprocess.DEVNULL)
    try:
        for _ in range(60):
            numbers = status(bridge)
            assert set(numbers) >= {"messages", "bytes", "oldest", "remembered", "set aside"}
            assert 0 <= int(numbers["messages"]) < 1 << 20
    finally:
        sim.kill()
        sim.wait()
    wait_for(lambda: status(bridge)["messages"] == "0", "an empty outbox")
    assert status(bridge)["remembered"] == "50"
