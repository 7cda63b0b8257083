# SPDX-License-Identifier: MIT
"""scripts/check-license tells each source file without its license, and writes it so that nothing else changes."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = {
    "CMakeLists.txt": ("project(a)\n", "# SPDX-License-Identifier: MIT\nproject(a)\n"),
    "bridge/a.c": ("/* a: see a.h. */\n", "// SPDX-License-Identifier: MIT\n/* a: see a.h. */\n"),
    "scripts/run": ("#!/bin/bash\n# What.\n# usage: run\nsed -n '2,3s/^# \\{0,1\\}//p' \"$0\"\n",
                    "#!/bin/bash\n# SPDX-License-Identifier: MIT\n# What.\n# usage: run\nsed -n '3,4s/^# \\{0,1\\}//p' \"$0\"\n"),
    "tests/a.py": ('"""What."""\n', '# SPDX-License-Identifier: MIT\n"""What."""\n'),
    "tests/b.py": ('#!/usr/bin/python3\n"""What."""\n', '#!/usr/bin/python3\n# SPDX-License-Identifier: MIT\n"""What."""\n'),
}


def check(tree, *arguments):
    return subprocess.run([ROOT / "scripts/check-license", *arguments, tree], capture_output=True, text=True)


@pytest.fixture
def tree(tmp_path):
    for name, (before, _) in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(before)
    (tmp_path / "tests/a.json").write_text("{}")
    return tmp_path


def test_each_file_without_a_license_is_told(tree):
    done = check(tree)
    assert done.returncode == 1
    assert sorted(line.split(":")[1].strip() for line in done.stdout.splitlines()) == sorted(FILES)


def test_fix_writes_it_once_and_nothing_else(tree):
    assert check(tree, "--fix").returncode == 0
    for _ in range(2):
        assert {name: (tree / name).read_text() for name in FILES} == {name: after for name, (_, after) in FILES.items()}
        done = check(tree)
        assert (done.returncode, done.stdout) == (0, "")
        assert check(tree, "--fix").returncode == 0
    assert (tree / "tests/a.json").read_text() == "{}"


@pytest.mark.parametrize("line", ["// SPDX-License-Identifier: GPL-3.0", "// SPDX-License-Identifier: MIT-0", "\n\n// SPDX-License-Identifier: MIT"])
def test_another_license_or_one_further_below_is_none(tree, line):
    assert check(tree, "--fix").returncode == 0
    (tree / "bridge/a.c").write_text(f"{line}\n/* a: see a.h. */\n")
    assert check(tree).stdout.count("\n") == 1 and "bridge/a.c:1:" in check(tree).stdout


@pytest.mark.parametrize("script", ["run", "test", "package", "packages"])
def test_help_is_the_same_with_the_license(tmp_path, script):
    """What --help prints is a comment of the script, found by the numbers of its lines."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "CMakeLists.txt").write_text("")
    path = tmp_path / "scripts" / script
    path.write_text((ROOT / "scripts" / script).read_text())
    path.chmod(0o755)

    def printed():
        return subprocess.run([path, "--help"], capture_output=True, text=True, check=True).stdout

    before = printed()
    assert check(tmp_path, "--fix").returncode == 0
    assert printed() == before and f"scripts/{script}" in before
