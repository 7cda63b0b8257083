// SPDX-License-Identifier: MIT
/* bench_outbox: CPU of the outbox for each message: memory, and the disk with each kind of sync, 100 messages a turn.
 * usage: bench_outbox DIRECTORY [MESSAGES] */
#include "bridge/outbox/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { TURN = 100, PAYLOAD = 900 };

static double cpu_us(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* put, sync, next and done of all; microseconds of CPU for one. */
static double run(const char *path, enum outbox_sync sync, unsigned messages)
{
	char why[400], topic[64];
	static uint8_t payload[PAYLOAD];
	const struct outbox_options options = {
		.path = path, .size = 1u << 30, .sync = sync, .sync_interval_ms = 1000};
	struct outbox *o = outbox_open(&options, why, sizeof(why));
	struct outbox_message m;
	if (o == NULL) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	double start = cpu_us();
	for (unsigned n = 0; n < messages; n += TURN) {
		for (unsigned i = 0; i < TURN; i++) {
			m = (struct outbox_message){
				.topic = span_of(topic,
					(size_t)snprintf(topic, sizeof(topic), "trackers/%u/position", i)),
				.payload = span_of(payload, sizeof(payload)),
				.order = i,
			};
			outbox_put(o, &m);
		}
		outbox_sync(o);
		while (outbox_next(o, &m))
			outbox_done(o, m.seqnum);
	}
	double each = (cpu_us() - start) / messages;
	outbox_close(o);
	return each;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(const char *path, enum outbox_sync sync, unsigned messages)
{
	double runs[5];
	for (size_t i = 0; i < 5; i++)
		runs[i] = run(path, sync, messages);
	qsort(runs, 5, sizeof(runs[0]), by_value);
	return runs[2];
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return fprintf(stderr, "usage: bench_outbox DIRECTORY [MESSAGES]\n"), 1;
	unsigned messages = argc > 2 ? (unsigned)atoi(argv[2]) : 100000;
	double memory = median("", OUTBOX_SYNC_NEVER, messages);
	double never = median(argv[1], OUTBOX_SYNC_NEVER, messages);
	double interval = median(argv[1], OUTBOX_SYNC_INTERVAL, messages);
	double always = median(argv[1], OUTBOX_SYNC_ALWAYS, messages / 20);
	printf("%-22s %14s %10s %8s\n", "outbox", "CPU us/message", "more", "ratio");
	printf("%-22s %14.2f %10s %8.2f\n", "memory", memory, "", 1.0);
	printf("%-22s %14.2f %10.2f %8.2f\n", "disk, sync = never", never, never - memory, never / memory);
	printf("%-22s %14.2f %10.2f %8.2f\n", "disk, sync = interval", interval, interval - memory,
		interval / memory);
	printf("%-22s %14.2f %10.2f %8.2f\n", "disk, sync = always", always, always - memory, always / memory);
	return 0;
}
