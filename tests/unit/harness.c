// SPDX-License-Identifier: MIT
/* harness: see harness.h. */
#include "harness.h"

#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

static struct span from_hex(const char *hex)
{
	size_t n = strlen(hex) / 2;
	uint8_t *bytes = malloc(n + 1);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(byte_hex((uint8_t)hex[2 * i]) << 4 | byte_hex((uint8_t)hex[2 * i + 1]));
	return span_of(bytes, n);
}

/* The codec that is named by a part of the file's name, NULL when none is. */
static const struct codec *codec_of(const char *file)
{
	char name[128];
	snprintf(name, sizeof(name), "%s", strrchr(file, '/') + 1);
	const struct codec *codec = NULL;
	char *rest = NULL;
	for (char *part = strtok_r(name, "-.", &rest); part != NULL && codec == NULL;
		part = strtok_r(NULL, "-.", &rest))
		codec = codec_find(span_text(part));
	return codec;
}

static struct vector vector_of(cJSON *row, const char *file, const struct codec *codec)
{
	struct vector v = {.row = row, .file = strdup(file), .codec = codec};
	v.name = cJSON_GetObjectItemCaseSensitive(row, "name")->valuestring;
	const cJSON *ident = cJSON_GetObjectItemCaseSensitive(row, "ident");
	if (ident != NULL)
		v.ident = span_text(ident->valuestring);
	const cJSON *segments = cJSON_GetObjectItemCaseSensitive(row, "segments");
	const cJSON *hex = cJSON_GetObjectItemCaseSensitive(row, "hex");
	v.is_frame = segments == NULL;
	v.segments = segments != NULL ? (unsigned)cJSON_GetArraySize(segments) : 1;
	v.segment = calloc(v.segments, sizeof(*v.segment));
	for (unsigned i = 0; i < v.segments; i++)
		v.segment[i] = from_hex((segments ? cJSON_GetArrayItem(segments, (int)i) : hex)->valuestring);
	return v;
}

struct vectors vectors_load(const char *file)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", SOURCE_DIR, file);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		fail_msg("cannot open %s", path);
	const struct codec *codec = codec_of(file);
	if (codec == NULL)
		fail_msg("%s: no part of the file's name is a codec's; call it <codec>.jsonl or "
			 "<codec>-<theme>.jsonl",
			path);
	struct vectors v = {0};
	bool checked = false;
	char *line = NULL;
	size_t cap = 0;
	while (getline(&line, &cap, f) > 0) {
		cJSON *row = cJSON_Parse(line);
		if (row == NULL)
			fail_msg("%s: row %zu is not JSON", path, v.count + 1);
		v.item = realloc(v.item, (v.count + 1) * sizeof(*v.item));
		v.item[v.count++] = vector_of(row, file, codec);
		const cJSON *error = cJSON_GetObjectItemCaseSensitive(row, "error");
		checked |= error != NULL &&
			   strcmp(error->valuestring, codec_status_names[CODEC_BAD_CHECKSUM]) == 0;
	}
	for (size_t i = 0; i < v.count; i++)
		v.item[i].checked = checked;
	free(line);
	fclose(f);
	if (v.count == 0)
		fail_msg("%s is empty", path);
	return v;
}

void vectors_free(struct vectors *v)
{
	for (size_t i = 0; i < v->count; i++) {
		for (unsigned k = 0; k < v->item[i].segments; k++)
			free((void *)(uintptr_t)v->item[i].segment[k].ptr);
		free(v->item[i].segment);
		free(v->item[i].file);
		cJSON_Delete(v->item[i].row);
	}
	free(v->item);
}

/* What the codec of the stream reads. */
static struct codec_unit *use_options(const struct player *p, struct codec_unit *unit)
{
	if (p->stream.codec != NULL)
		unit->options = codec_settings_of(p->settings, p->stream.codec);
	return unit;
}

static struct codec_unit *on_identify(void *ctx, struct span ident)
{
	struct player *p = ctx;
	struct collected *got = &p->got;
	for (size_t i = 0; i < got->unit_count; i++)
		if (span_is(ident, got->units[i].ident))
			return use_options(p, &got->units[i]);
	assert_true(ident.len >= 1 && ident.len <= CODEC_IDENT_MAX);
	assert_true(span_all(ident, byte_is_alnum));
	assert_true(got->unit_count < 16);
	struct codec_unit *unit = &got->units[got->unit_count++];
	memcpy(unit->ident, ident.ptr, ident.len);
	return use_options(p, unit);
}

