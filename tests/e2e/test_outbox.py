# SPDX-License-Identifier: MIT
"""A unit is acknowledged only when its record is safe on disk, and a record is forgotten only when the broker has it:
whatever dies in between, nothing that was acknowledged is missing."""

import random
import signal
import subprocess
import time

import pytest
from conftest import BUILD, PATIENCE, Subscriber, Unit, free_port, stop, v1, wait_for

PROGRAM, SIM = BUILD / "tracker2mqtt", BUILD / "tracker2mqtt-sim"


def clock(n):
    return f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}"


def identities(messages):
    return [f"{m.record['ident']} {m.record['timestamp']}" for m in messages if m.topic.endswith("/position")]


def tool(bridge, *args):
    return subprocess.run([PROGRAM, "-c", bridge.path, *args], capture_output=True, text=True, timeout=PATIENCE)


def test_killed_at_random_moments(make_bridge, broker, tmp_path):
    """SIGKILL again and again while units report; the broker restarts, too. missing = 0."""
    persistent = Subscriber(broker.port, "trackers/+/position", client_id="all", clean=False)
    bridge = make_bridge()
    rng = random.Random(5)
    sims, records = [], []
    for n, protocol in enumerate(("h02", "h02-binary", "jt808")):
        records.append(tmp_path / f"acknowledged{n}")
        sims.append(subprocess.Popen(
            [SIM, "-s", f"127.0.0.1:{bridge.port}", "-p", protocol, "-n", "20", "-i", "0.1", "-r", "60", "--ident",
             f"917{n}000001", "--reconnect", "0.05", "--ack-timeout", "3", "--record", records[-1]],
            stdout=subprocess.PIPE, text=True))
    for n in range(8):
        time.sleep(rng.uniform(0.2, 0.8))
        bridge.stop(signal.SIGKILL)
        if n % 4 == 2:
            broker.stop()
            broker.start()
        bridge.start()
    for sim in sims:
        out, _ = sim.communicate(timeout=120)
        assert sim.returncode == 0, out
    acknowledged = {line for r in records for line in r.read_text().splitlines()}
    assert len(acknowledged) == 3 * 20 * 60
    persistent.wait(lambda m: True, "positions", 3 * 20 * 60, patience=60)
    wait_for(lambda: not acknowledged - set(identities(persistent.now(lambda m: True))), "what was acknowledged", 60)
    got = persistent.now(lambda m: True)
    by_number = {}
    for m in got:  # repeats are identifiable as such: the same number is the same record
        by_number.setdefault(m.record["server.seqnum"], set()).add(m.payload)
    assert all(len(payloads) == 1 for payloads in by_number.values())
    persistent.close()


def test_messages_from_before_the_restart_come_first_and_in_order(make_bridge, subscribe, broker):
    broker.stop()
    bridge = make_bridge()
    unit = Unit(bridge.port)
    for n in range(300):
        unit.send(v1("9170503816", clock(n)))
        assert b"V4,V1" in unit.receive()
    numbers = tool(bridge, "--outbox-status")
    assert numbers.returncode == 0 and "messages: 301\n" in numbers.stdout and "oldest: 20" in numbers.stdout
    bridge.stop(signal.SIGKILL)
    broker.start()
    sub = subscribe()
    bridge.start()
    again = Unit(bridge.port)
    again.send(v1("9170503816", clock(300)))
    got = sub.on("trackers/9170503816/position", 301)
    assert [m.record["timestamp"] % 86400 for m in got] == list(range(301))
    numbers = [m.record["server.seqnum"] for m in got]
    assert numbers == sorted(set(numbers))
    wait_for(lambda: "messages: 0\n" in tool(bridge, "--outbox-status").stdout, "an empty outbox")
    unit.close()
    again.close()


