# SPDX-License-Identifier: MIT
"""scripts/check-layers notices what breaks a rule of the house: each break is a small edit of a copy of the tree, and a test of its own.

An edit is compiled with the flags of the build, so that the check reads true objects; all others are those of the build."""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("T2M_PLAIN", os.environ.get("T2M_BUILD", ROOT / "build")))
if not (BUILD / "CMakeFiles/bridge.dir").is_dir():  # --quick builds one tree
    BUILD = pathlib.Path(os.environ.get("T2M_BUILD", ROOT / "build"))

# One file of each kind of room; they may change as they like, if only they exist.
CODEC, UNIT, COMMAND, OUTPUT, PEER = (
    "codecs/h02/h02.c", "bridge/units/session.c", "bridge/commands/downlink.c", "bridge/outputs/homeassistant.c", "bridge/peers/conn.c")
ROOM, SIM, DECODE, BASE, SETTINGS = (
    "bridge/outbox/ring.c", "bridge/sim/sim.c", "bridge/decode/decode.c", "bridge/base/topic.c", "bridge/settings/options.c")
OTHER_CODEC = min(str(p.relative_to(ROOT)) for p in ROOT.glob("codecs/jt808/*.h"))


# --- edits: each takes the root of a copy, and returns the file that it changed ---


def change(name, how):
    def edit(tree):
        path = tree / name
        assert path.is_file(), f"this edit no longer applies: there is no {name}"
        old = path.read_text()
        new = how(old)
        assert new != old, f"this edit no longer applies: it changes nothing in {name}"
        path.write_text(new)
        return name
    return edit


def append(name, text):
    return change(name, lambda old: old + "\n" + text + "\n")


def include(name, header, line="#include"):
    """Below the opening comment."""
    return change(name, lambda old: re.sub(r"^(/\*.*?\*/\n)", lambda m: f"{m[1]}{line} {header}\n", old, count=1, flags=re.S | re.M))


def replace(name, pattern, by):
    return change(name, lambda old: re.sub(pattern, lambda m: by, old, count=1, flags=re.S | re.M))


def create(name, text):
    def edit(tree):
        assert not (tree / name).exists(), f"this edit no longer applies: {name} exists"
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(text)
        return name
    return edit


def layers(line):
    return append("scripts/layers", line)


def returns(kind, name, arguments, expression, before=""):
    """A function that nobody calls."""
    return f"{before}\n{kind} {name}({arguments});\n{kind} {name}({arguments})\n{{\n\treturn {expression};\n}}"


def looks(expression, before=""):
    return returns("int", "planted_look", "struct span frame", expression, before)


def long_function(lines):
    return "void planted_long(int *n);\nvoid planted_long(int *n)\n{\n" + "\t++*n;\n" * (lines - 3) + "}"


# --- the breaks: name, edits, and what the check must say of which file ---

