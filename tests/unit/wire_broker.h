// SPDX-License-Identifier: MIT
/* wire_broker: a broker of MQTT 5 on loopback that writes down what is subscribed, and says what a test tells it to. One connection at
 * a time, in a thread. */
#ifndef T2M_WIRE_BROKER_H
#define T2M_WIRE_BROKER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WIRE_TOPICS 2000
#define WIRE_LONGEST 100

struct wire_broker {
	pthread_mutex_t lock; /* for all below */
	pthread_t thread;
	int listener, fd; /* fd -1: nobody is connected */
	unsigned connections;
	bool silent;        /* SUBSCRIBE is not answered */
	const char *refuse; /* a filter that is refused, as not authorized; NULL: none */
	int held_mid;       /* of the last SUBSCRIBE that was not answered */
	char subscribed[WIRE_TOPICS]
		       [WIRE_LONGEST];          /* on this connection, in order; "" where it is unsubscribed */
	size_t count, subscribes, unsubscribes; /* the last two: packets on this connection */
	size_t published;                       /* messages at QoS 0 that came on this connection */
	size_t acknowledged;                    /* messages at QoS 1 that were, on all connections */
};

static bool wire_read(int fd, uint8_t *to, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t r = recv(fd, to + got, n - got, 0);
		if (r <= 0)
			return false;
		got += (size_t)r;
	}
	return true;
}

/* Kind and flags, and the body's length; -1: the connection is gone. */
static ssize_t wire_packet(int fd, uint8_t *head, uint8_t *body, size_t size)
{
	size_t len = 0;
	uint8_t c = 0x80;
	if (!wire_read(fd, head, 1))
		return -1;
	for (unsigned shift = 0; c & 0x80; shift += 7) {
		if (!wire_read(fd, &c, 1))
			return -1;
		len |= (size_t)(c & 0x7f) << shift;
	}
	return len <= size && wire_read(fd, body, len) ? (ssize_t)len : -1;
}

static void wire_send(int fd, const uint8_t *bytes, size_t len)
{
	if (fd >= 0)
		(void)!send(fd, bytes, len, MSG_NOSIGNAL); /* the other side may be closing */
}

static void wire_answer(int fd, uint8_t kind, int mid, uint8_t code)
{
	const uint8_t packet[] = {kind, 4, (uint8_t)(mid >> 8), (uint8_t)mid, 0, code};
	wire_send(fd, packet, sizeof(packet));
}

/* Packet identifier, no properties, one filter; behind it the options of a SUBSCRIBE. */
static void wire_filter(struct wire_broker *b, int fd, bool subscribe, const uint8_t *body)
{
	char filter[WIRE_LONGEST] = "";
	int mid = body[0] << 8 | body[1];
	memcpy(filter, body + 5, body[4]);
	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->count; i++)
		if (strcmp(b->subscribed[i], filter) == 0)
			b->subscribed[i][0] = '\0';
	b->subscribes += subscribe;
	b->unsubscribes += !subscribe;
	bool refused = subscribe && b->refuse != NULL && strcmp(b->refuse, filter) == 0;
	if (subscribe && !refused)
		strcpy(b->subscribed[b->count++], filter);
	bool answer = !subscribe || !b->silent;
	b->held_mid = answer ? b->held_mid : mid;
	if (answer)
		wire_answer(fd, subscribe ? 0x90 : 0xb0, mid, refused ? 0x87 : 0);
	pthread_mutex_unlock(&b->lock);
}

static void wire_connection(struct wire_broker *b, int fd)
{
	static uint8_t body[4096];
	uint8_t head;
	while (wire_packet(fd, &head, body, sizeof(body)) >= 0) {
		switch (head >> 4) {
		case 1:
			pthread_mutex_lock(&b->lock);
			wire_send(fd, (const uint8_t[]){0x20, 3, 0, 0, 0}, 5);
			b->count = b->subscribes = b->unsubscribes = b->published = 0;
			b->fd = fd;
			b->connections++;
			pthread_mutex_unlock(&b->lock);
			break;
		case 3: /* `online` and `offline` are at QoS 1 */
			if (head & 6) {
				size_t at = 2 + ((size_t)body[0] << 8 | body[1]);
				wire_answer(fd, 0x40, body[at] << 8 | body[at + 1], 0);
			} else {
				pthread_mutex_lock(&b->lock);
				b->published++;
				pthread_mutex_unlock(&b->lock);
			}
			break;
		case 4:
			pthread_mutex_lock(&b->lock);
			b->acknowledged++;
			pthread_mutex_unlock(&b->lock);
			break;
		case 8:
		case 10:
			wire_filter(b, fd, head >> 4 == 8, body);
			break;
		case 12:
			wire_send(fd, (const uint8_t[]){0xd0, 0}, 2);
			break;
		}
	}
	pthread_mutex_lock(&b->lock);
	b->fd = -1;
	pthread_mutex_unlock(&b->lock);
	close(fd);
}