static bool on_record(void *ctx, struct telemetry *t)
{
	struct player *p = ctx;
	struct collected *got = &p->got;
	static uint8_t buf[65536];
	assert_true(got->records < 512);
	struct writer w = writer_of(buf, sizeof(buf) - 1);
	telemetry_emit(t, &p->keys[0], &w);
	assert_false(w.full);
	buf[w.len] = '\0';
	got->json[got->records] = strdup((char *)buf);
	w = writer_of(buf, sizeof(buf));
	telemetry_emit(t, &p->keys[1], &w);
	assert_false(w.full);
	got->packed[got->records].ptr = memcpy(malloc(w.len), buf, w.len);
	got->packed[got->records++].len = w.len;
	return true;
}

static enum codec_room on_batch(void *ctx, size_t records)
{
	(void)ctx;
	assert_true(records > 1);
	return CODEC_ROOM_YES;
}

static enum codec_status on_part(void *ctx, const struct codec_part *part, struct codec_parts *parts)
{
	struct player *p = ctx;
	static const uint8_t address[16];
	const struct assembly_from from = {p->stream.link.unit->ident, address, false};
	return assembly_add(p->assembly, &from, 32, part, p->stream.link.now_ms, parts);
}

static void on_reply(void *ctx, const struct command_reply *reply)
{
	struct collected *got = &((struct player *)ctx)->got;
	got->token = reply->token;
	got->receipt = reply->receipt;
	got->replies++;
}

/* Text as it is, binary as hex. */
static char *text_or_hex(struct span frame)
{
	if (frame.ptr[0] == '*')
		return strndup((const char *)frame.ptr, frame.len);
	char *hex = malloc(2 * frame.len + 1);
	struct writer w = writer_of(hex, 2 * frame.len);
	writer_hex(&w, frame);
	hex[w.len] = '\0';
	return hex;
}

static void on_send(void *ctx, struct span frame)
{
	struct collected *got = &((struct player *)ctx)->got;
	assert_true(got->sends < 512);
	got->sent[got->sends++] = text_or_hex(frame);
}

static unsigned players; /* at a time */

struct player *player_new(struct span ident)
{
	struct player *p = calloc(1, sizeof(*p));
	p->stream.link.now_ms = TEST_NOW_MS;
	p->sink = (struct codec_sink){
		p, on_identify, on_record, on_batch, on_reply, on_part, on_send, gbk_to_utf8};
	p->assembly = assembly_open(ASSEMBLY_BYTES);
	telemetry_keys_make(&p->keys[0], &emit_json, CUSTOM_ALL);
	telemetry_keys_make(&p->keys[1], &emit_msgpack, CUSTOM_ALL);
	p->settings = codec_settings_open();
	assert_non_null(p->settings);
	if (players++ == 0)
		gbk_open();
	if (ident.len > 0)
		p->stream.link.unit = on_identify(p, ident);
	return p;
}

void player_set(struct player *p, const char *codec, const char *key, const char *value)
{
	char why[300];
	const struct codec *c = codec_find(span_text(codec));
	const struct option_row *row = c->options;
	while (row->key != NULL && strcmp(row->key, key) != 0)
		row++;
	assert_non_null(row->key);
	if (!option_set(row, key, value, codec_settings_of(p->settings, c), why, sizeof(why)))
		fail_msg("%s", why);
}

/* Each frame lies in the bytes, and behind the one before. */
static void on_frame(void *ctx, enum codec_status status, struct span frame)
{
	struct player *p = ctx;
	assert_true(frame.ptr >= p->last && frame.ptr + frame.len > p->last);
	assert_true(frame.ptr + frame.len <= p->buf + p->len);
	p->last = frame.ptr + frame.len;
	assembly_settle(p->assembly, status);
	p->got.by_status[status]++;
	p->got.errors += status != CODEC_OK && status != CODEC_FRAGMENT;
}

