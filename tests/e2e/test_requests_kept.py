# SPDX-License-Identifier: MIT
"""Every command that is published gets one end and reaches the unit once at most, however often the bridge is killed; also one that is
published while the bridge is away."""

import json
import os
import random
import signal
import socket
import threading
import time

import pytest
from conftest import PATIENCE, Unit, mqtt_client, v1, wait_for
from fakebroker import PUBLISH, FakeBroker, packet, text
from test_jt808 import frame, location, unescape

IDENT = "9170503816"
ENDS = ("answered", "timeout", "offline", "expired", "rejected")


def ends_of(sub):
    """id -> its ends; a message that came twice, by its number, is one."""
    ends = {}
    for m in sub.now(lambda m: m.topic.endswith("/cmd/reply")):
        r = m.record
        if r["status"] in ENDS:
            ends.setdefault(r.get("id"), {})[r["server.seqnum"]] = r
    return ends


def wait_for_ends(sub, ids, patience=PATIENCE):
    wait_for(lambda: set(ids) <= set(ends_of(sub)), f"the ends of {len(ids)} commands", patience)
    return ends_of(sub)


class Answering(threading.Thread):
    """A unit that comes back whenever its connection ends, and answers every other command."""

    def __init__(self, port, ident):
        super().__init__(daemon=True)
        self.port, self.unit, self.got, self.running = port, ident, [], True
        self.start()

    def run(self):
        while self.running:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.sendall(v1(self.unit).encode())
                    self.serve(s)
            except OSError:
                time.sleep(0.02)

    def serve(self, s):
        rest = b""
        s.settimeout(0.5)
        while self.running:
            try:
                piece = s.recv(65536)
            except TimeoutError:
                continue
            if not piece:
                return
            *frames, rest = (rest + piece).split(b"#")
            for frame in frames:
                fields = frame.decode().split(",")
                if fields[2] == "S77":
                    self.got.append(fields[3])
                    if int(fields[3]) % 2:
                        s.sendall(f"*HQ,{self.unit},V4,S77,OK,{fields[3]}#".encode())


@pytest.mark.parametrize("version", [5, 4])
def test_one_end_over_kills(make_bridge, subscribe, broker, version):
    dice = random.Random(int(os.environ.get("T2M_SEED", "7")) + version)
    bridge = make_bridge({"mqtt": {"version": version}, "commands": {"gap": "1ms", "max_held_per_unit": "1000"}})
    bridge.wait_connected()
    sub = subscribe("trackers/+/cmd/reply")
    units = [Answering(bridge.port, f"91705038{n:02}") for n in range(3)]
    ids, running = [], threading.Event()
    publisher = mqtt_client("publisher")
    publisher.connect("127.0.0.1", broker.port)
    publisher.loop_start()

    def publish():
        while not running.is_set():
            n = len(ids)
            ids.append(f"{n}")
            publisher.publish(f"trackers/91705038{n % 3:02}/cmd",
                              f'{{"payload":"S77,{n:06},1","id":"{n}","timeout":"2s","hold":3}}', 1).wait_for_publish()
            time.sleep(0.002)

    thread = threading.Thread(target=publish)
    thread.start()
    for _ in range(12):
        time.sleep(dice.uniform(0.05, 0.5))
        bridge.stop(signal.SIGKILL)
        time.sleep(dice.choice((0, 0, 0.2)))
        bridge.start()
    running.set()
    thread.join()
    publisher.disconnect()
    publisher.loop_stop()
    ends = wait_for_ends(sub, ids, 60)
    twice = {i: list(e.values()) for i, e in ends.items() if len(e) > 1}
    assert not twice, twice
    assert set(ends) == set(ids)
    got = [t for u in units for t in u.got]
    assert len(got) == len(set(got)), sorted(t for t in set(got) if got.count(t) > 1)
    kinds = [r["status"] for e in ends.values() for r in e.values()]
    assert kinds.count("answered") > len(ids) / 10 and kinds.count("timeout") > 10, {k: kinds.count(k) for k in ENDS}
    for u in units:
        u.running = False
        u.join()


@pytest.mark.parametrize("version", [5, 4])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_published_while_the_bridge_is_away(make_bridge, subscribe, version, how):
    bridge = make_bridge({"mqtt": {"version": version}})
    bridge.wait_connected()
    sub = subscribe()
    bridge.stop(how)
    sub.publish("trackers/9170000053/cmd", '{"payload":"S32,000000,1","id":"away"}')
    sub.publish("trackers/9170000053/cmd", '{"payload":"S32,000001,1","id":"held","hold":"1h"}')
    bridge.start()
    ends = wait_for_ends(sub, ["away"])
    assert [r["status"] for r in ends["away"].values()] == ["offline"]
    unit = Unit(bridge.port)
    unit.send(v1("9170000053"))
    unit.receive_until(b"S32,000001,1#")
    unit.send("*HQ,9170000053,V4,S32,0000130502.35,000001#")
    assert [r["status"] for r in wait_for_ends(sub, ["held"])["held"].values()] == ["answered"]
    unit.close()


