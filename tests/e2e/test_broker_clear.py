# SPDX-License-Identifier: MIT
"""What a user sees in the log when the broker cannot be reached or does not let the bridge in: one line, with what to do."""

import subprocess

import pytest
from certificates import Authority
from conftest import Bridge, Broker, free_port, wait_for


@pytest.fixture
def bridge_to(tmp_path):
    made = []

    def make(port, options=None, **mqtt):
        directory = tmp_path / f"bridge{len(made)}"
        directory.mkdir()
        made.append(Bridge(directory, port, {"mqtt": mqtt, **(options or {})}))
        return made[-1]

    yield make
    for bridge in made:
        assert bridge.stop() == 0 and "Sanitizer" not in bridge.log(), bridge.log()


@pytest.fixture
def broker_with(tmp_path):
    made = []

    def make(extra=""):
        """A broker with an open listener, and one that `extra` is about: PORT stands for its port."""
        directory = tmp_path / f"broker{len(made)}"
        directory.mkdir()
        port = free_port()
        made.append(Broker(directory, f"listener {port} 127.0.0.1\n{extra}", "per_listener_settings true\n"))
        made[-1].other = port
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


def told(bridge, *parts, level="warning"):
    """One line of this level has all parts."""
    def found():
        return any(f"{level}: broker " in line and all(p in line for p in parts) for line in bridge.log().splitlines())
    wait_for(found, f"a line with {parts}")


@pytest.mark.parametrize("version", [5, 4])
@pytest.mark.parametrize("mqtt, cure", [
    ({"username": "me", "password": "wrong"}, "does not know user me with this password"),
    ({"username": "nobody", "password": "secret"}, "does not know user nobody with this password"),
    ({}, "the broker wants a user: set [mqtt] username and password"),
])
def test_login(broker_with, bridge_to, tmp_path, version, mqtt, cure):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, "me", "secret"], check=True)
    broker = broker_with(f"allow_anonymous false\npassword_file {passwords}\n")
    told(bridge_to(broker.other, version=version, **mqtt), "the broker refuses: ", cure)


@pytest.mark.parametrize("version", [5, 4])
def test_a_port_for_tls_without_tls(broker_with, bridge_to, tmp_path, version):
    cert, key = Authority(tmp_path).issue("broker")
    broker = broker_with(f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
    told(bridge_to(broker.other, version=version), "set [mqtt] tls = yes")


def test_tls_to_a_plain_port(broker_with, bridge_to):
    told(bridge_to(broker_with().port, tls="yes"), "does this port speak TLS?", "tls = no")


@pytest.mark.parametrize("case, cure", [
    ("no authority", "set [mqtt] tls_ca_file"),
    ("another authority", "set [mqtt] tls_ca_file"),
    ("another name", "set [mqtt] host to a name or address that stands in the broker's certificate"),
])
def test_certificates(broker_with, bridge_to, tmp_path, case, cure):
    ca = Authority(tmp_path)
    cert, key = ca.issue("broker", names="DNS:other.example" if case == "another name" else "IP:127.0.0.1")
    broker = broker_with(f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
    trusted = {"no authority": {}, "another authority": {"tls_ca_file": Authority(tmp_path, "other").pem}, "another name": {"tls_ca_file": ca.pem}}
    told(bridge_to(broker.other, tls="yes", **trusted[case]), "certificate", cure)


def test_a_misspelt_host(bridge_to):
    told(bridge_to(1883, host="brokr.invalid"), "no machine has this name: check [mqtt] host")


def test_nobody_listens(bridge_to):
    told(bridge_to(free_port()), "nothing listens there")


@pytest.mark.parametrize("version", [5, 4])
def test_two_with_the_same_id(broker_with, bridge_to, version):
    """Each throws the other out; both say so, and try more and more rarely. Newer brokers tell the reason, and it is no guess then."""
    broker = broker_with()
    two = [bridge_to(broker.port, version=version) for _ in range(2)]
    for bridge in two:
        wait_for(lambda: "another client " in bridge.log(), "a line")
        known = "another client uses" in bridge.log()
        told(bridge, "another client ", "tracker2mqtt-test", "a second bridge? set [publish] instance", level="error" if known else "warning")


def test_a_restarted_broker_is_no_second_bridge(broker_with, bridge_to):
    broker = broker_with()
    bridge = bridge_to(broker.port)
    for n in range(2):
        wait_for(lambda: bridge.log().count("connected to broker") == n + 1, "the connection")
        broker.stop()
        broker.start()
    wait_for(lambda: bridge.log().count("connected to broker") == 3, "the connection")
    assert "same client id" not in bridge.log()
