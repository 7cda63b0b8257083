// SPDX-License-Identifier: MIT
/* line_record: the facts of a record.
 * Uses: nothing else. */
#include "bridge/watch/line_private.h"

#include <math.h>

#define OLD_MS 60000 /* a record that is older says of when it is */

enum where { IN_POSITION = 1, IN_TELEMETRY = 2, IN_BOTH = 3 };

/* Numbers, in this order. %DEG: the sign for degrees that the screen has. */
static const struct {
	const char *key, *format;
	enum where where;
} numbers[] = {
	{"position.speed", "%3.0f km/h", IN_POSITION},
	{"position.direction", "%3.0f", IN_POSITION}, /* of degrees: see angle */
	{"battery.level", "battery %.0f%%", IN_BOTH},
	{"battery.voltage", "battery %.2f V", IN_TELEMETRY},
	{"external.powersource.voltage", "supply %.1f V", IN_TELEMETRY},
	{"gsm.signal.level", "signal %.0f%%", IN_TELEMETRY},
	{"gsm.signal.dbm", "signal %.0f dBm", IN_TELEMETRY},
	{"vehicle.mileage", "%.1f km", IN_TELEMETRY},
	{"steps.count", "%.0f steps", IN_TELEMETRY},
};

/* Booleans; NULL: not worth a word. */
static const struct {
	const char *key, *when_true, *when_false;
	enum paint paint; /* when true */
} truths[] = {
	{"engine.ignition.status", "ignition on", "ignition off", PAINT_NONE},
	{"engine.blocked.status", "engine blocked", NULL, PAINT_WARN},
	{"door.open.status", "door open", NULL, PAINT_NONE},
	{"defense.active.status", "armed", NULL, PAINT_NONE},
	{"message.buffered.status", "stored", NULL, PAINT_DIM},
};

static void write_number(struct pen *pen, size_t i, double v)
{
	char text[64];
	bool angle = strcmp(numbers[i].key, "position.direction") == 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), numbers[i].format, v);
#pragma GCC diagnostic pop
	fact_of(pen, PAINT_NONE, "%s%s", text, !angle ? "" : pen->screen->utf8 ? "\u00b0" : " deg");
}

static void write_place(struct pen *pen, const struct document *d)
{
	double latitude, longitude;
	if (document_number(d, "position.latitude", &latitude) &&
		document_number(d, "position.longitude", &longitude))
		fact_of(pen, PAINT_BOLD, "%.5f %.5f", latitude, longitude);
}

static void write_numbers(struct pen *pen, const struct document *d, enum where where, size_t from, size_t to)
{
	double v;
	for (size_t i = from; i < to; i++)
		if ((numbers[i].where & where) && document_number(d, numbers[i].key, &v) && fabs(v) < 1e12)
			write_number(pen, i, v);
}

static void write_truths(struct pen *pen, const struct document *d)
{
	for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++) {
		int truth = document_truth(d, truths[i].key);
		const char *words = truth == 1 ? truths[i].when_true : truth == 0 ? truths[i].when_false : NULL;
		if (words != NULL)
			fact_text(pen, truth == 1 ? truths[i].paint : PAINT_NONE, words);
	}
}

static void write_age(struct pen *pen, const struct sight *sight)
{
	double seconds;
	char text[FACT_TIME_MAX];
	if (!document_number(sight->document, "timestamp", &seconds) || !(fabs(seconds) < 1e11))
		return;
	int64_t ms = (int64_t)(seconds * 1000);
	if (sight->now_ms - ms < OLD_MS && ms - sight->now_ms < OLD_MS)
		return;
	fact_time(ms, sight->now_ms, text);
	fact_of(pen, PAINT_DIM, "of %s", text);
}

/* The texts of an array, with commas between them. */
static void write_names(struct pen *pen, const cJSON *array, const char *before, enum paint paint, bool alarms)
{
	char text[400];
	struct writer w = writer_of(text, sizeof(text));
	const cJSON *item;
	cJSON_ArrayForEach(item, array)
	{
		struct span name = span_text(cJSON_IsString(item) ? item->valuestring : "?");
		const char *dot = strrchr((const char *)name.ptr, '.');
		if (alarms && strncmp((const char *)name.ptr, "custom.", 7) == 0)
			name = span_after(name, 7);
		if (alarms && dot != NULL && (strcmp(dot, ".alarm") == 0 || strcmp(dot, ".event") == 0) &&
			(const uint8_t *)dot > name.ptr)
			name.len = (size_t)((const uint8_t *)dot - name.ptr);
		if (w.len > 0)
			writer_bytes(&w, ", ", 2);
		for (size_t i = 0; i < name.len; i++)
			writer_u8(&w, alarms && name.ptr[i] == '.' ? ' ' : name.ptr[i]);
	}
	if (w.len > 0)
		fact_of(pen, paint, "%s%.*s%s", before, (int)w.len, text, w.full ? "..." : "");
}

void line_record(struct pen *pen, enum line_kind kind, const struct sight *sight)
{
	const struct document *d = sight->document;
	const size_t count = sizeof(numbers) / sizeof(numbers[0]),
		     motion = 2; /* speed and course stand behind the place */
	enum where where = kind == LINE_POSITION ? IN_POSITION : IN_TELEMETRY;
	const char *type = document_text(d, "message.type");
	if (kind == LINE_TELEMETRY && type != NULL)
		fact_text(pen, PAINT_NONE, type);
	write_place(pen, d);
	write_numbers(pen, d, where, 0, motion);
	write_truths(pen, d);
	if (document_truth(d, "position.valid") == 0)
		fact_text(pen, PAINT_WARN, "no fix");
	write_numbers(pen, d, where, motion, count);
	write_names(pen, cJSON_GetObjectItemCaseSensitive(d->root, "rejected"), "rejected ", PAINT_WARN, false);
	write_age(pen, sight);
}

void line_alarms(struct pen *pen, const struct sight *sight)
{
	write_names(
		pen, cJSON_GetObjectItemCaseSensitive(sight->document->root, "alarms"), "", PAINT_BAD, true);
	write_age(pen, sight);
}
