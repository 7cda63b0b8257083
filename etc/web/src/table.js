// table: all units, sorted and found; only the rows in view are in the page.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { stateOf } from "./store.js";
import { ago, num, short, t } from "./text.js";
import { number, words } from "./values.js";

const ROW = 42, ROW_COMPACT = 60, EXTRA = 8;
const SORT_EVERY_MS = 1000, SORT_SHARE = 20; // sorting takes at most a twentieth of the time, however many there are
const STATES = ["alarm", "moving", "standing", "offline"];

const nameOf = (u) => { const name = u.known["device.name"]; return name === undefined || name === null || name === "" ? u.name : words(name); };
export const label = (u) => short(nameOf(u), 40);
const known = (u, key) => number(u.known[key]);
const ignition = (u) => u.known["engine.ignition.status"];
const withUnit = (v, unit, digits) => (v === null ? "" : num(v, digits) + " " + unit);
export const stateText = (u) => t(u.online ? "online" : "offline");
export const Dot = ({ unit }) => html`<span class=${"dot " + stateOf(unit)}></span>`;
export const Level = ({ value }) => (value === null ? "" : html`<span class="level"><span class=${"bar" + (value <= 20 ? " low" : "")}><i style=${{ width: Math.max(0, Math.min(100, value)) + "%" }}></i></span>${num(value)} %</span>`);

const columns = [
  { id: "name", value: (u) => nameOf(u).slice(0, 60).toLowerCase(), show: (u) => html`<b>${label(u)}</b>${u.ident !== nameOf(u) ? html` <small>${short(u.ident, 24)}</small>` : ""}` },
  { id: "state", value: (u) => STATES.indexOf(stateOf(u)), show: (u) => html`<${Dot} unit=${u} />${stateText(u)}` },
  { id: "heard", value: (u) => -(u.heard ?? 0), show: (u, now) => ago(u.heard, now) },
  { id: "speed", value: (u) => -(known(u, "position.speed") ?? -1), show: (u) => withUnit(known(u, "position.speed"), "km/h") },
  { id: "battery", value: (u) => known(u, "battery.level") ?? 101, show: (u) => html`<${Level} value=${known(u, "battery.level")} />` },
  { id: "signal", value: (u) => known(u, "gsm.signal.level") ?? 101, show: (u) => html`<${Level} value=${known(u, "gsm.signal.level")} />` },
  { id: "ignition", value: (u) => (ignition(u) === true ? 0 : ignition(u) === false ? 1 : 2), show: (u) => (typeof ignition(u) === "boolean" ? t(ignition(u) ? "on" : "off") : "") },
];

const matches = (u, find) => !find || u.name.toLowerCase().includes(find) || u.ident.toLowerCase().includes(find) || nameOf(u).slice(0, 200).toLowerCase().includes(find);

function sorted(store, find, only, sort) {
  const column = columns.find((c) => c.id === sort.id), sign = sort.down ? -1 : 1, all = [];
  for (const u of store.units.values()) if ((!only || stateOf(u) === only) && matches(u, find)) all.push([column.value(u), u]);
  all.sort((a, b) => (a[0] < b[0] ? -sign : a[0] > b[0] ? sign : a[1].name < b[1].name ? -1 : 1));
  return all.map((pair) => pair[1]);
}

// Rows do not move away under the pointer: those of before stay where they are, and new ones come behind them.
function kept(before, rows) {
  const place = new Map(before.map((u, i) => [u.name, i]));
  return rows.sort((a, b) => (place.get(a.name) ?? Infinity) - (place.get(b.name) ?? Infinity) || 0);
}

// The rows in order: sorted anew now and then, and at once when something else is wanted.
function useRows(store, find, only, sort, over) {
  const last = useRef({ rows: [], wanted: null, at: 0, cost: 0, version: -1 }), l = last.current, wanted = [find, only, sort.id, sort.down].join("\n");
  const now = performance.now(), due = l.version !== store.version && now - l.at > Math.max(SORT_EVERY_MS, SORT_SHARE * l.cost);
  if (wanted !== l.wanted || l.rows.length === 0 || due) {
    const rows = sorted(store, find, only, sort);
    l.rows = over && wanted === l.wanted ? kept(l.rows, rows) : rows;
    [l.wanted, l.at, l.cost, l.version] = [wanted, now, performance.now() - now, store.version];
  }
  return l.rows;
}

function Chips({ counts, only, setOnly }) {
  const all = STATES.reduce((n, s) => n + counts[s], 0);
  const chip = (id, n) => html`<button key=${id} class=${"chip " + id} aria-pressed=${only === id} data-only=${id} onClick=${() => setOnly(only === id ? null : id)}><span class=${"dot " + id}></span>${t("state." + id)} <b>${num(n)}</b></button>`;
  return html`<div class="chips" role="group" aria-label=${t("state")}><button class="chip" aria-pressed=${!only} onClick=${() => setOnly(null)}>${t("all")} <b>${num(all)}</b></button>${STATES.map((s) => (counts[s] || only === s ? chip(s, counts[s]) : ""))}</div>`;
}

