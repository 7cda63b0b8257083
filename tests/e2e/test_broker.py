# SPDX-License-Identifier: MIT
"""The broker may go and come: the bridge reconnects by itself, loses nothing, repeats only what was on its way,
and does not spin meanwhile."""

import time

from conftest import Unit, v1, wait_for


def rests(bridge):
    before = bridge.cpu_seconds()
    time.sleep(0.5)
    return bridge.cpu_seconds() == before


def test_outage(make_bridge, subscribe, broker):
    bridge = make_bridge({"publish": {"retain": "no"}})
    bridge.wait_connected()
    sub = subscribe(client_id="all", clean=False)  # the broker keeps the subscription
    unit = Unit(bridge.port)
    unit.send(v1("9170503816", "000000"))
    unit.receive()
    before = {m.record["server.seqnum"] for m in sub.on("trackers/9170503816/position")}
    broker.stop()
    wait_for(lambda: "trying again" in bridge.log(), "the loss")
    for n in range(1, 201):
        unit.send(v1("9170503816", f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}"))
    unit.receive_until(b"V4,V1")
    wait_for(lambda: rests(bridge), "the bridge to rest: who spins uses the processor in each half second")
    broker.start()
    got = sub.on("trackers/9170503816/position", 200, where=lambda m: m.record["server.seqnum"] not in before)
    numbers = [m.record["server.seqnum"] for m in got]
    assert numbers == sorted(set(numbers)), "in order, none twice"
    assert [m.record["timestamp"] % 86400 for m in got] == list(range(1, 201))
    unit.close()


def test_no_broker_at_start(make_bridge, subscribe, broker):
    broker.stop()
    bridge = make_bridge()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    assert b"V4,V1" in unit.receive()
    broker.start()
    subscribe().on("trackers/9170503816/position")
    unit.close()


def test_refused_login_is_said(make_bridge, broker):
    broker.stop()
    broker.config.write_text(broker.config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    broker.start()
    bridge = make_bridge()
    wait_for(lambda: "refuses: Not authorized" in bridge.log(), "the refusal")
