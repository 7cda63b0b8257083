// SPDX-License-Identifier: MIT
/* test_watch: the lines of tracker2mqtt-watch for each kind of message, and what no terminal may see. */
#include "harness.h"

#include "bridge/watch/line.h"

#include <stdlib.h>

#define NOW_MS 1795650161000 /* 2026-11-25 23:42:41 UTC */
#define PLACE "\"position.latitude\":50.0755,\"position.longitude\":14.4578"

static struct screen wide = {.utf8 = true};

/* The line of a message, to be freed. */
static char *line_of(const struct screen *screen, const char *topic, struct span payload)
{
	char *text = NULL;
	size_t len;
	struct document d;
	struct line_style style = {*screen, "trackers", LINE_NAME_WIDTH};
	FILE *out = open_memstream(&text, &len);
	assert_non_null(out);
	bool is_document = document_read(&d, payload);
	struct sight s = {span_text(topic), payload, false, NOW_MS, is_document ? &d : NULL};
	line_write(&style, &s, out);
	document_free(&d);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_line(const struct screen *screen, const char *topic, const char *payload, const char *want)
{
	char *line = line_of(screen, topic, span_text(payload));
	assert_string_equal(line, want);
	free(line);
}

/* Topic, payload, line. */
static const char *const line_rows[][3] = {
	{"trackers/9170000001/position",
		"{" PLACE ",\"timestamp\":1795650160,\"position.speed\":37.04,\"position.direction\":90,"
		"\"engine.ignition.status\":true}",
		"23:42:41  9170000001  position  50.07550 14.45780   37 km/h   90\u00b0  ignition "
		"on\n"},
	{"trackers/9170000001/position",
		"{" PLACE ",\"position.valid\":false,\"engine.ignition.status\":false,\"battery.level\":80,"
		"\"engine.blocked.status\":true,\"rejected\":[\"gsm.mcc\",\"battery.voltage\"]}",
		"23:42:41  9170000001  position  50.07550 14.45780  ignition off  engine blocked  no "
		"fix  "
		"battery 80%  rejected gsm.mcc, battery.voltage\n"},
	{"trackers/9170000001/position",
		"{" PLACE ",\"timestamp\":1795650000,\"message.buffered.status\":true}",
		"23:42:41  9170000001  position  50.07550 14.45780  stored  of 23:40:00\n"},
	{"trackers/9170000001/position", "{" PLACE ",\"timestamp\":1650636570}",
		"23:42:41  9170000001  position  50.07550 14.45780  of 2022-04-22 14:09:30\n"},
	{"trackers/van-12/telemetry",
		"{\"message.type\":\"LINK\",\"battery.level\":55,\"gsm.signal.level\":60}",
		"23:42:41  van-12      telemetry LINK  battery 55%  signal 60%\n"},
	{"trackers/9170000001/alarm",
		"{\"alarms\":[\"sos.alarm\",\"custom.theft.alarm\",\"overspeeding.event\",\"power.cut."
		"alarm\"]}",
		"23:42:41  9170000001  ALARM     sos, theft, overspeeding, power cut\n"},
	{"trackers/9170000001/status",
		"{\"state\":\"online\",\"since\":1795650161,\"protocol\":\"h02\",\"transport\":\"udp\","
		"\"peer\":\"[::1]:5\"}",
		"23:42:41  9170000001  on line   h02 over udp from [::1]:5\n"},
	{"trackers/9170000001/status",
		"{\"state\":\"offline\",\"since\":1795640161,\"reason\":\"closed by the unit\"}",
		"23:42:41  9170000001  off line  closed by the unit  since 20:56:01\n"},
	{"trackers/9170000001/cmd",
		"{\"command\":\"report.interval\",\"args\":{\"interval\":60},\"id\":\"a1\"}",
		"23:42:41  9170000001  command   report.interval  {\"interval\":60}  id a1  asked\n"},
	{"trackers/9170000001/cmd", "D1,000000,0,0", "23:42:41  9170000001  command   D1,000000,0,0  asked\n"},
	{"trackers/9170000001/cmd/reply", "{\"status\":\"sent\",\"command\":\"D1\",\"frame\":\"*HQ,1,D1#\"}",
		"23:42:41  9170000001  command   D1  sent  *HQ,1,D1#\n"},
	{"trackers/9170000001/cmd/reply",
		"{\"status\":\"answered\",\"command\":\"D1\",\"result\":\"0,0\",\"reply\":\"x\","
		"\"elapsed\":1.42}",
		"23:42:41  9170000001  command   D1  answered in 1.42 s  0,0\n"},
	{"trackers/9170000001/cmd/reply", "{\"status\":\"rejected\",\"reason\":\"too long\"}",
		"23:42:41  9170000001  command   rejected  too long\n"},
	{"trackers/9170000001/raw",
		"{\"direction\":\"in\",\"hex\":\"2A310D\",\"text\":\"*1\\r\",\"error\":\"bad-check\"}",
		"23:42:41  9170000001  raw       in  bad-check  *1\\x0d\n"},
	{"trackers/9170000001/raw", "{\"direction\":\"in\",\"hex\":\"7E00\",\"text\":\"~\\u0000\"}",
		"23:42:41  9170000001  raw       in  7E00\n"},
	{"trackers/bridge/vm/status", "online", "23:42:41  bridge      on line   vm\n"},
	{"trackers/bridge/vm/status", "offline", "23:42:41  bridge      off line  vm\n"},
	{"trackers/bridge/vm/unknown",
		"{\"peer\":\"10.0.0.1:5\",\"transport\":\"tcp\",\"looks.like\":\"TK103\",\"hex\":"
		"\"7878\",\"text\":\"xx\"}",
		"23:42:41  bridge      unknown   10.0.0.1:5 over tcp  looks like TK103  xx\n"},
	{"trackers/bridge/vm/unknown",
		"{\"peer\":\"10.0.0.1:5\",\"transport\":\"tcp\",\"hex\":\"7878\",\"text\":\"xx\",\"ident\":"
		"\"917\","
		"\"protocol\":\"jt808\",\"reason\":\"not admitted\",\"hint\":\"is not in units.ini: add "
		"[917]\"}",
		"23:42:41  bridge      unknown   unit 917 (jt808)  10.0.0.1:5 over tcp  is not in units.ini: "
		"add [917]\n"},
	{"trackers/9170000001/position", "", "23:42:41  9170000001  position  cleared\n"},
	{"trackers/9170000001/alarm", "[1]",
		"23:42:41  9170000001  ALARM     neither JSON nor MessagePack:  [1]\n"},
	{"other/topic", "a", "23:42:41  other/topic  a\n"},
	{"trackers/9170000001/state", "{}", "23:42:41  trackers/9170000001/state  {}\n"},
};

static void test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(line_rows) / sizeof(line_rows[0]); i++)
		assert_line(&wide, line_rows[i][0], line_rows[i][1], line_rows[i][2]);
}

