# SPDX-License-Identifier: MIT
"""Strangers for scripts/soak hostile that lie about who they are: with idents of others or without end, chosen to collide,
with forged senders over UDP (raw sockets: root), with messages that the broker does not take, or of which the rest never comes.
Each kind in a process of its own, bounded in number and time; they come from 127.0.2.x to 127.0.6.x."""

import pathlib
import random
import socket
import subprocess
import tempfile
import time

from conftest import v1
from strangers import connect, reset
from test_jt808 import frame

DENIED = "6660000000"  # the broker's access list lets nobody publish what this one says
PER_CONNECTION = 1000  # [limits] units_per_connection
ARRIVALS = 500  # [limits] arrivals_per_address


class Pace:
    """So many a second."""

    def __init__(self, rate):
        self.rate, self.start, self.done = rate, time.monotonic(), 0

    def wait(self, count=1):
        self.done += count
        time.sleep(max(0, self.start + self.done / self.rate - time.monotonic()))


# --- many idents, held open ---


def speak(connections, until, frame_of):
    """Each connection says the frames of its idents, as fast as the bridge takes them; then each of them again now and then.
    The number of answers."""
    heard = 0
    waiting = {s: "".join(frame_of(i) for i in idents).encode() for s, idents in connections.items()}
    while time.monotonic() < until:
        for s, idents in connections.items():
            try:
                if not waiting[s]:
                    waiting[s] = "".join(frame_of(i) for i in random.sample(idents, 5)).encode()
                waiting[s] = waiting[s][s.send(waiting[s][:16384]):]
                heard += s.recv(65536).count(b"#")
            except BlockingIOError:
                pass
            except OSError:
                waiting[s] = b""
        time.sleep(0.5 if not any(len(w) > 1000 for w in waiting.values()) else 0.05)
    return heard


