# SPDX-License-Identifier: MIT
"""Home Assistant is told of each unit what it really sends; every template gives the right value of a real state."""

import datetime
import json
import re
import signal
import subprocess

import jinja2
import pytest
from conftest import BUILD, Unit, v1
from test_jt808 import frame, location

SENSOR_CLASSES = {"speed": "km/h", "battery": "%", "voltage": "V", "distance": ("km", "m"), "volume_storage": "L"}
BINARY_CLASSES = {"power", "door", "safety", "problem", "battery", "vibration", "moving", "connectivity"}
ENTITIES = {"speed": "position.speed", "battery": "battery.level", "battery_voltage": "battery.voltage",
            "supply_voltage": "external.powersource.voltage", "signal": "gsm.signal.level", "mileage": "vehicle.mileage",
            "altitude": "position.altitude", "satellites": "position.satellites", "fuel": "fuel.volume",
            "ignition": "engine.ignition.status", "door": "door.open.status", "sos": "sos.alarm",
            "power_cut": "power.cut.alarm", "crash": "crash.event"}
DIAGNOSTIC = {"battery_voltage", "supply_voltage", "signal", "satellites", "connection", "last_report", "last_command"}
BRIDGE = {"topic": "trackers/bridge/test/status"}


@pytest.fixture
def world(make_bridge, subscribe):
    def make(**options):
        told = {"discovery": "yes", "unknown": "yes", **options.pop("homeassistant", {})}
        bridge = make_bridge({"homeassistant": told, **options})
        bridge.wait_connected()
        return bridge, subscribe("#")

    return make


def check_component(key, component, topic):
    platform = component["p"]
    if component == {"p": platform}:
        return  # to be removed
    assert component.get("entity_category") == ("diagnostic" if key in DIAGNOSTIC else None), key
    assert re.fullmatch(r"mdi:[a-z-]+", component.get("icon", "mdi:a"))
    if platform == "button":
        assert component["availability"] == [
            BRIDGE, {"topic": f"{topic}/status", "value_template": "{{ value_json.state }}"}], key
        assert component["availability_mode"] == "all" and component["command_topic"] == f"{topic}/cmd"
        assert json.loads(component["payload_press"])["command"]
        return
    assert "availability" not in component and "expire_after" not in component
    if platform == "device_tracker":
        assert component["source_type"] == "gps" and component["name"] is None and "state_topic" not in component
        assert component["json_attributes_topic"] == f"{topic}/state"
        return
    assert component["state_topic"] == f"{topic}/" + ("cmd/reply" if key == "last_command" else "state"), key
    if platform == "binary_sensor":
        assert component.get("device_class") in BINARY_CLASSES | {None}
    elif key not in ("last_report", "last_command"):
        assert platform == "sensor"
        unit = SENSOR_CLASSES.get(component.get("device_class"))
        assert unit is None or component["unit_of_measurement"] in unit
        assert component["state_class"] in ("measurement", "total_increasing")
        assert component["suggested_display_precision"] in (0, 1, 2)


def check_rules(topic, body, ident, name=None):
    """The rules of Home Assistant's documentation for device discovery, and of what is shown while a unit sleeps."""
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)
    assert body["dev"]["ids"] and body["dev"]["name"] and body["dev"]["sn"] == ident
    assert body["o"]["name"] == "tracker2mqtt" and body["o"]["sw"] and body["o"]["url"].startswith("https://")
    assert body["availability_mode"] == "all" and body["qos"] == 1
    assert body["availability"] == [BRIDGE]
    assert "this.state" not in json.dumps(body)
    unique = [c["unique_id"] for c in body["cmps"].values() if len(c) > 1]
    assert len(set(unique)) == len(unique) and all(ident in u for u in unique)
    for key, component in body["cmps"].items():
        check_component(key, component, f"trackers/{name or ident}")
    assert {"location", "connection", "last_report", "last_command"} <= body["cmps"].keys()


