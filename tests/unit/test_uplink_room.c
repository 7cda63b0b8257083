/* test_uplink_room: records for which the outbox has no room: an alarm is raised only once it is stored, and a batch is taken whole,
 * later, or never. */
#include "harness.h"

#include "bridge/outputs/uplink.h"

#include <arpa/inet.h>
#include <stdlib.h>

static struct config config;
static struct stats stats;
static struct outbox *outbox;
static struct uplink *uplink;
static struct session session;
static struct conn conn;
static struct source source;
static const struct moment now = {1800000000000, 5000000};

static void open_all(size_t size)
{
	char why[300];
	const struct outbox_options options = {.path = "", .size = size};
	memset(&stats, 0, sizeof(stats));
	memset(&session, 0, sizeof(session));
	memset(&conn, 0, sizeof(conn));
	memset(&source, 0, sizeof(source));
	config_init(&config);
	config.outbox.size = (int64_t)size;
	outbox = outbox_open(&options, why, sizeof(why));
	uplink = uplink_open(&config, outbox, &stats);
	assert_true(outbox != NULL && uplink != NULL);
	strcpy(session.unit.ident, "9170503816");
	session.codec = codec_find("h02");
	session.conn = &conn;
	conn.source = &source;
	conn.peer.addr.in4.sin_family = AF_INET;
}

static void close_all(void)
{
	uplink_free(uplink);
	outbox_close(outbox);
	config_free(&config);
}

static bool record_with_alarm(void)
{
	static struct telemetry t;
	telemetry_reset(&t);
	telemetry_set(&t, TM_LATITUDE, 52000000);
	telemetry_set(&t, TM_LONGITUDE, 13000000);
	telemetry_set(&t, TM_SOS_ALARM, 1);
	return uplink_record(uplink, &session, &conn, &t, now);
}

/* Takes all that waits; how many of it are on a topic that ends like this? */
static unsigned drain(const char *leaf)
{
	struct outbox_message m;
	unsigned n = 0;
	size_t len = strlen(leaf);
	assert_true(outbox_sync(outbox));
	while (outbox_next(outbox, &m)) {
		n += m.topic.len > len && memcmp(m.topic.ptr + m.topic.len - len, leaf, len) == 0;
		outbox_done(outbox, m.seqnum);
	}
	return n;
}

static void test_an_alarm_without_room_is_raised_when_the_record_comes_again(void **state)
{
	(void)state;
	open_all(1 << 20);
	assert_true(record_with_alarm());
	size_t both = outbox_bytes(outbox);
	assert_int_equal(drain("/alarm"), 1);
	close_all();
	open_all(both - 1); /* room for the position alone */
	assert_false(record_with_alarm());
	assert_int_equal(stats.count[STAT_ALARMS], 0);
	assert_int_equal(drain("/alarm"), 0);
	for (int i = 0; i < 2; i++) { /* still none */
		assert_false(record_with_alarm());
		assert_int_equal(drain("/alarm"), 0);
	}
	struct outbox *small = outbox;
	char why[300];
	const struct outbox_options options = {.path = "", .size = 1 << 20};
	uplink_free(uplink); /* with room again; what is known of the unit stays */
	outbox = outbox_open(&options, why, sizeof(why));
	uplink = uplink_open(&config, outbox, &stats);
	outbox_close(small);
	assert_true(record_with_alarm());
	assert_int_equal(drain("/alarm"), 1);
	assert_int_equal(stats.count[STAT_ALARMS], 1);
	assert_true(record_with_alarm()); /* raised already */
	assert_int_equal(drain("/alarm"), 0);
	assert_int_equal(stats.count[STAT_ALARMS], 1);
	close_all();
}

/* The smallest outbox that the configuration allows, and the largest batch that a message can give. */
static void test_a_batch_is_taken_whole_later_or_never(void **state)
{
	(void)state;
	size_t most = 0;
	open_all(1 << 20);
	while (uplink_batch(uplink, most + 1) == CODEC_ROOM_YES)
		most++;
	assert_in_range(most, 100, 1000);
	assert_int_equal(uplink_batch(uplink, most + 1), CODEC_ROOM_NEVER); /* not "later", for ever */
	assert_int_equal(uplink_batch(uplink, 2000), CODEC_ROOM_NEVER);
	while (uplink_batch(uplink, most) == CODEC_ROOM_YES)
		assert_true(record_with_alarm());
	assert_int_equal(uplink_batch(uplink, most), CODEC_ROOM_NOT_NOW);
	assert_int_equal(uplink_batch(uplink, most + 1), CODEC_ROOM_NEVER); /* full or not */
	drain("");
	assert_int_equal(uplink_batch(uplink, most), CODEC_ROOM_YES);
	for (size_t i = 0; i < most; i++) { /* and then all of it has room */
		memset(session.alarms, 0, sizeof(session.alarms));
		assert_true(record_with_alarm());
	}
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_alarm_without_room_is_raised_when_the_record_comes_again),
		cmocka_unit_test(test_a_batch_is_taken_whole_later_or_never),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
