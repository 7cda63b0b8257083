# SPDX-License-Identifier: MIT
"""The whole program under memcheck: every kind of unit, commands, a reload, strangers, an outage; no error, no leak."""

import json
import os
import pathlib
import signal

import pytest
from certificates import Authority
from conftest import ROOT, Bridge, Unit, free_port, v1, wait_for
from test_proxy import v2
from test_tls import TlsUnit

PLAIN = pathlib.Path(os.environ.get("T2M_PLAIN", ROOT / "build"))


def test_smoke(broker, subscribe, tmp_path):
    linked = os.popen(f"ldd {PLAIN / 'tracker2mqtt'}").read()
    if "libasan" in linked or not (PLAIN / "tracker2mqtt").exists():
        pytest.skip("memcheck needs the build without sanitizers (T2M_PLAIN)")
    ca = Authority(tmp_path)
    cert, key = ca.issue("bridge")
    tls, proxy = free_port(), free_port()
    bridge = Bridge(tmp_path, broker.port, {
        "listen": {"tls": f"127.0.0.1:{tls}", "tls_cert_file": cert, "tls_key_file": key},
        "publish": {"raw": "yes", "stats_interval": "1s", "instance": "test"}, "outbox": {"size": "16M"},
    }, program=["valgrind", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect",
                f"--suppressions={ROOT}/tests/valgrind.supp", PLAIN / "tracker2mqtt"])
    bridge.stop()
    bridge.sections["listen"].update({"tcp": f"127.0.0.1:{bridge.port},127.0.0.1:{proxy}",
                                      "proxy_protocol": f"127.0.0.1:{proxy}"})
    bridge.write()
    bridge.start()
    wait_for(lambda: "connected to broker" in bridge.log(), "the broker connection", 120)
    sub = subscribe()
    files = [[json.loads(line) for line in path.read_text().splitlines()] for path in sorted((ROOT / "tests/vectors").glob("*.jsonl"))]
    for transport in ("tcp", "udp"):
        for rows in files:  # each protocol over a connection of its own
            unit = Unit(bridge.port, transport)
            for row in rows:
                if "hex" in row and len(row["hex"]) < 8000:
                    unit.send(bytes.fromhex(row["hex"]))
            unit.close()
        unit = Unit(bridge.port, transport)
        unit.send(v1("9170503816"))
        sub.on("trackers/9170503816/position", 1 if transport == "tcp" else 2)
        unit.close()
    unit, secure, proxied, stranger = Unit(bridge.port), TlsUnit(tls, ca), Unit(proxy), Unit(bridge.port)
    proxied.send(v2() + v1("9170503818").encode())
    secure.send(v1("9170503817"))
    assert b"V4,V1" in secure.receive() and b"V4,V1" in proxied.receive()
    stranger.send(bytes(range(256)) * 20)
    unit.send(v1("9170503819"))
    assert b"V4,V1" in unit.receive()
    for payload in ("S32,000000,1", '{"command":"engine.stop","id":"a"}', '{"command":"none"}', "{", ""):
        sub.publish("trackers/9170503819/cmd", payload)
    sub.publish("trackers/9170503810/cmd", '{"payload":"S32,000000,1","hold":60}')
    at = unit.receive_until(b",1,1#").rsplit(b"S20,", 1)[1][:6].decode()  # the time that the answer repeats
    unit.send(f"*HQ,9170503819,V4,S20,DONE,{at},050316,A,2212.8745,N,11346.6574,E,14.28,028,220902,FFFFFBFF#")
    sub.on("trackers/9170503819/cmd/reply", where=lambda m: m.record["status"] == "answered")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    broker.stop()
    secure.send(v1("9170503817", "123507"))
    assert b"V4,V1" in secure.receive()
    assert bridge.stop() == 0, bridge.log()[-6000:]
    assert "ERROR SUMMARY: 0 errors" in bridge.log()
    for u in (unit, secure, proxied, stranger):
        u.close()
