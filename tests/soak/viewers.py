# SPDX-License-Identifier: MIT
"""Browsers for scripts/soak hostile: viewers that log in through the page's way to the broker, and those that never do. They come from
127.0.1.x, each kind in a process of its own, and begin in the middle of the run."""

import itertools
import os
import selectors
import socket
import time

from strangers import connect, hello, keep, reset
from test_web_tunnel import connect_packet, frame, subscribe_packet

# What a page subscribes to, with the records of all units.
FILTERS = ("trackers/bridge/+/status", "trackers/bridge/+/stats", "trackers/+/status", "trackers/+/state", "trackers/+/position", "trackers/+/alarm")
PINGREQ = frame(b"\xc0\0")
KINDS = ("idle", "idle", "slow", "reading")


def handshake(origin="http://a", host="a", more=""):
    return (f"GET /mqtt HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n").encode()


class Viewer:
    """One of them; it comes again when it is ended."""

    def __init__(self, port, number, poll):
        self.port, self.number, self.poll = port, number, poll
        self.kind = KINDS[number % len(KINDS)]
        self.come, self.in_, self.got, self.socket = 0, False, 0, None
        self.due = self.pinged = 0

    def begin(self):
        s = socket.socket()
        if self.kind == "slow":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.bind((f"127.0.1.{20 + self.number % 100}", 0))
        s.settimeout(5)
        try:
            s.connect(("127.0.0.1", self.port))
            packed = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if self.number % 8 >= 4 else ""
            s.sendall(handshake(more=packed) + frame(connect_packet(client=f"page{self.number}-{os.getpid()}")))
            self.in_ = b" 101 " in s.recv(4096)[:20]
            if self.kind != "idle":
                for name in FILTERS:
                    s.sendall(frame(subscribe_packet(name)))
        except OSError:
            self.in_ = False
        s.setblocking(False)
        self.come += self.in_
        self.socket, self.pinged = s, time.monotonic()
        self.poll.register(s, selectors.EVENT_READ, self)

    def end(self):
        self.poll.unregister(self.socket)
        self.socket.close()
        self.socket = None

    def read(self, now):
        """False: it has been ended."""
        if now < self.due:
            return True
        try:
            data = self.socket.recv(65536 if self.kind == "reading" else 1024)
            if self.kind == "slow":
                self.due = now + 0.5
            self.got += len(data)
            return len(data) > 0
        except BlockingIOError:
            return True
        except OSError:
            return False

    def ping(self, now):
        if now - self.pinged < 20:
            return
        self.pinged = now
        try:
            self.socket.send(PINGREQ)
        except OSError:
            pass


def viewers(port, begin, until, count):
    """(logged in at the end, times that they came, MB that they read)"""
    time.sleep(max(0, begin - time.monotonic()))
    poll = selectors.DefaultSelector()
    all_ = [Viewer(port, n, poll) for n in range(count)]
    for v in all_:
        v.begin()
    while time.monotonic() < until:
        for key, _ in poll.select(0.02):
            v = key.data
            if not v.read(time.monotonic()):
                v.end()
        now = time.monotonic()
        for v in all_:
            if v.socket is None:
                v.begin()
            v.ping(now)
        if sum(v.kind == "slow" and v.due > now for v in all_) == 0:
            continue
        time.sleep(0.02)
    here = sum(v.in_ for v in all_)
    for v in all_:
        v.end()
    return here, sum(v.come for v in all_), round(sum(v.got for v in all_) / 1e6)


def handshakes(port, begin, until):
    """What is no login, in every form, as fast as it goes: (connections, of them let in)"""
    time.sleep(max(0, begin - time.monotonic()))
    forms = itertools.cycle([
        (handshake("http://evil.example"), b""), (handshake()[:100], None), (handshake(), b""), (handshake(), frame(b"GET / HTTP/1.1\r\n\r\n")),
        (handshake(), frame(connect_packet(user=None))), (handshake(), frame(b"x", first=0x81)), (handshake(), frame(b"", length=1 << 62)),
        (hello(), None), (os.urandom(500), None), (b"GET /" + b"a" * 40000, None), (handshake(), frame(connect_packet())[:10]),
        (b"GET /config.json HTTP/1.1\r\nHost: a\r\n\r\n", None)])
    made, let_in, held = 0, 0, []
    while time.monotonic() < until:
        first, then = next(forms)
        s = connect(port, f"127.0.1.{130 + made % 50}")
        if s is None:
            continue
        s.setblocking(True)
        s.settimeout(1)
        try:
            s.sendall(first)
            if then is not None:
                let_in += b" 101 " in s.recv(20)
                s.sendall(then)
        except OSError:
            pass
        made += 1
        held.append(s)
        if len(held) > 300:
            held.pop(0).close()
    reset(held)
    return made, let_in


def idle_sockets(port, begin, until):
    """Connections that say nothing, or half of what they should: counts them."""
    time.sleep(max(0, begin - time.monotonic()))
    said = set()

    def work(s):
        if s not in said:
            said.add(s)
            s.send(handshake()[:len(said) % 150])

    return keep(port, "127.0.1.9", 500, until, work, 0.2)