def hold(port, until, idents, addresses, frame_of):
    connections = {}
    for n in range(0, len(idents), PER_CONNECTION):
        s = connect(port, addresses[n // PER_CONNECTION % len(addresses)])
        connections[s] = idents[n:n + PER_CONNECTION]
        time.sleep(0.002)
    time.sleep(0.2)
    heard = speak(connections, until, frame_of)
    reset(connections)
    return f"{len(idents)} on {len(connections)} connections, {heard} answers"


def numbers(port, until, count):
    """New idents, from as many addresses as are needed for all of them in most of the time."""
    seconds = max(1, until - time.monotonic())
    addresses = [f"127.0.2.{n + 1}" for n in range(int(count / ARRIVALS / (seconds * .85)) + 1)]

    def frame_of(ident):
        return v1(ident) if int(ident) % 4 == 0 else f"*HQ,{ident},V0#"

    return hold(port, until, [f"{7000000000 + n}" for n in range(count)], addresses, frame_of)


def colliding_idents(count):
    with tempfile.TemporaryDirectory(prefix="soak.") as directory:
        program = pathlib.Path(directory) / "collide"
        source = pathlib.Path(__file__).with_name("collide.c")
        subprocess.run(["cc", "-O3", "-o", program, source], check=True, timeout=60)
        return subprocess.run([program, str(count)], check=True, timeout=120, capture_output=True, text=True).stdout.split()


def colliding(port, until, idents):
    return hold(port, until, idents, [f"127.0.3.{n + 1}" for n in range(2)], lambda ident: f"*HQ,{ident},V0#")


# --- forged senders ---


class Raw:
    """Sends datagrams from any address and port."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, source, source_port, port, data, target="127.0.0.1"):
        length = 8 + len(data)
        head = (b"\x45\0" + (20 + length).to_bytes(2, "big") + b"\0\1\0\0\x40\x11\0\0" + socket.inet_aton(source) +
                socket.inet_aton(target))
        udp = source_port.to_bytes(2, "big") + port.to_bytes(2, "big") + length.to_bytes(2, "big") + b"\0\0"
        self.socket.sendto(head + udp + data, (target, 0))


def old(ident):
    """A report that is nobody's: its date is no honest one's."""
    return v1(ident, "000000", "010115").encode()


def takeovers(port, until, idents):
    """Datagrams with the idents of honest units, TCP and UDP, from many addresses and also from the honest one's."""
    raw, rng, pace = Raw(), random.Random(6), Pace(400)
    while time.monotonic() < until:
        source = rng.choice(["127.0.0.1", f"127.0.4.{rng.randrange(1, 255)}"])
        raw.send(source, rng.randrange(1024, 65536), port, old(rng.choice(idents)))
        pace.wait()
    return pace.done


def floods(port, until, idents):
    """More datagrams than one unit may send, with the idents of a few honest units, from one forged port for each and
    from many."""
    raw, rng, pace = Raw(), random.Random(7), Pace(300 * len(idents))
    while time.monotonic() < until:
        for n, ident in enumerate(idents):
            raw.send("127.0.5.1", 2000 + n, port, old(ident))
            raw.send(f"127.0.5.{rng.randrange(2, 255)}", rng.randrange(1024, 65536), port, old(ident))
        pace.wait(2 * len(idents))
    return pace.done


def crowd(port, until):
    """More than one address may send, all with the honest units' address as sender and an ident of its own."""
    raw, rng, pace = Raw(), random.Random(8), Pace(3000)
    while time.monotonic() < until:
        for _ in range(10):
            raw.send("127.0.0.1", rng.randrange(1024, 65536), port, old(f"{rng.randrange(10**12)}"))
        pace.wait(10)
    return pace.done


def echoes(port, other_port, until):
    """A server that sends back what it gets; heartbeats with it, the bridge itself and another bridge as sender."""
    raw, rng, pace = Raw(), random.Random(9), Pace(200)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.6.1", 0))
    server.setblocking(False)
    echo_port, echoed = server.getsockname()[1], 0
    senders = [("127.0.6.1", echo_port, port), ("127.0.0.1", port, port), ("127.0.0.1", other_port, port),
               ("127.0.0.1", port, other_port)]
    while time.monotonic() < until + 1:
        if time.monotonic() < until:
            ident = f"555{rng.randrange(1000):07}"
            word = rng.choice(["V0", "HTBT", "XT", "LINK"])
            data = frame(0x0002, phone="0" + "1" + ident) if rng.random() < .2 else f"*HQ,{ident},{word}#".encode()
            raw.send(*rng.choice(senders), data)
        try:
            while True:
                data, sender = server.recvfrom(65536)
                server.sendto(data, sender)
                echoed += 1
        except BlockingIOError:
            pass
        pace.wait()
    return pace.done, echoed


# --- messages that never become whole, and that the broker does not take ---


def parts(message, phone, count, total=32):
    return [frame(message, bytes(1000), phone, n, (n, total)) for n in range(1, count + 1)]


def unfinished(port, until):
    """140 connections with four messages each, of which one part is missing, and forged peers; again and again."""
    raw, rng, sent, sockets = Raw(), random.Random(10), 0, []
    for n in range(140):
        s = connect(port, f"127.0.6.{n % 4 + 10}")
        phone = f"0139{n:08}"
        sockets.append([s, phone, [b"".join(parts(0x0900 + m, phone, 31)) for m in range(4)], b""])
    turn = 0
    while time.monotonic() < until:
        turn += 1
        for connection in sockets:
            s, phone, messages, rest = connection
            connection[3] = rest or messages[turn % 4]
            try:
                connection[3] = connection[3][s.send(connection[3]):]
                sent += not connection[3]
                s.recv(65536)
            except OSError:
                pass
        phone = f"0138{rng.randrange(10**8):08}"
        for part in parts(0x0900, phone, 31):
            raw.send(f"127.0.6.{rng.randrange(20, 255)}", 7000 + turn % 1000, port, part)
        sent += 1
        time.sleep(0.5)
    reset([connection[0] for connection in sockets])
    return sent


def poison(port, until):
    """Idents and payloads that the broker refuses, or for which it closes the connection. (denied, too large)"""
    denied, large, n = 0, 0, 0
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port), 10, ("127.0.6.2", 0)) as s:
            phone = f"0137{n % 5:08}"
            s.sendall(v1(DENIED).encode() + v1(DENIED, "123507").encode() if n % 2 else b"".join(parts(0x0900, phone, 32)))
            denied += 2 * (n % 2)
            large += 1 - n % 2
            n += 1
            time.sleep(0.5)
    return denied, large
