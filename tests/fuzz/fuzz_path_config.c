// SPDX-License-Identifier: MIT
/* fuzz_path_config: the files and the clocks of a run. */
#include "fuzz_path.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* --- files --- */

#define DIRECTORY "t2m-fuzz-" /* and the number of the process */

static char config_path[40], units_path[40], directory[64], outbox_path[80];
static int config_fd, units_fd;

static void remove_outbox(const char *in)
{
	static const char *const names[] = {"data.mdb", "lock.mdb", "tracker2mqtt.lock"};
	char path[160];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/outbox/%s", in, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/outbox", in);
	rmdir(path);
}

static void remove_own(void)
{
	remove_outbox(directory);
	rmdir(directory);
}

/* A process that found something had no time to remove its own. */
static void remove_left_behind(const char *parent)
{
	DIR *all = opendir(parent);
	struct dirent *entry;
	while (all != NULL && (entry = readdir(all)) != NULL) {
		int number = 0;
		char path[100];
		if (sscanf(entry->d_name, DIRECTORY "%d", &number) != 1 || kill(number, 0) == 0)
			continue;
		snprintf(path, sizeof(path), "%s/" DIRECTORY "%d", parent, number);
		remove_outbox(path);
		rmdir(path);
	}
	if (all != NULL)
		closedir(all);
}

void files_open(void)
{
	const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	config_fd = memfd_create("config", 0);
	units_fd = memfd_create("units", 0);
	snprintf(config_path, sizeof(config_path), "/proc/self/fd/%d", config_fd);
	snprintf(units_path, sizeof(units_path), "/proc/self/fd/%d", units_fd);
	remove_left_behind(parent);
	snprintf(directory, sizeof(directory), "%s/" DIRECTORY "%d", parent, (int)getpid());
	if (config_fd < 0 || units_fd < 0 || mkdir(directory, 0700) != 0)
		abort();
	snprintf(outbox_path, sizeof(outbox_path), "%s/outbox", directory);
	atexit(remove_own);
}

const char *files_outbox(void)
{
	remove_outbox(directory);
	return outbox_path;
}

bool files_on_disk(const uint8_t choice[CONFIG_BYTES])
{
	return choice[0] % 16 == 1;
}

static void write_file(int fd, const char *text)
{
	size_t len = strlen(text);
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, len, 0) != (ssize_t)len)
		abort();
}

