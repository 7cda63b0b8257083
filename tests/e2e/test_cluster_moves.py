# SPDX-License-Identifier: MIT
"""What a bridge knows of a unit goes with it to another bridge of its fleet: the newest date, the alarms, the state."""

import json
import signal
import time

import pytest

from conftest import Subscriber, Unit, v1, wait_for
from fleet import end, make_fleet, online, order, redis, replies  # noqa: F401

# ruff: noqa: F811

CAR = "9170503816"
CALM, SOS, CUT = "FFFFFBFF", "FFFFFBFD", "FFFFFBF7"


def alarms(sub, ident=CAR):
    return [(m.record["server.instance"], *m.record["alarms"]) for m in sub.now(lambda m: m.topic == f"trackers/{ident}/alarm")]


def positions(sub, count, ident=CAR):
    return sub.on(f"trackers/{ident}/position", count)


class Traveller:
    """A unit that goes from bridge to bridge; its clock counts its reports."""

    def __init__(self, fleet, sub, ident=CAR):
        self.fleet, self.sub, self.ident, self.clock, self.sent, self.unit = fleet, sub, ident, 0, 0, None
        self.begin = time.time() - 1500

    def go(self, name, word, back=0):
        """Its first word there is a report."""
        before, self.unit = self.unit, Unit(self.fleet.bridges[name].port)
        self.say(word, back)
        online(self.sub, self.ident, name)
        if before is not None:
            before.close()

    def say(self, word, back=0):
        self.clock += 1
        self.sent += 1
        at = time.gmtime(self.begin + self.clock - back)
        self.unit.send(v1(self.ident, time=time.strftime("%H%M%S", at), date=time.strftime("%d%m%y", at), status=word))
        positions(self.sub, self.sent, self.ident)

    def close(self):
        self.unit.close()


