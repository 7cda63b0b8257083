# SPDX-License-Identifier: MIT
"""Behind a proxy for datagrams the unit's own address is seen, and answers go back through the proxy."""

import os
import re
import socket
import subprocess

import pytest
from conftest import PATIENCE, ROOT, free_port, stop, v1, wait_for

V2 = bytes.fromhex("0D0A0D0A000D0A515549540A")
FOUR = b"PROXY TCP4 203.0.113.4 198.51.100.1 50112 8888\r\n"
STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


def v2(kind=0x12, command=0x21, source="203.0.113.4", port=50112, tlvs=b""):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    rest = (socket.inet_pton(family, source) * 2 + port.to_bytes(2, "big") + (8888).to_bytes(2, "big") + tlvs)
    return V2 + bytes([command, kind]) + len(rest).to_bytes(2, "big") + rest


class Port:
    """A port of the proxy; or of a unit that speaks by itself."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.bind((host, 0))
        self.socket.connect(("127.0.0.1", port))
        self.peer = "%s:%d" % self.socket.getsockname()

    def send(self, data):
        self.socket.send(data if isinstance(data, bytes) else data.encode())

    def receive(self):
        return self.socket.recv(65536)

    def receive_until(self, part):
        data = b""
        while part not in data:
            data += self.receive()
        return data

    def close(self):
        self.socket.close()


@pytest.fixture
def proxied(make_bridge, subscribe):
    bridge = make_bridge({"listen": {"proxy_protocol": "yes", "proxy_from": "127.0.0.1"}})
    bridge.wait_connected()
    return bridge, subscribe()


def peers(sub, ident, count):
    return [m.record["peer"] for m in sub.on(f"trackers/{ident}/position", count)]


@pytest.mark.parametrize("header, peer", [
    (FOUR, "203.0.113.4:50112"),
    (b"PROXY TCP6 2001:db8::4 2001:db8::1 50112 8888\r\n", "[2001:db8::4]:50112"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN 203.0.113.4 198.51.100.1 50112 8888\r\n", None),
    (v2(), "203.0.113.4:50112"),
    (v2(kind=0x11), "203.0.113.4:50112"),
    (v2(kind=0x22, source="2001:db8::4"), "[2001:db8::4]:50112"),
    (v2(kind=0x21, source="2001:db8::4"), "[2001:db8::4]:50112"),
    (v2(tlvs=bytes.fromhex("0400070001020304056A")), "203.0.113.4:50112"),
    (v2(command=0x20), None),
    (v2(kind=0), None),
])
@pytest.mark.parametrize("alone", [False, True])
def test_headers(proxied, header, peer, alone):
    """In the first datagram, before the unit's bytes or alone; the next one from the port of the proxy has none."""
    bridge, sub = proxied
    port = Port(bridge.port)
    if alone:
        port.send(header)
        port.send(v1("9170503816"))
    else:
        port.send(header + v1("9170503816").encode())
    assert b"V4,V1" in port.receive()
    port.send(v1("9170503816", "123507"))
    assert b"V4,V1" in port.receive()
    assert peers(sub, "9170503816", 2) == [peer or port.peer] * 2
    sub.publish("trackers/9170503816/cmd", "S71,130305,60")
    assert b"S71,130305,60#" in port.receive()
    port.close()


@pytest.mark.parametrize("start", [
    FOUR[:30], FOUR[:-2], b"PROXY TCP4 203.0.113.4 198.51.100.1 50112 88888\r\n", b"PROXY TCP4 2001:db8::4 2001:db8::1 50112 8888\r\n",
    b"PROXY TCP6 203.0.113.4 198.51.100.1 50112 8888\r\n", b"PROXY TCP4 203.0.113.4 198.51.100.1 50112\r\n", b"PROXY " + b"A" * 200,
    b"PROXY UDP4 203.0.113.4 198.51.100.1 50112 8888\r\n", V2, v2()[:20], v2(kind=0x31), v2(command=0x11), v2(kind=0x22),
    V2 + bytes.fromhex("21120004") + bytes(4), V2 + bytes.fromhex("2112FFFF") + bytes(12)])
def test_what_is_a_bad_header(proxied, start):
    """What stands behind it is not taken, for nobody can tell where it begins; the next datagram is."""
    bridge, sub = proxied
    port = Port(bridge.port)
    whole = start if len(start) in (30, len(v2()[:20]), len(V2)) else start + v1("9170503816").encode()
    port.send(whole)
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.proxy_header"] == 1)
    assert re.search(r"refused udp 127\.0\.0\.1: proxy_header \(1 since the last line\)", bridge.log())
    port.send(v1("9170503817"))
    assert b"9170503817" in port.receive()
    assert peers(sub, "9170503817", 1) == [port.peer]
    assert not sub.now(lambda m: m.topic.startswith("trackers/9170503816/"))
    port.close()


