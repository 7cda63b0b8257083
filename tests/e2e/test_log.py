# SPDX-License-Identifier: MIT
"""Nobody outside writes, hides or floods a line of the log, and fail2ban bans only who has really connected."""

import json
import re
import subprocess

import pytest
from conftest import ROOT, Unit, v1, wait_for
from test_commands import connected

IDENT = "9170503816"
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|notice|info|debug): [\x20-\x7e]*$")
INJECTED = "x\nrefused 203.0.113.5: tls (1 since the last line)\r\n2026-11-24T16:23:09.123Z notice: refused 203.0.113.5: tls (1 since the last line)\x1b[2J\u2028\x85\x9b"


def matched(tmp_path, text):
    path = tmp_path / "some.log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = subprocess.run(["fail2ban-regex", "--print-all-matched", path, ROOT / "etc/fail2ban/filter.conf"],
                            capture_output=True, text=True, timeout=60)
    assert result.returncode in (0, 1, 255) and "Lines:" in result.stdout, result.stderr
    found = result.stdout.partition("Matched line(s):")[2].partition("Missed line(s):")[0]
    return set(re.findall(r"refused (\S+): ", found))


def test_what_is_injected_stays_in_its_line(make_bridge, subscribe, tmp_path):
    bridge = make_bridge({"log": {"level": "debug"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = connected(bridge)
    payloads = [json.dumps(request) for request in (
        {"payload": "a", INJECTED: 1}, {"command": INJECTED[:60]}, {"command": "restart", "args": {INJECTED: 1}},
        {"command": "server.set", "args": {"host": INJECTED, "port": 1}}, {"payload": INJECTED},
        {"payload": "R7", "id": INJECTED})] + [INJECTED, b"\xff" + INJECTED.encode()]
    for payload in payloads:
        sub.publish(f"trackers/{IDENT}/cmd", payload)
        sub.publish("trackers/4711/cmd", payload)
    sub.on("trackers/4711/cmd/reply", len(payloads))
    sub.publish("trackers/x y/cmd", "R7")
    sub.publish("trackers/\u202ex/cmd", "R7")
    for transport in ("tcp", "udp"):
        stranger = Unit(bridge.port, transport)
        stranger.send((INJECTED * 20).encode())
        stranger.close()
    unit.send(f"*HQ,{IDENT},ZZ,{INJECTED}#".encode())
    unit.send(v1(IDENT, "123600"))
    wait_for(lambda: b"V4,V1" in unit.receive(), "the acknowledgement")
    wait_for(lambda: "speaks no known protocol" in bridge.log(), "the stranger")
    assert bridge.stop() == 0
    lines = bridge.log_path.read_bytes().split(b"\n")[:-1]
    wrong = [line for line in lines if not LINE.match(line.decode("latin-1"))]
    assert not wrong, wrong
    assert not {h for h in matched(tmp_path, b"\n".join(lines)) if h.startswith("203.")}
    unit.close()


def test_faults_in_files_are_one_line_each(make_bridge, tmp_path):
    units = tmp_path / "units.ini"
    units.write_bytes(b"[1]\ntopic = a\x1b[2Jb\xff\x85\n[2]\nna\x0dme = x\n[\xe2\x80\xa8]\nname = y\n")
    bridge = make_bridge()
    result = subprocess.run([*bridge.program, "-t", "-c", "/dev/null"], capture_output=True, timeout=30,
                            env={"TRACKER2MQTT_UNITS_FILE": str(units)})
    assert result.returncode == 1
    for line in result.stderr.split(b"\n"):
        assert re.fullmatch(rb"[\x20-\x7e]*", line), line
    assert result.stderr.count(b"units.ini:") == 3, result.stderr


def test_a_flood_of_commands(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe("trackers/bridge/#")
    unit = connected(bridge)
    for n in range(5000):
        for ident, payload in ((IDENT, "*"), ("4711", "R7"), ("no.ident", "R7")):
            sub.client.publish(f"trackers/{ident}/cmd", payload, 0)
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["commands"] == 10000)
    sub.on("trackers/bridge/test/stats", where=lambda m: m.record["commands.rejected"] == 5000
           and m.record["commands.offline"] == 5000 and m.record["outbox.messages"] == 0)
    assert 40 < len(bridge.log().splitlines()) < 100
    unit.send(v1(IDENT, "123600"))
    assert b"V4,V1" in unit.receive()
    unit.close()


def test_a_password_in_a_command_is_not_logged(make_bridge, subscribe):
    bridge = make_bridge({"commands": {"gap": "0"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = connected(bridge)
    requests = ["S24,130305,net,user,hunter2", json.dumps({"payload": "hunter2 hunter2"}),
                json.dumps({"command": "apn.set", "args": {"apn": "net", "user": "me", "password": "hunter2"}})]
    for n, request in enumerate(requests):
        sub.publish(f"trackers/{IDENT}/cmd", request)
        sub.on(f"trackers/{IDENT}/cmd/reply", n + 1)
    unit.close()
    wait_for(lambda: bridge.log().count(f"command for unit {IDENT}: ") >= 3, "the ends")
    assert "hunter2" not in bridge.log()


# --- fail2ban ---

OWN = "2026-11-24T16:23:09.123Z notice: "
HEADS = [OWN, "host tracker2mqtt[12]: ", "Nov 24 16:23:09 host tracker2mqtt[12]: ",
         "2026-11-24T16:23:09.123456+01:00 host tracker2mqtt[12]: ", f"Nov 24 16:23:09 host tracker2mqtt: {OWN}"]


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::7"])
def test_fail2ban_takes_the_line_for_tcp(tmp_path, address):
    line = f"refused {address}: no_frame_in_time (3 since the last line)"
    for head in HEADS:
        assert matched(tmp_path, head + line + "\n") == {address}, head


def test_fail2ban_takes_nothing_else(tmp_path):
    line = "refused 198.51.100.1: tls (1 since the last line)"
    texts = ["command for unit 1: x: rejected: ", "frame from 203.0.113.9:1 (not identified) rejected: bad-id: *HQ,x ",
             "203.0.113.9:1 over udp speaks no known protocol: ", "unit 1 on line: ", "libmosquitto: ", "refused 1.1.1.1: "]
    forged = [head + text + inner + line for head in HEADS for text in texts for inner in ["", *HEADS]]
    forged += [head + line.replace("refused", "refused udp") for head in HEADS]
    forged += [head + line + " x" for head in HEADS] + [line.replace("notice", level) for level in ("info", "warning")]
    forged += [OWN.replace("notice", "warning") + line, "host other[12]: " + line, "units.ini:3: " + line,
               OWN + line.replace("tls", "takeover"), OWN + line.replace("198.51.100.1", "a.example")]
    assert matched(tmp_path, "\n".join(forged) + "\n") == set()


def test_fail2ban_takes_what_the_bridge_writes(make_bridge, tmp_path):
    bridge = make_bridge({"listen": {"first_frame_timeout": "1s"}}, ipv6=True)
    for host in ("127.0.0.1", "::1"):
        stranger = Unit(bridge.port, host=host)
        stranger.send(b"\x03\x00\x00\x13" + bytes(2000))
        assert stranger.receive() == b""
        stranger.close()
    wait_for(lambda: bridge.log().count("refused ") == 2, "the lines")
    assert matched(tmp_path, bridge.log()) == {"127.0.0.1", "::1"}