void player_feed(struct player *p, struct span bytes, int32_t quiet_ms)
{
	assert_true(p->len + bytes.len <= sizeof(p->buf));
	if (bytes.len > 0)
		memcpy(p->buf + p->len, bytes.ptr, bytes.len);
	p->len += bytes.len;
	p->stream.link.quiet_ms = quiet_ms;
	p->last = p->buf;
	enum codec_status end;
	codec_settings_use(p->settings, &p->stream, span_of(p->buf, p->len));
	size_t at = codec_each(&p->stream, span_of(p->buf, p->len), &p->scratch, &p->sink, on_frame, &end);
	assert_true(at <= p->len);
	p->got.by_status[end]++;
	memmove(p->buf, p->buf + at, p->len - at);
	p->len -= at;
	if (p->len > p->most_kept)
		p->most_kept = p->len;
	if (p->stream.codec != NULL)
		assert_true(p->len <= p->stream.codec->max_frame);
}

void player_free(struct player *p)
{
	for (size_t i = 0; i < p->got.records; i++) {
		free(p->got.json[i]);
		free(p->got.packed[i].ptr);
	}
	for (size_t i = 0; i < p->got.sends; i++)
		free(p->got.sent[i]);
	assembly_tidy(p->assembly, INT64_MAX);
	assert_int_equal(assembly_bytes(p->assembly), 0);
	assembly_free(p->assembly);
	codec_settings_free(p->settings);
	if (--players == 0)
		gbk_close();
	free(p);
}

/* Vectors of other projects round in their own way. All keys that are not here: exactly. */
static double tolerance(const char *key)
{
	static const struct {
		const char *key;
		double within;
	} rounded[] = {
		{"position.latitude", 1e-6},
		{"position.longitude", 1e-6},
		{"position.speed", 1e-3 + 1e-9},
		{"vehicle.mileage", 1e-3 + 1e-9},
		{"battery.voltage", 1e-2 + 1e-9},
		{"external.powersource.voltage", 1e-2 + 1e-9},
	};
	for (size_t i = 0; i < sizeof(rounded) / sizeof(rounded[0]); i++)
		if (strcmp(key, rounded[i].key) == 0)
			return rounded[i].within;
	return 0;
}

static bool same_value(const cJSON *a, const cJSON *b, double within)
{
	if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
		return fabs(a->valuedouble - b->valuedouble) <= within;
	return cJSON_Compare(a, b, true);
}

