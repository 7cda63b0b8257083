// SPDX-License-Identifier: MIT
/* h02_options: what can be set for H02 units: [h02] in the configuration.
 * Uses: codecs.
 * Not: know who sets it. */
#ifndef T2M_H02_OPTIONS_H
#define T2M_H02_OPTIONS_H

#include "codecs/option.h"

/* How units are acknowledged: as the message type wants it, always in one form, or not at all. */
enum h02_ack { H02_ACK_AUTO = 0, H02_ACK_V4, H02_ACK_R12, H02_ACK_OFF };

/* codec_unit.options of an H02 unit. */
struct h02_options {
	int64_t ack;      /* enum h02_ack */
	int64_t timezone; /* of the times that units send, in seconds east of Greenwich */
};

extern const struct option_row h02_option_rows[];

#endif
