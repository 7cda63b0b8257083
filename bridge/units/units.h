/* units: the units file: what is known of a unit beforehand, and who is admitted.
 * May use: inifile, topic, the codecs' options. May not: know connections or MQTT.
 *
 *   [9170123456]
 *   name = Van 12
 *   id = 12
 *   type = ST-903
 *   topic = van-12        instead of the ident in topics; not another unit's ident
 *   ack = r12             as [h02] ack
 *   timezone = +00:00     as [jt808] timezone
 *   relay = no            not to the maker's platform */
#ifndef T2M_UNITS_H
#define T2M_UNITS_H

#include "bridge/settings/config.h"
#include "bridge/base/hash.h"

struct unit_info {
	char ident[CODEC_IDENT_MAX + 1];
	char name[201], type[201], topic[61]; /* "": not given */
	int64_t id;                           /* -1: not given */
	int ack;                              /* -1: not given */
	int64_t timezone;                     /* INT64_MAX: not given */
	bool relay_off;
	unsigned seen;                /* keys in the file, a bit for each */
	unsigned topic_line;          /* where its topic stands there */
	struct codec_options options; /* the general ones with this unit's own */
	UT_hash_handle hh, by_topic;
};

struct units;

/* Reads the file; `path` "": none. NULL: faults were written to `errors`. */
struct units *units_open(const char *path, FILE *errors);
void units_free(struct units *units);

/* Gives every unit the general options with its own over them. `unrelayed`: how H02 units are acknowledged that are not
 * relayed. */
void units_use(struct units *units, const struct codec_options *general, enum h02_ack unrelayed);

/* Calls `gone` for each unit of `before` that is not in `now`. */
void units_gone(const struct units *before, const struct units *now, void (*gone)(void *ctx, const char *ident),
	void *ctx);

/* Has the file any unit? */
bool units_any(const struct units *units);
/* NULL when the file has no such unit. */
const struct unit_info *units_find(const struct units *units, struct span ident);
/* The unit with this name in topics, its own or its ident. */
const struct unit_info *units_find_topic(const struct units *units, struct span topic);

#endif
