// SPDX-License-Identifier: MIT
/* h02_meaning: what text and binary frames say in the same codes: status word, battery code, time, cell.
 * Uses: codecs/record.
 * Not: know in which field or byte a code stands. */
#include "codecs/h02/h02_private.h"
#include "codecs/record/mark.h"

/* Status word: a bit that is 0 means true; but in bit 10, the ignition, 1 does. Bits 5 and 6 have two meanings. */
#define STATUS_BITS(X)                                                                                         \
	X(31, TM_LOW_SENSOR_1)                                                                                 \
	X(30, TM_HIGH_SENSOR_2)                                                                                \
	X(29, TM_HIGH_SENSOR_1)                                                                                \
	X(28, TM_BATTERY_DISCONNECTED)                                                                         \
	X(27, TM_ENGINE_BLOCKED)                                                                               \
	X(26, TM_BUFFERED)                                                                                     \
	X(25, TM_DISPLACEMENT_ALARM)                                                                           \
	X(24, TM_TEMPERATURE_ALARM)                                                                            \
	X(23, TM_LOW_SENSOR_2)                                                                                 \
	X(22, TM_GPS_ANTENNA_SHORT)                                                                            \
	X(21, TM_GPS_ANTENNA_OPEN)                                                                             \
	X(20, TM_POWER_REMOVED)                                                                                \
	X(19, TM_BACKUP_BATTERY)                                                                               \
	X(18, TM_STATE_BIT_18)                                                                                 \
	X(17, TM_VIBRATION_ALARM)                                                                              \
	X(16, TM_GPS_FAULT)                                                                                    \
	X(15, TM_OVERSPEEDING_STATUS)                                                                          \
	X(14, TM_USER_STATUS)                                                                                  \
	X(13, TM_ENGINE_RUNNING)                                                                               \
	X(12, TM_VEHICLE_BATTERY_BAD)                                                                          \
	X(11, TM_SUPPLY_LOW)                                                                                   \
	X(10, TM_IGNITION)                                                                                     \
	X(9, TM_DEFENSE_ACTIVE)                                                                                \
	X(8, TM_DOOR_OPEN)                                                                                     \
	X(7, TM_GEOFENCE_OUT_ALARM)                                                                            \
	X(4, TM_GEOFENCE_IN_ALARM)                                                                             \
	X(3, TM_ILLEGAL_IGNITION_ALARM)                                                                        \
	X(2, TM_OVERSPEEDING_EVENT)                                                                            \
	X(1, TM_SOS_ALARM)                                                                                     \
	X(0, TM_THEFT_ALARM)
#define ANTENNA_BITS(X)                                                                                        \
	STATUS_BITS(X)                                                                                         \
	X(6, TM_ANTENNA_SHORT_ALARM)                                                                           \
	X(5, TM_ANTENNA_OPEN_ALARM)
static const struct telemetry_flags status_bits = TM_FLAGS(STATUS_BITS), antenna_bits = TM_FLAGS(ANTENNA_BITS);
#define ACTIVE_HIGH (1u << 10)

void h02_set_status(struct telemetry *t, struct span bytes, uint32_t word, bool low_battery_bits)
{
	const struct telemetry_flags *bits = low_battery_bits ? &status_bits : &antenna_bits;
	struct writer w = telemetry_scratch(t);
	writer_hex_number(&w, word, 8);
	telemetry_set_scratch(t, TM_VEHICLE_STATE, &w);
	telemetry_set(t, TM_VEHICLE_STATE_BITMASK, word);
	telemetry_set_flags(t, ~word ^ ACTIVE_HIGH, bits);
	mark_bits(t, bytes, TM_VEHICLE_STATE, bits);
	mark(t, bytes, TM_POWER_CUT_ALARM);
	const uint32_t battery = 1u << 6 | 1u << 5, power = 1u << 28 | 1u << 20 | 1u << 19;
	if (low_battery_bits) {
		telemetry_set(t, TM_BATTERY_LOW_ALARM, (word & battery) != battery);
		mark(t, bytes, TM_BATTERY_LOW_ALARM);
	}
	telemetry_set(t, TM_POWER_CUT_ALARM, (word & power) != power);
}

void h02_set_battery_code(struct telemetry *t, unsigned code)
{
	static const uint8_t steps[] = {0, 0, 10, 20, 60, 80, 100};
	if (code >= 0xf1 && code <= 0xf6)
		code -= 0xf0; /* the same steps while charging */
	if (code >= 1 && code <= 6)
		telemetry_set(t, TM_BATTERY_LEVEL, steps[code]);
	else if (code >= 7 && code <= 100)
		telemetry_set(t, TM_BATTERY_LEVEL, code);
}

void h02_set_cell(struct telemetry *t, int64_t lac, int64_t cellid)
{
	if (lac != 0)
		telemetry_set(t, TM_GSM_LAC, lac);
	if (cellid != 0)
		telemetry_set(t, TM_GSM_CELLID, cellid);
}

void h02_set_network_cell(struct telemetry *t, int64_t mcc, int64_t mnc, int64_t lac, int64_t cellid)
{
	if (!h02_is_mcc(mcc))
		return;
	telemetry_set(t, TM_GSM_MCC, mcc);
	telemetry_set(t, TM_GSM_MNC, mnc);
	h02_set_cell(t, lac, cellid);
}
