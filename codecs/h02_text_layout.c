/* h02_text_layout: the field layouts of H02 text: position block, confirmation, cell reports, tails.
 * May use: codec, h02. May not: allocate, log, ask the time.
 *
 *   block     HHMMSS, S, lat, N|S, lon, E|W, knots, course, [battery code,] DDMMYY, status [, tail...]
 *   tail      [mcc, mnc, lac, cellid [, more by their number]] */
#include "h02_number.h"
#include "h02_text.h"

/* --- helpers --- */

static bool is_digits(struct span s, size_t min, size_t max)
{
	return s.len >= min && s.len <= max && span_all(s, byte_is_digit);
}

static bool has_point(struct span s)
{
	return s.len > 0 && memchr(s.ptr, '.', s.len) != NULL;
}

static bool set_decimal(struct h02_text *x, enum telemetry_field field, struct span s, int64_t mul, int64_t div)
{
	struct h02_decimal d;
	if (!h02_decimal(s, false, &d))
		return false;
	telemetry_set(x->t, field, h02_scaled(d, mul, div, telemetry_params[field].decimals));
	return true;
}

static bool set_whole(struct h02_text *x, enum telemetry_field field, struct span s)
{
	int64_t v;
	if (!h02_whole(s, false, &v))
		return false;
	telemetry_set(x->t, field, v);
	return true;
}

static void set_battery_code(struct h02_text *x, struct span s)
{
	int64_t code;
	if (h02_whole(s, false, &code) && code <= 255)
		h02_set_battery_code(x->t, (unsigned)code);
}

/* 0 to 63 is RXLEV, a negative number is dBm, anything else is unknown. */
static bool level_dbm(int64_t level, int16_t *dbm)
{
	if (level < -200 || level > 63)
		return false;
	*dbm = (int16_t)(level < 0 ? level : level - 110);
	return true;
}

/* --- cells --- */

static void set_cell(struct h02_text *x, int64_t mcc, int64_t mnc, int64_t lac, int64_t cellid)
{
	if (mcc < 200 || mcc > 799)
		return;
	telemetry_set(x->t, TM_GSM_MCC, mcc);
	telemetry_set(x->t, TM_GSM_MNC, mnc);
	if (lac != 0)
		telemetry_set(x->t, TM_GSM_LAC, lac);
	if (cellid != 0)
		telemetry_set(x->t, TM_GSM_CELLID, cellid);
}

/* R-CELLBASE. Returns false when the rest of the tail is not to be read (hexadecimal units). */
static bool tail_cell(struct h02_text *x, size_t at)
{
	struct span f[4];
	for (size_t i = 0; i < 4; i++)
		f[i] = h02_field(x, at + i);
	int64_t mcc, mnc, lac, cellid;
	bool network = h02_whole(f[0], false, &mcc) && h02_whole(f[1], false, &mnc) && mcc >= 200 && mcc <= 799;
	if (network && h02_whole(f[2], false, &lac) && h02_whole(f[3], false, &cellid)) {
		set_cell(x, mcc, mnc, lac, cellid);
		return true;
	}
	bool letter = f[2].len >= 5 && !span_all(f[2], byte_is_digit);
	if (network && letter && !x->long_id && h02_hex(f[2], &cellid) && h02_whole(f[3], false, &lac)) {
		set_cell(x, mcc, mnc, lac, cellid);
		return true;
	}
	bool hex = h02_hex(f[0], &mcc) && h02_hex(f[1], &mnc) && h02_hex(f[2], &lac) && h02_hex(f[3], &cellid);
	if (!hex || mcc < 200 || mcc > 799)
		return true;
	set_cell(x, mcc, mnc, lac, cellid);
	return false;
}

/* The serving cell, or the n-th neighbour, with an optional level. */
static void add_cell(struct h02_text *x, int64_t n, int64_t lac, int64_t cellid, bool has_dbm, int16_t dbm)
{
	if (n > 0) {
		struct telemetry_cell cell = {(uint32_t)lac, (uint32_t)cellid, dbm, has_dbm};
		if (lac > UINT32_MAX || cellid > UINT32_MAX)
			telemetry_reject(x->t, TM_GSM_CELLID);
		else
			telemetry_add_cell(x->t, cell);
		return;
	}
	if (lac != 0)
		telemetry_set(x->t, TM_GSM_LAC, lac);
	if (cellid != 0)
		telemetry_set(x->t, TM_GSM_CELLID, cellid);
	if (has_dbm)
		telemetry_set(x->t, TM_GSM_DBM, dbm);
}

