# SPDX-License-Identifier: MIT
"""Several bridges with one registry are one fleet: each command has one end, each status is true (etc/doc/cluster.md)."""

import signal
import subprocess
import time

import pytest

from conftest import BUILD, Subscriber, Unit, free_port, v1, wait_for
from fleet import ENDS, Fleet, Gate, Redis, check, end, make_fleet, online, order, redis, replies, status  # noqa: F401

# ruff: noqa: F811

CAR = "9170503816"


def settled(sub, ident, id, more=0.7):
    """All that was told of a command, also a while after its end: a second one would be among it."""
    end(sub, ident, id)
    time.sleep(more)
    return replies(sub, ident, id)


# --- one end for each command ---


def test_a_command_has_one_end_wherever_its_unit_is(make_fleet, subscribe):
    fleet, sub = make_fleet("abc"), subscribe()
    cars = [fleet.car(name, f"917050381{n}") for n, name in enumerate("abc")]
    for car, name in zip(cars, "abc"):
        fleet.wait_has(name, car.ident)
        order(sub, car.ident, "x")
    for car in cars:
        assert settled(sub, car.ident, "x") == ["sent", "answered"]
        assert len(car.executed) == 1
        assert [m.record["status"] for m in sub.now(lambda m: m.topic == f"trackers/{car.ident}/cmd/reply")] == \
            ["sent", "answered"], "nobody else has told anything"


def test_an_invalid_command_is_rejected_once(make_fleet, subscribe):
    fleet, sub = make_fleet(), subscribe()
    car = fleet.car("b", CAR)
    fleet.wait_has("b", CAR)
    order(sub, CAR, "x", command="no.such.command")
    order(sub, "9170503999", "y", command=5)
    order(sub, CAR, "z", timeout="never")
    sub.publish(f"trackers/{CAR}/cmd", "x" * 10000)
    for ident, id in ((CAR, "x"), ("9170503999", "y"), (CAR, "z")):
        assert settled(sub, ident, id) == ["rejected"]
    assert len(sub.on(f"trackers/{CAR}/cmd/reply", 3)) == 3
    assert car.executed == []


def test_a_unit_that_is_nowhere_is_offline_once(make_fleet, subscribe):
    sub = subscribe()
    make_fleet("abc")
    order(sub, CAR, "x")
    assert settled(sub, CAR, "x") == ["offline"]


def test_two_requests_with_one_id(make_fleet, subscribe):
    fleet, sub = make_fleet(), subscribe()
    fleet.car("b", CAR, answers=False)
    fleet.wait_has("b", CAR)
    order(sub, CAR, "same", timeout=3)
    order(sub, CAR, "same", timeout=3)
    wait_for(lambda: len(replies(sub, CAR, "same")) == 3, "three replies")
    time.sleep(0.5)
    assert sorted(replies(sub, CAR, "same")) == ["rejected", "sent", "timeout"]


def test_a_response_topic_gets_the_one_end(make_fleet, subscribe, broker):
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties
    fleet, sub, answers = make_fleet(), subscribe(), subscribe("answers/#")
    fleet.car("b", CAR)
    fleet.wait_has("b", CAR)
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic, properties.CorrelationData = "answers/1", b"\x00\xff1"
    sub.publish(f"trackers/{CAR}/cmd", '{"command":"mileage.request","id":"r"}', properties=properties)
    (answer,) = answers.on("answers/1")
    assert answer.record["status"] == "answered" and answer.properties.CorrelationData == b"\x00\xff1"
    assert settled(sub, CAR, "r") == ["sent", "answered"]
    assert len(answers.messages) == 1


# --- held ---


def test_a_held_command_is_executed_once_however_the_unit_moves(make_fleet, subscribe):
    fleet, sub = make_fleet("abc"), subscribe()
    cars = [fleet.car("a", CAR)]
    fleet.wait_has("a", CAR)
    order(sub, CAR, "h", hold=20)
    assert end(sub, CAR, "h") == ["sent", "answered"]
    for name in "bc":
        cars.append(fleet.car(name, CAR))
        fleet.wait_has(name, CAR)
        cars[-2].close()
    time.sleep(1)
    assert replies(sub, CAR, "h") == ["sent", "answered"]
    assert [len(car.executed) for car in cars] == [1, 0, 0]


