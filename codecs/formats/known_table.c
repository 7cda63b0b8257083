// SPDX-License-Identifier: MIT
/* known_table: the parameter table by which the bytes of what is known name their keys. See known.h.
 * Uses: nothing else.
 *
 * As text: a line for each row, its type (a digit), its decimals (a digit) and its key. */
#include "codecs/formats/known.h"

static uint32_t key_of(const struct span text)
{
	uint32_t sum = 0x811c9dc5;
	for (size_t i = 0; i < text.len; i++)
		sum = (sum ^ text.ptr[i]) * 0x01000193;
	return sum;
}

/* An alarm may become a boolean, and the other way round: their values are the same. */
static uint8_t kind_of(const struct param *p)
{
	return (uint8_t)(p->type > PARAM_BOOLEAN ? PARAM_BOOLEAN : p->type);
}

void known_table_save(struct writer *out)
{
	for (size_t i = 0; i < TM_FIELD_COUNT; i++) {
		const struct param *p = &telemetry_params[i];
		writer_u8(out, (uint8_t)('0' + kind_of(p)));
		writer_u8(out, (uint8_t)('0' + p->decimals));
		writer_text(out, p->key);
		writer_u8(out, '\n');
	}
}

static uint16_t find(struct span key, uint8_t type, uint8_t decimals, size_t guess)
{
	for (size_t n = 0; n < TM_FIELD_COUNT; n++) {
		size_t i = (guess + n) % TM_FIELD_COUNT; /* mostly the rows are as they were, or nearly */
		const struct param *p = &telemetry_params[i];
		if (span_is(key, p->key))
			return kind_of(p) == type && p->decimals == decimals ? (uint16_t)i : KNOWN_NOWHERE;
	}
	return KNOWN_NOWHERE;
}

bool known_table_load(struct known_table *table, struct span saved)
{
	struct reader r = reader_of(saved);
	memset(table, 0, sizeof(*table));
	table->key = key_of(saved);
	while (reader_left(&r) > 0 && table->count < TM_WORDS_MAX * 64) {
		uint8_t type = (uint8_t)(reader_u8(&r) - '0'), decimals = (uint8_t)(reader_u8(&r) - '0');
		size_t left = reader_left(&r), at = r.pos, len = 0;
		while (len < left && saved.ptr[at + len] != '\n')
			len++;
		struct span key = reader_take(&r, len);
		if (reader_u8(&r) != '\n' || type > PARAM_BOOLEAN || r.bad)
			return false;
		unsigned n = table->count++;
		table->type[n] = type;
		table->field[n] = find(key, type, decimals, n);
		table->booleans[n / 64] |= (uint64_t)(type == PARAM_BOOLEAN) << n % 64;
	}
	return reader_left(&r) == 0 && table->count > 0;
}

void known_table_own(struct known_table *table)
{
	uint8_t text[TM_FIELD_COUNT * 64];
	struct writer w = writer_of(text, sizeof(text));
	known_table_save(&w);
	known_table_load(table, writer_span(&w));
}
