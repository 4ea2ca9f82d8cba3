/* SPDX-License-Identifier: GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "histogram.h"
#include "render.h"

#define NR(array) (sizeof(array) / sizeof(*(array)))

/* The same number by another road: printf's digits, a point put in, zeros cut. */
static void number_by_hand(char *out, uint64_t value, unsigned int scale)
{
	char digits[64];
	size_t len;

	snprintf(digits, sizeof(digits), "%0*llu", (int)scale + 1, (unsigned long long)value);
	len = strlen(digits);
	sprintf(out, "%.*s.%s", (int)(len - scale), digits, digits + len - scale);
	len = strlen(out);
	while (out[len - 1] == '0')
		out[--len] = '\0';
	if (out[len - 1] == '.')
		out[len - 1] = '\0';
}

static void check_number(uint64_t value, unsigned int scale)
{
	char got[RENDER_NUMBER_MAX + 8], want[80];
	size_t len;

	memset(got, '~', sizeof(got));
	len = render_number(got, value, scale);
	assert_in_range(len, 1, RENDER_NUMBER_MAX);
	assert_int_equal(got[RENDER_NUMBER_MAX], '~');
	got[len] = '\0';
	number_by_hand(want, value, scale);
	assert_string_equal(got, want);
}

/* Bug: a digit lost on the way through a double, a zero cut before the point, a write too far. */
static void test_number(void **state)
{
	static const uint64_t special[] = { 0,
					    1,
					    9,
					    10,
					    99,
					    100,
					    101,
					    999,
					    1000,
					    UINT32_MAX,
					    1ull << 53,
					    (1ull << 53) + 1,
					    UINT64_MAX - 1,
					    UINT64_MAX };
	uint64_t random = 88172645463325252ull;

	(void)state;
	for (unsigned int scale = 0; scale <= 9; scale++) {
		for (size_t i = 0; i < NR(special); i++)
			check_number(special[i], scale);
		for (uint64_t unit = 1; unit <= UINT64_MAX / 10; unit *= 10) {
			check_number(unit - 1, scale);
			check_number(unit, scale);
			check_number(unit + 1, scale);
			check_number(unit * 10 - unit, scale);
		}
		for (int i = 0; i < 20000; i++) { /* xorshift: of every length */
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			check_number(random >> (random % 64), scale);
		}
	}
}

/* Bug: the two methods above agree on something nobody would want to read. */
static void test_number_literals(void **state)
{
	static const struct {
		uint64_t value;
		unsigned int scale;
		const char *want;
	} cases[] = {
		{ 0, 0, "0" },
		{ 0, 9, "0" },
		{ 4118200001, 9, "4.118200001" },
		{ 1, 9, "0.000000001" },
		{ 1500000000, 9, "1.5" },
		{ 2000000000, 9, "2" },
		{ 100, 0, "100" },
		{ 100, 2, "1" },
		{ UINT64_MAX, 0, "18446744073709551615" },
		{ UINT64_MAX, 9, "18446744073.709551615" },
		{ UINT64_MAX, 1, "1844674407370955161.5" },
	};
	char got[RENDER_NUMBER_MAX + 1];

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		got[render_number(got, cases[i].value, cases[i].scale)] = '\0';
		assert_string_equal(got, cases[i].want);
	}
}

