// SPDX-License-Identifier: MIT
/* test_http: paths lead to handlers, over a real socket on loopback; what else comes is refused, and who holds places loses them. */
#include "harness.h"

#include "bridge/base/clock.h"
#include "bridge/base/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ev_loop *loop;
static struct http *http;
static union address where;
static ev_timer again;
static unsigned calls;
static char body[40000];

static void on_again(struct ev_loop *l, ev_timer *t, int events)
{
	(void)l;
	(void)t;
	(void)events;
}

static void say(void *ctx, const struct http_request *request, struct http_answer *answer)
{
	(void)request;
	calls++;
	answer->body = span_text(ctx);
}

static void say_all(void *ctx, const struct http_request *request, struct http_answer *answer)
{
	(void)request;
	(void)ctx;
	snprintf(body, sizeof(body), "%39000d", 5);
	answer->status = 503;
	answer->type = "text/csv";
	answer->body = span_text(body);
}

/* A port that nobody has; another process may take it before we do. */
static uint16_t free_port(void)
{
	union address a = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, &a.any, sizeof(a.in4)), 0);
	getsockname(fd, &a.any, &len);
	close(fd);
	return a.in4.sin_port;
}

static struct http *open_here(char *why, size_t size)
{
	const struct http_options options = {
		.listen = where, .places = 12, .places_of_address = 4, .quiet_seconds = 3, .answer_ms = 5000};
	return http_open(loop, &options, why, size);
}

