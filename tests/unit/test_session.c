// SPDX-License-Identifier: MIT
/* test_session: who comes on line, takes over, is a guest, has a place; with connections and a clock of the test's own. */
#include "session_world.h"
#include "codecs/h02/h02_options.h"

#define A "9000000001"
#define B "9000000002"
#define C "9000000003"

/* --- two that name the same unit --- */

static void test_newest_takes_over(void **state)
{
	(void)state;
	struct conn old = connection(HOME, false), fresh = connection(ELSEWHERE, false);
	assert_int_equal(says(&old, A), INPUT_DONE);
	assert_ptr_equal(place_of(A), &old);
	assert_int_equal(world.ready, 1);
	assert_int_equal(says(&fresh, A), INPUT_DONE);
	assert_ptr_equal(place_of(A), &fresh);
	assert_int_equal(world.stats.count[STAT_TAKEOVERS], 1);
	assert_int_equal(world.ready, 2);
	assert_int_equal(world.offline, 0);
	assert_int_equal(old.forgotten, 1);
	assert_non_null(old.last_words);
	assert_null(old.closed);
	assert_int_equal(old.units, 0);
	ends(&old);
	assert_int_equal(world.offline, 0);
	ends(&fresh);
	assert_int_equal(world.offline, 1);
	assert_int_equal(world.stats.count[STAT_UNITS], 0);
}

/* What it sent before it knew is stored, but it does not get the unit back. */
static void test_last_words_are_taken(void **state)
{
	(void)state;
	struct conn old = connection(HOME, false), fresh = connection(ELSEWHERE, false);
	says(&old, A);
	says(&fresh, A);
	pass(60000);
	assert_int_equal(says(&old, A), INPUT_DONE);
	assert_int_equal(world.records, 3);
	assert_ptr_equal(place_of(A), &fresh);
	assert_int_equal(world.stats.count[STAT_TAKEOVERS], 1);
	assert_int_equal(old.refused[STAT_REFUSED_TAKEOVER], 0);
	size_t used;
	gives(&old, "*HQ," A ",V4,S20,DONE,121300,121301,A,2234.9273,N,11401.1234,E,0,0,010125,FFFFFBFF#",
		&used);
	assert_int_equal(world.replies, 1);
}

static void test_once_a_second_at_most(void **state)
{
	(void)state;
	struct conn first = connection(0, false), second = connection(1, false), third = connection(2, false);
	says(&first, A);
	says(&second, A);
	pass(999);
	assert_int_equal(says(&third, A), INPUT_DONE);
	assert_ptr_equal(place_of(A), &second);
	assert_int_equal(third.refused[STAT_REFUSED_TAKEOVER], 1);
	assert_int_equal(world.records, 3); /* taken all the same */
	assert_int_equal(third.units, 0);
	pass(1);
	says(&third, A);
	assert_ptr_equal(place_of(A), &third);
	assert_int_equal(world.stats.count[STAT_TAKEOVERS], 2);
}

static void test_addresses_that_take_turns_are_told(void **state)
{
	(void)state;
	struct conn home = connection(HOME, false), away = connection(ELSEWHERE, false), again = home;
	says(&home, A);
	says(&away, A);
	assert_int_equal(world.stats.count[STAT_FLAPPING], 0);
	pass(59999);
	says(&again, A);
	assert_int_equal(world.stats.count[STAT_FLAPPING], 1);
	struct conn once_more = connection(HOME, false), late = connection(ELSEWHERE, false);
	pass(1000);
	says(&once_more, A); /* of the same address */
	assert_int_equal(world.stats.count[STAT_FLAPPING], 1);
	pass(60000);
	says(&late, A);
	assert_int_equal(world.stats.count[STAT_FLAPPING], 1);
	assert_int_equal(world.stats.count[STAT_TAKEOVERS], 4);
}

