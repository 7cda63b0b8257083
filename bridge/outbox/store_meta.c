// SPDX-License-Identifier: MIT
/* store_meta: see store_meta.h. */
#include "bridge/outbox/store_meta.h"

#include "bridge/base/sum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0xBEEFC0DEu
#define VERSION 1
#define PAGE_LEAST 512u
#define PAGE_MOST 32768u
#define PAGE_META 8
#define MARK_MAGIC "t2mflush"
#define MARK_SLOT 4096

enum { TREE_INTEGER_KEY = 8, ENVIRONMENT_FLAGS = 0x4009 };

struct slot {
	struct store_page head;
	struct store_meta meta;
};

/* --- meta pages --- */

static bool is_of_lmdb(const struct store_meta *m)
{
	size_t size = m->free.pad;
	return m->magic == MAGIC && m->version == VERSION && size >= PAGE_LEAST && size <= PAGE_MOST &&
	       (size & (size - 1)) == 0;
}

static bool is_meta(const struct slot *s, size_t number)
{
	return s->head.flags == PAGE_META && s->head.number == number && is_of_lmdb(&s->meta);
}

/* Has the meta page values that LMDB would trust without a check? The trees are not looked at. */
static bool is_sane(const struct store_meta *m)
{
	return (m->free.flags & ~ENVIRONMENT_FLAGS) == 0 && m->free.flags & TREE_INTEGER_KEY &&
	       m->main.flags == 0 && m->last_page >= 1 && m->last_page < SIZE_MAX / PAGE_MOST &&
	       m->txnid < SIZE_MAX / 2;
}

enum store_condition store_meta_read(int fd, struct store_meta *meta, char *why, size_t why_size)
{
	struct slot slot[2];
	struct stat st;
	if (fstat(fd, &st) != 0) {
		snprintf(why, why_size, "%s: %s", STORE_FILE, strerror(errno));
		return STORE_ERROR;
	}
	snprintf(why, why_size, "%s is not of LMDB", STORE_FILE);
	if (!S_ISREG(st.st_mode))
		return STORE_DAMAGED;
	if (st.st_size == 0)
		return STORE_NEW;
	for (size_t i = 0; i < 2; i++) {
		off_t at = i == 0 ? 0 : (off_t)slot[0].meta.free.pad;
		ssize_t n = pread(fd, &slot[i], sizeof(slot[i]), at);
		if (n < 0) {
			snprintf(why, why_size, "%s: %s", STORE_FILE, strerror(errno));
			return STORE_ERROR;
		}
		if (n != (ssize_t)sizeof(slot[i]) || !is_meta(&slot[i], i) ||
			slot[i].meta.free.pad != slot[0].meta.free.pad)
			return STORE_DAMAGED;
	}
	size_t choice = slot[0].meta.txnid < slot[1].meta.txnid; /* as LMDB does */
	*meta = slot[choice].meta;
	snprintf(why, why_size, "meta page %zu has values that none has", choice);
	return is_sane(meta) ? STORE_FINE : STORE_DAMAGED;
}

int store_meta_put(int fd, const struct store_meta *meta)
{
	for (size_t i = 0; i < 2; i++) {
		struct slot slot = {.head = {.number = i, .flags = PAGE_META}, .meta = *meta};
		errno = EIO;
		if (pwrite(fd, &slot, sizeof(slot), (off_t)(i * meta->free.pad)) != (ssize_t)sizeof(slot))
			return errno;
	}
	return 0;
}

int store_meta_write(int fd, const struct store_meta *meta)
{
	int error = store_meta_put(fd, meta);
	return error == 0 && fdatasync(fd) != 0 ? errno : error;
}

/* --- mark --- */

void store_boot_id(char id[STORE_BOOT_MAX])
{
	const char *given = getenv("T2M_BOOT_ID"); /* for tests of power loss, and for nothing else */
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
	memset(id, 0, STORE_BOOT_MAX);
	if (f == NULL || fgets(id, STORE_BOOT_MAX, f) == NULL)
		id[0] = '\0';
	if (f != NULL)
		fclose(f);
	if (given != NULL)
		snprintf(id, STORE_BOOT_MAX, "%s", given);
}

static uint64_t sum_of(const struct store_mark *m)
{
	return sum_bytes(SUM_OF_NOTHING, span_of((const uint8_t *)m, offsetof(struct store_mark, sum)));
}

bool store_mark_read(const char *path, struct store_mark *mark)
{
	char name[480];
	struct store_mark m;
	bool found = false;
	snprintf(name, sizeof(name), "%s/%s", path, STORE_MARK_FILE);
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	for (int i = 0; fd >= 0 && i < 2; i++) {
		if (pread(fd, &m, sizeof(m), (off_t)i * MARK_SLOT) != (ssize_t)sizeof(m) ||
			memcmp(m.magic, MARK_MAGIC, sizeof(m.magic)) != 0 || m.sum != sum_of(&m) ||
			!is_of_lmdb(&m.meta) || !is_sane(&m.meta) || (found && m.sequence < mark->sequence))
			continue;
		*mark = m;
		found = true;
	}
	if (fd >= 0)
		close(fd);
	return found;
}

bool store_mark_remove(const char *path)
{
	char name[480];
	snprintf(name, sizeof(name), "%s/%s", path, STORE_MARK_FILE);
	return unlink(name) == 0;
}

int store_mark_open(const char *path)
{
	char name[480];
	snprintf(name, sizeof(name), "%s/%s", path, STORE_MARK_FILE);
	int fd = open(name, O_RDWR | O_CREAT | O_DSYNC | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return -1;
	int error = posix_fallocate(fd, 0, 2 * MARK_SLOT);
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

void store_mark_next(struct store_mark *mark, const struct store_meta *meta, bool clean, int64_t *offset)
{
	uint64_t sequence = mark->sequence + 1;
	char boot[STORE_BOOT_MAX]; /* of this process: it is read once */
	memcpy(boot, mark->boot, sizeof(boot));
	if (boot[0] == '\0')
		store_boot_id(boot);
	memset(mark, 0, sizeof(*mark)); /* the padding as well: the checksum covers it */
	memcpy(mark->magic, MARK_MAGIC, sizeof(mark->magic));
	mark->sequence = sequence;
	memcpy(mark->boot, boot, sizeof(boot));
	mark->clean = clean;
	mark->meta = *meta;
	mark->sum = sum_of(mark);
	*offset = (int64_t)(sequence % 2) * MARK_SLOT;
}
