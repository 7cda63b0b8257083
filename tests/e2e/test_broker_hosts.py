# SPDX-License-Identifier: MIT
"""[mqtt] host as a list: the next one at each attempt that fails, nothing lost when the one in use dies, and the one in use is named."""

import socket
import subprocess
import threading
import time
import urllib.request

import pytest
from conftest import BUILD, Bridge, Broker, Subscriber, Unit, free_port, v1, wait_for
from fakebroker import FIN, FakeBroker

IDENT = "9170503816"
TOPIC = f"trackers/{IDENT}/position"


@pytest.fixture
def brokers(tmp_path):
    made = []

    def make(count):
        for n in range(count):
            directory = tmp_path / f"broker{n}"
            directory.mkdir()
            made.append(Broker(directory))
        return made

    yield make
    for broker in made:
        if broker.process.poll() is None:
            broker.stop()


@pytest.fixture
def bridge_to(tmp_path):
    made = []

    def make(hosts, options=None, **mqtt):
        directory = tmp_path / f"bridge{len(made)}"
        directory.mkdir()
        made.append(Bridge(directory, 1, {"mqtt": {"host": ", ".join(f"127.0.0.1:{getattr(h, 'port', h)}" for h in hosts), **mqtt}, **(options or {})}))
        return made[-1]

    yield make
    for bridge in made:
        if bridge.process.poll() is None:
            assert bridge.stop() == 0, bridge.log()
        assert "Sanitizer" not in bridge.log(), bridge.log()


def uses(bridge, broker, count=1):
    wait_for(lambda: bridge.log().count(f"connected to broker 127.0.0.1:{broker.port}") >= count, f"the connection to {broker.port}")


