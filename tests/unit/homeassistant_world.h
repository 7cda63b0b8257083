// SPDX-License-Identifier: MIT
/* homeassistant_world: what stands around Home Assistant's output in its tests: one unit on line, and readers of what is told.
 * May use: outputs_world.h. May not: be part of the program. */
#ifndef T2M_HOMEASSISTANT_WORLD_H
#define T2M_HOMEASSISTANT_WORLD_H

#include "outputs_world.h"

#include "bridge/outputs/homeassistant.h"
#include "bridge/outputs/status.h"

#define CONFIG "homeassistant/device/tracker2mqtt_" IDENT "/config"

static struct status *status;
static struct homeassistant *homeassistant;
static struct session *unit;

static inline int set_up(void **state)
{
	(void)state;
	world_open();
	config.homeassistant.unknown = true;
	status = status_open(&config, publish);
	homeassistant = homeassistant_open(&config, publish, sessions);
	assert_true(status != NULL && homeassistant != NULL);
	listen_to(status_listener(status));
	listen_to(homeassistant_listener(homeassistant));
	unit = on_line(IDENT);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	homeassistant_free(homeassistant);
	status_free(status);
	world_close();
	return 0;
}

static inline void give_battery(void)
{
	telemetry_reset(&t);
	telemetry_set(&t, TM_BATTERY_LEVEL, 80);
	assert_true(give(unit));
}

/* What Home Assistant says on its topic. */
static inline void birth(const char *payload)
{
	const struct route_message m = {.payload = span_text(payload), .expiry_s = -1};
	homeassistant_birth(homeassistant, &m, now);
	catch_up();
}

/* The components of the message in got; to be deleted. */
static inline cJSON *components(cJSON **root)
{
	*root = cJSON_Parse(got.text);
	assert_non_null(*root);
	cJSON *all = cJSON_GetObjectItem(*root, "cmps");
	assert_non_null(all);
	return all;
}

static inline const char *text_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, key));
	return text != NULL ? text : "";
}

static inline const cJSON *entity(const cJSON *all, const char *id)
{
	const cJSON *found = cJSON_GetObjectItem(all, id);
	if (found == NULL)
		fail_msg("there is no %s", id);
	return found;
}

/* It stands there only to be removed: it has its platform, and nothing else. */
static inline bool is_stub(const cJSON *all, const char *id)
{
	const cJSON *found = entity(all, id);
	return cJSON_GetArraySize(found) == 1 && *text_of(found, "p") != '\0';
}

static inline unsigned availability_of(const cJSON *object)
{
	return (unsigned)cJSON_GetArraySize(cJSON_GetObjectItem(object, "availability"));
}

static inline void give_text(enum telemetry_field field, const char *text)
{
	telemetry_reset(&t);
	telemetry_set_text(&t, field, span_text(text));
	assert_true(give(unit));
}

#endif
