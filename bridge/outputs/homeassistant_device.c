// SPDX-License-Identifier: MIT
/* homeassistant_device: see homeassistant_device.h. */
#include "bridge/outputs/homeassistant_device.h"

#include "bridge/base/topic.h"

#include <stdio.h>

#define SAVED_FORM 1 /* the first byte of what is kept */

enum platform { PLATFORM_SENSOR = 0, PLATFORM_BINARY };
enum category { CATEGORY_NONE = 0, CATEGORY_DIAGNOSTIC };

/* What a field becomes. NULL: none; decimals -1: as many as there are. What is kept of a unit names the rows by their number: new
 * ones stand at the end, and none is taken away. */
static const struct entity {
	const char *id, *name;
	uint16_t field;
	enum platform platform;
	const char *device_class, *unit, *state_class;
	int decimals;
	const char *icon;
	enum category category;
} entities[] = {
#define SENSOR(id, name, field, class, unit, decimals, icon, category)                                         \
	{id, name, field, PLATFORM_SENSOR, class, unit, "measurement", decimals, icon, category},
#define TOTAL(id, name, field, class, unit, decimals, icon)                                                    \
	{id, name, field, PLATFORM_SENSOR, class, unit, "total_increasing", decimals, icon, CATEGORY_NONE},
#define BINARY(id, name, field, class, icon)                                                                   \
	{id, name, field, PLATFORM_BINARY, class, NULL, NULL, -1, icon, CATEGORY_NONE},
	/* clang-format off */
	SENSOR("speed", "Speed", TM_SPEED, "speed", "km/h", 0, NULL, CATEGORY_NONE)
	SENSOR("battery", "Battery", TM_BATTERY_LEVEL, "battery", "%", 0, NULL, CATEGORY_NONE)
	SENSOR("battery_voltage", "Battery voltage", TM_BATTERY_VOLTAGE, "voltage", "V", 2, NULL, CATEGORY_DIAGNOSTIC)
	SENSOR("supply_voltage", "Supply voltage", TM_EXTERNAL_VOLTAGE, "voltage", "V", 1, NULL, CATEGORY_DIAGNOSTIC)
	SENSOR("signal", "Signal", TM_GSM_LEVEL, NULL, "%", 0, "mdi:signal", CATEGORY_DIAGNOSTIC)
	TOTAL("mileage", "Mileage", TM_MILEAGE, "distance", "km", 1, "mdi:counter")
	SENSOR("altitude", "Altitude", TM_ALTITUDE, "distance", "m", 0, "mdi:altimeter", CATEGORY_NONE)
	SENSOR("satellites", "Satellites", TM_SATELLITES, NULL, NULL, 0, "mdi:satellite-variant", CATEGORY_DIAGNOSTIC)
	SENSOR("fuel", "Fuel", TM_FUEL_VOLUME, "volume_storage", "L", 1, "mdi:gas-station", CATEGORY_NONE)
	BINARY("ignition", "Ignition", TM_IGNITION, "power", "mdi:key-variant")
	BINARY("engine_blocked", "Engine blocked", TM_ENGINE_BLOCKED, NULL, "mdi:engine-off")
	BINARY("door", "Door", TM_DOOR_OPEN, "door", NULL)
	BINARY("armed", "Armed", TM_DEFENSE_ACTIVE, NULL, "mdi:shield-car")
	BINARY("sos", "SOS", TM_SOS_ALARM, "safety", NULL)
	BINARY("power_cut", "Power cut", TM_POWER_CUT_ALARM, "problem", NULL)
	BINARY("battery_low", "Battery low", TM_BATTERY_LOW_ALARM, "battery", NULL)
	BINARY("vibration", "Vibration", TM_VIBRATION_ALARM, "vibration", NULL)
	BINARY("displacement", "Towed", TM_DISPLACEMENT_ALARM, "moving", NULL)
	BINARY("overspeed", "Overspeed", TM_OVERSPEEDING_EVENT, "problem", NULL)
	BINARY("geofence_in", "Geofence entered", TM_GEOFENCE_IN_ALARM, "problem", NULL)
	BINARY("geofence_out", "Geofence left", TM_GEOFENCE_OUT_ALARM, "problem", NULL)
	BINARY("crash", "Collision", TM_CRASH_EVENT, "safety", NULL)
	/* clang-format on */
};
#define ENTITIES (sizeof(entities) / sizeof(entities[0]))
#define SEEN_PLACE (1u << 31)
_Static_assert(ENTITIES <= 31, "a bit for each, and one for the place, in struct homeassistant_unit");

