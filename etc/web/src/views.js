// views: alarms, bridges, strangers, and how a tracker is added.
import { useState } from "preact/hooks";
import { html } from "./html.js";
import { rate } from "./store.js";
import { clock, num, plain, short, t } from "./text.js";

export function Alarms({ store, select, seen }) {
  if (!store.alarms.length) return html`<section class="view"><h2>${t("alarms")}</h2><p class="empty">${t("alarm.none")}</p></section>`;
  return html`<section class="view"><h2>${t("alarms")}</h2><button onClick=${() => seen(null)}>${t("all.seen")}</button>
    <ul class="cards">${store.alarms.map((a, i) => html`<li key=${i} class=${a.seen ? "" : "alarm"}><button class="link" onClick=${() => select(a.name)}>${short(store.units.get(a.name)?.known["device.name"] ?? a.name, 60)}</button>
      <b>${a.keys.map((k) => short(k, 60)).join(", ")}</b> <small>${clock(a.time)}</small>${a.seen ? "" : html` <button onClick=${() => seen(a)}>${t("seen")}</button>`}</li>`)}</ul></section>`;
}

function Bridge({ bridge }) {
  const s = bridge.stats ?? {}, bad = Object.entries(s).filter(([k, v]) => /^(refused|frames\.rejected|messages\.(refused|set_aside)|subscriptions)/.test(k) && v > 0);
  const perSecond = rate(bridge, "frames");
  return html`<li data-instance=${bridge.instance}><h3><span class=${"dot " + (bridge.online ? "online" : "offline")}></span>${short(bridge.instance, 60)} <small>${t(bridge.online ? "bridge.online" : "bridge.offline")}</small></h3>
    <dl><dt>${t("version")}</dt><dd>${short(bridge.info?.version ?? "–", 40)}</dd><dt>${t("units")}</dt><dd>${num(s["units.online"])}</dd><dt>${t("frames.s")}</dt><dd>${perSecond === null ? "–" : num(perSecond, 1)}</dd>
      <dt>${t("outbox")}</dt><dd>${num(s["outbox.messages"])}</dd><dt>${t("uptime")}</dt><dd>${typeof s.uptime === "number" ? num(s.uptime / 3600, 1) + " h" : "–"}</dd></dl>
    ${bad.length ? html`<h4>${t("refused")}</h4><dl>${bad.map(([k, v]) => html`<dt>${plain(k)}</dt><dd>${num(v)}</dd>`)}</dl>` : ""}</li>`;
}

export function Bridges({ store }) {
  const all = [...store.bridges.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1));
  return html`<section class="view"><h2>${t("bridges")}</h2>${all.length ? "" : html`<p class="empty">${t("bridges.none")}</p>`}<ul class="cards">${all.map((b) => html`<${Bridge} key=${b.instance} bridge=${b} />`)}</ul></section>`;
}

export function Strangers({ store }) {
  return html`<section class="view"><h2>${t("strangers")}</h2>${store.strangers.length ? html`<p>${t("stranger.todo")}</p>` : html`<p class="empty">${t("strangers.none")}</p>`}
    <ul class="cards">${store.strangers.map((s, i) => html`<li key=${i}><b>${short(s.peer ?? "?", 60)}</b> <small>${clock(s.time)} ${short(s.transport ?? "", 10)}</small>
      ${s["looks.like"] ? html`<p>${t("looks.like")} <b>${short(s["looks.like"], 60)}</b></p>` : ""}${s.reason ? html`<p>${short(s.reason, 300)}</p>` : ""}
      <code>${short(s.text ?? "", 600)}</code><code class="hex">${short(String(s.hex ?? "").replace(/(..)/g, "$1 "), 1200)}</code></li>`)}</ul></section>`;
}

export function smsTexts({ password, server, port, apn, interval }) {
  return [`803${password} ${apn}`, `804${password} ${server} ${port}`, `710${password}`, `805${password} ${interval}`, "RCONF"];
}

export function Add({ store, known }) {
  const [f, setF] = useState({ server: location.hostname, port: "8888", apn: "internet", interval: "20", password: "0000", ident: "" });
  const field = (id, type, more) => html`<label>${t("add." + id)}<input name=${id} type=${type} value=${f[id]} onInput=${(e) => setF({ ...f, [id]: e.target.value.trim() })} ...${more ?? {}} /></label>`;
  const came = f.ident ? store.live.has(f.ident) && f.ident : [...store.live].find((name) => !known.has(name));
  return html`<section class="view"><h2>${t("add")}</h2><form class="add" onSubmit=${(e) => e.preventDefault()}>
    ${field("server", "text")}${field("port", "number", { min: 1, max: 65535 })}${field("apn", "text")}${field("interval", "number", { min: 5, max: 65535 })}${field("password", "text")}${field("ident", "text", { inputmode: "numeric" })}</form>
    <p>${t("add.sms")}</p><ol class="sms">${smsTexts(f).map((s) => html`<li><code>${s}</code></li>`)}</ol>
    <p class=${"light " + (came ? "green" : "")} role="status"><span class=${"dot " + (came ? "online" : "offline")}></span>${came ? t("add.come", { ident: short(came, 40) }) : t("add.wait", { ident: f.ident || t("add.any") })}</p></section>`;
}