def test_what_is_held_goes_to_the_bridge_to_which_the_unit_comes(make_fleet, subscribe, redis):
    fleet, sub = make_fleet("abc"), subscribe()
    order(sub, CAR, "h", hold=20)
    wait_for(lambda: replies(sub, CAR, "h") == ["held"], "held")
    other = next(name for name in "cb" if name != fleet.router())
    car = fleet.car(other, CAR)
    assert settled(sub, CAR, "h") == ["held", "sent", "answered"]
    assert len(car.executed) == 1
    assert redis.call("KEYS", "t2m:hold:*") == [] and redis.call("KEYS", "t2m:cmd:*") == []


def test_what_is_held_expires_once(make_fleet, subscribe):
    sub = subscribe()
    make_fleet("abc")
    order(sub, CAR, "h", hold=1)
    assert settled(sub, CAR, "h", 1.5) == ["held", "expired"]


def test_so_many_may_be_held_for_a_unit(make_fleet, subscribe):
    sub = subscribe()
    make_fleet(options={"commands": {"max_held_per_unit": 2}})
    for id in ("1", "2", "3"):
        order(sub, CAR, id, hold=30)
    order(sub, CAR, "2", hold=30)
    assert end(sub, CAR, "3") == ["rejected"]
    wait_for(lambda: sorted(replies(sub, CAR, "2")) == ["held", "rejected"], "the second one with this id")
    assert replies(sub, CAR, "1") == ["held"]


def test_what_is_held_outlives_the_router(make_fleet, subscribe):
    fleet, sub = make_fleet("ab"), subscribe()
    order(sub, CAR, "h", hold=30)
    wait_for(lambda: replies(sub, CAR, "h") == ["held"], "held")
    router = fleet.router()
    fleet.kill(router)
    other = "ab".replace(router, "")
    car = fleet.car(other, CAR)
    assert settled(sub, CAR, "h") == ["held", "sent", "answered"]
    assert len(car.executed) == 1


# --- a unit that moves ---


def test_the_status_of_a_unit_that_moved_is_that_of_its_new_bridge(make_fleet, subscribe):
    """The old connection stays half open."""
    fleet, sub = make_fleet(), subscribe()
    before = fleet.car("a", CAR)
    online(sub, CAR, "a")
    after = fleet.car("b", CAR)
    order(sub, CAR, "x")
    online(sub, CAR, "b")
    assert before.closed.wait(5), "the former holder closes its connection"
    assert settled(sub, CAR, "x", 1.5)[-1] in ("answered", "offline")
    assert len(before.executed) + len(after.executed) <= 1
    order(sub, CAR, "y")
    assert settled(sub, CAR, "y") == ["sent", "answered"] and after.executed
    told = [(m.record["state"], m.record["instance"]) for m in sub.now(lambda m: m.topic == f"trackers/{CAR}/status")]
    assert told[0] == ("online", "a") and set(told[1:]) == {("online", "b")}, told
    numbers = [m.record["session"] for m in sub.now(lambda m: m.topic == f"trackers/{CAR}/status")]
    assert numbers == sorted(numbers), "a later claim has a higher number"


def test_what_was_sent_before_the_move_ends_once(make_fleet, subscribe):
    fleet, sub = make_fleet(), subscribe()
    before = fleet.car("a", CAR, answers=False)
    fleet.wait_has("a", CAR)
    order(sub, CAR, "x", timeout=20)
    wait_for(lambda: before.executed, "the command")
    fleet.car("b", CAR)
    (told,) = sub.on(f"trackers/{CAR}/cmd/reply", where=lambda m: m.record["status"] in ENDS)
    assert told.record["status"] == "offline" and "moved to b" in told.record["reason"]
    assert settled(sub, CAR, "x") == ["sent", "offline"]


