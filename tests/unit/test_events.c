// SPDX-License-Identifier: MIT
/* test_events: who is told what units do, in which order, who is told again later, and where a listener keeps what it remembers. */
#include "outputs_world.h"

/* A listener that writes down what it hears. */
struct ear {
	char name;
	bool deaf; /* it says no, or has no room */
	struct unit_listener listener;
};

static char heard[400];

static void hear(const struct ear *ear, const char *what)
{
	size_t n = strlen(heard);
	snprintf(heard + n, sizeof(heard) - n, "%c:%s ", ear->name, what);
}

static void expect_heard(const char *what)
{
	assert_string_equal(heard, what);
	heard[0] = '\0';
}

static bool on_room(void *ctx)
{
	hear(ctx, "room");
	return !((struct ear *)ctx)->deaf;
}

static bool on_share(void *ctx, const struct conn *conn, struct moment at)
{
	assert_ptr_equal(conn, conn_at(2));
	assert_int_equal(at.steady_ms, now.steady_ms);
	hear(ctx, "share");
	return !((struct ear *)ctx)->deaf;
}

static enum codec_room on_batch(void *ctx, size_t records)
{
	hear(ctx, "batch");
	return !((struct ear *)ctx)->deaf ? CODEC_ROOM_YES
	       : records > 100            ? CODEC_ROOM_NEVER
					  : CODEC_ROOM_NOT_NOW;
}

static bool on_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *record, struct moment at)
{
	(void)session;
	(void)conn;
	(void)at;
	hear(ctx, telemetry_has(record, TM_CHANNEL_ID) ? "record+" : "record");
	telemetry_set(record, TM_CHANNEL_ID, 1);
	return !((struct ear *)ctx)->deaf;
}

static void on_reply(void *ctx, struct session *session, const struct command_reply *reply, struct moment at)
{
	(void)session;
	(void)reply;
	(void)at;
	hear(ctx, "reply");
}

static void on_ready(void *ctx, struct session *session, struct moment at)
{
	(void)session;
	(void)at;
	hear(ctx, "ready");
}

static void on_offline(void *ctx, struct session *session, const char *reason, struct moment at)
{
	(void)session;
	(void)at;
	hear(ctx, reason);
}

static void on_frame(void *ctx, const struct session *session, bool in, struct span frame, const char *error,
	struct moment at)
{
	(void)session;
	(void)frame;
	(void)at;
	hear(ctx, error != NULL ? error : in ? "in" : "out");
}

static void on_unknown(void *ctx, const struct conn *conn, const struct stranger *stranger, struct moment at)
{
	(void)conn;
	(void)at;
	hear(ctx, (const char *)stranger->head.ptr);
}

static bool on_tell(void *ctx, struct session *session, struct moment at)
{
	(void)at;
	hear(ctx, session->unit.ident);
	return !((struct ear *)ctx)->deaf;
}

static void on_remembered(void *ctx, struct session *session, int64_t value)
{
	char text[60];
	snprintf(text, sizeof(text), "%s=%lld", session->unit.ident, (long long)value);
	hear(ctx, text);
}

static bool on_forgotten(void *ctx, struct session *session, struct moment at)
{
	(void)at;
	hear(ctx, session->unit.ident);
	return !((struct ear *)ctx)->deaf;
}

static bool on_cleared(void *ctx, const char *ident, const char *name, struct moment at)
{
	char text[60];
	(void)at;
	snprintf(text, sizeof(text), "%s-%s", ident, name);
	hear(ctx, text);
	return !((struct ear *)ctx)->deaf;
}

static struct ear a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};

static int set_up(void **state)
{
	(void)state;
	world_open();
	heard[0] = '\0';
	a.deaf = b.deaf = c.deaf = false;
	a.listener = b.listener = c.listener = (struct unit_listener){.ctx = &b};
	a.listener.ctx = &a;
	c.listener.ctx = &c;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close();
	return 0;
}

static void listen_all(void)
{
	listen_to(&a.listener);
	listen_to(&b.listener);
	listen_to(&c.listener);
}

