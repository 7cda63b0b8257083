# SPDX-License-Identifier: MIT
"""The way of a browser to the broker through the bridge: handshake, frames, first packet, both directions, many and slow viewers."""

import base64
import hashlib
import http.client
import os
import signal
import socket
import ssl
import struct
import threading
import zlib

import pytest
from certificates import Authority
from conftest import PATIENCE, Broker, Unit, free_port, mqtt_client, program_with_hosts, v1, wait_for

IDENT = "9170503816"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


def text(s):
    return struct.pack(">H", len(s)) + s.encode()


def connect_packet(user="viewer", level=5, client="browser", clean=2):
    flags = clean | (0x80 if user is not None else 0)
    body = text("MQTT") + bytes([level, flags, 0, 60]) + (b"\0" if level == 5 else b"") + text(client)
    body += text(user) if user is not None else b""
    return bytes([0x10, len(body)]) + body


def subscribe_packet(filter):
    body = b"\0\1\0" + text(filter) + b"\0"
    return bytes([0x82, len(body)]) + body


def frame(payload, kind=BINARY, first=None, mask=b"\1\2\3\4", length=None):
    n = len(payload) if length is None else length
    head = bytes([first if first is not None else 0x80 | kind])
    m = 0x80 if mask else 0
    head += bytes([m | n]) if n < 126 else bytes([m | 126]) + struct.pack(">H", n) if n < 65536 else \
        bytes([m | 127]) + struct.pack(">Q", n)
    return head + mask + (bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if mask else payload)


class Browser:
    """A WebSocket client that sends any bytes."""

    def __init__(self, port, headers=None, wrap=None, receive_buffer=None, path="/mqtt"):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        if wrap:
            self.socket = wrap(self.socket)
        self.key = base64.b64encode(os.urandom(16)).decode()
        self.headers = {"Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade",
                        "Origin": f"http://127.0.0.1:{port}", "Sec-WebSocket-Key": self.key,
                        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "mqtt", **(headers or {})}
        lines = "".join(f"{k}: {v}\r\n" for k, v in self.headers.items() if v is not None)
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        self.bytes = b""
        while b"\r\n\r\n" not in self.bytes:
            piece = self.socket.recv(65536)
            assert piece, self.bytes
            self.bytes += piece
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        first, *rest = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.answer = {k.lower(): v for k, v in (line.split(": ", 1) for line in rest)}
        self.inflate = zlib.decompressobj(-15)
        self.wire = 0

    def send(self, data):
        self.socket.sendall(data)

    def _exactly(self, n):
        while len(self.bytes) < n:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError
            self.bytes += piece
        out, self.bytes = self.bytes[:n], self.bytes[n:]
        return out

    def receive(self):
        """(kind, payload) of one frame; EOFError: closed."""
        first, second = self._exactly(2)
        assert first & 0xb0 == 0x80 and not second & 0x80
        n = second
        if n == 126:
            n = struct.unpack(">H", self._exactly(2))[0]
        payload = self._exactly(n)
        self.wire += n
        if first & 0x40:
            payload = self.inflate.decompress(payload + b"\0\0\xff\xff")
        return first & 15, payload

    def close_code(self):
        """With which code the server ends; None: without one."""
        try:
            while True:
                kind, payload = self.receive()
                if kind == CLOSE:
                    return struct.unpack(">H", payload[:2])[0]
        except (EOFError, ConnectionResetError):
            return None

    def receive_until(self, part):
        data = b""
        while part not in data:
            kind, payload = self.receive()
            assert kind == BINARY
            data += payload
        return data


@pytest.fixture
def web(make_bridge):
    def make(options=None, **kw):
        port = free_port()
        options = options or {}
        options["web"] = {"listen": f"127.0.0.1:{port}", **options.get("web", {})}
        bridge = make_bridge(options, **kw)
        bridge.web = port
        bridge.wait_connected()
        return bridge

    return make


# --- what a browser does ---

