/* SPDX-License-Identifier: GPL-2.0-only */
/* kernel_btf_parts: the cut itself, for kernel_btf.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct btf;

/* Names that are wanted, each for some kinds of types; of a name x___y only x counts, as in CO-RE.
 */
struct names {
	struct wanted_name {
		const char *text;
		uint32_t len, kinds; /* bits 1 << BTF_KIND_x */
	} * slots;
	size_t n, size;
};

/* Returns 0 or -ENOMEM. `name` must live as long as the set. */
int names_add(struct names *names, const char *name, uint32_t kind);
bool names_have(const struct names *names, const char *name, uint32_t kind);

/*
 * Copies the types that are wanted, and what they need, out of `size` bytes of BTF:
 *
 *	- a structure whole, with those that lie in it; its pointers point to void
 *	- a typedef and a function with their whole prototypes, as bpf_core_type_exists() compares
 *	  these; structures behind the pointers there keep their kind, name and size alone
 *
 * So each question of CO-RE gets the answer of the whole, but for two that built-in objects do not
 * ask: bpf_core_type_matches() of a structure, and bpf_core_type_id_kernel(). Returns the cut, with
 * the original number of each of its types in `ids`, or NULL with errno: EPROTO for what is no BTF,
 * or has types that this reader does not know.
 */
struct btf *kernel_btf_cut(const void *data, size_t size, const struct names *names,
			   uint32_t **ids);
