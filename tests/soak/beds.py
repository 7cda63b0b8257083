# SPDX-License-Identifier: MIT
"""Brokers for scripts/soak cluster: mosquitto, and clusters of RabbitMQ, NATS and ejabberd; all on loopback, with ports and directories of
their own. `ports` are those of MQTT, one for each node; the first node is never killed, for what counts listens there."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

from conftest import Broker, free_port, stop, wait_for


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Mosquitto:
    account, options, ordered, local = None, {}, True, False

    def __init__(self, directory, nodes):
        directory.mkdir()
        self.broker = Broker(directory)
        self.ports = [self.broker.port]

    def close(self):
        self.broker.stop()


class Bed:
    """`nodes` processes, each leading a group of its own, for they start helpers."""
    account, options, ordered = None, {}, True
    local = False  # what is retained is kept on the publisher's node alone

    def __init__(self, directory, nodes):
        self.directory, self.processes = pathlib.Path(directory), [None] * nodes
        self.directory.mkdir(parents=True)
        self.prepare(nodes)
        for n in range(nodes):
            self.start(n)
        self.join()

    def prepare(self, nodes):
        self.ports, *self.others = [[free_port() for _ in range(n)] for n in (nodes, *[3] * nodes)]

    def join(self):
        pass

    def launch(self, n, command, environment=None):
        with open(self.directory / f"out{n}", "ab") as out:
            self.processes[n] = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
                                                 cwd=self.directory, env={**os.environ, **(environment or {})})
        wait_for(lambda: answers(self.ports[n]) or self.processes[n].poll() is not None, "the broker", 90)
        assert self.processes[n].poll() is None, (self.directory / f"out{n}").read_text()[-2000:]

    def kill(self, n, sig=signal.SIGKILL):
        process = self.processes[n]
        if process is not None and process.poll() is None:
            os.killpg(process.pid, sig)
            process.wait()

    def close(self):
        for n in reversed(range(len(self.processes))):
            self.kill(n)


class Nats(Bed):
    ordered = False  # when a node dies, it delivers again what was acknowledged
    program = "nats-server"

    def start(self, n):
        own, route, _ = self.others[n]
        routes = ", ".join(f"nats://127.0.0.1:{other[1]}" for k, other in enumerate(self.others) if k != n)
        cluster = f"cluster {{ name: t2m, listen: 127.0.0.1:{route}, routes: [{routes}] }}\n" if len(self.ports) > 1 else ""
        conf = self.directory / f"nats{n}.conf"
        conf.write_text(f"server_name: n{n}\nlisten: 127.0.0.1:{own}\njetstream {{ store_dir: \"{self.directory}/js{n}\" }}\n"
                        f"mqtt {{ listen: 127.0.0.1:{self.ports[n]}, stream_replicas: {len(self.ports)}, max_ack_pending: 1000, ack_wait: \"5s\", "
                        f"js_api_timeout: \"1s\" }}\n{cluster}")
        self.launch(n, [shutil.which(self.program) or self.program, "-c", conf], {"GOMAXPROCS": "2"})

    def join(self):
        def elected():
            text = "".join((self.directory / f"out{n}").read_text() for n in range(len(self.ports)))
            return len(self.ports) == 1 or "new metadata leader" in text.lower() or "jetstream cluster new" in text.lower()
        wait_for(elected, "a leader", 30)


class Erlang(Bed):
    """One epmd of their own, which ends with them."""
    kernel = "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"

    def prepare(self, nodes):
        super().prepare(nodes)
        self.epmd_port = free_port()
        self.cookie = self.directory / ".erlang.cookie"
        self.cookie.write_text("soakcluster")
        self.cookie.chmod(0o400)
        self.environment = {"HOME": str(self.directory), "ERL_EPMD_PORT": str(self.epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        self.epmd = subprocess.Popen(["epmd", "-port", str(self.epmd_port), "-address", "127.0.0.1"], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        wait_for(lambda: answers(self.epmd_port), "epmd")

    def close(self):
        super().close()
        stop(self.epmd, signal.SIGKILL)


class Rabbitmq(Erlang):
    local = True
    bin = pathlib.Path("/usr/lib/rabbitmq/bin")
    program = bin / "rabbitmq-server"

    def settings(self, n):
        d = self.directory / f"rabbit{n}"
        d.mkdir(exist_ok=True)
        amqp, dist, _ = self.others[n]
        (d / "plugins").write_text("[rabbitmq_mqtt].\n")
        (d / "conf.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{amqp}\nmqtt.listeners.tcp.1 = 127.0.0.1:{self.ports[n]}\nmqtt.allow_anonymous = true\n"
            "mqtt.vhost = /\nmqtt.exchange = amq.topic\nmqtt.prefetch = 1000\ndisk_free_limit.absolute = 100MB\n")
        return {**self.environment, "RABBITMQ_NODENAME": f"rmq{n}@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(amqp), "RABBITMQ_DIST_PORT": str(dist), "RABBITMQ_MNESIA_BASE": f"{d}/mnesia",
                "RABBITMQ_LOG_BASE": f"{d}/log", "RABBITMQ_CONFIG_FILE": f"{d}/conf.conf", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{d}/plugins",
                "RABBITMQ_PID_FILE": f"{d}/pid", "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": self.kernel}

    def start(self, n):
        self.launch(n, [self.program], self.settings(n))

    def ctl(self, n, *words):
        subprocess.run([self.bin / "rabbitmqctl", "-q", *words], env={**os.environ, **self.settings(n)}, check=True, timeout=90,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def join(self):
        for n in range(1, len(self.ports)):
            for words in (("stop_app",), ("reset",), ("join_cluster", "rmq0@localhost"), ("start_app",)):
                self.ctl(n, *words)


class Ejabberd(Erlang):
    account = ("t2m@localhost", "t2m")
    options = {"username": "t2m@localhost", "password": "t2m"}
    program = "ejabberdctl"

    def start(self, n):
        d, port = self.directory / f"ej{n}", self.others[n][0]
        d.mkdir(exist_ok=True)
        (d / "ejabberd.yml").write_text(f"""hosts: [localhost]
