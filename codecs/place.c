// SPDX-License-Identifier: MIT
/* place: coordinates and signal strength, as the records of all protocols must treat them; see codec.h.
 * Uses: nothing else.
 * Not: know any protocol. */
#include "codecs/codec.h"

enum codec_status codec_set_place(struct telemetry *t, bool valid, int64_t latitude, int64_t longitude)
{
	const struct telemetry_range *lat = &telemetry_ranges[TM_LATITUDE],
				     *lon = &telemetry_ranges[TM_LONGITUDE];
	bool bad_lat = latitude > lat->max || latitude < lat->min;
	bool bad_lon = longitude > lon->max || longitude < lon->min;
	if (valid && bad_lat)
		return CODEC_BAD_LATITUDE;
	if (valid && bad_lon)
		return CODEC_BAD_LONGITUDE;
	if (bad_lat)
		telemetry_reject(t, TM_LATITUDE);
	if (bad_lon)
		telemetry_reject(t, TM_LONGITUDE);
	bool nowhere = latitude == 0 && longitude == 0;
	if (nowhere)
		telemetry_set(t, TM_POSITION_VALID, false);
	if (bad_lat || bad_lon || nowhere)
		return CODEC_OK;
	telemetry_set(t, TM_LATITUDE, latitude);
	telemetry_set(t, TM_LONGITUDE, longitude);
	return CODEC_OK;
}

void codec_set_csq(struct telemetry *t, int64_t csq)
{
	if (csq >= 0 && csq <= 31)
		telemetry_set(t, TM_GSM_LEVEL, (csq * 200 + 31) / 62);
}
