# SPDX-License-Identifier: MIT
"""A tracker does not appear: each thing that goes wrong first is a line that a user sees at level info."""

import json
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest
from certificates import Authority
from conftest import BUILD, ROOT, Unit, free_port, v1, wait_for
from test_jt808 import frame, location
from test_log import matched
from test_strangers import clock_of, clock_program, unit_from

IDENT = "9170503816"
UNKNOWN = "trackers/bridge/test/unknown"


def line(bridge, pattern, what=None):
    """The first line of the log that has this."""
    return wait_for(lambda: next((l for l in bridge.log().splitlines() if re.search(pattern, l)), None), what or pattern)


def lines(bridge, pattern):
    return [l for l in bridge.log().splitlines() if re.search(pattern, l)]


def today(seconds=0):
    g = time.gmtime(time.time() + seconds)
    return {"time": time.strftime("%H%M%S", g), "date": time.strftime("%d%m%y", g)}


# --- says nothing ---


def test_a_connection_that_says_nothing(make_bridge, tmp_path):
    bridge = make_bridge({"listen": {"first_frame_timeout": "4s"}})
    unit = Unit(bridge.port)
    line(bridge, rf"info: {unit.peer} over tcp is connected and has sent nothing for 2 s$")
    assert unit.receive() == b""
    end = line(bridge, rf"info: {unit.peer} has sent nothing for 4 s and is closed")
    assert end.endswith("is closed: does the tracker know its APN and GPRS mode? (RCONF)")
    stable = line(bridge, r"notice: refused 127\.0\.0\.1: no_frame_in_time \(1 since the last line\)$")
    assert matched(tmp_path, bridge.log()) == {"127.0.0.1"} and stable
    assert "[listen] first_frame_timeout" in line(bridge, "info: why no_frame_in_time: ")


def test_a_connection_that_says_half_a_thing(make_bridge):
    bridge = make_bridge({"listen": {"first_frame_timeout": "3s"}})
    half, junk = Unit(bridge.port), Unit(bridge.port)
    half.send("*H")
    junk.send("*HQ,!!,V1#")
    assert half.receive() == junk.receive() == b""
    line(bridge, rf"info: {half.peer} has sent 2 bytes for 3 s, no whole frame, and is closed: does the tracker speak")
    line(bridge, rf"info: {junk.peer} has brought no unit on line for 3 s and is closed: the reason stands above")
    line(bridge, rf"notice: frame from {junk.peer} .not identified. rejected: ")
    assert not lines(bridge, "sent nothing")


def test_a_connection_that_closes_without_a_word(make_bridge):
    bridge = make_bridge()
    for _ in range(5):
        Unit(bridge.port).close()
    other = unit_from(bridge.port, "127.0.0.9")
    other.close()
    line(bridge, r"info: 127\.0\.0\.9:\d+ over tcp has connected and closed without a word: the port can be reached")
    assert len(lines(bridge, r"127\.0\.0\.1:\d+ over tcp has connected and closed")) == 1


def test_a_crowd_that_says_nothing_does_not_flood_the_log(make_bridge, subscribe):
    bridge = make_bridge({"listen": {"first_frame_timeout": "4s"}})
    bridge.wait_connected()
    sub = subscribe("trackers/bridge/#")
    crowd = [unit_from(bridge.port, f"127.0.1.{n % 30 + 1}") for n in range(600)]
    for unit in crowd:
        assert unit.receive() == b""
        unit.close()
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.no_frame_in_time"] == 600)
    told = lines(bridge, "sent nothing for")
    assert 30 <= len(told) <= 120, "60 a minute of all, and a minute may end meanwhile"
    assert len(bridge.log().splitlines()) < 200
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    assert b"V4,V1" in unit.receive()
    unit.close()


def test_nobody_comes(broker, tmp_path):
    from conftest import Bridge
    bridge = Bridge(tmp_path, broker.port, program=clock_program(), environment=clock_of({"FAKETIME": "+0 x60"}),
                    options={"mqtt": {"keepalive": "1h", "connect_timeout": "1h"},
                             "listen": {"udp": ""}})
    told = line(bridge, "info: nobody has connected or sent a datagram since the start")
    assert "forward" in told and "firewall" in told
    assert bridge.stop() == 0