static void *wire_run(void *arg)
{
	struct wire_broker *b = arg;
	for (int fd; (fd = accept(b->listener, NULL, NULL)) >= 0;)
		wire_connection(b, fd);
	return NULL;
}

/* Returns the port. */
static int64_t wire_open(struct wire_broker *b)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	memset(b, 0, sizeof(*b));
	b->fd = -1;
	pthread_mutex_init(&b->lock, NULL);
	b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(b->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(b->listener, 8), 0);
	getsockname(b->listener, (struct sockaddr *)&a, &len);
	assert_int_equal(pthread_create(&b->thread, NULL, wire_run, b), 0);
	return ntohs(a.sin_port);
}

static void wire_close(struct wire_broker *b)
{
	shutdown(b->listener, SHUT_RDWR);
	pthread_mutex_lock(&b->lock);
	if (b->fd >= 0)
		shutdown(b->fd, SHUT_RDWR);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	close(b->listener);
	pthread_mutex_destroy(&b->lock);
}

/* The connection breaks. */
static void wire_break(struct wire_broker *b)
{
	pthread_mutex_lock(&b->lock);
	assert_true(b->fd >= 0);
	shutdown(b->fd, SHUT_RDWR);
	pthread_mutex_unlock(&b->lock);
}

/* A message with the payload `x`, whether it is subscribed to or not; mid 0: at QoS 0, else at QoS 1. */
static void wire_publish_as(struct wire_broker *b, const char *topic, uint8_t mid)
{
	uint8_t packet[WIRE_LONGEST + 8];
	size_t n = strlen(topic), at = 4 + n;
	assert_true(n < WIRE_LONGEST);
	packet[0] = mid > 0 ? 0x32 : 0x30;
	packet[2] = 0;
	packet[3] = (uint8_t)n;
	memcpy(packet + 4, topic, n);
	if (mid > 0) {
		packet[at++] = 0;
		packet[at++] = mid;
	}
	packet[at++] = 0; /* no properties */
	packet[at++] = 'x';
	packet[1] = (uint8_t)(at - 2);
	pthread_mutex_lock(&b->lock);
	wire_send(b->fd, packet, at);
	pthread_mutex_unlock(&b->lock);
}

static void wire_publish(struct wire_broker *b, const char *topic)
{
	wire_publish_as(b, topic, 0);
}

/* The answer to the last SUBSCRIBE that was not answered. */
static void wire_grant_late(struct wire_broker *b)
{
	pthread_mutex_lock(&b->lock);
	wire_answer(b->fd, 0x90, b->held_mid, 0);
	pthread_mutex_unlock(&b->lock);
}

/* How often this filter is subscribed to. */
static size_t wire_has(struct wire_broker *b, const char *filter)
{
	size_t n = 0;
	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->count; i++)
		n += strcmp(b->subscribed[i], filter) == 0;
	pthread_mutex_unlock(&b->lock);
	return n;
}

/* A member, under the lock. */
#define wire_set(b, member, value)                                                                             \
	do {                                                                                                   \
		pthread_mutex_lock(&(b)->lock);                                                                \
		(b)->member = (value);                                                                         \
		pthread_mutex_unlock(&(b)->lock);                                                              \
	} while (0)
#define wire_get(b, member)                                                                                    \
	(__extension__({                                                                                       \
		pthread_mutex_lock(&(b)->lock);                                                                \
		__typeof__((b)->member) value = (b)->member;                                                   \
		pthread_mutex_unlock(&(b)->lock);                                                              \
		value;                                                                                         \
	}))

#endif
