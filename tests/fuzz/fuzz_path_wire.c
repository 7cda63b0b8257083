// SPDX-License-Identifier: MIT
/* fuzz_path_wire: what leaves for units: each answer whole, in order and only when what it answers is stored; each command
 * alone, whole, and with its silence around it.
 *
 * The linker leads the bridge's calls of conn_answer, conn_command, conn_whole, send, sendto and ioctl to here. */
#include "fuzz_path.h"

#include "bridge/base/log.h"
#include "bridge/peers/conn_private.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <utlist.h>

#define DESCRIPTORS 1024

/* Bytes that are owed. */
struct answer {
	struct answer *next;
	uint64_t after; /* the last message put before */
	uint64_t of;    /* the number of the conn that owes it */
	size_t len, gone;
	uint8_t bytes[];
};

struct order {
	struct order *next;
	size_t len;
	uint8_t bytes[];
};

static struct line *by_fd[DESCRIPTORS];
static struct line peers[PEERS];

/* --- lines --- */

static void drop_owed(struct line *line)
{
	while (line->answers != NULL) {
		struct answer *a = line->answers;
		LL_DELETE(line->answers, a);
		free(a);
	}
	while (line->orders != NULL) {
		struct order *o = line->orders;
		LL_DELETE(line->orders, o);
		free(o);
	}
	line->half_answer = line->half_command = false;
}

static void empty(struct line *line)
{
	drop_owed(line);
	*line = (struct line){.sent_ms = -1, .command_ms = -1};
}

void wire_free(void)
{
	for (size_t i = 0; i < PEERS; i++)
		empty(&peers[i]);
	for (size_t i = 0; i < DESCRIPTORS; i++) {
		if (by_fd[i] == NULL)
			continue;
		empty(by_fd[i]);
		free(by_fd[i]);
		by_fd[i] = NULL;
	}
}

void wire_reset(void)
{
	wire_free();
}

struct line *wire_of_fd(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS ? by_fd[fd] : NULL;
}

struct line *wire_of_peer(unsigned peer)
{
	return &peers[peer % PEERS];
}

void wire_connect(int fd, bool deaf)
{
	if (fd >= DESCRIPTORS)
		abort();
	if (by_fd[fd] == NULL && (by_fd[fd] = calloc(1, sizeof(struct line))) == NULL)
		abort();
	empty(by_fd[fd]);
	by_fd[fd]->deaf = deaf;
}

bool wire_owes(const struct line *line)
{
	return line != NULL && line->answers != NULL;
}

static struct line *line_of(const struct conn *conn)
{
	if (!conn->udp)
		return wire_of_fd(conn->peer.fd);
	unsigned port = ntohs(conn->peer.addr.in4.sin_port);
	struct line *line = wire_of_peer(port - FIRST_PORT);
	if (line->number <
		conn->number) { /* the bridge had forgotten the peer, or soon will: what it owes may still leave */
		line->number = conn->number;
		line->sent_ms = line->command_ms = -1;
	}
	return line;
}

/* --- what the bridge wants to send --- */

/* Of one peer, whatever the bridge still knows of it: else two servers would answer each other for ever. */
static void see_echo(const struct conn *conn, struct line *line, bool echo)
{
	int64_t now = clocks_steady_ms();
	if (!conn->udp || !echo)
		return;
	must("echo", line->echo_ms == 0 || now - line->echo_ms >= 5000,
		"a datagram is echoed %lld ms behind another", (long long)(now - line->echo_ms));
	line->echo_ms = now;
}

void __real_conn_whole(struct conn *conn, size_t bytes);
void __wrap_conn_whole(struct conn *conn, size_t bytes);
void __wrap_conn_whole(struct conn *conn, size_t bytes)
{
	if (conn->udp)
		line_of(conn)->whole += bytes;
	__real_conn_whole(conn, bytes);
}

size_t __real_conn_answer(struct conn *conn, struct span frame, bool echo);
size_t __wrap_conn_answer(struct conn *conn, struct span frame, bool echo);
size_t __wrap_conn_answer(struct conn *conn, struct span frame, bool echo)
{
	uint32_t before = conn->out_len;
	parts_answer(frame);
	size_t at = __real_conn_answer(conn, frame, echo);
	struct line *line = line_of(conn);
	must("answer-at",
		(at == CONN_REFUSED) == (conn->out_len == before) &&
			(at == CONN_REFUSED || at + frame.len == conn->out_len),
		"an answer stands at %zu of %u bytes", at, conn->out_len);
	if (at == CONN_REFUSED || line == NULL)
		return at;
	see_echo(conn, line, echo);
	struct answer *a = calloc(1, sizeof(*a) + frame.len);
	if (a == NULL)
		abort();
	a->after = outbox_put_last();
	a->of = conn->number;
	a->len = frame.len;
	memcpy(a->bytes, frame.ptr, frame.len);
	LL_APPEND(line->answers, a);
	return at;
}

bool __real_conn_command(
	struct conn *conn, const void *whose, struct span frame, conn_sent *sent, void *ctx, uint64_t id);
bool __wrap_conn_command(
	struct conn *conn, const void *whose, struct span frame, conn_sent *sent, void *ctx, uint64_t id);
