# SPDX-License-Identifier: MIT
"""tracker2mqtt-decode decodes without a network; tracker2mqtt-sim behaves as real units do."""

import json
import subprocess

import msgpack
import pytest
from conftest import BUILD, ROOT, Unit, program_with_hosts, v1

DECODE, SIM = BUILD / "tracker2mqtt-decode", BUILD / "tracker2mqtt-sim"


def decode(data, *args):
    return subprocess.run([DECODE, *args], input=data, capture_output=True, timeout=30)


def test_decode_hex_and_text_lines():
    row = json.loads((ROOT / "tests/vectors/h02-binary.jsonl").read_text().splitlines()[0])
    result = decode((v1("9170503816") + "\n\n" + row["hex"] + "\n").encode())
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0 and result.stderr == b""
    assert [r["ident"] for r in records] == ["9170503816", row["records"][0]["ident"]]


def test_decode_says_what_and_where():
    result = decode(b"*HQ,9170503816,HTBT#\n  *HQ,9170503816,V1,x#\nhello\n")
    assert result.returncode == 1
    lines = result.stderr.decode().splitlines()
    assert lines[0].startswith("stdin:2: bad-fields at byte 2: *HQ,9170503816,V1,x#")
    assert lines[1].startswith("stdin:3: unknown at byte 0: hello")
    assert len(result.stdout.splitlines()) == 1


def test_decode_raw_capture(tmp_path):
    capture = tmp_path / "capture"
    capture.write_bytes(b"\r\n" + v1("9170503816").encode() * 20000 + b"*HQ,9170503816,V1,bad#")
    result = decode(b"", "--raw", str(capture))
    assert len(result.stdout.splitlines()) == 20000 and result.returncode == 1
    assert f"bad-fields at byte {2 + 20000 * len(v1('9170503816'))}" in result.stderr.decode()


def test_decode_msgpack_and_ident():
    result = decode(b"*HQ,,HTBT,80#\n", "--format", "msgpack", "--ident", "1234567890")
    record = msgpack.unpackb(result.stdout, raw=False)
    assert record["ident"] == "1234567890" and record["battery.level"] == 80
    assert decode(b"", "--format", "xml").returncode == 1


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("protocol", ["h02", "h02-binary", "h02-mixed", "jt808", "jt808-2019"])
def test_sim(make_bridge, subscribe, tmp_path, protocol, transport):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    record = tmp_path / "acknowledged"
    result = subprocess.run([SIM, "-s", f"127.0.0.1:{bridge.port}", "-p", protocol, "-t", transport, "-n", "20",
                             "-i", "0.05", "-r", "5", "--alarm-every", "5", "--record", record],
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    acknowledged = record.read_text().split("\n")[:-1]
    assert len(set(acknowledged)) == 100
    got = sub.wait(lambda m: m.topic.endswith("/position"), "positions", 100)
    assert {f"{m.record['ident']} {m.record['timestamp']}" for m in got} == set(acknowledged)
    assert len(sub.wait(lambda m: m.topic.endswith("/alarm"), "alarms", 20)) == 20


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_sim_connects_from_an_address(make_bridge, subscribe, transport):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    result = subprocess.run([SIM, "-s", f"127.0.0.1:{bridge.port}", "-t", transport, "-n", "2", "-i", "0.05", "-r", "1", "--bind",
                             "127.0.0.7"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    got = sub.wait(lambda m: m.topic.endswith("/position"), "positions", 2)
    assert all(m.record["peer"].startswith("127.0.0.7:") for m in got)
    wrong = subprocess.run([SIM, "--bind", "nowhere"], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 1 and "nowhere is not allowed" in wrong.stderr


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_sim_tries_all_addresses_of_a_name(make_bridge, tmp_path, transport):
    bridge = make_bridge()
    sim = program_with_hosts(tmp_path, "::1 two.example\n127.0.0.1 two.example\n", "tracker2mqtt-sim")
    result = subprocess.run([*sim, "-s", f"two.example:{bridge.port}", "-t", transport, "-n", "3", "-i", "0.05", "-r", "1", "-d", "60",
                             "--ack-timeout", "1", "--reconnect", "0.1"], capture_output=True, text=True, timeout=90)
    assert result.returncode == 0, result.stdout + result.stderr


def test_sim_answers_commands(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    sim = subprocess.Popen([SIM, "-s", f"127.0.0.1:{bridge.port}", "-n", "1", "-i", "0.2", "--ident", "9170503816"],
                           stdout=subprocess.PIPE, text=True)
    try:
        sub.on("trackers/9170503816/position")
        sub.publish("trackers/9170503816/cmd", "S20,130305,1,1")
        confirmed = sub.on("trackers/9170503816/position",
                           where=lambda m: m.record["message.type"] == "V4")[0].record
        assert confirmed["custom.command.code"] == "S20" and confirmed["custom.command.time"] == "130305"
        assert confirmed["engine.blocked.status"] is True
        sub.publish("trackers/9170503816/cmd", "S32,130306,1")
        sub.on("trackers/9170503816/position", where=lambda m: "vehicle.mileage" in m.record)
    finally:
        sim.terminate()
        out, _ = sim.communicate(timeout=30)
    assert "commands 2 answered 2" in out
