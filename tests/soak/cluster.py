# SPDX-License-Identifier: MIT
"""scripts/soak cluster: three bridges that are one fleet; units move, commands go out, and every ten seconds something fails."""

import collections
import json
import random
import re
import shutil
import signal
import threading
import time

import paho.mqtt.client as paho
from beds import make_bed
from conftest import Bridge, wait_for
from fleet import ENDS
from gates import Gates
from movers import Movers
from registries import Watched, writes, writes_not_copied
from verdict import Verdict, print_statuses, report, timeline, wrong_statuses

NAMES = "abc"
BARE = "soak/bare"  # a topic
ABSENT = [f"91707{n:05d}" for n in range(20)]  # units that never come
COMMAND_TIMEOUT, HOLD = 5, 20
FAULT_EVERY, SETTLE, CALM = 10, 15, 15


def client(client_id, account):
    kinds = getattr(paho, "CallbackAPIVersion", None)
    c = paho.Client(*([kinds.VERSION2] if kinds else []), client_id, clean_session=False, protocol=paho.MQTTv311)
    if account:
        c.username_pw_set(*account)
    c.max_inflight_messages_set(1000)
    return c


class Observer:
    """What the fleet says: records, statuses, what became of commands. It sends the commands, too."""

    def __init__(self, port, account):
        self.records, self.repeated = {}, 0
        self.status, self.replies, self.done = {}, collections.defaultdict(dict), {}
        self.bare = set()
        ready, self.client = threading.Event(), client("soak-observer", account)
        self.client.on_message = self.on_message
        self.client.on_connect = lambda c, *a: c.subscribe([(f"trackers/+/{what}", 1) for what in ("position", "status", "cmd/reply")] + [(BARE, 1)])
        self.client.on_subscribe = lambda *a: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(30)

    def on_message(self, client, userdata, message):
        if message.topic == BARE:
            self.bare.add(message.payload.decode())
            return
        record, now = json.loads(message.payload), time.monotonic()
        kind = message.topic.rsplit("/", 1)[1]
        if kind == "position":
            key = (record["ident"], int(record["timestamp"]))
            name = (record.get("server.instance"), record["server.seqnum"])
            if key in self.records:
                self.repeated += 1
            self.records.setdefault(key, name)
        elif kind == "status":
            self.status.setdefault(message.topic.split("/")[1], []).append((now, record))
        elif message.payload not in self.replies[record.get("id")]:  # the same message twice is one
            self.replies[record.get("id")][message.payload] = (now, record)
            if record["status"] in ENDS:
                self.done.setdefault(record.get("id"), now)

    def command(self, ident, payload):
        self.client.publish(f"trackers/{ident}/cmd", json.dumps(payload), 1)

    def ends(self, id):
        return [r for _, r in self.replies.get(id, {}).values() if r["status"] in ENDS]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Bare:
    """Two clients that only publish, at the first and at the last node: what the broker acknowledges to anybody, and nobody gets."""

    def __init__(self, bed):
        self.clients, self.count, self.due, self.sent, self.acknowledged = [], 0, 0.0, {}, set()
        for n, port in enumerate({bed.ports[0]: 0, bed.ports[-1]: 0}):
            one = client(f"soak-bare{n}", bed.account)
            one.on_publish = lambda c, userdata, mid, *a, n=n: self.acknowledged.add((n, mid))
            one.reconnect_delay_set(1, 2)
            one.connect("127.0.0.1", port)
            one.loop_start()
            self.clients.append(one)

    def look(self):
        if time.monotonic() < self.due:
            return
        self.due = time.monotonic() + 0.1
        for n, one in enumerate(self.clients):
            if one.is_connected():
                self.count += 1
                self.sent[f"{self.count}"] = (n, one.publish(BARE, f"{self.count}", 1).mid)

    def taken(self):
        return {number for number, key in self.sent.items() if key in self.acknowledged}

    def close(self):
        for one in self.clients:
            one.disconnect()
            one.loop_stop()


