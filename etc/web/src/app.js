// app: the page: logging in, what is shown where, and what is said when something is missing.
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "leaflet/dist/leaflet.css";
import "./app.css";
import { connect, randomId } from "./broker.js";
import { html } from "./html.js";
import { createMap } from "./map.js";
import { createStore, missingUnits } from "./store.js";
import { Table, label } from "./table.js";
import { language, languages, num, short, t, useLanguage } from "./text.js";
import { Unit } from "./unit.js";
import { Add, Alarms, Bridges, Strangers } from "./views.js";

const SILENT_MS = 45000; // a bridge would have answered
const SKEW_MOST = 60; // seconds
const MISSING_AFTER_MS = 15000; // all that is retained has come by then

function Login({ settings, enter, problem }) {
  const [user, setUser] = useState(""), [password, setPassword] = useState("");
  return html`<main class="login"><form onSubmit=${(e) => { e.preventDefault(); enter(user, password); }}>
    <h1>tracker2mqtt</h1><p>${t("login.help")}</p>
    <label>${t("user")}<input name="username" autocomplete="username" required value=${user} onInput=${(e) => setUser(e.target.value)} /></label>
    <label>${t("password")}<input name="password" type="password" autocomplete="current-password" value=${password} onInput=${(e) => setPassword(e.target.value)} /></label>
    ${problem ? html`<p class="problem" role="alert">${problem}</p>` : ""}
    <button class="primary" type="submit">${t("login")}</button>
    ${settings.anonymous ? html`<button type="button" name="anonymous" onClick=${() => enter("", "")}>${t("login.anonymous")}</button>` : ""}
  </form></main>`;
}

function Map({ store, settings, selected, select, following, version }) {
  const box = useRef(null), map = useRef(null), state = useRef({});
  state.current = { selected, select };
  useEffect(() => {
    map.current = createMap(box.current, settings, { units: () => store.units.values(), unit: (name) => store.units.get(name), selected: () => state.current.selected, select: (name) => state.current.select(name), label });
    globalThis.__map = map.current;
    const watch = new ResizeObserver(() => map.current.resize());
    watch.observe(box.current);
    return () => { watch.disconnect(); map.current.remove(); };
  }, []);
  useEffect(() => {
    if (!map.current.fitted() && store.units.size) map.current.fit();
    if (following && store.moved.has(selected)) map.current.follow(store.units.get(selected));
    store.moved.clear();
    map.current.refresh();
  }, [version, selected]);
  return html`<div class="map" ref=${box} aria-label=${t("map")}></div>`;
}

function banners(store, s, now) {
  const all = [];
  if (s.away) all.push(["away", t("away")]);
  const missing = !s.away && now - s.since > MISSING_AFTER_MS ? missingUnits(store) : 0;
  if (missing > 0) all.push(["missing", t("missing", { n: num(missing) })]);
  if (s.denied.length) all.push(["denied", t("no.permission", { filters: s.denied.join(", ") })]);
  if (store.skew !== null && Math.abs(store.skew) > SKEW_MOST) all.push(["skew", t("skew", { n: num(Math.abs(store.skew)) })]);
  return all;
}

const hashUnit = () => (location.hash.startsWith("#unit=") ? decodeURIComponent(location.hash.slice(6)) : null);

