// SPDX-License-Identifier: MIT
/* gt06_info: who the unit is and how it does: login, heartbeat, information, replies to commands.
 * Uses: codecs/record.
 *
 *   01   IMEI 8 | [type of the unit 2 | [time zone and language 2]]
 *   13   status 5, whose alarm code counts only when it is 1 to 6 and the language 1 or 2
 *   94   kind 1 | value
 *   15   length 1 | flag of the command 4 | text | language 2
 *   21   flag of the command 4 | coding 1: 1 ASCII, 2 UTF-16 | text */
#include "codecs/gt06/gt06_private.h"
#include "codecs/record/mark.h"

/* --- login --- */

/* Bits 15 to 4: hours times 100 plus minutes; bit 3: west; below: language. */
static void take_zone(struct telemetry *t, struct gt06_link *l, uint16_t word)
{
	int hours = (word >> 4) / 100, minutes = (word >> 4) % 100;
	l->has_zone = hours <= 14 && minutes <= 59;
	if (!l->has_zone)
		return;
	l->zone_minutes = (int16_t)((hours * 60 + minutes) * (word & 8 ? -1 : 1));
	telemetry_set(t, TM_ZONE_MINUTES, l->zone_minutes);
}

enum codec_status gt06_login(struct telemetry *t, struct gt06_link *l, const struct gt06_message *m)
{
	struct reader r = reader_of(span_after(m->content, 8));
	mark(t, span_part(m->content, 0, 8), TM_IDENT);
	if (reader_left(&r) >= 2)
		gt06_hex(t, reader_take(&r, 2), TM_DEVICE_TYPE);
	if (reader_left(&r) >= 2)
		take_zone(t, l, reader_u16(&r));
	mark(t, span_part(m->content, 10, 2), TM_ZONE_MINUTES);
	return CODEC_OK;
}

/* --- heartbeat --- */

/* In newer documents the alarm code is a state of ports, in some units half of a voltage. */
static void take_state(
	struct telemetry *t, uint8_t information, struct span byte, uint8_t code, uint8_t language)
{
	bool is_alarm = code >= 1 && code <= 6 && (language == 1 || language == 2);
	gt06_information(t, information, byte, is_alarm ? code : 0, GT06_ALARMS_OF_STATE);
}

/* OBD6: information | 2 | alarm 1 | language 1 | battery 1, % | mode 1 | supply 2 | … */
static enum codec_status take_obd6(struct telemetry *t, struct reader *r)
{
	uint8_t information = reader_u8(r);
	struct span byte = reader_last(r, 1);
	reader_take(r, 2);
	uint8_t code = reader_u8(r);
	take_state(t, information, byte, code, reader_u8(r));
	gt06_battery_percent(t, r);
	reader_u8(r);
	gt06_voltage(t, r, TM_EXTERNAL_VOLTAGE, 2, 100);
	return CODEC_OK;
}

enum codec_status gt06_heartbeat(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	size_t bytes = m->content.len;
	if (bytes == 0)
		return CODEC_BAD_LENGTH;
	if (bytes == 14)
		return take_obd6(t, &r);
	if (bytes < 3 || bytes == 4)
		return CODEC_UNSUPPORTED;
	uint8_t information = reader_u8(&r);
	struct span byte = reader_last(&r, 1);
	if (bytes == 16) { /* information | 4 | battery 1, % | … */
		take_state(t, information, byte, 0, 0);
		reader_take(&r, 4);
		gt06_battery_percent(t, &r);
		return CODEC_OK;
	}
	gt06_battery(t, &r);
	gt06_signal(t, &r);
	uint8_t code = bytes == 3 ? 0 : reader_u8(&r);
	mark_number(t, reader_last(&r, bytes > 3), "alarm, or state of ports", code);
	take_state(t, information, byte, code, bytes == 3 ? 0 : reader_u8(&r));
	return CODEC_OK;
}

/* information 1 | supply 2 | signal 1 | language 2 */
enum codec_status gt06_heartbeat_23(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len == 0)
		return CODEC_BAD_LENGTH;
	if (m->content.len < 4)
		return CODEC_UNSUPPORTED;
	uint8_t information = reader_u8(&r);
	gt06_information(t, information, reader_last(&r, 1), 0, GT06_ALARMS_OF_STATE);
	gt06_voltage(t, &r, TM_EXTERNAL_VOLTAGE, 2, 100);
	gt06_signal(t, &r);
	return CODEC_OK;
}

/* Empty; with a time in it, it is what a server answers. */
enum codec_status gt06_time_request(struct telemetry *t, const struct gt06_message *m)
{
	if (m->content.len == 6)
		return CODEC_FROM_PLATFORM;
	return m->content.len == 0 ? CODEC_OK : gt06_payload(t, m);
}

/* --- information --- */

/* [date 6 |] bit 0: door open */
static enum codec_status take_door(struct telemetry *t, struct reader *r)
{
	if (reader_left(r) >= 7)
		gt06_time(t, r, 0);
	telemetry_set(t, TM_DOOR_OPEN, reader_u8(r) & 1);
	mark(t, reader_last(r, 1), TM_DOOR_OPEN);
	return CODEC_OK;
}

