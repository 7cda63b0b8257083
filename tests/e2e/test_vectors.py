# SPDX-License-Identifier: MIT
"""Every frame of the vectors, sent to the running bridge over TCP and UDP, arrives at a subscriber as exactly
its records with exactly their keys, in both formats; what must be rejected gives none, is counted by reason and shown
with its error."""

import json
import re

import pytest
from conftest import ROOT, Unit, wait_for

VECTORS = sorted([*ROOT.glob("tests/vectors/*.jsonl"),
                  *(path for path in ROOT.glob("codecs/*/*.jsonl") if path.stem == path.parent.name != "template")])
# what the bridge adds to every record: not in the vectors, but looked at in `compare`
OF_THE_BRIDGE = {"protocol.id", "channel.id", "peer", "server.timestamp", "server.seqnum"}
TOLERANCE = {"position.latitude": 1e-6, "position.longitude": 1e-6, "position.speed": 1.0001e-3,
             "vehicle.mileage": 1.0001e-3, "battery.voltage": 0.01, "external.powersource.voltage": 0.01}
DAY = 86400
YEAR_2010 = 1262304000
GPS_WEEKS = 1024 * 7 * DAY  # after so many GPS counts anew


def rows():
    for path in VECTORS:
        for line in path.read_text().splitlines():
            row = json.loads(line)
            row["file"] = path.name
            row["codec"] = re.split("[-.]", path.name.removeprefix("streams-"))[0]
            row["bytes"] = [bytes.fromhex(h) for h in row.get("segments", [row.get("hex")])]
            yield row


def shown(record, custom):
    """What [publish] custom lets through of a record of the vectors, which show all."""
    def is_shown(key, value):
        if custom == "all" or not key.startswith("custom."):
            return True
        return custom == "active" and (isinstance(value, str) or value != 0)

    return {key: value for key, value in record.items() if is_shown(key, value)}


def compare(row, want, got, name):
    want = dict(want)
    assert got["server.timestamp"] > 1.7e9 and got["server.seqnum"] > 0 and got["channel.id"] == 1
    assert got["protocol.id"] == row["codec"]
    age = got["server.timestamp"] - want.get("timestamp", 0)
    if age < -DAY or want.get("timestamp", 0) < YEAR_2010 or abs(age - GPS_WEEKS) < 2 * DAY:
        want.update({"timestamp": got["server.timestamp"], "timestamp.valid": False})
    missing, extra = want.keys() - got.keys(), got.keys() - want.keys() - OF_THE_BRIDGE
    assert not missing and not extra, f"{name}: missing: {missing}, not expected: {extra}"
    for key, value in want.items():
        if key in TOLERANCE:
            assert got[key] == pytest.approx(value, abs=TOLERANCE[key]), f"{name}: {key}"
        else:
            assert got[key] == value, f"{name}: {key}: {got[key]}, not {value}"
        assert isinstance(got[key], bool) == isinstance(value, bool), f"{name}: {key}: {got[key]}"


def introduction(row):
    """A frame of the same codec that makes the row's unit known to the connection."""
    for other in rows():
        alone = "hex" in other and "ident" not in other and other["codec"] == row["codec"]
        if alone and [r["ident"] for r in other["records"]] == [row["ident"]]:
            return other
    raise AssertionError(f"{row['file']}: {row['name']}: no vector of {row['codec']} has the ident {row['ident']}")


def send_all(bridge, how):
    """Each row on a connection of its own; returns peer -> (row, expected records)."""
    expected, open_units = {}, []
    for row in rows():
        if (how == "udp") != (row.get("transport", how) == "udp"):
            if "segments" in row:
                continue
        unit = Unit(bridge.port, "udp" if how == "udp" else "tcp")
        while unit.peer in expected:  # the kernel gives a port again: peers name the rows here
            open_units.append(unit)
            unit = Unit(bridge.port, "udp" if how == "udp" else "tcp")
        records = list(row["records"])
        if "ident" in row:  # the identity that is bound to the connection
            before = introduction(row)
            unit.send(before["bytes"][0])
            records = before["records"] + records
        for segment in row["bytes"]:
            if how == "tcp byte by byte":
                for i in range(len(segment)):
                    unit.send(segment[i:i + 1])
            else:
                unit.send(segment)
        expected[unit.peer] = (row, records)
        if how == "udp":
            open_units.append(unit)
        else:
            unit.finish()
    return expected, open_units


@pytest.mark.parametrize("form", ["json", "msgpack"])
@pytest.mark.parametrize("how,custom", [("tcp", None), ("tcp byte by byte", "all"), ("udp", "none"), ("udp", "active")])
def test_vectors(make_bridge, subscribe, tmp_path, form, how, custom):
    units = tmp_path / "units.ini"
    units.write_text("[0]\n")  # a phone number of zeros is taken only when it is asked for
    publish = {"format": form, **({"custom": custom} if custom else {})}
    bridge = make_bridge({"publish": publish, "units": {"file": units}})
    bridge.wait_connected()
    sub = subscribe()
    expected, units = send_all(bridge, how)
    total = sum(len(records) for _, records in expected.values())

    def is_record(m):
        return m.topic.split("/")[2] in ("position", "telemetry")

    sub.wait(is_record, "records", total)
    got = {}
    for m in sub.now(is_record):
        record = m.record
        assert m.properties.ContentType == f"application/{form}"
        assert m.topic == f"trackers/{record['ident']}/" + (
            "position" if "position.latitude" in record else "telemetry")
        got.setdefault(record["peer"], []).append(record)
    for peer, (row, records) in expected.items():
        name = f"{row['file']} {row['name']}"
        assert len(got.get(peer, [])) == len(records), f"{name}: {got.get(peer)}"
        for want, have in zip(records, got.get(peer, [])):
            compare(row, shown(want, custom or "active"), have, name)
    for unit in units:
        unit.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rejected_frames_are_counted_and_shown(make_bridge, subscribe, transport):
    bridge = make_bridge({"publish": {"raw": "yes"}})
    bridge.wait_connected()
    sub = subscribe()
    bad = [r for r in rows() if not r["records"] and "hex" in r and r.get("error", "fragment") != "fragment"]
    assert len(bad) > 20
    for row in bad:
        unit = Unit(bridge.port, transport)
        if "ident" in row:
            unit.send(introduction(row)["bytes"][0])
        unit.send(row["bytes"][0])
        shown = sub.wait(
            lambda m: m.topic.endswith("/raw") and "error" in m.record and
            bytes.fromhex(m.record["hex"]) in row["bytes"][0], row["name"]) if transport == "udp" else None
        if transport == "udp":
            unit.close()
        else:
            unit.finish()  # it may have been answered, and a plain close would be an abort then
        shown = shown or sub.wait(
            lambda m: m.topic.endswith("/raw") and "error" in m.record and
            bytes.fromhex(m.record["hex"]) in row["bytes"][0], row["name"])
        assert shown[0].record["error"] == row["error"], row["name"]
        with sub.new:
            sub.messages.clear()
        # the next one may have the same bytes
    stats = sub.on("trackers/bridge/test/stats")[-1]
    wait_for(lambda: sum(v for k, v in sub.on("trackers/bridge/test/stats")[-1].record.items()
                         if k.startswith("frames.rejected.")) >= len(bad), "the counters")
    assert stats.record["records"] == sum("ident" in row for row in bad), "those of the introductions"
