/* test_homeassistant: what Home Assistant is told of a unit: what the unit really sends, once, again after its birth, and when the
 * unit is removed. */
#include "outputs_world.h"

#include "bridge/outputs/homeassistant.h"
#include "bridge/outputs/status.h"

#define CONFIG "homeassistant/device/tracker2mqtt_" IDENT "/config"

static struct status *status;
static struct homeassistant *homeassistant;
static struct session *unit;

static int set_up(void **state)
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

static int tear_down(void **state)
{
	(void)state;
	homeassistant_free(homeassistant);
	status_free(status);
	world_close();
	return 0;
}

static void give_battery(void)
{
	telemetry_reset(&t);
	telemetry_set(&t, TM_BATTERY_LEVEL, 80);
	assert_true(give(unit));
}

/* What Home Assistant says on its topic. */
static void birth(const char *payload)
{
	const struct route_message m = {.payload = span_text(payload), .expiry_s = -1};
	homeassistant_birth(homeassistant, &m, now);
	catch_up();
}

/* The components of the message in got; to be deleted. */
static cJSON *components(cJSON **root)
{
	*root = cJSON_Parse(got.text);
	assert_non_null(*root);
	cJSON *all = cJSON_GetObjectItem(*root, "cmps");
	assert_non_null(all);
	return all;
}

static const char *text_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, key));
	return text != NULL ? text : "";
}

static const cJSON *entity(const cJSON *all, const char *id)
{
	const cJSON *found = cJSON_GetObjectItem(all, id);
	if (found == NULL)
		fail_msg("there is no %s", id);
	return found;
}

/* It stands there only to be removed: it has its platform, and nothing else. */
static bool is_stub(const cJSON *all, const char *id)
{
	const cJSON *found = entity(all, id);
	return cJSON_GetArraySize(found) == 1 && *text_of(found, "p") != '\0';
}

static unsigned availability_of(const cJSON *object)
{
	return (unsigned)cJSON_GetArraySize(cJSON_GetObjectItem(object, "availability"));
}

static void test_what_a_unit_sends(void **state)
{
	cJSON *root;
	(void)state;
	fix(NOW_MS);
	telemetry_set(&t, TM_SPEED, 45200);
	telemetry_set(&t, TM_IGNITION, 1);
	assert_true(give(unit));
	expect(CONFIG, false);
	cJSON *all = components(&root);
	assert_string_equal(text_of(cJSON_GetObjectItem(root, "dev"), "name"), "Tracker " IDENT);
	assert_null(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "dev"), "mdl"));
	assert_null(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "dev"), "mf"));
	assert_string_equal(text_of(entity(all, "location"), "p"), "device_tracker");
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(entity(all, "location"), "name")));
	assert_string_equal(text_of(entity(all, "ignition"), "p"), "binary_sensor");
	assert_string_equal(
		text_of(entity(all, "request_position"), "command_topic"), "trackers/" IDENT "/cmd");
	assert_true(is_stub(all, "engine_stop")); /* only if the configuration allows it */
	assert_null(cJSON_GetObjectItem(all, "battery"));
	cJSON_Delete(root);
	assert_true(give(unit)); /* nothing new */
	expect_nothing();
	give_battery();
	expect(CONFIG, false);
	all = components(&root);
	entity(all, "speed");
	entity(all, "battery");
	cJSON_Delete(root);
	expect_nothing();
}

