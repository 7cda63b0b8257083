// SPDX-License-Identifier: MIT
/* gt06_private: what the files of the GT06 codec share, file by file, from the first byte to the answer.
 * Uses: codecs, codecs/record.
 * Not: be included outside of codecs/gt06.
 *
 *   gt06.c            binds: find -> read -> what the message says -> answer;  command
 *   gt06_frame.c      bytes to a message and back
 *   gt06_block.c      what messages are made of: date, position, cell, status, modules
 *   gt06_location.c   where the unit is, and its alarms
 *   gt06_cells.c      cells and access points around it
 *   gt06_info.c       login, heartbeat, information, replies
 *   gt06_variant.c    what makers have added
 *   gt06_answer.c     what it is answered, and what it answers to commands
 *   gt06_command.c    what is sent to it
 *   gt06_options.c    what users can set */
#ifndef T2M_GT06_PRIVATE_H
#define T2M_GT06_PRIVATE_H

#include "codecs/codec.h"
#include "codecs/gt06/gt06_options.h"
#include "codecs/record/calendar.h"

#define GT06_LENGTH_MIN 5    /* type, serial number and check code */
#define GT06_LENGTH_MAX 2048 /* more: the start is none */
#define GT06_FRAME_MAX (GT06_LENGTH_MAX + 6)

/* link->priv: frames carry no identity, so the connection remembers who logged in. */
struct gt06_link {
	uint8_t imei[8]; /* BCD, as received */
	bool logged_in;
	bool has_zone;
	int16_t zone_minutes; /* east of Greenwich, as the login said */
};
_Static_assert(sizeof(struct gt06_link) <= sizeof(((struct codec_link *)0)->priv), "room in the link");

static inline struct gt06_link *gt06_link(struct codec_link *link)
{
	return (struct gt06_link *)(void *)link->priv;
}

/* unit->priv: what commands need */
struct gt06_unit {
	uint32_t flag;   /* of the last command */
	uint16_t serial; /* of the last frame to the unit */
};
_Static_assert(sizeof(struct gt06_unit) <= sizeof(((struct codec_unit *)0)->priv), "room in the unit");

/* The forms of a frame. */
enum gt06_form {
	GT06_SHORT = 0, /* 78 78 */
	GT06_LONG,      /* 79 79 */
	GT06_WIFI       /* 78 78 without serial number and check code */
};

/* One message of a unit, its frame taken apart. */
struct gt06_message {
	enum gt06_form form;
	uint8_t type;
	uint16_t serial;     /* not of GT06_WIFI */
	struct span content; /* of GT06_WIFI all between start and end */
	const char *ident;   /* of the unit */
	int64_t zone_s;      /* of local times, in seconds east of Greenwich */
	char name[5];        /* "0x22" */
};

/* --- gt06_frame.c --- */

enum codec_status gt06_sniff(struct span head);
enum codec_status gt06_frame_find(struct codec_link *link, struct span in, struct frame *out);
/* Takes a frame apart; `t` only gets marks. OK, or why it is no message. */
enum codec_status gt06_frame_read(struct telemetry *t, struct span frame, struct gt06_message *m);
/* Writes a whole frame to the unit: length, type, content, serial number, check code. */
void gt06_frame_write(
	struct writer *out, enum gt06_form form, uint8_t type, struct span content, uint16_t serial);
/* 16 digits, the first left out when it is 0. false: it is no BCD. */
bool gt06_ident(struct span bcd, struct writer *out);

/* --- gt06_block.c --- */

/* What a decoder of a message gives besides OK and errors: UNSUPPORTED, when the content fits no layout of the type. */
typedef enum codec_status gt06_take(struct telemetry *t, const struct gt06_message *m);

/* Year of the century, month, day, hour, minute, second, a binary byte each. A date that does not exist is dropped. */
void gt06_time(struct telemetry *t, struct reader *r, int64_t zone_s);
/* A DWORD of Unix seconds; 0 is none. */
void gt06_unix_time(struct telemetry *t, struct reader *r);
/* Latitude, longitude, speed, course word: 11 bytes; without `has_speed` 10. OK, BAD_LATITUDE or BAD_LONGITUDE. */
enum codec_status gt06_place(struct telemetry *t, struct reader *r, bool has_speed);
/* Time, satellites and place, 18 bytes. OK, BAD_LENGTH, BAD_LATITUDE or BAD_LONGITUDE. */
enum codec_status gt06_gps(struct telemetry *t, struct reader *r, int64_t zone_s);
#define GT06_GPS_BYTES 18

/* How a cell is written: bytes of the network code (0: bit 15 of the country code tells), the area code and the cell id. */
struct gt06_cell {
	uint8_t mnc, lac, id;
};
extern const struct gt06_cell gt06_cell_2g, gt06_cell_4g;
/* The bytes of a cell that begins here; for mnc 0 the next two bytes are looked at. */
size_t gt06_cell_bytes(const struct reader *r, struct gt06_cell form);
void gt06_cell(struct telemetry *t, struct reader *r, struct gt06_cell form);
/* One network and `count` cells, each with a level byte: the serving cell, then neighbours. */
void gt06_cell_list(struct telemetry *t, struct reader *r, struct gt06_cell form, size_t count);

