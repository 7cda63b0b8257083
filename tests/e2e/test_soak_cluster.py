# SPDX-License-Identifier: MIT
"""What judges a fleet in scripts/soak cluster: nothing is wrong with a good fleet, and each error that is planted is noticed, and nothing else."""

import argparse
import json
import random
import signal
import socket
import sys
import threading
import time

import pytest

from conftest import ROOT, wait_for
from fleet import accept_each, cut

sys.path.insert(0, str(ROOT / "tests/soak"))
import cluster  # noqa: E402
from movers import Movers  # noqa: E402
from registries import Watched, writes, writes_not_copied  # noqa: E402
from verdict import Verdict, wrong_statuses  # noqa: E402


def test_what_a_killed_master_takes_with_it(tmp_path):
    """Each write that was done is at the copy that is promoted, or is named as lost."""
    registry, done, over = Watched(tmp_path / "registry", sentinels=1), [], threading.Event()
    master, copy = registry.pair()

    def write():
        while not over.is_set():
            try:
                master.call("EVAL", "redis.call('SET', KEYS[1], 1) redis.call('SADD', 'all', KEYS[1])", 1, f"k{len(done)}")
                done.append(f"k{len(done)}")
            except (OSError, ValueError):
                return
    writer = threading.Thread(target=write)
    writer.start()
    wait_for(lambda: len(done) > 100, "writes")
    killed, log, got = registry.kill_master(late=0.1)
    over.set()
    writer.join()
    assert killed is master
    wait_for(lambda: registry.named() == copy.port, "the promotion")
    lost = writes_not_copied(writes(log), writes(got))
    names = {words[1].decode() for words in lost if words[0].upper() == b"SET"}
    assert names and set(done) <= names | {key for key in done if copy.call("GET", key) == "1"}
    assert not any(copy.call("EXISTS", name) for name in names)
    registry.stop()


class Liar:
    """It acknowledges what units report and tells nobody; whoever reports is told the same thing twice."""

    def __init__(self):
        self.server, self.says, self.open = socket.create_server(("127.0.0.1", 0)), "", []
        self.port = self.server.getsockname()[1]
        accept_each(self.server, self.take)

    def take(self, client):
        self.open.append(client)
        threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client):
        try:
            while data := client.recv(4096):
                for frame in data.decode().split("#")[:-1]:
                    ident, kind = frame.split(",")[1:3]
                    if kind == "V1":
                        client.sendall(f"*HQ,{ident},V4,V1,20260101000000#{self.says}".encode())
        except OSError:
            pass

    def close(self):
        self.server.close()
        cut(*self.open)


class Run:
    """A whole world with few units; nothing is at fault unless the test does it."""

    def __init__(self, directory):
        args = argparse.Namespace(broker="mosquitto", nodes=1, without=False, lease=4, only=None)
        self.world, self.liar = cluster.World(args, directory), Liar()
        self.observer = self.world.observer
        self.movers = Movers(16, {name: bridge.port for name, bridge in self.world.bridges.items()}, 0.3)
        self.faults = cluster.Faults(self.world, random.Random(1))
        self.orders = cluster.Orders(self.world, self.movers, random.Random(1))
        self.fresh = list(self.movers.units.values())

    def until(self, condition, what):
        def turn():
            self.movers.turn(0.05)
            self.orders.look()
            return condition()
        wait_for(turn, what, 30)

    def verdict(self):
        return Verdict(self.movers, self.observer, self.orders, self.faults, 6)

    def noticed(self):
        v = self.verdict()
        return {"missing": {ident for ident, _ in v.missing}, "twice": {row[0] for row in v.twice}, "odd": {row[0] for row in v.odd},
                "killed": {row[0] for row in v.killed}, "wrong": {row[0] for row in wrong_statuses(self.observer, self.movers)},
                "wrong by session": {row[0] for row in wrong_statuses(self.observer, self.movers, by_session=True)}}

    def new(self):
        return {what: those - self.known[what] for what, those in self.noticed().items() if those - self.known[what]}

    def finds(self, **expected):
        """Of these kinds these alone; what is on its way yet is no error."""
        self.until(lambda: {what: those for what, those in self.new().items() if what not in ("wrong", "wrong by session") or what in expected} ==
                   expected, f"{expected}, of {self.new()}")

    def ended(self, *ids):
        self.until(lambda: all(self.observer.ends(id) for id in ids), "the ends")

    def close(self):
        self.movers.close()
        self.liar.close()
        self.world.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("world"))
    yield run
    run.close()


