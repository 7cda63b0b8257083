# SPDX-License-Identifier: MIT
"""A registry that is away at the worst moment, refuses, or answers nonsense; a broker that delivers again what a fleet had already."""

import json
import random
import threading
import time

import pytest

from conftest import wait_for
from fakebroker import PUBLISH, FakeBroker, packet, text
from fleet import ENDS, Fleet, Gate, cut, end, make_fleet, order, redis, replies, wait_for_nothing_left  # noqa: F401
from test_cluster_ends import Between

# ruff: noqa: F811

CAR, OTHER = "9170503816", "9170503817"
ROUTE, AWAY = b"local fields = {'ident', ident", 3.0


@pytest.fixture
def fleet_with_gate(tmp_path, broker, redis):
    """The router a reaches the registry through a gate, b directly; a lease that outlives the test."""
    made = []

    def make(gate):
        fleet = Fleet(tmp_path, broker, redis, "", lease="60s")
        made[:] = [fleet, gate]
        fleet.add("a", cluster={"registry": f"redis://127.0.0.1:{gate.port}/0"})
        fleet.wait_router()
        fleet.add("b")
        fleet.bridges["b"].wait_connected()
        return fleet

    yield make
    for one in made:
        one.close()


def wait_for_commands(sub, ident):
    def answered():
        id = f"wait {time.monotonic()}"
        order(sub, ident, id)
        return end(sub, ident, id) == ["sent", "answered"]
    wait_for(answered, "commands go on")


# --- away at the worst moment ---


@pytest.mark.parametrize("before", (False, True), ids=("the registry has it", "the registry does not have it"))
def test_a_command_that_was_on_its_way_when_the_registry_went(fleet_with_gate, redis, subscribe, before):
    """Nobody knows whether the registry has it: it is not ended without the registry, however long that takes. Commands after it are rejected."""
    sub, gates = subscribe(), []
    gate = Between(redis.port, ROUTE, lambda: setattr(gates[0], "is_open", False), before)
    gates.append(gate)
    fleet = fleet_with_gate(gate)
    car = fleet.car("b", CAR)
    fleet.wait_has("b", CAR)
    sub.publish(f"trackers/{CAR}/cmd", '{"payload":"S77,1","id":"x"}')
    wait_for(lambda: gate.fired, "the call")
    time.sleep(AWAY)
    order(sub, CAR, "y")
    assert end(sub, CAR, "y") == ["rejected"]
    assert replies(sub, CAR, "x") == ([] if before else ["sent", "answered"])
    gate.open()
    end(sub, CAR, "x")
    wait_for_commands(sub, CAR)
    assert replies(sub, CAR, "x") == (["rejected"] if before else ["sent", "answered"])
    assert sum("S77" in frame for frame in car.executed) == (0 if before else 1)


def test_the_router_loses_registry_and_broker_at_once(tmp_path, broker, redis, subscribe):
    """The broker delivers again what the registry had already: to the same bridge, or to the next router."""
    sub, gates = subscribe(), []
    mqtt = Gate(broker.port)

    def both():
        gates[0].is_open = False
        mqtt.shut()
    gate = Between(redis.port, ROUTE, both)
    gates.append(gate)
    fleet = Fleet(tmp_path, broker, redis, "", lease="2s")
    try:
        fleet.add("a", port=mqtt.port, cluster={"registry": f"redis://127.0.0.1:{gate.port}/0"})
        fleet.wait_router()
        fleet.add("b")
        car = fleet.car("b", CAR)
        fleet.wait_has("b", CAR)
        order(sub, CAR, "x")
        wait_for(lambda: gate.fired, "the call")
        assert end(sub, CAR, "x") == ["sent", "answered"]
        mqtt.open()
        wait_for(lambda: fleet.router() == "b", "the next router")
        order(sub, CAR, "y")
        assert end(sub, CAR, "y") == ["sent", "answered"]
        gate.open()
        wait_for(lambda: redis.call("EXISTS", "t2m:alive:a") == 1, "the first one is back")
        time.sleep(1)
        assert replies(sub, CAR, "x") == replies(sub, CAR, "y") == ["sent", "answered"] and len(car.executed) == 2
    finally:
        for one in (fleet, gate, mqtt):
            one.close()


# --- a registry that began empty ---


def test_what_waits_until_claims_are_complete_holds_up_nothing(make_fleet, subscribe, redis):
    """More commands for units that nobody has than a broker sends ahead."""
    fleet, sub = make_fleet("ab", lease="60s"), subscribe()
    car = fleet.car("a", CAR)
    fleet.wait_has("a", CAR)
    for n in range(50):
        order(sub, f"91705039{n:02}", f"absent {n}")
    order(sub, CAR, "x")
    assert end(sub, CAR, "x") == ["sent", "answered"] and len(car.executed) == 1
    assert not [m for m in list(sub.messages) if b"absent" in m.payload and m.topic.endswith("/cmd/reply")]
    late = fleet.car("b", "9170503949")
    assert end(sub, late.ident, "absent 49") == ["sent", "answered"]
    redis.call("SET", "t2m:epoch", "1")
    for n in range(49):
        assert end(sub, f"91705039{n:02}", f"absent {n}") == ["offline"]
    wait_for_nothing_left(redis)