static void test_datagram_gets_no_unit_that_connects(void **state)
{
	(void)state;
	struct conn tcp = connection(HOME, false), udp = connection(ELSEWHERE, true),
		    back = connection(HOME, false);
	says(&tcp, A);
	pass(5 * 60 * 1000 - 1);
	says(&udp, A);
	assert_ptr_equal(place_of(A), &tcp);
	assert_int_equal(udp.refused[STAT_REFUSED_TAKEOVER], 1);
	pass(1);
	says(&udp, A);
	assert_ptr_equal(place_of(A), &udp);
	says(&back, A); /* at once: who connects proves more */
	assert_ptr_equal(place_of(A), &back);
	struct conn one = connection(0, true), two = connection(1, true);
	says(&one, B);
	pass(1000);
	says(&two, B); /* of two that prove nothing the newer one */
	assert_ptr_equal(place_of(B), &two);
}

/* Of a connection that goes, everybody gets it at once. */
static void test_who_goes_keeps_nothing(void **state)
{
	(void)state;
	struct conn first = connection(0, false), second = connection(1, false), third = connection(2, true);
	says(&first, A);
	says(&second, A);
	second.closed = "test";
	says(&third, A);
	assert_ptr_equal(place_of(A), &third);
	assert_int_equal(world.stats.count[STAT_TAKEOVERS], 1);
	ends(&second);
	assert_ptr_equal(place_of(A), &third);
}

/* A guest neither uses up what the unit may send, nor changes how its commands are written; its replies count for nothing. */
static void test_guest_leaves_no_trace(void **state)
{
	(void)state;
	struct conn first = connection(0, false), own = connection(1, false), guest = connection(2, false);
	uint8_t before[sizeof(((struct codec_unit *)NULL)->priv)];
	size_t used;
	world.config.limits.frames_per_unit = 3;
	says(&first, A);
	says(&own, A);
	struct session *session = session_find(world.sessions, span_text(A));
	memset(session->unit.priv, 0x5a, sizeof(before));
	memcpy(before, session->unit.priv, sizeof(before));
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(says(&guest, A), INPUT_DONE);
		assert_int_equal(world.unit.priv[sizeof(before) - 1], 0);
	}
	gives(&guest, "*HQ," A ",V4,S20,DONE,121300,121301,A,2234.9273,N,11401.1234,E,0,0,010125,FFFFFBFF#",
		&used);
	assert_int_equal(world.replies, 0);
	assert_memory_equal(session->unit.priv, before, sizeof(before));
	assert_int_equal(says(&own, A), INPUT_DONE);
	assert_int_equal(says(&own, A), INPUT_DONE);
	assert_int_equal(says(&own, A), INPUT_TOO_FAST);
	assert_int_equal(own.refused[STAT_REFUSED_FRAMES_PER_UNIT], 1);
	pass(1000);
	assert_int_equal(says(&own, A), INPUT_DONE);
}

/* --- several units on one connection --- */

static void test_units_share_a_connection(void **state)
{
	(void)state;
	struct conn shared = connection(HOME, false), other = connection(ELSEWHERE, false);
	says(&shared, A);
	says(&shared, B);
	says(&shared, C);
	assert_int_equal(shared.units, 3);
	says(&shared, A);
	assert_string_equal(world.ident, A);
	assert_int_equal(world.ready, 3);
	says(&shared, B);
	world.config.limits.frames_per_unit = 2;
	says(&other, B);
	assert_ptr_equal(place_of(B), &other);
	assert_int_equal(says(&other, B), INPUT_DONE);
	assert_int_equal(says(&other, B), INPUT_TOO_FAST);
	pass(100);
	assert_int_equal(says(&shared, C), INPUT_DONE); /* what the other one spends is not spent here */
	assert_int_equal(shared.units, 2);
	assert_int_equal(shared.forgotten, 1);
	assert_false(conn_is_going(&shared)); /* the others stay */
	shared.closed = "silent for too long";
	ends(&shared);
	assert_int_equal(world.offline, 2);
	assert_string_equal(world.reason, "silent for too long");
	pass(1000);
	assert_null(place_of(A));
	assert_non_null(place_of(B));
	says(&other, C);
	assert_ptr_equal(place_of(C), &other);
	assert_int_equal(world.stats.count[STAT_UNITS], 2);
}

static void test_units_per_connection(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false), other = connection(HOME, false);
	world.config.limits.units_per_connection = 2;
	says(&conn, A);
	says(&conn, B);
	says(&conn, C);
	assert_int_equal(conn.units, 2);
	assert_int_equal(conn.refused[STAT_REFUSED_UNITS_PER_CONNECTION], 1);
	assert_null(place_of(C));
	assert_int_equal(world.records, 2);
	says(&conn, A); /* who is here stays */
	assert_int_equal(world.records, 3);
	says(&other, C);
	assert_ptr_equal(place_of(C), &other);
}

