# SPDX-License-Identifier: MIT
"""scripts/bench cluster: what [cluster] costs: instructions for a record, memory in the registry for a unit, time until all are claimed."""

import pathlib
import re
import statistics
import subprocess
import tempfile
import time

from conftest import Bridge, Broker, wait_for
from fleet import Redis

COMMON = {"log": {"level": "warning"}, "publish": {"stats_interval": "1h"}}


def running_ns(bridge):
    return int(pathlib.Path(f"/proc/{bridge.process.pid}/schedstat").read_text().split()[0])


def side_by_side(directory, broker, redis, sim, limits, rate=2500, seconds=12):
    """Two bridges at the same time, one with [cluster] and one without, each with so many reports a second: CPU for a report, microseconds."""
    bridges, loads, units = [], [], 200
    for on in (False, True):
        place = pathlib.Path(tempfile.mkdtemp(dir=directory))
        bridges.append(Bridge(place, broker.port, {
            **COMMON, "outbox": {"sync": "interval"}, "limits": limits, "publish": {**COMMON["publish"], "instance": f"i{int(on)}"},
            **({"cluster": {"registry": f"redis://127.0.0.1:{redis.port}/0"}} if on else {})}))
    time.sleep(2)
    for n, bridge in enumerate(bridges):
        loads.append(subprocess.Popen([sim, "-s", f"127.0.0.1:{bridge.port}", "-n", str(units), "-i", str(units / rate), "-d", str(seconds + 6),
                                       "--ident", f"917{n}000001"], stdout=subprocess.DEVNULL))
    time.sleep(3)
    before = [running_ns(bridge) for bridge in bridges]
    time.sleep(seconds)
    used = [(running_ns(bridge) - was) / 1000 / (rate * seconds) for bridge, was in zip(bridges, before)]
    for load in loads:
        load.wait()
    for bridge in bridges:
        bridge.stop()
    return used


def claimed(redis, names):
    return sum(redis.call("SCARD", f"t2m:units:{name}") for name in names)


def claims(directory, broker, args, sim, limits, names="abc", each=12000, every=20):
    redis = Redis(directory / "redis")
    bridges = {}
    for name in names:
        (directory / name).mkdir()
        bridges[name] = Bridge(directory / name, broker.port, {
            **COMMON, "publish": {**COMMON["publish"], "instance": name}, "outbox": {"sync": "interval"}, "limits": limits,
            "cluster": {"registry": f"redis://127.0.0.1:{redis.port}/0"}})
    time.sleep(2)
    before = int(re.search(r"used_memory:(\d+)", redis.call("INFO", "memory"))[1])
    groups = [(n, min(each, args.fleet - n)) for n in range(0, args.fleet, each)]
    loads = [subprocess.Popen([sim, "-s", f"127.0.0.1:{list(bridges.values())[k % len(names)].port}", "-t", "udp", "-n", str(units), "-i",
                               str(every), "-r", "1000", "--ident", str(9170000000 + n), "--bind", f"127.0.0.{k + 2}"],
                              stdout=subprocess.DEVNULL) for k, (n, units) in enumerate(groups)]
    wait_for(lambda: claimed(redis, names) == args.fleet, "all claims", 120)
    time.sleep(every)
    memory = (int(re.search(r"used_memory:(\d+)", redis.call("INFO", "memory"))[1]) - before) / args.fleet
    taken = []
    for restart in ("registry", "all"):
        if restart == "all":
            for bridge in bridges.values():
                bridge.process.kill()
                bridge.process.wait()
        redis.process.kill()
        redis.process.wait()
        start = time.monotonic()
        redis.start()
        if restart == "all":
            for bridge in bridges.values():
                bridge.start()
        wait_for(lambda: claimed(redis, names) == args.fleet, f"all claims after a restart of {restart}", 180)
        taken.append(time.monotonic() - start)
    for load in loads:
        load.kill()
        load.wait()
    for bridge in bridges.values():
        bridge.stop()
    redis.stop()
    return memory, taken


def cluster(args, bench, table, limits):
    sim = bench / "tracker2mqtt-sim"
    with tempfile.TemporaryDirectory(prefix="bench.") as temporary:
        directory = pathlib.Path(temporary)
        broker = Broker(directory)
        redis = Redis(directory / "counted")
        runs = [side_by_side(directory, broker, redis, sim, limits) for _ in range(args.runs)]
        redis.stop()
        memory, (registry, everything) = claims(directory, broker, args, sim, limits)
        broker.stop()
    table(("CPU us a record, 2,500/s each at the same time", "off", "on", "more"),
          [*((n + 1, f"{off:.1f}", f"{on:.1f}", f"{(on / off - 1) * 100:+.1f} %") for n, (off, on) in enumerate(runs)),
           ("median of the ratios", "", "", f"{(statistics.median(on / off for off, on in runs) - 1) * 100:+.1f} %")])
    table(("units", "bytes a unit in Redis", "claimed after Redis began anew, s", "after all began anew, s"),
          [(args.fleet, f"{memory:.0f}", f"{registry:.1f}", f"{everything:.1f}")])