def test_an_old_report_is_not_retained_after_a_restart(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816", "120000"))
    assert sub.on("trackers/9170503816/position")[0].retain
    unit.close()
    bridge.stop()
    bridge.start()
    bridge.wait_connected()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816", "110000") + v1("9170503816", "130000"))
    assert [m.retain for m in sub.on("trackers/9170503816/position", 3)] == [True, False, True]
    unit.close()


def test_full(make_bridge, subscribe, broker):
    """Full: reading stops, nothing acknowledged is lost; the broker back: it resumes without a restart."""
    broker.stop()
    bridge = make_bridge({"outbox": {"size": "2M"}})
    record = bridge.directory / "acknowledged"
    sim = subprocess.Popen([SIM, "-s", f"127.0.0.1:{bridge.port}", "-n", "50", "-i", "0.01", "-r", "100", "--record",
                            record, "--ack-timeout", "60"], stdout=subprocess.PIPE, text=True)
    wait_for(lambda: "the outbox is full: reading from units pauses" in bridge.log(), "the pause")
    datagram = Unit(bridge.port, "udp")
    datagram.send(v1("9170503816"))
    datagram.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        datagram.socket.recv(100)
    datagram.socket.settimeout(PATIENCE)
    broker.start()
    sub = subscribe()
    sub.on("trackers/bridge/test/stats")
    out, _ = sim.communicate(timeout=120)
    assert sim.returncode == 0, out
    assert b"V4,V1" in datagram.receive()
    acknowledged = set(record.read_text().splitlines())
    assert len(acknowledged) == 5000
    wait_for(lambda: not acknowledged - set(identities(sub.now(lambda m: True))), "what was acknowledged")
    assert bridge.log().count("reading from units pauses") <= 30  # each time a tenth of the outbox has gone
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["outbox.full"] == 0)
    datagram.close()


def test_two_bridges_on_one_outbox(make_bridge, tmp_path):
    bridge = make_bridge()
    second = tmp_path / "second.ini"
    second.write_text(bridge.path.read_text().replace(str(bridge.port), str(free_port())))
    result = subprocess.run([PROGRAM, "-c", second], capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 2 and "in use by another tracker2mqtt" in result.stderr


def test_a_read_only_outbox_at_start(make_bridge, tmp_path):
    bridge = make_bridge()
    bridge.stop()
    other = tmp_path / "other.ini"
    other.write_text(bridge.path.read_text().replace(str(bridge.directory / "outbox"), "/proc/outbox"))
    result = subprocess.run([PROGRAM, "-c", other], capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 2 and "outbox /proc/outbox" in result.stderr and "[outbox] path" in result.stderr
    bridge.start()


def test_stopped_under_load(make_bridge, broker):
    persistent = Subscriber(broker.port, "trackers/+/position", client_id="all", clean=False)
    bridge = make_bridge()
    bridge.wait_connected()
    record = bridge.directory / "acknowledged"
    sim = subprocess.Popen([SIM, "-s", f"127.0.0.1:{bridge.port}", "-n", "100", "-i", "0.02", "--record", record,
                            "--reconnect", "0.1"], stdout=subprocess.DEVNULL)
    persistent.wait(lambda m: True, "positions", 2000)
    assert bridge.stop() == 0
    stop(sim)
    bridge.start()
    acknowledged = set(record.read_text().splitlines())
    assert len(acknowledged) >= 1000
    wait_for(lambda: not acknowledged - set(identities(persistent.now(lambda m: True))), "what was acknowledged")
    persistent.close()


def test_in_memory_when_there_is_no_path(make_bridge, subscribe):
    bridge = make_bridge({"outbox": {"path": ""}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    assert b"V4,V1" in unit.receive()
    sub.on("trackers/9170503816/position")
    unit.close()


@pytest.mark.parametrize("sync", ["interval", "never"])
def test_other_kinds_of_sync_survive_a_kill(make_bridge, subscribe, broker, sync):
    broker.stop()
    bridge = make_bridge({"outbox": {"sync": sync}})
    unit = Unit(bridge.port)
    for n in range(50):
        unit.send(v1("9170503816", clock(n)))
        assert b"V4,V1" in unit.receive()
    bridge.stop(signal.SIGKILL)
    broker.start()
    sub = subscribe()
    bridge.start()
    assert len(sub.on("trackers/9170503816/position", 50)) == 50
    unit.close()