/* Whatever it is: what is shown comes from state, and is there as long as the bridge is. */
static void test_all_listen_to_state(void **state)
{
	static const char topic[] = "trackers/" IDENT "/state";
	cJSON *root, *x;
	unsigned sensors = 0, buttons = 0;
	(void)state;
	fix(NOW_MS);
	for (int field = 0; field < TM_FIELD_COUNT; field++)
		if (telemetry_params[field].type != PARAM_TEXT)
			telemetry_set(&t, (enum telemetry_field)field, 1);
	assert_true(give(unit));
	expect(CONFIG, false);
	assert_false(says("this.state") || says("/position") || says("/telemetry") || says("expire_after"));
	cJSON *all = components(&root);
	assert_int_equal(availability_of(root), 1);
	assert_string_equal(text_of(entity(all, "location"), "json_attributes_topic"), topic);
	cJSON_ArrayForEach(x, all)
	{
		const char *p = text_of(x, "p");
		bool command = strcmp(x->string, "last_command") == 0;
		bool sensor = strcmp(p, "sensor") == 0 || strcmp(p, "binary_sensor") == 0;
		if (sensor)
			assert_string_equal(
				text_of(x, "state_topic"), command ? "trackers/" IDENT "/cmd/reply" : topic);
		sensors += sensor;
		if (strcmp(p, "button") == 0 && !is_stub(all, x->string)) {
			assert_int_equal(availability_of(x), 2);
			buttons++;
		} else {
			assert_int_equal(availability_of(x), 0);
		}
	}
	assert_int_equal(sensors, 22 + 3);
	assert_int_equal(buttons, 2);
	assert_string_equal(text_of(entity(all, "connection"), "device_class"), "connectivity");
	assert_string_equal(text_of(entity(all, "last_report"), "device_class"), "timestamp");
	assert_string_equal(text_of(entity(all, "signal"), "entity_category"), "diagnostic");
	assert_string_equal(text_of(entity(all, "speed"), "entity_category"), "");
	assert_string_equal(text_of(entity(all, "ignition"), "icon"), "mdi:key-variant");
	cJSON *decimals = cJSON_GetObjectItem(entity(all, "battery_voltage"), "suggested_display_precision");
	assert_true(cJSON_GetNumberValue(decimals) == 2);
	cJSON_Delete(root);
}

static void test_what_the_configuration_says(void **state)
{
	cJSON *root;
	(void)state;
	config.homeassistant.engine = config.homeassistant.retain = true;
	config.homeassistant.unknown = false;
	use_units_file("[" IDENT "]\nname = Van 12\ntype = ST-903\ntopic = van\n");
	give_battery();
	expect(CONFIG, true);
	cJSON *all = components(&root);
	assert_false(is_stub(all, "engine_stop"));
	assert_string_equal(text_of(cJSON_GetObjectItem(root, "dev"), "name"), "Van 12");
	assert_string_equal(text_of(cJSON_GetObjectItem(root, "dev"), "mdl"), "ST-903");
	assert_true(says("trackers/van/status") && says("trackers/bridge/here/status"));
	cJSON_Delete(root);
	config.commands.enabled = false;
	birth("online");
	expect(CONFIG, true);
	all = components(&root);
	static const char *const gone[] = {
		"request_position", "request_mileage", "engine_stop", "engine_resume", "last_command"};
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		assert_true(is_stub(all, gone[i]));
	cJSON_Delete(root);
}

static void give_text(enum telemetry_field field, const char *text)
{
	telemetry_reset(&t);
	telemetry_set_text(&t, field, span_text(text));
	assert_true(give(unit));
}

static void expect_device(const char *maker, const char *model)
{
	cJSON *root;
	expect(CONFIG, false);
	components(&root);
	assert_string_equal(text_of(cJSON_GetObjectItem(root, "dev"), "mf"), maker);
	assert_string_equal(text_of(cJSON_GetObjectItem(root, "dev"), "mdl"), model);
	cJSON_Delete(root);
}

static void test_maker_and_model(void **state)
{
	(void)state;
	give_text(TM_VENDOR_CODE, "HQ");
	expect_nothing(); /* of who has said nothing else there is nothing to tell */
	give_battery();
	expect_device("HQ", "");
	give_text(TM_VENDOR_CODE, "XX"); /* one that changes with each frame is not told with each */
	expect_nothing();
	give_text(TM_DEVICE_MODEL, "KS-21");
	expect_device("HQ", "KS-21");
	give_text(TM_DEVICE_MODEL, "4b532d32310000000000000000000000000000ff"); /* bytes that are no text */
	give_text(TM_MANUFACTURER_CODE, "70111");
	expect_nothing();
	birth("online");
	expect_device("70111", "KS-21");
	give_text(TM_VENDOR_CODE, "HQ"); /* the registration knows better */
	birth("online");
	expect_device("70111", "KS-21");
	use_units_file("[" IDENT "]\ntype = ST-906\n");
	birth("online");
	expect_device("70111", "ST-906");
}

