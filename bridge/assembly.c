/* assembly: see assembly.h. */
#include "assembly.h"

#include <stdlib.h>
#include <utlist.h>

#define PER_CONNECTION_MAX 4
#define AGE_MAX_MS (5 * 60 * 1000LL)

struct assembly {
	struct assembly *next;
	char ident[CODEC_IDENT_MAX + 1];
	uint32_t kind;
	uint16_t total, have;
	int64_t since_ms;
	size_t bytes;
	uint8_t *whole; /* complete: handed out, to be freed at the next call */
	struct {
		uint8_t *ptr;
		size_t len;
	} part[];
};

static void drop_parts(struct assembly *a, struct assembly_limits *limits)
{
	for (unsigned i = 0; i < a->total; i++)
		free(a->part[i].ptr);
	memset(a->part, 0, a->total * sizeof(a->part[0]));
	limits->bytes -= a->bytes;
	a->bytes = 0;
	a->have = 0;
}

static void drop(struct assembly **list, struct assembly *a, struct assembly_limits *limits)
{
	LL_DELETE(*list, a);
	drop_parts(a, limits);
	free(a->whole);
	free(a);
}

/* What is complete or too old, and the oldest when there are too many. */
static void tidy(struct assembly **list, struct assembly_limits *limits, int64_t now_ms)
{
	struct assembly *a, *next;
	unsigned count = 0;
	LL_FOREACH_SAFE(*list, a, next)
		if (a->whole != NULL || now_ms - a->since_ms > AGE_MAX_MS)
			drop(list, a, limits);
	LL_COUNT(*list, a, count);
	if (count >= PER_CONNECTION_MAX)
		drop(list, *list, limits);
}

static struct assembly *find(struct assembly *list, const char *ident, const struct codec_part *part)
{
	struct assembly *a;
	LL_FOREACH(list, a)
		if (a->kind == part->kind && a->total == part->total && strcmp(a->ident, ident) == 0)
			return a;
	return NULL;
}

static bool join(struct assembly *a, struct assembly_limits *limits, struct span *whole)
{
	size_t len = a->bytes, at = 0;
	a->whole = malloc(len + 1);
	if (a->whole == NULL)
		return false;
	for (unsigned i = 0; i < a->total; i++) {
		memcpy(a->whole + at, a->part[i].ptr, a->part[i].len);
		at += a->part[i].len;
	}
	drop_parts(a, limits);
	*whole = span_of(a->whole, len);
	return true;
}

enum codec_status assembly_add(struct assembly **list, struct assembly_limits *limits, const char *ident,
	const struct codec_part *part, int64_t now_ms, struct span *whole)
{
	if (part->number < 1 || part->number > part->total)
		return CODEC_BAD_LENGTH;
	if (part->total > limits->max_parts)
		return CODEC_OVERSIZE;
	struct assembly *a = find(*list, ident, part);
	if (a == NULL || a->whole != NULL) {
		tidy(list, limits, now_ms);
		a = calloc(1, sizeof(*a) + part->total * sizeof(a->part[0]));
		if (a == NULL)
			return CODEC_OVERSIZE;
		strcpy(a->ident, ident);
		a->kind = part->kind;
		a->total = part->total;
		LL_APPEND(*list, a);
	} else if (part->number == 1) {
		drop_parts(a, limits);
	}
	unsigned i = part->number - 1u;
	size_t old = a->part[i].len;
	if (limits->bytes - old + part->body.len > limits->max_bytes)
		return CODEC_OVERSIZE;
	uint8_t *copy = malloc(part->body.len + 1);
	if (copy == NULL)
		return CODEC_OVERSIZE;
	if (part->body.len > 0)
		memcpy(copy, part->body.ptr, part->body.len);
	if (a->part[i].ptr == NULL)
		a->have++;
	free(a->part[i].ptr);
	a->part[i].ptr = copy;
	a->part[i].len = part->body.len;
	a->bytes += part->body.len - old;
	limits->bytes += part->body.len - old;
	a->since_ms = now_ms;
	if (a->have < a->total)
		return CODEC_MORE;
	return join(a, limits, whole) ? CODEC_OK : CODEC_OVERSIZE;
}

unsigned assembly_free(struct assembly **list, struct assembly_limits *limits)
{
	unsigned incomplete = 0;
	while (*list != NULL) {
		incomplete += (*list)->whole == NULL;
		drop(list, *list, limits);
	}
	return incomplete;
}
