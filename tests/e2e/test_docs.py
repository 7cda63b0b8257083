# SPDX-License-Identifier: MIT
"""What README and etc/doc say is so: every block marked `sh` runs, every block marked `console` shows the lines that it quotes, samples of
the configuration are accepted, quoted lines of the log are lines of the program, and the example of a record is what is decoded."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest
from conftest import BUILD, PATIENCE, ROOT, Bridge, Broker, free_port, wait_for

PAGES = [ROOT / "README.md", *sorted((ROOT / "etc/doc").glob("*.md"))]
COMPILING = 900  # seconds; a limit, never a measure
# Commands that go on until Ctrl-C, and what shows that they work.
LASTING = [(re.compile(pattern), shows) for pattern, shows in (
    (r"^\./scripts/run\b", "position"), (r"\btracker2mqtt -c ", "listening on"), (r"\btracker2mqtt-watch\b(?!.* -C)", "connected to"),
    (r"\btracker2mqtt-sim\b(?!.* -r)", ""))]
WHAT_RUNS_THIS = "./scripts/test"
# These pages build: their commands run in a copy of the project, not with the programs of this build.
COPIES = {"building.md", "adding-a-codec.md"}


def blocks(path, language):
    return [m[1] for m in re.finditer(rf"^```{language}\n(.*?)^```$", path.read_text(), re.S | re.M)]


def pages(language):
    return [pytest.param(p, id=p.name) for p in PAGES if blocks(p, language)]


def lasting(command):
    return next((shows for pattern, shows in LASTING if pattern.search(command)), None)


def commands(block):
    """The lines of a block, those that end with a backslash joined, without comments behind them."""
    for line in re.sub(r"\\\n", " ", block).splitlines():
        line = re.sub(r"\s+# .*", "", line)
        if line.strip() and not line.startswith("#"):
            yield line


def pattern_of(line):
    """A quoted line: `…` stands for anything."""
    return re.compile(".*".join(re.escape(part.rstrip()) if not rest else re.escape(part)
                                for part, rest in zip(line.split("…"), [*line.split("…")[1:], ""])))


class World:
    """What a reader has: a shell in a directory, the programs, a broker."""

    def __init__(self, directory, tree, broker_port, copied):
        self.directory, self.tree, self.copied = directory, tree, copied
        self.port = free_port()
        self.replaced = {":8888": f":{self.port}", "/8888": f"/{self.port}"}
        self.terminals = []
        config = directory / ".config"
        config.mkdir()
        for name in ("mosquitto_pub", "mosquitto_sub"):
            (config / name).write_text(f"-h 127.0.0.1\n-p {broker_port}\n")
        self.environment = {
            **os.environ, "HOME": str(directory), "XDG_CONFIG_HOME": str(config), "XDG_STATE_HOME": str(directory / "state"),
            "PATH": f"{tree / 'build' if copied else BUILD}:{os.environ['PATH']}:/usr/sbin",
            "TRACKER2MQTT_MQTT_PORT": str(broker_port), "TRACKER2MQTT_LISTEN_TCP": f"127.0.0.1:{self.port}",
            "TRACKER2MQTT_LISTEN_UDP": f"127.0.0.1:{self.port}", "TRACKER2MQTT_OUTBOX_PATH": str(directory / "outbox"), "LC_ALL": "C.UTF-8"}

    def here(self, text):
        """With the ports of this machine."""
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        return text

    def start(self, command):
        command = self.here(command)
        environment = self.environment
        if command.startswith("./scripts/run"):  # it has a broker and a configuration of its own
            command = str(ROOT) + command[1:]
            environment = {key: value for key, value in environment.items() if not key.startswith("TRACKER2MQTT_")}
        path = self.directory / f"terminal{len(self.terminals)}"
        with open(path, "wb") as out:
            process = subprocess.Popen(["bash", "-ec", command], cwd=self.tree if self.copied else self.directory, env=environment,
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        terminal = {"command": command, "process": process, "path": path, "seen": 0}
        self.terminals.append(terminal)
        return terminal

    def text(self, terminal):
        return terminal["path"].read_text(errors="replace")

    def run(self, command):
        """To its end, which is a good one."""
        terminal = self.start(command)
        try:
            terminal["process"].wait(COMPILING if self.copied else PATIENCE)
        except subprocess.TimeoutExpired:
            pass
        assert terminal["process"].returncode == 0, f"{command}: {self.text(terminal)[-3000:]}"
        return terminal

    def find(self, lines):
        """The lines, in order, in one terminal, below what was seen there before."""
        for terminal in reversed(self.terminals):
            text = self.text(terminal)
            place = terminal["seen"]
            for line in lines:
                found = pattern_of(self.here(line)).search(text, place)
                if not found:
                    break
                place = found.end()
            else:
                terminal["seen"] = place
                return terminal
        return None

    def expect(self, lines):
        def told():
            return "\n".join(f"== {t['command']}\n{self.text(t)[-1500:]}" for t in self.terminals)
        compiles = "scripts/run" in self.terminals[-1]["command"]
        ended = self.terminals[-1]["process"].poll
        try:
            found = wait_for(lambda: self.find(lines) or (compiles and ended() is not None), "the lines", COMPILING if compiles else PATIENCE)
            found = self.find(lines) if found is True else found
            assert found
            return found
        except AssertionError:
            raise AssertionError(f"no terminal shows {lines}:\n{told()}") from None

    def interrupt(self):
        """Ctrl-C, in the newest terminal in which something still runs."""
        terminal = next(t for t in reversed(self.terminals) if t["process"].poll() is None)
        terminal["process"].send_signal(signal.SIGINT)
        terminal["process"].wait(PATIENCE)

    def close(self):
        for terminal in reversed(self.terminals):
            for sig in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(terminal["process"].pid, sig)
                    terminal["process"].wait(PATIENCE if sig == signal.SIGTERM else None)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    pass


@pytest.fixture
def world(tmp_path, broker):
    """A function that makes the world of a page."""
    made = []

    def make(page):
        directory = tmp_path / "reader"
        directory.mkdir()
        tree = ROOT
        if page.name in COPIES:
            tree = tmp_path / "project"
            shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("build", ".git", "__pycache__", ".pytest_cache"))
        w = World(directory, tree, broker.port, page.name in COPIES)
        if page.name == "building.md":  # on a system without cmocka, so that the tests are not built
            (directory / "cmocka.pc").write_text("Name: cmocka\nDescription: none\nVersion: 0\nRequires: nothing-of-this-name\n")
            w.environment["PKG_CONFIG_PATH"] = str(directory)
        made.append(w)
        return w

    yield make
    for w in made:
        w.close()


@pytest.fixture
def fleet(tmp_path, broker):
    """A bridge with the unit that the pages speak of, which reports and answers."""
    directory = tmp_path / "fleet"
    directory.mkdir()
    bridge = Bridge(directory, broker.port)
    bridge.wait_connected()
    unit = subprocess.Popen([BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{bridge.port}", "-n", "1", "-i", "1", "--ident", "9170503816"],
                            stdout=subprocess.DEVNULL)
    wait_for(lambda: "unit 9170503816 on line" in bridge.log(), "the unit")
    yield bridge
    unit.terminate()
    unit.wait(PATIENCE)
    assert bridge.stop() == 0, bridge.log()


def play_console(w, block):
    """What is typed, and behind it the lines that are seen."""
    typed, quoted = None, []
    for line in [*re.sub(r"\\\n", " ", block).splitlines(), None]:
        if line is not None and line != "^C" and not line.startswith("$ "):
            quoted += [line] if line.strip() else []
            continue
        if typed == "^C":
            w.interrupt()
        elif typed is not None:
            w.start(typed) if lasting(typed) is not None or " sleep " in typed else w.run(typed)
        if quoted:
            w.expect(quoted)
        typed, quoted = (None if line is None else line.removeprefix("$ ")), []


DEMO_PORT = re.compile(r"(broker +127\.0\.0\.1:)(\d+)")


@pytest.mark.parametrize("page", pages("console"))
def test_what_is_typed_shows_the_lines_that_the_page_quotes(page, world):
    w = world(page)
    if page.name in COPIES:
        for block in blocks(page, "sh"):
            play_sh(w, block)
    for block in blocks(page, "console"):
        play_console(w, DEMO_PORT.sub(r"\1…", block))
        if DEMO_PORT.search(block):  # the demo chooses its port; the page has that of another day
            shown = DEMO_PORT.search("\n".join(w.text(t) for t in w.terminals))
            w.replaced[f"-p {DEMO_PORT.search(block)[2]} "] = f"-p {shown[2]} "


def play_sh(w, block):
    together = []
    for command in [*commands(block), None]:
        if command is not None and lasting(command) is None and not command.startswith(WHAT_RUNS_THIS):
            together.append(command)
            continue
        if together:
            w.run("\n".join(together))
            together = []
        if command is not None and lasting(command) is not None:
            w.start(command)
            w.expect([lasting(command)])
            w.interrupt()


@pytest.mark.parametrize("page", [p for p in pages("sh") if p.values[0].name not in COPIES])
def test_every_shell_block_runs(page, world, fleet):
    w = world(page)
    for block in blocks(page, "sh"):
        play_sh(w, block)


def test_the_second_command_is_what_runs_this():
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == f"exec {WHAT_RUNS_THIS}"
    help_text = subprocess.run([ROOT / WHAT_RUNS_THIS, "--help"], capture_output=True, text=True, check=True).stdout
    assert "tests/rules tests/e2e" in (ROOT / WHAT_RUNS_THIS).read_text() and "runs every test" in help_text


def test_the_commands_of_readme_reach_the_unit(world, fleet, subscribe):
    """Those of README and commands.md end as the page says: the unit answers."""
    sub = subscribe("trackers/9170503816/cmd/reply")
    w = world(ROOT / "README.md")
    for page in (ROOT / "README.md", ROOT / "etc/doc/commands.md"):
        published = [c for b in blocks(page, "sh") for c in commands(b) if c.startswith("mosquitto_pub")]
        assert len(published) >= 3
        for command in published:
            before = len(sub.now(lambda m: True))
            w.run(command)
            sub.wait(lambda m: m in sub.messages[before:] and m.record["status"] == "answered", command)


@pytest.mark.parametrize("page", pages("ini"))
def test_samples_of_the_configuration_are_accepted(page, tmp_path):
    for number, block in enumerate(blocks(page, "ini")):
        units, ini = tmp_path / f"units{number}.ini", tmp_path / f"{number}.ini"
        is_units = re.match(r"\[\d+\]", block)
        units.write_text(block if is_units else "[9170503816]\n")
        ini.write_text(f"[units]\nfile = {units}\n" if is_units else block.replace("/etc/tracker2mqtt/units.ini", str(units)))
        done = subprocess.run([BUILD / "tracker2mqtt", "-t", "-c", ini], capture_output=True, text=True,
                              env={**os.environ, "TRACKER2MQTT_OUTBOX_PATH": str(tmp_path / "outbox")})
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def formats():
    """The texts of the program: string literals, those that stand side by side joined, cut at what is filled in."""
    out = []
    for path in [*ROOT.glob("bridge/**/*.c"), *ROOT.glob("codecs/**/*.c")]:
        for m in re.finditer(r'"(?:\\.|[^"\\])*"(?:\s+"(?:\\.|[^"\\])*")*', path.read_text()):
            text = "".join(re.findall(r'"((?:\\.|[^"\\])*)"', m[0]))
            for end in [*(colon.end() for colon in re.finditer(": ", text)), len(text)]:  # a quote may end at a colon
                out.append((text[:end], re.split(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z|j)?[a-zA-Z]", text[:end])))
    return out


def is_of(piece, text, parts):
    """Is the piece in the text, or is it a stretch of it with what is filled in?"""
    piece = piece.strip(" :")
    stretches = ([p for p in parts[i:j]] for i in range(len(parts)) for j in range(i + 2, len(parts) + 1))
    return piece in text or any(re.fullmatch(".+?".join(map(re.escape, [s[0].lstrip(" :"), *s[1:-1], s[-1].rstrip(" :")])), piece)
                                for s in stretches if sum(map(len, s)) > 12)


def test_lines_of_the_log_that_readme_quotes_are_lines_of_the_program():
    section = (ROOT / "README.md").read_text().split("## It does not appear")[1].split("\n## ")[0]
    quotes = re.findall(r"^\| `(.+?)` \|", section, re.M)
    assert len(quotes) >= 8
    known = formats()
    for quote in quotes:
        pieces = [p for p in re.split("…", quote) if len(p.strip(" :")) > 8]
        assert pieces, quote
        for piece in pieces:
            assert any(is_of(piece, text, parts) for text, parts in known), f"{quote}: {piece}"


def test_the_record_in_readme_is_what_its_frame_gives():
    text = (ROOT / "README.md").read_text()
    frame = re.search(r"`(\*HQ,9170503816,V1,[^`]*#)`", text)[1]
    (block,) = blocks(ROOT / "README.md", "json")
    quoted = json.loads(block)
    done = subprocess.run([BUILD / "tracker2mqtt-decode"], input=frame + "\n", capture_output=True, text=True, check=True)
    decoded = json.loads(done.stdout)
    of_the_bridge = {"channel.id", "peer", "server.timestamp", "server.seqnum"}
    assert {k: v for k, v in quoted.items() if k not in of_the_bridge} == {k: decoded[k] for k in quoted if k not in of_the_bridge}


def check_docs(tree):
    return subprocess.run([ROOT / "scripts/check-docs", tree], capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    shutil.copy(ROOT / "README.md", tree)
    shutil.copy(ROOT / "LICENSE", tree)
    shutil.copytree(ROOT / "etc/doc", tree / "etc/doc")
    return tree


def test_the_pages_keep_their_rules(copy):
    done = check_docs(copy)
    assert done.returncode == 0 and done.stdout == "", done.stdout


LONG = "This sentence has " + "very " * 26 + "many words."  # 31


@pytest.mark.parametrize("name, text, told", [
    ("README.md", "\n" * 220, "at most 220"),
    ("README.md", LONG, "a sentence of 31 words"),
    ("etc/doc/topics.md", "- " + LONG.replace(" very very", "\n  very very", 1), "a sentence of 31 words"),
    ("etc/doc/topics.md", f"| a | b |\n|---|---|\n| c | {LONG} |", "a sentence of 31 words"),
    ("etc/doc/topics.md", "[nowhere](nowhere.md)", "there is no such file"),
    ("etc/doc/topics.md", "[nowhere](commands.md#nowhere)", "there is no such heading"),
    ("README.md", "[nowhere](#nowhere)", "there is no such heading"),
    ("etc/doc/topics.md", "```bash\nls\n```", "a block of language `bash`"),
    ("etc/doc/topics.md", "```\nls\n```", "a block of language ``"),
    ("etc/doc/new.md", "# A page", "README.md does not lead to this page")])
def test_what_breaks_a_rule_of_the_pages_is_told(copy, name, text, told):
    with open(copy / name, "a") as f:
        f.write(f"\n\n{text}\n")
    done = check_docs(copy)
    assert done.returncode == 1 and told in done.stdout and f"check-docs: {name}:" in done.stdout, done.stdout
    assert len(done.stdout.splitlines()) == 1, done.stdout


def test_a_sentence_of_thirty_words_is_none_too_long(copy):
    with open(copy / "README.md", "a") as f:
        f.write(f"\n{LONG.replace(' very', '', 1)}\n")
    assert check_docs(copy).returncode == 0
