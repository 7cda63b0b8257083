// SPDX-License-Identifier: MIT
/* store_tools: what people ask of an outbox. See store.h.
 * Uses: bridge/base.
 *
 * While it only reads, it takes no lock on a bridge's files, so it may be stopped or killed at any moment. */
#include "bridge/base/log.h"
#include "bridge/base/reason.h"
#include "bridge/outbox/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 3
#define QUICK_TRIES 200
#define UNIT_TRIES 5

static bool unchanged(int fd, const struct store_meta *meta)
{
	struct store_meta now;
	char why[200];
	return store_meta_read(fd, &now, why, sizeof(why)) == STORE_FINE && now.txnid == meta->txnid;
}

/* A bridge that writes meanwhile uses pages again, so a result counts only when nothing was written while the file was read.
 * The first tries read all of the file. When the bridge is too busy for that, the others read only the counts. */
static enum store_condition look(int fd, struct store_findings *found)
{
	struct store_meta meta;
	enum store_condition c = STORE_ERROR;
	for (int i = 0; i < TRIES + QUICK_TRIES; i++) {
		*found = (struct store_findings){0};
		c = store_meta_read(fd, &meta, found->why, sizeof(found->why));
		if (c == STORE_FINE)
			c = store_check(fd, &meta, i >= TRIES, found);
		if (c == STORE_NEW || unchanged(fd, &meta))
			break;
	}
	return c;
}

/* When the bridge is too busy for one that is of one moment, what all tries have found counts. */
static enum store_condition look_for_units(
	int fd, store_each_unit *each, void *ctx, struct store_findings *found)
{
	struct store_meta meta;
	enum store_condition c = STORE_ERROR;
	for (int i = 0; i < UNIT_TRIES; i++) {
		*found = (struct store_findings){0};
		c = store_meta_read(fd, &meta, found->why, sizeof(found->why));
		if (c == STORE_FINE)
			c = store_read_units(fd, &meta, each, ctx, found);
		if (c == STORE_NEW || unchanged(fd, &meta))
			return c;
	}
	return STORE_FINE;
}

static void print_time(int64_t ms, char *out, size_t size)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	if (gmtime_r(&t, &tm) == NULL || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, size, "unknown");
}

/* Prints the messages that were set aside, the newest first. */
static void print_refused(const struct store_findings *found)
{
	printf("set aside: %zu\n", found->refused);
	if (found->dropped > 0)
		printf("set aside and deleted for want of room: %llu\n", (unsigned long long)found->dropped);
	for (size_t n = found->refused; n > 0 && n + STORE_SHOWN > found->refused; n--) {
		const struct refused_shown *s = &found->shown[(n - 1) % STORE_SHOWN];
		char when[40], why[80];
		if (s->number == 0) /* only the counts were read */
			return;
		print_time(s->when_ms, when, sizeof(when));
		reason_text(s->reason, why, sizeof(why));
		printf("set aside: %s, number %llu, %zu bytes for %s: %s\n", when,
			(unsigned long long)s->number, s->bytes, log_bytes(span_text(s->topic)).text, why);
	}
}

/* -1: a message is on stderr. */
static int open_to_read(const char *path)
{
	char name[STORE_PATH_MAX + 20];
	struct stat st;
	snprintf(name, sizeof(name), "%s/%s", path, STORE_FILE);
	int fd = stat(path, &st) == 0 ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	if (fd < 0)
		fprintf(stderr, "outbox %s: %s\n", stat(path, &st) == 0 ? name : path, strerror(errno));
	return fd;
}

static bool is_readable(const char *path, enum store_condition c, const struct store_findings *found)
{
	if (c != STORE_DAMAGED && c != STORE_ERROR)
		return true;
	fprintf(stderr, "outbox %s: %s%s\n", path, c == STORE_DAMAGED ? "damaged, or not an outbox: " : "",
		found->why);
	return false;
}

int store_list_units(const char *path, store_each_unit *each, void *ctx)
{
	struct store_findings found = {0};
	int fd = open_to_read(path);
	if (fd < 0)
		return 1;
	enum store_condition c = look_for_units(fd, each, ctx, &found);
	close(fd);
	return is_readable(path, c, &found) ? 0 : 1;
}

int store_print_status(const char *path)
{
	struct store_findings found = {0};
	int fd = open_to_read(path);
	if (fd < 0)
		return 1;
	enum store_condition c = look(fd, &found);
	close(fd);
	if (!is_readable(path, c, &found))
		return 1;
	printf("messages: %zu\nbytes: %zu\n", found.messages, found.bytes);
	if (found.messages > 0) {
		char when[40];
		print_time(found.first_put_ms, when, sizeof(when));
		printf("oldest: %s, number %llu\n", when, (unsigned long long)found.first);
	} else {
		printf("oldest: none\n");
	}
	printf("remembered: %zu\n", found.remembered);
	print_refused(&found);
	return 0;
}

int store_move_aside(const char *path)
{
	char aside[STORE_PATH_MAX + 40], why[STORE_WHY_MAX];
	struct stat st;
	if (stat(path, &st) != 0) {
		fprintf(stderr, "outbox %s: %s\n", path, strerror(errno));
		return 1;
	}
	if (!S_ISDIR(st.st_mode)) {
		bool ok = store_dir_make(path, true, why, sizeof(why));
		fprintf(ok ? stdout : stderr, "outbox %s%s\n", path,
			ok ? " was no directory and is moved aside" : why);
		return !ok;
	}
	int lock = store_dir_lock(path, true, why, sizeof(why));
	bool ok = lock >= 0 && store_dir_aside(path, aside, why, sizeof(why));
	if (ok)
		printf("the files of outbox %s are in %s now; the next start makes a new one\n", path, aside);
	else
		fprintf(stderr, "%s\n", why);
	if (lock >= 0)
		close(lock);
	return !ok;
}