function useSession(settings) {
  const [, tick] = useState(0), ref = useRef(null);
  if (!ref.current) ref.current = { store: createStore(settings.prefix), link: null, away: false, connected: false, problem: null, denied: [], since: 0, known: new Set() };
  const s = ref.current, redraw = () => tick((n) => n + 1);
  s.enter = (user, password) => {
    s.problem = t("connecting");
    s.link?.end();
    s.link = connect(settings, user, password, {
      connected: () => {
        if (!s.connected) s.since = Date.now();
        s.connected = true; s.away = false; s.problem = null; s.denied = [];
        try { sessionStorage.setItem("login", JSON.stringify([user, password])); } catch { /* private mode */ }
        redraw();
      },
      away: () => { s.away = true; s.problem = t("away"); redraw(); },
      refused: () => { s.connected = false; s.link = null; s.problem = t("login.wrong"); sessionStorage.removeItem("login"); redraw(); },
      noPermission: (filter) => { if (!s.denied.includes(filter)) s.denied.push(filter); redraw(); },
      message: (topic, payload, retained) => s.store.take(topic, payload, retained, Date.now()),
    });
    redraw();
  };
  s.leave = () => { s.link?.end(); sessionStorage.removeItem("login"); sessionStorage.setItem("left", "1"); location.reload(); };
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
  useEffect(() => {
    let login = null;
    try { login = JSON.parse(sessionStorage.getItem("login")); } catch { /* none */ }
    if (login) s.enter(login[0], login[1]);
    else if (settings.anonymous && !sessionStorage.getItem("left")) s.enter("", "");
    // The page is drawn four times a second at most, whatever comes.
    let seen = -1;
    const timer = setInterval(() => { if (s.store.version !== seen || Date.now() % 1000 < 250) { seen = s.store.version; redraw(); } }, 250);
    return () => clearInterval(timer);
  }, []);
  return s;
}

const views = ["map", "units", "alarms", "bridges", "strangers", "add"];

function App({ settings }) {
  const s = useSession(settings), { store } = s, now = Date.now();
  const [view, setView] = useState("map"), [selected, setSelected] = useState(hashUnit()), [following, setFollowing] = useState(false), [, relang] = useState("");
  useEffect(() => { const on = () => setSelected(hashUnit()); addEventListener("hashchange", on); return () => removeEventListener("hashchange", on); }, []);
  if (!s.connected) return html`<${Login} settings=${settings} enter=${s.enter} problem=${s.problem} />`;
  const select = (name) => { history.replaceState(null, "", name ? "#unit=" + encodeURIComponent(name) : location.pathname + location.search); setSelected(name); if (!name) setFollowing(false); };
  const choose = (v) => { if (v === "add") s.known = new Set(store.units.keys()); setView(v); };
  const seen = (a) => { for (const x of store.alarms) if (!a || x === a) x.seen = true; store.version++; };
  const unit = store.units.get(selected), news = store.alarms.filter((a) => !a.seen).length;
  const count = { units: store.units.size, alarms: news, strangers: store.strangers.length };
  return html`<div class=${"page view-" + view + (unit ? " has-unit" : "")}>
    <header class="top"><h1>tracker2mqtt</h1><nav>${views.map((v) => html`<button data-view=${v} aria-current=${view === v ? "page" : undefined} onClick=${() => choose(v)}>${t(v)}${count[v] ? html` <span class=${"count" + (v === "alarms" ? " alarm" : "")}>${num(count[v])}</span>` : ""}</button>`)}</nav>
      <label class="language"><span class="hidden">${t("language")}</span><select value=${language()} onChange=${(e) => { useLanguage(e.target.value); relang(e.target.value); }}>${Object.entries(languages).map(([id, name]) => html`<option value=${id}>${name}</option>`)}</select></label>
      <button class="logout" onClick=${s.leave}>${t("logout")}</button></header>
    <div class="banners" aria-live="polite">${banners(store, s, now).map(([id, text]) => html`<p key=${id} class="banner" data-banner=${id}>${short(text, 500)}</p>`)}</div>
    <main>
      <${Table} store=${store} selected=${selected} select=${select} now=${now} />
      <${Map} store=${store} settings=${settings} selected=${selected} select=${select} following=${following} version=${store.version} />
      ${view === "alarms" ? html`<${Alarms} store=${store} select=${select} seen=${seen} />` : view === "bridges" ? html`<${Bridges} store=${store} />` : view === "strangers" ? html`<${Strangers} store=${store} />` : view === "add" ? html`<${Add} store=${store} known=${s.known} />` : ""}
      ${unit ? html`<${Unit} key=${unit.name} store=${store} unit=${unit} now=${now} send=${s.send} close=${() => select(null)} centre=${() => { choose("map"); globalThis.__map.centre(unit); }} following=${following} follow=${() => { setFollowing(!following); globalThis.__map.centre(unit); }} watch=${(name) => s.link.watchFrames(name)} />` : ""}
    </main></div>`;
}

useLanguage();
const settings = await (await fetch(new URL("config.json", document.baseURI))).json();
render(html`<${App} settings=${settings} />`, document.getElementById("app"));
