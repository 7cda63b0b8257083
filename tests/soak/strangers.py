# SPDX-License-Identifier: MIT
"""Strangers for scripts/soak hostile, each kind in a process of its own, bounded in number and time: those that connect,
and those that publish commands. They come from 127.0.1.x, the honest units from 127.0.0.1."""

import json
import os
import pathlib
import random
import socket
import ssl
import struct
import time

from conftest import mqtt_client, v1


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


def reset(sockets):
    """Ends them at once, without what the bridge has not read yet: so what it does afterwards is not about them."""
    for s in sockets:
        if s is not None:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()


def keep(port, source, count, until, work, every):
    """Keeps so many connections up; calls work for each, every so many seconds; counts connects."""
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
    reset(sockets)
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
    client = mqtt_client("commands")
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


def never_read(port, until):
    """They report, and never read what they are told: so no use of keep(), which reads."""
    sockets, made, n = [None] * 50, 0, 0
    while time.monotonic() < until:
        n += 1
        at = n % len(sockets)
        if sockets[at] is None:
            sockets[at] = connect(port, "127.0.1.6")
            made += 1
        try:
            sockets[at].send(v1(f"97{at:08}").encode() * 5)
        except BlockingIOError:
            pass
        except (OSError, AttributeError):
            sockets[at] = None
        time.sleep(0.01)
    reset(sockets)
    return made


def hello():
    """What a TLS client says first."""
    out = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def half_tls(port, until):
    """Half of a handshake, or all of its first word and never the second."""
    said = set()

    def work(s):
        if s not in said:
            said.add(s)
            first = hello()
            s.send(first if len(said) % 2 else first[:len(first) // 2])

    return keep(port, "127.0.1.7", 300, until, work, 0.2)


def births(mqtt_port, until):
    """Home Assistant starts again and again."""
    client = mqtt_client("births")
    client.connect("127.0.0.1", mqtt_port)
    client.loop_start()
    made = 0
    while time.monotonic() < until:
        client.publish("homeassistant/status", "online", 1).wait_for_publish()
        made += 1
        time.sleep(min(3, max(0, until - time.monotonic())))
    client.disconnect()
    client.loop_stop()
    return made
