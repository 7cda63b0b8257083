// views: alarms, bridges, strangers, and how a tracker is added.
import { useState } from "preact/hooks";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { canSound, isBlocked, wantSound, wantsSound } from "./sound.js";
import { rate } from "./store.js";
import { Dot, label } from "./table.js";
import { ago, duration, moment, num, short, t } from "./text.js";
import { number } from "./values.js";

const ACTIVE_MOST = 200; // units with an alarm that lasts

const View = ({ title, children, more }) => html`<section class="view"><div class="inside"><header><h2>${title}</h2>${more ?? ""}</header>${children}</div></section>`;
const Nothing = ({ icon, children }) => html`<div class="nothing"><${Icon} name=${icon} /><p>${children}</p></div>`;

function Active({ store, select }) {
  const all = [];
  for (const u of store.units.values()) if (u.alarms.size && all.length < ACTIVE_MOST) all.push(u);
  if (!all.length) return "";
  return html`<h3>${t("alarm.active")}</h3><ul class="cards">${all.map((u) => html`<li key=${u.name} class="line"><${Dot} unit=${u} /><button class="link" onClick=${() => select(u.name)}>${label(u)}</button><span class="grow">${[...u.alarms].map((k) => short(k, 60)).join(", ")}</span><small>${u.heard ? ago(u.heard, Date.now()) : ""}</small></li>`)}</ul>`;
}

function Sound() {
  const [on, setOn] = useState(wantsSound());
  if (!canSound) return "";
  return html`<label class="check"><input type="checkbox" name="sound" checked=${on} onChange=${(e) => { wantSound(e.target.checked); setOn(e.target.checked); }} />${t("sound")}</label>
    ${on && isBlocked() ? html`<p class="note" role="status">${t("sound.blocked")}</p>` : ""}`;
}

export function Alarms({ store, select }) {
  const open = store.alarms.some((a) => !a.seen), name = (a) => { const u = store.units.get(a.name); return u ? label(u) : short(a.name, 60); };
  return html`<${View} title=${t("alarms")} more=${open ? html`<button class="primary" onClick=${() => store.seen(null)}>${t("all.seen")}</button>` : ""}>
    <${Sound} /><${Active} store=${store} select=${select} /><h3>${t("alarm.since")}</h3>
    ${store.alarms.length ? "" : html`<${Nothing} icon="alarms">${t("alarm.none")}</>`}
    <ul class="cards alarms">${store.alarms.map((a) => html`<li key=${a.id} class=${"line" + (a.seen ? "" : " alarm")}><small class="when">${moment(a.time)}</small><button class="link" onClick=${() => select(a.name)}>${name(a)}</button>
      <b class="grow">${a.keys.map((k) => short(k, 60)).join(", ")}</b>${a.seen ? html`<small>${t("seen")}</small>` : html`<button onClick=${() => store.seen(a)}>${t("see")}</button>`}</li>`)}</ul></>`;
}

const figure = (name, value) => html`<div class="tile"><small>${name}</small><b>${value === "" ? "–" : value}</b></div>`;
const BAD = /^(refused\.|frames\.rejected|messages\.(refused|set_aside)|subscriptions\.refused|outbox\.full|commands\.(rejected|untold)|records\.misdated|relay\.dropped)/;

function Bridge({ bridge }) {
  const s = bridge.stats ?? {}, bad = Object.entries(s).filter(([k, v]) => BAD.test(k) && number(v) > 0).slice(0, 100), perSecond = rate(bridge, "frames"), of = (key) => num(number(s[key]) ?? "");
  return html`<li class="bridge" data-instance=${bridge.instance}><h3><span class=${"dot " + (bridge.online ? "moving" : "offline")}></span>${short(bridge.instance, 60)} <small>${t(bridge.online ? "bridge.online" : "bridge.offline")}${bridge.info?.version ? " · " + t("version") + " " + short(bridge.info.version, 40) : ""}</small></h3>
    <div class="tiles">${figure(t("units"), of("units.online"))}${figure(t("connections"), of("connections"))}${figure(t("frames.s"), perSecond === null ? "" : num(perSecond, 1))}${figure(t("published"), of("messages.published"))}${figure(t("outbox"), of("outbox.messages"))}${figure(t("uptime"), duration(s.uptime))}</div>
    ${bad.length ? html`<h4>${t("refused")}</h4><table class="reasons"><tbody>${bad.map(([k, v]) => html`<tr key=${k}><th scope="row">${short(k, 80)}</th><td>${num(v)}</td></tr>`)}</tbody></table>` : bridge.stats ? html`<p class="soft">${t("refused.none")}</p>` : ""}</li>`;
}

