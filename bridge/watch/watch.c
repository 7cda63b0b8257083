// SPDX-License-Identifier: MIT
/* watch: tracker2mqtt-watch, what the bridge publishes as lines for people or as JSON: the loop, the signals, the end.
 * Uses: bridge/base. */
#include "bridge/watch/facts.h"
#include "bridge/watch/line.h"
#include "bridge/watch/link.h"

#include "bridge/base/backoff.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define STEP_MS 200
#define WAIT_FIRST 1. /* seconds between two tries to connect */
#define WAIT_MOST 30.
#define FIRST_MOST 65536 /* bytes of a record that is shown in full */

struct watch {
	struct watch_options options;
	struct line_style style;
	FILE *record;
	uint64_t counts[LINE_KIND_COUNT], shown;
	bool first_shown, hint_shown;
	int fault; /* of writing, an errno; 0: none */
	struct timespec start;
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static double elapsed(const struct watch *w)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)(t.tv_sec - w->start.tv_sec) + (double)(t.tv_nsec - w->start.tv_nsec) / 1e9;
}

/* What does not come from the broker goes to stderr, so that stdout is lines or JSON alone. */
static void on_said(void *ctx, const char *text)
{
	const struct watch *w = ctx;
	char at[FACT_TIME_MAX];
	int64_t now = now_ms();
	fact_time(now, now, at);
	fprintf(stderr, "%s  ", at);
	screen_text(&w->style.screen, span_text(text), stderr);
	putc('\n', stderr);
}

/* The keys of mosquitto_sub -F %J. */
static void show_json(const struct watch *w, const struct sight *s)
{
	char at[40], zone[8];
	time_t seconds = (time_t)(s->now_ms / 1000);
	struct tm day;
	if (localtime_r(&seconds, &day) == NULL)
		return;
	strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%S", &day);
	strftime(zone, sizeof(zone), "%z", &day);
	printf("{\"tst\":\"%s.%03d%s\",\"topic\":", at, (int)(s->now_ms % 1000), zone);
	screen_json(&w->style.screen, s->topic, stdout);
	printf(",\"retain\":%d,\"payloadlen\":%zu,\"payload\":", s->retained, s->payload.len);
	if (s->document != NULL)
		document_write(&w->style.screen, s->document->json, 0, stdout);
	else
		screen_json(&w->style.screen, s->payload, stdout);
	puts("}");
}

static void show_first(struct watch *w, const struct sight *s)
{
	const struct screen *screen = &w->style.screen;
	w->first_shown = true;
	printf("\n  This is what a program gets%s, on the topic ",
		s->document->msgpack ? " (in MessagePack, here as JSON)" : "");
	screen_text(screen, s->topic, stdout);
	fputs(":\n\n", stdout);
	document_write(screen, s->document->json, 4, stdout);
	fputs("\n\n", stdout);
}

/* Fit to be pasted into a shell, as names of units are? */
static bool is_plain(uint8_t c)
{
	return byte_is_alnum(c) || c == '-' || c == '_' || c == '.';
}

static void show_hint(struct watch *w, struct span name)
{
	const struct watch_options *o = &w->options;
	const struct screen *screen = &w->style.screen;
	w->hint_shown = true;
	printf("\n  Try a command, in another terminal:\n\n    mosquitto_pub -h %s -p %d", o->host, o->port);
	if (o->username != NULL)
		printf(" -u %s", o->username);
	if (o->password != NULL)
		fputs(" -P ...", stdout);
	if (o->cafile != NULL)
		printf(" --cafile %s", o->cafile);
	printf(" -t %s/", o->prefix);
	screen_text(screen, name, stdout);
	fputs("/cmd \\\n      -m '{\"command\":\"position.request\"}'\n\n", stdout);
}

static void note_position(const struct watch *w, const struct document *d)
{
	const char *ident = document_text(d, "ident");
	double timestamp;
	if (ident != NULL && span_all(span_text(ident), byte_is_alnum) &&
		document_number(d, "timestamp", &timestamp))
		fprintf(w->record, "%s %.0f\n", ident, timestamp);
}

static void show(struct watch *w, const struct sight *s)
{
	struct span name;
	enum line_kind kind = line_kind_of(w->style.prefix, s->topic, &name);
	w->counts[kind]++;
	if (w->options.json) {
		show_json(w, s);
		return;
	}
	line_write(&w->style, s, stdout);
	if (s->document == NULL)
		return;
	if (kind == LINE_POSITION && w->options.first && !w->first_shown && s->payload.len <= FIRST_MOST)
		show_first(w, s);
	const char *state = kind == LINE_STATUS ? document_text(s->document, "state") : NULL;
	bool online = state != NULL && strcmp(state, "online") == 0;
	if (online && w->options.hint && !w->hint_shown && span_all(name, is_plain))
		show_hint(w, name);
}

