// SPDX-License-Identifier: GPL-2.0-only
/*
 * duration: "1m30s" to nanoseconds, in integers: a float would turn 0.1s into 100000000.000000006
 * ns and could not hold 64 bits.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "options.h"

static const struct unit {
	const char *name;
	uint64_t ns;
} units[] = {
	{ "d", 86400000000000 }, { "h", 3600000000000 }, { "m", 60000000000 }, { "s", 1000000000 },
	{ "ms", 1000000 },	 { "us", 1000 },	 { "ns", 1 },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t digits(const char *text)
{
	size_t n = 0;

	while (is_digit(text[n]))
		n++;
	return n;
}

/* The whole run of letters is the unit: "ms" is never an "m" with something behind it. */
static const struct unit *find_unit(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strlen(units[i].name) == len && !memcmp(units[i].name, text, len))
			return &units[i];
	}
	return NULL;
}

/* Returns true when number * unit fits 64 bits. */
static bool whole_part(const char *text, size_t len, uint64_t unit, uint64_t *ns)
{
	uint64_t number = 0;

	for (size_t i = 0; i < len; i++) {
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, text[i] - '0', &number))
			return false;
	}
	return !__builtin_mul_overflow(number, unit, ns);
}

/*
 * 0.<text> * unit, from the last digit to the first as one divides by hand: the running value stays
 * below 10 units however many digits there are. Returns false when the result is no whole number of
 * nanoseconds.
 */
static bool fraction_part(const char *text, size_t len, uint64_t unit, uint64_t *ns)
{
	uint64_t value = 0;

	while (len--) {
		value += (uint64_t)(text[len] - '0') * unit;
		if (value % 10)
			return false;
		value /= 10;
	}
	*ns = value;
	return true;
}

/* One "<number><unit>" at *text, which moves behind it. */
static int parse_part(const char **text, const struct unit **unit, uint64_t *ns, bool *fits)
{
	const char *whole = *text, *fraction = NULL, *letters;
	size_t nr_whole = digits(whole), nr_fraction = 0, nr_letters = 0;
	uint64_t a = 0, b = 0;

	letters = whole + nr_whole;
	if (*letters == '.') {
		fraction = letters + 1;
		nr_fraction = digits(fraction);
		if (!nr_fraction)
			return -EINVAL;
		letters = fraction + nr_fraction;
	}
	while (letters[nr_letters] >= 'a' && letters[nr_letters] <= 'z')
		nr_letters++;
	*unit = find_unit(letters, nr_letters);
	if (!nr_whole || !*unit)
		return -EINVAL;
	if (!fraction_part(fraction, nr_fraction, (*unit)->ns, &b))
		return -EINVAL;
	*fits = whole_part(whole, nr_whole, (*unit)->ns, &a) && !__builtin_add_overflow(a, b, ns);
	*text = letters + nr_letters;
	return 0;
}

int duration_parse(const char *text, uint64_t *ns)
{
	const struct unit *last = NULL, *unit;
	uint64_t sum = 0;
	bool fits = true;

	if (!strcmp(text, "0")) {
		*ns = 0;
		return 0;
	}
	do {
		uint64_t part = 0;
		bool part_fits;
		int err = parse_part(&text, &unit, &part, &part_fits);

		if (err)
			return err;
		if (last && unit <= last) /* "1s1m" is a slip of the hand, not 61 s */
			return -EINVAL;
		last = unit;
		/* Goes on after an overflow: text that is no duration at all is -EINVAL. */
		fits = fits && part_fits && !__builtin_add_overflow(sum, part, &sum);
	} while (*text);
	if (!fits)
		return -ERANGE;
	*ns = sum;
	return 0;
}