static int set_up(void **state)
{
	char why[200];
	(void)state;
	loop = ev_loop_new(EVFLAG_AUTO);
	for (int i = 0; i < 20 && http == NULL; i++) {
		where.in4 = (struct sockaddr_in){.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
			.sin_port = free_port()};
		http = open_here(why, sizeof(why));
	}
	calls = 0;
	ev_timer_init(&again, on_again, 0.002, 0.002);
	ev_timer_start(loop, &again);
	return http == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	http_free(http);
	http = NULL;
	ev_timer_stop(loop, &again);
	ev_loop_destroy(loop);
	return 0;
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, &where.any, sizeof(where.in4)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* All that comes until the server closes; a minute at most. */
static const char *read_all(int fd)
{
	static char text[50000];
	size_t len = 0;
	int64_t end = clock_steady_ms() + 60000;
	ssize_t n = -1;
	while (n != 0 && clock_steady_ms() < end) {
		ev_run(loop, EVRUN_ONCE);
		n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
		if (n < 0 && errno != EAGAIN)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	text[len] = '\0';
	return text;
}

static const char *ask(const char *request)
{
	int fd = dial();
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	return read_all(fd);
}

#define GET(path) ask("GET " path " HTTP/1.1\r\nHost: x\r\n\r\n")

static void assert_answer(const char *answer, const char *status, const char *type, const char *text)
{
	const char *behind = strstr(answer, "\r\n\r\n");
	char line[200];
	snprintf(line, sizeof(line), "HTTP/1.1 %s", status);
	if (strncmp(answer, line, strlen(line)) != 0 || behind == NULL)
		fail_msg("%s instead of %s", answer, status);
	snprintf(line, sizeof(line), "\r\nContent-Type: %s\r\n", type);
	if (strstr(answer, line) == NULL || strstr(answer, "\r\nConnection: close\r\n") == NULL)
		fail_msg("%s is not %s", answer, type);
	assert_string_equal(behind + 4, text);
}

static void test_paths(void **state)
{
	(void)state;
	assert_true(http_route(http, "/one", say, "1\n"));
	assert_true(http_route(http, "/two", say, "2\n"));
	assert_false(http_route(http, "/one", say, "3\n")); /* it has a handler */
	assert_answer(GET("/one"), "200 OK", HTTP_PLAIN, "1\n");
	assert_answer(GET("/two"), "200 OK", HTTP_PLAIN, "2\n");
	assert_answer(GET("/two?x=1"), "200 OK", HTTP_PLAIN, "2\n");
	assert_int_equal(calls, 3);
	assert_answer(GET("/"), "404 Not Found", HTTP_PLAIN, "/one or /two\n");
	assert_answer(GET("/on"), "404 Not Found", HTTP_PLAIN, "/one or /two\n");
	assert_answer(GET("/one/"), "404 Not Found", HTTP_PLAIN, "/one or /two\n");
	assert_true(http_route(http, "/three", say, "3\n")); /* at any time */
	assert_answer(GET("/"), "404 Not Found", HTTP_PLAIN, "/one, /two or /three\n");
	assert_int_equal(calls, 3);
}

static void test_methods(void **state)
{
	(void)state;
	assert_true(http_route(http, "/one", say, "1\n"));
	const char *head = ask("HEAD /one HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_answer(head, "200 OK", HTTP_PLAIN, "");
	assert_non_null(strstr(head, "\r\nContent-Length: 2\r\n"));
	assert_int_equal(calls, 1);
	assert_answer(ask("PUT /one HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"), "405", HTTP_PLAIN,
		"only GET\n");
	assert_answer(ask("DELETE /none HTTP/1.1\r\nHost: x\r\n\r\n"), "405", HTTP_PLAIN, "only GET\n");
	assert_int_equal(calls, 1);
}

static void test_answer(void **state)
{
	(void)state;
	assert_true(http_route(http, "/all", say_all, NULL));
	const char *answer = GET("/all");
	snprintf(body, sizeof(body), "%39000d", 5);
	assert_answer(answer, "503", "text/csv", body);
}

static void test_room_for_paths(void **state)
{
	static const char *const paths[] = {"/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8"};
	(void)state;
	for (size_t i = 0; i < 8; i++)
		assert_true(http_route(http, paths[i], say, "x"));
	assert_false(http_route(http, paths[8], say, "x"));
	assert_answer(GET("/8"), "404", HTTP_PLAIN, "/0, /1, /2, /3, /4, /5, /6 or /7\n");
	assert_answer(GET("/7"), "200", HTTP_PLAIN, "x");
}

/* Whoever holds connections open loses the oldest, and keeps four at most; the new one is served. */
static void test_holders(void **state)
{
	int held[40];
	unsigned open = 0;
	char c;
	(void)state;
	assert_true(http_route(http, "/one", say, "1\n"));
	for (size_t i = 0; i < 40; i++) {
		held[i] = dial();
		send(held[i], "GET /", 5, MSG_NOSIGNAL);
		for (int k = 0; k < 5; k++)
			ev_run(loop, EVRUN_ONCE);
	}
	assert_answer(GET("/one"), "200 OK", HTTP_PLAIN, "1\n");
	for (size_t i = 0; i < 40; i++) {
		open += recv(held[i], &c, 1, 0) < 0 && errno == EAGAIN;
		close(held[i]);
	}
	assert_true(open <= 4);
}

/* Bytes now and then keep no connection: it ends after five seconds. */
static void test_slow(void **state)
{
	ssize_t n = -1;
	char c;
	(void)state;
	int fd = dial();
	int64_t end = clock_steady_ms() + 60000, next = 0;
	while (clock_steady_ms() < end && (n < 0 && (errno == EAGAIN || next == 0))) {
		if (clock_steady_ms() >= next) {
			send(fd, "G", 1, MSG_NOSIGNAL);
			next = clock_steady_ms() + 500;
		}
		ev_run(loop, EVRUN_ONCE);
		n = recv(fd, &c, 1, 0);
	}
	assert_true(clock_steady_ms() < end);
	close(fd);
}

static void test_taken_address(void **state)
{
	char why[200] = "";
	(void)state;
	assert_null(open_here(why, sizeof(why)));
	assert_non_null(strstr(why, "cannot listen on http 127.0.0.1:"));
	assert_non_null(strstr(why, "Address already in use"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(test_paths), T(test_methods), T(test_answer),
		T(test_room_for_paths), T(test_holders), T(test_slow), T(test_taken_address)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