static void test_strangers_are_not_told(void **state)
{
	(void)state;
	distrust(unit);
	give_battery();
	birth("online");
	expect_nothing();
	unit->trusted = true;
	give_battery();
	expect(CONFIG, false);
}

/* Without [homeassistant] unknown, only the units file says of whom Home Assistant is told. */
static void test_only_units_of_the_file(void **state)
{
	(void)state;
	config.homeassistant.unknown = false;
	give_battery();
	birth("online");
	expect_nothing();
	use_units_file("[" IDENT "]\nname = Car\n");
	homeassistant_reload(homeassistant); /* with what it has sent before */
	catch_up();
	expect(CONFIG, false);
	assert_true(says("\"Car\"") && says("\"battery\""));
	use_units_file("[1001]\n");
	homeassistant_reload(homeassistant);
	catch_up();
	expect_empty(CONFIG);
	birth("online"); /* it stays removed */
	give_battery();
	fix(NOW_MS);
	assert_true(give(unit));
	expect_nothing();
	config.homeassistant.unknown = true;
	homeassistant_reload(homeassistant);
	catch_up();
	expect(CONFIG, false);
	config.units.unknown = UNITS_UNKNOWN_REJECT;
	homeassistant_reload(homeassistant);
	catch_up();
	expect_empty(CONFIG);
	expect_nothing();
}

static void test_a_new_name(void **state)
{
	(void)state;
	use_units_file("[" IDENT "]\nname = Car\n");
	give_battery();
	expect(CONFIG, false);
	use_units_file("[" IDENT "]\nname = Red car\n");
	homeassistant_reload(homeassistant);
	catch_up();
	expect(CONFIG, false);
	assert_true(says("\"Red car\""));
	expect_nothing();
	use_units_file("[1001]\n"); /* it is told all the same: it is only called otherwise */
	assert_true(homeassistant_gone(homeassistant, IDENT, now));
	homeassistant_reload(homeassistant);
	catch_up();
	expect(CONFIG, false);
	assert_true(says("\"Tracker " IDENT "\""));
	expect_nothing();
}

static void test_retained_no_more(void **state)
{
	(void)state;
	config.homeassistant.retain = true;
	give_battery();
	expect(CONFIG, true);
	config.homeassistant.retain = false;
	refuse = 2; /* the second finds no room: it is told later, and nothing is cleared again */
	homeassistant_reload(homeassistant);
	assert_false(sessions_catch_up(sessions, false, now));
	expect_empty(CONFIG);
	expect_nothing();
	catch_up();
	expect(CONFIG, false);
	assert_true(says("\"battery\""));
	birth("online");
	expect(CONFIG, false);
	expect_nothing();
}

static void test_after_its_birth_all_are_told_again(void **state)
{
	struct session *other = on_line("1001"), *silent = on_line("1002");
	(void)state;
	give_battery();
	struct session *first = unit;
	unit = other;
	give_battery();
	assert_int_equal(take_all(), 2);
	birth("offline");
	birth("onlin");
	expect_nothing();
	birth("online");
	expect(CONFIG, false);
	expect("homeassistant/device/tracker2mqtt_1001/config", false);
	expect_nothing(); /* of who has said nothing there is nothing to tell */
	assert_int_equal(silent->due, 0);
	goes_off_line(first, "bye");
	birth("online");
	expect(CONFIG, false); /* it sleeps, and is still there */
	expect("homeassistant/device/tracker2mqtt_1001/config", false);
	expect_nothing();
}

static void test_no_room(void **state)
{
	(void)state;
	refuse = 1;
	give_battery(); /* the record is taken all the same */
	expect_nothing();
	refuse = 1;
	assert_false(sessions_catch_up(sessions, false, now));
	expect_nothing();
	catch_up();
	expect(CONFIG, false);
	catch_up();
	expect_nothing();
}