BREAKS = {
    # what codecs may call, include and keep
    "codec-allocates": ([append(CODEC, returns("void *", "planted", "size_t n", "malloc(n)", "void *malloc(size_t);"))],
                        CODEC, "codecs may not call malloc"),
    "codec-asks-the-clock": ([append(CODEC, "struct timespec;\nint clock_gettime(int, struct timespec *);\n" + returns(
        "int", "planted", "struct timespec *t", "clock_gettime(0, t)"))], CODEC, "asks the clock: clock_gettime"),
    "codec-includes-stdio": ([include(CODEC, "<stdio.h>")], CODEC, "<stdio.h> is not among the plain headers of codecs"),
    "codec-includes-sockets": ([include(CODEC, "<sys/socket.h>")], CODEC, "<sys/socket.h> is not among the plain headers of codecs"),
    "codec-includes-signals": ([include(CODEC, "<signal.h>")], CODEC, "<signal.h> is not among the plain headers of codecs"),
    "codec-includes-message": ([include(CODEC, '"bridge/outbox/message.h"')], CODEC, "codecs/\\* may not use bridge/outbox"),
    "codec-includes-stats": ([include(CODEC, '"bridge/base/stats.h"'), append(CODEC, returns(
        "uint64_t", "planted", "const struct stats *s", "s->count[0]"))], CODEC, "codecs/\\* may not use bridge/base"),
    "codec-keeps-state": ([append(CODEC, "static unsigned planted_count;\n" + returns("unsigned", "planted", "void", "++planted_count"))],
                          CODEC, "keeps state: planted_count"),
    "codec-includes-the-other": ([include(CODEC, f'"{OTHER_CODEC}"')], CODEC, "codecs/\\* may not use codecs/jt808"),
    # doors
    "mosquitto-in-an-output": ([include(OUTPUT, "<mosquitto.h>")], OUTPUT, "<mosquitto.h> may only be included by"),
    "mosquitto-behind-a-blank": ([include(OUTPUT, "<mosquitto.h>", "# include")], OUTPUT, "<mosquitto.h> may only be included by"),
    "mosquitto-in-a-new-folder": ([create("bridge/out/planted.c", "/* planted: new.\n * Uses: <mosquitto.h>. */\n#include <mosquitto.h>\n")],
                                  "bridge/out/planted.c", "the folder bridge/out stands on no floor"),
    "openssl-in-units": ([include("bridge/units/units.c", "<openssl/rand.h>")], "bridge/units/units.c", "<openssl/rand.h> is not among the plain"),
    # private headers
    "private-header-of-mqtt": ([include(OUTPUT, '"bridge/broker/mqtt_private.h"')], OUTPUT, "mqtt_private.h belongs to the files bridge/broker/mqtt"),
    "private-header-of-conn": ([include(COMMAND, '"bridge/peers/conn_private.h"')], COMMAND, "conn_private.h belongs to the files bridge/peers/conn"),
    # the clock
    "session-asks-the-clock": ([append(UNIT, "#include <time.h>\n" + returns("long", "planted", "void", "(long)time(NULL)"))],
                               UNIT, "asks the clock: time"),
    "downlink-asks-the-clock": ([include(COMMAND, '"bridge/base/clock.h"'), append(COMMAND, returns(
        "int64_t", "planted", "void", "clock_steady_ms()"))], COMMAND, "asks the clock: clock_steady_ms"),
    # floors
    "session-kicks-the-broker": ([include(UNIT, '"bridge/broker/mqtt.h"'), append(
        UNIT, "void planted(struct mqtt *m);\nvoid planted(struct mqtt *m)\n{\n\tmqtt_kick(m);\n}")], UNIT, "bridge/units may not use bridge/broker"),
    "conn-calls-an-output": ([include(PEER, '"bridge/outputs/relay.h"')], PEER, "bridge/peers may not use bridge/outputs"),
    "simulator-includes-the-codecs": ([include(SIM, '"codecs/codec.h"')], SIM, "bridge/sim may not use codecs "),
    "decode-includes-stats": ([include(DECODE, '"bridge/base/stats.h"')], DECODE, "bridge/decode may not use bridge/base"),
    # frames
    "session-looks-inside-a-frame": ([append(UNIT, looks("frame.ptr[0] == 0x7e"))], UNIT, "looks inside a frame: frame.ptr"),
    # the rest of the table
    "exit-outside-of-main": ([include(ROOM, "<stdlib.h>"), append(ROOM, "void planted(void);\nvoid planted(void)\n{\n\texit(3);\n}")],
                             ROOM, "ends the process: exit"),
    "function-of-198-lines": ([append(ROOM, long_function(198))], ROOM, "the function planted_long has 198 lines; at most 60"),
    "file-over-500-lines": ([append(ROOM, "/* more */\n" * 500)], ROOM, "\\d+ lines; at most 500"),
    "opening-of-x": ([replace(ROOM, r"^/\*.*?\*/", "/* x */")], ROOM, "does not open with a comment that begins with its own name"),
    "global-in-the-bridge": ([append(ROOM, "unsigned planted_total;")], ROOM, "keeps state: planted_total"),
    "circle": ([include(ROOM, '"bridge/outbox/outbox.h"'), append(ROOM, returns(
        "size_t", "planted", "struct outbox *o", "outbox_count(o)"))], "bridge/outbox/[a-z_]+.c", "a circle: .*bridge/outbox/ring.c"),

    # the same rules, broken in other ways
    "codec-calls-without-a-header": ([append(CODEC, returns("int", "planted", "const char *s", "puts(s)", "int puts(const char *);"))],
                                     CODEC, "codecs may not call puts"),
    "include-by-a-macro": ([include(ROOM, "PLANTED", '#define PLANTED "bridge/broker/mqtt.h"\n#include')], ROOM, "`#include PLANTED` hides what is included"),
    "include-behind-a-continued-line": ([include(OUTPUT, "<mosquitto.h>", "#\\\n include /* here */")], OUTPUT, "<mosquitto.h> may only be included by"),
    "include-by-a-digraph": ([include(OUTPUT, "<mosquitto.h>", "%:include")], OUTPUT, "<mosquitto.h> may only be included by"),
    "library-in-quotes": ([include(OUTPUT, '"mosquitto.h"')], OUTPUT, '"mosquitto.h" is not the path of a header from the root'),
    "source-included": ([include(ROOM, '"bridge/outbox/lanes.c"')], ROOM, "is not the path of a header from the root"),
    "call-without-a-header": ([append(UNIT, "struct mqtt;\nvoid mqtt_kick(struct mqtt *);\nvoid planted(struct mqtt *m);\n"
                                      "void planted(struct mqtt *m)\n{\n\tmqtt_kick(m);\n}")], UNIT, "bridge/units may not use bridge/broker: .* mqtt_kick"),
    "library-without-a-header": ([append(OUTPUT, returns("int", "planted", "void", "mosquitto_lib_init()", "extern int mosquitto_lib_init(void);"))],
                                 OUTPUT, "declares mosquitto_lib_init, which another file defines"),
    "library-declared-in-a-header": ([append("bridge/outbox/ring.h", "int mosquitto_lib_init(void);")],
                                     "bridge/outbox/ring.h", "declares mosquitto_lib_init, which no file here defines"),
    "clock-by-a-pointer": ([append(UNIT, "struct timespec;\nint clock_gettime(int, struct timespec *);\nint (*const planted)(int, struct timespec *) "
                                   "= clock_gettime;")], UNIT, "asks the clock: clock_gettime"),
    "clock-by-a-macro-of-two-words": ([append(UNIT, "#define CAT(a, b) a##b\nlong CAT(ti, me)(long *);\n" + returns(
        "long", "planted", "void", "CAT(ti, me)(0)"))], UNIT, "asks the clock: its object calls time"),
    "clock-of-libev": ([append(OUTPUT, "struct ev_loop;\ndouble ev_now(struct ev_loop *);\n" + returns(
        "double", "planted", "struct ev_loop *l", "ev_now(l)"))], OUTPUT, "asks the clock: ev_now"),
    "clock-header-in-units": ([include("bridge/units/units.c", "<time.h>")], "bridge/units/units.c", "<time.h>: bridge/units may not ask the clock"),
    "abort-outside-of-main": ([include(ROOM, "<stdlib.h>"), append(ROOM, "void planted(void);\nvoid planted(void)\n{\n\tabort();\n}")],
                              ROOM, "ends the process: abort"),
    "assertion-in-a-room": ([include(ROOM, "<assert.h>"), append(ROOM, "void planted(int n);\nvoid planted(int n)\n{\n\tassert(n);\n}")],
                            ROOM, "ends the process: assert"),
    "exit-by-a-macro-of-two-words": ([append(ROOM, "#define CAT(a, b) a##b\nvoid CAT(_ex, it)(int);\nvoid (*const planted)(int) = CAT(_ex, it);")], ROOM, "ends the process: its object calls _exit"),
    "state-in-a-function": ([append(ROOM, "unsigned planted(void);\nunsigned planted(void)\n{\n\tstatic unsigned n;\n\treturn ++n;\n}")],
                            ROOM, "keeps state: n;"),
    "state-that-is-never-read": ([append(CODEC, "static unsigned planted_count;\nvoid planted(void);\nvoid planted(void)\n{\n\tplanted_count++;\n}")],
                                 CODEC, "keeps state: planted_count"),
    "state-of-a-thread": ([append(ROOM, "static _Thread_local int planted_error;\n" + returns("int *", "planted", "void", "&planted_error"))],
                          ROOM, "keeps state: planted_error"),
    "state-as-a-table-of-pointers": ([append(CODEC, 'static const char *planted_names[] = {"a", "b"};\n' + returns(
        "const char **", "planted", "void", "planted_names"))], CODEC, "keeps state: planted_names"),
    "state-behind-a-const-pointer": ([append(CODEC, "static int *const planted_at = (int[]){0, 0};\n" + returns(
        "int", "planted", "void", "++*planted_at"))], CODEC, "keeps state: "),
    "state-as-a-function-to-call": ([append(ROOM, "static int (*planted_call)(const char *const);\n" + returns(
        "int", "planted", "int (*f)(const char *const)", "(planted_call = f) != 0"))], ROOM, "keeps state: planted_call"),
    "state-in-a-section-of-its-own": ([append(CODEC, '#define HERE __attribute__((section("planted_section")))\n#define KEPT(n) static int n HERE\nKEPT(planted_kept);\n' + returns(
        "int", "planted", "void", "++planted_kept"))], CODEC, "keeps state: planted_kept"),
    "looks-by-a-star": ([append(UNIT, looks("*frame.ptr"))], UNIT, "looks inside a frame"),
    "looks-by-an-arrow": ([append(UNIT, returns("int", "planted", "const struct span *in", "in->ptr[1]"))], UNIT, "looks inside a frame"),
    "looks-by-memcmp": ([append(COMMAND, looks('memcmp(frame.ptr, "*HQ", 3)'))], COMMAND, "looks inside a frame"),
    "looks-by-a-question": ([append(OUTPUT, looks('span_is(frame, "*HQ")'))], OUTPUT, "looks inside a frame"),
    "looks-by-a-reader": ([append(UNIT, "void planted(struct span frame, struct reader *r);\nvoid planted(struct span frame, struct reader *r)\n{\n"
                                  "\t*r = reader_of(frame);\n}")], UNIT, "looks inside a frame"),
    "looks-by-another-name": ([append(COMMAND, "int planted(struct span frame);\nint planted(struct span frame)\n{\n"
                                      "\tstruct span f = span_after(frame, 1);\n\treturn f.ptr[0];\n}")], COMMAND, "looks inside a frame: f.ptr"),
    "looks-by-a-pointer": ([append(UNIT, "int planted(struct span frame);\nint planted(struct span frame)\n{\n"
                                   "\tconst uint8_t *p = frame.ptr;\n\treturn p[0];\n}")], UNIT, "looks inside a frame"),
    "looks-in-the-wiring": ([append("bridge/parts.c", looks("frame.ptr[0] == '*'"))], "bridge/parts.c", "looks inside a frame"),
    "looks-at-any-span": ([append(OUTPUT, returns("int", "planted", "struct span s", "(s.ptr)[0]"))], OUTPUT, "looks inside a frame"),
    "wide-numbers": ([append(ROOM, returns("unsigned long", "planted", "unsigned long a", "(unsigned long)((unsigned __int128)a * a >> 64)"))],
                     ROOM, "128-bit numbers"),
    "function-of-61-lines": ([append(ROOM, long_function(61))], ROOM, "the function planted_long has 61 lines; at most 60"),
    "function-not-in-column-0": ([append(ROOM, "  " + long_function(70).replace("\n{", " {"))], ROOM, "the function planted_long has 69 lines"),
    "test-of-501-lines": ([create("tests/unit/planted.c", "/* planted: long. */\n" * 501)], "tests/unit/planted.c", "501 lines; at most 500"),
    "main-of-200-lines": ([append("bridge/main.c", "/* more */\n" * 200)], "bridge/main.c", "main.c has fewer than 200"),
    "opening-of-another": ([replace(ROOM, r"^/\* ring: ", "/* rung: ")], ROOM, "does not open with a comment that begins with its own name"),
    "question-that-acts": ([append(ROOM, returns("bool", "planted_is_empty", "struct planted *r", "r != NULL", "struct planted;"))], ROOM,
                           "planted_is_empty is a question and may change"),
    # opening comments
    "story-of-a-function-that-is-gone": ([replace("bridge/parts.h", r"outbox_sync\(\)", "outbox_commit()")], "bridge/parts.h",
                                         r"names outbox_commit\(\), which nobody defines"),
    "uses-too-much": ([replace("bridge/outbox/ring.h", r"Uses: [^.]*", "Uses: bridge/units, codecs/record")],
                      "bridge/outbox/ring.h", "says Uses: bridge/units, codecs/record., but it is Uses: "),
    "uses-too-little": ([include("bridge/outbox/ring.c", '"bridge/base/topic.h"')], "bridge/outbox/ring.h", "but it is Uses: bridge/base"),
    "uses-nothing-said": ([replace("bridge/outbox/ring.h", r"\n \* Uses: .*?\.(?=\n| \*/)", "")], "bridge/outbox/ring.h", "says no `Uses:` line"),
    "uses-said-twice": ([replace(ROOM, r"^/\* ring: see ring.h.*?\*/", "/* ring: see ring.h.\n * Uses: nothing else. */")],
                        ROOM, "has a `Uses:` line, but its header has it"),
    # names of protocols
    "protocol-in-code": ([append(ROOM, "enum { PLANTED_H02_ACK = 1 };")], ROOM, "names a protocol: H02"),
    "protocol-in-a-string": ([append(ROOM, returns("const char *", "planted", "void", '"jt808"'))], ROOM, "names a protocol: jt808"),
    "protocol-in-a-comment": ([append(ROOM, "/* as JT/T 808 units do */")], ROOM, "names a protocol: JT/T 808"),
    "protocol-in-a-file-name": ([create("bridge/outputs/jt808_map.c", "/* jt808_map: one more.\n * Uses: nothing else. */\n")],
                                "bridge/outputs/jt808_map.c", "names a protocol: jt808"),
    "protocol-that-is-new": ([create("codecs/acme/acme.c", "/* acme: one more.\n * Uses: nothing else. */\n"), append(ROOM, "/* acme */")],
                             ROOM, "names a protocol: acme"),
    # the tree and the table
    "file-that-is-no-source": ([create("bridge/outbox/planted.inc", "int planted;\n")], "bridge/outbox/planted.inc", "is no .c and no .h"),
    "floor-that-is-not-used": ([replace("scripts/layers", r"^bridge/sim .*?$", "bridge/sim codecs/record codecs/formats")],
                               "scripts/layers", "bridge/sim uses nothing of codecs/formats"),
    "floor-above": ([replace("scripts/layers", r"^codecs/formats .*?$", "codecs/formats codecs/record bridge/base")],
                    "scripts/layers", "codecs/formats may not use bridge/base, which stands above it"),
    "floor-unknown": ([replace("scripts/layers", r"^bridge/sim .*?$", "bridge/sim codecs/record bridge/attic")],
                      "scripts/layers", "bridge/attic stands on no floor"),
    "door-that-is-not-used": ([replace("scripts/layers", r"^<iconv.h> ", "<iconv.h> bridge/outbox/ring.c ")],
                              "scripts/layers", "bridge/outbox/ring.c does not include <iconv.h>"),
    "stale-upward": ([layers("upward: bridge/base bridge/outbox # why")], "scripts/layers", "upward: bridge/base bridge/outbox: nothing needs"),
    "stale-circle": ([layers(f"circle: {ROOM} {BASE} # why")], "scripts/layers", f"circle: .*{ROOM}.*: nothing needs"),
    "exception-without-a-reason": ([layers(f"state: {ROOM}")], "scripts/layers", "`state:` has no reason"),
    "word-of-no-meaning": ([layers(f"circel: {ROOM} # why")], "scripts/layers", "`circel:` is no word of this table"),
    **{f"stale-{word}": ([layers(f"{word}: {ROOM} # why")], "scripts/layers", f"{word}: {ROOM}: nothing needs that any more")
       for word in ("state", "exit", "long", "lines", "clock", "protocol", "look", "question")},
}