def rendered(template, record):
    """As Home Assistant does it; a key that is looked up and missing is an error here."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["as_datetime"] = lambda v: datetime.datetime.fromtimestamp(v, datetime.timezone.utc)
    return environment.from_string(template).render(value_json=record)


def check_place(template, state):
    place = json.loads(rendered(template, state))
    assert place["latitude"] == state["position.latitude"] and place["longitude"] == state["position.longitude"]
    for key in ("speed", "altitude"):
        assert place.get(key) == state.get(f"position.{key}")
    assert None not in place.values()
    sleeping = {**state, "position.valid": False, "status": "offline"}
    assert json.loads(rendered(template, sleeping)) == place, "the place is that of the last fix"
    for missing in ("position.latitude", "position.longitude"):
        assert rendered(template, {k: v for k, v in state.items() if k != missing}) == "{}"


def check_templates(body, state, keys):
    """With each key, and without any."""
    assert keys <= body["cmps"].keys()
    for key in ENTITIES.keys() & body["cmps"].keys():
        component, field = body["cmps"][key], ENTITIES[key]
        template = component["value_template"]
        assert rendered(template, {}) == "", f"{key}: an empty text is passed over"
        assert rendered(template, {k: v for k, v in state.items() if k != field}) == ""
        if component["p"] == "binary_sensor":
            assert rendered(template, state) == ("ON" if state[field] else "OFF"), key
            assert [rendered(template, {field: value}) for value in (True, False)] == ["ON", "OFF"]
        else:
            assert float(rendered(template, state)) == state[field], key
            assert rendered(template, {field: 0}) == "0", f"{key}: 0 is a value"
    connection = body["cmps"]["connection"]["value_template"]
    assert [rendered(connection, s) for s in (state, {"status": "offline"}, {})] == ["ON", "OFF", ""]
    report = rendered(body["cmps"]["last_report"]["value_template"], state)
    told = datetime.datetime.fromisoformat(report)
    assert told.tzinfo is not None and told.timestamp() == state["timestamp"]
    check_place(body["cmps"]["location"]["json_attributes_template"], state)


def newest(sub, ident, has):
    topic = f"homeassistant/device/tracker2mqtt_{ident}/config"
    found = sub.on(topic, where=lambda m: has in json.loads(m.payload or b"{}").get("cmps", {}))
    return topic, json.loads(found[-1].payload), found[-1]


def state_of(sub, name, where):
    return sub.on(f"trackers/{name}/state", where=lambda m: m.payload and where(m.record))[-1].record


def stubs(body):
    return {key for key, component in body["cmps"].items() if component == {"p": component["p"]}}


def test_an_h02_unit(world):
    bridge, sub = world(publish={"state_interval": "100ms"})
    unit = Unit(bridge.port)
    unit.send("*HQ,9170503816,V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF,460,00,10342,4283,80#")
    state = state_of(sub, "9170503816", lambda r: True)
    topic, body, message = newest(sub, "9170503816", "speed")
    check_rules(topic, body, "9170503816")
    assert not message.retain and body["dev"]["name"] == "Tracker 9170503816" and body["dev"]["mf"] == "HQ"
    check_templates(body, state, {"speed", "battery", "ignition", "door", "sos", "power_cut"})
    assert "altitude" not in body["cmps"] and "mileage" not in body["cmps"], "only what it really sends"
    assert {"request_position", "request_mileage"} <= body["cmps"].keys() - stubs(body)
    assert stubs(body) == {"engine_stop", "engine_resume"}
    unit.send("*HQ,9170503816,V4,S32,0000130502.35,130305,123510,A,2212.8745,N,11346.6574,E,14.28,028,131216,FFFFFBFF#")
    _, body, _ = newest(sub, "9170503816", "mileage")
    check_templates(body, state_of(sub, "9170503816", lambda r: "vehicle.mileage" in r), {"mileage"})
    before = len(sub.now(lambda m: m.topic == topic))
    unit.send(v1("9170503816", "123600"))  # nothing new: not told again
    sub.on("trackers/9170503816/position", 3)
    assert len(sub.now(lambda m: m.topic == topic)) == before
    sub.publish("homeassistant/status", "online")
    sub.on(topic, before + 1)
    unit.close()
    sub.on("trackers/9170503816/status", where=lambda m: m.record["state"] == "offline")
    sub.publish("homeassistant/status", "online")
    sub.on(topic, before + 2)  # it sleeps, and is still there


def test_a_button_and_what_became_of_it(world):
    bridge, sub = world()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    _, body, _ = newest(sub, "9170503816", "speed")
    component = body["cmps"]["last_command"]
    sub.publish("trackers/9170503816/cmd", body["cmps"]["request_mileage"]["payload_press"])
    when = unit.receive_until(b",S32,").split(b",S32,")[1][:6].decode()
    unit.send(f"*HQ,9170503816,V4,S32,0000130502.35,{when},123510,A,2212.8745,N,11346.6574,E,14.28,028,131216,FFFFFBFF#")
    replies = [m.record for m in sub.on(component["state_topic"], 2)]
    shown = [rendered(component["value_template"], reply) for reply in replies]
    assert shown[0].startswith(f"{replies[0]['command']}: sent")
    assert shown[1].startswith(f"{replies[1]['command']}: answered: ")
    assert (replies[1].get("result") or replies[1]["reply"]) in shown[1]
    rejected = {"ident": "1", "status": "rejected", "reason": "x" * 400}
    assert rendered(component["value_template"], rejected) == ("rejected: " + "x" * 400)[:255]
    unit.close()


REGISTRATION = bytes.fromhex("002c012f") + b"70111" + b"KS-21".ljust(20, b"\0") + b"A000001" + b"\x01" + "B12345".encode()


def test_a_jt808_unit_with_engine_and_a_name(world, tmp_path):
    units = tmp_path / "units.ini"
    units.write_text("[13912345678]\nname = Van 12\n")
    bridge, sub = world(homeassistant={"engine": "yes", "retain": "yes", "unknown": "no"}, units={"file": units})
    unit = Unit(bridge.port)
    unit.send(frame(0x0100, REGISTRATION))
    unit.send(frame(0x0200, location("261124120000") + bytes.fromhex("0104000001F430011F31010A")))
    topic, body, message = newest(sub, "13912345678", "altitude")
    check_rules(topic, body, "13912345678")
    assert message.retain and body["dev"]["name"] == "Van 12"
    assert (body["dev"]["mf"], body["dev"]["mdl"]) == ("70111", "KS-21")
    state = state_of(sub, "13912345678", lambda r: "position.altitude" in r)
    check_templates(body, state, {"speed", "altitude", "mileage", "signal", "satellites", "ignition", "crash"})
    assert {"engine_stop", "engine_resume"} <= body["cmps"].keys() - stubs(body)
    units.write_text("[13912345678]\nname = Van 13\ntype = ST-906\n")
    bridge.process.send_signal(signal.SIGHUP)
    again = sub.on(topic, where=lambda m: b'"Van 13"' in m.payload)[-1]
    assert json.loads(again.payload)["dev"]["mdl"] == "ST-906", "the units file knows better"
    units.write_text("")
    bridge.process.send_signal(signal.SIGHUP)
    sub.on(topic, where=lambda m: m.payload == b"")
    told = len(sub.now(lambda m: m.topic == topic and m.payload))
    sub.publish("homeassistant/status", "online")
    unit.send(frame(0x0200, location("261124120100"), serial=3))
    sub.on("trackers/13912345678/position", 2)
    assert len(sub.now(lambda m: m.topic == topic and m.payload)) == told, "it stays removed"
    unit.close()


def test_only_units_of_the_file(world, tmp_path):
    units = tmp_path / "units.ini"
    units.write_text("[9170503816]\nname = Car\n")
    bridge, sub = world(homeassistant={"unknown": "no"}, units={"file": units})
    for ident in ("9170503817", "9170503816"):
        unit = Unit(bridge.port)
        unit.send(v1(ident))
        sub.on(f"trackers/{ident}/position")
    newest(sub, "9170503816", "speed")
    sub.publish("homeassistant/status", "online")
    sub.on("homeassistant/device/tracker2mqtt_9170503816/config", 2)
    assert not sub.now(lambda m: m.topic == "homeassistant/device/tracker2mqtt_9170503817/config")
    assert "not told of unit 9170503817" in bridge.log() and "unknown = yes" in bridge.log()
    units.write_text("[9170503816]\n[9170503817]\n")
    bridge.process.send_signal(signal.SIGHUP)
    newest(sub, "9170503817", "speed")  # with what it has sent before


def test_retained_no_more(world, subscribe):
    bridge, sub = world(homeassistant={"retain": "yes"})
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    topic, _, message = newest(sub, "9170503816", "speed")
    assert message.retain
    bridge.sections["homeassistant"]["retain"] = "no"
    bridge.write()
    bridge.process.send_signal(signal.SIGHUP)
    sub.on(topic, where=lambda m: m.payload == b"")
    _, _, message = newest(sub, "9170503816", "speed")
    sub.on(topic, 3)
    assert not sub.now(lambda m: m.topic == topic)[-1].retain
    later = subscribe([("homeassistant/#", 1)])
    later.publish("homeassistant/marker", "x")
    later.on("homeassistant/marker")
    assert not later.now(lambda m: m.topic == topic)
    unit.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_shrinks_after_a_restart(world, how):
    bridge, sub = world(homeassistant={"engine": "yes"}, publish={"state_interval": "100ms"})
    unit = Unit(bridge.port)
    unit.send("*HQ,9170503816,V4,S32,0000130502.35,130305,123510,A,2212.8745,N,11346.6574,E,14.28,028,131216,FFFFFBFF#")
    topic, before, _ = newest(sub, "9170503816", "mileage")
    sub.on("trackers/9170503816/state")
    sub.publish("trackers/9170503816/cmd", '{"command": "position.request"}')
    unit.receive_until(b"#")  # by then all of it is kept
    stats = sub.now(lambda m: m.topic == "trackers/bridge/test/stats")
    sub.on("trackers/bridge/test/stats", len(stats) + 2)
    bridge.stop(how)
    told = len(sub.now(lambda m: m.topic == topic))
    bridge.sections["homeassistant"]["engine"] = "no"
    bridge.write()
    bridge.start()
    after = json.loads(sub.on(topic, told + 1)[-1].payload)
    assert after["dev"] == before["dev"] and after["cmps"].keys() == before["cmps"].keys(), "it has not spoken yet"
    assert stubs(after) == {"engine_stop", "engine_resume"} and not stubs(before)
    new = Unit(bridge.port)
    new.send(v1("9170503816", "123600"))
    sub.on("trackers/9170503816/status", where=lambda m: m.payload and m.record["state"] == "online")
    sub.publish("homeassistant/status", "online")
    last = json.loads(sub.on(topic, told + 2)[-1].payload)
    assert last["cmps"].keys() == before["cmps"].keys()
    new.close()


def test_taken_out_of_the_file_while_the_bridge_was_down(world, tmp_path):
    units = tmp_path / "units.ini"
    units.write_text("[9170503816]\nname = Car\n")
    bridge, sub = world(homeassistant={"unknown": "no", "retain": "yes"}, units={"file": units})
    Unit(bridge.port).send(v1("9170503816"))
    topic, _, _ = newest(sub, "9170503816", "speed")
    bridge.stop()
    units.write_text("")
    bridge.start()
    sub.on(topic, where=lambda m: m.payload == b"")


@pytest.mark.parametrize("option, fault", [("format = msgpack", "Home Assistant reads no MessagePack"),
                                           ("state = no", "needs [publish] state = auto or yes")])
def test_what_it_needs(tmp_path, option, fault):
    ini = tmp_path / "a.ini"
    ini.write_text(f"[publish]\n{option}\n[homeassistant]\ndiscovery = yes\n")
    result = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and fault in result.stderr
