#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Proves that the golden vectors see errors: plants one after the other in the tables of the codecs and demands that
test_golden fails for each.

usage: mutate.py [--list] [--jobs N] [PATTERN]
  --list    print the errors, do not try them
  --jobs N  so many at a time (as many as there are processors)
  PATTERN   only those whose line holds this text

Works on a copy of the tree, on the protocols of codecs/codecs.c. An error is an edit of one file, which is compiled
alone (without optimisation) and linked to the rest. The errors of PLANTED are written out; all others follow from the rows in the source, wherever they stand:
  X(bit, TM_FIELD)                 fields of neighbours swapped
  {..., TM_FIELD, ...}             the same, and each number and kind changed
  set(..., TM_FIELD, ...)          the same, in any call
  {key, function, ANSWER, ...}     keys changed, functions and answers of neighbours swapped
  {number, number, ...}            each number changed
  case NUMBER:                     the number changed
  FIELD(NAME, "key", ...)          keys of neighbours swapped, decimals changed
Exit code 0: each was caught. 1: one was not, an edit did not apply, or a codec has too few rows."""

import argparse
import collections
import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
CC = ["gcc", "-std=c11", "-w", "-O0", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64"]
TESTS = ["tests/unit/harness.c", "tests/unit/test_golden.c"]
LEAST_ROWS = {"h02": 100, "jt808": 100}  # found by the patterns; of any other codec: 1
PATIENCE = 120  # seconds for one run; a limit, never a measure

# name, pattern, replacement: the pattern is found once in codecs/
PLANTED = [
    ("analog inputs swapped", r"TM_ANALOG_0(.*\n.*)TM_ANALOG_1", r"TM_ANALOG_1\1TM_ANALOG_0"),
    ("item 06 unsigned", r"(\{0x06, .*)KIND_SIGNED", r"\1KIND_NUMBER"),
    ("JT/T 808 alarm bits 18 and 19 swapped", r"18(, TM_DRIVING_TIME_ALARM.*\n.*)19(, TM_PARKING)", r"19\g<1>18\2"),
    ("H02 state bits 21 and 22 swapped", r"22(, TM_GPS_ANTENNA_SHORT.*\n.*)21(, TM_GPS_ANT)", r"21\g<1>22\2"),
    ("temperature times ten", r"(TM_TEMPERATURE, .*), 1, 1\)", r"\1, 10, 1)"),
    ("speed times 0.99", r"(TM_SPEED, .*)1852, 1000", r"\g<1>1833, 1000"),
    ("SOS moved", r"X\(1, TM_SOS_ALARM\)", "X(5, TM_SOS_ALARM)"),
]

# Changes that are no errors, by a pattern that their lines match, and why.
HARMLESS = {
    r": 0 is 1 in \{0, 0, 10, 20, 60, 80, 100\}": "battery code 0 is left out before the table is asked",
    r": 1800 is 1801 in": "rounds alike: counts times 1852 is even",
    r": 1 is 2 in \{0x30, 1, 0, 1, KIND_CSQ": "a signal strength has no factor",
    r"KIND_SIGNED in \{0x\w+, \d, \d, 1, ": "the sign is that of two bytes",
    r"KIND_SIGNED in .*, (0x7fff|600)\}": "larger numbers, which would have a sign, are left out",
    r": 1 is 2 in .*KIND_ZERO": "a boolean has no factor",
    r": 0 is 1 in .*KIND_(DIGITS|IMSI|CELL|POSITION)": "what is no number has no factor",
    r'decimals of "(battery.voltage|custom.temperature|custom.fuel)"': "texts are scaled by the table: the same number",
}

Edit = collections.namedtuple("Edit", "name file text row")  # row: where, to count rows


def fail(text):
    sys.exit(f"mutate.py: {text}")


# --- the errors ---


def planted(sources):
    for name, pattern, replacement in PLANTED:
        found = [(f, m) for f, text in sources.items() for m in re.finditer(pattern, text)]
        if len(found) != 1:
            fail(f"'{name}' is to apply to one place in codecs/, not to {len(found)}: adapt its pattern in PLANTED")
        file, m = found[0]
        yield Edit(f"{name} (planted)", file, sources[file][:m.start()] + m.expand(replacement) +
                   sources[file][m.end():], None)


def replaced(text, *changes):
    """The text with each (span, new) applied."""
    for (start, end), new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def swaps(file, text, found, what):
    """found: matches whose group 1 is what neighbours swap."""
    for a, b in itertools.pairwise(found):
        if a.group(1) != b.group(1):
            line = line_of(text, a.start())
            yield Edit(f"{file}:{line}: {what}: {a.group(1)} and {b.group(1)} swapped", file,
                       replaced(text, (a.span(1), b.group(1)), (b.span(1), a.group(1))), (file, line))


def changed_numbers(file, text, start, end):
    for n in re.finditer(r"(?<![\w.\[])(0x[0-9a-fA-F]+|\d+)(?![\w.\]])", text[start:end]):
        span = (start + n.start(), start + n.end())
        old = n.group()
        new = f"0x{int(old, 16) + 1:x}" if old.startswith("0x") else str(int(old) + 1)
        line = line_of(text, span[0])
        row = " ".join(text[start:end].split())
        yield Edit(f"{file}:{line}: {old} is {new} in {row}", file, replaced(text, (span, new)), (file, line))


def flag_rows(file, text):
    for block in re.finditer(r"(?:.*\bX\(\d+, TM_\w+\).*\n)+", text):
        rows = list(re.compile(r"X\(\d+, (TM_\w+)\)").finditer(text, *block.span()))
        yield from swaps(file, text, rows, "flags")


def table_rows(file, text):
    rows = list(re.finditer(r"^\t+\{[^{}\n]*\b(TM_\w+)\b[^{}\n]*\},", text, re.M))
    yield from swaps(file, text, rows, "table")
    kinds = sorted({k.group() for r in rows for k in re.finditer(r"\bKIND_\w+", r.group())})
    for r in rows:
        yield from changed_numbers(file, text, *r.span())
        for k in re.finditer(r"\bKIND_\w+", r.group()):
            other = kinds[(kinds.index(k.group()) + 1) % len(kinds)]
            span, line = (r.start() + k.start(), r.start() + k.end()), line_of(text, r.start())
            yield Edit(f"{file}:{line}: {other} in {r.group().strip()}", file, replaced(text, (span, other)),
                       (file, line))


def calls(file, text):
    found = list(re.finditer(r"\b\w*(?:set|put|join|take)\w*\(\s*[^;{}()]*?\b(TM_\w+)\b(?:[^;{}]|\n)*?;", text))
    yield from swaps(file, text, found, "calls")
    for c in found:
        yield from changed_numbers(file, text, c.end(1), c.end())


def keyed_rows(file, text):
    rows = list(re.finditer(r'^\t\{("[A-Z0-9]+"|0x[0-9a-f]{4}), ([a-z]\w+|NULL), ([A-Z]\w+_ANSWER_\w+)', text, re.M))
    for r in rows:
        key = r.group(1)
        new = f"0x{int(key, 16) ^ 0x5000:04x}" if key.startswith("0x") else key[:-1] + 'x"'
        line = line_of(text, r.start())
        yield Edit(f"{file}:{line}: {key} is {new}: {r.group(2)}", file, replaced(text, (r.span(1), new)), (file, line))
    for column in (2, 3):
        cells = [re.compile(r"(\w+)").match(text, r.start(column)) for r in rows]
        yield from swaps(file, text, cells, "messages")


def case_labels(file, text):
    for c in re.finditer(r"\bcase (\d+):", text):
        line, new = line_of(text, c.start()), str(int(c.group(1)) + 1000)
        yield Edit(f"{file}:{line}: case {new} for {c.group(1)}", file, replaced(text, (c.span(1), new)), (file, line))


def number_tables(file, text):
    for t in re.finditer(r"static const (?:u?int\w+|struct \w+) [^;]*?=\s*\{?[^;A-Z\"]*;", text):
        for row in re.finditer(r"\{([\d, x]+)\}", t.group()):
            yield from changed_numbers(file, text, t.start() + row.start(), t.start() + row.end())


def protocols():
    """The lines X(name) of codecs/codecs.c."""
    table = re.search(r"#define PROTOCOLS\(X\)(.*?[^\\])\n", (ROOT / "codecs/codecs.c").read_text(), re.S)
    return re.findall(r"\bX\((\w+)\)", table.group(1))


def is_used(path):
    """Of the program: not of a codec that is in no line of codecs/codecs.c, as the template."""
    folder = path.relative_to(ROOT / "codecs").parts[0]
    own = ROOT / f"codecs/{folder}/{folder}.c"
    return folder in protocols() or not own.exists() or f"const struct codec codec_{folder} " not in own.read_text()


def vector_files():
    """From the root: those of tests/, and those that a codec's folder brings along."""
    brought = (ROOT / f"codecs/{name}/{name}.jsonl" for name in protocols())
    paths = [*sorted(ROOT.glob("tests/vectors/*.jsonl")), *(p for p in brought if p.exists())]
    return [str(p.relative_to(ROOT)) for p in paths]


