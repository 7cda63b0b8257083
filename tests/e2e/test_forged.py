# SPDX-License-Identifier: MIT
"""Datagrams whose sender lies use up nothing that belongs to those who connect: neither what their unit or their address may do,
nor their unit, nor the log line by which an address is told."""

import time

import pytest
from conftest import Unit, v1, wait_for
from test_jt808 import frame, location, unescape

IDENT = "9170503816"


def wait_for_next_second():
    """A period of a second that has begun is over."""
    time.sleep(1.1)


def send_and_hear(unit, frames):
    """One datagram or segment, and the answers to all its frames."""
    unit.send("".join(frames))
    data = b""
    while data.count(b"#") < len(frames):
        piece = unit.receive()
        assert piece, f"closed after {data!r}"
        data += piece


def refused(sub, counter):
    """So often, by now: counted in stats that are newer than the call."""
    before = len(sub.now(lambda m: m.topic == "trackers/bridge/test/stats"))
    return sub.on("trackers/bridge/test/stats", before + 1)[-1].record["refused." + counter]


def test_datagrams_do_not_use_up_what_a_unit_may_send(make_bridge, subscribe):
    bridge, sub = make_bridge({"limits": {"frames_per_unit": 20}}), subscribe()
    unit, forger = Unit(bridge.port), Unit(bridge.port, "udp")
    send_and_hear(unit, [v1(IDENT)])
    for n in range(5):  # each within a part of a second
        for _ in range(2):
            send_and_hear(forger, [v1(IDENT, date="010115")] * 15)
        send_and_hear(unit, [v1(IDENT, f"12000{n}")])
    assert refused(sub, "frames_per_unit") == 0
    unit.close()
    forger.close()


def test_a_unit_that_is_taken_over_has_not_spent_what_the_datagrams_have(make_bridge, subscribe):
    bridge, sub = make_bridge({"limits": {"frames_per_unit": 20}}), subscribe()
    for n in range(5):
        ident = f"917050381{n}"
        unit, forger = Unit(bridge.port), Unit(bridge.port, "udp")
        send_and_hear(forger, [v1(ident, date="010115")] * 15)
        send_and_hear(unit, [v1(ident)] * 15)
        unit.close()
        forger.close()
    assert refused(sub, "frames_per_unit") == 0


def test_datagrams_do_not_use_up_what_an_address_may_send(make_bridge, subscribe):
    bridge, sub = make_bridge({"limits": {"frames_per_address": 20}}), subscribe()
    unit, forger = Unit(bridge.port), Unit(bridge.port, "udp")
    for n in range(3):
        wait_for_next_second()
        send_and_hear(forger, [v1(f"55500000{n}{k}") for k in range(10)])
        send_and_hear(unit, [v1(IDENT, f"12{n:02}{k:02}") for k in range(15)])
    assert refused(sub, "frames_per_address") == 0
    unit.close()
    forger.close()


def test_peers_do_not_use_up_the_connections_of_an_address(make_bridge):
    bridge = make_bridge({"listen": {"max_connections_per_address": 3}})
    forgers = [Unit(bridge.port, "udp") for _ in range(3)]
    for n, forger in enumerate(forgers):
        send_and_hear(forger, [v1(f"555000000{n}")])
    unit = Unit(bridge.port)
    send_and_hear(unit, [v1(IDENT)])
    for each in (unit, *forgers):
        each.close()


def test_new_idents_in_datagrams_do_not_use_up_the_arrivals_of_an_address(make_bridge, subscribe):
    bridge, sub = make_bridge({"limits": {"arrivals_per_address": 10}}), subscribe()
    for n in range(3):
        wait_for_next_second()
        unit, forger = Unit(bridge.port), Unit(bridge.port, "udp")
        send_and_hear(forger, [v1(f"55500000{n}{k}") for k in range(6)])
        send_and_hear(unit, [v1(f"91705038{n}{k}") for k in range(6)])
        unit.close()
        forger.close()
    assert refused(sub, "arrivals_per_address") == 0


