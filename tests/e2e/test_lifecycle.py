# SPDX-License-Identifier: MIT
"""Each request ends exactly once, and the end is the right one: matched by word and time or by serial number, held for
an absent unit, never sent twice, never called a success that it is not."""

import json
import subprocess
import time

import pytest
from conftest import BUILD, Unit, v1, wait_for
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

IDENT = "9170503816"
REPLY = f"trackers/{IDENT}/cmd/reply"
BLOCK = "123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF"


def connected(bridge, ident=IDENT, n=0):
    unit = Unit(bridge.port)
    unit.send(v1(ident, f"1235{n:02}"))
    assert b",V4,V1," in unit.receive()
    return unit


def states(sub, wanted_id, count):
    got = sub.on(REPLY, count, where=lambda m: m.record.get("id") == wanted_id)
    return [m.record["status"] for m in got], got[-1].record


def ask(sub, **request):
    sub.publish(f"trackers/{IDENT}/cmd", json.dumps(request))


@pytest.fixture
def world(make_bridge, subscribe):
    bridge = make_bridge({"commands": {"gap": "10ms"}})
    bridge.wait_connected()
    return bridge, subscribe()


def test_answered(world):
    bridge, sub = world
    unit = connected(bridge)
    ask(sub, payload="S20,130305,1,1", id="a")
    assert unit.receive() == f"*HQ,{IDENT},S20,130305,1,1#".encode()
    unit.send(f"*HQ,{IDENT},V4,S20,DONE,130305,{BLOCK}#")
    got, last = states(sub, "a", 2)
    assert got == ["sent", "answered"] and last["result"] == "DONE" and last["elapsed"] >= 0
    assert last["frame"] == f"*HQ,{IDENT},S20,130305,1,1#" and last["reply"].startswith(f"*HQ,{IDENT},V4,S20,DONE")
    sub.on(f"trackers/{IDENT}/position", where=lambda m: m.record["message.type"] == "V4")
    unit.close()


def test_swapped_replies_and_one_without_time(world):
    bridge, sub = world
    unit = connected(bridge)
    for wanted, clock in (("a", "000001"), ("b", "000002"), ("c", "000003")):
        ask(sub, payload=f"D1,{clock},30,1", id=wanted)
        unit.receive_until(b"#")
    unit.send(f"*HQ,{IDENT},V4,D1,30,1,000002,{BLOCK}#")
    assert states(sub, "b", 2)[0] == ["sent", "answered"]
    unit.send(f"*HQ,{IDENT},V4,D1,60,7,000001,{BLOCK}#")  # other parameters than asked: its own words are told
    assert states(sub, "a", 2)[1]["result"] == "60,7"
    unit.send(f"*HQ,{IDENT},V4,D1,{BLOCK}#")  # a firmware that does not echo the time
    assert states(sub, "c", 2)[0] == ["sent", "answered"]
    unit.send(f"*HQ,{IDENT},V4,S32,0000130502.35,130305,{BLOCK}#")  # nobody asked
    sub.on(f"trackers/{IDENT}/position", where=lambda m: "vehicle.mileage" in m.record)
    assert len(sub.now(lambda m: m.topic == REPLY)) == 6
    unit.close()


def test_text_command_of_4g_units_is_answered_by_sms_frame(world):
    bridge, sub = world
    unit = connected(bridge)
    ask(sub, payload="rconf", id="a")
    assert unit.receive() == f"*HQ,{IDENT},rconf#".encode()
    unit.send(f"*HQ,{IDENT},SMS,ST-901/4G,ID:1#")
    assert states(sub, "a", 2)[1]["result"] == "ST-901/4G,ID:1"
    unit.close()


def test_silence_gives_timeout_and_a_late_answer_none(world):
    bridge, sub = world
    unit = connected(bridge)
    ask(sub, payload="S32,130305,1", id="a", timeout=0.5)
    unit.receive()
    assert states(sub, "a", 2)[0] == ["sent", "timeout"]
    unit.send(f"*HQ,{IDENT},V4,S32,1,130305,{BLOCK}#")
    sub.on(f"trackers/{IDENT}/position", where=lambda m: m.record["message.type"] == "V4")
    assert len(states(sub, "a", 2)[0]) == 2
    unit.close()


