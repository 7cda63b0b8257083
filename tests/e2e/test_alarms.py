# SPDX-License-Identifier: MIT
"""An alarm is raised once while it lasts, by the dates of the records: live ones, stored ones between them, and over a restart."""

import signal
import time

import pytest
from conftest import Unit
from test_state import LIVE, STORED, v1

SOS, STORED_SOS = "FFFFFBFD", "FBFFFBFD"  # bit 1 is 0: the alarm is on
MINUTE, HOUR = 60, 3600


def raised(make_bridge, subscribe, ident, reports):
    """The alarms that these reports raise: (seconds before now, status word)."""
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit, now = Unit(bridge.port), int(time.time())
    for ago, status in reports:
        unit.send(v1(ident, now - ago, status=status))
        unit.receive()
    sub.on(f"trackers/{ident}/position", len(reports))
    unit.send(v1(ident + "9", now))  # what comes behind them is behind their alarms
    sub.on(f"trackers/{ident}9/position")
    return [(now - m.record["timestamp"], m.record["alarms"]) for m in sub.now(lambda m: m.topic.endswith("/alarm"))]


SERIES = {
    # a lasting SOS, with stored reports of before it in between
    "live": ([(n, s) for n in (40, 30, 20, 10) for s in (SOS,)], [40]),
    "live-stored-without": ([r for n in range(4) for r in ((40 - n, SOS), (HOUR - n, STORED))], [40]),
    "live-without-stored": ([r for n in range(3) for r in ((40 - n, LIVE), (HOUR - n, STORED_SOS))], [HOUR]),
    "both-last": ([r for n in range(3) for r in ((40 - n, SOS), (HOUR - n, STORED_SOS))], [40]),
    "stored-first": ([(HOUR, STORED_SOS), (HOUR - 60, STORED_SOS), (20, SOS), (10, SOS)], [HOUR]),
    "older-but-not-marked": ([r for n in range(3) for r in ((40 - n, LIVE), (HOUR - n, SOS))], [HOUR]),
    "ends-and-begins": ([(50, SOS), (40, LIVE), (30, SOS), (20, SOS)], [50, 30]),
    "stored-ends-and-begins": ([(50, LIVE), (HOUR, STORED_SOS), (HOUR - 10, STORED), (HOUR - 20, STORED_SOS)],
                               [HOUR, HOUR - 20]),
    # what was stored after what was known when the run before began is another run
    "two-stored-runs": ([(HOUR, LIVE), (2 * HOUR, STORED_SOS), (50, LIVE), (1000, STORED_SOS)], [2 * HOUR, 1000]),
}


@pytest.mark.parametrize("name", SERIES)
def test_a_series(make_bridge, subscribe, name):
    reports, expected = SERIES[name]
    got = raised(make_bridge, subscribe, "9170000012", reports)
    assert [ago for ago, _ in got] == expected
    assert all("sos" in alarms[0] for _, alarms in got)


@pytest.mark.parametrize("state", ["yes", "no"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_over_a_restart(make_bridge, subscribe, state, how):
    bridge = make_bridge({"publish": {"state": state}})
    bridge.wait_connected()
    sub = subscribe("trackers/+/+")
    ident, now = "9170000104", int(time.time())
    unit = Unit(bridge.port)
    for ago, status in ((400, LIVE), (300, SOS), (HOUR, STORED), (HOUR - 1, STORED_SOS), (200, SOS)):
        unit.send(v1(ident, now - ago, status=status))
        unit.receive()
    first = sub.on(f"trackers/{ident}/alarm")
    sub.on(f"trackers/{ident}/position", 5)
    bridge.stop(how)
    unit.close()
    bridge.start()
    bridge.wait_connected()
    unit = Unit(bridge.port)
    for ago, status in ((100, SOS), (HOUR - 2, STORED_SOS), (250, STORED), (90, SOS)):
        unit.send(v1(ident, now - ago, status=status))
        unit.receive()
    sub.on(f"trackers/{ident}/position", 1, where=lambda m: m.record["timestamp"] == now - 90)
    unit.send(v1(ident, now - 80))
    unit.send(v1(ident, now - 70, status=SOS))
    again = sub.on(f"trackers/{ident}/alarm", where=lambda m: m.record["timestamp"] == now - 70)
    numbers = {m.record["server.seqnum"] for m in sub.on(f"trackers/{ident}/alarm")}
    assert numbers == {first[0].record["server.seqnum"], again[0].record["server.seqnum"]}
