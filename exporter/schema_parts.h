/* SPDX-License-Identifier: GPL-2.0-only */
/* schema_parts: what the two halves of schema share: schema_key.c reads keys, schema.c all else. */
#pragma once

#include <bpf/btf.h>

#include "schema.h"

/* What reading one object needs; `why` gets the one line that says what is bad. */
struct reader {
	const struct btf *btf, *kernel;
	struct table *table;
	char *why;
	size_t why_size;
};

/* Fills `why` with "table <name>: " and this; returns -EINVAL. */
int schema_bad(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One more element, zeroed, at the end of an array; NULL without memory. */
void *schema_grow(void *array, size_t *n, size_t size);
#define GROW(array, n)                                                                             \
	({                                                                                         \
		void *_bigger = schema_grow(array, &(n), sizeof(*(array)));                        \
		if (_bigger)                                                                       \
			(array) = _bigger;                                                         \
		_bigger ? &(array)[(n)-1] : NULL;                                                  \
	})

const char *schema_name(const struct btf *btf, const struct btf_type *t);

/* The type behind modifiers; stops at the first typedef when `typedefs` is set. */
const struct btf_type *schema_skip(const struct btf *btf, __u32 id, bool typedefs);

/* Reads the labels of the table's key. Returns 0, or -EINVAL or -ENOMEM. */
int schema_read_key(struct reader *r, __u32 type_id);

/* After key and metrics were read: are the labels' names fit to stand together? */
int schema_check_labels(struct reader *r);
