# SPDX-License-Identifier: MIT
"""scripts/soak hostile: all kinds of strangers at once beside honest units, and what must hold meanwhile and afterwards."""

import json
import multiprocessing
import os
import pathlib
import re
import signal
import threading
import time

import forgers
import strangers
import viewers
from certificates import Authority
from conftest import BUILD, ROOT, Bridge, Broker, Subscriber, free_port, wait_for
from honest import Ear, Honest, fleet, members

MIB = 1 << 20
OUTBOX = 128 * MIB
TRUSTED_AT_ONCE, TRUSTED_A_MINUTE = 50, 20  # units that are not in the units file: see bridge/units/session_arrival.c
SERVED_S = 2
FLEET = "fleet"
MEMORY_MIB = 400
VIEWERS = 200
VIEWER_MIB = 0.7


def table(rows):
    width = max(len(name) for name, *_ in rows)
    for name, value, *held in rows:
        print(f"{name:<{width}}  {value}" + ("" if not held else f"  ({held[1]})" if held[0] else f"  FAILED: {held[1]}"))


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")


def is_sanitized():
    return b"__asan_init" in (BUILD / "tracker2mqtt").read_bytes()


def run_stranger(results, name, function, arguments):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if name != FLEET:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.nice(19)  # they have machines of their own
    results[name] = function(*arguments)


class Watch:
    """What the bridges say of themselves, and what they hold: samples."""

    def __init__(self, broker, bridge):
        self.bridge, self.most, self.now = bridge, {"memory": 0, "disk": 0}, {}
        self.subscriber = Subscriber(broker.port, [("trackers/bridge/test/stats", 0), ("two/bridge/two/stats", 0)], "watch")
        self.subscriber.client.on_message = self.on_message
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def on_message(self, client, userdata, message):
        stats = self.now[message.topic.split("/")[2]] = json.loads(message.payload)
        if message.topic.startswith("trackers/"):
            for key in ("units.online", "connections", "outbox.bytes", "outbox.messages"):
                self.most[key] = max(self.most.get(key, 0), stats[key])

    def run(self):
        while not self.done.wait(0.2) and self.bridge.process.poll() is None:
            self.most["memory"] = max(self.most["memory"], self.bridge.memory_kib())
            files = [f for f in self.bridge.sections["outbox"]["path"].rglob("*") if f.is_file()]
            self.most["disk"] = max(self.most["disk"], sum(f.stat().st_blocks * 512 for f in files))

    def close(self):
        self.done.set()
        self.thread.join()
        self.subscriber.close()


def retained(port):
    """The idents of which the broker retains something, and how much in all."""
    subscriber, before = Subscriber(port, [("trackers/#", 0), ("homeassistant/#", 0)]), -1
    while len(subscriber.messages) != before:
        before = len(subscriber.messages)
        time.sleep(2)
    topics = [m.topic for m in subscriber.messages if m.retain and m.payload and "/bridge/" not in m.topic]
    subscriber.close()
    return {re.search(r"(?:trackers/|tracker2mqtt_)(\w+)", t).group(1) if "tracker" in t else t for t in topics}, len(topics)


def start(args, directory):
    acl = directory / "acl"
    acl.write_text(f"topic deny trackers/{forgers.DENIED}/#\ntopic readwrite #\nuser viewer\ntopic read #\n")
    broker = Broker(directory, f"max_packet_size 20000\nacl_file {acl}\n")
    (directory / "units.ini").write_text("".join(f"[{m.ident}]\nname = Unit {m.ident}\n" for m in members(0)))
    cert, key = Authority(directory).issue("server")
    tls = free_port()
    options = {"log": {"level": "notice"}, "mqtt": {"version": args.mqtt}, "units": {"file": directory / "units.ini"},
               "listen": {"first_frame_timeout": "10s", "tls": f"127.0.0.1:{tls}", "tls_cert_file": cert, "tls_key_file": key},
               "web": {"listen": f"127.0.0.1:{free_port()}", "max_viewers": VIEWERS + 56}, "outbox": {"size": f"{OUTBOX // MIB}M"}, "homeassistant": {"discovery": "yes", "unknown": "yes"}}
    bridge = Bridge(directory, broker.port, options)
    (directory / "two").mkdir()
    other = Bridge(directory / "two", broker.port, {"log": {"level": "notice"}, "mqtt": {"client_id": "two"},
                                                    "publish": {"instance": "two", "prefix": "two"}})
    bridge.wait_connected()
    other.wait_connected()
    return broker, bridge, other, tls


