# SPDX-License-Identifier: MIT
"""The files for several containers: each part of them fits the others, each option is one, and the fleet that they describe works."""

import ipaddress
import os
import re
import subprocess

import pytest
import yaml
from conftest import BUILD, ROOT, Subscriber, free_port, stop, wait_for
from fleet import Car, Redis, end, order

FOLDER = ROOT / "etc/container"
FILES = sorted(path.name for path in FOLDER.glob("compose*.yaml"))


def read(name):
    return yaml.safe_load((FOLDER / name).read_text())


def options_of(services):
    return {name: service["environment"] for name, service in services.items() if "Containerfile" in str(service.get("build"))}


@pytest.mark.parametrize("name", FILES)
def test_each_option_is_one(name, tmp_path):
    """With nothing but the environment of the container, as the image starts it."""
    (tmp_path / "empty.ini").write_text("")
    bridges = options_of(read(name)["services"])
    assert bridges
    for bridge, options in bridges.items():
        assert all(isinstance(value, str) for value in options.values()), "YAML reads yes as true"
        said = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", "empty.ini"], cwd=tmp_path, capture_output=True, text=True,
                              env={**os.environ, **options})
        assert (said.returncode, said.stderr.splitlines()) == (0, ["empty.ini: the configuration is fine"]), bridge
        for key, value in options.items():
            if value:
                wrong = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", "empty.ini"], cwd=tmp_path, capture_output=True, text=True,
                                       env={**os.environ, **options, key: "\x01"})
                assert wrong.returncode == 1 and key in wrong.stderr, "the variable is read"


@pytest.mark.parametrize("name", FILES)
def test_the_parts_fit(name):
    file = read(name)
    services, volumes, networks = file["services"], file.get("volumes") or {}, file.get("networks") or {}
    published, used = [], []
    for service in services.values():
        assert set(service.get("depends_on", [])) <= services.keys()
        assert set(service.get("networks", [])) <= networks.keys()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (FOLDER / source).is_file() if source.startswith(".") else source in volumes
            used.append(source)
        published += [port.rsplit(":", 1)[0] + port.partition("/")[2] for port in service.get("ports", [])]
        if "build" in service:
            assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert len(set(published)) == len(published) and set(volumes) <= set(used)
    own = [v for v in used if v.startswith("outbox")]
    assert len(set(own)) == len(own) == len(options_of(services)), "no two bridges share an outbox"
    for options in options_of(services).values():
        assert options["TRACKER2MQTT_MQTT_HOST"] in services


def test_the_cluster_fits():
    file = read("compose-cluster.yaml")
    services, bridges = file["services"], options_of(file["services"])
    assert len({o["TRACKER2MQTT_PUBLISH_INSTANCE"] for o in bridges.values()}) == len(bridges) == 3
    (front,) = [s["networks"]["fleet"]["ipv4_address"] for s in services.values() if isinstance(s["networks"], dict)]
    (subnet,) = [c["subnet"] for c in file["networks"]["fleet"]["ipam"]["config"]]
    assert ipaddress.ip_address(front) in ipaddress.ip_network(subnet)
    haproxy = (FOLDER / "haproxy.cfg").read_text()
    servers = re.findall(r"server (\S+) (\S+):(\d+) check port (\d+)\n", haproxy)
    assert [name for name, *_ in servers] == [host for _, host, *_ in servers] == list(bridges)
    for (name, _, port, health), options in zip(servers, bridges.values()):
        assert options["TRACKER2MQTT_LISTEN_TCP"].endswith(f":{port}")
        assert options["TRACKER2MQTT_METRICS_LISTEN"].endswith(f":{health}")
        assert options["TRACKER2MQTT_LISTEN_PROXY_FROM"] == front and options["TRACKER2MQTT_LISTEN_PROXY_PROTOCOL"] == "yes"
        host = re.fullmatch(r"redis://([a-z]+):6379/0", options["TRACKER2MQTT_CLUSTER_REGISTRY"])[1]
        assert host in services and "--appendonly" in services[host]["command"]


def test_what_the_two_samples_of_haproxy_say_is_the_same():
    def lines(path):
        text = re.sub(r" resolvers containers init-addr \S+", "", path.read_text())
        text = re.sub(r"resolvers containers\n(    .*\n)+", "", text)
        text = re.sub(r"server (\S+) \S+:\d+", r"server \1", text)
        return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines(FOLDER / "haproxy.cfg") == lines(ROOT / "etc/haproxy-cluster.cfg")


@pytest.fixture
def composed(tmp_path, broker):
    """The services of the file as processes of this machine: the same options, with other addresses and directories."""
    bridges = options_of(read("compose-cluster.yaml")["services"])
    redis = Redis(tmp_path / "redis")
    haproxy, front, processes, logs = (FOLDER / "haproxy.cfg").read_text(), free_port(), [], {}
    for name, options in bridges.items():
        tcp, health, directory = free_port(), free_port(), tmp_path / name
        directory.mkdir()
        replaced = {"TRACKER2MQTT_MQTT_HOST": "127.0.0.1", "TRACKER2MQTT_MQTT_PORT": str(broker.port),
                    "TRACKER2MQTT_CLUSTER_REGISTRY": f"redis://127.0.0.1:{redis.port}/0", "TRACKER2MQTT_LISTEN_TCP": f"127.0.0.1:{tcp}",
                    "TRACKER2MQTT_LISTEN_PROXY_FROM": "127.0.0.1", "TRACKER2MQTT_METRICS_LISTEN": f"127.0.0.1:{health}",
                    "TRACKER2MQTT_OUTBOX_PATH": str(directory / "outbox")}
        haproxy = haproxy.replace(f" {name}:8888 check port 9888\n", f" 127.0.0.1:{tcp} check port {health}\n")
        haproxy = haproxy.replace(f" {name}:8888 backup\n", f" 127.0.0.1:{tcp} backup\n")
        logs[name] = directory / "log"
        (directory / "empty.ini").write_text("")
        with open(logs[name], "wb") as log:
            processes.append(subprocess.Popen([BUILD / "tracker2mqtt", "-c", directory / "empty.ini"], stderr=log,
                                              env={**os.environ, **options, **replaced}))
    path = tmp_path / "haproxy.cfg"
    path.write_text(haproxy.replace("bind :8888", f"bind 127.0.0.1:{front}"))
    processes.append(subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", path], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
    try:
        for log in logs.values():
            wait_for(lambda: b"connected to broker" in log.read_bytes(), "the broker connection")
        wait_for(lambda: any(b"takes the commands" in log.read_bytes() for log in logs.values()), "a router")
        yield front, redis
    finally:
        for process in processes:
            stop(process)
        redis.stop()


def test_it_works(composed, broker):
    front, redis = composed
    sub = Subscriber(broker.port)

    def connect():
        try:
            return Car(front, f"917050381{len(cars)}")
        except OSError:
            return None
    cars = []
    while len(cars) < 6:
        cars.append(wait_for(connect, "haproxy"))
        car = cars[-1]
        record = sub.on(f"trackers/{car.ident}/position")[0].record
        assert record["peer"] == car.unit.peer
        wait_for(lambda: redis.call("HGET", f"t2m:unit:{car.ident}", "inst") == record["server.instance"], "its claim")
        order(sub, car.ident, "x")
        assert end(sub, car.ident, "x") == ["sent", "answered"]
    for car in cars:
        car.close()
    sub.close()
