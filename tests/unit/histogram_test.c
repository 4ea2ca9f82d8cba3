/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * histogram.h: the slot of an observation against exact arithmetic.
 *
 * bound(i) = 10^9 * 2^(k/4) ns with k = i + HIST_FIRST, so v <= bound(i) is v^4 <= 10^36 * 2^k: integers
 * of up to 340 bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "histogram.h"

#define WORDS 8
#define LAST  (HIST_SLOTS - 2) /* the last slot with a bound */

struct big {
	uint64_t word[WORDS]; /* the lowest first */
};

static void times(struct big *big, uint64_t factor)
{
	unsigned __int128 carry = 0;

	for (int i = 0; i < WORDS; i++) {
		carry += (unsigned __int128)big->word[i] * factor;
		big->word[i] = (uint64_t)carry;
		carry >>= 64;
	}
	assert_true(!carry);
}

static void times_power_of_2(struct big *big, int power)
{
	for (; power > 60; power -= 60)
		times(big, 1ULL << 60);
	times(big, 1ULL << power);
}

/* v <= bound(slot), by integers alone */
static int is_within(uint64_t v, int slot)
{
	struct big left = { { 1 } }, right = { { 1 } };
	int k = slot + HIST_FIRST;

	for (int i = 0; i < 4; i++)
		times(&left, v);
	times(&right, 1000000000000000000);
	times(&right, 1000000000000000000);
	times_power_of_2(k < 0 ? &left : &right, k < 0 ? -k : k);
	for (int i = WORDS - 1; i >= 0; i--)
		if (left.word[i] != right.word[i])
			return left.word[i] < right.word[i];
	return 1;
}

/* The largest integer within the bound of a slot. */
static uint64_t largest_within(int slot)
{
	uint64_t low = 0, high = 1ULL << 40; /* 18 minutes; the last bound is 16 s */

	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (is_within(middle, slot))
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Bug: a bound that is one off, so that `le` lies about observations right on it. */
static void test_bounds(void **state)
{
	(void)state;
	for (int slot = 0; slot <= LAST; slot++) {
		uint64_t bound = largest_within(slot);

		assert_int_equal(histogram_slot(bound - 1), slot);
		assert_int_equal(histogram_slot(bound), slot);
		assert_int_equal(histogram_slot(bound + 1), slot + 1);
	}
}

/* Bug: a bound that is a power of two of seconds, where the comparison is with equality, is exclusive. */
static void test_round_bounds(void **state)
{
	(void)state;
	assert_int_equal(histogram_slot(1000000000), -HIST_FIRST);
	assert_int_equal(histogram_slot(1000000001), -HIST_FIRST + 1);
	assert_int_equal(histogram_slot(16000000000), LAST);
	assert_int_equal(histogram_slot(500000000), -HIST_FIRST - HIST_PER_OCTAVE);
	assert_int_equal(histogram_slot(953), 0);
	assert_int_equal(histogram_slot(954), 1); /* 2^-20 s are 953.67 ns */
	assert_int_equal(largest_within(0), 953);
	assert_int_equal(largest_within(LAST), 16000000000);
}

/* Bug: an index outside the array for the smallest and the largest values. */
static void test_extremes(void **state)
{
	(void)state;
	assert_int_equal(histogram_slot(0), 0);
	assert_int_equal(histogram_slot(1), 0);
	assert_int_equal(histogram_slot(UINT64_MAX), HIST_SLOTS - 1);
	assert_int_equal(histogram_slot(1ULL << 63), HIST_SLOTS - 1);
	for (int bit = 0; bit < 64; bit++) {
		assert_true(histogram_slot(1ULL << bit) < HIST_SLOTS);
		assert_true(histogram_slot((1ULL << bit) - 1) <= histogram_slot(1ULL << bit));
	}
}

/* Bug: a mistake between the bounds, found nowhere else; a slot that goes down as the value goes up. */
static void test_random(void **state)
{
	uint64_t seed = 88172645463325252;
	uint64_t before_value = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t value;
		int slot;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		value = seed >> (24 + seed % 40); /* below 2^40, all sizes alike */
		slot = histogram_slot(value);
		if (slot > 0)
			assert_false(is_within(value, slot - 1));
		if (slot <= LAST)
			assert_true(is_within(value, slot));
		if (value >= before_value)
			assert_true(slot >= (int)histogram_slot(before_value));
		else
			assert_true(slot <= (int)histogram_slot(before_value));
		before_value = value;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_round_bounds),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