def test_a_client_sees_and_commands(web):
    """A real MQTT client over WebSocket: what is retained comes, a command reaches the unit, the answer comes back."""
    bridge = web()
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    client, got = mqtt_client("page", transport="websockets"), []
    client.ws_set_options("/mqtt")
    client.username_pw_set("viewer", "secret")
    client.on_message = lambda c, u, m: got.append((m.topic, m.payload))
    client.on_connect = lambda c, *a: c.subscribe("trackers/#", 1)
    client.connect("127.0.0.1", bridge.web)
    client.loop_start()
    wait_for(lambda: any(t == f"trackers/{IDENT}/position" for t, _ in got), "the position")
    client.publish(f"trackers/{IDENT}/cmd", "S20,130305,1,1", 1)
    unit.receive_until(b"S20,130305,1,1#")
    unit.send(f"*HQ,{IDENT},V4,S20,130305,OK#")
    wait_for(lambda: any(t.endswith("/cmd/reply") and b"answered" in p for t, p in got), "the answer")
    client.disconnect()
    client.loop_stop()
    unit.close()


def test_handshake(web):
    b = Browser(web().web)
    assert b.status == 101
    expected = base64.b64encode(hashlib.sha1((b.key + GUID).encode()).digest()).decode()
    assert b.answer["sec-websocket-accept"] == expected
    assert b.answer["sec-websocket-protocol"] == "mqtt"


@pytest.mark.parametrize("headers, status", [
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": None}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://127.0.0.1"}, 403),
    ({"Upgrade": None, "Connection": None}, 426),
    ({"Upgrade": "h2c"}, 426),
    ({"Sec-WebSocket-Version": "8"}, 400),
    ({"Sec-WebSocket-Version": None}, 400),
    ({"Sec-WebSocket-Key": "short"}, 400),
    ({"Sec-WebSocket-Key": None}, 400),
    ({"Sec-WebSocket-Protocol": "chat"}, 400),
    ({"Sec-WebSocket-Protocol": None}, 400),
    ({"Sec-WebSocket-Protocol": "chat, mqtt"}, 101),
    ({"Upgrade": "WebSocket"}, 101),
])
def test_who_is_let_in(web, headers, status):
    assert Browser(web().web, headers).status == status


# --- frames and the first packet ---

@pytest.mark.parametrize("data, code", [
    (frame(connect_packet(), mask=b""), 1002),  # not masked
    (frame(connect_packet(), kind=1), 1003),  # text
    (frame(connect_packet(), first=0x02), 1002),  # in parts
    (frame(connect_packet(), first=0x80), 1002),  # goes on with nothing
    (frame(connect_packet(), first=0xc2), 1002),  # compressed, which was not agreed
    (frame(connect_packet(), first=0xa2), 1002),  # a reserved bit
    (frame(connect_packet(), first=0x83), 1002),  # a kind that is none
    (frame(b"", length=65537), 1009),
    (frame(b"", length=1 << 62), 1009),
    (frame(b"x" * 126, kind=PING), 1002),  # a large ping
    (frame(b"GET / HTTP/1.1\r\n\r\n"), 1002),
    (frame(connect_packet(user=None)), 1008),
    (frame(connect_packet(user="")), 1008),
    (frame(connect_packet(level=3)), 1002),
    (frame(subscribe_packet("#")), 1002),
    (frame(b"\x10\xff\xff\xff\xff\x01"), 1002),
    (frame(b"\x10\x02\x00\x09"), 1002),
    (frame(b"", kind=CLOSE), 1000),
])
def test_what_ends_a_connection(web, data, code):
    b = Browser(web().web)
    b.send(data)
    assert b.close_code() == code


def test_anonymous(web):
    b = Browser(web({"web": {"anonymous": "yes"}}).web)
    b.send(frame(connect_packet(user=None)))
    assert b.receive()[1][:1] == b"\x20"


