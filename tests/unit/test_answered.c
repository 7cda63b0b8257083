// SPDX-License-Identifier: MIT
/* test_answered: which command a frame of a unit answers: frames as units send them, decoded by the codecs, against the commands that
 * wait. An answer that echoes the time or the serial number of another command belongs to nobody. */
#include "downlink_world.h"

#include "bridge/settings/codec_settings.h"

/* --- frames --- */

static struct telemetry scratch;

static struct codec_unit *on_identify(void *ctx, struct span ident)
{
	(void)ctx;
	(void)ident;
	return &world.unit.unit;
}

static bool on_record(void *ctx, struct telemetry *t)
{
	(void)ctx;
	(void)t;
	return true;
}

static void on_reply(void *ctx, const struct command_reply *reply)
{
	(void)ctx;
	downlink_listener(downlink)->reply(downlink, &world.unit, reply, now);
}

static void on_send(void *ctx, struct span frame)
{
	(void)ctx;
	(void)frame;
}

static void became(void *ctx, enum codec_status status, struct span frame)
{
	(void)ctx;
	if (status != CODEC_OK)
		fail_msg("%s: %.*s", codec_status_names[status], (int)frame.len, (const char *)frame.ptr);
}

static void unit_says(struct span frame)
{
	struct codec_settings *settings = codec_settings_open();
	struct codec_stream stream = {.codec = world.unit.codec};
	const struct codec_sink sink = {
		.identify = on_identify, .record = on_record, .reply = on_reply, .send = on_send};
	enum codec_status end;
	assert_non_null(settings);
	world.unit.unit.options = codec_settings_of(settings, world.unit.codec);
	stream.link.now_ms = now.unix_ms;
	stream.link.unit = &world.unit.unit;
	stream.link.quiet_ms = CODEC_QUIET_FINAL;
	assert_int_equal(codec_each(&stream, frame, &scratch, &sink, became, &end), frame.len);
	codec_settings_free(settings);
}

/* --- H02 --- */

#define BLOCK "034310,A,2235.0086,N,11353.9730,E,000.00,000,160716,FFFFBBFF,460,00,10342,3721"

struct row {
	const char *asks[3], *frame, *id; /* id: of the request that it answers; NULL: of none */
};

