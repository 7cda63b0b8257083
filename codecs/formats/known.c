// SPDX-License-Identifier: MIT
/* known: see known.h. A group:
 *
 *	date       8 bytes
 *	present    a byte, whose bits say which words of the set follow, then these words, 8 bytes each
 *	truth      the same; only of booleans
 *	values     of the others, in the order of the table: a number in groups of 7 bits, or a text with its length in 2 bytes
 *	cells      their count in a byte, then 11 bytes each
 *	items      their count in a byte, then each one: id 4, digits 1, repeat 1, form 1, prefix with its length in a byte and a
 *	           zero at its end, value with its length in 2 bytes */
#include "codecs/formats/known.h"

#define RECORD_KEYS(X)                                                                                         \
	X(0, TM_MESSAGE_TYPE)                                                                                  \
	X(1, TM_CHANNEL_ID)                                                                                    \
	X(2, TM_PEER)                                                                                          \
	X(3, TM_TIMESTAMP)                                                                                     \
	X(4, TM_TIMESTAMP_VALID)                                                                               \
	X(5, TM_SERVER_TIMESTAMP)                                                                              \
	X(6, TM_SERVER_SEQNUM)                                                                                 \
	X(7, TM_BUFFERED)
#define PLACE_KEYS(X)                                                                                          \
	X(0, TM_LATITUDE)                                                                                      \
	X(1, TM_LONGITUDE)                                                                                     \
	X(2, TM_ALTITUDE)                                                                                      \
	X(3, TM_SPEED)                                                                                         \
	X(4, TM_DIRECTION)
#define LEFT_OUT(X)                                                                                            \
	X(0, TM_DEVICE_ID)                                                                                     \
	X(1, TM_DEVICE_NAME)                                                                                   \
	X(2, TM_DEVICE_TYPE_ID)                                                                                \
	X(3, TM_STATUS)                                                                                        \
	X(4, TM_STATUS_SINCE)                                                                                  \
	X(5, TM_POSITION_TIMESTAMP)

#define POSITION_TIMESTAMP(X) X(0, TM_POSITION_TIMESTAMP)

static const struct telemetry_flags position_timestamp = TM_FLAGS(POSITION_TIMESTAMP);
static const struct telemetry_flags record_keys = TM_FLAGS(RECORD_KEYS);
static const struct telemetry_flags place_keys = TM_FLAGS(PLACE_KEYS);
static const struct telemetry_flags left_out = TM_FLAGS(LEFT_OUT);

struct group {
	int64_t date_ms;
	uint64_t present[TM_WORDS_MAX], truth[TM_WORDS_MAX];
};

/* --- numbers --- */

/* The sign goes into the lowest bit, so that small negative numbers are short, too. */
static void put_number(struct writer *w, int64_t number)
{
	uint64_t v = ((uint64_t)number << 1) ^ (number < 0 ? UINT64_MAX : 0);
	for (; v >= 0x80; v >>= 7)
		writer_u8(w, (uint8_t)(v | 0x80));
	writer_u8(w, (uint8_t)v);
}

static int64_t take_number(struct reader *r)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t byte;
	do {
		byte = reader_u8(r);
		v |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
		shift += 7;
	} while ((byte & 0x80) && !r->bad);
	return (int64_t)((v >> 1) ^ (v & 1 ? UINT64_MAX : 0));
}

static void put_set(struct writer *w, const uint64_t *set)
{
	uint8_t which = 0;
	for (unsigned i = 0; i < TM_WORDS; i++)
		which |= (uint8_t)((set[i] != 0) << i);
	writer_u8(w, which);
	for (unsigned i = 0; i < TM_WORDS; i++)
		if (set[i] != 0)
			writer_u64(w, set[i]);
}

static void take_set(struct reader *r, uint64_t *set)
{
	uint8_t which = reader_u8(r);
	for (unsigned i = 0; i < TM_WORDS_MAX; i++)
		set[i] = which >> i & 1 ? reader_u64(r) : 0;
}

/* --- sets --- */

static void take_away(uint64_t *set, const uint64_t *what)
{
	for (unsigned i = 0; i < TM_WORDS; i++)
		set[i] &= ~what[i];
}

/* --- a group of the bytes --- */

static void take_head(struct reader *r, struct group *g)
{
	g->date_ms = (int64_t)reader_u64(r);
	take_set(r, g->present);
	take_set(r, g->truth);
}

static void put_head(struct writer *w, const struct group *g)
{
	writer_u64(w, (uint64_t)g->date_ms);
	put_set(w, g->present);
	put_set(w, g->truth);
}

static struct telemetry_cell take_cell(struct reader *r)
{
	struct telemetry_cell c = {.lac = reader_u32(r), .cellid = reader_u32(r)};
	c.dbm = (int16_t)reader_u16(r);
	c.has_dbm = reader_u8(r) != 0;
	return c;
}

