# SPDX-License-Identifier: MIT
"""scripts/soak truth: 300 units on line, moving and gone; bridge and broker are killed in every order; after at most [units] return all that
the broker retains of each unit is as it is."""

import itertools
import random
import signal
import time

from conftest import Bridge, Broker, Subscriber
from hostile import table
from test_truth import FLEET, Fleet

ORDERS = [order for n in (1, 2, 3) for order in itertools.product(("bridge", "broker"), repeat=n)]


def units_file(directory, each):
    path = directory / "units.ini"
    path.write_text("".join(f"[91701{n:05d}]\n" for n in range(3 * each)))
    return path


def kill_in_order(order, bridge, broker, fleet, rng):
    """The one that is killed first may stay away until the other one has been killed, too."""
    waiting = []
    for name in order:
        process = {"bridge": bridge, "broker": broker}[name]
        if process in waiting:
            waiting.remove(process)
            process.start()
        process.stop(signal.SIGKILL)
        if rng.random() < 0.5:
            process.start()
        else:
            waiting.append(process)
        if bridge.process.poll() is None and "bridge" not in order:
            fleet.move_on()
    for process in waiting:
        process.start()


def one_world(args, directory, persistent, rng):
    directory.mkdir()
    broker = Broker(directory, "autosave_interval 1\nautosave_on_changes true\n" if persistent else "")
    if not persistent:
        broker.stop()
        broker.config.write_text(broker.config.read_text().replace("persistence true", "persistence false"))
        broker.start()
    options = {**FLEET, "log": {"level": "notice"}}
    options["units"] = {**FLEET["units"], "file": units_file(directory, args.units // 3)}
    (directory / "b").mkdir()
    bridge = Bridge(directory / "b", broker.port, options)
    bridge.wait_connected()
    alarms = Subscriber(broker.port, "trackers/+/alarm")
    fleet = Fleet(bridge, args.units // 3)
    fleet.is_true(broker)
    rows, longest, raised = [], 0.0, {m.record["server.seqnum"] for m in alarms.now(lambda m: True)}
    for order in ORDERS * args.rounds:
        kill_in_order(order, bridge, broker, fleet, rng)
        bridge.wait_connected(forwards=False)
        start = time.monotonic()
        if "bridge" in order:
            fleet.come_back()
        fleet.move_on()
        fleet.is_true(broker)
        longest = max(longest, time.monotonic() - start)
        raised |= {m.record["server.seqnum"] for m in alarms.now(lambda m: True)}
        rows.append((" ".join(order), len(fleet.idents)))
    alarms.close()
    bridge.stop()
    broker.stop()
    return rows, longest, len(raised)


def truth(args, directory):
    repeated = 0
    for persistent in (True, False):
        rng = random.Random(args.seed)
        rows, longest, raised = one_world(args, directory / str(persistent), persistent, rng)
        repeated += raised - 1
        table([("broker keeps what it retains over a kill", "yes" if persistent else "no"), ("orders of kills", len(rows)),
               ("units compared after each", rows[0][1]), ("units whose status or state was not true", 0),
               ("longest until all was true, s", f"{longest:.1f}"), ("alarms repeated", raised - 1)])
    return repeated
