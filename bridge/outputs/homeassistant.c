/* homeassistant: see homeassistant.h. */
#include "bridge/outputs/homeassistant.h"

#include "bridge/base/topic.h"

#include <stdio.h>
#include <stdlib.h>

enum platform { PLATFORM_SENSOR = 0, PLATFORM_BINARY };

/* What a field becomes. */
static const struct entity {
	const char *id, *name;
	uint16_t field;
	enum platform platform;
	const char *device_class, *unit, *state_class; /* NULL: none */
} entities[] = {
	{"speed", "Speed", TM_SPEED, PLATFORM_SENSOR, "speed", "km/h", "measurement"},
	{"battery", "Battery", TM_BATTERY_LEVEL, PLATFORM_SENSOR, "battery", "%", "measurement"},
	{"battery_voltage", "Battery voltage", TM_BATTERY_VOLTAGE, PLATFORM_SENSOR, "voltage", "V",
		"measurement"},
	{"supply_voltage", "Supply voltage", TM_EXTERNAL_VOLTAGE, PLATFORM_SENSOR, "voltage", "V",
		"measurement"},
	{"signal", "Signal", TM_GSM_LEVEL, PLATFORM_SENSOR, NULL, "%", "measurement"},
	{"mileage", "Mileage", TM_MILEAGE, PLATFORM_SENSOR, "distance", "km", "total_increasing"},
	{"altitude", "Altitude", TM_ALTITUDE, PLATFORM_SENSOR, "distance", "m", "measurement"},
	{"satellites", "Satellites", TM_SATELLITES, PLATFORM_SENSOR, NULL, NULL, "measurement"},
	{"fuel", "Fuel", TM_FUEL_VOLUME, PLATFORM_SENSOR, "volume_storage", "L", "measurement"},
	{"ignition", "Ignition", TM_IGNITION, PLATFORM_BINARY, "power", NULL, NULL},
	{"engine_blocked", "Engine blocked", TM_ENGINE_BLOCKED, PLATFORM_BINARY, NULL, NULL, NULL},
	{"door", "Door", TM_DOOR_OPEN, PLATFORM_BINARY, "door", NULL, NULL},
	{"armed", "Armed", TM_DEFENSE_ACTIVE, PLATFORM_BINARY, NULL, NULL, NULL},
	{"sos", "SOS", TM_SOS_ALARM, PLATFORM_BINARY, "safety", NULL, NULL},
	{"power_cut", "Power cut", TM_POWER_CUT_ALARM, PLATFORM_BINARY, "problem", NULL, NULL},
	{"battery_low", "Battery low", TM_BATTERY_LOW_ALARM, PLATFORM_BINARY, "battery", NULL, NULL},
	{"vibration", "Vibration", TM_VIBRATION_ALARM, PLATFORM_BINARY, "vibration", NULL, NULL},
	{"displacement", "Towed", TM_DISPLACEMENT_ALARM, PLATFORM_BINARY, "moving", NULL, NULL},
	{"overspeed", "Overspeed", TM_OVERSPEEDING_EVENT, PLATFORM_BINARY, "problem", NULL, NULL},
	{"geofence_in", "Geofence entered", TM_GEOFENCE_IN_ALARM, PLATFORM_BINARY, "problem", NULL, NULL},
	{"geofence_out", "Geofence left", TM_GEOFENCE_OUT_ALARM, PLATFORM_BINARY, "problem", NULL, NULL},
	{"crash", "Collision", TM_CRASH_EVENT, PLATFORM_BINARY, "safety", NULL, NULL},
};
#define ENTITIES (sizeof(entities) / sizeof(entities[0]))
#define ENTITIES_ALL ((uint32_t)((UINT64_C(1) << ENTITIES) - 1))
_Static_assert(ENTITIES <= 32, "a bit for each in struct fields");

