// SPDX-License-Identifier: MIT
/* test_foreign: foreign protocols are named by their first bytes; noise, and what the codecs here read, is not. */
#include "harness.h"

#include "codecs/foreign.h"

#include <stdlib.h>

struct row {
	const char *name; /* NULL: none */
	const char *text, *hex;
};

/* Facts only: login and data packets as the makers' documents have them, with invented numbers and their right check sums. */
static const struct row rows[] = {
	{"Teltonika", NULL, "000f333536333037303432343431303133"},
	{"Teltonika", NULL,
		"000000000000003608010000016b40d8ea30010000000000000000000000000000000105021503010101425e0f01f1"
		"0000601a014e0000000000000000010000c7cf"},
	{"Teltonika", NULL,
		"003dcafe0105000f33353230393330383634303336353508010000016b4f815b300100000000000000000000000000"
		"00000103021503010101425dbc000001"},
	{"Ruptela", NULL, "0023000141fa43e58a95010001000000000000000000000000000000000000000000000000a8f4"},
	{"Ruptela", NULL, "000b000141fa43e58a950f00010626"},
	{"Galileosky", NULL, "0117000111021f033836323035373034373734353533310400007948"},
	{"Galileosky", NULL, "0114800111021f0338363230353730343737343535333169bf"},
	{"Eelink", NULL, "676701000c007b03541880486128290120"},
	{"PROXY v2", NULL, "0d0a0d0a000d0a515549540a2111000c"}, {"TLS", NULL, "1603010200010001fc0303"},
	{"DTLS", NULL, "16feff0000000000000000007a01"}, {"MQTT", NULL, "100c00044d5154540402003c0000"},
	{"MQTT", NULL, "10ff0100044d51545405"}, {"MQTT", NULL, "101200064d51497364700302003c0000"},
	{"RDP", NULL, "030000130ee000000000000100080003000000"},
	{"TK103",
		"(013612345678BP05000013612345678080524A2232.9806N11404.9355E000.1101241323."
		"8700000000L000450AC)",
		NULL},
	{"TK103", "(087073819397BR00170808A3500.0000N10600.0000E000.0012345000.00,00000000L0000)", NULL},
	{"TK103", "(357857041234567,DW30,050805,A,5544.2600N,03739.6834E,000.4,153055,000.0,20,0)", NULL},
	{"GPS103", "##,imei:359586015829802,A;", NULL},
	{"GPS103",
		"imei:359586015829802,tracker,0809231929,13554900601,F,112909.397,A,2234.4669,N,11354.3287,E,0."
		"11,;",
		NULL},
	{"GPS103", "359586015829802;", NULL},
	{"Meitrack", "$$A143,353358017784062,AAA,35,22.540113,114.076141,100313094354,A,5,22*D5\r\n", NULL},
	{"Totem", "$$B3359772032399074|60$GPRMC,094859.000,A,3648.2229,N,01008.0976,E,0.00,,221211,,,A*79|",
		NULL},
	{"Totem", "$$0128AA864244026065291|18001800140611020540|2241.8634N|", NULL},
	{"Queclink", "+RESP:GTFRI,060228,862170018895731,,,00,2,1,,,,,,20140101000000,0001$", NULL},
	{"Queclink", "+ACK:GTHBD,1A0401,135790246811220,,20100214093254,11F0$", NULL},
	{"Queclink", "+BUFF:GTFRI,060402,861074023747143,,,0,0,1,20150101000000,0001$", NULL},
	{"Suntech", "ST300STT;205174410;14;712;20110101;00:13:52;20647;-20.273947;-040.262460;", NULL},
	{"Suntech", "SA200STT;608945;129;20110101;18:39:33;15394;-23.2;-45.8;000.022;000.00;10;1;1;", NULL},
	{"Suntech", "ST910;Emergency;205027329;500;20110101;16:31:28;", NULL},
	{"Suntech", "STT;0810000123;BFFFFF;52;1.0.1;1;20190101;12:00:00;0;", NULL},
	{"Wialon IPS", "#L#353451044508750;NA\r\n", NULL},
	{"Wialon IPS", "#SD#250413;205444;5544.6025;N;03739.6834;E;0;0;0;0\r\n", NULL},
	{"Watch", "[3G*8800000015*0002*LK]", NULL}, {"Watch", "[SG*9070707070*0009*LK,0,12,80]", NULL},
	{"Xexun",
		"1203292316,+31653843434,GPRMC,211656.000,A,5213.0247,N,00516.7757,E,0.00,273.30,290312,,,A*62,"
		"F,,imei:123451042191239,07,23.4,F:3.94V,0,139,",
		NULL},
	{"NMEA", "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n", NULL},
	{"NMEA", "$GNGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n", NULL},
	{"AIS", "!AIVDM,1,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0*23\r\n", NULL},
	{"OsmAnd", "GET /?id=123456&lat=50.07&lon=14.45&timestamp=1700000000 HTTP/1.1\r\nHost: a\r\n\r\n",
		NULL},
	{"HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL}, {"HTTP", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NULL},
	{"SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", NULL},
	{"PROXY v1", "PROXY TCP4 203.0.113.4 198.51.100.1 50112 8888\r\n", NULL},
	{"SIP", "OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm;branch=foo\r\n", NULL},
	{NULL, "hello, is anybody there?\r\n", NULL}, {NULL, "GET me a beer", NULL},
	{NULL, "*HQ,1234567890,V1,", NULL}, {NULL, "$$$$$$$$$$$$$$$$$$$$$$$$", NULL},
	{NULL, "(((((((((((((((((((((((", NULL}, {NULL, "123456789012345678901234567890", NULL},
	{NULL, "#,#,#,#,\r\n", NULL}, {NULL, "ST;;;;", NULL}, {NULL, NULL, "7878787878787878787878787878"},
	{NULL, NULL, "78780d01012345678901234500018cdd0d0b"}, /* another end */
	{NULL, NULL, "000f3335363330373034323434313031"},     /* a digit is missing */
	{NULL, NULL, "00000000000000000000000000000000000000000000"},
	{NULL, NULL, "ffffffffffffffffffffffffffffffffffffffffffff"},
	{NULL, NULL, "0101010101010101010101010101010101010101"},
	{NULL, NULL,
		"000000000000003608010000016b40d8ea30010000000000000000000000000000000105021503010101425e0f01f1"
		"0000601a"
		"014e0000000000000000020000c7cf"}, /* two different counts */
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static size_t bytes_of(const struct row *row, uint8_t to[512])
{
	if (row->text != NULL) {
		memcpy(to, row->text, strlen(row->text));
		return strlen(row->text);
	}
	size_t n = strlen(row->hex) / 2;
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(byte_hex((uint8_t)row->hex[2 * i]) << 4 |
				  byte_hex((uint8_t)row->hex[2 * i + 1]));
	return n;
}

/* The name that these bytes get, read from memory of their own size. */
static const char *name_of(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	assert_non_null(exact);
	if (len > 0)
		memcpy(exact, bytes, len);
	const struct foreign *found = foreign_find(span_of(exact, len));
	free(exact);
	return found != NULL ? found->name : NULL;
}

static void test_names(void **state)
{
	uint8_t bytes[512];
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		size_t len = bytes_of(&rows[i], bytes);
		const char *name = name_of(bytes, len), *wanted = rows[i].name;
		if (name == NULL ? wanted != NULL : wanted == NULL || strcmp(name, wanted) != 0)
			fail_msg(
				"row %zu: %s instead of %s", i, name ? name : "none", wanted ? wanted : "none");
	}
}

/* What comes in pieces is never called something else before it is whole. */
static void test_pieces(void **state)
{
	uint8_t bytes[512];
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		size_t len = bytes_of(&rows[i], bytes);
		for (size_t n = 0; n < len; n++) {
			const char *name = name_of(bytes, n);
			if (name != NULL && (rows[i].name == NULL || strcmp(name, rows[i].name) != 0))
				fail_msg("row %zu, %zu bytes: %s", i, n, name);
		}
	}
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

static void test_noise(void **state)
{
	uint8_t bytes[64];
	uint32_t seed = 1;
	(void)state;
	for (unsigned n = 0; n < 300000; n++) {
		size_t len = next(&seed) % sizeof(bytes);
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)next(&seed);
		const char *name = name_of(bytes, len);
		if (name != NULL)
			fail_msg("noise %u is called %s", n, name);
	}
}

