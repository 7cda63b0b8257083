/* assembly: see assembly.h. */
#include "assembly.h"

#include "hash.h"

#include <stdlib.h>
#include <utlist.h>

#define AGE_MAX_MS (5 * 60 * 1000LL)
#define OWN_MOST 8         /* messages of one unit by one address */
#define UNIT_MOST 64       /* messages of one unit, by all addresses that name it */
#define ASK_EVERY_MS 1000  /* missing parts are not asked for more often */
#define ASKED_FOR_MS 60000 /* a part that comes within this time may be the one that was asked for */

/* An address that pays for something. */
struct payer {
	uint8_t address[16];
	size_t bytes;
	struct multipart *oldest; /* messages that it began; the longest untouched first */
	UT_hash_handle hh;
};

struct sender {
	char ident[CODEC_IDENT_MAX + 1];
	struct multipart *messages;
	UT_hash_handle hh;
};

struct part {
	uint8_t *body; /* NULL: not here yet */
	struct payer *payer;
	uint16_t len, serial;
};

/* A message in several parts. */
struct multipart {
	struct sender *sender;
	struct payer *payer; /* who began it, and pays for this struct */
	uint32_t kind;
	uint16_t total, have;
	int64_t touched_ms, asked_ms;
	struct part *part; /* NULL: the message has ended, with this status and these digests */
	enum codec_status ended;
	uint64_t *digest;
	struct multipart *next_here;     /* of the sender */
	struct multipart *prev, *next;   /* of all: by age */
	struct multipart *older, *newer; /* of the payer: by age */
};

struct assembly {
	size_t max_bytes, bytes;
	struct payer *payers;   /* hash */
	struct sender *senders; /* hash */
	struct multipart *oldest;
	struct payer *paying; /* of the call at hand: stays although it pays for nothing */
	unsigned given_up;
	/* of the frame at hand */
	struct multipart *complete;
	uint8_t *whole;
	uint16_t serials[ASSEMBLY_PARTS_MAX], missing[ASSEMBLY_PARTS_MAX];
};

/* --- who pays --- */

/* With the entries in the tables that go with it. */
#define MESSAGE_COST (sizeof(struct multipart) + sizeof(struct sender) + sizeof(struct payer))
#define BODY_COST 16 /* besides its bytes */

static size_t cost_of(uint16_t total, bool ended)
{
	return MESSAGE_COST + total * (ended ? sizeof(uint64_t) : sizeof(struct part));
}

static struct payer *payer_of(struct assembly *a, const uint8_t address[16])
{
	struct payer *p = NULL;
	HASH_FIND(hh, a->payers, address, sizeof(p->address), p);
	if (p != NULL)
		return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	memcpy(p->address, address, sizeof(p->address));
	HASH_ADD(hh, a->payers, address, sizeof(p->address), p);
	return p;
}

static void charge(struct assembly *a, struct payer *p, size_t bytes)
{
	p->bytes += bytes;
	a->bytes += bytes;
}

static void free_idle(struct assembly *a, struct payer *p)
{
	if (p->bytes > 0 || p == a->paying)
		return;
	HASH_DEL(a->payers, p);
	free(p);
}

static void discharge(struct assembly *a, struct payer *p, size_t bytes)
{
	p->bytes -= bytes;
	a->bytes -= bytes;
	free_idle(a, p);
}

/* May this address hold so much more? No more than what is then still free. */
static bool has_room(const struct assembly *a, const struct payer *p, bool known, size_t bytes)
{
	size_t limit = known ? a->max_bytes : a->max_bytes - a->max_bytes / 4;
	return a->bytes + bytes <= limit && p->bytes + bytes <= limit - (a->bytes + bytes);
}

/* --- messages --- */

static void touch(struct assembly *a, struct multipart *m, int64_t now_ms)
{
	DL_DELETE(a->oldest, m);
	DL_DELETE2(m->payer->oldest, m, older, newer);
	DL_APPEND(a->oldest, m);
	DL_APPEND2(m->payer->oldest, m, older, newer);
	m->touched_ms = now_ms;
}

static void drop_bodies(struct assembly *a, struct multipart *m)
{
	for (unsigned i = 0; m->part != NULL && i < m->total; i++) {
		struct part *part = &m->part[i];
		if (part->body == NULL)
			continue;
		free(part->body);
		discharge(a, part->payer, part->len + BODY_COST);
		*part = (struct part){0};
	}
	m->have = 0;
}

static void drop(struct assembly *a, struct multipart *m)
{
	struct sender *s = m->sender;
	a->given_up += m->part != NULL && m->have > 0;
	drop_bodies(a, m);
	DL_DELETE(a->oldest, m);
	DL_DELETE2(m->payer->oldest, m, older, newer);
	LL_DELETE2(s->messages, m, next_here);
	if (s->messages == NULL) {
		HASH_DEL(a->senders, s);
		free(s);
	}
	discharge(a, m->payer, cost_of(m->total, m->part == NULL));
	free(m->part);
	free(m->digest);
	free(m);
}

/* Makes room at the cost of this address' other messages, the oldest first. */
static bool make_room(
	struct assembly *a, struct payer *p, bool known, size_t bytes, const struct multipart *except)
{
	while (!has_room(a, p, known, bytes)) {
		struct multipart *oldest = p->oldest;
		if (oldest != NULL && oldest == except)
			oldest = oldest->newer;
		if (oldest == NULL)
			return false;
		drop(a, oldest);
	}
	return true;
}

static struct sender *sender_find(const struct assembly *a, const char *ident)
{
	struct sender *s = NULL;
	HASH_FIND(hh, a->senders, ident, (unsigned)strlen(ident), s);
	return s;
}