def keys_of_vectors():
    rows = (json.loads(line) for file in vector_files() for line in (ROOT / file).read_text().splitlines())
    return {key for row in rows for record in row["records"] for key in record}


def parameter_rows(file, text):
    """Not those that the bridge sets: they are in no vector."""
    shown = keys_of_vectors()
    rows = [r for r in re.finditer(r'^FIELD\(\w+, ("([^"]+)"), (\w+), (\d)', text, re.M) if r.group(2) in shown]
    for pair in zip(rows[::2], rows[1::2]):
        yield from swaps(file, text, pair, "parameters")
    for r in rows:
        if r.group(3) == "INTEGER":
            line, new = line_of(text, r.start()), str(int(r.group(4)) + 1)
            yield Edit(f"{file}:{line}: {new} decimals of {r.group(1)}", file, replaced(text, (r.span(4), new)), None)


def errors(sources):
    """Of the codecs and of what they share; the formats are shown by tests of their own."""
    yield from planted(sources)
    for file, text in sources.items():
        if file.endswith("_fields.h"):
            yield from parameter_rows(file, text)
        if file.endswith(".c") and "/formats/" not in file:
            for kind in (flag_rows, table_rows, calls, keyed_rows, number_tables, case_labels):
                yield from kind(file, text)


def without_harmless(edits):
    for pattern in HARMLESS:
        if not any(re.search(pattern, e.name) for e in edits):
            fail(f"HARMLESS has '{pattern}', which no line of --list matches any more: remove or adapt it")
    return [e for e in edits if not any(re.search(pattern, e.name) for pattern in HARMLESS)]


