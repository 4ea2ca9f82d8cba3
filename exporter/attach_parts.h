/* SPDX-License-Identifier: GPL-2.0-only */
/* attach_parts: what attach.c asks of attach_variant.c and attach_maps.c, in this order. All return
 * 0 or -errno. */
#pragma once

#include "attach.h"

/* One map that several objects declare (bpf/metrics.bpf.h): made by the first, handed to the
 * others. */
struct shared_map {
	char *name;
	int fd;
	uint32_t type, key_size, value_size;
};

/* Before load, with the hooks known: switches programs on and off that do each other's work. */
int variants_choose(struct collector *c, const struct btf *kernel);
/* Before load: maps that this kernel cannot make stay away (`storage`: it has local storage), maps
 * that exist already are used. */
int maps_prepare(struct collectors *collectors, struct collector *c, bool storage);
/* Before load: sets the programs' constants. */
void maps_tell_facts(struct collector *c, const struct node_facts *facts);
/* After load: offers the object's shared maps to the others. */
void maps_share(struct collectors *collectors, struct collector *c);
/* After load: makes the row that catches what finds no other (ROW_OF_ZEROS in bpf/metrics.bpf.h).
 */
int maps_reserve_rows(struct collector *c);
/* After load: finds the programs' counters in their memory. */
int maps_find_variables(struct collectors *collectors, struct collector *c);
