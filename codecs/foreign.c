// SPDX-License-Identifier: MIT
/* foreign: see foreign.h. One table, the most special row first.
 * Sources: the makers' protocol documents as they are public, RFC 8446, 4253, 9112, 6347, haproxy's proxy-protocol.txt, MQTT 3.1.1 and 5. */
#include "codecs/foreign.h"

#define IMEI 15
#define LOOK 300 /* so far a mark inside a line is looked for */

/* --- what the tests share --- */

static uint8_t at(struct span in, size_t i)
{
	return i < in.len ? in.ptr[i] : 0;
}

static size_t be16(struct span in, size_t i)
{
	return (size_t)at(in, i) << 8 | at(in, i + 1);
}

static size_t le16(struct span in, size_t i)
{
	return (size_t)at(in, i + 1) << 8 | at(in, i);
}

static bool begins(struct span in, const char *text)
{
	size_t n = strlen(text);
	return in.len >= n && memcmp(in.ptr, text, n) == 0;
}

/* Does it begin with one of the words? They end with NULL. */
static bool begins_with_one(struct span in, const char *const *words)
{
	for (; *words != NULL; words++)
		if (begins(in, *words))
			return true;
	return false;
}

/* Where the text begins within the first LOOK bytes; SIZE_MAX: nowhere. */
static size_t find(struct span in, const char *text)
{
	for (size_t i = 0; i < in.len && i < LOOK; i++)
		if (begins(span_after(in, i), text))
			return i;
	return SIZE_MAX;
}

static bool has(struct span in, const char *text)
{
	return find(in, text) != SIZE_MAX;
}

static bool is_upper(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}

/* How many characters of this kind stand from `from` on. */
static size_t run(struct span in, size_t from, bool (*is)(uint8_t))
{
	size_t n = 0;
	while (from + n < in.len && is(in.ptr[from + n]))
		n++;
	return n;
}

static size_t digits(struct span in, size_t from)
{
	return run(in, from, byte_is_digit);
}

