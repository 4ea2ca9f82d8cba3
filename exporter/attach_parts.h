/* SPDX-License-Identifier: GPL-2.0-only */
/* attach_parts: what attach.c asks of attach_hook.c and attach_maps.c, in this order. */
#pragma once

#include "attach.h"

/* Before any object is opened: libbpf need not look for hooks itself. Returns 0 or -errno. */
int hooks_register(void);
/* What hooks are looked up in while objects are loaded; NULL when that is over. */
void hooks_loading(const struct kernel_btf *kernel);
/* Is there what the program attaches to? A missing hook would sink the whole object (ESRCH at
 * load), so its program is switched off before. */
void hook_look(struct program *program, const struct kernel_btf *kernel);
/* NULL with errno. */
struct bpf_link *hook_attach(const struct program *program);

/* One map that several objects declare (bpf/metrics.bpf.h): made by the first, handed to the
 * others. */
struct shared_map {
	char *name;
	int fd;
	uint32_t type, key_size, value_size;
};

/* Whether hash maps of this kernel can do without all their rows from the start. */
bool maps_grow_safely(const struct btf *kernel);
/* The maps; all return 0 or -errno. Before load: maps that this kernel cannot make stay away
 * (`storage`: it has local storage), maps that exist already are used. */
int maps_prepare(struct collectors *collectors, struct collector *c, bool storage);
/* Before load: a constant of the object (`const volatile` in its source), writable; NULL when it
 * has none of that name and size. */
void *maps_constant(const struct bpf_object *object, const char *name, size_t size);
/* Before load: sets the programs' constants. */
void maps_tell_facts(struct collector *c, const struct node_facts *facts);
/* After load: offers the object's shared maps to the others. */
void maps_share(struct collectors *collectors, struct collector *c);
/* After load: makes the row that catches what finds no other (ROW_OF_ZEROS in bpf/metrics.bpf.h).
 */
int maps_reserve_rows(struct collector *c);
/* After load: so that the first events of each CPU find memory for their rows. */
void maps_warm(const struct collector *c);
/* After load: finds the programs' counters in their memory. */
int maps_find_variables(struct collectors *collectors, struct collector *c);
