// broker: the page's own connection to the broker.
import mqtt from "mqtt";
import { decode } from "@msgpack/msgpack";

const text = new TextDecoder("utf-8");
const LARGEST = 65536; // bytes; the bridge's own document is allowed more
const LARGEST_INFO = 1048576;

// One filter after the other: the broker's limit of queued messages counts for one of them at a time. What comes often goes unacknowledged:
// the next report says it anew, and a browser that is slow gets the rest in spite of it. `later`: without what is retained, which came
// unacknowledged, for then the broker drops less of it.
const filters = (p) => [
  [`${p}/bridge/+/status`, 1], [`${p}/bridge/+/info`, 1], [`${p}/bridge/+/stats`, 0], [`${p}/bridge/+/unknown`, 0],
  [`${p}/+/status`, 0], [`${p}/+/status`, 1, "later"], [`${p}/+/state`, 0], [`${p}/+/position`, 0], [`${p}/+/telemetry`, 0],
  [`${p}/+/alarm`, 1], [`${p}/+/cmd/reply`, 1],
];

// Text that is no JSON stays text; MessagePack that is broken is shown as the text that it is not.
export function decodePayload(bytes, type) {
  if (bytes.length === 0) return null;
  try {
    if (type === "application/msgpack" || (bytes[0] & 0xf0) === 0x80 || bytes[0] === 0xde || bytes[0] === 0xdf) return decode(bytes);
    return JSON.parse(text.decode(bytes));
  } catch {
    return text.decode(bytes);
  }
}

export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return "web-" + [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}

const reasonOf = (e) => e?.code ?? e?.reasonCode ?? 0;

// events: connected(), ready(), away(), refused(code), message(topic, payload, retained), tooLarge(topic), noPermission(filter)
// ready: what is retained has been asked for. retained: it was kept by the broker; what comes now is not, also where the broker keeps it.
export function connect(settings, user, password, events) {
  const url = settings.mqtt || new URL("mqtt", document.baseURI).href.replace(/^http/, "ws");
  const client = mqtt.connect(url, {
    protocolVersion: 5, username: user || undefined, password: user ? password : undefined, clientId: "web-" + randomId(), clean: true,
    keepalive: 30, reconnectPeriod: 2000, connectTimeout: 10000, timerVariant: "native", resubscribe: false,
  });
  const watched = new Map(); // units whose frames are wanted: by filter, also after a connection was lost
  let begun = false, ended = false;
  const subscribeOne = ([filter, qos, later]) => new Promise((done) => client.subscribe(filter, { qos, rh: later ? 2 : 0 }, (e, granted) => {
    if (e || granted?.some((g) => g.qos >= 128)) events.noPermission(filter);
    done();
  }));
  client.on("connect", async () => {
    begun = true;
    events.connected();
    for (const filter of [...filters(settings.prefix), ...watched]) if (client.connected) await subscribeOne(filter);
    if (client.connected) events.ready();
  });
  client.on("message", (topic, bytes, packet) => {
    if (bytes.length > (topic.endsWith("/info") ? LARGEST_INFO : LARGEST)) events.tooLarge(topic);
    else events.message(topic, decodePayload(bytes, packet.properties?.contentType), packet.retain);
  });
  client.on("close", () => !ended && begun && events.away());
  client.on("error", (e) => {
    const code = reasonOf(e);
    if (code >= 0x80 || [4, 5].includes(code)) {
      ended = true;
      client.end(true);
      events.refused(code);
    }
  });
  client.on("offline", () => !ended && !begun && events.away());
  // Rejected with the broker's code when the broker does not allow it.
  const publish = (leaf, payload) => new Promise((done, failed) => client.publish(`${settings.prefix}/${leaf}`, payload, { qos: 1 },
    (e, packet) => (e ? failed(e) : packet?.reasonCode >= 0x80 ? failed({ code: packet.reasonCode }) : done())));
  return {
    end: () => { ended = true; client.end(true); },
    // The unit's frames, until the function that comes back is called.
    watchFrames: (name) => {
      const filter = `${settings.prefix}/${name}/raw`;
      watched.set(filter, 0);
      subscribeOne([filter, 0]);
      return () => { if (watched.delete(filter)) client.unsubscribe(filter, () => {}); };
    },
    command: (name, request) => publish(`${name}/cmd`, JSON.stringify(request)),
    askFrames: (name, time) => publish(`${name}/raw/set`, time),
  };
}
