// SPDX-License-Identifier: MIT
/* fuzz_config: arbitrary bytes as a configuration file. */
#include "bridge/settings/config.h"
#include "file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config;
	config_init(&config);
	config_load(&config, fuzz_file(data, size), fuzz_null());
	config_free(&config);
	return 0;
}