def test_byte_by_byte_and_glued(web):
    """The same bytes however they are cut into segments and frames."""
    port = web().web
    first, second = connect_packet(), subscribe_packet("trackers/bridge/+/status")
    b = Browser(port)
    for byte in b"".join(frame(first[i:i + 1]) for i in range(len(first))) + frame(second):
        b.send(bytes([byte]))
    assert b"online" in b.receive_until(b"online")
    b = Browser(port)
    b.send(frame(first) + frame(b"hello", kind=PING) + frame(second))
    data = pong = b""
    while b"online" not in data or pong != b"hello":
        kind, payload = b.receive()
        data, pong = (data, payload) if kind == PONG else (data + payload, pong)


def test_frames_in_one_segment_need_no_answer(web, subscribe):
    """Many messages to which the broker says nothing, in one segment: all arrive."""
    b = Browser(web().web)
    sub = subscribe("page/#")
    b.send(frame(connect_packet()))
    assert b.receive()[1][:1] == b"\x20"
    publishes = [bytes([0x30, 10]) + text("page/x") + b"\0" + bytes([n]) for n in range(50)]
    b.send(b"".join(frame(p) for p in publishes))
    got = sub.on("page/x", 50)
    assert [m.payload for m in got] == [bytes([n]) for n in range(50)]


def test_ping_is_answered(web):
    b = Browser(web().web)
    b.send(frame(b"hello", kind=PING))
    assert b.receive() == (PONG, b"hello")


# --- both directions ---

def fill(subscribe, count, size):
    sub = subscribe("nothing")
    for n in range(count):
        sub.publish(f"many/{n}", f"{n:08}" + "x" * size, retain=True)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("slow", [False, True])