/* CRC-16 with the lowest bit first. */
static size_t crc16(struct span in, unsigned polynomial, unsigned crc)
{
	for (size_t i = 0; i < in.len; i++) {
		crc ^= in.ptr[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
	}
	return crc;
}

/* --- trackers --- */

static bool is_avl_codec(uint8_t c)
{
	return c == 0x08 || c == 0x8e || c == 0x10;
}

/* The IMEI behind its length; four zeros, a length, a codec's number, records between two equal counts; or as a datagram. */
static bool is_teltonika(struct span in)
{
	if (be16(in, 0) == IMEI && digits(in, 2) == IMEI)
		return true;
	size_t len = be16(in, 6);
	if (be16(in, 0) == 0 && be16(in, 2) == 0 && be16(in, 4) == 0 && is_avl_codec(at(in, 8)))
		return len >= 10 && in.len >= len + 12 && at(in, 9) > 0 && at(in, 9) == at(in, len + 7);
	return be16(in, 0) == in.len - 2 && be16(in, 6) == IMEI && digits(in, 8) >= IMEI &&
	       is_avl_codec(at(in, 8 + IMEI));
}

/* (013612345678BP05… ), or with a comma behind the number. */
static bool is_tk103(struct span in)
{
	size_t n = digits(in, 1), behind = 1 + n;
	if (!begins(in, "(") || n < 9 || n > 16)
		return false;
	return (is_upper(at(in, behind)) && is_upper(at(in, behind + 1)) &&
		       run(in, behind, byte_is_alnum) >= 4) ||
	       (at(in, behind) == ',' && has(in, ")"));
}

/* ##,imei:123456789012345,A; and imei:123456789012345,tracker,… and, as a heartbeat, 123456789012345; */
static bool is_gps103(struct span in)
{
	if (begins(in, "##,imei:"))
		return true;
	if (begins(in, "imei:"))
		return digits(in, 5) >= 14;
	return digits(in, 0) == IMEI && at(in, IMEI) == ';' && in.len <= IMEI + 3; /* alone on its line */
}

/* $$A143,123456789012345,AAA,… */
static bool is_meitrack(struct span in)
{
	size_t n = digits(in, 3), comma = 3 + n;
	return begins(in, "$$") && at(in, 2) >= 'A' && at(in, 2) <= 'z' && n >= 1 && n <= 4 &&
	       at(in, comma) == ',' && digits(in, comma + 1) == IMEI && at(in, comma + 1 + IMEI) == ',';
}

/* $$B3123456789012345|… and $$0128AA123456789012345|… */
static bool is_totem(struct span in)
{
	size_t bar = find(in, "|");
	return begins(in, "$$") && bar >= 2 + IMEI && bar <= 8 + IMEI && digits(in, bar - IMEI) == IMEI &&
	       run(in, 2, byte_is_alnum) == bar - 2;
}

static bool is_queclink(struct span in)
{
	static const char *const words[] = {"+RESP:GT", "+ACK:GT", "+BUFF:GT", NULL};
	static const char *const binary[] = {"+RSP", "+BSP", "+EVT", "+BVT", "+INF", "+HBD", NULL};
	return begins_with_one(in, words) ||
	       (begins_with_one(in, binary) && in.len >= 12 && run(in, 4, byte_is_alnum) < 4);
}

/* A length, the IMEI as a number in 8 bytes, a command, its bytes, and their CRC (X.25's polynomial, from 0). */
static bool is_ruptela(struct span in)
{
	size_t len = be16(in, 0);
	uint64_t imei = 0;
	if (len < 9 || in.len < len + 4)
		return false;
	for (size_t i = 2; i < 10; i++)
		imei = imei << 8 | in.ptr[i];
	return imei >= 10000000000000 && imei <= 999999999999999 &&
	       be16(in, len + 2) == crc16(span_part(in, 2, len), 0x8408, 0);
}

/* ST300STT;…, SA200STT;…, ST910;…, or since 2019 STT;0123456789;… */
static bool is_suntech(struct span in)
{
	static const char *const words[] = {
		"STT;", "ALT;", "ALV;", "EMG;", "EVT;", "UEX;", "CRR;", "HTE;", "CMD;", NULL};
	if ((begins(in, "ST") || begins(in, "SA")) && digits(in, 2) == 3)
		return at(in, 5 + run(in, 5, is_upper)) == ';';
	size_t n = run(in, 4, byte_is_alnum);
	return begins_with_one(in, words) && digits(in, 4) >= 6 && at(in, 4 + n) == ';';
}

/* 01, a length whose bit 15 says that more waits, tags, and a CRC (that of Modbus). */
static bool is_galileosky(struct span in)
{
	size_t len = le16(in, 1) & 0x7fff;
	return at(in, 0) == 0x01 && len >= 3 && in.len >= len + 5 &&
	       le16(in, len + 3) == crc16(span_of(in.ptr, len + 3), 0xa001, 0xffff);
}

/* #L#…, #SD#…: upper-case letters between two #, and a whole line. */
static bool is_wialon(struct span in)
{
	static const char *const words[] = {"#L#", "#D#", "#SD#", "#B#", "#M#", "#P#", "#I#", NULL};
	return begins_with_one(in, words) && has(in, "\r\n");
}

/* [3G*1234567890*000D*LK,…] */
static bool is_watch(struct span in)
{
	size_t n = digits(in, 4), star = 4 + n;
	return at(in, 0) == '[' && byte_is_alnum(at(in, 1)) && byte_is_alnum(at(in, 2)) && at(in, 3) == '*' &&
	       n >= 8 && n <= IMEI && at(in, star) == '*' && run(in, star + 1, byte_is_alnum) == 4 &&
	       at(in, star + 5) == '*';
}

/* 1203292316,+31612345678,GPRMC,…,imei:123456789012345,… */
static bool is_xexun(struct span in)
{
	size_t sentence = find(in, "GPRMC,"), imei = find(in, "imei:");
	return sentence < 40 && imei != SIZE_MAX && imei > sentence && digits(in, imei + 5) >= 14;
}

/* 67 67, the kind of message, the length of all behind it. */
static bool is_eelink(struct span in)
{
	return begins(in, "gg") && at(in, 2) > 0 && at(in, 2) < 0x20 && be16(in, 3) >= 10 &&
	       in.len == be16(in, 3) + 5;
}

/* @@, the length of all, the number of the unit, 0D 0A. */
static bool is_castel(struct span in)
{
	size_t len = le16(in, 2);
	return begins(in, "@@") && len >= 29 && in.len >= len && be16(in, len - 2) == 0x0d0a;
}

static bool is_navtelecom(struct span in)
{
	return begins(in, "@NTC") && in.len >= 16;
}

static bool is_cellocator(struct span in)
{
	return begins(in, "MCGP") && in.len >= 15;
}

/* $GPRMC,… and its kin. */
static bool is_nmea(struct span in)
{
	static const char *const talkers[] = {"$GP", "$GN", "$GL", "$BD", "$GB", NULL};
	static const char *const words[] = {"RMC,", "GGA,", "GLL,", "GSA,", "GSV,", "VTG,", NULL};
	return begins_with_one(in, talkers) && begins_with_one(span_after(in, 3), words);
}

static bool is_ais(struct span in)
{
	return begins(in, "!AIVDM,") || begins(in, "!AIVDO,");
}

/* --- others --- */

/* A request, up to the version behind its address. */
static bool is_http(struct span in)
{
	static const char *const words[] = {"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "PATCH ", "OPTIONS ",
		"CONNECT ", "TRACE ", "PRI ", NULL};
	return begins_with_one(in, words) && has(in, " HTTP");
}

/* GET /?id=123456&lat=…&lon=… */
static bool is_osmand(struct span in)
{
	bool id = has(in, "?id=") || has(in, "&id=") || has(in, "?deviceid=") || has(in, "&deviceid=");
	return (begins(in, "GET /") || begins(in, "POST /")) && id && has(in, "lat=") && has(in, "lon=");
}

/* A record of a handshake: 16, the version 03 00 to 03 04, a length; in it a ClientHello, 01. */
static bool is_tls(struct span in)
{
	bool record = at(in, 0) == 0x16 && at(in, 1) == 0x03 && at(in, 2) <= 0x04 && in.len >= 5;
	return record && be16(in, 3) >= 4 && be16(in, 3) <= 0x4800 && (in.len == 5 || in.ptr[5] == 0x01);
}

static bool is_dtls(struct span in)
{
	return in.len >= 13 && in.ptr[0] == 0x16 && in.ptr[1] == 0xfe && in.ptr[2] >= 0xfc;
}

static bool is_ssh(struct span in)
{
	return begins(in, "SSH-2.") || begins(in, "SSH-1.");
}

/* CONNECT: 10, the length in one to four bytes, the name of the protocol. */
static bool is_mqtt(struct span in)
{
	size_t i = 1;
	while (i < 4 && at(in, i) >= 0x80)
		i++;
	struct span name = span_after(in, i + 1 < in.len ? i + 1 : in.len);
	return at(in, 0) == 0x10 && name.len >= 6 &&
	       (memcmp(name.ptr, "\0\4MQTT", 6) == 0 || memcmp(name.ptr, "\0\6MQIs", 6) == 0);
}

static bool is_proxy1(struct span in)
{
	return begins(in, "PROXY TCP4 ") || begins(in, "PROXY TCP6 ") || begins(in, "PROXY UNKNOWN");
}

static bool is_proxy2(struct span in)
{
	return in.len >= 12 && memcmp(in.ptr, "\r\n\r\n\0\r\nQUIT\n", 12) == 0;
}

/* 03 00, the length of all; behind it a connection request of X.224, E0. */
static bool is_rdp(struct span in)
{
	return in.len >= 7 && in.ptr[0] == 3 && in.ptr[1] == 0 && be16(in, 2) >= 11 && in.ptr[5] == 0xe0;
}

static bool is_sip(struct span in)
{
	return has(in, " sip:") && has(in, "SIP/2.0");
}

#define OTHER_TRACKER                                                                                          \
	"the tracker speaks a protocol that the bridge does not; some trackers can be switched by SMS, see "   \
	"the "                                                                                                 \
	"manual"
#define PROXY_OFF                                                                                              \
	"a proxy stands in front of this port: name the port in [listen] proxy_protocol, and the proxy in "    \
	"proxy_from"
#define SCAN "probably a scan of the Internet, no tracker"

static const struct foreign table[] = {
	{"PROXY v1", false, is_proxy1, PROXY_OFF},
	{"PROXY v2", false, is_proxy2, PROXY_OFF},
	{"TLS", false, is_tls,
		"this port is a plain one: name a port for TLS in [listen] tls, or turn TLS off in the "
		"tracker"},
	{"DTLS", false, is_dtls, "the bridge has no DTLS: turn it off in the tracker"},
	{"OsmAnd", true, is_osmand, "an app that reports over HTTP: the bridge does not take that"},
	{"HTTP", false, is_http,
		"a browser, a health check or a scan: trackers do not speak HTTP to this port"},
	{"SSH", false, is_ssh, SCAN},
	{"MQTT", false, is_mqtt,
		"this is the port for trackers: MQTT programs connect to the broker, see [mqtt] host and port"},
	{"SIP", false, is_sip, SCAN},
	{"RDP", false, is_rdp, SCAN},
	{"Teltonika", true, is_teltonika, OTHER_TRACKER},
	{"TK103", true, is_tk103, OTHER_TRACKER},
	{"GPS103", true, is_gps103, "(Coban) " OTHER_TRACKER},
	{"Meitrack", true, is_meitrack, OTHER_TRACKER},
	{"Totem", true, is_totem, OTHER_TRACKER},
	{"Queclink", true, is_queclink, OTHER_TRACKER},
	{"Ruptela", true, is_ruptela, OTHER_TRACKER},
	{"Suntech", true, is_suntech, OTHER_TRACKER},
	{"Galileosky", true, is_galileosky, OTHER_TRACKER},
	{"Wialon IPS", true, is_wialon, OTHER_TRACKER},
	{"Watch", true, is_watch, "(watches of SeTracker and its kin) " OTHER_TRACKER},
	{"Xexun", true, is_xexun, OTHER_TRACKER},
	{"Eelink", true, is_eelink, OTHER_TRACKER},
	{"Castel", true, is_castel, OTHER_TRACKER},
	{"Navtelecom", true, is_navtelecom, OTHER_TRACKER},
	{"Cellocator", true, is_cellocator, OTHER_TRACKER},
	{"NMEA", true, is_nmea,
		"bare lines of a GPS receiver, which do not say whose they are; " OTHER_TRACKER},
	{"AIS", false, is_ais, "ships' positions: the bridge does not take these"},
};

const struct foreign *foreign_find(struct span head)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].test(head))
			return &table[i];
	return NULL;
}
