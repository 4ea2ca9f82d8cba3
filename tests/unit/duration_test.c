// SPDX-License-Identifier: GPL-2.0-only
/* duration: the bugs looked for are wrong factors, rounding, silent overflow and lax syntax. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "options.h"

#define S 1000000000ULL

struct good {
	const char *text;
	uint64_t ns;
};

static void expect_all(const struct good *cases, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t ns = 42;
		int err = duration_parse(cases[i].text, &ns);

		if (err || ns != cases[i].ns)
			fail_msg("\"%s\": got %d, %llu ns", cases[i].text, err,
				 (unsigned long long)ns);
	}
}

/* Catches a wrong factor of a unit, and "ms" read as "m" and a rest. */
static void units(void **state)
{
	static const struct good cases[] = {
		{ "0", 0 },	     { "0s", 0 },	{ "1ns", 1 },	   { "1us", 1000 },
		{ "1ms", 1000000 },  { "1s", S },	{ "1m", 60 * S },  { "1h", 3600 * S },
		{ "1d", 86400 * S }, { "007s", 7 * S }, { "90s", 90 * S },
	};

	(void)state;
	expect_all(cases, sizeof(cases) / sizeof(*cases));
}

/* Catches a sum that forgets or doubles a part. */
static void several(void **state)
{
	static const struct good cases[] = {
		{ "1m30s", 90 * S },
		{ "1h1ms", 3600 * S + 1000000 },
		{ "1d2h3m4s5ms6us7ns", 93784005006007ULL },
		{ "1.5h1.5m", 5490 * S },
	};

	(void)state;
	expect_all(cases, sizeof(cases) / sizeof(*cases));
}

/* Catches a double on the way: 0.1 and the 64-bit values have no exact one. */
static void decimals(void **state)
{
	static const struct good cases[] = {
		{ "0.5s", S / 2 },
		{ "1.5m", 90 * S },
		{ "0.1s", S / 10 },
		{ "0.3us", 300 },
		{ "1.000000001s", S + 1 },
		{ "0.50000000000000000000000000000000000000000s", S / 2 },
		/* 2^-16 d: sixteen digits, the most a fraction of a day can have and be exact. */
		{ "0.0000152587890625d", 1318359375 },
		{ "9223372036.854775807s", INT64_MAX },
		{ "18446744073.709551615s", UINT64_MAX },
	};

	(void)state;
	expect_all(cases, sizeof(cases) / sizeof(*cases));
}

/* Catches text taken for a duration that the user did not mean as one. */
static void not_a_duration(void **state)
{
	static const char *const cases[] = {
		"",
		"5",
		"00",
		"0.0",
		"-1s",
		"+1s",
		"1x",
		"s",
		"1s1m",
		"1s1s",
		" 1s",
		"1s ",
		"1 s",
		"1e3s",
		"1.s",
		".5s",
		"1..5s",
		"1.5.5s",
		"0x1s",
		"1S",
		"1sec",
		"1m30",
		"1,5s",
		"0.5ns",
		"0.0001us",
		"1m-30s",
		"inf",
		"nan",
		"1s\n",
		"0 ",
		"1ms1s",
		"0.33333333333333333333d",
		/* No number at all stays that when its first part overflows. */
		"99999999999999999999dx",
		"99999999999999999999d1d",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t ns = 42;
		int err = duration_parse(cases[i], &ns);

		if (err != -EINVAL || ns != 42)
			fail_msg("\"%s\": got %d, %llu ns", cases[i], err, (unsigned long long)ns);
	}
}

/* Catches a wrap-around: 2^64 + 1 ns must not become 1 ns. */
static void overflow(void **state)
{
	static const char *const cases[] = {
		"18446744073709551616ns",
		"18446744073709551617ns",
		"18446744073.709551616s",
		"213504d",
		"99999999999999999999999999999s",
		"18446744073s709551616ns",
		"213503d99999999h",
	};
	static const struct good fits[] = {
		{ "18446744073709551615ns", UINT64_MAX },
		{ "18446744073s709551615ns", UINT64_MAX },
		{ "213503d", 213503 * (86400 * S) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t ns = 42;
		int err = duration_parse(cases[i], &ns);

		if (err != -ERANGE || ns != 42)
			fail_msg("\"%s\": got %d, %llu ns", cases[i], err, (unsigned long long)ns);
	}
	expect_all(fits, sizeof(fits) / sizeof(*fits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units),    cmocka_unit_test(several),
		cmocka_unit_test(decimals), cmocka_unit_test(not_a_duration),
		cmocka_unit_test(overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
