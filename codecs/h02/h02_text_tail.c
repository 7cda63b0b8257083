// SPDX-License-Identifier: MIT
/* h02_text_tail: the fields behind the status word of H02 text, which vary most.
 * Uses: nothing else.
 *
 *   tail      mcc, mnc, lac, cellid [, more]
 *   watches   battery code, n, mcc, mnc, n x (lac, cellid, level)
 *   V9        user alarm, alarm setting, mcc, mnc, lac, cellid, battery flag
 *
 * What the more is, nobody says: it is told by how many fields there are, by the type, and by which of them have a point. A tail of
 * another length is shown as it is. */
#include "codecs/h02/h02_number.h"
#include "codecs/h02/h02_text_field.h"

/* --- helpers --- */

static bool has_point(struct span s)
{
	return s.len > 0 && memchr(s.ptr, '.', s.len) != NULL;
}

/* --- cells --- */

/* Sets the cell of the four fields from `at` on: all of them decimal; or lac and cellid swapped, with a hexadecimal cellid; or all of them
 * hexadecimal. After the last form nothing else in the tail is known: false. */
static bool tail_cell(struct h02_text *x, size_t at)
{
	const struct span *f = &x->field[at];
	int64_t mcc, mnc, lac, cellid;
	bool network = h02_whole(f[0], false, &mcc) && h02_whole(f[1], false, &mnc) && h02_is_mcc(mcc);
	if (network)
		h02_mark_network(x, at, at + 1);
	if (network && h02_whole(f[2], false, &lac) && h02_whole(f[3], false, &cellid)) {
		h02_mark_cell(x, 0, at + 2, at + 3, 0);
		h02_set_network_cell(x->t, mcc, mnc, lac, cellid);
		return true;
	}
	bool letter = f[2].len >= 5 && !span_all(f[2], byte_is_digit);
	if (network && letter && !x->long_id && h02_hex(f[2], &cellid) && h02_whole(f[3], false, &lac)) {
		h02_mark_cell(x, 0, at + 3, at + 2, 0);
		h02_set_network_cell(x->t, mcc, mnc, lac, cellid);
		return true;
	}
	bool hex = h02_hex(f[0], &mcc) && h02_hex(f[1], &mnc) && h02_hex(f[2], &lac) && h02_hex(f[3], &cellid);
	if (!hex || !h02_is_mcc(mcc))
		return true;
	h02_mark_network(x, at, at + 1);
	h02_mark_cell(x, 0, at + 2, at + 3, 0);
	h02_set_network_cell(x->t, mcc, mnc, lac, cellid);
	return false;
}

/* --- tails --- */

/* The watches' tail. false: it is another one. A level of 0 is not told from none. */
static bool watch_tail(struct h02_text *x, size_t at, size_t fields)
{
	int64_t battery, n, mcc, mnc, cell[3];
	if (!h02_whole(h02_field(x, at), false, &battery) || battery > 100 ||
		!h02_whole(h02_field(x, at + 1), false, &n) || n < 1 || n > TM_CELLS_MAX ||
		fields != 4 + 3 * (size_t)n || !h02_whole(h02_field(x, at + 2), false, &mcc) ||
		!h02_is_mcc(mcc) || !h02_whole(h02_field(x, at + 3), false, &mnc))
		return false;
	for (size_t i = at + 4; i < at + fields; i++)
		if (!h02_whole(h02_field(x, i), true, &cell[0]))
			return false;
	h02_put_battery(x, h02_field(x, at));
	h02_set_network_cell(x->t, mcc, mnc, 0, 0);
	mark_number(x->t, h02_field(x, at + 1), "number of cells", n);
	h02_mark_network(x, at + 2, at + 3);
	for (int64_t i = 0; i < n; i++) {
		for (size_t k = 0; k < 3; k++)
			h02_whole(h02_field(x, at + 4 + 3 * (size_t)i + k), true, &cell[k]);
		int16_t dbm = 0;
		bool has_dbm = cell[2] != 0 && h02_level_dbm(cell[2], &dbm);
		size_t f = at + 4 + 3 * (size_t)i;
		h02_put_cell(x, i, cell[0], cell[1], has_dbm, dbm);
		h02_mark_cell(x, i, f, f + 1, f + 2);
	}
	return true;
}

/* The tail of V9, shown as it is too: nobody says what its other fields are. false: another type or length. */
static bool v9_tail(struct h02_text *x, size_t at, size_t fields)
{
	int64_t v[4];
	if (!span_is(x->type, "V9") || fields != 7)
		return false;
	for (size_t i = 0; i < 4; i++)
		if (!h02_whole(h02_field(x, at + 2 + i), false, &v[i]))
			return false;
	h02_set_network_cell(x->t, v[0], v[1], v[2], v[3]);
	h02_mark_network(x, at + 2, at + 3);
	h02_mark_cell(x, 0, at + 4, at + 5, 0);
	h02_join(x, TM_TAIL, at, at + fields);
	return true;
}

