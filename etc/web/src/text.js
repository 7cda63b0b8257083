// text: the page's words in the user's language, and numbers and times as that language writes them.
import en from "./lang/en.json";
import de from "./lang/de.json";
import es from "./lang/es.json";
import pt from "./lang/pt.json";
import zh from "./lang/zh.json";
import { words } from "./values.js";

export const languages = { en: "English", de: "Deutsch", es: "Español", pt: "Português", zh: "中文" };
const texts = { en, de, es, pt, zh };
let lang = "en";

// A browser that keeps nothing for pages is asked for its own language each time.
export function useLanguage(wanted) {
  let kept = null;
  try { kept = localStorage.getItem("language"); } catch { /* none */ }
  const want = wanted || kept || navigator.language || "en";
  lang = Object.keys(texts).find((l) => want.toLowerCase().startsWith(l)) ?? "en";
  if (wanted) try { localStorage.setItem("language", lang); } catch { /* not kept */ }
  document.documentElement.lang = lang;
}
export const language = () => lang;

// {name} stands for a value.
export function t(key, values) {
  const s = texts[lang][key] ?? en[key] ?? key;
  return values ? s.replace(/\{(\w+)\}/g, (_, k) => String(values[k] ?? "")) : s;
}

const made = new Map(); // an Intl object costs more than its use
function intl(kind, options) {
  const key = lang + kind + JSON.stringify(options);
  if (!made.has(key)) made.set(key, new Intl[kind](lang, options));
  return made.get(key);
}

const DATE_MOST = 8.64e12; // seconds, of JavaScript's dates

export const num = (v, digits = 0) => (typeof v === "number" ? intl("NumberFormat", Math.abs(v) < 1e15 ? { maximumFractionDigits: digits } : { notation: "scientific", maximumFractionDigits: 3 }).format(v) : "");
const date = (v, options) => (typeof v !== "number" || !Number.isFinite(v) ? "" : Math.abs(v) > DATE_MOST ? num(v) : intl("DateTimeFormat", options).format(v * 1000));
export const clock = (s) => date(s, { dateStyle: "medium", timeStyle: "medium" });
// Without the date when it is today's.
export const moment = (s, now = Date.now()) => (typeof s === "number" && Math.abs(now / 1000 - s) < 43200 ? date(s, { timeStyle: "medium" }) : clock(s));

function spanUnit(d) {
  if (d < 60) return [d, "second"];
  if (d < 3600) return [d / 60, "minute"];
  if (d < 86400) return [d / 3600, "hour"];
  return [d / 86400, "day"];
}
export function ago(s, now) {
  if (typeof s !== "number" || !Number.isFinite(s)) return "";
  const d = now / 1000 - s;
  if (d < -3600 || d > 86400 * 1000) return clock(s);
  const [n, unit] = spanUnit(Math.max(0, d));
  return intl("RelativeTimeFormat", { numeric: "always", style: "narrow" }).format(-Math.round(n), unit);
}
export function duration(s) {
  if (typeof s !== "number" || !Number.isFinite(s) || s < 0) return "";
  const [n, unit] = spanUnit(s);
  return intl("NumberFormat", { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 }).format(Math.floor(n));
}

// Text of strangers: control characters, and those that turn the direction of writing, are shown as what they are.
export const plain = (v) => words(v).replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
export const short = (v, most = 300) => { const s = words(v), cut = s.length > most; return plain(cut ? s.slice(0, most) : s) + (cut ? "…" : ""); };
