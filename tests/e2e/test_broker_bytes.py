# SPDX-License-Identifier: MIT
"""Whatever bytes a broker sends, the bridge lives, says what happened, and tries again; what units were told is delivered later."""

import os
import pathlib
import ssl

import pytest
from certificates import Authority
from conftest import BUILD, Unit, libmosquitto, v1, wait_for
from fakebroker import AUTH, CONNACK, DISCONNECT, PUBACK, PUBLISH, SUBACK, FakeBroker, packet

PLAIN = pathlib.Path(os.environ.get("T2M_PLAIN", BUILD))  # without sanitizers, which take memory themselves
UNKNOWN = b"\x02\x7f\x00"  # properties: one, with a number that MQTT does not know
OK = packet(CONNACK, b"\0\0\0")
CASES = {
    "CONNACK": packet(CONNACK, b"\0\0" + UNKNOWN),
    "SUBACK": OK + packet(SUBACK, b"\0\1" + UNKNOWN + b"\0"),
    "PUBACK": OK + packet(PUBACK, b"\0\1\0" + UNKNOWN),
    "PUBREC": OK + packet(5, b"\0\1\0" + UNKNOWN),
    "PUBREL": OK + packet(6, b"\0\1\0" + UNKNOWN, 2),
    "PUBCOMP": OK + packet(7, b"\0\1\0" + UNKNOWN),
    "PUBLISH": OK + packet(PUBLISH, b"\0\1t" + UNKNOWN + b"x"),
    "UNSUBACK": OK + packet(11, b"\0\1" + UNKNOWN + b"\0"),
    "DISCONNECT": OK + packet(DISCONNECT, b"\x80" + UNKNOWN),
    "AUTH": OK + packet(AUTH, b"\x18" + UNKNOWN),
    "second CONNACK": OK + OK,
    "receive maximum 0": packet(CONNACK, b"\0\0\3\x21\0\0"),
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "zeros": bytes(4096),
    "the largest packet": OK + b"\x30\xff\xff\xff\x7f" + bytes(100),
}


def not_known(log):
    """What is said of it: libmosquitto 2.0.11 fails an assertion, 2.0.21 returns an error."""
    return "libmosquitto does not know what the broker sent" in log or \
        libmosquitto() > (2, 0, 11) and "what the broker sent is not the MQTT that was expected" in log


def run_case(fake, make_bridge, data, mqtt):
    # what a failed assertion held in the library stays held
    fake.on_connect = lambda number: data if number <= 2 else 0
    bridge = make_bridge({"mqtt": {"port": fake.port, **mqtt}}, environment={"ASAN_OPTIONS": "detect_leaks=0"})
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    unit.receive_until(b"#")
    fake.wait_taken("trackers/9170503816/position")
    assert bridge.process.poll() is None
    assert "Success" not in bridge.log()
    unit.close()
    return bridge.log()


@pytest.fixture
def fake():
    broker = FakeBroker()
    yield broker
    broker.close()


@pytest.mark.parametrize("case", CASES)
def test_bytes(fake, make_bridge, case):
    log = run_case(fake, make_bridge, CASES[case], {})
    if CASES[case].find(UNKNOWN) >= 0:
        assert not_known(log)


def test_bytes_over_tls(tmp_path, make_bridge):
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("broker"))
    fake = FakeBroker(context=context)
    try:
        log = run_case(fake, make_bridge, CASES["CONNACK"],
                       {"host": "localhost", "tls": "yes", "tls_ca_file": authority.pem})
        assert not_known(log)
    finally:
        fake.close()


def test_a_flood_of_properties(fake, make_bridge):
    """A packet of a quarter of a gigabyte, full of small properties, is not read to its end."""
    head = packet(PUBLISH, b"")[:1] + b"\xff\xff\xff\x7f" + b"\0\1t" + b"\xf0\xff\xff\x7f"
    bridge = make_bridge({"mqtt": {"port": fake.port}}, program=[PLAIN / "tracker2mqtt"])
    bridge.wait_connected(forwards=False)
    before = bridge.memory_kib()
    fake.on_publish = lambda p: head + b"\x26\0\0\0\0" * (20 << 20)
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    unit.receive_until(b"#")
    wait_for(lambda: "sends packets of more than" in bridge.log(), "the end of it")
    assert bridge.memory_kib() - before < 128 << 10
    fake.on_publish = lambda p: 0
    fake.wait_taken("trackers/9170503816/position")
    unit.close()


def test_a_packet_identifier_that_is_not_free(fake, make_bridge):
    """One message is never acknowledged, and 65,536 others are: its identifier is not used for another message."""
    first = []

    def answer(p):
        if p.topic.endswith("/position") and p.qos and (not first or first[0] == p.payload) and p.connection == 1:
            first[:] = [p.payload]
            return None
        return 0

    fake.on_publish = answer
    bridge = make_bridge({"mqtt": {"port": fake.port, "ack_timeout": "1h"}, "limits": {"frames_per_unit": 0},
                          "outbox": {"sync": "never"}})
    bridge.wait_connected(forwards=False)
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    unit.receive_until(b"#")
    wait_for(lambda: first, "the first")
    others = Unit(bridge.port)
    for n in range(0, 66000, 200):
        others.send("".join(v1("9170503817", f"{n // 3600 % 24:02}{n // 60 % 60:02}{n % 60:02}") for _ in range(200)))
        others.receive()
    wait_for(lambda: "forgot to acknowledge" in bridge.log(), "the new connection", 60)
    wait_for(lambda: any(p.payload == first[0] for p in fake.taken), "the first one, again")
    published = [p for p in fake.published if p.qos and p.connection == 1]
    unanswered = next(p.mid for p in published if p.payload == first[0])
    assert [p.payload for p in published if p.mid == unanswered] == [first[0]], "its identifier is not used again while it waits"
    unit.close()
    others.close()