class Reports:
    """A unit that reports until it is stopped; each report that the bridge acknowledged is in `times`."""

    def __init__(self, bridge):
        self.times, self.running, self.bridge = [], True, bridge
        self.lock = threading.Lock()  # whoever holds it lets no report be sent
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        unit, n = Unit(self.bridge.port), 0
        while self.running:
            with self.lock:
                unit.send(v1(IDENT, f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}"))
                unit.receive_until(b"#")
                self.times.append(n)
            n += 1
            time.sleep(0.01)
        unit.close()

    def stop(self):
        self.running = False
        self.thread.join()


@pytest.mark.parametrize("version", [5, 4])
def test_each_broker_dies_in_turn(brokers, bridge_to, version):
    """SIGKILL of the one in use, and then of the next, while a unit reports: what the unit was told is stored arrives, all of it."""
    three = brokers(3)
    subscribers = [Subscriber(b.port, TOPIC) for b in three]
    bridge = bridge_to(three, version=version)
    uses(bridge, three[0])
    reports = Reports(bridge)

    def arrived():
        return {m.record["timestamp"] % 86400 for s in subscribers for m in s.now(lambda m: True)}

    def all_arrived():
        wait_for(lambda: arrived() >= set(reports.times), "what is missing")

    for n in range(2):
        subscribers[n].on(TOPIC, 20)
        with reports.lock:  # what a broker has taken dies with it
            all_arrived()
            three[n].process.kill()
            three[n].process.wait()
        uses(bridge, three[n + 1])
    subscribers[2].on(TOPIC, 20)
    reports.stop()
    all_arrived()
    last = subscribers[2].now(lambda m: True)
    assert [m.record["server.seqnum"] for m in last] == sorted(m.record["server.seqnum"] for m in last)
    for s in subscribers:
        s.close()
    lines = [line for line in bridge.log().splitlines() if "broker" in line]
    assert len(lines) <= 2 * 3 + 1, lines  # the loss, that nobody listens there, the next one


def test_a_broker_that_is_back_is_used_again(brokers, bridge_to):
    """A short outage of the only one of two that lives: the bridge comes back to it."""
    two = brokers(2)
    bridge = bridge_to(two)
    uses(bridge, two[0])
    two[1].stop()
    two[0].stop()
    wait_for(lambda: f"{two[1].port}: Connection refused" in bridge.log(), "both are tried")
    two[0].start()
    uses(bridge, two[0], 2)


def test_commands_and_status_follow(brokers, bridge_to):
    two = brokers(2)
    bridge = bridge_to(two)
    uses(bridge, two[0])
    two[0].stop()
    uses(bridge, two[1])
    sub = Subscriber(two[1].port, "trackers/#")
    sub.on("trackers/bridge/test/status", where=lambda m: m.payload == b"online")
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    unit.receive_until(b"#")
    sub.on(TOPIC)
    sub.publish(f"trackers/{IDENT}/cmd", "S20,000000,1,1")
    assert unit.receive() == f"*HQ,{IDENT},S20,000000,1,1#".encode()
    unit.close()
    sub.close()


class Swallower:
    """A listener that never accepts, with a full backlog: attempts to connect get no answer at all."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(0)
        self.port = self.socket.getsockname()[1]
        self.held = []
        for _ in range(20):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.port))
            self.held.append(s)
        time.sleep(0.2)

    def close(self):
        for s in self.held:
            s.close()
        self.socket.close()


def test_one_that_swallows_attempts_costs_one_of_them(brokers, bridge_to):
    """Then the next one is used; and when that one is restarted, the bridge waits for it and not for the first one again."""
    (broker,) = brokers(1)
    swallower = Swallower()
    try:
        bridge = bridge_to([swallower, broker], connect_timeout="2s")
        uses(bridge, broker)
        assert f"127.0.0.1:{swallower.port}: no answer in time (2 s); nobody answers there" in bridge.log()
        broker.stop()
        wait_for(lambda: f"{broker.port}: Connection refused" in bridge.log(), "the outage")
        broker.start()
        uses(bridge, broker, 2)
        assert bridge.log().count("no answer in time") == 1
    finally:
        swallower.close()


def test_names_that_do_not_resolve(brokers, bridge_to):
    (broker,) = brokers(1)
    bridge = bridge_to([broker], host=f"nobody.invalid, 127.0.0.1:{broker.port}, other.invalid:1")
    uses(bridge, broker)
    assert "broker nobody.invalid:1: the name cannot be looked up; " in bridge.log() and "other.invalid" not in bridge.log()


def test_a_host_without_a_port_has_the_common_one(brokers, bridge_to):
    (broker,) = brokers(1)
    bridge = bridge_to([], host=f"127.0.0.1:{free_port()}, 127.0.0.1", port=broker.port)
    uses(bridge, broker)


def test_stats_and_healthz_name_the_one_in_use(brokers, bridge_to):
    two = brokers(2)
    port = free_port()
    bridge = bridge_to([free_port(), two[1]], {"metrics": {"listen": f"127.0.0.1:{port}"}})
    uses(bridge, two[1])
    sub = Subscriber(two[1].port, "trackers/bridge/test/stats")
    assert sub.on("trackers/bridge/test/stats")[-1].record["mqtt.broker"] == f"127.0.0.1:{two[1].port}"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
        assert answer.read().decode() == f"ok\nbroker 127.0.0.1:{two[1].port}\n"
    sub.close()


def test_one_that_lasts_only_briefly_does_not_keep_the_bridge(bridge_to, brokers):
    """It accepts and closes: the next one is used, and stays."""
    (broker,) = brokers(1)
    fake = FakeBroker()
    fake.on_publish = lambda p: FIN
    try:
        bridge = bridge_to([fake, broker])
        uses(bridge, broker)
        before = fake.connections
        sub = Subscriber(broker.port, TOPIC)
        unit = Unit(bridge.port)
        unit.send(v1(IDENT))
        unit.receive_until(b"#")
        sub.on(TOPIC)
        assert fake.connections == before
        unit.close()
        sub.close()
    finally:
        fake.close()


def test_each_has_its_own_version(bridge_to):
    """One of 3.1.1 and one of 5: each is spoken to in its own."""
    old, new = FakeBroker(), FakeBroker()
    old.on_connect = lambda number: FIN if old.connects[-1][6] == 5 else 0
    try:
        bridge = bridge_to([old, new])
        uses(bridge, old)
        old.on_connect = lambda number: FIN
        old.drop_all()
        uses(bridge, new)
        assert set(new.versions()) == {5} and {4, 5} == set(old.versions())
    finally:
        old.close()
        new.close()


def test_a_session_of_brokers_that_are_no_cluster_is_not_mixed_up(bridge_to):
    """The second one has no session of the bridge; then the first one's is out of date, and is begun anew."""
    first, second = FakeBroker(), FakeBroker()
    try:
        bridge = bridge_to([first, second])
        uses(bridge, first)
        first.on_connect = lambda number: FIN
        first.present = True
        first.drop_all()
        uses(bridge, second)
        first.on_connect = lambda number: 0
        second.on_connect = lambda number: FIN
        second.drop_all()
        uses(bridge, first, 2)
        assert first.connects[-1][7] & 2, "clean start"
    finally:
        first.close()
        second.close()


def test_a_session_of_a_cluster_goes_on(bridge_to):
    first, second = FakeBroker(), FakeBroker()
    second.present = True
    try:
        bridge = bridge_to([first, second])
        uses(bridge, first)
        first.on_connect = lambda number: FIN
        first.drop_all()
        uses(bridge, second)
        assert not second.connects[-1][7] & 2, "resumed"
        first.on_connect = lambda number: 0
        first.present = True
        second.on_connect = lambda number: FIN
        second.drop_all()
        uses(bridge, first, 2)
        assert not first.connects[-1][7] & 2, "resumed"
    finally:
        first.close()
        second.close()


@pytest.mark.parametrize("host, words", [
    ("a:1883, b:99999", "comma-separated, each with :port"), ("a, ", "up to 8 names"), ("a, b, c, d, e, f, g, h, i", "up to 8 names"),
    ("a, mqtt://b", "host = b"), ("a, me:s3cret@b", "(hidden)@b"), ("me:s3cret@a, mqtt://b", "(hidden)@"), ("me:s3c://ret@a", "(hidden)@a"),
    ("mqtt://me:s3cret,@a, b", "mqtt://(hidden)@a"), ("a, b/c", "up to 8 names")], ids=range(9))
def test_lists_with_faults(tmp_path, host, words):
    ini = tmp_path / "bad.ini"
    ini.write_text(f"[mqtt]\nhost = {host}\n")
    done = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and words in done.stderr and "s3c" not in done.stderr + done.stdout, done.stderr


@pytest.mark.parametrize("host", ["a, b", "a:1884,b:1885 , c", "[::1]:1883, ::1, 10.0.0.1:1", "a,b,c,d,e,f,g,h"])
def test_lists_without(tmp_path, host):
    ini = tmp_path / "good.ini"
    ini.write_text(f"[mqtt]\nhost = {host}\n[outbox]\npath =\n")
    done = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
