import test from "node:test";
import assert from "node:assert/strict";
import { ALARMS_MOST, BRIDGES_MOST, FRAMES_MOST, REQUESTS_MOST, STRANGERS_MOST, TRAIL_MOST, countStates, createStore, merge, missingUnits, protocolOf, stateOf } from "../src/store.js";
import { TEXT_MOST, needsConfirmation, project, words } from "../src/values.js";

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
  assert.equal(missingUnits(s, countStates(s, 1e9).counted), 2);
  s.take("trackers/1/status", { state: "offline", since: 999990 }, false, 0); // it may be counted yet
  assert.equal(missingUnits(s, countStates(s, 1e9).counted), 2);
  assert.equal(missingUnits(s, countStates(s, 2e9).counted), 3);
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
  for (const name of ["engine.stop", "engine.resume", "restart", "factory.reset", "server.set", "apn.set", "mileage.reset", "door.lock", "power.off", "parameter.set", "parameter.text.set", "phone.master.set", "__proto__", "something.new", "position.request.x"]) assert.ok(needsConfirmation(name), name);
  for (const name of ["position.request", "mileage.request", "report.interval", "parameters.request"]) assert.ok(!needsConfirmation(name), name);
});

test("an alarm stays one until it is over and was seen", () => {
  const s = createStore();
  s.take("trackers/1/status", { state: "online", since: 1 }, true, 0);
  s.take("trackers/1/alarm", { timestamp: 5, "sos.alarm": true, alarms: ["sos.alarm"] }, false, 0);
  const unit = s.units.get("1");
  assert.equal(stateOf(unit), "alarm");
  s.seen(s.alarms[0]);
  assert.equal(stateOf(unit), "alarm");
  s.take("trackers/1/position", { timestamp: 6, "sos.alarm": false }, false, 0);
  assert.equal(stateOf(unit), "standing");
  s.take("trackers/1/alarm", { timestamp: 7, "sos.alarm": true, alarms: ["sos.alarm"] }, false, 0);
  s.take("trackers/1/position", { timestamp: 8, "sos.alarm": false }, false, 0);
  assert.equal(stateOf(unit), "alarm");
  s.seen(null);
  assert.equal(stateOf(unit), "standing");
});

test("an alarm that the broker kept is none that was raised now", () => {
  const s = createStore();
  s.take("trackers/1/alarm", { "sos.alarm": true, alarms: ["sos.alarm"] }, true, 0);
  assert.equal(s.alarms.length, 0);
});

test("records that waited say nothing of the clocks; a clock that is wrong says it each time", () => {
  const s = createStore();
  const say = (server, now) => s.take("trackers/1/telemetry", { timestamp: server, "server.timestamp": server }, false, now * 1000);
  for (let now = 1000; now < 1100; now++) say(now % 3 ? now - 600 : now, now);
  assert.ok(Math.abs(s.skew) < 1);
  for (let now = 2000; now < 2200; now++) say(now - 600, now);
  assert.equal(Math.round(s.skew), -600);
});

test("all that is kept has a bound", () => {
  const s = createStore();
  for (let i = 0; i < 3000; i++) {
    s.take("trackers/1/raw", { direction: "in", hex: "00", text: "x".repeat(20000) }, false, i);
    s.take("trackers/1/alarm", { alarms: Array(100).fill("x") }, false, i);
    s.take("trackers/1/position", at(i, { "position.latitude": (i % 90) + 0.5 }), false, i);
    s.take("trackers/bridge/x/unknown", { text: "y".repeat(20000) }, false, i);
    s.take(`trackers/bridge/b${i}/status`, "online", false, i);
    s.request("1", "id" + i, "w", i);
    s.take("trackers/1/cmd/reply", { id: "id1", status: "sent" }, false, i);
  }
  const unit = s.units.get("1");
  assert.equal(unit.frames.length, FRAMES_MOST);
  assert.ok(unit.frames[0].text.length <= TEXT_MOST && s.strangers[0].text.length <= TEXT_MOST && s.alarms[0].keys.length <= 32);
  assert.equal(unit.trail.length, 2 * TRAIL_MOST);
  assert.deepEqual([s.alarms.length, s.strangers.length, s.requests.size, s.bridges.size], [ALARMS_MOST, STRANGERS_MOST, REQUESTS_MOST, BRIDGES_MOST]);
  assert.ok(s.left > 0);
});

test("the answer to a request for frames is no frame", () => {
  const s = createStore();
  s.take("trackers/1/raw", { direction: "none", until: 50 }, false, 0);
  assert.deepEqual([s.units.get("1").frames.length, s.units.get("1").rawUntil], [0, 50]);
  s.take("trackers/1/raw", { direction: "none", error: "no" }, false, 0);
  assert.deepEqual([s.units.get("1").rawUntil, s.units.get("1").rawFault], [null, "no"]);
});

test("a unit's commands come from its own bridge", () => {
  const s = createStore(), info = (name) => ({ protocols: [{ name: "h02", commands: [{ name }] }] });
  s.take("trackers/bridge/a/info", info("of.a"), true, 0);
  s.take("trackers/bridge/b/info", info("of.b"), true, 0);
  s.take("trackers/1/status", { state: "online", instance: "b", protocol: "h02" }, true, 0);
  assert.equal(protocolOf(s, s.units.get("1")).protocol.commands[0].name, "of.b");
  s.take("trackers/2/status", { state: "online", instance: "c", protocol: "h02" }, true, 0);
  assert.ok(protocolOf(s, s.units.get("2")).protocol);
  s.take("trackers/3/status", { state: "online", protocol: "x9" }, true, 0);
  assert.equal(protocolOf(s, s.units.get("3")).protocol, null);
});

test("a place outside the world is none", () => {
  for (const [lat, lon] of [[91, 0], [0, 181], [NaN, 0], [1e308, 1], ["5", 5], [null, null]]) assert.equal(project(lat, lon), null);
  for (const [lat, lon] of [[90, 180], [-90, -180], [0, 0]]) for (const v of project(lat, lon)) assert.ok(v >= -0.001 && v <= 1.001, `${lat} ${lon}`);
});

test("any value has words", () => {
  for (const v of [undefined, null, 1, NaN, {}, { toString: 1 }, { toJSON: 1 }, [[]], Symbol.iterator, 5n]) assert.equal(typeof words(v), "string");
  let deep = [];
  for (let i = 0; i < 100000; i++) deep = [deep];
  assert.equal(typeof words(deep), "string");
});
