# SPDX-License-Identifier: MIT
"""What strangers may do is limited; each refusal is counted by reason and logged once a minute for an address."""

import re
import subprocess
import time

import pytest
from conftest import ROOT, Unit, v1, wait_for
from test_jt808 import frame, location


@pytest.fixture
def limited(make_bridge, subscribe):
    def make(listen=None, limits=None, **sections):
        bridge = make_bridge({"listen": listen or {}, "limits": limits or {}, **sections})
        bridge.wait_connected()
        sub = subscribe()

        def counted(reason, at_least=1):
            return sub.on("trackers/bridge/test/stats", where=lambda m: m.record[reason] >= at_least)

        return bridge, sub, counted

    return make


def clock(n):
    return f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}"


def test_connections_of_one_address(limited):
    bridge, _, counted = limited({"max_connections_per_address": 3})
    units = [Unit(bridge.port) for _ in range(3)]
    for n, unit in enumerate(units):
        unit.send(v1(f"917050381{n}"))
        assert b"V4,V1" in unit.receive()
    assert [Unit(bridge.port).receive() for _ in range(4)] == [b""] * 4
    counted("refused.max_connections_per_address", 4)
    lines = re.findall(r"refused 127\.0\.0\.1: max_connections_per_address \((\d+) since the last line\)", bridge.log())
    assert lines == ["1"], "once a minute for an address"
    for unit in units:
        unit.close()


def test_the_oldest_that_names_no_unit_gives_way(limited):
    bridge, _, counted = limited(limits={"unidentified": 5})
    honest = Unit(bridge.port)
    honest.send(v1("9170503816"))
    assert b"V4,V1" in honest.receive()
    silent = [Unit(bridge.port) for _ in range(6)]
    assert silent[0].receive() == b""
    counted("refused.unidentified")
    silent[5].send(v1("9170503817"))
    assert b"V4,V1" in silent[5].receive()
    honest.send(v1("9170503816", "123507"))
    assert b"V4,V1" in honest.receive()
    for unit in [honest, *silent]:
        unit.close()


def test_a_unit_that_is_too_fast_loses_nothing(limited):
    bridge, sub, counted = limited(limits={"frames_per_unit": 50})
    fast, other = Unit(bridge.port), Unit(bridge.port)
    fast.send("".join(v1("9170503816", clock(n)) for n in range(120)))
    other.send(v1("9170503817"))
    assert b"V4,V1" in other.receive()
    sub.on("trackers/9170503816/position", 120)
    counted("refused.frames_per_unit")
    times = [m.record["timestamp"] for m in sub.now(lambda m: m.topic == "trackers/9170503816/position")]
    assert times == sorted(times) and len(set(times)) == 120
    fast.close()
    other.close()


def test_an_address_that_is_too_fast(limited):
    bridge, sub, counted = limited(limits={"frames_per_address": 40})
    units = [Unit(bridge.port) for _ in range(4)]
    for n, unit in enumerate(units):
        unit.send("".join(v1(f"917050381{n}", clock(k)) for k in range(25)))
    for n in range(4):
        sub.on(f"trackers/917050381{n}/position", 25)
    counted("refused.frames_per_address")
    for unit in units:
        unit.close()


def test_too_fast_over_udp_is_sent_again(limited):
    bridge, sub, counted = limited(limits={"frames_per_unit": 5})
    unit = Unit(bridge.port, "udp")
    for n in range(20):
        unit.send(v1("9170503816", clock(n)))
    counted("refused.frames_per_unit")
    acknowledged = len(sub.on("trackers/9170503816/position", 5))
    assert 5 <= acknowledged < 20

    def again():
        unit.send(v1("9170503816", clock(19)))
        time.sleep(0.1)
        return sub.now(lambda m: m.topic.endswith("/position") and m.record["timestamp"] == 1481587219)

    wait_for(again, "the next second")
    unit.close()


def test_units_of_one_connection(limited):
    bridge, sub, counted = limited(limits={"units_per_connection": 3})
    relay, other = Unit(bridge.port), Unit(bridge.port)
    relay.send("".join(v1(f"917050381{n}") for n in range(5)))
    counted("refused.units_per_connection", 2)
    for n in range(3):
        sub.on(f"trackers/917050381{n}/position")
    other.send(v1("9170503814"))
    assert b"V4,V1" in other.receive()
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["units.online"] == 4)
    relay.close()
    other.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_units_that_come_on_line_too_fast(limited, transport):
    bridge, sub, counted = limited(limits={"arrivals_per_address": 10})
    units = [Unit(bridge.port, transport) for _ in range(25)]
    for n, unit in enumerate(units):
        unit.send(v1(f"91705038{n:02}"))
    counted("refused.arrivals_per_address")
    if transport == "tcp":  # they wait, and lose nothing
        for n, unit in enumerate(units):
            assert b"V4,V1" in unit.receive()
            sub.on(f"trackers/91705038{n:02}/position")
    for unit in units:
        unit.close()


def test_units_over_udp_that_come_too_fast_from_anywhere(limited, tmp_path):
    path = tmp_path / "units.ini"
    path.write_text("[9170503899]\nname = known\n")
    bridge, sub, counted = limited(limits={"udp_arrivals": 5}, units={"file": path})
    units = [Unit(bridge.port, "udp") for _ in range(25)]
    for n, unit in enumerate(units):
        unit.send(v1(f"91705038{n:02}"))
    known = Unit(bridge.port, "udp")
    known.send(v1("9170503899"))
    assert b"V4,V1" in known.receive(), "those of the units file may always come"
    counted("refused.udp_arrivals")
    for unit in [known, *units]:
        unit.close()