def test_a_unit_that_returns_to_the_first_bridge(make_fleet, subscribe):
    fleet, sub = make_fleet(), subscribe()
    for name in ("a", "b", "a", "b", "a"):
        car = fleet.car(name, CAR)
        online(sub, CAR, name)
    order(sub, CAR, "x")
    assert settled(sub, CAR, "x") == ["sent", "answered"] and len(car.executed) == 1
    car.close()
    wait_for(lambda: status(sub, CAR)["state"] == "offline", "its end")
    assert status(sub, CAR)["instance"] == "a"


def test_a_unit_that_flaps_costs_a_claim_a_second_on_each_bridge(make_fleet, subscribe, redis):
    fleet, sub = make_fleet(), subscribe()
    cars, moved = [], redis.heard("moved")
    begin = time.monotonic()
    while time.monotonic() - begin < 3:
        for name in "ab":
            unit = Unit(fleet.bridges[name].port)
            unit.send(v1(CAR))
            cars.append(unit)
    flaps = len(cars)
    for unit in cars[:-1]:
        unit.close()
    last = fleet.car("b", CAR)

    def holds():
        """A bridge lets a unit change its connection once a second."""
        last.report()
        time.sleep(0.2)
        return status(sub, CAR).get("peer") == last.unit.peer
    wait_for(holds, "the last one")
    most = 2 * (time.monotonic() - begin + 3)
    wait_for(lambda: (redis.call("XLEN", "t2m:inbox:a"), redis.call("XLEN", "t2m:inbox:b")) == (0, 0), "empty inboxes")
    assert flaps > 100 and 1 <= len(moved) <= most, (flaps, moved)
    order(sub, CAR, "x")
    assert settled(sub, CAR, "x") == ["sent", "answered"] and len(last.executed) == 1


def test_a_udp_unit_whose_datagrams_alternate_executes_a_command_once(make_fleet, subscribe):
    fleet, sub = make_fleet(), subscribe()
    units = {name: Unit(fleet.bridges[name].port, "udp") for name in "ab"}
    got = []
    for n in range(20):
        name = "ab"[n % 2]
        units[name].send(v1(CAR, time=f"1235{n:02}"))
        time.sleep(0.1)
        if n == 8:
            order(sub, CAR, "x", timeout=2)
    for unit in units.values():
        unit.socket.settimeout(0.3)
        try:
            while True:
                data = unit.socket.recv(4096)
                got += [data] if b",S" in data else []
        except OSError:
            pass
    assert len(settled(sub, CAR, "x")) <= 2
    assert sum(s in ENDS for s in replies(sub, CAR, "x")) == 1
    assert len(got) <= 1, got
    for unit in units.values():
        unit.close()


def test_what_a_bridge_has_not_published_does_not_take_the_newest_place(tmp_path, make_fleet, subscribe, broker):
    """The bridge is cut off from the broker; its unit goes to another one; the link comes back."""
    fleet, sub = make_fleet("b"), subscribe()
    gate = Gate(broker.port)
    try:
        fleet.add("a", port=gate.port)
        fleet.bridges["a"].wait_connected()
        car = fleet.car("a", CAR, time="120000")
        online(sub, CAR, "a")
        gate.shut()
        for n in range(5):
            car.report(time=f"12000{n + 1}")
        time.sleep(0.5)
        fleet.car("b", CAR, time="120100")
        online(sub, CAR, "b")
        assert car.closed.wait(5)
        gate.open()
        sub.wait(lambda m: m.topic == f"trackers/{CAR}/position" and m.record["server.instance"] == "a", "the backlog", 6)
    finally:
        gate.close()
    time.sleep(0.5)
    late = Subscriber(broker.port, f"trackers/{CAR}/#")
    (position,) = late.on(f"trackers/{CAR}/position")
    assert position.record["server.instance"] == "b"
    told, *again = late.on(f"trackers/{CAR}/status")  # b tells it once more, a third of the lease later
    assert told.record["state"] == "online" and told.record["instance"] == "b"
    assert all(m.record == told.record for m in again)
    late.close()