static const struct button {
	const char *id, *name, *command, *icon;
	bool engine; /* only if the configuration allows it */
} buttons[] = {
	{"request_position", "Request position", "position.request", "mdi:crosshairs-gps", false},
	{"request_mileage", "Request mileage", "mileage.request", "mdi:counter", false},
	{"engine_stop", "Stop engine", "engine.stop", "mdi:engine-off", true},
	{"engine_resume", "Resume engine", "engine.resume", "mdi:engine", true},
};
#define BUTTONS (sizeof(buttons) / sizeof(buttons[0]))
_Static_assert(BUTTONS <= 8, "a bit for each in struct homeassistant_unit");

/* The place in state is that of the newest valid fix. */
static const char place_template[] =
	"{% if 'position.latitude' in value_json and 'position.longitude' in value_json %}"
	"{{ dict([('latitude', value_json['position.latitude']), "
	"('longitude', value_json['position.longitude']), "
	"('speed', value_json.get('position.speed')), ('course', value_json.get('position.direction')), "
	"('altitude', value_json.get('position.altitude'))] | rejectattr(1, 'none')) | tojson }}"
	"{% else %}{}{% endif %}";

/* Whether the unit is on line, and the time of its newest record: how old all the others are. */
static const char connection_template[] =
	"{{ ('ON' if value_json['status'] == 'online' else 'OFF') if 'status' in value_json else '' }}";
static const char report_template[] = "{{ value_json['timestamp'] | as_datetime }}";

/* The command, what became of it, and the unit's words or the reason: as much as a state may be long. */
static const char command_template[] =
	"{{ ([value_json.get('command'), value_json.get('status'), value_json.get('result') or "
	"value_json.get('reply') or value_json.get('reason')] | select | join(': '))[:255] }}";

/* --- what a unit has --- */

static uint8_t offers_of(const struct codec *codec)
{
	uint8_t offers = 0;
	for (size_t i = 0; i < BUTTONS; i++)
		for (const struct command_spec *c = codec->commands; c->name != NULL; c++)
			if (strcmp(c->name, buttons[i].command) == 0)
				offers |= (uint8_t)(1u << i);
	return offers;
}

/* True: it was not known before. A text that is too long is none that a maker gave: it is the hex of other bytes. */
static bool note_text(char *kept, size_t size, const struct telemetry *t, enum telemetry_field field)
{
	struct span text = telemetry_has(t, field) ? t->value[field].text : span_of(NULL, 0);
	bool news = *kept == '\0';
	if (text.len == 0 || text.len >= size)
		return false;
	memcpy(kept, text.ptr, text.len);
	kept[text.len] = '\0';
	return news;
}

bool homeassistant_note(
	struct homeassistant_unit *unit, const struct session *session, const struct telemetry *record)
{
	uint32_t here = telemetry_has(record, TM_LATITUDE) ? SEEN_PLACE : 0;
	for (size_t i = 0; i < ENTITIES; i++)
		here |= (uint32_t)telemetry_has(record, (enum telemetry_field)entities[i].field) << i;
	bool news = (here & ~unit->seen) != 0;
	unit->seen |= here;
	if (session->codec != NULL)
		unit->offers = offers_of(session->codec);
	news |= note_text(unit->maker, sizeof(unit->maker), record, TM_MANUFACTURER_CODE);
	if (*unit->maker == '\0')
		news |= note_text(unit->maker, sizeof(unit->maker), record, TM_VENDOR_CODE);
	return note_text(unit->model, sizeof(unit->model), record, TM_DEVICE_MODEL) || news;
}

/* --- pieces of the document --- */

struct document {
	const struct config *config;
	const struct session *session;
	const struct homeassistant_unit *unit;
	struct emitter *e;
};

static unsigned count_of(const char *text)
{
	return text != NULL ? 1 : 0;
}

static void pair(const struct document *d, const char *key, const char *value)
{
	if (value != NULL)
		emit_pair_text(d->e, key, span_text(value));
}

static void pair_topic(const struct document *d, const char *key, const char *leaf)
{
	struct topic topic = topic_unit(d->config->publish.prefix, session_topic(d->session), leaf);
	emit_pair_text(d->e, key, span_of(topic.text, topic.len));
}

/* Begins an entity. Its name NULL: that of the device. `more`: pairs that follow. */
static void begin(
	const struct document *d, const char *id, const char *platform, const char *name, unsigned more)
{
	static const char nameless[sizeof(",\"name\":null") + WRITER_SHORT] = ",\"name\":null";
	char unique[80];
	snprintf(unique, sizeof(unique), "tracker2mqtt_%s_%s", d->session->unit.ident, id);
	emit_key(d->e, id);
	emit_map(d->e, 3 + more);
	pair(d, "p", platform);
	pair(d, "unique_id", unique);
	if (name != NULL)
		pair(d, "name", name);
	else
		emit_again(d->e, span_text(nameless), false);
}

