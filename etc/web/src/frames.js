// frames: one unit's frames as they were, and why there are none.
import { useState } from "preact/hooks";
import { html } from "./html.js";
import { protocolOf } from "./store.js";
import { moment, short, t } from "./text.js";

const FOR = "10m"; // what is asked for, as the bridge takes it
const SHOWN = 100;

// What the bridge publishes of this unit, in words, and what can be done about it.
function Asked({ store, unit, mode, now, session }) {
  const [asked, setAsked] = useState(null);
  const on = unit.rawUntil !== null && unit.rawUntil > now / 1000;
  const ask = async (time) => {
    unit.rawFault = null;
    setAsked("asked");
    const why = await session.askFrames(unit.name, time);
    setAsked(why ?? "given");
  };
  if (mode === "yes" && !on) return "";
  const silent = asked === "given" && !on && unit.rawUntil === null && !unit.rawFault;
  return html`<div class="note raw">${on ? html`<p>${t("raw.until", { time: moment(unit.rawUntil, now) })}</p>` : html`<p>${t(mode === "errors" ? "raw.errors" : mode === "no" ? "raw.off" : "raw.unknown")}</p>`}
    ${asked === "refused" || asked === "failed" ? html`<p class="problem" role="alert">${t(asked === "refused" ? "raw.refused" : "req.failed", { filter: `${store.prefix}/+/raw/set` })}</p>` : ""}
    ${unit.rawFault ? html`<p class="problem" role="alert">${short(unit.rawFault, 300)}</p>` : ""}${silent ? html`<p role="status">${t("raw.asked")}</p>` : ""}
    ${on ? html`<button name="raw-end" onClick=${() => ask("0")}>${t("raw.end")}</button>` : html`<button class="primary" name="raw-ask" disabled=${asked === "asked"} onClick=${() => ask(FOR)}>${t("raw.ask")}</button>`}</div>`;
}

const Frame = ({ f, now }) => html`<li class=${f.direction + (f.error ? " error" : "")}><p><span class="way">${f.direction === "in" ? "↓ " + t("in") : "↑ " + t("out")}</span><small>${moment(f.time, now)}</small></p>
  ${f.error ? html`<b class="why">${short(f.error)}</b>` : ""}${f.text ? html`<code>${short(f.text, 1200)}</code>` : ""}<code class="hex">${short(f.hex.slice(0, 2000).replace(/(..)/g, "$1 "), 3000)}</code></li>`;

export function Frames({ store, unit, now, session }) {
  const [bad, setBad] = useState(false), mode = protocolOf(store, unit).info?.raw ?? null;
  const frames = bad ? unit.frames.filter((f) => f.error) : unit.frames;
  return html`<${Asked} store=${store} unit=${unit} mode=${mode} now=${now} session=${session} />
    ${unit.frames.some((f) => f.error) ? html`<label class="check"><input type="checkbox" checked=${bad} onChange=${(e) => setBad(e.target.checked)} />${t("raw.bad")}</label>` : ""}
    ${frames.length ? html`<ol class="frames">${frames.slice(0, SHOWN).map((f) => html`<${Frame} key=${f.id} f=${f} now=${now} />`)}</ol>` : html`<p class="empty">${t("raw.none")}</p>`}`;
}
