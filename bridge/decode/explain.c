// SPDX-License-Identifier: MIT
/* explain: see explain.h. Marks become ranges when they are made, and get their values when the record is whole. */
#include "bridge/decode/explain.h"

#include "bridge/decode/show.h"
#include "codecs/record/mark.h"

#include <stdlib.h>

enum { RANGES_MAX = 4096, COPY_MAX = 4096, HEX_BYTES = 12, TEXT_BYTES = 33 };

/* Bytes that were read as one thing. */
struct range {
	bool message; /* of a message in several parts, not of the frame */
	size_t at, len;
	size_t number; /* in the order of reading */
	const char *name;
	enum telemetry_field field;
	unsigned cell;
	const struct telemetry_flags *bits;
	bool settled;
	uint32_t bits_true;
	char key[64], value[200];
};

struct explain {
	struct marker marker;
	struct span in, message;
	const uint8_t *copy; /* where the bytes without escapes stand */
	size_t copied;
	size_t origin[COPY_MAX]; /* of each of them, in `in` */
	size_t count, lost;
	struct range range[RANGES_MAX];
};

static struct explain *of(struct marker *marker)
{
	return (struct explain *)(void *)marker; /* its first member */
}

/* --- marks --- */

static bool stands_in(struct span bytes, struct span all, size_t *at)
{
	uintptr_t from = (uintptr_t)bytes.ptr, start = (uintptr_t)all.ptr;
	*at = from - start;
	return all.len > 0 && from >= start && from - start <= all.len && bytes.len <= all.len - (from - start);
}

/* Where the bytes stand in the frame or message; false: they stand in neither. */
static bool locate(const struct explain *e, struct span bytes, struct range *out)
{
	size_t at;
	out->message = false;
	if (stands_in(bytes, e->in, &out->at)) {
		out->len = bytes.len;
		return true;
	}
	if (e->copied > 0 && stands_in(bytes, span_of(e->copy, e->copied - 1), &at)) {
		out->at = e->origin[at];
		out->len = e->origin[at + bytes.len] - out->at;
		return true;
	}
	out->message = true;
	out->len = bytes.len;
	return stands_in(bytes, e->message, &out->at);
}

static void name_item(const struct telemetry_item *item, struct range *r)
{
	struct writer w = writer_of(r->key, sizeof(r->key) - 1);
	telemetry_item_key(item, &w);
	r->key[w.len] = '\0';
	r->name = "";
	w = writer_of(r->value, sizeof(r->value) - 1);
	struct reader in = reader_of(item->value);
	if (item->form == ITEM_TEXT)
		show_text(&w, item->value);
	else if (item->form == ITEM_NUMBER)
		show_number(&w, reader_uint(&in, item->value.len), 0);
	r->value[w.len] = '\0';
}

static void on_mark(struct marker *marker, const struct mark *m)
{
	struct explain *e = of(marker);
	struct range r = {.name = m->name, .field = m->field, .cell = m->cell, .bits = m->bits};
	if (!locate(e, m->bytes, &r))
		return;
	if (m->item != NULL) {
		name_item(m->item, &r);
	} else if (m->number != NULL) {
		struct writer w = writer_of(r.value, sizeof(r.value) - 1);
		show_number(&w, *m->number, 0);
		r.value[w.len] = '\0';
	}
	r.settled = r.name != NULL;
	size_t i = 0;
	for (; i < e->count; i++) { /* a list is read twice: to look whether it is right, and to record it */
		const struct range *old = &e->range[i];
		if (old->at == r.at && old->len == r.len && old->message == r.message && old->cell == r.cell &&
			old->name == r.name && old->field == r.field &&
			(m->item == NULL || strcmp(old->key, r.key) == 0)) /* a field gets its key later */
			break;
	}
	if (i == RANGES_MAX) {
		e->lost++;
		return;
	}
	r.number = i;
	e->range[i] = r;
	e->count += i == e->count;
}