class World:
    """Three bridges, each with its own way to the broker and to the registry."""

    def __init__(self, args, directory):
        self.args, self.directory = args, directory
        self.bed = make_bed(args.broker, directory / "broker", args.nodes)
        self.registry = Watched(directory / "registry") if not args.without else None
        self.behind = [*self.registry.servers, *self.registry.sentinels] if self.registry else []
        targets = [self.bed.ports[n % len(self.bed.ports):] + self.bed.ports[:n % len(self.bed.ports)] for n in range(len(NAMES))]
        self.gates = Gates(targets + [[one.port] for one in self.behind] * len(NAMES))
        self.bridges = {name: self.add(n, name) for n, name in enumerate(NAMES)}
        for bridge in self.bridges.values():
            wait_for(lambda: "connected to broker" in bridge.log(), "the broker connection", 60)
        if self.registry:
            wait_for(lambda: any("takes the commands" in b.log() for b in self.bridges.values()), "a router", 60)
        time.sleep(1)
        self.observer, self.bare = Observer(self.bed.ports[0], self.bed.account), Bare(self.bed)

    def to_registry(self, n):
        """The gates through which this bridge reaches the servers and the Sentinels."""
        first = len(NAMES) + n * len(self.behind)
        return range(first, first + len(self.behind))

    def add(self, n, name):
        directory = self.directory / name
        directory.mkdir()
        options = {"publish": {"instance": name}, "commands": {"timeout": "5s"}, "log": {"level": "info"},
                   "mqtt": {"port": self.gates.ports[n], **self.bed.options}}
        if self.registry:
            gates, count = self.to_registry(n), len(self.registry.servers)
            servers = [(server.port, self.gates.ports[gate]) for server, gate in zip(self.registry.servers, gates)]
            for gate in gates[count:]:
                self.gates.rename(gate, servers)
            options["cluster"] = {"registry": "redis://cars/0", "lease": f"{self.args.lease}s",
                                  "sentinels": ", ".join(f"redis://127.0.0.1:{self.gates.ports[gate]}" for gate in gates[count:])}
        return Bridge(directory, self.gates.ports[n], options)

    def router(self):
        """The bridge that takes commands, as far as the registry can be asked."""
        try:
            return (self.registry.call("GET", "t2m:router") or "").split("|")[0] if self.registry else None
        except OSError:
            return None

    def close(self):
        self.observer.close()
        self.bare.close()
        for bridge in self.bridges.values():
            if bridge.process.poll() is None:
                bridge.process.send_signal(signal.SIGCONT)
                bridge.stop()
        self.gates.close()
        if self.registry:
            self.registry.stop()
        self.bed.close()


KINDS = ("kill", "freeze", "cut broker", "cut registry", "kill registry", "promote", "promote late", "kill node")


NEED_COPY = ("kill registry", "promote", "promote late")


class Promotion:
    """A master that was killed, and what it had done that the copy had not got: that has never happened, for replication does not wait."""

    def __init__(self, registry, late):
        self.registry, self.late, self.began, self.seconds = registry, late, time.monotonic(), None
        self.killed, self.done, self.got = registry.kill_master(late)
        self.waiter = threading.Thread(target=self.wait)
        self.waiter.start()

    def wait(self):
        wait_for(lambda: self.registry.named() != self.killed.port, "a new master", 60)
        self.seconds = time.monotonic() - self.began

    def undo(self):
        self.waiter.join()
        self.killed.start()

    def compare(self):
        """What was lost: the writes (None: the logs do not show it), the commands by their own ids, the units."""
        done = writes(self.done)
        self.lost = writes_not_copied(done, writes(self.got))
        ids = {}
        for words in done:
            if words[1:2] and words[1].startswith(b"t2m:cmd:") and b"payload" in words:
                ids[words[1][8:]] = json.loads(words[words.index(b"payload") + 1])["id"]
        said = {word.split(b":", 2)[-1] if word.startswith(b"t2m:") else word for words in self.lost or () for word in words[1:]}
        self.commands = {ids.get(id, id.decode()) for id in said if id in ids}
        self.units = {word.decode() for word in said if re.fullmatch(rb"9170\d{6}", word)}


