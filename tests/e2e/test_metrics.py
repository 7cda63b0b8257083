"""/metrics has every counter of `stats` in Prometheus' form; /healthz says whether the bridge can do its work."""

import json
import re
import subprocess
import urllib.error
import urllib.request

from conftest import ROOT, Unit, free_port, v1, wait_for


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metrics(make_bridge, subscribe):
    port = free_port()
    bridge = make_bridge({"metrics": {"listen": f"127.0.0.1:{port}"}})
    bridge.wait_connected()
    sub = subscribe("trackers/bridge/#")
    unit = Unit(bridge.port)
    unit.send(v1("9170503816") + "*HQ,9170503816,V1,nonsense#")
    assert b"V4,V1" in unit.receive()
    stats = sub.on("trackers/bridge/test/stats", where=lambda m: m.record["frames"] == 2)[0].record
    code, text = get(port, "/metrics")
    assert code == 200
    lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert lint.returncode == 0 and lint.stdout + lint.stderr == "", lint.stdout + lint.stderr
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values["tracker2mqtt_frames_total"] == "2" and values["tracker2mqtt_units_online"] == "1"
    assert values['tracker2mqtt_frames_rejected_total{reason="bad-fields"}'] == "1"
    assert values["tracker2mqtt_received_bytes_total"] == str(stats["bytes.in"])
    assert len(values) == len(stats), "the same counters"
    assert 'tracker2mqtt_refused_total{reason="takeover"}' in values
    labels = set(re.findall(r"\{(\w+)=", text))
    assert labels == {"reason"}, "nothing without a bound"
    assert get(port, "/none")[0] == 404
    dashboard = json.loads((ROOT / "etc/grafana.json").read_text())
    used = set(re.findall(r"tracker2mqtt_\w+", json.dumps(dashboard)))
    assert used and used <= {re.sub(r"\{.*", "", name) for name in values}
    unit.close()


def test_health(make_bridge, broker):
    port = free_port()
    bridge = make_bridge({"metrics": {"listen": f"127.0.0.1:{port}", "offline_limit": "1s"}})
    bridge.wait_connected()
    assert get(port, "/healthz") == (200, "ok\n")
    broker.stop()
    wait_for(lambda: get(port, "/healthz")[0] == 503, "the limit")
    assert "the broker has been away" in get(port, "/healthz")[1]
    broker.start()
    wait_for(lambda: get(port, "/healthz")[0] == 200, "the broker")


def test_health_with_a_full_outbox(make_bridge, broker):
    port = free_port()
    bridge = make_bridge({"metrics": {"listen": f"127.0.0.1:{port}"}, "outbox": {"size": "1M"}})
    bridge.wait_connected()
    broker.stop()
    unit = Unit(bridge.port)
    unit.send("".join(v1("9170503816", f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}") for n in range(1500)))
    wait_for(lambda: get(port, "/healthz") == (503, "the outbox is full: reading from units pauses\n"), "the full outbox")
    broker.start()
    unit.close()
