# SPDX-License-Identifier: MIT
"""JT/T 808 units on the same port: acknowledged as the standard says, commanded and matched by serial number."""

import json
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from conftest import BUILD, ROOT, Unit, v1, wait_for


def escape(data):
    return b"\x7e" + data.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"


def unescape(frame):
    assert frame[:1] == frame[-1:] == b"\x7e", frame
    return frame[1:-1].replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")


def frame(message, body=b"", phone="013912345678", serial=0, part=None, version=None):
    properties = len(body) | (0x2000 if part else 0) | (0x4000 if version else 0)
    head = message.to_bytes(2, "big") + properties.to_bytes(2, "big")
    if version:
        head += bytes([version]) + bytes.fromhex(phone.rjust(20, "0"))
    else:
        head += bytes.fromhex(phone.rjust(12, "0"))
    head += serial.to_bytes(2, "big")
    if part:
        head += part[1].to_bytes(2, "big") + part[0].to_bytes(2, "big")
    data = head + body
    check = 0
    for byte in data:
        check ^= byte
    return escape(data + bytes([check]))


def location(time="260102030405", status=3, alarms=0, latitude=22500000, items=b""):
    return (alarms.to_bytes(4, "big") + status.to_bytes(4, "big") + latitude.to_bytes(4, "big") +
            (114000000).to_bytes(4, "big") + bytes(2) + bytes(2) + bytes(2) + bytes.fromhex(time) + items)


def answers_to(request):
    """What the platform must answer to a good frame, but for its serial number: (wide, phone, message, body) or None.
    The body of a time is `datetime`: now, in the form of the message."""
    data = unescape(request)
    message, wide = int.from_bytes(data[:2], "big"), data[2] & 0x40
    at = 15 if wide else 10
    serial, phone = data[at:at + 2], data[5:15] if wide else data[4:10]
    if message in (0x0001, 0x0104, 0x0107, 0x0201, 0x0500, 0x0700, 0x0802, 0x0805):
        return None
    if message == 0x0801:  # with the id of what is here in full
        return wide, phone, 0x8001, serial + data[:2] + b"\0", data[17 if wide else 12:-1][:4]
    if message in (0x0004, 0x0109):
        return wide, phone, message | 0x8000, datetime
    if message == 0x0100:
        digits = phone.hex().lstrip("0") or "0"
        return wide, phone, 0x8100, serial + b"\0" + digits.encode()
    return wide, phone, 0x8001, serial + data[:2] + (b"\3" if message == 0x0F42 else b"\0")


def time_of(message, body):
    """0x8004: BCD; 0x8109: WORD year, a byte for each of the others, BYTE 0. Both in UTC."""
    if message == 0x8004:
        return datetime.strptime(body.hex(), "%y%m%d%H%M%S")
    assert len(body) == 8 and body[7] == 0
    return datetime(int.from_bytes(body[:2], "big"), *body[2:7])


def check_answer(got, want):
    wide, phone, message, body = want
    data = unescape(got)
    check = 0
    for byte in data:
        check ^= byte
    assert check == 0
    head = 17 if wide else 12
    assert int.from_bytes(data[:2], "big") == message
    if body is datetime:
        body = data[head:-1]
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        assert now - timedelta(hours=1) < time_of(message, body) < now + timedelta(hours=1)
    assert int.from_bytes(data[2:4], "big") == len(body) | (0x4000 if wide else 0)
    assert data[head - 2 - len(phone):head - 2] == phone
    assert data[head - 2:head] == b"\0\0", "the first message to this unit"
    assert data[head:-1] == body


