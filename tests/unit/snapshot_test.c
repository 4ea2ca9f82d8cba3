/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "histogram.h"
#include "snapshot.h"

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Bug: pools that overlap, or hand out more than was reserved. */
static void test_pools(void **state)
{
	struct snapshot *snapshot = snapshot_new(3, 5, 2, 1);
	struct sample *first, *second;
	uint64_t *slots, *other;

	(void)state;
	assert_non_null(snapshot);
	assert_int_equal(snapshot->nr_families, 3);
	assert_int_equal(snapshot->nr_checks, 1);
	first = snapshot_samples(snapshot, 2);
	second = snapshot_samples(snapshot, 3);
	assert_ptr_equal(second, first + 2);
	assert_null(snapshot_samples(snapshot, 1));
	slots = snapshot_slots(snapshot);
	other = snapshot_slots(snapshot);
	assert_ptr_equal(other, slots + HIST_SLOTS + 1);
	assert_null(snapshot_slots(snapshot));
	memset(slots, 0xff, 2 * (HIST_SLOTS + 1) * sizeof(*slots));
	memset(first, 0xff, 5 * sizeof(*first));
	memset(snapshot->families, 0xff, 3 * sizeof(*snapshot->families));
	assert_true(slots[HIST_SLOTS] == UINT64_MAX);
	assert_null(snapshot->checks[0].collector);
	snapshot_discard(snapshot);
	snapshot_discard(NULL);
}

/* Bug: a size that wraps around and an allocation that is far too small. */
static void test_too_large(void **state)
{
	(void)state;
	errno = 0;
	assert_null(snapshot_new(0, SIZE_MAX / sizeof(struct sample), 0, 0));
	assert_int_equal(errno, ENOMEM);
	assert_null(snapshot_new(SIZE_MAX, 0, 0, 0));
	assert_null(snapshot_new(0, 0, SIZE_MAX / 8, 0));
}

/* Bug: a snapshot freed under its reader, one never freed, a wrong oldest generation. */
static void test_life(void **state)
{
	struct snapshot_store *store = snapshot_store_new();
	struct snapshot *one = snapshot_new(0, 1, 0, 0), *two = snapshot_new(0, 1, 0, 0);
	struct snapshot *three = snapshot_new(0, 1, 0, 0), *held;

	(void)state;
	assert_null(snapshot_acquire(store));
	assert_int_equal(snapshot_oldest_generation(store), 0);
	snapshot_publish(store, one);
	assert_int_equal(one->generation, 1);
	assert_int_equal(snapshot_oldest_generation(store), 1);

	held = snapshot_acquire(store);
	assert_ptr_equal(held, one);
	snapshot_publish(store, two);
	snapshot_publish(store, three);
	/* The second, which nobody holds, goes; the first stays whole. */
	assert_int_equal(snapshot_oldest_generation(store), 1);
	assert_int_equal(held->generation, 1);
	snapshot_release(store, held);
	assert_int_equal(snapshot_oldest_generation(store), 3);

	held = snapshot_acquire(store);
	assert_ptr_equal(held, three);
	assert_ptr_equal(snapshot_acquire(store), three);
	snapshot_release(store, held);
	snapshot_publish(store, snapshot_new(0, 0, 0, 0));
	assert_int_equal(snapshot_oldest_generation(store), 3); /* the second reference */
	snapshot_release(store, three);
	assert_int_equal(snapshot_oldest_generation(store), 4);
	snapshot_store_free(store);
	snapshot_store_free(NULL);
}

/* Bug: check strings that dangle after their owner is gone, or are cut inside a character. */
static void test_checks_copied(void **state)
{
	struct snapshot_store *store = snapshot_store_new();
	struct snapshot *snapshot = snapshot_new(0, 0, 0, 2);
	char name[] = "tcp", reason[SNAPSHOT_REASON_MAX + 2];

	(void)state;
	memset(reason, 'x', sizeof(reason));
	memcpy(reason + SNAPSHOT_REASON_MAX - 1, "\xc3\xbc", 3);
	snapshot->checks[0] = (struct snapshot_check){ name, COLLECTOR_DOWN, reason };
	snapshot->checks[1] = (struct snapshot_check){ "block", COLLECTOR_UP, NULL };
	snapshot_publish(store, snapshot);
	memset(name, 0, sizeof(name));
	memset(reason, 0, sizeof(reason));
	assert_string_equal(snapshot->checks[0].collector, "tcp");
	assert_int_equal(strlen(snapshot->checks[0].reason), SNAPSHOT_REASON_MAX - 1);
	assert_int_equal(snapshot->checks[0].state, COLLECTOR_DOWN);
	assert_string_equal(snapshot->checks[1].reason, "");
	snapshot_store_free(store);
}

static void *publish_one(void *store)
{
	snapshot_publish(store, snapshot_new(0, 0, 0, 0));
	return NULL;
}

