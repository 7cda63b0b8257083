# SPDX-License-Identifier: MIT
"""The state topic says the newest value of every key, merged by date, and survives what brokers forget."""

import time

from conftest import PATIENCE, Subscriber, Unit, wait_for

LIVE, STORED = "FFFFFBFF", "FBFFFBFF"


def v1(ident, when, latitude="2232.6024", status=LIVE, valid="A", speed="021.60"):
    """A report of this Unix time."""
    t = time.gmtime(when)
    return (f"*HQ,{ident},V1,{time.strftime('%H%M%S', t)},{valid},{latitude},N,11355.7983,E,{speed},090,"
            f"{time.strftime('%d%m%y', t)},{status},460,00,10342,4283#")


def retained(port, topic, where=lambda record: True, patience=PATIENCE):
    """What a new client is told of a topic; it is retained then."""
    end = time.monotonic() + patience
    while True:
        sub = Subscriber(port, topic)
        try:
            found = sub.wait(lambda m: True, f"{topic} retained", patience=max(1, end - time.monotonic()))
            if where(found[-1].record):
                return found[-1].record
            assert time.monotonic() < end, f"{topic} stays {found[-1].record}"
        finally:
            sub.close()
        time.sleep(0.1)


def stored_after_live(make_bridge, subscribe, options):
    """V1 at now, then two of 60 and 59 minutes ago that say that they were stored."""
    bridge = make_bridge(options)
    bridge.wait_connected()
    sub = subscribe()
    ident, now = "9170000011", int(time.time())
    unit = Unit(bridge.port)
    unit.send(v1(ident, now))
    live = sub.on(f"trackers/{ident}/position")[0].record
    for minutes, latitude in ((60, "2200.0000"), (59, "2201.0000")):
        unit.send(v1(ident, now - minutes * 60, latitude, STORED))
    sub.on(f"trackers/{ident}/position", 3)
    unit.send(v1(ident, now + 1, "2233.0000"))
    last = sub.on(f"trackers/{ident}/position", 4)[-1].record
    states = sub.on(f"trackers/{ident}/state", where=lambda m: m.record["timestamp"] == last["timestamp"])
    all_states = sub.on(f"trackers/{ident}/state")
    return ident, live, last, [m.record for m in all_states], states[-1]


def test_a_stored_report_moves_nothing(make_bridge, subscribe):
    ident, live, last, states, message = stored_after_live(make_bridge, subscribe, {"publish": {"state": "yes"}})
    assert {round(s["position.latitude"], 4) for s in states} == {round(live["position.latitude"], 4), 22.55}
    assert all(s["timestamp"] == s["position.timestamp"] >= live["timestamp"] for s in states)
    assert all("message.buffered.status" not in s or not s["message.buffered.status"] for s in states)
    assert message.retain and states[-1]["status"] == "online"
    for key, value in last.items():
        if key != "rejected":
            assert states[-1][key] == value, key


def test_with_discovery_it_is_on_by_itself(make_bridge, subscribe):
    stored_after_live(make_bridge, subscribe, {"homeassistant": {"discovery": "yes"}})


def test_in_messagepack(make_bridge, subscribe):
    _, _, last, states, message = stored_after_live(
        make_bridge, subscribe, {"publish": {"state": "yes", "format": "msgpack"}})
    assert message.properties.ContentType == "application/msgpack"
    assert states[-1]["position.latitude"] == last["position.latitude"]


def test_without_discovery_there_is_none(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    for i in range(3):
        Unit(bridge.port).send(v1("9170000012", int(time.time()) + i))
    sub.on("trackers/9170000012/position", 3)
    assert not sub.now(lambda m: m.topic.endswith("/state"))


def test_at_most_one_in_the_interval(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"state": "yes", "state_interval": "1h"}})
    bridge.wait_connected()
    sub = subscribe()
    unit, now = Unit(bridge.port), int(time.time())
    for i in range(300):
        unit.send(v1("9170000013", now - 300 + i))
    sub.on("trackers/9170000013/position", 300)
    assert len(sub.now(lambda m: m.topic.endswith("/state"))) == 1
    bridge.stop()  # what has changed since is told at the end
    last = sub.on("trackers/9170000013/state", 2)[-1].record
    assert last["timestamp"] == now - 1 and last["status"] == "offline"


def test_without_a_fix_the_place_stays(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"state": "yes", "state_interval": "100ms"}})
    bridge.wait_connected()
    sub = subscribe()
    unit, now, topic = Unit(bridge.port), int(time.time()), "trackers/9170000014/state"
    unit.send(v1("9170000014", now - 10, speed="021.60"))
    unit.send(v1("9170000014", now - 5, "0000.0000", valid="V", speed="000.00"))
    found = sub.on(topic, where=lambda m: m.record["timestamp"] == now - 5)[-1].record
    assert found["position.valid"] is False and found["position.timestamp"] == now - 10
    assert round(found["position.latitude"], 5) == 22.54337 and found["position.speed"] > 0


def test_while_the_broker_is_away_only_the_newest_is_kept(make_bridge, subscribe, broker):
    bridge = make_bridge({"publish": {"state": "yes", "state_interval": "100ms"}})
    bridge.wait_connected()
    sub = subscribe(client_id="keeps", clean=False)
    unit, now, ident = Unit(bridge.port), int(time.time()), "9170000015"
    unit.send(v1(ident, now - 100))
    sub.on(f"trackers/{ident}/state")
    sub.close()
    broker.stop()
    wait_for(lambda: "trying again" in bridge.log(), "the bridge to notice")
    for i in range(60):
        unit.send(v1(ident, now - 60 + i))
        unit.receive()
        time.sleep(0.01)
    broker.start()
    found = retained(broker.port, f"trackers/{ident}/state", lambda r: r["timestamp"] == now - 1)
    assert found["status"] == "online"
    sub = subscribe(client_id="keeps", clean=False)
    sub.on(f"trackers/{ident}/position", 60)
    away = sub.on(f"trackers/{ident}/state", where=lambda m: m.record["timestamp"] > now - 100)
    assert {m.record["timestamp"] for m in away} == {now - 1} and len(away) <= 2  # twice: what a broker may have lost is told again
