// SPDX-License-Identifier: MIT
/* outbox_harness: what the tests of the outbox's disk share: a directory of their own, outboxes in it.
 * May use: outbox, cmocka. May not: be part of the program. */
#ifndef T2M_OUTBOX_HARNESS_H
#define T2M_OUTBOX_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/outbox/outbox.h"

static char directory[256], path[300]; /* of all; of the outbox at hand: "": in memory */
static int counter;

static inline void fresh_path(void)
{
	snprintf(path, sizeof(path), "%s/%d", directory, ++counter);
}

static inline unsigned random_below(unsigned n)
{
	return (unsigned)rand() % n;
}

static inline struct outbox *try_open(size_t size, enum outbox_sync sync, enum outbox_damaged damaged)
{
	char why[700] = "";
	const struct outbox_options options = {
		.path = path, .size = size, .sync = sync, .sync_interval_ms = 10, .damaged = damaged};
	return outbox_open(&options, why, sizeof(why));
}

static inline struct outbox *open_sized(size_t size, enum outbox_sync sync)
{
	struct outbox *o = try_open(size, sync, OUTBOX_DAMAGED_REFUSE);
	assert_non_null(o);
	return o;
}

static inline struct outbox *open_here(enum outbox_sync sync)
{
	return open_sized(64 << 20, sync);
}

static inline uint64_t put(struct outbox *o, size_t length, const char *key, int64_t value)
{
	static uint8_t payload[70000];
	struct outbox_message m = {
		.topic = span_text("trackers/1/position"),
		.payload = span_of(payload, length),
		.put_ms = 1700000000000,
		.memory_key = span_text(key),
		.memory_value = value,
	};
	return outbox_put(o, &m);
}

static inline unsigned put_many(struct outbox *o, unsigned n, size_t length)
{
	unsigned done = 0;
	while (done < n && put(o, length, "", 0) != 0)
		done++;
	return done;
}

static inline unsigned done_with_all(struct outbox *o)
{
	struct outbox_message m;
	unsigned n = 0;
	for (; outbox_next(o, &m); n++)
		outbox_done(o, m.seqnum);
	return n;
}

/* Small ones, some of 2 to 4 KiB, which take a page of their own, and a few long ones. */
static inline size_t random_length(void)
{
	unsigned kind = random_below(20);
	return kind == 0 ? random_below(70000) : kind < 5 ? 1900 + random_below(2500) : random_below(900);
}

struct history {
	uint64_t given[5000];
	size_t count;
};

/* Puts some, with and without memory; is done with some. */
static inline void one_turn(struct outbox *o, struct history *h, unsigned burst)
{
	struct outbox_message m;
	for (unsigned n = random_below(burst); n > 0; n--) {
		char key[20] = "";
		if (random_below(3))
			snprintf(key, sizeof(key), "%010u", random_below(3000));
		put(o, random_length(), key, random_below(5) ? 1000 + (int64_t)n : MESSAGE_FORGET);
	}
	outbox_sync(o);
	while (h->count < 5000 && outbox_next(o, &m))
		h->given[h->count++] = m.seqnum;
	for (unsigned n = random_below(burst); n > 0 && h->count > 0; n--) {
		size_t at = random_below(4) ? 0 : random_below((unsigned)h->count); /* mostly in order */
		outbox_done(o, h->given[at]);
		memmove(h->given + at, h->given + at + 1, (--h->count - at) * sizeof(h->given[0]));
	}
}

static inline size_t load(uint8_t *to, size_t most)
{
	char name[400];
	snprintf(name, sizeof(name), "%s/data.mdb", path);
	FILE *f = fopen(name, "rb");
	assert_non_null(f);
	size_t n = fread(to, 1, most, f);
	fclose(f);
	return n;
}

static inline void save(const uint8_t *bytes, size_t n)
{
	char name[400];
	snprintf(name, sizeof(name), "%s/data.mdb", path);
	FILE *f = fopen(name, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

/* Runs the tests in a directory that goes when they have ended. */
#define RUN_IN_DIRECTORY(name, tests)                                                                          \
	(snprintf(directory, sizeof(directory), "%s/" name ".XXXXXX",                                          \
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp"),                                                \
		mkdtemp(directory) == NULL ? 1 : remove_directory(cmocka_run_group_tests(tests, NULL, NULL)))

static inline int remove_directory(int rc)
{
	char command[300];
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command) != 0 ? 1 : rc;
}

/* False: it was not so within 15 s. */
static inline bool turns_until(struct outbox *o, bool (*condition)(struct outbox *))
{
	for (int i = 0; i < 3000; i++) {
		outbox_sync(o);
		if (condition(o))
			return true;
		usleep(5000);
	}
	return false;
}

static inline bool is_stored(struct outbox *o)
{
	return outbox_sync(o);
}

static inline void file_name(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", path, name);
}

#endif
