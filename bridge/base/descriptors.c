// SPDX-License-Identifier: MIT
/* descriptors: see descriptors.h. */
#include "bridge/base/descriptors.h"

#include "bridge/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

void descriptors_raise(int64_t connections)
{
	struct rlimit limit;
	rlim_t want = (rlim_t)connections + 2 * DESCRIPTORS_KEPT;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want)
		return;
	rlim_t hard = limit.rlim_max;
	limit.rlim_cur = want;
	limit.rlim_max = hard > want ? hard : want;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return; /* root may raise its own hard limit */
	limit.rlim_cur = limit.rlim_max = hard;
	setrlimit(RLIMIT_NOFILE, &limit);
	log_warning("the system allows %llu descriptors; that is fewer than max_connections = %lld",
		(unsigned long long)hard, (long long)connections);
}

bool descriptors_room(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return true;
	/* the system gives the lowest free number, so that number says how many are open, whoever opened them */
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return errno != EMFILE && errno != ENFILE;
	close(fd);
	return (rlim_t)fd + DESCRIPTORS_KEPT < limit.rlim_cur;
}