def kinds_of(args, broker, bridge, other, tls, until, idents, known):
    port, part = bridge.port, min(1, args.seconds / 60)
    web = int(bridge.sections["web"]["listen"].split(":")[1])
    collisions = forgers.colliding_idents(int(20000 * part))
    half, until = time.monotonic() + until / 2, time.monotonic() + until
    return half, until, {
        f"{VIEWERS} viewers, from the middle on: logged in at the end, times that they came, MB": (viewers.viewers, (web, half, until, VIEWERS)),
        "handshakes of no viewer: connections, let in": (viewers.handshakes, (web, half, until)),
        "500 half requests to the page: connections": (viewers.idle_sockets, (web, half, until)),
        "5000 silent: connections": (strangers.silent, (port, until)),
        "500 with a byte a second: connections": (strangers.trickle, (port, until)),
        "100 with random bytes: connections": (strangers.noise, (port, until)),
        "connect and close: connections": (strangers.connects, (port, until)),
        "50 with malformed frames: connections": (strangers.malformed, (port, until, ROOT / "tests/vectors")),
        "50 that never read: connections": (strangers.never_read, (port, until)),
        "300 in half a TLS handshake: connections": (strangers.half_tls, (tls, until)),
        "datagrams with random idents": (strangers.forged, (port, until)),
        "commands published": (strangers.commands, (broker.port, until, idents)),
        "births of Home Assistant": (strangers.births, (broker.port, until)),
        "idents held open": (forgers.numbers, (port, until, int(200000 * part))),
        "idents that collide": (forgers.colliding, (port, until, collisions)),
        "datagrams to take over honest units": (forgers.takeovers, (port, until, idents + known)),
        "datagrams to use up what a unit may send": (
            forgers.floods, (port, until, [idents[7], known[0], known[10], known[15]])),
        "datagrams to use up what an address may send": (forgers.crowd, (port, until)),
        "datagrams with servers as senders, echoed": (forgers.echoes, (port, other.port, until)),
        "messages of which a part is missing": (forgers.unfinished, (port, until)),
        "messages that the broker denies, that are too large": (forgers.poison, (port, until))}


def attack(kinds):
    """Starts a process for each kind; (processes, results)."""
    results = multiprocessing.Manager().dict()
    processes = [multiprocessing.Process(target=run_stranger, args=(results, name, function, arguments), daemon=True)
                 for name, (function, arguments) in kinds.items()]
    for process in processes:
        process.start()
    return processes, results


def frames_now(watch, patience=4):
    """The counters of frames of both bridges, new ones."""
    watch.now.clear()
    wait_for(lambda: len(watch.now) == 2, "stats", 30)
    return [watch.now[name]["frames"] for name in ("test", "two")]


def cpu_of(process):
    """Seconds on a processor, and seconds in which it waited for one: how busy the machine was with others."""
    on, waited, _ = pathlib.Path(f"/proc/{process.pid}/schedstat").read_text().split()
    return int(on) / 1e9, int(waited) / 1e9


def descriptors_of(bridge):
    return len(os.listdir(f"/proc/{bridge.process.pid}/fd"))


def held_rows(args, honest, served, at, name):
    """Rows of one kind of honest units."""
    sent, told = honest
    waits = [at[k] - sent[k] for k in told if k in at]
    missing = len(told.keys() - at.keys())
    p99, p99_told = percentile(waits, .99), percentile(list(told.values()), .99)
    return [(f"{name}: reports, acknowledged, received", f"{len(sent)}, {len(told)}, {len(sent.keys() & at.keys())}"),
            (f"{name}: acknowledged but not received", missing, missing == 0 and len(told) > 0, "none may be"),
            (f"{name}: not acknowledged", len(sent.keys() - told.keys()), sent.keys() == told.keys(), "none may be"),
            (f"{name}: report to subscriber, median, s", f"{percentile(waits, .5):.3f}"),
            (f"{name}: report to subscriber, 99th percentile, s", f"{p99:.3f}", p99 < served, f"below {served}"),
            (f"{name}: report to acknowledgement, 99th percentile, s", f"{p99_told:.3f}", p99_told < served, f"below {served}")]


def beside_viewers(args, honest, at, half, name):
    """Rows of one kind of honest units: without viewers, and with them."""
    sent, told = honest
    parts = [{k for k in sent if (sent[k] < half) == before and k in told and k in at} for before in (True, False)]
    received, heard = ([percentile([x(k) for k in part], p) for part in parts for p in (.5, .99)]
                       for x in (lambda k: at[k] - sent[k], told.get))
    return [(f"{name}: report to {what}, median and 99th percentile, s, without viewers; with them",
             f"{m[0]:.3f}, {m[1]:.3f}; {m[2]:.3f}, {m[3]:.3f}") for what, m in (("subscriber", received), ("acknowledgement", heard))]