/* Which alarms a status tells. */
enum gt06_alarms { GT06_ALARMS_OF_STATE = 0, GT06_ALARMS_ALL };
/* The information byte with its booleans. `code`: of an alarm; 0: none. */
void gt06_information(
	struct telemetry *t, uint8_t information, struct span byte, unsigned code, enum gt06_alarms alarms);
void gt06_battery(struct telemetry *t, struct reader *r);
void gt06_battery_percent(struct telemetry *t, struct reader *r);
void gt06_signal(struct telemetry *t, struct reader *r);
/* Information, battery, signal, alarm code and, unless it is missing, language. `extended`: the language byte extends the code. */
void gt06_status(struct telemetry *t, struct reader *r, bool extended);
/* A WORD or, with `bytes` 1, a BYTE that counts 1/`per` V. */
void gt06_voltage(struct telemetry *t, struct reader *r, enum telemetry_field field, size_t bytes, int64_t per);
/* A DWORD of metres. */
void gt06_odometer(struct telemetry *t, struct reader *r);
/* ACC, upload mode, stored. */
void gt06_report_kind(struct telemetry *t, struct reader *r);
/* Upload mode, stored. */
void gt06_mode_stored(struct telemetry *t, struct reader *r);
/* IMEI and the like: hex digits; fillers F at the end are cut, and the leading zero of an IMEI. */
void gt06_digits(struct telemetry *t, struct reader *r, size_t bytes, enum telemetry_field field);
/* The bytes as upper-case hex. */
void gt06_hex(struct telemetry *t, struct span bytes, enum telemetry_field field);
/* The content as it is: its bytes in hex. */
enum codec_status gt06_payload(struct telemetry *t, const struct gt06_message *m);

/* --- gt06_location.c --- */

/* 0x12, 0x22, 0x2D */
enum codec_status gt06_location(struct telemetry *t, const struct gt06_message *m);
/* 0x10, 0x1A, 0x2A: nothing that is emitted follows the position */
enum codec_status gt06_position(struct telemetry *t, const struct gt06_message *m);
/* 0xA0 */
enum codec_status gt06_location_4g(struct telemetry *t, const struct gt06_message *m);
/* 0x16, 0x26, 0x27, 0xA3, 0xA4 */
enum codec_status gt06_alarm(struct telemetry *t, const struct gt06_message *m);
/* 0x19, 0xA5 */
enum codec_status gt06_cell_alarm(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_location_31(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_location_32(struct telemetry *t, const struct gt06_message *m);

/* --- gt06_cells.c --- */

/* 0x18, 0x28, 0x2E, 0x24 */
enum codec_status gt06_cells(struct telemetry *t, const struct gt06_message *m);
/* 0x2C, 0xA1, 0xA2 */
enum codec_status gt06_cells_wifi(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_cell_11(struct telemetry *t, const struct gt06_message *m);
/* 0xA7 */
enum codec_status gt06_cell_address(struct telemetry *t, const struct gt06_message *m);
/* 0x1E */
enum codec_status gt06_cells_extended(struct telemetry *t, const struct gt06_message *m);
/* the short form */
enum codec_status gt06_wifi(struct telemetry *t, const struct gt06_message *m);

/* --- gt06_info.c --- */

/* Also notes the time zone in the link. */
enum codec_status gt06_login(struct telemetry *t, struct gt06_link *l, const struct gt06_message *m);
/* 0x13 */
enum codec_status gt06_heartbeat(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_heartbeat_23(struct telemetry *t, const struct gt06_message *m);
/* 0x8A */
enum codec_status gt06_time_request(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_information_94(struct telemetry *t, const struct gt06_message *m);
/* 78 78 94 */
enum codec_status gt06_voltage_94(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_reply_15(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_reply_21(struct telemetry *t, const struct gt06_message *m);

/* --- gt06_variant.c --- */

/* 79 79 32, 33 */
enum codec_status gt06_az735(struct telemetry *t, const struct gt06_message *m);
/* 0x34 */
enum codec_status gt06_x1(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_status_36(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_location_37(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_location_38(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_modules_70(struct telemetry *t, const struct gt06_message *m);
enum codec_status gt06_modules_f1(struct telemetry *t, const struct gt06_message *m);
/* 0x17 */
enum codec_status gt06_rfid(struct telemetry *t, const struct gt06_message *m);
/* 0x61 */
enum codec_status gt06_ibutton(struct telemetry *t, const struct gt06_message *m);
/* 0x95 */
enum codec_status gt06_camera(struct telemetry *t, const struct gt06_message *m);

/* --- gt06_answer.c --- */

/* The forms of an answer to the unit. */
enum gt06_answer {
	GT06_ANSWER_NONE = 0,
	GT06_ANSWER_SHORT, /* type and serial number repeated */
	GT06_ANSWER_LONG,  /* the same as 79 79 */
	GT06_ANSWER_TIME,
	GT06_ANSWER_WIFI
};

void gt06_answer(const struct codec_link *link, const struct gt06_message *m, enum gt06_answer answer,
	const struct codec_sink *sink);
/* Tells the bridge that the message, whose record is `t`, answers a command. */
void gt06_tell_reply(const struct telemetry *t, struct span frame, const struct codec_sink *sink);

/* --- gt06_command.c --- */

enum codec_status gt06_encode(struct codec_link *link, const struct command *command, struct writer *out,
	struct command_token *token);
bool gt06_is_whole(struct span bytes, bool own, struct codec_whole *out);
extern const struct command_spec gt06_commands[];

#endif