static struct sender *sender_of(struct assembly *a, const char *ident)
{
	struct sender *s = sender_find(a, ident);
	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	memcpy(s->ident, ident, strlen(ident));
	HASH_ADD(hh, a->senders, ident, (unsigned)strlen(ident), s);
	return s;
}

/* A unit has only so many messages at a time: its oldest gives way, of this address if that has its share. */
static void limit_messages(struct assembly *a, const struct sender *s, const struct payer *p)
{
	struct multipart *m, *oldest = NULL, *own = NULL;
	unsigned all = 0, count = 0;
	if (s == NULL)
		return;
	LL_FOREACH2(s->messages, m, next_here)
	{
		all++;
		count += m->payer == p;
		if (oldest == NULL || m->touched_ms < oldest->touched_ms)
			oldest = m;
		if (m->payer == p && (own == NULL || m->touched_ms < own->touched_ms))
			own = m;
	}
	if (count >= OWN_MOST)
		drop(a, own);
	else if (all >= UNIT_MOST)
		drop(a, oldest);
}

static struct multipart *begin(struct assembly *a, const struct assembly_from *from, struct payer *p,
	const struct codec_part *part, int64_t now_ms)
{
	limit_messages(a, sender_find(a, from->ident), p);
	size_t cost = cost_of(part->total, false);
	if (!make_room(a, p, from->known, cost + part->body.len + BODY_COST, NULL))
		return NULL;
	struct multipart *m = calloc(1, sizeof(*m));
	struct part *parts = calloc(part->total, sizeof(*parts));
	struct sender *s = m != NULL && parts != NULL ? sender_of(a, from->ident) : NULL;
	if (s == NULL) {
		free(m);
		free(parts);
		return NULL;
	}
	*m = (struct multipart){
		.sender = s, .payer = p, .kind = part->kind, .total = part->total, .part = parts};
	m->touched_ms = now_ms;
	m->asked_ms = now_ms - ASKED_FOR_MS;
	charge(a, p, cost);
	LL_APPEND2(s->messages, m, next_here);
	DL_APPEND(a->oldest, m);
	DL_APPEND2(p->oldest, m, older, newer);
	return m;
}

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

static bool contradicts(const struct multipart *m, const struct codec_part *part, int64_t now_ms)
{
	const struct part *held = &m->part[part->number - 1];
	if (held->body != NULL)
		return held->len != part->body.len || memcmp(held->body, part->body.ptr, held->len) != 0;
	if (part->number > 1 || m->have == 0 || now_ms - m->asked_ms < ASKED_FOR_MS)
		return false;
	uint16_t later_by = (uint16_t)(part->serial - m->part[first_held(m)].serial);
	return later_by > 0 && later_by < 0x8000;
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

static bool keep(
	struct assembly *a, struct multipart *m, struct payer *p, bool known, const struct codec_part *part)
{
	size_t len = part->body.len;
	if (!make_room(a, p, known, len + BODY_COST, m))
		return false;
	uint8_t *body = malloc(len + 1);
	if (body == NULL)
		return false;
	if (len > 0)
		memcpy(body, part->body.ptr, len);
	m->part[part->number - 1] = (struct part){body, p, (uint16_t)len, part->serial};
	m->have++;
	charge(a, p, len + BODY_COST);
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
	const struct codec_part *part, int64_t now_ms, struct codec_parts *out)
{
	struct payer *p = a->paying;
	const struct sender *s = sender_find(a, from->ident);
	const struct multipart *ended = find_ended(s, part);
	if (ended != NULL) {
		out->ended = ended->ended;
		return CODEC_FRAGMENT;
	}
	struct multipart *m = find(s, p, part, now_ms);
	if (m == NULL)
		m = begin(a, from, p, part, now_ms);
	if (m == NULL)
		return CODEC_NO_ROOM;
	if (contradicts(m, part, now_ms)) {
		drop_bodies(a, m);
		a->given_up++;
	}
	bool again = m->part[part->number - 1].body != NULL;
	if (again)
		m->part[part->number - 1].serial = part->serial;
	else if (!keep(a, m, p, from->known, part))
		return CODEC_NO_ROOM;
	touch(a, m, now_ms);
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
	a->paying = payer_of(a, from->address);
	if (a->paying == NULL)
		return CODEC_NO_ROOM;
	enum codec_status status = add(a, from, part, now_ms, out);
	struct payer *p = a->paying;
	a->paying = NULL;
	free_idle(a, p);
	return status;
}

/* Of an ended message only the digests stay. */
static void end(struct assembly *a, struct multipart *m, enum codec_status status)
{
	uint64_t *digest = calloc(m->total, sizeof(*digest));
	if (digest == NULL) {
		drop(a, m);
		return;
	}
	for (unsigned i = 0; i < m->total; i++)
		digest[i] = digest_of(m->part[i].serial, m->part[i].body, m->part[i].len);
	drop_bodies(a, m);
	discharge(a, m->payer, cost_of(m->total, false) - cost_of(m->total, true));
	free(m->part);
	m->part = NULL;
	m->digest = digest;
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
	if (a != NULL)
		a->max_bytes = max_bytes;
	return a;
}

void assembly_free(struct assembly *a)
{
	if (a == NULL)
		return;
	assembly_settle(a, CODEC_REFUSED);
	while (a->oldest != NULL)
		drop(a, a->oldest);
	free(a);
}

unsigned assembly_tidy(struct assembly *a, int64_t now_ms)
{
	while (a->oldest != NULL && now_ms - a->oldest->touched_ms > AGE_MAX_MS)
		drop(a, a->oldest);
	unsigned given_up = a->given_up;
	a->given_up = 0;
	return given_up;
}

size_t assembly_bytes(const struct assembly *a)
{
	return a->bytes;
}
