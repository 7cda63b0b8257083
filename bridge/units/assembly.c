// SPDX-License-Identifier: MIT
/* assembly: see assembly.h. Which message a part belongs to, and what becomes of it; who pays is in assembly_room.c. */
#include "bridge/units/assembly_private.h"

#include <stdlib.h>

#define AGE_MAX_MS (5 * 60 * 1000LL)
#define ASK_EVERY_MS 1000 /* missing parts are not asked for more often */
#define LATE_MS 10000     /* a message of which nothing has come for so long is late */
#define LATE_MOST 3       /* so often it is asked for because it is */

/* --- which message does a part belong to? --- */

static uint64_t digest_of(uint16_t serial, const uint8_t *body, size_t len)
{
	return hash_bytes(body, len) + serial * UINT64_C(0x9e3779b97f4a7c15);
}

static bool is_of(const struct multipart *m, const struct codec_part *part)
{
	return m->kind == part->kind && m->total == part->total;
}

/* The message that has ended and had this very frame. */
static struct multipart *find_ended(const struct sender *s, const struct codec_part *part)
{
	struct multipart *m, *ended = NULL;
	uint64_t digest = digest_of(part->serial, part->body.ptr, part->body.len);
	if (s != NULL)
		LL_FOREACH2(s->messages, m, next_here)
	if (m->part == NULL && is_of(m, part) && m->digest[part->number - 1] == digest)
		ended = m;
	return ended;
}

static unsigned first_held(const struct multipart *m)
{
	unsigned i = 0;
	while (i + 1u < m->total && m->part[i].body == NULL)
		i++;
	return i;
}

/* Serial numbers go round. */
static bool is_later(uint16_t serial, uint16_t than)
{
	uint16_t by = (uint16_t)(serial - than);
	return by > 0 && by < 0x8000;
}

static bool contradicts(const struct multipart *m, const struct codec_part *part, int64_t now_ms)
{
	const struct part *held = &m->part[part->number - 1];
	if (held->body != NULL)
		return held->len != part->body.len ||
		       (held->len > 0 && memcmp(held->body, part->body.ptr, held->len) != 0);
	if (part->number > 1 || m->have == 0 || now_ms - m->asked_ms < ASKED_FOR_MS)
		return false;
	return is_later(part->serial, m->part[first_held(m)].serial);
}

/* A part contradicts those that are kept: they go. Those stay that may be of its message: they came later than the one whose
 * number it has, and were sent before it or after it as their numbers say. */
static void start_anew(struct assembly *a, struct multipart *m, const struct codec_part *part)
{
	uint32_t stale = m->part[part->number - 1].arrival;
	for (unsigned i = 0; i < m->total; i++) {
		const struct part *held = &m->part[i];
		bool fits = i + 1u < part->number ? is_later(part->serial, held->serial)
						  : is_later(held->serial, part->serial);
		if (part->number == 1 || held->arrival <= stale || !fits)
			assembly_drop_part(m, i);
	}
	a->given_up++;
}

/* The unfinished message that a part belongs to: this address' own, or another's that it does not contradict, for a unit
 * that comes back has another address. */
static struct multipart *find(
	const struct sender *s, const struct payer *p, const struct codec_part *part, int64_t now_ms)
{
	struct multipart *m, *other = NULL;
	if (s != NULL)
		LL_FOREACH2(s->messages, m, next_here)
		{
			if (m->part == NULL || !is_of(m, part))
				continue;
			if (m->payer == p)
				return m;
			if (!contradicts(m, part, now_ms))
				other = m;
		}
	return other;
}

/* --- one part --- */

/* Its bytes may come by another address than those before: then that one pays for the message from now on. */
static bool keep(struct assembly *a, struct multipart *m, const struct codec_part *part)
{
	struct payer *p = a->paying;
	size_t len = part->body.len, bytes = m->bytes + len + BODY_COST;
	if (!assembly_make_room(a, p, p == m->payer ? len + BODY_COST : bytes, m))
		return false;
	uint8_t *body = malloc(len + 1);
	if (body == NULL)
		return false;
	if (len > 0)
		memcpy(body, part->body.ptr, len);
	m->part[part->number - 1] = (struct part){body, (uint16_t)len, part->serial, ++m->arrivals};
	m->have++;
	assembly_touch(a, m, p, bytes);
	return true;
}

static void tell_missing(struct assembly *a, struct multipart *m, struct codec_parts *out)
{
	unsigned first = first_held(m);
	out->first_serial = (uint16_t)(m->part[first].serial - first);
	out->missing = a->missing;
	for (unsigned i = 0; i < m->total; i++)
		if (m->part[i].body == NULL)
			a->missing[out->missing_count++] = (uint16_t)(i + 1);
}

static bool join(struct assembly *a, struct multipart *m, struct codec_parts *out)
{
	size_t len = 0, at = 0;
	for (unsigned i = 0; i < m->total; i++)
		len += m->part[i].len;
	a->whole = malloc(len + 1);
	if (a->whole == NULL)
		return false;
	for (unsigned i = 0; i < m->total; i++) {
		memcpy(a->whole + at, m->part[i].body, m->part[i].len);
		at += m->part[i].len;
		a->serials[i] = m->part[i].serial;
	}
	a->complete = m;
	out->whole = span_of(a->whole, len);
	out->serials = a->serials;
	return true;
}

