/* fuzz_config: arbitrary bytes as a configuration file. */
#include "config.h"

#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	static FILE *null;
	if (null == NULL) {
		null = fopen("/dev/null", "w");
		snprintf(path, sizeof(path), "/tmp/fuzz_config.%d", (int)getpid());
	}
	FILE *f = fopen(path, "w");
	if (f == NULL || null == NULL)
		abort();
	fwrite(data, 1, size, f);
	fclose(f);
	struct config config;
	config_init(&config);
	config_load(&config, path, null);
	config_free(&config);
	unlink(path);
	return 0;
}
