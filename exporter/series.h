/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * series: the families and series that exist now, and the snapshot of them.
 *
 * A series is a label set in one family; its text is built once, when it is born. Poller only; what
 * other threads see are snapshots, and a series' text outlives every snapshot that shows it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema.h"
#include "snapshot.h"

struct group;
struct process;

/* One allocation with its texts, as there may be 100,000. */
struct series {
	struct series *chain; /* of its hash slot */
	union {
		uint64_t value;
		uint64_t *slots; /* HIST_SLOTS counts, then the sum */
	};
	struct group *group;	 /* borrowed; NULL at levels without one */
	struct process *process; /* borrowed; NULL but at process level */
	uint32_t hash;
	uint32_t labels_len : 31;
	uint32_t hidden : 1;   /* by --process.max-series, in the last snapshot */
	uint32_t rows;	       /* rows that add to it: it must stay while there are any */
	uint32_t index;	       /* in the family's list; SERIES_REMOVED */
	struct prefix lines[]; /* 1, or HIST_CLASSIC + 3, and behind them their texts */
};

#define SERIES_REMOVED UINT32_MAX

struct family {
	char *name, *help;
	enum metric_kind kind;
	unsigned int scale;
	enum level level;
	bool own;		/* of the exporter itself: bpf_exporter_*, process_* */
	struct series **series; /* in the order of birth */
	size_t nr_series, size, nr_removed;
	struct series **slots;
	size_t nr_slots;
	size_t nr_nameless; /* series whose group has no name yet: they are not shown */
	size_t hidden;	    /* by --process.max-series, in the last snapshot */
};

struct families;

struct families *families_new(void);
void families_free(struct families *families);

/* A new family. NULL with errno EEXIST when there is one of that name, or ENOMEM. */
struct family *families_add(struct families *families, const char *name, const char *help,
			    enum metric_kind kind, unsigned int scale, enum level level);
struct family *families_find(struct families *families, const char *name);

/* The series with these labels (`a="x",b="y"`, escaped; "" for none), made when absent with value
 * 0. NULL with errno ENOMEM. */
struct series *family_series(struct family *family, const char *labels, size_t len);
/* The labels a series was made with; not NUL-terminated. */
const char *series_labels(const struct series *series);
/* Removes a series: it is not to be touched any more. Its text is freed when no snapshot shows it.
 */
void family_remove(struct families *families, struct family *family, struct series *series);

/*
 * Builds and publishes the snapshot of all series. Families at process level show their largest
 * `max_process_series`; what is hidden stays in the group level. Returns 0 or -ENOMEM: the last
 * snapshot stays then.
 */
int families_publish(struct families *families, struct snapshot_store *store,
		     size_t max_process_series, const struct snapshot_check *checks,
		     size_t nr_checks);

/* Calls `each` for every family, by name. */
void families_each(struct families *families, void (*each)(struct family *family, void *arg),
		   void *arg);
