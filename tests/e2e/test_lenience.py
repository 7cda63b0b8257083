# SPDX-License-Identifier: MIT
"""What units get wrong: clocks that were reset, places that are none, batches that are miscounted, units without a number. Nothing
good is lost, nothing wrong is kept for ever, and no unit repeats what will never be taken."""

import json
import signal
import time

import pytest
from conftest import Unit, wait_for
from test_jt808 import frame, location, unescape

DAY = 86400
PHONE = "13800000030"


def now(ago=0):
    return time.gmtime(time.time() - ago)


def h02(ident, ago=0, date=None, latitude="2200.0000", longitude="11355.7983", status="FFFFFBFF"):
    when = now(ago)
    return (f"*HQ,{ident},V1,{time.strftime('%H%M%S', when)},A,{latitude},N,{longitude},E,021.60,090,"
            f"{date or time.strftime('%d%m%y', when)},{status}#")


def jt808(ident, ago=0, date=None, latitude=22000000, items=b"", serial=1):
    when = now(ago - 8 * 3600)
    return frame(0x0200, location(date or time.strftime("%y%m%d%H%M%S", when), latitude=latitude, items=items), ident, serial)


def general(data):
    """The general answers: (serial, message, result)."""
    frames = [unescape(b"\x7e" + f + b"\x7e") for f in data.strip(b"\x7e").split(b"\x7e\x7e")]
    bodies = [f[17 if f[2] & 0x40 else 12:-1] for f in frames if f[:2] == b"\x80\x01"]
    return [(int.from_bytes(b[:2], "big"), int.from_bytes(b[2:4], "big"), b[4]) for b in bodies]


def retained(subscribe, topic):
    sub = subscribe(topic)
    message = sub.on(topic)[0]
    assert message.retain
    return message.record


def counted(sub, status, count=1):
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record[f"frames.rejected.{status}"] == count)


# --- time ---


@pytest.mark.parametrize("date", ["110407", "010100", "311209", "weeks"])
def test_a_wrong_clock_does_not_hold_the_retained_position(make_bridge, subscribe, date):
    """H02; `weeks`: 1024 weeks ago, as a receiver says whose counter of weeks began anew."""
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    topic = "trackers/9170000345/position"
    unit = Unit(bridge.port)
    unit.send(h02("9170000345"))
    old = time.strftime("%d%m%y", now(1024 * 7 * DAY)) if date == "weeks" else date
    for latitude in ("2300.0000", "2301.0000"):
        unit.send(h02("9170000345", date=old, latitude=latitude))
    got = [m.record for m in sub.on(topic, 3)]
    assert "timestamp.valid" not in got[0]
    for record in got[1:]:
        assert record["timestamp.valid"] is False and record["timestamp"] == record["server.timestamp"]
    assert retained(subscribe, topic)["position.latitude"] == pytest.approx(23.0166667)
    unit.send(h02("9170000345", latitude="2400.0000"))  # its clock is right again
    sub.on(topic, 4)
    assert retained(subscribe, topic)["position.latitude"] == 24
    unit.close()


