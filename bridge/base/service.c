// SPDX-License-Identifier: MIT
/* service: see service.h. */
#include "bridge/base/service.h"

#include "bridge/base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

void service_ready(void)
{
	sd_notify(0, "READY=1");
}

void service_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_steady_ms() * 1000);
}

void service_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void service_alive(const char *format, ...)
{
	char status[300];
	va_list args;
	va_start(args, format);
	vsnprintf(status, sizeof(status), format, args);
	va_end(args);
	sd_notifyf(0, "WATCHDOG=1\nSTATUS=%s", status);
}

double service_interval_seconds(void)
{
	uint64_t usec = 0;
	if (sd_watchdog_enabled(0, &usec) <= 0 || usec > 20000000)
		return 10.0;
	return (double)usec / 2e6;
}