def good_vectors():
    for line in (ROOT / "tests/vectors/jt808.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["records"]:
            yield row["name"], bytes.fromhex(row["hex"])


def test_acknowledgements_byte_for_byte(make_bridge, tmp_path):
    units = tmp_path / "units.ini"
    units.write_text("[0]\n")  # a phone number of zeros is taken only when it is asked for
    bridge = make_bridge({"units": {"file": units}})
    for name, request in good_vectors():
        if name == "0x0900-01":  # an IMEI in place of the phone number: the raw bytes go back
            assert not request[5:11].hex().isdigit()
        unit = Unit(bridge.port)
        unit.send(request)
        unit.socket.shutdown(1)
        got = b""
        while piece := unit.receive():
            got += piece
        want = answers_to(request)
        if want is None:
            assert got == b"", name
        elif len(want) == 5:
            general, _, media = got.partition(b"\x7e\x7e")
            check_answer(general + (b"\x7e" if media else b""), want[:4])
            assert unescape(b"\x7e" + media)[12:-1] == want[4] if len(want[4]) == 4 else not media, name
        else:
            check_answer(got, want)
        unit.close()


def test_the_byte_example_of_the_reference(make_bridge):
    bridge = make_bridge()
    unit = Unit(bridge.port)
    unit.send(frame(0x0002, phone="014530480708", serial=8))
    unit.receive()
    unit.send(frame(0x0102, b"authentication", phone="014530480708", serial=9))
    assert unit.receive() == bytes.fromhex("7E80010005014530480708000100090102" "00BC7E")
    unit.close()


def test_what_is_not_known_is_said_counted_and_kept(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"raw": "yes"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(frame(0x0F42, b"\x01\x02\x7e", serial=5))
    assert unescape(unit.receive())[12:-1] == bytes.fromhex("00050F4203")
    record = sub.on("trackers/13912345678/telemetry")[0].record
    assert record["message.type"] == "0x0F42" and record["custom.payload"] == "01027E"
    sub.on("trackers/13912345678/raw", where=lambda m: m.record.get("error") == "unsupported")
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["frames.rejected.unsupported"] == 1)
    unit.send(frame(0x0200, b"short", serial=6))
    assert unescape(unit.receive())[12:-1] == bytes.fromhex("0006020002")
    damaged = bytearray(frame(0x0200, location(), serial=7))
    damaged[20] ^= 1
    unit.send(bytes(damaged) + frame(0x0200, location(), serial=8))
    assert unescape(unit.receive())[12:-1] == bytes.fromhex("0008020000")
    unit.close()


def test_registration_can_be_refused_and_has_its_code(make_bridge):
    body = next(f for n, f in good_vectors() if n == "0x0100-01")
    bridge = make_bridge({"jt808": {"auth_code": "secret"}})
    unit = Unit(bridge.port)
    unit.send(body)
    assert unescape(unit.receive())[12:-1] == bytes.fromhex("002400") + b"secret"
    unit.close()
    bridge = make_bridge({"jt808": {"registration": "reject"}})
    unit = Unit(bridge.port)
    unit.send(body)
    assert unescape(unit.receive())[12:-1] == bytes.fromhex("002404")
    unit.close()


def test_time_zone(make_bridge, subscribe):
    bridge = make_bridge({"jt808": {"timezone": "-03:30"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(frame(0x0200, location("200101000000")))
    assert sub.on("trackers/13912345678/position")[0].record["timestamp"] == 1577836800 + 3.5 * 3600
    unit.close()


def test_a_repeated_message_is_acknowledged_again(make_bridge):
    bridge = make_bridge()
    unit = Unit(bridge.port)
    for _ in range(3):
        unit.send(frame(0x0200, location(), serial=77))
        assert unescape(unit.receive())[12:-1] == bytes.fromhex("004D020000")
    unit.close()


def test_parts(make_bridge, subscribe):
    bridge = make_bridge({"limits": {"parts": "4"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)

    def items(*times):
        return b"".join(b"\0\x1c" + location(t) for t in times)

    def answers(data):
        return [unescape(b"\x7e" + f + b"\x7e")[12:-1].hex() for f in data.strip(b"\x7e").split(b"\x7e\x7e")]

    whole = b"\0\x03\x01" + items("260102000001", "260102000002", "260102000003")
    parts = [whole[:20], whole[20:50], whole[50:]]
    # out of order, with a repeated one and a heartbeat in between: nothing is acknowledged before all is there
    unit.send(frame(0x0704, parts[1], serial=11, part=(2, 3)))
    unit.send(frame(0x0704, parts[2], serial=13, part=(3, 3)))
    assert answers(unit.receive()) == ["000a" + "01" + "0001"], "the missing part is asked for"
    unit.send(frame(0x0704, parts[1], serial=12, part=(2, 3)))
    unit.send(frame(0x0002, serial=14))
    assert answers(unit.receive()) == ["000e000200"]
    assert not sub.now(lambda m: m.topic.endswith("/position"))
    unit.send(frame(0x0704, parts[0], serial=15, part=(1, 3)))
    assert answers(unit.receive()) == [f"{serial:04x}070400" for serial in (15, 12, 13)]
    got = sub.on("trackers/13912345678/position", 3)
    assert [m.record["message.buffered.status"] for m in got] == [True] * 3
    assert len({m.record["timestamp"] for m in got}) == 3
    # endless: always the first of four
    memory = bridge.memory_kib()
    for n in range(2000):
        unit.send(frame(0x0801, n.to_bytes(2, "big") * 500, serial=n, part=(1 + n % 3, 4)))
    unit.send(frame(0x0200, location("260102000009"), serial=9999))
    sub.on("trackers/13912345678/position", 4)
    assert bridge.memory_kib() - memory < 16 * 1024
    unit.close()
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["frames.rejected.fragment"] >= 1)


def test_all_protocols_at_the_same_time_on_one_port(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    sims = []
    for n, (protocol, transport) in enumerate(
            (p, t) for p in ("h02", "h02-binary", "jt808", "jt808-2019") for t in ("tcp", "udp")):
        sims.append(subprocess.Popen(
            [BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{bridge.port}", "-p", protocol, "-t", transport, "-n", "10",
             "-i", "0.05", "-r", "5", "--ident", f"91700{n}0001"], stdout=subprocess.PIPE, text=True))
    for sim in sims:
        out, _ = sim.communicate(timeout=60)
        assert sim.returncode == 0, out
    got = sub.wait(lambda m: m.topic.endswith("/position"), "positions", 400)
    assert len({(m.record["ident"], m.record["timestamp"]) for m in got}) == 400
    assert {m.record["protocol.id"] for m in got} == {"h02", "jt808"}


def test_all_parameters_of_flespi_are_produced():
    names = """battery.level battery.low.alarm beidou.satellites.status channel.id city.id crash.event custom device.id
        device.name device.type.id engine.ignition.status event.seqnum fatigue.driving.status galileo.satellites.status
        glonass.satellites.status gps.satellites.status gsm.cellid gsm.lac gsm.mcc gsm.mnc ident manufacturer.code
        manufacturer.device.code message.type overspeeding.event peer position.altitude position.direction
        position.latitude position.longitude position.speed position.valid power.cut.alarm protocol.id province.id
        rollover.event server.timestamp sos.alarm timestamp vehicle.mileage vehicle.state vehicle.state.bitmask
        vendor.code""".split()
    assert len(names) == 43
    seen = {"channel.id", "peer", "protocol.id", "server.timestamp"}  # the bridge's own: test_vectors
    seen |= {"device.id", "device.name", "device.type.id"}  # from the units file
    for path in (ROOT / "tests/vectors").glob("*.jsonl"):
        for line in path.read_text().splitlines():
            for record in json.loads(line)["records"]:
                seen |= {key.split(".")[0] if key.startswith("custom.") else key for key in record}
    assert not set(names) - seen


@pytest.fixture
def sim(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    started = []

    def start(*args):
        started.append(subprocess.Popen([BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{bridge.port}", "-n", "1", "-i",
                                         "0.5", "--ident", "9170000001", *args], stdout=subprocess.DEVNULL))
        sub.on("trackers/9170000001/position")
        return sub

    yield start
    for s in started:
        s.terminate()
        s.wait(30)


@pytest.mark.parametrize("protocol", ["jt808", "jt808-2019"])
def test_commands(sim, protocol):
    sub = sim("-p", protocol)
    for n, (payload, result) in enumerate([
            ({"command": "engine.stop"}, "ok"), ({"command": "factory.reset"}, "failure"),
            ({"payload": "text for the maker"}, "ok"), ({"command": "report.interval", "args": {"interval": 10}}, "ok"),
            ({"command": "position.request"}, None), ({"command": "parameters.request"}, None),
            ({"command": "attributes.request"}, None), ({"command": "door.lock"}, None)]):
        sub.publish("trackers/9170000001/cmd", json.dumps({**payload, "id": str(n)}))
        got = sub.on("trackers/9170000001/cmd/reply", 2, where=lambda m: m.record["id"] == str(n))
        assert [m.record["status"] for m in got] == ["sent", "answered"]
        assert got[1].record.get("result") == result and got[1].record["reply"].startswith("7E")
        assert got[1].record["command"] == payload.get("command", "0x8300")
    blocked = sub.on("trackers/9170000001/position", where=lambda m: m.record["engine.blocked.status"])
    assert blocked
    parameters = sub.on("trackers/9170000001/telemetry", where=lambda m: m.record["message.type"] == "0x0104")[0].record
    assert parameters["custom.parameter.0x0029"] == 10 and parameters["custom.parameter.0x0013"] == "example.com"
    attributes = sub.on("trackers/9170000001/telemetry", where=lambda m: m.record["message.type"] == "0x0107")[0].record
    assert attributes["device.firmware.version"] == "1.0.0"


def test_a_silent_unit_gives_timeout(sim):
    sub = sim("-p", "jt808", "--silent")
    sub.publish("trackers/9170000001/cmd", json.dumps({"command": "engine.stop", "timeout": 0.5}))
    got = sub.on("trackers/9170000001/cmd/reply", 2)
    assert [m.record["status"] for m in got] == ["sent", "timeout"] and "in time" in got[1].record["reason"]