static void test_narrow_terminal(void **state)
{
	(void)state;
	const struct screen narrow = {.utf8 = true, .columns = 60};
	assert_line(&narrow, "trackers/9170000001/position",
		"{" PLACE ",\"position.speed\":37,\"position.direction\":90,\"engine.ignition.status\":true}",
		"23:42:41  9170000001  position  50.07550 14.45780   37 km/h\n"
		"                                 90\u00b0  ignition on\n");
}

/* A fact that is longer than a line goes on word by word; a word that is longer than a line stays whole. */
static void test_long_facts(void **state)
{
	(void)state;
	const struct screen narrow = {.utf8 = true, .columns = 60};
	assert_line(&narrow, "trackers/1/cmd/reply",
		"{\"status\":\"rejected\",\"reason\":\"one two three four five six seven eight nine ten\"}",
		"23:42:41  1           command   rejected\n"
		"                                one two three four five six\n"
		"                                seven eight nine ten\n");
	assert_line(&narrow, "trackers/1/cmd/reply",
		"{\"status\":\"sent\",\"frame\":\"0123456789012345678901234567890123456789 a\"}",
		"23:42:41  1           command   sent\n"
		"                                0123456789012345678901234567890123456789\n"
		"                                a\n");
}

static void test_narrow_locale(void **state)
{
	(void)state;
	const struct screen ascii = {.utf8 = false};
	assert_line(&ascii, "trackers/9170000001/position", "{" PLACE ",\"position.direction\":90}",
		"23:42:41  9170000001  position  50.07550 14.45780   90 deg\n");
	assert_line(&ascii, "trackers/1/cmd", "\u7ca4A", "23:42:41  1           command   \\u7ca4A  asked\n");
}

static void test_colours(void **state)
{
	(void)state;
	const struct screen colour = {.utf8 = true, .colour = true};
	char *line = line_of(&colour, "trackers/1/alarm", span_text("{\"alarms\":[\"sos.alarm\"]}"));
	assert_non_null(strstr(line, "\033[1;31msos\033[0m"));
	free(line);
}

/* Is there a byte, or a character, that a terminal obeys? */
static bool is_clean(const char *text)
{
	for (const uint8_t *p = (const uint8_t *)text; *p != '\0'; p++)
		if ((*p < 0x20 && *p != '\n') || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0) ||
			(*p == 0xe2 && p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae))
			return false;
	return strchr(text, '\n') == text + strlen(text) - 1;
}