/* The item of this key, NULL when there is none. `last` is the one found before: as a rule the next one follows it. */
static const cJSON *find(const cJSON *object, const cJSON *last, const char *key)
{
	if (last != NULL && last->next != NULL && strcmp(last->next->string, key) == 0)
		return last->next;
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static void expect_record(const char *json, const cJSON *want, const char *what)
{
	cJSON *got = cJSON_Parse(json);
	if (got == NULL)
		fail_msg("%s: not JSON: %s", what, json);
	if (strstr(json, "\\u0000") != NULL)
		fail_msg("%s: a text holds a NUL, which a comparison here would not see: %s", what, json);
	const cJSON *w = NULL, *g = NULL;
	cJSON_ArrayForEach(w, want)
	{
		g = find(got, g, w->string);
		if (g == NULL || !same_value(w, g, tolerance(w->string)))
			fail_msg("%s: %s: want %s, got %s\n%s", what, w->string, cJSON_PrintUnformatted(w),
				g ? cJSON_PrintUnformatted(g) : "nothing", json);
	}
	cJSON_ArrayForEach(g, got)
	{
		w = find(want, w, g->string);
		if (w == NULL)
			fail_msg("%s: %s was not expected: %s", what, g->string, json);
	}
	if (cJSON_GetArraySize(got) != cJSON_GetArraySize(want))
		fail_msg("%s: a key is there twice: %s", what, json);
	cJSON_Delete(got);
}

void expect_records(const struct player *p, const cJSON *records, const char *what)
{
	size_t want = (size_t)cJSON_GetArraySize(records);
	if (p->got.records != want)
		fail_msg("%s: want %zu records, got %zu (%s)", what, want, p->got.records,
			p->got.records > 0 ? p->got.json[0] : "");
	for (size_t i = 0; i < want; i++)
		expect_record(p->got.json[i], cJSON_GetArrayItem(records, (int)i), what);
}

static unsigned times_named(const cJSON *row, const char *status)
{
	const cJSON *one = cJSON_GetObjectItemCaseSensitive(row, "error"), *error;
	unsigned n = one != NULL && strcmp(one->valuestring, status) == 0;
	cJSON_ArrayForEach(error, cJSON_GetObjectItemCaseSensitive(row, "errors")) n +=
		strcmp(error->valuestring, status) == 0;
	return n;
}

void expect_errors(const struct player *p, const struct vector *v, const char *what)
{
	for (unsigned s = 0; s < CODEC_STATUS_COUNT; s++) {
		if (s == CODEC_OK || s == CODEC_MORE)
			continue;
		unsigned want = times_named(v->row, codec_status_names[s]);
		if (p->got.by_status[s] != want)
			fail_msg("%s: %s: want %u, got %u", what, codec_status_names[s], want,
				p->got.by_status[s]);
	}
}

void expect_answers(const struct player *p, const struct vector *v, const char *what)
{
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(v->row, "answers");
	if (want == NULL)
		return;
	cJSON *got = cJSON_CreateArray();
	for (size_t i = 0; i < p->got.sends; i++)
		cJSON_AddItemToArray(got, cJSON_CreateString(p->got.sent[i]));
	if (!cJSON_Compare(want, got, true))
		fail_msg("%s: answers: want %s, got %s", what, cJSON_PrintUnformatted(want),
			cJSON_PrintUnformatted(got));
	cJSON_Delete(got);
}

static cJSON *from_object(const msgpack_object *o)
{
	switch (o->type) {
	case MSGPACK_OBJECT_BOOLEAN:
		return cJSON_CreateBool(o->via.boolean);
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		return cJSON_CreateNumber((double)o->via.u64);
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		return cJSON_CreateNumber((double)o->via.i64);
	case MSGPACK_OBJECT_FLOAT64:
		return cJSON_CreateNumber(o->via.f64);
	case MSGPACK_OBJECT_STR: {
		char *s = strndup(o->via.str.ptr, o->via.str.size);
		cJSON *item = cJSON_CreateString(s);
		free(s);
		return item;
	}
	case MSGPACK_OBJECT_ARRAY: {
		cJSON *a = cJSON_CreateArray();
		for (uint32_t i = 0; i < o->via.array.size; i++)
			cJSON_AddItemToArray(a, from_object(&o->via.array.ptr[i]));
		return a;
	}
	case MSGPACK_OBJECT_MAP: {
		cJSON *m = cJSON_CreateObject();
		for (uint32_t i = 0; i < o->via.map.size; i++) {
			const msgpack_object_kv *kv = &o->via.map.ptr[i];
			char *key = strndup(kv->key.via.str.ptr, kv->key.via.str.size);
			cJSON_AddItemToObject(m, key, from_object(&kv->val));
			free(key);
		}
		return m;
	}
	default:
		fail_msg("unexpected MessagePack type %d", (int)o->type);
		return NULL;
	}
}

/* The same pairs in the same order. */
static bool same_document(const cJSON *a, const cJSON *b)
{
	const cJSON *x = a->child, *y = b->child;
	while (x != NULL && y != NULL && strcmp(x->string, y->string) == 0 && cJSON_Compare(x, y, true)) {
		x = x->next;
		y = y->next;
	}
	return x == NULL && y == NULL;
}

void expect_same_formats(const struct player *p, const char *what)
{
	for (size_t i = 0; i < p->got.records; i++) {
		msgpack_unpacked u;
		msgpack_unpacked_init(&u);
		size_t off = 0;
		msgpack_unpack_return rc =
			msgpack_unpack_next(&u, (char *)p->got.packed[i].ptr, p->got.packed[i].len, &off);
		if (rc != MSGPACK_UNPACK_SUCCESS || off != p->got.packed[i].len)
			fail_msg("%s: MessagePack is cut or has a rest (%zu of %zu bytes)", what, off,
				p->got.packed[i].len);
		cJSON *a = from_object(&u.data), *b = cJSON_Parse(p->got.json[i]);
		if (!same_document(a, b))
			fail_msg("%s: formats differ: %s and %s", what, cJSON_PrintUnformatted(a),
				p->got.json[i]);
		cJSON_Delete(a);
		cJSON_Delete(b);
		msgpack_unpacked_destroy(&u);
	}
}
