# SPDX-License-Identifier: MIT
"""scripts/soak balancer: a fleet behind haproxy with the sample; one bridge is killed, and the records of its units go on."""

import re
import signal
import subprocess
import time

from conftest import BUILD, Bridge, Broker, Unit, free_port, wait_for
from cluster import NAMES, Observer
from fleet import Redis, haproxy_sample
from hostile import percentile, table


def start_haproxy(directory, bridges, health):
    front = free_port()
    (directory / "haproxy.cfg").write_text(haproxy_sample(front, bridges, health))
    process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", directory / "haproxy.cfg"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def answers():
        try:
            Unit(front).close()
            return True
        except OSError:
            return False
    wait_for(answers, "haproxy")
    return process, front


class Arrivals(Observer):
    """When each unit's record came, and from which bridge."""

    def __init__(self, port):
        self.came = {}
        super().__init__(port, None)

    def on_message(self, client, userdata, message):
        super().on_message(client, userdata, message)
        if message.topic.endswith("/position"):
            ident = message.topic.split("/")[1]
            name = re.search(rb'"server\.instance":"(\w+)"', message.payload)[1].decode()
            self.came.setdefault(ident, []).append((time.monotonic(), name))


def gaps(observer, victim, units, killed):
    """For each unit that was at the victim: so long after the kill its first record came through another bridge."""
    lost = [ident for ident, came in observer.came.items() if [name for when, name in came if when < killed][-1] == victim]

    def after(ident):
        return next((when - killed for when, name in observer.came[ident] if when > killed and name != victim), None)
    wait_for(lambda: all(after(ident) for ident in lost), "records of all units", 60)
    return [after(ident) for ident in lost]


def balancer(args, directory):
    (directory / "redis").mkdir()
    broker, redis = Broker(directory), Redis(directory / "redis")
    health, bridges = {name: free_port() for name in NAMES}, {}
    for name in NAMES:
        (directory / name).mkdir()
        bridges[name] = Bridge(directory / name, broker.port, {
            "listen": {"proxy_protocol": "yes"}, "publish": {"instance": name}, "metrics": {"listen": f"127.0.0.1:{health[name]}"},
            "cluster": {"registry": f"redis://127.0.0.1:{redis.port}/0"}})
    haproxy, front = start_haproxy(directory, bridges, health)
    observer, record = Arrivals(broker.port), directory / "acknowledged"
    rounds = args.kills
    sim = subprocess.Popen([BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{front}", "-n", str(args.units), "-i", "1", "-d", str(10 + 12 * rounds),
                            "--ident", "9170600001", "--reconnect", "0.2", "--ack-timeout", "5", "--record", record], stdout=subprocess.PIPE, text=True)
    wait_for(lambda: len(observer.came) == args.units, "all units", 60)
    time.sleep(3)
    found = []
    for n in range(rounds):
        victim = NAMES[n % len(NAMES)]
        bridges[victim].stop(signal.SIGKILL)
        found.append((victim, gaps(observer, victim, args.units, time.monotonic())))
        time.sleep(2)
        bridges[victim].start()
        time.sleep(6)
    said = sim.communicate(timeout=120)[0]
    acknowledged = {(ident, int(stamp)) for ident, stamp in (line.split()[:2] for line in record.read_text().splitlines())}
    wait_for(lambda: not acknowledged - observer.records.keys(), "all that was acknowledged", 60)
    table([("units, each with a report a second", args.units), ("acknowledged", len(acknowledged)),
           ("missing", len(acknowledged - observer.records.keys())), ("repeated", observer.repeated)] +
          [(f"bridge {name} killed: units, until their records went on, median, longest, s",
            f"{len(g)}, {percentile(g, .5):.2f}, {max(g, default=0):.2f}") for name, g in found])
    observer.close()
    haproxy.kill()
    for bridge in bridges.values():
        bridge.stop()
    redis.stop()
    broker.stop()
    return 0 if said and max((max(g, default=0) for _, g in found)) < 1.5 else 1
