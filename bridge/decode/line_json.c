// SPDX-License-Identifier: MIT
/* line_json: see line_json.h. */
#include "bridge/decode/line_json.h"

#include <cJSON.h>

static enum line_found take(const cJSON *object, struct writer *out)
{
	const cJSON *hex = cJSON_GetObjectItemCaseSensitive(object, "hex");
	const cJSON *direction = cJSON_GetObjectItemCaseSensitive(object, "direction");
	if (!cJSON_IsString(hex) || (cJSON_IsString(direction) && strcmp(direction->valuestring, "out") == 0))
		return LINE_NOTHING;
	const char *digits = hex->valuestring;
	for (; byte_hex((uint8_t)digits[0]) >= 0 && byte_hex((uint8_t)digits[1]) >= 0; digits += 2)
		writer_u8(out, (uint8_t)(byte_hex((uint8_t)digits[0]) << 4 | byte_hex((uint8_t)digits[1])));
	return digits[0] == '\0' ? LINE_BYTES : LINE_WRONG;
}

enum line_found line_json(struct span text, struct writer *out)
{
	cJSON *json = text.len > 0 ? cJSON_ParseWithLength((const char *)text.ptr, text.len) : NULL;
	const cJSON *payload = cJSON_GetObjectItemCaseSensitive(json, "payload");
	enum line_found found = LINE_WRONG;
	if (cJSON_IsString(payload)) {
		cJSON *inner = cJSON_Parse(payload->valuestring);
		found = cJSON_IsObject(inner) ? take(inner, out) : LINE_NOTHING;
		cJSON_Delete(inner);
	} else if (cJSON_IsObject(json)) {
		found = take(cJSON_IsObject(payload) ? payload : json, out);
	}
	cJSON_Delete(json);
	return found;
}
