# SPDX-License-Identifier: MIT
"""A command of a fleet has exactly one end, whenever one of its bridges is killed."""

import threading
import time

import pytest

from conftest import wait_for
from fleet import ENDS, Fleet, Gate, cut, end, order, redis, replies, wait_for_nothing_left  # noqa: F401

# ruff: noqa: F811

CAR = "9170503816"
FINISH, CONFIRM, TAKE = b"'endto', ARGV[4]", b"c[1] ~= 'ending' or c[2] ~= ARGV[1] then return 0", b"'fate', '')\nreturn kept"


class Between(Gate):
    """Between a bridge and its registry: when a call that contains `mark` has been answered, or (`before`) is made, `then` is called, and
    nothing more passes."""

    def __init__(self, port, mark, then, before=False):
        self.mark, self.then, self.before, self.fired = mark, then, before, False
        super().__init__(port)

    def carry(self, client, server):
        state = {"seen": False}
        for way in (self.up, self.down):
            threading.Thread(target=way, args=(client, server, state), daemon=True).start()

    def fire(self, *ends):
        self.fired = True
        self.then()
        cut(*ends)

    def up(self, client, server, state):
        tail = b""
        try:
            while data := client.recv(65536):
                if not self.fired and self.mark in tail + data:
                    if self.before:
                        self.fire(client, server)
                        return
                    state["seen"] = True
                tail = data[-200:]
                server.sendall(data)
        except OSError:
            pass
        server.close()

    def down(self, client, server, state):
        try:
            while data := server.recv(65536):
                if state["seen"] and not self.fired:
                    self.fire(client, server)
                    return
                client.sendall(data)
        except OSError:
            pass
        client.close()


@pytest.fixture
def fleet_between(tmp_path, broker, redis):
    """b takes commands; a's calls pass through a Between."""
    made = []

    def make(mark, then="kill", before=False, lease="2s", options=None):
        fleet = Fleet(tmp_path, broker, redis, "b", lease=lease, options=options)
        made.append(fleet)
        gate = Between(redis.port, mark, (lambda: fleet.bridges["a"].process.kill()) if then == "kill" else lambda: None, before)
        made.append(gate)
        fleet.add("a", cluster={"registry": f"redis://127.0.0.1:{gate.port}/0"})
        fleet.bridges["a"].wait_connected()
        return fleet, gate

    yield make
    for one in made:
        one.close()


def died(fleet):
    wait_for(lambda: fleet.bridges["a"].process.poll() is not None, "the kill")
    fleet.bridges["a"].log_file.close()


def one_end(sub, id, ends, more=2.5):
    end(sub, CAR, id)
    time.sleep(more)
    told = replies(sub, CAR, id)
    assert sum(s in ENDS for s in told) == 1 and told[-1] in ends, told


@pytest.mark.parametrize("before", (False, True), ids=("the registry has said yes", "the end is stored"))
def test_a_bridge_that_is_killed_while_it_ends_a_command(fleet_between, subscribe, redis, before):
    """Its end is told by another bridge: the one that the unit gave."""
    sub = subscribe()
    fleet, gate = fleet_between(CONFIRM if before else FINISH, before=before)
    car = fleet.car("a", CAR)
    fleet.wait_has("a", CAR)
    order(sub, CAR, "x")
    died(fleet)
    one_end(sub, "x", ("answered",))
    assert len(car.executed) == 1
    wait_for_nothing_left(redis)


@pytest.mark.parametrize("mark, before", ((FINISH, False), (CONFIRM, True), (FINISH, True), (TAKE, False)),
                         ids=("the registry has said yes", "the end is stored", "the registry was not asked", "it was taken"))
def test_a_bridge_that_is_killed_and_comes_back_at_once(fleet_between, subscribe, redis, mark, before):
    """The same bridge ends it: nobody else, and once."""
    sub = subscribe()
    fleet, gate = fleet_between(mark, before=before, lease="20s")
    car = fleet.car("a", CAR)
    fleet.wait_has("a", CAR)
    order(sub, CAR, "x", timeout=2)
    died(fleet)
    fleet.bridges["a"].start()
    one_end(sub, "x", {FINISH: ("answered", "timeout"), CONFIRM: ("answered",), TAKE: ("offline",)}[mark])
    if mark == CONFIRM:  # what the outbox has, it publishes itself
        assert "which another run had noted" not in fleet.bridges["a"].log()
    assert len(car.executed) <= 1
    wait_for_nothing_left(redis)


@pytest.mark.parametrize("mark", (TAKE, FINISH), ids=("it was taken", "it has ended"))
def test_a_call_whose_answer_was_lost(fleet_between, subscribe, redis, mark):
    """The connection to the registry breaks just then: the command is this bridge's, it is executed once, and nobody else ends it."""
    sub = subscribe()
    fleet, gate = fleet_between(mark, then="nothing")
    car = fleet.car("a", CAR)
    fleet.wait_has("a", CAR)
    order(sub, CAR, "x")
    one_end(sub, "x", ("answered",), 1)
    assert gate.fired and len(car.executed) == 1
    wait_for_nothing_left(redis, ("cmd",))


def test_without_a_store_an_end_is_kept_until_the_broker_has_it(fleet_between, subscribe, redis, tmp_path):
    sub = subscribe()
    fleet, gate = fleet_between(FINISH, options={"outbox": {"path": ""}})
    car = fleet.car("a", CAR)
    fleet.wait_has("a", CAR)
    order(sub, CAR, "x")
    died(fleet)
    one_end(sub, "x", ("answered",))
    assert len(car.executed) == 1


def test_a_reply_names_its_bridge(fleet_between, subscribe):
    sub = subscribe()
    fleet, gate = fleet_between(b"never in a call", before=True)
    fleet.car("a", CAR)
    fleet.wait_has("a", CAR)
    order(sub, CAR, "x")
    order(sub, "9170503999", "y")
    end(sub, CAR, "x")
    end(sub, "9170503999", "y")
    told = sub.now(lambda m: m.topic.endswith("/cmd/reply"))
    assert {(m.record["id"], m.record["server.instance"]) for m in told} == {("x", "a"), ("y", "b")}
    assert len({(m.record["server.instance"], m.record["server.seqnum"]) for m in told}) == 3
