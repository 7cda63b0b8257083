"""Home Assistant is told of each unit what it really sends; every template gives the right value of a real record."""

import json
import re
import signal
import subprocess

import jinja2
import pytest
from conftest import BUILD, Unit, v1
from test_jt808 import frame, location

ABBREVIATED = {"dev": "device", "o": "origin", "cmps": "components", "p": "platform"}
SENSOR_CLASSES = {"speed": "km/h", "battery": "%", "voltage": "V", "distance": ("km", "m"), "volume_storage": "L"}
BINARY_CLASSES = {"power", "door", "safety", "problem", "battery", "vibration", "moving"}


@pytest.fixture
def world(make_bridge, subscribe):
    def make(**options):
        bridge = make_bridge({"homeassistant": {"discovery": "yes", **options.pop("homeassistant", {})}, **options})
        bridge.wait_connected()
        return bridge, subscribe("#")

    return make


def check_rules(topic, body, ident):
    """The rules of Home Assistant's documentation for device discovery."""
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)
    assert body["dev"]["ids"] and body["dev"]["name"] and body["o"]["name"] == "tracker2mqtt"
    assert body["availability_mode"] == "all" and body["qos"] == 1
    assert body["availability"] == [
        {"topic": "trackers/bridge/test/status"},
        {"topic": f"trackers/{ident}/status", "value_template": "{{ value_json.state }}"}]
    unique = [c["unique_id"] for c in body["cmps"].values()]
    assert len(set(unique)) == len(unique) and all(ident in u for u in unique)
    for component in body["cmps"].values():
        platform = component["p"]
        if platform == "device_tracker":
            assert component["source_type"] == "gps" and "state_topic" not in component
            assert "expire_after" not in component and component["json_attributes_topic"].endswith("/position")
        elif platform == "sensor":
            unit = SENSOR_CLASSES.get(component.get("device_class"))
            assert unit is None or component["unit_of_measurement"] in unit
            assert component["state_class"] in ("measurement", "total_increasing")
        elif platform == "binary_sensor":
            assert component.get("device_class") in BINARY_CLASSES | {None}
        else:
            assert platform == "button" and component["command_topic"] == f"trackers/{ident}/cmd"
            assert json.loads(component["payload_press"])["command"]


def rendered(template, record, state=None):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return environment.from_string(template).render(value_json=record, this={"state": state})


def check_templates(body, record, fields):
    for key, field in fields.items():
        component = body["cmps"][key]
        value = rendered(component["value_template"], record)
        if component["p"] == "binary_sensor":
            assert value == ("ON" if record[field] else "OFF"), key
            assert rendered(component["value_template"], {}, "on") == "ON"
        else:
            assert float(value) == record[field], key
            assert rendered(component["value_template"], {}, "17") == "17"
    tracker = body["cmps"]["location"]["json_attributes_template"]
    place = json.loads(rendered(tracker, record))
    assert place["latitude"] == record["position.latitude"] and place["longitude"] == record["position.longitude"]
    assert rendered(tracker, {**record, "position.valid": False}) == ""


def newest(sub, ident, has):
    topic = f"homeassistant/device/tracker2mqtt_{ident}/config"
    found = sub.on(topic, where=lambda m: has in json.loads(m.payload or b"{}").get("cmps", {}))
    return topic, json.loads(found[-1].payload), found[-1]


def test_an_h02_unit(world):
    bridge, sub = world()
    unit = Unit(bridge.port)
    unit.send("*HQ,9170503816,V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF,460,00,10342,4283,80#")
    record = sub.on("trackers/9170503816/position")[0].record
    topic, body, message = newest(sub, "9170503816", "speed")
    check_rules(topic, body, "9170503816")
    assert not message.retain and body["dev"]["name"] == "Tracker 9170503816"
    fields = {"speed": "position.speed", "battery": "battery.level", "ignition": "engine.ignition.status",
              "door": "door.open.status", "sos": "sos.alarm", "power_cut": "power.cut.alarm"}
    check_templates(body, record, fields)
    assert "altitude" not in body["cmps"] and "mileage" not in body["cmps"], "only what it really sends"
    assert {"request_position", "request_mileage"} <= body["cmps"].keys()
    assert not {"engine_stop", "engine_resume"} & body["cmps"].keys()
    unit.send("*HQ,9170503816,V4,S32,0000130502.35,130305,123510,A,2212.8745,N,11346.6574,E,14.28,028,131216,FFFFFBFF#")
    _, body, _ = newest(sub, "9170503816", "mileage")
    sub.publish("trackers/9170503816/cmd", body["cmps"]["request_mileage"]["payload_press"])
    assert b",S32," in unit.receive_until(b",S32,")
    before = len(sub.now(lambda m: m.topic == topic))
    unit.send(v1("9170503816", "123600"))  # nothing new: not told again
    sub.on("trackers/9170503816/position", 3)
    assert len(sub.now(lambda m: m.topic == topic)) == before
    sub.publish("homeassistant/status", "online")
    sub.on(topic, before + 1)
    unit.close()


def test_a_jt808_unit_with_engine_and_a_name(world, tmp_path):
    units = tmp_path / "units.ini"
    units.write_text("[13912345678]\nname = Van 12\ntype = ST-906\n")
    bridge, sub = world(homeassistant={"engine": "yes", "retain": "yes"}, units={"file": units})
    unit = Unit(bridge.port)
    unit.send(frame(0x0200, location("261124120000") + bytes.fromhex("0104000001F430011F31010A")))
    record = sub.on("trackers/13912345678/position")[0].record
    topic, body, message = newest(sub, "13912345678", "altitude")
    check_rules(topic, body, "13912345678")
    assert message.retain and body["dev"]["name"] == "Van 12" and body["dev"]["mdl"] == "ST-906"
    check_templates(body, record, {"speed": "position.speed", "altitude": "position.altitude",
                                   "mileage": "vehicle.mileage", "signal": "gsm.signal.level",
                                   "satellites": "position.satellites", "ignition": "engine.ignition.status",
                                   "crash": "crash.event"})
    assert {"engine_stop", "engine_resume"} <= body["cmps"].keys()
    units.write_text("")
    bridge.process.send_signal(signal.SIGHUP)
    sub.on(topic, where=lambda m: m.payload == b"")
    unit.close()


def test_messagepack_is_a_fault(tmp_path):
    ini = tmp_path / "a.ini"
    ini.write_text("[publish]\nformat = msgpack\n[homeassistant]\ndiscovery = yes\n")
    result = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and "Home Assistant reads no MessagePack" in result.stderr