static const struct row rows[] = {
	/* time first, in front of the values */
	{{"{\"payload\":\"S20,010101,1,1\",\"id\":\"a\"}", "{\"payload\":\"S20,020202,1,0\",\"id\":\"b\"}"},
		"*HQ," IDENT ",V4,S20,020202,1,0#", "b"},
	{{"{\"payload\":\"S20,010101,1,1\",\"id\":\"a\"}", "{\"payload\":\"S20,020202,1,0\",\"id\":\"b\"}"},
		"*HQ," IDENT ",V4,S20,020202,1,0," BLOCK "#", "b"},
	{{"{\"payload\":\"S71,010101,22,30\",\"id\":\"a\"}", "{\"payload\":\"S71,020202,22,60\",\"id\":\"b\"}"},
		"*HQ," IDENT ",V4,S71,020202,OK#", "b"},
	/* time last */
	{{"{\"payload\":\"S20,010101,1,1\",\"id\":\"a\"}", "{\"payload\":\"S20,020202,1,0\",\"id\":\"b\"}"},
		"*HQ," IDENT ",V4,S20,OK,020202," BLOCK "#", "b"},
	/* the time of none that waits */
	{{"{\"payload\":\"S20,030303,1,0\",\"id\":\"new\"}"}, "*HQ," IDENT ",V4,S20,OK,010101#", NULL},
	{{"{\"payload\":\"S20,030303,1,0\",\"id\":\"new\"}"}, "*HQ," IDENT ",V4,S20,010101,1,1#", NULL},
	{{"{\"payload\":\"D1,030303,30\",\"id\":\"new\"}"}, "*HQ," IDENT ",V4,D1,30,65535,010101," BLOCK "#",
		NULL},
	/* no time: the oldest with this word */
	{{"{\"payload\":\"S71,010101,22,30\",\"id\":\"other\"}",
		 "{\"payload\":\"S20,010101,1,1\",\"id\":\"a\"}",
		 "{\"payload\":\"S20,020202,1,0\",\"id\":\"b\"}"},
		"*HQ," IDENT ",V4,S20,OK#", "a"},
	{{"{\"payload\":\"S20,010101,1,1\",\"id\":\"a\"}"}, "*HQ," IDENT ",V4,S20,OK,20261125010203#", "a"},
	{{"{\"payload\":\"S26\",\"id\":\"a\"}"}, "*HQ," IDENT ",V4,S26,x,010203#", "a"},
	/* another frame than V4 */
	{{"{\"command\":\"parameters.request\",\"id\":\"s26\"}"},
		"*HQ," IDENT ",LINK,073351,100,0,86,0,0,251126,FFFFFFFF#", "s26"},
	{{"{\"payload\":\"S26,010101\",\"id\":\"s26\"}"},
		"*HQ," IDENT ",LINK,073351,100,0,86,0,0,251126,FFFFFFFF#", "s26"},
	{{"{\"command\":\"position.request\",\"id\":\"d1\"}"},
		"*HQ," IDENT ",V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#", "d1"},
	{{"{\"command\":\"position.track\",\"args\":{\"interval\":30},\"id\":\"d1\"}"},
		"*HQ," IDENT ",V1,123506,V,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#", NULL},
	{{"{\"command\":\"position.request\",\"id\":\"d1\"}"},
		"*HQ," IDENT ",NBR,112315,724,10,2,2,215,2135,123,215,2131,121,011215,FFFFFFFF#", "d1"},
	{{"{\"command\":\"position.request\",\"id\":\"d1\"}"},
		"*HQ," IDENT
		",V6,002926,V,3514.4088,N,9733.2842,W,0.00,0.00,151222,FFF7FBFF,310,260,32936,13641,x#",
		"d1"},
	{{"{\"payload\":\"D1\",\"id\":\"d1\"}"},
		"*HQ," IDENT ",V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#", "d1"},
	/* no echo, and the position behind the word */
	{{"{\"payload\":\"D1,000003,30,1\",\"id\":\"d1\"}"}, "*HQ," IDENT ",V4,D1," BLOCK "#", "d1"},
	/* a stored report is older than the command */
	{{"{\"command\":\"position.request\",\"id\":\"d1\"}"},
		"*HQ," IDENT ",V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FBFFFBFF#", NULL},
	{{"{\"command\":\"engine.stop\",\"id\":\"x\"}", "{\"command\":\"parameters.request\",\"id\":\"y\"}"},
		"*HQ," IDENT ",V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#", NULL},
	/* the command's own word as the type */
	{{"{\"payload\":\"S99,010101\",\"id\":\"a\"}", "{\"payload\":\"S99,020202\",\"id\":\"b\"}"},
		"*HQ," IDENT ",S99,1,1,020202#", "b"},
	{{"{\"payload\":\"S99,030303\",\"id\":\"a\"}"}, "*HQ," IDENT ",S99,OK,020202#", NULL},
	{{"rconf"}, "*HQ," IDENT ",SMS,NAME:1,IP:2#", ""},
	{{"{\"payload\":\"S20,030303,1,0\",\"id\":\"new\"}"}, "*HQ," IDENT ",SMS,NAME:1,IP:2#", NULL},
};

static void test_h02(void **state)
{
	(void)state;
	world.here = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char id[40];
		for (size_t k = 0; k < 3 && rows[i].asks[k] != NULL; k++) {
			ask(rows[i].asks[k]);
			unit_reads();
			assert_true(last_is("sent"));
		}
		unsigned before = replies;
		unit_says(span_text(rows[i].frame));
		snprintf(id, sizeof(id), "\"id\":\"%s\"", rows[i].id != NULL ? rows[i].id : "");
		bool answered = replies == before + 1 && last_is("answered");
		if (replies > before + 1 || answered != (rows[i].id != NULL) ||
			(answered && *rows[i].id && strstr(last.json, id) == NULL) ||
			(answered && strstr(last.json, rows[i].frame) == NULL))
			fail_msg("row %zu, %s: %s", i, rows[i].frame, last.json);
		pass(DAY); /* all others end */
	}
}

