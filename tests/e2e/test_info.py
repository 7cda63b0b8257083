# SPDX-License-Identifier: MIT
"""The retained document that tells pages and programs what this bridge can do: it says what the printed tables say."""

import gzip
import json
import signal
import subprocess
import urllib.request

from conftest import BUILD, Broker, Subscriber, Unit, free_port, v1, wait_for

TOPIC = "trackers/bridge/test/info"


def printed(option):
    return subprocess.run([BUILD / "tracker2mqtt", option], check=True, capture_output=True, text=True).stdout


def test_it_says_what_is_printed(make_bridge, subscribe):
    make_bridge()
    info = subscribe(TOPIC).on(TOPIC)[0].record
    rows = [line.split(None, 1)[0] for line in printed("--print-parameters").splitlines()[1:]]
    assert [p["name"] for p in info["parameters"]] == rows
    names = {c["name"]: [a["name"] for a in c["args"]] for p in info["protocols"] for c in p["commands"]}
    lines = printed("--print-commands").splitlines()
    told = [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("    ")]
    assert sorted(told) == sorted(c["name"] for p in info["protocols"] for c in p["commands"])
    arguments = [line.split()[0] for line in lines if line.startswith("    ") and not line.strip().startswith("{")]
    assert sorted(arguments) == sorted(a["name"] for p in info["protocols"] for c in p["commands"] for a in c["args"])
    assert "engine.stop" in names and info["version"] in printed("--version")


def test_the_pages_settings_say_the_same(make_bridge, subscribe):
    """For a program that knows only the page's address; compressed for who takes that."""
    port = free_port()
    make_bridge({"web": {"listen": f"127.0.0.1:{port}"}})
    info = subscribe(TOPIC).on(TOPIC)[0].record
    plain = urllib.request.urlopen(f"http://127.0.0.1:{port}/config.json", timeout=30).read()
    tables = json.loads(plain)
    assert tables["protocols"] == info["protocols"] and tables["parameters"] == info["parameters"] and len(tables["parameters"]) > 100
    packed = urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/config.json", headers={"Accept-Encoding": "gzip"}), timeout=30)
    assert packed.headers["Content-Encoding"] == "gzip"
    data = packed.read()
    assert gzip.decompress(data) == plain and len(data) < len(plain) / 3


def test_it_is_retained_and_told_again(make_bridge, subscribe, broker):
    """After a reload with what has changed, and to a broker that has lost it."""
    bridge = make_bridge({"mqtt": {"keepalive": "5s"}})
    sub = subscribe(TOPIC)
    assert sub.on(TOPIC)[0].record["raw"] is False
    bridge.sections["publish"]["raw"] = "yes"
    bridge.write()
    bridge.process.send_signal(signal.SIGHUP)
    assert sub.on(TOPIC, where=lambda m: m.record["raw"])
    sub.close()
    broker.stop(signal.SIGKILL)
    (broker.directory / "mosquitto.db").unlink(missing_ok=True)
    broker.start()
    wait_for(lambda: bridge.log().count("connected to broker") == 2, "the second connection")
    late = subscribe(TOPIC)
    assert late.on(TOPIC)[0].record["raw"]


def test_a_broker_of_small_packets_is_not_asked(make_bridge, tmp_path):
    """It would close the connection, or refuse: units' messages pass all the same, and nothing is set aside."""
    broker = Broker(tmp_path, "max_packet_size 20000\n")
    bridge = make_bridge({"mqtt": {"port": broker.port}})
    bridge.wait_connected(forwards=False)
    sub = Subscriber(broker.port)
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    sub.on("trackers/9170503816/position")
    sub.on("trackers/bridge/test/stats", 2)
    assert not sub.now(lambda m: m.topic == TOPIC) and "set aside" not in bridge.log()
    unit.close()
    sub.close()
    assert bridge.stop() == 0
    broker.stop()
