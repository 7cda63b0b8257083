// SPDX-License-Identifier: MIT
/* bench_latency: units that report at a steady rate, and a subscriber in the same process: how long from a unit's write to its
 * acknowledgement, and to the subscriber.
 * usage: bench_latency UNIT_PORT MQTT_PORT UNITS RATE SECONDS
 *        prints `what median p99 p99.9` in milliseconds, twice */
#include "mqtt_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UNITS_MAX = 1000, REPORTS_MAX = 400000, WAITING = 256, EPOCH = 1262304000 /* 2010 */ };

struct unit {
	int fd;
	unsigned made;             /* the n-th report has the time EPOCH + n */
	unsigned waiting[WAITING]; /* reports that are not acknowledged: a queue */
	unsigned head, tail;
	unsigned *report; /* number of the n-th report in the tables below */
};

static struct unit units[UNITS_MAX];
static double sent[REPORTS_MAX], told[REPORTS_MAX], heard[REPORTS_MAX];
static unsigned reports, told_count, heard_count;

static void on_message(struct mosquitto *m, void *ctx, const struct mosquitto_message *message)
{
	unsigned ident, n;
	unsigned long long seconds = 0;
	(void)m;
	(void)ctx;
	const char *at = memmem(message->payload, (size_t)message->payloadlen, "\"timestamp\":", 12);
	if (at == NULL || sscanf(message->topic, "trackers/95%8u/", &ident) != 1)
		return;
	for (at += 12; *at >= '0' && *at <= '9'; at++)
		seconds = seconds * 10 + (unsigned long long)(*at - '0');
	n = (unsigned)(seconds - EPOCH);
	if (ident < UNITS_MAX && n < units[ident].made && heard[units[ident].report[n]] == 0) {
		heard[units[ident].report[n]] = steady_s();
		heard_count++;
	}
}

static void report(unsigned index)
{
	struct unit *u = &units[index];
	char frame[160];
	time_t t = EPOCH + (time_t)u->made;
	struct tm tm;
	gmtime_r(&t, &tm);
	int n = snprintf(frame, sizeof(frame),
		"*HQ,95%08u,V1,%02d%02d%02d,A,2232.6024,N,11355.7983,E,021.60,090,%02d%02d%02d,FFFFFBFF,460,00,"
		"10342,4283#",
		index, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_mday, tm.tm_mon + 1, tm.tm_year % 100);
	u->report[u->made++] = reports;
	u->waiting[u->tail++ % WAITING] = reports;
	sent[reports++] = steady_s();
	if (write(u->fd, frame, (size_t)n) != n || u->tail - u->head > WAITING)
		exit(1);
}

static void hear(struct unit *u)
{
	char buf[8192];
	ssize_t n = read(u->fd, buf, sizeof(buf));
	if (n == 0)
		exit(1);
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] != '#' || u->head == u->tail)
			continue;
		told[u->waiting[u->head++ % WAITING]] = steady_s();
		told_count++;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void print(const char *what, double *when)
{
	for (unsigned i = 0; i < reports; i++)
		when[i] = (when[i] - sent[i]) * 1000;
	qsort(when, reports, sizeof(*when), by_value);
	printf("%s %.2f %.2f %.2f\n", what, when[reports / 2], when[(size_t)(reports * .99)],
		when[(size_t)(reports * .999)]);
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 1;
	unsigned count = (unsigned)atoi(argv[3]), next = 0;
	double rate = atof(argv[4]), seconds = atof(argv[5]);
	if (count > UNITS_MAX || rate * seconds > REPORTS_MAX)
		return 1;
	static struct pollfd polls[UNITS_MAX + 1];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (unsigned i = 0; i < count; i++) {
		int one = 1;
		units[i].fd = socket(AF_INET, SOCK_STREAM, 0);
		units[i].report = calloc((size_t)(rate * seconds) / count + 2, sizeof(unsigned));
		if (units[i].report == NULL || connect(units[i].fd, (struct sockaddr *)&to, sizeof(to)) != 0)
			return 1;
		setsockopt(units[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		polls[i] = (struct pollfd){units[i].fd, POLLIN, 0};
	}
	struct mosquitto *m = subscriber_open("latency", atoi(argv[2]), on_message);
	double start = steady_s();
	unsigned total = (unsigned)(rate * seconds);
	while (reports < total || told_count < total || heard_count < total) {
		double now = steady_s();
		if (now > start + seconds + 30)
			return 1;
		while (reports < total && start + reports / rate <= now)
			report(next++ % count);
		polls[count] = (struct pollfd){
			mosquitto_socket(m), (short)(POLLIN | (mosquitto_want_write(m) ? POLLOUT : 0)), 0};
		double due = start + reports / rate - steady_s();
		struct timespec wait = {0, reports < total && due > 0 ? (long)(due * 1e9) : 0};
		if (reports >= total)
			wait.tv_nsec = 10000000;
		if (ppoll(polls, count + 1, &wait, NULL) <= 0)
			continue;
		if (polls[count].revents != 0)
			client_turn(m, 0);
		for (unsigned i = 0; i < count; i++)
			if (polls[i].revents != 0)
				hear(&units[i]);
	}
	print("acknowledged", told);
	print("subscriber", heard);
	mosquitto_disconnect(m);
	mosquitto_destroy(m);
	return 0;
}