static void set_network(struct h02_text *x, int64_t mcc, int64_t mnc)
{
	if (mcc == 0)
		return;
	telemetry_set(x->t, TM_GSM_MCC, mcc);
	telemetry_set(x->t, TM_GSM_MNC, mnc);
}

/* HHMMSS, mcc, mnc, timing advance, n, n x (lac, cellid, level), DDMMYY, status [, battery code] */
enum codec_status h02_nbr(struct h02_text *x)
{
	int64_t v[4], cell[3];
	for (size_t i = 0; i < 4; i++)
		if (!h02_whole(h02_field(x, 3 + i), false, &v[i]))
			return CODEC_BAD_FIELDS;
	int64_t n = v[3];
	if (n > TM_CELLS_MAX || x->count < 7 + 3 * (size_t)n + 1)
		return CODEC_BAD_FIELDS;
	size_t date = 7 + 3 * (size_t)n;
	if (!h02_clock(x, x->field[2], x->field[date]))
		return CODEC_BAD_FIELDS;
	set_network(x, v[0], v[1]);
	telemetry_set(x->t, TM_TIMING_ADVANCE, v[2]);
	for (int64_t i = 0; i < n; i++) {
		for (size_t k = 0; k < 3; k++)
			if (!h02_whole(x->field[7 + 3 * (size_t)i + k], k == 2, &cell[k]))
				return CODEC_BAD_FIELDS;
		int16_t dbm = 0;
		bool has_dbm = level_dbm(cell[2], &dbm);
		add_cell(x, i, cell[0], cell[1], has_dbm, dbm);
	}
	h02_status_field(x, h02_field(x, date + 1));
	set_battery_code(x, h02_field(x, date + 2));
	return CODEC_OK;
}

/* HHMMSS, mcc and mnc, n, n x (lac, cellid, level, dBm), battery, reboot info, X, DDMMYY, status */
enum codec_status h02_cell_report(struct h02_text *x)
{
	struct span network = x->field[3];
	int64_t mcc, mnc, n, lac, cellid, level;
	if (!h02_whole(span_of(network.ptr, 3), false, &mcc) || !h02_whole(span_after(network, 3), false, &mnc) ||
	    !h02_whole(h02_field(x, 4), false, &n))
		return CODEC_BAD_FIELDS;
	if (n > TM_CELLS_MAX || x->count < 5 + 4 * (size_t)n + 4)
		return CODEC_BAD_FIELDS;
	size_t at = 5 + 4 * (size_t)n;
	if (!h02_clock(x, x->field[2], x->field[at + 3]))
		return CODEC_BAD_FIELDS;
	set_network(x, mcc, mnc);
	for (int64_t i = 0; i < n; i++) {
		const struct span *f = &x->field[5 + 4 * (size_t)i];
		if (!h02_whole(f[0], false, &lac) || !h02_whole(f[1], false, &cellid) ||
		    !h02_whole(f[2], true, &level) || (f[3].len > 0 && !h02_whole(f[3], true, &level)))
			return CODEC_BAD_FIELDS;
		bool has_dbm = f[3].len > 0 && level < 0 && level >= -200;
		add_cell(x, i, lac, cellid, has_dbm, (int16_t)(has_dbm ? level : 0));
	}
	telemetry_set_text(x->t, TM_BATTERY_RAW, x->field[at]);
	telemetry_set_text(x->t, TM_REBOOT_INFO, x->field[at + 1]);
	h02_status_field(x, h02_field(x, at + 4));
	return CODEC_OK;
}

