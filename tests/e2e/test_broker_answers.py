# SPDX-License-Identifier: MIT
"""Nothing is done until the broker took it: for every reason code of MQTT 5, and every way to close a connection, a record is
delivered, kept, or set aside where --outbox-status shows it; others go on; and a line in the log and a counter say so."""

import json
import subprocess

import pytest
from conftest import BUILD, PATIENCE, Unit, free_port, get, libmosquitto, v1, wait_for
from fakebroker import FIN, GARBAGE, RST, SILENCE, FakeBroker, disconnect

BAD, GOOD = "9170000666", "9170000777"
BAD_TOPIC, GOOD_TOPIC = f"trackers/{BAD}/position", f"trackers/{GOOD}/position"
STATS = "trackers/bridge/test/stats"


@pytest.fixture
def fake():
    broker = FakeBroker()
    yield broker
    broker.close()


@pytest.fixture
def start(make_bridge, fake):
    def make(version=5, **options):
        mqtt = {"port": fake.port, "version": version, **options.pop("mqtt", {})}
        return make_bridge({"mqtt": mqtt, **options})

    return make


def report(bridge, ident, count=1, first=0):
    unit = Unit(bridge.port)
    for n in range(first, first + count):
        unit.send(v1(ident, f"00{n // 60:02}{n % 60:02}"))
        unit.receive_until(b"#")
    unit.close()


def counters(fake):
    with fake.lock:
        stats = [p for p in fake.published if p.topic == STATS]
    return json.loads(stats[-1].payload) if stats else {}


def at_least(fake, name, value):
    wait_for(lambda: counters(fake).get(name, 0) >= value, f"{name} >= {value}, is {counters(fake).get(name)}")


def wait_counter(fake, name, value):
    wait_for(lambda: counters(fake).get(name) == value, f"{name} = {value}, is {counters(fake).get(name)}")


def status(bridge):
    return subprocess.run([BUILD / "tracker2mqtt", "-c", bridge.path, "--outbox-status"], capture_output=True,
                          text=True, timeout=PATIENCE).stdout


# what a PUBACK says -> what becomes of the record
TAKEN, KEPT, ASIDE = "delivered", "kept", "set aside"
PUBACK_TABLE = [
    (0x00, TAKEN), (0x10, TAKEN),
    (0x80, KEPT), (0x83, KEPT), (0x87, KEPT), (0x91, KEPT), (0x97, KEPT),
    (0x90, ASIDE), (0x99, ASIDE),
]
# Codes that MQTT has not for a PUBACK. libmosquitto 2.0.11 hands them on; 2.0.21 ends the connection.
FOREIGN_TABLE = [
    (0x42, TAKEN), (0x81, KEPT), (0x82, KEPT), (0x8b, KEPT), (0x92, KEPT), (0x9a, KEPT), (0x9b, KEPT), (0xb7, KEPT), (0xff, KEPT),
    (0x95, ASIDE),
]


def ident_of(code):
    return f"9170001{code:03}"


def topic_of(code):
    return f"trackers/{ident_of(code)}/position"


def check_delivered(fake, bridge, code):
    fake.wait_taken(topic_of(code))


def check_kept(fake, bridge, code):
    assert topic_of(code) not in fake.topics() and topic_of(code) in fake.topics(taken=False)
    assert f"{topic_of(code)}: " not in status(bridge)


def check_set_aside(fake, bridge, code):
    shown = status(bridge)
    assert f"for {topic_of(code)}: " in shown and f"(0x{code:02x})" in shown
    assert fake.topics(taken=False).count(topic_of(code)) == 1, "not tried again"


CHECKS = {TAKEN: check_delivered, KEPT: check_kept, ASIDE: check_set_aside}


def test_puback_table(fake, start):
    """Each code for a unit of its own, in one bridge."""
    codes = {topic_of(code): code for code, _ in PUBACK_TABLE}
    kept = [code for code, outcome in PUBACK_TABLE if outcome == KEPT]
    refusing = [True]
    fake.on_publish = lambda p: codes.get(p.topic, 0) if refusing[0] else 0
    bridge = start()
    bridge.wait_connected(forwards=False)
    for code, _ in PUBACK_TABLE:
        report(bridge, ident_of(code))
    report(bridge, GOOD)
    fake.wait_taken(GOOD_TOPIC)
    at_least(fake, "messages.waiting", len(kept))
    wait_counter(fake, "messages.set_aside", 2)
    for code, outcome in PUBACK_TABLE:
        CHECKS[outcome](fake, bridge, code)
        print(f"PUBACK 0x{code:02x} {outcome}")
    assert counters(fake)["messages.refused"] >= len(kept) + 2
    assert "set aside: 2\n" in status(bridge)
    # published is what the broker took at QoS 1, but for `online`
    wait_for(lambda: counters(fake).get("messages.published") == len(
        [p for p in fake.taken if p.qos == 1]) - 1, "messages.published")
    refusing[0] = False  # the broker is cured
    for code in kept:
        fake.wait_taken(topic_of(code))
    wait_for(lambda: "takes all messages again" in bridge.log(), "the end of it")
    wait_counter(fake, "messages.waiting", 0)
    wait_counter(fake, "outbox.messages", 0)
    assert fake.connections == 1


