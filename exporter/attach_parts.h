/* SPDX-License-Identifier: GPL-2.0-only */
/* attach_parts: what attach.c asks of attach_hook.c, attach_iter.c, attach_variant.c, attach_maps.c
 * and attach_variables.c, in this order. */
#pragma once

#include "attach.h"

/* Before any object is opened: libbpf need not look for hooks itself. Returns 0 or -errno. */
int hooks_register(void);
/* Whose programs libbpf loads from here on; NULL when that is over. */
void hooks_loading(const struct collector *c);
/* Is there what the program attaches to? A missing hook would sink the whole object (ESRCH at
 * load), so its program is switched off before. */
void hook_look(struct program *program, const struct collector *c, const struct kernel_btf *kernel);
/* Finds the map that an iterator visits; one that this kernel can put nothing into is missing.
 * Returns 0, or -EINVAL with c->reason. */
int iterator_find_map(struct collector *c, struct program *program, bool storage);
/* With all hooks known: some kernels are built to refuse iterators over maps alone (EPERM at load,
 * whatever the lockdown mode); SEC("?iter/...") stands in for one then, and only then. */
void iterators_choose(struct collector *c);
/* NULL with errno, both. */
struct bpf_link *iterator_attach(const struct program *program);
struct bpf_link *hook_attach(const struct program *program);

/* One map that several objects declare (bpf/metrics.bpf.h): made by the first, handed to the
 * others. */
struct shared_map {
	char *name;
	int fd;
	uint32_t type, key_size, value_size;
};

/* Before load, with the hooks known: switches programs on and off that do each other's work; may
 * switch the whole collector off, with c->reason. Returns 0 or -errno. */
int variants_choose(struct collector *c);
/* Whether hash maps of this kernel can do without all their rows from the start. */
bool maps_grow_safely(const struct btf *kernel);
/* The maps; all return 0 or -errno. Before load: maps that this kernel cannot make stay away
 * (`storage`: it has local storage), maps that exist already are used. */
int maps_prepare(struct collectors *collectors, struct collector *c, bool storage);
/* After load: offers the object's shared maps to the others. */
void maps_share(struct collectors *collectors, struct collector *c);
/* After load: makes the rows that catch what finds no other (ROW_OF_ZEROS in bpf/metrics.bpf.h).
 */
int maps_reserve_rows(struct collector *c);
/* After load: so that the first events of each CPU find memory for their rows. */
void maps_warm(const struct collector *c);

/* Before load: makes arrays of interrupts as large as this node needs. */
void maps_fit(struct collector *c, const struct node_facts *facts);
/* Before load: a constant of the object (`const volatile` in its source), writable; NULL when it
 * has none of that name and size. */
void *variables_constant(const struct bpf_object *object, const char *name, size_t size);
/* Before load: sets the programs' constants. */
void variables_tell_facts(struct collector *c, const struct node_facts *facts);
/* After load: finds what the programs tell of themselves and of their tables. */
int variables_find(struct collectors *collectors, struct collector *c);