static void on_message(void *ctx, struct span topic, struct span payload, bool retained)
{
	struct watch *w = ctx;
	struct document document;
	if (w->fault != 0 || (retained && w->options.no_retained) ||
		(w->options.count > 0 && w->shown >= w->options.count))
		return;
	bool is_document = document_read(&document, payload);
	struct sight s = {topic, payload, retained, now_ms(), is_document ? &document : NULL};
	struct span name;
	show(w, &s);
	if (w->record != NULL && is_document && line_kind_of(w->style.prefix, topic, &name) == LINE_POSITION)
		note_position(w, &document);
	document_free(&document);
	w->shown++;
	if (fflush(stdout) != 0)
		w->fault = errno;
}

/* Has somebody asked us to stop? The signals wait until we look. */
static bool is_stopped(const sigset_t *stops)
{
	const struct timespec at_once = {0, 0};
	return sigtimedwait(stops, NULL, &at_once) > 0;
}

static bool is_over(const struct watch *w)
{
	const struct watch_options *o = &w->options;
	return w->fault != 0 || (o->count > 0 && w->shown >= o->count) ||
	       (o->seconds > 0 && elapsed(w) >= o->seconds);
}

/* Waits; true: it is time to stop. */
static bool wait_for(const struct watch *w, double seconds, const sigset_t *stops)
{
	double end = elapsed(w) + seconds;
	while (elapsed(w) < end) {
		const struct timespec some = {0, STEP_MS * 1000000L};
		if (sigtimedwait(stops, NULL, &some) > 0 || is_over(w))
			return true;
	}
	return false;
}

/* A signal that comes while a name is looked up, or a connection made, ends us at once: nothing is open then. */
static bool connect_now(struct link *link, const sigset_t *stops)
{
	sigprocmask(SIG_UNBLOCK, stops, NULL);
	bool ok = link_connect(link);
	sigprocmask(SIG_BLOCK, stops, NULL);
	return ok;
}

static int run(struct watch *w, struct link *link, const sigset_t *stops)
{
	struct backoff backoff;
	bool ever = false;
	backoff_reset(&backoff, WAIT_FIRST);
	for (;;) {
		bool ok = connect_now(link, stops);
		while (ok) {
			if (is_stopped(stops) || is_over(w))
				return 0;
			ok = link_step(link, STEP_MS);
			if (ok && link_is_up(link) && !ever) {
				ever = true;
			} else if (ok && link_is_up(link)) {
				backoff_reset(&backoff, WAIT_FIRST);
			}
		}
		if (!ever) {
			fprintf(stderr, "tracker2mqtt-watch: %s\n", link_why(link));
			return 2;
		}
		double pause = backoff_wait(&backoff, WAIT_MOST, WAIT_MOST);
		char text[LINK_WHY_MAX + 40];
		snprintf(text, sizeof(text), "%s; the next try in %.0f s", link_why(link), pause);
		on_said(w, text);
		if (wait_for(w, pause, stops))
			return 0;
	}
}

static void print_summary(const struct watch *w)
{
	fprintf(stderr,
		"received in %.0f s: %llu positions, %llu telemetry, %llu alarms, %llu messages in all\n",
		elapsed(w), (unsigned long long)w->counts[LINE_POSITION],
		(unsigned long long)w->counts[LINE_TELEMETRY], (unsigned long long)w->counts[LINE_ALARM],
		(unsigned long long)w->shown);
}

/* What main returns. */
static int watch_all(struct watch *w)
{
	char why[LINK_WHY_MAX];
	const struct link_events events = {w, on_message, on_said};
	sigset_t stops;
	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &stops, NULL);
	struct link *link = link_open(&w->options, &events, why);
	if (link == NULL) {
		fprintf(stderr, "tracker2mqtt-watch: %s\n", why);
		return 1;
	}
	int rc = run(w, link, &stops);
	link_free(link);
	if (rc == 0 && !w->options.json)
		print_summary(w);
	if (w->fault != 0 && w->fault != EPIPE) { /* a pipe that nobody reads any more is an end like others */
		fprintf(stderr, "tracker2mqtt-watch: writing: %s\n", strerror(w->fault));
		return 2;
	}
	bool late = w->options.seconds > 0 && elapsed(w) >= w->options.seconds;
	return rc == 0 && w->fault == 0 && late && w->shown < w->options.count ? 3 : rc;
}

int main(int argc, char **argv)
{
	struct watch w = {.first_shown = false};
	int rc = watch_options_read(&w.options, argc, argv);
	if (rc < 0) {
		clock_gettime(CLOCK_MONOTONIC, &w.start);
		srand48((long)w.start.tv_nsec);
		w.style = (struct line_style){screen_of(stdout), w.options.prefix, LINE_NAME_WIDTH};
		w.record = w.options.record != NULL ? fopen(w.options.record, "w") : NULL;
		if (w.options.record != NULL && w.record == NULL) {
			perror(w.options.record);
			rc = 1;
		}
	}
	if (rc < 0)
		rc = watch_all(&w);
	if (w.record != NULL && fclose(w.record) != 0)
		rc = rc > 0 ? rc : 2;
	watch_options_free(&w.options);
	return rc;
}
