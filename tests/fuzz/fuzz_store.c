// SPDX-License-Identifier: MIT
/* fuzz_store: the files of an outbox, changed at arbitrary places: it opens or is refused, and what opens can be used.
 *
 * Input: the first byte chooses the outbox, the second what is cut off; then changes: page 2, place in it 2, kind and length 1, and for one
 * kind the bytes. So a few bytes reach any field of any page. */
#include "bridge/base/log.h"
#include "bridge/outbox/store_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define BASES 4
#define MOST (2u << 20)

static char directory[64];
static struct {
	uint8_t bytes[MOST];
	size_t size;
} base[BASES], file;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was found fine, LMDB reads and writes without touching what it must not. */
static void expect_sound(const struct store *s)
{
	if (s->lost)
		abort();
}

static void put_some(struct store *s, struct outbox_ring *ring, unsigned count, unsigned seed)
{
	static const uint8_t payload[9000];
	for (unsigned i = 0; i < count; i++) {
		char key[16];
		struct outbox_message m = {
			.seqnum = store_last_seqnum(s) + 1 + i,
			.topic = span_text("trackers/1/position"),
			.payload = span_of(payload, (i * 577 + seed) % (i % 9 ? 900 : 9000)),
			.memory_key = span_of(key, (size_t)snprintf(key, sizeof(key), "%u", i * seed)),
			.memory_value = i % 4 ? i : MESSAGE_FORGET,
		};
		ring_put(ring, &m);
	}
	store_write(s, ring);
	ring_clear(ring);
	expect_sound(s);
}

static struct store *open_it(void)
{
	char why[STORE_WHY_MAX];
	const struct store_options options = {
		directory, 8 << 20, 1000, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_REFUSE};
	return store_open(&options, why, sizeof(why));
}

static void on_each(void *ctx, struct span key, int64_t value, int64_t put_ms)
{
	*(uint64_t *)ctx += (uint64_t)value + (uint64_t)put_ms + key.len;
}

static void use(struct store *s)
{
	struct outbox_message m;
	struct outbox_ring *ring = ring_open();
	uint64_t after = 0;
	uint64_t sum = 0;
	put_some(s, ring, 3, 3);
	for (int i = 0; i < 2000 && store_next(s, after, &m); i++) {
		after = m.seqnum;
		if (i % 3 > 0)
			store_done(s, after);
	}
	expect_sound(s);
	store_remembered(s, on_each, &sum);
	put_some(s, ring, 2, 7);
	ring_close(ring);
}

static void name_of(char *out, size_t size)
{
	snprintf(out, size, "%s/data.mdb", directory);
}

static void remove_all(void)
{
	char command[100];
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (system(command) != 0)
		abort();
}

static void make_base(unsigned n)
{
	char name[100];
	remove_all();
	struct store *s = open_it();
	struct outbox_ring *ring = ring_open();
	for (unsigned i = 0; s != NULL && i < 1 + n * 6; i++) {
		put_some(s, ring, 10 + n * 20, i + n);
		use(s);
	}
	ring_close(ring);
	if (s == NULL)
		abort();
	store_close(s);
	name_of(name, sizeof(name));
	FILE *f = fopen(name, "rb");
	if (f == NULL || (base[n].size = fread(base[n].bytes, 1, MOST, f)) == 0)
		abort();
	fclose(f);
}

static void prepare(void)
{
	snprintf(directory, sizeof(directory), "%s/fuzz_store.%d",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
	log_open(LOG_LEVEL_ERROR);
	if (freopen("/dev/null", "w", stdout) == NULL)
		abort();
	for (unsigned n = 0; n < BASES; n++)
		make_base(n);
	atexit(remove_all);
}

static void change(struct reader *r)
{
	size_t pages = file.size / PAGE;
	while (pages > 0 && reader_left(r) >= 5) {
		size_t page = reader_u16(r) % pages, at = reader_u16(r) % PAGE, how = reader_u8(r);
		uint8_t *to = file.bytes + page * PAGE;
		size_t length = how & 15, from = (page + 1 + at) % pages;
		if (how & 0x80)
			memcpy(to, file.bytes + from * PAGE, PAGE); /* another page */
		else if (how & 0x40)
			memset(to + at, how & 0x20 ? 0xff : 0, PAGE - at < 64 ? PAGE - at : 64);
		else
			for (; length > 0 && at < PAGE && reader_left(r) > 0; length--)
				to[at++] = reader_u8(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[100];
	if (base[0].size == 0)
		prepare();
	struct reader r = reader_of(span_of(data, size));
	unsigned chosen = reader_u8(&r) % BASES, cut = reader_u8(&r);
	file.size = base[chosen].size;
	memcpy(file.bytes, base[chosen].bytes, file.size);
	change(&r);
	if (cut > 200)
		file.size = file.size * (cut - 200) / 56;
	name_of(name, sizeof(name));
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, file.bytes, file.size) != (ssize_t)file.size)
		abort();
	close(fd);
	store_print_status(directory);
	struct store *s = open_it();
	if (s == NULL)
		return 0;
	expect_sound(s);
	use(s);
	store_close(s);
	return 0;
}