static void test_no_control_character(void **state)
{
	(void)state;
	static const char *const topics[] = {"trackers/\033[2J/cmd", "trackers/1/position",
		"trackers/1/telemetry", "trackers/1/alarm", "trackers/1/status", "trackers/1/cmd",
		"trackers/1/cmd/reply", "trackers/1/raw", "trackers/bridge/\033]0;x\a/status",
		"trackers/bridge/1/unknown", "else", "trackers/", "trackers", "trackers/bridge/", "trackers//",
		"/"};
	static const char *const hostile[] = {"\033]0;x\a",
		"\xc2\x9b"
		"31m",
		"\xe2\x80\xaetxt", "\x7f\xff\xfe", "a\nb\rc",
		"{\"message.type\":\"\\u001b[2J\\u009b\",\"state\":\"online\",\"protocol\":\"\\u001b\","
		"\"transport\":\"\\n\",\"peer\":\"\\u009b\","
		"\"reason\":\"\\u202e\",\"command\":\"\\u001b\",\"status\":\"\\u001b\",\"id\":\"\\u001b\","
		"\"args\":{\"\\u001b\":\"\\u009b\"},"
		"\"alarms\":[\"\\u001b\"],\"rejected\":[\"\\u009b\\n\"],\"direction\":\"\\u001b\",\"error\":"
		"\"\\n\",\"text\":\"\\u001b\","
		"\"hex\":\"\\u001b\",\"looks.like\":\"\\u001b\",\"\\u001b\":\"\\u001b\"}"};
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		for (size_t j = 0; j < sizeof(hostile) / sizeof(hostile[0]); j++) {
			char *line = line_of(&wide, topics[i], span_text(hostile[j]));
			if (!is_clean(line))
				fail_msg("%zu %zu: %s", i, j, line);
			free(line);
		}
	}
}

static void assert_json(struct span payload, unsigned indent, const char *want)
{
	struct document d;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	assert_true(document_read(&d, payload));
	document_write(&wide, d.json, indent, out);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, want);
	free(text);
	document_free(&d);
}

#define BYTES(text) span_of(text, sizeof(text) - 1)

static void test_documents(void **state)
{
	(void)state;
	assert_json(BYTES("{ \"a\" :\n 12345678901234567890.1250 , \"b\":[ ],\"c\":\"\\u0000\xc2\x9b\" }"), 0,
		"{\"a\":12345678901234567890.1250,\"b\":[],\"c\":\"\\u0000\\u009b\"}");
	assert_json(BYTES("{\"a\":{\"b\":[1,2]},\"c\":{}}"), 2,
		"  {\n    \"a\": {\n      \"b\": [\n        1,\n        2\n      ]\n    },\n    \"c\": {}\n  "
		"}");
	assert_json(BYTES("\x85\xa1"
			  "a\xc3\xa1"
			  "b\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a\xa1"
			  "c\xd3\xff\xff\xff\xff\xff\xff\xff\xff\xa1"
			  "d\x92\xc0\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x07\xa2\"\n"),
		0, "{\"a\":true,\"b\":0.1,\"c\":-1,\"d\":[null,18446744073709551615],\"7\":\"\\\"\\u000a\"}");
}

static void test_no_documents(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {{"", 0}, {"{", 1}, {"{} x", 4}, {"[]", 2}, {"{\"a\":01}", 8}, {"{\"a\":+1}", 8},
		{"{\"a\":\"\xff\"}", 9}, {"\xdf\xff\xff\xff\xff", 5},
		{"\x81\xa1"
		 "a\xdd\xff\xff\xff\xff",
			8},
		{"\x81\xa1"
		 "a",
			3},
		{"\x80\x80", 2}, {"\x81\x80\x01", 3},
		{"\x81\xa1"
		 "a\xc1",
			4},
		{"\x81\xdb\xff\xff\xff\xff", 6}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct document d;
		if (document_read(&d, span_of(rows[i].bytes, rows[i].len)))
			fail_msg("row %zu is a document", i);
	}
	char deep[200];
	memset(deep, '\x81', sizeof(deep));
	for (size_t i = 1; i < sizeof(deep); i += 2)
		deep[i] = 1;
	struct document d;
	assert_false(document_read(&d, span_of(deep, sizeof(deep))));
}

int main(void)
{
	setenv("TZ", "UTC0", 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_narrow_terminal),
		cmocka_unit_test(test_long_facts),
		cmocka_unit_test(test_narrow_locale),
		cmocka_unit_test(test_colours),
		cmocka_unit_test(test_no_control_character),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_no_documents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
