# SPDX-License-Identifier: MIT
"""codecs/template, to copy from: it is built with the program's flags, and a copy under another name is a protocol of the program."""

import filecmp
import json
import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT

NAME = "acme"
VECTORS = ROOT / "codecs/template/template.jsonl"


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def files(tree):
    return {str(p.relative_to(tree)) for top in ("bridge", "codecs", "tests", "scripts", "etc") for p in (tree / top).rglob("*")
            if p.is_file() and "__pycache__" not in p.parts} | {"CMakeLists.txt"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the project in which the template was added as one more protocol."""
    tree = tmp_path_factory.mktemp("project") / "copy"
    ignore = shutil.ignore_patterns("build", ".git", "__pycache__", ".pytest_cache")
    shutil.copytree(ROOT, tree, ignore=ignore)
    shutil.copytree(tree / "codecs/template", tree / "codecs" / NAME)
    for path in (tree / "codecs" / NAME).iterdir():
        path.write_text(path.read_text().replace("template", NAME))
        path.rename(path.with_name(path.name.replace("template", NAME)))
    table = tree / "codecs/codecs.c"
    text = table.read_text()
    assert text.count("\n\tX(h02) ") == 1
    table.write_text(text.replace("\n\tX(h02) ", f"\n\tX({NAME}) \\\n\tX(h02) "))
    return tree


def test_a_protocol_is_its_folder_and_one_line(tree):
    before, after = files(ROOT), files(tree)
    assert before <= after and all(name.startswith(f"codecs/{NAME}/") for name in after - before)
    changed = [name for name in before if not filecmp.cmp(ROOT / name, tree / name, shallow=False)]
    assert changed == ["codecs/codecs.c"]
    old, new = (t.joinpath("codecs/codecs.c").read_text().splitlines() for t in (ROOT, tree))
    assert len(new) == len(old) + 1 and [line for line in new if NAME not in line] == old


def test_the_copy_is_built_and_passes_the_golden_tests(tree):
    environment = f"CC={os.environ.get('CC', 'gcc')}"
    run("env", environment, "cmake", "-S", ".", "-B", "build", "-DT2M_WERROR=ON", "-DT2M_TESTS=ON", "-DCMAKE_BUILD_TYPE=Debug", cwd=tree)
    run("cmake", "--build", "build", "-j2", "--target", "test_golden", "test_commands", "tracker2mqtt", "tracker2mqtt-decode", cwd=tree)
    run("ctest", "--test-dir", "build", "--output-on-failure", "-R", "^(golden|commands)$", cwd=tree)
    rows = [json.loads(line) for line in VECTORS.read_text().splitlines()]
    for row in rows:
        done = subprocess.run([tree / "build/tracker2mqtt-decode", "--format", "json"], input=row["hex"], capture_output=True,
                              text=True, cwd=tree)
        got = [json.loads(line) for line in done.stdout.splitlines()]
        assert [{**record, "protocol.id": NAME} for record in row["records"]] == [{**record, "protocol.id": NAME} for record in got]
        assert done.returncode == (1 if "error" in row else 0), f"{row['name']}: {done.stderr}"
    explained = subprocess.run([tree / "build/tracker2mqtt-decode", "--explain"], input=rows[0]["hex"], capture_output=True, text=True, cwd=tree)
    lines = [line.split() for line in explained.stdout.splitlines()]
    assert lines[0][1:] == [f"{NAME},", "61", "bytes:", "ok"] and not any("unknown" in line for line in lines), explained.stdout
    for line in ("3-12 9170000001 ident 9170000001", "14 P message.type P", "16-27 261121060800 timestamp 1795241280 s, 2026-11-21T06:08:00Z",
                 "31-40 50.0755000 position.latitude 50.0755 deg", "53-54 37 position.speed 37 km/h"):
        assert line.split() in lines, explained.stdout
    commands = run(tree / "build/tracker2mqtt", "--print-commands", cwd=tree)
    assert f"\n{NAME}: " in "\n" + commands and "position.request" in commands.split(f"{NAME}: ")[1].split("\nh02: ")[0]


@pytest.mark.parametrize("value,allowed", [("r12", True), ("positions", True), ("off", True), ("loud", False)])
def test_a_key_of_the_units_file_that_two_protocols_have(tree, tmp_path, value, allowed):
    """`ack` is an option per unit of the copy and of H02, with other words: what one of them allows is allowed."""
    program = tree / "build/tracker2mqtt"
    assert program.exists(), "the test before builds it"
    (tmp_path / "units.ini").write_text(f"[9170503816]\nack = {value}\n[9170503817]\nack = {value}\nack = {value}\n")
    (tmp_path / "a.ini").write_text(f"[units]\nfile = {tmp_path}/units.ini\n[outbox]\npath = {tmp_path}/outbox\n")
    done = subprocess.run([program, "-t", "-c", tmp_path / "a.ini"], capture_output=True, text=True)
    lines = [line.split(":", 2)[1:] for line in done.stderr.splitlines() if line.startswith(f"{tmp_path}/units.ini:")]
    refused = [" ack = loud is not allowed; allowed: all or positions; auto, v4, r12 or off"]
    want = [] if allowed else [["2", *refused], ["4", *refused]]
    assert lines == [*want, ["5", " ack is set twice for this unit"]], done.stderr
    help_text = subprocess.run([program, "--help"], capture_output=True, text=True).stdout
    keys = re.search(r"name, id, type, topic, ([a-z_, ]*); empty: none", help_text)[1].split(", ")
    assert {"ack", "timezone"} <= set(keys) and len(keys) == len(set(keys)), "each key is named once"
