# SPDX-License-Identifier: MIT
"""A bridge that is drained takes nobody new, lets its units go at a rate, says so, and ends when it is empty."""

import signal
import socket
import time

import pytest

from conftest import Unit, free_port, get, v1, wait_for


@pytest.mark.parametrize("how", ("signal", "message"))
def test_a_bridge_is_drained(make_bridge, subscribe, how):
    port = free_port()
    bridge, sub = make_bridge({"metrics": {"listen": f"127.0.0.1:{port}"}, "listen": {"drain_per_second": 1}}), subscribe()
    units = [Unit(bridge.port) for _ in range(4)]
    for n, unit in enumerate(units):
        unit.send(v1(f"917050381{n}"))
    for n in range(4):
        sub.on(f"trackers/917050381{n}/position")
    assert get(port, "/healthz")[0] == 200
    instance = sub.wait(lambda m: m.topic.endswith("/status") and "/bridge/" in m.topic, "its name")[0].topic.split("/")[2]
    topic = f"trackers/bridge/{instance}/drain"
    if how == "signal":
        bridge.process.send_signal(signal.SIGUSR1)
    else:
        sub.publish(topic, "", retain=False)
        time.sleep(0.3)
        assert get(port, "/healthz")[0] == 200, "an empty message is none"
        sub.publish(topic, "now")
    wait_for(lambda: get(port, "/healthz")[0] == 503, "503")
    assert "draining" in get(port, "/healthz")[1]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", bridge.port), 5)
    assert bridge.process.wait(30) == 0
    for n in range(4):
        told = sub.now(lambda m, n=n: m.topic == f"trackers/917050381{n}/status")
        assert told[-1].record["state"] == "offline" and told[-1].record["reason"] == "the bridge is drained"
    for unit in units:
        unit.close()
