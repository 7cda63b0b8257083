# SPDX-License-Identifier: MIT
"""Those that scripts/soak hostile protects: units that nobody knows beforehand, units of the units file, and a subscriber that
notes when each report came. A report is (ident, timestamp); all times are of the steady clock, which processes share."""

import multiprocessing
import random
import selectors
import socket
import threading
import time

from conftest import Subscriber, v1
from test_jt808 import frame, location, unescape

H02_DAY = 1481587200  # 13 December 2016, the date of v1()
JT808_DAY = 1767225600 - 8 * 3600  # 1 January 2026 at UTC+8
GIVE_UP = 10  # seconds for one report
RESEND = 0.3  # seconds: a datagram may be lost on its way
PARTS, ITEMS = 3, 10


def clock(second):
    return f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"


class Honest:
    """Units that report once a second and remember when; what they were told is noted."""

    def __init__(self, port, count):
        self.idents = [f"95{n:08}" for n in range(count)]
        self.port, self.sent, self.told = port, {}, {}
        self.lost = 0
        self.units = {}

    def run(self, until):
        poll = selectors.DefaultSelector()
        start, n = time.monotonic(), 0
        count = len(self.idents)
        while time.monotonic() < until:
            due = start + n / count
            wait = due - time.monotonic()
            for key, _ in poll.select(max(0, wait)):
                self.hear(poll, key.data)
            if time.monotonic() >= due:
                self.report(poll, self.idents[n % count], n // count)
                n += 1
        end = time.monotonic() + GIVE_UP
        while time.monotonic() < end and any(self.sent.keys() - self.told.keys()):
            for key, _ in poll.select(0.1):
                self.hear(poll, key.data)
        for s, _, _ in self.units.values():
            s.close()

    def report(self, poll, ident, second):
        if ident not in self.units:
            s = socket.create_connection(("127.0.0.1", self.port))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(s, selectors.EVENT_READ, ident)
            self.units[ident] = (s, [], [b""])
        s, waiting, _ = self.units[ident]
        key = (ident, H02_DAY + second)
        self.sent[key] = time.monotonic()
        waiting.append(key)
        try:
            s.sendall(v1(ident, clock(second)).encode())
        except OSError:
            self.gone(poll, ident)

    def gone(self, poll, ident):
        s, _, _ = self.units.pop(ident)
        self.lost += 1
        poll.unregister(s)
        s.close()

    def hear(self, poll, ident):
        s, waiting, rest = self.units[ident]
        try:
            data = s.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.gone(poll, ident)
            return
        frames = (rest[0] + data).split(b"#")
        rest[0] = frames.pop()
        for heard in frames:
            if b",V4,V1," in heard and waiting:
                key = waiting.pop(0)
                self.told[key] = time.monotonic() - self.sent[key]


# --- the units file ---


class Member:
    """One unit of the units file. Each try (connect if need be, report, hear the acknowledgement) is measured; what stays
    unanswered is sent again, as units do."""

    def __init__(self, ident, transport, comes_back, port):
        self.ident, self.transport, self.comes_back, self.port = ident, transport, comes_back, port
        self.socket, self.rest, self.n = None, b"", 0
        self.sent, self.told, self.tries, self.resent = {}, {}, [], 0

    def run(self, until, every):
        time.sleep(random.random() * every)
        while time.monotonic() < until:
            start = time.monotonic()
            keys, data = self.report(self.n)
            ok = self.deliver(data, start)
            taken = time.monotonic() - start
            self.tries.append((taken, self.ident, self.transport, start))
            for key in keys:
                self.sent[key] = start
                if ok:
                    self.told[key] = taken
            self.n += 1
            if self.comes_back:
                self.close()
            time.sleep(max(0, every - taken))
        self.close()

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket, self.rest = None, b""

    def deliver(self, data, start):
        first = True
        while time.monotonic() - start < GIVE_UP:
            try:
                if self.socket is None:
                    kind = socket.SOCK_STREAM if self.transport == "tcp" else socket.SOCK_DGRAM
                    self.socket = socket.socket(socket.AF_INET, kind)
                    self.socket.settimeout(GIVE_UP)
                    self.socket.connect(("127.0.0.1", self.port))
                    self.rest = b""
                self.resent += not first
                first = False
                self.socket.sendall(data)
                if self.heard(start + GIVE_UP if self.transport == "tcp" else time.monotonic() + RESEND):
                    return True
                if self.transport == "tcp":
                    self.close()
            except OSError:
                self.close()
                time.sleep(0.05)
        self.close()
        return False

    def heard(self, end):
        while not self.acknowledged():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return False
            if not data:
                raise ConnectionError
            self.rest += data
        return True


class H02Member(Member):
    """Over TCP, answers come in order; over UDP each report has a socket of its own, so no answer is taken for another's."""

    def report(self, n):
        self.rest = b""
        return [(self.ident, H02_DAY + n)], v1(self.ident, clock(n)).encode()

    def acknowledged(self):
        return b",V4,V1," in self.rest


class Jt808Member(Member):
    """In one frame, or in several: only when each is acknowledged is the message."""
    parts = 1

    def report(self, n):
        phone = "0" + self.ident
        first = self.n * self.parts % 60000
        if self.parts == 1:
            frames = [frame(0x0200, location("260101" + clock(n)), phone, first)]
            keys = [(self.ident, JT808_DAY + n)]
        else:
            seconds = range(n * PARTS * ITEMS, (n + 1) * PARTS * ITEMS)
            items = [b"\0\x1c" + location("260101" + clock(s)) for s in seconds]
            bodies = [b"".join(items[p * ITEMS:(p + 1) * ITEMS]) for p in range(PARTS)]
            bodies[0] = len(items).to_bytes(2, "big") + b"\1" + bodies[0]
            frames = [frame(0x0704, bodies[p], phone, first + p, (p + 1, PARTS)) for p in range(PARTS)]
            keys = [(self.ident, JT808_DAY + s) for s in seconds]
        self.wanted = {(first + p).to_bytes(2, "big") for p in range(self.parts)}
        return keys, b"".join(frames)

    def acknowledged(self):
        pieces = self.rest.split(b"\x7e\x7e")
        for n, piece in enumerate(pieces):
            whole = b"\x7e" + piece.strip(b"\x7e") + b"\x7e"
            if n == len(pieces) - 1 and not self.rest.endswith(b"\x7e"):
                break
            data = unescape(whole)
            if data[:2] == b"\x80\x01" and data[-2] == 0:
                self.wanted.discard(data[12:14])
        return not self.wanted


class Jt808InParts(Jt808Member):
    parts = PARTS


def members(port):
    """Half over TCP, half over UDP; half of them come back on a new connection or port for each report."""
    made = [H02Member(f"96{n:08}", "tcp", n >= 4, port) for n in range(9)]
    made += [Jt808InParts("13900000009", "tcp", False, port)]
    made += [H02Member(f"96{n:08}", "udp", True, port) for n in range(10, 15)]
    made += [Jt808Member(f"139000000{n}", "udp", False, port) for n in range(15, 20)]
    return made


def fleet(port, until, every=0.5):
    """Runs them; (sent, told, tries, resent)."""
    made = members(port)
    threads = [threading.Thread(target=m.run, args=(until, every)) for m in made]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    sent, told, tries = {}, {}, []
    for m in made:
        sent.update(m.sent)
        told.update(m.told)
        tries += m.tries
    return sent, told, tries, sum(m.resent for m in made)


# --- the subscriber ---


def number(payload, key):
    at = payload.index(b'"' + key + b'":') + len(key) + 3
    end = at
    while payload[end:end + 1] not in (b",", b"}"):
        end += 1
    return int(float(payload[at:end]))


def listen(port, idents, pipe):
    at = {}

    def on_message(client, userdata, message):
        ident = message.topic.split("/")[1]
        at.setdefault((ident, number(message.payload, b"timestamp")), time.monotonic())

    subscriber = Subscriber(port, [(f"trackers/{i}/position", 1) for i in idents], client_id="ear")
    subscriber.client.on_message = on_message
    pipe.send("ready")
    while pipe.recv() == "what":
        pipe.send(dict(at))
    subscriber.close()


class Ear:
    """When each report of these units came to a subscriber, in a process of its own: so its time is the broker's, not ours."""

    def __init__(self, port, idents):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=listen, args=(port, idents, theirs), daemon=True)
        self.process.start()
        assert self.pipe.recv() == "ready"

    def at(self):
        self.pipe.send("what")
        return self.pipe.recv()

    def close(self):
        self.pipe.send("end")
        self.process.join()
