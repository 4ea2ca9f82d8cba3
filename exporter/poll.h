/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * poll: maps -> rows -> fold, on the caller's timer. Stands alone from HTTP; what goes wrong costs
 * that poll of that collector, never the process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach.h"
#include "files.h"
#include "fold.h"
#include "node_groups.h"

/* One table of one collector, as it is polled. */
struct polled_table {
	struct collector *collector;
	const struct table *table;
	struct fold_table *fold;
	int fd;
	bool no_batch; /* the kernel lacks batches for this type: key by key */
	bool batches;  /* it has them: they worked before */
	bool is_empty; /* a refilled one, that its iterators found nothing for: the row of zeros
			  alone */
	size_t rows;   /* in the map at the last poll */
	struct table_told told;
	unsigned int reads_due, unread; /* reads to make in any case; polls since the last one */
};

/* How polling one collector went. */
struct polled_collector {
	struct collector *collector;
	uint64_t last_ns;      /* what the last poll took */
	uint64_t slots[100];   /* histogram.h layout over all polls, then the sum; [99] unused */
	uint64_t last_unix_ns; /* when the last good poll ended */
	int err;	       /* of the last poll, 0 when good */
	int said;	       /* the last one that was logged */
	uint64_t said_ns;
	uint64_t iterated_ns;  /* when its iterators last ended */
	uint64_t iterating_ns; /* what they took then */
};

struct poller {
	struct collectors *collectors;
	struct fold *fold;
	struct node_groups *node;
	struct groups *groups;
	struct files *files; /* the caller's; NULL: no kernel files are read */
	struct polled_table *tables;
	size_t nr_tables;
	struct polled_collector *polled; /* per collector that runs, helpers first: the others use
					    what they find */
	size_t nr_polled;
	void *keys, *values; /* of one batch */
	size_t keys_size, values_size;
	uint64_t *sums;	  /* of one row over the CPUs */
	int cpus;	  /* possible ones */
	uint64_t version; /* of the groups at the last poll */
	uint64_t swept_ns;
	int wanted_fd;	 /* where programs ask for a sweep (bpf/netns.bpf.h), or -1 */
	uint64_t wanted; /* how often they had at the last one */
};

/*
 * Takes the tables of all collectors that run into `fold`. A collector whose families clash with
 * another's is put down. Returns 0, or -errno after saying why.
 */
int poller_init(struct poller *poller, struct collectors *collectors, struct fold *fold,
		struct node_groups *node);
void poller_free(struct poller *poller);

/*
 * Runs each iterator and reads each table once, without taking rows out: what a child does to see
 * whether it could (privilege.h). Returns 0 or -errno.
 */
int poller_try(struct poller *poller);

/* One poll of everything, at CLOCK_MONOTONIC `now_ns`. */
void poller_run(struct poller *poller, uint64_t now_ns);
