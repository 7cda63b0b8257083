// map: Leaflet with the world that comes with the page, or a map service's tiles, and the units above it.
import L from "leaflet";
import { feature } from "topojson-client";
import { css } from "./canvas.js";
import { Marks } from "./marks.js";
import { Places } from "./places.js";
import { t } from "./text.js";

const FIT_MOST = 13, FIT_MOST_TILES = 15; // a unit is seen to move; closer, the map that comes with the page is blank

const load = async (name) => (await fetch(new URL(name, document.baseURI))).json();
const dark = matchMedia("(prefers-color-scheme: dark)");

function addWorld(map, shades) {
  const style = () => ({ color: css("--map-border"), weight: 0.8, fillColor: css("--land"), fillOpacity: 1 });
  const places = new Places("places").addTo(map);
  load("world.json").then((world) => {
    const land = L.geoJSON(feature(world, world.objects.countries), { renderer: L.canvas({ padding: 0.3 }), interactive: false, style }).addTo(map);
    shades.push(() => land.setStyle(style()));
  }).catch(() => {});
  load("places.json").then((names) => places.load(names)).catch(() => {});
  shades.push(() => places.later());
  map.attributionControl.addAttribution("Natural Earth, GeoNames");
}

// The other way round than project().
const degrees = (x, y) => [(Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI, (x - 0.5) * 360];

// A place of the page's own among Leaflet's controls.
function addFit(map, fit) {
  const control = L.control({ position: "topleft" });
  control.onAdd = () => {
    const box = L.DomUtil.create("div", "leaflet-bar"), button = L.DomUtil.create("button", "fit", box);
    button.type = "button";
    button.title = t("fit");
    button.setAttribute("aria-label", t("fit"));
    button.innerHTML = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5" fill="none" stroke="currentColor" stroke-width="2"/></svg>';
    L.DomEvent.disableClickPropagation(box);
    L.DomEvent.on(button, "click", fit);
    return box;
  };
  control.addTo(map);
}

// options: see Marks
export function createMap(element, settings, options) {
  const map = L.map(element, { zoomControl: false, worldCopyJump: false, minZoom: 1, maxZoom: 19, preferCanvas: true, zoomSnap: 0.5, attributionControl: false });
  const shades = [];
  map.attributionControl = L.control.attribution({ prefix: false }).addTo(map);
  L.control.zoom({ zoomInTitle: t("zoom.in"), zoomOutTitle: t("zoom.out") }).addTo(map);
  L.control.scale({ imperial: false }).addTo(map);
  map.setView([30, 10], 2);
  if (settings.tiles) L.tileLayer(settings.tiles, { attribution: settings["tiles.attribution"].replace(/[<>&]/g, ""), referrerPolicy: "strict-origin-when-cross-origin" }).addTo(map);
  else addWorld(map, shades);
  const bounds = (west, north, east, south) => L.latLngBounds(degrees(west, south), degrees(east, north));
  const marks = new Marks("units", { ...options, bounds }).addTo(map);
  const shade = () => { for (const f of shades) f(); marks.later(); };
  dark.addEventListener("change", shade);
  // Until somebody moves the map, all units are in view, also those that come later or drive away.
  let shown = null, moved = false, own = false;
  const ours = (f) => { own = true; f(); own = false; };
  map.on("movestart zoomstart", () => { moved ||= !own; });
  const place = (u) => (u && u.x !== null ? [u.known["position.latitude"], u.known["position.longitude"]] : null);
  const all = () => {
    let west = 1, north = 1, east = 0, south = 0;
    for (const { x, y } of options.units()) if (x !== null) [west, east, north, south] = [Math.min(west, x), Math.max(east, x), Math.min(north, y), Math.max(south, y)];
    return west <= east ? bounds(west, north, east, south) : null;
  };
  const fit = () => {
    const those = all();
    if (those) ours(() => map.fitBounds(those.pad(0.12), { maxZoom: settings.tiles ? FIT_MOST_TILES : FIT_MOST, animate: false }));
    shown = those;
    moved = false;
  };
  const keep = () => {
    const those = moved ? null : all();
    if (those && !shown?.contains(those) && !(shown && map.getBounds().contains(those))) fit();
  };
  const middle = (at, zoom, covered) => map.setView(map.unproject(map.project(at, zoom).add([0, covered / 2]), zoom), zoom, { animate: false });
  addFit(map, fit);
  return {
    counts: marks.counts,
    refresh: () => marks.later(),
    fit,
    keep,
    // `covered`: pixels at the lower edge that something else covers.
    centre: (u, covered) => { if (place(u)) middle(place(u), Math.max(map.getZoom(), settings.tiles ? 14 : FIT_MOST - 1), covered); },
    follow: (u, covered) => { if (place(u)) middle(place(u), map.getZoom(), covered); },
    reveal: (u, covered) => { if (place(u)) map.panInside(place(u), { paddingTopLeft: [60, 60], paddingBottomRight: [60, 60 + covered], animate: false }); },
    // Where a unit is drawn, in pixels of the window.
    where: (u) => {
      const box = element.getBoundingClientRect(), p = place(u) && map.latLngToContainerPoint(place(u));
      return p ? { x: box.left + p.x, y: box.top + p.y } : null;
    },
    resize: () => ours(() => map.invalidateSize({ pan: true, animate: false })),
    remove: () => { dark.removeEventListener("change", shade); map.remove(); },
  };
}
