// marks: all units on one canvas: an arrow or a dot each, or a number where they lie too close together.
import { CanvasLayer, createRoom, css, font, write } from "./canvas.js";
import { stateOf } from "./store.js";

const CELL = 56, CELL_FEW = 26, FEW = 400; // pixels of a cluster's cell; units in view up to which the small one is used
const LABELS_MOST = 300, EDGE = 30;
const NEAR = 22; // pixels that a click may miss by
const ZOOM_IN_MOST = 17;
const DRAW_SHARE = 10; // drawing takes at most a tenth of the time, however many there are
const reduce = (numbers, f) => numbers.reduce((a, b) => f(a, b));
const RANK = { offline: 0, standing: 1, moving: 2, alarm: 3 };

function arrow(c, x, y, direction) {
  const a = (direction * Math.PI) / 180;
  c.beginPath();
  for (const [turn, far] of [[0, 14], [2.45, 11.5], [Math.PI, 5], [-2.45, 11.5]]) c.lineTo(x + Math.sin(a + turn) * far, y - Math.cos(a + turn) * far);
  c.closePath();
}

function disc(c, x, y, r) {
  c.beginPath();
  c.arc(x, y, r, 0, 2 * Math.PI);
}

// options: units(), unit(name), selected(), select(name), label(unit)
export const Marks = CanvasLayer.extend({
  initialize(pane, options) {
    CanvasLayer.prototype.initialize.call(this, pane);
    this.o = options;
    this.groups = [];
    this.ended = 0;
    this.timer = null;
    this.counts = { inView: 0, placed: 0, drawn: 0, lastMs: 0, worstMs: 0 };
  },
  onAdd(map) {
    CanvasLayer.prototype.onAdd.call(this, map);
    map.on("click", this.click, this);
    map.on("mousemove", this.point, this);
  },
  onRemove(map) {
    CanvasLayer.prototype.onRemove.call(this, map);
    map.off("click", this.click, this);
    map.off("mousemove", this.point, this);
  },
  paint(c, view) {
    const begun = performance.now();
    this.colours = Object.fromEntries(["alarm", "moving", "standing", "offline", "edge", "text", "accent", "on-mark"].map((k) => [k, css("--mark-" + k)]));
    this.fonts = [font(12.5, 500), font(12.5, 700), font(12.5, 600)];
    this.trail(c, view);
    this.group(view);
    this.groups.sort((a, b) => a.rank - b.rank);
    for (const g of this.groups) if (g.n > 1) this.cluster(c, g);
    for (const g of this.groups) if (g.n === 1) this.one(c, g);
    this.labels(c, view);
    this.measure(performance.now() - begun);
  },
  later() {
    const wait = this.ended + DRAW_SHARE * this.counts.lastMs - performance.now();
    if (wait <= 0) CanvasLayer.prototype.later.call(this);
    else this.timer ??= setTimeout(() => { this.timer = null; CanvasLayer.prototype.later.call(this); }, wait);
  },
  measure(ms) {
    this.ended = performance.now();

    const n = this.counts;
    n.drawn++;
    n.lastMs = ms;
    n.worstMs = Math.max(n.worstMs, ms);
    this._map.getContainer().dataset.units = n.inView;
  },
  // What is in view, as groups of {n, x, y, rank, state, u (the first one), key}. Thousands are only added up: nothing is made for each.
  group(view) {
    const { scale, left, top, size, zoom } = view, most = { x: size.x + EDGE, y: size.y + EDGE };
    let inView = 0, placed = 0;
    for (const u of this.o.units()) {
      if (u.x === null) continue;
      placed++;
      const x = u.x * scale - left, y = u.y * scale - top;
      if (x > -EDGE && y > -EDGE && x < most.x && y < most.y) inView++;
    }
    this.side = inView > FEW ? CELL : zoom >= 14 ? 0 : CELL_FEW;
    const least = inView > FEW ? 2 : 3, selected = this.o.selected(), cells = new Map(), singles = [];
    for (const u of this.o.units()) {
      if (u.x === null) continue;
      const x = u.x * scale - left, y = u.y * scale - top;
      if (x < -EDGE || y < -EDGE || x > most.x || y > most.y) continue;
      const state = stateOf(u), rank = RANK[state], key = this.keyOf(u, scale), g = cells.get(key);
      if (u.name === selected || this.side === 0) singles.push({ n: 1, x, y, rank, state, u });
      else if (!g) cells.set(key, { n: 1, x, y, rank, state, u, key, more: null });
      else {
        if (g.n < least - 1) (g.more ??= []).push({ n: 1, x, y, rank, state, u });
        g.n++;
        g.x += x;
        g.y += y;
        if (rank > g.rank) [g.rank, g.state] = [rank, state];
      }
    }
    this.groups = singles;
    for (const g of cells.values()) {
      if (g.n >= least || g.n === 1) this.groups.push({ ...g, x: g.x / g.n, y: g.y / g.n });
      else this.apart(g);
    }
    Object.assign(this.counts, { inView, placed });
  },
  // Too few for a number: each for itself.
  apart(g) {
    let { x, y } = g;
    for (const p of g.more) [x, y] = [x - p.x, y - p.y];
    this.groups.push({ n: 1, x, y, rank: RANK[stateOf(g.u)], state: stateOf(g.u), u: g.u }, ...g.more);
  },
  // Cells lie fast on the map, so that moving it regroups nothing.
  keyOf(u, scale) { return Math.floor((u.x * scale) / this.side) * 4194304 + Math.floor((u.y * scale) / this.side); },
  members(g) {
    const scale = 256 * 2 ** this._map.getZoom();
    return g.n === 1 ? [g.u] : [...this.o.units()].filter((u) => u.x !== null && this.keyOf(u, scale) === g.key);
  },
  one(c, { x, y, u, state }) {
    const direction = u.known["position.direction"], edge = this.colours.edge;
    if (u.name === this.o.selected()) this.halo(c, x, y, this.colours.accent);
    if (state === "alarm") this.halo(c, x, y, this.colours.alarm);
    c.lineWidth = 2;
    c.strokeStyle = edge;
    c.fillStyle = this.colours[state];
    if (u.online && u.known["position.speed"] > 3 && typeof direction === "number") arrow(c, x, y, direction);
    else disc(c, x, y, 7);
    c.stroke();
    c.fill();
    if (state !== "offline") return;
    disc(c, x, y, 3);
    c.fillStyle = edge;
    c.fill();
  },
  halo(c, x, y, colour) {
    c.globalAlpha = 0.22;
    c.fillStyle = colour;
    disc(c, x, y, 21);
    c.fill();
    c.globalAlpha = 1;
    c.strokeStyle = colour;
    c.lineWidth = 1.5;
    c.stroke();
  },
  cluster(c, g) {
    const r = 12 + Math.log2(g.n) * 1.5;
    c.globalAlpha = 0.25;
    c.fillStyle = this.colours[g.state];
    disc(c, g.x, g.y, r + 4);
    c.fill();
    c.globalAlpha = 1;
    disc(c, g.x, g.y, r);
    c.fill();
    c.fillStyle = this.colours["on-mark"];
    c.font = this.fonts[2];
    c.textAlign = "center";
    c.fillText(g.n, g.x, g.y + 4);
    c.textAlign = "start";
  },
  // Where there is room, the selected one's and alarms' first.
  labels(c, view) {
    const room = createRoom(), selected = this.o.selected();
    for (const g of this.groups) room.take({ x: g.x - 10, y: g.y - 10, w: 20, h: 20 });
    const singles = this.groups.filter((g) => g.n === 1), first = (g) => (g.u.name === selected ? 9 : g.rank);
    if (singles.length > LABELS_MOST) singles.length = LABELS_MOST;
    for (const g of singles.sort((a, b) => first(b) - first(a))) {
      const u = g.u, bold = u.name === selected, text = this.o.label(u);
      c.font = this.fonts[bold ? 1 : 0];
      const w = c.measureText(text).width;
      if (room.takeFree({ x: g.x + 15, y: g.y - 8, w, h: 16 })) write(c, text, g.x + 17, g.y + 4, this.colours.text, this.colours.edge, 3.5);
      else if (room.takeFree({ x: g.x - 15 - w, y: g.y - 8, w, h: 16 })) write(c, text, g.x - 17 - w, g.y + 4, this.colours.text, this.colours.edge, 3.5);
    }
  },
  trail(c, view) {
    const u = this.o.unit(this.o.selected());
    if (!u || u.trail.length < 4) return;
    const line = () => {
      c.beginPath();
      for (let i = 0; i < u.trail.length; i += 2) c.lineTo(view.x(u.trail[i]), view.y(u.trail[i + 1]));
      c.stroke();
    };
    c.lineJoin = c.lineCap = "round";
    [c.strokeStyle, c.lineWidth] = [this.colours.edge, 7];
    line();
    [c.strokeStyle, c.lineWidth] = [this.colours.accent, 4];
    line();
    c.lineCap = "butt";
  },
  near(at) {
    let best = null, least = Infinity;
    for (const g of this.groups) {
      const d = (g.x - at.x) ** 2 + (g.y - at.y) ** 2;
      if (d < (NEAR + (g.n > 1 ? 4 : 0)) ** 2 && d < least) [best, least] = [g, d];
    }
    return best;
  },
  point(e) { this._map.getContainer().classList.toggle("over-unit", this.near(e.containerPoint) !== null); },
  // A number opens: the map shows what it stands for; where that cannot be told apart, each click selects the next one.
  click(e) {
    const map = this._map, g = this.near(e.containerPoint);
    if (!g) return;
    const all = this.members(g), xs = all.map((u) => u.x), ys = all.map((u) => u.y), [west, east] = [reduce(xs, Math.min), reduce(xs, Math.max)], [north, south] = [reduce(ys, Math.min), reduce(ys, Math.max)];
    if (all.length > 1 && map.getZoom() < ZOOM_IN_MOST && Math.max(east - west, south - north) > 1e-8) {
      map.fitBounds(this.o.bounds(west, north, east, south).pad(0.3), { maxZoom: Math.min(ZOOM_IN_MOST, map.getZoom() + 4), animate: false });
      return;
    }
    const at = all.findIndex((u) => u.name === this.o.selected());
    this.o.select(all[(at + 1) % all.length].name);
  },
});