@pytest.mark.parametrize("code, outcome", FOREIGN_TABLE)
def test_a_puback_code_that_mqtt_has_not(fake, start, code, outcome):
    """Whatever the library makes of it, the record is delivered, kept, or set aside, and others go on."""
    refusing = [True]
    fake.on_publish = lambda p: code if p.topic == topic_of(code) and refusing[0] else 0
    bridge = start()
    bridge.wait_connected(forwards=False)
    report(bridge, ident_of(code))
    report(bridge, GOOD)
    fake.wait_taken(GOOD_TOPIC)
    if outcome == TAKEN:
        wait_for(lambda: topic_of(code) in fake.topics(taken=False), "the record")
    elif outcome == KEPT:
        wait_for(lambda: counters(fake).get("messages.waiting") or counters(fake).get("messages.set_aside"), "what is kept")
    else:
        at_least(fake, "messages.set_aside", 1)
    if libmosquitto() <= (2, 0, 11):
        assert fake.connections == 1
    if fake.connections == 1:
        CHECKS[outcome](fake, bridge, code)
    refusing[0] = False
    wait_counter(fake, "outbox.messages", 0)
    assert (topic_of(code) in fake.topics()) != (f"for {topic_of(code)}: " in status(bridge))


@pytest.mark.parametrize("code", [0x80, 0x87, 0x97])
def test_the_line_for_a_refusal(fake, start, code):
    """Topic, reason and cure, once a minute whatever the number."""
    fake.on_publish = lambda p: code if p.topic == BAD_TOPIC else 0
    bridge = start(mqtt={"username": "bridge"})
    bridge.wait_connected(forwards=False)
    report(bridge, BAD, 50)
    wait_for(lambda: f"the broker does not take {BAD_TOPIC}: " in bridge.log(), "the line")
    assert f"(0x{code:02x}): " in bridge.log() and "messages wait" in bridge.log()
    at_least(fake, "messages.waiting", 50)
    if code == 0x87:
        assert "allow bridge to write trackers/# in the broker's ACL" in bridge.log()
    assert bridge.log().count("does not take") == 1


def test_healthz_says_why(fake, start):
    port = free_port()
    fake.on_publish = lambda p: 0x87 if p.topic == BAD_TOPIC else 0
    bridge = start(metrics={"listen": f"127.0.0.1:{port}"})
    bridge.wait_connected(forwards=False)

    def health():
        return get(port, "/healthz")

    assert health()[0] == 200
    report(bridge, BAD)
    wait_for(lambda: health()[0] == 503, "503")
    assert f"the broker does not take {BAD_TOPIC}: Not authorized (0x87)" in health()[1]
    fake.on_publish = lambda p: 0
    fake.wait_taken(BAD_TOPIC)
    wait_for(lambda: health()[0] == 200, "200")


CLOSES = [FIN, RST, GARBAGE, disconnect(0x00), disconnect(0x87), disconnect(0x8b), disconnect(0x95)]
CLOSE_TABLE = [(5, how) for how in CLOSES] + [(4, how) for how in (FIN, RST, GARBAGE)]


@pytest.mark.parametrize("version, how", CLOSE_TABLE, ids=[f"v{v} {h}" for v, h in CLOSE_TABLE])
def test_close(fake, start, version, how):
    """The broker closes the connection at one topic: found, set aside, and all others arrive."""
    fake.on_publish = lambda p: how if p.topic == BAD_TOPIC else 0
    bridge = start(version)
    bridge.wait_connected(forwards=False)
    report(bridge, GOOD)
    report(bridge, BAD)
    report(bridge, GOOD, 3, 10)
    fake.wait_taken(GOOD_TOPIC, 4)
    wait_for(lambda: "set aside, the last one for" in bridge.log(), "the line")
    wait_counter(fake, "messages.set_aside", 1)
    wait_counter(fake, "outbox.messages", 0)
    assert f"for {BAD_TOPIC}: the broker closes the connection" in status(bridge)
    assert 3 <= fake.topics(taken=False).count(BAD_TOPIC) <= 5
    assert "Success" not in bridge.log()
    connections = fake.connections
    report(bridge, GOOD, 1, 20)
    fake.wait_taken(GOOD_TOPIC, 5)
    assert fake.connections == connections


