# SPDX-License-Identifier: MIT
"""A broker that answers as a test tells it to: any reason code, any way to close, any bytes. One thread for each connection."""

import socket
import struct
import threading
import time

from conftest import PATIENCE, free_port, wait_for

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = 1, 2, 3, 4, 8, 9, 12, 13, 14, 15


def varint(n):
    out = bytearray()
    while True:
        n, low = divmod(n, 128)
        out.append(low | (0x80 if n else 0))
        if not n:
            return bytes(out)


def packet(kind, body, flags=0):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def text(s):
    raw = s.encode()
    return struct.pack(">H", len(raw)) + raw


class Close:
    """What a handler answers instead of a code: how the connection ends."""

    def __init__(self, how, code=0):
        self.how, self.code = how, code

    def __repr__(self):
        return f"{self.how} 0x{self.code:02x}" if self.how == "DISCONNECT" else self.how


FIN, RST, GARBAGE, SILENCE = Close("FIN"), Close("RST"), Close("garbage"), Close("silence")


def disconnect(code):
    return Close("DISCONNECT", code)


class Published:
    def __init__(self, number, topic, payload, qos, retain, mid, properties):
        self.connection, self.topic, self.payload = number, topic, payload
        self.qos, self.retain, self.mid, self.properties = qos, retain, mid, properties

    def __repr__(self):
        return f"{self.topic} ({len(self.payload)} bytes, connection {self.connection})"


