// commands: forms made from the bridge's own table, and what became of each request, as it is told.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { protocolOf } from "./store.js";
import { label } from "./table.js";
import { moment, num, short, t } from "./text.js";
import { needsConfirmation } from "./values.js";

const HOLDS = ["10m", "1h", "24h"];

function Argument({ arg, value, set }) {
  return html`<label class="argument"><span>${short(arg.name, 60)}${arg.unit ? html` <small>${short(arg.unit, 20)}</small>` : ""}</span>
    <input name=${arg.name} type=${arg.number ? "number" : "text"} min=${arg.number ? arg.min : undefined} max=${arg.number ? arg.max : undefined} step=${arg.number ? "any" : undefined} minlength=${arg.number ? undefined : arg.min} maxlength=${arg.number ? undefined : arg.max}
      required=${arg.default === undefined} placeholder=${short(arg.default || arg.example || "", 60)} value=${value ?? ""} autocomplete="off" spellcheck=${false} onInput=${(e) => set(e.target.value)} />
    <small>${short(arg.help, 200)}${arg.number && arg.min !== undefined && arg.max !== undefined ? ` (${num(arg.min)} – ${num(arg.max)})` : ""}</small></label>`;
}

export function requestOf(spec, text, values, hold) {
  const request = {};
  if (!spec) request.payload = text;
  else {
    request.command = spec.name;
    const args = {};
    for (const a of spec.args) if (values[a.name] !== undefined && values[a.name] !== "") args[a.name] = a.number ? Number(values[a.name]) : values[a.name];
    if (Object.keys(args).length) request.args = args;
  }
  if (hold) request.hold = Number.isNaN(Number(hold)) ? hold : Number(hold); // a text is a duration with a unit; the bridge judges it
  return request;
}

export function stepText(step) {
  let s = t("req." + step.status);
  if (s === "req." + step.status) s = short(step.status, 60);
  if (step.reason) s += ": " + short(step.reason, 500);
  if (step.result) s += ": " + short(step.result, 500);
  else if (step.reply) s += ": " + short(step.reply, 500);
  if (step.elapsed !== null && step.elapsed !== undefined) s += ` (${num(step.elapsed, 2)} s)`;
  return s;
}

const Request = ({ request }) => html`<li class=${"request" + (request.ended ? "" : " open")}><p><b>${short(request.what, 200)}</b><small>${moment(request.time)}</small></p>
  <ol>${request.steps.map((s, i) => html`<li key=${i} class=${"step " + short(s.status, 20)} data-status=${short(s.status, 20)}>${stepText(s)}</li>`)}</ol></li>`;

// The safe answer has the focus.
function Confirm({ what, unit, yes, no }) {
  const cancel = useRef(null);
  useEffect(() => { cancel.current.focus({ preventScroll: true }); cancel.current.closest(".confirm").scrollIntoView({ block: "nearest" }); }, []);
  return html`<div class="confirm" role="alertdialog" aria-label=${t("send")} aria-describedby="asked" onKeyDown=${(e) => { if (e.key === "Escape") { e.stopPropagation(); no(); } }}><p id="asked">${t("confirm", { what: short(what, 200), unit: label(unit) })}</p>
    <p><button class="danger" name="yes" onClick=${yes}>${t("send")}</button> <button name="no" ref=${cancel} onClick=${no}>${t("cancel")}</button></p></div>`;
}

export function Commands({ store, unit, send }) {
  const { info, protocol } = protocolOf(store, unit);
  const [name, setName] = useState(""), [text, setText] = useState(""), [values, setValues] = useState({}), [hold, setHold] = useState(""), [asked, setAsked] = useState(null);
  const mine = [...store.requests.values()].filter((r) => r.name === unit.name).reverse();
  const commands = protocol?.commands ?? [], spec = commands.find((c) => c.name === name) ?? null;
  const go = (request, what) => { setAsked(null); send(unit, request, what); };
  const submit = (e) => {
    e.preventDefault();
    const request = requestOf(spec, text, values, hold), what = spec ? spec.name : text;
    if (!what) return;
    if (!spec || needsConfirmation(spec.name)) setAsked({ request, what });
    else go(request, what);
  };
  return html`<div class="commands">
    ${info && !info.commands ? html`<p class="note">${t("commands.off")}</p>` : !protocol ? html`<p class="note">${t("commands.none")}</p>` : ""}
    <form onSubmit=${submit}>
      <label>${t("command")}<select name="command" value=${name} onChange=${(e) => { setName(e.target.value); setValues({}); setAsked(null); }}>
        <option value="">${t("text.command")}</option>
        ${commands.map((c) => html`<option key=${c.name} value=${c.name}>${short(c.name, 60)} – ${short(c.help, 100)}</option>`)}
      </select></label>
      ${spec ? spec.args.map((a) => html`<${Argument} key=${spec.name + " " + a.name} arg=${a} value=${values[a.name]} set=${(v) => setValues({ ...values, [a.name]: v })} />`)
        : html`<label>${t("text")}<input name="text" required maxlength=${protocol?.textMost} value=${text} onInput=${(e) => setText(e.target.value)} autocomplete="off" spellcheck=${false} /></label>`}
      <label>${t("hold")}<input name="hold" list="holds" value=${hold} placeholder=${t("hold.no")} autocomplete="off" onInput=${(e) => setHold(e.target.value.trim())} /><datalist id="holds">${HOLDS.map((h) => html`<option key=${h} value=${h} />`)}</datalist></label>
      <button class="primary" type="submit">${t("send")}</button>
    </form>
    ${asked ? html`<${Confirm} what=${asked.what} unit=${unit} yes=${() => go(asked.request, asked.what)} no=${() => setAsked(null)} />` : ""}
    ${mine.length ? html`<h3>${t("requests")}</h3>` : ""}<ul class="requests" aria-live="polite">${mine.map((r) => html`<${Request} key=${r.id} request=${r} />`)}</ul>
  </div>`;
}
