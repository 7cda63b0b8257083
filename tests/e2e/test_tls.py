# SPDX-License-Identifier: MIT
"""TLS to the broker and from units: the right certificate works, and a wrong one is refused with its reason in the log."""

import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from certificates import Authority
from conftest import BUILD, Bridge, Broker, Subscriber, Unit, free_port, v1, wait_for


@pytest.fixture
def secure_broker(tmp_path):
    """A broker with a plain port for the subscriber and a TLS one with the given certificate."""
    made = []

    def make(cert, key, extra=""):
        port = free_port()
        broker = Broker(tmp_path, f"listener {port} 127.0.0.1\ncertfile {cert}\nkeyfile {key}\n{extra}")
        broker.tls_port = port
        made.append(broker)
        return broker

    yield make
    for broker in made:
        broker.stop()


@pytest.fixture
def bridge_to(tmp_path):
    made = []

    def make(port, **mqtt):
        directory = tmp_path / f"bridge{len(made)}"
        directory.mkdir()
        made.append(Bridge(directory, port, {"mqtt": {"tls": "yes", **mqtt}, "homeassistant": {"discovery": "yes"}}))
        return made[-1]

    yield make
    for bridge in made:
        assert bridge.stop() == 0 and "Sanitizer" not in bridge.log(), bridge.log()


def test_the_right_authority(secure_broker, bridge_to, tmp_path):
    ca = Authority(tmp_path)
    broker = secure_broker(*ca.issue("broker"))
    for host in ("127.0.0.1", "localhost"):
        bridge = bridge_to(broker.tls_port, host=host, tls_ca_file=ca.pem)
        bridge.wait_connected()
        unit = Unit(bridge.port)
        unit.send(v1("9170503816"))
        assert b"V4,V1" in unit.receive()
        unit.close()


@pytest.mark.parametrize("case, message", [
    ("authority", "unable to get local issuer certificate"),
    ("expired", "certificate has expired"),
    ("address", "IP address mismatch"),
    ("host", "hostname mismatch"),
])
def test_a_wrong_certificate(secure_broker, bridge_to, tmp_path, case, message):
    ca = Authority(tmp_path)
    names = {"address": "IP:127.0.0.9", "host": "DNS:broker.example"}.get(case, "IP:127.0.0.1")
    broker = secure_broker(*ca.issue("broker", names, expired=case == "expired"))
    trusted = Authority(tmp_path, "other") if case == "authority" else ca
    bridge = bridge_to(broker.tls_port, host="localhost" if case == "host" else "127.0.0.1", tls_ca_file=trusted.pem)
    wait_for(lambda: message in bridge.log(), message)
    assert "certificate /CN=broker" in bridge.log() and "connected to broker" not in bridge.log()
    unit = Unit(bridge.port)  # units are served all the same: it waits in the outbox
    unit.send(v1("9170503816"))
    assert b"V4,V1" in unit.receive()
    unit.close()


def test_the_client_certificate(secure_broker, bridge_to, tmp_path):
    ca = Authority(tmp_path)
    broker = secure_broker(*ca.issue("broker"), extra=f"cafile {ca.pem}\nrequire_certificate true\n")
    cert, key = ca.issue("bridge", "DNS:bridge")
    without = bridge_to(broker.tls_port, tls_ca_file=ca.pem)
    wait_for(lambda: "certificate required" in without.log(), "the broker's alert")
    assert "connected to broker" not in without.log()
    bridge_to(broker.tls_port, tls_ca_file=ca.pem, tls_cert_file=cert, tls_key_file=key).wait_connected()


def socket_reads(bridge):
    return int(re.search(r"syscr: (\d+)", pathlib.Path(f"/proc/{bridge.process.pid}/io").read_text())[1])


def test_acknowledgements_are_read_in_large_pieces(secure_broker, bridge_to, tmp_path):
    """Each is a TLS record of its own, and many of them wait in the socket when the bridge reads on."""
    ca = Authority(tmp_path)
    broker = secure_broker(*ca.issue("broker"))
    bridge = bridge_to(broker.tls_port, tls_ca_file=ca.pem)
    bridge.wait_connected()
    broker.stop()
    unit = Unit(bridge.port)
    for n in range(2000):
        unit.send(v1("9170503816", f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}"))
        unit.receive()
    before = socket_reads(bridge)
    broker.start()
    sub = Subscriber(broker.port, "trackers/bridge/#")
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["messages.published"] >= 2000)
    assert socket_reads(bridge) - before < 2000
    sub.close()
    unit.close()


def test_what_was_read_ahead_does_not_wait_for_more(secure_broker, bridge_to, tmp_path):
    """Several hundred messages come at once, and the broker has nothing to say after them."""
    ca = Authority(tmp_path)
    broker = secure_broker(*ca.issue("broker"))
    bridge = bridge_to(broker.tls_port, tls_ca_file=ca.pem, keepalive="1h")
    bridge.wait_connected()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    unit.receive()
    sub = Subscriber(broker.port, "#")
    sub.on("trackers/9170503816/position")
    bridge.process.send_signal(signal.SIGSTOP)
    for _ in range(250):
        sub.publish("homeassistant/status", "offline", qos=0)
    sub.publish("trackers/9170503816/cmd", "S32,000000,1", qos=0)
    sub.on("trackers/9170503816/cmd")
    bridge.process.send_signal(signal.SIGCONT)
    assert unit.receive() == b"*HQ,9170503816,S32,000000,1#"
    sub.close()
    unit.close()


