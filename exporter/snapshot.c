/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "histogram.h"
#include "snapshot.h"

#define SLOTS (HIST_SLOTS + 1) /* and the sum */

/* The copies of one check's strings. */
struct check_text {
	char collector[SNAPSHOT_COLLECTOR_MAX + 1];
	char reason[SNAPSHOT_REASON_MAX + 1];
};

/* Each body has its own lock: making a compressed body may ask for the plain one. */
struct cached_body {
	pthread_mutex_t lock;
	bool made;
	struct snapshot_body body;
};

struct snapshot_private {
	struct snapshot *older; /* the store's list; under the store's lock */
	size_t refs;		/* readers; under the store's lock */
	struct sample *samples, *samples_end;
	uint64_t *slots, *slots_end;
	struct check_text *texts;
	struct cached_body bodies[SNAPSHOT_BODIES];
};

/*
 * A snapshot is one allocation: a poll makes one each second for months, and one block of a size
 * that hardly changes leaves no holes. What follows: slots, samples, families, checks, texts.
 */
struct arena {
	struct snapshot snapshot;
	struct snapshot_private priv;
	uint64_t slots[];
};

struct snapshot_store {
	pthread_mutex_t lock;
	pthread_cond_t published;
	struct snapshot *newest; /* the current one, then older ones that are or may be in use */
	uint64_t generation;
};

struct snapshot_store *snapshot_store_new(void)
{
	struct snapshot_store *store = calloc(1, sizeof(*store));
	pthread_condattr_t attr;

	if (!store)
		return NULL;
	pthread_mutex_init(&store->lock, NULL);
	/* A wait must not end early or last for hours because someone set the clock. */
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&store->published, &attr);
	pthread_condattr_destroy(&attr);
	return store;
}

