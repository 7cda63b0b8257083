# SPDX-License-Identifier: MIT
"""Power loss, replayed: for scripts/soak powerloss and tests/e2e/test_powerloss.py.

A bridge runs with a recorder (record.c) under load. disk.py makes what its disk may hold had the power gone at some
moment. The same bridge opens that, and gives all it has to a broker. What was acknowledged to a unit before the
moment must have been taken by the broker before the moment, or must come out now."""

import bisect
import collections
import itertools
import json
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

from conftest import PATIENCE, Bridge, Unit, stop, wait_for
from disk import (ACCEPT, ALL, CREATE, DATAGRAM, DELIVERED, DIRECTORY, DSYNC, END, HEADER, SEND, SYNC, WRITE, Disk,
                  read_log)
from units import Acknowledgements, SmallBroker, h02_text, key_of, load, units_of

SOURCES = [pathlib.Path(__file__).with_name(name) for name in ("record.c", "record_log.c")]


# --- recording ---

def build_recorder(directory):
    library = directory / "record.so"
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-fPIC", "-shared", "-o", library,
                    *SOURCES, "-ldl"], check=True)
    return library


class Recording:
    """A run under load: the disk, and what was acknowledged and taken when. `before`: an earlier recording and an
    Outcome of it, whose image it begins with. `sync_before`: what the first of the processes of this run has for
    sync; then only what the others acknowledge is looked at."""

    def __init__(self, directory, sync, interval_ms, seconds, seed, before=None, sync_before=None,
                 strict=False, sync_ms=0):
        self.strict, self.sync_ms = strict, sync_ms
        self.directory, self.sync, self.sync_before, self.interval_ms = directory, sync, sync_before, interval_ms
        self.seed, self.rng = seed, random.Random(seed)
        self.root, self.log = directory / "disk", directory / "events"
        self.acknowledged, self.delivered = {}, {}  # key: place in the log
        self.payloads = {}  # key: what the broker got
        self.sent, self.boot, self.begun = {}, 0, 0  # reports of each unit, number of the boot, events before it
        if before is None:
            self.root.mkdir()
        else:
            self._begin_with(*before)
        self._run(seconds)
        self._read()

    def options(self, broker, path, sync=None):
        return {"mqtt": {"client_id": broker.client}, "publish": {"stats_interval": "1h"},
                "outbox": {"path": path, "sync": sync or self.sync, "sync_interval": f"{self.interval_ms}ms"}}

    def boot_id(self, number):
        return {"T2M_BOOT_ID": f"boot-{number}"}

    def _put(self, kind, flags=0, number=0, inode=0, offset=0, data=b""):
        with open(self.log, "ab", buffering=0) as log:
            log.write(HEADER.pack(kind, flags, number, time.monotonic_ns(), inode, offset, len(data)) + data)
        self.begun += 1

    def _begin_with(self, other, outcome):
        """All that is there is surely there; what comes out of it must not get lost any more."""
        other.write_image(outcome.number, self.root)
        self.sent, self.boot, self.payloads = dict(other.sent), other.boot + 1, dict(other.payloads)
        for path in sorted(self.root.rglob("*")):
            inode, name = path.stat().st_ino, str(path).encode()
            self._put(CREATE, DIRECTORY if path.is_dir() else 0, 0, inode, 0, name)
            if path.is_file():
                self._put(WRITE, DSYNC, inode, inode, 0, path.read_bytes())
                self._put(END, 0, 0, 0, path.stat().st_size, inode.to_bytes(8, "little"))
        self._put(SYNC, ALL | DIRECTORY, 1)
        self._put(END, data=(1).to_bytes(8, "little"))
        self.acknowledged = {key: self.begun for key in outcome.came if key[0] != "garbled"}

    def _taken(self, found):
        keys = {k: payload for topic, _, payload in found if (k := key_of(topic, payload))}
        self.payloads.update(keys)
        self._put(DELIVERED, data=json.dumps([k for k in keys if k[0] != "garbled"]).encode())

    def _run(self, seconds):
        begun, self.order = self.begun, collections.Counter(self.sent)
        broker = SmallBroker(self._taken)
        broker.start()
        options = self.options(broker, self.root / "outbox", self.sync_before)
        bridge = Bridge(self.directory, broker.port, options, environment={
            "LD_PRELOAD": str(build_recorder(self.directory)), "RECORD_ROOT": str(self.root),
            "RECORD_LOG": str(self.log), "RECORD_SYNC_MS": str(self.sync_ms), **self.boot_id(self.boot)})
        wait_for(broker.connected.is_set, "the bridge at the broker")
        self._load(bridge, seconds / 4)
        broker.stop()
        self._load(bridge, seconds / 6)
        for sig in self.rng.sample((signal.SIGKILL, signal.SIGTERM), 2):  # in this boot it may end and begin, too
            self._wait_for_quiet()  # of a call that a kill cut short, nobody would know whether it was done
            assert bridge.stop(sig) == (0 if sig == signal.SIGTERM else -sig), bridge.log()
            bridge.sections["outbox"]["sync"] = self.sync
            bridge.write()
            bridge.start()
            self._load(bridge, seconds / 6)
        broker.start()
        self._load(bridge, seconds / 4)
        wait_for(broker.connected.is_set, "the bridge at the broker")
        self._load(bridge, 0.2)
        assert bridge.stop() == 0, bridge.log()
        assert "Sanitizer" not in bridge.log(), bridge.log()
        broker.stop()
        self.begun = begun

    def _wait_for_quiet(self):
        size = -1
        while size != (size := self.log.stat().st_size):
            time.sleep(.05)

    def _load(self, bridge, seconds):
        units = units_of(bridge.port, self.sent)
        load(units, self.rng, seconds)
        self.sent = {u.ident: u.sent for u in units}
        for unit in units:
            unit.close()

    def _read(self):
        events = self.events = read_log(self.log)
        streams, order, first = {}, self.order.copy(), {}
        for place, event in enumerate(events):
            if event.kind == ACCEPT:
                streams[event.inode] = Acknowledgements(order)
            elif event.kind == SEND and event.result != -1:  # killed before it could say: it was heard all the same
                name = "udp" if event.flags & DATAGRAM else event.inode
                stream = streams.setdefault(name, Acknowledgements(order))
                for key in stream.of(event.data[:event.result]):
                    assert key not in first, key
                    if key[0] in self.sent:  # a stranger may have found the port
                        first[key] = place
            elif event.kind == DELIVERED:
                for ident, n in json.loads(event.data):
                    self.delivered.setdefault((ident, n), place)
        assert len(first) == sum(self.sent.values()) - sum(self.order.values()), "each report was acknowledged"
        pids = [e.id >> 40 for e in events]
        self.starts = sorted({pid: place for place, pid in reversed(list(enumerate(pids))) if pid > 0}.values())
        if self.sync_before:
            first = {key: place for key, place in first.items() if place > self.starts[1]}
            self.acknowledged = {}
        self.acknowledged.update(first)
        self.first = min(first.values())
        self.disk = Disk(events, self.root, self.strict)
        self.times = [e.ns for e in events]
        self.most = list(itertools.accumulate(self.times, max))
        self._check()

    def _check(self):
        """All that the disk was told is what it holds: the recorder missed nothing."""
        copy = self.directory / "check"
        self.disk.image(len(self.events), "all", False, self.rng, copy)
        for name in sorted({p.relative_to(d) for d in (copy, self.root) for p in d.rglob("*") if p.is_file()}):
            if name.name == "lock.mdb":
                continue
            ours, theirs = copy / name, self.root / name
            assert ours.exists() and theirs.exists() and ours.read_bytes() == theirs.read_bytes(), \
                f"{name} is not what was recorded"
        shutil.rmtree(copy)

    def moment(self, rng):
        """(place, time in ns): even over the events, or even over the time, or when a process has just begun."""
        if rng.random() < .2:
            start = rng.choice(self.starts)
            place = rng.randint(start + 1, min(start + 60, len(self.events) - 1))
            return place, self.most[place - 1]
        if rng.random() < .5:
            place = rng.randrange(self.first + 1, len(self.events))
            return place, self.most[place - 1]
        ns = rng.randrange(self.most[self.first] + 1, self.most[-1])
        return bisect.bisect_right(self.most, ns), ns

    def plan(self, number):
        """(place, time in ns, how, torn) of an image, always the same for its number, and what chooses its pages."""
        rng = random.Random(f"{self.seed} {self.boot} {number}")
        how, torn = (("some", False), ("none", False), ("some", True), ("all", False))[number % 4]
        return *self.moment(rng), how, torn, rng

    def write_image(self, number, directory):
        place, _, how, torn, rng = self.plan(number)
        self.disk.image(place, how, torn, rng, directory)
        lock = self.root / "outbox/lock.mdb"
        if rng.random() < .5 and lock.exists() and (directory / "outbox").is_dir():
            shutil.copyfile(lock, directory / "outbox/lock.mdb")  # it is mapped: anything may be there

    def longest_sync_ns(self):
        return max((self.times[end] - self.times[begin] for begin, end in self.disk.flushes), default=0)

    def longest_flush_ns(self):
        """Of two syncs: the pages; what says that they are whole."""
        return 2 * self.longest_sync_ns()


