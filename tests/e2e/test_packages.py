# SPDX-License-Identifier: MIT
"""The packages that the scripts ask for: an installation starts no service; cmake builds with the build list alone, whatever the
release calls its libraries."""

import os
import pathlib
import shutil
import subprocess

import pytest
from conftest import ROOT

POLICY = pathlib.Path("/usr/sbin/policy-rc.d")

INSTALL = r"""
mount --bind {sbin} /usr/sbin
{before}
export PATH={bin}:$PATH DPKG_ADMINDIR={dpkg}
{scripts}/packages install test >/dev/null 2>{errors} &
pid=$!
for _ in $(seq 600); do [ -e {asked} ] && break; sleep 0.1; done
echo "during: $(/usr/sbin/policy-rc.d mosquitto start >/dev/null 2>&1; echo $?)"
{during}
touch {go}
wait $pid
echo "code: $?"
echo "after: $(cat /usr/sbin/policy-rc.d 2>/dev/null)"
"""


@pytest.fixture
def install(tmp_path):
    """Runs scripts/packages with a /usr/sbin of its own, and in place of apt-get and systemctl what writes down how it was called."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("mounts need root")
    names = {name: tmp_path / name for name in ("sbin", "bin", "dpkg", "errors", "asked", "go", "calls")}
    shutil.copytree("/usr/sbin", names["sbin"], symlinks=True)
    (names["sbin"] / POLICY.name).unlink(missing_ok=True)
    names["bin"].mkdir()
    names["dpkg"].mkdir()
    for program in ("apt-get", "systemctl"):
        path = names["bin"] / program
        path.write_text(f'#!/bin/sh\necho {program} "$@" >>{names["calls"]}\n' + (
            f'case " $* " in *" install "*) touch {names["asked"]}; while [ ! -e {names["go"]} ]; do sleep 0.05; done ;; esac\n'
            if program == "apt-get" else ""))
        path.chmod(0o755)

    def run(before="", during=""):
        script = INSTALL.format(scripts=ROOT / "scripts", before=before, during=during, **names)
        result = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True, timeout=120)
        return result.stdout, names["calls"].read_text().splitlines()

    return run


def test_no_service_starts_during_an_installation_or_at_boot(install):
    out, calls = install()
    assert out == "during: 101\ncode: 0\nafter: \n", "Debian asks the policy before it starts a service; 101 is no"
    assert [c for c in calls if c.startswith("systemctl")] == [
        f"systemctl disable {name}" for name in ("mosquitto", "haproxy", "nginx", "fail2ban", "prometheus")]


def test_a_policy_that_is_there_stays(install):
    out, _ = install(before="printf '#!/bin/sh\\nexit 104\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d")
    assert out == "during: 104\ncode: 0\nafter: #!/bin/sh\nexit 104\n"


def test_the_policy_goes_when_the_installation_is_interrupted(install):
    out, _ = install(during="kill -TERM $pid; pkill -TERM -P $pid")
    assert out == "during: 101\ncode: 130\nafter: \n"


def test_what_an_interrupted_one_has_left_is_removed(install):
    out, _ = install(before=f"sed -n 's/^mark=\"\\(.*\\)\"/# \\1\\nexit 101/p' {ROOT}/scripts/packages >/usr/sbin/policy-rc.d; "
                     "chmod 755 /usr/sbin/policy-rc.d; test -s /usr/sbin/policy-rc.d || exit")
    assert out == "during: 101\ncode: 0\nafter: \n"


def configure(tmp_path, hidden, *options):
    """cmake where pkg-config knows all but some packages."""
    directory = tmp_path / "pkgconfig"
    directory.mkdir()
    known = subprocess.run(["pkg-config", "--variable", "pc_path", "pkg-config"], capture_output=True, text=True, check=True).stdout
    for folder in map(pathlib.Path, known.strip().split(":")):
        for path in folder.glob("*.pc") if folder.is_dir() else ():
            if not path.name.startswith(hidden) and not (directory / path.name).exists():
                (directory / path.name).symlink_to(path)
    return subprocess.run(["cmake", "-S", ROOT, "-B", tmp_path / "build", *options], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PKG_CONFIG_LIBDIR": str(directory)})


def test_without_cmocka_there_are_no_tests_and_it_says_so(tmp_path):
    result = configure(tmp_path, "cmocka")
    assert result.returncode == 0, result.stderr
    assert "no tests: cmocka is missing (Debian: libcmocka-dev)" in result.stdout
    targets = subprocess.run(["cmake", "--build", tmp_path / "build", "--target", "help"], capture_output=True, text=True, check=True).stdout
    assert "tracker2mqtt-sim" in targets and "test_golden" not in targets


def test_who_wants_tests_is_told_that_cmocka_is_missing(tmp_path):
    result = configure(tmp_path, "cmocka", "-DT2M_TESTS=ON")
    assert result.returncode != 0 and "cmocka" in result.stdout + result.stderr


def test_msgpack_is_found_without_its_pc_file(tmp_path):
    """Debian 13's says includedir=include; other releases call it otherwise."""
    result = configure(tmp_path, "msgpack")
    assert result.returncode == 0, result.stderr
    subprocess.run(["cmake", "--build", tmp_path / "build", "--target", "codecs"], check=True, capture_output=True, timeout=300)


def test_the_lists():
    def names(which):
        return subprocess.run([ROOT / "scripts/packages", "list", which], capture_output=True, text=True, check=True).stdout.split()

    assert set(names("build")) < set(names("run")) < set(names("test")) and set(names("build")) < set(names("package")) < set(names("test"))
    assert set(names("demo")) == set(names("run")) | set(names("web")), "the demo has a page"
    assert not {"nodejs", "npm"} & set(names("run")), "who wants no page need not install npm"
    assert not [name for name in names("test") if name.startswith("libclang-rt-1")], "a version that only one release has"
    assert len(names("test")) == len(set(names("test")))


@pytest.mark.parametrize("which", ["build", "run", "web", "demo", "package", "test"])
def test_packages_may_be_missing_where_their_programs_are_not(which, tmp_path):
    """Programs from elsewhere serve as well; what is missing is named all the same."""
    result = subprocess.run([ROOT / "scripts/packages", "check", which], capture_output=True, text=True,
                            env={**os.environ, "DPKG_ADMINDIR": str(tmp_path)})
    assert result.returncode == 0, result.stderr
    assert "missing: " in result.stderr and "sudo apt-get install" in result.stderr


@pytest.mark.parametrize("which, program", [("build", "cmake"), ("run", "mosquitto"), ("demo", "mosquitto"), ("package", "lintian")])
def test_without_a_program_it_cannot_go_on(which, program, tmp_path):
    """A PATH with all programs but one."""
    for folder in map(pathlib.Path, ("/usr/bin", "/usr/sbin", "/bin")):
        for path in folder.iterdir():
            if path.name != program and not (tmp_path / "bin" / path.name).is_symlink():
                (tmp_path / "bin").mkdir(exist_ok=True)
                (tmp_path / "bin" / path.name).symlink_to(path)
    script = (ROOT / "scripts/packages").read_text().replace("PATH=$PATH:/usr/sbin ", "")
    assert "/usr/sbin" not in script.split("check()")[1].split("esac")[1]
    (tmp_path / "packages").write_text(script)
    result = subprocess.run(["/bin/sh", tmp_path / "packages", "check", which], capture_output=True, text=True,
                            env={"PATH": str(tmp_path / "bin"), "DPKG_ADMINDIR": str(tmp_path)})
    assert result.returncode == 1 and "missing: " in result.stderr
