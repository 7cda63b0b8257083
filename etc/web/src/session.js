// session: the page's login at the broker, and what is known of the connection.
import { useEffect, useRef, useState } from "preact/hooks";
import { connect, randomId } from "./broker.js";
import { ring } from "./sound.js";
import { createStore, missingUnits } from "./store.js";
import { num, t } from "./text.js";

const SILENT_MS = 45000; // a bridge would have answered
const SKEW_MOST = 60; // seconds
const MISSING_AFTER_MS = 8000; // all that is retained has come by then
const DRAW_EVERY_MS = 250, CLOCK_EVERY_MS = 1000;

// A browser that keeps nothing for pages is no fault.
const kept = {
  get: (key) => { try { return sessionStorage.getItem(key); } catch { return null; } },
  set: (key, value) => { try { sessionStorage.setItem(key, value); } catch { /* it is asked again */ } },
  remove: (key) => { try { sessionStorage.removeItem(key); } catch { /* there is none */ } },
};

export function banners(store, s, now, counts) {
  const all = [], missing = !s.away && s.ready && now - s.ready > MISSING_AFTER_MS ? missingUnits(store, counts.counted) : 0;
  if (s.away) all.push(["away", t("away")]);
  if (missing > 0) all.push(["missing", t("missing", { n: num(missing) })]);
  if (s.denied.length) all.push(["denied", t("no.permission", { filters: s.denied.join(", ") })]);
  if (store.skew !== null && Math.abs(store.skew) > SKEW_MOST) all.push(["skew", t("skew", { n: num(Math.abs(store.skew)) })]);
  if (store.left > 0) all.push(["left", t("too.many")]);
  if (s.large > 0) all.push(["large", t("too.large", { n: num(s.large) })]);
  return all;
}

function start(s, settings, redraw) {
  s.enter = (user, password) => {
    s.problem = null;
    s.connecting = true;
    s.link?.end();
    s.link = connect(settings, user, password, {
      connected: () => {
        s.connected = true;
        s.away = s.connecting = false;
        s.problem = null;
        s.denied = [];
        kept.set("login", JSON.stringify([user, password]));
        redraw();
      },
      ready: () => { s.ready = Date.now(); redraw(); },
      away: () => { s.away = true; s.problem = t("away"); redraw(); },
      refused: () => { s.connected = s.connecting = false; s.link = null; s.problem = t("login.wrong"); kept.remove("login"); redraw(); },
      noPermission: (filter) => { if (!s.denied.includes(filter)) s.denied.push(filter); redraw(); },
      tooLarge: () => { s.large++; },
      message: (topic, payload, retained) => {
        const newest = s.store.alarms[0];
        s.store.take(topic, payload, retained, Date.now());
        if (s.store.alarms[0] !== newest) ring(); // also when nobody looks: a hidden page is hardly drawn
      },
    });
    redraw();
  };
  s.leave = () => { s.link?.end(); kept.remove("login"); kept.set("left", "1"); location.reload(); };
  s.send = async (unit, request, what) => {
    const id = randomId(), r = s.store.request(unit.name, id, what, Date.now());
    try {
      await s.link.command(unit.name, { ...request, id });
      r.steps.unshift({ status: "published" });
      setTimeout(() => { if (r.steps.length === 1) { r.steps.push({ status: "silent" }); redraw(); } }, SILENT_MS);
    } catch (e) {
      r.ended = true;
      r.steps.push({ status: (e.code ?? 0) >= 0x80 ? "refused" : "failed" });
    }
    redraw();
  };
  s.watchFrames = (name) => s.link?.watchFrames(name);
  // null: the broker has it; else why not.
  s.askFrames = async (name, time) => {
    try {
      await s.link.askFrames(name, time);
      return null;
    } catch (e) {
      return (e.code ?? 0) >= 0x80 ? "refused" : "failed";
    }
  };
}

export function useSession(settings) {
  const [, tick] = useState(0), ref = useRef(null);
  if (!ref.current) {
    ref.current = { store: createStore(settings.prefix), link: null, away: false, connected: false, connecting: false, problem: null, denied: [], large: 0, ready: 0, known: new Set() };
    start(ref.current, settings, () => tick((n) => n + 1));
  }
  const s = ref.current;
  useEffect(() => {
    let login = null;
    try { login = JSON.parse(kept.get("login")); } catch { /* none */ }
    if (Array.isArray(login)) s.enter(login[0], login[1]);
    else if (settings.anonymous && !kept.get("left")) s.enter("", "");
    // The page is drawn four times a second at most, whatever comes, and once a second for the times in it.
    let seen = -1, drawn = 0;
    const timer = setInterval(() => {
      const now = Date.now();
      if (s.store.version === seen && now - drawn < CLOCK_EVERY_MS) return;
      [seen, drawn] = [s.store.version, now];
      tick((n) => n + 1);
    }, DRAW_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return s;
}