/* A command without a time waits; what echoes the time of one that has ended is not for it. */
static void test_late_answers(void **state)
{
	(void)state;
	world.here = true;
	ask("{\"payload\":\"S20,010101,1,1\",\"id\":\"old\",\"timeout\":3}");
	unit_reads();
	pass(3000);
	assert_true(last_is("timeout"));
	ask("{\"payload\":\"S20\",\"id\":\"new\"}");
	unit_reads();
	unsigned before = replies;
	unit_says(span_text("*HQ," IDENT ",V4,S20,OK,010101#"));
	assert_int_equal(replies, before);
	unit_says(span_text("*HQ," IDENT ",V4,S20,OK,020202#"));
	assert_true(last_is("answered"));
	/* the same words once more: the one that waits is meant, for its time agrees */
	ask("{\"payload\":\"S20,010101,1,1\",\"id\":\"again\"}");
	unit_reads();
	unit_says(span_text("*HQ," IDENT ",V4,S20,OK,010101#"));
	assert_true(last_is("answered"));
	assert_non_null(strstr(last.json, "\"id\":\"again\""));
}

/* --- JT/T 808 --- */

/* A frame of the unit; no byte of it needs to be escaped. */
static size_t put_frame(uint8_t out[64], uint16_t id, struct span body)
{
	uint8_t raw[60], check = 0;
	struct writer w = writer_of(raw, sizeof(raw)), o = writer_of(out, 64);
	writer_u16(&w, id);
	writer_u16(&w, (uint16_t)body.len);
	writer_bytes(&w, "\x00\x91\x70\x50\x38\x16\x00\x01", 8);
	writer_span_put(&w, body);
	for (size_t i = 0; i < w.len; i++)
		check ^= raw[i];
	writer_u8(&w, check);
	writer_u8(&o, 0x7e);
	writer_bytes(&o, raw, w.len);
	writer_u8(&o, 0x7e);
	assert_false(o.full);
	return o.len;
}

static size_t put_result(uint8_t out[64], uint16_t serial, uint16_t command, uint8_t result)
{
	uint8_t body[5];
	struct writer w = writer_of(body, sizeof(body));
	writer_u16(&w, serial);
	writer_u16(&w, command);
	writer_u8(&w, result);
	return put_frame(out, 0x0001, writer_span(&w));
}

static size_t put_general(uint8_t out[64], uint16_t serial, uint16_t command)
{
	return put_result(out, serial, command, 0);
}

/* A unit that comes back counts anew, and so does the codec: no two commands of one unit share a number all the same, so that a late
 * answer is for none of the new ones. */
static void test_serial_numbers_are_not_used_twice(void **state)
{
	uint8_t frame[64];
	(void)state;
	world.here = true;
	world.unit.codec = codec_find(span_text("jt808"));
	unit_says(span_of(frame, put_general(frame, 0xffff, 0x8300))); /* its header is known now */
	ask("{\"payload\":\"WHERE#\",\"id\":\"old\",\"timeout\":3}");
	unit_reads();
	pass(3000);
	assert_true(last_is("timeout"));
	memset(world.unit.unit.priv, 0, sizeof(world.unit.unit.priv));
	unit_says(span_of(frame, put_general(frame, 0xffff, 0x8300)));
	ask("{\"payload\":\"RELAY,1#\",\"id\":\"new\"}");
	unit_reads();
	assert_true(last_is("sent"));
	unsigned before = replies;
	unit_says(span_of(frame, put_general(frame, 0, 0x8300)));
	assert_int_equal(replies, before);
	unit_says(span_of(frame, put_general(frame, 1, 0x8300)));
	assert_true(last_is("answered"));
	assert_non_null(strstr(last.json, "\"id\":\"new\""));
}

/* The serial number of the command sent last, and its message id. */
static uint16_t sent_serial(uint16_t *command)
{
	const char *frame = strstr(last.json, "\"frame\":\"7E");
	unsigned id, serial;
	assert_non_null(frame);
	assert_int_equal(sscanf(frame + 11, "%4x%*16c%4x", &id, &serial), 2);
	*command = (uint16_t)id;
	return (uint16_t)serial;
}

static void ask_jt808(const char *name, const char *args, uint16_t *serial, uint16_t *command)
{
	char text[200];
	snprintf(text, sizeof(text), "{\"command\":\"%s\",\"args\":{%s},\"timeout\":10}", name, args);
	ask(text);
	unit_reads();
	assert_true(last_is("sent"));
	*serial = sent_serial(command);
}

/* The commands that are answered by a message of their own. */
static const struct own_answer {
	const char *name, *args;
	uint16_t id;
	const char *body; /* hex; S: the serial number of the command */
} own_answers[] = {
	{"parameters.request", "", 0x0104, "S00"},
	{"parameter.request", "\"parameter\":1", 0x0104, "S00"},
	{"attributes.request", "", 0x0107,
		"0001"
		"3132333435"
		"3132333435363738393031323334353637383930"
		"31323334353637"},
	{"position.request", "", 0x0201, "S0000000000000003015752a006cb808000000064005a260801120000"},
	{"door.lock", "", 0x0500, "S0000000000000003015752a006cb808000000064005a260801120000"},
};

