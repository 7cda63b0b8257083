// SPDX-License-Identifier: MIT
/* pretty: see pretty.h. */
#include "bridge/decode/pretty.h"

#include "bridge/decode/show.h"

#include <cJSON.h>
#include <string.h>

/* The row of this key; for a neighbour cell's, gsm.lac.1, that of the serving one. NULL: it has none. */
static const struct param *find_param(const char *key)
{
	size_t len = strlen(key), stem = len;
	while (stem > 0 && byte_is_digit((uint8_t)key[stem - 1]))
		stem--;
	stem = stem < len && stem > 1 && key[stem - 1] == '.' ? stem - 1 : len;
	for (size_t pass = 0; pass < 2; pass++, len = stem)
		for (size_t i = 0; i < TM_FIELD_COUNT; i++)
			if (span_is(span_of(key, len), telemetry_params[i].key))
				return &telemetry_params[i];
	return NULL;
}

static void put_value(struct writer *w, const cJSON *value, const struct param *param)
{
	if (cJSON_IsString(value)) {
		show_text(w, span_text(value->valuestring));
	} else if (cJSON_IsArray(value)) {
		const cJSON *item;
		cJSON_ArrayForEach(item, value)
		{
			if (w->len > 0)
				writer_text(w, ", ");
			put_value(w, item, NULL);
		}
	} else {
		char *text = cJSON_PrintUnformatted(value);
		writer_text(w, text != NULL ? text : "?");
		cJSON_free(text);
	}
	if (param == NULL)
		return;
	show_unit(w, param);
	if (show_is_moment(param) && cJSON_IsNumber(value)) {
		writer_text(w, ", ");
		show_moment(w, (int64_t)value->valuedouble);
	}
}

/* The keys of all booleans that are false, in one line. */
static void put_false(FILE *out, const cJSON *record)
{
	const cJSON *item;
	bool first = true;
	cJSON_ArrayForEach(item, record)
	{
		if (!cJSON_IsFalse(item))
			continue;
		fprintf(out, first ? "  false: %s" : ", %s", item->string);
		first = false;
	}
	if (!first)
		fputc('\n', out);
}

void pretty_record(FILE *out, struct span json)
{
	cJSON *record = cJSON_ParseWithLength((const char *)json.ptr, json.len);
	const cJSON *item;
	cJSON_ArrayForEach(item, record)
	{
		char text[2100];
		struct writer w = writer_of(text, sizeof(text) - sizeof("..."));
		const struct param *param = find_param(item->string);
		if (cJSON_IsFalse(item))
			continue;
		put_value(&w, item, param);
		memcpy(text + w.len, w.full ? "..." : "", w.full ? sizeof("...") : 1);
		if (param != NULL)
			fprintf(out, "  %-32s  %-38s  %s\n", item->string, text, param->help);
		else
			fprintf(out, "  %-32s  %s\n", item->string, text);
	}
	put_false(out, record);
	fputc('\n', out);
	cJSON_Delete(record);
}