def test_session_0_is_a_clean_start(make_bridge, subscribe):
    bridge = make_bridge({"mqtt": {"session": "0"}})
    bridge.wait_connected()
    sub = subscribe()
    bridge.stop()
    sub.publish("trackers/9170000053/cmd", '{"payload":"S32,000000,1","id":"away"}')
    bridge.start()
    bridge.wait_connected()
    sub.publish("trackers/9170000053/cmd", '{"payload":"S32,000000,1","id":"here"}')
    assert "away" not in wait_for_ends(sub, ["here"])


def test_subscriptions_of_before_are_ended(make_bridge, subscribe, broker):
    """The prefix changes: commands below the old one are neither answered nor delivered any more."""
    bridge = make_bridge()
    bridge.wait_connected()
    bridge.stop()
    bridge.sections["publish"]["prefix"] = "cars"
    bridge.write()
    bridge.start()
    bridge.wait_connected()
    wait_for(lambda: "had a subscription to trackers/+/cmd" in bridge.log(), "the end of the old subscription")
    sub = subscribe("#")
    sub.publish("trackers/9170000053/cmd", '{"payload":"S32,000000,1","id":"old"}')
    sub.publish("cars/9170000053/cmd", '{"payload":"S32,000000,1","id":"new"}')
    assert "old" not in wait_for_ends(sub, ["new"])
    bridge.stop()
    bridge.start()
    bridge.wait_connected()
    assert "had a subscription" not in bridge.log()


@pytest.fixture
def fake():
    broker = FakeBroker()
    broker.present = True
    yield broker
    broker.close()


def test_nothing_is_published_twice_by_the_library(make_bridge, fake):
    """The outbox publishes again what was not acknowledged; over a session that the broker keeps, the library adds nothing to that."""
    bridge = make_bridge({"mqtt": {"port": fake.port}})
    fake.on_publish = lambda p: None if p.connection == 1 and p.topic.startswith("trackers/9") else 0
    unit = Unit(bridge.port)
    for n in range(30):
        unit.send(v1(IDENT, f"12{n // 60:02}{n % 60:02}"))
    position = f"trackers/{IDENT}/position"
    wait_for(lambda: fake.topics(taken=False).count(position) >= 30, "30 reports")
    fake.drop_all()
    unit.send(v1(IDENT, "140000"))
    fake.wait_taken(position, 31)
    again = [json.loads(p.payload)["server.seqnum"] for p in fake.published if p.connection > 1 and p.topic == position]
    assert len(again) == len(set(again)) == 31
    unit.close()


def command(mid, payload, again=False):
    return packet(PUBLISH, text("trackers/9170000053/cmd") + mid.to_bytes(2, "big") + b"\0" + payload.encode(),
                  2 | again << 3)


REPLY = "trackers/9170000053/cmd/reply"


def told(fake):
    """The id of each end, "": it has none; an end that is published again is one."""
    ends = {r["server.seqnum"]: r.get("id", "") for r in (json.loads(p.payload) for p in list(fake.taken) if p.topic == REPLY)}
    return sorted(ends.values())


@pytest.mark.parametrize("killed", [False, True])
def test_what_comes_again_is_not_handled_twice(make_bridge, fake, killed):
    """The broker did not get the acknowledgement, so it delivers once more: on the next connection, or after the bridge was killed. Under
    another number it is the same when it has a name, else it is another one."""
    bridge = make_bridge({"mqtt": {"port": fake.port}})
    wait_for(lambda: fake.taken, "the first connection, and its status")
    fake.on_publish = lambda p: None if p.topic.endswith("/cmd/reply") else 0  # the bridge sends the end when its status is answered
    bare, named = '{"payload":"R7,010101"}', '{"payload":"R7,010101","id":"named"}'
    fake.deliver = lambda number: command(7, bare) + command(17, named)
    fake.drop_all()
    wait_for(lambda: fake.topics(taken=False).count(REPLY) >= 2, "ends that the broker does not take")
    fake.deliver = lambda number: (command(7, bare, True) + command(8, bare) + command(1, named, True) +
                                   command(9, '{"payload":"R7","id":"end"}'))
    fake.on_publish = lambda p: 0
    if killed:
        bridge.stop(signal.SIGKILL)
        bridge.start()
    else:
        fake.drop_all()
    wait_for(lambda: "end" in told(fake), "the end of the last one")
    assert told(fake) == ["", "", "end", "named"]  # 7 and 8 are two, 7 again is none, and named is one