@pytest.mark.parametrize("taken_over", [1, 2])
def test_who_connects_gets_its_unit_from_datagrams(make_bridge, subscribe, taken_over):
    bridge, sub = make_bridge(), subscribe()
    bridge.wait_connected()
    forgers = [Unit(bridge.port, "udp") for _ in range(2)]
    for forger in forgers[:taken_over]:  # the second has it from the first: so it has changed hands in this second
        send_and_hear(forger, [v1(IDENT, date="010115")])
    unit = Unit(bridge.port)
    send_and_hear(unit, [v1(IDENT)])
    sub.on(f"trackers/{IDENT}/status", where=lambda m: m.record.get("peer") == unit.peer)
    send_and_hear(forgers[0], [v1(IDENT, date="010115")])
    sub.publish(f"trackers/{IDENT}/cmd", "S20,000000,1")
    assert b"S20" in unit.receive(), "the command went to the one who connects"
    for each in (unit, *forgers):
        each.close()


def test_a_refusal_over_udp_does_not_hide_the_one_over_tcp(make_bridge):
    """Who is to be banned by the log could else send a bad datagram from his own address once a minute."""
    bridge = make_bridge()
    forger = Unit(bridge.port, "udp")
    forger.send(b"\x01\x02\x03\x04")
    wait_for(lambda: "refused udp 127.0.0.1: unknown_protocol" in bridge.log(), "the refusal over UDP")
    unit = Unit(bridge.port)
    unit.send(b"\x01" * 2000)
    wait_for(lambda: "refused 127.0.0.1: unknown_protocol" in bridge.log(), "the refusal over TCP", 5)
    unit.close()
    forger.close()


def test_a_datagram_does_not_choose_the_protocol_of_the_next(make_bridge):
    """The first is from a forger who knows the address and port from which a unit will send."""
    bridge = make_bridge()
    unit = Unit(bridge.port, "udp")
    send_and_hear(unit, [v1("5550000000")])
    for n in range(3):
        unit.send(frame(0x0200, location(), "013912345678", n))
        assert unescape(unit.receive())[:2] == b"\x80\x01"
        send_and_hear(unit, [v1("5550000000")])
    unit.send(b"\x00\x01 no protocol at all")
    unit.send(frame(0x0002, b"", "013912345678", 9))
    assert unescape(unit.receive())[12:16] == b"\x00\x09\x00\x02"
    unit.close()


@pytest.mark.parametrize("forged", [v1("13912345678").replace("*HQ", "*XX").encode(),
                                    frame(0x0200, location(), "13912345678", 1, version=1)])
def test_a_forged_datagram_does_not_change_how_commands_are_written(make_bridge, subscribe, forged):
    bridge, sub = make_bridge(), subscribe()
    bridge.wait_connected()
    unit, forger = Unit(bridge.port), Unit(bridge.port, "udp")

    def command():
        sub.publish("trackers/13912345678/cmd", "S20,000000,1")
        data = unescape(unit.receive())
        return data[:10], data[12:-1]  # all but the serial number

    unit.send(frame(0x0002, b"", "013912345678", 1))
    assert unescape(unit.receive())[:2] == b"\x80\x01"
    sub.on("trackers/13912345678/status")
    before = command()
    forger.send(forged)
    assert forger.receive(), "its record is taken"
    assert command() == before
    unit.close()
    forger.close()


def test_the_maker_code_is_that_of_the_own_connection(make_bridge, subscribe):
    bridge, sub = make_bridge(), subscribe()
    bridge.wait_connected()
    unit, forger = Unit(bridge.port), Unit(bridge.port, "udp")
    send_and_hear(unit, [v1(IDENT)])
    send_and_hear(forger, [v1(IDENT).replace("*HQ", "*XX")])
    sub.publish(f"trackers/{IDENT}/cmd", "S20,000000,1")
    assert unit.receive().startswith(b"*HQ," + IDENT.encode())
    unit.close()
    forger.close()