# --- opening ---

class Reader(Bridge):
    """A bridge that may end by itself."""

    def start(self):
        self.log_file = open(self.log_path, "ab")
        self.log_start = self.log_file.tell()
        self.process = subprocess.Popen([*self.program, "-c", self.path], stderr=self.log_file,
                                        env={**os.environ, **self.environment})
        wait_for(lambda: self.listens() or self.process.poll() is not None, "the listeners")


Outcome = collections.namedtuple("Outcome", "number place ns how what came log")


class Opened:
    """What came out of an image, and how the bridge took it."""

    PROBE = ("9199999999", 0)

    def __init__(self, directory, recording):
        self.boot = recording.boot_id(recording.boot + 1)
        self.came, self.count, self.probe = {}, 0, False
        self.directory = directory
        broker = SmallBroker(self._taken)
        broker.start()
        try:
            self.what = self._open(broker, recording.options(broker, directory / "disk/outbox"))
        finally:
            broker.stop()

    def _taken(self, found):
        for topic, qos, payload in found:
            key = key_of(topic, payload)
            if key == self.PROBE:
                self.probe = True
            elif key is not None:
                self.came[key] = payload
            if qos > 0 and not topic.startswith("trackers/bridge/") and self.PROBE[0] not in topic:
                self.count += 1

    def _open(self, broker, options):
        for _ in range(5):
            reader = Reader(self.directory, broker.port, options, environment=self.boot)
            self.log = reader.log()
            if "in use" not in self.log or reader.process.poll() is None:
                break
        try:
            return self._use(reader)
        finally:
            if reader.process.poll() is None:
                reader.process.kill()
            reader.process.wait()
            self.log = reader.log()
            reader.log_file.close()

    def _use(self, reader):
        alive = lambda: reader.process.poll() is None  # noqa: E731
        waiting = re.search(r"outbox: (\d+) messages from before", reader.log())
        waiting = int(waiting.group(1)) if waiting else 0
        unit = Unit(reader.port, "udp")
        end, asked = time.monotonic() + PATIENCE / 3, 0

        def out():
            return self.probe and self.count >= waiting

        while alive() and time.monotonic() < end and not out():
            if not self.probe and time.monotonic() > asked + 1:  # it stores and publishes a new one
                asked = time.monotonic()
                try:
                    unit.send(h02_text(*self.PROBE))
                except OSError:
                    pass
            before = self.count
            time.sleep(.003)
            if self.count > before:
                end = time.monotonic() + PATIENCE / 3
        unit.close()
        stuck = alive() and not out()
        code = stop(reader.process) if alive() else reader.process.returncode
        aside = list(self.directory.glob("disk/*aside*"))
        if code < 0 or "Sanitizer" in reader.log() or "runtime error" in reader.log():
            return "crashed"
        if code != 0:
            return "refused"
        return "stuck" if stuck else "set aside" if aside else "opened"


