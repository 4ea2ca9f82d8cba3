/* SPDX-License-Identifier: GPL-2.0-only */
/* poll_table: the rows of one table -> fold; those of the dead leave it. */
#include "poll_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define BATCH_BYTES  (256 << 10) /* of values; they fit the cache */
#define MOST_UNREAD  10	 /* polls: a program that touched a row and did not say so is found out */
#define ENOTSUPP_BPF 524 /* the kernel's own ENOTSUPP, which has no name outside */

/* A command of bpf(2) that this kernel lacks, or lacks for the type of the map. */
static bool is_unsupported(int err)
{
	return err == EINVAL || err == EOPNOTSUPP || err == ENOTSUPP_BPF;
}

static size_t value_bytes(const struct poller *poller, const struct polled_table *t)
{
	return (size_t)t->table->value_size * (table_is_percpu(t->table) ? poller->cpus : 1);
}

static int fold_one(struct poller *poller, struct polled_table *t, const void *key,
		    const void *value)
{
	const uint64_t *words = value;
	size_t n = t->table->value_size / 8;

	if (table_is_percpu(t->table)) {
		memcpy(poller->sums, words, n * 8);
		for (int cpu = 1; cpu < poller->cpus; cpu++)
			for (size_t i = 0; i < n; i++)
				poller->sums[i] += words[cpu * n + i];
		words = poller->sums;
	}
	return fold_row(t->fold, key, words);
}

/* The rows of one batch. */
static int fold_all(struct poller *poller, struct polled_table *t, size_t n)
{
	size_t key_size = t->table->key_size, size = value_bytes(poller, t);
	int err = 0;

	if (!table_is_percpu(t->table))
		return fold_batch(t->fold, n, poller->keys, poller->values);
	for (size_t i = 0; i < n && !err; i++)
		err = fold_one(poller, t, (char *)poller->keys + i * key_size,
			       (char *)poller->values + i * size);
	return err;
}

/* Room for `rows` rows of a table. */
static int reserve(struct poller *poller, const struct polled_table *t, size_t rows)
{
	size_t keys = rows * t->table->key_size, values = rows * value_bytes(poller, t);

	if (keys > poller->keys_size) {
		free(poller->keys);
		poller->keys = malloc(keys);
		poller->keys_size = poller->keys ? keys : 0;
	}
	if (values > poller->values_size) {
		free(poller->values);
		poller->values = malloc(values);
		poller->values_size = poller->values ? values : 0;
	}
	return poller->keys && poller->values ? 0 : -ENOMEM;
}

/* At least 8: a histogram of 256 possible CPUs has 200 kB a row. */
static uint32_t batch_rows(const struct poller *poller, const struct polled_table *t)
{
	size_t rows = BATCH_BYTES / value_bytes(poller, t);

	return rows < 8 ? 8 : rows > 4096 ? 4096 : rows;
}

/*
 * All rows by bpf_map_lookup_batch. -ENOSPC means that one hash bucket has more rows than the batch
 * has room for: try again with twice the room. -EINTR (a generic map gives it after three rows that
 * vanished under it) may or may not come with rows and a new position: from the beginning again,
 * rows met twice add nothing the second time.
 */
static int read_batches(struct poller *poller, struct polled_table *t)
{
	uint32_t room = batch_rows(poller, t), position, count;
	int err = reserve(poller, t, room), retries = 0;
	bool first = true;

	t->rows = 0;
	while (!err) {
		count = room;
		err = bpf_map_lookup_batch(t->fd, first ? NULL : &position, &position, poller->keys,
					   poller->values, &count, NULL);
		if (err && errno == ENOSPC && room < t->table->max_entries) {
			room *= 2;
			err = reserve(poller, t, room);
			continue;
		}
		if (err && errno == EINTR && ++retries < MAX_RETRIES) {
			first = true;
			t->rows = 0;
			err = 0;
			continue;
		}
		if (err && errno != ENOENT)
			return -errno;
		first = false;
		t->batches = true;
		t->rows += count;
		if (fold_all(poller, t, count))
			return -ENOMEM;
		if (err)
			return 0; /* ENOENT: that was the last batch */
	}
	return err;
}

/*
 * Key by key, for kernels without batches. A key that is deleted under the walk sends it back to
 * the beginning; rows met twice add nothing the second time, and the bound ends it in any case.
 */
