# SPDX-License-Identifier: MIT
"""Strangers who want what is known of a unit to be wrong: forged datagrams in its name, dates of tomorrow and of years ago, alarms, batches with
faults, frames of all kinds at random, while the bridge and the broker are killed. The unit is always acknowledged, and its next report puts right
whatever was said in its name."""

import random
import signal
import struct
import subprocess
import threading
import time

from conftest import Subscriber, Unit, wait_for

IDENT = "9170503816"
SECONDS = 12


def report(ident, when, status="FFFFFFFF", place=("2232.6024", "11355.7983")):
    t = time.gmtime(when)
    return (f"*HQ,{ident},V1,{time.strftime('%H%M%S', t)},A,{place[0]},N,{place[1]},E,021.60,090,{time.strftime('%d%m%y', t)},{status}"
            ",460,00,10342,4283#").encode()


def jt808(message, body, ident="013912345678", properties=None, serial=1):
    inner = struct.pack(">HH", message, len(body) if properties is None else properties) + bytes.fromhex(ident) + struct.pack(">H", serial) + body
    check = 0
    for b in inner:
        check ^= b
    raw = inner + bytes([check])
    return b"\x7e" + raw.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"


def lies(rng):
    """What a stranger says in the honest unit's name, or in that of units that do not exist."""
    ident = IDENT if rng.random() < 0.5 else f"{rng.randrange(10**9, 10**10)}"
    when = time.time() + rng.choice([0, 3600, 23 * 3600, 30 * 3600, -1024 * 7 * 86400, -3600, -20 * 365 * 86400])
    kind = rng.randrange(6)
    if kind < 3:
        return report(ident, when, rng.choice(["FFFFFFFF", "FFFDFFFF", "00000000"]), ("0000.0000", "00000.0000") if kind == 2 else ("5100.0000", "01000.0000"))
    if kind == 3:
        return jt808(rng.choice([0x0200, 0x0704, 0x0801, 0x0100, 0x0102, 0x0001, 0x0210, 0x1007]), rng.randbytes(rng.randrange(0, 80)),
                     f"{rng.randrange(10**11, 10**12)}", rng.choice([None, 5, 0x2000 | 8, 0x0400 | 3]), rng.randrange(65536))
    if kind == 4:
        return f"*HQ,{ident},V4,S20,130305,OK#".encode()
    return rng.randbytes(rng.randrange(1, 200))


def test_the_units_next_report_puts_everything_right(make_bridge, broker, subscribe, tmp_path):
    units = tmp_path / "units.ini"
    units.write_text(f"[{IDENT}]\nname = Van\n")
    bridge = make_bridge({"units": {"file": units, "remembered": "200"}, "publish": {"state": "yes", "state_interval": "200ms"},
                          "homeassistant": {"discovery": "yes", "unknown": "yes"}, "mqtt": {"session": "1h"}},
                         environment={"ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=4"})  # freed memory that the sanitizer keeps is no growth
    bridge.wait_connected()
    over = threading.Event()

    def lie(seed):
        rng = random.Random(seed)
        while not over.is_set():
            unit = None
            try:
                unit = Unit(bridge.port, "udp" if seed % 2 else "tcp")
                for _ in range(rng.randrange(1, 30)):
                    data = lies(rng)
                    if seed % 2 == 0 and IDENT.encode() in data:
                        continue  # whoever connects in its name takes over: the protocol has no password
                    unit.send(data)
                    time.sleep(0.002)
            except OSError:
                time.sleep(0.05)
            finally:
                if unit is not None:
                    unit.close()

    honest = Unit(bridge.port)
    liars = [threading.Thread(target=lie, args=(n,)) for n in range(6)]
    honest.send(report(IDENT, time.time()))
    assert b"V4,V1" in honest.receive()
    before = bridge.memory_kib()
    for liar in liars:
        liar.start()
    end, n = time.monotonic() + SECONDS, 0
    try:
        while time.monotonic() < end:
            n += 1
            honest.send(report(IDENT, time.time()))
            assert b"V4,V1" in honest.receive(), "the honest unit is always acknowledged"
            time.sleep(0.1)
            if n == 30:
                broker.stop(signal.SIGKILL)
                broker.start()
            if n == 60:
                bridge.stop(signal.SIGKILL)
                bridge.start()
                honest.close()
                honest = Unit(bridge.port)
                before = bridge.memory_kib()
    finally:
        over.set()
        for liar in liars:
            liar.join()

    def state():
        sub = Subscriber(broker.port, f"trackers/{IDENT}/state")
        try:
            return sub.on(f"trackers/{IDENT}/state")[0].record
        finally:
            sub.close()

    def is_its_own():
        """Whoever knows an ident can speak for it; but nothing that was said so outlasts the unit's next report."""
        honest.send(report(IDENT, time.time()))
        assert b"V4,V1" in honest.receive()
        time.sleep(0.5)
        known = state()
        return abs(known["position.latitude"] - 22.5433733) < 1e-6 and known["status"] == "online" and known["sos.alarm"] is False and \
            known["device.name"] == "Van" and abs(known["timestamp"] - time.time()) < 60

    wait_for(is_its_own, "its own last word")
    growth = bridge.memory_kib() - before
    assert growth < 64 * 1024, growth
    listing = subprocess.run([*bridge.program, "--units", "-c", bridge.path], capture_output=True, text=True, check=True).stdout
    assert IDENT in listing and len(listing.splitlines()) <= 202
    honest.close()
