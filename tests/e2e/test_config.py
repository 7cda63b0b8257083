# SPDX-License-Identifier: MIT
"""The configuration: every fault gets its line with file, line, what is wrong and what is allowed; the printed
sample is complete, equals the defaults and the file in etc/; the environment overrides."""

import os
import pathlib
import re
import resource
import shutil
import subprocess
import tempfile

import pytest
from conftest import BUILD, PATIENCE, ROOT, free_port, stop, wait_for

PROGRAM = BUILD / "tracker2mqtt"


def check(path, **environment):
    return subprocess.run([PROGRAM, "-t", "-c", path], capture_output=True, text=True, timeout=30,
                          env={**os.environ, **environment})


@pytest.mark.parametrize("text, words", [
    ('[mqtt]\nhost = "localhost"\n', ":2: host = \"localhost\" is not allowed; allowed: the value without quotation marks: host = localhost"),
    ("[publish]\nprefix = 'trackers'\n", ":2: prefix = 'trackers' is not allowed; allowed: the value without quotation marks: prefix = trackers"),
    ("[mqtt]\nhost = broker:1883\n", ":2: host = broker:1883 is not allowed; allowed: a name or address alone; write host = broker and, in a line"),
    ("[mqtt]\nhost = [::1]:1883\n", "write host = ::1, and the port as port = NUMBER"),
    ("[mqtt]\nhost = mqtt://broker\n", "write host = broker, the port as port = NUMBER"),
    ("[mqtt]\nhost = mqtts://broker:8883/x\n", "write host = broker, the port as port = NUMBER, and tls = yes"),
    ("[mqtt]\nhost = mqtts://me:pass:w@rd@broker.example:8883\n", "host = mqtts://(hidden)@broker.example:8883 is not allowed; allowed: a name or "
     "address alone; write host = broker.example, the port as port = NUMBER, the login as username and password_file, and tls = yes"),
    ('[mqtt]\nhost = "mqtt://me:w@rd@broker"\n', "write host = broker, the port"),
    ("[mqtt]\nhost = mqtt://me:w@rd@broker # mine\n", "(hidden)@broker"),
    ("[mqtt]\nhost = me:w@rd@broker\n", "host = (hidden)@broker is not allowed; allowed: a name or address alone; write host = broker,"),
    ("[mqtt]\nhost = one two\n", "allowed: one name or address alone"),
    ("[mqtt]\nport = 1883 # plain\n", ":2: port = 1883 # plain is not allowed: a comment behind a value begins with a blank and ;"),
    ("[mqtt]\nhost = localhost # mine\n", ":2: host = localhost # mine is not allowed: a comment"),
    ("[commands]\nallow = position.request, engine.stopp\n", "no protocol has a command engine.stopp; did you mean engine.stop?"),
    ("[commands]\nallow = restrat\n", "no protocol has a command restrat; did you mean restart?"),
    ("[units]\nunknown = reject\n", "no unit can connect; add a section [IDENT]"),
    ("[units]\nunknown = reject\nfile = {empty}\n", "no unit stands in {empty}: no unit can connect"),
])
def test_slips_of_a_new_user(tmp_path, text, words):
    ini, empty = tmp_path / "slip.ini", tmp_path / "units.ini"
    empty.write_text("; none yet\n")
    ini.write_text(text.replace("{empty}", str(empty)))
    done = check(ini)
    assert done.returncode == 1 and words.replace("{empty}", str(empty)) in done.stderr, done.stderr
    assert "w@rd" not in done.stderr


@pytest.mark.parametrize("text", [
    "[mqtt]\nhost = localhost ; mine\n", "[mqtt]\nhost = ::1\n", "[mqtt]\nport = 1883 ; plain\n", "[commands]\nallow = engine.stop,D1,WHERE,restart\n",
    '[mqtt]\nusername = me\npassword = "a # b"\n', "[units]\nunknown = accept\n"])
def test_what_is_no_slip(tmp_path, text):
    ini = tmp_path / "right.ini"
    ini.write_text(text)
    assert check(ini).returncode == 0, check(ini).stderr


def test_slips_in_the_environment(tmp_path):
    ini = tmp_path / "right.ini"
    ini.write_text("")
    done = check(ini, TRACKER2MQTT_MQTT_HOST="mqtt://broker")
    assert done.returncode == 1 and "TRACKER2MQTT_MQTT_HOST" in done.stderr and "a name or address alone" in done.stderr


