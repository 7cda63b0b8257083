// SPDX-License-Identifier: MIT
/* telemetry: the record and its table; see telemetry.h. */
#include "codecs/record/telemetry.h"

#include "codecs/record/mark.h"

const struct param telemetry_params[TM_FIELD_COUNT] = {
#define FIELD(name, key_, type_, decimals_, min_, max_, unit_, help_)                                          \
	[TM_##name] = {key_, PARAM_##type_, decimals_, min_, max_, unit_, help_},
#include "codecs/record/telemetry_fields.h"
#undef FIELD
};

_Static_assert(TM_WORDS <= TM_WORDS_MAX, "TM_FLAGS needs a macro for each word");

const char *const param_type_names[] = {
	[PARAM_INTEGER] = "number",
	[PARAM_TEXT] = "string",
	[PARAM_BOOLEAN] = "boolean",
	[PARAM_ALARM] = "boolean, alarm",
};

static unsigned bit_count(const uint64_t *map)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < TM_WORDS; i++) {
		uint64_t v = map[i]; /* by hand: __builtin_popcountll is a slow call on plain x86-64 */
		v -= v >> 1 & 0x5555555555555555;
		v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
		bytes += (v + (v >> 4)) & EIGHT(0x0f);
	}
	uint64_t pairs = (bytes & 0x00ff00ff00ff00ff) + (bytes >> 8 & 0x00ff00ff00ff00ff);
	return (unsigned)(pairs * 0x0001000100010001 >> 48);
}

void telemetry_set_flags(struct telemetry *t, uint32_t word, const struct telemetry_flags *flags)
{
	for (size_t w = 0; w < TM_WORDS; w++) {
		t->present[w] |= flags->all[w];
		t->truth[w] &= ~flags->all[w];
	}
	for (; word != 0; word &= word - 1) {
		unsigned field = flags->field[__builtin_ctz(word)];
		if (field != 0)
			params_add(t->truth, (enum telemetry_field)(field - 1));
	}
}

#ifdef T2M_MARKS
void telemetry_mark_text(struct telemetry *t, enum telemetry_field field, struct span text)
{
	mark(t, text, field);
}

void telemetry_mark_settle(struct telemetry *t)
{
	mark_settle(t);
}
#endif

void telemetry_reject(struct telemetry *t, enum telemetry_field field)
{
	params_add(t->rejected, field);
}

void telemetry_add_cell(struct telemetry *t, struct telemetry_cell cell)
{
	if (t->cell_count < TM_CELLS_MAX)
		t->cells[t->cell_count++] = cell;
}

void telemetry_add_item(struct telemetry *t, const char *prefix, uint32_t id, uint8_t digits,
	enum item_form form, struct span value)
{
	if (t->item_count == TM_ITEMS_MAX)
		return;
	struct telemetry_item *item = &t->items[t->item_count];
	*item = (struct telemetry_item){prefix, id, digits, 0, form, value};
	for (unsigned i = t->item_count; i-- > 0;) {
		if (t->items[i].id != id || strcmp(t->items[i].prefix, prefix) != 0)
			continue;
		item->repeat = (uint8_t)(t->items[i].repeat == 0 ? 2 : t->items[i].repeat + 1);
		if (item->repeat == 0) /* the 256th of this id: ignored */
			return;
		break;
	}
	mark_item(t, item);
	t->item_count++;
}

/* Those of the booleans, a word of a set, that are alarms. */
static uint64_t alarms_of(uint64_t booleans, size_t word)
{
	for (uint64_t left = booleans; left != 0; left &= left - 1) {
		unsigned b = (unsigned)__builtin_ctzll(left);
		if (telemetry_params[word * 64 + b].type != PARAM_ALARM)
			booleans &= ~(UINT64_C(1) << b);
	}
	return booleans;
}