def test_a_broker_that_speaks_no_tls(broker, bridge_to):
    bridge = bridge_to(broker.port)
    wait_for(lambda: f"broker 127.0.0.1:{broker.port}: " in bridge.log(), "the failure")
    assert "connected to broker" not in bridge.log()


def test_files_are_checked_beforehand(tmp_path):
    ca = Authority(tmp_path)
    cert, key = ca.issue("bridge")
    _, other_key = ca.issue("other")
    ini = tmp_path / "a.ini"

    def check(mqtt="", listen=""):
        ini.write_text(f"[mqtt]\n{mqtt}\n[listen]\n{listen}\n")
        result = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)
        return result.returncode, result.stderr

    assert check(f"tls = yes\ntls_ca_file = {ca.pem}\ntls_cert_file = {cert}\ntls_key_file = {key}",
                 f"tls = 127.0.0.1:8890\ntls_cert_file = {cert}\ntls_key_file = {key}")[0] == 0
    for mqtt, listen, words in [
        (f"tls = yes\ntls_ca_file = {tmp_path}/none.pem", "", "none.pem cannot be read: No such file"),
        (f"tls = yes\ntls_cert_file = {cert}", "", "go together"),
        (f"tls_ca_file = {ca.pem}", "", "need tls = yes"),
        (f"tls = yes\ntls_cert_file = {cert}\ntls_key_file = {other_key}", "", "it does not belong to the certificate"),
        ("", "tls = 127.0.0.1:8890", "needs tls_cert_file"),
        ("", f"tls = 127.0.0.1:8890\ntls_cert_file = {cert}\ntls_key_file = {other_key}", "it does not belong to the certificate"),
        ("", f"tls = 127.0.0.1:8890\ntls_cert_file = {ini}\ntls_key_file = {key}", "it holds none in PEM form"),
    ]:
        code, errors = check(mqtt, listen)
        assert code == 1 and words in errors, errors


class TlsUnit(Unit):
    def __init__(self, port, ca):
        super().__init__(port)
        context = ssl.create_default_context(cafile=ca.pem)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")


def test_units_over_tls(make_bridge, subscribe, tmp_path):
    ca = Authority(tmp_path)
    cert, key = ca.issue("bridge")
    port = free_port()
    bridge = make_bridge({"listen": {"tls": f"127.0.0.1:{port}", "tls_cert_file": cert, "tls_key_file": key}})
    bridge.wait_connected()
    sub = subscribe()
    unit = TlsUnit(port, ca)
    unit.send(v1("9170503816"))
    assert b"V4,V1" in unit.receive()
    record = sub.on("trackers/9170503816/position")[0].record
    assert record["peer"] == unit.peer
    sub.publish("trackers/9170503816/cmd", "S32,000000,1")
    assert unit.receive() == b"*HQ,9170503816,S32,000000,1#"
    burst = "".join(v1("9170503816", f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}") for n in range(1500))

    def read_on():  # what it is told must not fill the socket
        while unit.receive():
            pass

    reader = threading.Thread(target=read_on, daemon=True)
    reader.start()
    unit.send(burst)  # many TLS records
    sub.on("trackers/9170503816/position", 1501)
    # a new certificate is used for new connections, old ones go on
    new_cert, new_key = ca.issue("renewed")
    cert.write_bytes(new_cert.read_bytes())
    key.write_bytes(new_key.read_bytes())
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    fresh = TlsUnit(port, ca)
    assert dict(x[0] for x in fresh.socket.getpeercert()["subject"])["commonName"] == "renewed"
    key.write_text("broken")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "nothing is changed" in bridge.log(), "the refusal")
    fresh.send(v1("9170503817"))
    assert b"V4,V1" in fresh.receive()
    unit.send(v1("9170503816", "235959"))
    sub.on("trackers/9170503816/position", 1502)
    unit.socket.shutdown(socket.SHUT_RDWR)
    reader.join()
    fresh.close()


def test_strangers_on_the_tls_port(make_bridge, subscribe, tmp_path):
    ca = Authority(tmp_path)
    cert, key = ca.issue("bridge")
    port = free_port()
    bridge = make_bridge({"listen": {"tls": f"127.0.0.1:{port}", "tls_cert_file": cert, "tls_key_file": key,
                                     "first_frame_timeout": "1s"}})
    bridge.wait_connected()
    sub = subscribe("trackers/bridge/#")
    plain = Unit(port)
    plain.send(v1("9170503816"))
    while plain.receive():  # an alert at the most
        pass
    assert Unit(port).receive() == b"", "a silent one is closed"
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["refused.tls"] == 1 and
           m.record["refused.no_frame_in_time"] == 1)
    unit = TlsUnit(port, ca)
    unit.send(v1("9170503816"))
    assert b"V4,V1" in unit.receive()
    unit.close()