# --- a bridge that is gone ---


def test_the_units_of_a_killed_bridge_are_offline_and_its_commands_end(make_fleet, subscribe):
    fleet, sub = make_fleet("abc"), subscribe()
    cars = [fleet.car("a", f"917050381{n}", answers=False) for n in range(4)]
    for car in cars:
        online(sub, car.ident, "a")
    order(sub, cars[0].ident, "x", timeout=60)
    wait_for(lambda: replies(sub, cars[0].ident, "x") == ["sent"], "the command")
    fleet.kill("a")
    moved = fleet.car("b", cars[1].ident)
    online(sub, moved.ident, "b")
    for n in (0, 2, 3):
        wait_for(lambda: status(sub, cars[n].ident)["state"] == "offline", "offline")
        assert status(sub, cars[n].ident)["reason"] == "instance a is gone"
    assert settled(sub, cars[0].ident, "x", 2) == ["sent", "offline"]
    assert status(sub, moved.ident)["state"] == "online"
    sub.on("trackers/bridge/a/status", where=lambda m: m.payload == b"offline")
    before = len(sub.messages)
    fleet.bridges["a"].start()
    fleet.bridges["a"].wait_connected()
    time.sleep(3)
    told = [m for m in sub.messages[before:] if m.topic.endswith("/status") and "/bridge/" not in m.topic]
    assert [m for m in told if m.topic == f"trackers/{moved.ident}/status" and m.record["instance"] != "b"] == []
    assert {m.record["state"] for m in told if m.topic != f"trackers/{moved.ident}/status"} <= {"offline"}
    assert settled(sub, cars[0].ident, "x", 0) == ["sent", "offline"], "it does not end again after the restart"


def test_a_bridge_that_is_started_again_at_once_goes_on(make_fleet, subscribe):
    fleet, sub = make_fleet("ab", lease="10s"), subscribe()
    car = fleet.car("a", CAR)
    online(sub, CAR, "a")
    fleet.kill("a")
    car.close()
    fleet.bridges["a"].start()
    car = fleet.car("a", CAR)
    fleet.wait_has("a", CAR)
    order(sub, CAR, "x")
    assert settled(sub, CAR, "x") == ["sent", "answered"] and len(car.executed) == 1


def test_a_unit_that_does_not_return_to_a_restarted_bridge_is_offline(make_fleet, subscribe):
    fleet, sub = make_fleet("ab", lease="10s"), subscribe()
    car = fleet.car("a", CAR)
    online(sub, CAR, "a")
    time.sleep(0.5)
    fleet.kill("a")
    car.close()
    fleet.bridges["a"].start()
    wait_for(lambda: status(sub, CAR)["state"] == "offline", "its end")


def test_a_stopped_bridge_tells_the_truth_and_its_name_is_free(make_fleet, subscribe, redis):
    fleet, sub = make_fleet("ab", lease="10s"), subscribe()
    fleet.car("a", CAR)
    online(sub, CAR, "a")
    assert fleet.bridges["a"].stop() == 0
    wait_for(lambda: status(sub, CAR)["state"] == "offline", "its end")
    assert redis.call("EXISTS", "t2m:alive:a") == 0
    fleet.wait_router()
    assert fleet.router() == "b"


def test_commands_go_on_when_the_router_is_killed(make_fleet, subscribe):
    fleet, sub = make_fleet("abc"), subscribe()
    router = fleet.router()
    other = next(name for name in "abc" if name != router)
    car = fleet.car(other, CAR)
    fleet.wait_has(other, CAR)
    fleet.kill(router)
    order(sub, CAR, "x")  # into the session that the router has left
    assert settled(sub, CAR, "x") == ["sent", "answered"] and len(car.executed) == 1


