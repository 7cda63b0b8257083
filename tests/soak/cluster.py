# SPDX-License-Identifier: MIT
"""scripts/soak cluster: three bridges that are one fleet; units move, commands go out, and every ten seconds something fails."""

import collections
import json
import random
import signal
import threading
import time

import paho.mqtt.client as paho
from beds import make_bed
from conftest import Bridge, wait_for
from fleet import ENDS, Redis
from gates import Gates
from hostile import percentile, table
from movers import Movers

NAMES = "abc"
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
        self.records, self.repeated, self.unlike = {}, 0, 0
        self.status, self.replies, self.done = {}, collections.defaultdict(dict), {}
        self.first_heard = {}
        ready, self.client = threading.Event(), client("soak-observer", account)
        self.client.on_message = self.on_message
        self.client.on_connect = lambda c, *a: c.subscribe([(f"trackers/+/{what}", 1) for what in ("position", "status", "cmd/reply")])
        self.client.on_subscribe = lambda *a: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(30)

    def on_message(self, client, userdata, message):
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


class World:
    """Three bridges, each with its own way to the broker and to the registry."""

    def __init__(self, args, directory):
        self.args, self.directory = args, directory
        self.bed = make_bed(args.broker, directory / "broker", args.nodes)
        (directory / "redis").mkdir()
        self.redis = Redis(directory / "redis", ("--appendonly", "yes")) if not args.without else None
        targets = [self.bed.ports[n % len(self.bed.ports):] + self.bed.ports[:n % len(self.bed.ports)] for n in range(len(NAMES))]
        self.gates = Gates(targets + ([[self.redis.port]] * len(NAMES) if self.redis else []))
        self.bridges = {name: self.add(n, name) for n, name in enumerate(NAMES)}
        for bridge in self.bridges.values():
            wait_for(lambda: "connected to broker" in bridge.log(), "the broker connection", 60)
        if self.redis:
            wait_for(lambda: any("takes the commands" in b.log() for b in self.bridges.values()), "a router", 60)
        time.sleep(1)
        self.observer = Observer(self.bed.ports[0], self.bed.account)

    def add(self, n, name):
        directory = self.directory / name
        directory.mkdir()
        options = {"publish": {"instance": name}, "commands": {"timeout": "5s"}, "log": {"level": "info"},
                   "mqtt": {"port": self.gates.ports[n], **self.bed.options}}
        if self.redis:
            options["cluster"] = {"registry": f"redis://127.0.0.1:{self.gates.ports[len(NAMES) + n]}/0", "lease": f"{self.args.lease}s"}
        return Bridge(directory, self.gates.ports[n], options)

    def router(self):
        value = self.redis.call("GET", "t2m:router") if self.redis and self.redis.process.poll() is None else None
        return value.split("|")[0] if value else None

    def close(self):
        self.observer.close()
        for bridge in self.bridges.values():
            if bridge.process.poll() is None:
                bridge.process.send_signal(signal.SIGCONT)
                bridge.stop()
        self.gates.close()
        if self.redis:
            self.redis.stop()
        self.bed.close()