# --- speaks something else ---

FOREIGN = {
    "Teltonika": bytes.fromhex("000f333536333037303432343431303133"),
    "TK103": b"(013612345678BP05000013612345678080524A2232.9806N11404.9355E000.1101241323.8700000000L000450AC)",
    "GPS103": b"##,imei:359586015829802,A;",
    "Meitrack": b"$$A143,353358017784062,AAA,35,22.540113,114.076141,100313094354,A,5,22*D5\r\n",
    "Queclink": b"+RESP:GTFRI,060228,862170018895731,,,00,2,1,,,,,,20140101000000,0001$",
    "Ruptela": bytes.fromhex("000b000141fa0c8d69150f00016eba"),
    "Suntech": b"ST300STT;205174410;14;712;20110101;00:13:52;20647;-20.273947;-040.262460;",
    "HTTP": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": bytes.fromhex("16030100f1010000ed0303"),
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "MQTT": bytes.fromhex("100c00044d5154540402003c0000"),
    "PROXY v1": b"PROXY TCP4 203.0.113.4 198.51.100.1 50112 8888\r\n",
    "PROXY v2": bytes.fromhex("0D0A0D0A000D0A515549540A2111000CCB007104C6336401C3C022B8"),
    "Wialon IPS": b"#L#353451044508750;NA\r\n",
    "OsmAnd": b"GET /?id=123456&lat=50.07&lon=14.45 HTTP/1.1\r\n\r\n",
}


def crc(data, polynomial, value):
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ polynomial if value & 1 else value >> 1
    return value


def ruptela():
    data = (354018113456789).to_bytes(8, "big") + b"\x0f\0\1"
    return len(data).to_bytes(2, "big") + data + crc(data, 0x8408, 0).to_bytes(2, "big")


FOREIGN["Ruptela"] = ruptela()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_what_speaks_a_foreign_protocol_is_named_at_once(make_bridge, subscribe, transport):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe("trackers/bridge/#")
    for n, (name, data) in enumerate(FOREIGN.items()):
        unit = unit_from(bridge.port, f"127.0.2.{n + 1}", transport)
        unit.send(data)
        record = sub.on(UNKNOWN, where=lambda m: m.record.get("looks.like") == name)[0].record
        assert record["peer"] == unit.peer and record["transport"] == transport and record["hint"]
        assert bytes.fromhex(record["hex"]) == data[:64]
        told = line(bridge, rf"notice: {unit.peer} over {transport} looks like {name}: ")
        assert (data.decode().rstrip("\r\n") if data.isascii() and data[:1] > b" " and name != "MQTT"
                else data.hex().upper()) in told.replace("\\x0d\\x0a", "\r\n")
        if transport == "tcp":  # it is still there
            unit.socket.settimeout(0.01)
            with pytest.raises(TimeoutError):
                unit.socket.recv(1)
        unit.close()
    wait_for(lambda: sub.now(lambda m: m.topic.endswith("/stats") and m.record["connections"] == 0
                             and m.record["connections.unknown"] == len(FOREIGN)), "the ends")
    assert len(sub.now(lambda m: m.topic == UNKNOWN)) == len(FOREIGN), "once each, not again at the end"