static const struct button {
	const char *id, *name, *command;
	bool engine; /* only if the configuration allows it */
} buttons[] = {
	{"request_position", "Request position", "position.request", false},
	{"request_mileage", "Request mileage", "mileage.request", false},
	{"engine_stop", "Stop engine", "engine.stop", true},
	{"engine_resume", "Resume engine", "engine.resume", true},
};
#define BUTTONS (sizeof(buttons) / sizeof(buttons[0]))

/* What is remembered of a unit: which of the entities' fields its records have had. */
struct fields {
	uint32_t in_positions, in_telemetry;
};

struct homeassistant {
	const struct config *config;
	struct publish *publish;
	struct sessions *sessions;
	size_t place; /* in each session: struct fields */
	struct unit_listener listener;
};

static struct topic plain_topic(const char *format, const char *prefix, const char *ident)
{
	struct topic t;
	int n = snprintf(t.text, sizeof(t.text), format, prefix, ident);
	t.len = n > 0 && (size_t)n < sizeof(t.text) ? (size_t)n : 0;
	return t;
}

struct topic homeassistant_birth_topic(const struct config *config)
{
	return plain_topic("%s/status%s", config->homeassistant.prefix, "");
}

void homeassistant_birth(void *ctx, const struct route_message *message, struct moment now)
{
	struct homeassistant *h = ctx;
	(void)now;
	if (span_is(message->payload, "online"))
		sessions_tell_again(h->sessions, &h->listener);
}

static struct topic config_topic(const struct homeassistant *h, const char *ident)
{
	return plain_topic("%s/device/tracker2mqtt_%s/config", h->config->homeassistant.prefix, ident);
}

/* --- the pieces of a device --- */

static void pair(struct emitter *e, const char *key, const char *value)
{
	if (value != NULL)
		emit_pair_text(e, key, span_text(value));
}

static void pair_unique(struct emitter *e, const char *ident, const char *id)
{
	char text[80];
	snprintf(text, sizeof(text), "tracker2mqtt_%s_%s", ident, id);
	emit_pair_text(e, "unique_id", span_text(text));
}

static void pair_topic(struct emitter *e, const char *key, const struct homeassistant *h,
	const struct session *s, const char *leaf)
{
	struct topic topic = topic_unit(h->config->publish.prefix, session_topic(s), leaf);
	emit_pair_text(e, key, span_of(topic.text, topic.len));
}

static void put_device(const struct session *s, struct emitter *e)
{
	char id[40], name[240];
	const struct unit_info *info = s->info;
	bool named = info != NULL && *info->name, typed = info != NULL && *info->type;
	snprintf(id, sizeof(id), "tracker2mqtt_%s", s->unit.ident);
	snprintf(name, sizeof(name), "%s%s", named ? "" : "Tracker ", named ? info->name : s->unit.ident);
	emit_key(e, "dev");
	emit_map(e, typed ? 4 : 3);
	emit_key(e, "ids");
	emit_array(e, 1);
	emit_text(e, span_text(id));
	emit_end(e);
	pair(e, "name", name);
	pair(e, "sn", s->unit.ident);
	if (typed)
		pair(e, "mdl", info->type);
	emit_end(e);
	emit_key(e, "o");
	emit_map(e, 2);
	pair(e, "name", "tracker2mqtt");
	pair(e, "sw", T2M_VERSION);
	emit_end(e);
}

/* Bridge up and unit up. */
static void put_availability(const struct homeassistant *h, const struct session *s, struct emitter *e)
{
	struct topic bridge = topic_bridge(h->config->publish.prefix, h->config->publish.instance, "status");
	emit_key(e, "availability");
	emit_array(e, 2);
	emit_map(e, 1);
	emit_pair_text(e, "topic", span_of(bridge.text, bridge.len));
	emit_end(e);
	emit_map(e, 2);
	pair_topic(e, "topic", h, s, "status");
	pair(e, "value_template", "{{ value_json.state }}");
	emit_end(e);
	emit_end(e);
	pair(e, "availability_mode", "all");
}