/* mcc, mnc, then lac, cellid, level joined by the letter Y */
static enum codec_status vp1_cells(struct h02_text *x)
{
	int64_t mcc, mnc, v[3] = {0};
	if (!h02_whole(h02_field(x, 3), false, &mcc) || !h02_whole(h02_field(x, 4), false, &mnc))
		return CODEC_BAD_FIELDS;
	set_network(x, mcc, mnc);
	telemetry_set(x->t, TM_POSITION_VALID, false);
	struct span raw = h02_raw(x, 5);
	size_t from = 0, k = 0;
	for (size_t i = 0, n = 0; i <= raw.len; i++) {
		bool end = i == raw.len || raw.ptr[i] == 'Y';
		if (!end && raw.ptr[i] != ',')
			continue;
		if (raw.len == 0)
			break;
		if (k > 2 || !h02_whole(span_of(raw.ptr + from, i - from), k == 2, &v[k]))
			return CODEC_BAD_FIELDS;
		from = i + 1;
		k++;
		if (!end)
			continue;
		int16_t dbm = 0;
		bool has_dbm = k == 3 && level_dbm(v[2], &dbm);
		if (k < 2)
			return CODEC_BAD_FIELDS;
		add_cell(x, (int64_t)n++, v[0], v[1], has_dbm, dbm);
		k = 0;
	}
	return CODEC_OK;
}

/* --- position --- */

struct place { /* the seven fields from the validity on */
	bool valid;
	bool known; /* the flag follows its grammar */
};

static struct place read_validity(struct span s)
{
	if (s.len == 0)
		return (struct place){false, true};
	if (s.len == 1) {
		uint8_t c = s.ptr[0] & 0xdf;
		if (c == 'A' || c == 'V' || c == 'B')
			return (struct place){c == 'A', true};
	}
	bool number = is_digits(s, 1, 10);
	return (struct place){number, number};
}

/* 1, -1; 0 for none; 2 when it is no hemisphere. */
static int hemisphere(struct span s, char positive, char negative)
{
	if (s.len == 0 || span_is(s, "0"))
		return 0;
	if (s.len != 1)
		return 2;
	return s.ptr[0] == positive ? 1 : s.ptr[0] == negative ? -1 : 2;
}

static bool is_placeholder(struct span lat)
{
	return lat.len >= 5 && memcmp(lat.ptr, "9999.", 5) == 0;
}

/* validity, lat, N|S, lon, E|W, knots, course: seven fields from `at` on. */
static enum codec_status take_place(struct h02_text *x, size_t at)
{
	struct place p = read_validity(h02_field(x, at));
	struct span lat = h02_field(x, at + 1), lon = h02_field(x, at + 3);
	int ns = hemisphere(h02_field(x, at + 2), 'N', 'S'), ew = hemisphere(h02_field(x, at + 4), 'E', 'W');
	struct h02_decimal knots, course;
	if (!p.known || ns == 2 || ew == 2 || !h02_decimal(h02_field(x, at + 5), true, &knots) ||
	    !h02_decimal(h02_field(x, at + 6), true, &course))
		return CODEC_BAD_FIELDS;
	if (p.valid && (lat.len == 0 || lon.len == 0 || ns == 0 || ew == 0))
		return CODEC_BAD_FIELDS;
	int64_t latitude = 0, longitude = 0;
	if ((lat.len > 0 && !h02_coordinate(lat, &latitude)) || (lon.len > 0 && !h02_coordinate(lon, &longitude)))
		return CODEC_BAD_FIELDS;
	telemetry_set(x->t, TM_POSITION_VALID, p.valid);
	telemetry_set(x->t, TM_SPEED, h02_scaled(knots, 1852, 1000, 3));
	telemetry_set(x->t, TM_DIRECTION, h02_scaled(course, 1, 1, 4));
	bool none = lat.len == 0 || lon.len == 0 || ns == 0 || ew == 0 || (!p.valid && is_placeholder(lat));
	if (none)
		return CODEC_OK;
	if (ns < 0 && latitude != INT64_MAX)
		latitude = -latitude;
	if (ew < 0 && longitude != INT64_MAX)
		longitude = -longitude;
	return h02_set_position(x->t, p.valid, latitude, longitude);
}

enum codec_status h02_vp1(struct h02_text *x)
{
	struct span flag = h02_field(x, 2);
	if (span_is(flag, "V"))
		return vp1_cells(x);
	if ((!span_is(flag, "A") && !span_is(flag, "B")) || x->count < 10)
		return CODEC_BAD_FIELDS;
	/* The date alone makes no timestamp, but it must be one. */
	if (!h02_clock(x, span_of(NULL, 0), x->field[9]))
		return CODEC_BAD_FIELDS;
	return take_place(x, 2);
}