def test_ten_faults_give_ten_lines(tmp_path):
    ini = tmp_path / "bad.ini"
    ini.write_bytes(
        b"key = outside\n"                      # 1
        b"[listen]\n"
        b"tcp = nowhere\n"                      # 3
        b"idle_timeout = 5\n"                   # 4 a duration needs a unit
        b"first_frame_timeout = 0s\n"           # 5
        b"[mqtt]\n"
        b"port = 70000\n"                       # 7
        b"colour = blue\n"                      # 8
        b"keepalive = 60s\n"
        b"keepalive = 50s\n"                    # 10
        b" host = indented\n"                   # 11
        b"username = " + b"x" * 300 + b"\n"     # 12
        b"[publish]\n"
        b"format = xml\n"                       # 14
        b"this is nothing\n"                    # 15
        b"retain = maybe\n"                     # 16
        b"prefix = a/+/b\n"                     # 17
        b"instance = a b\n"                     # 18
        b"[nothing]\n"
        b"a = 1\n"                              # 20
        b"[log\n"                               # 21
        b"[mqtt]\n"
        b"password = a ;b\n"                    # 23
        b"client_id = a\0b\n"                   # 24
    )
    result = check(ini)
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith(f"{ini}:")]
    faults = {int(line[len(str(ini)) + 1:].split(":")[0]): line for line in lines}
    assert sorted(faults) == [1, 3, 4, 5, 7, 8, 10, 11, 12, 14, 15, 16, 17, 18, 20, 21, 23, 24], result.stderr
    assert len(lines) == len(faults)
    for line, part in {1: "section", 3: "address:port", 4: "ms s m h d", 5: "1s", 7: "1 to 65535", 8: "allowed: host",
                       10: "line 9", 11: "blank", 12: "198", 14: "json or msgpack", 15: "key = value",
                       16: "yes or no", 17: "without + and #", 18: "letters, digits", 20: "[listen]", 21: "]",
                       23: "password_file", 24: "NUL"}.items():
        assert part in faults[line], faults[line]
    assert "18 faults" in result.stderr


HOMELESS = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_STATE_HOME")}


def test_sample_loads_and_equals_etc(tmp_path):
    printed = subprocess.run([PROGRAM, "--print-config"], capture_output=True, text=True, check=True, env=HOMELESS).stdout
    assert printed == (ROOT / "etc/tracker2mqtt.ini").read_text()
    assert check(ROOT / "etc/tracker2mqtt.ini", TRACKER2MQTT_OUTBOX_PATH=str(tmp_path / "outbox")).returncode == 0


def test_faults_outside_of_lines(tmp_path):
    ini = tmp_path / "a.ini"
    ini.write_text("[listen]\ntcp =\nudp =\n")
    assert "at least one address" in check(ini).stderr
    ini.write_text("[mqtt]\npassword = x\n")
    assert "needs a username" in check(ini).stderr
    ini.write_text("[mqtt]\nusername = u\npassword_file = /nonexistent/file\n")
    assert "/nonexistent/file cannot be read: No such file" in check(ini).stderr
    assert check(tmp_path / "missing.ini").returncode == 1


def test_environment(tmp_path):
    ini = tmp_path / "a.ini"
    ini.write_text("[mqtt]\nport = 1884\n")
    assert check(ini, TRACKER2MQTT_MQTT_PORT="1885").returncode == 0
    bad = check(ini, TRACKER2MQTT_MQTT_PORT="99999")
    assert bad.returncode == 1 and "environment:TRACKER2MQTT_MQTT_PORT" in bad.stderr and "65535" in bad.stderr
    assert check(ini, TRACKER2MQTT_MQTT_COLOUR="red").returncode == 1
    assert check(ini, TRACKER2MQTT_PORT_8888_TCP="tcp://1").returncode == 0


def test_an_option_under_its_old_name(tmp_path):
    """It is read, and a line says the new name; a wrong value is told under the name that was given."""
    ini, variable = tmp_path / "a.ini", "TRACKER2MQTT_JT808_MAX_PACKETS"
    head = f"[outbox]\npath = {tmp_path / 'outbox'}\n"
    told = "[jt808] max_packets is called [limits] parts now"
    ini.write_text(head + "[jt808]\nmax_packets = 4\n")
    result = check(ini)
    assert result.returncode == 0 and f"{ini}:4: notice: {told}" in result.stderr
    ini.write_text(head + "[jt808]\nmax_packets = 1\n")
    result = check(ini)
    assert result.returncode == 1 and f"{ini}:4: max_packets = 1 is not allowed; allowed: a whole number from 2 to 255\n" in result.stderr
    for order in (("limits", "parts"), ("jt808", "max_packets")), (("jt808", "max_packets"), ("limits", "parts")):
        ini.write_text(head + "".join(f"[{section}]\n{key} = 4\n" for section, key in order))
        result = check(ini)
        assert result.returncode == 1 and f"{ini}:6: [limits] parts is set twice" in result.stderr and "line 4" in result.stderr
    ini.write_text(head)
    result = check(ini, **{variable: "4"})
    assert result.returncode == 0 and f"environment:{variable}: notice: {told}" in result.stderr
    result = check(ini, **{variable: "1"})
    assert result.returncode == 1 and f"environment:{variable}: max_packets = 1 is not allowed" in result.stderr
    result = check(ini, **{variable: "4", "TRACKER2MQTT_LIMITS_PARTS": "4"})
    assert result.returncode == 1 and "[limits] parts is set twice" in result.stderr
    ini.write_text(head + "[limits]\nparts = 4\n")  # the environment wins, under either name
    assert check(ini, **{variable: "5"}).returncode == 0
    assert "max_packets" not in subprocess.run([PROGRAM, "--print-config"], capture_output=True, text=True, check=True).stdout