class Faults:
    """One at a time; each is told when it begins and when it is over. All kinds take turns, in an order by chance."""

    def __init__(self, world, rng):
        self.world, self.rng, self.told, self.active, self.ending = world, rng, [], None, None
        self.kills, self.promotions, self.left = [], [], []
        kinds = [kind for kind in KINDS if (world.registry or kind not in ("cut registry", *NEED_COPY)) and
                 (len(world.bed.ports) > 1 or kind != "kill node")]
        self.kinds = [kind for kind in kinds if not world.args.only or kind in world.args.only] or kinds
        self.begins = {"kill": self.kill, "freeze": self.freeze, "cut broker": self.cut, "cut registry": self.cut, "kill registry": self.kill_registry,
                       "promote": self.promote, "promote late": self.promote, "kill node": self.kill_node}

    def next_kind(self):
        """The copy of the registry takes some seconds until it can be promoted again: another kind goes before."""
        whole = not self.world.registry or self.world.registry.is_whole()
        if not self.left:
            self.left = self.rng.sample(self.kinds, len(self.kinds))
        possible = [kind for kind in self.left if whole or kind not in NEED_COPY]
        if not possible:
            possible = [kind for kind in self.kinds if kind not in NEED_COPY]
            return self.rng.choice(possible) if possible else None
        self.left.remove(possible[0])
        return possible[0]

    def begin(self):
        kind, name = self.next_kind(), self.rng.choice(NAMES)
        if kind is None:
            return
        began = time.monotonic()
        about, undo = self.begins[kind](kind, name)
        self.active = (kind, about, began + self.rng.uniform(0.3, 8), undo)
        self.told.append([kind, about, began, None])

    def kill(self, kind, name):
        bridge, router = self.world.bridges[name], self.world.router()
        bridge.stop(signal.SIGKILL)
        self.kills.append((time.monotonic(), name, router == name))
        return name, bridge.start

    def freeze(self, kind, name):
        process = self.world.bridges[name].process
        process.send_signal(signal.SIGSTOP)
        return name, lambda: process.send_signal(signal.SIGCONT)

    def cut(self, kind, name):
        n, how = NAMES.index(name), self.rng.choice(("shut", "deaf"))
        gates = self.world.to_registry(n) if kind == "cut registry" else (n,)

        def set_all(mode):
            for gate in gates:
                self.world.gates.set(gate, mode)
        set_all(how)
        return f"{name} {how}", lambda: set_all("open")

    def kill_registry(self, kind, name):
        """Both servers, the copy when it has all: whichever is back first may be the master."""
        registry = self.world.registry
        _, copy = registry.pair()
        registry.kill_master()
        copy.stop(signal.SIGKILL)
        servers = self.rng.sample(registry.servers, 2)
        return "", lambda: [server.start() for server in servers]

    def promote(self, kind, name):
        """The master; late: some milliseconds after the copy heard of it last. When the copy is the master, the one that was killed comes back, to follow it."""
        late = self.rng.uniform(0.005, 0.1) if kind == "promote late" else 0
        self.promotions.append(Promotion(self.world.registry, late))
        return "", self.promotions[-1].undo

    def kill_node(self, kind, name):
        node = self.rng.randrange(1, len(self.world.bed.ports))
        self.world.bed.kill(node)
        return f"{node + 1}", lambda: self.world.bed.start(node)

    def look(self):
        if self.active and self.ending is None and time.monotonic() > self.active[2]:
            self.ending = threading.Thread(target=self.active[3])
            self.ending.start()
        if self.ending is not None and not self.ending.is_alive():
            self.active = self.ending = None
            self.told[-1][3] = time.monotonic()

    def undisturbed(self, start, end, margin):
        """How long from start until the end, or until the first fault; was that the end? None: something was at fault then or shortly before."""
        if any(begin <= start and (over is None or over + margin > start) for _, _, begin, over in self.told):
            return None
        until = min([begin for _, _, begin, _ in self.told if begin > start] + [end])
        return until - start, until == end


class Orders:
    """Commands: which, to whom, when; and those that a unit is told again and again after it has moved, until it obeys."""

    def __init__(self, world, movers, rng):
        self.world, self.movers, self.rng = world, movers, rng
        self.sent, self.probes, self.taken, self.left = {}, {}, [], []  # left: units that were elsewhere before they had obeyed

    def one(self, ident, hold=0):
        n = len(self.sent) + 1
        key = f"{n // 3600 % 24:02}{n // 60 % 60:02}{n % 60:02}"
        unit = self.movers.units.get(ident)
        self.sent[f"c{n}"] = (ident, key, time.monotonic(), unit.at if unit else None, hold)
        self.world.observer.command(ident, {"payload": f"S71,{key},{n}", "id": f"c{n}", "timeout": COMMAND_TIMEOUT,
                                            **({"hold": hold} if hold else {})})
        return f"c{n}"

    def any(self):
        ident = self.rng.choice(ABSENT if self.rng.random() < 0.1 else list(self.movers.units))
        self.one(ident, HOLD if self.rng.random() < 0.1 else 0)

    def probe(self, unit):
        """After its first report from the new place has been acknowledged."""
        self.probes[unit.ident] = [unit.moved_at, None, unit.at]

    def look(self):
        done = self.world.observer.done
        for ident, probe in list(self.probes.items()):
            unit = self.movers.units[ident]
            if unit.moved_at != probe[0] or unit.line is None or unit.at != probe[2]:
                if probe[1] is not None:
                    self.left.append((time.monotonic() - probe[3], probe[3], time.monotonic(), ident))
                del self.probes[ident]
            elif probe[1] is None:
                if unit.line.heard:
                    probe.append(unit.line.heard)
                    probe[1] = self.one(ident)
            elif self.movers.executed.get((ident, self.sent[probe[1]][1])):
                when = self.movers.executed[(ident, self.sent[probe[1]][1])][0][0]
                self.taken.append((when - probe[3], probe[3], when, ident))
                del self.probes[ident]
            elif probe[1] in done and time.monotonic() > self.sent[probe[1]][2] + 0.1:
                probe[1] = self.one(ident)