/* odometer m, temperature, fuel, altitude m, lac hex, cell hex. false: it is another tail, the fuel has no point. */
static bool odometer_tail(struct h02_text *x, size_t at)
{
	struct span fuel = h02_field(x, at + 2);
	struct h02_decimal d;
	int64_t lac, cellid, altitude;
	if (!has_point(fuel) || !h02_decimal(fuel, false, &d))
		return false;
	h02_put_decimal(x, TM_MILEAGE, h02_field(x, at), 1, 1000);
	h02_put_decimal(x, TM_TEMPERATURE, h02_field(x, at + 1), 1, 1);
	h02_put_decimal(x, TM_FUEL, fuel, 1, 1);
	if (h02_whole(h02_field(x, at + 3), true, &altitude)) {
		telemetry_set(x->t, TM_ALTITUDE, altitude);
		mark(x->t, h02_field(x, at + 3), TM_ALTITUDE);
	}
	if (h02_hex(h02_field(x, at + 4), &lac) && h02_hex(h02_field(x, at + 5), &cellid)) {
		h02_put_cell(x, 0, lac, cellid, false, 0);
		h02_mark_cell(x, 0, at + 4, at + 5, 0);
	}
	return true;
}

/* satellites, CSQ [, external volts x 10 [, battery percent]] from `at` on */
static void radio_tail(struct h02_text *x, size_t at)
{
	int64_t v;
	if (!h02_put_whole(x, TM_SATELLITES, h02_field(x, at)))
		return;
	if (!h02_whole(h02_field(x, at + 1), false, &v))
		return;
	codec_set_csq(x->t, v);
	mark(x->t, h02_field(x, at + 1), TM_GSM_LEVEL);
	struct span volts = h02_field(x, at + 2);
	if (h02_whole(volts, false, &v) && v != 0)
		h02_put_decimal(x, TM_EXTERNAL_VOLTAGE, volts, 1, 10);
	h02_put_whole(x, TM_BATTERY_LEVEL, h02_field(x, at + 3));
}

/* external volts, CSQ, satellites, battery volts */
static void volts_tail(struct h02_text *x, size_t at)
{
	int64_t csq;
	if (!h02_put_decimal(x, TM_EXTERNAL_VOLTAGE, h02_field(x, at), 1, 1) ||
		!h02_whole(h02_field(x, at + 1), false, &csq))
		return;
	codec_set_csq(x->t, csq);
	mark(x->t, h02_field(x, at + 1), TM_GSM_LEVEL);
	if (h02_put_whole(x, TM_SATELLITES, h02_field(x, at + 2)))
		h02_put_decimal(x, TM_BATTERY_VOLTAGE, h02_field(x, at + 3), 1, 1);
}

static void access_points(struct h02_text *x, size_t at)
{
	for (size_t i = 0; i < 3; i++) {
		int64_t rssi;
		size_t step = i * (TM_WIFI_2_BSSID - TM_WIFI_1_BSSID);
		telemetry_set_text(
			x->t, (enum telemetry_field)(TM_WIFI_1_BSSID + step), h02_field(x, at + 2 * i));
		if (!h02_hex(h02_field(x, at + 2 * i + 1), &rssi))
			continue;
		telemetry_set(x->t, (enum telemetry_field)(TM_WIFI_1_DBM + step), rssi - 110);
		mark(x->t, h02_field(x, at + 2 * i + 1), (enum telemetry_field)(TM_WIFI_1_DBM + step));
	}
}

/* V5: odometer m [, external volts x 10]; V6: ICCID [, battery code]. false: another type or length. */
static bool typed_tail(struct h02_text *x, size_t at, size_t n)
{
	struct span first = h02_field(x, at), second = h02_field(x, at + 1);
	if (span_is(x->type, "V5") && (n == 5 || n == 6)) {
		int64_t v;
		if (h02_whole(first, false, &v) && h02_put_decimal(x, TM_MILEAGE, first, 1, 1000) &&
			h02_whole(second, false, &v) && v != 0)
			h02_put_decimal(x, TM_EXTERNAL_VOLTAGE, second, 1, 10);
		return true;
	}
	if (!span_is(x->type, "V6") || (n != 5 && n != 6))
		return false;
	h02_put_iccid(x, first);
	h02_put_battery(x, second);
	return true;
}

void h02_tail(struct h02_text *x, size_t at)
{
	size_t n = x->count > at ? x->count - at : 0;
	if (n > 0 && h02_field(x, at + n - 1).len == 0)
		n--; /* a trailing comma */
	if (n == 0)
		return;
	if ((n == 6 && odometer_tail(x, at)) || (n > 6 && (watch_tail(x, at, n) || v9_tail(x, at, n))))
		return;
	bool known = n >= 4 && (n <= 8 || n == 14);
	if (!known) {
		h02_join(x, TM_TAIL, at, at + n);
		return;
	}
	if (!tail_cell(x, at) || n == 4)
		return;
	struct span fifth = h02_field(x, at + 4);
	if (typed_tail(x, at + 4, n))
		return;
	if (n == 5 && has_point(fifth)) {
		h02_put_decimal(x, TM_EXTERNAL_VOLTAGE, fifth, 1, 1);
	} else if (n == 5) {
		h02_put_battery(x, fifth);
	} else if (n == 14) {
		access_points(x, at + 4);
		radio_tail(x, at + 10);
	} else if (n == 8 && has_point(fifth)) {
		volts_tail(x, at + 4);
	} else {
		radio_tail(x, at + 4);
	}
}
