// SPDX-License-Identifier: MIT
/* alarms: see alarms.h. */
#include "bridge/outputs/alarms.h"

#include "bridge/base/note.h"

static bool is_alarm(size_t field)
{
	return telemetry_params[field].type == PARAM_ALARM;
}

static bool carries_alarms(const struct telemetry *t)
{
	for (size_t w = 0; w < TM_WORDS; w++)
		for (uint64_t left = t->present[w]; left != 0; left &= left - 1)
			if (is_alarm(w * 64 + (unsigned)__builtin_ctzll(left)))
				return true;
	return false;
}

bool alarms_raise(struct alarms *a, struct telemetry *t, int64_t date_ms)
{
	if (!carries_alarms(t))
		return false;
	if (date_ms >= a->newest_ms) {
		a->newest_ms = date_ms;
		return telemetry_raise(t, a->now);
	}
	if (date_ms > a->until_ms) {
		memset(a->stored, 0, sizeof(a->stored));
		a->until_ms = a->newest_ms;
	}
	telemetry_raise(t, a->stored);
	for (size_t w = 0; w < TM_WORDS; w++)
		t->alarms[w] &= ~a->now[w];
	return params_any(t->alarms);
}

void alarms_join(struct alarms *a, const struct alarms *theirs, bool theirs_wins)
{
	if (theirs->newest_ms > a->newest_ms || (theirs_wins && theirs->newest_ms == a->newest_ms))
		*a = *theirs;
}

bool alarms_are_same(const struct alarms *a, const struct alarms *b)
{
	for (size_t w = 0; w < TM_WORDS; w++)
		for (uint64_t left = (a->now[w] ^ b->now[w]) | (a->stored[w] ^ b->stored[w]); left != 0;
			left &= left - 1)
			if (is_alarm(w * 64 + (unsigned)__builtin_ctzll(left)))
				return false;
	return true;
}

/* --- kept: by their keys, which another version knows, too --- */

static void save_set(const uint64_t *set, struct writer *out)
{
	for (size_t i = 0; i < TM_FIELD_COUNT; i++)
		if (params_have(set, i) && is_alarm(i))
			note_put_text(out, span_text(telemetry_params[i].key));
	note_put_text(out, span_of(NULL, 0));
}

static void recall_set(uint64_t *set, struct reader *in)
{
	for (struct span key = note_take_text(in); key.len > 0; key = note_take_text(in))
		for (size_t i = 0; i < TM_FIELD_COUNT; i++)
			if (is_alarm(i) && span_is(key, telemetry_params[i].key))
				params_add(set, i);
}

void alarms_save(const struct alarms *a, struct writer *out)
{
	note_put_number(out, a->newest_ms);
	note_put_number(out, a->until_ms);
	save_set(a->now, out);
	save_set(a->stored, out);
}

void alarms_recall(struct alarms *a, struct reader *in)
{
	*a = (struct alarms){.newest_ms = note_take_number(in), .until_ms = note_take_number(in)};
	recall_set(a->now, in);
	recall_set(a->stored, in);
	if (in->bad)
		*a = (struct alarms){0};
}
