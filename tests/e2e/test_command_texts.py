# SPDX-License-Identifier: MIT
"""What is no text for a unit is rejected with the right form, and nothing is sent: a named command given as plain text, JSON that is
no object, a whole frame of any protocol copied from a manual."""

import json

import pytest
from conftest import Unit, v1
from test_jt808 import frame

IDENT = "9170503816"
WHOLE = [
    (f"*HQ,{IDENT},S20,130305,1,1#", "alone: S20,130305,1,1"), ("*HQ,YYYYYYYYYY,S20,HHMMSS,1,1#", "alone: S20,HHMMSS,1,1"),
    (f" *TH,{IDENT},D1,130305,30,1#\r\n", "alone: D1,130305,30,1"), (f"HQ,{IDENT},S20,130305,1,1#", "alone: S20,130305,1,1"),
    (f"*HQ,{IDENT},S20,130305,1,1", "alone: S20,130305,1,1"),
    (f"*HQ,{IDENT},S20,130305,1,1#".encode().hex().upper(), "alone: S20,130305,1,1"),
    ("7E810500010091705038160000F0EA7E", '{"command":"engine.stop"} or {"command":"engine.resume"} or {"command":"restart"}'),
    ("7e 82 01 00 00 00 91 70 50 38 16 00 00 1c 7e", '{"command":"position.request"}'),
    ("0x7E8201000000917050381600001C7E", '{"command":"position.request"}'),
    (bytes.fromhex("7E8201000000917050381600001C7E"), '{"command":"position.request"}'),
]
NAMED = [
    ("engine.stop", '{"command":"engine.stop"}'), ("ENGINE.STOP", '{"command":"engine.stop"}'), (" engine.stop ", '{"command":"engine.stop"}'),
    ('"engine.stop"', '{"command":"engine.stop"}'), ("engine.stop,1", '{"command":"engine.stop"}'),
    ("report.interval 60", '{"command":"report.interval","args":{"interval":'), ("door.lock", '{"command":"door.lock"}'),
    ("restart", '{"command":"restart"}'), (' {"command":"position.request"}', "{"), ('[{"command":"position.request"}]', "object"),
    (json.dumps({"payload": "engine.stop"}), '{"command":"engine.stop"}'),
    (json.dumps({"payload": f"*HQ,{IDENT},S20,130305,1,1#"}), "alone: S20,130305,1,1"),
    (json.dumps({"payload": json.dumps({"command": "position.request"})}), "object"),
]


@pytest.fixture(params=["h02", "jt808"])
def unit(request, make_bridge):
    bridge = make_bridge()
    bridge.wait_connected()
    u = Unit(bridge.port)
    u.send(v1(IDENT) if request.param == "h02" else frame(0x0002, b"", phone=IDENT))
    assert u.receive()
    u.protocol = request.param
    yield u
    u.close()


def test_rejected_with_the_right_form(unit, subscribe):
    sub = subscribe()
    own = {"h02": (f"HQ,{IDENT},S20,130305,1,1", "alone: S20,130305,1,1"),
           "jt808": ("820100000091705038160000", '{"command":"position.request"}')}[unit.protocol]
    rows = [*WHOLE, *NAMED]
    rows.append(own) if unit.protocol == "h02" else rows.append((own[0] + "1C", own[1]))
    for n, (payload, part) in enumerate(rows):
        sub.publish(f"trackers/{IDENT}/cmd", payload)
        got = sub.on(f"trackers/{IDENT}/cmd/reply", n + 1)[n].record
        assert got["status"] == "rejected" and part in got["reason"], (payload, got)
    sub.publish(f"trackers/{IDENT}/cmd", "D1,000000,0,0")
    first = unit.receive()
    assert b"D1,000000,0,0" in first and b"S20" not in first, "nothing else was sent"


