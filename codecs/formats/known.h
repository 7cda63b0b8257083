// SPDX-License-Identifier: MIT
/* known: the newest value of every key of a unit, merged over its records by their dates, in few bytes.
 * Uses: codecs/record.
 * Not: know units, topics, or who asks.
 *
 * It is a list of groups, the newest first: keys whose newest value is from the same record, with its date. A key stands in one
 * group. An older record fills only keys of which nothing newer is known.
 *
 * Some keys tell of a record and not of the unit (timestamp, peer, message.type ...): they are those of the newest record. The place
 * (position.* but position.valid and position.satellites) comes from valid fixes only, and position.timestamp is the time of the fix.
 * What the units file says (device.id ...) is left out, and so are alarms that are only announced, and what was rejected. */
#ifndef T2M_KNOWN_H
#define T2M_KNOWN_H

#include "codecs/record/telemetry.h"

#define KNOWN_BYTES_MOST 8192 /* of one unit; beyond, what was reported longest ago is forgotten */
#define KNOWN_ITEMS_MOST 64   /* values without a row in the table */

/* The bytes name keys by their number in a parameter table. Another version of the program may have them in another order, so the
 * bytes are kept with the key of their table, and the table beside them, once. */
struct known_table {
	uint32_t key;
	unsigned count;
	uint16_t field[TM_WORDS_MAX * 64]; /* of this program; KNOWN_NOWHERE: it has none that is the same */
	uint8_t type[TM_WORDS_MAX * 64];   /* enum param_type */
	uint64_t booleans[TM_WORDS_MAX];
};
#define KNOWN_NOWHERE UINT16_MAX

/* The table of this program; and as text, to be kept. */
void known_table_own(struct known_table *table);
void known_table_save(struct writer *out);
/* The table that another program kept. False: it is none. */
bool known_table_load(struct known_table *table, struct span saved);

/* `known`: the bytes of what is known; empty: nothing. */

/* Merges a record with this date (Unix time in ms; of equal ones, the later call is newer). `own`: this program's table. `out`: where
 * the new bytes are written; it has room for KNOWN_WORK_BYTES. The new bytes; empty: the record changes nothing. */
#define KNOWN_WORK_BYTES (4 * KNOWN_BYTES_MOST)
struct span known_merge(struct span known, const struct known_table *own, const struct telemetry *record,
	int64_t date_ms, struct writer *out);
/* Joins what is known elsewhere, by the same table: one group of `more` from byte *at on, which then is behind it; until *at == more.len. Of equal
 * dates, that of `more` is newer. `work`: a record to work with. The new bytes; empty: nothing changes. */
struct span known_join(struct span known, const struct known_table *own, struct span more, size_t *at,
	struct telemetry *work, struct writer *out);
/* Makes `out` a record of all that is known. Its texts are valid as long as the bytes. */
void known_record(struct span known, const struct known_table *own, struct telemetry *out);
/* Makes `out` a record of what is known from the fix that gave the place: the very record, while it is the newest one. False: no place is
 * known. */
bool known_place(struct span known, const struct known_table *own, struct telemetry *out);
/* Bytes that were kept, with the table that they were written with -> `out`, with room for KNOWN_BYTES_MOST. What this program's table
 * does not have, or has in another form, is left out. False: these are no such bytes. */
bool known_load(
	struct span kept, const struct known_table *own, const struct known_table *theirs, struct writer *out);

#endif
