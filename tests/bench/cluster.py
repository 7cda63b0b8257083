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


def instructions(directory, broker, redis, sim, program, limits):
    """Of the bridge alone, for a record, once warm: two runs that differ only in the number of records. Kernel and network are not in it. The
    reports come at a pace at which each is worked on by itself, for how many go together would change more than what is measured."""
    counts = []
    for reports in (50, 250):
        place = pathlib.Path(tempfile.mkdtemp(dir=directory))
        options = {**COMMON, "outbox": {"sync": "never"}, "limits": limits}
        if redis:
            options["cluster"] = {"registry": f"redis://127.0.0.1:{redis.port}/0"}
        bridge = Bridge(place, broker.port, options, program=["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program])
        time.sleep(3)
        subprocess.run([sim, "-s", f"127.0.0.1:{bridge.port}", "-n", "20", "-i", "0.2", "-r", str(reports), "--ack-timeout", "60"], check=True,
                       stdout=subprocess.DEVNULL)
        time.sleep(2)
        bridge.stop()
        counts.append(int(re.search(r"Collected : (\d+)", bridge.log())[1]))
    return (counts[1] - counts[0]) / 20 / 200


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
        runs = [[instructions(directory, broker, r, sim, bench / "tracker2mqtt", limits) for r in (None, redis)] for _ in range(args.runs)]
        off, on = (statistics.median(run[n] for run in runs) for n in (0, 1))
        redis.stop()
        memory, (registry, everything) = claims(directory, broker, args, sim, limits)
        broker.stop()
    table(("instructions a record, each run", "off", "on", "more"),
          [*((n + 1, f"{a:.0f}", f"{b:.0f}", f"{(b / a - 1) * 100:+.1f} %") for n, (a, b) in enumerate(runs)),
           ("median", f"{off:.0f}", f"{on:.0f}", f"{(on / off - 1) * 100:+.1f} %")])
    table(("units", "bytes a unit in Redis", "claimed after Redis began anew, s", "after all began anew, s"),
          [(args.fleet, f"{memory:.0f}", f"{registry:.1f}", f"{everything:.1f}")])