def test_ordinary_texts_still_go_out(unit, subscribe):
    sub = subscribe()
    texts = ["D1,130305,30,1", "RESTART", "STATUS?", "SZ,13800138000,ON,1" if unit.protocol == "jt808" else "S71,130305,22,60",
             "a.b.c", "engine.stopped", "deadbeef", "12345678901234"]
    for text in texts:
        sub.publish(f"trackers/{IDENT}/cmd", text)
        assert text.encode() in unit.receive()


def test_a_unit_that_is_absent_makes_no_difference(make_bridge, subscribe):
    make_bridge().wait_connected()
    sub = subscribe()
    for n, (payload, part) in enumerate([*WHOLE, *NAMED]):
        sub.publish(f"trackers/{IDENT}/cmd", payload)
        got = sub.on(f"trackers/{IDENT}/cmd/reply", n + 1)[n].record
        assert got["status"] == "rejected" and part in got["reason"], (payload, got)


def test_texts_with_the_marks_of_another_protocol(make_bridge, subscribe):
    """In JT/T 808 no character delimits: makers' texts that end with # or hold * and $ go as they are. In H02 they would cut the frame."""
    bridge = make_bridge({"commands": {"gap": "10ms"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(frame(0x0002, b"", phone="013800000001"))
    unit.receive_until(b"\x7e\x80\x01")
    h02 = Unit(bridge.port)
    h02.send(v1(IDENT))
    h02.receive_until(b"#")
    for n, sent in enumerate(("RELAY,1#", "<SPGS*P:PARAM>", "$WP+UNLOCK=0000", "#0;1")):
        payload = sent if n % 2 else json.dumps({"payload": sent})
        sub.publish("trackers/13800000001/cmd", payload)
        assert b"\x01" + sent.encode() in unit.receive_until(sent.encode())
        reply = sub.on("trackers/13800000001/cmd/reply", n + 1)[n].record
        assert reply["status"] == "sent" and sent.encode().hex() in reply["frame"].lower()
        sub.publish(f"trackers/{IDENT}/cmd", payload)
        reply = sub.on(f"trackers/{IDENT}/cmd/reply", n + 1)[n].record
        assert reply["status"] == "rejected" and "* # $" in reply["reason"]
    unit.close()
    h02.close()


def test_which_command_was_answered(make_bridge, subscribe):
    bridge = make_bridge({"commands": {"gap": "10ms"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    unit.receive_until(b"#")

    def ask(request):
        sub.publish(f"trackers/{IDENT}/cmd", json.dumps(request))
        unit.receive_until(b"#")

    def end(i):
        return sub.on(f"trackers/{IDENT}/cmd/reply", where=lambda m: m.record["id"] == i and m.record["status"] != "sent")[0].record

    ask({"payload": "S20,010101,1,1", "id": "stop", "timeout": 3})
    ask({"payload": "S20,020202,1,0", "id": "resume", "timeout": "3s"})
    unit.send(f"*HQ,{IDENT},V4,S20,020202,1,0#")
    assert end("resume")["status"] == "answered" and end("resume")["result"] == "1,0"
    assert end("stop")["status"] == "timeout"
    ask({"payload": "S20,030303,1,0", "id": "new", "timeout": 1})
    unit.send(f"*HQ,{IDENT},V4,S20,OK,010101#")
    assert end("new")["status"] == "timeout"
    told = sub.on(f"trackers/{IDENT}/telemetry", 2)
    assert [m.record["custom.command.time"] for m in told] == ["020202", "010101"]
    ask({"command": "parameters.request", "id": "s26"})
    link = f"*HQ,{IDENT},LINK,073351,100,0,86,0,0,251126,FFFFFFFF#"
    unit.send(link)
    assert end("s26")["status"] == "answered" and end("s26")["reply"] == link
    ask({"command": "position.request", "id": "d1"})
    unit.send(v1(IDENT, "123507"))
    assert end("d1")["status"] == "answered" and end("d1")["reply"] == v1(IDENT, "123507")
    ask({"command": "engine.resume", "args": {"form": 1}, "id": "form"})
    unit.close()
    assert end("form")["frame"].endswith(",1,0#")
