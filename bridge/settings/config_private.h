// SPDX-License-Identifier: MIT
/* config_private: what the files that read the configuration share.
 * Uses: nothing else. */
#ifndef T2M_CONFIG_PRIVATE_H
#define T2M_CONFIG_PRIVATE_H

#include "bridge/settings/config.h"

/* Where each option was set, by its number. */
struct config_places {
	const char *path; /* of the file, as long as the configuration; NULL: there is none */
	struct config_place {
		unsigned line; /* of the file; 0: it does not set it */
		bool by_environment, by_old_name;
	} of[];
};

#define CONFIG_VARIABLES "TRACKER2MQTT_"

/* config_place.c: the variable that sets this option, as faults name it: environment:TRACKER2MQTT_<SECTION>_<KEY>. */
void config_variable(const struct option_at *at, char *out, size_t size);
/* config_unknown.c: says that there is no such option or section, what is near, or what is allowed. */
void config_unknown(const char *section, const char *key, char *what, size_t size);

/* config_environment.c: sets what the environment sets. The number of faults. */
unsigned config_read_environment(struct config *config, FILE *errors);
/* config_secret.c: sets the password from the only place that has one. The number of faults. */
unsigned config_use_password(struct config *config, FILE *errors);
/* config_check.c: do the options go together? The number of faults. */
unsigned config_check(const struct config *config, FILE *errors);

#endif
