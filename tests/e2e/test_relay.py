# SPDX-License-Identifier: MIT
"""The maker's platform gets the frames of H02 units as well; whatever happens to it, no unit notices."""

import signal
import subprocess

import pytest
from conftest import BUILD, Bridge, Unit, free_port, program_with_hosts, v1, wait_for
from test_jt808 import frame, location, unescape

PLATFORM_ONLY = ("channel.id", "peer", "server.timestamp", "server.seqnum", "device.name")


@pytest.fixture
def world(make_bridge, subscribe, broker, tmp_path):
    """A bridge, and a second one that plays the platform."""
    (tmp_path / "platform").mkdir()
    platform = Bridge(tmp_path / "platform", broker.port, {"publish": {"prefix": "platform", "instance": "platform"},
                                                           "h02": {"ack": "r12"}})

    def make(**relay):
        bridge = make_bridge({"relay": {"server": f"127.0.0.1:{platform.port}", **relay}, **({"units": {
            "file": tmp_path / "units.ini"}} if (tmp_path / "units.ini").exists() else {})})
        bridge.wait_connected()
        platform.wait_connected()
        return bridge, platform, subscribe("#")

    yield make
    assert platform.process.poll() is not None or platform.stop() == 0
    assert "Sanitizer" not in platform.log()


def own(message):
    return {k: v for k, v in message.record.items() if k not in PLATFORM_ONLY}


def clock(n):
    return f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}"


def test_both_publish_the_same(world, tmp_path):
    (tmp_path / "units.ini").write_text("[9170503818]\nrelay = no\n")
    bridge, platform, sub = world()
    units = [Unit(bridge.port, transport) for transport in ("tcp", "udp", "tcp")]
    for n in range(20):
        for k, unit in enumerate(units):
            unit.send(v1(f"917050381{6 + k}", clock(n)))
            assert b",V4,V1," in unit.receive(), "the bridge's own answer, not the platform's R12"
    for ident in ("9170503816", "9170503817"):
        here = [own(m) for m in sub.on(f"trackers/{ident}/position", 20)]
        there = [own(m) for m in sub.on(f"platform/{ident}/position", 20)]
        assert here == there
    sub.on("trackers/9170503818/position", 20)
    assert not sub.now(lambda m: m.topic.startswith("platform/9170503818/"))
    for unit in units:
        unit.close()
    sub.on("platform/9170503816/status", where=lambda m: m.record["state"] == "offline")


def test_the_platform_answers(world):
    bridge, platform, sub = world(replies="relay")
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    assert b",R12," in unit.receive(), "only the platform's answer"
    sub.on("platform/9170503816/position")
    sub.publish("platform/9170503816/cmd", "S32,000000,1")  # and what it commands
    assert unit.receive_until(b",S32,").endswith(b"*HQ,9170503816,S32,000000,1#")
    unit.close()


UNITS = """[9170503816]
[9170503817]
relay = no
[9170503818]
ack = v4
[9170503819]
relay = no
ack = r12
[9170503820]
ack = off
[9170503821]
timezone = +00:00
"""


@pytest.mark.parametrize("replies,answers", [
    # who is relayed is answered by the platform alone, unless the units file says how the bridge is to answer it
    ("relay", {"16": [b"R12"], "17": [b"V4"], "18": [b"R12", b"V4"], "19": [b"R12"], "20": [b"R12"], "21": [b"R12"], "99": [b"R12"]}),
    ("bridge", {"16": [b"V4"], "17": [b"V4"], "18": [b"V4"], "19": [b"R12"], "20": [], "21": [b"V4"], "99": [b"V4"]})])
def test_who_answers(world, tmp_path, replies, answers):
    (tmp_path / "units.ini").write_text(UNITS)
    bridge, platform, sub = world(replies=replies)
    for unit_number, want in answers.items():
        ident, relayed = f"91705038{unit_number}", unit_number not in ("17", "19")
        unit = Unit(bridge.port)
        for n in range(3):
            unit.send(v1(ident, clock(n)))
        sub.on(f"trackers/{ident}/position", 3)
        if relayed:
            sub.on(f"platform/{ident}/position", 3)
        # what is commanded comes behind all answers
        sub.publish(f"{'platform' if relayed and replies == 'relay' else 'trackers'}/{ident}/cmd", "S32,000000,1")
        data = unit.receive_until(b",S32,")
        forms = [part.split(b",")[2] for part in data.split(b"#") if part and b",S32," not in part]
        assert sorted(forms) == sorted(want * 3), (ident, data)
        unit.close()
    modern = Unit(bridge.port)
    modern.send(frame(0x0200, location(), serial=7))
    assert unescape(modern.receive())[12:-1] == bytes.fromhex("0007020000"), "units that are not relayed are answered"
    modern.close()


