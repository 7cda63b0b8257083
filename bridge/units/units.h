// SPDX-License-Identifier: MIT
/* units: the units file: what is known of a unit beforehand, and who is admitted.
 * Uses: bridge/base, bridge/settings.
 * Not: know connections or MQTT, name a codec.
 *
 *   [9170123456]
 *   name = Van 12
 *   id = 12
 *   type = ST-903
 *   topic = van-12        instead of the ident in topics; not another unit's ident
 *   relay = no            not to the maker's platform
 *   raw = yes             its frames are published, whatever [publish] raw says
 *
 * An ident with zeros in front, as people copy it from a SIM card or a platform, is also found without them, unless another section has
 * that very ident.
 *
 * and each option that a codec lets be set per unit (OPTION_PER_UNIT), under the key that it has in the codec's own section. Where
 * several codecs have such an option with the same key, it is set for all that allow the value; one at least must. */
#ifndef T2M_UNITS_H
#define T2M_UNITS_H

#include "bridge/settings/config.h"
#include "bridge/base/hash.h"

/* What the word behind `relay` means; the words stand in units.c. */
enum unit_relay { UNIT_RELAY_YES = 0, UNIT_RELAY_NO };
#define UNIT_RAW_GENERAL (-1) /* as [publish] raw says */

struct unit_info {
	char ident[CODEC_IDENT_MAX + 1];
	char name[201], type[201], topic[61]; /* "": not given */
	int64_t id;                           /* -1: not given */
	int64_t relay;                        /* enum unit_relay */
	int64_t raw;                          /* enum publish_raw, or UNIT_RAW_GENERAL */
	unsigned seen;                        /* the file's own keys, a bit for each */
	unsigned topic_line;                  /* where its topic stands there */
	struct unit_options *options; /* for each codec of which it has options of its own; see unit_options */
	UT_hash_handle hh, by_topic, by_rest; /* by_rest: those with zeros in front, without them */
};

struct units;

/* Reads the file; `path` "": none. NULL: faults were written to `errors`. */
struct units *units_open(const char *path, FILE *errors);
void units_free(struct units *units);

/* Gives every unit the general options of the codecs below its own; again after a reload. */
void units_use(struct units *units, const struct codec_settings *general);

/* The options of this unit as a unit of this codec; NULL: it has none of its own, the general ones are meant. Valid as long as the
 * units. */
const void *unit_options(const struct unit_info *unit, const struct codec *codec);
/* Does the file say itself how the bridge answers this unit, as a unit of this codec (OPTION_ANSWERS)? */
bool unit_has_own_answers(const struct unit_info *unit, const struct codec *codec);

/* Sets in a record what the file says of its unit; `unit` NULL: nothing. The texts last as long as the units. */
void unit_describe(const struct unit_info *unit, struct telemetry *t);

/* Has the file any unit? */
bool units_any(const struct units *units);
/* Does this section stand for this ident: the same, or the same without the zeros in front? */
bool unit_is(const struct unit_info *unit, struct span ident);
/* The ident of the section without the zeros in front. */
const char *unit_rest(const struct unit_info *unit);
/* How many there are. */
unsigned units_count(const struct units *units);
/* NULL when the file has no such unit. */
const struct unit_info *units_find(const struct units *units, struct span ident);
/* The unit with this name in topics, its own or its ident. */
const struct unit_info *units_find_topic(const struct units *units, struct span topic);

#endif
