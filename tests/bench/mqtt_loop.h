// SPDX-License-Identifier: MIT
/* mqtt_loop: what the programs of the benchmark share: a libmosquitto client turned by poll. */
#ifndef T2M_BENCH_MQTT_LOOP_H
#define T2M_BENCH_MQTT_LOOP_H

#include <mosquitto.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static inline double steady_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline double cpu_s(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static inline struct mosquitto *client_open(const char *id, int port, int window)
{
	mosquitto_lib_init();
	struct mosquitto *m = mosquitto_new(id, true, NULL);
	if (m == NULL)
		exit(1);
	mosquitto_int_option(m, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	mosquitto_int_option(m, MOSQ_OPT_SEND_MAXIMUM, window);
	mosquitto_int_option(m, MOSQ_OPT_RECEIVE_MAXIMUM, 60000);
	mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
	if (mosquitto_connect(m, "127.0.0.1", port, 60) != MOSQ_ERR_SUCCESS) {
		perror("connect");
		exit(1);
	}
	return m;
}

static inline void on_subscriber_connect(struct mosquitto *m, void *ctx, int rc)
{
	(void)ctx;
	if (rc == 0)
		mosquitto_subscribe(m, NULL, "trackers/+/position", 1);
}

static inline void on_subscriber_ready(struct mosquitto *m, void *ctx, int mid, int n, const int *granted)
{
	(void)ctx;
	(void)mid;
	(void)n;
	(void)granted;
	mosquitto_user_data_set(m, m); /* any: it is ready */
}

/* One turn: waits at most so long, reads and writes what there is. */
static inline void client_turn(struct mosquitto *m, int timeout_ms)
{
	struct pollfd p = {mosquitto_socket(m), (short)(POLLIN | (mosquitto_want_write(m) ? POLLOUT : 0)), 0};
	if (poll(&p, 1, timeout_ms) < 0)
		return;
	int rc = p.revents & (POLLIN | POLLHUP | POLLERR) ? mosquitto_loop_read(m, 1) : MOSQ_ERR_SUCCESS;
	if (rc == MOSQ_ERR_SUCCESS && (p.revents & POLLOUT))
		rc = mosquitto_loop_write(m, 1);
	if (rc != MOSQ_ERR_SUCCESS) {
		fprintf(stderr, "connection lost: %s\n", mosquitto_strerror(rc));
		exit(1);
	}
	mosquitto_loop_misc(m);
}

/* Every position goes to on_message, once this returns. */
static inline struct mosquitto *subscriber_open(const char *id, int port,
	void (*on_message)(struct mosquitto *, void *, const struct mosquitto_message *))
{
	struct mosquitto *m = client_open(id, port, 1000);
	mosquitto_connect_callback_set(m, on_subscriber_connect);
	mosquitto_subscribe_callback_set(m, on_subscriber_ready);
	mosquitto_message_callback_set(m, on_message);
	while (mosquitto_userdata(m) == NULL)
		client_turn(m, 100);
	return m;
}

#endif
