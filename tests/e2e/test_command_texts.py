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