def test_units_in_all(limited):
    bridge, sub, counted = limited(limits={"units": 2})
    relay, late = Unit(bridge.port), Unit(bridge.port)
    relay.send("".join(v1(f"917050381{n}", clock(n)) for n in range(3)))
    counted("refused.units")
    late.send(v1("9170503819", clock(9)))
    counted("refused.units", 2)
    for n in range(2):
        sub.on(f"trackers/917050381{n}/position")
        relay.send(v1(f"917050381{n}", clock(10 + n)))  # those who are on line stay
        sub.on(f"trackers/917050381{n}/position", 2)
    relay.finish()
    for n in range(2):
        sub.on(f"trackers/917050381{n}/status", where=lambda m: m.record["state"] == "offline")
    again = Unit(bridge.port)
    again.send(v1("9170503812", clock(20)))  # now there is room
    assert b"V4,V1" in again.receive()
    sub.on("trackers/9170503812/position")
    refused = sub.now(lambda m: m.topic in ("trackers/9170503812/position", "trackers/9170503819/position"))
    assert [m.record["timestamp"] % 86400 for m in refused] == [20], "only what came when there was room"
    stats = sub.on("trackers/bridge/test/stats")[-1].record
    assert stats["refused.units"] == 2
    again.close()
    late.close()


def test_one_takeover_a_second(limited):
    bridge, sub, counted = limited()
    first, second, third = (Unit(bridge.port) for _ in range(3))
    first.send(v1("9170503816", clock(0)))
    assert b"V4,V1" in first.receive()
    second.send(v1("9170503816", clock(1)))
    assert b"V4,V1" in second.receive()
    assert first.receive() == b"", "the newest wins"
    third.send(v1("9170503816", clock(2)))  # at once: taken and acknowledged, but the unit stays where it is
    assert b"V4,V1" in third.receive()
    counted("refused.takeover")
    sub.publish("trackers/9170503816/cmd", "S32,000000,1")
    assert second.receive() == b"*HQ,9170503816,S32,000000,1#"
    sub.on("trackers/9170503816/position", 3)
    second.close()
    third.close()


def test_an_ident_that_two_addresses_claim(limited):
    bridge, sub, counted = limited()
    import socket
    units = []
    for n in range(3):
        unit = Unit.__new__(Unit)
        unit.socket = socket.socket()
        unit.socket.settimeout(30)
        unit.socket.bind((f"127.0.0.{2 + n % 2}", 0))
        unit.socket.connect(("127.0.0.1", bridge.port))
        unit.send(v1("9170503816", clock(n)))
        assert b"V4,V1" in unit.receive()
        units.append(unit)
        time.sleep(1.1 if n == 1 else 0)  # the second takeover comes a second behind the first
    counted("units.flapping")
    assert re.search(r"unit 9170503816 is claimed by 127\.0\.0\.3:\d+ and 127\.0\.0\.2:\d+ in turns", bridge.log())
    for unit in units:
        unit.close()


def test_udp_answers_are_at_most_three_times_what_came(limited):
    """A heartbeat of JT/T 808 is shorter than its answer, and is answered; registrations are answered as far as the bound goes."""
    bridge, sub, counted = limited()
    unit = Unit(bridge.port, "udp")
    sent = received = 0
    for n in range(40):
        beat = frame(0x0002, b"", serial=n)
        unit.send(beat)
        sent += len(beat)
        received += len(unit.receive())
    assert sent < received <= 3 * sent
    unit.close()


def test_udp_never_answers_who_is_not_admitted(limited, tmp_path):
    units = tmp_path / "units.ini"
    units.write_text("[9170503816]\nname = known\n")
    bridge, sub, counted = limited(units={"file": units, "unknown": "reject"})
    unknown, known = Unit(bridge.port, "udp"), Unit(bridge.port, "udp")
    unknown.socket.settimeout(1)
    for data in (v1("9170503817"), frame(0x0100, bytes(37)), frame(0x0002, b"")):
        unknown.send(data)
        with pytest.raises(TimeoutError):
            unknown.receive()
    counted("refused.not_admitted", 3)
    known.send(v1("9170503816"))
    assert b"V4,V1" in known.receive()
    unknown.close()
    known.close()


def test_a_full_table_gives_up_udp_peers_never_tcp(limited):
    bridge, sub, counted = limited({"max_connections": 4})
    tcp = Unit(bridge.port)
    tcp.send(v1("9170503816"))
    assert b"V4,V1" in tcp.receive()
    peers = [Unit(bridge.port, "udp") for _ in range(8)]
    for n, peer in enumerate(peers):
        peer.send(v1(f"917050382{n}"))
        assert b"V4,V1" in peer.receive()
    sub.on("trackers/9170503820/status", where=lambda m: m.record["state"] == "offline")
    tcp.send(v1("9170503816", "123507"))
    assert b"V4,V1" in tcp.receive()
    more = [Unit(bridge.port) for _ in range(4)]
    for n, unit in enumerate(more[:3]):
        unit.send(v1(f"917050383{n}"))
        assert b"V4,V1" in unit.receive()
    assert more[3].receive() == b""
    counted("refused.max_connections")
    for unit in [tcp, *peers, *more]:
        unit.close()


def test_each_record_of_a_batch_counts(limited):
    bridge, sub, counted = limited(limits={"frames_per_unit": 50})
    unit = Unit(bridge.port)
    items = b"".join(b"\0\x1c" + location(f"2601011212{n:02d}") for n in range(30))
    for serial in range(4):
        unit.send(frame(0x0704, (30).to_bytes(2, "big") + b"\1" + items, serial=serial))
    counted("refused.frames_per_unit")
    sub.on("trackers/13912345678/position", 120)
    unit.close()
