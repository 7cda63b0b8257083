// SPDX-License-Identifier: MIT
/* pretty: a record for people: key, value, unit and meaning, line by line.
 * Uses: codecs/record; <cJSON.h>.
 * Not: know the record but by its JSON document, so that nothing is shown or left out that programs do not get. */
#ifndef T2M_PRETTY_H
#define T2M_PRETTY_H

#include "codecs/record/bytes.h"

#include <stdio.h>

/* `json`: a record as the JSON emitter writes it. Meanings and units are those of the table of parameters. */
void pretty_record(FILE *out, struct span json);

#endif
