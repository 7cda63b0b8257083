/* bench_subscriber: counts messages at QoS 1.
 * usage: bench_subscriber PORT MESSAGES     prints `ready`, then seconds from the first to the last one, and bytes */
#include "mqtt_loop.h"

static unsigned count;
static double first;
static unsigned long long bytes;
static bool ready;

static void on_message(struct mosquitto *m, void *ctx, const struct mosquitto_message *message)
{
	(void)m;
	(void)ctx;
	if (count++ == 0)
		first = steady_s();
	bytes += (unsigned)message->payloadlen;
}

static void on_connect(struct mosquitto *m, void *ctx, int rc)
{
	(void)ctx;
	if (rc == 0)
		mosquitto_subscribe(m, NULL, "trackers/+/position", 1);
}

static void on_subscribe(struct mosquitto *m, void *ctx, int mid, int n, const int *granted)
{
	(void)m;
	(void)ctx;
	(void)mid;
	(void)n;
	(void)granted;
	ready = true;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 1;
	unsigned messages = (unsigned)atoi(argv[2]);
	struct mosquitto *m = client_open("subscriber", atoi(argv[1]), 1000);
	mosquitto_connect_callback_set(m, on_connect);
	mosquitto_subscribe_callback_set(m, on_subscribe);
	mosquitto_message_callback_set(m, on_message);
	while (!ready)
		client_turn(m, 100);
	printf("ready\n");
	fflush(stdout);
	while (count < messages)
		client_turn(m, 1000);
	printf("%.6f %llu\n", steady_s() - first, bytes);
	fflush(stdout);
	mosquitto_disconnect(m);
	mosquitto_destroy(m);
	return 0;
}
