// SPDX-License-Identifier: MIT
/* environment: options that the environment sets: TRACKER2MQTT_<SECTION>_<KEY>.
 * Uses: bridge/base.
 * Not: read files. */
#ifndef T2M_ENVIRONMENT_H
#define T2M_ENVIRONMENT_H

#include "bridge/settings/config.h"

#include <stdio.h>

/* Sets them over those of the file. Writes one line for each fault to `errors`; a variable with this beginning that is no option is
 * one, but for those that Kubernetes and Docker make for a service or container of this name. Returns the number of faults. */
unsigned environment_read(struct config *config, FILE *errors);

#endif