/* Bug: a waiter that is never woken, or says "newer" when only the time is over. */
static void test_wait_newer(void **state)
{
	struct snapshot_store *store = snapshot_store_new();
	pthread_t thread;

	(void)state;
	assert_false(snapshot_wait_newer(store, 0, 0)); /* long past */
	assert_false(snapshot_wait_newer(store, 0, now_ns() + 1000000));
	assert_int_equal(pthread_create(&thread, NULL, publish_one, store), 0);
	assert_true(snapshot_wait_newer(store, 0, now_ns() + 60000000000));
	pthread_join(thread, NULL);
	assert_true(snapshot_wait_newer(store, 0, 0));
	assert_false(snapshot_wait_newer(store, 1, 0));
	snapshot_store_free(store);
}

static int fill(struct snapshot *snapshot, struct snapshot_body *body, void *arg)
{
	int *calls = arg;

	(void)snapshot;
	if (++*calls == 1)
		return -ENOMEM;
	body->data = strdup("body");
	body->len = 4;
	return 0;
}

static int fill_from_plain(struct snapshot *snapshot, struct snapshot_body *body, void *arg)
{
	const struct snapshot_body *plain = snapshot_body(snapshot, 0, fill, arg);

	body->data = strdup(plain->data);
	body->len = plain->len;
	return 0;
}

/* Bug: a failure that is cached, a body made again for each reader, a deadlock of the nested one.
 */
static void test_body(void **state)
{
	struct snapshot *snapshot = snapshot_new(0, 0, 0, 0);
	const struct snapshot_body *body;
	int calls = 0;

	(void)state;
	errno = 0;
	assert_null(snapshot_body(snapshot, 0, fill, &calls));
	assert_int_equal(errno, ENOMEM);
	body = snapshot_body(snapshot, 0, fill, &calls);
	assert_string_equal(body->data, "body");
	assert_ptr_equal(snapshot_body(snapshot, 0, fill, &calls), body);
	assert_int_equal(calls, 2);
	assert_string_equal(snapshot_body(snapshot, 1, fill_from_plain, &calls)->data, "body");
	assert_int_equal(calls, 2);
	assert_null(snapshot_body(snapshot, SNAPSHOT_BODIES, fill, &calls));
	snapshot_discard(snapshot);
}

/* The stress: every value of a snapshot is its generation, so mixed or freed contents show. */
#define SAMPLES 64
#define READERS 4
#define ROUNDS	2000

struct stress {
	struct snapshot_store *store;
	int fills; /* under the store's own exclusion: one at a time for each snapshot */
	int bad;
};

static int fill_generation(struct snapshot *snapshot, struct snapshot_body *body, void *arg)
{
	struct stress *stress = arg;

	__atomic_add_fetch(&stress->fills, 1, __ATOMIC_RELAXED);
	body->data = malloc(sizeof(uint64_t));
	body->len = sizeof(uint64_t);
	memcpy(body->data, &snapshot->families[0].samples[0].value, sizeof(uint64_t));
	return 0;
}

static int consistent(struct snapshot *snapshot, struct stress *stress)
{
	const struct snapshot_body *body = snapshot_body(snapshot, 0, fill_generation, stress);
	uint64_t want = snapshot->generation, cached;

	memcpy(&cached, body->data, sizeof(cached));
	for (size_t i = 0; i < SAMPLES; i++)
		if (snapshot->families[0].samples[i].value != want)
			return 0;
	return cached == want;
}

static void *reader(void *arg)
{
	struct stress *stress = arg;
	uint64_t seen = 0;

	while (seen < ROUNDS) {
		struct snapshot *snapshot;

		if (!snapshot_wait_newer(stress->store, seen, now_ns() + 60000000000))
			break;
		snapshot = snapshot_acquire(stress->store);
		if (snapshot->generation <= seen || !consistent(snapshot, stress))
			__atomic_add_fetch(&stress->bad, 1, __ATOMIC_RELAXED);
		seen = snapshot->generation;
		snapshot_release(stress->store, snapshot);
	}
	if (seen != ROUNDS)
		__atomic_add_fetch(&stress->bad, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Bug: any race of swap, reference, reap and cached bodies (meant for the sanitizers). */
static void test_stress(void **state)
{
	struct stress stress = { .store = snapshot_store_new() };
	pthread_t threads[READERS];

	(void)state;
	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, &stress), 0);
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		struct snapshot *snapshot = snapshot_new(1, SAMPLES, 0, 1);

		snapshot->families[0].samples = snapshot_samples(snapshot, SAMPLES);
		snapshot->families[0].nr_samples = SAMPLES;
		for (size_t i = 0; i < SAMPLES; i++)
			snapshot->families[0].samples[i].value = round;
		snapshot_publish(stress.store, snapshot);
		assert_in_range(snapshot_oldest_generation(stress.store), 1, round);
	}
	for (size_t i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(stress.bad, 0);
	assert_in_range(stress.fills, 1, ROUNDS);
	assert_int_equal(snapshot_oldest_generation(stress.store), ROUNDS);
	snapshot_store_free(stress.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pools),	   cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_life),	   cmocka_unit_test(test_checks_copied),
		cmocka_unit_test(test_wait_newer), cmocka_unit_test(test_body),
		cmocka_unit_test(test_stress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