/* IMEI 8 | IMSI 8 | ICCID 10 */
static enum codec_status take_numbers(struct telemetry *t, struct reader *r)
{
	gt06_digits(t, r, 8, TM_DEVICE_IMEI);
	reader_take(r, 8);
	mark_name(t, reader_last(r, 8), "IMSI");
	gt06_digits(t, r, 10, TM_ICCID);
	return CODEC_OK;
}

enum codec_status gt06_information_94(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len == 0)
		return CODEC_BAD_LENGTH;
	gt06_hex(t, reader_take(&r, 1), TM_INFORMATION_TYPE);
	size_t left = reader_left(&r);
	struct span value = span_after(m->content, 1);
	switch (m->content.ptr[0]) {
	case 0x00:
	case 0x0b:
		if (left != 2)
			break;
		gt06_voltage(t, &r, TM_EXTERNAL_VOLTAGE, 2, 100);
		return CODEC_OK;
	case 0x04:
		if (!emit_is_utf8(value))
			break;
		telemetry_set_text(t, TM_PAYLOAD, span_trim(value, byte_is_nul));
		return CODEC_OK;
	case 0x05:
		if (left != 1 && left != 7)
			break;
		return take_door(t, &r);
	case 0x0a:
		if (left != 26)
			break;
		return take_numbers(t, &r);
	}
	gt06_hex(t, value, TM_PAYLOAD);
	return CODEC_OK;
}

enum codec_status gt06_voltage_94(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len != 2)
		return CODEC_UNSUPPORTED;
	gt06_voltage(t, &r, TM_EXTERNAL_VOLTAGE, 2, 100);
	return CODEC_OK;
}

/* --- replies --- */

static void take_flag(struct telemetry *t, struct reader *r)
{
	telemetry_set(t, TM_REPLY_SEQNUM, reader_u32(r));
	mark(t, reader_last(r, 4), TM_REPLY_SEQNUM);
}

static void put_utf8(struct writer *out, uint32_t c)
{
	uint8_t continued = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	if (c < 0x80) {
		writer_u8(out, (uint8_t)c);
		return;
	}
	static const uint8_t heads[] = {0, 0xc0, 0xe0, 0xf0};
	writer_u8(out, (uint8_t)(heads[continued] | c >> 6 * continued));
	while (continued-- > 0)
		writer_u8(out, (uint8_t)(0x80 | (c >> 6 * continued & 0x3f)));
}

/* Half a pair and half a unit become U+FFFD. */
static void take_utf16(struct reader *r, struct writer *out)
{
	while (reader_left(r) >= 2) {
		uint32_t c = reader_u16(r);
		if (c >= 0xd800 && c < 0xdc00 && reader_left(r) >= 2) {
			uint32_t low = reader_u16(r);
			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			} else {
				r->pos -= 2;
			}
		}
		if (c != 0)
			put_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	}
	if (reader_left(r) > 0)
		put_utf8(out, 0xfffd);
}

/* <ICCID:89…> */
static void find_iccid(struct telemetry *t, struct span text)
{
	static const char word[] = "<ICCID:";
	size_t from = sizeof(word) - 1, len = 0;
	if (text.len < from || memcmp(text.ptr, word, from) != 0)
		return;
	while (from + len < text.len && byte_is_alnum(text.ptr[from + len]))
		len++;
	telemetry_set_text(t, TM_ICCID, span_part(text, from, len));
}

/* Some units fill the text up with NULs. */
enum codec_status gt06_reply_15(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len == 0)
		return CODEC_BAD_LENGTH;
	size_t len = reader_u8(&r), left = reader_left(&r);
	mark_number(t, reader_last(&r, 1), "length of flag and text", (int64_t)len);
	if (len == 0)
		return CODEC_OK;
	if (len < 4 || len > left)
		return CODEC_UNSUPPORTED;
	take_flag(t, &r);
	struct span text = reader_take(&r, len - 4);
	while (text.len > 0 && text.ptr[text.len - 1] == 0)
		text.len--;
	telemetry_set_text(t, TM_COMMAND_REPLY, text);
	find_iccid(t, text);
	return CODEC_OK;
}

enum codec_status gt06_reply_21(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len < 4)
		return CODEC_BAD_LENGTH;
	take_flag(t, &r);
	if (reader_left(&r) == 0)
		return CODEC_OK;
	uint8_t coding = reader_u8(&r);
	mark_number(t, reader_last(&r, 1), "coding", coding);
	struct span text = span_after(m->content, r.pos);
	mark(t, text, TM_COMMAND_REPLY);
	if (coding != 2) {
		telemetry_set_text(t, TM_COMMAND_REPLY, text);
		return CODEC_OK;
	}
	struct writer w = telemetry_scratch(t);
	take_utf16(&r, &w);
	telemetry_set_scratch(t, TM_COMMAND_REPLY, &w);
	return CODEC_OK;
}