static int read_keys(struct poller *poller, struct polled_table *t)
{
	char *key, *next;
	bool first = true;
	int err = reserve(poller, t, 2);

	if (err)
		return err;
	key = poller->keys;
	next = key + t->table->key_size;
	t->rows = 0;
	for (size_t left = 2 * (size_t)t->table->max_entries + 1; left; left--) {
		if (bpf_map_get_next_key(t->fd, first ? NULL : key, next))
			return errno == ENOENT ? 0 : -errno;
		first = false;
		memcpy(key, next, t->table->key_size);
		if (bpf_map_lookup_elem(t->fd, key, poller->values)) {
			if (errno != ENOENT)
				return -errno;
			continue; /* deleted meanwhile */
		}
		t->rows++;
		if (fold_one(poller, t, key, poller->values))
			return -ENOMEM;
	}
	return 0;
}

struct reaper {
	struct poller *poller;
	struct polled_table *table;
};

/*
 * Takes a row out of its map. Lookup-and-delete (5.14 for hashes) leaves no moment between reading
 * and deleting; before, the row that was read unchanged for two polls is read once more. A row that
 * memory is too short for goes back: what it grew by is in nobody's books yet.
 */
static bool reap(struct fold_table *fold, const void *key, void *arg)
{
	struct reaper *reaper = arg;
	struct polled_table *t = reaper->table;
	void *value = reaper->poller->values;

	(void)fold;
	if (bpf_map_lookup_and_delete_elem(t->fd, key, value)) {
		if (errno == ENOENT)
			return true;
		if (!is_unsupported(errno) || bpf_map_lookup_elem(t->fd, key, value) ||
		    bpf_map_delete_elem(t->fd, key))
			return false;
	}
	if (!fold_one(reaper->poller, t, key, value)) {
		t->rows -= t->rows > 0;
		return true;
	}
	bpf_map_update_elem(t->fd, key, value, BPF_NOEXIST);
	t->reads_due = 2; /* it has what was not folded */
	return false;
}

/* Only what says that there are no batches leads to the slow way, for good; any other error is of
 * the moment. */
int poll_read_rows(struct poller *poller, struct polled_table *t)
{
	int err = t->no_batch ? -EOPNOTSUPP : read_batches(poller, t);

	if (err && !t->batches && is_unsupported(-err)) {
		err = read_keys(poller, t);
		t->no_batch = !err;
	}
	return err;
}

/*
 * Whether a table may hold what was not read yet. A program says that it touches a row before it
 * does, so each time is good for two polls: by the second one it has done it.
 */
static bool is_due(struct polled_table *t)
{
	uint64_t *touched = t->told.touched;

	if (!touched || t->table->is_refilled)
		return true;
	if (__atomic_load_n(touched, __ATOMIC_RELAXED)) {
		__atomic_store_n(touched, 0, __ATOMIC_SEQ_CST);
		t->reads_due = 2;
	}
	return t->reads_due || t->unread >= MOST_UNREAD;
}

/* Reads the rows of a table, unless they are known to be what they were. */
static int read_if_due(struct poller *poller, struct polled_table *t)
{
	int err;

	if (!is_due(t)) {
		t->unread++;
		return 0;
	}
	err = poll_read_rows(poller, t);
	t->unread = 0;
	if (err)
		t->reads_due = 2;
	else if (t->reads_due)
		t->reads_due--;
	return err;
}

int poll_read_table(struct poller *poller, struct polled_table *t)
{
	struct reaper reaper = { poller, t };
	int err;

	if (t->table->file)
		return poller->files ? files_read(poller->files, t->table->file, t->fold, &t->rows)
				     : 0;
	err = read_if_due(poller, t);
	if (err)
		return err;
	if (t->table->is_refilled) {
		t->is_empty = t->rows <= 1;
		fold_rows_not_met(t->fold);
		return 0;
	}
	fold_polled(t->fold);
	if (!reserve(poller, t, 1))
		fold_dead_rows(t->fold, reap, &reaper);
	return 0;
}

/* Takes all rows out of a table that is to be filled anew. */
int poll_empty_table(struct poller *poller, struct polled_table *t)
{
	int err = reserve(poller, t, 2);
	char *key, *next;
	bool more;

	if (err || t->is_empty)
		return err;
	key = poller->keys;
	next = key + t->table->key_size;
	for (more = !bpf_map_get_next_key(t->fd, NULL, key); more;) {
		more = !bpf_map_get_next_key(t->fd, key, next);
		if (bpf_map_delete_elem(t->fd, key))
			return -errno;
		memcpy(key, next, t->table->key_size);
	}
	return maps_reserve_row(t->table);
}
