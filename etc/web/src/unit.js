// unit: one unit: its newest record, its frames, its commands.
import { useState } from "preact/hooks";
import { html } from "./html.js";
import { Commands } from "./commands.js";
import { label } from "./table.js";
import { ago, clock, num, plain, short, t } from "./text.js";

function parameters(store) {
  const all = new Map();
  for (const b of store.bridges.values()) for (const p of b.info?.parameters ?? []) all.set(p.name, p);
  return all;
}

function value(key, v, p) {
  if (typeof v === "boolean") return v ? "✓" : "–";
  if (typeof v === "number") return /timestamp$|\.since$/.test(key) ? clock(v) : num(v, /latitude|longitude/.test(key) ? 6 : 3) + (p?.unit ? " " + p.unit : "");
  return short(typeof v === "object" ? JSON.stringify(v) : v, 1200);
}

function Record({ store, unit }) {
  const table = parameters(store), all = Object.entries(unit.known);
  const shown = all.filter(([, v]) => v !== false), folded = all.filter(([, v]) => v === false);
  const row = ([k, v]) => html`<tr key=${k}><th scope="row" title=${table.get(k)?.help ?? ""}>${plain(k)}</th><td>${value(k, v, table.get(k))}</td></tr>`;
  return html`<div class="record"><table><tbody>${shown.map(row)}</tbody></table>
    ${folded.length ? html`<details><summary>${t("false.folded", { n: folded.length })}</summary><table><tbody>${folded.map(row)}</tbody></table></details>` : ""}</div>`;
}

function Frames({ store, unit }) {
  const off = [...store.bridges.values()].some((b) => b.info?.raw === false);
  if (!unit.frames.length) return html`<p class="empty">${t(off ? "raw.off" : "raw.none")}</p>`;
  return html`<ol class="frames">${unit.frames.map((f, i) => html`<li key=${f.time + ":" + i} class=${f.error ? "error" : ""}>
    <small>${clock(f.time)} ${f.direction === "in" ? "→ " + t("in") : "← " + t("out")}</small>${f.error ? html` <b>${short(f.error)}</b>` : ""}
    <code>${short(f.text, 1200)}</code><code class="hex">${short(f.hex.replace(/(..)/g, "$1 "), 3000)}</code></li>`)}</ol>`;
}

export function Unit({ store, unit, now, send, close, centre, following, follow, watch }) {
  const [tab, setTab] = useState("record");
  const tabs = ["record", "frames", "commands"];
  const choose = (id) => { setTab(id); if (id === "frames") watch(unit.name); };
  return html`<aside class="unit" aria-label=${label(unit)}>
    <header><h2>${label(unit)}</h2><button class="icon" aria-label=${t("close")} onClick=${close}>✕</button></header>
    <p class="facts"><span class=${"dot " + (unit.alarms.size ? "alarm" : unit.online ? "online" : "offline")}></span>
      ${unit.online === null ? t("unknown") : t(unit.online ? "online" : "offline")}${typeof unit.since === "number" ? " " + t("since", { time: clock(unit.since) }) : ""}${!unit.online && unit.reason ? ` (${short(unit.reason, 120)})` : ""}
      <br />${t("heard")}: ${ago(unit.heard, now) || "–"}${unit.alarms.size ? html`<br /><b class="alarmtext">${[...unit.alarms].map(plain).join(", ")}</b>` : ""}</p>
    <p class="actions">${typeof unit.known["position.latitude"] === "number" ? html`<button onClick=${centre}>${t("centre")}</button><button aria-pressed=${following} onClick=${follow}>${t("follow")}</button>` : t("no.place")}</p>
    <div class="tabs" role="tablist">${tabs.map((id) => html`<button role="tab" aria-selected=${tab === id} data-tab=${id} onClick=${() => choose(id)}>${t(id)}</button>`)}</div>
    <div class="body" role="tabpanel">${tab === "record" ? html`<${Record} store=${store} unit=${unit} />` : tab === "frames" ? html`<${Frames} store=${store} unit=${unit} />` : html`<${Commands} store=${store} unit=${unit} send=${send} />`}</div>
  </aside>`;
}
