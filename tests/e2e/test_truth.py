# SPDX-License-Identifier: MIT
"""After any kill of bridge and broker, what the broker retains of each unit is true after at most [units] return."""

import itertools
import signal
import time

import pytest
from conftest import PATIENCE, Broker, Bridge, Subscriber, Unit, wait_for
from test_state import LIVE, STORED, retained, v1

SOS = "FFFFFBFD"  # bit 1 is 0
STORED_SOS = "FBFFFBFD"
NOT_BACK = "did not come back after a restart"
FLEET = {"publish": {"state": "yes", "state_interval": "200ms"}, "units": {"return": "4s"},
         "outbox": {"sync": "never"}}


class Retained:
    """What a new client is told: topic -> record; topics that were cleared are not there."""

    def __init__(self, port):
        sub = Subscriber(port, "trackers/#")
        sub.on("trackers/bridge/test/status")
        sub.client.publish("trackers/end", b"end", 1).wait_for_publish()
        sub.on("trackers/end")
        self.of = {m.topic: m.record for m in sub.now(lambda m: m.retain and m.payload and "/bridge/" not in m.topic)}
        self.bridge = [m.payload for m in sub.now(lambda m: m.topic == "trackers/bridge/test/status")]
        sub.close()

    def __call__(self, ident, leaf):
        return self.of.get(f"trackers/{ident}/{leaf}")


class Fleet:
    """Units whose truth is known here: those that are on line and stay, those that move on, those that are gone."""

    def __init__(self, bridge, each=12):
        self.bridge, self.truth, self.units = bridge, {}, {}
        self.idents = [f"91701{n:05d}" for n in range(3 * each)]
        self.stay, self.move, self.gone = (self.idents[k::3] for k in range(3))
        now = int(time.time())
        for n, ident in enumerate(self.idents):
            self.comes(ident)
            self.reports(ident, now - 7200 + n)
        for n, ident in enumerate(self.idents):
            self.reports(ident, now - 3600 + n)
        self.alarm(self.move[0], now - 60)
        for ident in self.gone[::2]:  # off line before; the others vanish with the first kill
            self.units.pop(ident).finish()

    def comes(self, ident):
        self.units[ident] = Unit(self.bridge.port)

    def reports(self, ident, when, status=LIVE):
        latitude = 2200 + when % 60
        self.units[ident].send(v1(ident, when, f"{latitude}.0000", status))
        answer = self.units[ident].receive()
        assert b"V4,V1" in answer, answer
        self.truth[ident] = (when, 22 + when % 60 / 60)

    def alarm(self, ident, when):
        self.reports(ident, when, SOS)

    def come_back(self):
        """After a kill of the bridge: those that stay connect and speak of now; those that move speak from here on."""
        for unit in self.units.values():
            unit.close()
        self.units = {}
        now = int(time.time())
        for n, ident in enumerate(self.stay + self.move):
            self.comes(ident)
            self.reports(ident, now - 30 + n % 20, SOS if ident == self.move[0] else LIVE)

    def move_on(self):
        now = int(time.time())
        for ident in self.move:
            self.reports(ident, max(now, self.truth[ident][0] + 1), SOS if ident == self.move[0] else LIVE)

    def faults(self, broker):
        """All that is not as it is."""
        told, faults = Retained(broker.port), []
        if told.bridge[-1:] != [b"online"]:
            faults.append(("bridge", told.bridge))
        for ident in self.idents:
            status, state = told(ident, "status") or {}, told(ident, "state") or {}
            online = ident in self.units
            wanted = "online" if online else "offline"
            when, latitude = self.truth[ident]
            for what, ok in (
                    ("status", status.get("state") == wanted),
                    ("reason", online or status.get("reason")),
                    ("state's status", state.get("status") == wanted),
                    ("since", state.get("status.since") == status.get("since")),
                    ("timestamp", state.get("timestamp") == when),
                    ("place", abs(state.get("position.latitude", 0) - latitude) < 1e-6),
                    ("position.timestamp", state.get("position.timestamp") == when),
                    ("keys", len(state) >= 20)):
                if not ok:
                    faults.append((ident, what, wanted, when, status, {k: state.get(k) for k in (
                        "status", "status.since", "timestamp", "position.latitude", "position.timestamp")}))
        return faults

    def is_true(self, broker):
        """Within the time that units have to come back, and some more for the machine."""
        end = time.monotonic() + PATIENCE
        while faults := self.faults(broker):
            assert time.monotonic() < end, f"{len(faults)} faults: {faults[:5]}"
            time.sleep(0.2)


@pytest.fixture
def world(tmp_path):
    started = []

    def make(persistent):
        (tmp_path / "b").mkdir(exist_ok=True)
        extra = "autosave_interval 1\nautosave_on_changes true\n" if persistent else ""
        broker = Broker(tmp_path, extra)
        if not persistent:
            broker.stop()
            broker.config.write_text(broker.config.read_text().replace("persistence true", "persistence false"))
            broker.start()
        bridge = Bridge(tmp_path / "b", broker.port, FLEET)
        started[:] = [bridge, broker]
        bridge.wait_connected()
        return bridge, broker

    yield make
    for process in started:
        process.stop()
    assert "Sanitizer" not in started[0].log_path.read_text()


ORDERS = ["bridge", "broker", "bridge broker", "broker bridge", "bridge bridge"]


@pytest.mark.parametrize("persistent,order", itertools.product((True, False), ORDERS))
def test_after_kills(world, persistent, order):
    bridge, broker = world(persistent)
    alarms = Subscriber(broker.port, "trackers/+/alarm")
    fleet = Fleet(bridge)
    fleet.is_true(broker)
    killed = order.split()
    for name in killed:
        process = {"bridge": bridge, "broker": broker}[name]
        process.stop(signal.SIGKILL)
        if killed != ["bridge", "broker"] or name == "broker":
            process.start()
        if name == "broker":
            fleet_speaks_meanwhile(fleet, bridge)
    if killed == ["bridge", "broker"]:
        bridge.start()
    if "bridge" in killed:
        fleet.come_back()
    bridge.wait_connected()
    fleet.move_on()
    fleet.is_true(broker)
    raised = alarms.now(lambda m: m.topic.endswith("/alarm"))  # one that was not acknowledged comes again, with its number
    assert {m.topic for m in raised} <= {f"trackers/{fleet.move[0]}/alarm"}
    assert len({m.record["server.seqnum"] for m in raised}) <= 1
    alarms.close()
    again = Subscriber(broker.port, "trackers/+/alarm")
    fleet.move_on()
    fleet.is_true(broker)
    assert not again.now(lambda m: True)
    again.close()


def fleet_speaks_meanwhile(fleet, bridge):
    if bridge.process.poll() is None:
        fleet.move_on()