@pytest.mark.parametrize("seconds", (0.5, 4))
def test_a_frozen_bridge_whose_unit_went_elsewhere_says_nothing_false(make_fleet, subscribe, seconds):
    fleet, sub = make_fleet("abc"), subscribe()
    frozen = next(name for name in "ab" if name != fleet.router())
    before = fleet.car(frozen, CAR)
    online(sub, CAR, frozen)
    fleet.freeze(frozen)
    order(sub, CAR, "early", timeout=20)
    time.sleep(0.2)
    after = fleet.car("c", CAR)
    online(sub, CAR, "c")
    order(sub, CAR, "late", timeout=20)
    assert end(sub, CAR, "late") == ["sent", "answered"]
    time.sleep(seconds)
    since = len(sub.messages)
    fleet.freeze(frozen, False)
    assert before.closed.wait(10)
    assert settled(sub, CAR, "early", 2)[-1] in ENDS
    assert sum(s in ENDS for s in replies(sub, CAR, "early")) == 1
    assert replies(sub, CAR, "late") == ["sent", "answered"]
    assert len(before.executed) + len(after.executed) <= 2 and len(after.executed) >= 1
    told = [m for m in sub.messages[since:] if m.topic == f"trackers/{CAR}/status"]
    assert all(m.record["instance"] == "c" and m.record["state"] == "online" for m in told), told


def test_a_frozen_bridge_does_not_take_back_a_unit_that_came_meanwhile_and_went_elsewhere(make_fleet, subscribe):
    """Its connection waited at the frozen bridge; the unit's newest one is at another."""
    fleet, sub = make_fleet("ab", lease="20s"), subscribe()
    fleet.car("a", "9170503818")
    fleet.wait_has("a", "9170503818")
    fleet.freeze("a")
    time.sleep(0.2)
    waiting = fleet.car("a", CAR)
    time.sleep(0.2)
    newest = fleet.car("b", CAR)
    fleet.wait_has("b", CAR)
    time.sleep(1.5)
    fleet.freeze("a", False)
    assert waiting.closed.wait(10) and fleet.has("b", CAR)
    order(sub, CAR, "x")
    assert settled(sub, CAR, "x") == ["sent", "answered"] and len(newest.executed) == 1
    assert status(sub, CAR)["instance"] == "b"


def test_the_session_of_a_status_only_grows(make_fleet, subscribe, redis):
    """With the registry, without it, and for a unit that has gone before the registry has answered."""
    fleet, sub = make_fleet("a"), subscribe()
    for n in range(3):
        fleet.car("a", CAR).close()  # perhaps gone before the answer
        wait_for(lambda: status(sub, CAR).get("state") == "offline", "its end")
    redis.stop(signal.SIGKILL)
    time.sleep(3.5)
    car = fleet.car("a", CAR)
    online(sub, CAR, "a")
    redis.start()
    fleet.wait_has("a", CAR)
    car.close()
    wait_for(lambda: status(sub, CAR).get("state") == "offline", "its end")
    told = [m.record for m in sub.now(lambda m: m.topic == f"trackers/{CAR}/status")]
    numbers = [t["session"] for t in told]
    assert all(numbers) and numbers == sorted(numbers), told
    for before, after in zip(told, told[1:]):
        assert after["session"] > before["session"] or after["state"] != "online" or before["state"] == "online", told


def test_a_unit_that_comes_and_goes_while_the_registry_is_away(make_fleet, subscribe, redis):
    """Its bridge has told without the registry that it is on line, so it tells the contrary as well, with a higher session."""
    fleet, sub, gate = make_fleet("a"), subscribe(), Gate(redis.port)
    try:
        fleet.add("b", cluster={"registry": f"redis://127.0.0.1:{gate.port}/0"})
        fleet.bridges["b"].wait_connected()
        first = fleet.car("a", CAR)
        online(sub, CAR, "a")
        gate.shut()
        time.sleep(3.5)
        second = fleet.car("b", CAR)
        online(sub, CAR, "b")
        first.close()
        wait_for(lambda: status(sub, CAR)["state"] == "offline" and status(sub, CAR)["instance"] == "a", "a's word")
        second.close()
        wait_for(lambda: "off line" in fleet.bridges["b"].log(), "the end")
        gate.open()

        def newest():
            told = [m.record for m in sub.now(lambda m: m.topic == f"trackers/{CAR}/status")]
            return max(told, key=lambda t: t["session"])
        wait_for(lambda: newest()["state"] == "offline" and newest()["instance"] == "b", "b's word")
    finally:
        gate.close()


