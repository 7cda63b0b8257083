# SPDX-License-Identifier: MIT
"""For powerloss.py: units with identifiable reports, and a small broker of its own, for it must say at once what it has
taken."""

import collections
import json
import os
import socket
import threading
import time

from conftest import Unit, free_port

FIRST = 1767225600  # 2026-01-01T00:00:00Z, the time of each unit's first report; then one a second


# --- a broker ---

def length_of(data):
    """(length of the rest, where it begins) of an MQTT packet; None: not here yet."""
    value = 0
    for n in range(1, 5):
        if len(data) <= n:
            return None
        value |= (data[n] & 127) << 7 * (n - 1)
        if data[n] < 128:
            return value, n + 1
    raise ValueError("no MQTT")


class SmallBroker:
    """MQTT 5, QoS 0 and 1, nobody subscribes: it takes what comes, calls `taken` and acknowledges then. It has one
    client: whoever else finds the port on a busy machine is left."""

    def __init__(self, taken):
        self.taken, self.port = taken, free_port()
        self.client = f"powerloss-{os.getpid()}-{self.port}"
        self.listener, self.open, self.connected = None, set(), threading.Event()

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._listen, args=(self.listener,), daemon=True).start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in list(self.open):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connected.clear()

    def _listen(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.open.add(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        data, known = b"", False
        try:
            while piece := s.recv(1 << 18):
                data += piece
                at, answers, found = 0, [], []
                while (head := length_of(data[at:at + 5])) and at + sum(head) <= len(data):
                    body = data[at + head[1]:at + sum(head)]
                    known = known or data[at] >> 4 == 1 and self.client.encode() in body
                    if not known:
                        raise ConnectionError("a stranger")
                    self._packet(data[at], body, answers, found)
                    at += sum(head)
                data = data[at:]
                if found:
                    self.taken(found)
                s.sendall(b"".join(answers))
        except (OSError, ValueError):
            pass
        self.open.discard(s)
        s.close()

    def _packet(self, first, body, answers, found):
        kind = first >> 4
        if kind == 1:
            answers.append(b"\x20\x03\x00\x00\x00")
            self.connected.set()
        elif kind == 3:
            n = int.from_bytes(body[:2], "big")
            topic, rest = body[2:2 + n].decode(), body[2 + n:]
            qos = first >> 1 & 3
            if qos > 0:
                answers.append(b"\x40\x02" + rest[:2])
                rest = rest[2:]
            size, at = length_of(b"\0" + rest[:4])
            found.append((topic, qos, rest[at - 1 + size:]))
        elif kind == 8:
            answers.append(b"\x90\x04" + body[:2] + b"\x00\x01")
        elif kind == 12:
            answers.append(b"\xd0\x00")


def key_of(topic, payload):
    """(ident, number of the report) of a position; None: something else; ("garbled", payload): no record at all."""
    if not topic.endswith("/position"):
        return None
    try:
        record = json.loads(payload)
        return record["ident"], record["timestamp"] - FIRST
    except (ValueError, KeyError, TypeError):
        return "garbled", payload


# --- units ---

def bcd(text):
    return bytes.fromhex(text)


def clock(n, form):
    return time.strftime(form, time.gmtime(FIRST + n))


def h02_text(ident, n):
    return (f"*HQ,{ident},V1,{clock(n, '%H%M%S')},A,22{n // 100 % 60:02}.{n % 100:02}24,N,11355.7983,E,021.60,090,"
            f"{clock(n, '%d%m%y')},FFFFFBFF,460,00,10342,4283#").encode()


def h02_binary(ident, n):
    return (b"$" + bcd(ident) + bcd(clock(n, "%H%M%S%d%m%y")) + bcd(f"22{n // 100 % 60:02}{n % 100:02}24") + b"\x06" +
            bcd("113557983e") + bcd("021090") + bytes.fromhex("fffffbffff001509") +
            bytes.fromhex("00000002" "0106" "02" "1234" "5678") + bytes([n & 255]))


def jt808(ident, n):
    body = (bytes(4) + bytes([0, 0, 0, 3]) + (22500000 + n).to_bytes(4, "big") + (114000000).to_bytes(4, "big") +
            bytes(6) + bcd(clock(n + 8 * 3600, "%y%m%d%H%M%S")))
    data = b"\x02\x00" + len(body).to_bytes(2, "big") + bcd(ident.rjust(12, "0")) + n.to_bytes(2, "big") + body
    check = 0
    for byte in data:
        check ^= byte
    data += bytes([check])
    return b"\x7e" + data.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"


class Acknowledgements:
    """Which reports a stream of bytes to one connection acknowledges. H02 names no report: they are in order;
    `count` of each ident were acknowledged before."""

    def __init__(self, count=None):
        self.rest, self.count = b"", collections.Counter() if count is None else count

    def of(self, data):
        self.rest += data
        found = []
        while self.rest:
            mark = b"#" if self.rest[:1] == b"*" else b"\x7e"
            end = self.rest.find(mark, 1)
            if end < 0:
                break
            frame, self.rest = self.rest[:end + 1], self.rest[end + 1:]
            if mark == b"#":
                ident = frame.split(b",")[1].decode()
                found.append((ident, self.count[ident]))
                self.count[ident] += 1
            else:
                data = frame[1:-1].replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
                assert data[:2] == b"\x80\x01" and data[14:17] == b"\x02\x00\x00", data.hex()
                found.append((data[4:10].hex().lstrip("0"), int.from_bytes(data[12:14], "big")))
        return found


class LoadUnit(Unit):
    def __init__(self, port, ident, form, transport, sent):
        super().__init__(port, transport)
        self.ident, self.form, self.transport = ident, form, transport
        self.sent, self.heard, self.told = sent, sent, Acknowledgements()

    def report(self, count):
        frames = [self.form(self.ident, self.sent + i) for i in range(count)]
        self.sent += count
        if self.transport == "tcp":
            self.send(b"".join(frames))
            return
        for frame in frames:
            self.send(frame)
            self.hear()

    def hear(self):
        """Until all is acknowledged, of a datagram or of a stream."""
        while self.heard < self.sent:
            data = self.receive()
            assert data, "closed"
            self.heard += len(self.told.of(data))
            if self.transport == "udp":
                return


def units_of(port, sent):
    kinds = ((h02_text, "tcp", 3), (h02_binary, "tcp", 2), (jt808, "tcp", 2), (h02_text, "udp", 1), (jt808, "udp", 1))
    idents = iter(range(20))
    units = [(f"91{next(idents):08}" if form != jt808 else f"139{next(idents):08}", form, transport)
             for form, transport, count in kinds for _ in range(count)]
    return [LoadUnit(port, *unit, sent.get(unit[0], 0)) for unit in units]


def load(units, rng, seconds):
    """Bursts and pauses; some of the pauses are longer than an interval of syncs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        some = rng.sample(units, rng.randint(1, 3))
        for unit in some:
            unit.hear()
            unit.report(rng.randint(1, 4 if unit.transport == "udp" else 20))
            if rng.random() < .3:
                time.sleep(rng.random() * .005)
        if rng.random() < .3:
            for unit in some:
                unit.hear()
        time.sleep(rng.choice((0, 0, 0, .002, .01, .03)) if rng.random() < .97 else rng.uniform(.3, .8))
    for unit in units:
        unit.hear()
