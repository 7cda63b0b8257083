// SPDX-License-Identifier: MIT
/* show: see show.h. */
#include "bridge/decode/show.h"

#include "codecs/record/calendar.h"

void show_text(struct writer *w, struct span text)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < text.len && !w->full; i++) {
		uint8_t c = text.ptr[i];
		if (w->cap - w->len < 4) {
			w->full = true;
			return;
		}
		if (c >= 0x20 && c < 0x7f) {
			writer_u8(w, c);
			continue;
		}
		writer_text(w, "\\x");
		writer_u8(w, (uint8_t)digits[c >> 4]);
		writer_u8(w, (uint8_t)digits[c & 15]);
	}
}

void show_number(struct writer *w, int64_t number, unsigned decimals)
{
	struct emitter e = emitter_of(&emit_json, w);
	emit_fixed(&e, number, decimals);
}

void show_unit(struct writer *w, const struct param *param)
{
	if (param->unit[0] == '\0')
		return;
	writer_u8(w, ' ');
	writer_text(w, param->unit);
}

bool show_is_moment(const struct param *param)
{
	return param->max == telemetry_params[TM_TIMESTAMP].max && strcmp(param->unit, "s") == 0;
}

void show_moment(struct writer *w, int64_t unix_s)
{
	struct calendar c = calendar_of(unix_s);
	const int parts[] = {c.year, c.month, c.day, c.hour, c.minute, c.second};
	static const char behind[] = "--T::Z";
	for (size_t i = 0; i < 6; i++) {
		writer_decimal(w, (uint64_t)parts[i], i == 0 ? 4 : 2);
		writer_u8(w, (uint8_t)behind[i]);
	}
}

void show_value(struct writer *w, const struct telemetry *t, enum telemetry_field field)
{
	const struct param *p = &telemetry_params[field];
	if (params_have(t->rejected, field)) {
		writer_text(w, "refused: not a possible value");
	} else if (!telemetry_has(t, field)) {
		return;
	} else if (p->type == PARAM_TEXT) {
		show_text(w, t->value[field].text);
	} else if (p->type != PARAM_INTEGER) {
		writer_text(w, telemetry_number(t, field) != 0 ? "true" : "false");
	} else {
		show_number(w, telemetry_number(t, field), p->decimals);
		show_unit(w, p);
		if (show_is_moment(p)) {
			writer_text(w, ", ");
			show_moment(w, telemetry_number(t, field) / 1000);
		}
	}
}
