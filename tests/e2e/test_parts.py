# SPDX-License-Identifier: MIT
"""JT/T 808 messages in several parts: nothing of them is acknowledged before all of it is stored, whatever happens in between;
who holds back his parts takes no place from others."""

import os
import pathlib
import signal
import socket

import pytest
from conftest import PATIENCE, ROOT, Unit, wait_for
from test_jt808 import frame, location, unescape

PLAIN = pathlib.Path(os.environ.get("T2M_PLAIN", ROOT / "build"))
IDENT = "13912345678"
PARTS = 4
ITEMS = 30  # in each part


class Speaker(Unit):
    """A unit that reads whole frames; its address can be chosen."""

    def __init__(self, bridge, address="127.0.0.1", transport="tcp"):
        super().__init__(bridge.port, transport)
        if address != "127.0.0.1":
            self.socket.close()
            self.socket = socket.create_connection(("127.0.0.1", bridge.port), PATIENCE, (address, 0))
        self.rest = b""

    def answers(self, count):
        """The next answers: (message, body)."""
        got = []
        while len(got) < count:
            end = self.rest.find(b"\x7e", 1)
            if end < 0:
                piece = self.receive()
                assert piece, f"closed after {got}"
                self.rest += piece
                continue
            data = unescape(self.rest[:end + 1])
            self.rest = self.rest[end + 1:]
            got.append((int.from_bytes(data[:2], "big"), data[12:-1].hex()))
        return got


def part(number, message=0x0704, day=1, phone="0" + IDENT, first_serial=1):
    items = b"".join(b"\0\x1c" + location(f"2601{day:02d}12{number:02d}{n:02d}") for n in range(ITEMS))
    head = (PARTS * ITEMS).to_bytes(2, "big") + b"\1" if number == 1 else b""
    return frame(message, head + items, phone, first_serial + number - 1, (number, PARTS))


def times(day=1):
    """What the whole message tells, as timestamps at UTC+8."""
    return {1767225600 + 86400 * (day - 1) + (12 - 8) * 3600 + 60 * number + n
            for number in range(1, PARTS + 1) for n in range(ITEMS)}


def ok(serials):
    return [(0x8001, f"{serial:04x}070400") for serial in serials]


def positions(sub, ident=IDENT):
    def timestamp(message):
        if not hasattr(message, "timestamp"):
            message.timestamp = message.record["timestamp"]
        return message.timestamp

    return [timestamp(m) for m in sub.now(lambda m: m.topic == f"trackers/{ident}/position")]


def expect_once(sub, count=PARTS * ITEMS, ident=IDENT):
    sub.on(f"trackers/{ident}/position", count)
    assert len(positions(sub, ident)) == count
    assert len(set(positions(sub, ident))) == count


HEARTBEAT = frame(0x0002, serial=99)
HEARD = [(0x8001, "0063000200")]