/* Home Assistant removes this entity, if it has it. */
static void put_stub(const struct document *d, const char *id, const char *platform)
{
	emit_key(d->e, id);
	emit_map(d->e, 1);
	pair(d, "p", platform);
	emit_end(d->e);
}

static void put_device(const struct document *d)
{
	char id[40], name[240];
	const struct unit_info *info = d->session->info;
	const char *ident = d->session->unit.ident;
	bool named = info != NULL && *info->name, typed = info != NULL && *info->type;
	const char *maker = *d->unit->maker ? d->unit->maker : NULL;
	const char *model = typed ? info->type : *d->unit->model ? d->unit->model : NULL;
	snprintf(id, sizeof(id), "tracker2mqtt_%s", ident);
	snprintf(name, sizeof(name), "%s%s", named ? "" : "Tracker ", named ? info->name : ident);
	emit_key(d->e, "dev");
	emit_map(d->e, 3 + count_of(maker) + count_of(model));
	emit_key(d->e, "ids");
	emit_array(d->e, 1);
	emit_text(d->e, span_text(id));
	emit_end(d->e);
	pair(d, "name", name);
	pair(d, "mf", maker);
	pair(d, "mdl", model);
	pair(d, "sn", ident);
	emit_end(d->e);
	emit_key(d->e, "o");
	emit_map(d->e, 3);
	pair(d, "name", "tracker2mqtt");
	pair(d, "sw", T2M_VERSION);
	pair(d, "url", T2M_URL);
	emit_end(d->e);
}

/* What a unit has said stays while it sleeps; only what is sent to it needs it on line. One bridge of several may go while another one has
 * the unit: there the unit's own status alone counts, which is told also when its bridge is gone. */
static void put_availability(const struct document *d, bool of_unit)
{
	struct topic bridge = topic_bridge(d->config->publish.prefix, d->config->publish.instance, "status");
	bool alone = *d->config->cluster.registry == '\0';
	of_unit |= !alone;
	emit_key(d->e, "availability");
	emit_array(d->e, (alone ? 1u : 0u) + (of_unit ? 1u : 0u));
	if (alone) {
		emit_map(d->e, 1);
		emit_pair_text(d->e, "topic", span_of(bridge.text, bridge.len));
		emit_end(d->e);
	}
	if (of_unit) {
		emit_map(d->e, 2);
		pair_topic(d, "topic", "status");
		pair(d, "value_template", "{{ value_json.state }}");
		emit_end(d->e);
	}
	emit_end(d->e);
	pair(d, "availability_mode", "all");
}

/* --- its entities --- */

static void put_tracker(const struct document *d)
{
	begin(d, "location", "device_tracker", NULL, 3);
	pair(d, "source_type", "gps");
	pair_topic(d, "json_attributes_topic", "state");
	pair(d, "json_attributes_template", place_template);
	emit_end(d->e);
}

static void put_entity(const struct document *d, const struct entity *x)
{
	char template[200];
	const char *key = telemetry_params[x->field].key;
	bool sensor = x->platform == PLATFORM_SENSOR, diagnostic = x->category == CATEGORY_DIAGNOSTIC;
	if (sensor)
		snprintf(template, sizeof(template), "{{ value_json.get('%s', '') }}", key);
	else
		snprintf(template, sizeof(template),
			"{{ ('ON' if value_json['%s'] else 'OFF') if '%s' in value_json else '' }}", key, key);
	begin(d, x->id, sensor ? "sensor" : "binary_sensor", x->name,
		2 + count_of(x->device_class) + count_of(x->unit) + count_of(x->state_class) +
			count_of(x->icon) + (x->decimals >= 0 ? 1 : 0) + (diagnostic ? 1 : 0));
	pair_topic(d, "state_topic", "state");
	pair(d, "value_template", template);
	pair(d, "device_class", x->device_class);
	pair(d, "unit_of_measurement", x->unit);
	pair(d, "state_class", x->state_class);
	if (x->decimals >= 0)
		emit_pair_integer(d->e, "suggested_display_precision", x->decimals);
	pair(d, "icon", x->icon);
	if (diagnostic)
		pair(d, "entity_category", "diagnostic");
	emit_end(d->e);
}

/* One that no field of the records is behind. */
static void put_diagnostic(const struct document *d, const char *id, const char *platform, const char *name,
	const char *leaf, const char *template, const char *class, const char *icon)
{
	begin(d, id, platform, name, 3 + count_of(class) + count_of(icon));
	pair_topic(d, "state_topic", leaf);
	pair(d, "value_template", template);
	pair(d, "device_class", class);
	pair(d, "icon", icon);
	pair(d, "entity_category", "diagnostic");
	emit_end(d->e);
}