def test_strangers_are_not_answered_in_the_place_of_the_platform(world):
    """Not yet relayed, they get no answer: whoever asks the platform to answer does not want the bridge to."""
    bridge, platform, sub = world(replies="relay")
    crowd = Unit(bridge.port)
    crowd.send("".join(v1(f"{800000 + n}") for n in range(60)))
    sub.on("trackers/800059/position")
    for n in range(50):
        sub.on(f"platform/{800000 + n}/position")
    sub.publish("platform/800000/cmd", "S32,000000,1")
    data = crowd.receive_until(b"*HQ,800000,S32,")
    sub.publish("trackers/800059/cmd", "S32,000001,1")
    data += crowd.receive_until(b"*HQ,800059,S32,")
    assert b",V4," not in data and not any(b"*HQ,8000%d,R12," % n in data for n in range(50, 60)), data
    assert b"*HQ,800000,R12," in data
    crowd.close()


def test_the_platform_comes_and_goes(world):
    bridge, platform, sub = world(buffer="2K")
    unit = Unit(bridge.port)
    sent = 0

    def report(count):
        nonlocal sent
        for _ in range(count):
            unit.send(v1("9170503816", clock(sent)))
            assert b",V4,V1," in unit.receive()
            sent += 1

    report(5)
    sub.on("platform/9170503816/position", 5)
    platform.stop(signal.SIGKILL)
    report(100)
    sub.on("trackers/9170503816/position", sent)
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["relay.dropped"] > 50)
    platform.start()
    sub.on("platform/9170503816/position", where=lambda m: m.record["timestamp"] % 86400 == sent - 1)
    report(5)
    sub.on("platform/9170503816/position", where=lambda m: m.record["timestamp"] % 86400 == sent - 1)
    assert bridge.log().count("relay: ") <= 4, "it is told once, not for each try"
    unit.close()


def test_a_wrong_server_is_a_fault(tmp_path):
    ini = tmp_path / "a.ini"
    ini.write_text("[relay]\nserver = platform.example\n")
    result = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and "allowed: host:port" in result.stderr
    ini.write_text("[relay]\nserver = [::1]:8090\n")
    assert subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], timeout=30).returncode == 0


def test_a_server_without_a_name_disturbs_nobody(make_bridge, subscribe):
    bridge = make_bridge({"relay": {"server": f"no.such.name.invalid:{free_port()}"}})
    unit = Unit(bridge.port)
    for n in range(10):
        unit.send(v1("9170503816", clock(n)))
        assert b",V4,V1," in unit.receive()
    wait_for(lambda: "the server's name is not known yet" in bridge.log(), "the log")
    unit.close()


def test_strangers_open_no_connections_to_the_platform(world):
    """Those that are trusted at once do, and no others until they have behaved like units."""
    bridge, platform, sub = world()
    crowd = Unit(bridge.port)
    crowd.send("".join(v1(f"{800000 + n}") for n in range(120)))
    data = b""
    while data.count(b"#") < 120:
        data += crowd.receive()
    sub.on("trackers/800119/position")
    for n in range(50):
        sub.on(f"platform/{800000 + n}/position")
    there = {m.topic.split("/")[1] for m in sub.now(lambda m: m.topic.startswith("platform/8"))}
    assert len(there) == 50
    crowd.close()


def test_a_platform_at_the_second_address_of_its_name(make_bridge, subscribe, broker, tmp_path):
    (tmp_path / "platform").mkdir()
    platform = Bridge(tmp_path / "platform", broker.port, {"publish": {"prefix": "platform", "instance": "platform"}})
    bridge = make_bridge({"relay": {"server": f"two.example:{platform.port}"}},
                         program=program_with_hosts(tmp_path, "::1 two.example\n127.0.0.1 two.example\n"))
    bridge.wait_connected()
    sub = subscribe("#")
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    sub.on("platform/9170503816/position")
    unit.close()
    assert platform.stop() == 0 and "Sanitizer" not in platform.log()
