// SPDX-License-Identifier: MIT
/* owntracks: see owntracks.h. */
#include "codecs/formats/owntracks.h"

/* Which parameter has which name in OwnTracks. Its number, divided by `divide`, has `decimals` decimals there. */
static const struct row {
	const char *name;
	uint16_t field;
	uint8_t decimals;
	int64_t divide;
} rows[] = {
	{"lat", TM_LATITUDE, 7, 1},
	{"lon", TM_LONGITUDE, 7, 1},
	{"tst", TM_TIMESTAMP, 0, 1000},
	{"created_at", TM_SERVER_TIMESTAMP, 0, 1000},
	{"alt", TM_ALTITUDE, 0, 1},
	{"vel", TM_SPEED, 0, 1000},
	{"cog", TM_DIRECTION, 0, 10000},
	{"batt", TM_BATTERY_LEVEL, 0, 1},
	{"odometer", TM_MILEAGE, 3, 1},
	{"uext", TM_EXTERNAL_VOLTAGE, 3, 1},
	{"ubatt", TM_BATTERY_VOLTAGE, 3, 1},
	{"mcc", TM_GSM_MCC, 0, 1},
	{"mnc", TM_GSM_MNC, 0, 1},
	{"lac", TM_GSM_LAC, 0, 1},
	{"cid", TM_GSM_CELLID, 0, 1},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))
#define IMEI_LENGTH 15

bool owntracks_can(const struct telemetry *t)
{
	return telemetry_has(t, TM_LATITUDE) && telemetry_number(t, TM_POSITION_VALID) != 0 &&
	       telemetry_has(t, TM_TIMESTAMP) && !telemetry_has(t, TM_TIMESTAMP_VALID);
}

/* Rounded to the nearest; a half is rounded away from zero. */
static int64_t divided(int64_t v, int64_t by)
{
	return (v + (v < 0 ? -by : by) / 2) / by;
}

void owntracks_emit(const struct telemetry *t, struct span tid, struct emitter *e)
{
	struct span ident = t->value[TM_IDENT].text;
	bool imei = ident.len == IMEI_LENGTH && span_all(ident, byte_is_digit),
	     ign = telemetry_has(t, TM_IGNITION);
	unsigned pairs = 2 + (imei ? 1u : 0u) + (ign ? 1u : 0u);
	for (size_t i = 0; i < ROWS; i++)
		pairs += telemetry_has(t, (enum telemetry_field)rows[i].field) ? 1 : 0;
	emit_map(e, pairs);
	emit_pair_text(e, "_type", span_text("location"));
	emit_pair_text(e, "tid", tid);
	for (size_t i = 0; i < ROWS; i++) {
		enum telemetry_field field = (enum telemetry_field)rows[i].field;
		if (!telemetry_has(t, field))
			continue;
		emit_key(e, rows[i].name);
		emit_fixed(e, divided(telemetry_number(t, field), rows[i].divide), rows[i].decimals);
	}
	if (imei)
		emit_pair_text(e, "imei", ident);
	if (ign) {
		emit_key(e, "ign");
		emit_boolean(e, telemetry_number(t, TM_IGNITION) != 0);
	}
	emit_end(e);
}
