"""Strangers for scripts/soak hostile, each kind in a process of its own, bounded in number and time.

They come from 127.0.1.x, the honest units from 127.0.0.1."""

import json
import os
import pathlib
import random
import selectors
import socket
import time

from conftest import v1


def connect(port, source):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((source, 0))
    s.setblocking(False)
    try:
        s.connect(("127.0.0.1", port))
    except BlockingIOError:
        pass
    except OSError:
        s.close()
        return None
    return s


def keep(port, source, count, until, work, every):
    """Keeps so many connections up; calls work for each, every so many seconds; counts connects."""
    os.nice(5)
    sockets, made = [], 0
    while time.monotonic() < until:
        start = time.monotonic()
        alive = []
        for s in sockets:
            try:
                gone = s.recv(65536, socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if not gone:
                try:
                    work(s)
                except BlockingIOError:
                    pass
                except OSError:
                    gone = True
            if gone:
                s.close()
            else:
                alive.append(s)
        sockets = alive
        for _ in range(min(count - len(sockets), 500)):
            s = connect(port, source)
            if s is not None:
                sockets.append(s)
                made += 1
        time.sleep(max(0, every - (time.monotonic() - start)))
    for s in sockets:
        s.close()
    return made


def silent(port, until):
    return keep(port, "127.0.1.1", 5000, until, lambda s: None, 1.0)


def trickle(port, until):
    text = v1("9990000001").encode()
    return keep(port, "127.0.1.2", 500, until, lambda s: s.send(random.choice(text).to_bytes(1, "big")), 1.0)


def noise(port, until):
    blocks = [os.urandom(16384) for _ in range(32)]
    blocks += [b"*HQ,9990000002,V1," + b for b in blocks[:16]]
    return keep(port, "127.0.1.3", 100, until, lambda s: s.send(random.choice(blocks)), 0.0)


def connects(port, until):
    os.nice(5)
    made = 0
    while time.monotonic() < until:
        for _ in range(100):
            s = connect(port, "127.0.1.4")
            if s is not None:
                s.close()
                made += 1
        time.sleep(0.02)
    return made


def mutated(frames, rng):
    data = bytearray(rng.choice(frames))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) or 1)
        what = rng.randrange(4)
        if what == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            del data[at:at + rng.randrange(8)]
        elif what == 2:
            data[at:at] = rng.randbytes(rng.randrange(8))
        else:
            data = data[:at + 1]
    return bytes(data) or b"*"


def malformed(port, until, root):
    rng = random.Random(3)
    frames = [bytes.fromhex(json.loads(line)["hex"]) for path in sorted(pathlib.Path(root).glob("*.jsonl"))
              for line in path.read_text().splitlines() if json.loads(line).get("hex")]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.1.5", 0))

    def work(s):
        s.send(b"".join(mutated(frames, rng) for _ in range(5)))
        udp.sendto(mutated(frames, rng), ("127.0.0.1", port))

    return keep(port, "127.0.1.5", 50, until, work, 0.02)


def forged(port, until):
    """Idents and source ports that nobody has, as fast as it goes."""
    os.nice(5)
    rng, made, sockets = random.Random(4), 0, []
    for n in range(200):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((f"127.0.1.{10 + n % 4}", 0))
        s.setblocking(False)
        sockets.append(s)
    while time.monotonic() < until:
        for _ in range(200):
            try:
                sockets[made % 200].sendto(v1(f"{rng.randrange(10**10):010}").encode(), ("127.0.0.1", port))
            except OSError:
                pass
            made += 1
    return made


def commands(mqtt_port, until, idents):
    import paho.mqtt.client as paho
    os.nice(5)
    client = paho.Client("commands", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", mqtt_port)
    client.loop_start()
    made, rng = 0, random.Random(5)
    while time.monotonic() < until:
        for _ in range(20):
            ident = rng.choice(idents) if rng.random() < .1 else f"{rng.randrange(10**10):010}"
            payload = rng.choice(['S32,000000,1', '{"command":"engine.stop"}', "{" * 200, "#", "", "x" * 5000,
                                  '{"payload":"S20,0","hold":3600}'])
            client.publish(f"trackers/{ident}/cmd", payload, 0)
            made += 1
        time.sleep(0.01)
    client.disconnect()
    client.loop_stop()
    return made


class Honest:
    """Units that report once a second and remember when; what they were told is noted."""

    def __init__(self, port, count):
        self.idents = [f"95{n:08}" for n in range(count)]
        self.port, self.sent, self.told, self.waits = port, {}, {}, []
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
        end = time.monotonic() + 10
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
        key = (ident, second)
        self.sent[key] = time.monotonic()
        waiting.append(key)
        s.sendall(v1(ident, f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}").encode())

    def hear(self, poll, ident):
        s, waiting, rest = self.units[ident]
        data = s.recv(65536)
        if not data:
            self.lost += 1
            poll.unregister(s)
            s.close()
            del self.units[ident]
            return
        frames = (rest[0] + data).split(b"#")
        rest[0] = frames.pop()
        for frame in frames:
            if b",V4,V1," in frame and waiting:
                key = waiting.pop(0)
                self.told[key] = time.monotonic() - self.sent[key]
