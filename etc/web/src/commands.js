// commands: forms made from the bridge's own table, and what became of each request, as it is told.
import { useState } from "preact/hooks";
import { html } from "./html.js";
import { needsConfirmation } from "./store.js";
import { clock, num, short, t } from "./text.js";

function protocolOf(store, unit) {
  const infos = [...store.bridges.values()].map((b) => b.info).filter(Boolean);
  const name = unit.protocol ?? unit.known["protocol.id"];
  for (const info of infos) for (const p of info.protocols ?? []) if (p.name === name) return { info, protocol: p };
  return { info: infos[0] ?? null, protocol: infos[0]?.protocols?.[0] ?? null };
}

function Argument({ arg, value, set }) {
  const number = arg.type !== "text";
  return html`<label class="argument"><span>${arg.name}${arg.unit ? ` (${arg.unit})` : ""}<small>${arg.help}</small></span>
    <input name=${arg.name} type=${number ? "number" : "text"} min=${number ? arg.min : undefined} max=${number ? arg.max : undefined} minlength=${number ? undefined : arg.min} maxlength=${number ? undefined : arg.max}
      required=${arg.default === undefined} placeholder=${arg.default ?? arg.example ?? ""} value=${value ?? ""} onInput=${(e) => set(e.target.value)} /></label>`;
}

export function requestOf(spec, text, values, hold) {
  const request = {};
  if (!spec) request.payload = text;
  else {
    request.command = spec.name;
    const args = {};
    for (const a of spec.args) if (values[a.name] !== undefined && values[a.name] !== "") args[a.name] = a.type === "text" ? values[a.name] : Number(values[a.name]);
    if (Object.keys(args).length) request.args = args;
  }
  if (Number(hold) > 0) request.hold = Number(hold);
  return request;
}

export function stepText(step) {
  let s = t("req." + step.status);
  if (step.reason) s += ": " + short(step.reason, 500);
  if (step.result) s += ": " + short(step.result, 500);
  else if (step.reply) s += ": " + short(step.reply, 500);
  if (typeof step.elapsed === "number") s += ` (${num(step.elapsed, 2)} s)`;
  return s;
}

function Request({ request }) {
  return html`<li class="request"><b>${request.what}</b> <small>${clock(request.time)}</small>
    <ol>${request.steps.map((s) => html`<li class=${"step " + s.status} data-status=${s.status}>${stepText(s)}</li>`)}</ol></li>`;
}

export function Commands({ store, unit, send }) {
  const { info, protocol } = protocolOf(store, unit);
  const [name, setName] = useState(""), [text, setText] = useState(""), [values, setValues] = useState({}), [hold, setHold] = useState(""), [asked, setAsked] = useState(null);
  const mine = [...store.requests.values()].filter((r) => r.name === unit.name).reverse();
  if (!protocol) return html`<p class="empty">${t("commands.none")}</p>`;
  const spec = protocol.commands.find((c) => c.name === name) ?? null;
  const go = (request, what) => { setAsked(null); send(unit, request, what); };
  const submit = (e) => {
    e.preventDefault();
    const request = requestOf(spec, text, values, hold), what = spec ? spec.name : text;
    if (!what) return;
    if (!spec || needsConfirmation(spec.name)) setAsked({ request, what });
    else go(request, what);
  };
  return html`<div class="commands">
    ${info && info.commands === false ? html`<p class="note">${t("commands.off")}</p>` : ""}
    <form onSubmit=${submit}>
      <label>${t("command")}<select name="command" value=${name} onChange=${(e) => { setName(e.target.value); setValues({}); setAsked(null); }}>
        <option value="">${t("text.command")}</option>
        ${protocol.commands.map((c) => html`<option key=${c.name} value=${c.name}>${c.name} – ${c.help}</option>`)}
      </select></label>
      ${spec ? spec.args.map((a) => html`<${Argument} key=${spec.name + a.name} arg=${a} value=${values[a.name]} set=${(v) => setValues({ ...values, [a.name]: v })} />`)
        : html`<label>${t("text.command")}<input name="text" required maxlength=${protocol["text.max"]} value=${text} onInput=${(e) => setText(e.target.value)} autocomplete="off" spellcheck=${false} /></label>`}
      <label>${t("hold")}<input name="hold" type="number" min="0" max="86400" value=${hold} placeholder="0" onInput=${(e) => setHold(e.target.value)} /></label>
      <button class="primary" type="submit">${t("send")}</button>
    </form>
    ${asked ? html`<div class="confirm" role="alertdialog" aria-label=${t("send")}><p>${t("confirm", { what: short(asked.what, 200), unit: short(unit.known["device.name"] ?? unit.name, 60) })}</p>
      <button class="danger" name="yes" onClick=${() => go(asked.request, asked.what)}>${t("send")}</button> <button onClick=${() => setAsked(null)}>${t("cancel")}</button></div>` : ""}
    <ul class="requests" aria-live="polite">${mine.map((r) => html`<${Request} key=${r.id} request=${{ ...r, what: short(r.what, 200) }} />`)}</ul>
  </div>`;
}
