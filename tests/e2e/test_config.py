"""The configuration: every fault gets its line with file, line, what is wrong and what is allowed; the printed
sample is complete, equals the defaults and the file in etc/; the environment overrides."""

import os
import subprocess

from conftest import BUILD, ROOT, free_port

PROGRAM = BUILD / "tracker2mqtt"


def check(path, **environment):
    return subprocess.run([PROGRAM, "-t", "-c", path], capture_output=True, text=True, timeout=30,
                          env={**os.environ, **environment})


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
        b"raw = maybe\n"                        # 16
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


def test_sample_loads_and_equals_etc():
    printed = subprocess.run([PROGRAM, "--print-config"], capture_output=True, text=True, check=True).stdout
    assert printed == (ROOT / "etc/tracker2mqtt.ini").read_text()
    assert check(ROOT / "etc/tracker2mqtt.ini").returncode == 0


def test_faults_outside_of_lines(tmp_path):
    ini = tmp_path / "a.ini"
    ini.write_text("[listen]\ntcp =\nudp =\n")
    assert "at least one address" in check(ini).stderr
    ini.write_text("[mqtt]\npassword = x\n")
    assert "needs a username" in check(ini).stderr
    ini.write_text("[mqtt]\nusername = u\npassword_file = /nonexistent/file\n")
    assert "/nonexistent/file: No such file" in check(ini).stderr
    assert check(tmp_path / "missing.ini").returncode == 1


def test_environment(tmp_path):
    ini = tmp_path / "a.ini"
    ini.write_text("[mqtt]\nport = 1884\n")
    assert check(ini, TRACKER2MQTT_MQTT_PORT="1885").returncode == 0
    bad = check(ini, TRACKER2MQTT_MQTT_PORT="99999")
    assert bad.returncode == 1 and "environment:TRACKER2MQTT_MQTT_PORT" in bad.stderr and "65535" in bad.stderr
    assert check(ini, TRACKER2MQTT_MQTT_COLOUR="red").returncode == 1
    assert check(ini, TRACKER2MQTT_PORT_8888_TCP="tcp://1").returncode == 0


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


def test_readme_has_the_table_of_commands():
    table = subprocess.run([PROGRAM, "--print-commands"], capture_output=True, text=True, check=True).stdout
    readme = (ROOT / "README.md").read_text()
    assert readme.split("<!-- commands -->\n```\n")[1].split("```\n<!-- /commands -->")[0] == table


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
