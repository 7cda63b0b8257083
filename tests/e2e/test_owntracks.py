# SPDX-License-Identifier: MIT
"""With [owntracks] topic, each fix is published in OwnTracks' form, from both codecs, by the rules of its documentation."""

import json

from conftest import Unit, v1
from test_jt808 import frame, location

ALLOWED = {"_type", "lat", "lon", "tst", "acc", "alt", "vel", "cog", "batt", "tid", "created_at", "imei", "ign", "odometer",
           "uext", "ubatt", "mcc", "mnc", "lac", "cid"}


def check(message, record, ident):
    body = json.loads(message.payload)
    assert not message.retain and body.keys() <= ALLOWED
    assert body["_type"] == "location" and body["tid"] == ident[-2:]
    assert (body["lat"], body["lon"]) == (record["position.latitude"], record["position.longitude"])
    assert body["tst"] == int(record["timestamp"]) and abs(body["created_at"] - record["server.timestamp"]) <= 1
    assert body["vel"] == round(record["position.speed"]) and isinstance(body["vel"], int)
    assert body["cog"] == round(record["position.direction"]) and isinstance(body["cog"], int)
    assert body["ign"] == record["engine.ignition.status"]
    return body


def test_both_codecs(make_bridge, subscribe):
    bridge = make_bridge({"owntracks": {"topic": "owntracks/{ident}/tracker"}})
    bridge.wait_connected()
    sub = subscribe("#")
    old, new = Unit(bridge.port), Unit(bridge.port)
    old.send("*HQ,9170503816,V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF,460,00,10342,4283,80#")
    body = check(sub.on("owntracks/9170503816/tracker")[0], sub.on("trackers/9170503816/position")[0].record,
                 "9170503816")
    assert body["batt"] == 80 and body["mcc"] == 460 and body["cid"] == 4283 and "alt" not in body
    new.send(frame(0x0200, location("261124120000") + bytes.fromhex("0104000001F4")))
    body = check(sub.on("owntracks/13912345678/tracker")[0], sub.on("trackers/13912345678/position")[0].record,
                 "13912345678")
    assert body["odometer"] == 50 and "alt" in body
    # no fix, or no date: not for OwnTracks, which knows neither
    old.send(v1("9170503816").replace(",A,", ",V,") + v1("9170503816", date="000000"))
    sub.on("trackers/9170503816/position", 3)
    assert len(sub.now(lambda m: m.topic == "owntracks/9170503816/tracker")) == 1
    old.close()
    new.close()
