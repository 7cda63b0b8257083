# SPDX-License-Identifier: MIT
"""No unit can hurt another: whatever strangers send, the others notice nothing and memory stays bounded."""

import random
import threading

from conftest import Unit, v1, wait_for


def flood(port, pieces):
    unit = Unit(port)
    try:
        for piece in pieces:
            unit.send(piece)
    except OSError:
        pass  # the bridge may have closed
    return unit


def test_strangers(make_bridge, subscribe):
    bridge = make_bridge({"listen": {"first_frame_timeout": "2s"}})
    bridge.wait_connected()
    sub = subscribe()
    honest = Unit(bridge.port)
    honest.send(v1("9170503816", "000000"))
    honest.receive()
    before = bridge.memory_kib()
    rng = random.Random(1)
    chunk = b"A" * 65536
    strangers = [
        threading.Thread(target=flood, args=(bridge.port, [rng.randbytes(65536) for _ in range(40)])),
        threading.Thread(target=flood, args=(bridge.port, [b"*HQ,1234567890,V1,"] + [chunk] * 160)),
        threading.Thread(target=flood, args=(bridge.port, [b"*"] + [chunk] * 160)),
        threading.Thread(target=flood, args=(bridge.port, [b"*HQ,1234567891,V1,0*"] * 50000)),
        threading.Thread(target=flood, args=(bridge.port, [b"$" * 65536] * 20)),
    ]
    silent = Unit(bridge.port)
    scanner = Unit(bridge.port)
    scanner.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for s in strangers:
        s.start()
    for n in range(1, 101):
        honest.send(v1("9170503816", f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}"))
        assert b"V4,V1" in honest.receive()
    for s in strangers:
        s.join()
    sub.on("trackers/9170503816/position", 101)
    assert bridge.memory_kib() - before < 64 * 1024
    assert silent.receive() == b"" and scanner.receive() == b""
    unknown = sub.wait(lambda m: m.topic == "trackers/bridge/test/unknown", "unknown")
    assert all(len(m.record["hex"]) <= 128 for m in unknown)
    wait_for(lambda: "no-terminator" in bridge.log() or "oversize" in bridge.log(), "the reasons")
    assert bridge.log().count("rejected") < 50, "once per connection, not per frame"
    honest.close()


def test_unknown_protocol_is_shown(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port, "udp")
    unit.send(b"\x16\x03\x01hello\xff")
    record = sub.on("trackers/bridge/test/unknown")[0].record
    assert record["hex"] == "16030168656C6C6FFF" and record["peer"] == unit.peer and record["transport"] == "udp"
    unit.close()


def test_connections_are_limited(make_bridge):
    bridge = make_bridge({"listen": {"max_connections": 5}})
    units = [Unit(bridge.port) for _ in range(5)]
    for n, unit in enumerate(units):
        unit.send(v1(f"917050381{n}"))
        assert b"V4,V1" in unit.receive()
    assert Unit(bridge.port).receive() == b""
    units.pop().close()

    def again():
        unit = Unit(bridge.port)
        unit.send(v1("9170503820"))
        return unit.receive()

    wait_for(again, "a free place")
    for unit in units:
        unit.close()


def test_text_of_any_bytes_is_published_as_valid_json(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"raw": "yes"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(b'*HQ,9170503816,SMS,"\\\x00\x01\x7f\xff\xc3\xbc\xed\xa0\x80\n</script>#')
    record = sub.on("trackers/9170503816/telemetry")[0].record
    assert record["custom.command.reply"] == '"\\\x00\x01\x7f\xff\u00fc\u00ed\u00a0\u0080\n</script>'
    unit.close()
