// store: what has been heard, by unit and by bridge. Pure: it knows neither MQTT nor the page.

export const FRAMES_MOST = 200;
export const TRAIL_MOST = 500;
export const STRANGERS_MOST = 100;
export const ALARMS_MOST = 200;
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
    moved: new Set(), // names of units whose place changed since it was last cleared
    live: new Set(), // names of units that spoke since the page was opened
    skew: null, // server's clock minus ours, in seconds, by the newest live record
  };
  store.take = (topic, payload, retained, now) => take(store, topic, payload, retained, now);
  store.request = (name, id, what, now) => request(store, name, id, what, now);
  return store;
}

function unitOf(store, name) {
  let unit = store.units.get(name);
  if (!unit) {
    unit = { name, ident: name, known: {}, online: null, since: null, reason: null, frames: [], trail: [], heard: null, alarms: new Set() };
    store.units.set(name, unit);
  }
  return unit;
}

function bridgeOf(store, instance) {
  let bridge = store.bridges.get(instance);
  if (!bridge) {
    bridge = { instance, online: null, stats: null, before: null, info: null };
    store.bridges.set(instance, bridge);
  }
  return bridge;
}

const number = (v) => (typeof v === "number" && Number.isFinite(v) ? v : null);

// A record's values into what is known: the newer record wins, an older one fills only what is missing. A place comes from a valid fix.
export function merge(known, record) {
  const newer = (number(record.timestamp) ?? 0) >= (number(known.timestamp) ?? 0);
  const fix = record["position.valid"] === true && number(record["position.latitude"]) !== null;
  const newest = number(known["position.timestamp"]);
  const placed = fix && (newest === null || number(record.timestamp) >= newest);
  for (const [key, value] of Object.entries(record)) {
    if (key === "alarms" || key === "rejected" || key === "position.timestamp") continue;
    const place = key.startsWith("position.") && key !== "position.valid" && key !== "position.satellites";
    if (place ? placed : newer || (!(key in known) && !OF_RECORD.has(key))) known[key] = value;
  }
  if (placed) known["position.timestamp"] = record.timestamp;
  return placed;
}

function noteTrail(unit) {
  const lat = unit.known["position.latitude"], lon = unit.known["position.longitude"];
  const last = unit.trail[unit.trail.length - 1];
  if (last && last[0] === lat && last[1] === lon) return;
  unit.trail.push([lat, lon]);
  if (unit.trail.length > TRAIL_MOST) unit.trail.shift();
}

function noteAlarms(store, unit, record, retained) {
  for (const [key, value] of Object.entries(record)) {
    if (typeof value !== "boolean" || !(key.endsWith(".alarm") || key.endsWith(".event"))) continue;
    if (value) unit.alarms.add(key);
    else unit.alarms.delete(key);
  }
  if (retained || !Array.isArray(record.alarms)) return;
  store.alarms.unshift({ name: unit.name, keys: record.alarms.map(String), time: number(record.timestamp), seen: false });
  store.alarms.length = Math.min(store.alarms.length, ALARMS_MOST);
}

function takeRecord(store, unit, record, retained, now, leaf) {
  if (typeof record.ident === "string") unit.ident = record.ident;
  const stored = record["message.buffered.status"] === true;
  if (leaf === "state") {
    if (typeof record.status === "string") takePresence(unit, record.status === "online", number(record["status.since"]));
    const moved = record["position.latitude"] !== unit.known["position.latitude"] || record["position.longitude"] !== unit.known["position.longitude"];
    unit.known = record;
    if (moved) store.moved.add(unit.name);
  } else if (merge(unit.known, record)) {
    store.moved.add(unit.name);
  }
  if (!retained && !stored && leaf !== "state") {
    store.live.add(unit.name);
    const server = number(record["server.timestamp"]);
    if (server !== null) store.skew = server - now / 1000;
  }
  const heard = number(record["server.timestamp"]);
  if (heard !== null && (unit.heard === null || heard > unit.heard)) unit.heard = heard;
  if (number(unit.known["position.latitude"]) !== null) noteTrail(unit);
  if (!stored) noteAlarms(store, unit, leaf === "alarm" ? record : { ...record, alarms: undefined }, retained);
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
  unit.reason = typeof status.reason === "string" && status.reason ? status.reason : null;
  unit.protocol = status.protocol ?? unit.protocol;
  unit.instance = status.instance ?? unit.instance;
  unit.transport = status.transport ?? unit.transport;
  unit.peer = status.peer ?? unit.peer;
}

