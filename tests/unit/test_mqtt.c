// SPDX-License-Identifier: MIT
/* test_mqtt: whatever bytes a broker sends, the bridge lives, and tries again. The real client against a broker that answers with
 * mutated packets of all kinds; T2M_ITERATIONS says how many connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/base/log.h"
#include "bridge/broker/mqtt.h"

/* A failed assertion of the library leaves what it held, and some of its own errors do, too. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libmosquitto\n";
}

struct packet {
	size_t len;
	uint8_t bytes[64];
};

#define P(...)                                                                                                 \
	{                                                                                                      \
		sizeof((uint8_t[]){__VA_ARGS__}),                                                              \
		{                                                                                              \
			__VA_ARGS__                                                                            \
		}                                                                                              \
	}

/* What a broker may say, each kind; the first one opens the connection. */
static const struct packet packets5[] = {
	P(0x20, 0x03, 0x00, 0x00, 0x00),
	P(0x20, 0x15, 0x00, 0x00, 0x12, 0x21, 0x00, 0x0a, 0x24, 0x01, 0x25, 0x01, 0x27, 0x00, 0x00, 0x10, 0x00,
		0x22, 0x00, 0x0a, 0x13, 0x00, 0x3c),
	P(0x90, 0x04, 0x00, 0x01, 0x00, 0x01),
	P(0x90, 0x0a, 0x00, 0x01, 0x06, 0x1f, 0x00, 0x03, 'b', 'a', 'd', 0x87),
	P(0x40, 0x02, 0x00, 0x02),
	P(0x40, 0x0a, 0x00, 0x03, 0x87, 0x06, 0x1f, 0x00, 0x03, 'b', 'a', 'd'),
	P(0x30, 0x0c, 0x00, 0x05, 't', '/', '1', '/', 'c', 0x00, 'x', 'y', 'z', '!'),
	P(0x32, 0x1b, 0x00, 0x05, 't', '/', '1', '/', 'c', 0x00, 0x09, 0x10, 0x08, 0x00, 0x01, 'r', 0x09, 0x00,
		0x01, 'c', 0x26, 0x00, 0x01, 'a', 0x00, 0x01, 'b', 'x', 'y'),
	P(0x34, 0x0a, 0x00, 0x03, 't', '/', '1', 0x00, 0x0a, 0x00, 'x', 'y'),
	P(0x62, 0x02, 0x00, 0x0a),
	P(0x50, 0x02, 0x00, 0x04),
	P(0x70, 0x02, 0x00, 0x04),
	P(0xb0, 0x04, 0x00, 0x07, 0x00, 0x00),
	P(0xc0, 0x00),
	P(0xd0, 0x00),
	P(0xe0, 0x02, 0x8b, 0x00),
	P(0xe0, 0x08, 0x82, 0x06, 0x1f, 0x00, 0x03, 'b', 'a', 'd'),
	P(0xf0, 0x08, 0x18, 0x06, 0x15, 0x00, 0x03, 'k', 'r', 'b'),
};

static atomic_int served;
static uint32_t seed = 1;

static uint32_t dice(uint32_t sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

/* Flips, replaces, cuts, or gives it a property of any number. */
static void mutate(struct packet *p)
{
	switch (dice(6)) {
	case 0:
		p->bytes[dice((uint32_t)p->len)] ^= (uint8_t)(1u << dice(8));
		break;
	case 1:
		p->bytes[dice((uint32_t)p->len)] = (uint8_t)dice(256);
		break;
	case 2:
		p->len = 1 + dice((uint32_t)p->len);
		p->bytes[1] = (uint8_t)(p->len > 2 ? p->len - 2 : 0);
		break;
	case 3: /* the last three bytes are a length and a property that may be known or not */
		if (p->len > 50)
			break;
		p->bytes[p->len++] = (uint8_t)dice(256);
		p->bytes[p->len++] = (uint8_t)dice(256);
		p->bytes[1] = (uint8_t)(p->len - 2);
		break;
	case 4:
		p->bytes[1] = (uint8_t)dice(256);
		break;
	default:
		break;
	}
}

/* One connection: reads the CONNECT, says what it has to say, closes. */
static void *serve(void *arg)
{
	int listener = *(int *)arg;
	uint8_t buf[4096];
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			return NULL;
		if (recv(fd, buf, sizeof(buf), 0) > 0) {
			struct packet p = packets5[0];
			if (dice(4) == 0)
				mutate(&p);
			send(fd, p.bytes, p.len, MSG_NOSIGNAL);
			for (uint32_t n = 1 + dice(4); n > 0; n--) {
				p = packets5[dice(sizeof(packets5) / sizeof(packets5[0]))];
				mutate(&p);
				send(fd, p.bytes, p.len, MSG_NOSIGNAL);
			}
		}
		shutdown(fd, SHUT_WR);
		while (recv(fd, buf, sizeof(buf), 0) > 0)
			;
		close(fd);
		atomic_fetch_add(&served, 1);
	}
}

static int listen_anywhere(int64_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	*port = ntohs(a.sin_port);
	return fd;
}

static size_t heard;

static void on_message(void *ctx, const struct route_message *message, struct moment now)
{
	(void)ctx;
	(void)now;
	heard += message->topic.len;
}

static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	(void)loop;
	(void)events;
	mqtt_kick(prepare->data);
}

static void on_end(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void fill(struct outbox *o)
{
	for (unsigned i = 0; i < 20; i++) {
		const struct outbox_message m = {
			.topic = span_text("t/1/position"), .payload = span_text("{}"), .order = i % 5};
		assert_true(outbox_put(o, &m) != 0);
	}
	assert_true(outbox_sync(o));
}

static void one(struct ev_loop *loop, const struct config *config)
{
	const struct outbox_options options = {.path = "", .size = 1 << 20};
	static struct stats stats;
	char why[200];
	struct outbox *o = outbox_open(&options, why, sizeof(why));
	fill(o);
	int before = atomic_load(&served);
	struct mqtt *m = mqtt_open(loop, config, "t/bridge/status", o, &stats);
	assert_true(mqtt_route(m, "t/#", on_message, NULL, "no message arrives"));
	ev_prepare turn;
	ev_prepare_init(&turn, on_turn);
	turn.data = m;
	ev_prepare_start(loop, &turn);
	mqtt_start(m);
	for (int i = 0; i < 2000 && atomic_load(&served) == before; i++) {
		ev_timer end;
		ev_timer_init(&end, on_end, 0.001, 0.);
		ev_timer_start(loop, &end);
		ev_run(loop, 0);
		ev_timer_stop(loop, &end);
	}
	assert_int_not_equal(atomic_load(&served), before); /* it was through with this connection */
	ev_prepare_stop(loop, &turn);
	mqtt_free(m);
	outbox_close(o);
}

static void test_any_bytes(void **state)
{
	(void)state;
	const char *iterations = getenv("T2M_ITERATIONS");
	struct config config;
	pthread_t thread;
	config_init(&config);
	int listener = listen_anywhere(&config.mqtt.port);
	free(config.mqtt.host);
	config.mqtt.host = strdup("127.0.0.1");
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	pthread_create(&thread, NULL, serve, &listener);
	for (int i = iterations != NULL ? atoi(iterations) : 400; i > 0; i--) {
		config.mqtt.version = i % 4 == 0 ? 4 : 5;
		one(loop, &config);
	}
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
	ev_loop_destroy(loop);
	config_free(&config);
	assert_true(heard > 0); /* some came through */
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_open(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_bytes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