def test_a_crash_between_parts(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Speaker(bridge)
    for n in (1, 2, 3):
        unit.send(part(n))
    unit.send(HEARTBEAT)
    assert unit.answers(1) == HEARD, "a part was acknowledged although nothing of it is stored"
    bridge.stop(signal.SIGKILL)
    unit.close()
    bridge.start()
    bridge.wait_connected()
    # the unit has kept all, but begins with the last one: it is not told that all is well, but asked for the others
    unit = Speaker(bridge)
    unit.send(part(4))
    assert unit.answers(1) == [(0x8003, "000103000100020003")]
    unit.send(HEARTBEAT)
    assert unit.answers(1) == HEARD
    assert not positions(sub)
    for n in (1, 2, 3):
        unit.send(part(n))
    assert unit.answers(PARTS) == ok((1, 2, 3, 4))
    expect_once(sub)
    assert set(positions(sub)) == times()
    unit.close()


def test_a_crash_behind_the_acknowledgement(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    for day in (1, 2, 3):
        unit = Speaker(bridge)
        for n in (3, 1, 2, 4) if day == 2 else (1, 2, 3, 4):
            unit.send(part(n, day=day, first_serial=100 * day))
        assert unit.answers(PARTS) == ok(100 * day + n for n in range(PARTS))
        bridge.stop(signal.SIGKILL)
        unit.close()
        bridge.start()
    bridge.wait_connected()
    wait_for(lambda: len(set(positions(sub))) == 3 * PARTS * ITEMS, "all that was acknowledged")
    assert set(positions(sub)) == times(1) | times(2) | times(3)


def test_the_last_part_is_lost(make_bridge, subscribe):
    """Nothing comes behind the parts that are here, so the bridge asks when it has been quiet for a while; over TCP only."""
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit, datagrams, other = Speaker(bridge), Speaker(bridge, transport="udp"), "013912345699"
    for n in (1, 3):
        unit.send(part(n))
        datagrams.send(part(n, phone=other))
    assert unit.answers(1) == [(0x8003, "0001" + "02" + "00020004")]
    for n in (2, 4):
        unit.send(part(n))
        datagrams.send(part(n, phone=other))
    assert unit.answers(PARTS) == ok(range(1, PARTS + 1))
    assert datagrams.answers(PARTS) == ok(range(1, PARTS + 1)), "nothing was asked for"
    expect_once(sub)
    expect_once(sub, ident=other.lstrip("0"))
    unit.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_a_reconnect_between_parts(make_bridge, subscribe, address):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Speaker(bridge)
    unit.send(part(1) + part(2) + HEARTBEAT)
    assert unit.answers(1) == HEARD
    unit.close()
    unit = Speaker(bridge, address)
    unit.send(part(4))
    assert unit.answers(1) == [(0x8003, "0001010003")]
    unit.send(part(3))
    assert unit.answers(PARTS) == ok((1, 2, 3, 4))
    expect_once(sub)
    # the answers are lost: the unit comes back with the last part, then with all of them
    unit.close()
    unit = Speaker(bridge, address)
    unit.send(part(4))
    assert unit.answers(1) == ok([4])
    for n in (1, 2, 3, 4):
        unit.send(part(n))
    assert unit.answers(PARTS) == ok((1, 2, 3, 4))
    unit.send(frame(0x0200, location("260103000000"), serial=50))
    assert unit.answers(1) == [(0x8001, "0032020000")]
    expect_once(sub, PARTS * ITEMS + 1)
    # the next message has the same number of parts
    for n in (1, 2, 3, 4):
        unit.send(part(n, day=2, first_serial=60))
    assert unit.answers(PARTS) == ok((60, 61, 62, 63))
    expect_once(sub, 2 * PARTS * ITEMS + 1)
    unit.close()


def test_each_part_from_another_udp_port(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"raw": "yes"}})
    bridge.wait_connected()
    sub = subscribe()
    units = [Speaker(bridge, transport="udp") for _ in range(PARTS)]
    for n, unit in enumerate(units):
        unit.send(part(n + 1))
    assert units[-1].answers(PARTS) == ok((1, 2, 3, 4))
    for unit in units[:-1]:
        unit.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            unit.receive()
    expect_once(sub)
    shown = sub.on(f"trackers/{IDENT}/raw", PARTS, where=lambda m: m.record["direction"] == "out" and
                   "070400" in m.record["hex"].lower())
    assert [unescape(bytes.fromhex(m.record["hex"]))[12:-1].hex() for m in shown] == [b for _, b in ok((1, 2, 3, 4))]
    for unit in units:
        unit.close()


