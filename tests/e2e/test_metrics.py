# SPDX-License-Identifier: MIT
"""/metrics has every counter of `stats` in Prometheus' form; /healthz says whether the bridge can do its work."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.request

import pytest
from certificates import Authority
from conftest import ROOT, Unit, free_port, get, v1, wait_for


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


# --- who only holds connections open keeps nobody out ---

HALF = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"


def client(port, host="127.0.0.1", head=b""):
    s = socket.socket()
    s.bind((host, 0))
    s.settimeout(30)
    s.connect(("127.0.0.1", port))
    s.sendall(head)
    return s


def healthy(port, host="127.0.0.1"):
    """One try of a client at this address."""
    try:
        with client(port, host, HALF + b"\r\n") as s:
            s.settimeout(5)
            text = b""
            while piece := s.recv(4096):
                text += piece
            return text.startswith(b"HTTP/1.1 200")
    except OSError:
        return False


@pytest.fixture
def watched(make_bridge):
    port = free_port()
    bridge = make_bridge({"metrics": {"listen": f"127.0.0.1:{port}"}})
    bridge.wait_connected()
    return bridge, port


@pytest.mark.parametrize("head", [b"", HALF, b"G"])
@pytest.mark.parametrize("count", [16, 60])
def test_idle_clients(watched, head, count):
    bridge, port = watched
    crowd = [client(port, head=head) for _ in range(count)]
    time.sleep(0.5)
    assert healthy(port), "while they are there"
    assert healthy(port, "127.0.0.2")
    for s in crowd:
        s.close()
    wait_for(lambda: healthy(port), "after they left")
    files = len(os.listdir(f"/proc/{bridge.process.pid}/fd"))
    assert files < 60, "bounded"


def test_slow_clients_of_many_addresses(watched):
    """Each sends a byte now and then and never ends; they hold more places than there are."""
    _, port = watched
    crowd, ended = [], 0
    for n in range(40):
        crowd.append(client(port, f"127.0.0.{10 + n // 3}", b"GET /healthz HTTP/1.1\r\nX: "))
    for _ in range(30):
        for s in crowd:
            try:
                s.send(b"a")
            except OSError:
                pass
        assert healthy(port), "a newer client gets the place of an older one"
        time.sleep(0.25)
    for s in crowd:  # none has stayed for longer than the deadline
        s.settimeout(30)
        try:
            ended += s.recv(4096) == b"" or 1
        except ConnectionResetError:
            ended += 1
        s.close()
    assert ended == 40 and healthy(port)


def test_a_flood_of_connects(watched):
    _, port = watched
    for _ in range(1500):
        client(port).close()
    assert healthy(port)


# --- at the page's address, or at its own ---

def test_at_the_address_of_the_page(make_bridge, tmp_path):
    """One listener for all; what the page's address answers is not in the list of paths of another one."""
    (tmp_path / "index.html").write_text("page")
    port, other = free_port(), free_port()
    bridge = make_bridge({"metrics": {"listen": f"127.0.0.1:{port}"}, "web": {"listen": f"127.0.0.1:{port}", "root": tmp_path}})
    bridge.wait_connected()
    assert get(port, "/") == (200, "page") and get(port, "/config.json")[0] == 200 and get(port, "/mqtt")[0] == 426
    assert get(port, "/healthz") == (200, "ok\n") and "tracker2mqtt_frames_total" in get(port, "/metrics")[1]
    two = make_bridge({"metrics": {"listen": f"127.0.0.1:{other}"}, "web": {"listen": f"127.0.0.1:{free_port()}", "root": tmp_path},
                       "publish": {"instance": "two"}})
    assert get(other, "/healthz")[0] == 200 and get(other, "/")[0] == 404 and get(other, "/config.json")[0] == 404
    page = int(two.sections["web"]["listen"].split(":")[1])
    assert get(page, "/")[0] == 200 and get(page, "/metrics")[0] == 404 and get(page, "/healthz")[0] == 404


def test_at_the_address_of_the_page_over_tls_and_after_a_reload(make_bridge, tmp_path):
    ca = Authority(tmp_path)
    cert, key = ca.issue("page")
    port = free_port()
    bridge = make_bridge({"metrics": {"listen": f"127.0.0.1:{port}"},
                          "web": {"listen": f"127.0.0.1:{port}", "tls_cert_file": cert, "tls_key_file": key}})
    context = ssl.create_default_context(cafile=str(ca.pem))

    def metrics():
        with urllib.request.urlopen(f"https://localhost:{port}/metrics", context=context, timeout=30) as answer:
            return answer.status

    assert metrics() == 200
    ca.issue("page")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    assert metrics() == 200
