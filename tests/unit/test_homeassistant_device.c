// SPDX-License-Identifier: MIT
/* test_homeassistant_device: what Home Assistant is told of a unit: what the unit really sends, what the configuration and the units
 * file say, and who made it. */
#include "homeassistant_world.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_a_unit_sends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_listen_to_state, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_the_configuration_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_maker_and_model, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