# --- trying them ---


class Tree:
    """The copy, its objects, and what they are linked with."""

    def __init__(self, top, sources):
        self.top = top
        for folder in ("codecs", "bridge", "tests/unit", "tests/vectors"):
            shutil.copytree(ROOT / folder, top / folder)
        names = ",".join(f'"{file}"' for file in vector_files())
        self.defines = [f"-DVECTOR_FILES={names}", f'-DSOURCE_DIR="{top}"']
        packages = ["libcjson", "cmocka", "libsodium", self.msgpack()]
        self.flags, self.libraries = (subprocess.check_output(["pkg-config", what, *packages], text=True).split()
                                      for what in ("--cflags", "--libs"))
        self.sources = [*TESTS, *(file for file in sources if file.endswith(".c"))]

    def msgpack(self):
        """Its name differs from release to release."""
        return "msgpack-c" if self.run(["pkg-config", "--exists", "msgpack-c"])[0] == 0 else "msgpack"

    @staticmethod
    def run(command):
        """Exit code and output."""
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
            return done.returncode, done.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired:
            return None, f"no end after {PATIENCE} s"

    def object_of(self, file):
        return str(self.top / "objects" / (file.replace("/", "+") + ".o"))

    def compile(self, file, out, overlay=None):
        before = ["-I", overlay] if overlay else []
        path = pathlib.Path(overlay or self.top) / file
        path = path if path.exists() else self.top / file
        return self.run([*CC, *before, "-I", self.top, "-I", self.top / "tests/unit", *self.defines, *self.flags,
                         "-c", path, "-o", out])

    def test(self, objects, program):
        code, said = self.run(["gcc", "-o", program, *objects, *self.libraries, "-lm"])
        if code != 0:
            return "does not link", said
        code, said = self.run([program, "test_whole*"])
        return {0: "passes", None: "does not end"}.get(code, "fails"), said

    def defining(self, symbol):
        """The file of the bridge with this function."""
        for path in sorted(self.top.glob("bridge/**/*.c")):
            if re.search(rf"^(?!static)\w[\w *]*\b{symbol}\(", path.read_text(), re.M):
                return str(path.relative_to(self.top))
        fail(f"the harness needs {symbol}, which no file of bridge/ defines")

    def prepare(self, jobs):
        """Compiles everything once, and what the harness needs of the bridge; the test must pass."""
        (self.top / "objects").mkdir()
        todo, result = self.sources, ""
        while result != "passes":
            with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
                for file, (code, said) in zip(todo, pool.map(lambda f: self.compile(f, self.object_of(f)), todo)):
                    if code != 0:
                        fail(f"{file} of the copy does not compile: {said}")
            result, said = self.test([self.object_of(f) for f in self.sources], str(self.top / "golden"))
            todo = sorted({self.defining(s) for s in re.findall(r"undefined reference to `(\w+)'", said)})
            if result != "passes" and not todo:
                fail(f"without an error planted, test_golden {result}: {said}")
            self.sources = self.sources + todo

    def try_edit(self, edit):
        """'fails' when test_golden notices the error."""
        with tempfile.TemporaryDirectory(dir=self.top) as overlay:
            path = pathlib.Path(overlay) / edit.file
            path.parent.mkdir(parents=True)
            path.write_text(edit.text)
            # keys and decimals are in the object of the table alone: the enum stays the same
            file = edit.file if edit.file.endswith(".c") else edit.file.replace("_fields.h", ".c")
            if self.compile(file, overlay + "/edit.o", overlay)[0] != 0:
                return "does not compile"
            objects = [overlay + "/edit.o" if f == file else self.object_of(f) for f in self.sources]
            return self.test(objects, overlay + "/golden")[0]


