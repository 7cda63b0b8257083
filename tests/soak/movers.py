# SPDX-License-Identifier: MIT
"""Units that report, are acknowledged, obey, and move between bridges; all in one loop."""

import collections
import random
import re
import selectors
import socket
import time

from conftest import v1

ACK_PATIENCE = 4  # then the unit connects again, somewhere else
FRAME = re.compile(rb"\*HQ,(\d+),([^#]*)#")


class Line:
    """A connection: the unit's own, or one that it has left without a word."""

    def __init__(self, unit, at, sock):
        self.unit, self.at, self.sock, self.data = unit, at, sock, b""
        self.heard = 0.0  # when the first report was acknowledged here
        self.opened, self.owed = time.monotonic(), collections.deque()  # owed: acknowledgements, in the order of the reports


class Mover:
    def __init__(self, ident, start):
        self.ident, self.start, self.count = ident, start, 0
        self.line, self.at, self.unacknowledged, self.due = None, None, {}, 0.0  # unacknowledged: timestamp, frame
        self.moved_at, self.home_until = 0.0, 0.0
        self.visited = []  # when it connected where

    def next_report(self):
        when = time.gmtime(self.start + self.count)
        key = self.start + self.count
        self.count += 1
        self.unacknowledged[key] = v1(self.ident, time.strftime("%H%M%S", when), time.strftime("%d%m%y", when))
        return key


class Movers:
    def __init__(self, count, places, interval, rng=None):
        self.places, self.interval, self.rng = places, interval, rng or random.Random(7)
        self.selector, now = selectors.DefaultSelector(), time.time()
        self.units = {}
        for n in range(count):
            ident = f"91706{n:05d}"
            self.units[ident] = Mover(ident, int(now) - 4 * 3600)
        self.acknowledged = {}  # (ident, timestamp): when, by whom
        self.executed = collections.defaultdict(list)  # (ident, what): when
        self.left, self.into_left, self.moves, self.reconnects = collections.deque(), 0, 0, 0
        self.away = set()  # units that are to stay away

    # --- connections ---

    def connect(self, unit, at=None):
        at = at or self.rng.choice(list(self.places))
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect_ex(("127.0.0.1", self.places[at]))
        unit.line, unit.at = Line(unit, at, sock), at
        unit.visited.append((time.monotonic(), at))
        self.selector.register(sock, selectors.EVENT_WRITE, unit.line)
        unit.due = time.monotonic() + self.interval * self.rng.uniform(0.5, 1)

    def end(self, line):
        try:
            self.selector.unregister(line.sock)
        except KeyError:
            pass
        line.sock.close()
        if line.unit.line is line:
            line.unit.line = None
            line.unit.due = time.monotonic() + self.rng.uniform(0.2, 0.6)

    def leave(self, unit, half_open):
        line, unit.line = unit.line, None
        if line is None:
            return
        if not half_open:
            self.end(line)
            return
        self.selector.unregister(line.sock)
        self.left.append((time.monotonic(), line))

    def forget_left(self, seconds):
        """What was left half open, and what had come for it."""
        while self.left and time.monotonic() - self.left[0][0] > seconds:
            line = self.left.popleft()[1]
            try:
                while data := line.sock.recv(65536):
                    self.into_left += data.count(b",S71,")
            except OSError:
                pass
            line.sock.close()

    def move(self, unit, half_open, at=None):
        others = [place for place in self.places if place != unit.at]
        self.leave(unit, half_open)
        self.connect(unit, at or self.rng.choice(others))
        unit.moved_at = time.monotonic()
        self.moves += 1

    # --- bytes ---

    def send(self, line, text):
        try:
            line.sock.send(text.encode())
            return True
        except OSError:
            self.end(line)
            return False

    def report(self, line, key):
        if line.unit.line is line and self.send(line, line.unit.unacknowledged[key]):
            line.owed.append((key, time.monotonic()))

    def hear(self, line):
        try:
            data = line.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.end(line)
            self.reconnects += 1
            return
        line.data += data
        end = 0
        for frame in FRAME.finditer(line.data):
            end = frame.end()
            self.take(line, frame[2].decode().split(","))
        line.data = line.data[end:]

    def take(self, line, words):
        unit = line.unit
        if words[0] == "V4" and line.owed:
            key, _ = line.owed.popleft()
            line.heard = line.heard or time.monotonic()
            if unit.unacknowledged.pop(key, None) is not None:
                self.acknowledged[unit.ident, key] = (time.monotonic(), line.at)
        elif words[0] == "S71":
            self.executed[(unit.ident, words[1])].append((time.monotonic(), line.at))
            if int(words[2]) % 20:
                self.send(line, f"*HQ,{unit.ident},V4,{','.join(words)}#")

    # --- time ---

    def turn(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for key, events in self.selector.select(min(left, 0.02)):
                line = key.data
                if events & selectors.EVENT_WRITE:
                    if line.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
                        self.end(line)
                        continue
                    self.selector.modify(line.sock, selectors.EVENT_READ, line)
                    line.unit.next_report()
                    for key in list(line.unit.unacknowledged):
                        self.report(line, key)
                else:
                    self.hear(line)
            self.look_at_units()

    def look_at_units(self):
        now = time.monotonic()
        for unit in self.units.values():
            if unit.line is None:
                if now >= unit.due and unit.ident not in self.away and now >= unit.home_until:
                    self.connect(unit)
            elif self.selector.get_key(unit.line.sock).events & selectors.EVENT_WRITE:
                if now - unit.line.opened > ACK_PATIENCE:
                    self.end(unit.line)
            elif unit.line.owed and now - unit.line.owed[0][1] > ACK_PATIENCE:
                self.leave(unit, half_open=True)  # it knows nothing of the other end
                self.reconnects += 1
            elif now >= unit.due:
                unit.due = now + self.interval
                self.report(unit.line, unit.next_report())

    def close(self):
        for unit in self.units.values():
            self.leave(unit, half_open=False)
        self.forget_left(-1)
