/* bench_subscriber: counts messages at QoS 1.
 * usage: bench_subscriber PORT MESSAGES     prints `ready`, then seconds from the first to the last one, and bytes */
#include "mqtt_loop.h"

static unsigned count;
static double first;
static unsigned long long bytes;

static void on_message(struct mosquitto *m, void *ctx, const struct mosquitto_message *message)
{
	(void)m;
	(void)ctx;
	if (count++ == 0)
		first = steady_s();
	bytes += (unsigned)message->payloadlen;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 1;
	unsigned messages = (unsigned)atoi(argv[2]);
	struct mosquitto *m = subscriber_open("subscriber", atoi(argv[1]), on_message);
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