def test_disconnect_and_takeover_before_the_answer(world):
    bridge, sub = world
    unit = connected(bridge)
    ask(sub, payload="S32,130305,1", id="a")
    unit.receive()
    unit.close()
    got, last = states(sub, "a", 2)
    assert got == ["sent", "offline"] and "before it answered" in last["reason"]
    unit = connected(bridge, n=1)
    ask(sub, payload="S32,130306,1", id="b")
    unit.receive()
    newer = connected(bridge, n=2)
    assert states(sub, "b", 2)[0] == ["sent", "offline"]
    ask(sub, payload="S32,130307,1", id="c")
    assert newer.receive() == f"*HQ,{IDENT},S32,130307,1#".encode()
    newer.close()
    unit.close()


def test_held_until_the_unit_comes_and_sent_once(world):
    bridge, sub = world
    ask(sub, command="engine.stop", id="a", hold=60)
    sub.on(REPLY, where=lambda m: m.record["status"] == "held")
    unit = connected(bridge)
    frame = unit.receive()
    assert frame.startswith(f"*HQ,{IDENT},S20,".encode()) and frame.endswith(b",1,1#")
    newer = connected(bridge, n=1)
    assert states(sub, "a", 3)[0] == ["held", "sent", "offline"]
    newer.send(v1(IDENT, "123600"))
    assert b"S20" not in newer.receive()
    newer.close()
    unit.close()


def test_expiry_of_the_hold(world):
    bridge, sub = world
    ask(sub, payload="R7,000000", id="a", hold=0.5)
    assert states(sub, "a", 2)[0] == ["held", "expired"]
    properties = Properties(PacketTypes.PUBLISH)
    properties.MessageExpiryInterval = 1
    sub.publish(f"trackers/{IDENT}/cmd", json.dumps({"payload": "R7,000000", "id": "b", "hold": 3600}),
                properties=properties)
    assert states(sub, "b", 2)[0] == ["held", "expired"]
    unit = connected(bridge)
    unit.send(v1(IDENT, "123600"))
    assert b"R7" not in unit.receive()
    unit.close()


def test_the_same_id_twice_and_too_many(world):
    bridge, sub = world
    unit = connected(bridge)
    ask(sub, payload="S32,000001,1", id="a")
    unit.receive()
    ask(sub, payload="S32,000001,1", id="a")
    got, last = states(sub, "a", 2)
    assert got == ["sent", "rejected"] and "waiting already" in last["reason"]
    for n in range(8):
        ask(sub, payload=f"S32,00001{n},1", id=str(n))
    assert "too many" in states(sub, "7", 1)[1]["reason"]
    unit.close()


def test_the_bridge_stops(world):
    bridge, sub = world
    unit = connected(bridge)
    ask(sub, payload="S32,000001,1", id="a")
    unit.receive()
    sub.on(REPLY)
    assert bridge.stop() == 0
    assert not sub.now(lambda m: m.topic == REPLY and m.record["status"] != "sent")  # it waits on: test_requests_kept.py
    unit.close()


def test_a_bridge_that_keeps_nothing_stops(make_bridge, subscribe):
    bridge = make_bridge({"outbox": {"path": ""}})
    bridge.wait_connected()
    sub = subscribe()
    unit = connected(bridge)
    ask(sub, payload="S32,000001,1", id="a")
    unit.receive()
    sub.on(REPLY)
    assert bridge.stop() == 0
    got, last = states(sub, "a", 2)
    assert got == ["sent", "offline"] and "stops" in last["reason"]
    unit.close()


def test_the_end_is_told_after_a_restart_of_the_broker(make_bridge, subscribe, broker):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe(client_id="asker", clean=False)  # the broker keeps the subscription
    unit = connected(bridge)
    ask(sub, payload="S32,130305,1", id="a")
    unit.receive()
    sub.on(REPLY)
    broker.stop()
    unit.send(f"*HQ,{IDENT},V4,S32,1,130305,{BLOCK}#")
    broker.start()
    assert sub.on(REPLY, where=lambda m: m.record["status"] == "answered")
    unit.close()