static void on_copied(struct marker *marker, const uint8_t *to, const uint8_t *from)
{
	struct explain *e = of(marker);
	size_t at;
	if (!stands_in(span_of(from, 0), e->in, &at))
		return;
	if (e->copied == 0 || to != e->copy + e->copied) {
		e->copy = to;
		e->copied = 0;
	}
	if (e->copied < COPY_MAX)
		e->origin[e->copied++] = at;
}

static void on_message(struct marker *marker, struct span whole)
{
	of(marker)->message = whole;
}

/* --- values --- */

static void put_cell(const struct telemetry_cell *c, enum telemetry_field field, struct writer *w)
{
	if (field == TM_GSM_DBM && !c->has_dbm)
		return;
	int64_t number = c->dbm;
	if (field != TM_GSM_DBM)
		number = field == TM_GSM_LAC ? c->lac : c->cellid;
	show_number(w, number, 0);
	show_unit(w, &telemetry_params[field]);
}

static void settle(struct range *r, const struct telemetry *t)
{
	struct writer key = writer_of(r->key, sizeof(r->key) - 1),
		      w = writer_of(r->value, sizeof(r->value) - 1);
	writer_text(&key, telemetry_params[r->field].key);
	if (r->cell > 0) {
		writer_u8(&key, '.');
		writer_decimal(&key, r->cell, 1);
	}
	r->key[key.len] = '\0';
	if (r->cell > 0 && r->cell <= t->cell_count)
		put_cell(&t->cells[r->cell - 1], r->field, &w);
	else if (r->cell == 0)
		show_value(&w, t, r->field);
	if (w.len == 0)
		writer_text(&w, "-");
	r->value[w.len] = '\0';
	r->bits_true = 0;
	for (unsigned bit = 0; r->bits != NULL && bit < 32; bit++) {
		unsigned field = r->bits->field[bit];
		if (field != 0 && telemetry_number(t, (enum telemetry_field)(field - 1)) != 0)
			r->bits_true |= 1u << bit;
	}
	r->settled = true;
}

void explain_record(struct explain *e, const struct telemetry *t)
{
	for (size_t i = 0; i < e->count; i++)
		if (!e->range[i].settled)
			settle(&e->range[i], t);
}

static void on_settle(struct marker *marker, const struct telemetry *t)
{
	if (params_any(t->present) || params_any(t->rejected)) /* else nothing was read into it yet */
		explain_record(of(marker), t);
}

/* --- printing --- */

static void put_line(FILE *out, size_t at, struct span bytes, bool text, const char *name, const char *value)
{
	char where[48], shown[4 * TEXT_BYTES + 1];
	size_t step = text ? TEXT_BYTES : HEX_BYTES;
	if (bytes.len == 1)
		snprintf(where, sizeof(where), "%zu", at);
	else
		snprintf(where, sizeof(where), "%zu-%zu", at, at + bytes.len - 1);
	for (size_t i = 0; i < bytes.len; i += step) {
		struct span part = span_of(bytes.ptr + i, bytes.len - i < step ? bytes.len - i : step);
		struct writer w = writer_of(shown, sizeof(shown) - 1);
		if (text)
			show_text(&w, part);
		for (size_t k = 0; !text && k < part.len; k++) {
			if (k > 0)
				writer_u8(&w, ' ');
			writer_hex(&w, span_of(part.ptr + k, 1));
		}
		shown[w.len] = '\0';
		if (i > 0)
			fprintf(out, "  %-9s  %s\n", "", shown);
		else if (value[0] != '\0')
			fprintf(out, "  %-9s  %-35s  %-32s  %s\n", where, shown, name, value);
		else
			fprintf(out, "  %-9s  %-35s  %s\n", where, shown, name);
	}
}

static void put_bits(FILE *out, const struct range *r)
{
	for (unsigned bit = 32; bit-- > 0;) {
		if (!(r->bits_true >> bit & 1))
			continue;
		const struct param *p = &telemetry_params[r->bits->field[bit] - 1];
		char name[80];
		snprintf(name, sizeof(name), "bit %u: %s", bit, p->key);
		fprintf(out, "  %-9s  %-35s  %-32s  true: %s\n", "", "", name, p->help);
	}
}