/* What stands between the date and the tail, by type. `at` is behind the date. */
static size_t take_status(struct h02_text *x, size_t at)
{
	if (span_is(x->type, "V19") && x->count > at + 2) {
		telemetry_set_text(x->t, TM_SIM_INFO, h02_field(x, at + 1));
		h02_iccid(x, h02_field(x, at + 2));
		at += 3;
	}
	h02_status_field(x, h02_field(x, at));
	return at + 1;
}

enum codec_status h02_block(struct h02_text *x, size_t at)
{
	if (x->count < at + 9)
		return CODEC_BAD_FIELDS;
	size_t d = at + 8;
	struct span next = h02_field(x, d + 1);
	bool battery = is_digits(x->field[d], 1, 3) && x->count > d + 1 &&
		       (next.len == 0 || is_digits(next, 6, 6) || next.len == 14);
	if (battery)
		d++;
	struct span date = x->field[d], glued = span_of(NULL, 0);
	if (date.len == 14) { /* the comma between date and status is missing */
		glued = span_after(date, 6);
		date.len = 6;
	}
	if (!h02_clock(x, x->field[at], date))
		return CODEC_BAD_FIELDS;
	enum codec_status status = take_place(x, at + 1);
	if (status != CODEC_OK)
		return status;
	if (battery)
		set_battery_code(x, x->field[d - 1]);
	if (glued.len > 0) {
		if (!h02_status_field(x, glued))
			return CODEC_BAD_FIELDS;
		h02_tail(x, d + 1);
	} else {
		h02_tail(x, take_status(x, d + 1));
	}
	return CODEC_OK;
}

/* --- V4 --- */

static bool block_starts(const struct h02_text *x, size_t at)
{
	struct span time = h02_field(x, at), flag = h02_field(x, at + 1);
	if (x->count < at + 9 || (time.len > 0 && !is_digits(time, 6, 6)))
		return false;
	bool letter = flag.len == 1 && read_validity(flag).known && !byte_is_digit(flag.ptr[0]);
	if (!letter && (flag.len > 0 || time.len == 0))
		return false;
	return hemisphere(h02_field(x, at + 3), 'N', 'S') != 2 && hemisphere(h02_field(x, at + 5), 'E', 'W') != 2;
}

/* S32 answers with the odometer in units of 1852/3600 m. */
static void take_mileage(struct h02_text *x, struct span counts)
{
	set_decimal(x, TM_MILEAGE, counts, 1852, 3600 * 1000);
}

/* R-V4: <CMD>[,<values>],<hhmmss>,<position block> */
enum codec_status h02_confirmation(struct h02_text *x)
{
	size_t block = 4, end;
	while (block < x->count && !block_starts(x, block))
		block++;
	bool found = block < x->count;
	end = found ? block : x->count;
	struct span word = h02_field(x, 2), time = span_of(NULL, 0);
	telemetry_set_text(x->t, TM_COMMAND_CODE, word);
	if (end > 3) {
		struct span last = h02_field(x, end - 1);
		if (is_digits(last, 6, 6) || (!found && is_digits(last, 14, 14))) {
			time = last;
			end--;
		}
	}
	telemetry_set_text(x->t, TM_COMMAND_TIME, time);
	if (end > 3)
		h02_join(x, TM_COMMAND_REPLY, 3, end);
	if (span_is(word, "S32") && end > 3)
		take_mileage(x, h02_field(x, 3));
	x->has_reply = true;
	command_token_copy(x->reply.token.word, sizeof(x->reply.token.word), word);
	command_token_copy(x->reply.token.time, sizeof(x->reply.token.time), time);
	if (telemetry_has(x->t, TM_COMMAND_REPLY))
		x->reply.result = x->t->value[TM_COMMAND_REPLY].text;
	return found ? h02_block(x, block) : CODEC_OK;
}

/* --- tails --- */