def test_a_frozen_router_wakes_and_nothing_is_executed_twice(make_fleet, subscribe):
    fleet, sub = make_fleet("ab"), subscribe()
    router = fleet.router()
    other = "ab".replace(router, "")
    car = fleet.car(other, CAR)
    fleet.wait_has(other, CAR)
    fleet.freeze(router)
    for n in range(5):
        order(sub, CAR, f"x{n}")
    for n in range(5):
        end(sub, CAR, f"x{n}")
    fleet.freeze(router, False)
    for n in range(5):
        assert settled(sub, CAR, f"x{n}", 0.5) == ["sent", "answered"]
    assert len(car.executed) == 5


# --- the registry ---


def test_without_a_registry_records_go_on_and_commands_are_rejected(make_fleet, subscribe, redis):
    fleet, sub = make_fleet("ab"), subscribe()
    car = fleet.car("a", CAR)
    online(sub, CAR, "a")
    redis.stop(signal.SIGKILL)
    car.report("123600")
    sub.on(f"trackers/{CAR}/position", 2)
    order(sub, CAR, "x")
    (told,) = sub.on(f"trackers/{CAR}/cmd/reply")
    assert told.record["status"] == "rejected" and "registry is away" in told.record["reason"]
    moved = fleet.car("b", CAR)
    sub.on(f"trackers/{CAR}/position", 3)
    redis.start()
    fleet.wait_has("b", CAR)
    online(sub, CAR, "b")
    assert car.closed.wait(10), "the newest connection wins"

    def answered():
        id = f"y{time.monotonic()}"
        order(sub, CAR, id)
        return end(sub, CAR, id) == ["sent", "answered"]
    wait_for(answered, "commands go on")
    assert len(car.executed) == 0 and moved.executed
    assert replies(sub, CAR, "x") == ["rejected"]


def test_a_bridge_starts_without_a_registry(make_fleet, subscribe, redis):
    redis.stop()
    fleet, sub = make_fleet(""), subscribe()
    fleet.add("a")
    fleet.car("a", CAR)
    sub.on(f"trackers/{CAR}/position")
    online(sub, CAR, "a")
    redis.start()
    fleet.wait_router()
    fleet.wait_has("a", CAR)


def test_a_registry_that_was_emptied_is_filled_again(make_fleet, subscribe, redis):
    fleet, sub = make_fleet("ab"), subscribe()
    cars = [fleet.car(name, f"917050381{n}") for n, name in enumerate("abab")]
    for car, name in zip(cars, "abab"):
        fleet.wait_has(name, car.ident)
    redis.call("FLUSHALL")
    for n, car in enumerate(cars):
        order(sub, car.ident, f"x{n}")
    for n, car in enumerate(cars):
        told = settled(sub, car.ident, f"x{n}", 0.3)
        assert told == ["sent", "answered"], "nobody is told that a unit is off line which is on line"
        assert len(car.executed) == 1


def test_a_registry_that_stands_still(make_fleet, subscribe, redis):
    fleet, sub = make_fleet("ab"), subscribe()
    car = fleet.car("b", CAR)
    fleet.wait_has("b", CAR)
    redis.process.send_signal(signal.SIGSTOP)
    for n in range(3):
        order(sub, CAR, f"x{n}")
        car.report(f"12360{n}")
        time.sleep(0.3)
    sub.on(f"trackers/{CAR}/position", 4)
    redis.process.send_signal(signal.SIGCONT)
    for n in range(3):
        assert settled(sub, CAR, f"x{n}", 0.3)[-1] in ("answered", "rejected")
        assert sum(s in ENDS for s in replies(sub, CAR, f"x{n}")) == 1
    assert len(car.executed) == len([n for n in range(3) if "answered" in replies(sub, CAR, f"x{n}")])


