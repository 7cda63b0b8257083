# SPDX-License-Identifier: MIT
"""Why there is no connection, or none that lasts: one line, of what is certain, with what to do, and never the same line again."""

import re
import subprocess

import pytest
from certificates import Authority
from conftest import Broker, Unit, free_port, get, v1, wait_for
from fakebroker import CONNACK, FIN, RST, SILENCE, FakeBroker, disconnect, packet

VERSION_LINE = "set [mqtt] version = 4 to save the attempt"


@pytest.fixture
def fake():
    broker = FakeBroker()
    yield broker
    broker.close()


@pytest.fixture
def start(make_bridge, fake):
    def make(port=None, instance="test", **mqtt):
        return make_bridge({"mqtt": {"port": port or fake.port, **mqtt}, "publish": {"instance": instance}})

    return make


def lines(bridge, word="broker"):
    """What the log says of the broker, without the time."""
    return [line.split(" ", 1)[1] for line in bridge.log().splitlines() if word in line]


def told(bridge, *parts):
    """One line has all parts, and nothing is told twice."""
    found = wait_for(lambda: [line for line in lines(bridge) if all(p in line for p in parts)], f"a line with {parts}")
    failures = [line for line in lines(bridge) if "connected to broker" not in line]
    assert len(found) == 1 and len(set(failures)) == len(failures), bridge.log()
    return found[0]


def report(bridge, ident, count=1):
    unit = Unit(bridge.port)
    for n in range(count):
        unit.send(v1(ident, f"00{n // 60:02}{n % 60:02}"))
        unit.receive_until(b"#")
    unit.close()


# --- the version ---

def only_3_1_1(fake, answer):
    """What a CONNECT of MQTT 5 gets; 3.1.1 is spoken."""
    fake.on_connect = lambda number: answer if fake.connects[-1][6] == 5 else 0


@pytest.mark.parametrize("answer", [FIN, RST, packet(CONNACK, b"\0\1"), 0x84, packet(CONNACK, b"\0\0")],
                         ids=["FIN", "RST", "CONNACK 0x01", "CONNACK 0x84", "CONNACK of 3.1.1"])
def test_a_broker_of_3_1_1(fake, start, answer):
    only_3_1_1(fake, answer)
    bridge = start()
    report(bridge, "9170000001")
    fake.wait_taken("trackers/9170000001/position")
    told(bridge, VERSION_LINE)
    told(bridge, "connected to broker")
    before = len(fake.connects)
    fake.drop_all()  # what works is kept
    wait_for(lambda: len(fake.connects) > before, "the next CONNECT")
    report(bridge, "9170000002")
    fake.wait_taken("trackers/9170000002/position")
    assert set(fake.versions()[before:]) == {4}
    assert bridge.log().count(VERSION_LINE) == 1


@pytest.mark.parametrize("refused", range(1, 5))
def test_a_broker_of_5_that_is_restarted_stays_one_of_5(fake, start, refused):
    """It accepts connections and closes them while it starts, perhaps just at those of MQTT 5."""
    fake.on_connect = lambda number: FIN if len(fake.connects) <= refused else 0
    bridge = start()
    report(bridge, "9170000001")
    fake.wait_taken("trackers/9170000001/position")
    assert fake.versions()[-1] == 5 and VERSION_LINE not in bridge.log()


def test_neither_version(fake, start):
    fake.on_connect = lambda number: packet(CONNACK, b"\0\1")
    bridge = start()
    wait_for(lambda: {4, 5} <= set(fake.versions()), "both")
    told(bridge, "it speaks neither MQTT 5 nor 3.1.1")


def test_a_version_that_is_set_is_kept(fake, start):
    fake.on_connect = lambda number: FIN if len(fake.connects) < 3 else 0
    bridge = start(version=4)
    report(bridge, "9170000001")
    fake.wait_taken("trackers/9170000001/position")
    assert set(fake.versions()) == {4}


