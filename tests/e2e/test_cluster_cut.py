# SPDX-License-Identifier: MIT
"""A bridge of a fleet loses the broker, or one of its connections to the registry, and nothing else."""

import json
import time

import pytest

from conftest import wait_for
from fleet import ENDS, Fleet, Gate, end, make_fleet, order, redis, replies, status, wait_for_nothing_left  # noqa: F401
from test_cluster_ends import TAKE, died, fleet_between, one_end  # noqa: F401

# ruff: noqa: F811

CAR, OTHER = "9170503816", "9170503817"


@pytest.fixture
def fleet_cut(tmp_path, broker, redis):
    """The router a reaches the broker through a gate, the others directly."""
    made = []

    def make(names="b", **more):
        gate = Gate(broker.port)
        fleet = Fleet(tmp_path, broker, redis, "", **more)
        made[:] = [fleet, gate]
        fleet.add("a", port=gate.port)
        fleet.wait_router()
        for name in names:
            fleet.add(name)
            fleet.bridges[name].wait_connected()
        return fleet, gate

    yield make
    for one in made:
        one.close()


# --- the router has no broker ---


def test_commands_go_on_when_the_router_is_cut_from_the_broker(fleet_cut, subscribe):
    """Another bridge takes them, which has a broker."""
    sub, (fleet, gate) = subscribe(), fleet_cut()
    car = fleet.car("b", CAR)
    fleet.wait_has("b", CAR)
    gate.shut()
    order(sub, CAR, "x")
    assert end(sub, CAR, "x") == ["sent", "answered"]
    gate.open()
    wait_for(lambda: "takes commands no more" in fleet.bridges["a"].log(), "one router")
    order(sub, CAR, "y")
    assert end(sub, CAR, "y") == ["sent", "answered"]
    time.sleep(1)
    assert replies(sub, CAR, "x") == ["sent", "answered"] and len(car.executed) == 2


def test_what_a_router_without_a_broker_had_to_tell_is_told(fleet_cut, subscribe):
    """Units of a bridge that died while the router had no broker."""
    sub, (fleet, gate) = subscribe(), fleet_cut("bc")
    fleet.car("c", CAR)
    fleet.wait_has("c", CAR)
    gate.shut()
    fleet.kill("c")
    wait_for(lambda: status(sub, CAR).get("state") == "offline", "its unit is off line")
    assert status(sub, CAR)["reason"] == "instance c is gone"


def test_a_bridge_that_is_back_stays_on_line(fleet_cut, subscribe, broker):
    """The router noticed its death when it could not tell it."""
    sub, (fleet, gate) = subscribe(), fleet_cut("c")
    gate.shut()
    fleet.kill("c")
    time.sleep(4)
    fleet.bridges["c"].start()
    fleet.bridges["c"].wait_connected()
    gate.open()
    wait_for(lambda: fleet.bridges["a"].log().count("connected to broker") >= 3, "the broker again")
    order(sub, CAR, "x")
    end(sub, CAR, "x")
    time.sleep(1)
    found = [m.payload for m in list(subscribe().messages) if m.topic == "trackers/bridge/c/status"]
    told = [m.payload for m in list(sub.messages) if m.topic == "trackers/bridge/c/status"]
    assert told[-1] == b"online", (told, found)


# --- one of the connections to the registry breaks ---


def test_a_call_that_was_lost_while_the_inbox_stays_open(fleet_between, subscribe):
    """The command is still in the inbox, which is being read from behind it."""
    sub = subscribe()
    fleet, gate = fleet_between(TAKE, then="nothing", before=True, lease="60s")
    car = fleet.car("a", CAR)
    fleet.wait_has("a", CAR)
    order(sub, CAR, "x")
    wait_for(lambda: gate.fired, "the call")
    for n in range(6):
        order(sub, CAR, f"y{n}")
        time.sleep(0.25)
    for n in range(6):
        assert end(sub, CAR, f"y{n}") == ["sent", "answered"]
    assert end(sub, CAR, "x") == ["sent", "answered"] and len(car.executed) == 7


# --- a bridge is started again, and commands are its own ---


