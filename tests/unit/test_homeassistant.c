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
	assert_string_equal(text_of(cJSON_GetObjectItem(all, "location"), "p"), "device_tracker");
	assert_string_equal(
		text_of(cJSON_GetObjectItem(all, "speed"), "state_topic"), "trackers/" IDENT "/position");
	assert_string_equal(text_of(cJSON_GetObjectItem(all, "ignition"), "p"), "binary_sensor");
	assert_string_equal(text_of(cJSON_GetObjectItem(all, "request_position"), "command_topic"),
		"trackers/" IDENT "/cmd");
	assert_null(cJSON_GetObjectItem(all, "engine_stop")); /* only if the configuration allows it */
	assert_null(cJSON_GetObjectItem(all, "battery"));
	cJSON_Delete(root);
	assert_true(give(unit)); /* nothing new */
	expect_nothing();
	give_battery();
	expect(CONFIG, false);
	all = components(&root);
	assert_non_null(cJSON_GetObjectItem(all, "speed"));
	assert_string_equal(
		text_of(cJSON_GetObjectItem(all, "battery"), "state_topic"), "trackers/" IDENT "/telemetry");
	cJSON_Delete(root);
	expect_nothing();
}

static void test_what_the_configuration_says(void **state)
{
	cJSON *root;
	(void)state;
	config.homeassistant.engine = config.homeassistant.retain = true;
	use_units_file("[" IDENT "]\nname = Van 12\ntype = ST-903\ntopic = van\n");
	give_battery();
	expect(CONFIG, true);
	cJSON *all = components(&root);
	assert_non_null(cJSON_GetObjectItem(all, "engine_stop"));
	assert_string_equal(text_of(cJSON_GetObjectItem(root, "dev"), "name"), "Van 12");
	assert_string_equal(text_of(cJSON_GetObjectItem(root, "dev"), "mdl"), "ST-903");
	assert_true(says("trackers/van/status") && says("trackers/bridge/here/status"));
	cJSON_Delete(root);
	config.commands.enabled = false;
	birth("online");
	expect(CONFIG, true);
	assert_false(says("\"button\""));
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
	assert_true(homeassistant_remove(homeassistant, IDENT, now));
	expect_empty(CONFIG);
	refuse = 1;
	assert_false(homeassistant_remove(homeassistant, IDENT, now));
	assert_true(events_forgotten(&events, unit, now));
	expect_empty(CONFIG);
	expect_empty("trackers/" IDENT "/status"); /* behind it: with this the unit is forgotten */
	expect_nothing();
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
		cmocka_unit_test_setup_teardown(test_what_the_configuration_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_strangers_are_not_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_after_its_birth_all_are_told_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_birth_topic, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