def place_for(size):
    """Where the images are: in memory when there is room, for the bridge syncs them."""
    memory = pathlib.Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > max(size * 8, 1 << 30):
        return memory
    return None


def open_image(recording, number):
    place, ns, how, torn, _ = recording.plan(number)
    with tempfile.TemporaryDirectory(prefix="powerloss.", dir=place_for(recording.log.stat().st_size)) as name:
        directory = pathlib.Path(name)
        recording.write_image(number, directory / "disk")
        opened = Opened(directory, recording)
    return Outcome(number, place, ns, "torn" if torn else how, opened.what, opened.came, opened.log)


def open_next(number):
    return open_image(open_next.recording, number)


def last_words(log):
    lines = log.strip().splitlines()
    return ([line for line in lines if "error: " in line.lower() or "Assertion" in line] or lines or [""])[-1]


class Result:
    """Of all images of a recording. `missing`: (outcome, {key: age in ns}) of each image that misses something."""

    def __init__(self, recording, images, processes=2, tell=lambda n: None):
        open_next.recording = recording
        self.recording, self.outcomes = recording, []
        start = time.monotonic()
        with multiprocessing.get_context("fork").Pool(processes) as pool:
            for outcome in pool.imap_unordered(open_next, range(images)):
                self.outcomes.append(outcome)
                tell(len(self.outcomes))
        self.seconds = time.monotonic() - start
        self.missing = [(o, gone) for o in self.outcomes if (gone := self.missing_of(o))]
        self.garbled = sum(1 for o in self.outcomes if any(self._is_garbled(*record) for record in o.came.items()))

    def _is_garbled(self, key, payload):
        if key[0] not in self.recording.sent and key[0] != "garbled":
            return False  # of a stranger who found the port
        known = self.recording.payloads.get(key)
        if known is None:
            return key not in self.recording.acknowledged
        return payload != known

    def waiting_in(self, outcome):
        """What was acknowledged to units and not yet taken by the broker."""
        r = self.recording
        return {key: place for key, place in r.acknowledged.items()
                if place < outcome.place and not r.delivered.get(key, outcome.place) < outcome.place}

    def missing_of(self, outcome):
        return {key: outcome.ns - self.recording.times[place] for key, place in self.waiting_in(outcome).items()
                if key not in outcome.came}

    def to_go_on(self):
        """The recording and its image with the most in it, or one set aside: what another loss may begin with."""
        stood = [o for o in self.outcomes if o.what in ("opened", "set aside") and o.how in ("some", "torn")]
        best = max(stood, key=lambda o: (len(o.came), o.what == "opened", o.number), default=None)
        return best and (self.recording, best)

    def count(self, what):
        return sum(1 for o in self.outcomes if o.what == what)

    def oldest_ns(self):
        return max((age for _, gone in self.missing for age in gone.values()), default=0)

    def is_flushed(self, key, cut):
        """Three syncs, one after the other, began after its acknowledgement and ended before the cut: that of a flush that
        had chosen its state before, that of one after it, and one more: the mark, which says that the pages are whole, is
        written between two syncs."""
        place = self.recording.acknowledged[key]
        end, steps = place, 0
        for begin, ended in self.recording.disk.flushes:
            if begin > end and ended < cut:
                end, steps = ended, steps + 1
        return steps >= 3

    def broken(self, promise_ns):
        """What of the promise of this mode does not hold, a line each. With always, nothing is missing; with
        interval, it opens, and nothing is missing that was flushed or is older than promise_ns; with never, it
        goes on."""
        sync = self.recording.sync
        lines = [f"image {o.number} ({o.how}): {o.what}: {last_words(o.log)}" for o in self.outcomes
                 if o.what in ("crashed", "stuck", "refused") or o.what == "set aside" and sync != "never"
                 and self.waiting_in(o)]
        if self.garbled and sync != "never":
            lines.append(f"{self.garbled} images gave records that no unit sent")
        limit = {"always": -1, "interval": promise_ns, "never": 1 << 62}[sync]
        for outcome, gone in self.missing:
            which = f"image {outcome.number} ({outcome.how}), {outcome.what}"
            flushed = sum(1 for key in gone if sync == "interval" and self.is_flushed(key, outcome.place))
            if flushed:
                lines.append(f"{which}: {flushed} flushed records are missing")
            old = sum(1 for age in gone.values() if age > limit)
            if old:
                lines.append(f"{which}: {old} records are missing that it promises, the oldest acknowledged "
                             f"{max(gone.values()) / 1e9:.3f} s before the cut")
        return lines