def test_what_waits_until_claims_are_complete_outlives_the_router(make_fleet, subscribe, redis):
    fleet, sub = make_fleet("ab", lease="3s"), subscribe()
    router = fleet.router()
    redis.call("EVAL", "redis.call('SET', 't2m:epoch', redis.call('TIME')[1] * 1000)", 0)
    order(sub, CAR, "x")
    wait_for(lambda: redis.call("KEYS", "t2m:cmd:*"), "it is in the registry")
    fleet.kill(router)
    assert end(sub, CAR, "x") == ["offline"]
    time.sleep(1)
    assert replies(sub, CAR, "x") == ["offline"]


# --- a copy that takes over late ---


@pytest.mark.parametrize("taken", (False, True), ids=("in the inbox", "taken"))
def test_a_registry_that_has_forgotten_its_last_moments(make_fleet, subscribe, redis, taken):
    """The bridge knows what it has done, and does not do it again."""
    fleet, sub = make_fleet("b", lease="60s"), subscribe()
    fleet.add("a")
    car = fleet.car("a", CAR, answers=not taken)
    fleet.wait_has("a", CAR)
    wait_for(lambda: "XREAD" in redis.call("CLIENT", "LIST").upper(), "its inbox")
    if not taken:
        fleet.freeze("a")
    order(sub, CAR, "x", timeout=2)
    wait_for(lambda: car.executed if taken else redis.call("EXISTS", "t2m:open:a"), "the command")
    saved = [key for what in ("cmd:*", "open:a", "inbox:a") for key in redis.call("KEYS", f"t2m:{what}")]
    for key in saved:
        assert redis.call("COPY", key, f"saved:{key}") == 1
    fleet.freeze("a", False)
    assert end(sub, CAR, "x")[-1] == ("timeout" if taken else "answered")
    wait_for(lambda: redis.call("KEYS", "t2m:cmd:*") == [], "the registry has forgotten it")
    for key in saved:
        assert redis.call("COPY", f"saved:{key}", key, "REPLACE") == 1
    for key in redis.call("KEYS", "t2m:done:*"):
        redis.call("DEL", key)
    redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_for(lambda: redis.call("KEYS", "t2m:cmd:*") == [], "the registry is told")
    order(sub, CAR, "y", timeout=2)
    end(sub, CAR, "y")
    assert len(car.executed) == 2 and sum(s in ENDS for s in replies(sub, CAR, "x")) == 1


# --- a broker that delivers again ---


def command(mid, payload, again=False):
    return packet(PUBLISH, text(f"trackers/{CAR}/cmd") + mid.to_bytes(2, "big") + b"\0" + payload.encode(), 2 | again << 3)


def test_the_router_gets_commands_again_under_other_numbers(tmp_path, redis):
    """From the session that goes on at another node: what has a name of its own is recognised, and executed once."""
    broker = FakeBroker()
    broker.present = True
    fleet = Fleet(tmp_path, broker, redis, "")

    def router(number):
        return b"t2m-commands" in broker.connects[number - 1]

    def told():
        ends = [json.loads(p.payload) for p in list(broker.taken) if p.topic == f"trackers/{CAR}/cmd/reply"]
        return sorted({(r["server.seqnum"], r["id"]) for r in ends if r["status"] in ENDS}, key=lambda e: e[1])
    try:
        first = [command(7, '{"payload":"R7,010101","id":"0"}'), command(8, '{"payload":"R7,010101","id":"1"}')]
        again = [command(1, '{"payload":"R7,010101","id":"1"}', True), command(2, '{"payload":"R7,010101","id":"0"}', True)]
        broker.deliver = lambda number: b""
        fleet.add("a")
        car = fleet.car("a", CAR)
        fleet.wait_has("a", CAR)
        wait_for(lambda: any(router(n + 1) for n in range(len(broker.connects))), "the router's connection")
        for n, words in enumerate((first, again, again)):
            last = command(20 + n, f'{{"payload":"R7,010101","id":"last {n}"}}')
            broker.deliver = lambda number: b"".join([*words, last]) if router(number) else b""
            broker.drop_all()
            wait_for(lambda: any(id == f"last {n}" for _, id in told()), "the last one")
        assert [id for _, id in told()] == ["0", "1", "last 0", "last 1", "last 2"] and len(car.executed) == 5
    finally:
        fleet.close()
        broker.close()


# --- a registry that refuses ---


def test_a_registry_that_is_full_is_away(make_fleet, subscribe, redis):
    fleet, sub = make_fleet("ab"), subscribe()
    car = fleet.car("a", CAR)
    fleet.wait_has("a", CAR)
    redis.call("CONFIG", "SET", "maxmemory", "1")
    wait_for(lambda: "OOM" in fleet.bridges["a"].log(), "its refusal")
    car.report("123600")
    sub.on(f"trackers/{CAR}/position", 2)

    def refused():
        id = f"x{time.monotonic()}"
        order(sub, CAR, id)
        return end(sub, CAR, id) == ["rejected"]
    wait_for(refused, "commands are rejected")
    executed = len(car.executed)
    redis.call("CONFIG", "SET", "maxmemory", "0")
    fleet.wait_router()
    wait_for_commands(sub, CAR)
    assert len(car.executed) > executed