@pytest.fixture
def run(world):
    """What an earlier test has planted is known; the units of this one are its own."""
    world.faults.kills = []
    world.until(lambda: all(u.line and not u.unacknowledged for u in world.fresh), "all on line")
    world.until(lambda: not {row[0] for row in wrong_statuses(world.observer, world.movers)} & {u.ident for u in world.fresh}, "true statuses")
    world.unit, world.other = world.fresh.pop(), world.fresh.pop()
    world.until(lambda: all(world.observer.ends(id) for id in world.orders.sent), "all ends")
    world.known = world.noticed()
    world.known["missing"] = {unit.ident for unit in world.movers.units.values() if "liar" in [at for _, at in unit.visited]}
    return world


def say(run, ident, what, record):
    count = len(run.observer.status.get(ident, [])) + len(run.observer.replies.get(record.get("id"), {}))
    run.observer.client.publish(f"trackers/{ident}/{what}", json.dumps({"ident": ident, **record}), 1)
    wait_for(lambda: len(run.observer.status.get(ident, [])) + len(run.observer.replies.get(record.get("id"), {})) > count, "it is heard")


def test_a_good_fleet_and_a_judge_who_has_seen_nothing(run):
    before = run.verdict().nothing_happened()
    assert "commands" in before and "commands executed" in before and "faults" in before
    run.ended(run.orders.one(run.unit.ident), run.orders.one(run.other.ident))
    run.until(lambda: not any(run.noticed().values()), "that nothing is wrong")
    assert set(run.verdict().nothing_happened()) == {"moved units that obeyed", "faults"}


@pytest.mark.parametrize("record", ({"state": "offline", "instance": "c", "reason": "closed"}, {"state": "online", "instance": "nowhere"}))
def test_a_wrong_status_is_noticed(run, record):
    """Both ways to read it: by what came last, and by the highest session."""
    say(run, run.unit.ident, "status", {**record, "session": 1 << 52, "since": 1})
    run.finds(**{"wrong": {run.unit.ident}, "wrong by session": {run.unit.ident}})


def test_a_unit_that_is_gone_must_be_told_as_off_line(run):
    ident = run.unit.ident
    run.movers.away.add(ident)
    run.finds(**{"wrong": {ident}, "wrong by session": {ident}})
    run.movers.leave(run.unit, half_open=False)
    run.until(lambda: ident not in run.new().get("wrong", ()), "off line")


def test_a_record_that_is_lost_and_a_command_executed_twice(run):
    id = run.orders.one(run.unit.ident)
    run.ended(id)
    ident, key, *_ = run.orders.sent[id]
    run.liar.says = f"*HQ,{ident},S71,{key},1#"
    run.movers.places = {**run.movers.places, "liar": run.liar.port}
    run.movers.move(run.unit, half_open=True, at="liar")
    run.until(lambda: len(run.movers.executed[(ident, key)]) > 1, "it obeys once more")
    run.finds(missing={ident}, twice={id})
    del run.movers.places["liar"]
    run.liar.close()


def test_two_ends_are_noticed(run):
    ids = [run.orders.one(run.unit.ident), run.orders.one(run.other.ident)]
    run.ended(*ids)
    run.finds()
    say(run, run.unit.ident, "cmd/reply", {"id": ids[0], "status": "offline", "reason": "planted", "server.instance": "b"})
    run.finds(odd={ids[0]})


def test_no_end_is_noticed_and_only_the_death_of_its_own_bridge_explains_it(run):
    for bridge in run.world.bridges.values():
        bridge.process.send_signal(signal.SIGSTOP)
    id, home = run.orders.one(run.unit.ident), run.unit.at
    elsewhere = next(name for name in cluster.NAMES if name != home)
    run.finds(odd={id})
    for kill in ((time.monotonic(), elsewhere, False), (time.monotonic() - 30, home, True)):
        run.faults.kills = [kill]
        run.finds(odd={id})
    for kill in ((time.monotonic(), home, False), (time.monotonic(), elsewhere, True)):
        run.faults.kills = [kill]
        run.finds(killed={id})
    run.movers.move(run.unit, half_open=True, at=elsewhere)
    run.faults.kills = [(time.monotonic(), elsewhere, False)]
    run.finds(killed={id})
    for bridge in run.world.bridges.values():
        bridge.process.send_signal(signal.SIGCONT)