def test_a_foreign_protocol_in_pieces_is_named(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe("trackers/bridge/#")
    unit = Unit(bridge.port)
    for byte in FOREIGN["Teltonika"]:
        unit.send(bytes([byte]))
        time.sleep(0.002)
    assert sub.on(UNKNOWN)[0].record["looks.like"] == "Teltonika"
    assert "spoken here: gt06, h02, jt808" in line(bridge, "looks like Teltonika")
    unit.close()


def test_a_crowd_that_speaks_something_else_does_not_flood(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe("trackers/bridge/#")
    for n in range(400):
        unit = Unit(bridge.port)
        unit.send(FOREIGN["Teltonika"])
        unit.close()
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["connections.unknown"] == 400)
    assert 1 <= len(lines(bridge, "looks like Teltonika")) <= 40 and len(bridge.log().splitlines()) < 100
    assert 1 <= len(sub.now(lambda m: m.topic == UNKNOWN)) <= 40
    other = unit_from(bridge.port, "127.0.0.9")
    other.send(FOREIGN["Meitrack"])
    sub.on(UNKNOWN, where=lambda m: m.record.get("looks.like") == "Meitrack")
    other.close()


def test_noise_gets_no_name(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe("trackers/bridge/#")
    for n, data in enumerate((b"\x78\x78\x78\x78\x00", b"$" * 40, b"~~~~", b"#" * 30, bytes(64), b"hello\r\n")):
        unit = unit_from(bridge.port, f"127.0.2.{n + 1}", "udp")
        unit.send(data)
        unit.close()
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["connections.accepted"] == 6 and m.record["connections"] == 0)
    unknown = sub.on(UNKNOWN)
    assert not [m for m in unknown if "looks.like" in m.record]
    assert not lines(bridge, "looks like")


def test_a_unit_behind_a_proxy_that_is_not_expected(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(FOREIGN["PROXY v1"] + v1(IDENT).encode())
    assert b"V4,V1" in unit.receive(), "it is served all the same"
    assert "name the port in [listen] proxy_protocol" in line(bridge, rf"{unit.peer} over tcp looks like PROXY v1")
    assert sub.on(UNKNOWN)[0].record["looks.like"] == "PROXY v1"
    unit.close()


def test_tls_to_a_plain_port_and_plain_to_a_tls_port(make_bridge, tmp_path):
    port = free_port()
    cert, key = Authority(tmp_path).issue("here", "DNS:localhost")
    bridge = make_bridge({"listen": {"tls": f"127.0.0.1:{port}", "tls_cert_file": cert, "tls_key_file": key}})
    context = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", bridge.port)) as s:
        s.settimeout(0.5)
        with pytest.raises(OSError):
            context.wrap_socket(s, server_hostname="localhost")
    assert "name a port for TLS in [listen] tls" in line(bridge, "looks like TLS")
    unit = unit_from(port, "127.0.0.8")  # a line tells of the first refusal of an address, and the other connection may have had it
    unit.send(v1(IDENT))
    while unit.receive():  # an alert of TLS
        pass
    line(bridge, r"refused 127\.0\.0\.8: tls \(1 since the last line\)")
    line(bridge, r"info: why tls: A port of \[listen\] tls expects TLS: ")
    unit.close()


def test_frames_that_are_not_text_are_hex(make_bridge):
    bridge = make_bridge()
    bad = bytearray(frame(0x0200, location()))
    bad[-2] ^= 1
    text = Unit(bridge.port)
    binary = unit_from(bridge.port, "127.0.0.9")
    binary.send(bytes(bad))
    text.send("*HQ,1234567890,V1,nonsense\\#")
    told = line(bridge, rf"frame from {binary.peer} \(.*\) rejected: bad-checksum: ")
    assert bytes(bad).hex().upper()[:40] in told and "\\x" not in told
    assert r"*HQ,1234567890,V1,nonsense\x5c#" in line(bridge, rf"frame from {text.peer} \(.*\) rejected: ")
    for unit in (text, binary):
        unit.close()


# --- is not admitted ---


@pytest.fixture
def closed(make_bridge, subscribe, tmp_path):
    """A bridge that admits only the units of its file."""
    path = tmp_path / "units.ini"

    def make(text, **sections):
        path.write_text(text)
        bridge = make_bridge({"units": {"file": path, "unknown": "reject"}, **sections})
        bridge.wait_connected()
        return bridge, subscribe(), path

    return make


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("protocol", ["h02", "jt808"])
def test_a_unit_that_is_not_admitted(closed, transport, protocol):
    bridge, sub, path = closed("[4711]\nname = another\n")
    data = frame(0x0200, location(), phone="091705038161") if protocol == "jt808" else v1("91705038161", **today()).encode()
    unit = Unit(bridge.port, transport)
    unit.send(data)
    told = line(bridge, r"notice: unit 91705038161")
    assert f"unit 91705038161 ({protocol}) is not in {path} and [units] unknown = reject: add [91705038161] " in told
    record = sub.on(UNKNOWN)[0].record
    assert record["ident"] == "91705038161" and record["protocol"] == protocol and record["reason"] == "not_admitted"
    assert record["peer"] == unit.peer and record["transport"] == transport and bytes.fromhex(record["hex"]) == data[:64]
    assert "add [91705038161]" in record["hint"] and "looks.like" not in record
    for _ in range(20):
        again = Unit(bridge.port, transport)
        again.send(data)
        again.close()
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.not_admitted"] == 21)
    assert len(lines(bridge, "is not in .*units.ini")) == 1 and len(sub.now(lambda m: m.topic == UNKNOWN)) == 1
    assert not lines(bridge, "rejected: refused")
    path.write_text(path.read_text() + "[91705038161]\nname = mine\n")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: lines(bridge, "reload|read again|configuration"), "the reload")

    def comes():
        unit.send(data)
        return sub.now(lambda m: m.topic == "trackers/91705038161/position")

    wait_for(comes, "the unit, which now is in the file")
    assert sub.on("trackers/91705038161/position")[0].record["device.name"] == "mine"
    unit.close()


def test_many_units_that_are_not_admitted(closed):
    bridge, sub, path = closed("[4711]\nname = another\n")
    unit = Unit(bridge.port)
    unit.send("".join(v1(f"{800000 + n}") for n in range(500)))
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.not_admitted"] == 500)
    assert 1 <= len(lines(bridge, "is not in .*units.ini")) <= 20
    assert len(bridge.log().splitlines()) < 60
    unit.close()


def test_a_unit_without_a_number_and_one_with_the_name_of_another(make_bridge, tmp_path):
    path = tmp_path / "units.ini"
    path.write_text("[9170503898]\ntopic = 777\n")
    bridge = make_bridge({"units": {"file": path}})
    unit = Unit(bridge.port)
    unit.send(v1("0") + v1("777"))
    line(bridge, r"notice: unit 0 \(h02\) was never given a number: set its ID")
    line(bridge, r"notice: unit 777 \(h02\) has the name that unit 9170503898 has in topics: change one of them in .*units.ini")
    unit.close()


@pytest.mark.parametrize("section", ["091705038161", "91705038161", "00091705038161"])
def test_idents_with_zeros_in_front_match_as_they_are_published(closed, section):
    bridge, sub, path = closed(f"[{section}]\nname = mine\ntopic = van\n")
    unit = Unit(bridge.port)
    unit.send(frame(0x0102, b"91705038161", phone="091705038161"))
    unit.receive()
    unit.send(frame(0x0200, location(), phone="091705038161", serial=1))
    record = sub.on("trackers/van/position")[0].record
    assert record["ident"] == "91705038161" and record["device.name"] == "mine"
    sub.publish("trackers/van/cmd", json.dumps({"payload": "RELAY,1#", "id": "a"}))
    unit.receive_until(b"RELAY,1#")
    assert sub.on("trackers/van/cmd/reply")[0].record["ident"] == "91705038161"
    unit.close()


def test_zeros_in_front_are_a_unit_of_their_own_where_they_are_published(closed):
    """A unit whose protocol publishes the zeros keeps its section for itself."""
    bridge, sub, path = closed("[0170503816]\nname = mine\n[170503817]\nname = without\n[0170503817]\nname = with\n")
    own, other = Unit(bridge.port), Unit(bridge.port)
    own.send(v1("0170503816"))
    assert sub.on("trackers/0170503816/position")[0].record["device.name"] == "mine"
    other.send(v1("170503816"))
    line(bridge, r"unit 170503816 \(h02\) ")
    for ident, name in (("170503817", "without"), ("0170503817", "with")):
        own.send(v1(ident))
        assert sub.on(f"trackers/{ident}/position")[0].record["device.name"] == name
    assert not sub.now(lambda m: m.topic == "trackers/170503816/position")
    own.close()
    other.close()


# --- comes, but not as it should ---


@pytest.mark.parametrize("days, words", [(-3, "3.0 days behind"), (2, "2.0 days ahead"), (-3650, "3650.0 days behind")])
def test_a_date_that_is_off_is_told_once(make_bridge, subscribe, days, words):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    for n in range(5):
        unit.send(v1(IDENT, **today(days * 86400 + n)))
        unit.receive()
    unit.send(v1(IDENT, **today()))
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["records.misdated"] == 5 and m.record["records"] == 6)
    assert words in line(bridge, rf"info: unit {IDENT} dates its records \d{{4}}-")
    assert len(lines(bridge, "dates its records")) == 1
    unit.close()