def test_a_registry_with_a_password(tmp_path, broker, subscribe):
    redis = Redis(tmp_path / "redis", ["--requirepass", "open sesame"])
    fleet = Fleet(tmp_path, broker, redis, "", options={"cluster": {"password": "open sesame"}})
    try:
        fleet.add("a")
        wait_for(lambda: "takes the commands" in fleet.bridges["a"].log(), "the router")
        fleet.add("b", cluster={"password": "wrong", "registry": f"redis://127.0.0.1:{redis.port}"})
        wait_for(lambda: "WRONGPASS" in fleet.bridges["b"].log(), "the refusal")
        assert "wrong" not in fleet.bridges["b"].log().replace("WRONGPASS", "").replace("clock is wrong", "")
    finally:
        fleet.close()
        redis.stop()


@pytest.mark.parametrize("registry, said", (
    ("localhost:6379", "does not begin with redis://"),
    ("redis://:secret@localhost", "set [cluster] username and password"),
    ("redis://host/x", "is no number"),
    ("redis://", "does not begin"),
    ("redis://host:99999/0", "names no host, or no port"),
    ("redis://a, ,redis://b", "does not begin"),
))
def test_addresses_with_faults(tmp_path, registry, said):
    done = check(tmp_path, f"registry = {registry}")
    assert done.returncode == 1 and "[cluster] registry" in done.stderr and said in done.stderr, done.stderr
    assert "redis://host:port/number" in done.stderr


# --- names ---


def test_two_bridges_with_one_name(make_fleet, subscribe, tmp_path, broker, redis):
    fleet, sub = make_fleet("a"), subscribe()
    ini = (fleet.bridges["a"].path.read_text().replace(str(fleet.bridges["a"].port), str(free_port()))
           .replace(f"{tmp_path}/a/outbox", f"{tmp_path}/second"))
    (tmp_path / "second.ini").write_text(ini)
    done = subprocess.run([BUILD / "tracker2mqtt", "-c", tmp_path / "second.ini"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "runs as instance a" in done.stderr and "[publish] instance" in done.stderr
    fleet.car("a", CAR)
    online(sub, CAR, "a")
    assert not sub.now(lambda m: m.topic == "trackers/bridge/a/status" and m.payload == b"offline")


def test_each_record_names_its_bridge(make_fleet, subscribe):
    fleet, sub = make_fleet("ab"), subscribe()
    for name in "ab" * 3:
        fleet.car(name, CAR)
        fleet.wait_has(name, CAR)
    records = [m.record for m in sub.on(f"trackers/{CAR}/position", 6)]
    assert {r["server.instance"] for r in records} == {"a", "b"}
    assert len({(r["server.instance"], r["server.seqnum"]) for r in records}) == 6


def test_alone_nothing_names_a_bridge(make_bridge, subscribe):
    sub, bridge = subscribe(), make_bridge()
    unit = Unit(bridge.port)
    unit.send(v1(CAR))
    (record,) = sub.on(f"trackers/{CAR}/position")
    assert "server.instance" not in record.record
    (told,) = sub.on(f"trackers/{CAR}/status")
    assert told.record["session"] == 1
    unit.close()


def test_home_assistant_is_told_by_the_bridge_that_has_the_unit(make_fleet, subscribe, tmp_path):
    (tmp_path / "units.ini").write_text(f"[{CAR}]\nname = Van\n")
    fleet = make_fleet("ab", options={"homeassistant": {"discovery": "yes"}, "units": {"file": tmp_path / "units.ini", "return": "2s"}})
    sub, home = subscribe(), subscribe("homeassistant/#")
    fleet.car("a", CAR)
    online(sub, CAR, "a")
    fleet.car("b", CAR)
    online(sub, CAR, "b")
    time.sleep(1)
    since = len(home.messages)
    home.publish("homeassistant/status", "online")
    wait_for(lambda: [m for m in home.messages[since:] if m.topic.endswith("/config")], "discovery")
    time.sleep(1.5)
    configs = [m for m in home.messages[since:] if m.topic.endswith("/config") and m.payload]
    assert configs and all(b"bridge/a/status" not in m.payload for m in configs), configs