export function Bridges({ store }) {
  const all = [...store.bridges.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1));
  return html`<${View} title=${t("bridges")}>${all.length ? "" : html`<${Nothing} icon="bridges">${t("bridges.none")}</>`}<ul class="cards wide">${all.map((b) => html`<${Bridge} key=${b.instance} bridge=${b} />`)}</ul></>`;
}

export function Strangers({ store }) {
  return html`<${View} title=${t("strangers")}>${store.strangers.length ? html`<p class="note">${t("stranger.todo")}</p>` : html`<${Nothing} icon="strangers">${t("strangers.none")}</>`}
    <ul class="cards">${store.strangers.map((s) => html`<li key=${s.id}><p class="line"><b>${short(s.peer || "?", 60)}</b><span class="grow">${s["looks.like"] ? html`${t("looks.like")} <b>${short(s["looks.like"], 60)}</b>` : ""}</span><small>${[s.transport, s.instance].filter(Boolean).map((v) => short(v, 40)).join(" · ")} · ${moment(s.time)}</small></p>
      ${s.reason ? html`<p>${short(s.reason, 300)}</p>` : ""}${s.text ? html`<code>${short(s.text, 600)}</code>` : ""}<code class="hex">${short(s.hex.slice(0, 800).replace(/(..)/g, "$1 "), 1200)}</code></li>`)}</ul></>`;
}

export function smsTexts({ password, server, port, apn, interval }) {
  return [["apn", `803${password} ${apn}`], ["server", `804${password} ${server} ${port}`], ["gprs", `710${password}`], ["interval", `805${password} ${interval}`], ["check", "RCONF"]];
}

// Without https a browser has no clipboard for pages: the text is marked and copied as a person would.
async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const box = document.createElement("textarea");
    box.value = text;
    box.className = "hidden";
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
  done();
}

function Sms({ what, text }) {
  const [copied, setCopied] = useState(false);
  return html`<li><span><code>${text}</code><small>${t("sms." + what)}</small></span><button aria-label=${t("copy") + " " + text} onClick=${() => copy(text, () => setCopied(true))}><${Icon} name="copy" />${t(copied ? "copied" : "copy")}</button></li>`;
}

export function Add({ store, known, select }) {
  const [f, setF] = useState({ server: location.hostname, port: "8888", apn: "internet", interval: "20", password: "0000", ident: "" });
  const field = (id, type, more) => html`<label>${t("add." + id)}<input name=${id} type=${type} value=${f[id]} autocomplete="off" onInput=${(e) => setF({ ...f, [id]: e.target.value.trim() })} ...${more ?? {}} /></label>`;
  const came = f.ident ? store.live.has(f.ident) && f.ident : [...store.live].find((name) => !known.has(name)), local = /^(localhost|127\.|\[?::1|10\.|192\.168\.)/.test(f.server);
  return html`<${View} title=${t("add")}>
    <div class="steps"><div class="card"><h3><span class="step-number">1</span>${t("add.fill")}</h3><form class="add" onSubmit=${(e) => e.preventDefault()}>
      ${field("server", "text")}${field("port", "number", { min: 1, max: 65535 })}${field("apn", "text")}${field("interval", "number", { min: 5, max: 65535 })}${field("password", "text")}${field("ident", "text", { inputmode: "numeric" })}</form>
      ${local ? html`<p class="note">${t("add.local")}</p>` : ""}</div>
    <div class="card"><h3><span class="step-number">2</span>${t("add.sms")}</h3><ol class="sms">${smsTexts(f).map(([what, text]) => html`<${Sms} key=${what + text} what=${what} text=${text} />`)}</ol></div>
    <div class="card"><h3><span class="step-number">3</span>${t("add.watch")}</h3><p class=${"light " + (came ? "green" : "")} role="status"><span class=${"lamp" + (came ? " green" : "")}></span>${came ? t("add.come", { ident: short(came, 40) }) : t("add.wait", { ident: f.ident || t("add.any") })}
      ${came ? html` <button class="primary" onClick=${() => select(came)}>${t("add.look")}</button>` : ""}</p></div></div></>`;
}
