// table: all units, sorted and found; only the rows in view are in the page.
import { useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { ago, num, plain, short, t } from "./text.js";

const ROW = 40, EXTRA = 8;

export const label = (u) => short(u.known["device.name"] ?? u.name, 40);
const columns = [
  { id: "name", value: (u) => String(u.known["device.name"] ?? u.name).toLowerCase(), show: (u) => html`<b>${label(u)}</b>${u.ident !== label(u) ? html` <small>${plain(u.ident)}</small>` : ""}` },
  { id: "state", value: (u) => (u.alarms.size ? 0 : u.online ? 1 : 2), show: (u) => html`<span class=${"dot " + (u.alarms.size ? "alarm" : u.online ? "online" : "offline")}></span>${u.online ? t("online") : t("offline")}` },
  { id: "heard", value: (u) => -(u.heard ?? 0), show: (u, now) => ago(u.heard, now) },
  { id: "speed", value: (u) => -(u.known["position.speed"] ?? -1), show: (u) => (typeof u.known["position.speed"] === "number" ? num(u.known["position.speed"]) + " km/h" : "") },
  { id: "battery", value: (u) => u.known["battery.level"] ?? 101, show: (u) => (typeof u.known["battery.level"] === "number" ? num(u.known["battery.level"]) + " %" : "") },
  { id: "signal", value: (u) => u.known["gsm.signal.level"] ?? 101, show: (u) => (typeof u.known["gsm.signal.level"] === "number" ? num(u.known["gsm.signal.level"]) + " %" : "") },
  { id: "ignition", value: (u) => (u.known["engine.ignition.status"] === true ? 0 : u.known["engine.ignition.status"] === false ? 1 : 2), show: (u) => (typeof u.known["engine.ignition.status"] === "boolean" ? t(u.known["engine.ignition.status"] ? "on" : "off") : "") },
];

function matches(u, find) {
  return !find || (u.name + " " + u.ident + " " + (u.known["device.name"] ?? "")).toLowerCase().includes(find);
}

export function Table({ store, selected, select, now }) {
  const [find, setFind] = useState(""), [sort, setSort] = useState({ id: "state", down: false }), [top, setTop] = useState(0);
  const box = useRef(null), frozen = useRef({ over: false, order: null });
  const column = columns.find((c) => c.id === sort.id);
  let rows = [...store.units.values()].filter((u) => matches(u, find.trim().toLowerCase()));
  const sign = sort.down ? -1 : 1;
  rows.sort((a, b) => { const x = column.value(a), y = column.value(b); return (x < y ? -1 : x > y ? 1 : a.name < b.name ? -1 : 1) * sign; });
  // Rows do not move away under the pointer.
  if (frozen.current.over && frozen.current.order) {
    const place = new Map(frozen.current.order.map((n, i) => [n, i]));
    rows.sort((a, b) => (place.get(a.name) ?? 1e9) - (place.get(b.name) ?? 1e9));
  }
  frozen.current.order = rows.map((u) => u.name);
  const high = box.current?.clientHeight ?? 800, from = Math.max(0, Math.floor(top / ROW) - EXTRA), to = Math.min(rows.length, Math.ceil((top + high) / ROW) + EXTRA);
  const key = (e, u) => {
    const at = rows.indexOf(u);
    const next = e.key === "ArrowDown" ? rows[at + 1] : e.key === "ArrowUp" ? rows[at - 1] : null;
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); select(u.name); }
    if (!next) return;
    e.preventDefault();
    const line = e.currentTarget.parentElement.querySelector(`[data-name="${CSS.escape(next.name)}"]`);
    if (line) line.focus();
  };
  return html`<section class="list">
    <label class="find"><span class="hidden">${t("find")}</span><input type="search" placeholder=${t("find")} value=${find} onInput=${(e) => setFind(e.target.value)} /></label>
    <div class="head" role="row">${columns.map((c) => html`<button role="columnheader" class=${"c-" + c.id} aria-sort=${sort.id === c.id ? (sort.down ? "descending" : "ascending") : "none"} onClick=${() => setSort({ id: c.id, down: sort.id === c.id && !sort.down })}>${t(c.id)}${sort.id === c.id ? (sort.down ? " ▾" : " ▴") : ""}</button>`)}</div>
    <div class="rows" ref=${box} onScroll=${(e) => setTop(e.target.scrollTop)} onMouseEnter=${() => { frozen.current.over = true; }} onMouseLeave=${() => { frozen.current.over = false; }}>
      ${rows.length === 0 ? html`<p class="empty">${t(store.units.size ? "none.found" : "none.units")}</p>` : ""}
      <div class="all" style=${{ height: rows.length * ROW + "px" }}>
        ${rows.slice(from, to).map((u, i) => html`<div key=${u.name} class=${"row" + (u.name === selected ? " selected" : "")} data-name=${u.name} role="button" tabindex="0" aria-pressed=${u.name === selected} style=${{ top: (from + i) * ROW + "px" }} onClick=${() => select(u.name)} onKeyDown=${(e) => key(e, u)}>${columns.map((c) => html`<span class=${"c-" + c.id}>${c.show(u, now)}</span>`)}</div>`)}
      </div>
    </div>
  </section>`;
}