def test_usage():
    assert subprocess.run([PROGRAM, "--nonsense"], capture_output=True).returncode == 1
    assert subprocess.run([PROGRAM, "extra"], capture_output=True).returncode == 1
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True)
    assert version.returncode == 0 and version.stdout.startswith("tracker2mqtt ")
    help_text = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    sample = (ROOT / "etc/tracker2mqtt.ini").read_text()
    section = ""
    for line in sample.splitlines():
        if line.startswith("["):
            section = line
        elif " =" in line and not line.startswith("#"):
            assert f"{section} {line.split(' =')[0]} (" in help_text
    table = subprocess.run([PROGRAM, "--print-parameters"], capture_output=True, text=True, check=True).stdout
    for key in ("position.latitude", "vehicle.mileage", "custom.payload"):
        assert f"\n{key} " in table


def test_a_taken_port_is_exit_code_2(make_bridge, tmp_path):
    bridge = make_bridge()
    ini = tmp_path / "second.ini"
    ini.write_text(f"[listen]\ntcp = 127.0.0.1:{bridge.port}\nudp =\n[mqtt]\nport = {free_port()}\n")
    result = subprocess.run([PROGRAM, "-c", ini], capture_output=True, text=True, timeout=30)
    assert result.returncode == 2 and f"127.0.0.1:{bridge.port}: Address already in use" in result.stderr


@pytest.mark.parametrize("page, name, language, option", [
    ("commands", "commands", "text", "--print-commands"), ("configuration", "options", "ini", "--print-config"),
    ("configuration", "counters", "text", "--print-counters"), ("parameters", "parameters", "text", "--print-parameters")])
def test_the_pages_are_what_the_program_prints(page, name, language, option):
    table = subprocess.run([PROGRAM, option], capture_output=True, text=True, check=True, env=HOMELESS).stdout
    text = (ROOT / f"etc/doc/{page}.md").read_text()
    assert text.split(f"<!-- {name} -->\n```{language}\n")[1].split(f"```\n<!-- /{name} -->")[0] == table