BAD = [
    ('{"command":"engine.stop"', "broken JSON"), ("[" * 10000, "S32"), ('{"a":' * 1500, "broken JSON"),
    ('{"command":"fly"}', "allowed: engine.stop"), ('{"command":"engine.stop","colour":1}', "unknown key colour"),
    ('{"command":"engine.stop","command":"restart"}', "twice"), ('{"payload":5}', "string"),
    ('{"payload":"S20,1#"}', "delimit"), ('{"payload":""}', "empty"), ("{}", "exactly one"),
    ('{"payload":"a","command":"restart"}', "exactly one"), ('{"command":"report.interval"}', "needs the argument"),
    ('{"command":"report.interval","args":{"interval":"30"}}', "wrong type"),
    ('{"command":"report.interval","args":{"interval":4}}', "out of range"),
    ('{"command":"report.interval","args":{"interval":65536}}', "out of range"),
    ('{"command":"report.interval","args":{"interval":30.5}}', "wrong type"),
    ('{"command":"report.interval","args":{"interval":30,"interval":31}}', "twice"),
    ('{"command":"report.interval","args":{"speed":30}}', "allowed: interval"),
    ('{"command":"server.set","args":{"host":"a b","port":1}}', "blanks"),
    ('{"command":"server.set","args":{"host":"","port":1}}', "too short"),
    ('{"payload":"a","timeout":"5"}', "number of seconds"), ('{"payload":"a","timeout":0}', "number of seconds"),
    ('{"payload":"a","hold":-1}', "number of seconds"), ('{"payload":"a","id":7}', "id must be"),
    (b'{"payload":"\xff"}', "UTF-8"), (b'{"payload":"a\x00"}', "NUL"), ("A" * 1000000, "longer than"),
]


def test_bad_requests(world):
    bridge, sub = world
    unit = connected(bridge)
    for n, (payload, part) in enumerate(BAD):
        sub.publish(f"trackers/{IDENT}/cmd", payload)
        last = sub.on(REPLY, n + 1)[n].record
        if part == "S32":  # no JSON object: taken for text
            part = "longer than"
        assert last["status"] == "rejected" and part in last["reason"], (payload[:60], last)
    unit.send(v1(IDENT, "123600"))
    assert unit.receive().startswith(f"*HQ,{IDENT},V4,V1,".encode())
    unit.close()