static void put_diagnostics(const struct document *d)
{
	put_diagnostic(d, "connection", "binary_sensor", "Connection", "state", connection_template,
		"connectivity", NULL);
	put_diagnostic(d, "last_report", "sensor", "Last report", "state", report_template, "timestamp", NULL);
	if (d->config->commands.enabled)
		put_diagnostic(d, "last_command", "sensor", "Last command", "cmd/reply", command_template, NULL,
			"mdi:message-reply-text");
	else
		put_stub(d, "last_command", "sensor");
}

static bool is_meant(const struct document *d, const struct button *b)
{
	bool allowed = d->config->commands.enabled && (!b->engine || d->config->homeassistant.engine);
	return allowed && (d->unit->offers >> (b - buttons) & 1);
}

static void put_button(const struct document *d, const struct button *b)
{
	char payload[80];
	snprintf(payload, sizeof(payload), "{\"command\":\"%s\"}", b->command);
	begin(d, b->id, "button", b->name, 5);
	put_availability(d, true);
	pair_topic(d, "command_topic", "cmd");
	pair(d, "payload_press", payload);
	pair(d, "icon", b->icon);
	emit_end(d->e);
}

void homeassistant_document(const struct config *config, const struct session *session,
	const struct homeassistant_unit *unit, struct emitter *e)
{
	const struct document d = {config, session, unit, e};
	emit_map(e, 6);
	put_device(&d);
	put_availability(&d, false);
	emit_pair_integer(e, "qos", 1);
	emit_key(e, "cmps");
	emit_map(e, 4 + (unsigned)__builtin_popcount(unit->seen & ~SEEN_PLACE) + BUTTONS);
	put_tracker(&d);
	for (size_t i = 0; i < ENTITIES; i++)
		if (unit->seen >> i & 1)
			put_entity(&d, &entities[i]);
	put_diagnostics(&d);
	for (size_t i = 0; i < BUTTONS; i++)
		if (is_meant(&d, &buttons[i]))
			put_button(&d, &buttons[i]);
		else
			put_stub(&d, buttons[i].id, "button");
	emit_end(e);
	emit_end(e);
}

/* --- over restarts --- */

static void save_text(struct writer *out, const char *text)
{
	writer_u8(out, (uint8_t)strlen(text));
	writer_text(out, text);
}

/* False: it is too long. */
static bool recall_text(struct reader *in, char *text, size_t size)
{
	struct span s = reader_take(in, reader_u8(in));
	if (s.len >= size)
		return false;
	if (s.len > 0)
		memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	return true;
}

void homeassistant_unit_save(const struct homeassistant_unit *unit, struct writer *out)
{
	writer_u8(out, SAVED_FORM);
	writer_u8(out, (uint8_t)(unit->told | unit->retained << 1));
	writer_u8(out, unit->offers);
	writer_u32(out, unit->seen);
	save_text(out, unit->maker);
	save_text(out, unit->model);
}

void homeassistant_unit_recall(struct homeassistant_unit *unit, struct span saved)
{
	static const uint32_t known = SEEN_PLACE | ((1u << ENTITIES) - 1);
	struct reader in = reader_of(saved);
	struct homeassistant_unit u = {0};
	if (reader_u8(&in) != SAVED_FORM)
		return;
	uint8_t flags = reader_u8(&in);
	u.told = flags & 1;
	u.retained = flags >> 1 & 1;
	u.offers = reader_u8(&in);
	u.seen = reader_u32(&in) & known;
	bool ok = recall_text(&in, u.maker, sizeof(u.maker)) && recall_text(&in, u.model, sizeof(u.model));
	if (ok && !in.bad && u.seen != 0)
		*unit = u;
}

bool homeassistant_unit_join(struct homeassistant_unit *unit, struct span saved)
{
	struct homeassistant_unit theirs = {0}, before = *unit;
	homeassistant_unit_recall(&theirs, saved);
	unit->seen |= theirs.seen;
	unit->told |= theirs.told;
	unit->retained |= theirs.retained;
	if (unit->offers == 0)
		unit->offers = theirs.offers;
	if (*unit->maker == '\0')
		memcpy(unit->maker, theirs.maker, sizeof(unit->maker));
	if (*unit->model == '\0')
		memcpy(unit->model, theirs.model, sizeof(unit->model));
	return unit->seen != before.seen || unit->told != before.told || unit->offers != before.offers ||
	       strcmp(unit->maker, before.maker) != 0 || strcmp(unit->model, before.model) != 0;
}
