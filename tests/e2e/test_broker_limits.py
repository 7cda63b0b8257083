# SPDX-License-Identifier: MIT
"""A broker that can less is used as far as it goes: without retained messages, with small packets, without QoS 1 only by option;
and a broker that does not let the bridge write loses nothing. With a real mosquitto, under MQTT 3.1.1 and 5."""

import json
import subprocess

import pytest
from conftest import BUILD, PATIENCE, Broker, Subscriber, Unit, v1, wait_for
from fakebroker import FakeBroker, packet

IDENT = "9170503816"
TOPIC = f"trackers/{IDENT}/position"


@pytest.fixture
def run(tmp_path, make_bridge):
    """A mosquitto with lines of its own, and a bridge."""
    made = []

    def make(extra, version, **mqtt):
        directory = tmp_path / f"broker{len(made)}"
        directory.mkdir()
        broker = Broker(directory, extra)
        made.append(broker)
        return broker, make_bridge({"mqtt": {"port": broker.port, "version": version, **mqtt}})

    yield make
    for broker in made:
        if broker.process.poll() is None:
            broker.stop()


def report(bridge, count, first=0, ident=IDENT):
    unit = Unit(bridge.port)
    for n in range(first, first + count):
        unit.send(v1(ident, f"00{n // 60:02}{n % 60:02}"))
        unit.receive_until(b"#")
    unit.close()


def status(bridge):
    return subprocess.run([BUILD / "tracker2mqtt", "-c", bridge.path, "--outbox-status"], capture_output=True,
                          text=True, timeout=PATIENCE).stdout


def long_document(ident="013912345678"):
    """A JT/T 808 0x0900 in 30 parts: one record of some 60 KB."""
    def frame(message, serial, body, total=0, number=0):
        raw = message.to_bytes(2, "big") + (len(body) | (0x2000 if total else 0)).to_bytes(2, "big")
        raw += bytes.fromhex(ident) + serial.to_bytes(2, "big")
        raw += (total.to_bytes(2, "big") + number.to_bytes(2, "big") if total else b"") + body
        check = 0
        for byte in raw:
            check ^= byte
        raw += bytes([check])
        return b"~" + raw.replace(b"}", b"}\x01").replace(b"~", b"}\x02") + b"~"

    return [frame(0x0900, n, (b"\xf1" if n == 1 else b"") + b"A" * 1000, 30, n) for n in range(1, 31)]


def test_an_acl_without_write(run):
    """All is kept until the ACL lets it through. (Under 3.1.1 mosquitto acknowledges what its ACL denies: nobody can know.)"""
    broker, bridge = run("", 5)
    acl = broker.directory / "acl"
    acl.write_text("topic read #\n")
    broker.config.write_text(broker.config.read_text() + f"acl_file {acl}\n")
    broker.stop()
    broker.start()
    report(bridge, 200)
    wait_for(lambda: "the broker does not take trackers/" in bridge.log(), "the line")
    assert bridge.log().count("the broker does not take") == 1
    assert "Not authorized (0x87)" in bridge.log() and "allow the bridge to write trackers/#" in bridge.log()
    acl.write_text("topic readwrite #\n")
    subscriber = Subscriber(broker.port)
    broker.process.send_signal(1)
    got = subscriber.wait(lambda m: m.topic == TOPIC, "positions", 200)
    times = [m.record["timestamp"] for m in got]
    assert times == sorted(times) and len(set(times)) == 200
    assert got[-1].retain or subscriber.now(lambda m: m.topic == TOPIC)[-1].retain
    wait_for(lambda: "takes all messages again" in bridge.log(), "the end of it")
    subscriber.close()


