# SPDX-License-Identifier: MIT
"""Strangers may take every connection that the system allows: the bridge keeps descriptors for itself."""

import os
import signal
import subprocess
import time

import pytest
from conftest import BUILD, Unit, v1, wait_for

LIMIT = 64
IDENT = "9170503816"


def descriptors(bridge):
    return len(os.listdir(f"/proc/{bridge.process.pid}/fd"))


@pytest.fixture
def crowded(make_bridge, subscribe, tmp_path):
    """A bridge with few descriptors, an honest unit, and strangers who have taken all that they can get."""
    units = tmp_path / "units.ini"
    units.write_text(f"[{IDENT}]\nname = before\n")
    bridge = make_bridge({"units": {"file": units}, "listen": {"first_frame_timeout": "1h"}},
                         program=["prlimit", f"--nofile={LIMIT}:{LIMIT}", BUILD / "tracker2mqtt"])
    bridge.wait_connected()
    sub = subscribe()
    honest = Unit(bridge.port)
    honest.send(v1(IDENT))
    assert b"V4,V1" in honest.receive()
    crowd = [Unit(bridge.port) for _ in range(3 * LIMIT)]  # the kernel takes them all
    wait_for(lambda: "accepting pauses" in bridge.log(), "the pause")
    yield bridge, sub, honest, crowd, units
    for unit in [honest, *crowd]:
        unit.close()


def test_the_broker_comes_back(crowded, broker, subscribe):
    bridge, _, honest, _, _ = crowded
    assert descriptors(bridge) <= LIMIT - 32
    for n in range(2):
        broker.stop()
        honest.send(v1(IDENT, f"12360{n}"))
        assert b"V4,V1" in honest.receive(), "stored meanwhile"
        broker.start()
        again = subscribe()
        again.on(f"trackers/{IDENT}/position", where=lambda m, n=n: not m.retain or m.record["timestamp"] % 10 == n)
    assert "Too many open files; trying again" not in bridge.log()


def test_reload_and_the_outbox_of_another_process(crowded):
    bridge, sub, honest, _, units = crowded
    units.write_text(f"[{IDENT}]\nname = after\n")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    honest.send(v1(IDENT, "123600"))
    assert b"V4,V1" in honest.receive()
    sub.on(f"trackers/{IDENT}/position", where=lambda m: m.record.get("device.name") == "after")
    status = subprocess.run([BUILD / "tracker2mqtt", "-c", bridge.path, "--outbox-status"], capture_output=True, text=True,
                            timeout=30)
    assert status.returncode == 0, status.stderr


def test_it_waits_without_spinning_and_goes_on(crowded):
    bridge, _, honest, crowd, _ = crowded
    before = bridge.cpu_seconds()
    time.sleep(3)
    assert bridge.cpu_seconds() - before < 1.5, "it waits"
    assert bridge.log().count("accepting pauses") == 1, "said once"
    for unit in crowd[:-1]:
        unit.close()
    crowd[-1].send(v1("9170503817"))
    assert b"V4,V1" in crowd[-1].receive()
    wait_for(lambda: "accepting goes on" in bridge.log(), "the line")


def test_a_limit_that_shrinks_while_it_runs(make_bridge):
    bridge = make_bridge()
    bridge.wait_connected()
    honest = Unit(bridge.port)
    honest.send(v1(IDENT))
    assert b"V4,V1" in honest.receive()
    subprocess.run(["prlimit", f"--pid={bridge.process.pid}", "--nofile=40:"], check=True)
    late = Unit(bridge.port)
    wait_for(lambda: "accepting pauses" in bridge.log(), "the pause")
    honest.send(v1(IDENT, "123507"))
    assert b"V4,V1" in honest.receive()
    subprocess.run(["prlimit", f"--pid={bridge.process.pid}", "--nofile=400:"], check=True)
    late.send(v1("9170503817"))
    assert b"V4,V1" in late.receive()
    honest.close()
    late.close()
