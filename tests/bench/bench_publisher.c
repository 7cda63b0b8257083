// SPDX-License-Identifier: MIT
/* bench_publisher: the baseline: libmosquitto alone, publishing as fast as its window allows. It has nothing to decode, format or
 * store.
 * usage: bench_publisher PORT MESSAGES SIZE WINDOW TOPICS    prints seconds and CPU seconds */
#include "mqtt_loop.h"

#include <string.h>

static unsigned inflight, done;

static void on_publish(struct mosquitto *m, void *ctx, int mid)
{
	(void)m;
	(void)ctx;
	(void)mid;
	inflight--;
	done++;
}

static bool connected;

static void on_connect(struct mosquitto *m, void *ctx, int rc)
{
	(void)m;
	(void)ctx;
	connected = rc == 0;
}

int main(int argc, char **argv)
{
	static char payload[1 << 16];
	if (argc != 6)
		return 1;
	unsigned messages = (unsigned)atoi(argv[2]), window = (unsigned)atoi(argv[4]);
	unsigned topics = (unsigned)atoi(argv[5]), sent = 0;
	int size = atoi(argv[3]);
	memset(payload, 'x', sizeof(payload));
	struct mosquitto *m = client_open("baseline", atoi(argv[1]), (int)window);
	mosquitto_connect_callback_set(m, on_connect);
	mosquitto_publish_callback_set(m, on_publish);
	while (!connected)
		client_turn(m, 100);
	double start = steady_s(), cpu = cpu_s();
	while (done < messages) {
		while (sent < messages && inflight < window) {
			char topic[64];
			snprintf(topic, sizeof(topic), "trackers/%010u/position", sent % topics);
			if (mosquitto_publish(m, NULL, topic, size, payload, 1, false) != MOSQ_ERR_SUCCESS)
				return 1;
			inflight++;
			sent++;
		}
		client_turn(m, 1000);
	}
	printf("%.6f %.6f\n", steady_s() - start, cpu_s() - cpu);
	mosquitto_disconnect(m);
	mosquitto_destroy(m);
	return 0;
}