@pytest.fixture
def traveller():
    made = []

    def make(*args, **more):
        made.append(Traveller(*args, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


# --- alarms ---


def test_an_alarm_that_lasts_is_told_once_and_a_new_one_is_told(make_fleet, subscribe, traveller):
    fleet, sub = make_fleet(), subscribe()
    car = traveller(fleet, sub)
    car.go("a", CALM)
    car.say(SOS)
    car.go("b", SOS)
    car.say(SOS)
    car.say(CALM)
    car.go("a", SOS)
    car.say(SOS)
    wait_for(lambda: len(alarms(sub)) >= 2, "both alarms")
    time.sleep(0.5)
    assert alarms(sub) == [("a", "sos.alarm"), ("a", "sos.alarm")], "the second one began on the way back to a"


def test_each_bridge_goes_on_where_the_one_before_was(make_fleet, subscribe, traveller):
    fleet, sub = make_fleet("abc"), subscribe()
    car = traveller(fleet, sub)
    expected, before = [], CALM
    for n, (name, word) in enumerate(zip("abcabcacb" * 2, (CALM, SOS, SOS, CUT, CUT, SOS, CALM, CUT, SOS) * 2)):
        car.go(name, word)
        if word not in (CALM, before):
            expected.append(name)
        before = word
    wait_for(lambda: len(alarms(sub)) >= len(expected), "the alarms")
    time.sleep(0.5)
    assert [name for name, _ in alarms(sub)] == expected


def test_of_two_alarms_the_one_that_was_told_is_not_told_again(make_fleet, subscribe, traveller):
    fleet, sub = make_fleet(), subscribe()
    car = traveller(fleet, sub)
    car.go("a", SOS)
    car.go("b", f"{int(SOS, 16) & int(CUT, 16):08X}")
    wait_for(lambda: len(alarms(sub)) >= 2, "both alarms")
    time.sleep(0.3)
    assert len(alarms(sub)) == 2 and alarms(sub)[0] == ("a", "sos.alarm")
    assert alarms(sub)[1][0] == "b" and "sos.alarm" not in alarms(sub)[1]


def test_alarms_of_a_bridge_that_was_killed(make_fleet, subscribe, traveller):
    fleet, sub = make_fleet(), subscribe()
    car = traveller(fleet, sub)
    car.go("a", CALM)
    time.sleep(1.2)
    car.say(SOS)
    wait_for(lambda: alarms(sub) == [("a", "sos.alarm")], "the alarm")
    time.sleep(0.2)
    fleet.kill("a")
    car.go("b", SOS)
    car.say(CALM)
    car.say(SOS)
    wait_for(lambda: len(alarms(sub)) > 1, "the second alarm")
    assert alarms(sub) == [("a", "sos.alarm"), ("b", "sos.alarm")]


@pytest.mark.parametrize("how", ("killed", "stopped"))
def test_an_alarm_is_told_while_the_registry_does_not_answer(make_fleet, subscribe, traveller, redis, how):
    fleet, sub = make_fleet(), subscribe()
    car = traveller(fleet, sub)
    car.go("a", CALM)
    if how == "killed":
        redis.stop(signal.SIGKILL)
    else:
        redis.process.send_signal(signal.SIGSTOP)
    car.unit.close()
    car.unit = Unit(fleet.bridges["b"].port)
    car.say(SOS)  # its record is there
    sub.on(f"trackers/{CAR}/alarm")
    if how == "killed":
        redis.start()
    else:
        redis.process.send_signal(signal.SIGCONT)
    online(sub, CAR, "b")
    car.say(SOS)
    time.sleep(0.5)
    assert alarms(sub) == [("b", "sos.alarm")]


def test_an_alarm_that_waits_outlives_a_crash(make_fleet, subscribe, traveller, redis):
    fleet, sub = make_fleet("b", lease="10s"), subscribe()
    redis.process.send_signal(signal.SIGSTOP)
    car = traveller(fleet, sub)
    car.unit = Unit(fleet.bridges["b"].port)
    car.say(SOS)
    assert alarms(sub) == []
    fleet.kill("b")
    redis.process.send_signal(signal.SIGCONT)
    fleet.bridges["b"].start()
    sub.on(f"trackers/{CAR}/alarm")


# --- the newest date ---


def test_an_older_report_does_not_take_the_newest_place_at_another_bridge(make_fleet, subscribe, traveller, broker):
    fleet, sub = make_fleet(), subscribe()
    car = traveller(fleet, sub)
    car.go("a", CALM)
    car.clock = 600
    car.say(CALM)  # the newest
    car.go("b", CALM, back=300)
    for _ in range(3):
        car.say(CALM, back=300)
    time.sleep(0.3)

    def retained():
        late = Subscriber(broker.port, f"trackers/{CAR}/position")
        (place,) = late.on(f"trackers/{CAR}/position")
        late.close()
        return place.record
    newest = positions(sub, 2)[1].record
    assert retained()["timestamp"] == newest["timestamp"] and retained()["server.instance"] == "a"
    car.clock = 700
    car.say(CALM)
    wait_for(lambda: retained()["server.instance"] == "b", "the newest")


def test_the_newest_date_of_a_bridge_that_was_killed(make_fleet, subscribe, traveller, broker):
    fleet, sub = make_fleet(), subscribe()
    car = traveller(fleet, sub)
    car.go("a", CALM)
    car.clock = 600
    car.say(CALM)
    time.sleep(0.3)
    fleet.kill("a")
    car.go("b", CALM, back=300)
    time.sleep(0.3)
    late = Subscriber(broker.port, f"trackers/{CAR}/position")
    (place,) = late.on(f"trackers/{CAR}/position")
    late.close()
    assert place.record["server.instance"] == "a"


# --- the state ---

STATE = {"publish": {"state": "yes", "state_interval": "100ms"}}


def state(sub, ident=CAR):
    found = sub.now(lambda m: m.topic == f"trackers/{ident}/state")
    return found[-1].record if found else {}


def test_what_is_known_of_a_unit_goes_with_it(make_fleet, subscribe, traveller):
    fleet, sub = make_fleet(options=STATE), subscribe()
    car = traveller(fleet, sub)
    car.go("a", CALM)
    car.unit.send(f"*HQ,{CAR},HTBT,77#")  # its battery: no later report has it
    wait_for(lambda: state(sub).get("battery.level") == 77, "the battery")
    car.begin = time.time() + 60  # later than its heartbeat
    car.go("b", CALM)
    car.say(CALM)
    wait_for(lambda: state(sub).get("server.instance") == "b", "the state of b")
    assert all(m.record.get("battery.level") == 77 for m in sub.now(lambda m: m.topic == f"trackers/{CAR}/state")
               if m.record.get("server.instance") == "b"), "and nothing less was told in between"
    fleet.kill("b")
    car.go("a", CALM)
    car.say(CALM)
    wait_for(lambda: state(sub).get("server.instance") == "a" and state(sub)["battery.level"] == 77, "and back")


def test_a_state_goes_on_without_a_registry(make_fleet, subscribe, traveller, redis):
    fleet, sub = make_fleet(options=STATE), subscribe()
    redis.stop(signal.SIGKILL)
    car = traveller(fleet, sub)
    car.unit = Unit(fleet.bridges["b"].port)
    car.say(CALM)
    wait_for(lambda: state(sub).get("status") == "online", "the state")


def test_home_assistant_keeps_what_another_bridge_has_told(make_fleet, subscribe, traveller, tmp_path):
    """The car moves to b, a dies, Home Assistant starts again."""
    (tmp_path / "units.ini").write_text(f"[{CAR}]\nname = Van\n")
    fleet = make_fleet(options={"homeassistant": {"discovery": "yes"}, "units": {"file": tmp_path / "units.ini"}})
    sub, home = subscribe(), subscribe("homeassistant/#")
    car = traveller(fleet, sub)
    car.go("a", CALM)
    car.unit.send(f"*HQ,{CAR},HTBT,77#")

    def config():
        found = home.now(lambda m: m.topic.endswith("/config") and m.payload)
        return json.loads(found[-1].payload) if found else {"cmps": {}}

    def battery(found):
        return [x for x in found["cmps"].values() if x.get("device_class") == "battery"]
    wait_for(lambda: battery(config()), "the battery")
    def note():
        return fleet.redis.call("HGET", f"t2m:unit:{CAR}", "note")
    before = note()
    time.sleep(1.1)
    car.say(CALM)
    wait_for(lambda: note() != before, "its note")
    fleet.kill("a")
    since = len(home.messages)
    car.go("b", CALM)
    wait_for(lambda: [m for m in home.messages[since:] if m.topic.endswith("/config")], "b tells of it")
    time.sleep(0.3)
    assert all(battery(json.loads(m.payload)) for m in home.messages[since:] if m.topic.endswith("/config"))
    since = len(home.messages)
    home.publish("homeassistant/status", "online")
    wait_for(lambda: [m for m in home.messages[since:] if m.topic.endswith("/config")], "discovery")
    time.sleep(0.5)
    told = [json.loads(m.payload) for m in home.messages[since:] if m.topic.endswith("/config")]
    assert len(told) == 1 and battery(told[0])
    assert [x["topic"] for x in told[0]["availability"]] == [f"trackers/{CAR}/status"]
    online(sub, CAR, "b")


# --- answers that come elsewhere ---


def test_the_answer_of_a_udp_unit_reaches_the_bridge_that_asked(make_fleet, subscribe):
    """Its datagrams go to both bridges in turns, its answers to b only."""
    fleet, sub = make_fleet(), subscribe()
    units = {name: Unit(fleet.bridges[name].port, "udp") for name in "ab"}
    units["a"].socket.settimeout(0.2)
    fleet_has = lambda name: fleet.has(name, CAR)  # noqa: E731
    for n, name in enumerate("ba"):
        units[name].send(v1(CAR, time=f"12350{n}"))
        wait_for(lambda name=name: fleet_has(name), name)
    order(sub, CAR, "x", timeout=20)

    def asked():
        try:
            return units["a"].socket.recv(4096)
        except OSError:
            return None
    got = []

    def command():
        data = asked()
        if data and b",S" in data:
            got.append(data)
        return got
    wait_for(command, "the command, over a")
    words = got[0].decode().strip("#").split(",")
    units["b"].send(f"*HQ,{CAR},V4,{','.join(words[2:])}#")
    assert end(sub, CAR, "x") == ["sent", "answered"]
    for unit in units.values():
        unit.close()


def test_garbage_in_a_note_is_passed_over(make_fleet, subscribe, traveller, redis):
    fleet, sub = make_fleet(options=STATE), subscribe()
    car = traveller(fleet, sub)
    for n, note in enumerate(("x" * 40000, "\x01a\x00\x00\x00\x05abcde", "", "\x01", "\x01k\xff\xff\xff\xffzz")):
        redis.call("HSET", f"t2m:unit:{CAR}", "note", note, "newest", "99999999999999999999", "inst", "gone", "claim", "7x")
        car.go("ab"[n % 2], SOS)
        car.say(SOS)
    for name in "ab":
        assert fleet.bridges[name].process.poll() is None
    redis.call("DEL", "t2m:inbox:a")
    redis.call("XADD", "t2m:inbox:a", "*", "note", CAR, "newest", "zz", "bytes", "\x01a\x00\x00\x00\x05abcde")
    redis.call("XADD", "t2m:inbox:a", "*", "note", "#+/", "newest")
    redis.call("XADD", "t2m:inbox:a", "*", "what", "is", "this", "")
    car.go("a", CALM)
    order(sub, CAR, "x", timeout=1)
    assert end(sub, CAR, "x")[-1] in ("timeout", "answered")
    assert replies(sub, CAR, "x")[0] == "sent"