static void test_removed(void **state)
{
	(void)state;
	config.homeassistant.retain = true;
	give_battery();
	expect(CONFIG, true);
	config.homeassistant.unknown = false;
	assert_true(homeassistant_gone(homeassistant, IDENT, now));
	expect_empty(CONFIG);
	refuse = 1;
	assert_false(homeassistant_gone(homeassistant, IDENT, now));
	assert_true(events_forgotten(&events, unit, now));
	expect_empty(CONFIG);
	expect_empty("trackers/" IDENT "/status"); /* behind it: with this the unit is forgotten */
	expect_nothing();
}

/* --- over restarts --- */

static uint8_t saved[200];

static struct span save(struct session *session)
{
	struct writer w = writer_of(saved, sizeof(saved));
	homeassistant_save(homeassistant, session, &w);
	assert_false(w.full);
	return writer_span(&w);
}

static void test_nothing_shrinks_after_a_restart(void **state)
{
	cJSON *root;
	(void)state;
	assert_int_equal(save(unit).len, 0);
	give_text(TM_VENDOR_CODE, "HQ");
	fix(NOW_MS);
	telemetry_set(&t, TM_SPEED, 45200);
	telemetry_set(&t, TM_MILEAGE, 17);
	assert_true(give(unit));
	expect(CONFIG, false);
	struct session *later = remembered("1001", 0); /* stands for the same unit after the restart */
	homeassistant_recall(homeassistant, later, save(unit));
	catch_up();
	expect("homeassistant/device/tracker2mqtt_1001/config", false);
	cJSON *all = components(&root);
	assert_string_equal(text_of(cJSON_GetObjectItem(root, "dev"), "mf"), "HQ");
	entity(all, "speed");
	entity(all, "mileage");
	assert_false(is_stub(all, "request_position")); /* its protocol is not known yet */
	cJSON_Delete(root);
	expect_nothing();
}

static void test_after_a_restart_it_is_not_meant_any_more(void **state)
{
	(void)state;
	config.homeassistant.retain = true;
	give_battery();
	expect(CONFIG, true);
	struct span kept = save(unit);
	struct session *loud = remembered("1001", 0), *gone = remembered("1002", 0);
	config.homeassistant.retain = false;
	homeassistant_recall(homeassistant, loud, kept);
	catch_up();
	expect_empty("homeassistant/device/tracker2mqtt_1001/config");
	expect("homeassistant/device/tracker2mqtt_1001/config", false);
	expect_nothing();
	config.homeassistant.unknown = false;
	homeassistant_recall(homeassistant, gone, kept);
	catch_up();
	expect_empty("homeassistant/device/tracker2mqtt_1002/config");
	expect_nothing();
}

static void test_bytes_that_are_none(void **state)
{
	uint8_t bytes[sizeof(saved)];
	struct session *later = remembered("1001", 0);
	(void)state;
	give_text(TM_MANUFACTURER_CODE, "70111");
	give_battery();
	take_all();
	struct span kept = save(unit);
	for (size_t len = 0; len < kept.len; len++)
		homeassistant_recall(homeassistant, later, span_of(kept.ptr, len));
	for (size_t at = 0; at < kept.len; at += at == 0 || at > 6 ? 1 : 6) { /* its form, its lengths */
		memcpy(bytes, kept.ptr, kept.len);
		bytes[at] = 0xff;
		homeassistant_recall(homeassistant, later, span_of(bytes, at == 0 ? kept.len : at + 1));
	}
	catch_up();
	expect_nothing();
	homeassistant_recall(homeassistant, later, kept);
	catch_up();
	expect("homeassistant/device/tracker2mqtt_1001/config", false);
}

static void test_birth_topic(void **state)
{
	(void)state;
	assert_string_equal(homeassistant_birth_topic(&config).text, "homeassistant/status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_a_unit_sends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_listen_to_state, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_the_configuration_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_maker_and_model, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_strangers_are_not_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_units_of_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_retained_no_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_after_its_birth_all_are_told_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_shrinks_after_a_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_after_a_restart_it_is_not_meant_any_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_that_are_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_birth_topic, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
