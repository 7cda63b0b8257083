// store: what has been heard, by unit and by bridge. Pure: it knows neither MQTT nor the page. All that it keeps has a bound.
import { cleanInfo, clip, number, project, textOr, words } from "./values.js";

export const UNITS_MOST = 200000;
export const BRIDGES_MOST = 200;
export const FRAMES_MOST = 200;
export const TRAIL_MOST = 500;
export const TRAILS_MOST = 1000000; // points of all units together
export const STRANGERS_MOST = 100;
export const ALARMS_MOST = 200;
export const REQUESTS_MOST = 200;
const ALARM_KEYS_MOST = 32;
const STEPS_MOST = 20;
const SKEW_WINDOW_MS = 30000;
const ENDS = ["answered", "timeout", "offline", "expired", "rejected"];

const OF_RECORD = new Set(["timestamp", "server.timestamp", "server.seqnum", "peer", "message.type", "message.buffered.status", "timestamp.valid"]);

export function createStore(prefix = "trackers") {
  const store = {
    prefix,
    units: new Map(),
    bridges: new Map(),
    strangers: [],
    alarms: [],
    requests: new Map(),
    version: 0, // grows with every change
    serial: 0, // numbers what is listed
    moved: new Set(), // names of units whose place changed since it was last cleared
    live: new Set(), // names of units that spoke since the page was opened
    skew: null, // server's clock minus ours, in seconds
    skews: { since: null, now: -Infinity, before: null },
    left: 0, // messages of units or bridges beyond the bounds
    messages: 0,
  };
  store.take = (topic, payload, retained, now) => take(store, topic, payload, retained, now);
  store.request = (name, id, what, now) => request(store, name, id, what, now);
  store.seen = (alarm) => seen(store, alarm);
  return store;
}

function unitOf(store, name) {
  let unit = store.units.get(name);
  if (!unit && store.units.size < UNITS_MOST) {
    unit = { name, ident: name, known: {}, online: null, since: null, reason: null, heard: null, frames: [], trail: [], x: null, y: null,
      alarms: new Set(), unseen: false, rawUntil: null, rawFault: null };
    store.units.set(name, unit);
  }
  return unit;
}

function bridgeOf(store, instance) {
  let bridge = store.bridges.get(instance);
  if (!bridge && store.bridges.size < BRIDGES_MOST) {
    bridge = { instance, online: null, stats: null, before: null, info: null };
    store.bridges.set(instance, bridge);
  }
  return bridge;
}

// A record's values into what is known: the newer record wins, an older one fills only what is missing. A place comes from a valid fix.
export function merge(known, record) {
  const newer = (number(record.timestamp) ?? 0) >= (number(known.timestamp) ?? 0);
  const fix = record["position.valid"] === true && number(record["position.latitude"]) !== null;
  const newest = number(known["position.timestamp"]);
  const placed = fix && (newest === null || number(record.timestamp) >= newest);
  for (const [key, value] of Object.entries(record)) {
    if (key === "alarms" || key === "rejected" || key === "position.timestamp" || key === "__proto__") continue;
    const place = key.startsWith("position.") && key !== "position.valid" && key !== "position.satellites";
    if (place ? placed : newer || (!Object.hasOwn(known, key) && !OF_RECORD.has(key))) known[key] = value;
  }
  if (placed) known["position.timestamp"] = record.timestamp;
  return placed;
}

// Where the unit is on the map; true: it has moved.
function notePlace(store, unit) {
  const lat = unit.known["position.latitude"], lon = unit.known["position.longitude"], at = project(lat, lon);
  const [x, y] = at ?? [null, null];
  if (x === unit.x && y === unit.y) return;
  unit.x = x;
  unit.y = y;
  store.moved.add(unit.name);
  if (!at) return;
  const most = Math.max(20, Math.min(TRAIL_MOST, Math.floor(TRAILS_MOST / store.units.size)));
  unit.trail.push(x, y);
  if (unit.trail.length > 2 * most) unit.trail.splice(0, unit.trail.length - 2 * most);
}

