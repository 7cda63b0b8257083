"""As a systemd service: ready when the listeners stand, reloading, alive, stopping; the unit file is sound and tight."""

import re
import signal
import socket
import subprocess

import pytest
from conftest import ROOT, Bridge, Unit, free_port, v1, wait_for

UNIT = ROOT / "etc/tracker2mqtt.service"


@pytest.fixture
def notified(tmp_path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(tmp_path / "notify"))
    sock.settimeout(30)
    seen = []

    def until(word):
        while not any(word in m for m in seen):
            seen.append(sock.recv(4096).decode())
        found = next(m for m in seen if word in m)
        seen.clear()
        return found

    yield tmp_path / "notify", until
    sock.close()


def test_what_systemd_is_told(notified, tmp_path):
    path, until = notified
    bridge = Bridge(tmp_path, free_port(), environment={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"})
    until("READY=1")  # no broker answers, and that does not matter
    for _ in range(3):
        until("WATCHDOG=1")
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    assert b"V4,V1" in unit.receive()
    until("STATUS=1 connections, 1 units on line, 2 messages wait, broker away")
    bridge.process.send_signal(signal.SIGHUP)
    assert re.search(r"MONOTONIC_USEC=\d+", until("RELOADING=1"))
    until("READY=1")
    unit.close()
    bridge.process.send_signal(signal.SIGTERM)
    until("STOPPING=1")
    assert bridge.process.wait(30) == 0
    bridge.log_file.close()


def test_the_password_comes_from_a_credential(tmp_path):
    secret = tmp_path / "mqtt-password"
    secret.write_text("\n")  # what SetCredential= gives where no file is
    bridge = Bridge(tmp_path, free_port(), environment={"TRACKER2MQTT_MQTT_PASSWORD_FILE": str(secret)})
    assert bridge.stop() == 0


def test_the_unit_file():
    result = subprocess.run(["systemd-analyze", "security", "--offline=yes", UNIT], capture_output=True, text=True)
    level = float(re.search(r"exposure level for \S+: ([\d.]+)", result.stdout)[1])
    assert level <= 2.0, result.stdout
    verify = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True)
    left = [line for line in verify.stderr.splitlines()
            if "is not executable" not in line and "Command 'man" not in line]  # it is not installed here
    assert not left, left
    text = UNIT.read_text()
    for line in ("Type=notify", "ExecReload=/bin/kill -HUP $MAINPID", "WatchdogSec=", "StateDirectory=tracker2mqtt",
                 "LimitNOFILE=", "LoadCredential=mqtt-password:"):
        assert f"\n{line}" in text


def test_a_reload_with_a_fault_changes_nothing(make_bridge, tmp_path):
    units = tmp_path / "units.ini"
    units.write_text("[9170503816]\nname = a\n")
    bridge = make_bridge({"units": {"file": units}, "h02": {"ack": "r12"}})

    def told(time):
        unit = Unit(bridge.port)
        unit.send(v1("9170503816", time))
        answer = unit.receive()
        unit.finish()
        return answer

    assert b",R12," in told("000001")
    good = bridge.path.read_text()
    bridge.path.write_text(good.replace("ack = r12", "ack = v4") + "[log]\nlevel = loud\n")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "level = loud is not allowed" in bridge.log() and "nothing is changed" in bridge.log(), "the fault")
    assert b",R12," in told("000002")
    bridge.path.write_text(good.replace("ack = r12", "ack = v4"))
    units.write_text("[9170503816]\ncolour = red\n")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: bridge.log().count("nothing is changed") == 2, "the fault in the other file")
    assert b",R12," in told("000003")
    units.write_text("[9170503816]\nname = b\n")
    bridge.path.write_text(good.replace("ack = r12", "ack = v4").replace("[mqtt]", "[mqtt]\nkeepalive = 30s"))
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    assert "reload: [h02] ack changed" in bridge.log()
    assert "reload: [mqtt] keepalive changed; it needs a restart" in bridge.log()
    assert b",V4,V1," in told("000004")