/* `b` is interested in nothing in between. */
static void test_each_is_told_in_order(void **state)
{
	struct session *session = remembered(IDENT, 0);
	const struct command_reply reply = {0};
	(void)state;
	a.listener = (struct unit_listener){.ctx = &a,
		.room = on_room,
		.share = on_share,
		.batch = on_batch,
		.record = on_record,
		.reply = on_reply,
		.ready = on_ready,
		.offline = on_offline,
		.frame = on_frame,
		.unknown = on_unknown,
		.tell = on_tell,
		.remembered = on_remembered,
		.forgotten = on_forgotten,
		.cleared = on_cleared};
	c.listener = a.listener;
	c.listener.ctx = &c;
	listen_all();
	assert_true(events_room(&events));
	expect_heard("a:room c:room ");
	assert_true(events_share(&events, conn_at(2), now));
	expect_heard("a:share c:share ");
	assert_int_equal(events_batch(&events, 5), CODEC_ROOM_YES);
	expect_heard("a:batch c:batch ");
	telemetry_reset(&t);
	assert_true(give(session));
	expect_heard("a:record c:record+ ");
	events_reply(&events, session, &reply, now);
	events_ready(&events, session, now);
	events_offline(&events, session, "bye", now);
	expect_heard("a:reply c:reply a:ready c:ready a:bye c:bye ");
	events_frame(&events, session, true, span_text("x"), NULL, now);
	events_frame(&events, NULL, false, span_text("x"), NULL, now);
	events_frame(&events, session, true, span_text("x"), "why", now);
	expect_heard("a:in c:in a:out c:out a:why c:why ");
	events_unknown(&events, conn_at(0), &(struct stranger){.head = span_text("head")}, now);
	events_remembered(&events, session, 5);
	expect_heard("a:head c:head a:" IDENT "=5 c:" IDENT "=5 ");
	assert_true(events_forgotten(&events, session, now)); /* the opposite way */
	assert_true(events_cleared(&events, "1", "van", now));
	expect_heard("c:" IDENT " a:" IDENT " c:1-van a:1-van ");
}

/* Who says no ends it. */
static void test_no_is_no(void **state)
{
	struct session *session = remembered(IDENT, 0);
	(void)state;
	a.listener = (struct unit_listener){.ctx = &a,
		.room = on_room,
		.share = on_share,
		.batch = on_batch,
		.record = on_record,
		.forgotten = on_forgotten,
		.cleared = on_cleared};
	b.listener = c.listener = a.listener;
	b.listener.ctx = &b;
	c.listener.ctx = &c;
	listen_all();
	b.deaf = true;
	assert_false(events_room(&events));
	assert_false(events_share(&events, conn_at(2), now));
	assert_int_equal(events_batch(&events, 5), CODEC_ROOM_NOT_NOW);
	assert_int_equal(events_batch(&events, 101), CODEC_ROOM_NEVER);
	expect_heard("a:room b:room a:share b:share a:batch b:batch a:batch b:batch ");
	telemetry_reset(&t);
	assert_false(give(session));
	expect_heard("a:record b:record+ ");
	assert_false(events_forgotten(&events, session, now));
	assert_false(events_cleared(&events, "1", "van", now));
	expect_heard("c:" IDENT " b:" IDENT " c:1-van b:1-van ");
}

/* What found no room comes again, from the one that found none, and nobody is told twice. */
static void test_told_later(void **state)
{
	struct session *one = on_line("1001"), *two = remembered("1002", 0);
	(void)state;
	a.listener.tell = b.listener.tell = c.listener.tell = on_tell;
	a.listener.tells_presence = c.listener.tells_presence = true;
	b.listener.tells_again = true;
	listen_all();
	assert_int_equal(events_tell(&events, events.hears[EVENT_TELL], one, now), 0);
	expect_heard("a:1001 b:1001 c:1001 ");
	assert_int_equal(events_tell(&events, events.presence, one, now), 0);
	expect_heard("a:1001 c:1001 ");
	b.deaf = true;
	assert_int_equal(events_tell(&events, events.hears[EVENT_TELL], one, now),
		events_bit(&events, &b.listener) | events_bit(&events, &c.listener));
	expect_heard("a:1001 b:1001 ");
	session_tell_later(sessions, one, &c.listener);
	session_tell_later(sessions, one, &b.listener);
	session_tell_later(sessions, two, &a.listener);
	assert_false(sessions_catch_up(sessions, false, now));
	assert_false(sessions_catch_up(sessions, false, now));
	expect_heard("b:1001 b:1001 ");
	b.deaf = false;
	catch_up();
	expect_heard("b:1001 c:1001 a:1002 ");
	catch_up();
	expect_heard("");
	/* the broker may have lost what b has told, of all that are trusted */
	sessions_tell_all_again(sessions);
	catch_up();
	expect_heard("b:1001 b:1002 ");
	distrust(one);
	sessions_tell_all_again(sessions);
	catch_up();
	expect_heard("b:1002 ");
	session_tell_later(sessions, one, &a.listener); /* at the stop, of strangers nothing is told */
	assert_false(sessions_catch_up(sessions, true, now));
	expect_heard("");
	assert_int_equal(one->due, 0);
}

static void test_while_the_outbox_is_full_nobody_is_told(void **state)
{
	struct session *session = on_line(IDENT);
	(void)state;
	a.listener.tell = on_tell;
	listen_all();
	fill_outbox();
	session_tell_later(sessions, session, &a.listener);
	assert_false(sessions_catch_up(sessions, false, now));
	expect_heard("");
	assert_true(take_all() > 0);
	catch_up();
	expect_heard("a:" IDENT " ");
}

