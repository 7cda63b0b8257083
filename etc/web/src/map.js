// map: Leaflet with the world that comes with the page, and one canvas for all units.
import L from "leaflet";
import { feature } from "topojson-client";

const CELL = 48; // pixels of a cluster's cell
const CLUSTER_FROM = 400; // units in view
const SIZE = 9;
const FIT_MOST = 9; // the map that comes with the page is blank below this

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function arrow(c, x, y, direction, moving) {
  c.beginPath();
  if (moving && direction !== null) {
    const a = (direction * Math.PI) / 180, s = SIZE * 1.25;
    for (const [turn, far] of [[0, 1.3], [2.5, 1], [Math.PI, 0.4], [-2.5, 1]]) c.lineTo(x + Math.sin(a + turn) * s * far, y - Math.cos(a + turn) * s * far);
    c.closePath();
  } else {
    c.arc(x, y, SIZE * 0.7, 0, 2 * Math.PI);
  }
  c.fill();
  c.stroke();
}

const Units = L.Layer.extend({
  initialize(options) { this.o = options; this.shown = []; },
  onAdd(map) {
    this.canvas = L.DomUtil.create("canvas", "units-canvas leaflet-zoom-hide", map.getPane("units") ?? map.createPane("units"));
    map.on("moveend zoomend viewreset resize", this.draw, this);
    map.on("click", this.click, this);
    this.draw();
  },
  onRemove(map) {
    this.canvas.remove();
    map.off("moveend zoomend viewreset resize", this.draw, this);
    map.off("click", this.click, this);
  },
  // Asked for often; drawn at most once a frame.
  later() {
    if (!this.due) this.due = requestAnimationFrame(() => { this.due = 0; this.draw(); });
  },
  draw() {
    const map = this._map, size = map.getSize(), ratio = devicePixelRatio || 1, corner = map.containerPointToLayerPoint([0, 0]);
    L.DomUtil.setPosition(this.canvas, corner);
    if (this.canvas.width !== size.x * ratio || this.canvas.height !== size.y * ratio) {
      this.canvas.width = size.x * ratio;
      this.canvas.height = size.y * ratio;
      this.canvas.style.width = size.x + "px";
      this.canvas.style.height = size.y + "px";
    }
    const c = this.canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, size.x, size.y);
    this.shown = [];
    const scale = 256 * 2 ** map.getZoom(), origin = map.getPixelOrigin().add(corner);
    for (const u of this.o.units()) {
      const lat = u.known["position.latitude"], lon = u.known["position.longitude"];
      if (typeof lat !== "number" || typeof lon !== "number") continue;
      const s = Math.sin((Math.max(-85, Math.min(85, lat)) * Math.PI) / 180);
      const x = scale * (lon / 360 + 0.5) - origin.x, y = scale * (0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)) - origin.y;
      if (x > -20 && y > -20 && x < size.x + 20 && y < size.y + 20) this.shown.push({ u, x, y });
    }
    const colours = { online: css("--online"), moving: css("--moving"), offline: css("--offline"), alarm: css("--alarm"), edge: css("--panel"), text: css("--text"), trail: css("--accent") };
    this.trail(c, colours, scale, origin);
    c.lineWidth = 1.5;
    c.strokeStyle = colours.edge;
    if (this.shown.length > CLUSTER_FROM && map.getZoom() < 14) this.clusters(c, colours);
    else for (const p of this.shown) this.one(c, colours, p);
    this.canvas.dataset.units = this.shown.length;
    map.getContainer().dataset.units = this.shown.length;
  },
  one(c, colours, { u, x, y }) {
    const moving = u.known["position.speed"] > 3 && u.online;
    c.fillStyle = u.alarms.size ? colours.alarm : !u.online ? colours.offline : moving ? colours.moving : colours.online;
    const direction = u.known["position.direction"];
    arrow(c, x, y, typeof direction === "number" ? direction : null, moving);
    if (u.name === this.o.selected() || this.shown.length <= 60) {
      c.font = (u.name === this.o.selected() ? "bold " : "") + "12px system-ui, sans-serif";
      c.lineWidth = 3;
      c.fillStyle = colours.text;
      c.strokeText(this.o.label(u), x + SIZE + 5, y + 4);
      c.fillText(this.o.label(u), x + SIZE + 5, y + 4);
      c.lineWidth = 1.5;
    }
  },
  clusters(c, colours) {
    const cells = new Map();
    for (const p of this.shown) {
      const key = Math.floor(p.x / CELL) + ":" + Math.floor(p.y / CELL), cell = cells.get(key);
      if (cell) cell.push(p);
      else cells.set(key, [p]);
    }
    c.textAlign = "center";
    for (const cell of cells.values()) {
      if (cell.length === 1) { this.one(c, colours, cell[0]); continue; }
      const x = (Math.floor(cell[0].x / CELL) + 0.5) * CELL, y = (Math.floor(cell[0].y / CELL) + 0.5) * CELL;
      c.beginPath();
      c.arc(x, y, Math.min(CELL / 2 - 1, 11 + Math.log2(cell.length) * 1.6), 0, 2 * Math.PI);
      c.fillStyle = cell.some((p) => p.u.alarms.size) ? colours.alarm : cell.some((p) => p.u.online) ? colours.online : colours.offline;
      c.fill();
      c.stroke();
      c.fillStyle = "#fff";
      c.font = "bold 12px system-ui, sans-serif";
      c.fillText(cell.length, x, y + 4);
    }
    c.textAlign = "start";
  },
  trail(c, colours, scale, origin) {
    const u = this.o.unit(this.o.selected());
    if (!u || u.trail.length < 2) return;
    c.beginPath();
    for (const [lat, lon] of u.trail) {
      const s = Math.sin((lat * Math.PI) / 180);
      c.lineTo(scale * (lon / 360 + 0.5) - origin.x, scale * (0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)) - origin.y);
    }
    c.strokeStyle = colours.trail;
    c.lineWidth = 3;
    c.stroke();
  },
  click(e) {
    const at = e.containerPoint;
    let best = null, least = 20 ** 2;
    for (const p of this.shown) {
      const d = (p.x - at.x) ** 2 + (p.y - at.y) ** 2;
      if (d < least) [best, least] = [p.u, d];
    }
    if (best) this.o.select(best.name);
  },
});