/* Neither whole, nor from any of its bytes on, nor with one byte changed. */
static void expect_none(const struct vector *v, struct span in, uint32_t *seed)
{
	uint8_t changed[4096];
	for (size_t i = 0; i < in.len; i++) {
		const char *name = name_of(in.ptr + i, in.len - i);
		if (name != NULL)
			fail_msg("%s of %s from byte %zu on is called %s", v->name, v->file, i, name);
	}
	for (unsigned n = 0; n < 50 && in.len > 0 && in.len <= sizeof(changed); n++) {
		memcpy(changed, in.ptr, in.len);
		changed[next(seed) % in.len] = (uint8_t)next(seed);
		const char *name = name_of(changed, in.len);
		if (name != NULL)
			fail_msg("%s of %s, damaged, is called %s", v->name, v->file, name);
	}
}

static void test_our_own(void **state)
{
	static const char *const files[] = {VECTOR_FILES};
	uint32_t seed = 2;
	size_t seen = 0;
	(void)state;
	for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
		struct vectors v = vectors_load(files[f]);
		for (size_t i = 0; i < v.count; i++)
			for (unsigned s = 0; s < v.item[i].segments; s++, seen++)
				expect_none(&v.item[i], v.item[i].segment[s], &seed);
		vectors_free(&v);
	}
	assert_true(seen > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_our_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
