# SPDX-License-Identifier: MIT
"""What the whole-program tests share: a private mosquitto, the bridge, a subscriber, units."""

import json
import os
import pathlib
import re
import queue
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import msgpack
import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from ports import free_port  # noqa: F401  (tests take it from here)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("T2M_BUILD", ROOT / "build"))
PATIENCE = 30  # seconds; a limit, never a measure


ONE_TREE = {"test_docs", "test_run"}  # they build in the tree itself


def pytest_configure(config):
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # xdist's processes ignore it, and so would all that they start
    config.addinivalue_line("markers", "xdist_group(name): those of a group run in one process, one behind the other")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Beside one another run files, not tests: those of a file share what it made."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group("one tree" if item.path.stem in ONE_TREE else item.path.stem))


def wait_for(condition, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {patience} s for {what}"
        time.sleep(0.01)


def get(port, path):
    """Status and text."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def stop(process, sig=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(sig)
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def run_and_clean_up(function, *args):
    """For scripts: nothing that the function starts outlives it."""
    started = []

    class Remembered(subprocess.Popen):
        def __init__(self, *a, **kw):
            super().__init__(*a, **kw)
            started.append(self)

    plain, subprocess.Popen = subprocess.Popen, Remembered
    try:
        return function(*args)
    finally:
        subprocess.Popen = plain
        for process in started:
            if process.poll() is None:
                process.kill()


class Broker:
    def __init__(self, directory, extra="", before=""):
        self.port = free_port()
        self.directory = directory
        self.config = directory / "mosquitto.conf"
        user = f"user {os.environ.get('USER', 'root')}\n" if os.geteuid() == 0 else ""
        if os.geteuid() == 0:
            user = "user root\n"
        self.config.write_text(
            f"{before}listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 1000\n"
            f"max_queued_messages 1000000\npersistence true\npersistence_location {directory}/\n{user}{extra}"
        )
        self.process = None
        self.start()

    def start(self):
        self.log = open(self.directory / "mosquitto.log", "ab")
        self.process = subprocess.Popen(["mosquitto", "-c", self.config], stdout=self.log, stderr=self.log)

        def answers():
            """To MQTT, not only to a connect: before its loop runs, mosquitto forgets a SIGTERM."""
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.sendall(bytes.fromhex("100c00044d5154540402003c0000"))
                    return len(s.recv(4)) == 4
            except OSError:
                return False

        wait_for(answers, "mosquitto")

    def stop(self, sig=signal.SIGTERM):
        stop(self.process, sig)
        self.log.close()


class Message:
    def __init__(self, m):
        self.topic, self.payload, self.retain = m.topic, m.payload, bool(m.retain)
        self.properties = getattr(m, "properties", None)

    @property
    def record(self):
        content = getattr(self.properties, "ContentType", "")
        if content == "application/msgpack":
            return msgpack.unpackb(self.payload, raw=False)
        return json.loads(self.payload)

    def __repr__(self):
        return f"{self.topic} {self.payload[:200]!r}"


def libmosquitto():
    """The version of the library that the bridge was built with: (2, 0, 11)."""
    said = subprocess.run([BUILD / "tracker2mqtt", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.search(r"libmosquitto (\d+)\.(\d+)\.(\d+)", said).groups()))


def mqtt_client(client_id="", **more):
    """A client of paho 1 or 2, for MQTT 5: paho 2 wants to be told which kind of callbacks it calls."""
    kinds = getattr(paho, "CallbackAPIVersion", None)
    return paho.Client(*([kinds.VERSION2] if kinds else []), client_id, protocol=paho.MQTTv5, **more)


class Subscriber:
    """Collects everything below a topic, in order."""

    def __init__(self, port, topic="trackers/#", client_id="", clean=True):
        self.messages = []
        self.new = threading.Condition()
        self.client = mqtt_client(client_id)
        self.client.on_message = self._on_message
        ready = threading.Event()
        self.client.on_connect = lambda c, *a: c.subscribe(topic, options=paho.SubscribeOptions(
            qos=1, retainAsPublished=True))
        self.client.on_subscribe = lambda *a: ready.set()
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0 if clean else 3600
        self.client.connect("127.0.0.1", port, clean_start=clean, properties=properties)
        self.client.loop_start()
        assert ready.wait(PATIENCE)

    def _on_message(self, client, userdata, message):
        with self.new:
            self.messages.append(Message(message))
            self.new.notify_all()

    def wait(self, condition, what, count=1, patience=PATIENCE):
        """The messages that satisfy the condition, once there are `count`."""
        end = time.monotonic() + patience
        with self.new:
            while True:
                found = [m for m in self.messages if condition(m)]
                if len(found) >= count:
                    return found
                left = end - time.monotonic()
                assert left > 0, f"waited for {count} x {what}, got {found}; all: {self.messages[-20:]}"
                self.new.wait(left)

    def on(self, topic, count=1, where=lambda m: True):
        return self.wait(lambda m: m.topic == topic and where(m), topic, count)

    def now(self, condition):
        with self.new:
            return [m for m in self.messages if condition(m)]

    def publish(self, topic, payload, qos=1, retain=False, properties=None):
        self.client.publish(topic, payload, qos, retain, properties).wait_for_publish()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def program_with_hosts(directory, text, program="tracker2mqtt"):
    """A program with a file /etc/hosts of its own, which stands in `text`."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("mounts need root")
    (directory / "hosts").write_text(text)
    return ["unshare", "-m", "sh", "-c", f'mount --bind {directory}/hosts /etc/hosts && exec {BUILD}/{program} "$@"', "sh"]


class Bridge:
    def __init__(self, directory, mqtt_port, options=None, environment=None, ipv6=False, program=None):
        self.program = program or [BUILD / "tracker2mqtt"]
        self.port = free_port()
        self.directory = directory
        self.log_path = directory / "bridge.log"
        self.environment = environment or {}
        sections = {
            "listen": {"tcp": f"127.0.0.1:{self.port}", "udp": f"127.0.0.1:{self.port}"},
            "mqtt": {"host": "127.0.0.1", "port": mqtt_port},
            "outbox": {"path": directory / "outbox"},
            "publish": {"instance": "test", "stats_interval": "1s"},
        }
        if ipv6:
            for key in ("tcp", "udp"):
                sections["listen"][key] += f",[::1]:{self.port}"
        for section, values in (options or {}).items():
            sections.setdefault(section, {}).update(values)
        self.sections = sections
        self.path = directory / "bridge.ini"
        self.write()
        self.process = None
        self.start()

    def write(self):
        self.path.write_text("".join(
            f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items())
            for section, values in self.sections.items()))

    def start(self):
        self.log_file = open(self.log_path, "ab")
        self.log_start = self.log_file.tell()
        self.process = subprocess.Popen([*self.program, "-c", self.path], stderr=self.log_file,
                                        env={**os.environ, **self.environment})
        wait_for(lambda: self.listens() or self.process.poll() is not None, "the listeners")
        assert self.process.poll() is None, self.log()

    def listens(self):
        listen = self.sections["listen"]
        addresses = [a for key in ("tcp", "udp", "tls") for a in str(listen.get(key, "")).split(",") if a]
        if self.sections.get("log", {}).get("level") not in ("warning", "error"):
            return self.log().count("listening on") >= len(addresses)  # TCP comes first: who speaks UDP would be refused meanwhile
        try:  # the log does not tell
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def wait_connected(self, forwards=True):
        """Connected, and subscribed to commands: `online` is published behind that. `forwards`: the broker shows it to others."""
        wait_for(lambda: "connected to broker" in self.log(), "the broker connection")
        mqtt = self.sections["mqtt"]
        if not forwards or "username" in mqtt or "tls" in mqtt:
            return
        sub = Subscriber(mqtt["port"], f"{self.sections['publish'].get('prefix', 'trackers')}/bridge/+/status")
        sub.wait(lambda m: m.payload == b"online", "the bridge's status")
        sub.close()

    def log(self):
        return self.log_path.read_bytes()[self.log_start:].decode()

    def stop(self, sig=signal.SIGTERM):
        rc = stop(self.process, sig)
        self.log_file.close()
        return rc

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