static size_t put_own_answer(uint8_t out[64], const struct own_answer *own, uint16_t serial)
{
	uint8_t body[60];
	struct writer w = writer_of(body, sizeof(body));
	const char *p = own->body;
	if (*p == 'S') {
		writer_u16(&w, serial);
		p++;
	}
	for (; *p != '\0'; p += 2)
		writer_u8(&w, (uint8_t)(byte_hex((uint8_t)p[0]) << 4 | byte_hex((uint8_t)p[1])));
	return put_frame(out, own->id, writer_span(&w));
}

static void each_own_answer(void (*play)(const struct own_answer *own))
{
	uint8_t frame[64];
	world.here = true;
	world.unit.codec = codec_find(span_text("jt808"));
	unit_says(span_of(frame, put_general(frame, 0xffff, 0x8300))); /* its header is known now */
	for (size_t i = 0; i < sizeof(own_answers) / sizeof(own_answers[0]); i++)
		play(&own_answers[i]);
}

/* A unit that sends the general answer alone has answered with it when the time is over, and with the first one that came. */
static void play_alone(const struct own_answer *own)
{
	uint16_t serial, command;
	uint8_t frame[64];
	ask_jt808(own->name, own->args, &serial, &command);
	unsigned before = replies;
	pass(2000);
	for (int twice = 0; twice < 2; twice++) {
		unit_says(span_of(frame, put_general(frame, serial, command)));
		pass(1000);
	}
	pass(5999);
	assert_int_equal(replies, before);
	pass(1);
	assert_int_equal(replies, before + 1);
	assert_true(last_is("answered"));
	assert_non_null(strstr(last.json, "\"result\":\"ok\",\"elapsed\":2,"));
	assert_non_null(strstr(last.json, "\"reply\":\"7E0001"));
}

static void test_a_general_answer_alone(void **state)
{
	(void)state;
	each_own_answer(play_alone);
}

static void play_gone(const struct own_answer *own)
{
	uint16_t serial, command;
	uint8_t frame[64];
	ask_jt808(own->name, own->args, &serial, &command);
	unit_says(span_of(frame, put_general(frame, serial, command)));
	downlink_listener(downlink)->offline(downlink, &world.unit, "closed by the unit", now);
	assert_true(last_is("answered"));
	ask_jt808(own->name, own->args, &serial, &command);
	downlink_listener(downlink)->offline(downlink, &world.unit, "closed by the unit", now);
	assert_true(last_is("offline"));
}

static void test_a_general_answer_before_the_unit_goes(void **state)
{
	(void)state;
	each_own_answer(play_gone);
}

static void play_refused(const struct own_answer *own)
{
	static const char *const results[] = {"failure", "wrong", "unsupported", "unknown result"};
	uint16_t serial, command;
	uint8_t frame[64];
	for (uint8_t result = 1; result <= 4; result++) {
		ask_jt808(own->name, own->args, &serial, &command);
		unit_says(span_of(frame, put_result(frame, serial, command, result)));
		assert_true(last_is("answered"));
		assert_non_null(strstr(last.json, results[result - 1]));
	}
}

static void test_a_general_answer_that_refuses(void **state)
{
	(void)state;
	each_own_answer(play_refused);
}

static void play_better(const struct own_answer *own)
{
	uint16_t serial, command;
	uint8_t frame[64];
	ask_jt808(own->name, own->args, &serial, &command);
	unit_says(span_of(frame, put_general(frame, serial, command)));
	unsigned before = replies;
	pass(3000);
	unit_says(span_of(frame, put_own_answer(frame, own, serial)));
	assert_int_equal(replies, before + 1);
	assert_true(last_is("answered"));
	assert_null(strstr(last.json, "\"reply\":\"7E0001"));
	assert_non_null(strstr(last.json, "\"elapsed\":3,"));
	pass(20000);
	assert_int_equal(replies, before + 1);
}

static void test_a_better_answer_than_the_general_one(void **state)
{
	(void)state;
	each_own_answer(play_better);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_h02, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_serial_numbers_are_not_used_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_general_answer_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_general_answer_before_the_unit_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_general_answer_that_refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_better_answer_than_the_general_one, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