def bounded_rows(args, watch, idle, left, bridge, broker, strange, topics):
    """Rows of what the bridge and the broker hold."""
    memory, disk = watch.most["memory"] / 1024, watch.most["disk"]
    room = (MEMORY_MIB + int(VIEWERS * VIEWER_MIB)) * (5 if is_sanitized() else 1)
    map_size = 2 * OUTBOX + 128 * MIB
    trusted = TRUSTED_AT_ONCE + (0 if args.seconds < 120 else int(args.seconds / 60) * TRUSTED_A_MINUTE * 30)
    return [("bridge's memory before, most, MiB", f"{idle / 1024:.1f}, {memory:.1f}", memory < room, f"below {room}"),
            ("outbox on disk, most, MiB", f"{disk / MIB:.1f}", disk <= map_size, f"at most {map_size // MIB}"),
            ("outbox: bytes, messages, most", f"{watch.most['outbox.bytes']}, {watch.most['outbox.messages']}",
             watch.most["outbox.bytes"] <= OUTBOX + MIB, f"at most {OUTBOX}"),
            ("units on line, most; connections, most", f"{watch.most['units.online']}; {watch.most['connections']}"),
            ("retained messages at the end", topics),
            ("strangers with retained messages", len(strange), len(strange) <= trusted, f"at most {trusted}"),
            ("descriptors before, after", f"{left[0]}, {left[1]}", left[1] <= left[0] + 5, "no more than before")]


def hostile(args, directory):
    if args.quick:
        args.seconds = 15
    if args.first:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    broker, bridge, other, tls = start(args, directory)
    watch = Watch(broker, bridge)
    honest, known = Honest(bridge.port, 200), [m.ident for m in members(0)]
    ear = Ear(broker.port, honest.idents + known)
    left, idle = [descriptors_of(bridge)], bridge.memory_kib()
    half, until, kinds = kinds_of(args, broker, bridge, other, tls, args.seconds, honest.idents, known)
    kinds[FLEET] = (fleet, (bridge.port, until))
    used = [cpu_of(bridge.process), cpu_of(broker.process)]
    processes, results = attack(kinds)
    honest.run(until)
    for process in processes:
        process.join(60)
    used = [[after - before for after, before in zip(cpu_of(p), was)] for p, was in zip((bridge.process, broker.process), used)]
    sent, told, tries, resent = results.pop(FLEET)
    ended = time.monotonic()
    all_told = honest.told.keys() | told.keys()
    while all_told - ear.at().keys() and time.monotonic() - ended < 60:
        time.sleep(0.5)
    at = ear.at()
    time.sleep(12)
    before = frames_now(watch)
    time.sleep(5)
    talking = sum(frames_now(watch)) - sum(before)
    left.append(descriptors_of(bridge))
    stats = watch.now["test"]
    alive = bridge.process.poll() is None and other.process.poll() is None
    log, other_log = bridge.log(), other.log()
    watch.close()
    ear.close()
    codes = [bridge.stop(), other.stop()]
    strange, topics = retained(broker.port)
    strange -= {*honest.idents, *known}
    failures = sum(n in bridge.log() + other.log() for n in ("Sanitizer", "runtime error"))
    refused = {line.split("refused ")[1].split(": ")[1].split(" ")[0] for line in log.splitlines() if ": refused " in line}
    rows = [(name, value if not isinstance(value, tuple) else ", ".join(map(str, value))) for name, value in sorted(results.items())]
    rows += held_rows(args, (honest.sent, honest.told), 1, at, "200 honest units")
    rows += beside_viewers(args, (honest.sent, honest.told), at, half, "200 honest units")
    rows += [("200 honest units: connections lost", honest.lost, honest.lost == 0, "none may be")]
    rows += held_rows(args, (sent, told), 1, at, "20 of the units file")
    rows += beside_viewers(args, (sent, told), at, half, "20 of the units file")
    rows += [("20 of the units file: tries, sent again", f"{len(tries)}, {resent}")]
    for transport in ("tcp", "udp"):
        longest = max(taken for taken, _, by, _ in tries if by == transport)
        rows.append((f"20 of the units file: longest try to connect and report over {transport}, s", f"{longest:.3f}",
                     longest < SERVED_S, f"below {SERVED_S}"))
    rows += [("CPU of bridge, broker while they come, s", f"{used[0][0]:.1f}, {used[1][0]:.1f}"),
             ("bridge, broker waited for a CPU, s", f"{used[0][1]:.1f}, {used[1][1]:.1f}")]
    rows += bounded_rows(args, watch, idle, left, bridge, broker, strange, topics)
    rows += [("frames between servers after the end, in 5 s", talking, talking == 0, "none may be"),
             ("waiting or set aside at the end", ", ".join(f"{k} {v}" for k, v in stats.items()
                                                           if v and (k.startswith("outbox.") or "aside" in k))),
             ("lines in the log", len(log.splitlines())), ("lines in the other bridge's log", len(other_log.splitlines())),
             ("refused for", ", ".join(sorted(refused))),
             ("alive at the end, exit codes", f"{alive}, {codes[0]}, {codes[1]}", alive and codes == [0, 0], "0"),
             ("reports of a sanitizer", failures, failures == 0, "none may be")]
    table(rows)
    broker.stop()
    if args.keep:
        (args.keep / "bridge.log").write_text(bridge.log_path.read_text())
        (args.keep / "tries").write_text("\n".join(map(str, sorted(tries)[-200:])))
    return 1 if any(len(row) > 2 and not row[2] for row in rows) else 0
