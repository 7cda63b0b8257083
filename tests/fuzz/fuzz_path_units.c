// SPDX-License-Identifier: MIT
/* fuzz_path_units: what strangers and units do: connections and datagrams. */
#include "fuzz_path.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATAGRAM_FD 1000000 /* nothing is ever sent to it: see sendto in fuzz_path_wire.c */

/* --- connections --- */

void units_read(unsigned who)
{
	uint8_t buf[4096];
	ssize_t n = 1;
	const struct line *line = wire_of_fd(world.servers[who]);
	if (world.clients[who] < 0 || (line != NULL && line->deaf))
		return;
	while (n > 0)
		n = recv(world.clients[who], buf, sizeof(buf), MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN)) { /* the bridge has closed it */
		close(world.clients[who]);
		world.clients[who] = world.servers[who] = -1;
	}
}

static void send_bytes(unsigned who, struct span bytes)
{
	if (world.clients[who] >= 0 && bytes.len > 0 && write(world.clients[who], bytes.ptr, bytes.len) < 0)
		units_read(who);
}

/* The first `now` bytes leave at once, the others with OP_REST, or never. */
static void keep_rest(unsigned who, struct span bytes, size_t now)
{
	free(world.rest[who]);
	world.rest_len[who] = bytes.len - now;
	world.rest[who] = malloc(bytes.len - now + 1);
	if (world.rest[who] == NULL)
		abort();
	memcpy(world.rest[who], bytes.ptr + now, bytes.len - now);
	send_bytes(who, span_of(bytes.ptr, now));
}