loglevel: info
auth_method: internal
listen: [{{port: {self.ports[n]}, ip: "127.0.0.1", module: mod_mqtt, backlog: 1000}}]
access_rules: {{}}
modules:
  mod_mqtt:
    session_expiry: 86400
    max_queue: 100000
    match_retained_limit: infinity
    access_publish: {{"#": [allow: all]}}
    access_subscribe: {{"#": [allow: all]}}
""")
        beams = max(pathlib.Path("/usr/lib").glob("*/ejabberd-*/ebin"))
        self.launch(n, ["erl", "-noinput", "-sname", f"ej{n}@localhost", "-pa", beams, *self.kernel.split(), "-kernel", "inet_dist_listen_min",
                        str(port), "inet_dist_listen_max", str(port), "-mnesia", "dir", f'"{d}/mnesia"', "-s", "ejabberd"],
                    {**self.environment, "EJABBERD_CONFIG_PATH": f"{d}/ejabberd.yml", "EJABBERD_LOG_PATH": f"{d}/ejabberd.log",
                     "ERL_LIBS": str(beams.parents[1])})

    def call(self, n, words):
        subprocess.run(["erl", "-noinput", "-sname", f"call{os.getpid()}@localhost", "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-eval",
                        f"R = rpc:call('ej{n}@localhost', {words}), io:format(\"~p~n\", [R]), halt()."], env={**os.environ, **self.environment},
                       check=True, timeout=60, stdout=sys.stderr, stdin=subprocess.DEVNULL)

    def join(self):
        for n in range(1, len(self.ports)):
            self.call(n, "ejabberd_cluster, join, ['ej0@localhost']")
        self.call(0, 'ejabberd_auth, try_register, [<<"t2m">>, <<"localhost">>, <<"t2m">>]')


HOW = {"rabbitmq": "apt-get install rabbitmq-server", "ejabberd": "apt-get install ejabberd",
       "nats": "go install github.com/nats-io/nats-server/v2@latest, and its directory in PATH"}


def make_bed(name, directory, nodes):
    """A broker of this kind; ends the program with what is to be installed when it is not there."""
    kind = BEDS[name]
    if name in HOW and shutil.which(str(kind.program), path=os.environ["PATH"] + ":/usr/sbin") is None:
        sys.exit(f"scripts/soak: {name} is not installed: {HOW[name]}")
    return kind(directory, 1 if name == "mosquitto" else nodes)


BEDS = {"mosquitto": Mosquitto, "rabbitmq": Rabbitmq, "nats": Nats, "ejabberd": Ejabberd}