export function createMap(element, settings, options) {
  const map = L.map(element, { zoomControl: true, worldCopyJump: false, minZoom: 1, maxZoom: 19, preferCanvas: true, attributionControl: !!settings.tiles });
  map.setView([30, 10], 2);
  L.control.scale({ imperial: false }).addTo(map);
  if (settings.tiles) {
    map.attributionControl.setPrefix(false);
    L.tileLayer(settings.tiles, { attribution: settings["tiles.attribution"].replace(/[<>&]/g, ""), referrerPolicy: "strict-origin-when-cross-origin" }).addTo(map);
  } else {
    fetch(new URL("world.json", document.baseURI)).then((r) => r.json()).then((world) => {
      L.geoJSON(feature(world, world.objects.countries), {
        renderer: L.canvas({ padding: 0.3 }), interactive: false,
        style: () => ({ color: css("--border"), weight: 0.7, fillColor: css("--land"), fillOpacity: 1 }),
      }).addTo(map);
    }).catch(() => {});
  }
  const layer = new Units(options).addTo(map);
  let fitted = false;
  return {
    refresh: () => layer.later(),
    fit: () => {
      const places = [...options.units()].map((u) => [u.known["position.latitude"], u.known["position.longitude"]]).filter((p) => typeof p[0] === "number" && typeof p[1] === "number");
      if (places.length) map.fitBounds(L.latLngBounds(places).pad(0.2), { maxZoom: settings.tiles ? 15 : FIT_MOST, animate: false });
      fitted = places.length > 0;
    },
    fitted: () => fitted,
    centre: (u) => { const lat = u.known["position.latitude"]; if (typeof lat === "number") map.setView([lat, u.known["position.longitude"]], Math.max(map.getZoom(), settings.tiles ? 14 : FIT_MOST), { animate: false }); },
    follow: (u) => { const lat = u?.known["position.latitude"]; if (typeof lat === "number") map.panTo([lat, u.known["position.longitude"]], { animate: false }); },
    resize: () => map.invalidateSize(),
    remove: () => map.remove(),
  };
}