/* What may change by a reload comes from `units`, too. */
const char *files_write(const uint8_t choice[CONFIG_BYTES], unsigned units)
{
	static const char *const files[] = {"", "[22]\nname = x\ntopic = tt\n[333]\nack = r12\nrelay = no\n",
		"[13912345678]\nname = y\ntimezone = +00:00\n[1]\ntopic = t1\nid = 7\n",
		"[1]\nname = z\n[22]\ntopic = tt\n[333]\n[13912345678]\ntype = a\n[9170503816]\ntopic = van\n",
		"[1]\ntopic = other\n[1128]\nname = new\n", "[1]\nnonsense = 1\n"};
	const uint8_t *c = choice;
	char text[3000];
	unsigned more = units >> 3;
	int n = snprintf(text, sizeof(text),
		"[listen]\ntcp = 127.0.0.1:8888\nproxy_protocol = yes\nproxy_from = 10.0.0.0/8\n"
		"max_connections = %d\nmax_connections_per_address = %d\nfirst_frame_timeout = %ds\n"
		"idle_timeout = %ds\nudp_timeout = %ds\n"
		"[limits]\nunits = %d\nunidentified = %d\nunits_per_connection = %d\nframes_per_unit = %d\n"
		"frames_per_address = %d\narrivals_per_address = %d\nudp_arrivals = %d\ninput = %d\noutput = "
		"%d\n"
		"[publish]\ninstance = fuzz\nformat = %s\nraw = %s\nretain = %s\n"
		"[commands]\ngap = %dms\ntimeout = 3s\nhold = %ds\nmax_held_per_unit = %d\nallow = %s\n"
		"[outbox]\npath = %s\nsize = 1M\nsync = %s\nsync_interval = 20ms\n"
		"[h02]\nack = %s\n[jt808]\nregistration = %s\n[limits]\nparts = %d\n"
		"[units]\nfile = %s\nunknown = %s\nremember = 1d\nremembered = %d\n"
		"[owntracks]\ntopic = %s\n[homeassistant]\ndiscovery = %s\nretain = %s\nengine = yes\nunknown "
		"= yes\n"
		"[log]\nlevel = %s\n",
		(int)PICK(c[1] + more, 4, 5, 6, 8, 12, 20, 64, 1000), (int)PICK(c[1] >> 4, 0, 0, 0, 3),
		(int)PICK(c[2], 30, 1, 5), (int)PICK(c[2] >> 3, 120, 1800, 3), (int)PICK(c[2] >> 6, 120, 5),
		(int)PICK(c[3] + more, 3, 4, 5, 6, 10, 30, 100, 1000), (int)PICK(c[3] >> 4, 2, 3, 6, 50),
		(int)PICK(c[3] >> 6, 2, 3, 8, 1000), (int)PICK(c[4], 1000, 20, 0, 3),
		(int)PICK(c[4] >> 2, 0, 50000, 30), (int)PICK(c[4] >> 4, 0, 4, 5000, 50),
		(int)PICK(c[4] >> 6, 0, 4, 100, 500), (int)PICK(c[5], 4096, 16384, 131072),
		(int)PICK(c[5] >> 4, 4096, 65536), c[6] & 1 ? "msgpack" : "json",
		c[6] & 2   ? "yes"
		: c[6] & 8 ? "errors"
			   : "no",
		c[6] & 4 ? "no" : "yes", (int)PICK(c[7] + more, 0, 200, 50), (int)PICK(c[7] >> 3, 0, 5),
		(int)PICK(c[7] >> 5, 3, 8), c[7] & 16 ? "S20,engine.stop,position.request" : "",
		files_on_disk(c) ? outbox_path : "",
		c[0] & 128  ? "interval"
		: c[0] & 64 ? "never"
			    : "always",
		(const char *[]){"auto", "v4", "r12", "off"}[c[8] & 3], c[8] & 4 ? "reject" : "accept",
		(int)PICK(c[8] >> 3, 32, 2, 255), units_path, (units >> 3) % 4 == 3 ? "reject" : "accept",
		(int)PICK(c[12] + more, 100000, 0, 3, 60), c[9] & 1 ? "owntracks/{ident}/tracker" : "",
		c[6] & 1 || c[9] & 2 ? "no" : "yes", c[9] & 4 ? "yes" : "no", c[9] & 8 ? "notice" : "debug");
	if (n <= 0 || (size_t)n >= sizeof(text))
		abort();
	write_file(config_fd, text);
	write_file(units_fd, files[(units & 7) % 6]);
	return config_path;
}

/* --- clocks --- */

#define WALL_START_MS 1700000000000
#define WALL_LEAST_MS 1000000000000

static int64_t steady_ms, wall_ms;

void clocks_reset(void)
{
	steady_ms = 1000000;
	wall_ms = WALL_START_MS;
}

void clocks_pass(int64_t ms, int64_t jump_ms)
{
	steady_ms += ms;
	wall_ms += ms + jump_ms;
	if (wall_ms < WALL_LEAST_MS || wall_ms > 2 * WALL_START_MS)
		wall_ms = WALL_START_MS;
}

int64_t clocks_steady_ms(void)
{
	return steady_ms;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	int64_t now = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ? wall_ms : steady_ms;
	*t = (struct timespec){.tv_sec = now / 1000, .tv_nsec = now % 1000 * 1000000};
	return 0;
}

int __wrap_gettimeofday(struct timeval *t, void *zone);
int __wrap_gettimeofday(struct timeval *t, void *zone)
{
	(void)zone;
	*t = (struct timeval){.tv_sec = wall_ms / 1000, .tv_usec = wall_ms % 1000 * 1000};
	return 0;
}