static enum codec_status add(struct assembly *a, const struct assembly_from *from,
	const struct codec_part *part, struct codec_parts *out)
{
	int64_t now_ms = a->now_ms;
	const struct sender *s = assembly_sender(a, from->ident);
	const struct multipart *ended = find_ended(s, part);
	if (ended != NULL) {
		out->ended = ended->ended;
		return CODEC_FRAGMENT;
	}
	struct multipart *m = find(s, a->paying, part, now_ms);
	if (m == NULL)
		m = assembly_begin(a, from, part);
	if (m == NULL)
		return CODEC_NO_ROOM;
	if (contradicts(m, part, now_ms))
		start_anew(a, m, part);
	bool again = m->part[part->number - 1].body != NULL;
	if (again) {
		m->part[part->number - 1].serial = part->serial;
		assembly_touch(a, m, m->payer, m->bytes);
	} else if (!keep(a, m, part)) {
		return CODEC_NO_ROOM;
	}
	if (m->have == m->total)
		return join(a, m, out) ? CODEC_OK : CODEC_NO_ROOM;
	if ((again || part->number == part->total) && now_ms - m->asked_ms >= ASK_EVERY_MS) {
		m->asked_ms = now_ms;
		tell_missing(a, m, out);
	}
	return CODEC_MORE;
}

enum codec_status assembly_add(struct assembly *a, const struct assembly_from *from, unsigned max_parts,
	const struct codec_part *part, int64_t now_ms, struct codec_parts *out)
{
	*out = (struct codec_parts){.ended = CODEC_OK};
	if (part->number < 1 || part->number > part->total)
		return CODEC_BAD_LENGTH;
	if (part->total > max_parts || part->total > ASSEMBLY_PARTS_MAX)
		return CODEC_OVERSIZE;
	a->now_ms = now_ms;
	a->paying = assembly_payer(a, from);
	if (a->paying == NULL)
		return CODEC_NO_ROOM;
	enum codec_status status = add(a, from, part, out);
	struct payer *p = a->paying;
	a->paying = NULL;
	assembly_free_idle(a, p);
	return status;
}

/* Of an ended message only the digests stay. */
static void end(struct assembly *a, struct multipart *m, enum codec_status status)
{
	uint64_t *digest = calloc(m->total, sizeof(*digest));
	if (digest == NULL) {
		assembly_drop(a, m);
		return;
	}
	for (unsigned i = 0; i < m->total; i++)
		digest[i] = digest_of(m->part[i].serial, m->part[i].body, m->part[i].len);
	assembly_keep_digests(m, digest);
	m->ended = status;
}

void assembly_settle(struct assembly *a, enum codec_status status)
{
	struct multipart *m = a->complete;
	if (m == NULL)
		return;
	free(a->whole);
	a->whole = NULL;
	a->complete = NULL;
	if (status != CODEC_REFUSED)
		end(a, m, status);
}

/* --- all of them --- */

struct assembly *assembly_open(size_t max_bytes)
{
	struct assembly *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->known.max_bytes = max_bytes / 4;
	a->strangers.max_bytes = max_bytes - a->known.max_bytes;
	return a;
}

void assembly_free(struct assembly *a)
{
	if (a == NULL)
		return;
	assembly_settle(a, CODEC_REFUSED);
	assembly_tidy(a, INT64_MAX);
	free(a);
}

unsigned assembly_tidy(struct assembly *a, int64_t now_ms)
{
	struct pool *pools[] = {&a->strangers, &a->known};
	for (size_t i = 0; i < 2; i++)
		while (pools[i]->oldest != NULL && now_ms - pools[i]->oldest->touched_ms > AGE_MAX_MS)
			assembly_drop(a, pools[i]->oldest);
	unsigned given_up = a->given_up;
	a->given_up = 0;
	return given_up;
}

void assembly_ask_late(struct assembly *a, assembly_ask *ask, void *ctx, int64_t now_ms)
{
	struct pool *pools[] = {&a->strangers, &a->known};
	for (size_t i = 0; i < 2; i++)
		for (struct multipart *m = pools[i]->oldest; m != NULL && now_ms - m->touched_ms >= LATE_MS;
			m = m->next) {
			struct codec_parts parts = {.ended = CODEC_OK};
			if (m->part == NULL || m->have == 0 || m->late == LATE_MOST ||
				now_ms - m->late_ms < LATE_MS)
				continue;
			m->late_ms = now_ms;
			tell_missing(a, m, &parts);
			if (!ask(ctx, m->sender->ident, m->payer->key.address, &parts))
				continue;
			m->asked_ms = now_ms;
			m->late++;
		}
}

size_t assembly_bytes(const struct assembly *a)
{
	return a->strangers.bytes + a->known.bytes;
}