def test_every_counter_of_the_stats_topic_is_printed_with_its_meaning(make_bridge, subscribe):
    sub = subscribe()
    make_bridge()
    (stats, *_) = sub.on("trackers/bridge/test/stats")
    table = subprocess.run([PROGRAM, "--print-counters"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in table.splitlines()]
    assert [row[0] for row in rows] == list(stats.record)
    for name, kind, *meaning in rows:
        assert kind in ("counter", "gauge") and meaning and not meaning[0][0].islower() and meaning[0].endswith("."), name


@pytest.mark.parametrize("name", ["tracker2mqtt", "tracker2mqtt-decode", "tracker2mqtt-sim", "tracker2mqtt-watch"])
def test_version_names_the_commit_and_the_libraries(name):
    first, built, *libraries = subprocess.run([BUILD / name, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert re.fullmatch(rf"{name} \d+\.\d+\.\d+( \([0-9A-Za-z.-]+\))?", first) and built == "built with"
    if (ROOT / ".git").exists():
        assert "(" in first, "a clone knows its commit"
    found = {line.split()[0]: line.split()[1] for line in libraries}
    assert {"libev", "libmosquitto", "msgpack-c", "inih", "LMDB", "cJSON", "OpenSSL", "libmicrohttpd", "libsodium", "zlib", "libsystemd"} == set(found)
    assert all(re.match(r"\d", version) for version in found.values()), found
    for library, package in (("libmosquitto", "libmosquitto"), ("LMDB", "lmdb"), ("inih", "inih")):
        version = subprocess.run(["pkg-config", "--modversion", package], capture_output=True, text=True, check=True).stdout.strip()
        assert found[library] == version


@pytest.mark.parametrize("commit", ["$Format:%h$", "1a2b3c4d5e"])
def test_an_archive_without_git_knows_its_commit_from_git_archive(commit, tmp_path):
    """As `git archive` writes it; and as it is where nobody has written it. Configured, and one file compiled."""
    tree = tmp_path / "archive"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("build", ".git", "tests", "__pycache__"))
    (tree / "etc/commit").write_text(commit + "\n")
    subprocess.run(["cmake", "-S", tree, "-B", tmp_path / "b", "-DT2M_TESTS=OFF"], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", tmp_path / "b", "--target", "tracker2mqtt-sim"], check=True, capture_output=True)
    line = subprocess.run([tmp_path / "b/tracker2mqtt-sim", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    assert line == ("tracker2mqtt-sim 0.1.0" if "$" in commit else f"tracker2mqtt-sim 0.1.0 ({commit})")
    attributes = (ROOT / ".gitattributes").read_text()
    assert (ROOT / "etc/commit").read_text() == "$Format:%h$\n" and "/etc/commit export-subst" in attributes


def man_page(name):
    return (ROOT / "etc" / name).read_text().replace("\\-", "-").replace("\\e", "\\")


def test_man_pages_have_every_option_and_the_table_of_commands():
    page, options = man_page("tracker2mqtt.8"), man_page("tracker2mqtt.ini.5")
    table = subprocess.run([PROGRAM, "--print-commands"], capture_output=True, text=True, check=True).stdout
    assert page.split(".SH COMMANDS\n.nf\n")[1].split(".fi\n")[0] == table
    section, text = "", ""
    for line in (ROOT / "etc/tracker2mqtt.ini").read_text().splitlines():
        if line.startswith("["):
            section = line
        elif line.startswith("# "):
            text = line[2:] if not line.startswith("#   ") else text
        elif " =" in line:
            key, value = line.split(" =", 1)
            entry = options.split(f".B {section} {key}\n")[1].split("\n.")[0]
            assert entry.startswith(text) and entry.endswith(f"Default: {value.strip() or 'empty'}.")
    help_text = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    for word in help_text.split("Options of the configuration")[0].split():
        if word.startswith("--"):
            assert word.rstrip(",") in page


@pytest.fixture
def ordinary():
    """A directory of an ordinary user's, with the program in it, and how to run that as him."""
    with tempfile.TemporaryDirectory() as name:
        home = pathlib.Path(name)
        home.chmod(0o755)
        shutil.copy(PROGRAM, home / "tracker2mqtt")
        (home / "home").mkdir()
        user = os.geteuid()
        if user == 0:
            user = 65534
            os.chown(home / "home", user, user)

        def start(*args, function=subprocess.run, **environment):
            options = {"capture_output": True, "timeout": PATIENCE} if function == subprocess.run else {"stderr": subprocess.PIPE}
            return function([home / "tracker2mqtt", *args], text=True, user=user, group=user if user == 65534 else None,
                            extra_groups=[] if user == 65534 else None, cwd=home / "home",
                            env={**HOMELESS, "HOME": str(home / "home"), **environment}, **options)

        yield home / "home", start


@pytest.mark.parametrize("state", [None, "elsewhere"])
def test_an_ordinary_user_needs_no_directory_of_the_system(ordinary, state):
    """As in the README: print, check, run. The directories above the outbox do not exist yet."""
    home, start = ordinary
    environment = {"XDG_STATE_HOME": str(home / state)} if state else {}
    outbox = (home / state if state else home / ".local/state") / "tracker2mqtt/outbox"
    printed = start("--print-config", **environment).stdout
    assert f"\npath = {outbox}\n" in printed
    port = free_port()
    ini = home / "tracker2mqtt.ini"
    for text in (printed.replace("0.0.0.0:8888", f"127.0.0.1:{port}").replace("port = 1883", f"port = {free_port()}"),
                 f"[listen]\ntcp = 127.0.0.1:{port}\nudp =\n[mqtt]\nport = {free_port()}\n"):
        ini.write_text(text)
        assert start("-t", "-c", ini, **environment).returncode == 0
        process = start("-c", ini, function=subprocess.Popen, **environment)
        try:
            line = wait_for(process.stderr.readline, "a line")
            while "listening" not in line and "cannot start" not in line:
                line = wait_for(process.stderr.readline, "a line")
            assert "listening" in line
            assert (outbox / "data.mdb").exists() and outbox.stat().st_mode & 0o777 == 0o700
        finally:
            stop(process)
            process.stderr.close()


def test_the_service_and_root_keep_the_directory_of_the_system(ordinary):
    home, start = ordinary
    text = start("--print-config", STATE_DIRECTORY="/var/lib/tracker2mqtt").stdout  # what systemd gives the service
    assert "\npath = /var/lib/tracker2mqtt/outbox\n" in text


def test_the_check_names_directories_that_cannot_be_made(ordinary, tmp_path):
    home, start = ordinary
    (home / "file").write_text("")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o755)
    for path, why in (("/proc/nothing/outbox", "/proc"), (home / "file/below/outbox", "Not a directory"),
                      (home / "file", "Not a directory"), (f"{tmp_path}/locked/a/b", "Permission denied")):
        ini = home / "a.ini"
        ini.write_text(f"[outbox]\npath = {path}\n")
        before = sorted(home.rglob("*"))
        result = start("-t", "-c", ini)
        assert result.returncode == 1 and f"[outbox] path = {path} cannot be made" in result.stderr and why in result.stderr
        assert sorted(home.rglob("*")) == before, "the check makes nothing"
    for path in ("outbox", "./outbox", "a/b/c/", home / "new/outbox", home):
        ini.write_text(f"[outbox]\npath = {path}\n")
        assert start("-t", "-c", ini).returncode == 0, path


def test_an_outbox_above_the_address_space_is_a_fault(tmp_path):
    """Where it is small: a limit of the process stands for a 32-bit machine."""
    plain = pathlib.Path(os.environ.get("T2M_PLAIN", BUILD)) / "tracker2mqtt"
    ini = tmp_path / "a.ini"

    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    for size, code in (("1G", 1), ("1024G", 1), ("300M", 0)):
        ini.write_text(f"[outbox]\npath = {tmp_path}/outbox\nsize = {size}\n[listen]\ntcp = 127.0.0.1:0\nudp =\n")
        result = subprocess.run([plain, "-t", "-c", ini], capture_output=True, text=True, timeout=30, preexec_fn=limited)
        assert result.returncode == code and ("[outbox] size" in result.stderr) == (code == 1), result.stderr
    ini.write_text(ini.read_text().replace("300M", "1G"))
    result = subprocess.run([plain, "-c", ini], capture_output=True, text=True, timeout=30, preexec_fn=limited)
    assert result.returncode == 1 and "[outbox] size" in result.stderr, "not a mere: cannot allocate memory"


@pytest.mark.parametrize("line, part", [
    ("listen = 127.0.0.1:1,127.0.0.1:2", "[web] listen takes one address"),
    ("tls_cert_file = a.pem", "[web] tls_cert_file and tls_key_file go together"),
    ("tls_key_file = a.pem", "[web] tls_cert_file and tls_key_file go together"),
    ("tls_cert_file = nothing.pem\ntls_key_file = nothing.key", "[web] tls_cert_file = nothing.pem cannot be read"),
    ("tiles = tiles.example/{z}", "allowed: https://host… or http://host…"),
    ("tiles = ftp://tiles.example/", "https://host"),
    ("tiles = https://", "https://host"),
    ("tiles = https:///{z}", "https://host"),
    ("tiles = https://a;script-src *", "https://host"),
    ("tiles = https://a 'unsafe-inline'/{z}", "https://host"),
    ("mqtt = https://broker.example/mqtt", "allowed: wss://host… or ws://host…"),
    ("mqtt = wss://broker.example;script-src/", "wss://host"),
    ("frame_ancestors = 'self'; script-src *", "[web] frame_ancestors"),
    ("frame_ancestors = http://a, http://b", "[web] frame_ancestors"),
])
def test_faults_of_the_page(tmp_path, line, part):
    """Nothing that makes the page's headers say something else, and nothing that is silently left out."""
    ini = tmp_path / "a.ini"
    ini.write_text(f"[outbox]\npath = {tmp_path}/outbox\n[web]\n" + ("" if "listen" in line else "listen = 127.0.0.1:8880\n") + line + "\n")
    result = check(ini)
    assert result.returncode == 1 and part in result.stderr, result.stderr


@pytest.mark.parametrize("line", ["tiles = https://{s}.tiles.example/{z}/{x}/{y}.png?a=1,2;3", "tiles = http://10.0.0.1:8080/{z}",
                                  "mqtt = wss://broker.example:8884/mqtt", "mqtt = ws://broker", "frame_ancestors = 'self' https://ha.example:8123"])
def test_what_the_page_may_name(tmp_path, line):
    ini = tmp_path / "a.ini"
    ini.write_text(f"[outbox]\npath = {tmp_path}/outbox\n[web]\nlisten = 127.0.0.1:8880\n{line}\n")
    assert check(ini).returncode == 0, check(ini).stderr