bool telemetry_raise(struct telemetry *t, uint64_t before[TM_WORDS])
{
	bool raised = false;
	for (size_t w = 0; w < TM_WORDS; w++) {
		t->alarms[w] = alarms_of(t->present[w] & t->truth[w] & ~before[w], w);
		raised |= t->alarms[w] != 0;
		before[w] = (before[w] & ~t->present[w]) | (t->present[w] & t->truth[w]);
	}
	return raised;
}

static void emit_keys(struct emitter *e, const char *name, const uint64_t *map)
{
	emit_key(e, name);
	emit_array(e, bit_count(map));
	for (size_t field = 0; field < TM_FIELD_COUNT; field++)
		if (params_have(map, (enum telemetry_field)field))
			emit_text(e, span_text(telemetry_params[field].key));
	emit_end(e);
}

static void emit_numbered(struct emitter *e, const char *key, unsigned n, int64_t number)
{
	char buf[40];
	struct writer w = writer_of(buf, sizeof(buf) - 1);
	writer_text(&w, key);
	writer_u8(&w, '.');
	writer_decimal(&w, n, 1);
	buf[w.len] = '\0';
	emit_pair_integer(e, buf, number);
}

static unsigned cell_pairs(const struct telemetry_cell *c)
{
	return (unsigned)(c->lac != 0) + (unsigned)(c->cellid != 0) + (unsigned)c->has_dbm;
}

static void emit_cell(struct emitter *e, unsigned n, const struct telemetry_cell *c)
{
	if (c->lac != 0)
		emit_numbered(e, telemetry_params[TM_GSM_LAC].key, n, c->lac);
	if (c->cellid != 0)
		emit_numbered(e, telemetry_params[TM_GSM_CELLID].key, n, c->cellid);
	if (c->has_dbm)
		emit_numbered(e, telemetry_params[TM_GSM_DBM].key, n, c->dbm);
}

void telemetry_item_key(const struct telemetry_item *item, struct writer *out)
{
	writer_text(out, item->prefix);
	writer_id(out, item->id, item->digits);
	if (item->repeat > 0) {
		writer_u8(out, '.');
		writer_decimal(out, item->repeat, 1);
	}
}

static uint32_t item_number(const struct telemetry_item *item)
{
	struct reader r = reader_of(item->value);
	return reader_uint(&r, item->value.len);
}

static void emit_item(struct emitter *e, const struct telemetry_item *item)
{
	char key[64];
	uint8_t hex[2 * 1024];
	struct writer w = writer_of(key, sizeof(key) - 1), h = writer_of(hex, sizeof(hex));
	telemetry_item_key(item, &w);
	key[w.len] = '\0';
	emit_key(e, key);
	switch (item->form) {
	case ITEM_TEXT:
		emit_text(e, item->value);
		break;
	case ITEM_NUMBER:
		emit_integer(e, item_number(item));
		break;
	case ITEM_HEX:
		writer_hex(&h, item->value);
		emit_text(e, writer_span(&h));
		break;
	}
}

static bool is_custom(const char *key)
{
	return strncmp(key, "custom.", strlen("custom.")) == 0;
}

/* Notes when a parameter under `custom.` is not written. */
static void hide(struct telemetry_keys *keys, size_t field)
{
	enum param_type type = telemetry_params[field].type;
	if (keys->custom == CUSTOM_NONE)
		params_add(keys->never, field);
	else if (keys->custom == CUSTOM_ACTIVE && type >= PARAM_BOOLEAN)
		params_add(keys->unless_false, field);
	else if (keys->custom == CUSTOM_ACTIVE && type == PARAM_INTEGER)
		params_add(keys->unless_zero, field);
}