# --- a copy of the tree, and the check in it ---


def copy_tree(to):
    for folder in ("bridge", "codecs"):
        shutil.copytree(ROOT / folder, to / folder)
    shutil.copytree(ROOT / "tests", to / "tests", ignore=lambda at, names: [
        n for n in names if not (pathlib.Path(at) / n).is_dir() and not n.endswith((".c", ".h"))])
    (to / "scripts").mkdir()
    for name in ("check-layers", "layers"):
        shutil.copy2(ROOT / "scripts" / name, to / "scripts")
    for o in [*BUILD.glob("CMakeFiles/*.dir/**/*.c.o"), *BUILD.glob("tests/CMakeFiles/template.dir/**/*.c.o")]:
        link = to / "build" / o.relative_to(BUILD)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(o)


def compile_again(tree, name):
    """As the build would, into the copy; a new file as its neighbours."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    library = "bridge" if name.startswith("bridge/") else "codecs"
    mine = next((c for c in commands if c["file"] == str(ROOT / name)), None)
    like = mine or next(c for c in commands if f"CMakeFiles/{library}.dir/" in c["command"])
    source = str(pathlib.Path(like["file"]).relative_to(ROOT))
    command = like["command"].replace(str(BUILD), str(tree / "build")).replace(str(ROOT), str(tree)).replace(source, name)
    words = [w for w in shlex.split(command) if w != "-Werror"]
    target = tree / "build" / words[words.index("-o") + 1]
    words[words.index("-o") + 1] = str(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    done = subprocess.run([*words, "-w"], cwd=tree / "build", capture_output=True, text=True)
    assert done.returncode == 0, f"this edit no longer applies: {name} does not compile\n{done.stderr}"


def run_check(tree, *arguments):
    return subprocess.run([tree / "scripts/check-layers", *arguments], capture_output=True, text=True)


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    assert (BUILD / "compile_commands.json").is_file(), f"{BUILD} has no compile_commands.json: build it first"
    tree = tmp_path_factory.mktemp("rules") / "original"
    tree.mkdir()
    copy_tree(tree)
    return tree


def broken(original, name):
    tree = original.with_name(name)
    shutil.copytree(original, tree, symlinks=True)
    for changed in {edit(tree) for edit in BREAKS[name][0]}:
        if changed.endswith(".c") and changed.startswith(("bridge/", "codecs/")):
            compile_again(tree, changed)
    return run_check(tree, tree / "build")


@pytest.fixture(scope="session")
def results(original, request):
    """The breaks that were chosen, all at work at once."""
    names = [i.callspec.params["name"] for i in request.session.items if getattr(i, "callspec", None) and "name" in i.callspec.params
             and i.callspec.params["name"] in BREAKS]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {name: pool.submit(broken, original, name) for name in names}


@pytest.mark.parametrize("name", BREAKS)
def test_is_noticed(results, name):
    done = results[name].result()
    _, file, rule = BREAKS[name]
    assert done.returncode == 1, f"nothing was noticed\n{done.stderr}"
    said = re.compile(rf"^check-layers: {file}(:\d+)?: .*{rule}.*; \S", re.M)
    assert said.search(done.stdout), f"{file} and its rule are not named:\n{done.stdout}{done.stderr}"


def test_the_tree_as_it_is_keeps_all_rules(original):
    for arguments in ([], [original / "build"]):
        done = run_check(original, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_object_that_is_older_than_its_source_is_not_believed(original, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(original, tree, symlinks=True)
    append(ROOM, "/* later */")(tree)
    assert f"check-layers: {ROOM}: is newer than its object" in run_check(tree, tree / "build").stdout
    create("bridge/outbox/planted.c", "/* planted: new.\n * Uses: nothing else. */\n")(tree)
    assert "check-layers: bridge/outbox/planted.c: has no object" in run_check(tree, tree / "build").stdout


def test_fix_writes_the_uses_lines(original, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(original, tree, symlinks=True)
    header = tree / "bridge/outbox/ring.h"
    was = {p: p.read_text() for p in [*tree.glob("bridge/**/*.[ch]"), *tree.glob("codecs/**/*.[ch]")]}
    for damage in (lambda s: re.sub(r"Uses: [^.]*", "Uses: bridge/units", s, count=1),
                   lambda s: re.sub(r" \* Uses: .*?\.\n", "", s, count=1, flags=re.S)):
        header.write_text(damage(was[header]))
        assert run_check(tree).returncode == 1
        for _ in range(2):  # the second time nothing is left to do
            done = run_check(tree, "--fix")
            assert (done.returncode, done.stdout) == (0, "")
            assert {p: p.read_text() for p in was} == was


@pytest.mark.parametrize("before, after", [
    ("ring: what.\n * May use: message (here only), the a.h file. May not: know MQTT.", "ring: what.\n * Uses: {}\n * Not: know MQTT."),
    ("ring: what.\n * May use: message.\n * May not: know MQTT.\n *\n * More.", "ring: what.\n * Uses: {}\n * Not: know MQTT.\n *\n * More."),
    ("ring: what\n * and more. May use: a\n * b. May not: know\n * MQTT. Told.", "ring: what\n * and more.\n * Uses: {}\n * Not: know\n * MQTT. Told."),
    ("ring: what.\n *\n * More.", "ring: what.\n * Uses: {}\n *\n * More."),
    ("ring: what.", "ring: what.\n * Uses: {}"),
])
def test_fix_reads_older_comments(original, tmp_path, before, after):
    tree = tmp_path / "tree"
    shutil.copytree(original, tree, symlinks=True)
    header = tree / "bridge/outbox/ring.h"
    uses = re.search(r"\* Uses: (.*?\.)(?=\n| \*/)", header.read_text(), re.S)[1]
    header.write_text(re.sub(r"^/\*.*?\*/", f"/* {before} */", header.read_text(), count=1, flags=re.S | re.M))
    assert run_check(tree, "--fix").returncode == 0
    assert f"/* {after.format(uses)} */\n" in header.read_text()
