// SPDX-License-Identifier: MIT
/* password: the password for the broker, from the one place that has it.
 * Uses: bridge/base.
 * Not: show it. */
#ifndef T2M_PASSWORD_H
#define T2M_PASSWORD_H

#include "bridge/settings/config.h"

#include <stdio.h>

/* Sets config->mqtt.password, as config_load says. `config_path` NULL: no file. Returns the number of faults. */
unsigned password_use(struct config *config, const char *config_path, FILE *errors);

#endif
