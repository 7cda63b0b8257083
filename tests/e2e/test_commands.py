# SPDX-License-Identifier: MIT
"""A command published to a unit's topic reaches it alone in its segment; cmd/reply says what became of it."""

import json
import socket

import pytest
from conftest import PATIENCE, Unit, v1
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

IDENT = "9170503816"


def reply(sub, ident=IDENT, **wanted):
    return sub.on(f"trackers/{ident}/cmd/reply", where=lambda m: all(
        m.record.get(k) == v for k, v in wanted.items()))[0].record


def connected(bridge, transport="tcp", ident=IDENT):
    unit = Unit(bridge.port, transport)
    unit.send(v1(ident))
    assert b",V4,V1," in unit.receive()
    return unit


def test_text_command_over_tcp_and_udp(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    for transport, ident in (("tcp", IDENT), ("udp", "9170503817")):
        unit = connected(bridge, transport, ident)
        sub.publish(f"trackers/{ident}/cmd", "S20,000000,1,1")
        frame = f"*HQ,{ident},S20,000000,1,1#"
        assert unit.receive() == frame.encode()
        record = reply(sub, ident, status="sent")
        assert record["frame"] == frame and record["command"] == "S20" and record["ident"] == ident
        assert record["server.timestamp"] > 1.7e9
        unit.close()


def test_the_maker_code_of_the_unit_is_used(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1(IDENT).replace("*HQ", "*TH"))
    assert unit.receive().startswith(b"*TH,")
    sub.publish(f"trackers/{IDENT}/cmd", "R1,130305")
    assert unit.receive() == f"*TH,{IDENT},R1,130305#".encode()
    unit.close()


def test_commands_and_acknowledgements_never_share_a_segment(make_bridge, subscribe):
    bridge = make_bridge({"commands": {"gap": "100ms"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = connected(bridge)
    for n in range(5):
        sub.publish(f"trackers/{IDENT}/cmd", f"D1,00000{n},30,1")
        unit.send(v1(IDENT, f"12350{n}"))
    segments = []
    while sum(s.count(b"#") for s in segments) < 10:
        segments.append(unit.receive())
    assert [s for s in segments if b",D1," in s] == [f"*HQ,{IDENT},D1,00000{n},30,1#".encode() for n in range(5)]
    unit.close()


def test_absent_unit(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    sub.publish("trackers/1234567890/cmd", "S20,000000,1,1")
    assert "not connected" in reply(sub, "1234567890", status="offline")["reason"]
    unit = connected(bridge)
    unit.close()
    sub.on(f"trackers/{IDENT}/status", where=lambda m: m.record["state"] == "offline")
    sub.publish(f"trackers/{IDENT}/cmd", "S20,000000,1,1")
    reply(sub, status="offline")


def test_rejected_with_a_reason_and_nothing_sent(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = connected(bridge)
    bad = [b"", b"S20,1#", b"*HQ,1", b"a$b", b"S20\n", b"S20\x00", "Zürich".encode(), b"\xff\xfe", b"A" * 1500]
    for n, payload in enumerate(bad):
        sub.publish(f"trackers/{IDENT}/cmd", payload)
        got = sub.on(f"trackers/{IDENT}/cmd/reply", n + 1)[n].record
        assert got["status"] == "rejected" and len(got["reason"]) > 10, payload
    sub.publish(f"trackers/{IDENT}/cmd", "S32,000000,1", retain=True)
    got = sub.on(f"trackers/{IDENT}/cmd/reply", len(bad) + 1)[-1].record
    assert got["status"] == "rejected" and "retain" in got["reason"]
    sub.publish(f"trackers/{IDENT}/cmd", "R7,000000")
    assert unit.receive() == f"*HQ,{IDENT},R7,000000#".encode()
    unit.close()


@pytest.mark.parametrize("wrong", [
    '"payload":"engine.stop"', '"payload":"*HQ,1,S20,1#"', '"payload":""', '"payload":7', '"payload":"R7","command":"restart"', '"nonsense":1',
    '"payload":"R7","payload":"R8"', '"command":"nonsense"', '"command":"restart","args":7', '"command":"restart","args":{"x":1}',
    '"command":"report.interval"', '"payload":"R7","timeout":-1', '"payload":"R7","hold":"long"', '"payload":"R7","args":{}', '"payload":"a$b"'])
@pytest.mark.parametrize("last", [False, True])
def test_a_rejection_carries_the_id(make_bridge, subscribe, wrong, last):
    """Whatever is wrong with a request, and wherever its id stands: who asked finds the answer."""
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = connected(bridge)
    sub.publish(f"trackers/{IDENT}/cmd", "{" + (f'{wrong},"id":"mine"' if last else f'"id":"mine",{wrong}') + "}")
    got = sub.on(f"trackers/{IDENT}/cmd/reply")[0].record
    assert (got["status"], got.get("id")) == ("rejected", "mine"), got
    unit.close()


def test_commands_can_be_switched_off(make_bridge, subscribe):
    bridge = make_bridge({"commands": {"enabled": "no"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = connected(bridge)
    sub.publish(f"trackers/{IDENT}/cmd", "R7,000000")
    unit.send(v1(IDENT, "123600"))
    assert b",V4,V1," in unit.receive()
    sub.on(f"trackers/{IDENT}/position", 2)
    assert not sub.now(lambda m: m.topic.endswith("/reply"))
    unit.close()


def test_a_talkative_unit_does_not_starve_commands(make_bridge, subscribe):
    """Reports come faster than the gap between an acknowledgement and a command."""
    bridge = make_bridge({"commands": {"gap": "200ms"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = connected(bridge)
    unit.socket.settimeout(0.05)
    for n in range(3):
        sub.publish(f"trackers/{IDENT}/cmd", f"D1,00000{n},30,1")
    segments, reports = [], 0
    while sum(b",D1," in s for s in segments) < 3 and reports < 500:
        reports += 1
        unit.send(v1(IDENT, f"{reports // 60:04}{reports % 60:02}"))
        try:
            segments.append(unit.receive())
        except TimeoutError:
            pass
    assert [s for s in segments if b",D1," in s] == [f"*HQ,{IDENT},D1,00000{n},30,1#".encode() for n in range(3)]
    unit.socket.settimeout(30)
    told = sum(s.count(b",V4,V1,") for s in segments)
    while told < reports:
        told += unit.receive().count(b",V4,V1,")
    unit.close()


def slow_unit(bridge, frames):
    """A unit that sends reports and reads nothing, so that what it is sent waits in the bridge's own kernel."""
    unit = Unit.__new__(Unit)
    unit.socket = socket.socket()
    unit.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    unit.socket.settimeout(PATIENCE)
    unit.socket.connect(("127.0.0.1", bridge.port))
    unit.send("".join(v1(IDENT, f"{n // 60:04}{n % 60:02}") for n in range(frames)))
    return unit


def test_a_unit_that_does_not_read(make_bridge, subscribe):
    bridge = make_bridge({"commands": {"gap": "10ms"}, "limits": {"frames_per_unit": "0"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = slow_unit(bridge, 600)
    sub.on(f"trackers/{IDENT}/position", 600)
    for n in range(2):
        sub.publish(f"trackers/{IDENT}/cmd", json.dumps({"payload": f"D1,00000{n},30,1", "id": str(n), "timeout": 2}))
    for n in range(2):
        assert "not sent in time" in reply(sub, status="timeout", id=str(n))["reason"]
    seen = b""
    while seen.count(b"V4,V1") < 600:
        piece = unit.receive()
        assert piece
        seen += piece
    sub.publish(f"trackers/{IDENT}/cmd", "D1,000009,30,1")
    seen += unit.receive_until(b"#")
    assert seen.count(b",D1,") == 1 and seen.endswith(b"D1,000009,30,1#"), "and never afterwards"
    reply(sub, status="sent")
    assert len(sub.now(lambda m: m.topic.endswith("/cmd/reply"))) == 3
    unit.close()


def test_response_topics(make_bridge, subscribe):
    """Whoever may command cannot make the bridge write where it pleases him."""
    bridge = make_bridge({"commands": {"response_topics": "answers/,own.app/x"}})
    bridge.wait_connected()
    sub, everything = subscribe(), subscribe("#")
    unit = connected(bridge)
    own, seen = f"trackers/{IDENT}/cmd/reply", b""
    cases = [("answers/a", True), ("own.app/xyz", True), (own, True), ("replies/a", False), ("own.app/", False),
             ("homeassistant/device/evil/config", False), ("trackers/7000/position", False), ("own/a", False),
             ("trackers/9170503817/cmd/reply", False), ("answers/" + "a" * 247, True), ("answers/" + "a" * 248, False),
             ("answers/" + "a" * 3000, False)]
    for n, (topic, allowed) in enumerate(cases):
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = topic
        properties.CorrelationData = str(n).encode()
        sub.publish(f"trackers/{IDENT}/cmd", json.dumps({"payload": f"R7,{n:06}", "id": str(n)}), properties=properties)
        if not allowed:
            assert "[commands] response_topics" in reply(sub, id=str(n), status="rejected")["reason"]
            assert not everything.now(lambda m, t=topic: m.topic == t), topic
            continue
        seen += unit.receive_until(f"*HQ,{IDENT},R7,{n:06}#".encode())
        unit.send(f"*HQ,{IDENT},V4,R7,{n:06},123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#")
        end = everything.on(topic, where=lambda m, n=n: m.record.get("id") == str(n) and m.record["status"] == "answered")
        assert [m.properties.CorrelationData for m in end] == [str(n).encode()]
        assert reply(sub, id=str(n), status="answered")
    allowed = {topic for topic, fine in cases if fine}
    assert seen.count(b",R7,") == len(allowed), "nothing of the others was sent"
    written = {m.topic for m in everything.now(lambda m: not m.topic.endswith("/cmd") and not m.topic.startswith("trackers/"))}
    assert written == allowed - {own}
    unit.close()


def test_clearing_a_retained_command_is_no_command(make_bridge, subscribe, broker):
    broker_client = subscribe()
    broker_client.publish(f"trackers/{IDENT}/cmd", "R7", retain=True)
    bridge = make_bridge()
    bridge.wait_connected()
    assert "retain" in reply(broker_client, status="rejected")["reason"]
    broker_client.publish(f"trackers/{IDENT}/cmd", b"", retain=True)
    broker_client.publish("trackers/4711/cmd", "R7")
    reply(broker_client, "4711", status="offline")
    assert len(broker_client.now(lambda m: m.topic == f"trackers/{IDENT}/cmd/reply")) == 1
