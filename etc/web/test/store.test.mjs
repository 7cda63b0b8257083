import test from "node:test";
import assert from "node:assert/strict";
import { createStore, merge, missingUnits, needsConfirmation } from "../src/store.js";

const at = (timestamp, more) => ({ ident: "1", timestamp, "server.timestamp": timestamp, "position.valid": true, "position.latitude": timestamp, "position.longitude": 14, ...more });

test("a stored report fills what is missing and moves nothing back", () => {
  const known = {};
  merge(known, at(20, { "position.speed": 5 }));
  merge(known, at(10, { "position.speed": 9, "battery.level": 40 }));
  assert.equal(known["position.latitude"], 20);
  assert.equal(known["position.speed"], 5);
  assert.equal(known["battery.level"], 40);
  assert.equal(known.timestamp, 20);
});

test("a record without a fix keeps the place", () => {
  const known = {};
  merge(known, at(10));
  merge(known, { timestamp: 20, "position.valid": false, "position.latitude": 1, "sos.alarm": true });
  assert.equal(known["position.latitude"], 10);
  assert.equal(known["position.timestamp"], 10);
  assert.equal(known["sos.alarm"], true);
});

test("the newest word of two bridges counts", () => {
  const s = createStore("a/b");
  s.take("a/b/1/status", { state: "online", since: 20, instance: "two" }, false, 0);
  s.take("a/b/1/status", { state: "offline", since: 10, instance: "one" }, false, 0);
  assert.equal(s.units.get("1").online, true);
});

test("a cleared status forgets the unit, other clearings do not", () => {
  const s = createStore();
  s.take("trackers/1/status", { state: "online", since: 1 }, true, 0);
  s.take("trackers/1/position", null, true, 0);
  assert.equal(s.units.size, 1);
  s.take("trackers/1/status", null, true, 0);
  assert.equal(s.units.size, 0);
});

test("each request has one end, and replies of others are not mixed in", () => {
  const s = createStore();
  const r = s.request("1", "mine", "restart", 0);
  s.take("trackers/1/cmd/reply", { id: "other", status: "answered" }, false, 0);
  assert.equal(r.steps.length, 0);
  s.take("trackers/1/cmd/reply", { id: "mine", status: "sent" }, false, 0);
  assert.equal(r.ended, false);
  s.take("trackers/1/cmd/reply", { id: "mine", status: "timeout" }, false, 0);
  assert.equal(r.ended, true);
});

test("units that the bridges have and the broker did not tell of", () => {
  const s = createStore();
  s.take("trackers/bridge/a/status", "online", true, 0);
  s.take("trackers/bridge/a/stats", { "units.online": 3 }, true, 0);
  s.take("trackers/1/status", { state: "online", since: 1 }, true, 0);
  assert.equal(missingUnits(s), 2);
});

test("what strangers send breaks nothing", () => {
  const s = createStore();
  for (const payload of [[], 7, "text", { timestamp: "x", since: {}, state: 7 }, { alarms: "x" }, { alarms: [1, null] }, true])
    for (const leaf of ["status", "state", "position", "telemetry", "alarm", "raw", "cmd/reply", "cmd", "x"]) s.take("trackers/1/" + leaf, payload, false, 0);
  for (const payload of [[], 7, "text", {}, null]) for (const leaf of ["status", "info", "stats", "unknown", "x"]) s.take("trackers/bridge/b/" + leaf, payload, false, 0);
  s.take("trackers/", {}, false, 0);
  s.take("other/1/status", {}, false, 0);
});

test("what stops, locks, resets or cuts off is asked twice", () => {
  for (const name of ["engine.stop", "engine.resume", "restart", "factory.reset", "server.set", "apn.set", "mileage.reset", "door.lock"]) assert.ok(needsConfirmation(name), name);
  for (const name of ["position.request", "mileage.request", "report.interval", "parameters.request"]) assert.ok(!needsConfirmation(name), name);
});