def test_what_a_will_would_say_is_not_said(fake, start):
    """The connection under 3.1.1 that only shows that it works ends with a DISCONNECT: no `offline` for the users."""
    only_3_1_1(fake, FIN)
    ended = []
    talk = fake._talk

    def watched(s, stream, number):
        talk(s, stream, number)
        ended.append(number)  # only a DISCONNECT returns
    fake._talk = watched
    bridge = start()
    wait_for(lambda: "connected to broker" in bridge.log(), "the connection")
    wait_for(lambda: ended, "a DISCONNECT")


# --- what listens there ---

BANNERS = [
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "an SSH server listens there; set [mqtt] port to the broker's"),
    (b"220 mail.example ESMTP Postfix\r\n", "a mail or FTP server listens there"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a web server (HTTP) listens there"),
    (bytes.fromhex("15030100020246"), "the port speaks TLS; set [mqtt] tls = yes"),
    (bytes.fromhex("1503030002022f"), "the port speaks TLS; set [mqtt] tls = yes"),
    (b"AMQP\0\0\x09\x01", "a broker's port for AMQP answers"),
    (b"INFO {\"server_id\":1}\r\n", "a NATS server's own port answers"),
    (b"-ERR unknown command\r\n", "a Redis server listens there"),
    (b"+OK POP3 ready\r\n", "a mail server (POP3) listens there"),
    (b"hello there\r\n", 'what listens there is no broker of MQTT: it says "hello there\\x0d\\x0a"'),
    (b"\0\x1b[31m\xff", 'it says "\\x00\\x1b[31m\\xff"'),
]


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "as an answer"])
@pytest.mark.parametrize("says, words", BANNERS, ids=[repr(b[:8]) for b, _ in BANNERS])
def test_first_bytes(fake, start, says, words, waits):
    if waits:
        fake.on_connect = lambda number: says
    else:
        fake.hello = says
    told(start(), words)


@pytest.mark.parametrize("says, words", [b for b in BANNERS if b[1].startswith("a")], ids=[repr(b[:8]) for b, w in BANNERS if w.startswith("a")])
def test_first_bytes_where_tls_is_expected(fake, start, says, words):
    fake.hello = says
    told(start(tls="yes"), words)