@pytest.mark.parametrize("section,key", [("limits", "parts"), ("jt808", "max_packets")])  # today's name, and the old one
def test_what_is_refused_for_good_is_told_so(make_bridge, subscribe, section, key):
    bridge = make_bridge({section: {key: "4"}})
    assert ("is called [limits] parts now" in bridge.log()) == (key == "max_packets")
    bridge.wait_connected()
    sub = subscribe()
    unit = Speaker(bridge)
    unit.send(frame(0x0801, b"x", serial=30, part=(1, 5)))
    assert unit.answers(1) == [(0x8001, "001e080103")]
    unit.send(frame(0x0801, b"x", serial=31, part=(4, 3)))
    assert unit.answers(1) == [(0x8001, "001f080102")]
    body = b"\0\1\1\0\x1c" + location(latitude=99_000_000)
    for _ in range(2):  # also when it comes again
        for n in (1, 2):
            unit.send(frame(0x0704, body[:20] if n == 1 else body[20:], serial=40 + n, part=(n, 2)))
        assert unit.answers(2) == [(0x8001, "0029070402"), (0x8001, "002a070402")]
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["frames.rejected.oversize"] == 1 and
           m.record["frames.rejected.bad-length"] == 1 and m.record["frames.rejected.bad-latitude"] == 1)
    unit.close()


def test_messages_of_a_platform_are_not_answered(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Speaker(bridge)
    unit.send(HEARTBEAT)
    assert unit.answers(1) == HEARD
    for n, message in enumerate((0x8001, 0x8100, 0x8003, 0x8004, 0x8800, 0xFFFF)):
        unit.send(frame(message, b"\0\1\2\0\0", serial=n))
    unit.send(HEARTBEAT)
    assert unit.answers(1) == HEARD
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["frames.rejected.from-platform"] == 6)
    assert {m.record["message.type"] for m in sub.now(lambda m: m.topic == f"trackers/{IDENT}/telemetry")} == {"0x0002"}
    unit.close()


def hold(bridge, address, number):
    """A stranger with four messages of 32 parts, of each of which one is missing."""
    stranger = Speaker(bridge, address)
    for message in range(0x0900, 0x0904):
        stranger.send(b"".join(frame(message, bytes(1000), f"0139{number:08d}", n, (n, 32)) for n in range(1, 32)))
    stranger.send(frame(0x0002, phone=f"0139{number:08d}", serial=99))
    assert stranger.answers(1) == HEARD
    return stranger


def test_strangers_who_hold_back_their_parts(make_bridge, subscribe):
    bridge = make_bridge({"limits": {"frames_per_unit": "0", "frames_per_address": "0"}})
    bridge.wait_connected()
    sub = subscribe()
    strangers = [hold(bridge, f"127.0.1.{1 + n // 2}" if n % 2 else "127.0.0.1", n) for n in range(140)]
    # one unit has the address of half of them, the other one its own
    for phone, address in (("013800000001", "127.0.0.1"), ("013800000002", "127.0.0.9")):
        unit = Speaker(bridge, address)
        for n in range(1, PARTS + 1):
            unit.send(part(n, phone=phone))
        assert unit.answers(PARTS) == ok((1, 2, 3, 4))
        expect_once(sub, ident=phone[1:])
        unit.close()
    for stranger in strangers:
        stranger.close()


def test_a_finished_message_takes_no_memory(make_bridge):
    if not (PLAIN / "tracker2mqtt").exists() or "libasan" in os.popen(f"ldd {PLAIN / 'tracker2mqtt'}").read():
        pytest.skip("memory is measured with the build without sanitizers (T2M_PLAIN)")
    bridge = make_bridge({"limits": {"frames_per_unit": "0", "frames_per_address": "0"}},
                         program=[PLAIN / "tracker2mqtt"])
    bridge.wait_connected()
    units = [Speaker(bridge) for _ in range(1000)]
    for n, unit in enumerate(units):
        unit.send(frame(0x0002, phone=f"0139{n:08d}", serial=99))
        assert unit.answers(1) == HEARD
    memory = bridge.memory_kib()
    for n, unit in enumerate(units):  # a heartbeat with a body: its record is small
        for k in range(1, 32):
            unit.send(frame(0x0002, bytes(1000), f"0139{n:08d}", k, (k, 31)))
    for unit in units:
        assert len(unit.answers(31)) == 31
    grown = bridge.memory_kib() - memory
    assert grown < 31 * 1000 / 4, f"{grown} KiB for 1,000 finished messages of 31 KB"
    for unit in units:
        unit.close()