void telemetry_keys_make(
	struct telemetry_keys *keys, const struct emit_format *format, enum telemetry_custom custom)
{
	struct writer w = writer_of(keys->text, sizeof(keys->text) - WRITER_SHORT);
	struct writer yes = writer_of(keys->yes, sizeof(keys->yes));
	struct emitter e = emitter_of(format, &w), value = emitter_of(format, &yes);
	*keys = (struct telemetry_keys){.format = format, .custom = custom};
	emit_boolean(&value, true);
	keys->yes_len = yes.len;
	emit_map(&e, 1);
	emit_key(&e, "");
	emit_boolean(&e, false);
	for (size_t field = 0; field < TM_FIELD_COUNT; field++) {
		const struct param *p = &telemetry_params[field];
		struct telemetry_ready *ready = &keys->ready[field];
		bool boolean = p->type >= PARAM_BOOLEAN;
		ready->at = (uint16_t)w.len;
		ready->value = boolean ? READY_BOOLEAN : p->type == PARAM_TEXT ? READY_TEXT : p->decimals;
		if (is_custom(p->key))
			hide(keys, field);
		emit_key(&e, p->key);
		ready->len = (uint8_t)(w.len - ready->at);
		e.after_key = boolean; /* the value of any other is written by emit_fields */
		if (boolean) {
			params_add(keys->booleans, field);
			emit_boolean(&e, false);
		}
	}
	keys->ready[TM_FIELD_COUNT].at = (uint16_t)w.len;
}

/* Those of one word of the sets that are shown. */
static uint64_t shown_of(const struct telemetry *t, const struct telemetry_keys *k, size_t w)
{
	uint64_t hidden = k->never[w] | (k->unless_false[w] & ~t->truth[w]);
	for (uint64_t left = t->present[w] & k->unless_zero[w]; left != 0; left &= left - 1)
		if (t->value[w * 64 + (unsigned)__builtin_ctzll(left)].number == 0)
			hidden |= left & -left;
	return t->present[w] & ~hidden;
}

static bool shows_item(const struct telemetry_keys *k, const struct telemetry_item *item)
{
	if (k->custom == CUSTOM_ALL || !is_custom(item->prefix))
		return true;
	return k->custom == CUSTOM_ACTIVE && (item->form != ITEM_NUMBER || item_number(item) != 0);
}

void telemetry_emit_pairs(const struct telemetry *t, struct emitter *e, const struct telemetry_keys *k,
	size_t field, size_t booleans)
{
	const struct telemetry_ready *r = &k->ready[field];
	size_t len = booleans > 0 ? (size_t)(r[booleans].at - r->at) : r->len;
	emit_again(e, span_of(k->text + r->at, len), booleans == 0);
	if (booleans > 0)
		return;
	if (r->value == READY_BOOLEAN)
		emit_boolean(e, true);
	else if (r->value == READY_TEXT)
		emit_text(e, t->value[field].text);
	else
		emit_fixed(e, t->value[field].number, r->value);
}

static unsigned pairs_of(
	const struct telemetry *t, const struct telemetry_keys *keys, const uint64_t shown[TM_WORDS])
{
	unsigned pairs = bit_count(shown);
	for (unsigned i = 0; i < t->item_count; i++)
		pairs += shows_item(keys, &t->items[i]) ? 1 : 0;
	for (unsigned i = 0; i < t->cell_count; i++)
		pairs += cell_pairs(&t->cells[i]);
	return pairs;
}

void telemetry_emit(const struct telemetry *t, const struct telemetry_keys *keys, struct writer *out)
{
	struct emitter e = emitter_of(keys->format, out);
	uint64_t shown[TM_WORDS];
	for (size_t w = 0; w < TM_WORDS; w++)
		shown[w] = shown_of(t, keys, w);
	bool rejected = params_any(t->rejected), alarms = params_any(t->alarms);
	emit_map(&e, keys->format->counts ? pairs_of(t, keys, shown) + rejected + alarms : 0);
	keys->format->fields(&e, t, keys, shown);
	for (unsigned i = 0; i < t->cell_count; i++)
		emit_cell(&e, i + 1, &t->cells[i]);
	for (unsigned i = 0; i < t->item_count; i++)
		if (shows_item(keys, &t->items[i]))
			emit_item(&e, &t->items[i]);
	if (rejected)
		emit_keys(&e, "rejected", t->rejected);
	if (alarms)
		emit_keys(&e, "alarms", t->alarms);
	emit_end(&e);
}