void snapshot_store_free(struct snapshot_store *store)
{
	if (!store)
		return;
	while (store->newest) {
		struct snapshot *snapshot = store->newest;

		store->newest = snapshot->priv->older;
		snapshot_discard(snapshot);
	}
	pthread_cond_destroy(&store->published);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

/* True when it does not fit a size_t. */
static bool add_array(size_t *total, size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ||
	       __builtin_add_overflow(*total, bytes, total);
}

struct snapshot *snapshot_new(size_t families, size_t samples, size_t histograms, size_t checks)
{
	size_t size = sizeof(struct arena);
	struct snapshot *snapshot;
	struct snapshot_private *priv;
	struct arena *arena = NULL;

	if (!add_array(&size, histograms, SLOTS * sizeof(uint64_t)) &&
	    !add_array(&size, samples, sizeof(struct sample)) &&
	    !add_array(&size, families, sizeof(struct snapshot_family)) &&
	    !add_array(&size, checks, sizeof(struct snapshot_check)) &&
	    !add_array(&size, checks, sizeof(struct check_text)))
		arena = malloc(size);
	if (!arena) {
		errno = ENOMEM;
		return NULL;
	}

	memset(arena, 0, sizeof(*arena));
	snapshot = &arena->snapshot;
	priv = &arena->priv;
	snapshot->priv = priv;
	priv->slots = arena->slots;
	priv->slots_end = priv->slots + histograms * SLOTS;
	priv->samples = (struct sample *)priv->slots_end;
	priv->samples_end = priv->samples + samples;
	snapshot->families = (struct snapshot_family *)priv->samples_end;
	snapshot->nr_families = families;
	memset(snapshot->families, 0, families * sizeof(*snapshot->families));
	snapshot->checks = (struct snapshot_check *)(snapshot->families + families);
	snapshot->nr_checks = checks;
	memset(snapshot->checks, 0, checks * sizeof(*snapshot->checks));
	priv->texts = (struct check_text *)(snapshot->checks + checks);
	for (size_t i = 0; i < SNAPSHOT_BODIES; i++)
		pthread_mutex_init(&priv->bodies[i].lock, NULL);
	return snapshot;
}

struct sample *snapshot_samples(struct snapshot *snapshot, size_t n)
{
	struct snapshot_private *priv = snapshot->priv;
	struct sample *samples = priv->samples;

	if (n > (size_t)(priv->samples_end - samples))
		return NULL;
	priv->samples += n;
	return samples;
}

uint64_t *snapshot_slots(struct snapshot *snapshot)
{
	struct snapshot_private *priv = snapshot->priv;
	uint64_t *slots = priv->slots;

	if (slots == priv->slots_end)
		return NULL;
	priv->slots += SLOTS;
	return memset(slots, 0, SLOTS * sizeof(*slots));
}

void snapshot_discard(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	for (size_t i = 0; i < SNAPSHOT_BODIES; i++) {
		free(snapshot->priv->bodies[i].body.data);
		pthread_mutex_destroy(&snapshot->priv->bodies[i].lock);
	}
	free(snapshot); /* the arena's first member */
}

/* Copies what fits, without half a UTF-8 character at the end: /health must stay valid JSON. */
static const char *copy_text(char *to, const char *from, size_t max)
{
	size_t len = from ? strnlen(from, max + 1) : 0;

	if (len > max)
		for (len = max; len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80;)
			len--;
	if (len)
		memcpy(to, from, len);
	to[len] = '\0';
	return to;
}

void snapshot_publish(struct snapshot_store *store, struct snapshot *snapshot)
{
	struct snapshot_private *priv = snapshot->priv;

	for (size_t i = 0; i < snapshot->nr_checks; i++) {
		struct snapshot_check *check = &snapshot->checks[i];
		struct check_text *text = &priv->texts[i];

		check->collector =
			copy_text(text->collector, check->collector, SNAPSHOT_COLLECTOR_MAX);
		check->reason = copy_text(text->reason, check->reason, SNAPSHOT_REASON_MAX);
	}

	pthread_mutex_lock(&store->lock);
	snapshot->generation = ++store->generation;
	priv->older = store->newest;
	store->newest = snapshot;
	pthread_cond_broadcast(&store->published);
	pthread_mutex_unlock(&store->lock);
}

struct snapshot *snapshot_acquire(struct snapshot_store *store)
{
	struct snapshot *snapshot;

	pthread_mutex_lock(&store->lock);
	snapshot = store->newest;
	if (snapshot)
		snapshot->priv->refs++;
	pthread_mutex_unlock(&store->lock);
	return snapshot;
}

/* Only counts down: freeing is left to the poller, so that no reader ever pays for it. */
void snapshot_release(struct snapshot_store *store, struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	pthread_mutex_lock(&store->lock);
	snapshot->priv->refs--;
	pthread_mutex_unlock(&store->lock);
}

uint64_t snapshot_oldest_generation(struct snapshot_store *store)
{
	struct snapshot *dead = NULL, **link = &store->newest, *snapshot;
	uint64_t oldest = 0;

	pthread_mutex_lock(&store->lock);
	while ((snapshot = *link)) {
		struct snapshot_private *priv = snapshot->priv;

		if (snapshot == store->newest || priv->refs) {
			oldest = snapshot->generation; /* the list goes from new to old */
			link = &priv->older;
			continue;
		}
		*link = priv->older;
		priv->older = dead;
		dead = snapshot;
	}
	pthread_mutex_unlock(&store->lock);

	while (dead) { /* out of the lock: returning megabytes to the kernel takes a while */
		snapshot = dead;
		dead = snapshot->priv->older;
		snapshot_discard(snapshot);
	}
	return oldest;
}

bool snapshot_wait_newer(struct snapshot_store *store, uint64_t generation, uint64_t deadline_ns)
{
	struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ns / 1000000000),
		.tv_nsec = (long)(deadline_ns % 1000000000),
	};
	bool newer;

	pthread_mutex_lock(&store->lock);
	while (store->generation <= generation)
		if (pthread_cond_timedwait(&store->published, &store->lock, &deadline))
			break;
	newer = store->generation > generation;
	pthread_mutex_unlock(&store->lock);
	return newer;
}

const struct snapshot_body *snapshot_body(struct snapshot *snapshot, unsigned int key,
					  int (*fill)(struct snapshot *snapshot,
						      struct snapshot_body *body, void *arg),
					  void *arg)
{
	struct cached_body *cached;
	int err = 0;

	if (key >= SNAPSHOT_BODIES) {
		errno = EINVAL;
		return NULL;
	}
	cached = &snapshot->priv->bodies[key];
	pthread_mutex_lock(&cached->lock);
	if (!cached->made) {
		struct snapshot_body body = { 0 };

		err = fill(snapshot, &body, arg);
		if (!err) {
			cached->body = body;
			cached->made = true;
		}
	}
	pthread_mutex_unlock(&cached->lock);
	if (err) {
		errno = -err;
		return NULL;
	}
	return &cached->body;
}