def test_silence_for_one(fake, start):
    """A broker that never acknowledges one message, but others: the message comes again over new connections, and is set aside."""
    fake.on_publish = lambda p: None if p.topic == BAD_TOPIC else 0
    bridge = start(mqtt={"ack_timeout": "1s"})
    bridge.wait_connected(forwards=False)
    report(bridge, BAD)
    report(bridge, GOOD, 5)
    fake.wait_taken(GOOD_TOPIC, 5)
    wait_for(lambda: "no answer to a message for " + BAD_TOPIC in bridge.log(), "the line")
    end = wait_for(lambda: report(bridge, GOOD) or "set aside, the last one" in bridge.log(), "set aside", 60)
    assert end and "the broker does not answer" in status(bridge)


def test_silence_once(fake, start):
    """Forgotten once, it is sent again and arrives."""
    seen = []
    fake.on_publish = lambda p: None if p.topic == BAD_TOPIC and not seen and not seen.append(1) else 0
    bridge = start(mqtt={"ack_timeout": "1s"})
    bridge.wait_connected(forwards=False)
    report(bridge, BAD)
    report(bridge, GOOD)
    fake.wait_taken(BAD_TOPIC)
    wait_counter(fake, "outbox.messages", 0)
    assert counters(fake)["messages.set_aside"] == 0 and fake.connections == 2


@pytest.mark.parametrize("version", [4, 5])
def test_many_bad_ones_among_good_ones(fake, start, version):
    """Bad ones, one after another and mixed, the first, the last and the hundredth of a backlog: all others arrive, in order."""
    bad = [f"91700001{n:02}" for n in range(4)]
    topics = {f"trackers/{ident}/position" for ident in bad}
    fake.on_publish = lambda p: RST if p.topic in topics else 0
    fake.on_connect = lambda number: FIN
    bridge = start(version)
    report(bridge, bad[0])
    report(bridge, bad[1])
    report(bridge, GOOD, 100)
    report(bridge, bad[2])
    report(bridge, GOOD, 30, 100)
    report(bridge, bad[3])
    fake.on_connect = lambda number: 0
    wait_for(lambda: counters(fake).get("messages.set_aside") == 4, "all four", 90)
    wait_counter(fake, "outbox.messages", 0)
    times, seen = [], set()
    for p in fake.taken:
        if p.topic == GOOD_TOPIC:
            record = json.loads(p.payload)
            if record["timestamp"] not in seen:
                times.append(record["timestamp"])
            seen.add(record["timestamp"])
    assert len(times) == 130 and times == sorted(times)
    shown = status(bridge)
    assert all(topic in shown for topic in topics)


@pytest.mark.parametrize("version", [4, 5])
def test_acknowledgements_lost_at_each_close(fake, start, version):
    """What the broker acknowledged is lost with the connection: the bad one is never the first on its way, and is found."""
    fake.delay = 0.05
    fake.on_connect = lambda number: FIN
    fake.on_publish = lambda p: RST if p.topic == BAD_TOPIC else 0
    bridge = start(version)
    report(bridge, GOOD, 20)
    report(bridge, BAD)
    report(bridge, GOOD, 20, 20)
    fake.on_connect = lambda number: 0
    wait_for(lambda: counters(fake).get("messages.set_aside") == 1, "set aside", 60)
    wait_counter(fake, "outbox.messages", 0)
    assert BAD_TOPIC in status(bridge)
    assert len({p.payload for p in fake.taken if p.topic == GOOD_TOPIC}) == 40


def test_a_broker_that_comes_and_goes_sets_nothing_aside(fake, start):
    """Connections that break at random moments, with messages on their way, five times in a row: nothing is set aside."""
    bridge = start()
    bridge.wait_connected(forwards=False)
    fake.on_publish = lambda p: 0 if p.topic != GOOD_TOPIC else None  # slow: all stay on their way
    for n in range(5):
        before = len(fake.published)
        report(bridge, GOOD, 3, 3 * n)
        wait_for(lambda: any(p.topic == GOOD_TOPIC for p in fake.published[before:]), "one on its way")
        fake.on_publish = lambda p: 0  # the next connection takes a few
        fake.drop_all()
        wait_for(lambda: len([p for p in fake.taken if p.topic == GOOD_TOPIC]) >= 3 * (n + 1), "taken")
        fake.on_publish = lambda p: 0 if p.topic != GOOD_TOPIC else None
    fake.on_publish = lambda p: 0
    fake.drop_all()
    wait_for(lambda: counters(fake).get("outbox.messages") == 0, "all")
    assert counters(fake)["messages.set_aside"] == 0 and "set aside" not in bridge.log()


