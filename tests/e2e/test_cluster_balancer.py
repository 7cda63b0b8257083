# SPDX-License-Identifier: MIT
"""A fleet behind haproxy, with the sample: units are spread, go elsewhere when their bridge dies, and stay where one is only unwell."""

import subprocess

import pytest
from conftest import PATIENCE, Unit, free_port, stop, v1, wait_for
from fleet import Car, Fleet, Gate, end, haproxy_sample, order, redis  # noqa: F401

# ruff: noqa: F811

NAMES = "abc"


@pytest.fixture
def fleet(tmp_path, broker, redis):
    gates = {name: Gate(broker.port) for name in NAMES}
    health = {name: free_port() for name in NAMES}
    f = Fleet(tmp_path, broker, redis, "", options={"listen": {"proxy_protocol": "yes", "proxy_from": "127.0.0.1/32"}})
    for name in NAMES:
        f.add(name, port=gates[name].port, metrics={"listen": f"127.0.0.1:{health[name]}", "offline_limit": "1s"})
    f.wait_router()
    f.gates, f.health = gates, health
    yield f
    f.close()
    for gate in gates.values():
        gate.close()


@pytest.fixture
def front(fleet, tmp_path):
    """The sample, with other addresses. Its port, and what haproxy says of its servers."""
    port, told = free_port(), free_port()
    text = haproxy_sample(port, fleet.bridges, fleet.health)
    path = tmp_path / "haproxy.cfg"
    path.write_text(f"global\n    stats socket 127.0.0.1:{told} level user\n{text}")
    said = subprocess.run(["/usr/sbin/haproxy", "-c", "-f", path], capture_output=True, text=True)
    assert said.returncode == 0 and "WARN" not in said.stderr.upper(), said.stderr
    process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", path], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def states():
        unit = Unit(told)
        unit.send("show stat\n")
        text = b""
        while piece := unit.receive():
            text += piece
        unit.close()
        rows = [line.split(",") for line in text.decode().splitlines() if line.startswith("tracker2mqtt,")]
        return {row[1]: row[17].split()[0] for row in rows}

    def well(names):
        try:
            now = states()
        except OSError:
            return False
        return all((now[name] == "UP") == (name in names) for name in NAMES)

    try:
        wait_for(lambda: well(NAMES), "haproxy")
        yield port, lambda names: wait_for(lambda: well(names), f"only {names} to be well")
    finally:
        stop(process)


def holder(fleet, ident):
    return wait_for(lambda: next((name for name in NAMES if fleet.has(name, ident)), None), f"a bridge for {ident}")


def cars_of(front, fleet, count):
    cars = []
    for n in range(count):
        cars.append(Car(front, f"91705039{n:02}"))
        fleet.cars.append(cars[-1])
        cars[-1].at = holder(fleet, cars[-1].ident)
    return cars


def test_units_are_spread_and_commands_find_them(front, fleet, subscribe):
    port, _ = front
    sub = subscribe()
    cars = cars_of(port, fleet, 9)
    assert sorted(car.at for car in cars) == sorted(NAMES * 3)
    for car in cars:
        assert sub.on(f"trackers/{car.ident}/position")[0].record["peer"] == car.unit.peer
        order(sub, car.ident, "x")
        assert end(sub, car.ident, "x") == ["sent", "answered"]


def test_the_units_of_a_killed_bridge_go_to_the_others(front, fleet, subscribe):
    port, well = front
    sub = subscribe()
    cars = cars_of(port, fleet, 6)
    fleet.kill("a")
    lost = [car for car in cars if car.at == "a"]
    assert len(lost) == 2
    for car in lost:
        assert car.closed.wait(PATIENCE), "haproxy has told the unit"
        new = Car(port, car.ident, time="123508")
        fleet.cars.append(new)
        wait_for(lambda: holder(fleet, car.ident) in "bc", "another bridge")
        order(sub, car.ident, "x")
        assert end(sub, car.ident, "x") == ["sent", "answered"] and len(new.executed) == 1
    well("bc")
    assert not any(car.closed.is_set() for car in cars if car.at != "a")


def test_a_bridge_without_a_broker_keeps_its_units_and_gets_no_more(front, fleet):
    port, well = front
    cars = cars_of(port, fleet, 3)
    fleet.gates["a"].shut()
    well("bc")
    more = [Unit(port) for _ in range(4)]
    for n, unit in enumerate(more):
        unit.send(v1(f"917050381{n}"))
        assert b"V4,V1" in unit.receive()
        assert holder(fleet, f"917050381{n}") in "bc"
        unit.close()
    assert not any(car.closed.is_set() for car in cars), "each unit stays where it is"
    fleet.gates["a"].open()
    well("abc")


def test_in_an_outage_of_the_broker_units_are_still_taken(front, fleet, subscribe):
    port, well = front
    for gate in fleet.gates.values():
        gate.shut()
    well("")
    units = [Unit(port) for _ in range(6)]
    for n, unit in enumerate(units):
        unit.send(v1(f"917050381{n}"))
        assert b"V4,V1" in unit.receive()
    sub = subscribe()
    for gate in fleet.gates.values():
        gate.open()
    for n, unit in enumerate(units):
        assert sub.on(f"trackers/917050381{n}/position")[0].record["peer"] == unit.peer
        unit.close()