class Faults:
    """One at a time; each is told when it begins and when it is over."""

    def __init__(self, world, rng):
        self.world, self.rng, self.told, self.active, self.ending = world, rng, [], None, None
        self.kills = []
        self.kinds = ["kill", "freeze", "cut broker"] + (["cut registry", "kill registry"] if world.redis else []) + \
            (["kill node"] if len(world.bed.ports) > 1 else [])
        self.kinds = [kind for kind in self.kinds if not world.args.only or kind in world.args.only] or self.kinds

    def begin(self):
        kind, name = self.rng.choice(self.kinds), self.rng.choice(NAMES)
        seconds = self.rng.uniform(0.3, 8)
        n, w = NAMES.index(name), self.world
        bridge = w.bridges[name]
        if kind == "kill":
            bridge.stop(signal.SIGKILL)
            self.kills.append((time.monotonic(), name))
            undo = bridge.start
        elif kind == "freeze":
            bridge.process.send_signal(signal.SIGSTOP)
            undo = lambda: bridge.process.send_signal(signal.SIGCONT)  # noqa: E731
        elif kind in ("cut broker", "cut registry"):
            gate = n + (len(NAMES) if kind == "cut registry" else 0)
            w.gates.set(gate, self.rng.choice(("shut", "deaf")))
            undo = lambda: w.gates.set(gate, "open")  # noqa: E731
        elif kind == "kill registry":
            w.redis.stop(signal.SIGKILL)
            undo, name = w.redis.start, ""
        else:
            node = self.rng.randrange(1, len(w.bed.ports))
            w.bed.kill(node)
            undo, name = (lambda: w.bed.start(node)), f"{node + 1}"
        self.active = (kind, name, time.monotonic() + seconds, undo)
        self.told.append([kind, name, time.monotonic(), None])

    def look(self):
        if self.active and self.ending is None and time.monotonic() > self.active[2]:
            self.ending = threading.Thread(target=self.active[3])
            self.ending.start()
        if self.ending is not None and not self.ending.is_alive():
            self.active = self.ending = None
            self.told[-1][3] = time.monotonic()

    def quiet(self, start, end, margin):
        """Was nothing at fault, nor shortly before?"""
        return not any(begin < end and (over is None or over + margin > start) for _, _, begin, over in self.told)


class Orders:
    """Commands: which, to whom, when; and those that a unit is told again and again after it has moved, until it obeys."""

    def __init__(self, world, movers, rng):
        self.world, self.movers, self.rng = world, movers, rng
        self.sent, self.probes, self.taken = {}, {}, []

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
                del self.probes[ident]  # it has moved again
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
    return gone


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


def newest(told, by_session):
    """The status that came last, or the one with the highest session: a broker that delivers again what was acknowledged delivers what is old."""
    records = [record for _, record in told] or [{}]
    return max(records, key=lambda r: (r.get("session", 0), r.get("since", 0))) if by_session else records[-1]


def wrong_statuses(world, movers, by_session=False):
    wrong = []
    for ident, unit in movers.units.items():
        told = newest(world.observer.status.get(ident, []), by_session)
        true = ("offline", None) if ident in movers.away else ("online", unit.at)
        if told.get("state") != true[0] or (true[1] and told.get("instance") != true[1]):
            wrong.append((ident, true, {k: told.get(k) for k in ("state", "instance", "reason", "session")}))
    return wrong


def judge_orders(world, movers, faults, orders):
    """Commands that were executed twice; those whose number of ends is not one, apart from those whose instance was killed meanwhile."""
    twice = [(id, movers.executed[(ident, key)]) for id, (ident, key, *_) in orders.sent.items() if len(movers.executed[(ident, key)]) > 1]
    odd, named = [], []
    for id, (ident, _, when, at, hold) in orders.sent.items():
        ends = [r["status"] for r in world.observer.ends(id)]
        if len(ends) == 1:
            continue
        killed = [name for t, name in faults.kills if when - 1 < t < when + COMMAND_TIMEOUT + hold + 1]
        (named if not ends and killed else odd).append(
            (id, ident, at, [r["status"] + "@" + str(r.get("server.instance", "")) for _, r in world.observer.replies.get(id, {}).values()],
             [r.get("reason") for r in world.observer.ends(id)], killed))
    return twice, odd, named


def timeline(start, faults, observer, orders):
    """Each fault, and what ends commands had in each second."""
    for kind, name, begin, over in faults.told:
        print(f"  {begin - start:6.1f} to {(over or 0) - start:6.1f} s: {kind} {name}")
    seconds = collections.defaultdict(collections.Counter)
    for id in orders.sent:
        for when, r in observer.replies.get(id, {}).values():
            if r["status"] in ENDS:
                seconds[int(when - start)][r["status"] + (" " + r["reason"] if r["status"] == "rejected" else "")] += 1
    for second in sorted(seconds):
        print(f"  {second:4} s: {dict(seconds[second])}")


