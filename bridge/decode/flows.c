// SPDX-License-Identifier: MIT
/* flows: see flows.h. At most FLOWS_MAX connections are open at a time: the one that was silent longest is ended for another. Of each,
 * WAITING_MAX segments that came before their turn are kept: then what is missing before them is given up. */
#include "bridge/decode/flows.h"

#include "bridge/base/hash.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum { FLOWS_MAX = 1024, WAITING_MAX = 64, NAME_MAX_BYTES = 120 };

enum side { SIDE_UNKNOWN = 0, SIDE_UNIT, SIDE_SERVER };

/* A segment before its turn. */
struct waiting {
	uint32_t sequence;
	size_t len, missing;
	uint8_t *bytes;
};

/* What one side of a connection sends. */
struct flow {
	char name[NAME_MAX_BYTES];
	enum side side;
	struct decoder_stream *stream; /* NULL: nothing was decoded yet */
	int64_t heard_ms;
	unsigned long line; /* of the input, where its last bytes stand */
	bool in_order;      /* `next` is known */
	uint32_t next;
	size_t waiting_count;
	struct waiting waiting[WAITING_MAX];
	UT_hash_handle hh;
};

struct flows {
	struct decoder *decoder;
	const char *file;
	uint16_t port;
	struct flow *all; /* in the order of the last use */
	bool known, strangers;
};

static void let_go(struct flows *flows, struct flow *f);

/* --- names --- */

static void name_of(const struct segment *s, bool reverse, char name[NAME_MAX_BYTES])
{
	const struct endpoint *from = reverse ? &s->to : &s->from, *to = reverse ? &s->from : &s->to;
	char a[INET6_ADDRSTRLEN] = "", b[INET6_ADDRSTRLEN] = "";
	int family = s->ipv6 ? AF_INET6 : AF_INET;
	inet_ntop(family, from->address, a, sizeof(a));
	inet_ntop(family, to->address, b, sizeof(b));
	snprintf(name, NAME_MAX_BYTES, s->ipv6 ? "%s [%s]:%u > [%s]:%u" : "%s %s:%u > %s:%u",
		s->tcp ? "tcp" : "udp", a, from->port, b, to->port);
}

static struct flow *find(struct flows *flows, const char *name, bool make)
{
	struct flow *f = NULL;
	size_t len = strlen(name);
	HASH_FIND(hh, flows->all, name, (unsigned)len, f);
	if (f != NULL) { /* the last one used stands last */
		HASH_DEL(flows->all, f);
		HASH_ADD(hh, flows->all, name, (unsigned)len, f);
	}
	if (f != NULL || !make)
		return f;
	if (HASH_COUNT(flows->all) >= FLOWS_MAX)
		let_go(flows, flows->all);
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	snprintf(f->name, sizeof(f->name), "%s", name);
	HASH_ADD(hh, flows->all, name, (unsigned)len, f);
	return f;
}

/* Lines about the flow: `file:packet`, with its name. */
static void at(struct flows *flows, const struct flow *f)
{
	char place[300];
	snprintf(place, sizeof(place), "%.140s: %s", flows->file, f->name);
	if (f->line > 0)
		snprintf(place, sizeof(place), "%.140s:%lu: %s", flows->file, f->line, f->name);
	decoder_at(flows->decoder, place, 0);
}

/* --- in order --- */

static void deliver(struct flows *flows, struct flow *f, struct span bytes, int64_t now_ms, int64_t pause_ms)
{
	if (f->stream == NULL)
		f->stream = decoder_stream_open();
	if (f->stream == NULL || bytes.len == 0)
		return;
	at(flows, f);
	decoder_stream_bytes(flows->decoder, f->stream, bytes, now_ms, pause_ms);
}

static void gap(struct flows *flows, struct flow *f, size_t missing)
{
	at(flows, f);
	decoder_say(flows->decoder, false, "%zu bytes are missing in the capture", missing);
	if (f->stream != NULL)
		decoder_stream_quiet(flows->decoder, f->stream, CODEC_QUIET_FINAL);
}

/* Bytes whose turn it is, but for those that were delivered before. */
static void take(struct flows *flows, struct flow *f, uint32_t sequence, struct span bytes, size_t missing,
	int64_t pause_ms)
{
	size_t before = f->next - sequence; /* modulo 2^32, as sequence numbers are */
	if (before < bytes.len) {
		f->next = sequence + (uint32_t)bytes.len;
		deliver(flows, f, span_after(bytes, before), f->heard_ms, pause_ms);
	}
	if (missing > 0 && f->next == sequence + (uint32_t)bytes.len) {
		gap(flows, f, missing);
		f->next += (uint32_t)missing;
	}
}

static bool is_later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* The waiting segments whose turn has come. `all`: of all the others the turn has come as well; what is missing is given up. */
static void take_waiting(struct flows *flows, struct flow *f, bool all)
{
	while (f->waiting_count > 0) {
		size_t first = 0;
		for (size_t i = 1; i < f->waiting_count; i++)
			if (is_later(f->waiting[first].sequence, f->waiting[i].sequence))
				first = i;
		struct waiting w = f->waiting[first];
		if (is_later(w.sequence, f->next)) {
			if (!all)
				return;
			gap(flows, f, w.sequence - f->next);
			f->next = w.sequence;
		}
		f->waiting[first] = f->waiting[--f->waiting_count];
		take(flows, f, w.sequence, span_of(w.bytes, w.len), w.missing, 0);
		free(w.bytes);
	}
}

