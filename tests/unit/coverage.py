#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Which lines of the bridge's and the codecs' libraries the unit tests run, by folder.

usage: tests/unit/coverage.py BUILD_DIRECTORY [SOURCE_FILE...]

The build is one with gcc --coverage in which the unit tests have run (scripts/test --coverage does both). With source files, the lines
of theirs that no test runs are listed. Ends with 1 when the rooms between the wire and the outbox together are below the limit.
"""

import collections
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("bridge/units", "bridge/commands", "bridge/peers", "bridge/outputs")
LEAST = 60  # percent of the lines of ROOMS together


def lines_of(build):
    """{source file: {line: how often it ran}}; inline functions count once, wherever they are used."""
    found = collections.defaultdict(dict)
    notes = [str(note) for library in ("bridge", "codecs") for note in sorted(build.glob(f"CMakeFiles/{library}.dir/**/*.gcno"))]
    if not notes:
        sys.exit(f"{build} has no objects with gcc --coverage; scripts/test --coverage builds them")
    out = subprocess.run(["gcov", "--json-format", "--stdout", *notes], capture_output=True, text=True, check=True).stdout
    for text in out.splitlines():
        report = json.loads(text)
        for file in report["files"]:
            path = pathlib.Path(report["current_working_directory"], file["file"]).resolve()
            if not path.is_relative_to(ROOT) or not path.exists():
                continue
            lines = found[str(path.relative_to(ROOT))]
            for line in file["lines"]:
                number = line["line_number"]
                lines[number] = max(lines.get(number, 0), line["count"])
    return found


def percent(lines):
    return 100 * sum(count > 0 for count in lines) / max(len(lines), 1)


def show(name, lines):
    print(f"{percent(lines):5.1f} %  {sum(count > 0 for count in lines):5} of {len(lines):5} lines  {name}")


def show_missing(name, lines):
    text = (ROOT / name).read_text().splitlines()
    for number, count in sorted(lines.items()):
        if count == 0:
            print(f"{name}:{number}: {text[number - 1]}")


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    found = lines_of(pathlib.Path(sys.argv[1]).resolve())
    folders = collections.defaultdict(list)
    for name, lines in found.items():
        folders[str(pathlib.Path(name).parent)] += lines.values()
    for folder in sorted(folders):
        show(folder, folders[folder])
    for name in sys.argv[2:]:
        show(name, found[name].values())
        show_missing(name, found[name])
    rooms = [count for folder in ROOMS for count in folders[folder]]
    show(" + ".join(room.split("/")[1] for room in ROOMS), rooms)
    if percent(rooms) < LEAST:
        sys.exit(f"coverage: the unit tests run {percent(rooms):.1f} % of these rooms; at least {LEAST} % are wanted")


main()