@pytest.mark.parametrize("key", ("unit:{car}", "inbox:a", "open:a", "units:a", "hold:{car}", "held", "instances", "tables", "gone:a"))
def test_a_key_that_holds_something_else(make_fleet, subscribe, redis, key):
    """Somebody wrote over a key of the fleet: what needs no such key goes on; a command that does ends all the same, once."""
    fleet, sub = make_fleet("a"), subscribe()
    cars = [fleet.car("a", ident) for ident in (CAR, OTHER)]
    for car in cars:
        fleet.wait_has("a", car.ident)
    redis.call("SET", f"t2m:{key.format(car=CAR)}", "what somebody else wrote")
    for n, car in enumerate(cars):
        car.report("123600")
        sub.on(f"trackers/{car.ident}/position", 2)
    if "unit:" in key:
        order(sub, CAR, "x", timeout=1)
        assert end(sub, CAR, "x") == ["rejected"] and not cars[0].executed
    if key == "inbox:a":
        order(sub, CAR, "x", timeout=1)
        assert end(sub, CAR, "x") == ["rejected"] and not cars[0].executed
    if "{car}" in key:
        order(sub, OTHER, "y")
        assert end(sub, OTHER, "y") == ["sent", "answered"]
    redis.call("FLUSHALL")
    wait_for_commands(sub, CAR)


# --- a registry that answers nonsense ---


class Mad(Gate):
    """Answers some calls with something else; `sane`: none any more."""

    KINDS = (b"$-1\r\n", b":-1\r\n", b":9223372036854775807\r\n", b"*0\r\n", b"*-1\r\n", b"+\r\n", b"$0\r\n\r\n", b"*1\r\n*1\r\n*1\r\n*0\r\n",
             b"*3\r\n$4\r\nmine\r\n:-5\r\n*0\r\n", b"*2\r\n$2\r\nok\r\n$-1\r\n", b"*5\r\n$2\r\nok\r\n:1\r\n:1\r\n:1\r\n:99\r\n", b"-ERR no\r\n",
             b"-\r\n", b"-READONLY\r\n", b"$99999999999\r\n", b"*2147483647\r\n", b"$-7\r\n", b"\xff\x00\r\n", b"*1\r\n", b"HTTP/1.1 400\r\n\r\n",
             b"*3\r\n$4\r\nlost\r\n:1\r\n$300\r\n" + b"x" * 300 + b"\r\n", b"*11\r\n" + b"$1\r\n\xff\r\n" * 11,
             b"*2\r\n" + b"*6\r\n*11\r\n" + b"$3\r\n123\r\n" * 11 + b"$6\r\nending\r\n" + b"$1\r\nx\r\n" * 4 + b"$1\r\ny\r\n",
             b"*1\r\n*2\r\n$3\r\nkey\r\n*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$3\r\ncmd\r\n$1\r\nx\r\n*2\r\n$3\r\n1-2\r\n*3\r\n$4\r\nnote\r\n$1\r\nx\r\n$1\r\ny\r\n",
             b"\r\n", b"", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"%1\r\n+a\r\n+b\r\n", b">1\r\n+a\r\n")

    def __init__(self, port, seed):
        self.chance, self.sane, self.said = random.Random(seed), False, 0
        super().__init__(port)

    def carry(self, client, server):
        threading.Thread(target=self.pump, args=(client, server), daemon=True).start()
        threading.Thread(target=self.back, args=(server, client), daemon=True).start()

    def back(self, server, client):
        try:
            while data := server.recv(65536):
                if not self.sane and self.chance.random() < 0.3:
                    self.said += 1
                    data = self.chance.choice(self.KINDS)
                client.sendall(data)
        except OSError:
            pass
        cut(server, client)


@pytest.mark.parametrize("seed", range(3))
def test_a_registry_that_answers_nonsense(fleet_with_gate, redis, subscribe, seed):
    """Records go on, and afterwards all is well. The bridge runs with sanitizers."""
    gate = Mad(redis.port, seed)
    gate.sane = True
    sub, fleet = subscribe(), fleet_with_gate(gate)
    car, other = fleet.car("a", CAR), fleet.car("b", OTHER)
    for name, one in (("a", car), ("b", other)):
        fleet.wait_has(name, one.ident)
    gate.sane = False
    for n in range(80):
        one = (car, other)[n % 2]
        order(sub, one.ident, f"x{n}", timeout=2)
        one.report(f"12{n // 60:02}{n % 60:02}")
        time.sleep(0.05)
    wait_for(lambda: gate.said > 6, "enough nonsense")
    gate.sane = True
    gate.shut()  # what stands half in the stream would be taken for the answer to the next call
    gate.open()
    sub.on(f"trackers/{CAR}/position", 41)
    wait_for(lambda: fleet.router() is not None, "a router")
    for one in (car, other):
        wait_for_commands(sub, one.ident)
