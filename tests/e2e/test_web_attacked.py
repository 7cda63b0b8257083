# SPDX-License-Identifier: MIT
"""Who reaches the page's address and has no login: keeps nobody out, fills nothing, stops nothing, and learns nothing."""

import os
import signal
import socket
import ssl
import threading

import pytest
from certificates import Authority
from conftest import PATIENCE, Unit, free_port, v1, wait_for
from test_web_tunnel import (BINARY, PING, PONG, Browser, connect_packet, fill, frame, get, subscribe_packet, trusting,
                             web)  # noqa: F401

IDENT = "9170503816"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"


def descriptors(bridge):
    return len(os.listdir(f"/proc/{bridge.process.pid}/fd"))


def connect(port, address="127.0.0.1", wrap=None):
    s = socket.socket()
    s.settimeout(PATIENCE)
    s.bind((address, 0))
    s.connect(("127.0.0.1", port))
    return wrap(s) if wrap else s


def handshake(port, address="127.0.0.1", wrap=None):
    """A WebSocket that is open, from an address of its own; True: it was let in."""
    s = connect(port, address, wrap)
    s.sendall(b"GET /mqtt HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    return s, b" 101 " in s.recv(20)


def logged_in(port):
    b = Browser(port)
    assert b.status == 101
    b.send(frame(connect_packet(client=os.urandom(4).hex())))
    assert b.receive()[1][:1] == b"\x20"
    return b


def is_open(s):
    try:
        s.setblocking(False)
        while data := s.recv(65536):
            if data[0] == 0x88:
                return False
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


# --- places ---

@pytest.mark.parametrize("addresses", [1, 40])
def test_strangers_keep_no_viewer_out(web, addresses):  # noqa: F811
    """They take every place, again and again, and never log in; viewers come, and those who are there stay."""
    bridge = web({"web": {"max_viewers": 8}})
    stays = logged_in(bridge.web)
    held, viewers = [], []
    for n in range(120):
        s, let_in = handshake(bridge.web, f"127.0.0.{2 + n % addresses}")
        held.append(s)
        assert let_in, "there is always room for one more who may log in"
        if n % 40 == 39:
            viewers.append(logged_in(bridge.web))
    wait_for(lambda: sum(is_open(s) for s in held) <= 8 - 4, "the oldest to go")
    for b in [stays, *viewers]:
        b.send(frame(b"x", kind=PING))
        while b.receive() != (PONG, b"x"):
            pass
    for s in held:
        s.close()


def test_one_address_has_a_share(web):  # noqa: F811
    """Who has not logged in takes a quarter of the places at most for one address; others are not touched."""
    bridge = web({"web": {"max_viewers": 40}})
    other = handshake(bridge.web, "127.0.0.9")[0]
    held = [handshake(bridge.web, "127.0.0.2")[0] for _ in range(100)]
    wait_for(lambda: sum(is_open(s) for s in held) <= 10, "the share")
    assert is_open(other)
    for s in [*held, other]:
        s.close()


def test_who_has_logged_in_gives_no_way(web):  # noqa: F811
    bridge = web({"web": {"max_viewers": 3}})
    held = [logged_in(bridge.web) for _ in range(3)]
    assert Browser(bridge.web).status == 503
    for b in held:
        b.send(frame(b"x", kind=PING))
        assert b.receive() == (PONG, b"x")
    held.pop().socket.close()
    wait_for(lambda: Browser(bridge.web).status == 101, "a place")


def test_a_broker_that_says_nothing(make_bridge):
    """Nobody is let in, so nobody stays: a place is not held by a broker that hangs."""
    deaf = socket.create_server(("127.0.0.1", 0))
    port = free_port()
    make_bridge({"mqtt": {"port": deaf.getsockname()[1]}, "web": {"listen": f"127.0.0.1:{port}"}})
    b = Browser(port)
    b.send(frame(connect_packet()))
    assert b.close_code() == 1013
    deaf.close()


def test_no_connection_to_the_broker_before_the_first_packet(web):  # noqa: F811
    bridge = web()
    before = descriptors(bridge)
    held = [Browser(bridge.web) for _ in range(5)]
    assert descriptors(bridge) == before + 5
    for n, b in enumerate(held):
        b.send(frame(connect_packet(client=f"b{n}")))
        b.receive()
    assert descriptors(bridge) == before + 10


@pytest.mark.parametrize("options, client", [({}, "tracker2mqtt-test"), ({"mqtt": {"client_id": "mine"}}, "mine")])
def test_nobody_takes_the_bridges_own_place(web, options, client):  # noqa: F811
    """A broker ends the connection of a client whose id another one brings: a viewer who may only read could stop the bridge."""
    bridge = web(options)
    b = Browser(bridge.web)
    b.send(frame(connect_packet(client=client)))
    assert b.close_code() == 1008
    b = Browser(bridge.web)
    b.send(frame(connect_packet(client=client + "2")))
    assert b.receive()[1][:1] == b"\x20"
    assert "lost" not in bridge.log()


def test_a_refused_login_is_told(tmp_path, broker, make_bridge):
    """With the viewer's address: the broker sees only the bridge's."""
    port, strict = free_port(), free_port()
    (tmp_path / "passwords").write_text("")
    broker.stop()
    broker.config.write_text("per_listener_settings true\n" + broker.config.read_text() +
                             f"listener {strict} 127.0.0.1\nallow_anonymous false\npassword_file {tmp_path}/passwords\n")
    os.chmod(tmp_path / "passwords", 0o600)
    broker.start()
    bridge = make_bridge({"mqtt": {"port": strict}, "web": {"listen": f"127.0.0.1:{port}"}})
    for level, count in ((5, 1), (4, 2)):
        b = Browser(port)
        b.send(frame(connect_packet(level=level)))
        assert b.receive()[1][:1] == b"\x20"
        wait_for(lambda n=count: bridge.log().count("the broker refuses a login on the page from 127.0.0.1: ") == n, "the line")


# --- HTTP ---

def test_slow_requests_keep_nobody_out(web, tmp_path):  # noqa: F811
    (tmp_path / "index.html").write_text("page")
    bridge = web({"web": {"root": tmp_path}})
    held = [connect(bridge.web, f"127.0.0.{2 + n % 50}") for n in range(400)]
    for n, byte in enumerate(GET[:20]):
        for s in held:
            try:
                s.send(bytes([byte]))
            except OSError:
                pass
        if n % 5 == 0:
            assert get(bridge.web, "/")[2] == b"page"
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    assert unit.receive()
    unit.close()
    for s in held:
        s.close()


def test_a_slow_reader_gets_the_whole_file(web, tmp_path):  # noqa: F811
    """Longer than a request may take: a phone with a thin line gets the map, too."""
    size = 24 << 20
    with open(tmp_path / "map.json", "wb") as f:
        f.truncate(size)
    bridge = web({"web": {"root": tmp_path}})
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.settimeout(PATIENCE)
    s.connect(("127.0.0.1", bridge.web))
    s.sendall(b"GET /map.json HTTP/1.1\r\nHost: a\r\n\r\n")
    got, slept = 0, threading.Event()
    while data := s.recv(1 << 20):
        got += len(data)
        if got < size // 2:
            slept.wait(7 * len(data) / (size // 2))
    assert got > size
    s.close()


@pytest.mark.parametrize("request_", [
    GET + b"X: " + b"a" * 1000000 + b"\r\n\r\n",
    GET + b"".join(b"X%d: a\r\n" % n for n in range(100000)) + b"\r\n",
    b"GET /" + b"a" * 1000000 + b" HTTP/1.1\r\n\r\n",
    b"\0" * 1000000,
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n" + b"a" * 1000000,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"ffffffffffffffff\r\n" * 10000,
    b"GET / HTTP/1.1\r\n" + b"\r\n" * 100000,
    b"\x16\x03\x01\xff\xff" + os.urandom(100000),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 100000,
], ids=range(9))
def test_large_and_strange_requests(web, request_):  # noqa: F811
    """They are refused or ignored, memory does not grow with them, and the next one is answered."""
    bridge = web()
    before = bridge.memory_kib()
    for _ in range(20):
        s = connect(bridge.web)
        try:
            s.sendall(request_)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except OSError:
            pass
        s.close()
    assert get(bridge.web, "/config.json")[0] == 200
    assert bridge.memory_kib() < before + 20000


@pytest.mark.parametrize("method, version, headers", [
    ("HEAD", "1.1", {}), ("POST", "1.1", {}), ("GET", "1.0", {}), ("GET", "1.1", {"Connection": None})])
def test_what_is_no_handshake(web, method, version, headers):  # noqa: F811
    port = web().web
    wanted = {"Host": "a", "Origin": "http://a", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
              "Sec-WebSocket-Protocol": "mqtt", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", **headers}
    s = connect(port)
    s.sendall((f"{method} /mqtt HTTP/{version}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in wanted.items() if v) + "\r\n").encode())
    data = s.recv(1000)
    assert b" 101 " not in data[:20], data
    s.close()
    assert get(port, "/config.json")[0] == 200


@pytest.mark.parametrize("accept, packed", [
    ("gzip", True), ("gzip, br", True), ("br;q=1.0, gzip;q=0.8", True), ("identity", False), ("gzip;q=0", False),
    ("gzip;q=0.0, identity", False), ("gzip; q=0.000", False), ("x-gzipped", False), ("", False)])
def test_encodings(web, tmp_path, accept, packed):  # noqa: F811
    (tmp_path / "app.js").write_text("plain")
    (tmp_path / "app.js.gz").write_text("packed")
    assert get(web({"web": {"root": tmp_path}}).web, "/app.js", {"Accept-Encoding": accept})[2] == (b"packed" if packed else b"plain")


# --- close races, reloads, descriptors ---

@pytest.mark.parametrize("tls", [False, True])
def test_two_thousand_connections_leave_nothing(web, tmp_path, tls):  # noqa: F811
    ca = Authority(tmp_path)
    cert, key = ca.issue("page")
    bridge = web({"web": {"tls_cert_file": cert, "tls_key_file": key}} if tls else {})
    wrap = trusting(ca) if tls else None
    first = frame(connect_packet()) + frame(subscribe_packet("trackers/#"))
    before = descriptors(bridge)
    for n in range(500 if tls else 2000):
        try:
            if n % 4 == 0:
                s = connect(bridge.web, wrap=wrap if n % 8 else None)
                s.sendall(GET + (b"\r\n" if n % 3 else b""))
            else:
                s, _ = handshake(bridge.web, wrap=wrap)
                s.sendall(first[:n % len(first)] if n % 4 < 3 else first)
            if n % 4 == 3:
                s.recv(100)
            if n % 7 == 0:  # a reset instead of an end
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        except (OSError, ssl.SSLError):
            pass
        s.close()
    wait_for(lambda: descriptors(bridge) <= before + 1, "closed descriptors")
    b = Browser(bridge.web, {"Origin": f"https://127.0.0.1:{bridge.web}"}, wrap=wrap)
    b.send(first)
    assert b"online" in b.receive_until(b"online")


def test_reloads_while_browsers_are_connected(web, tmp_path):  # noqa: F811
    """One that changes nothing ends nobody; a new certificate ends all, and they may come again at once."""
    ca = Authority(tmp_path)
    cert, key = ca.issue("page")
    bridge = web({"web": {"tls_cert_file": cert, "tls_key_file": key}})

    def come():
        b = Browser(bridge.web, {"Origin": f"https://127.0.0.1:{bridge.web}"}, wrap=trusting(ca))
        b.send(frame(connect_packet(client=os.urandom(4).hex())))
        assert b.receive()[1][:1] == b"\x20"
        return b

    def reload(count):
        bridge.process.send_signal(signal.SIGHUP)
        wait_for(lambda: bridge.log().count("reloaded") == count, "the reload")

    held = [come() for _ in range(5)]
    half = [connect(bridge.web) for _ in range(5)]
    reload(1)
    held[0].send(frame(b"x", kind=PING))
    assert held[0].receive() == (PONG, b"x")
    for n in range(2, 5):
        ca.issue("page")
        reload(n)
        assert all(b.close_code() in (1001, None) for b in held)  # under TLS the reason may not leave any more
        held = [come() for _ in range(5)]
    for s in half:
        s.close()


def test_the_broker_goes_while_many_are_connected(web, broker):  # noqa: F811
    bridge = web()
    before = descriptors(bridge)
    held = [logged_in(bridge.web) for _ in range(20)]
    for b in held[::2]:
        b.send(frame(subscribe_packet("trackers/#")))
    broker.stop(signal.SIGKILL)
    assert [b.close_code() for b in held] == [1013] * 20
    wait_for(lambda: descriptors(bridge) <= before, "closed descriptors")
    broker.start()


def test_pings_of_who_does_not_read(web):  # noqa: F811
    """Whatever the socket takes, the stream of frames stays whole."""
    b = Browser(web().web, receive_buffer=4096)
    b.send(frame(connect_packet()))
    b.receive()
    ping = frame(b"p" * 125, kind=PING)
    for _ in range(200):
        b.send(ping * 300)
    b.send(frame(subscribe_packet("trackers/bridge/+/status")))
    kind = PONG
    while kind == PONG:  # each of them whole, up to what the broker says
        kind, payload = b.receive()
        assert kind == BINARY or payload == b"p" * 125
    assert kind == BINARY and payload[:1] == b"\x90"


def test_viewers_that_never_read_cost_what_they_may(web, subscribe):  # noqa: F811
    """The broker has much for each of them; the bridge holds its buffers and no more, and units are served."""
    bridge = web()
    fill(subscribe, 400, 20000)
    logged_in(bridge.web)
    before = bridge.memory_kib()
    held = []
    for n in range(40):
        b = Browser(bridge.web, {"Sec-WebSocket-Extensions": "permessage-deflate"} if n % 2 else {}, receive_buffer=4096)
        b.send(frame(connect_packet(client=f"b{n}")) + frame(subscribe_packet("many/#")))
        held.append(b)
    unit = Unit(bridge.port)
    for n in range(100):
        unit.send(v1(IDENT, f"0000{n % 60:02}"))
        assert unit.receive()
    assert bridge.memory_kib() - before < 40 * 700, "less than what waits for each"
    unit.close()
    for b in held:
        b.socket.close()