def cluster(args, directory):
    rng = random.Random(args.seed)
    world = World(args, directory)
    movers = Movers(args.units, {name: bridge.port for name, bridge in world.bridges.items()}, args.interval, random.Random(args.seed + 1))
    faults, orders = Faults(world, rng), Orders(world, movers, rng)
    movers.turn(2 + args.units / 200)
    start = time.monotonic()
    gone = play(args, world, movers, faults, orders, rng)
    wrong, arrived = (wrong_statuses(world, movers, by_session) for by_session in (not args.without, False))
    calm(world, movers, orders, rng)
    end = time.monotonic() + HOLD + COMMAND_TIMEOUT + 2 * args.lease + 5
    observer = world.observer
    while time.monotonic() < end and (movers.acknowledged.keys() - observer.records.keys() or not orders.sent.keys() <= observer.done.keys()):
        movers.turn(0.2)
    movers.turn(2)
    still_wrong = wrong_statuses(world, movers, not args.without)
    missing = movers.acknowledged.keys() - observer.records.keys()
    twice, odd, named = judge_orders(world, movers, faults, orders)
    margin = args.lease + 3
    quiet = [t for t, begin, when, _ in orders.taken if faults.quiet(begin, when, margin)]
    times = collections.Counter(kind for kind, *_ in faults.told)
    kinds = collections.Counter(r["status"] for id in orders.sent for r in observer.ends(id))
    table([("fleet", f"3 bridges, {'no [cluster]' if args.without else f'lease {args.lease} s'}, broker {args.broker} x {len(world.bed.ports)}, "
            f"{args.units} units, {args.seconds:.0f} s, seed {args.seed}"),
           ("faults", ", ".join(f"{n} x {kind}" for kind, n in sorted(times.items()))),
           ("moves, 7 of 10 half open", movers.moves), ("other reconnects", movers.reconnects),
           ("acknowledged", len(movers.acknowledged)), ("missing", len(missing)), ("repeated", observer.repeated),
           ("commands", len(orders.sent)), ("ends", ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))),
           ("executed more than once", len(twice)), ("written into dead connections", movers.into_left),
           ("ends other than exactly one", len(odd)), ("no end, its instance was killed in the act", len(named)),
           (f"statuses wrong {SETTLE} s after the last fault", len(wrong)), ("  wrong at the very end", len(still_wrong)), ("  wrong by the status that came last, not by its session", len(arrived)),
           ("units that were to be off line by then", len(gone)),
           ("moved units told to obey", len(orders.taken)),
           ("until a moved unit took a command, longest, s", f"{max([t for t, *_ in orders.taken], default=0):.2f}"),
           (f"  with no fault meanwhile nor {margin} s before, median, longest, s (of {len(quiet)})",
            f"{percentile(quiet, .5):.3f}, {max(quiet, default=0):.2f}")])
    for name, rows in (("missing", sorted((round(movers.acknowledged[key][0] - start, 1), movers.acknowledged[key][1], *key) for key in missing)), ("executed more than once", twice), ("odd ends", odd), ("no end, killed", named), ("wrong status", wrong)):
        for row in rows[:args.show]:
            print(f"  {name}: {row}")
    for ident, *_ in wrong[:args.show]:
        print(f"  statuses of {ident}:", *(f"{when - start:.1f} s {r['state']} {r['instance']} {r['session']}" for when, r in observer.status.get(ident, [])[-6:]))
    if args.timeline:
        timeline(start, faults, observer, orders)
    movers.close()
    world.close()
    return len(missing) + len(twice) + len(odd) + len(wrong) + (len(arrived) if world.bed.ordered else 0) if not args.without else len(missing)