/* Bug: a comm chosen by its process ends the label or the line and forges a sample. */
static void test_escaped(void **state)
{
	static const struct {
		const char *text, *label, *help;
	} cases[] = {
		{ "", "", "" },
		{ "nginx", "nginx", "nginx" },
		{ "a\"} 1\n", "a\\\"} 1\\n", "a\"} 1\\n" },
		{ "\\", "\\\\", "\\\\" },
		{ "\\n", "\\\\n", "\\\\n" },
		{ "\n\n", "\\n\\n", "\\n\\n" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		for (int is_label = 0; is_label < 2; is_label++) {
			const char *want = is_label ? cases[i].label : cases[i].help;
			struct buffer out = { 0 };

			render_escaped(&out, cases[i].text, strlen(cases[i].text), is_label);
			assert_int_equal(out.len, strlen(want));
			if (out.len)
				assert_memory_equal(out.data, want, out.len);
			assert_false(out.failed);
			buffer_free(&out);
		}
	}
}

/* Bug: after a failed allocation a later, smaller piece is added and the body has a hole. */
static void test_buffer_stays_failed(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	buffer_add(&out, "ab", 2);
	assert_null(buffer_reserve(&out, SIZE_MAX));
	assert_true(out.failed);
	buffer_add(&out, "c", 1);
	buffer_printf(&out, "%d", 1);
	assert_int_equal(out.len, 2);
	buffer_free(&out);
	assert_false(out.failed);
	assert_null(out.data);
}

/* Bug: an le that is not its bound; histogram_quantile would be off by a factor of 4. */
static void test_le(void **state)
{
	double bound = 1.0 / (1 << 20);

	(void)state;
	for (size_t i = 0; i < HIST_CLASSIC; i++, bound *= 4)
		assert_true(strtod(render_le[i], NULL) == bound);
}

static void set_prefix(struct prefix *prefix, const char *text)
{
	prefix->text = text;
	prefix->len = (uint32_t)strlen(text);
}

static const char want_text[] = "# HELP switches_total Back\\\\slash, \"quote\" and\\nnewline.\n"
				"# TYPE switches_total counter\n"
				"switches_total{kind=\"a\"} 18446744073709551615\n"
				"switches_total{kind=\"b\"} 0\n"
				"# HELP age_seconds An age.\n"
				"# TYPE age_seconds gauge\n"
				"age_seconds 1.5\n"
				"age_seconds{of=\"x\"} -9223372036.854775808\n"
				"# HELP run_seconds A time.\n"
				"# TYPE run_seconds histogram\n"
				"run_seconds_bucket{le=\"9.5367431640625e-07\"} 1\n"
				"run_seconds_bucket{le=\"3.814697265625e-06\"} 511\n"
				"run_seconds_bucket{le=\"1.52587890625e-05\"} 511\n"
				"run_seconds_bucket{le=\"6.103515625e-05\"} 511\n"
				"run_seconds_bucket{le=\"0.000244140625\"} 511\n"
				"run_seconds_bucket{le=\"0.0009765625\"} 511\n"
				"run_seconds_bucket{le=\"0.00390625\"} 511\n"
				"run_seconds_bucket{le=\"0.015625\"} 511\n"
				"run_seconds_bucket{le=\"0.0625\"} 511\n"
				"run_seconds_bucket{le=\"0.25\"} 511\n"
				"run_seconds_bucket{le=\"1\"} 511\n"
				"run_seconds_bucket{le=\"4\"} 511\n"
				"run_seconds_bucket{le=\"16\"} 1511\n"
				"run_seconds_bucket{le=\"+Inf\"} 11511\n"
				"run_seconds_sum 123.456789\n"
				"run_seconds_count 11511\n";

/*
 * Bug: buckets that are not cumulative, a bound off by one slot (slot 8 belongs to the second le,
 * slot 9 to the third, slot 97 to +Inf only), the sum counted as a slot, headers of empty families, a
 * gauge below zero as 18 billion.
 */
static void test_exposition(void **state)
{
	struct snapshot *snapshot = snapshot_new(4, 5, 1, 0);
	struct prefix counter[2], gauge[2], lines[HIST_CLASSIC + 3];
	char names[HIST_CLASSIC][80];
	struct snapshot_family *family = snapshot->families;
	struct buffer out = { 0 };
	uint64_t *slots;

	(void)state;
	family[0] = (struct snapshot_family){ "switches_total",
					      "Back\\slash, \"quote\" and\nnewline.",
					      METRIC_COUNTER,
					      0,
					      snapshot_samples(snapshot, 2),
					      2 };
	set_prefix(&counter[0], "switches_total{kind=\"a\"} ");
	set_prefix(&counter[1], "switches_total{kind=\"b\"} ");
	family[0].samples[0] = (struct sample){ .lines = &counter[0], .value = UINT64_MAX };
	family[0].samples[1] = (struct sample){ .lines = &counter[1], .value = 0 };
	family[1] =
		(struct snapshot_family){ "empty_total", "Nothing.", METRIC_COUNTER, 0, NULL, 0 };
	set_prefix(&gauge[0], "age_seconds ");
	set_prefix(&gauge[1], "age_seconds{of=\"x\"} ");
	family[2] = (struct snapshot_family){
		"age_seconds", "An age.", METRIC_GAUGE, 9, snapshot_samples(snapshot, 2), 2
	};
	family[2].samples[0] = (struct sample){ .lines = &gauge[0], .value = 1500000000 };
	family[2].samples[1] = (struct sample){ .lines = &gauge[1], .value = (uint64_t)INT64_MIN };

	for (size_t i = 0; i < HIST_CLASSIC; i++) {
		snprintf(names[i], sizeof(names[i]), "run_seconds_bucket{le=\"%s\"} ",
			 render_le[i]);
		set_prefix(&lines[i], names[i]);
	}
	set_prefix(&lines[HIST_CLASSIC], "run_seconds_bucket{le=\"+Inf\"} ");
	set_prefix(&lines[HIST_CLASSIC + 1], "run_seconds_sum ");
	set_prefix(&lines[HIST_CLASSIC + 2], "run_seconds_count ");
	slots = snapshot_slots(snapshot);
	slots[0] = 1;
	slots[1] = 10;
	slots[8] = 500;
	slots[96] = 1000;
	slots[97] = 10000;
	slots[HIST_SLOTS] = 123456789000;
	family[3] = (struct snapshot_family){
		"run_seconds", "A time.", METRIC_HISTOGRAM, 9, snapshot_samples(snapshot, 1), 1
	};
	family[3].samples[0] = (struct sample){ .lines = lines, .slots = slots };

	render_text(&out, snapshot);
	assert_false(out.failed);
	buffer_add(&out, "", 1);
	assert_string_equal(out.data, want_text);
	buffer_free(&out);
	snapshot_discard(snapshot);
}

/* Bug: samples lost or written past the reservation where one chunk ends and the next begins. */
static void test_many_samples(void **state)
{
	(void)state;
	for (size_t n = 1; n < 400; n += 7) {
		struct snapshot *snapshot = snapshot_new(1, n, 0, 0);
		struct prefix prefix = { "m ", 2 };
		struct buffer out = { 0 };
		const char *at;

		snapshot->families[0] = (struct snapshot_family){
			"m", "M.", METRIC_COUNTER, 0, snapshot_samples(snapshot, n), n
		};
		for (size_t i = 0; i < n; i++)
			snapshot->families[0].samples[i] =
				(struct sample){ .lines = &prefix, .value = UINT64_MAX - i };
		render_text(&out, snapshot);
		buffer_add(&out, "", 1);
		at = strstr(out.data, "counter\n") + strlen("counter\n");
		for (size_t i = 0; i < n; i++) {
			char line[64];

			snprintf(line, sizeof(line), "m %llu\n",
				 (unsigned long long)(UINT64_MAX - i));
			assert_memory_equal(at, line, strlen(line));
			at += strlen(line);
		}
		assert_int_equal(*at, '\0');
		buffer_free(&out);
		snapshot_discard(snapshot);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number),	     cmocka_unit_test(test_number_literals),
		cmocka_unit_test(test_escaped),	     cmocka_unit_test(test_buffer_stays_failed),
		cmocka_unit_test(test_le),	     cmocka_unit_test(test_exposition),
		cmocka_unit_test(test_many_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