/* Only a valid fix moves it on the map. */
static void put_tracker(const struct homeassistant *h, const struct session *s, struct emitter *e)
{
	static const char template[] =
		"{% if value_json['position.valid'] and 'position.latitude' in value_json %}"
		"{{ {'latitude': value_json['position.latitude'], 'longitude': "
		"value_json['position.longitude'], "
		"'speed': value_json.get('position.speed'), 'course': value_json.get('position.direction'), "
		"'altitude': value_json.get('position.altitude')} | tojson }}{% endif %}";
	emit_key(e, "location");
	emit_map(e, 6);
	pair(e, "p", "device_tracker");
	pair_unique(e, s->unit.ident, "location");
	pair(e, "name", "Location");
	pair(e, "source_type", "gps");
	pair_topic(e, "json_attributes_topic", h, s, "position");
	pair(e, "json_attributes_template", template);
	emit_end(e);
}

/* A record without the field leaves the state as it is. */
static void put_entity(const struct homeassistant *h, const struct session *s, const struct fields *fields,
	struct emitter *e, const struct entity *x)
{
	char template[300];
	const char *key = telemetry_params[x->field].key;
	bool in_position = fields->in_positions >> (x - entities) & 1;
	if (x->platform == PLATFORM_SENSOR)
		snprintf(template, sizeof(template),
			"{{ value_json['%s'] if '%s' in value_json else this.state }}", key, key);
	else
		snprintf(template, sizeof(template),
			"{{ ('ON' if value_json['%s'] else 'OFF') if '%s' in value_json else this.state | "
			"upper }}",
			key, key);
	emit_key(e, x->id);
	emit_map(e, 5 + (x->device_class ? 1u : 0u) + (x->unit ? 1u : 0u) + (x->state_class ? 1u : 0u));
	pair(e, "p", x->platform == PLATFORM_SENSOR ? "sensor" : "binary_sensor");
	pair_unique(e, s->unit.ident, x->id);
	pair(e, "name", x->name);
	pair_topic(e, "state_topic", h, s, in_position ? "position" : "telemetry");
	pair(e, "value_template", template);
	pair(e, "device_class", x->device_class);
	pair(e, "unit_of_measurement", x->unit);
	pair(e, "state_class", x->state_class);
	emit_end(e);
}

static bool has_button(const struct homeassistant *h, const struct session *s, const struct button *b)
{
	if (!h->config->commands.enabled || (b->engine && !h->config->homeassistant.engine))
		return false;
	for (const struct command_spec *c = s->codec->commands; c->name != NULL; c++)
		if (strcmp(c->name, b->command) == 0)
			return true;
	return false;
}

static void put_button(
	const struct homeassistant *h, const struct session *s, struct emitter *e, const struct button *b)
{
	char payload[80];
	snprintf(payload, sizeof(payload), "{\"command\":\"%s\"}", b->command);
	emit_key(e, b->id);
	emit_map(e, 5);
	pair(e, "p", "button");
	pair_unique(e, s->unit.ident, b->id);
	pair(e, "name", b->name);
	pair_topic(e, "command_topic", h, s, "cmd");
	pair(e, "payload_press", payload);
	emit_end(e);
}

/* --- telling --- */

static void put_components(
	const struct homeassistant *h, const struct session *s, const struct fields *fields, struct emitter *e)
{
	uint32_t all = fields->in_positions | fields->in_telemetry;
	unsigned count = 1;
	for (size_t i = 0; i < ENTITIES; i++)
		count += all >> i & 1;
	for (size_t i = 0; i < BUTTONS; i++)
		count += has_button(h, s, &buttons[i]) ? 1 : 0;
	emit_map(e, count);
	put_tracker(h, s, e);
	for (size_t i = 0; i < ENTITIES; i++)
		if (all >> i & 1)
			put_entity(h, s, fields, e, &entities[i]);
	for (size_t i = 0; i < BUTTONS; i++)
		if (has_button(h, s, &buttons[i]))
			put_button(h, s, e, &buttons[i]);
	emit_end(e);
}

