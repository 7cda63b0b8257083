// text: the page's words in the user's language, and numbers and times as that language writes them.
import en from "./lang/en.json";
import de from "./lang/de.json";
import es from "./lang/es.json";
import pt from "./lang/pt.json";
import zh from "./lang/zh.json";

export const languages = { en: "English", de: "Deutsch", es: "Español", pt: "Português", zh: "中文" };
const words = { en, de, es, pt, zh };
let lang = "en";

export function useLanguage(wanted) {
  const want = wanted || localStorage.getItem("language") || navigator.language || "en";
  lang = Object.keys(words).find((l) => want.toLowerCase().startsWith(l)) ?? "en";
  if (wanted) localStorage.setItem("language", lang);
  document.documentElement.lang = lang;
}
export const language = () => lang;

// {name} stands for a value.
export function t(key, values) {
  const s = words[lang][key] ?? en[key] ?? key;
  return values ? s.replace(/\{(\w+)\}/g, (_, k) => String(values[k] ?? "")) : s;
}

export const num = (v, digits = 0) => (typeof v === "number" ? new Intl.NumberFormat(lang, { maximumFractionDigits: digits }).format(v) : "");
export const clock = (s) => (typeof s === "number" ? new Intl.DateTimeFormat(lang, { dateStyle: "short", timeStyle: "medium" }).format(s * 1000) : "");
export function ago(s, now) {
  if (typeof s !== "number") return "";
  const d = Math.max(0, now / 1000 - s), f = new Intl.RelativeTimeFormat(lang, { numeric: "always", style: "narrow" });
  if (d < 60) return f.format(-Math.round(d), "second");
  if (d < 3600) return f.format(-Math.round(d / 60), "minute");
  if (d < 86400) return f.format(-Math.round(d / 3600), "hour");
  return f.format(-Math.round(d / 86400), "day");
}

// Text of strangers: control characters, and those that turn the direction of writing, are shown as what they are.
export const plain = (v) => String(v).replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
export const short = (v, most = 300) => { const s = plain(v); return s.length > most ? s.slice(0, most) + "…" : s; };