# --- scripts/soak powerloss ---

def rows(result, promise_ns):
    r, missing = result.recording, result.missing
    lost = sorted(len(gone) for _, gone in missing)
    kinds = collections.Counter(e.kind for e in r.events)
    opened = [m for m in missing if m[0].what == "opened"]
    table = [("reports, each acknowledged", len(r.acknowledged)),
             ("writes, syncs, acknowledgements sent", f"{kinds[WRITE]}, {kinds[SYNC]}, {kinds[SEND]}"),
             ("longest sync, ms", f"{r.longest_sync_ns() / 1e6:.1f}"), ("images", len(result.outcomes)),
             *((what, result.count(what)) for what in ("opened", "set aside", "refused", "stuck", "crashed")),
             ("images with garbled records", result.garbled), ("images with missing records", len(missing)),
             ("of these opened", len(opened)), ("most missing", lost[-1] if lost else 0),
             ("most missing of an opened one", max((len(gone) for _, gone in opened), default=0))]
    if r.sync == "interval":
        table += [("missing at most for, s", f"{promise_ns / 1e9:.3f}"),
                  ("oldest missing before the cut, s", f"{result.oldest_ns() / 1e9:.3f}")]
    return [*table, ("seconds an image", f"{result.seconds / len(result.outcomes):.3f}")]


