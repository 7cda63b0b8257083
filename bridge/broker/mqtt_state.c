// SPDX-License-Identifier: MIT
/* mqtt_state: what all files of the broker ask of a connection, and giving it up.
 * Uses: nothing else.
 * Not: call the library. */
#include "bridge/broker/mqtt_private.h"

#include <stdarg.h>

void mqtt_give_up(struct mqtt *m, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (!m->broken)
		vsnprintf(m->why, sizeof(m->why), format, args);
	va_end(args);
	m->broken = true;
}

bool mqtt_connected(const struct mqtt *m)
{
	return m->connected && !m->broken;
}

double mqtt_connected_seconds(const struct mqtt *m)
{
	return mqtt_connected(m) ? ev_now(m->loop) - m->connected_at : 0;
}

bool mqtt_may_repeat(const struct mqtt *m)
{
	return m->resume.present && mqtt_connected_seconds(m) < REPEAT_SECONDS;
}

bool mqtt_takes(const struct mqtt *m, size_t bytes)
{
	return m->packet_most == 0 || bytes <= m->packet_most;
}

double mqtt_away_seconds(const struct mqtt *m)
{
	return mqtt_connected(m) ? 0 : ev_now(m->loop) - m->away_since;
}

const char *mqtt_user(const struct mqtt *m)
{
	return *m->config->mqtt.username ? m->config->mqtt.username : "the bridge";
}

int mqtt_version(const struct mqtt *m)
{
	return m->link != NULL ? m->link->version : mqtt_place(m)->dialect.now;
}

const struct host *mqtt_host(const struct mqtt *m)
{
	return &m->hosts.item[m->at];
}

const struct place *mqtt_place(const struct mqtt *m)
{
	return &m->places[m->at];
}

unsigned mqtt_host_number(const struct mqtt *m)
{
	return m->at;
}

bool mqtt_is_humble(const struct mqtt *m)
{
	return ev_now(m->loop) < m->humble_until;
}

bool mqtt_left_out(const struct mqtt *m, enum stage stage)
{
	return ev_now(m->loop) < m->without_until[stage];
}

uint16_t mqtt_next_mid(const struct mqtt *m)
{
	return m->last_mid == UINT16_MAX ? 1 : (uint16_t)(m->last_mid + 1);
}

bool mqtt_mid_is_taken(const struct mqtt *m)
{
	return m->inflight > 0 && m->flights[mqtt_next_mid(m)].seqnum != 0;
}
