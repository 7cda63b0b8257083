"""A command published to a unit's topic reaches it alone in its segment; cmd/reply says what became of it."""

from conftest import Unit, v1

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