OTHER = {"always": "interval", "interval": "never", "never": "always"}


def run(args, directory, print_table, tell):
    """Each mode three times: from an empty disk; from an image of the first time, for power may go again; and after a
    change of the mode."""
    bad = 0
    for sync in [args.sync] if args.sync else ["always", "interval", "never"]:
        before = None
        for name in ("first loss", "second loss", f"loss after a change from {OTHER[sync]}"):
            below = directory / f"{sync}-{name.replace(' ', '-')}"
            below.mkdir()
            print(f"--- sync = {sync}, {name}, seed {args.seed}")
            try:
                recording = Recording(below, sync, args.interval, args.seconds, args.seed, before,
                                      OTHER[sync] if "change" in name else None, args.strict, args.sync_ms)
            except (AssertionError, OSError) as error:  # what opened once did not live on
                print(f"the bridge did not get through the load: {str(error)[-400:]}\n")
                bad += 1
                break
            result = Result(recording, args.images, tell=lambda n: tell(f"{sync}, {name}: image {n} of {args.images}"))
            before = result.to_go_on()
            promise = args.promise or (args.interval + 300) / 1000 + recording.longest_flush_ns() / 1e9
            print_table(rows(result, promise * 1e9))
            broken = result.broken(promise * 1e9)
            print("\n".join([*broken[:args.show], ""]))
            if len(broken) > args.show:
                print(f"and {len(broken) - args.show} more")
            bad += len(broken)
            if before is None:
                print("no image to go on with")
                break
    return bad