const Compact = ({ u, now }) => html`<span role="gridcell" class="c-dot"><${Dot} unit=${u} /></span>
  <span role="gridcell" class="c-what"><b>${label(u)}</b><small>${stateText(u)}${u.online && known(u, "position.speed") !== null ? " · " + num(known(u, "position.speed")) + " km/h" : ""}${u.heard ? " · " + ago(u.heard, now) : ""}</small></span>
  <span role="gridcell" class="c-more"><small>${u.ident !== nameOf(u) ? short(u.ident, 24) : ""}</small><${Level} value=${known(u, "battery.level")} /></span>`;

const Full = ({ u, now }) => columns.map((c) => html`<span role="gridcell" key=${c.id} class=${"c-" + c.id}>${c.show(u, now)}</span>`);

export function Table({ store, counts, compact, selected, select, now, add }) {
  const [find, setFind] = useState(""), [only, setOnly] = useState(null), [sort, setSort] = useState({ id: "state", down: false }), [top, setTop] = useState(0), [focus, setFocus] = useState(null);
  const box = useRef(null), over = useRef(false), wantsFocus = useRef(false);
  const rows = useRows(store, find.trim().toLowerCase(), only, sort, over.current), high = compact ? ROW_COMPACT : ROW;
  const seen = box.current?.clientHeight || 800, from = Math.max(0, Math.min(Math.floor(top / high), rows.length) - EXTRA), to = Math.min(rows.length, Math.ceil((top + seen) / high) + EXTRA);
  const shown = rows.slice(from, to), entry = shown.some((u) => u.name === focus) ? focus : shown[Math.min(shown.length - 1, from ? EXTRA : 0)]?.name;
  const line = (name) => box.current.querySelector(`[data-name="${CSS.escape(name)}"]`);
  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    line(focus)?.focus({ preventScroll: true });
  });
  const go = (at) => {
    const u = rows[Math.max(0, Math.min(rows.length - 1, at))], b = box.current;
    if (!u) return;
    const y = rows.indexOf(u) * high;
    if (y < b.scrollTop) b.scrollTop = y;
    else if (y + high > b.scrollTop + b.clientHeight) b.scrollTop = y + high - b.clientHeight;
    const there = line(u.name);
    there?.focus({ preventScroll: true });
    wantsFocus.current = !there; // it has to be drawn first
    setTop(b.scrollTop);
    setFocus(u.name);
  };
  const key = (e, u) => {
    const at = rows.indexOf(u), page = Math.max(1, Math.floor(seen / high) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: rows.length - 1 }[e.key];
    if (e.key === "Enter" || e.key === " ") select(u.name);
    else if (to === undefined) return;
    else go(to);
    e.preventDefault();
  };
  const turn = (id) => setSort({ id, down: sort.id === id && !sort.down });
  return html`<section class=${"list" + (compact ? " compact" : "")} aria-label=${t("units")}>
    <div class="tools"><label class="find"><span class="hidden">${t("find")}</span><${Icon} name="find" /><input type="search" placeholder=${t("find.help")} value=${find} onInput=${(e) => setFind(e.target.value)} /></label>
      ${compact ? html`<label class="sort"><span class="hidden">${t("sort")}</span><select name="sort" value=${sort.id} onChange=${(e) => setSort({ id: e.target.value, down: false })}>${columns.map((c) => html`<option key=${c.id} value=${c.id}>${t(c.id)}</option>`)}</select></label>` : ""}</div>
    <${Chips} counts=${counts} only=${only} setOnly=${setOnly} />
    <div class="grid" role="grid" aria-label=${t("units")} aria-rowcount=${rows.length + (compact ? 0 : 1)}>
      ${compact ? "" : html`<div class="head" role="row">${columns.map((c) => html`<span key=${c.id} role="columnheader" class=${"c-" + c.id} aria-sort=${sort.id === c.id ? (sort.down ? "descending" : "ascending") : "none"}><button data-sort=${c.id} onClick=${() => turn(c.id)}>${t(c.id)}${sort.id === c.id ? html`<span class="arrow" aria-hidden="true">${sort.down ? "▾" : "▴"}</span>` : ""}</button></span>`)}</div>`}
      <div class="rows" role="presentation" ref=${box} onScroll=${(e) => setTop(e.target.scrollTop)} onMouseEnter=${() => { over.current = true; }} onMouseLeave=${() => { over.current = false; }}>
        ${rows.length === 0 ? html`<div class="empty" role="row"><span role="gridcell">${store.units.size ? t("none.found") : html`<b>${t("none.units")}</b><br />${t("none.help")}<br /><button class="primary" onClick=${add}>${t("add")}</button>`}</span></div>` : ""}
        <div class="all" role="rowgroup" style=${{ height: rows.length * high + "px" }}>
          ${shown.map((u, i) => html`<div key=${u.name} class=${"row" + (u.name === selected ? " selected" : "")} data-name=${u.name} role="row" aria-rowindex=${from + i + (compact ? 1 : 2)} tabindex=${u.name === entry ? 0 : -1} aria-selected=${u.name === selected} style=${{ top: (from + i) * high + "px" }} onClick=${() => { setFocus(u.name); select(u.name); }} onFocus=${() => focus !== u.name && setFocus(u.name)} onKeyDown=${(e) => key(e, u)}>${compact ? html`<${Compact} u=${u} now=${now} />` : html`<${Full} u=${u} now=${now} />`}</div>`)}
        </div>
      </div>
    </div>
  </section>`;
}