def test_everything_arrives(web, subscribe, packed, slow):
    """More than fits into any buffer; the reader stops in between; each byte comes once, in order."""
    bridge = web()
    fill(subscribe, 400, 4000)
    b = Browser(bridge.web, {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"} if packed else {},
                receive_buffer=4096 if slow else None)
    assert ("sec-websocket-extensions" in b.answer) == packed
    b.send(frame(connect_packet()) + frame(subscribe_packet("many/#")))
    data = b""
    if slow:
        threading.Event().wait(0.5)
    while data.count(b"x" * 4000) < 400:
        data += b.receive()[1]
    for n in range(400):
        assert data.count(f"{n:08}".encode() + b"x" * 4000) == 1
    if packed:
        assert b.wire < len(data) / 20


@pytest.mark.parametrize("packed", [False, True])
def test_a_stream_is_gathered_into_few_frames(web, subscribe, packed):
    """A browser pays for each frame: what a busy fleet says one by one comes together, each byte once and in order."""
    bridge, sub, count = web(), subscribe("nothing"), 300
    b = Browser(bridge.web, {"Sec-WebSocket-Extensions": "permessage-deflate"} if packed else {})
    b.send(frame(connect_packet()) + frame(subscribe_packet("stream/+")))
    threading.Event().wait(1.5)  # what comes at once may be an answer, and waits for nothing
    for n in range(count):
        sub.publish(f"stream/{n:04}", f"payload {n:04}", qos=0)
        threading.Event().wait(0.003)
    data, frames = b"", 0
    while data.count(b"payload") < count:
        data += b.receive()[1]
        frames += 1
    assert [data.index(f"payload {n:04}".encode()) for n in range(count)] == sorted(data.index(f"payload {n:04}".encode()) for n in range(count))
    assert data.count(b"payload") == count and frames < count / 2


def test_compressed_from_the_browser(web):
    b = Browser(web().web, {"Sec-WebSocket-Extensions": "permessage-deflate"})
    z = zlib.compressobj(9, zlib.DEFLATED, -15)

    def packed(payload):
        return frame((z.compress(payload) + z.flush(zlib.Z_SYNC_FLUSH))[:-4], first=0xc2)

    b.send(packed(connect_packet()) + packed(subscribe_packet("trackers/bridge/+/status")))
    assert b.receive_until(b"online")


def test_a_bomb_ends_the_connection(web):
    b = Browser(web().web, {"Sec-WebSocket-Extensions": "permessage-deflate"})
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    b.send(frame((z.compress(b"\0" * (10 << 20)) + z.flush(zlib.Z_SYNC_FLUSH))[:-4], first=0xc2))
    assert b.close_code() == 1009


def test_broker_away_and_back(web, broker):
    bridge = web()
    b = Browser(bridge.web)
    b.send(frame(connect_packet()))
    assert b.receive()[1][:1] == b"\x20"
    broker.stop()
    assert b.close_code() == 1013
    b = Browser(bridge.web)
    b.send(frame(connect_packet()))
    assert b.close_code() == 1013
    broker.start()
    b = Browser(bridge.web)
    b.send(frame(connect_packet()))
    assert b.receive()[1][:1] == b"\x20"


def test_many_come_and_go(web):
    """Viewers that vanish at every point leave nothing behind: no descriptor, and units are served meanwhile."""
    bridge = web()
    before = len(os.listdir(f"/proc/{bridge.process.pid}/fd"))
    whole = frame(connect_packet()) + frame(subscribe_packet("trackers/#"))
    for n in range(len(whole)):
        b = Browser(bridge.web)
        b.send(whole[:n])
        b.socket.close()
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    assert unit.receive()
    wait_for(lambda: len(os.listdir(f"/proc/{bridge.process.pid}/fd")) <= before + 2, "closed descriptors")


# --- files ---

@pytest.fixture
def page(tmp_path, web):
    root = tmp_path / "root"
    root.mkdir()
    (root / "index.html").write_text("<h1>page</h1>")
    (root / "app.js").write_text("1;")
    (root / "app.js.gz").write_bytes(b"packed")
    (tmp_path / "secret").write_text("secret")
    (root / "dir").mkdir()
    return web({"web": {"root": root}}).web


def get(port, path, headers=None, method="GET"):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    c.putrequest(method, path, skip_accept_encoding=True)
    for k, v in (headers or {}).items():
        c.putheader(k, v)
    c.endheaders()
    r = c.getresponse()
    return r.status, dict(r.getheaders()), r.read()


def test_files(page):
    status, headers, body = get(page, "/")
    assert (status, body) == (200, b"<h1>page</h1>") and headers["Content-Type"].startswith("text/html")
    assert get(page, "/app.js")[2] == b"1;"
    status, headers, body = get(page, "/app.js", {"Accept-Encoding": "gzip, br"})
    assert (headers["Content-Encoding"], body) == ("gzip", b"packed") and headers["Content-Type"].startswith("text/javascript")
    assert get(page, "/config.json")[0] == 200


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "//etc/passwd", "/dir", "/dir/", "/.hidden", "/a/b",
                                  "/" + "a" * 300, "/index.html/", "/none.js"])
def test_nothing_else_is_reached(page, path):
    assert get(page, path)[0] == 404


@pytest.mark.parametrize("path", ["/", "/none", "/config.json", "/mqtt"])
def test_headers_of_every_answer(page, path):
    headers = get(page, path)[1]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_without_the_page(web):
    status, _, body = get(web({"web": {"root": "/nonexistent"}}).web, "/")
    assert status == 404 and all(word in body for word in (b"[web] root", b"Debian package", b"npm", b"build/page/web"))


# --- TLS ---

def trusting(ca):
    context = ssl.create_default_context(cafile=str(ca.pem))
    return lambda s: context.wrap_socket(s, server_hostname="localhost")


def test_https(web, subscribe, tmp_path):
    """The page and the tunnel over TLS; many bytes both ways."""
    ca = Authority(tmp_path)
    cert, key = ca.issue("page")
    bridge = web({"web": {"tls_cert_file": cert, "tls_key_file": key}})
    fill(subscribe, 100, 4000)
    b = Browser(bridge.web, {"Origin": f"https://127.0.0.1:{bridge.web}"}, wrap=trusting(ca))
    assert b.status == 101
    b.send(frame(connect_packet()) + frame(subscribe_packet("many/#")))
    data = b""
    while data.count(b"x" * 4000) < 100:
        data += b.receive()[1]
    b.socket.close()