static void keep(struct flows *flows, struct flow *f, const struct segment *s)
{
	if (f->waiting_count == WAITING_MAX)
		take_waiting(flows, f, true);
	uint8_t *bytes = malloc(s->bytes.len);
	if (bytes == NULL)
		return;
	memcpy(bytes, s->bytes.ptr, s->bytes.len);
	f->waiting[f->waiting_count++] = (struct waiting){s->sequence, s->bytes.len, s->missing, bytes};
}

/* --- ends --- */

/* Decodes what is left of the connection; another one may follow under its name. */
static void finish(struct flows *flows, struct flow *f)
{
	take_waiting(flows, f, true);
	f->in_order = false;
	if (f->stream == NULL)
		return;
	at(flows, f);
	if (decoder_stream_close(flows->decoder, f->stream, false))
		flows->known = true;
	else
		flows->strangers = true;
	f->stream = NULL;
}

static void let_go(struct flows *flows, struct flow *f)
{
	finish(flows, f);
	HASH_DEL(flows->all, f);
	free(f);
}

/* --- what comes --- */

void flows_part(struct flows *flows, const char *name, unsigned long line, struct span bytes, int64_t now_ms)
{
	struct flow *f = find(flows, name, true);
	if (f == NULL)
		return;
	f->line = line;
	deliver(flows, f, bytes, now_ms, 0);
	if (f->stream == NULL)
		return;
	at(flows, f);
	decoder_stream_quiet(flows->decoder, f->stream, CODEC_QUIET_SHORT_MS); /* what was received at once */
}

/* Who opened the connection or speaks first is the unit, but for a port that was given. */
static enum side side_of(const struct flows *flows, const struct segment *s, const struct flow *reverse)
{
	if (flows->port != 0)
		return s->to.port == flows->port ? SIDE_UNIT : SIDE_SERVER;
	if (s->tcp && s->syn)
		return s->ack ? SIDE_SERVER : SIDE_UNIT;
	if (reverse != NULL && reverse->side != SIDE_UNKNOWN)
		return reverse->side == SIDE_UNIT ? SIDE_SERVER : SIDE_UNIT;
	return s->bytes.len > 0 ? SIDE_UNIT : SIDE_UNKNOWN;
}

static void take_tcp(struct flows *flows, struct flow *f, const struct segment *s, int64_t pause_ms)
{
	if (s->syn && f->in_order && f->next != s->sequence + 1)
		finish(flows, f);
	if (!f->in_order) {
		f->next = s->sequence + s->syn;
		f->in_order = true;
	}
	uint32_t sequence = s->sequence + s->syn;
	bool later = is_later(sequence, f->next);
	if (later && s->bytes.len > 0)
		keep(flows, f, s);
	else if (!later)
		take(flows, f, sequence, s->bytes, s->missing, pause_ms);
	take_waiting(flows, f, false);
	if (s->reset || (s->fin && !later))
		finish(flows, f);
}

void flows_segment(struct flows *flows, unsigned long packet, const struct segment *s, int64_t time_ms)
{
	char name[NAME_MAX_BYTES], back[NAME_MAX_BYTES];
	name_of(s, false, name);
	name_of(s, true, back);
	struct flow *reverse = find(flows, back, false), *f = find(flows, name, true);
	if (f == NULL)
		return;
	reverse = reverse != NULL ? find(flows, back, false)
				  : NULL; /* the other may have had to go for this one */
	if (f->side == SIDE_UNKNOWN || s->syn)
		f->side = side_of(flows, s, reverse);
	if (f->side != SIDE_UNIT)
		return;
	int64_t pause_ms = f->heard_ms != 0 && time_ms > f->heard_ms ? time_ms - f->heard_ms : 0;
	f->line = packet;
	if (s->tcp) {
		f->heard_ms = s->bytes.len > 0 ? time_ms : f->heard_ms;
		take_tcp(flows, f, s, pause_ms);
		return;
	}
	deliver(flows, f, s->bytes, time_ms, 0);
	if (s->missing > 0)
		gap(flows, f, s->missing);
	else if (f->stream != NULL)
		decoder_stream_quiet(flows->decoder, f->stream, CODEC_QUIET_FINAL);
}

/* --- */

struct flows *flows_open(struct decoder *decoder, const char *file, uint16_t port)
{
	struct flows *flows = calloc(1, sizeof(*flows));
	if (flows != NULL)
		*flows = (struct flows){.decoder = decoder, .file = file, .port = port};
	return flows;
}

void flows_close(struct flows *flows, bool stranger_fails)
{
	while (flows->all != NULL)
		let_go(flows, flows->all);
	decoder_at(flows->decoder, flows->file, 0);
	if (flows->strangers && (stranger_fails || !flows->known))
		decoder_say(flows->decoder, true, "bytes of no known protocol");
	free(flows);
}
