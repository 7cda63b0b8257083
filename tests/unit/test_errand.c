// SPDX-License-Identifier: MIT
/* test_errand: a slow call in a thread: done, abandoned before its end and after it, and a process that ends meanwhile. */
#include "harness.h"

#include "bridge/base/clock.h"
#include "bridge/base/errand.h"
#include "bridge/base/lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* What an errand does: waits for a byte, and counts who was called. Shared by several. */
struct job {
	int wait[2]; /* a pipe; the thread reads one byte */
	pthread_t loop_thread, run_thread, drop_thread;
	pthread_mutex_t lock; /* for the counters */
	unsigned ran, done, dropped;
	pid_t tid; /* of the thread; set before `ran` */
	struct ev_loop *loop;
};

static void note(struct job *j, unsigned *counter)
{
	pthread_mutex_lock(&j->lock);
	++*counter;
	pthread_mutex_unlock(&j->lock);
}

static unsigned now_is(struct job *j, const unsigned *counter)
{
	pthread_mutex_lock(&j->lock);
	unsigned n = *counter;
	pthread_mutex_unlock(&j->lock);
	return n;
}

static void job_run(void *arg)
{
	struct job *j = arg;
	char c;
	j->run_thread = pthread_self();
	j->tid = gettid();
	assert_int_equal(read(j->wait[0], &c, 1), 1);
	note(j, &j->ran);
}

static void job_done(void *arg)
{
	struct job *j = arg;
	assert_true(pthread_equal(pthread_self(), j->loop_thread));
	assert_int_equal(now_is(j, &j->ran), 1);
	note(j, &j->done);
}

static void job_drop(void *arg)
{
	struct job *j = arg;
	j->drop_thread = pthread_self();
	note(j, &j->dropped);
}

static const struct errand_work work = {job_run, job_done, job_drop};

static void job_open(struct job *j)
{
	memset(j, 0, sizeof(*j));
	assert_int_equal(pipe(j->wait), 0);
	pthread_mutex_init(&j->lock, NULL);
	j->loop_thread = pthread_self();
	j->loop = ev_loop_new(EVFLAG_AUTO);
}

static void job_close(struct job *j)
{
	if (j->loop != NULL)
		ev_loop_destroy(j->loop);
	pthread_mutex_destroy(&j->lock);
	close(j->wait[0]);
	close(j->wait[1]);
}

static void let_go(struct job *j)
{
	assert_int_equal(write(j->wait[1], "x", 1), 1);
}

/* A minute at most. */
static void wait_for(struct job *j, const unsigned *counter, unsigned n)
{
	for (int i = 0; i < 60000 && now_is(j, counter) < n; i++)
		usleep(1000);
	assert_int_equal(now_is(j, counter), n);
}

/* Waits until this thread of the process has ended; a minute at most. */
static void wait_for_end(pid_t thread)
{
	char path[60];
	snprintf(path, sizeof(path), "/proc/self/task/%d", (int)thread);
	for (int i = 0; i < 60000 && access(path, F_OK) == 0; i++)
		usleep(1000);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void test_done(void **state)
{
	struct job j;
	(void)state;
	job_open(&j);
	assert_non_null(errand_start(j.loop, &work, &j));
	ev_run(j.loop, EVRUN_NOWAIT);
	assert_int_equal(now_is(&j, &j.done), 0); /* the loop goes on while the thread waits */
	let_go(&j);
	ev_run(j.loop, 0); /* returns when it is done: nothing else is watched */
	assert_int_equal(j.done, 1);
	assert_int_equal(j.dropped, 0);
	assert_false(pthread_equal(j.run_thread, j.loop_thread));
	job_close(&j);
}

/* The loop is destroyed while the thread still runs. */
static void test_abandoned_before(void **state)
{
	struct job j;
	(void)state;
	job_open(&j);
	struct errand *e = errand_start(j.loop, &work, &j);
	assert_non_null(e);
	errand_abandon(e);
	ev_run(j.loop, 0); /* it is not watched any more */
	assert_int_equal(now_is(&j, &j.dropped), 0);
	ev_loop_destroy(j.loop);
	j.loop = NULL;
	let_go(&j);
	wait_for(&j, &j.dropped, 1);
	assert_int_equal(j.ran, 1);
	assert_int_equal(j.done, 0);
	assert_false(pthread_equal(j.drop_thread, j.loop_thread));
	job_close(&j);
}

/* The thread has ended, and the loop has not heard of it yet. */
static void test_abandoned_after(void **state)
{
	struct job j;
	(void)state;
	job_open(&j);
	struct errand *e = errand_start(j.loop, &work, &j);
	assert_non_null(e);
	let_go(&j);
	wait_for(&j, &j.ran, 1);
	wait_for_end(j.tid);
	errand_abandon(e);
	assert_int_equal(j.ran, 1);
	assert_int_equal(j.dropped, 1); /* here, at once */
	assert_true(pthread_equal(j.drop_thread, j.loop_thread));
	ev_run(j.loop, EVRUN_NOWAIT);
	assert_int_equal(j.done, 0);
	job_close(&j);
}

/* Thousands that end while they are abandoned: each is done or dropped, once. */
static void test_abandoned_meanwhile(void **state)
{
	struct job j;
	const unsigned rounds = 2000;
	(void)state;
	job_open(&j);
	for (unsigned i = 1; i <= rounds; i++) {
		j.ran = 0;
		struct errand *e = errand_start(j.loop, &work, &j);
		assert_non_null(e);
		let_go(&j);
		for (unsigned k = 0; k < i % 50; k++)
			sched_yield();
		errand_abandon(e);
		wait_for(&j, &j.dropped, i);
	}
	assert_int_equal(j.done, 0);
	job_close(&j);
}

static void test_nobody(void **state)
{
	(void)state;
	errand_abandon(NULL);
}

/* Nobody waits for a thread that never ends. */
static void test_process_ends(void **state)
{
	struct job j;
	int status = 0;
	(void)state;
	job_open(&j);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct errand *e = errand_start(j.loop, &work, &j);
		errand_abandon(e);
		ev_loop_destroy(j.loop);
		_exit(e != NULL ? 7 : 8);
	}
	assert_int_equal(waitpid(child, &status, 0), child); /* ctest ends a test that waits for ever */
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	job_close(&j);
}

