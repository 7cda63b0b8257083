// places: names of countries and towns, and a grid of degrees where nothing else shows that the map moves.
import { CanvasLayer, createRoom, css, font, write } from "./canvas.js";
import { project } from "./values.js";

const COUNTRIES_UNTIL = 7, GRID_FROM = 8;
// Towns of so many thousand inhabitants, from this zoom on.
const TOWNS = [[4, 3000], [5, 1000], [6, 400], [7, 150], [8, 80], [9, 40], [10, 0]];
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2];

const place = ([name, lat, lon, size]) => { const [x, y] = project(lat, lon); return { name, x, y, size }; };

export const Places = CanvasLayer.extend({
  load(document) {
    this.countries = document.countries.map(place);
    this.towns = document.towns.map(place);
    this.later();
  },
  paint(c, view) {
    if (view.zoom >= GRID_FROM) this.grid(c, view);
    if (!this.towns) return;
    const room = createRoom(), colours = { country: css("--map-country"), town: css("--map-town"), edge: css("--land") };
    if (view.zoom >= 3 && view.zoom < COUNTRIES_UNTIL) this.names(c, view, room, colours);
    this.townNames(c, view, room, colours);
  },
  names(c, view, room, colours) {
    c.font = font(view.zoom < 5 ? 10 : 12, 600);
    c.textAlign = "center";
    for (const p of this.countries) {
      if (p.size * 4 ** view.zoom < 6e4) break;
      const x = view.x(p.x), y = view.y(p.y), text = p.name.toUpperCase(), w = c.measureText(text).width + 12;
      if (x < -w || y < -20 || x > view.size.x + w || y > view.size.y + 20 || !room.takeFree({ x: x - w / 2, y: y - 9, w, h: 18 })) continue;
      write(c, text, x, y + 4, colours.country, colours.edge);
    }
    c.textAlign = "start";
  },
  townNames(c, view, room, colours) {
    const least = TOWNS.findLast(([zoom]) => view.zoom >= zoom)?.[1] ?? Infinity;
    c.font = font(11.5);
    for (const p of this.towns) {
      if (p.size < least) break;
      const x = view.x(p.x), y = view.y(p.y);
      if (x < -100 || y < -10 || x > view.size.x || y > view.size.y + 10) continue;
      const w = c.measureText(p.name).width;
      if (!room.takeFree({ x: x - 4, y: y - 9, w: w + 16, h: 18 })) continue;
      c.fillStyle = colours.town;
      c.beginPath();
      c.arc(x, y, 2, 0, 2 * Math.PI);
      c.fill();
      write(c, p.name, x + 6, y + 4, colours.town, colours.edge);
    }
  },
  grid(c, view) {
    const degree = view.scale / 360, step = STEPS.find((s) => s * degree >= 110) ?? 5;
    const west = (view.left / view.scale - 0.5) * 360, lat = (y) => (Math.atan(Math.sinh(Math.PI * (1 - (2 * (y + view.top)) / view.scale))) * 180) / Math.PI;
    c.strokeStyle = css("--map-grid");
    c.lineWidth = 1;
    c.beginPath();
    for (let lon = Math.ceil(west / step) * step, x; (x = (lon - west) * degree) < view.size.x; lon += step) { c.moveTo(x, 0); c.lineTo(x, view.size.y); }
    for (let l = Math.ceil(lat(view.size.y) / step) * step; l < lat(0); l += step) { const y = view.y(project(l, 0)[1]); c.moveTo(0, y); c.lineTo(view.size.x, y); }
    c.stroke();
  },
});