def test_wrong_clocks_of_other_messages(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    for data, topic in (
            ("*HQ,355480000000006,V3,002339,62160,02,024852,035421,148,0,024852,035425,143,,02A1,0,X,010104,EFE7FBFF#",
             "355480000000006/telemetry"),
            (bytes.fromhex("7e0201002402453000000100140002000000000000000201015a4005bbf140000000000000070113102041010400000000317e"),
             "24530000001/position"),
            (bytes.fromhex("7e0200001c01380000001600020000000000000003015752a006cb8080000a0064005a000101080010757e"),
             "13800000016/position"),
            (frame(0x0210, bytes.fromhex("64070220011507"), "13800000017"), "13800000017/telemetry")):
        unit = Unit(bridge.port)
        unit.send(data)
        record = sub.on(f"trackers/{topic}")[0].record
        assert record["timestamp.valid"] is False and record["timestamp"] == record["server.timestamp"]
        unit.close()


# --- place ---


@pytest.mark.parametrize("protocol", ["h02", "jt808"])
def test_a_fix_at_zero_is_no_place(make_bridge, subscribe, protocol):
    if protocol == "h02":
        ident, good = "9170000013", h02("9170000013")
        nowhere = h02("9170000013", latitude="0000.0000", longitude="00000.0000")
    else:
        ident, good = "13800000013", jt808("13800000013")
        nowhere = bytes.fromhex("7e0200001c013800000013000200000000000000030000000000000000000a0064005a261125200000337e")
    bridge = make_bridge({"owntracks": {"topic": "owntracks/{ident}/tracker"}})
    bridge.wait_connected()
    sub, tracks = subscribe(), subscribe("owntracks/#")
    unit = Unit(bridge.port)
    unit.send(good)
    sub.on(f"trackers/{ident}/position")
    unit.send(nowhere)
    record = sub.on(f"trackers/{ident}/telemetry")[0].record
    assert record["position.valid"] is False and "position.latitude" not in record and "position.longitude" not in record
    assert retained(subscribe, f"trackers/{ident}/position")["position.latitude"] == 22
    unit.send(good)
    sub.on(f"trackers/{ident}/position", 2)
    places = tracks.wait(lambda m: b'"location"' in m.payload, "locations", 2)
    assert all(m.record["lat"] == 22 for m in places)
    unit.close()


# --- JT/T 808: batches, lengths, parts ---


def test_one_bad_item_of_a_batch(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"raw": "yes"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    items = [location(f"26010212000{n}", latitude=lat) for n, lat in enumerate((22500000, 0xFFFFFFFF, 22500000))]
    body = b"\0\3\1" + b"".join(b"\0\x1c" + item for item in items)
    unit.send(frame(0x0704, body, PHONE, 9))
    assert general(unit.receive()) == [(9, 0x0704, 0)]
    assert len({m.record["timestamp"] for m in sub.on(f"trackers/{PHONE}/position", 2)}) == 2
    sub.on(f"trackers/{PHONE}/raw", where=lambda m: m.record.get("error") == "bad-latitude")
    counted(sub, "bad-latitude")
    for serial, count in ((10, 0), (11, 4)):
        unit.send(frame(0x0704, count.to_bytes(2, "big") + body[2:3] + (b"\0\x1c" + items[0]) * 3, PHONE, serial))
        assert general(unit.receive()) == [(serial, 0x0704, 0)]
    sub.on(f"trackers/{PHONE}/position", 8)
    unit.send(frame(0x0002, b"", PHONE, 12))
    sub.on(f"trackers/{PHONE}/telemetry")
    assert len(sub.now(lambda m: m.topic == f"trackers/{PHONE}/position")) == 8
    unit.close()


def test_a_wrong_length_is_answered(make_bridge, subscribe):
    """The check code is right, but it does not see an escape that became two bytes: nothing is taken, and nobody comes on line."""
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(bytes.fromhex("7e0200002501380000004000090000000000000003015752a006cb8080000a0064005a2608011200000104000004d2300111310109fe7e"))
    assert general(unit.receive()) == [(9, 0x0200, 2)]
    counted(sub, "bad-length")
    unit.send(frame(0x0200, location(), "13800000040", 10))
    assert general(unit.receive()) == [(10, 0x0200, 0)]
    sub.on("trackers/13800000040/position")
    assert [m.topic for m in sub.now(lambda m: m.topic.endswith("/status") and "bridge" not in m.topic)] == ["trackers/13800000040/status"]
    unit.close()


def test_pictures(make_bridge, subscribe):
    """More parts than are taken are refused at once; a lost part is asked for; what is whole is confirmed with its id."""
    bridge = make_bridge({"limits": {"parts": "3"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    body = (77).to_bytes(4, "big") + bytes(1000)
    parts = [body[:400], body[400:800], body[800:]]
    unit.send(frame(0x0801, parts[0], PHONE, 1, (1, 4)))
    assert general(unit.receive()) == [(1, 0x0801, 3)]
    for n in (1, 3):
        unit.send(frame(0x0801, parts[n - 1], PHONE, 10 + n, (n, 3)))
    asked = unescape(unit.receive())
    assert asked[:2] == b"\x80\x03" and asked[12:-1].hex() == "000b010002"
    unit.send(frame(0x0801, parts[1], PHONE, 12, (2, 3)))
    got = unit.receive_until(b"\x88\x00\x00\x04")
    assert general(got) == [(11, 0x0801, 0), (12, 0x0801, 0), (13, 0x0801, 0)]
    assert unescape(b"\x7e" + got.rpartition(b"\x7e\x7e")[2])[12:-1] == (77).to_bytes(4, "big")
    sub.on(f"trackers/{PHONE}/telemetry", where=lambda m: m.record["message.type"] == "0x0801")
    unit.close()


# --- JT/T 808: who speaks ---


def f6(imei):
    return bytes.fromhex(f"f6080{imei}")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_units_without_a_phone_number(make_bridge, subscribe, transport):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    imeis = ["867567041000001", "867567041000002"]
    units = [Unit(bridge.port, transport) for _ in imeis]
    for unit, imei in zip(units, imeis):  # nobody knows who registers; it is answered, for its report tells
        unit.send(frame(0x0100, bytes(45), "0", 1))
        registered = unescape(unit.receive())
        assert registered[:2] == b"\x81\x00" and registered[12:15] == b"\0\1\0"
        unit.send(frame(0x0102, registered[15:-1], "0", 2))
        assert general(unit.receive()) == [(2, 0x0102, 0)]
    for unit, imei in zip(units, imeis):
        unit.send(jt808("0", items=f6(imei), serial=3))
        assert general(unit.receive()) == [(3, 0x0200, 0)]
    for unit, imei in zip(units, imeis):
        unit.send(frame(0x0002, b"", "0", 4))
        assert general(unit.receive()) == [(4, 0x0002, 0)]
        assert sub.on(f"trackers/{imei}/position")[0].record["device.imei"] == imei
        sub.on(f"trackers/{imei}/telemetry", where=lambda m: m.record["message.type"] == "0x0002")
    stranger = Unit(bridge.port, transport)
    stranger.send(jt808("0", serial=5))  # it will never tell who it is: it is told to give up
    assert general(stranger.receive()) == [(5, 0x0200, 2)]
    counted(sub, "no-ident", 5)
    assert not sub.now(lambda m: m.topic.startswith("trackers/0/"))
    # a command goes to the unit whose IMEI it names, by the number that the unit has
    sub.publish(f"trackers/{imeis[1]}/cmd", json.dumps({"command": "restart"}))
    command = unescape(units[1].receive())
    assert command[:2] == b"\x81\x05" and command[4:10] == bytes(6)
    for unit in (*units, stranger):
        unit.close()


def test_a_unit_without_a_number_that_the_units_file_names(make_bridge, subscribe, tmp_path):
    path = tmp_path / "units.ini"
    path.write_text("[0]\nname = Van\n")
    bridge = make_bridge({"units": {"file": path}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(jt808("0", serial=5))
    assert general(unit.receive()) == [(5, 0x0200, 0)]
    assert sub.on("trackers/0/position")[0].record["device.name"] == "Van"
    unit.close()


def test_a_registration_that_is_refused_is_refused_to_nobody_too(make_bridge):
    bridge = make_bridge({"jt808": {"registration": "reject"}})
    unit = Unit(bridge.port)
    unit.send(frame(0x0100, bytes(45), "0", 1))
    assert unescape(unit.receive())[12:-1] == b"\0\1\4"
    unit.close()


# --- JT/T 808: texts that answer a command ---


@pytest.mark.parametrize("message,body,result", [
    (0x6006, b"\0" + "设置成功".encode("gbk"), "设置成功"),
    (0x6006, b"\0<OK>", "<OK>"),
    (0x0701, b"\0\0\0\x07SET OK!", "SET OK!"),
    (0x1300, None, "Set OK!")])
def test_a_text_answers_a_text_command(make_bridge, subscribe, message, body, result):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(frame(0x0002, b"", PHONE, 1))
    unit.receive()
    unit.send(frame(message, body or b"\0\0" + "early".encode("utf-16be"), PHONE, 2))  # nobody has asked
    assert general(unit.receive()) == [(2, message, 0)]
    sub.publish(f"trackers/{PHONE}/cmd", json.dumps({"payload": "STATUS", "id": "a"}))
    sent = unescape(unit.receive())
    assert sent[:2] == b"\x83\x00"
    answer = body or sent[10:12] + "Set OK!".encode("utf-16be")
    unit.send(frame(message, answer, PHONE, 3))
    assert general(unit.receive()) == [(3, message, 0)]
    got = sub.on(f"trackers/{PHONE}/cmd/reply", 2)
    assert [m.record["status"] for m in got] == ["sent", "answered"]
    assert got[1].record["result"] == result and got[1].record["reply"] == frame(message, answer, PHONE, 3).hex().upper()
    told = sub.on(f"trackers/{PHONE}/telemetry", 2, where=lambda m: m.record["message.type"] == f"0x{message:04X}")
    assert told[1].record["custom.command.reply"] == result
    unit.close()


def test_a_unit_that_only_confirms_a_text(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(frame(0x0002, b"", PHONE, 1))
    unit.receive()
    sub.publish(f"trackers/{PHONE}/cmd", json.dumps({"payload": "STATUS", "id": "a"}))
    sent = unescape(unit.receive())
    unit.send(frame(0x0001, sent[10:12] + b"\x83\0\0", PHONE, 2))
    got = sub.on(f"trackers/{PHONE}/cmd/reply", 2)
    assert [m.record["status"] for m in got] == ["sent", "answered"] and got[1].record["result"] == "ok"
    unit.close()


# --- H02: local time ---


def dollar(ident, ago=0):
    """The 32-byte binary record."""
    when = now(ago)
    return bytes.fromhex(f"24{ident}{time.strftime('%H%M%S%d%m%y', when)}2200000000114000000e000000fffffbffff0000")


@pytest.mark.parametrize("where", ["unit", "all"])
def test_h02_units_that_send_local_time(make_bridge, subscribe, tmp_path, where):
    path = tmp_path / "units.ini"
    path.write_text("[8652000001]\ntimezone = -03:00\n" if where == "unit" else "[9170503817]\ntimezone = +00:00\n")
    bridge = make_bridge({"units": {"file": path}, "h02": {"timezone": "+00:00" if where == "unit" else "-03:00"}})
    bridge.wait_connected()
    sub = subscribe()
    unit, other = Unit(bridge.port), Unit(bridge.port)
    for n, data in enumerate((h02("8652000001", 3 * 3600), dollar("8652000001", 3 * 3600)), 1):
        unit.send(data)
        record = sub.on("trackers/8652000001/position", n)[-1].record
        assert abs(record["timestamp"] - record["server.timestamp"]) < 600 and "timestamp.valid" not in record
    other.send(h02("9170503817"))  # sends UTC, and that is said of it
    record = sub.on("trackers/9170503817/position")[0].record
    assert abs(record["timestamp"] - record["server.timestamp"]) < 600
    # a reload changes it: the unit was set to UTC
    path.write_text("[8652000001]\ntimezone = +00:00\n")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    unit.send(h02("8652000001"))
    record = sub.on("trackers/8652000001/position", 3)[-1].record
    assert abs(record["timestamp"] - record["server.timestamp"]) < 600
    for u in (unit, other):
        u.close()
