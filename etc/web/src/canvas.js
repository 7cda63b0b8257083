// canvas: a layer of Leaflet that is one canvas as large as the map, drawn anew when the map has moved.
import L from "leaflet";

// The page's own font, as a canvas wants it.
export const font = (pixels, weight = 400) => `${weight} ${pixels}px ${css("--font")}`;

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// What extends it has paint(c, view): view.x and view.y make pixels of a place in Web Mercator (0 to 1).
export const CanvasLayer = L.Layer.extend({
  initialize(pane) { this.pane = pane; },
  onAdd(map) {
    this.canvas = L.DomUtil.create("canvas", "own-canvas leaflet-zoom-hide", map.getPane(this.pane) ?? map.createPane(this.pane));
    map.on("moveend zoomend viewreset resize", this.draw, this);
    this.draw();
  },
  onRemove(map) {
    this.canvas.remove();
    map.off("moveend zoomend viewreset resize", this.draw, this);
  },
  // Asked for often; drawn at most once a frame.
  later() {
    if (!this.due) this.due = requestAnimationFrame(() => { this.due = 0; if (this._map) this.draw(); });
  },
  draw() {
    const map = this._map, size = map.getSize(), ratio = devicePixelRatio || 1, corner = map.containerPointToLayerPoint([0, 0]);
    L.DomUtil.setPosition(this.canvas, corner);
    const wide = Math.round(size.x * ratio), high = Math.round(size.y * ratio);
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
      this.canvas.style.width = size.x + "px";
      this.canvas.style.height = size.y + "px";
    }
    const c = this.canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, size.x, size.y);
    const scale = 256 * 2 ** map.getZoom(), origin = map.getPixelOrigin().add(corner);
    this.paint(c, { size, scale, zoom: map.getZoom(), left: origin.x, top: origin.y, x: (x) => x * scale - origin.x, y: (y) => y * scale - origin.y });
  },
});

// Places on the canvas that are taken: a text is written only where none is yet.
export function createRoom() {
  const taken = new Map(), SIDE = 128;
  const cells = (a) => {
    const keys = [];
    for (let i = Math.floor(a.x / SIDE); i <= Math.floor((a.x + a.w) / SIDE); i++)
      for (let j = Math.floor(a.y / SIDE); j <= Math.floor((a.y + a.h) / SIDE); j++) keys.push(i * 4096 + j);
    return keys;
  };
  const meet = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
  const take = (a) => { for (const k of cells(a)) taken.has(k) ? taken.get(k).push(a) : taken.set(k, [a]); };
  return { take, takeFree: (a) => { if (cells(a).some((k) => taken.get(k)?.some((b) => meet(a, b)))) return false; take(a); return true; } };
}

export function write(c, text, x, y, colour, edge, width = 3) {
  c.lineJoin = "round";
  c.lineWidth = width;
  c.strokeStyle = edge;
  c.strokeText(text, x, y);
  c.fillStyle = colour;
  c.fillText(text, x, y);
}