static void put_cell(struct writer *w, const struct telemetry_cell *c)
{
	writer_u32(w, c->lac);
	writer_u32(w, c->cellid);
	writer_u16(w, (uint16_t)c->dbm);
	writer_u8(w, c->has_dbm);
}

/* Its prefix and value point into the bytes. */
static struct telemetry_item take_item(struct reader *r)
{
	struct telemetry_item i = {.id = reader_u32(r)};
	i.digits = reader_u8(r);
	i.repeat = reader_u8(r);
	uint8_t form = reader_u8(r);
	struct span prefix = reader_take(r, reader_u8(r));
	i.value = reader_counted(r);
	r->bad |= prefix.len == 0 || prefix.ptr[prefix.len - 1] != '\0' || form > ITEM_NUMBER || i.digits > 8 ||
		  (form == ITEM_NUMBER && i.value.len > 4) || (form == ITEM_HEX && i.value.len > 1024);
	i.form = (enum item_form)form;
	i.prefix = r->bad ? "" : (const char *)prefix.ptr;
	return i;
}

static void put_item(struct writer *w, const struct telemetry_item *i)
{
	size_t prefix = strlen(i->prefix) + 1;
	writer_u32(w, i->id);
	writer_u8(w, i->digits);
	writer_u8(w, i->repeat);
	writer_u8(w, (uint8_t)i->form);
	writer_u8(w, (uint8_t)prefix);
	writer_bytes(w, i->prefix, prefix);
	writer_counted(w, i->value);
}

static bool is_same_item(const struct telemetry_item *a, const struct telemetry_item *b)
{
	return a->id == b->id && a->repeat == b->repeat && a->digits == b->digits &&
	       strcmp(a->prefix, b->prefix) == 0;
}

static void take_value(uint16_t field, bool text, struct span s, int64_t number, struct telemetry *t)
{
	if (field != KNOWN_NOWHERE && text)
		telemetry_set_text(t, (enum telemetry_field)field, s);
	else if (field != KNOWN_NOWHERE)
		telemetry_set(t, (enum telemetry_field)field, number);
}

/* Reads the values of a group into the record, which has none of them yet. */
static void take_values(
	struct reader *r, const struct group *g, const struct known_table *table, struct telemetry *t)
{
	for (unsigned word = 0; word < TM_WORDS_MAX; word++)
		for (uint64_t left = g->present[word]; left != 0 && !r->bad; left &= left - 1) {
			unsigned from = word * 64 + (unsigned)__builtin_ctzll(left);
			bool text = table->type[from] == PARAM_TEXT,
			     boolean = params_have(table->booleans, from);
			struct span s = text ? reader_counted(r) : span_of(NULL, 0);
			int64_t number = boolean ? params_have(g->truth, from) : text ? 0 : take_number(r);
			take_value(table->field[from], text, s, number, t);
			r->bad |= from >= table->count;
		}
}

static void take_group(struct reader *r, struct group *g, const struct known_table *table, struct telemetry *t)
{
	take_head(r, g);
	take_values(r, g, table, t);
	for (unsigned n = reader_u8(r); n > 0 && !r->bad; n--)
		telemetry_add_cell(t, take_cell(r));
	for (unsigned n = reader_u8(r); n > 0 && !r->bad; n--) {
		struct telemetry_item i = take_item(r);
		if (t->item_count < TM_ITEMS_MAX && !r->bad)
			t->items[t->item_count++] = i; /* it has its number of repeats already */
	}
}

/* --- merging --- */

struct merge {
	const struct telemetry *t;
	struct group own; /* of the record: what no newer one has */
	int64_t fix_ms;   /* position.timestamp */
	bool cells;
	uint64_t items; /* those of its first KNOWN_ITEMS_MOST that no newer one has */
	const struct known_table *table;
};

static uint64_t first_items(const struct telemetry *t)
{
	return t->item_count < KNOWN_ITEMS_MOST ? (UINT64_C(1) << t->item_count) - 1 : UINT64_MAX;
}

static struct merge merge_of(const struct telemetry *t, int64_t date_ms, const struct known_table *table)
{
	struct merge m = {.t = t,
		.table = table,
		.own.date_ms = date_ms,
		.fix_ms = telemetry_number(t, TM_TIMESTAMP),
		.cells = t->cell_count > 0,
		.items = first_items(t)};
	memcpy(m.own.present, t->present, sizeof(t->present));
	take_away(m.own.present, left_out.all);
	if (telemetry_has(t, TM_LATITUDE) && telemetry_number(t, TM_POSITION_VALID) != 0)
		params_add(m.own.present, TM_POSITION_TIMESTAMP);
	else
		take_away(m.own.present, place_keys.all);
	return m;
}

