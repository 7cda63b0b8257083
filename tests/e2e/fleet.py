# SPDX-License-Identifier: MIT
"""A fleet: a Redis, a broker, and several bridges that know of each other; units that answer commands."""

import json
import pathlib
import re
import signal
import socket
import subprocess
import threading

import pytest

from conftest import BUILD, PATIENCE, ROOT, Bridge, Unit, free_port, stop, v1, wait_for

ENDS = ("answered", "timeout", "offline", "expired", "rejected")


class Redis:
    def __init__(self, directory, extra=()):
        self.port, self.directory, self.extra = free_port(), pathlib.Path(directory), list(extra)
        self.directory.mkdir(exist_ok=True)
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", self.directory, *self.extra], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.answers(), "redis")

    def answers(self):
        try:
            return self.call("PING") in ("PONG", None)
        except OSError:
            return False

    def call(self, *words):
        """One call; a list, a text, a number or None."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            s.sendall(b"*%d\r\n" % len(words) + b"".join(
                b"$%d\r\n%s\r\n" % (len(w), w) for w in (str(word).encode() for word in words)))
            file = s.makefile("rb")
            return self.read(file)

    def read(self, file):
        line = file.readline()
        kind, rest = line[:1], line[1:].strip().decode()
        if kind in (b"+", b"-"):
            return rest if kind == b"+" else None
        if kind == b":":
            return int(rest)
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else file.read(n + 2)[:-2].decode(errors="replace")
        return [self.read(file) for _ in range(max(int(rest), 0))]

    def heard(self, word):
        """The calls that have this word from now on, as they come, also those of scripts."""
        calls, s = [], socket.create_connection(("127.0.0.1", self.port), 5)
        s.settimeout(None)
        s.sendall(b"MONITOR\r\n")
        file = s.makefile("rb")
        assert file.readline() == b"+OK\r\n"

        def listen():
            for line in file:
                if b'"%s"' % word.encode() in line:
                    calls.append(line)
        threading.Thread(target=listen, daemon=True).start()
        return calls

    def stop(self, sig=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            stop(self.process, sig)


def cut(*sockets):
    for s in sockets:
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def accept_each(server, handle):
    """`handle(socket)` for each connection, until the server is closed; in a thread."""
    def accept():
        while True:
            try:
                client = server.accept()[0]
            except OSError:
                return
            handle(client)
    threading.Thread(target=accept, daemon=True).start()


class Gate:
    """A TCP connection to a port that can be cut, and not made while it is shut."""

    def __init__(self, port):
        self.to, self.is_open, self.ends = port, True, []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        accept_each(self.server, self.let_through)

    def let_through(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.to)) if self.is_open else None
        except OSError:
            server = None
        if server is None:
            client.close()
            return
        self.ends += [client, server]
        self.carry(client, server)

    def carry(self, client, server):
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    @staticmethod
    def pump(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        cut(one, other)

    def shut(self):
        self.is_open = False
        cut(*self.ends)
        self.ends = []

    def open(self):
        self.is_open = True

    def close(self):
        self.shut()
        self.server.close()


class Car:
    """A unit that reports, and answers what it is told; `executed` is what it was told."""

    def __init__(self, port, ident, answers=True, time="123506"):
        self.ident, self.answers, self.executed = ident, answers, []
        self.unit = Unit(port)
        self.report(time)
        self.unit.socket.settimeout(None)
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def report(self, time="123507", status="FFFFFBFF"):
        self.unit.send(v1(self.ident, time=time, status=status))

    def listen(self):
        data = b""
        while True:
            try:
                piece = self.unit.socket.recv(65536)
            except OSError:
                piece = b""
            if not piece:
                self.closed.set()
                return
            data += piece
            while b"#" in data:
                frame, data = data.split(b"#", 1)
                words = frame.decode().split(",")
                if len(words) > 2 and words[2].startswith(("S", "R", "D")):
                    self.executed.append(frame.decode() + "#")
                    if self.answers:
                        self.unit.send(f"*HQ,{self.ident},V4,{','.join(words[2:])}#")

    def close(self):
        try:
            self.unit.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.unit.close()


class Fleet:
    """Bridges a, b, c …: all with the same broker and registry."""

    def __init__(self, directory, broker, redis, names="ab", lease="2s", options=None):
        self.directory, self.broker, self.redis, self.lease = directory, broker, redis, lease
        self.options, self.bridges, self.cars = options or {}, {}, []
        for name in names:
            self.add(name)
        if names:
            self.wait_router()

    def add(self, name, port=None, **more):
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        options = {"publish": {"instance": name, "stats_interval": "1s"}, "units": {"return": "2s"},
                   "cluster": {"registry": f"redis://127.0.0.1:{self.redis.port}/0", "lease": self.lease}}
        for section, values in {**self.options, **more}.items():
            options.setdefault(section, {}).update(values)
        self.bridges[name] = Bridge(directory, port or self.broker.port, options)
        return self.bridges[name]

    def router(self):
        value = self.redis.call("GET", "t2m:router")
        return value.split("|")[0] if value else None

    def wait_router(self):
        """Somebody takes commands, and the registry has forgotten that it was empty."""
        def ready():
            name = self.router()
            return name in self.bridges and "takes the commands" in self.bridges[name].log() and \
                self.bridges[name].log().count("connected to broker") >= 2
        wait_for(ready, "a router")

    def car(self, name, ident, **more):
        car = Car(self.bridges[name].port, ident, **more)
        self.cars.append(car)
        return car

    def has(self, name, ident):
        return self.redis.call("HGET", f"t2m:unit:{ident}", "inst") == name and \
            self.redis.call("HGET", f"t2m:unit:{ident}", "online") == "1"

    def wait_has(self, name, ident):
        wait_for(lambda: self.has(name, ident), f"{ident} on {name}")

    def freeze(self, name, on=True):
        self.bridges[name].process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def kill(self, name):
        self.bridges[name].process.kill()
        self.bridges[name].process.wait()
        self.bridges[name].log_file.close()

    def close(self):
        for car in self.cars:
            car.close()
        for bridge in self.bridges.values():
            if bridge.process.poll() is None:
                bridge.process.send_signal(signal.SIGCONT)
                assert bridge.stop() == 0, bridge.log()
            assert "Sanitizer" not in bridge.log(), bridge.log()


def replies(sub, ident, id):
    """What was told of the command with this id, in order; a message that came twice, byte for byte, counts once."""
    found = dict.fromkeys(m.payload for m in list(sub.messages) if m.topic == f"trackers/{ident}/cmd/reply")
    return [record["status"] for record in map(json.loads, found) if record.get("id") == id]


def end(sub, ident, id):
    """Waits for its end; all that was told of it."""
    wait_for(lambda: [s for s in replies(sub, ident, id) if s in ENDS], f"the end of {id}")
    return replies(sub, ident, id)


def order(sub, ident, id, **more):
    sub.publish(f"trackers/{ident}/cmd", json.dumps({"command": "mileage.request", "id": id, **more}))


def status(sub, ident):
    """The newest status of the unit."""
    found = [m for m in list(sub.messages) if m.topic == f"trackers/{ident}/status"]
    return found[-1].record if found else {}


# --- what tests of a fleet share ---


def wait_for_nothing_left(redis, of=("cmd", "open"), patience=PATIENCE):
    """The registry has forgotten all commands."""
    wait_for(lambda: not any(redis.call("KEYS", f"t2m:{kind}:*") for kind in of), "nothing is left", patience)


def check(tmp_path, cluster):
    """What -t says of this section."""
    ini = tmp_path / "t.ini"
    ini.write_text(f"[cluster]\n{cluster}\n[outbox]\npath = {tmp_path}/outbox\n")
    return subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)


def haproxy_sample(front, bridges, health):
    """etc/haproxy-cluster.cfg with other ports: where units connect; and by name the bridges, and where each answers /healthz."""
    text = (ROOT / "etc/haproxy-cluster.cfg").read_text()
    assert text.count("bind :8888\n") == 1
    text = text.replace("bind :8888\n", f"bind 127.0.0.1:{front}\n")
    for n, name in enumerate(sorted(health)):
        place, at = rf"10\.0\.0\.1{n + 1}:8889", f"127.0.0.1:{bridges[name].port}"
        text, one = re.subn(rf"server {name} {place} check port 9888\n", f"server {name} {at} check port {health[name]}\n", text)
        text, other = re.subn(rf"server {name}-anyway {place} ", f"server {name}-anyway {at} ", text)
        assert (one, other) == (1, 1)
    return text


def online(sub, ident, instance):
    wait_for(lambda: status(sub, ident).get("state") == "online" and status(sub, ident)["instance"] == instance,
             f"{ident} online at {instance}")


@pytest.fixture
def redis(tmp_path):
    r = Redis(tmp_path / "redis")
    yield r
    r.stop()


@pytest.fixture
def make_fleet(tmp_path, broker, redis):
    made = []

    def make(names="ab", **more):
        made.append(Fleet(tmp_path, broker, redis, names, **more))
        return made[-1]

    yield make
    for fleet in made:
        fleet.close()