def test_a_date_that_is_right_is_not_told(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit, stored = Unit(bridge.port), Unit(bridge.port)
    unit.send(v1(IDENT, **today(-3600)) + "*HQ,9170503816,V0#")
    old = time.strftime("%y%m%d%H%M%S", time.gmtime(time.time() + 8 * 3600 - 3 * 86400))
    item = location(old)
    stored.send(frame(0x0704, (1).to_bytes(2, "big") + b"\1" + len(item).to_bytes(2, "big") + item))
    sub.on("trackers/13912345678/position")
    stats = sub.on("trackers/bridge/test/stats", where=lambda m: m.record["records"] == 3)
    assert stats[0].record["records.misdated"] == 0 and not lines(bridge, "dates its records")
    unit.close()
    stored.close()


def test_a_unit_without_a_position(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    dumb, fine = Unit(bridge.port), Unit(bridge.port)
    fine.send(v1("9170503817", **today()) + "*HQ,9170503817,V0#" * 5)
    dumb.send(f"*HQ,{IDENT},V0#" * 6)
    told = line(bridge, rf"info: unit {IDENT} is heard, but its first 3 records have no valid position")
    assert "telemetry" in told
    sub.on("trackers/9170503817/telemetry", 5)
    sub.on(f"trackers/{IDENT}/telemetry", 6)
    assert len(lines(bridge, "no valid position")) == 1
    dumb.close()
    fine.close()


# --- does not get in ---


def test_a_limit_is_explained(make_bridge):
    bridge = make_bridge({"listen": {"max_connections_per_address": "1"}})
    first = Unit(bridge.port)
    first.send(v1(IDENT))
    assert b"V4,V1" in first.receive()
    for _ in range(3):
        assert Unit(bridge.port).receive() == b""
    line(bridge, r"refused 127\.0\.0\.1: max_connections_per_address \(1 since the last line\)$")
    told = line(bridge, "info: why max_connections_per_address: ")
    assert "[listen] max_connections_per_address" in told
    assert Unit(bridge.port).receive() == b"" and len(lines(bridge, "why max_conn")) == 1
    first.close()


def started(tmp_path, **listen):
    path = tmp_path / "some.ini"
    path.write_text("[listen]\n" + "".join(f"{k} = {v}\n" for k, v in listen.items()) + f"[outbox]\npath = {tmp_path}/outbox\n")
    return subprocess.run([BUILD / "tracker2mqtt", "-c", path], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_port_that_is_taken(tmp_path, kind):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        if kind == "tcp":
            s.listen()
        address = "127.0.0.1:{}".format(s.getsockname()[1])
        result = started(tmp_path, **{"tcp": "", "udp": "", kind: address})
    assert result.returncode == 2
    assert re.search(rf"error: cannot start: cannot listen on {kind} {address}: Address already in use; another program "
                     r"has this port, or a second tracker2mqtt: `ss -lntup` shows which", result.stderr), result.stderr


def test_an_address_that_this_machine_does_not_have(tmp_path):
    result = started(tmp_path, tcp="203.0.113.4:8888", udp="")
    assert result.returncode == 2
    assert "no interface of this machine has this address: 0.0.0.0 or [::] listens on all of them" in result.stderr


def test_a_port_for_this_machine_only_is_said_to_be_one(make_bridge):
    bridge = make_bridge()
    assert re.search(rf"notice: listening on tcp 127\.0\.0\.1:{bridge.port}, for programs of this machine only$", bridge.log(), re.M)


def test_the_manual_names_what_is_named():
    source, manual = (ROOT / "codecs/foreign.c").read_text(), (ROOT / "etc/doc/trouble.md").read_text()
    names = re.findall(r'^\t\{"([^"]+)", (?:true|false), is_', source, re.M)
    row = next(l for l in manual.splitlines() if l.startswith("| `looks.like` |"))
    told = row.split("|")[3].replace("Of trackers:", "").replace(".", ",").split(",")
    assert len(names) > 25 and sorted(names) == sorted(n.strip() for n in told)