function noteAlarms(store, unit, record, raised) {
  for (const key in record) {
    const value = record[key];
    if (typeof value !== "boolean" || !(key.endsWith(".alarm") || key.endsWith(".event"))) continue;
    if (!value) unit.alarms.delete(key);
    else if (unit.alarms.size < ALARM_KEYS_MOST) unit.alarms.add(clip(key));
  }
  if (!raised || !Array.isArray(record.alarms)) return;
  unit.unseen = true;
  store.alarms.unshift({ id: ++store.serial, name: unit.name, keys: record.alarms.slice(0, ALARM_KEYS_MOST).map(clip), time: number(record.timestamp), seen: false });
  for (const old of store.alarms.splice(ALARMS_MOST)) noteSeen(store, old.name);
}

function noteSeen(store, name) {
  const unit = store.units.get(name);
  if (unit) unit.unseen = store.alarms.some((a) => a.name === name && !a.seen);
}

// An alarm was looked at; null: all of them were.
function seen(store, alarm) {
  const those = alarm ? [alarm] : store.alarms;
  for (const a of those) a.seen = true;
  for (const name of new Set(those.map((a) => a.name))) noteSeen(store, name);
  store.version++;
}

// Records that waited for the broker are late and say nothing of the clocks: the least late one of half a minute counts.
function noteSkew(store, server, now) {
  const s = store.skews, late = server - now / 1000;
  if (s.since === null) s.since = now;
  if (now - s.since > SKEW_WINDOW_MS) [s.before, s.now, s.since] = [s.now, -Infinity, now];
  s.now = Math.max(s.now, late);
  store.skew = s.before === null ? null : Math.max(s.before, s.now);
}

function takeRecord(store, unit, record, retained, now, leaf) {
  if (typeof record.ident === "string") unit.ident = clip(record.ident);
  const stored = record["message.buffered.status"] === true, server = number(record["server.timestamp"]);
  if (leaf === "state") {
    if (typeof record.status === "string") takePresence(unit, record.status === "online", number(record["status.since"]));
    unit.known = record;
  } else {
    merge(unit.known, record);
  }
  notePlace(store, unit);
  if (!retained && !stored && leaf !== "state") {
    store.live.add(unit.name);
    if (server !== null) noteSkew(store, server, now);
  }
  if (server !== null && (unit.heard === null || server > unit.heard)) unit.heard = server;
  if (!stored) noteAlarms(store, unit, record, leaf === "alarm" && !retained);
}

// Two topics tell it, and perhaps two bridges: the newest word counts. False: it is old.
function takePresence(unit, online, since) {
  if (since !== null && unit.since !== null && since < unit.since) return false;
  unit.online = online;
  unit.since = since;
  return true;
}

function takeStatus(unit, status) {
  if (!takePresence(unit, status.state === "online", number(status.since))) return;
  unit.reason = textOr(status.reason, null);
  for (const key of ["protocol", "instance", "transport", "peer"]) unit[key] = textOr(status[key], unit[key]);
}

// What is no frame is the answer to a request for them: until when they come, or why not.
function takeFrame(store, unit, frame, now) {
  if (frame.direction === "none") {
    unit.rawUntil = number(frame.until);
    unit.rawFault = textOr(frame.error, null);
    return;
  }
  unit.frames.unshift({ id: ++store.serial, time: now / 1000, direction: frame.direction === "out" ? "out" : "in", hex: textOr(frame.hex, ""), text: textOr(frame.text, ""),
    error: frame.error ? clip(frame.error) : null });
  unit.frames.length = Math.min(unit.frames.length, FRAMES_MOST);
}

function takeReply(store, reply) {
  const r = store.requests.get(reply.id);
  if (!r || r.steps.length >= STEPS_MOST) return;
  const optional = (v) => (v === undefined || v === null || v === "" ? null : clip(v));
  r.steps.push({ status: clip(reply.status), reason: optional(reply.reason), reply: optional(reply.reply), result: optional(reply.result), elapsed: number(reply.elapsed), time: number(reply["server.timestamp"]) });
  if (ENDS.includes(reply.status)) r.ended = true;
}

function takeStranger(store, instance, payload, now) {
  const keep = { id: ++store.serial, instance: clip(instance), time: now / 1000 };
  for (const key of ["peer", "transport", "looks.like", "reason", "text", "hex"]) keep[key] = payload[key] === undefined || payload[key] === null ? "" : clip(payload[key]);
  store.strangers.unshift(keep);
  store.strangers.length = Math.min(store.strangers.length, STRANGERS_MOST);
}