@pytest.mark.parametrize("version", [4, 5])
def test_a_broker_that_closes_at_everything_sets_nothing_aside(fake, start, version):
    """Not even `online` is taken: then it is the broker. All is kept, without a storm, and arrives once it is cured."""
    fake.on_publish = lambda p: RST if p.qos else 0
    bridge = start(version)
    for n in range(6):
        report(bridge, f"91700002{n:02}")
    wait_for(lambda: fake.connections >= 6, "some tries", 60)
    assert fake.topics() == [] or set(fake.topics()) <= {STATS}
    fake.on_publish = lambda p: 0
    for n in range(6):
        fake.wait_taken(f"trackers/91700002{n:02}/position", 1, 90)
    assert "set aside" not in bridge.log()


SUBACK_TABLE = [0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2, 0xff]


@pytest.mark.parametrize("code", SUBACK_TABLE, ids=[f"0x{c:02x}" for c in SUBACK_TABLE])
def test_suback(fake, start, code):
    fake.on_subscribe = lambda topic: code if topic == "trackers/+/cmd" else 1
    bridge = start()
    wait_for(lambda: "refuses the subscription to trackers/+/cmd" in bridge.log(), "the line")
    assert f"(0x{code:02x})" in bridge.log() and "allow the bridge to read it" in bridge.log()
    report(bridge, GOOD)
    fake.wait_taken(GOOD_TOPIC)
    wait_counter(fake, "subscriptions.refused", 1)
    assert fake.connections == 1


def test_suback_of_3_1_1(fake, start):
    fake.on_subscribe = lambda topic: 0x80
    bridge = start(4)
    wait_for(lambda: "refuses the subscription" in bridge.log(), "the line")
    report(bridge, GOOD)
    fake.wait_taken(GOOD_TOPIC)
    assert fake.connections == 1


@pytest.mark.parametrize("how", [FIN, RST, disconnect(0x87)], ids=str)
def test_closes_at_the_subscription(fake, start, how):
    """The subscription is left out then: records are delivered without."""
    fake.on_subscribe = lambda topic: how
    bridge = start()
    report(bridge, GOOD)
    fake.wait_taken(GOOD_TOPIC, 1, 60)
    assert "closes the connection at subscriptions of the bridge" in bridge.log()
    assert "set aside" not in bridge.log()


CONNACK_TABLE = [(0x80, "Unspecified error"), (0x81, "Malformed packet"), (0x82, "Protocol error"),
                 (0x83, "Implementation specific"), (0x84, "set [mqtt] version = 4"), (0x85, "[mqtt] client_id"),
                 (0x86, "[mqtt] username"), (0x87, "Not authorized"), (0x88, "Server unavailable"), (0x89, "Server busy"),
                 (0x8a, "Banned"), (0x8c, "Bad authentication method"), (0x90, "Topic name invalid"),
                 (0x95, "Packet too large"), (0x97, "Quota exceeded"), (0x99, "Payload format"), (0x9a, "Retain not"),
                 (0x9b, "QoS not"), (0x9c, "Use another server"), (0x9d, "Server moved"), (0x9f, "Connection rate")]


@pytest.mark.parametrize("code, words", CONNACK_TABLE, ids=[f"0x{c:02x}" for c, _ in CONNACK_TABLE])
def test_connack(fake, start, code, words):
    fake.on_connect = lambda number: code if number == 1 else 0
    bridge = start()
    report(bridge, GOOD)
    fake.wait_taken(GOOD_TOPIC)
    log = bridge.log()
    assert "the broker refuses: " in log and f"(0x{code:02x})" in log and words in log
    will = fake.wills[-1]
    assert will == {"qos": 0 if code == 0x9b else 1, "retain": code != 0x9a}


@pytest.mark.parametrize("code, words", [(1, "version"), (2, "client_id"), (3, "unavailable"), (4, "username"), (5, "Not authorized")])
def test_connack_of_3_1_1(fake, start, code, words):
    fake.on_connect = lambda number: code if number == 1 else 0
    bridge = start(4)
    report(bridge, GOOD)
    fake.wait_taken(GOOD_TOPIC)
    assert "the broker refuses: " in bridge.log() and words in bridge.log()


@pytest.mark.parametrize("how", [FIN, RST, GARBAGE, disconnect(0x89)], ids=str)
def test_no_connack(fake, start, how):
    fake.on_connect = lambda number: how if number < 3 else 0
    bridge = start()
    report(bridge, GOOD)
    fake.wait_taken(GOOD_TOPIC)
    assert "Success" not in bridge.log()