def test_the_certificate_is_read_again(web, tmp_path):
    """A reload uses the new certificate, and a broken one leaves the old one."""
    ca = Authority(tmp_path)
    cert, key = ca.issue("page")
    bridge = web({"web": {"tls_cert_file": cert, "tls_key_file": key}})

    def serial():
        context = ssl.create_default_context(cafile=str(ca.pem))
        with socket.create_connection(("127.0.0.1", bridge.web), PATIENCE) as s:
            with context.wrap_socket(s, server_hostname="localhost") as t:
                return t.getpeercert()["serialNumber"]

    first = serial()
    good = cert.read_bytes(), key.read_bytes()
    cert.write_text("broken")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "nothing is changed" in bridge.log(), "the refusal")
    assert serial() == first
    ca.issue("page")
    assert cert.read_bytes() != good[0]
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    assert serial() != first


def test_wrong_certificate_is_told(make_bridge, tmp_path):
    with pytest.raises(AssertionError, match=r"\[web\] tls_cert_file = .*nothing.pem cannot be read: No such file"):
        make_bridge({"web": {"listen": f"127.0.0.1:{free_port()}", "tls_cert_file": tmp_path / "nothing.pem",
                             "tls_key_file": tmp_path / "nothing.key"}})


def test_never_the_own_credentials(tmp_path, web):
    """The broker wants a client's certificate; the bridge has one, and viewers do not get it: only the bridge is connected."""
    ca = Authority(tmp_path)
    cert, key = ca.issue("broker")
    own, own_key = ca.issue("bridge")
    tls_port = free_port()
    (tmp_path / "secure").mkdir()
    broker = Broker(tmp_path / "secure", f"listener {tls_port} 127.0.0.1\ncertfile {cert}\nkeyfile {key}\ncafile {ca.pem}\n"
                    "require_certificate true\n")
    bridge = web({"mqtt": {"port": tls_port, "tls": "yes", "tls_ca_file": ca.pem, "tls_cert_file": own, "tls_key_file": own_key}})
    b = Browser(bridge.web)
    b.send(frame(connect_packet()))
    assert b.close_code() == 1013
    broker.stop()


def test_broker_over_tls(tmp_path, web, subscribe):
    ca = Authority(tmp_path)
    cert, key = ca.issue("broker")
    tls_port = free_port()
    (tmp_path / "secure").mkdir()
    broker = Broker(tmp_path / "secure", f"listener {tls_port} 127.0.0.1\nallow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
    bridge = web({"mqtt": {"port": tls_port, "host": "localhost", "tls": "yes", "tls_ca_file": ca.pem}})
    b = Browser(bridge.web)
    b.send(frame(connect_packet()) + frame(subscribe_packet("trackers/bridge/+/status")))
    assert b.receive_until(b"online")
    broker.stop()


@pytest.mark.parametrize("tls", [False, True])
def test_a_broker_at_the_second_address_of_its_name(tmp_path, web, tls):
    """As localhost is ::1 first in Debian's hosts file, and the broker listens on 127.0.0.1. The first browser gets there already."""
    ca = Authority(tmp_path)
    cert, key = ca.issue("broker", names="DNS:two.example")
    port = free_port()
    (tmp_path / "second").mkdir()
    files = f"certfile {cert}\nkeyfile {key}\n" if tls else ""
    broker = Broker(tmp_path / "second", f"listener {port} 127.0.0.1\nallow_anonymous true\n{files}", "per_listener_settings true\n")
    mqtt = {"host": "two.example", "port": port, **({"tls": "yes", "tls_ca_file": ca.pem} if tls else {})}
    bridge = web({"mqtt": mqtt}, program=program_with_hosts(tmp_path, "::1 two.example\n127.0.0.1 two.example\n"))
    wait_for(lambda: "connected to broker" in bridge.log(), "the bridge's own connection")
    for _ in range(2):
        b = Browser(bridge.web)
        b.send(frame(connect_packet()) + frame(subscribe_packet("trackers/bridge/+/status")))
        assert b.receive_until(b"online")
        b.socket.close()
    broker.stop()