def test_what_was_acknowledged_may_come_again(make_bridge, fake):
    """As from a cluster of brokers one of whose nodes died: under another number, after the acknowledgement has arrived."""
    bridge = make_bridge({"mqtt": {"port": fake.port}})
    wait_for(lambda: fake.taken, "the first connection, and its status")
    for n in range(3):
        named = [command(20 + 7 * n + i, f'{{"payload":"R7","id":"{i}"}}', n > 0) for i in range(4)]
        other = command(19, f'{{"payload":"R7","id":"other {n}"}}')
        fake.deliver = lambda number: b"".join([*named, named[0], other] if n > 0 else [*named, other])
        fake.drop_all()
        wait_for(lambda: f"other {n}" in told(fake), "the last one of the connection")
    assert told(fake) == ["0", "1", "2", "3", "other 0", "other 1", "other 2"]


def test_what_is_acknowledged_is_stored(make_bridge, fake):
    """The bridge is killed the moment the broker hears that it has the command: what became of it is known all the same."""
    bridge = make_bridge({"mqtt": {"port": fake.port}})
    fake.on_publish = lambda p: None
    for n in range(10):
        wait_for(lambda: len(fake.connects) > n, "the connection")
        fake.on_puback = lambda mid: bridge.process.kill()
        fake.deliver = lambda number: command(10 + n, f'{{"payload":"R7","id":"{n}"}}')
        fake.drop_all()
        bridge.process.wait(PATIENCE)
        fake.deliver, fake.on_puback = lambda number: b"", lambda mid: None
        bridge.stop()
        bridge.start()
    fake.on_publish = lambda p: 0
    fake.drop_all()

    def ends():
        return {json.loads(p.payload)["id"] for p in list(fake.taken) if p.topic.endswith("/cmd/reply")}

    wait_for(lambda: ends() == {f"{n}" for n in range(10)}, "ten ends")


def test_it_begins_anew_where_the_filters_are_not_known(make_bridge, fake):
    """Clean start, until the bridge knows what the session subscribes to; then the session is resumed, with its expiry."""
    bridge = make_bridge({"mqtt": {"port": fake.port, "session": "2m"}})
    wait_for(lambda: fake.connections == 1, "the first connection")
    wait_for(lambda: fake.taken, "its status")
    fake.drop_all()
    wait_for(lambda: len(fake.connects) == 2, "the second connection")
    bridge.stop()
    bridge.start()
    wait_for(lambda: len(fake.connects) == 3, "the third connection")
    assert [bool(c[7] & 2) for c in fake.connects] == [True, False, False]
    assert all(bytes([0x11, 0, 0, 0, 120]) in c for c in fake.connects)


def test_a_receipt_is_kept(make_bridge, subscribe):
    """A JT/T 808 unit that sends the general answer alone has answered, also when the bridge is killed between that and the timeout."""
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(frame(0x0200, location()))
    unit.receive()
    sub.publish("trackers/13912345678/cmd", '{"command":"parameters.request","id":"p","timeout":4}')
    asked = unescape(unit.receive())
    receipt = frame(0x0001, asked[10:12] + asked[:2] + b"\0", serial=1)
    unit.send(receipt + frame(0x0002, serial=2))
    unit.receive()  # the answer to the heartbeat: what came before it is stored
    bridge.stop(signal.SIGKILL)
    bridge.start()
    end, = wait_for_ends(sub, ["p"])["p"].values()
    assert (end["status"], end["result"], end["reply"]) == ("answered", "ok", receipt.hex().upper())
    assert end["elapsed"] < 4
    unit.close()


def test_held_and_sent_over_a_restart(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    unit.receive_until(b"#")
    sub.publish(f"trackers/{IDENT}/cmd", '{"payload":"S20,010101,1,1","id":"sent"}')
    unit.receive_until(b"S20,010101,1,1#")
    sub.publish(f"trackers/{IDENT}/cmd", '{"payload":"S20,020202,1,1","id":"silent","timeout":3}')
    unit.receive_until(b"S20,020202,1,1#")
    sub.publish("trackers/9170000054/cmd", '{"payload":"S26,030303","id":"held","hold":"1h"}')
    sub.on("trackers/9170000054/cmd/reply", 1)
    sub.on(f"trackers/{IDENT}/cmd/reply", 2)
    bridge.stop()
    bridge.start()
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    unit.receive_until(b"#")
    unit.send(f"*HQ,{IDENT},V4,S20,OK,010101#")
    other = Unit(bridge.port)
    other.send(v1("9170000054"))
    other.receive_until(b"S26,030303#")
    other.send("*HQ,9170000054,LINK,073351,100,0,86,0,0,251126,FFFFFFFF#")
    ends = wait_for_ends(sub, ["sent", "silent", "held"])
    assert {i: [r["status"] for r in ends[i].values()] for i in ends} == {
        "sent": ["answered"], "silent": ["timeout"], "held": ["answered"]}
    unit.close()
    other.close()