@pytest.mark.parametrize("version", [5, 4])
@pytest.mark.parametrize("how", ["closes", "waits"])
def test_a_silent_port_that_speaks_tls(tmp_path, start, version, how):
    """Either it does not understand the CONNECT and closes, or it waits for more of what it takes for TLS."""
    cert, key = Authority(tmp_path).issue("broker")
    if how == "closes":
        (tmp_path / "tls").mkdir()
        broker = Broker(tmp_path / "tls", f"listener {(port := free_port())} 127.0.0.1\nallow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
        end = broker.stop
    else:  # nothing but the record of a ClientHello wakes it
        import ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        slow = SilentTls(context)
        port, end = slow.port, slow.close
    try:
        bridge = start(port, version=version, connect_timeout="1s")
        told(bridge, "the port speaks TLS; set [mqtt] tls = yes")
        assert "firewall" not in bridge.log()
    finally:
        end()


class SilentTls(FakeBroker):
    """Says nothing to what is no ClientHello, and keeps the connection."""

    def _serve(self, s, number):
        import socket
        try:
            if s.recv(1, socket.MSG_PEEK) == b"\x16":
                self.context.wrap_socket(s, server_side=True)
            while s.recv(65536):
                pass
        except OSError:
            pass

    def __init__(self, context):
        super().__init__(context=context)


def test_a_silent_port_without_tls(fake, start):
    """Nothing is known but that somebody listens: no firewall is blamed, and no TLS."""
    fake.on_connect = lambda number: SILENCE
    line = told(start(connect_timeout="1s"), "no answer in time (1 s)", "something listens there")
    assert "firewall" not in line and "tls" not in line.lower()


def test_asking_does_not_stop_the_bridge(fake, start):
    """Units are served while the port is asked, and the answer may never come."""
    fake.on_connect = lambda number: SILENCE
    fake.hello = b""
    bridge = start(connect_timeout="1s")
    wait_for(lambda: fake.connections >= 2, "the question")
    report(bridge, "9170000001", 20)
    told(bridge, "something listens there")


def test_other_bytes_each_time_are_one_cause(fake, start):
    import os
    fake.hello = b"\1" + os.urandom(20)
    bridge = start()
    wait_for(lambda: "it says" in bridge.log(), "the line")
    for n in range(3):
        fake.hello, before = b"\1" + os.urandom(20), fake.connections
        wait_for(lambda: fake.connections > before + 1, "another attempt")
    told(bridge, "what listens there is no broker of MQTT")


# --- certificates ---

@pytest.mark.parametrize("case, words", [
    ("expired", ["certificate has expired on 20", "is for 127.0.0.1, localhost;", "new certificate"]),
    ("name", ["IP address mismatch", "is for other.example, *.b.example, 10.0.0.7;", "set [mqtt] host to a name"]),
    ("authority", ["is for 127.0.0.1, localhost;", "set [mqtt] tls_ca_file"]),
    ("required", ["certificate required", "set [mqtt] tls_cert_file and tls_key_file"]),
])
def test_certificates(tmp_path, start, case, words):
    ca = Authority(tmp_path)
    names = "DNS:other.example,DNS:*.b.example,IP:10.0.0.7" if case == "name" else "IP:127.0.0.1,DNS:localhost"
    cert, key = ca.issue("broker", names, expired=case == "expired")
    (tmp_path / "b").mkdir()
    port = free_port()
    more = f"cafile {ca.pem}\nrequire_certificate true\n" if case == "required" else ""
    broker = Broker(tmp_path / "b", f"listener {port} 127.0.0.1\nallow_anonymous true\ncertfile {cert}\nkeyfile {key}\n{more}", "per_listener_settings true\n")
    try:
        bridge = start(port, tls="yes", **({} if case == "authority" else {"tls_ca_file": ca.pem}))
        wait_for(lambda: any(all(w in line for w in words) for line in lines(bridge)), f"a line with {words}")
    finally:
        broker.stop()


def test_tls_that_is_too_old(tmp_path, start):
    cert, key = Authority(tmp_path).issue("broker")
    port = free_port()
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert, "-key", key, "-tls1_1",
                               "-cipher", "ALL:@SECLEVEL=0", "-quiet"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        bridge = start(port, tls="yes")
        wait_for(lambda: "let it speak TLS 1.2 or newer" in bridge.log(), "the line")
    finally:
        server.kill()
        server.wait()


# --- connections that do not last ---

def test_a_session_that_is_taken_over(fake, start):
    """MQTT 5 says so: one error line with the id, and nothing is set aside for it."""
    fake.on_publish = lambda p: disconnect(0x8e) if p.qos else 0
    bridge = start(instance="twin")
    report(bridge, "9170000001", 3)
    line = told(bridge, "another client uses the id tracker2mqtt-twin: a second bridge? set [publish] instance")
    assert line.startswith("error: ")
    wait_for(lambda: len(fake.connects) >= 4, "some more of it")
    told(bridge, "another client uses the id")
    fake.on_publish = lambda p: 0
    fake.wait_taken("trackers/9170000001/position", 3)
    assert "set aside" not in bridge.log()


@pytest.mark.parametrize("version", [5, 4])
def test_two_busy_bridges_with_one_id(broker, make_bridge, subscribe, version):
    """Both are told, once; and what their units report arrives, all of it. A newer broker tells the reason, and it is no guess then."""
    sub = subscribe()
    two = [make_bridge({"mqtt": {"version": version}}) for _ in range(2)]
    idents = ["9170000001", "9170000002"]
    for n in range(30):
        for bridge, ident in zip(two, idents):
            unit = Unit(bridge.port)
            unit.send(v1(ident, f"0000{n:02}"))
            unit.receive_until(b"#")
            unit.close()
    for bridge in two:
        wait_for(lambda: re.search(r"another client (uses the|may have the same client) id \(?tracker2mqtt-test", bridge.log()), "the line")
        assert bridge.log().count("another client ") == 1
    for ident in idents:
        wait_for(lambda: len({m.payload for m in sub.now(lambda m: m.topic == f"trackers/{ident}/position")}) == 30, "all of it", 60)
    for bridge in two:
        assert "set aside" not in bridge.log()


def test_a_broker_that_flaps(fake, start):
    """Each connection is closed a tenth of a second after it was made: no storm, few lines, and nothing is lost."""
    import threading
    fake.deliver = lambda number: threading.Timer(0.1, fake.drop_all).start() or b""
    bridge = start()
    report(bridge, "9170000001", 10)
    wait_for(lambda: "may have the same client id" in bridge.log(), "the guess", 60)
    before = len(fake.connects)
    wait_for(lambda: len(fake.connects) >= before + 2, "two more", 60)
    assert bridge.log().count("may have the same client id") == 1 and len(lines(bridge)) <= 8, "not told again"
    fake.deliver = lambda number: b""
    fake.wait_taken("trackers/9170000001/position", 10, 60)


# --- subscriptions ---

def metric(port, name):
    return [line for line in get(port, "/metrics")[1].splitlines() if line.startswith(name)]


@pytest.mark.parametrize("version", [5, 4])
@pytest.mark.parametrize("granted", [0, 0x80], ids=["at QoS 0", "not at all"])
def test_a_refused_subscription(fake, make_bridge, version, granted):
    fake.on_subscribe = lambda topic: 1 if not topic.endswith("/cmd") else 0x80 if fake.asked_qos[-1] else granted
    port = free_port()
    bridge = make_bridge({"mqtt": {"port": fake.port, "version": version}, "metrics": {"listen": f"127.0.0.1:{port}"}})
    line = told(bridge, "the broker refuses the subscription to trackers/+/cmd: Unspecified error (0x80)")
    assert line.startswith("error: ")
    wait_for(lambda: fake.asked_qos == [1, 0], "QoS 0")
    report(bridge, "9170000001")
    fake.wait_taken("trackers/9170000001/position")
    assert metric(port, "tracker2mqtt_subscriptions_refused_total") == ["tracker2mqtt_subscriptions_refused_total 1"]
    if granted:
        wait_for(lambda: get(port, "/healthz") == (503, "the broker refuses 1 subscription\nthe subscription to trackers/+/cmd is refused: "
                                          "Unspecified error (0x80)\n"), "the health")
    else:
        wait_for(lambda: "grants the subscription to trackers/+/cmd now, at QoS 0" in bridge.log(), "the line")
        assert get(port, "/healthz") == (200, "ok\nthe subscription to trackers/+/cmd has QoS 0 only\n")
    assert fake.connections == 1


@pytest.mark.parametrize("how", [FIN, RST], ids=str)
@pytest.mark.parametrize("version", [5, 4])
def test_a_subscription_that_kills_the_connection(fake, start, how, version):
    """Twice at QoS 1; then QoS 0 is asked for, and works."""
    fake.on_subscribe = lambda topic: how if fake.asked_qos[-1] else 0
    bridge = start(version=version)
    report(bridge, "9170000001")
    fake.wait_taken("trackers/9170000001/position")
    line = told(bridge, "the broker closes the connection at the subscription to trackers/+/cmd; it is made at QoS 0")
    assert line.startswith("error: ") and fake.asked_qos == [1, 1, 0] and len(fake.connects) == 3
    assert "goes on without" not in bridge.log()


# --- the window ---

@pytest.mark.parametrize("given", [None, 7])
def test_the_window_is_told_where_the_broker_gave_it(fake, start, given):
    fake.properties = b"" if given is None else bytes([0x21, 0, given])
    bridge = start()
    wait_for(lambda: "connected to broker" in bridge.log(), "the connection")
    assert lines(bridge, "connected to broker")[0].endswith(f":{fake.port}" + (", window 7" if given else ""))
