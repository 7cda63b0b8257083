// SPDX-License-Identifier: MIT
/* version: see version.h. CMake gives T2M_COMMIT, empty when it is not known, and T2M_LIBRARIES, a line each, to this file alone. */
#include "bridge/base/version.h"

#include <stdio.h>

int version_print(const char *program)
{
	const char *commit = T2M_COMMIT;
	printf("%s " T2M_VERSION "%s%s%s\n", program, *commit ? " (" : "", commit, *commit ? ")" : "");
	printf("built with\n" T2M_LIBRARIES);
	return fflush(stdout) != 0;
}