/* A new name: all tell of it that the units file knows; of a unit that it knows no more, who tells of presence. */
static void test_renamed(void **state)
{
	(void)state;
	on_line("1001");
	a.listener.tell = b.listener.tell = on_tell;
	a.listener.tells_presence = true;
	c.listener.cleared = on_cleared;
	listen_all();
	use_units_file("[1001]\ntopic = van\n");
	use_units_file("[1001]\ntopic = van\n");
	catch_up();
	expect_heard("");
	use_units_file("[1001]\ntopic = bus\n");
	catch_up();
	expect_heard("c:1001-van a:1001 b:1001 ");
	use_units_file("");
	catch_up();
	expect_heard("c:1001-bus a:1001 ");
	use_units_file("[1001]\ntopic = van\n");
	c.deaf = true;
	assert_true(sessions_catch_up(sessions, false, now)); /* the clearing found no room: there is more */
	expect_heard("c:1001-1001 ");
	c.deaf = false;
	catch_up();
	expect_heard("c:1001-1001 a:1001 b:1001 ");
}

static void test_remembered_and_forgotten(void **state)
{
	(void)state;
	a.listener.remembered = on_remembered;
	a.listener.forgotten = on_forgotten;
	listen_all();
	sessions_remember(sessions, span_text("1001"), 77, now.unix_ms - HOUR);
	sessions_remember(sessions, span_text("1001"), 78, now.unix_ms); /* once */
	sessions_remember(sessions, span_text("not/one"), 79, now.unix_ms);
	expect_heard("a:1001=77 ");
	pass(config.units.remember - HOUR);
	sessions_tick(sessions, now);
	expect_heard("");
	pass(1);
	a.deaf = true;
	sessions_tick(sessions, now);
	sessions_tick(sessions, now);
	expect_heard("a:1001 a:1001 ");
	a.deaf = false;
	sessions_tick(sessions, now);
	sessions_tick(sessions, now);
	expect_heard("a:1001 ");
	assert_null(session_codec(sessions, span_text("1001")));
}

/* Each listener has room of its own in each session, zero at first, whatever the others ask for. */
static void test_memory(void **state)
{
	static const size_t sizes[] = {1, 8, 24, 3, 16, 7};
	size_t place[6];
	char ident[10];
	struct session *unit[20];
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		place[i] = sessions_reserve(sessions, sizes[i]);
		assert_int_equal(place[i] % 8, 0);
	}
	for (size_t u = 0; u < 20; u++) {
		snprintf(ident, sizeof(ident), "%zu", 1000 + u);
		unit[u] = remembered(ident, (int64_t)u);
		for (size_t i = 0; i < 6; i++)
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(((uint8_t *)session_memory(unit[u], place[i]))[k], 0);
		for (size_t i = 0; i < 6; i++)
			memset(session_memory(unit[u], place[i]), (int)(u * 6 + i + 1), sizes[i]);
	}
	for (size_t u = 0; u < 20; u++) {
		snprintf(ident, sizeof(ident), "%zu", 1000 + u);
		assert_string_equal(unit[u]->unit.ident, ident);
		assert_int_equal(publish_newest_ms(publish, unit[u]), u);
		for (size_t i = 0; i < 6; i++)
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(
					((uint8_t *)session_memory(unit[u], place[i]))[k], u * 6 + i + 1);
	}
}

/* Registered again, it keeps its place, and its new members count. */
static void test_another_mind(void **state)
{
	struct session *session = remembered(IDENT, 0);
	(void)state;
	a.listener.ready = c.listener.ready = on_ready;
	listen_all();
	b.listener.ready = on_ready;
	a.listener.ready = NULL;
	listen_to(&b.listener);
	listen_to(&a.listener);
	events_ready(&events, session, now);
	expect_heard("b:ready c:ready ");
	a.listener.ready = on_ready;
	listen_to(&a.listener);
	events_ready(&events, session, now);
	expect_heard("a:ready b:ready c:ready ");
}

static void test_too_many(void **state)
{
	struct events many = {0};
	(void)state;
	a.listener.tell = on_tell;
	struct unit_listener each[EVENTS_LISTENERS_MOST];
	for (unsigned i = 0; i < EVENTS_LISTENERS_MOST; i++) {
		each[i] = a.listener;
		assert_true(events_listen(&many, &each[i]));
	}
	assert_false(events_listen(&many, &b.listener));
	assert_true(events_listen(&many, &each[3])); /* it is there already */
	assert_int_equal(many.count, EVENTS_LISTENERS_MOST);
	assert_int_equal(events_bit(&many, &b.listener), 0);
	struct session *session = remembered(IDENT, 0);
	session->due = many.hears[EVENT_TELL];
	assert_int_equal(session->due, many.hears[EVENT_TELL]);
	assert_int_equal(events_tell(&many, many.hears[EVENT_TELL], session, now), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_is_told_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_is_no, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_told_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_while_the_outbox_is_full_nobody_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renamed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_remembered_and_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_mind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
