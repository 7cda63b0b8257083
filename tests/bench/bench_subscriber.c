// SPDX-License-Identifier: MIT
/* bench_subscriber: counts messages at QoS 1.
 * usage: bench_subscriber PORT MESSAGES FROM     prints `ready`, `measured` at message number FROM, then seconds from that to the
 *                                                last one, and the bytes of all */
#include "mqtt_loop.h"

static unsigned count, from;
static double start;
static unsigned long long bytes;

static void on_message(struct mosquitto *m, void *ctx, const struct mosquitto_message *message)
{
	(void)m;
	(void)ctx;
	if (++count == from) {
		start = steady_s();
		puts("measured");
		fflush(stdout);
	}
	bytes += (unsigned)message->payloadlen;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 1;
	unsigned messages = (unsigned)atoi(argv[2]);
	from = (unsigned)atoi(argv[3]);
	struct mosquitto *m = subscriber_open("subscriber", atoi(argv[1]), on_message);
	printf("ready\n");
	fflush(stdout);
	while (count < messages)
		client_turn(m, 1000);
	printf("%.6f %llu\n", steady_s() - start, bytes);
	fflush(stdout);
	mosquitto_disconnect(m);
	mosquitto_destroy(m);
	return 0;
}
