# SPDX-License-Identifier: MIT
"""The samples in etc/ are understood by what reads them, and fit what the bridge publishes."""

import json
import re
import subprocess
import tomllib

import pytest
from conftest import BUILD, ROOT, Unit, free_port, stop, v1, wait_for

ETC = ROOT / "etc"


def test_mosquitto_conf_and_acl(tmp_path, make_bridge):
    """The bridge, a consumer and a dispatcher, each with what the list allows."""
    port = free_port()
    passwords = tmp_path / "passwords"
    for name in ("tracker2mqtt", "dispatcher", "viewer"):
        subprocess.run(["mosquitto_passwd", "-b", *([] if passwords.exists() else ["-c"]), passwords, name, "secret"],
                       check=True, capture_output=True)
    passwords.chmod(0o644)
    sample = (ETC / "mosquitto.conf").read_text()
    config = sample.replace("listener 1883 127.0.0.1", f"listener {port} 127.0.0.1").replace(
        "allow_anonymous true", f"password_file {passwords}\nacl_file {ETC / 'mosquitto.acl'}\nuser root")
    path = tmp_path / "sample.conf"
    path.write_text(config)
    broker = subprocess.Popen(["mosquitto", "-c", path], stderr=subprocess.DEVNULL)
    try:
        bridge = make_bridge({"mqtt": {"port": port, "username": "tracker2mqtt", "password": "secret"}})
        bridge.wait_connected()
        assert "window 1000" in bridge.log(), "the sample raises the window"
        unit = Unit(bridge.port)
        listener = subprocess.Popen(["mosquitto_sub", "-p", str(port), "-u", "viewer", "-P", "secret", "-t",
                                     "trackers/+/position", "-C", "1", "-W", "30"], stdout=subprocess.PIPE, text=True)

        def heard():
            unit.send(v1("9170503816"))
            return listener.poll() is not None

        wait_for(heard, "the viewer")
        assert json.loads(listener.stdout.read())["ident"] == "9170503816"
        for user, allowed in (("viewer", False), ("dispatcher", True)):
            subprocess.run(["mosquitto_pub", "-p", str(port), "-u", user, "-P", "secret", "-q", "1", "-t",
                            "trackers/9170503816/cmd", "-m", f"S32,00000{int(allowed)},1"], check=True)
        assert unit.receive_until(b",S32,").count(b"S32,000001,1") == 1, "only the dispatcher's command"
        assert "S32,000000" not in bridge.log()
        unit.close()
    finally:
        stop(broker)


def test_telegraf():
    """The paths of the input are parameters that records have."""
    config = tomllib.loads((ETC / "telegraf.conf").read_text())
    (consumer,) = config["inputs"]["mqtt_consumer"]
    assert consumer["topics"] == ["trackers/+/position"] and consumer["data_format"] == "json_v2"
    table = subprocess.run([BUILD / "tracker2mqtt", "--print-parameters"], capture_output=True, text=True, check=True).stdout
    known = {line.split()[0] for line in table.splitlines()}
    (parser,) = consumer["json_v2"]
    paths = [f["path"] for f in parser["field"] + parser["tag"]] + [parser["timestamp_path"]]
    assert {p.replace("\\.", ".") for p in paths} <= known


def test_node_red(broker, make_bridge, subscribe):
    """The flow is whole, its function gives a place for the map, and its command is one that the bridge takes."""
    nodes = {n["id"]: n for n in json.loads((ETC / "node-red.json").read_text())}
    for node in nodes.values():
        for wire in node.get("wires", []):
            assert all(target in nodes for target in wire)
        assert node.get("broker", "t2m-broker") in nodes or node["type"] == "mqtt-broker"
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    record = sub.on("trackers/9170503816/position")[0].record
    used = set(re.findall(r"r\['([^']+)'\]", nodes["t2m-map"]["func"])) - {"device.name"}
    assert used <= record.keys()
    sub.publish(nodes["t2m-command"]["topic"], nodes["t2m-ask"]["payload"])
    reply = sub.on("trackers/9170503816/cmd/reply")[0].record
    assert reply["id"] == "node-red" and reply["status"] == "sent"
    unit.close()


@pytest.mark.parametrize("name", ["tracker2mqtt", "tracker2mqtt-decode", "tracker2mqtt-sim", "tracker2mqtt-watch"])
def test_bash_completion_knows_every_option(name):
    script = f"""source {ETC}/completion.bash; PATH={BUILD}:$PATH
        COMP_WORDS=({name} --); COMP_CWORD=1; _tracker2mqtt {name}; printf '%s\\n' "${{COMPREPLY[@]}}" """
    offered = set(subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split())
    usage = subprocess.run([BUILD / name, "--help"], capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"^  (?:-\w, |    )(--[a-z-]+)", usage, re.M))
    assert options and options <= offered


@pytest.mark.parametrize("name", ["tracker2mqtt-decode", "tracker2mqtt-sim", "tracker2mqtt-watch"])
def test_man_pages_have_every_option(name):
    page = (ETC / f"{name}.1").read_text().replace("\\-", "-")
    usage = subprocess.run([BUILD / name, "--help"], capture_output=True, text=True, check=True).stdout
    for option, text in re.findall(r"^  (?:-\w, |    )(--[a-z-]+)(?: [A-Z,:]+)? +(.*)", usage, re.M):
        assert option in page and text.replace("\\", "\\e") in page, option
