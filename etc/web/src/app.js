// app: the page: logging in, what is shown where, and what is said when something is missing.
import { Component, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "leaflet/dist/leaflet.css";
import "./app.css";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { createMap } from "./map.js";
import { banners, useSession } from "./session.js";
import { countStates } from "./store.js";
import { Table, label } from "./table.js";
import { language, languages, num, short, t, useLanguage } from "./text.js";
import { Unit } from "./unit.js";
import { Add, Alarms, Bridges, Strangers } from "./views.js";

const NARROW = "(max-width: 900px)";
const VIEWS = ["map", "units", "alarms", "bridges", "strangers", "add"];

// What goes wrong in one part of the page is said there; the other parts go on.
class Guard extends Component {
  componentDidCatch(e) { console.warn(e); this.setState({ failed: true }); }
  componentDidUpdate(before) { if (this.state.failed && before.of !== this.props.of) this.setState({ failed: false }); }
  render() { return this.state.failed ? html`<section class="view"><p class="empty" role="alert">${t("part.failed")}</p></section>` : this.props.children; }
}

const Brand = () => html`<span class="brand"><img src="icon.svg" alt="" width="26" height="26" /><span>tracker2mqtt</span></span>`;

function Language({ changed }) {
  return html`<label class="language"><span class="hidden">${t("language")}</span><select value=${language()} onChange=${(e) => { useLanguage(e.target.value); changed(e.target.value); }}>${Object.entries(languages).map(([id, name]) => html`<option key=${id} value=${id} lang=${id}>${name}</option>`)}</select></label>`;
}

function Login({ settings, session, changed }) {
  const [user, setUser] = useState(""), [password, setPassword] = useState(""), { problem, connecting } = session, busy = connecting && !problem;
  return html`<main class="login"><form onSubmit=${(e) => { e.preventDefault(); session.enter(user, password); }} aria-busy=${busy}>
    <h1><${Brand} /></h1><p>${t("login.help")}</p>
    <label>${t("user")}<input name="username" autocomplete="username" required autofocus value=${user} onInput=${(e) => setUser(e.target.value)} /></label>
    <label>${t("password")}<input name="password" type="password" autocomplete="current-password" value=${password} onInput=${(e) => setPassword(e.target.value)} /></label>
    ${problem ? html`<p class="problem" role="alert">${problem}</p>` : ""}
    <button class="primary" type="submit">${busy ? html`<span class="spinner"></span>${t("connecting")}` : t("login")}</button>
    ${settings.anonymous ? html`<button type="button" name="anonymous" onClick=${() => session.enter("", "")}>${t("login.anonymous")}</button>` : ""}
  </form><${Language} changed=${changed} /></main>`;
}

// On a phone the unit lies over the lower part of the map.
const covered = (narrow) => (narrow ? Math.round((document.querySelector(".map")?.clientHeight ?? 0) * 0.62) : 0);

function Map({ store, settings, selected, select, following, narrow, version }) {
  const box = useRef(null), map = useRef(null), state = useRef({});
  state.current = { selected, select };
  useEffect(() => {
    map.current = createMap(box.current, settings, { units: () => store.units.values(), unit: (name) => store.units.get(name), selected: () => state.current.selected, select: (name) => state.current.select(name), label });
    globalThis.__page.map = map.current;
    const watch = new ResizeObserver(() => map.current.resize());
    watch.observe(box.current);
    return () => { watch.disconnect(); map.current.remove(); };
  }, [language()]);
  useEffect(() => {
    map.current.keep();
    if (following && store.moved.has(selected)) map.current.follow(store.units.get(selected), covered(narrow));
    store.moved.clear();
    map.current.refresh();
  }, [version, selected, language()]);
  // What is chosen is in view, also when the panel beside it has made the map smaller.
  useEffect(() => {
    const later = setTimeout(() => map.current.reveal(store.units.get(selected), covered(narrow)), 50);
    return () => clearTimeout(later);
  }, [selected, !!store.units.get(selected)]);
  return html`<div class="map-box"><div class="map" ref=${box} role="application" aria-label=${t("map")}></div></div>`;
}

const hashUnit = () => {
  try {
    return location.hash.startsWith("#unit=") ? decodeURIComponent(location.hash.slice(6)) : null;
  } catch {
    return null;
  }
};

// Counted anew when something has changed, but for at most a twentieth of the time.
function useCounts(store, now) {
  const last = useRef({ counts: null, version: -1, at: 0, cost: 0 }), l = last.current, begun = performance.now();
  if (l.counts === null || (l.version !== store.version && begun - l.at > 20 * l.cost)) {
    l.counts = countStates(store, now);
    [l.version, l.at, l.cost] = [store.version, begun, performance.now() - begun];
  }
  return l.counts;
}

function useNarrow() {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => { const m = matchMedia(NARROW), on = () => setNarrow(m.matches); m.addEventListener("change", on); return () => m.removeEventListener("change", on); }, []);
  return narrow;
}