class FakeBroker:
    """`on_publish(published)`: a reason code (0: taken), a Close, bytes to send instead of a PUBACK, or None: no answer.
    `on_subscribe(topic)`: the granted QoS or a reason code, or a Close; `asked_qos` has what was asked for commands. `on_connect(number)`: a reason code, a
    Close, or bytes, after which it closes; `connects` has the bodies. `hello`: bytes that it sends before it has read anything.
    `properties`: of the CONNACK, as bytes. `present`: it resumes a session. `deliver(number)`: bytes to send behind the CONNACK;
    `on_puback(mid)`: what they hold was acknowledged.
    All may be changed at any time."""

    def __init__(self, port=None, context=None):
        self.context = context  # ssl.SSLContext: speak TLS
        self.port = port or free_port()
        self.properties = b""
        self.present = False
        self.deliver = lambda number: b""
        self.on_puback = lambda mid: None
        self.on_connect = lambda number: 0
        self.on_publish = lambda published: 0
        self.on_subscribe = lambda topic: 1
        self.connections, self.published, self.taken, self.subscribed = 0, [], [], []
        self.connected_at, self.asked_qos = [], []
        self.hello = b""
        self.wills, self.connects = [], []
        self.delay = 0  # seconds that acknowledgements wait in the broker; a reset loses them
        self.lock = threading.Lock()
        self.open = set()
        self.running = True
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    # --- for tests ---

    def versions(self):
        """Of MQTT, of all CONNECTs."""
        return [body[6] for body in self.connects]

    def topics(self, taken=True):
        with self.lock:
            return [p.topic for p in (self.taken if taken else self.published)]

    def wait_taken(self, topic, count=1, patience=PATIENCE):
        wait_for(lambda: self.topics().count(topic) >= count, f"{count} x {topic}", patience)

    def drop_all(self):
        with self.lock:
            for s in list(self.open):
                self._reset(s)

    def close(self):
        self.running = False
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.drop_all()

    # --- the wire ---

    @staticmethod
    def _reset(s):
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.shutdown(socket.SHUT_RD)
        except OSError:
            pass
        s.close()

    def _accept(self):
        while self.running:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(s)
                number = self.connections
            threading.Thread(target=self._serve, args=(s, number), daemon=True).start()

    def _end(self, s, close):
        if close.how == "DISCONNECT":
            s.sendall(packet(DISCONNECT, bytes([close.code, 0])))
        if close.how == "garbage":
            s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        if close.how == "RST":
            self._reset(s)
        if close.how == "silence":
            while s.recv(65536):
                pass
        raise EOFError

    def _serve(self, s, number):
        try:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
        except OSError:  # closed by the test before this thread ran, or no TLS
            return
        stream = s.makefile("rb")
        try:
            s.sendall(self.hello)
            self._talk(s, stream, number)
        except (OSError, EOFError, ValueError, IndexError):
            pass
        finally:
            with self.lock:
                self.open.discard(s)
            stream.close()
            s.close()

    @staticmethod
    def _exactly(stream, n):
        data = stream.read(n)
        if len(data) < n:
            raise EOFError
        return data

    def _packet(self, stream):
        head = self._exactly(stream, 1)[0]
        n = shift = 0
        while True:
            byte = self._exactly(stream, 1)[0]
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        return head >> 4, head & 15, self._exactly(stream, n)

    def _connect(self, s, body, number):
        version, flags = body[6], body[7]
        self.connects.append(body)
        self.wills.append({"qos": flags >> 3 & 3, "retain": bool(flags & 32)})
        answer = self.on_connect(number)
        if isinstance(answer, Close):
            self._end(s, answer)
        if isinstance(answer, bytes):
            for at in range(0, len(answer), 256 << 10):  # as a network brings it: what reads can catch up
                s.sendall(answer[at:at + (256 << 10)])
                time.sleep(0.002 if len(answer) > at + (256 << 10) else 0)
            time.sleep(0.3)  # the bridge may say more, and close first
            raise EOFError
        if version == 5:
            s.sendall(packet(CONNACK, bytes([self.present, answer]) + varint(len(self.properties)) + self.properties))
        else:
            s.sendall(packet(CONNACK, bytes([self.present, answer])))
        if answer:
            raise EOFError
        s.sendall(self.deliver(number))
        return version

    def _subscribe(self, s, body, version):
        mid = body[:2]
        at = 2 + (1 + body[2] if version == 5 else 0)
        codes = bytearray()
        while at < len(body):
            n = struct.unpack(">H", body[at:at + 2])[0]
            topic = body[at + 2:at + 2 + n].decode()
            if topic.endswith("/cmd"):
                self.asked_qos.append(body[at + 2 + n] & 3)
            at += 3 + n
            self.subscribed.append(topic)
            answer = self.on_subscribe(topic)
            if isinstance(answer, Close):
                self._end(s, answer)
            codes.append(answer)
        s.sendall(packet(SUBACK, mid + (b"\0" if version == 5 else b"") + codes))

    def _publish(self, s, flags, body, version, number):
        n = struct.unpack(">H", body[:2])[0]
        topic, at, qos, mid = body[2:2 + n].decode(errors="replace"), 2 + n, flags >> 1 & 3, 0
        if qos:
            mid = struct.unpack(">H", body[at:at + 2])[0]
            at += 2
        properties = b""
        if version == 5:
            length = shift = 0
            while True:
                byte = body[at]
                at += 1
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            properties, at = body[at:at + length], at + length
        p = Published(number, topic, body[at:], qos, bool(flags & 1), mid, properties)
        with self.lock:
            self.published.append(p)
        answer = self.on_publish(p)
        if isinstance(answer, Close):
            self._end(s, answer)
        if isinstance(answer, bytes):
            for at in range(0, len(answer), 256 << 10):  # as a network brings it: what reads can catch up
                s.sendall(answer[at:at + (256 << 10)])
                time.sleep(0.002 if len(answer) > at + (256 << 10) else 0)
        elif answer is not None:
            if answer < 0x80:
                with self.lock:
                    self.taken.append(p)
            with_code = qos and version == 5 and answer
            ack = packet(PUBACK, struct.pack(">HBB", mid, answer, 0) if with_code else struct.pack(">H", mid))
            if qos and self.delay:
                threading.Timer(self.delay, self._late, (s, ack)).start()
            elif qos:
                s.sendall(ack)

    @staticmethod
    def _late(s, ack):
        try:
            s.sendall(ack)
        except OSError:
            pass

    def _talk(self, s, stream, number):
        version = 4
        while self.running:
            kind, flags, body = self._packet(stream)
            if kind == CONNECT:
                version = self._connect(s, body, number)
                self.connected_at.append(number)
            elif kind == SUBSCRIBE:
                self._subscribe(s, body, version)
            elif kind == PUBLISH:
                self._publish(s, flags, body, version, number)
            elif kind == PUBACK:
                self.on_puback(int.from_bytes(body[:2], "big"))
            elif kind == PINGREQ:
                s.sendall(packet(PINGRESP, b""))
            elif kind == DISCONNECT:
                return