class Unit:
    """A hand-driven unit."""

    def __init__(self, port, transport="tcp", host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        self.socket = socket.socket(family, kind)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((host, port))
        if transport == "tcp":
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = self.socket.getsockname()
        self.peer = f"[{name[0]}]:{name[1]}" if family == socket.AF_INET6 else f"{name[0]}:{name[1]}"

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def receive(self):
        """One segment or datagram; b'' when the bridge has closed."""
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def receive_until(self, part, patience=PATIENCE):
        data = b""
        while part not in data:
            piece = self.receive()
            assert piece, f"closed after {data!r}"
            data += piece
        return data

    def finish(self):
        """Says that it has no more to say, and hears the bridge out; a plain close with unread data is an abort."""
        self.socket.shutdown(socket.SHUT_WR)
        while self.receive():
            pass
        self.socket.close()

    def close(self):
        self.socket.close()


V1 = "*HQ,{ident},V1,{time},A,2232.6024,N,11355.7983,E,021.60,090,{date},{status},460,00,10342,4283#"


def v1(ident, time="123506", date="131216", status="FFFFFBFF"):
    return V1.format(ident=ident, time=time, date=date, status=status)


@pytest.fixture
def broker(tmp_path):
    b = Broker(tmp_path)
    yield b
    b.stop()


@pytest.fixture
def make_bridge(tmp_path, broker):
    made = []

    def make(options=None, **kw):
        directory = tmp_path / f"bridge{len(made)}"
        directory.mkdir()
        bridge = Bridge(directory, broker.port, options, **kw)
        made.append(bridge)
        return bridge

    yield make
    for bridge in made:
        if bridge.process.poll() is None:
            assert bridge.stop() == 0, bridge.log()
        assert "Sanitizer" not in bridge.log(), bridge.log()


@pytest.fixture
def subscribe(broker):
    made = []

    def make(*a, **kw):
        made.append(Subscriber(broker.port, *a, **kw))
        return made[-1]

    yield make
    for s in made:
        s.close()
