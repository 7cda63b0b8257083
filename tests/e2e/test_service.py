# SPDX-License-Identifier: MIT
"""As a systemd service: ready when the listeners stand, reloading, alive, stopping; the unit file is sound and tight."""

import re
import signal
import socket
import subprocess

import pytest
from conftest import BUILD, ROOT, Bridge, Broker, Unit, free_port, v1, wait_for

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


@pytest.fixture
def guarded(tmp_path):
    """A broker that knows one user: bridge, secret."""
    directory = tmp_path / "guarded"
    directory.mkdir()
    passwords = directory / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "bridge", "secret"], check=True, capture_output=True)
    passwords.chmod(0o644)
    b = Broker(directory, f"password_file {passwords}\n")
    b.stop()
    b.config.write_text(b.config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    b.start()
    yield b
    b.stop()


@pytest.fixture
def service(tmp_path, guarded):
    """The bridge as the unit file starts it: with the credential that is there, or the one that the unit file sets."""
    made = []

    def make(directory, credential, **mqtt):
        directory.mkdir()
        text = UNIT.read_text()
        name = re.search(r"\nLoadCredential=(\S+?):/etc/tracker2mqtt/(\S+)", text)
        standard = re.search(r"\nSetCredential=" + name[1] + r":(.*)", text)[1].replace("\\n", "\n")
        given = directory / "credentials"
        given.mkdir()
        (given / name[1]).write_text(standard if credential is None else credential)
        if credential is not None:
            (directory / name[2]).write_text(credential)
        environment = {"CREDENTIALS_DIRECTORY": str(given)}
        for key, value in re.findall(r"\nEnvironment=(\w+)=(.*)", text):
            environment[key] = value.replace("%d", str(given))
        bridge = Bridge.__new__(Bridge)
        made.append(bridge)
        try:
            bridge.__init__(directory, guarded.port, {"mqtt": mqtt}, environment=environment)
        except AssertionError:
            pass  # it has ended; the caller looks why
        shell = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", bridge.path], capture_output=True, text=True, timeout=30)
        return bridge, shell

    yield make
    for bridge in made:
        if bridge.process.poll() is None:
            assert bridge.stop() == 0


@pytest.mark.parametrize("credential, mqtt", [
    ("secret\n", {}), ("secret", {}),
    (None, {"password": "secret"}), ("", {"password": "secret"}), ("\n", {"password": "secret"}),
    (None, {"password_file": "{}"}), ("\n", {"password_file": "{}"})])
def test_the_password_comes_from_a_credential(service, tmp_path, credential, mqtt):
    """From one place: the credential, or the configuration when there is none; and `-t` in a shell agrees."""
    (tmp_path / "file").write_text("secret\n")
    mqtt = {key: value.format(tmp_path / "file") for key, value in mqtt.items()}
    bridge, shell = service(tmp_path / "service", credential, username="bridge", **mqtt)
    assert shell.returncode == 0, shell.stderr
    bridge.wait_connected()


@pytest.mark.parametrize("credential, mqtt, fault", [
    ("secret\n", {"username": "bridge", "password": "secret"}, "both set"),
    ("secret\n", {"username": "bridge", "password_file": "{}"}, "both set"),
    (None, {"username": "bridge", "password": "secret", "password_file": "{}"}, "both set"),
    ("secret\n", {}, "needs a username"), (None, {"password_file": "{}"}, "needs a username"),
    ("x" * 600 + "\n", {"username": "bridge"}, "too long"), (None, {"username": "b", "password_file": "/nowhere"}, "/nowhere cannot be read: No such file")])
def test_what_the_service_refuses_the_check_names(service, tmp_path, credential, mqtt, fault):
    (tmp_path / "file").write_text("secret\n")
    mqtt = {key: value.format(tmp_path / "file") for key, value in mqtt.items()}
    bridge, shell = service(tmp_path / "service", credential, **mqtt)
    assert bridge.process.wait(30) == 1 and fault in bridge.log()
    assert shell.returncode == 1 and fault in shell.stderr


def test_a_wrong_credential_is_refused_by_the_broker(service, tmp_path):
    bridge, _ = service(tmp_path / "service", "wrong\n", username="bridge")
    wait_for(lambda: "refuses: Not authorized" in bridge.log(), "the refusal")


def test_an_empty_password_file_is_none(service, tmp_path):
    (tmp_path / "empty").write_text("\n")
    bridge, shell = service(tmp_path / "service", None, username="bridge", password="secret", password_file=str(tmp_path / "empty"))
    assert shell.returncode == 0, shell.stderr
    bridge.wait_connected()


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
                 "LimitNOFILE=", "LoadCredential=mqtt-password:", "RestartPreventExitStatus=1\n"):
        assert f"\n{line}" in text
    assert "ProcSubset=pid" not in text  # it hides the boot id, by which a loss of power is known


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


def test_raw_frames_are_switched_on_and_off_by_a_reload(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"raw": "no"}})
    bridge.wait_connected()
    sub = subscribe("#")
    unit = Unit(bridge.port)
    raw = lambda: len(sub.now(lambda m: m.topic == "trackers/9170503816/raw"))  # noqa: E731
    seen = 0
    for n, (value, frames) in enumerate([("no", 0), ("yes", 2), ("no", 0), ("yes", 2)], 1):
        if n > 1:
            text = bridge.path.read_text()
            bridge.path.write_text(text.replace("raw = yes" if value == "no" else "raw = no", f"raw = {value}"))
            bridge.process.send_signal(signal.SIGHUP)
            wait_for(lambda n=n: bridge.log().count("reloaded") == n - 1, "the reload")
        unit.send(v1("9170503816", f"00000{n}"))
        assert unit.receive()
        seen += frames
        sub.on("trackers/9170503816/position", n)
        if frames:
            sub.on("trackers/9170503816/raw", seen)
        assert raw() == seen
    unit.close()
