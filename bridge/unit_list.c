// SPDX-License-Identifier: MIT
/* unit_list: see unit_list.h. */
#include "bridge/unit_list.h"

#include "bridge/base/topic.h"
#include "bridge/outbox/store.h"
#include "bridge/outbox/wishes.h"
#include "bridge/units/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct known_unit {
	UT_hash_handle hh;
	char ident[CODEC_IDENT_MAX + 1], codec[20], reason[110];
	bool noted, online;
	int64_t heard_ms, since_ms;
};

struct listing {
	struct known_unit *by_ident;
	bool memory; /* is there enough? */
};

static void on_unit(void *ctx, struct span ident, struct span note, int64_t put_ms)
{
	struct listing *l = ctx;
	struct known_unit *u = NULL;
	struct unit_note n;
	bool noted = note.len > 0;
	if (!topic_ident_ok(ident) || (noted && !session_note_read(note, &n)))
		return;
	HASH_FIND(hh, l->by_ident, ident.ptr, (unsigned)ident.len, u);
	if (u == NULL && (u = calloc(1, sizeof(*u))) == NULL) {
		l->memory = false;
		return;
	}
	if (u->ident[0] == '\0') {
		span_copy(ident, u->ident, sizeof(u->ident));
		HASH_ADD(hh, l->by_ident, ident, (unsigned)ident.len, u);
	}
	if (noted) {
		u->noted = true;
		u->online = n.online;
		u->since_ms = n.since_ms;
		span_copy(n.codec, u->codec, sizeof(u->codec));
		span_copy(n.reason, u->reason, sizeof(u->reason));
	}
	int64_t heard_ms = noted ? n.heard_ms : put_ms;
	u->heard_ms = heard_ms > u->heard_ms ? heard_ms : u->heard_ms;
}

static int by_ident(const struct known_unit *a, const struct known_unit *b)
{
	return strcmp(a->ident, b->ident);
}

static void print_time(char *out, size_t size, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	if (ms <= 0 || gmtime_r(&t, &tm) == NULL || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, size, "-");
}

int unit_list_print(const char *path)
{
	struct listing l = {.memory = true};
	struct known_unit *u, *next;
	char heard[40], since[40];
	int rc = store_list_units(path, on_unit, &l);
	if (rc == 0 && l.by_ident != NULL)
		printf("%-20s  %-8s  %-20s  %-7s  %-20s  %s\n", "ident", "protocol", "last heard", "state",
			"since", "reason");
	HASH_SORT(l.by_ident, by_ident);
	HASH_ITER(hh, l.by_ident, u, next) {
		print_time(heard, sizeof(heard), u->heard_ms);
		print_time(since, sizeof(since), u->since_ms);
		if (rc == 0)
			printf("%-20s  %-8s  %-20s  %-7s  %-20s  %s\n", u->ident, *u->codec ? u->codec : "-",
				heard,
				!u->noted   ? "-"
				: u->online ? "online"
					    : "offline",
				since, u->online ? "" : u->reason);
		HASH_DEL(l.by_ident, u);
		free(u);
	}
	if (!l.memory)
		fprintf(stderr, "no memory for all units\n");
	return rc != 0 || !l.memory;
}

int unit_list_forget(const char *path, const char *ident)
{
	int error;
	if (!topic_ident_ok(span_text(ident))) {
		fprintf(stderr,
			"--forget %s: this is no ident; allowed: 1 to 20 digits or letters, as --units shows "
			"them\n",
			ident);
		return 1;
	}
	if (*path == '\0' || (error = wish_leave(path, ident)) != 0) {
		fprintf(stderr, "--forget %s: outbox %s: %s\n", ident, *path ? path : "in memory only",
			*path ? strerror(error) : "a restart of the bridge forgets all units");
		return 1;
	}
	printf("unit %s is forgotten and its retained topics are cleared: within a second if the bridge runs, "
	       "or at "
	       "its next start\n",
		ident);
	return 0;
}
