# SPDX-License-Identifier: MIT
"""What an earlier configuration had retained, and this one does not publish any more, is cleared, once."""

import json
import signal
import time

import pytest
from conftest import Subscriber, Unit, wait_for
from test_state import v1

IDENT, GONE = "9170300001", "9170300002"
DISCOVERY = {"homeassistant": {"discovery": "yes", "retain": "yes", "unknown": "yes"}}
CONFIG = "homeassistant/device/tracker2mqtt_{}/config"


class Kept:
    """What a new client is told, but of the bridge itself: topic -> payload."""

    def __init__(self, broker):
        sub = Subscriber(broker.port, "#")
        sub.client.publish("end", b"end", 1).wait_for_publish()
        sub.on("end")
        self.of = {m.topic: m.payload for m in sub.now(lambda m: m.retain and "/bridge/" not in m.topic)}
        sub.close()

    def leaves(self, name):
        return {topic.split("/")[2] for topic in self.of if topic.startswith(f"trackers/{name}/")}


def leaves(broker, name):
    return Kept(broker).leaves(name)


def begin(bridge, sub, leaf="state"):
    """One unit stays, the other goes; all that is retained of them has been published."""
    bridge.wait_connected()
    unit, gone = Unit(bridge.port), Unit(bridge.port)
    unit.send(v1(IDENT, time.time()))
    gone.send(v1(GONE, time.time()))
    for ident in (IDENT, GONE):
        sub.on(f"trackers/{ident}/{leaf}")
    gone.finish()
    sub.on(f"trackers/{GONE}/status", where=lambda m: m.record["state"] == "offline")
    return unit


def restart(bridge, sig=signal.SIGTERM, **sections):
    bridge.stop(sig)
    for section, values in sections.items():
        bridge.sections.setdefault(section, {}).update(values)
    bridge.write()
    bridge.start()
    bridge.wait_connected()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_states(make_bridge, subscribe, broker, sig):
    bridge = make_bridge({"publish": {"state": "yes", "state_interval": "100ms"}})
    sub = subscribe()
    begin(bridge, sub)
    assert all("state" in leaves(broker, ident) for ident in (IDENT, GONE))
    restart(bridge, sig, publish={"state": "no"})
    for ident in (IDENT, GONE):
        wait_for(lambda i=ident: "state" not in leaves(broker, i), "the state to be cleared")
        assert {"position", "status"} <= leaves(broker, ident)
    restart(bridge)  # what the broker has not acknowledged before a kill comes twice
    sub = subscribe()
    restart(bridge)
    unit = Unit(bridge.port)
    unit.send(v1(IDENT, time.time()))
    sub.on(f"trackers/{IDENT}/position", 2)  # the retained one, and this
    assert not sub.now(lambda m: m.topic.endswith("/state")), "it was cleared once more"
    restart(bridge, sig, publish={"state": "yes"})
    unit = Unit(bridge.port)
    unit.send(v1(IDENT, time.time()))
    wait_for(lambda: "state" in leaves(broker, IDENT), "the state, which is wanted again")


def test_discovery(make_bridge, subscribe, broker):
    """With it, the states that were published for it go, too."""
    bridge = make_bridge({**DISCOVERY, "publish": {"state_interval": "100ms"}})
    sub = subscribe("#")
    begin(bridge, sub)
    for ident in (IDENT, GONE):
        sub.on(CONFIG.format(ident))
    kept = Kept(broker)
    assert all(CONFIG.format(i) in kept.of and "state" in kept.leaves(i) for i in (IDENT, GONE))
    restart(bridge, homeassistant={"discovery": "no"})
    for ident in (IDENT, GONE):
        sub.on(CONFIG.format(ident), where=lambda m: m.payload == b"")
        wait_for(lambda i=ident: "state" not in leaves(broker, i), "the state to be cleared")
    kept = Kept(broker)
    assert not any(topic.startswith("homeassistant/") for topic in kept.of)
    fresh = subscribe("homeassistant/#")
    restart(bridge)
    restart(bridge, homeassistant={"discovery": "yes"})
    unit = Unit(bridge.port)
    unit.send(v1(IDENT, time.time()))
    told = fresh.on(CONFIG.format(IDENT))
    assert [bool(m.payload) for m in told][0], "it was removed once more"
    assert json.loads(told[0].payload)["cmps"]


def test_discovery_that_is_not_retained(make_bridge, subscribe, broker):
    """Home Assistant has the device all the same."""
    bridge = make_bridge({"homeassistant": {"discovery": "yes", "unknown": "yes"}, "publish": {"state_interval": "100ms"}})
    sub = subscribe("#")
    begin(bridge, sub)
    sub.on(CONFIG.format(GONE))
    restart(bridge, homeassistant={"discovery": "no"})
    for ident in (IDENT, GONE):
        sub.on(CONFIG.format(ident), where=lambda m: m.payload == b"")


@pytest.mark.parametrize("how", ["reload", "restart", "kill"])
def test_positions(make_bridge, subscribe, broker, how):
    bridge = make_bridge()
    sub = subscribe()
    begin(bridge, sub, "position")
    assert all("position" in leaves(broker, ident) for ident in (IDENT, GONE))
    if how == "reload":
        bridge.sections["publish"]["retain"] = "no"
        bridge.write()
        bridge.process.send_signal(signal.SIGHUP)
    else:
        restart(bridge, signal.SIGKILL if how == "kill" else signal.SIGTERM, publish={"retain": "no"})
    for ident in (IDENT, GONE):
        wait_for(lambda i=ident: "position" not in leaves(broker, i), "the position to be cleared")
        assert "status" in leaves(broker, ident)
    restart(bridge)
    fresh = subscribe()
    restart(bridge)
    unit = Unit(bridge.port)
    unit.send(v1(IDENT, time.time()))
    assert all(m.payload and not m.retain for m in fresh.on(f"trackers/{IDENT}/position")), "it was cleared once more"
    assert "position" not in leaves(broker, IDENT)


@pytest.mark.parametrize("before,after", [("", "van-12"), ("van-12", "van-13"), ("van-12", "")])
def test_a_name_that_changes_while_the_bridge_is_away(make_bridge, subscribe, broker, tmp_path, before, after):
    def section(ident, topic):
        return f"[{ident}]\nname = Van\n" + (f"topic = {topic}{ident[-1]}\n" if topic else "")

    def write(topic):
        units.write_text(section(IDENT, topic) + section(GONE, topic))

    def name(ident, topic):
        return f"{topic}{ident[-1]}" if topic else ident

    units = tmp_path / "units.ini"
    write(before)
    bridge = make_bridge({**DISCOVERY, "units": {"file": units, "return": "1s"}, "publish": {"state_interval": "100ms"}})
    sub = subscribe("#")
    bridge.wait_connected()
    for ident in (IDENT, GONE):
        unit = Unit(bridge.port)
        unit.send(v1(ident, time.time()))
        wait_for(lambda i=ident: {"position", "status", "state"} <= leaves(broker, name(i, before)), "what is retained")
        if ident == GONE:
            unit.finish()
            sub.on(f"trackers/{name(ident, before)}/status", where=lambda m: m.record["state"] == "offline")
    write(after)
    restart(bridge)
    for ident in (IDENT, GONE):
        wait_for(lambda i=ident: not leaves(broker, name(i, before)), "what was retained under the old name to be cleared")
        wait_for(lambda i=ident: {"position", "status", "state"} <= leaves(broker, name(i, after)), "what is retained under the new one")
        config = Kept(broker).of[CONFIG.format(ident)]
        assert f"trackers/{name(ident, after)}/state".encode() in config
