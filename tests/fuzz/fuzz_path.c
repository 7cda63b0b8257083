// SPDX-License-Identifier: MIT
/* fuzz_path: see fuzz_path.h. A run: what users, the broker and time do is here, what units do in fuzz_path_units.c. */
#include "fuzz_path.h"

#include "bridge/units/gbk.h"
#include "bridge/base/log.h"

#include <signal.h>
#include <stdlib.h>

#define OPERATIONS_MOST 400

struct world world;

static ev_timer tick;
static uint8_t choice[CONFIG_BYTES];

/* --- users --- */

static void send_message(const struct route_message *m, const char *id, const char *correlation)
{
	if (id != NULL)
		check_request(id, UINT64_MAX);
	if (correlation != NULL)
		check_request(correlation, UINT64_MAX);
	uint64_t before = world.bridge.stats.count[STAT_COMMANDS];
	downlink_message(world.bridge.downlink, m, parts_now(&world.bridge));
	if (id != NULL)
		check_request(id, before);
	if (correlation != NULL)
		check_request(correlation, before);
}

/* %s: its id */
static const char *const command_forms[] = {"S20,000000,1,1", "R1,000000", "{\"payload\":\"a\"", "",
	"{\"payload\":\"a\",\"x\\nrefused 203.0.113.5: tls\":1}",
	"{\"command\":\"engine.stop\",\"id\":\"%s\",\"timeout\":1}",
	"{\"command\":\"position.request\",\"hold\":2,\"id\":\"%s\"}",
	"{\"payload\":\"S32,000000,1\",\"id\":\"%s\"}",
	"{\"command\":\"parameters.request\",\"id\":\"%s\",\"hold\":5,\"timeout\":2.5}",
	"{\"command\":\"door.lock\",\"id\":\"%s\"}", /* of one protocol only */
	"{\"command\":\"report.interval\",\"args\":{\"interval\":30},\"id\":\"%s\"}",
	"{\"command\":\"apn.set\",\"args\":{\"apn\":\"\\u4e2d\"},\"id\":\"%s\",\"hold\":1}"};

static void do_command(struct span *in)
{
	char ident[CODEC_IDENT_MAX + 1], topic[80], text[700], id[16], correlation[16];
	uint8_t target = next_byte(in), form = next_byte(in), flags = next_byte(in);
	size_t n = form % (sizeof(command_forms) / sizeof(command_forms[0]) + 1);
	ident_text(target, ident);
	snprintf(topic, sizeof(topic), "trackers/%s/cmd", flags & 8 ? (target & 1 ? "tt" : "van") : ident);
	unsigned number = (unsigned)++world.requests;
	snprintf(id, sizeof(id), "%c%u", flags & 1 ? 's' : 'u', flags & 1 ? next_byte(in) % 3u : number);
	snprintf(correlation, sizeof(correlation), "c%u", number);
	bool free_form = n == sizeof(command_forms) / sizeof(command_forms[0]);
	struct route_message m = {.topic = span_text(topic), .payload = *in, .expiry_s = -1};
	if (!free_form) {
		snprintf(text, sizeof(text), command_forms[n], id);
		m.payload = span_text(text);
	}
	bool keyed = !free_form && strstr(command_forms[n], "%s") != NULL;
	m.retained = flags >> 4 == 15;
	m.expiry_s = flags & 32 ? next_byte(in) % 4 : -1;
	if (flags & 2) {
		m.response_topic = span_text("answers/fuzz");
		m.correlation = span_text(correlation);
	} else if (flags & 4) {
		m.response_topic = span_text("r/t");
	}
	send_message(&m, keyed ? id : NULL, flags & 2 ? correlation : NULL);
}

/* What others publish that is no command. */
static void do_birth(void)
{
	const struct route_message m = {
		.topic = span_text("homeassistant/status"), .payload = span_text("online"), .expiry_s = -1};
	const struct route_message raw = {
		.topic = span_text("trackers/1/raw/set"), .payload = span_text("10s"), .expiry_s = -1};
	raw_message(world.bridge.raw, &raw, parts_now(&world.bridge));
	if (world.bridge.homeassistant != NULL)
		homeassistant_birth(world.bridge.homeassistant, &m, parts_now(&world.bridge));
}

/* --- the turn, and time --- */

static void turn(void)
{
	const struct bridge *b = &world.bridge;
	ev_run(b->loop, EVRUN_NOWAIT);
	bool due = conns_stalled(b->conns) && outbox_room(b->outbox) && !b->stopping;
	uint64_t before = b->stats.count[STAT_FRAMES] + b->stats.count[STAT_NOISE];
	parts_turn(&world.bridge);
	bool taken = b->stats.count[STAT_FRAMES] + b->stats.count[STAT_NOISE] > before;
	must("stalled-late", !due || taken || !conns_stalled(b->conns) || !outbox_room(b->outbox),
		"there is room, and nothing is read");
	walk(true);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
	parts_tick(&world.bridge);
}

static void do_time(struct span *in)
{
	uint8_t step = next_byte(in), jump = next_byte(in);
	int64_t by =
		PICK(jump, 0, 0, 0, 0, 0, 1000, -1000, 3600000, -3600000, 172800000, -172800000, 410000000000);
	world.jumped |= by != 0;
	clocks_pass(PICK(step, 10, 50, 200, 300, 1000, 3000, 31000, 301000, 1801000), by);
	turn();
}