/* A gap of nothing but what separates fields is not worth a line. */
static bool is_separator(const struct codec *codec, struct span gap)
{
	const char *marks = *codec->marks.frame ? codec->marks.field : NULL; /* else the frames are binary */
	for (size_t i = 0; i < gap.len; i++)
		if (marks == NULL || gap.ptr[i] == 0 || strchr(marks, gap.ptr[i]) == NULL)
			return false;
	return true;
}

static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.ptr[i] < ' ' && s.ptr[i] != '\r' && s.ptr[i] != '\n' && s.ptr[i] != '\t') ||
			s.ptr[i] > '~')
			return false;
	return true;
}

static int by_place(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	if (x->message != y->message)
		return x->message - y->message;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->len != y->len)
		return x->len > y->len ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* The ranges from `from` on that are of the same bytes. `base`: where they begin in `in` or the message. Returns how many they are. */
static size_t put_ranges(struct explain *e, FILE *out, const struct codec *codec, enum codec_status status,
	size_t from, struct span all, size_t base)
{
	bool text = is_text(all), message = from < e->count && e->range[from].message;
	size_t covered = 0, i = from;
	const struct range *before = NULL;
	for (; i <= e->count; i++) {
		const struct range *r = i < e->count && e->range[i].message == message ? &e->range[i] : NULL;
		if (r != NULL && (r->at < base || r->at - base > all.len || r->len > all.len - (r->at - base)))
			continue;
		size_t at = r != NULL ? r->at - base : all.len;
		struct span gap = span_part(all, covered, at > covered ? at - covered : 0);
		bool wrong = status != CODEC_OK && status != CODEC_FRAGMENT && status != CODEC_UNSUPPORTED &&
			     status != CODEC_NO_IDENT;
		if (gap.len > 0 && !is_separator(codec, gap))
			put_line(out, covered, gap, text, wrong ? "not understood" : "unknown", "");
		if (r == NULL)
			break;
		bool same = before != NULL && before->at == r->at && before->len == r->len;
		const char *name = r->name != NULL && r->name[0] != '\0' ? r->name : r->key;
		if (same && before->bits != NULL && strcmp(r->value, "false") == 0)
			continue;
		if (same)
			fprintf(out, "  %-9s  %-35s  %-32s  %s\n", "", "", name, r->value);
		else
			put_line(out, at, span_part(all, at, r->len), text, name, r->value);
		put_bits(out, r);
		before = same ? before : r;
		covered = at + r->len > covered ? at + r->len : covered;
	}
	return i;
}

void explain_frame(struct explain *e, FILE *out, const struct codec *codec, enum codec_status status,
	struct span frame, const struct telemetry *t)
{
	explain_record(e, t);
	qsort(e->range, e->count, sizeof(e->range[0]), by_place);
	size_t base = (size_t)(frame.ptr - e->in.ptr);
	size_t next = put_ranges(e, out, codec, status, 0, frame, base);
	if (next < e->count && e->range[next].message) {
		fprintf(out, "  the message of all parts, %zu bytes\n", e->message.len);
		put_ranges(e, out, codec, status, next, e->message, 0);
	}
	if (e->lost > 0)
		fprintf(out, "  %zu ranges more are not shown\n", e->lost);
	if (status != CODEC_OK)
		fprintf(out, "  %s: %s\n", codec_status_names[status], codec_status_meanings[status]);
	e->count = e->lost = e->copied = 0;
	e->message = span_of(NULL, 0);
}

/* --- */

struct explain *explain_open(void)
{
	struct explain *e = calloc(1, sizeof(*e));
	if (e != NULL)
		e->marker = (struct marker){on_mark, on_copied, on_message, on_settle};
	return e;
}

void explain_free(struct explain *e)
{
	free(e);
}

struct marker *explain_marker(struct explain *e)
{
	return &e->marker;
}

void explain_begin(struct explain *e, struct span in)
{
	e->in = in;
	e->message = span_of(NULL, 0);
	e->count = e->lost = e->copied = 0;
}