function useSelected() {
  const [selected, setSelected] = useState(hashUnit());
  useEffect(() => { const on = () => setSelected(hashUnit()); addEventListener("hashchange", on); return () => removeEventListener("hashchange", on); }, []);
  const select = (name) => { history.replaceState(null, "", name ? "#unit=" + encodeURIComponent(name) : location.pathname + location.search); setSelected(name); };
  return [selected, select];
}

function Top({ session, view, choose, news, counts, changed }) {
  const { store } = session, count = { units: store.units.size, alarms: news, strangers: store.strangers.length };
  return html`<header class="top"><h1><${Brand} /></h1><nav aria-label=${t("views")}>${VIEWS.map((v) => html`<button key=${v} data-view=${v} aria-current=${view === v ? "page" : undefined} onClick=${() => choose(v)}><${Icon} name=${v} /><span>${t(v === "add" ? "add.short" : v)}</span>${count[v] ? html`<span class=${"count" + (v === "alarms" ? " alarm" : "")}>${num(count[v])}</span>` : ""}</button>`)}</nav>
    <span class=${"link-state " + (session.away ? "away" : "")} role="status"><i></i><span>${t(session.away ? "link.away" : "link.live")}</span></span>
    <${Language} changed=${changed} /><button class="logout" aria-label=${t("logout")} title=${t("logout")} onClick=${session.leave}><${Icon} name="leave" /></button></header>`;
}

function App({ settings }) {
  const s = useSession(settings), { store } = s, now = Date.now(), narrow = useNarrow();
  const [view, setView] = useState("map"), [selected, select] = useSelected(), [following, setFollowing] = useState(false), [, changed] = useState("");
  Object.assign(globalThis.__page, { store, ready: s.ready > 0 });
  const news = store.alarms.reduce((n, a) => n + !a.seen, 0);
  useEffect(() => { document.title = (news ? `(${news}) ` : "") + "tracker2mqtt"; }, [news]);
  const counts = useCounts(store, now);
  if (!s.connected) return html`<${Login} settings=${settings} session=${s} changed=${changed} />`;
  const close = () => { select(null); setFollowing(false); }, choose = (v) => { if (v === "add") s.known = new Set(store.units.keys()); setView(v); };
  const unit = store.units.get(selected), map = globalThis.__page.map;
  const show = (name) => { choose("map"); select(name); };
  const list = view === "map" || view === "units";
  return html`<div class=${"page view-" + view + (unit ? " has-unit" : "")}>
    <${Top} session=${s} view=${view} choose=${choose} news=${news} counts=${counts} changed=${changed} />
    <div class="banners" aria-live="polite">${banners(store, s, now, counts).map(([id, text]) => html`<p key=${id} class="banner" data-banner=${id}>${short(text, 500)}</p>`)}</div>
    <main>
      ${list && !(narrow && view === "map") ? html`<${Guard} of="list"><${Table} store=${store} counts=${counts} compact=${narrow || view === "map"} selected=${selected} select=${select} now=${now} add=${() => choose("add")} /></>` : ""}
      <${Map} store=${store} settings=${settings} selected=${selected} select=${select} following=${following} narrow=${narrow} version=${store.version} />
      <${Guard} of=${view}>${view === "alarms" ? html`<${Alarms} store=${store} select=${show} />` : view === "bridges" ? html`<${Bridges} store=${store} />` : view === "strangers" ? html`<${Strangers} store=${store} />` : view === "add" ? html`<${Add} store=${store} known=${s.known} select=${show} />` : ""}</>
      ${unit ? html`<${Guard} of=${unit.name}><${Unit} key=${unit.name} store=${store} unit=${unit} now=${now} session=${s} close=${close} centre=${() => { choose("map"); map.centre(unit, covered(narrow)); }} following=${following} follow=${() => { choose("map"); setFollowing(!following); map.centre(unit, covered(narrow)); }} /></>` : ""}
      ${!s.ready && !store.units.size ? html`<p class="loading" role="status"><span class="spinner"></span>${t("loading")}</p>` : ""}
    </main></div>`;
}

// What tests and measurements ask for; see README.md of this folder.
globalThis.__page = { store: null, map: null, ready: false };
useLanguage();
const root = document.getElementById("app");
try {
  const answer = await fetch(new URL("config.json", document.baseURI));
  if (!answer.ok) throw new Error(answer.status);
  const settings = await answer.json();
  root.textContent = "";
  render(html`<${App} settings=${settings} />`, root);
} catch (e) {
  console.warn(e);
  render(html`<main class="login"><form><h1><${Brand} /></h1><p class="problem" role="alert">${t("config.failed")}</p><button type="button" class="primary" onClick=${() => location.reload()}>${t("again")}</button></form></main>`, root);
}