static void do_connect(struct span *in)
{
	unsigned who = next_byte(in) % CLIENTS;
	uint8_t flags = next_byte(in);
	int pair[2], bytes = flags & 1 ? 2304 : 65536;
	units_read(who);
	if (world.clients[who] >= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
		return;
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	union address peer;
	memset(&peer, 0, sizeof(peer));
	peer.in4.sin_family = AF_INET;
	peer.in4.sin_port = htons((uint16_t)(1000 + who));
	peer.in4.sin_addr.s_addr = htonl((flags >> 4 & 3) == 3 ? 0xc0000201u : 0x0a000000u + (flags >> 4 & 3));
	world.clients[who] = pair[0];
	world.servers[who] = pair[1];
	world.rest_len[who] = 0;
	wire_connect(pair[1], (flags & 7) == 7);
	world.deaf |= (flags & 7) == 7;
	conns_accept(world.bridge.conns, pair[1], &peer, NULL, (flags & 0x88) == 0x88);
	if ((flags & 0x88) == 0x88) {
		uint8_t header[200], kind = next_byte(in);
		struct writer w = writer_of(header, sizeof(header));
		put_proxy_header(&w, kind);
		keep_rest(who, writer_span(&w), kind & 64 ? w.len / 2 : w.len);
	}
}

static void do_close(struct span *in)
{
	unsigned who = next_byte(in) % CLIENTS;
	uint8_t how = next_byte(in);
	if (world.clients[who] < 0)
		return;
	if (how % 3 > 0) {
		shutdown(world.clients[who], how % 3 == 1 ? SHUT_WR : SHUT_RDWR);
		return;
	}
	close(world.clients[who]);
	world.clients[who] = world.servers[who] = -1;
}

static void do_read(struct span *in)
{
	units_read(next_byte(in) % CLIENTS);
}

/* Frames of one segment. */
static void do_send(struct span *in)
{
	static uint8_t buf[96 * 1024];
	struct writer w = writer_of(buf, sizeof(buf));
	unsigned who = next_byte(in) % CLIENTS;
	uint8_t how = next_byte(in), cut = next_byte(in);
	size_t noise = (size_t)PICK(how >> 4, 0, 0, 0, 0, 0, 20, 4096, 5000, 9000, 17000, 60000);
	memset(buf, how & 8 ? '\r' : '\n', noise);
	w.len = noise;
	for (unsigned i = 0; i <= how % 4u; i++)
		put_frame(&w, in);
	size_t whole = w.full ? noise : w.len, now = cut > 0 ? whole * cut / 256 : whole;
	keep_rest(who, span_of(buf, whole), now);
}

static void do_rest(struct span *in)
{
	unsigned who = next_byte(in) % CLIENTS;
	if (world.rest_len[who] > 0)
		send_bytes(who, span_of(world.rest[who], world.rest_len[who]));
	world.rest_len[who] = 0;
}

/* Many units name themselves on one connection, or one sends many positions; noise before, for more than one read. */
static void do_series(struct span *in)
{
	static uint8_t buf[64 * 1024];
	struct writer w = writer_of(buf, sizeof(buf));
	unsigned who = next_byte(in) % CLIENTS, from = next_byte(in), n = next_byte(in) % 64,
		 kind = next_byte(in);
	w.len = (size_t)PICK(next_byte(in), 0, 0, 0, 5000, 17000);
	memset(buf, '\n', w.len);
	if (kind & 64)
		put_batch_parts(&w, from, n);
	for (unsigned i = 0; i <= n && !(kind & 64); i++)
		put_hello(&w, kind, kind & 128 ? from : from + i);
	if (!w.full)
		send_bytes(who, writer_span(&w));
}

/* --- datagrams --- */

static void send_datagram(unsigned peer, struct span bytes)
{
	union address from;
	memset(&from, 0, sizeof(from));
	from.in4.sin_family = AF_INET;
	from.in4.sin_port = htons((uint16_t)(FIRST_PORT + peer % PEERS));
	from.in4.sin_addr.s_addr = htonl(0x0a000000u + peer % 4);
	wire_of_peer(peer)->in += bytes.len;
	conns_datagram(world.bridge.conns, DATAGRAM_FD, &from, bytes, false);
}

static void do_datagram(struct span *in)
{
	uint8_t buf[8192];
	struct writer w = writer_of(buf, sizeof(buf));
	unsigned peer = next_byte(in) % PEERS;
	uint8_t how = next_byte(in), cut = next_byte(in);
	for (unsigned i = 0; i <= how % 4u; i++)
		put_frame(&w, in);
	size_t len = cut > 0 ? w.len * cut / 256 : w.len;
	send_datagram(peer, span_of(buf, len));
}

static void do_burst(struct span *in)
{
	unsigned peer = next_byte(in), ident = next_byte(in), n = next_byte(in) % 64, kind = next_byte(in);
	for (unsigned i = 0; i <= n; i++) {
		uint8_t buf[400];
		struct writer w = writer_of(buf, sizeof(buf));
		put_hello(&w, kind, ident + i);
		send_datagram(kind & 128 ? peer : peer + i, writer_span(&w));
	}
}

static void do_answer(struct span *in)
{
	uint8_t buf[1400], who = next_byte(in);
	struct writer w = writer_of(buf, sizeof(buf));
	bool udp = who & 128;
	const struct line *line = udp ? wire_of_peer(who) : wire_of_fd(world.servers[who % CLIENTS]);
	if (line == NULL || line->command_len == 0)
		return;
	put_answer(&w, span_of(line->command, line->command_len), in);
	if (udp)
		send_datagram(who, writer_span(&w));
	else
		send_bytes(who % CLIENTS, writer_span(&w));
}

/* --- all of them --- */

void units_do(enum op op, struct span *in)
{
	static const struct {
		enum op op;
		void (*act)(struct span *in);
	} rows[] = {{OP_CONNECT, do_connect}, {OP_SEND, do_send}, {OP_REST, do_rest}, {OP_SERIES, do_series},
		{OP_DATAGRAM, do_datagram}, {OP_BURST, do_burst}, {OP_READ, do_read}, {OP_CLOSE, do_close},
		{OP_ANSWER, do_answer}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].op == op)
			rows[i].act(in);
}

void units_begin(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		world.clients[i] = world.servers[i] = -1;
}

void units_end(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (world.clients[i] >= 0)
			close(world.clients[i]);
		free(world.rest[i]);
		world.rest[i] = NULL;
		world.rest_len[i] = 0;
	}
}