static bool put_config(
	struct homeassistant *h, const char *ident, const struct writer *payload, struct moment now)
{
	struct topic topic = config_topic(h, ident);
	struct outbox_message m = publish_message(h->publish, ident, &topic, now.unix_ms);
	m.retain = h->config->homeassistant.retain;
	return publish_put(h->publish, &m, payload, NULL, now);
}

/* Once it has said something: nothing is told of a unit that has not. */
static bool tell(void *ctx, struct session *s, struct moment now)
{
	struct homeassistant *h = ctx;
	const struct fields *fields = session_memory(s, h->place);
	if ((fields->in_positions | fields->in_telemetry) == 0 || s->codec == NULL)
		return true;
	struct writer w = publish_writer(h->publish);
	struct emitter e = emitter_of(&emit_json, &w);
	emit_map(&e, 6);
	put_device(s, &e);
	put_availability(h, s, &e);
	emit_pair_integer(&e, "qos", 1);
	emit_key(&e, "cmps");
	put_components(h, s, fields, &e);
	emit_end(&e);
	return put_config(h, s->unit.ident, &w, now);
}

/* Notes the fields of this record. True: some are new. */
static bool note_fields(struct fields *fields, const struct telemetry *t)
{
	uint32_t here = 0;
	for (size_t i = 0; i < ENTITIES; i++)
		here |= (uint32_t)telemetry_has(t, (enum telemetry_field)entities[i].field) << i;
	uint32_t *seen = telemetry_has(t, TM_LATITUDE) ? &fields->in_positions : &fields->in_telemetry;
	bool news = (here & ~*seen) != 0;
	*seen |= here;
	return news;
}

static bool on_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, struct moment now)
{
	struct homeassistant *h = ctx;
	(void)conn;
	if (!session->trusted || !note_fields(session_memory(session, h->place), t))
		return true;
	notebook_change(publish_notebook(h->publish), session, false, now);
	if (!tell(h, session, now))
		session_tell_later(h->sessions, session, &h->listener);
	return true;
}

static void save(void *ctx, struct session *session, struct writer *out)
{
	const struct fields *fields = session_memory(session, ((struct homeassistant *)ctx)->place);
	writer_u32(out, fields->in_positions);
	writer_u32(out, fields->in_telemetry);
}

static void recall(void *ctx, struct session *session, struct span part)
{
	struct fields *fields = session_memory(session, ((struct homeassistant *)ctx)->place);
	struct reader r = reader_of(part);
	fields->in_positions = reader_u32(&r) & ENTITIES_ALL;
	fields->in_telemetry = reader_u32(&r) & ENTITIES_ALL;
}

static bool on_forgotten(void *ctx, struct session *session, struct moment now)
{
	struct homeassistant *h = ctx;
	if (!homeassistant_remove(h, session->unit.ident, now))
		return false;
	*(struct fields *)session_memory(session, h->place) = (struct fields){0};
	return true;
}

bool homeassistant_remove(struct homeassistant *h, const char *ident, struct moment now)
{
	return put_config(h, ident, NULL, now);
}

/* --- */

struct homeassistant *homeassistant_open(
	const struct config *config, struct publish *publish, struct sessions *sessions)
{
	struct homeassistant *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->config = config;
	h->publish = publish;
	h->sessions = sessions;
	h->place = sessions_reserve(sessions, sizeof(struct fields));
	h->listener = (struct unit_listener){
		.ctx = h,
		.record = on_record,
		.tell = tell,
		.tells_again = true,
		.forgotten = on_forgotten,
		.letter = 'h',
		.save = save,
		.recall = recall,
	};
	return h;
}

void homeassistant_free(struct homeassistant *h)
{
	free(h);
}

const struct unit_listener *homeassistant_listener(struct homeassistant *h)
{
	return &h->listener;
}
