/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * attach: opens the objects, switches off what this kernel lacks, loads, attaches; keeps the state
 * and the reason of each collector. A collector is whole, or absent with a reason; one whose kernel
 * lacks a tracepoint is partial: the families of that program are absent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel_btf.h"
#include "options.h"
#include "schema.h"
#include "snapshot.h"

struct bpf_link;
struct bpf_map;
struct bpf_object;
struct bpf_program;

struct program {
	struct bpf_program *bpf;
	struct bpf_link *link; /* NULL: not attached */
	struct bpf_map *over;  /* of an iterator over a map: which one */
	const char *hook;      /* "tcp_send_reset": the tracepoint, or what is iterated over */
	char *variant;	       /* the shape this kernel has: "sock,sk_buff,int" */
	uint32_t id;	       /* of the hook in the kernel's BTF; 0: none, or libbpf finds it */
	bool is_tracing;       /* libbpf is told what it attaches to (attach_hook.c) */
	bool is_iterator;
	bool in_function; /* fentry/, fexit/: a trampoline, which some kernels refuse whatever the
			     privileges */
	bool is_optional; /* SEC("?..."): another program does its work where it is missing, it
			     does another's, or is of no use without it */
	bool is_missing;  /* this kernel has no such hook */
	bool is_nested;	  /* the second one of a NESTED_PROG (bpf/nested.bpf.h), no program of its
			     own to anybody who looks */
	const uint64_t
		*rescued; /* of the first one: what the second did for it; NULL: no such pair */
};

/* How often a collector's hooks fire on a busy node: COLLECTOR() in bpf/metrics.bpf.h. */
enum event_rate { RATE_RARE, RATE_MEDIUM, RATE_HOT };
extern const char *const event_rate_names[];

/* What the programs say of one of their tables, in their own memory; NULL where they do not. */
struct table_told {
	uint64_t *lost;	   /* updates without a row of their own */
	uint64_t *touched; /* 1 before a program changes rows; the poller sets it to 0 */
};

struct collector {
	char *name;
	char *source; /* the file, NULL when built in */
	struct bpf_object *object;
	struct schema schema;
	bool enabled; /* by its object's own default, or by a flag */
	enum event_rate rate;
	bool asked_for; /* by name: what is not worth its cost to everybody runs too */
	enum collector_state state;
	const char *error; /* for bpf_exporter_collector_error: "lockdown", "verifier", ...; NULL:
			      none */
	char reason[512];
	const char *without; /* the first function that nothing can hang on here; else NULL */
	struct program *programs;
	size_t nr_programs;
	uint8_t iterators_percent; /* of a core, that they may take; 0: all they need */
	void *bss;		   /* the programs' global variables, mapped; NULL without any */
	size_t bss_size;
	struct table_told *told; /* per table */
};

struct shared_map;

struct collectors {
	struct collector *list;
	size_t n;
	struct kernel_btf kernel; /* until collectors_load() ends */
	bool maps_grow;		  /* see maps_grow_safely() in attach_maps.c */
	struct shared_map *shared;
	size_t nr_shared;
	/* Count up when the cgroup tree changes, and when the ring buffer did not tell; NULL:
	 * nobody counts. */
	const uint64_t *cgroup_changes, *cgroup_untold;
};

/* What the programs are told before load; see bpf/who.bpf.h. */
struct node_facts {
	bool cgroup_v1;
	uint64_t start_ns;
	uint32_t shards;
	bool shard_per_cpu;
	uint32_t irqs; /* how many numbers interrupts may have by now; 0: not known */
};

/*
 * Opens the built-in objects and those of --collector.dir, or, for --list with operands, only these
 * files; reads their declarations and switches collectors on and off. Returns 0, or -errno after
 * logging one line that names the file, or the collector that does not exist.
 */
int collectors_open(struct collectors *collectors, const struct options *options);

/*
 * Loads and attaches what is enabled; each failure is logged once and kept in the collector.
 * Returns 0, or -ENOENT (no BTF) after one line.
 */
int collectors_load(struct collectors *collectors, const struct node_facts *facts);
/*
 * Once all stages have seen them: detaches what one of them put down (a metric that another
 * collector has). Returns the number of collectors with metrics that run.
 */
int collectors_settle(struct collectors *collectors);
void collectors_close(struct collectors *collectors);

/* The descriptor of a shared map (bpf/who.bpf.h), or -1 when no loaded object declares it. */
int collectors_shared_map(const struct collectors *collectors, const char *name);

/* Makes, or makes 0, the row that catches what finds no other (ROW_OF_ZEROS in bpf/metrics.bpf.h).
 * Returns 0 or -errno. */
int maps_reserve_row(const struct table *table);

/* Object without a metric: a helper of others (owner, cgroups). */
bool collector_is_helper(const struct collector *collector);
extern const char *const collector_state_names[];