/* --- how many may come --- */

static void test_arrivals_of_an_address(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false), udp = connection(HOME, true),
		    other = connection(ELSEWHERE, false);
	world.config.limits.arrivals_per_address = 1;
	assert_int_equal(says(&conn, A), INPUT_DONE);
	assert_int_equal(says(&conn, B), INPUT_TOO_FAST);
	assert_int_equal(conn.refused[STAT_REFUSED_ARRIVALS_PER_ADDRESS], 1);
	assert_int_equal(world.records, 1);
	assert_int_equal(says(&udp, B), INPUT_DONE); /* an account of its own */
	assert_int_equal(says(&other, C), INPUT_DONE);
	assert_int_equal(says(&conn, A), INPUT_DONE); /* it is here */
	pass(1000);
	assert_int_equal(says(&conn, "9000000004"), INPUT_DONE);
	assert_int_equal(says(&other, "9000000005"), INPUT_DONE);
	ends(&conn);
	assert_int_equal(says(&other, A), INPUT_DONE); /* it is trusted: neither refused nor counted */
	pass(1000);
	ends(&other);
	struct conn again = connection(ELSEWHERE, false);
	assert_int_equal(says(&again, A), INPUT_DONE);
	assert_int_equal(says(&again, "9000000006"), INPUT_DONE);
}

static void test_arrivals_over_udp(void **state)
{
	(void)state;
	struct conn one = connection(0, true), two = connection(1, true), tcp = connection(1, false);
	world.config.limits.udp_arrivals = 1;
	assert_int_equal(says(&one, A), INPUT_DONE);
	assert_int_equal(says(&two, B), INPUT_TOO_FAST);
	assert_int_equal(two.refused[STAT_REFUSED_UDP_ARRIVALS], 1);
	assert_int_equal(says(&tcp, B), INPUT_DONE);
	pass(1000);
	assert_int_equal(says(&two, C), INPUT_DONE);
}

static void test_frames_of_an_address(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false), other = connection(HOME, false),
		    known = connection(HOME, false);
	use_units("[" C "]\nname = C\n", false);
	world.config.limits.frames_per_address = 2;
	assert_int_equal(says(&conn, A), INPUT_DONE);
	assert_int_equal(says(&conn, A), INPUT_DONE);
	assert_int_equal(says(&conn, A), INPUT_TOO_FAST);
	assert_int_equal(conn.refused[STAT_REFUSED_FRAMES_PER_ADDRESS], 1);
	assert_int_equal(says(&other, B), INPUT_TOO_FAST); /* who it is does not matter */
	assert_null(place_of(B));
	assert_int_equal(says(&known, C), INPUT_DONE); /* but for the units file */
	assert_int_equal(says(&known, C), INPUT_DONE);
	struct conn away = connection(ELSEWHERE, false), guest = connection(HOME, false);
	assert_int_equal(says(&away, C), INPUT_DONE);
	assert_int_equal(says(&guest, C), INPUT_TOO_FAST); /* a guest is nobody of the units file */
	pass(1000);
	world.no_share = true;
	assert_int_equal(says(&conn, A), INPUT_TOO_FAST);
	assert_int_equal(conn.refused[STAT_REFUSED_OUTBOX_SHARE], 1);
	assert_int_equal(says(&away, C), INPUT_DONE);
}

static void test_places(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false), none = connection(HOME, false),
		    known = connection(HOME, false);
	use_units("[" C "]\nname = C\n", false);
	world.places = STAT_REFUSED_UNITS;
	assert_int_equal(says(&conn, A), INPUT_DONE);
	assert_null(place_of(A));
	assert_int_equal(conn.refused[STAT_REFUSED_UNITS], 1);
	assert_null(conn.closed);
	world.places = STAT_REFUSED_CONNECTIONS;
	says(&none, A);
	assert_null(place_of(A));
	assert_int_equal(none.refused[STAT_REFUSED_CONNECTIONS], 1);
	assert_non_null(none.closed);
	assert_int_equal(world.records, 0);
	assert_int_equal(world.places_asked, 2);
	world.places = STAT_COUNT;
	struct conn first = connection(HOME, false), second = connection(ELSEWHERE, false);
	says(&first, B);
	assert_int_equal(world.places_asked, 3);
	world.places = STAT_REFUSED_UNITS;
	says(&second, B); /* has its place already */
	assert_ptr_equal(place_of(B), &second);
	says(&known, C); /* always has one */
	assert_ptr_equal(place_of(C), &known);
	assert_int_equal(known.known, 1);
	assert_int_equal(world.places_asked, 3);
}

