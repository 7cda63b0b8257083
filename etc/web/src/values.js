// values: what came from outside, made harmless: a number, a short text, a sound table of commands. Pure, and nothing here throws.

export const TEXT_MOST = 8192; // characters of one value that are kept
const TABLE_MOST = 1000; // rows of a table that a bridge tells

export const number = (v) => (typeof v === "number" && Number.isFinite(v) ? v : null);

// Any value as text. String() itself throws for objects without a usable toString, and for those that are nested too deeply.
export function words(v) {
  if (typeof v === "string") return v;
  if (v === null || typeof v !== "object") return String(v);
  try {
    return JSON.stringify(v) ?? "";
  } catch {
    return "…";
  }
}

export const clip = (v) => { const s = words(v); return s.length > TEXT_MOST ? s.slice(0, TEXT_MOST) : s; };
export const textOr = (v, other) => (typeof v === "string" && v !== "" ? clip(v) : other);

const isMap = (v) => typeof v === "object" && v !== null && !Array.isArray(v);
const rows = (v) => (Array.isArray(v) ? v.filter((r) => isMap(r) && typeof r.name === "string" && r.name !== "").slice(0, TABLE_MOST) : []);
const optional = (v) => (v === undefined || v === null ? undefined : clip(v));

const cleanArgument = (a) => ({
  name: clip(a.name), number: a.type === "number", min: number(a.min) ?? undefined, max: number(a.max) ?? undefined,
  unit: textOr(a.unit, ""), help: textOr(a.help, ""), default: optional(a.default), example: optional(a.example),
});

// The document of a bridge: what is not as it should be is left out.
export function cleanInfo(info) {
  if (!isMap(info)) return null;
  return {
    version: textOr(info.version, null),
    raw: ["no", "errors", "yes"].includes(info["raw.mode"]) ? info["raw.mode"] : info.raw === true ? "yes" : info.raw === false ? "no" : null,
    commands: info.commands !== false,
    protocols: rows(info.protocols).map((p) => ({
      name: clip(p.name), title: textOr(p.title, ""), textMost: number(p["text.max"]) ?? undefined,
      commands: rows(p.commands).map((c) => ({ name: clip(c.name), help: textOr(c.help, ""), args: rows(c.args).map(cleanArgument) })),
    })),
    parameters: new Map(rows(info.parameters).map((p) => [p.name, { name: clip(p.name), unit: textOr(p.unit, ""), help: textOr(p.help, "") }])),
  };
}

// Only what reads, or what is set back by itself, is sent at once; all else, and all that is not known here, is asked twice.
export const needsConfirmation = (name) => !/^((position|mileage|parameters?|attributes)\.request|position\.track(\.stop)?|(report|monitor|heartbeat)\.interval(\.sleep)?|alarm\.(arm|clear)|speed\.limit)$/.test(name);

// Web Mercator: 0 to 1 from west to east and from north to south. null: no such place.
export function project(lat, lon) {
  if (number(lat) === null || number(lon) === null || Math.abs(lat) > 90 || Math.abs(lon) > 180) return null;
  const s = Math.sin((Math.max(-85, Math.min(85, lat)) * Math.PI) / 180);
  return [lon / 360 + 0.5, 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)];
}