def play(args, world, movers, faults, orders, rng):
    start = time.monotonic()
    next_move = next_order = start
    next_fault = start + 5
    while (now := time.monotonic()) < start + args.seconds or faults.active:
        movers.turn(0.02)
        faults.look()
        orders.look()
        world.bare.look()
        running = now < start + args.seconds
        if now >= next_fault and running and not faults.active:
            faults.begin()
            next_fault += FAULT_EVERY
        while now >= next_move and running:
            next_move += 0.25
            unit = rng.choice(list(movers.units.values()))
            if unit.line:
                movers.move(unit, half_open=rng.random() < 0.7)
                orders.probe(unit)
        while now >= next_order and running:
            next_order += 0.05
            orders.any()
        movers.forget_left(30)
    last = [over for *_, over in faults.told if over] + [time.monotonic()]
    gone = rng.sample(list(movers.units), len(movers.units) // 10)
    movers.away |= set(gone)
    for ident in gone:
        movers.leave(movers.units[ident], half_open=False)
    while time.monotonic() < last[-1] + SETTLE:
        movers.turn(0.1)
        orders.look()


def calm(world, movers, orders, rng):
    """Units move while nothing is at fault."""
    end = time.monotonic() + CALM
    while time.monotonic() < end:
        movers.turn(0.25)
        orders.look()
        unit = rng.choice(list(movers.units.values()))
        if unit.line and unit.ident not in movers.away:
            movers.move(unit, half_open=rng.random() < 0.7)
            orders.probe(unit)
    movers.turn(1)
    orders.look()


def cluster(args, directory):
    rng = random.Random(args.seed)
    args.settle = SETTLE
    world = World(args, directory)
    movers = Movers(args.units, {name: bridge.port for name, bridge in world.bridges.items()}, args.interval, random.Random(args.seed + 1))
    faults, orders, observer = Faults(world, rng), Orders(world, movers, rng), world.observer
    movers.turn(2 + args.units / 200)
    start = time.monotonic()
    play(args, world, movers, faults, orders, rng)
    wrong, arrived = (wrong_statuses(observer, movers, by_session) for by_session in (not args.without, False))
    calm(world, movers, orders, rng)
    end = time.monotonic() + HOLD + COMMAND_TIMEOUT + 2 * args.lease + 5
    while time.monotonic() < end and (movers.acknowledged.keys() - observer.records.keys() or not orders.sent.keys() <= observer.done.keys()):
        movers.turn(0.2)
    movers.turn(2)
    still_wrong, end = wrong_statuses(observer, movers, not args.without), time.monotonic() + 30
    while time.monotonic() < end and movers.acknowledged.keys() - observer.records.keys():
        time.sleep(0.1)  # units say nothing new meanwhile
    verdict = Verdict(movers, observer, orders, faults, COMMAND_TIMEOUT + 1)
    report(args, len(world.bed.ports), verdict, (wrong, still_wrong, arrived), world.bare.taken())
    verdict.details(start, args.show)
    print_statuses(observer, wrong, start, args.show)
    if args.timeline:
        timeline(start, faults, observer, orders)
    movers.close()
    world.close()
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
        for name, bridge in world.bridges.items():
            shutil.copy(bridge.log_path, args.keep / f"{name}.log")
    bad = len(verdict.missing) + len(verdict.nothing_happened())
    if not args.without:
        bad += len(verdict.twice) + len(verdict.odd) + len(wrong) + (len(arrived) if world.bed.ordered else 0)
    return bad