/* odometer m, temperature, fuel, altitude m, lac hex, cell hex */
static bool odometer_tail(struct h02_text *x, size_t at)
{
	struct span fuel = h02_field(x, at + 2);
	struct h02_decimal d;
	int64_t lac, cellid, altitude;
	if (!has_point(fuel) || !h02_decimal(fuel, false, &d))
		return false;
	set_decimal(x, TM_MILEAGE, h02_field(x, at), 1, 1000);
	set_decimal(x, TM_TEMPERATURE, h02_field(x, at + 1), 1, 1);
	set_decimal(x, TM_FUEL, fuel, 1, 1);
	if (h02_whole(h02_field(x, at + 3), true, &altitude))
		telemetry_set(x->t, TM_ALTITUDE, altitude);
	if (h02_hex(h02_field(x, at + 4), &lac) && h02_hex(h02_field(x, at + 5), &cellid))
		add_cell(x, 0, lac, cellid, false, 0);
	return true;
}

/* satellites, CSQ [, external volts x 10 [, battery percent]] from `at` on */
static void radio_tail(struct h02_text *x, size_t at)
{
	int64_t v;
	if (!set_whole(x, TM_SATELLITES, h02_field(x, at)))
		return;
	if (!h02_whole(h02_field(x, at + 1), false, &v))
		return;
	h02_set_csq(x->t, v);
	struct span volts = h02_field(x, at + 2);
	if (h02_whole(volts, false, &v) && v != 0)
		set_decimal(x, TM_EXTERNAL_VOLTAGE, volts, 1, 10);
	set_whole(x, TM_BATTERY_LEVEL, h02_field(x, at + 3));
}

/* external volts, CSQ, satellites, battery volts */
static void volts_tail(struct h02_text *x, size_t at)
{
	int64_t csq;
	if (!set_decimal(x, TM_EXTERNAL_VOLTAGE, h02_field(x, at), 1, 1) ||
	    !h02_whole(h02_field(x, at + 1), false, &csq))
		return;
	h02_set_csq(x->t, csq);
	if (set_whole(x, TM_SATELLITES, h02_field(x, at + 2)))
		set_decimal(x, TM_BATTERY_VOLTAGE, h02_field(x, at + 3), 1, 1);
}

static void access_points(struct h02_text *x, size_t at)
{
	for (size_t i = 0; i < 3; i++) {
		int64_t rssi;
		size_t step = i * (TM_WIFI_2_BSSID - TM_WIFI_1_BSSID);
		telemetry_set_text(x->t, (enum telemetry_field)(TM_WIFI_1_BSSID + step), h02_field(x, at + 2 * i));
		if (h02_hex(h02_field(x, at + 2 * i + 1), &rssi))
			telemetry_set(x->t, (enum telemetry_field)(TM_WIFI_1_DBM + step), rssi - 110);
	}
}

/* V5: odometer m [, external volts x 10]; V6: ICCID [, battery code]. False: not such a type. */
static bool typed_tail(struct h02_text *x, size_t at, size_t n)
{
	struct span first = h02_field(x, at), second = h02_field(x, at + 1);
	if (span_is(x->type, "V5") && (n == 5 || n == 6)) {
		int64_t v;
		if (h02_whole(first, false, &v) && set_decimal(x, TM_MILEAGE, first, 1, 1000) &&
		    h02_whole(second, false, &v) && v != 0)
			set_decimal(x, TM_EXTERNAL_VOLTAGE, second, 1, 10);
		return true;
	}
	if (!span_is(x->type, "V6") || (n != 5 && n != 6))
		return false;
	h02_iccid(x, first);
	set_battery_code(x, second);
	return true;
}

void h02_tail(struct h02_text *x, size_t at)
{
	size_t n = x->count > at ? x->count - at : 0;
	if (n > 0 && h02_field(x, at + n - 1).len == 0)
		n--; /* a trailing comma */
	if (n == 0)
		return;
	if (n == 6 && odometer_tail(x, at))
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
		set_decimal(x, TM_EXTERNAL_VOLTAGE, fifth, 1, 1);
	} else if (n == 5) {
		set_battery_code(x, fifth);
	} else if (n == 14) {
		access_points(x, at + 4);
		radio_tail(x, at + 10);
	} else if (n == 8 && has_point(fifth)) {
		volts_tail(x, at + 4);
	} else {
		radio_tail(x, at + 4);
	}
}