@pytest.mark.parametrize("start", [b"PROX", b"PROXY", V2[:4], V2[:11]])
def test_what_only_begins_like_a_header(proxied, start):
    """It is a datagram like any other: before a unit's frame such bytes are noise, or nothing that a codec knows."""
    bridge, sub = proxied
    port = Port(bridge.port)
    port.send(start)
    port.send(v1("9170503816"))
    assert b"V4,V1" in port.receive()
    assert peers(sub, "9170503816", 1) == [port.peer]
    stats = sub.on("trackers/bridge/test/stats", where=lambda m: m.record["frames"] > 0)[0].record
    assert stats["refused.proxy_header"] == 0
    port.close()


@pytest.mark.parametrize("header", [FOUR, v2()])
def test_who_is_no_proxy_is_not_believed(make_bridge, subscribe, header):
    bridge = make_bridge({"listen": {"proxy_protocol": "yes", "proxy_from": "127.0.0.2"}})
    bridge.wait_connected()
    sub, port = subscribe(), Port(bridge.port)
    port.send(header)
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.unknown_protocol"] == 1)
    assert re.search(r"refused udp 127\.0\.0\.1: unknown_protocol", bridge.log())
    assert "name the port in [listen] proxy_protocol, and the proxy in proxy_from" in bridge.log()
    port.send(v1("9170503816"))  # a unit that comes by itself
    assert b"V4,V1" in port.receive()
    assert peers(sub, "9170503816", 1) == [port.peer]
    assert not sub.now(lambda m: b'"peer":"203.0.113.4' in m.payload)
    port.close()


def test_a_port_without_a_proxy_believes_nobody(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub, port = subscribe(), Port(bridge.port)
    port.send(FOUR)
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.unknown_protocol"] == 1)
    port.close()


def test_clients_count_by_their_own_address(make_bridge, subscribe):
    """One client of each address, however many the proxy hands on."""
    bridge = make_bridge({"listen": {"proxy_protocol": "yes", "max_connections_per_address": "1"}})
    bridge.wait_connected()
    sub = subscribe()
    ports = [Port(bridge.port) for _ in range(6)]
    for n, port in enumerate(ports[:5]):
        port.send(v2(source=f"203.0.113.{n}", port=1000 + n) + v1(f"917050381{n}").encode())
        assert b"V4,V1" in port.receive()
    ports[5].send(v2(source="203.0.113.0", port=2000) + v1("9170503819").encode())
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.max_connections_per_address"] == 1)
    assert re.search(r"refused udp 203\.0\.113\.0: max_connections_per_address", bridge.log())
    assert not sub.now(lambda m: m.topic.startswith("trackers/9170503819/"))
    for port in ports:
        port.close()


def test_a_header_in_each_datagram(proxied):
    """A proxy with one port for all its clients: each has the address that its datagram names."""
    bridge, sub = proxied
    port = Port(bridge.port)
    for turn in range(3):
        for n in range(4):
            port.send(v2(source=f"203.0.113.{n}", port=1000 + n) + v1(f"917050381{n}", f"12350{turn}").encode())
            assert f"917050381{n},V4,V1".encode() in port.receive()
    for n in range(4):
        assert peers(sub, f"917050381{n}", 3) == [f"203.0.113.{n}:{1000 + n}"] * 3
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["units.online"] == 4)
    port.close()


def test_a_client_comes_from_another_port_of_the_proxy(proxied):
    """nginx was started again: the unit stays as it was, and its commands go the new way."""
    bridge, sub = proxied
    old, new = Port(bridge.port), Port(bridge.port)
    for port in (old, new):
        port.send(FOUR + v1("9170503816").encode())
        assert b"V4,V1" in port.receive()
    sub.publish("trackers/9170503816/cmd", "S71,130305,60")
    assert b"S71,130305,60#" in new.receive()
    assert peers(sub, "9170503816", 2) == ["203.0.113.4:50112"] * 2
    assert bridge.log().count("unit 9170503816 on line") == 1
    old.close()
    new.close()


def test_a_bridge_that_was_started_again_takes_what_has_no_header(proxied):
    """The proxy does not know, and says no more whose datagrams these are: they are its own."""
    bridge, sub = proxied
    port = Port(bridge.port)
    port.send(FOUR + v1("9170503816").encode())
    assert b"V4,V1" in port.receive()
    bridge.stop()
    bridge.start()
    port.send(v1("9170503816", "123507"))
    assert b"V4,V1" in port.receive()
    assert peers(sub, "9170503816", 2) == ["203.0.113.4:50112", port.peer]
    port.close()


