# SPDX-License-Identifier: MIT
"""The wall clock may be set back or forth while commands wait: they wait as long as was asked for."""

import json
import os
import pathlib
import time

import pytest
from conftest import ROOT, Unit, v1
from test_lifecycle import states

IDENT = "9170503816"
PLAIN = pathlib.Path(os.environ.get("T2M_PLAIN", ROOT / "build"))
FAKETIME = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
DAY = 86400


@pytest.fixture
def world(make_bridge, subscribe, tmp_path):
    if FAKETIME is None:
        pytest.skip("libfaketime is not installed")
    if "libasan" in os.popen(f"ldd {PLAIN / 'tracker2mqtt'}").read() or not (PLAIN / "tracker2mqtt").exists():
        pytest.skip("libfaketime needs the build without sanitizers (T2M_PLAIN)")
    file = tmp_path / "faketime"

    def set_clock(seconds):
        fresh = tmp_path / "faketime.new"
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(file)

    set_clock(0)
    bridge = make_bridge({"commands": {"gap": "0"}}, program=[PLAIN / "tracker2mqtt"], environment={
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    bridge.wait_connected()
    return bridge, subscribe(), set_clock


@pytest.mark.parametrize("jump", [-3650 * DAY, -DAY, DAY, 3650 * DAY])
def test_commands_that_wait(world, jump):
    bridge, sub, set_clock = world
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    assert b"V4,V1" in unit.receive()

    def ask(ident, **request):
        sub.publish(f"trackers/{ident}/cmd", json.dumps(request))

    def ended(ident, wanted):
        return [m for m in sub.now(lambda m: m.topic == f"trackers/{ident}/cmd/reply")
                if m.record["id"] == wanted and m.record["status"] not in ("held", "sent")]

    ask(IDENT, payload="R7,130305", id="short", timeout=4)
    ask(IDENT, payload="S32,130306,1", id="long", timeout=600)
    ask("4711", payload="R7,130307", id="brief", hold=4)
    ask("4711", payload="R7,130308", id="patient", hold=600)
    states(sub, "long", 1)
    sub.on("trackers/4711/cmd/reply", 2)
    set_clock(jump)
    assert states(sub, "short", 2)[0] == ["sent", "timeout"]
    end = sub.on("trackers/4711/cmd/reply", where=lambda m: m.record["status"] == "expired")[0].record
    assert end["id"] == "brief" and abs(end["server.timestamp"] - time.time() - jump) < 3600
    assert not ended(IDENT, "long") and not ended("4711", "patient")
    unit.send(f"*HQ,{IDENT},V4,S32,1,130306,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#")
    got, last = states(sub, "long", 2)
    assert got == ["sent", "answered"] and 0 < last["elapsed"] < 120
    unit.close()