function takeFrame(unit, frame, now) {
  unit.frames.unshift({ time: now / 1000, direction: frame.direction === "out" ? "out" : "in", hex: String(frame.hex ?? ""), text: String(frame.text ?? ""), error: frame.error ? String(frame.error) : null });
  unit.frames.length = Math.min(unit.frames.length, FRAMES_MOST);
}

function takeReply(store, reply) {
  const r = store.requests.get(reply.id);
  if (!r) return;
  r.steps.push({ status: String(reply.status), reason: reply.reason, reply: reply.reply, result: reply.result, elapsed: reply.elapsed, time: reply["server.timestamp"] });
  if (ENDS.includes(reply.status)) r.ended = true;
}

function takeBridge(store, instance, leaf, payload, now) {
  if (leaf === "status") bridgeOf(store, instance).online = String(payload) === "online";
  else if (leaf === "info") bridgeOf(store, instance).info = payload;
  else if (leaf === "stats") {
    const b = bridgeOf(store, instance);
    b.before = b.stats;
    b.stats = { ...payload, at: now / 1000 };
  } else if (leaf === "unknown") {
    store.strangers.unshift({ ...payload, instance, time: now / 1000 });
    store.strangers.length = Math.min(store.strangers.length, STRANGERS_MOST);
  }
}

// `payload`: decoded; null: the topic was cleared.
function take(store, topic, payload, retained, now) {
  if (!topic.startsWith(store.prefix + "/")) return;
  const [name, ...rest] = topic.slice(store.prefix.length + 1).split("/");
  store.version++;
  if (name === "bridge") {
    if (rest.length === 2 && payload !== null) takeBridge(store, rest[0], rest[1], payload, now);
    return;
  }
  const leaf = rest.join("/");
  if (payload === null) {
    if (leaf === "status") {
      store.units.delete(name);
      store.moved.add(name);
    }
    return;
  }
  if (typeof payload !== "object") return;
  if (leaf === "cmd/reply") return takeReply(store, payload);
  if (leaf === "raw" && name === "unknown") return takeBridge(store, payload.instance ?? "", "unknown", payload, now);
  const unit = unitOf(store, name);
  if (leaf === "status") takeStatus(unit, payload);
  else if (leaf === "raw") takeFrame(unit, payload, now);
  else if (["position", "telemetry", "alarm", "state"].includes(leaf)) takeRecord(store, unit, payload, retained, now, leaf);
}

// A request that was sent: it is found again by its id. `what`: the words for the user.
function request(store, name, id, what, now) {
  const r = { id, name, what, time: now / 1000, steps: [], ended: false };
  store.requests.set(id, r);
  store.version++;
  return r;
}

// Fewer units are known than the bridges have on line: the broker has dropped retained messages.
export function missingUnits(store) {
  let online = 0, known = 0;
  for (const b of store.bridges.values()) if (b.online && b.stats) online += number(b.stats["units.online"]) ?? 0;
  for (const u of store.units.values()) if (u.online) known++;
  return Math.max(0, online - known);
}

export const needsConfirmation = (name) => /^(engine|door|alarm\.disarm|restart|factory|server|apn|mileage\.reset|.*\.(reset|lock|stop|block))/.test(name);

export function rate(bridge, key) {
  const { stats, before } = bridge;
  if (!stats || !before || stats.at <= before.at || stats.uptime < before.uptime) return null;
  return ((stats[key] ?? 0) - (before[key] ?? 0)) / Math.max(1, stats.uptime - before.uptime);
}
