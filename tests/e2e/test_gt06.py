# SPDX-License-Identifier: MIT
"""GT06 units on the same port: login, whose frames are whose, acknowledgements byte for byte, commands matched by their flag."""

import json
import re
import signal
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from conftest import BUILD, ROOT, Unit, v1, wait_for

IDENT = "860000700020026"
POSITION = bytes.fromhex("1a030e0f091ac905472ec601c81ed12b150f")
CELL = bytes.fromhex("00e60128a1001f40")
TIME = 1773500966  # of POSITION, in UTC


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0x8408 if value & 1 else value >> 1
    return (value ^ 0xFFFF).to_bytes(2, "big")


def frame(message, content=b"", serial=1, long=False):
    data = (len(content) + 5).to_bytes(2 if long else 1, "big") + bytes([message]) + content + serial.to_bytes(2, "big")
    return (b"yy" if long else b"xx") + data + crc(data) + b"\r\n"


def login(ident=IDENT, more=b"", serial=1):
    return frame(0x01, bytes.fromhex(ident.zfill(16)) + more, serial)


def location(serial, stored=0, message=0x22, date=POSITION[:6]):
    rest = b"" if message == 0x12 else bytes([1, 0, stored])
    return frame(message, date + POSITION[6:] + CELL + rest, serial)


def alarm(serial, code=1):
    return frame(0x26, POSITION + b"\x09" + CELL + bytes([0x46, 6, 4, code, 2]), serial)


def answer(message, serial):
    return frame(message, b"", serial)


def logged_in(bridge, ident=IDENT, more=b"", transport="tcp"):
    unit = Unit(bridge.port, transport)
    unit.send(login(ident, more))
    assert unit.receive_until(answer(1, 1)) == answer(1, 1)
    return unit


def command(unit):
    """The next command: its flag, its text, its language word or b''."""
    data = unit.receive_until(b"\r\n")
    assert data[:2] == b"xx" and data[3] == 0x80 and frame(0x80, data[4:-6], int.from_bytes(data[-6:-4], "big")) == data
    length = data[4] - 4
    return int.from_bytes(data[5:9], "big"), data[9:9 + length].decode(), data[9 + length:-6]


def reply(flag, text, serial=9, long=False):
    if long:
        return frame(0x21, flag.to_bytes(4, "big") + b"\1" + text.encode(), serial, True)
    return frame(0x15, bytes([4 + len(text)]) + flag.to_bytes(4, "big") + text.encode() + b"\0\2", serial)


def vectors():
    return [json.loads(line) for line in (ROOT / "tests/vectors/gt06.jsonl").read_text().splitlines()]


def records(sub, ident=IDENT):
    return [m.record for m in sub.now(lambda m: m.topic in (f"trackers/{ident}/position", f"trackers/{ident}/telemetry"))]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_acknowledgements_byte_for_byte(make_bridge, transport):
    """Over UDP all from one address and port, whose login counts until the next one."""
    bridge = make_bridge({"limits": {"frames_per_unit": 100000}})
    seen = 0
    for row in vectors():
        if "answers" not in row or (transport == "udp" and "ident" not in row and not row["records"]):
            continue
        if seen == 0 or transport == "tcp":
            unit = Unit(bridge.port, transport)
        if "ident" in row:
            unit.send(login(row["ident"]))
            assert unit.receive_until(answer(1, 1)) == answer(1, 1)
        before = datetime.now(timezone.utc).replace(microsecond=0)
        unit.send(bytes.fromhex(row["hex"]))
        unit.send(frame(0x13, b"\x46\6\4\0\2", 0x7777))  # answered behind it
        if not row["records"] and "ident" not in row and transport == "tcp":
            unit.finish()
            continue
        got = unit.receive_until(answer(0x13, 0x7777))
        while transport == "udp" and got and not got.endswith(answer(0x13, 0x7777)):
            got += unit.receive()
        got = got.removesuffix(answer(0x13, 0x7777))
        if got[3:4] == b"\x8a" and got[2] == 11:
            when = datetime(2000 + got[4], *got[5:10], tzinfo=timezone.utc)
            assert before <= when <= datetime.now(timezone.utc), "the time of the answer"
            assert got == frame(0x8A, got[4:10], int.from_bytes(got[10:12], "big")) and row["answers"][0][20:24] == got[10:12].hex().upper()
        else:
            assert [got.hex().upper()] == (row["answers"] or [""]), row["name"]
        seen += 1
        if transport == "tcp":
            unit.close()
    assert seen > 200