@pytest.mark.parametrize("version", [4, 5])
def test_a_message_larger_than_the_broker_takes(run, version):
    broker, bridge = run("max_packet_size 20000\n", version)
    bridge.wait_connected(forwards=False)
    subscriber = Subscriber(broker.port)
    unit = Unit(bridge.port)
    for part in long_document():
        unit.send(part)
    unit.receive()  # when all of it is stored
    report(bridge, 20)
    subscriber.on(TOPIC, 20)
    wait_for(lambda: "set aside, the last one for trackers/13912345678/" in bridge.log(), "the line")
    shown = status(bridge)
    assert "set aside: 1\n" in shown
    assert ("Packet too large (0x95)" if version == 5 else "the broker closes the connection") in shown
    wait_for(lambda: json.loads(subscriber.on("trackers/bridge/test/stats")[-1].payload)["outbox.messages"] == 0,
             "an empty outbox")
    if version == 5:
        assert bridge.log().count("connected to broker") == 1
    unit.close()
    subscriber.close()


@pytest.mark.parametrize("version", [4, 5])
def test_no_retained_messages(run, version):
    broker, bridge = run("retain_available false\n", version)
    bridge.wait_connected(forwards=False)
    wait_for(lambda: "keeps no retained messages" in bridge.log(), "the words")
    subscriber = Subscriber(broker.port)
    report(bridge, 20)
    subscriber.on(TOPIC, 20)
    connects = bridge.log().count("connected to broker")
    report(bridge, 5, 20)
    subscriber.on(TOPIC, 25)
    assert bridge.log().count("connected to broker") == connects
    assert "set aside" not in bridge.log() and bridge.log().count("keeps no retained") == 1
    subscriber.close()


@pytest.mark.parametrize("version", [4, 5])
def test_no_qos_1(run, version):
    """Kept and said; with the option, delivered, and the guarantee said to be gone."""
    broker, bridge = run("max_qos 0\n", version)
    wait_for(lambda: "the broker takes QoS 0 only" in bridge.log(), "the words")
    assert "[mqtt] qos = 0" in bridge.log()
    subscriber = Subscriber(broker.port)
    report(bridge, 20)
    assert "set aside" not in bridge.log()
    assert "messages: 0" not in status(bridge)
    assert not subscriber.now(lambda m: m.topic == TOPIC)
    bridge.stop()
    bridge.sections["mqtt"]["qos"] = 0
    bridge.write()
    bridge.start()
    got = subscriber.on(TOPIC, 20)
    assert [m.record["timestamp"] for m in got] == sorted(m.record["timestamp"] for m in got)
    assert "a message is done when it is written" in bridge.log()
    wait_for(lambda: "messages: 0" in status(bridge), "an empty outbox")
    subscriber.close()


def test_qos_0_by_option_with_any_broker(run):
    broker, bridge = run("", 5, qos=0)
    bridge.wait_connected(forwards=False)
    subscriber = Subscriber(broker.port)
    report(bridge, 50)
    subscriber.on(TOPIC, 50)
    wait_for(lambda: json.loads(subscriber.on("trackers/bridge/test/stats")[-1].payload)["outbox.messages"] == 0, "all")
    subscriber.close()


def test_a_broker_with_small_packets_is_not_left(make_bridge):
    """Stats that are too large are left out and told once; what fits exactly goes, one byte more is set aside."""
    fake = FakeBroker()
    most = 1720
    fake.properties = bytes([0x27]) + most.to_bytes(4, "big")
    sizes = []
    fake.on_publish = lambda p: sizes.append(p) or 0
    try:
        bridge = make_bridge({"mqtt": {"port": fake.port}, "publish": {"raw": "yes", "instance": "i" * 60}})
        bridge.wait_connected(forwards=False)
        for more in ("", "1", "12"):  # with these three, a message of each size around the limit
            unit = Unit(bridge.port)
            for n in range(460, 540):
                unit.send(f"*HQ,{IDENT}{more},ZZ,{'A' * n}#")
            unit.close()
        report(bridge, 1)
        fake.wait_taken(TOPIC)
        wait_for(lambda: "stats is left out" in bridge.log(), "the words")
        wait_for(lambda: "set aside, the last one" in bridge.log(), "set aside")

        def wire(p):
            body = len(packet(3, b"\0\0" + p.topic.encode() + b"\0\0" + b"\0" + p.properties + p.payload))
            return body

        assert max(wire(p) for p in sizes) == most, "what fits exactly goes"
        assert fake.connections == 1 and bridge.log().count("stats is left out") == 1
        assert bridge.stop() == 0
    finally:
        fake.close()