def test_what_waits_until_claims_are_complete_outlives_a_restart(make_fleet, subscribe, redis):
    """More of them than are asked for at a time: each has its end."""
    fleet, sub = make_fleet("a", lease="60s"), subscribe()
    for n in range(30):
        order(sub, f"91705039{n:02}", f"absent {n}")
    wait_for(lambda: redis.call("SCARD", "t2m:open:a") == 30, "they wait")
    fleet.kill("a")
    fleet.bridges["a"].start()
    fleet.wait_router()
    car = fleet.car("a", "9170503929")
    assert end(sub, car.ident, "absent 29") == ["sent", "answered"]
    redis.call("SET", "t2m:epoch", "1")
    for n in range(29):
        assert end(sub, f"91705039{n:02}", f"absent {n}") == ["offline"]
    wait_for_nothing_left(redis)


def test_each_of_many_commands_that_a_run_left_has_an_end(make_fleet, subscribe, redis):
    """More than the registry gives at a time."""
    fleet, sub = make_fleet("a", lease="60s"), subscribe()
    fleet.kill("a")
    redis.call("EVAL", "for n = 1, 2500 do local id = 'old-' .. n redis.call('SADD', 't2m:open:a', id) "
               "redis.call('HSET', 't2m:cmd:' .. id, 'ident', '9170503816', 'state', 'taken', 'owner', 'a', 'at', '1700000000000', "
               "'topic', 'trackers/9170503816/cmd', 'payload', '{\"payload\":\"S20\",\"id\":\"' .. n .. '\"}', 'retained', '0', 'responds', '0') end", 0)
    fleet.bridges["a"].start()
    wait_for_nothing_left(redis)


# --- no room for an end ---


def test_an_end_for_which_there_was_no_room_is_told_later(tmp_path, broker, redis, subscribe):
    """The outbox is full, for there is no broker: the registry has the end until there is one."""
    sub, gate = subscribe(), Gate(broker.port)
    fleet = Fleet(tmp_path, broker, redis, "b", options={"outbox": {"size": "1M"}})
    try:
        fleet.add("a", port=gate.port).wait_connected()
        cars = [fleet.car("a", f"91705040{n:02}", answers=False) for n in range(50)]
        for car in cars:
            fleet.wait_has("a", car.ident)
        gate.shut()
        for n in range(1500):
            cars[0].report(f"{12 + n // 3600:02}{n // 60 % 60:02}{n % 60:02}")
        orders = [(car, f"x{n}") for n in range(40) for car in cars]
        for n, (car, id) in enumerate(orders):
            if n % 500 == 499:
                time.sleep(1.5)
            sub.publish(f"trackers/{car.ident}/cmd", json.dumps({"payload": "S77," + 200 * "1", "id": id, "timeout": 1}))
        wait_for(lambda: "is lost: no room" in fleet.bridges["a"].log(), "a reply for which there is no room")
        gate.open()
        for car, id in orders:
            assert sum(s in ENDS for s in end(sub, car.ident, id)) == 1
        assert max(len(car.executed) for car in cars) <= 40
        wait_for_nothing_left(redis, ("cmd",))
    finally:
        fleet.close()
        gate.close()


def test_a_bridge_that_dies_twice_is_told_twice(make_fleet, subscribe, redis):
    """Without its last will: its node of the broker's cluster died as well."""
    fleet, sub = make_fleet("b"), subscribe()
    fleet.add("c").wait_connected()
    for n in range(2):
        fleet.kill("c")
        wait_for(lambda: fleet.bridges["b"].log().count("instance c is gone: its units") == n + 1, "its death")
        fleet.bridges["c"].start()
        fleet.bridges["c"].wait_connected()
        wait_for(lambda: redis.call("EXISTS", "t2m:alive:c") == 1, "it is back")


def test_what_waits_and_is_lost_with_the_registry_has_an_end(make_fleet, subscribe, redis):
    """The registry is emptied once more while commands wait, and another bridge takes the commands: the broker has been told that all is well."""
    fleet, sub = make_fleet("ab", lease="60s"), subscribe()
    other = "b" if fleet.router() == "a" else "a"
    order(sub, CAR, "x")
    wait_for(lambda: redis.call("SCARD", f"t2m:open:{fleet.router()}") == 1, "it waits")
    time.sleep(0.5)
    run = redis.call("GET", f"t2m:alive:{other}")
    redis.call("EVAL", f"redis.call('FLUSHALL') redis.call('SET', 't2m:router', '{other}|{run}', 'PX', 60000) "
               f"redis.call('SET', 't2m:alive:{other}', '{run}', 'PX', 60000)", 0)
    assert end(sub, CAR, "x") == ["rejected"]
    time.sleep(1)
    assert replies(sub, CAR, "x") == ["rejected"]