def test_allow_list(make_bridge, subscribe):
    bridge = make_bridge({"commands": {"allow": "engine.stop, S32"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = connected(bridge)
    for n, (request, fine) in enumerate([({"command": "engine.stop"}, True), ({"payload": "S32,000000,1"}, True),
                                         ({"payload": "S20,000000,1,1"}, False), ({"command": "restart"}, False)]):
        ask(sub, id=str(n), **request)
        got, last = states(sub, str(n), 1)
        assert got[0] == ("sent" if fine else "rejected") and (fine or "allow" in last["reason"])
    unit.close()


def test_request_and_response_of_mqtt_5(make_bridge, subscribe, tmp_path):
    """1,000 commands to 100 units that report meanwhile: each correlation id comes back with its own answer, once."""
    bridge = make_bridge({"commands": {"gap": "5ms", "max_held_per_unit": "50"}})
    bridge.wait_connected()
    sub = subscribe("trackers/+/status")
    answers = subscribe("answers/#")
    sim = subprocess.Popen([BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{bridge.port}", "-n", "100", "-i", "0.5"],
                           stdout=subprocess.DEVNULL)
    try:
        sub.wait(lambda m: m.record["state"] == "online", "units", 100)
        for n in range(1000):
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic = "answers/here"
            properties.CorrelationData = str(n).encode()
            sub.client.publish(f"trackers/{9170000001 + n % 100}/cmd",
                               json.dumps({"payload": f"D1,{n:06},30,{n}"}), 1, properties=properties)
        ends = answers.wait(lambda m: m.record["status"] == "answered", "answers", 1000, patience=60)
        seen = {int(m.properties.CorrelationData): m.record for m in ends}
        assert len(seen) == 1000
        for n, record in seen.items():
            assert record["result"] == f"30,{n}" and record["ident"] == str(9170000001 + n % 100)
        assert len(answers.now(lambda m: m.record["status"] != "sent")) == 1000
    finally:
        sim.terminate()
        sim.wait(30)


def commands(protocol):
    """The rows that the program prints: name -> {argument: (is number, min, max, default)}."""
    text = subprocess.run([BUILD / "tracker2mqtt", "--print-commands"], capture_output=True, text=True, check=True).stdout
    table, name, here = {}, None, False
    for line in text.splitlines():
        if not line.startswith(" "):
            here = line.startswith(protocol + ":")
        elif here and line.startswith("    {"):
            assert json.loads(line)["command"] == name
        elif here and line.startswith("    "):
            word = line.split(";")[0].split()
            number = word[1] == "number"
            low, high = (int(word[2]), int(word[4])) if number else (int(word[4]), int(word[6].rstrip(";")))
            table[name][word[0]] = (number, low, high, "default:" in line)
        elif here:
            name = line.split()[0]
            table[name] = {}
    return table


def value(number, size):
    return size if number else "1" * size


@pytest.mark.parametrize("protocol", ["h02", "jt808"])
def test_every_named_command_at_its_limits(make_bridge, subscribe, protocol):
    bridge = make_bridge({"commands": {"gap": "0", "max_held_per_unit": "1000"}})
    bridge.wait_connected()
    sub = subscribe()
    if protocol == "h02":
        unit = connected(bridge)
    else:
        unit = Unit(bridge.port)
        unit.send(bytes.fromhex("7e000200000091705038160007") + bytes([0x00]) + b"\x7e")
        head = bytes.fromhex("00020000009170503816000700")[:12]
        check = 0
        for byte in head:
            check ^= byte
        unit.send(b"\x7e" + head + bytes([check]) + b"\x7e")
        unit.receive()
    table = commands(protocol)
    assert len(table) > 15 and {"engine.stop", "engine.resume", "report.interval", "position.request", "restart",
                                "server.set", "apn.set"} <= set(table)
    n = 0
    for name, arguments in table.items():
        low = {k: value(number, a) for k, (number, a, b, d) in arguments.items()}
        high = {k: value(number, b) for k, (number, a, b, d) in arguments.items()}
        for args in (low, high):
            n += 1
            ask(sub, command=name, args=args, id=str(n), timeout=0.1)
            frame = unit.receive()
            got, last = states(sub, str(n), 2)
            assert got[0] == "sent" and last["command"] == name, last
            text = frame.decode() if protocol == "h02" else frame.hex().upper()
            assert last["frame"] == text
            if protocol == "h02":
                assert text.startswith(f"*HQ,{IDENT},") and text.endswith("#") and "{" not in text
                assert all(str(v) in text.split(",", 3)[-1] for v in args.values()), text
        for key, (number, a, b, default) in arguments.items():
            for outside in ([a - 1] if number or a > 0 else []) + [b + 1]:
                n += 1
                ask(sub, command=name, args={**low, key: value(number, outside)}, id=str(n))
                got, last = states(sub, str(n), 1)
                assert got == ["rejected"] and key in last["reason"], (name, key, outside)
            if not default:
                n += 1
                ask(sub, command=name, args={k: v for k, v in low.items() if k != key}, id=str(n))
                assert states(sub, str(n), 1)[0] == ["rejected"]
    unit.close()


@pytest.mark.parametrize("protocol", ["h02", "jt808", "jt808-2019"])
def test_a_simulated_unit_answers_every_named_command(make_bridge, subscribe, protocol):
    bridge = make_bridge({"commands": {"gap": "10ms"}})
    bridge.wait_connected()
    sub = subscribe()
    sim = subprocess.Popen([BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{bridge.port}", "-p", protocol, "-n", "1", "-i",
                            "0.2", "--ident", IDENT, "--reconnect", "0.1"], stdout=subprocess.DEVNULL)
    try:
        sub.on(f"trackers/{IDENT}/position")
        for name, arguments in commands(protocol.split("-")[0]).items():
            args = {k: value(number, a) for k, (number, a, b, d) in arguments.items()}
            ask(sub, command=name, args=args, id=name, timeout=1)
            got, last = states(sub, name, 2)
            if protocol == "h02" and name == "alarm.clear":  # units do not answer it
                assert got == ["sent", "timeout"]
            elif protocol == "h02" and name == "restart":  # the unit hangs up
                assert got == ["sent", "offline"]
                sub.on(f"trackers/{IDENT}/status", 2, where=lambda m: m.record["state"] == "online")
            else:
                assert got == ["sent", "answered"] and last["reply"], last
    finally:
        sim.terminate()
        sim.wait(30)
