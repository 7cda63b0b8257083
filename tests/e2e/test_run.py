# SPDX-License-Identifier: MIT
"""scripts/run: it ends whole, however it is ended; the demo touches nobody else's broker; what is wrong is said before anything
starts. The processes are found by a mark in their environment, which every descendant inherits."""

import itertools
import json
import math
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time
import urllib.request
import uuid

import pytest
from conftest import ROOT, Broker, Unit, free_port, v1, wait_for

ROUNDS = int(os.environ.get("T2M_CTRL_C_ROUNDS", 3))
COMPILING = 600  # seconds; a limit, never a measure: the first run compiles


def marked(mark):
    """The processes that still live: pid and command line."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes():
                found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            pass
    return found


POSITION = "  position  50."


class Run:
    """The script in a terminal of its own."""

    def __init__(self, *args, root=ROOT, path=None, prefix=(), interrupt=signal.SIG_DFL, **environment):
        self.mark = f"T2M_MARK={uuid.uuid4()}"
        environment = {**os.environ, "PATH": path or os.environ["PATH"] + ":/usr/sbin", **environment}
        environment["NO_COLOR"] = "1"
        environment["T2M_MARK"] = self.mark.split("=")[1]
        command = [*map(str, prefix), str(root / "scripts/run"), *map(str, args)]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, interrupt)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it, as nohup does
            os.execvpe(command[0], command, environment)
        settings = termios.tcgetattr(self.terminal)
        settings[1] &= ~termios.OPOST
        termios.tcsetattr(self.terminal, termios.TCSANOW, settings)
        self.data, self.code = b"", None
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        while True:
            try:
                piece = os.read(self.terminal, 65536)
            except OSError:
                piece = b""
            if not piece:
                return
            self.data += piece

    @property
    def text(self):
        return self.data.decode(errors="replace")

    def until(self, part, patience=COMPILING):
        wait_for(lambda: part in self.text or self.ended(), part, patience)
        assert part in self.text, self.text[-3000:]

    def ended(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def ctrl_c(self):
        os.write(self.terminal, b"\x03")

    def wait(self, patience=60):
        """Its exit code; nothing of it may be left."""
        try:
            wait_for(self.ended, f"the end; of it live {marked(self.mark)}; {self.text[-1000:]}", patience)
            assert marked(self.mark) == {}
            self.reader.join(30)
            return self.code
        finally:
            for pid in marked(self.mark):
                os.kill(pid, signal.SIGKILL)

    def close(self):
        for pid in marked(self.mark):
            os.kill(pid, signal.SIGKILL)
        wait_for(self.ended, "the script")
        self.reader.join()
        os.close(self.terminal)


@pytest.fixture
def run():
    made = []

    def make(*args, **kw):
        made.append(Run(*args, **kw))
        return made[-1]

    yield make
    for r in made:
        r.close()


def demos():
    return list((ROOT / "build/run").glob("demo.*"))


def test_ctrl_c_ends_the_demo(run):
    before = demos()
    for n in range(ROUNDS):
        demo = run("--demo", "--no-install", "--port", free_port())
        demo.until(POSITION)
        page = re.search(r"^  page        (\S+)", demo.text, re.M)[1]
        if (ROOT / "build/page/web/index.html").exists():
            with urllib.request.urlopen(page, timeout=10) as answer:
                assert b"<title>tracker2mqtt" in answer.read()
        else:
            assert page == "none:", "it is said that there is no page"
        names = " ".join(marked(demo.mark).values())
        assert all(name in names for name in ("mosquitto -c", "tracker2mqtt-watch", "tracker2mqtt -c", "tracker2mqtt-sim"))
        demo.ctrl_c()
        assert demo.wait() == 0, demo.text[-1000:]
        assert "bridge      off line" in demo.text, "the watch ends behind the bridge"
        assert demo.text.rstrip().endswith("scripts/run: all has stopped")
    assert demos() == before, "its outbox goes with it"


def test_the_demo_shows_a_record_in_full_a_command_to_try_and_sums(run):
    demo = run("--demo", "--no-install", "--port", free_port(), "--for", "10")
    assert demo.wait(COMPILING) == 0, demo.text[-1000:]
    text = demo.text
    assert re.search(r"compiled in \d+ s; ", text)
    online = text.index("9170000001  on line   h02 over tcp from 127.0.0.1:")
    assert online < text.index("-t trackers/9170000001/cmd \\\n      -m '{\"command\":\"position.request\"}'") < text.index(POSITION)
    whole = re.search(r"on the topic trackers/9170000001/position:\n\n(    \{\n.*?\n    \}\n)", text, re.S)[1]
    record = json.loads(whole)
    assert record["ident"] == "9170000001" and whole.count("\n") == len(record) + 2, "a key a line"
    assert text.count("This is what a program gets") == text.count("Try a command") == 1
    sent = re.search(r"sent +(\d+) reports of 3 units\n +acknowledged +(\d+) .*\n +received +(\d+) .*\n +lost +0\n", text)
    assert sent and int(sent[1]) >= int(sent[2]) == int(sent[3]) >= 1, text[-1000:]


def test_the_demos_units_are_apart(run):
    """A map shows each of them, and no number in place of three."""
    demo = run("--demo", "--no-install", "--port", free_port())
    for ident in ("9170000001", "9170000002", "860009170000003"):
        demo.until(f"{ident}{POSITION}")
    demo.ctrl_c()
    assert demo.wait() == 0, demo.text[-1000:]
    places = {ident: (float(lat), float(lon)) for ident, lat, lon in re.findall(r"(\d{10,15})  position  (-?[\d.]+) (-?[\d.]+) ", demo.text)}
    assert len(places) == 3
    for a, b in itertools.combinations(places.values(), 2):
        assert math.hypot(a[0] - b[0], a[1] - b[1]) > 0.01, places


def test_a_report_that_does_not_arrive_is_told_as_lost(tmp_path):
    """What counts them is taken out of the script, and given what the programs write."""
    script = (ROOT / "scripts/run").read_text()
    function = re.search(r"^tell_sums\(\) \{\n.*?^\}\n", script, re.S | re.M)[0]
    (tmp_path / "sim.0").write_text("units 1 made 2 sent 3 acknowledged 2 pending 0 dropped 0\n")
    (tmp_path / "sim.1").write_text("units 1 made 2 sent 2 acknowledged 1 pending 1 dropped 0\n")
    (tmp_path / "sent.0").write_text("1 100\n1 101\n")
    (tmp_path / "sent.1").write_text("2 100\n")
    (tmp_path / "received").write_text("1 101\n1 101\n1 100\n1 555\n")
    out = subprocess.run(["bash", "-c", f"set -eu; run={tmp_path}; {function} tell_sums"], capture_output=True, text=True, check=True).stdout
    assert out.split("\n")[1:5] == ["  sent          4 reports of 2 units", "  acknowledged  3 by the bridge, which had stored them",
                                    "  received      2 of these from the broker, as positions", "  lost          1"]


@pytest.mark.parametrize("how", ["twice", "ignored by the caller", "SIGTERM", "SIGHUP", "terminal"])
def test_other_ends(run, how):
    interrupt = signal.SIG_IGN if how == "ignored by the caller" else signal.SIG_DFL
    demo = run("--demo", "--no-install", "--port", free_port(), interrupt=interrupt)
    demo.until(POSITION)
    if interrupt == signal.SIG_IGN:
        demo.ctrl_c()
    elif how == "twice":
        demo.ctrl_c()
        time.sleep(0.05)
        demo.ctrl_c()
    elif how == "terminal":  # what a window does that is closed: its side of the terminal goes away
        os.kill(demo.pid, signal.SIGSTOP)  # so that the reader is idle meanwhile
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, demo.terminal)
        os.close(null)
        os.kill(demo.pid, signal.SIGCONT)
    else:
        os.kill(demo.pid, getattr(signal, how))
    assert demo.wait() == 0
    if how != "terminal":
        assert "all has stopped" in demo.text


@pytest.fixture
def fresh_tree(tmp_path):
    """The files of the project, without anything built."""
    tree = tmp_path / "tree"
    names = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in names.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    return tree


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ended_while_it_compiles(run, fresh_tree, how):
    r = run("--demo", "--no-install", root=fresh_tree)
    log = fresh_tree / "build/run/build.log"
    wait_for(lambda: log.exists() and b"Building C object" in log.read_bytes(), "the compiler", COMPILING)
    r.ctrl_c() if how == signal.SIGINT else os.kill(r.pid, how)
    assert r.wait() == 130, "what has not run is no success"
    assert "all has stopped" in r.text and "Ctrl-C" not in r.text


@pytest.mark.parametrize("args, page", [(("--demo",), True), ((), False)])
def test_ended_while_it_installs(run, tmp_path, args, page):
    """apt-get is a program of ours that waits; nothing is installed. What the page needs is for the demo alone."""
    (tmp_path / "dpkg").mkdir()
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho asked for packages >&2\nexec sleep 600\n")
    apt.chmod(0o755)
    (tmp_path / "sudo").write_text('#!/bin/sh\ncase "$1" in apt-get | env) exec "$@" ;; esac\n')
    (tmp_path / "sudo").chmod(0o755)
    policy = pathlib.Path("/usr/sbin/policy-rc.d")
    before = policy.read_bytes() if policy.exists() else None
    r = run(*args, path=f"{tmp_path}:{os.environ['PATH']}", DPKG_ADMINDIR=str(tmp_path / "dpkg"))
    r.until("asked for packages")
    assert "installing" in r.text and ("ca-certificates" in r.text) == page, "npm itself counts as there when another one is"
    r.ctrl_c()
    assert r.wait() == 130 and "all has stopped" in r.text
    assert (policy.read_bytes() if policy.exists() else None) == before


def test_ended_while_it_waits_for_the_broker(run):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        r = run("--no-install", "--broker", f"127.0.0.1:{silent.getsockname()[1]}", "--port", free_port())
        silent.settimeout(COMPILING)
        silent.accept()
        r.ctrl_c()
        assert r.wait() == 130 and "all has stopped" in r.text


BESIDE = r"""
import fcntl, os, signal, socket, struct, subprocess, sys, time
with socket.socket() as s:  # a network of its own: only lo, and it must be switched on
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 1))
broker = subprocess.Popen(["mosquitto", "-p", "1883"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while True:
    try:
        socket.create_connection(("127.0.0.1", 1883), 1).close()
        break
    except OSError:
        time.sleep(0.1)
code = subprocess.run(sys.argv[1:]).returncode
kept = subprocess.run(["mosquitto_sub", "-t", "#", "-F", "%t", "--retained-only", "-W", "2"], capture_output=True, text=True)
print("kept by the broker on 1883:", kept.stdout.split(), flush=True)
broker.terminate()
broker.wait()
sys.exit(code)
"""


def in_a_network_of_its_own(tmp_path):
    script = tmp_path / "beside.py"
    script.write_text("import signal\nsignal.signal(signal.SIGINT, lambda *a: None)\n" + BESIDE)
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0:
        pytest.skip("no network namespaces for this user")
    return ["unshare", "-n", "/usr/bin/python3", str(script)]


def test_the_demo_leaves_the_broker_on_1883_alone(run, tmp_path):
    demo = run("--demo", "--no-install", prefix=in_a_network_of_its_own(tmp_path))
    demo.until(POSITION)
    assert "127.0.0.1:1883" not in demo.text
    ini = next(p for p in demos() if (p / "tracker2mqtt.ini").exists())
    assert f"path = build/run/{ini.name}/outbox" in (ini / "tracker2mqtt.ini").read_text()
    demo.ctrl_c()
    assert demo.wait() == 0
    assert "kept by the broker on 1883: []" in demo.text


def test_without_demo_the_broker_on_1883_is_used(run, tmp_path):
    r = run("--no-install", "--port", free_port(), prefix=in_a_network_of_its_own(tmp_path))
    r.until("127.0.0.1:1883, topics trackers/#")
    r.until("bridge      on line")
    r.ctrl_c()
    assert r.wait() == 0


@pytest.fixture
def guarded(tmp_path):
    directory = tmp_path / "guarded"
    directory.mkdir()
    passwords = directory / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "bridge", "a secret; of two words"], check=True, capture_output=True)
    passwords.chmod(0o644)
    b = Broker(directory, f"password_file {passwords}\n")
    b.stop()
    b.config.write_text(b.config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    b.start()
    yield b
    b.stop()


def test_a_broker_that_refuses_is_said_at_once(run, guarded):
    for user in ((), ("--user", "bridge"), ("--user", "nobody")):
        r = run("--no-install", "--broker", f"127.0.0.1:{guarded.port}", "--port", free_port(), *user)
        assert r.wait(COMPILING) == 2
        assert "refuses: " in r.text and "ot authorized" in r.text and "--user" in r.text
        assert "stop   " not in r.text, "no banner"
    nowhere = run("--no-install", "--broker", f"127.0.0.1:{free_port()}", "--port", free_port())
    assert nowhere.wait(COMPILING) == 2 and "Connection refused" in nowhere.text


def test_a_broker_with_a_password(run, guarded, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret; of two words\nanother line\n")
    port = free_port()
    r = run("--no-install", "--broker", f"127.0.0.1:{guarded.port}", "--port", port, "--user", "bridge",
            "--password-file", os.path.relpath(secret))
    r.until("bridge      on line")
    unit = Unit(port)
    unit.send(v1("9170503816"))
    r.until(f"mosquitto_pub -h 127.0.0.1 -p {guarded.port} -u bridge -P ... -t trackers/9170503816/cmd")
    unit.close()
    assert not [line for line in marked(r.mark).values() if "two words" in line], "no password in the list of processes"
    assert "two words" not in r.text
    r.ctrl_c()
    assert r.wait() == 0
    kept = [path for path in (ROOT / "build/run").rglob("*") if path.is_file() and b"two words" in path.read_bytes()]
    assert not kept


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::"])
def test_an_occupied_port_is_said_before_anything_else(run, kind, address):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as taken:
        taken.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        r = run("--demo", "--no-install", "--port", port)
        assert r.wait(COMPILING) == 2
        assert f"port {port} is taken by another program" in r.text and len(r.text.splitlines()) == 1


@pytest.mark.parametrize("args, part", [
    (("--port", "70000"), "1 to 65535"), (("--port", "http"), "1 to 65535"), (("--broker", "somewhere"), "HOST:PORT"),
    (("--demo", "--broker", "127.0.0.1:1"), "a broker of its own"), (("--demo", "--user", "a"), "a broker of its own"),
    (("--password-file", "/dev/null"), "--user"), (("--user", "a", "--password-file", "/nowhere"), "/nowhere"),
    (("--for", "soon"), "number of seconds"), (("--colour",), "--help")])
def test_usage(run, args, part):
    r = run(*args)
    assert r.wait() == 1 and part in r.text


@pytest.mark.parametrize("script", ["run", "package", "test"])
def test_without_installing_it_lists_what_is_missing(script, tmp_path):
    """A package database that is empty, and every program but cmake."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for directory in ("/usr/bin", "/bin"):
        for path in pathlib.Path(directory).iterdir():
            if path.name != "cmake" and not (programs / path.name).exists():
                (programs / path.name).symlink_to(path)
    (tmp_path / "dpkg").mkdir()
    result = subprocess.run([ROOT / "scripts" / script, "--no-install"], capture_output=True, text=True, timeout=60,
                            env={**os.environ, "PATH": str(programs), "DPKG_ADMINDIR": str(tmp_path / "dpkg")})
    missing = result.stderr.split("missing: ")[1].splitlines()[0].split()
    assert result.returncode == 1 and "command not found" not in result.stderr
    assert {"cmake", "gcc", "libev-dev", "libmosquitto-dev"} < set(missing)
    assert ("mosquitto" in missing) == (script != "package")
    assert "apt-get install" in result.stderr


def test_no_example_is_dangerous():
    """What newcomers copy asks for something; it changes nothing that they cannot undo by waiting."""
    texts = [ROOT / name for name in ("README.md", "scripts/run", "etc/tracker2mqtt.8", "etc/tracker2mqtt.ini.5")]
    examples = [line for path in texts for line in path.read_text().replace("\\\n", " ").splitlines() if re.search(r"mosquitto_pub .*cmd", line)]
    assert len(examples) >= 3
    for line in examples:
        payload = re.search(r"-m '?(\S.*?)'?$", line.replace("\\-", "-").replace("\\(aq", "'"))[1]
        name = json.loads(payload)["command"] if payload[0] == "{" else payload
        assert name in ("position.request", "report.interval") or name.startswith("D1,"), line