def check_rows(edits):
    """Each codec has a folder of its name; the patterns must find its rows."""
    for codec in protocols():
        own = [e.row for e in edits if e.row and f"/{codec}/" in e.row[0]]
        print(f"{codec}: {len(own)} errors in {len(set(own))} rows")
        if len(set(own)) < LEAST_ROWS.get(codec, 1):
            fail(f"fewer than {LEAST_ROWS.get(codec, 1)} rows of {codec} are found: adapt the patterns")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--list", action="store_true")
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("pattern", nargs="?", default="")
    args = options.parse_args()
    sources = {str(p.relative_to(ROOT)): p.read_text() for p in sorted(ROOT.glob("codecs/**/*.[ch]")) if is_used(p)}
    edits = without_harmless(list(errors(sources)))
    check_rows(edits)
    edits = [e for e in edits if args.pattern in e.name]
    if args.list:
        print(*(e.name for e in edits), sep="\n")
        return 0
    missed = 0
    with tempfile.TemporaryDirectory() as top:
        tree = Tree(pathlib.Path(top), sources)
        tree.prepare(args.jobs)
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for edit, result in zip(edits, pool.map(tree.try_edit, edits)):
                caught = result == "fails"
                missed += not caught
                print(f"{'caught' if caught else 'NOT CAUGHT'}: {edit.name}" + (f" ({result})" if not caught else ""),
                      flush=True)
    print(f"{len(edits)} errors, {missed} not caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
