/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * options: the command line. A table, options_flags.c, gives the parser, --help and the man page.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "log.h"

enum action {
	ACTION_SERVE,
	ACTION_LIST, /* --list [FILE...]: the metrics, from BTF, without loading anything */
	ACTION_LIST_MARKDOWN, /* --list=markdown: the same as the README's table */
	ACTION_CHECK,	      /* --check: load, attach, one line per collector, exit */
	ACTION_ONCE,	      /* --once: one exposition on stdout, exit */
	ACTION_HELP,
	ACTION_MAN, /* --help=man: the man page */
	ACTION_VERSION,
};

/* --collector.<name> or --no-collector.<name>, in the order given: the last one of a name counts.
 */
struct collector_switch {
	const char *name;
	bool on;
};

struct options {
	enum action action;
	const char **listen; /* --web.listen-address, repeatable; default ":9435" */
	size_t nr_listen;
	const char *telemetry_path;
	const char **collector_dirs; /* --collector.dir, repeatable */
	size_t nr_collector_dirs;
	struct collector_switch *switches;
	size_t nr_switches;
	const char *procfs;   /* --path.procfs, default "/proc" */
	const char *cgroupfs; /* --path.cgroupfs, NULL: found in the mount table */
	const char *sysfs;    /* --path.sysfs, default "/sys" */
	const char *rootfs;   /* --path.rootfs, default "/" */
	const char **cgroup_include, **cgroup_exclude; /* --cgroup.include, --cgroup.exclude */
	size_t nr_cgroup_include, nr_cgroup_exclude;
	unsigned int labels_drop;   /* --labels.drop, bits by enum group_label */
	bool stats;		    /* --stats: with --once, which families have the most series */
	const char *user;	    /* --user, NULL: nobody for root, else no other */
	uint64_t probe_interval_ns; /* 0: poll at each scrape */
	uint64_t process_retention_ns;
	uint64_t cgroup_retention_ns;
	size_t process_max_series;
	bool process_off; /* --process=off */
	enum log_level log_level;
	enum log_format log_format;
	const char **files; /* operands of --list */
	size_t nr_files;
};

/*
 * Parses argv into *options (whose strings point into argv or static storage).
 * Returns 0, or -EINVAL after printing one line on stderr that names the argument, what was
 * expected and what to do (an unknown flag gets the nearest known one), or -ENOMEM, after a line as
 * well. options_free() is legal after all of them.
 */
int options_parse(struct options *options, int argc, char **argv);
/* A collector's name: one or more of a-z, 0-9 and _, and not "dir". */
bool option_is_collector_name(const char *name);
void options_free(struct options *options);

/* Prints --help, or the man page (roff), from the same table. */
void options_help(FILE *out);
void options_man(FILE *out);

/*
 * The known word nearest to `word` by edit distance (at most a third of its length, and at least 1,
 * of edits), or NULL. `words` is a NULL-terminated array; words of more than 64 bytes are skipped.
 */
const char *options_nearest(const char *word, const char *const *words);

/*
 * Parses a duration as Prometheus users write it: an integer or decimal number with a unit (ns, us,
 * ms, s, m, h, d), several of them in descending order ("1m30s"), or "0". No blanks, no sign.
 * Returns 0 and sets *ns, -EINVAL for text that is none (also "0.5ns": no whole number of ns),
 * -ERANGE when it does not fit 64 bits.
 */
int duration_parse(const char *text, uint64_t *ns);