static void own_done(struct merge *m)
{
	for (unsigned i = 0; i < TM_WORDS; i++)
		m->own.truth[i] = m->t->truth[i] & m->own.present[i];
}

static void put_own_values(const struct merge *m, struct writer *w)
{
	for (unsigned word = 0; word < TM_WORDS; word++)
		for (uint64_t left = m->own.present[word] & ~m->table->booleans[word]; left != 0;
			left &= left - 1) {
			unsigned field = word * 64 + (unsigned)__builtin_ctzll(left);
			if (m->table->type[field] == PARAM_TEXT)
				writer_counted(w, m->t->value[field].text);
			else
				put_number(w,
					field == TM_POSITION_TIMESTAMP ? m->fix_ms : m->t->value[field].number);
		}
}

static unsigned count_items(uint64_t items)
{
	unsigned n = 0;
	for (; items != 0; items &= items - 1)
		n++;
	return n;
}

/* The group of the record. `small`: without what has no row in the table. */
static void put_own(const struct merge *m, bool small, struct writer *w)
{
	unsigned cells = m->cells && !small ? m->t->cell_count : 0;
	uint64_t items = small ? 0 : m->items;
	put_head(w, &m->own);
	put_own_values(m, w);
	writer_u8(w, (uint8_t)cells);
	for (unsigned i = 0; i < cells; i++)
		put_cell(w, &m->t->cells[i]);
	writer_u8(w, (uint8_t)count_items(items));
	for (; items != 0; items &= items - 1)
		put_item(w, &m->t->items[__builtin_ctzll(items)]);
}

/* Copies the values of the fields in `keep`, and skips the others. */
static void copy_values(const struct merge *m, struct reader *r, const struct group *has_them,
	const struct group *keep, struct writer *w)
{
	for (unsigned word = 0; word < TM_WORDS; word++)
		for (uint64_t left = has_them->present[word] & ~m->table->booleans[word]; left != 0;
			left &= left - 1) {
			unsigned field = word * 64 + (unsigned)__builtin_ctzll(left);
			size_t at = r->pos;
			if (m->table->type[field] == PARAM_TEXT)
				reader_counted(r);
			else
				take_number(r);
			if (params_have(keep->present, field) && !r->bad)
				writer_bytes(w, r->in.ptr + at, r->pos - at);
		}
}

/* The items of an older group that the record does not have. */
static unsigned copy_items(const struct merge *m, struct reader *r, unsigned room, struct writer *w)
{
	size_t at = w->len;
	unsigned kept = 0;
	writer_u8(w, 0);
	for (unsigned n = reader_u8(r); n > 0 && !r->bad; n--) {
		struct telemetry_item i = take_item(r);
		bool keep = kept < room;
		for (uint64_t left = m->items; keep && left != 0; left &= left - 1)
			keep = !is_same_item(&i, &m->t->items[__builtin_ctzll(left)]);
		if (keep)
			put_item(w, &i);
		kept += keep;
	}
	if (!w->full)
		w->ptr[at] = (uint8_t)kept;
	return kept;
}

/* A group that is older than the record: what is left of it. Nothing: it is left out. */
static void copy_older(struct merge *m, struct reader *r, struct group *g, unsigned *room, struct writer *w)
{
	struct group keep = *g;
	size_t before = w->len;
	take_away(keep.present, m->own.present);
	for (unsigned i = 0; i < TM_WORDS; i++)
		keep.truth[i] &= keep.present[i];
	put_head(w, &keep);
	copy_values(m, r, g, &keep, w);
	unsigned cells = reader_u8(r), kept = m->cells ? 0 : cells;
	struct span all = reader_take(r, (size_t)cells * 11);
	writer_u8(w, (uint8_t)kept);
	if (kept > 0)
		writer_span_put(w, all);
	unsigned items = copy_items(m, r, *room, w);
	*room -= items;
	if (!params_any(keep.present) && kept == 0 && items == 0)
		w->len = before;
}

/* A group that is newer than the record: it stays, and what it has is not the record's to say. */
static void keep_newer(struct merge *m, struct reader *r, const struct group *g, size_t start, struct writer *w)
{
	struct group nothing = {0};
	take_away(m->own.present, g->present);
	copy_values(m, r, g, &nothing, w);
	unsigned cells = reader_u8(r);
	reader_take(r, (size_t)cells * 11);
	m->cells &= cells == 0;
	for (unsigned n = reader_u8(r); n > 0 && !r->bad; n--) {
		struct telemetry_item i = take_item(r);
		for (uint64_t left = m->items; left != 0; left &= left - 1)
			if (is_same_item(&i, &m->t->items[__builtin_ctzll(left)]))
				m->items &= ~(left & (~left + 1));
	}
	writer_bytes(w, r->in.ptr + start, r->pos - start);
}