function takeBridge(store, instance, leaf, payload, now) {
  const map = typeof payload === "object" && !Array.isArray(payload);
  if (leaf === "unknown") {
    if (map) takeStranger(store, instance, payload, now);
    return;
  }
  const bridge = bridgeOf(store, instance);
  if (!bridge) store.left++;
  else if (leaf === "status") bridge.online = words(payload) === "online";
  else if (leaf === "info") bridge.info = cleanInfo(payload) ?? bridge.info;
  else if (leaf === "stats" && map) {
    bridge.before = bridge.stats;
    bridge.stats = { ...payload, at: now / 1000 };
  }
}

const RECORDS = new Set(["position", "telemetry", "alarm", "state"]);

// `payload`: decoded; null: the topic was cleared.
function take(store, topic, payload, retained, now) {
  if (!topic.startsWith(store.prefix + "/")) return;
  const rest = topic.slice(store.prefix.length + 1), slash = rest.indexOf("/");
  const name = slash < 0 ? rest : rest.slice(0, slash), leaf = slash < 0 ? "" : rest.slice(slash + 1);
  store.version++;
  store.messages++;
  if (name === "bridge") {
    const at = leaf.lastIndexOf("/");
    if (at > 0 && payload !== null && !leaf.slice(0, at).includes("/")) takeBridge(store, leaf.slice(0, at), leaf.slice(at + 1), payload, now);
    return;
  }
  if (payload === null) {
    if (leaf === "status" && store.units.delete(name)) {
      store.live.delete(name);
      store.moved.add(name);
    }
    return;
  }
  if (typeof payload !== "object" || Array.isArray(payload)) return;
  if (leaf === "cmd/reply") return takeReply(store, payload);
  if (leaf !== "status" && leaf !== "raw" && !RECORDS.has(leaf)) return;
  const unit = unitOf(store, name);
  if (!unit) store.left++;
  else if (leaf === "status") takeStatus(unit, payload);
  else if (leaf === "raw") takeFrame(store, unit, payload, now);
  else takeRecord(store, unit, payload, retained, now, leaf);
}

// A request that was sent: it is found again by its id. `what`: the words for the user.
function request(store, name, id, what, now) {
  const r = { id, name, what, time: now / 1000, steps: [], ended: false };
  store.requests.set(id, r);
  if (store.requests.size > REQUESTS_MOST) store.requests.delete(store.requests.keys().next().value);
  store.version++;
  return r;
}

// What a unit is doing, in one word; it decides its colour. What raised an alarm stays one until somebody has seen it.
export function stateOf(unit) {
  if (unit.alarms.size || unit.unseen) return "alarm";
  if (!unit.online) return "offline";
  return unit.known["position.speed"] > 3 ? "moving" : "standing";
}

const LATELY = 180; // seconds; a bridge's counters are not older

// How many units there are in each state; `counted`: those that the bridges' newest counters may count as on line.
export function countStates(store, now) {
  const n = { alarm: 0, moving: 0, standing: 0, offline: 0, counted: 0 };
  for (const unit of store.units.values()) {
    n[stateOf(unit)]++;
    if (unit.online || (unit.since !== null && unit.since > now / 1000 - LATELY)) n.counted++;
  }
  return n;
}

// Fewer units are known than the bridges have on line: the broker has dropped retained messages, or does not let them be read.
export function missingUnits(store, known) {
  let online = 0;
  for (const b of store.bridges.values()) if (b.online && b.stats) online += number(b.stats["units.online"]) ?? 0;
  return Math.max(0, online - known);
}

// The table of the bridge that has the unit, else of any bridge, and the row of the unit's protocol.
export function protocolOf(store, unit) {
  const bridges = [...store.bridges.values()].filter((b) => b.info);
  const infos = [...bridges.filter((b) => b.instance === unit.instance), ...bridges].map((b) => b.info);
  const name = unit.protocol ?? unit.known["protocol.id"];
  for (const info of infos) for (const protocol of info.protocols) if (protocol.name === name) return { info, protocol };
  return { info: infos[0] ?? null, protocol: null };
}

export function rate(bridge, key) {
  const { stats, before } = bridge;
  const numbers = stats && before ? [stats.uptime, before.uptime, stats[key] ?? 0, before[key] ?? 0].map(number) : [null];
  if (numbers.includes(null) || stats.at <= before.at || numbers[0] < numbers[1]) return null;
  return (numbers[2] - numbers[3]) / Math.max(1, numbers[0] - numbers[1]);
}