def test_glued_and_cut_anywhere(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    everything = login() + b"".join(location(n) for n in range(2, 12)) + frame(0x94, b"\0\4\xb0", 12, True) + alarm(13)
    want = answer(1, 1) + b"".join(answer(0x22, n) for n in range(2, 12)) + answer(0x26, 13)
    for size in (len(everything), 1, 2, 3, 7, 31, 64):
        unit = Unit(bridge.port)
        for at in range(0, len(everything), size):
            unit.send(everything[at:at + size])
        got = unit.receive_until(answer(0x26, 13))
        assert got == want, size
        unit.close()
    sub.wait(lambda m: m.topic.startswith(f"trackers/{IDENT}/") and m.topic.split("/")[2] in ("position", "telemetry"), "records", 7 * 13)
    assert [r["event.seqnum"] for r in records(sub)] == 7 * list(range(1, 14))


def test_wrong_check_codes_are_counted_shown_and_not_answered(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"raw": "yes"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = logged_in(bridge)
    bad = bytearray(location(2))
    bad[10] ^= 1
    unit.send(bytes(bad) + location(3))
    assert unit.receive_until(answer(0x22, 3)) == answer(0x22, 3)
    shown = sub.on(f"trackers/{IDENT}/raw", where=lambda m: m.record.get("error") == "bad-checksum")[0].record
    assert shown["hex"] == bytes(bad).hex().upper()
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["frames.rejected.bad-checksum"] == 1)
    unit.close()


def test_unknown_messages_have_a_reason_a_record_and_an_answer(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"raw": "yes"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = logged_in(bridge)
    unit.send(frame(0xC7, b"\1\2\3", 5) + frame(0xC7, b"abc", 6, True) + frame(0x13, b"\x46\6\4\0\2", 7))
    assert unit.receive_until(answer(0x13, 7)) == answer(0xC7, 5) + answer(0x13, 7)
    got = sub.on(f"trackers/{IDENT}/telemetry", 4)
    assert [m.record.get("custom.payload") for m in got] == [None, "010203", "616263", None]
    sub.on(f"trackers/{IDENT}/raw", 2, where=lambda m: m.record.get("error") == "unsupported")
    unit.close()


def test_repeated_frames_are_acknowledged_again(make_bridge):
    bridge = make_bridge()
    unit = logged_in(bridge)
    for _ in range(3):
        unit.send(location(2, stored=1))
        assert unit.receive_until(answer(0x22, 2)) == answer(0x22, 2)
        unit.send(login())
        assert unit.receive_until(answer(1, 1)) == answer(1, 1)
    unit.close()


def test_what_was_acknowledged_survives_a_kill(make_bridge, broker, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    broker.stop()
    unit = logged_in(bridge)
    for serial in range(2, 30):
        unit.send(location(serial))
        assert unit.receive_until(answer(0x22, serial)) == answer(0x22, serial)
    bridge.stop(signal.SIGKILL)
    unit.close()
    broker.start()
    sub = subscribe()
    bridge.start()
    sub.wait(lambda m: m.topic == f"trackers/{IDENT}/position", "all positions", 28)
    assert {r["event.seqnum"] for r in records(sub)} >= set(range(1, 30))


def test_stored_positions_are_marked_and_move_nothing_back(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"state": "yes"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = logged_in(bridge)
    unit.send(location(2))
    old = bytes([25, 3, 14, 15, 9, 26])
    unit.send(location(3, stored=1, date=old))
    got = sub.on(f"trackers/{IDENT}/position", 2)
    assert [m.record["message.buffered.status"] for m in got] == [False, True]
    unit.send(location(4, message=0x2D, stored=1, date=old))
    sub.on(f"trackers/{IDENT}/position", 3)
    state = sub.on(f"trackers/{IDENT}/state", where=lambda m: "position.latitude" in m.record)[-1].record
    assert state["position.timestamp"] == TIME
    unit.close()


# --- whose frames are whose ---

def test_frames_before_a_login_belong_to_nobody(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(location(2) + frame(0x01, bytes.fromhex("08a0000700100100"), 3) + location(4) + login() + location(5))
    assert unit.receive_until(answer(0x22, 5)) == answer(1, 1) + answer(0x22, 5)
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["frames.rejected.no-ident"] == 2 and m.record["frames.rejected.bad-id"] == 1)
    assert [r["event.seqnum"] for r in sorted((m.record for m in sub.on(f"trackers/{IDENT}/position")), key=lambda r: r["event.seqnum"])] == [5]
    unit.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_second_login_on_the_same_connection(make_bridge, subscribe, transport):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    other = "860000700020034"
    unit = logged_in(bridge, transport=transport)
    for data, want in ((location(2), answer(0x22, 2)), (login(other), answer(1, 1)), (location(3), answer(0x22, 3)),
                       (login(), answer(1, 1)), (location(4), answer(0x22, 4))):
        unit.send(data)
        assert unit.receive() == want
    sub.on(f"trackers/{IDENT}/position", 2)
    sub.on(f"trackers/{other}/position")
    assert [r["event.seqnum"] for r in records(sub) if "position.latitude" in r] == [2, 4]
    assert [r["event.seqnum"] for r in records(sub, other) if "position.latitude" in r] == [3]
    unit.close()


def test_a_unit_that_is_not_admitted_speaks_for_nobody(make_bridge, subscribe, tmp_path):
    units = tmp_path / "units.ini"
    units.write_text(f"[{IDENT}]\n")
    bridge = make_bridge({"units": {"file": units, "unknown": "reject"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = logged_in(bridge)
    unit.send(login("860000700020034") + location(3) + login() + location(4))
    assert unit.receive_until(answer(0x22, 4)) == answer(1, 1) + answer(0x22, 4)
    assert [m.record["event.seqnum"] for m in sub.on(f"trackers/{IDENT}/position")] == [4]
    assert not records(sub, "860000700020034")
    unit.close()


def test_an_older_connection_says_its_last_words(make_bridge, subscribe):
    """The unit has connected anew: what it had sent on the connection before is its own, with the time zone of that login."""
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    before = logged_in(bridge, more=bytes.fromhex("22033200"))
    other = logged_in(bridge, "860000700020034")  # the bridge has accepted it
    bridge.process.send_signal(signal.SIGSTOP)
    other.send(login(serial=2) + location(8, message=0x12))
    before.send(location(7, message=0x12))
    bridge.process.send_signal(signal.SIGCONT)
    assert other.receive_until(answer(0x12, 8)) == answer(1, 2) + answer(0x12, 8)
    sub.on(f"trackers/{IDENT}/position", 2)
    got = {r["event.seqnum"]: r["timestamp"] for r in records(sub) if "position.latitude" in r}
    assert got == {7: TIME - 8 * 3600, 8: TIME}
    before.close()
    other.close()


def test_over_udp_a_login_counts_also_while_another_peer_has_the_unit(make_bridge, subscribe):
    """The unit is on line over TCP, and its datagrams do not get it: they are taken and acknowledged all the same."""
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    first = logged_in(bridge)
    peers = [logged_in(bridge, transport="udp") for _ in range(3)]
    for n, unit in enumerate(peers):
        for serial in (10 * n + 10, 10 * n + 11):
            unit.send(location(serial))
            assert unit.receive() == answer(0x22, serial)
    assert len(sub.on(f"trackers/{IDENT}/position", 6)) == 6
    first.send(location(2))
    assert first.receive() == answer(0x22, 2), "it still has its unit"
    for unit in [first, *peers]:
        unit.close()


@pytest.mark.parametrize("setting,more,want", [
    (None, "", 0), (None, "22033200", 8), (None, "220319 0A".replace(" ", ""), -4), ("+02:00", "22033200", 2), ("+00:00", "22033200", 0),
    ("login", "22033200", 8)])
def test_time_zones(make_bridge, subscribe, tmp_path, setting, more, want):
    units = tmp_path / "units.ini"
    units.write_text(f"[{IDENT}]\n" + (f"timezone = {setting}\n" if setting else ""))
    bridge = make_bridge({"units": {"file": units}})
    bridge.wait_connected()
    sub = subscribe()
    unit = logged_in(bridge, more=bytes.fromhex(more))
    unit.send(location(2, message=0x12) + location(3))
    sub.on(f"trackers/{IDENT}/position", 2)
    got = {r["event.seqnum"]: r["timestamp"] for r in records(sub) if "position.latitude" in r}
    assert got == {2: TIME - want * 3600, 3: TIME}, "0x22 is in UTC, whatever the login says"
    unit.close()


# --- commands ---

def ask(sub, request, ident=IDENT):
    sub.publish(f"trackers/{ident}/cmd", request if isinstance(request, str) else json.dumps(request))


def ends(sub, id, ident=IDENT):
    return sub.on(f"trackers/{ident}/cmd/reply", where=lambda m: m.record.get("id") == id and m.record["status"] not in ("sent", "held"))[0].record


@pytest.mark.parametrize("long", [False, True])
def test_a_reply_is_matched_by_its_flag(make_bridge, subscribe, long):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = logged_in(bridge)
    flags = []
    for id, request in (("a", {"command": "engine.stop", "id": "a"}), ("b", {"payload": "STATUS", "id": "b"})):
        ask(sub, request)
        flags.append(command(unit))
    assert [(text, word) for _, text, word in flags] == [("RELAY,1#", b""), ("STATUS#", b"")]
    assert 0 < flags[0][0] < flags[1][0]
    unit.send(reply(flags[1][0], "Battery:4.12V", long=long))
    assert ends(sub, "b")["result"] == "Battery:4.12V"
    unit.send(reply(flags[0][0], "DYD=Success!", long=long))
    end = ends(sub, "a")
    assert end["status"] == "answered" and end["result"] == "DYD=Success!" and end["command"] == "engine.stop"
    record = sub.on(f"trackers/{IDENT}/telemetry", where=lambda m: m.record.get("custom.command.reply") == "DYD=Success!")[0].record
    assert record["custom.reply.seqnum"] == flags[0][0]
    unit.close()


@pytest.mark.parametrize("flag", [0, 1, 4294967295])
def test_a_reply_without_a_known_flag_is_for_the_oldest(make_bridge, subscribe, flag):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = logged_in(bridge)
    for id in "ab":
        ask(sub, {"payload": "STATUS#", "id": id})
        command(unit)
    unit.send(reply(flag, "first"))
    assert ends(sub, "a")["result"] == "first"
    unit.send(reply(flag, "second", serial=10))
    assert ends(sub, "b")["result"] == "second"
    unit.send(reply(flag, "nobody asked", serial=11))
    sub.on(f"trackers/{IDENT}/telemetry", where=lambda m: m.record.get("custom.command.reply") == "nobody asked")
    unit.close()


def test_a_late_reply_is_not_given_to_another_command(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = logged_in(bridge)
    ask(sub, {"payload": "STATUS#", "id": "old", "timeout": 1})
    old, _, _ = command(unit)
    assert ends(sub, "old")["status"] == "timeout"
    unit.close()
    unit = logged_in(bridge)  # the flags go on
    ask(sub, {"payload": "RELAY,1#", "id": "new"})
    new, _, _ = command(unit)
    assert new > old
    unit.send(reply(old, "late") + reply(new, "in time", serial=10))
    assert ends(sub, "new")["result"] == "in time"
    unit.close()


@pytest.mark.parametrize("word,bytes_", [("none", b""), ("english", b"\0\2"), ("chinese", b"\0\1")])
def test_the_language_word_of_a_unit(make_bridge, subscribe, tmp_path, word, bytes_):
    units = tmp_path / "units.ini"
    units.write_text(f"[{IDENT}]\nlanguage = {word}\n")
    bridge = make_bridge({"units": {"file": units}})
    bridge.wait_connected()
    sub = subscribe()
    unit = logged_in(bridge)
    ask(sub, "WHERE#")
    assert command(unit)[1:] == ("WHERE#", bytes_)
    unit.close()


@pytest.mark.parametrize("request_,reason", [
    ("A#B", "the character # ends a command"), ("RELAY,1##", "the character # ends a command"), ("RELAY,\u00e9#", "only ASCII"),
    ("X" * 201, "command too long"),
    ({"command": "server.set", "args": {"host": "a,b", "port": 1}}, "host"), ({"command": "server.set", "args": {"host": "a#", "port": 1}}, "host"),
    (frame(0x80, b"\x0c\0\0\0\1RELAY,1#").hex(), "publish what stands behind its ident alone: RELAY,1#"),
    ("engine.stop", "named command")])
def test_rejected_commands(make_bridge, subscribe, request_, reason):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = logged_in(bridge)
    ask(sub, request_)
    end = sub.on(f"trackers/{IDENT}/cmd/reply")[0].record
    assert end["status"] == "rejected" and reason in end["reason"]
    unit.send(location(5))
    assert unit.receive_until(b"\r\n") == answer(0x22, 5), "nothing was sent"
    unit.close()


# --- all on one port ---

KINDS = {"h02": ("9170000001", "h02"), "h02-binary": ("9170001001", "h02"), "jt808": ("9170002001", "jt808"),
         "jt808-2019": ("9170003001", "jt808"), "gt06": ("9170004001", "gt06")}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_all_protocols_on_one_port(make_bridge, subscribe, transport):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    sims = {kind: subprocess.Popen([BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{bridge.port}", "-p", kind, "-t", transport, "-n", "8",
                                    "-i", "0.2", "-r", "5", "--alarm-every", "3", "--ident", first], stdout=subprocess.PIPE, text=True)
            for kind, (first, _) in KINDS.items()}
    for kind, sim in sims.items():
        out, _ = sim.communicate(timeout=120)
        assert sim.returncode == 0 and "acknowledged 40 pending 0 dropped 0" in out, f"{kind}: {out}"
    sub.wait(lambda m: m.topic.endswith("/position"), "positions", 40 * len(KINDS))
    for m in sub.now(lambda m: m.topic.endswith("/position")):
        number = int(m.record["ident"][-10:])
        kind = list(KINDS)[(number - 9170000001) // 1000]
        assert m.record["protocol.id"] == KINDS[kind][1] and len(m.record["ident"]) == (15 if kind == "gt06" else 10)


def test_the_simulator_is_commanded_and_resends(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    sim = subprocess.Popen([BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{bridge.port}", "-p", "gt06", "-n", "1", "-i", "0.2", "--reconnect", "0.1"],
                           stdout=subprocess.PIPE, text=True)
    ident = "860009170000001"
    sub.on(f"trackers/{ident}/position")
    ask(sub, {"command": "engine.stop", "id": "stop"}, ident)
    assert ends(sub, "stop", ident)["result"].startswith("Cut off the fuel supply: Success!")
    sub.on(f"trackers/{ident}/telemetry", where=lambda m: m.record["message.type"] == "0x13" and m.record["engine.blocked.status"])
    bridge.stop(signal.SIGKILL)
    wait_for(lambda: sim.poll() is None, "the simulator")
    bridge.start()
    sub.on(f"trackers/{ident}/telemetry", 2, where=lambda m: m.record["message.type"] == "0x94")
    sim.send_signal(signal.SIGINT)
    out, _ = sim.communicate(timeout=30)
    assert re.search(r"dropped 0 commands 1 answered 1 connects [2-9]", out), out


@pytest.mark.parametrize("size", range(5))
def test_a_whole_frame_whose_content_is_wrong_is_explained(size):
    """Its texts stand in memory of the codec: they are read before the codec returns."""
    for long in (False, True):
        sent = login() + b"".join(frame(message, bytes(range(3, 3 + size)), long=long) for message in range(2, 256))
        result = subprocess.run([BUILD / "tracker2mqtt-decode", "--explain", "--input", "raw"], input=sent, capture_output=True, timeout=60)
        blocks = result.stdout.decode().split("\n\n")[1:-1]
        assert result.returncode == 1 and all(b" at byte " in line for line in result.stderr.splitlines()), result.stderr.decode()
        told = [re.search(r"message.type +(\w+)$", block, re.M)[1] for block in blocks]
        assert told == [f"0x{message:02X}" for message in range(2, 256)]