/* Writes what is known with the record. `ends`: where each group ends, so that the oldest ones can be cut off. */
static size_t write_merged(struct merge *m, struct span before, bool small, struct writer *w)
{
	struct reader r = reader_of(before);
	struct group g;
	size_t fits = 0, at = 0;
	bool newest = true;
	if (reader_left(&r) > 0)
		take_head(&r, &g);
	for (; before.len > at && !r.bad && g.date_ms > m->own.date_ms; newest = false) {
		keep_newer(m, &r, &g, at, w);
		fits = w->len <= KNOWN_BYTES_MOST ? w->len : fits;
		at = r.pos;
		if (reader_left(&r) > 0)
			take_head(&r, &g);
	}
	if (!newest)
		take_away(m->own.present, record_keys.all);
	own_done(m);
	put_own(m, small, w);
	size_t with_own = w->len;
	fits = w->len <= KNOWN_BYTES_MOST ? w->len : fits;
	unsigned room = KNOWN_ITEMS_MOST - count_items(m->items);
	if (newest) /* those of the newest record before */
		for (unsigned i = 0; i < TM_WORDS; i++)
			m->own.present[i] |= record_keys.all[i];
	while (before.len > at && !r.bad) {
		copy_older(m, &r, &g, &room, w);
		fits = w->len <= KNOWN_BYTES_MOST ? w->len : fits;
		at = r.pos;
		if (reader_left(&r) > 0)
			take_head(&r, &g);
	}
	return r.bad || w->full || fits < with_own ? 0 : fits;
}

struct span known_merge(struct span known, const struct known_table *own, const struct telemetry *t,
	int64_t date_ms, struct writer *out)
{
	size_t len = 0;
	for (int small = 0; small <= 1 && len == 0; small++) {
		struct merge m = merge_of(t, date_ms, own);
		out->len = 0;
		out->full = false;
		len = write_merged(&m, known, small, out);
	}
	out->len = len; /* 0: the record alone is too large */
	return writer_span(out);
}

/* A group that is known elsewhere counts as a record with its date; its place has the time that stands with it. */
static struct merge merge_of_group(
	const struct telemetry *t, const struct group *g, const struct known_table *table)
{
	struct merge m = merge_of(t, g->date_ms, table);
	memcpy(m.own.present, t->present, sizeof(t->present));
	m.fix_ms = telemetry_number(t, TM_POSITION_TIMESTAMP);
	return m;
}

struct span known_join(struct span known, const struct known_table *own, struct span more, size_t *at,
	struct telemetry *work, struct writer *out)
{
	size_t len = 0;
	struct reader r = reader_of(span_after(more, *at));
	struct group g;
	telemetry_reset(work);
	take_group(&r, &g, own, work);
	*at = r.bad ? more.len : *at + r.pos;
	for (int small = 0; small <= 1 && len == 0 && !r.bad; small++) {
		struct merge m = merge_of_group(work, &g, own);
		out->len = 0;
		out->full = false;
		len = write_merged(&m, known, small, out);
	}
	out->len = len;
	return writer_span(out);
}

/* --- all of it --- */

void known_record(struct span known, const struct known_table *own, struct telemetry *out)
{
	struct reader r = reader_of(known);
	struct group g;
	telemetry_reset(out);
	while (reader_left(&r) > 0)
		take_group(&r, &g, own, out);
}

bool known_place(struct span known, const struct known_table *own, struct telemetry *out)
{
	struct reader r = reader_of(known);
	struct group g;
	while (reader_left(&r) > 0) {
		telemetry_reset(out);
		take_group(&r, &g, own, out);
		if (r.bad || !telemetry_has(out, TM_LATITUDE))
			continue;
		telemetry_set(out, TM_TIMESTAMP, telemetry_number(out, TM_POSITION_TIMESTAMP));
		telemetry_set(out, TM_POSITION_VALID, true);
		take_away(out->present, position_timestamp.all);
		return true;
	}
	return false;
}

bool known_load(
	struct span kept, const struct known_table *own, const struct known_table *theirs, struct writer *out)
{
	struct telemetry t;
	struct group g;
	struct reader r = reader_of(kept);
	while (reader_left(&r) > 0 && !out->full) {
		telemetry_reset(&t);
		take_group(&r, &g, theirs, &t);
		struct merge m = {.t = &t,
			.table = own,
			.own.date_ms = g.date_ms,
			.fix_ms = telemetry_number(&t, TM_POSITION_TIMESTAMP),
			.cells = t.cell_count > 0,
			.items = first_items(&t)};
		memcpy(m.own.present, t.present, sizeof(t.present));
		own_done(&m);
		if (!r.bad && (params_any(t.present) || m.cells || m.items != 0))
			put_own(&m, false, out);
	}
	return !r.bad && !out->full;
}