static void do_reload(struct span *in)
{
	world.bridge.path = files_write(choice, next_byte(in));
	walk(false);
	parts_reload(&world.bridge);
	check_limits();
	walk_reloaded();
	walk(false);
}

/* All read, the broker takes all, and more time passes than any wait may last. */
static void settle(void)
{
	world.disk_refuses = world.deaf_datagrams = false;
	for (unsigned i = 0; i < 26; i++) {
		clocks_pass(i < 10 ? 300 : 3000, 0);
		turn();
		broker_take(UINT32_MAX, 0);
		for (unsigned who = 0; who < CLIENTS; who++)
			units_read(who);
	}
	check_settled();
}

/* --- a run --- */

static void begin(void)
{
	struct bridge *b = &world.bridge;
	char why[400];
	static const int64_t sizes[] = {320 << 10, 300 << 10, 600 << 10, 8 << 20};
	memset(b, 0, sizeof(*b));
	clocks_reset();
	broker_reset();
	wire_reset();
	check_reset();
	world.heap_before = heap_bytes();
	config_init(&b->config);
	b->path = files_write(choice, choice[10] % 5);
	if (config_load(&b->config, b->path, stderr) != 0)
		abort();
	b->config.outbox.size = sizes[choice[0] >> 4 & 3];
	world.disk = files_on_disk(choice);
	if (world.disk)
		files_outbox();
	b->loop = ev_loop_new(0);
	parts_use_config(b);
	if (!parts_open_inside(b, why, sizeof(why)))
		abort();
	ev_timer_init(&tick, on_tick, 0.25, 0.25);
	ev_timer_start(b->loop, &tick);
	world.least_gap = INT64_MAX;
	world.most_connections = world.most_units = world.most_input = world.most_output = 0;
	world.most_unidentified = 0;
	world.strangers_left = world.places_left = 0;
	world.requests = 0;
	world.disk_refuses = world.disk_refused = world.deaf_datagrams = false;
	world.jumped = world.deaf = false;
	units_begin();
	check_limits();
}

/* The outbox of the next run: what nobody has acknowledged is there. */
static void open_again(struct bridge *b)
{
	char why[400];
	const struct outbox_options options = {b->config.outbox.path, (size_t)b->config.outbox.size,
		(enum outbox_sync)b->config.outbox.sync, b->config.outbox.sync_interval, OUTBOX_DAMAGED_REFUSE};
	b->outbox = outbox_open(&options, why, sizeof(why));
	must("open-again", b->outbox != NULL, "%s", why);
	if (b->outbox == NULL)
		return;
	must("open-again", outbox_count(b->outbox) == broker_undone(),
		"%zu messages are there, %zu were not acknowledged", outbox_count(b->outbox), broker_undone());
	broker_rewind();
	broker_take(UINT32_MAX, 0);
	outbox_close(b->outbox);
}

static void end(void)
{
	struct bridge *b = &world.bridge;
	if (choice[11] & 1)
		settle();
	world.disk_refuses = false;
	parts_stop(b);
	turn();
	check_stopped();
	if ((choice[11] & 2) == 0)
		broker_take(UINT32_MAX, 0);
	ev_timer_stop(b->loop, &tick);
	parts_close(b);
	if (world.disk)
		open_again(b);
	ev_loop_destroy(b->loop);
	config_free(&b->config);
	units_end();
	wire_free();
}

static void operate(enum op op, struct span *in)
{
	uint8_t n;
	switch (op) {
	case OP_TURN:
		turn();
		return;
	case OP_CONNECT:
	case OP_SEND:
	case OP_REST:
	case OP_SERIES:
	case OP_DATAGRAM:
	case OP_BURST:
	case OP_READ:
	case OP_CLOSE:
	case OP_ANSWER:
		units_do(op, in);
		return;
	case OP_TIME:
		do_time(in);
		return;
	case OP_COMMAND:
		do_command(in);
		return;
	case OP_BROKER:
		n = next_byte(in);
		if (n == 255)
			broker_rewind();
		else
			broker_take(n * 8u, next_byte(in));
		return;
	case OP_RELOAD:
		do_reload(in);
		return;
	case OP_BIRTH:
		do_birth();
		return;
	case OP_DISK:
		n = next_byte(in);
		if (!world.disk_refuses)
			world.put_before_refusal = outbox_put_last();
		world.disk_refuses = world.disk && (n & 1);
		world.disk_refused |= world.disk_refuses;
		world.deaf_datagrams = n & 2;
		world.deaf |= world.deaf_datagrams;
		return;
	case OP_COUNT:
		return;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	gbk_open();
	files_open();
	stderr = check_log(); /* the fuzzer and the sanitizers write to the descriptor */
	return stderr == NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < CONFIG_BYTES)
		return 0;
	memcpy(choice, data, CONFIG_BYTES);
	struct span in = span_of(data + CONFIG_BYTES, size - CONFIG_BYTES);
	begin();
	for (unsigned i = 0; in.len > 0 && i < OPERATIONS_MOST; i++) {
		enum op op = (enum op)(next_byte(&in) % OP_COUNT);
		size_t len = next_byte(&in);
		struct span arguments = span_of(in.ptr, len < in.len ? len : in.len);
		in = span_after(in, arguments.len);
		operate(op, &arguments);
	}
	end();
	return 0;
}