/* The user of it that asks the system's resolver. */
static void test_lookup(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	union address address;
	char text[ADDRESS_TEXT_MAX];
	(void)state;
	assert_null(lookup_open(loop, "127.0.0.1"));
	struct lookup *l = lookup_open(loop, "127.0.0.1:5013");
	assert_non_null(l);
	assert_false(lookup_address(l, &address)); /* the loop has not turned yet */
	ev_run(loop, 0);
	assert_true(lookup_address(l, &address));
	address_port_text(&address, text);
	assert_string_equal(text, "127.0.0.1:5013");
	assert_int_equal(lookup_count(l), 1);
	lookup_failed(l, &address);
	assert_true(lookup_address(l, &address)); /* there is no other one */
	lookup_free(l);
	l = lookup_open(loop, "[::1]:5013");
	lookup_free(l); /* without waiting for the answer */
	ev_run(loop, 0);
	ev_loop_destroy(loop);
}

int __real_getaddrinfo(
	const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found);
int __wrap_getaddrinfo(
	const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found);

/* two.example has the addresses ::1 and 127.0.0.1. */
int __wrap_getaddrinfo(
	const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found)
{
	if (strcmp(host, "two.example") != 0)
		return __real_getaddrinfo(host, port, hints, found);
	int rc = __real_getaddrinfo("::1", port, hints, found);
	return rc != 0 ? rc : __real_getaddrinfo("127.0.0.1", port, hints, &(*found)->ai_next);
}

static void expect_address(struct lookup *l, const char *expected)
{
	union address address;
	char text[ADDRESS_TEXT_MAX];
	assert_true(lookup_address(l, &address));
	address_port_text(&address, text);
	assert_string_equal(text, expected);
}

static void test_two_addresses(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct lookup *l = lookup_open(loop, "two.example:5013");
	union address first, second;
	(void)state;
	assert_int_equal(lookup_count(l), 0);
	ev_run(loop, 0);
	assert_int_equal(lookup_count(l), 2);
	assert_true(lookup_address(l, &first));
	expect_address(l, "[::1]:5013"); /* the same until it fails */
	lookup_failed(l, &first);
	assert_true(lookup_address(l, &second));
	expect_address(l, "127.0.0.1:5013");
	lookup_failed(l, &first); /* another connection that had begun with it */
	expect_address(l, "127.0.0.1:5013");
	lookup_failed(l, &second);
	expect_address(l, "[::1]:5013");
	lookup_free(l);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_done), cmocka_unit_test(test_abandoned_before),
		cmocka_unit_test(test_abandoned_after), cmocka_unit_test(test_abandoned_meanwhile),
		cmocka_unit_test(test_nobody), cmocka_unit_test(test_process_ends),
		cmocka_unit_test(test_lookup), cmocka_unit_test(test_two_addresses)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