static void test_units_file_alone(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false);
	use_units("[" A "]\ntopic = "
		  "van\n",
		true);
	says(&conn, B);
	assert_int_equal(conn.refused[STAT_REFUSED_NOT_ADMITTED], 1);
	says(&conn, A);
	assert_int_equal(world.records, 1);
	use_units("[" A "]\ntopic = " B "\n", false);
	says(&conn, B); /* would speak in the place of the other */
	assert_int_equal(conn.refused[STAT_REFUSED_NOT_ADMITTED], 2);
	assert_int_equal(world.records, 1);
	use_units("", false);
	assert_int_equal(conn.known, 0);
	says(&conn, B);
	assert_int_equal(world.records, 2);
}

/* --- input --- */

static void test_what_nobody_recognises(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false);
	size_t used;
	assert_int_equal(gives(&conn, "GET / HTTP/1.1\r\n", &used), INPUT_UNKNOWN);
	assert_int_equal(used, 0);
	assert_int_equal(world.unknown, 1); /* at once */
	assert_string_equal(world.told, "HTTP -");
	assert_int_equal(gives(&conn, "GET / HTTP/1.1\r\nHost: a\r\n", &used), INPUT_UNKNOWN);
	world.ops.ended(world.ops.ctx, &conn, "unknown protocol", span_text("GET / HTTP/1.1\r\n"), world.now);
	assert_int_equal(world.unknown, 1); /* once */
	struct conn odd = connection(HOME, false);
	assert_int_equal(gives(&odd, "hello", &used), INPUT_UNKNOWN);
	assert_int_equal(world.unknown, 1);
	world.ops.ended(world.ops.ctx, &odd, "unknown protocol", span_text("hello"), world.now);
	assert_int_equal(world.unknown, 2);
	assert_string_equal(world.told, "- -");
	struct conn fine = connection(HOME, false);
	says(&fine, A);
	world.ops.ended(world.ops.ctx, &fine, "test", span_text("*HQ"), world.now);
	assert_int_equal(world.unknown, 2);
}

static void test_no_room_and_not_stored(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false);
	struct h02_options *options = codec_settings_of(world.config.codecs, codec_find(span_text("h02")));
	options->ack = H02_ACK_V4;
	world.full = true;
	assert_int_equal(says(&conn, A), INPUT_NO_ROOM);
	assert_int_equal(world.frames_in, 0);
	world.full = false;
	world.no_store = true;
	says(&conn, A);
	assert_int_equal(conn.answers_len, 0); /* not acknowledged */
	world.no_store = false;
	says(&conn, A);
	assert_int_equal(world.frames_out, 1);
	assert_true(conn.answers_len > 0);
}

/* Who is relayed is answered by the platform when it is to answer, but for units that the units file answers itself. */
static void test_the_platform_answers_in_the_bridges_place(void **state)
{
	static const struct {
		const char *ident;
		bool by_bridge;
	} rows[] = {{A, false}, {"9000000002", true}, {"9000000003", true}, {"9000000004", false},
		{"9000000005", false}};
	(void)state;
	free(world.config.relay.server);
	world.config.relay.server = strdup("192.0.2.1:8090");
	use_units(
		"[" A "]\n[9000000002]\nrelay = no\n[9000000003]\nack = v4\n[9000000004]\nack = off\n", false);
	for (int64_t replies = RELAY_REPLIES_BRIDGE; replies <= RELAY_REPLIES_RELAY; replies++) {
		world.config.relay.replies = replies;
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct conn conn = connection(HOME, false);
			bool off = strcmp(rows[i].ident, "9000000004") == 0;
			bool want = !off && (rows[i].by_bridge || replies == RELAY_REPLIES_BRIDGE);
			says(&conn, rows[i].ident);
			assert_int_equal(conn.answers_len > 0, want);
			ends(&conn);
		}
	}
	assert_int_equal(world.records, 10);
	assert_int_equal(world.frames_out, 6);
}

