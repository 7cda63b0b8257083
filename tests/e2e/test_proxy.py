# SPDX-License-Identifier: MIT
"""Behind a proxy the unit's own address is seen; a PROXY header from anybody else, or none, is refused."""

import pathlib
import re
import socket
import subprocess

import pytest
from conftest import ROOT, Unit, free_port, stop, v1, wait_for

V2 = bytes.fromhex("0D0A0D0A000D0A515549540A")


def v2(source="203.0.113.4", port=50112, command=0x21):
    return (V2 + bytes([command, 0x11, 0, 12]) + socket.inet_aton(source) + socket.inet_aton("198.51.100.1") +
            port.to_bytes(2, "big") + (8888).to_bytes(2, "big"))


@pytest.fixture
def proxied(make_bridge, subscribe):
    bridge = make_bridge({"listen": {"proxy_protocol": "yes", "proxy_from": "127.0.0.1", "first_frame_timeout": "2s",
                                     "max_connections_per_address": "3"}})
    bridge.wait_connected()
    return bridge, subscribe()


@pytest.mark.parametrize("header, peer", [
    (b"PROXY TCP4 203.0.113.4 198.51.100.1 50112 8888\r\n", "203.0.113.4:50112"),
    (b"PROXY TCP6 2001:db8::4 2001:db8::1 50112 8888\r\n", "[2001:db8::4]:50112"),
    (b"PROXY UNKNOWN\r\n", None),
    (v2(), "203.0.113.4:50112"),
    (v2(command=0x20), None),
    (V2 + bytes.fromhex("2121002E20010DB800000000000000000000000420010DB8000000000000000000000001C3C022B8"
                        "0400070001020304056A"), "[2001:db8::4]:50112"),
])
@pytest.mark.parametrize("cut", [False, True])
def test_headers(proxied, header, peer, cut):
    bridge, sub = proxied
    unit = Unit(bridge.port)
    data = header + v1("9170503816").encode()
    for piece in ([data[i:i + 1] for i in range(len(header) + 5)] + [data[len(header) + 5:]] if cut else [data]):
        unit.send(piece)
    assert b"V4,V1" in unit.receive()
    assert sub.on("trackers/9170503816/position")[0].record["peer"] == (peer or unit.peer)
    unit.close()


@pytest.mark.parametrize("start", [
    v1("9170503816").encode(), b"PROXY TCP4 203.0.113.4\r\n", b"PROXY TCP4 203.0.113.4 198.51.100.1 50112 88888\r\n",
    b"PROXY " + b"A" * 200, V2 + bytes.fromhex("3111000C"), V2 + bytes.fromhex("21110004") + bytes(4),
    V2 + bytes.fromhex("2111FFFF"), b"\x0d\x0a\x0d\x0aX"])
def test_what_is_no_header_is_refused(proxied, start):
    bridge, sub = proxied
    unit = Unit(bridge.port)
    unit.send(start)
    assert unit.receive() == b""
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.proxy_header"] == 1)
    assert re.search(r"refused 127\.0\.0\.1: proxy_header \(1 since the last line\)", bridge.log())
    assert not sub.now(lambda m: m.topic.endswith("/position"))


def test_a_header_that_does_not_end_is_refused_in_time(proxied):
    bridge, _ = proxied
    unit = Unit(bridge.port)
    unit.send(b"PROXY TCP4")
    assert unit.receive() == b""


def test_connections_count_by_the_address_in_the_header(proxied):
    bridge, sub = proxied
    units = [Unit(bridge.port) for _ in range(8)]
    for n, unit in enumerate(units[:6]):
        unit.send(v2(f"203.0.113.{n // 3}") + v1(f"917050381{n}").encode())
        assert b"V4,V1" in unit.receive()
    units[6].send(v2("203.0.113.0"))
    assert units[6].receive() == b""
    units[7].send(v2("203.0.113.9") + v1("9170503817").encode())
    assert b"V4,V1" in units[7].receive()
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.max_connections_per_address"] == 1)
    for unit in units:
        unit.close()


def test_the_haproxy_sample(make_bridge, subscribe, tmp_path):
    """units ── haproxy (from 127.0.0.2) ── bridge; who comes to the bridge directly is refused, whatever it says."""
    front, direct = free_port(), free_port()
    bridge = make_bridge({"listen": {"tcp": f"127.0.0.1:{direct}", "proxy_protocol": f"127.0.0.1:{direct}",
                                     "proxy_from": "127.0.0.2/32"}})
    bridge.wait_connected()
    sub = subscribe()
    sample = (ROOT / "etc/haproxy.cfg").read_text()
    config = sample.replace("bind :8888", f"bind 127.0.0.1:{front}").replace(
        "127.0.0.1:8889 send-proxy-v2", f"127.0.0.1:{direct} send-proxy-v2 source 127.0.0.2")
    assert config.count(str(front)) and config.count("source 127.0.0.2")
    path = pathlib.Path(tmp_path / "haproxy.cfg")
    path.write_text(config)
    haproxy = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", path], stderr=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
    try:
        def connect():
            try:
                return Unit(front)
            except OSError:
                return None
        unit = wait_for(connect, "haproxy")
        unit.send(v1("9170503816"))
        assert b"V4,V1" in unit.receive()
        assert sub.on("trackers/9170503816/position")[0].record["peer"] == unit.peer
        forged = Unit(direct)
        try:
            forged.send(v2() + v1("9170503817").encode())
        except OSError:
            pass
        assert forged.receive() == b""
        sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.proxy_from"] == 1)
        assert not sub.now(lambda m: m.topic.startswith("trackers/9170503817/"))
        unit.close()
    finally:
        stop(haproxy)


def test_only_the_listed_listener_expects_headers(make_bridge, subscribe):
    behind = free_port()
    bridge = make_bridge()
    bridge.stop()
    bridge.sections["listen"].update({"tcp": f"127.0.0.1:{bridge.port},127.0.0.1:{behind}",
                                      "proxy_protocol": f"127.0.0.1:{behind}"})
    bridge.write()
    bridge.start()
    plain, proxy = Unit(bridge.port), Unit(behind)
    plain.send(v1("9170503816"))
    assert b"V4,V1" in plain.receive()
    proxy.send(v2() + v1("9170503817").encode())
    assert b"V4,V1" in proxy.receive()
    plain.close()
    proxy.close()
