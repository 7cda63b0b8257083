// unit: one unit: what it does now, its newest record, its frames, its commands.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { Commands } from "./commands.js";
import { Frames } from "./frames.js";
import { Icon } from "./icons.js";
import { stateOf } from "./store.js";
import { Dot, Level, label } from "./table.js";
import { ago, clock, moment, num, short, t } from "./text.js";
import { number, words } from "./values.js";

const ALARMS_SHOWN = 6;
const GROUPS = [["position", /^position\./], ["alarms", /\.(alarm|event)$/], ["power", /^(engine|battery|external|fuel|vehicle|door|defense)\b/], ["network", /^(gsm|peer|wifi|sim)\b/],
  ["message", /^(ident|protocol|message|channel|device|timestamp|server|status|event\.seqnum|vendor)\b/]];

function parameters(store) {
  const all = new Map();
  for (const b of store.bridges.values()) for (const [name, p] of b.info?.parameters ?? []) all.set(name, p);
  return all;
}

function value(key, v, p) {
  if (typeof v === "boolean") return html`<span class=${v ? "yes" : "no"}>${t(v ? "yes" : "no")}</span>`;
  if (typeof v !== "number") return short(v, 1200);
  if (/timestamp$|\.since$/.test(key)) return clock(v) || num(v);
  return /latitude|longitude/.test(key) ? num(v, 6) : (/\.(id|code|mcc|mnc|lac|cellid|seqnum|bitmask)(\.\d+)?$/.test(key) ? words(v) : num(v, 3)) + (p?.unit ? " " + p.unit.replace("deg", "°") : "");
}

function Record({ store, unit }) {
  const table = parameters(store), all = Object.entries(unit.known).slice(0, 1000);
  if (!all.length) return html`<p class="empty">${t("record.none")}</p>`;
  const folded = all.filter(([, v]) => v === false), groups = new Map([...GROUPS.map(([id]) => [id, []]), ["other", []]]);
  for (const pair of all) if (pair[1] !== false) groups.get(GROUPS.find(([, is]) => is.test(pair[0]))?.[0] ?? "other").push(pair);
  const row = ([k, v]) => html`<tr key=${k}><th scope="row"><span class="key">${short(k, 120)}</span>${table.get(k)?.help ? html`<small>${short(table.get(k).help, 200)}</small>` : ""}</th><td>${value(k, v, table.get(k))}</td></tr>`;
  return html`<div class="record">${[...groups].map(([id, pairs]) => (pairs.length ? html`<h3 key=${id}>${t("group." + id)}</h3><table key=${id + "t"}><tbody>${pairs.map(row)}</tbody></table>` : ""))}
    ${folded.length ? html`<details><summary>${t("false.folded", { n: folded.length })}</summary><table><tbody>${folded.map(row)}</tbody></table></details>` : ""}</div>`;
}

const tile = (id, content) => html`<div class="tile" key=${id}><small>${t(id)}</small><b>${content === "" || content === null ? "–" : content}</b></div>`;

function Facts({ unit, now }) {
  const known = (key) => number(unit.known[key]), ignition = unit.known["engine.ignition.status"], state = stateOf(unit);
  return html`<div class="facts"><p class="presence"><span class=${"pill " + state}><${Dot} unit=${unit} />${unit.online === null ? t("unknown") : t(unit.online ? "online" : "offline")}</span>
      <small>${unit.since !== null ? t("since", { time: moment(unit.since, now) }) : ""}${!unit.online && unit.reason ? ` · ${short(unit.reason, 120)}` : ""}</small></p>
    ${unit.alarms.size ? html`<p class="alarmtext" role="alert">${[...unit.alarms].slice(0, ALARMS_SHOWN).map((k) => short(k, 60)).join(", ")}${unit.alarms.size > ALARMS_SHOWN ? ` +${num(unit.alarms.size - ALARMS_SHOWN)}` : ""}</p>` : ""}
    <div class="tiles">${tile("heard", ago(unit.heard, now))}${tile("speed", known("position.speed") === null ? "" : num(known("position.speed")) + " km/h")}
      ${tile("battery", known("battery.level") === null ? "" : html`<${Level} value=${known("battery.level")} />`)}${tile("ignition", typeof ignition === "boolean" ? t(ignition ? "on" : "off") : "")}</div></div>`;
}

function Place({ unit, centre, following, follow }) {
  if (unit.x === null) return html`<p class="actions soft">${t("no.place")}</p>`;
  return html`<p class="actions"><button onClick=${centre}><${Icon} name="target" />${t("centre")}</button><button aria-pressed=${following} onClick=${follow}><${Icon} name="follow" />${t("follow")}</button>
    <span class="place">${num(unit.known["position.latitude"], 5)}, ${num(unit.known["position.longitude"], 5)}</span></p>`;
}

const tabs = ["record", "frames", "commands"];

export function Unit({ store, unit, now, session, close, centre, following, follow }) {
  const [tab, setTab] = useState("record"), bar = useRef(null);
  useEffect(() => (tab === "frames" ? session.watchFrames(unit.name) : undefined), [tab]);
  const key = (e) => {
    const next = tabs[tabs.indexOf(tab) + ({ ArrowRight: 1, ArrowLeft: -1 }[e.key] ?? 0)];
    if (!next || next === tab) return;
    setTab(next);
    bar.current.querySelector(`[data-tab="${next}"]`).focus();
  };
  const choose = (id) => html`<button key=${id} role="tab" id=${"tab-" + id} aria-selected=${tab === id} aria-controls="panel" tabindex=${tab === id ? 0 : -1} data-tab=${id} onClick=${() => setTab(id)}>${t(id)}</button>`;
  return html`<aside class="unit" data-unit=${unit.name} aria-label=${label(unit)} onKeyDown=${(e) => { if (e.key === "Escape") close(); }}>
    <header><div class="who"><h2>${label(unit)}</h2><small>${[unit.ident, unit.protocol ?? unit.known["protocol.id"], unit.instance].filter((v) => v && v !== label(unit)).map((v) => short(v, 40)).join(" · ")}</small></div>
      <button class="only-icon" aria-label=${t("close")} onClick=${close}><${Icon} name="close" /></button></header>
    <${Facts} unit=${unit} now=${now} />
    <${Place} unit=${unit} centre=${centre} following=${following} follow=${follow} />
    <div class="tabs" role="tablist" ref=${bar} onKeyDown=${key}>${tabs.map(choose)}</div>
    <div class="body" role="tabpanel" id="panel" aria-labelledby=${"tab-" + tab} tabindex="0">${tab === "record" ? html`<${Record} store=${store} unit=${unit} />` : tab === "frames" ? html`<${Frames} store=${store} unit=${unit} now=${now} session=${session} />` : html`<${Commands} store=${store} unit=${unit} send=${session.send} />`}</div>
  </aside>`;
}
