// SPDX-License-Identifier: MIT
/* service: reports to systemd: ready, reloading, stopping, alive, a status line.
 * Uses: <systemd/sd-daemon.h>.
 * Not: know any part of the bridge. Without systemd every call does nothing. */
#ifndef T2M_SERVICE_H
#define T2M_SERVICE_H

#include <stdint.h>

void service_ready(void);
void service_reloading(void);
void service_stopping(void);
/* Tells the watchdog that the bridge is alive, and the line that `systemctl status` shows. */
void service_alive(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* How often service_alive is due: half of the watchdog's time, at most 10 s. */
double service_interval_seconds(void);

#endif