bool __wrap_conn_command(
	struct conn *conn, const void *whose, struct span frame, conn_sent *sent, void *ctx, uint64_t id)
{
	struct line *line = line_of(conn);
	struct order *o = calloc(1, sizeof(*o) + frame.len);
	if (o == NULL)
		abort();
	o->len = frame.len;
	memcpy(o->bytes, frame.ptr, frame.len);
	if (line != NULL)
		LL_APPEND(line->orders, o);
	else
		free(o);
	return __real_conn_command(conn, whose, frame, sent, ctx, id);
}

/* --- what it sends --- */

/* A command that leaves; false: these bytes are none that waits. Those before it were taken back: their unit went. */
static bool take_command(struct line *line, struct span bytes)
{
	struct order *o;
	LL_FOREACH(line->orders, o)
		if (o->len == bytes.len && memcmp(o->bytes, bytes.ptr, bytes.len) == 0)
			break;
	if (o == NULL)
		return false;
	LL_DELETE(line->orders, o);
	free(o);
	int64_t now = clocks_steady_ms();
	must("command-inside", !line->half_answer, "a command leaves inside an answer");
	must("command-gap", line->sent_ms < 0 || now - line->sent_ms >= world.least_gap,
		"a command leaves %lld ms behind what was sent before", (long long)(now - line->sent_ms));
	line->sent_ms = line->command_ms = now;
	line->command_len = bytes.len < sizeof(line->command) ? bytes.len : sizeof(line->command);
	memcpy(line->command, bytes.ptr, line->command_len);
	return true;
}

static bool is_answer(const struct line *line, struct span bytes)
{
	const struct answer *a = line->answers;
	size_t at = 0;
	for (; a != NULL && at < bytes.len; a = a->next) {
		size_t left = a->len - a->gone, n = bytes.len - at < left ? bytes.len - at : left;
		if (memcmp(a->bytes + a->gone, bytes.ptr + at, n) != 0)
			return false;
		at += n;
	}
	return at == bytes.len;
}

static void take_answers(struct line *line, size_t gone)
{
	int64_t now = clocks_steady_ms();
	must("answer-gap", line->command_ms < 0 || now - line->command_ms >= world.least_gap,
		"an answer leaves %lld ms behind a command", (long long)(now - line->command_ms));
	if (line->answers != NULL && line->answers->of >= line->number) /* not of the peer before */
		line->sent_ms = now;
	while (gone > 0) {
		struct answer *a = line->answers;
		size_t n = gone < a->len - a->gone ? gone : a->len - a->gone;
		must("answer-early", a->after <= outbox_stored_last(),
			"an answer leaves behind message %llu, stored is only %llu",
			(unsigned long long)a->after, (unsigned long long)outbox_stored_last());
		a->gone += n;
		gone -= n;
		line->half_answer = a->gone < a->len;
		if (line->half_answer)
			return;
		LL_DELETE(line->answers, a);
		free(a);
	}
}

/* `gone`: so many of the bytes left. */
static void watch(struct line *line, struct span bytes, ssize_t gone)
{
	if (line == NULL || gone <= 0)
		return;
	must("half-command", !line->half_command, "bytes leave behind half a command");
	struct answer *first = line->answers;
	bool stored = first == NULL || first->after <= outbox_stored_last();
	if (is_answer(line, bytes) && (stored || line->orders == NULL)) {
		take_answers(line, (size_t)gone);
		return;
	}
	bool command = take_command(line, bytes);
	must("bytes", command, "%zu bytes leave that are no answer and no command: %s; owed: %s", bytes.len,
		log_bytes(bytes).text,
		log_bytes(first != NULL ? span_of(first->bytes, first->len) : bytes).text);
	line->half_command = (size_t)gone < bytes.len;
}

ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
	ssize_t gone = __real_send(fd, bytes, len, flags);
	watch(wire_of_fd(fd), span_of(bytes, len), gone);
	return gone;
}

/* A datagram is one whole answer. Those of the peer before, whom the bridge has forgotten, may leave or not. */
static void bring_forward(struct line *line, struct span bytes)
{
	struct answer *a;
	LL_FOREACH(line->answers, a)
		if (a->len == bytes.len && memcmp(a->bytes, bytes.ptr, a->len) == 0)
			break;
	if (a == NULL || a == line->answers)
		return;
	LL_DELETE(line->answers, a);
	LL_PREPEND(line->answers, a);
}

/* No datagram leaves this process. */
ssize_t __wrap_sendto(
	int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to, socklen_t to_len);
ssize_t __wrap_sendto(
	int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
	(void)fd;
	(void)flags;
	(void)to_len;
	if (world.deaf_datagrams) {
		errno = EAGAIN;
		return -1;
	}
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)to;
	struct line *line = wire_of_peer(ntohs(in->sin_port) - FIRST_PORT);
	bring_forward(line, span_of(bytes, len));
	bool answer = is_answer(line, span_of(bytes, len));
	watch(line, span_of(bytes, len), (ssize_t)len);
	line->out += answer ? len : 0;
	must("amplify", line->whole <= line->in && line->out <= line->in + 2 * line->whole,
		"%zu bytes answer %zu, %zu of them in whole frames", line->out, line->in, line->whole);
	return (ssize_t)len;
}

/* The kernel still holds bytes for a peer that does not read. */
int __wrap_ioctl(int fd, unsigned long request, int *value);
int __wrap_ioctl(int fd, unsigned long request, int *value)
{
	if (request != SIOCOUTQNSD || value == NULL) {
		errno = ENOTTY;
		return -1;
	}
	struct line *line = wire_of_fd(fd);
	*value = line != NULL && line->deaf && line->sent_ms >= 0;
	return 0;
}