static void test_closed_is_not_heard(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false);
	size_t used;
	says(&conn, A);
	conn.closed = "test";
	gives(&conn, "*HQ," A ",V1,121300,A,2234.9273,N,11401.1234,E,010.00,090,010125,FFFFFBFF#", &used);
	assert_int_equal(used, 0);
	assert_int_equal(world.records, 1);
}

/* --- messages in several frames --- */

/* A frame of 013912345678: none of its bytes needs to be escaped. `total` 0: it is whole. */
static void says_jt808(struct conn *conn, uint16_t id, uint8_t number, uint8_t total, const char *body)
{
	uint8_t raw[64], check = 0;
	struct writer w = writer_of(raw, sizeof(raw));
	size_t len = strlen(body);
	enum input_end end;
	writer_u8(&w, 0x7e);
	writer_u16(&w, id);
	writer_u16(&w, (uint16_t)(len | (total > 0 ? 0x2000 : 0)));
	writer_bytes(&w, "\x01\x39\x12\x34\x56\x78\0", 7);
	writer_u8(&w, (uint8_t)(16 + number));
	if (total > 0) {
		writer_u16(&w, total);
		writer_u16(&w, number);
	}
	writer_text(&w, body);
	for (size_t i = 1; i < w.len; i++)
		check ^= raw[i];
	writer_u8(&w, check);
	writer_u8(&w, 0x7e);
	assert_int_equal(world.ops.input(world.ops.ctx, conn, writer_span(&w), 0, world.now, &end), w.len);
	conn->spoke_ms = world.now.steady_ms;
}

/* So many seconds go by; returns how many times the unit on this connection was asked for something. */
static unsigned asked_within(const struct conn *conn, unsigned seconds)
{
	unsigned before = conn->commands;
	while (seconds-- > 0) {
		pass(1000);
		sessions_tick(world.sessions, world.now);
	}
	return conn->commands - before;
}

static void test_the_rest_of_a_message_is_asked_for(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 4; i++)
		world.addresses[i].key[0] = i;
	struct conn tcp = connection(HOME, false), udp = connection(2, true),
		    new = connection(ELSEWHERE, false);
	says_jt808(&udp, 0x0801, 1, 3, "aa");
	assert_int_equal(asked_within(&udp, 60), 0); /* its sender may be forged */
	ends(&udp);
	says_jt808(&tcp, 0x0002, 0, 0, "");
	says_jt808(&tcp, 0x0801, 1, 4, "aa");
	says_jt808(&tcp, 0x0801, 2, 4, "bb");
	unsigned shown = world.frames_out;
	assert_int_equal(asked_within(&tcp, 9), 0);
	assert_int_equal(asked_within(&tcp, 11), 2); /* and not for what came over UDP */
	assert_int_equal(world.frames_out - shown, tcp.commands);
	ends(&tcp);
	assert_int_equal(asked_within(&tcp, 20), 0); /* nobody is there */
	says_jt808(&new, 0x0002, 0, 0, "");
	assert_int_equal(asked_within(&new, 20), 0); /* it may be somebody else */
	ends(&new);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(newest_takes_over),
		TEST(last_words_are_taken),
		TEST(once_a_second_at_most),
		TEST(addresses_that_take_turns_are_told),
		TEST(datagram_gets_no_unit_that_connects),
		TEST(who_goes_keeps_nothing),
		TEST(guest_leaves_no_trace),
		TEST(units_share_a_connection),
		TEST(units_per_connection),
		TEST(arrivals_of_an_address),
		TEST(arrivals_over_udp),
		TEST(frames_of_an_address),
		TEST(places),
		TEST(units_file_alone),
		TEST(what_nobody_recognises),
		TEST(no_room_and_not_stored),
		TEST(the_platform_answers_in_the_bridges_place),
		TEST(closed_is_not_heard),
		TEST(the_rest_of_a_message_is_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