@pytest.mark.parametrize("listed, fault", [("udp", None), ("tcp", None), ("other", "stands in none of tcp, tls and udp")])
def test_only_addresses_that_are_listened_on_can_be_named(make_bridge, listed, fault):
    bridge = make_bridge()
    tcp, udp, other = free_port(), free_port(), free_port()
    named = {"tcp": tcp, "udp": udp, "other": other}[listed]
    bridge.sections["listen"].update({"tcp": f"127.0.0.1:{tcp}", "udp": f"127.0.0.1:{udp}", "proxy_protocol": f"127.0.0.1:{named}"})
    bridge.write()
    said = subprocess.run([*bridge.program, "-t", "-c", bridge.path], capture_output=True, text=True)
    assert (said.returncode, fault is None or fault in said.stderr) == (0 if fault is None else 1, True), said.stderr


# --- nginx itself, with the sample ---

@pytest.fixture
def behind_nginx(make_bridge, tmp_path):
    """units ── nginx ── two bridges."""
    if not os.path.exists(STREAM):
        pytest.skip("nginx has no stream module: libnginx-mod-stream")
    bridges = [make_bridge({"listen": {"tcp": "", "proxy_protocol": "yes", "proxy_from": "127.0.0.1/32"},
                            "publish": {"instance": name}}) for name in ("a", "b")]
    front = free_port()
    text = (ROOT / "etc/nginx-udp.conf").read_text()
    text, n = re.subn(r"listen 8888 ", f"listen 127.0.0.1:{front} ", text)
    text, m = re.subn(r"\n *listen \[::\]:8888[^\n]*", "", text)
    for bridge, place in zip(bridges, ("10.0.0.11:8889 ", "10.0.0.12:8889 ")):
        assert text.count(f"server {place}") == 1
        text = text.replace(f"server {place}", f"server 127.0.0.1:{bridge.port} ")
    text, k = re.subn(r"\n *server 10\.0\.0\.13:8889[^\n]*", "", text)
    assert (n, m, k) == (1, 1, 1)
    path = tmp_path / "nginx.conf"
    path.write_text(f"load_module {STREAM};\ndaemon off;\nmaster_process off;\npid {tmp_path}/nginx.pid;\n"
                    f"error_log {tmp_path}/error.log;\nevents {{}}\n{text}")
    process = subprocess.Popen(["/usr/sbin/nginx", "-c", path, "-e", tmp_path / "start.log"], stderr=subprocess.DEVNULL)
    wait_for(lambda: (tmp_path / "nginx.pid").exists() or process.poll() is not None, "nginx")
    assert process.poll() is None, (tmp_path / "start.log").read_text()
    for bridge in bridges:
        bridge.wait_connected()
    yield front, bridges
    stop(process)


def heard(port, ident, minute):
    """What goes to a bridge that is gone is lost, or nginx says so with an empty datagram: then the unit says it again."""
    tries = iter(range(10, 60))

    def acknowledged():
        port.send(v1(ident, f"12{minute:02}{next(tries)}"))
        port.socket.settimeout(1)
        try:
            return b"V4,V1" in port.receive()
        except TimeoutError:
            return False
    wait_for(acknowledged, "an acknowledgement")
    port.socket.settimeout(PATIENCE)


def test_the_nginx_sample(behind_nginx, subscribe):
    front, bridges = behind_nginx
    sub = subscribe()
    units = {f"91705038{n:02}": Port(front, f"127.0.1.{n}") for n in range(10, 26)}
    for ident, port in units.items():
        for minute in (1, 2):
            heard(port, ident, minute)
    for ident, port in units.items():
        assert peers(sub, ident, 2) == [port.peer] * 2
        status = sub.on(f"trackers/{ident}/status", where=lambda m: m.record["state"] == "online")
        assert [m.record["peer"] for m in status] == [port.peer]
    assert all(f"127.0.1.{n}:" in "".join(b.log() for b in bridges) for n in range(10, 26))
    spread = [sum(f"unit {ident} on line" in b.log() for ident in units) for b in bridges]
    assert sum(spread) == 16 and min(spread) > 0
    for ident, port in units.items():
        sub.publish(f"trackers/{ident}/cmd", "S71,130305,60")
        assert b"S71,130305,60#" in port.receive_until(b"S71")
    said = subprocess.run(["/usr/sbin/nginx", "-v"], stderr=subprocess.PIPE, text=True, check=True).stderr
    if tuple(int(n) for n in re.search(r"nginx/(\d+)\.(\d+)", said).groups()) > (1, 22):
        return  # it does not notice over UDP that a bridge is gone: etc/doc/cluster.md says so
    bridges[0].process.kill()
    bridges[0].process.wait()
    for ident, port in units.items():
        heard(port, ident, 3)
        assert sub.on(f"trackers/{ident}/position", 3)[-1].record["peer"] == port.peer
        port.close()
