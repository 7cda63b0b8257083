// SPDX-License-Identifier: MIT
/* raw_asked: see raw_asked.h. */
#include "bridge/outputs/raw_asked.h"

#include "codecs/codec.h"

#include <stdlib.h>

struct raw_asked_unit {
	char ident[CODEC_IDENT_MAX + 1];
	int64_t until_ms;
	UT_hash_handle hh;
};

static struct raw_asked_unit *find(const struct raw_asked *asked, struct span ident)
{
	struct raw_asked_unit *u = NULL;
	HASH_FIND(hh, asked->units, ident.ptr, (unsigned)ident.len, u);
	return u;
}

static void drop_past(struct raw_asked *asked, int64_t now_ms)
{
	struct raw_asked_unit *u, *next;
	HASH_ITER(hh, asked->units, u, next) {
		if (u->until_ms > now_ms)
			continue;
		HASH_DEL(asked->units, u);
		free(u);
	}
}

bool raw_asked_set(struct raw_asked *asked, struct span ident, int64_t until_ms, int64_t now_ms)
{
	drop_past(asked, now_ms);
	struct raw_asked_unit *u = find(asked, ident);
	if (u == NULL && until_ms <= now_ms)
		return true;
	if (u == NULL) {
		if (HASH_COUNT(asked->units) >= RAW_ASKED_MOST || ident.len > CODEC_IDENT_MAX ||
			(u = calloc(1, sizeof(*u))) == NULL)
			return false;
		memcpy(u->ident, ident.ptr, ident.len);
		HASH_ADD(hh, asked->units, ident, (unsigned)ident.len, u);
	}
	u->until_ms = until_ms;
	return true;
}

bool raw_asked_has(const struct raw_asked *asked, const char *ident, int64_t now_ms)
{
	const struct raw_asked_unit *u = asked->units != NULL ? find(asked, span_text(ident)) : NULL;
	return u != NULL && u->until_ms > now_ms;
}

void raw_asked_free(struct raw_asked *asked)
{
	drop_past(asked, INT64_MAX);
}
