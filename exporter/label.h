/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * label: a key member -> text. A table in label.c maps the member's type to the function that
 * decodes it; groups (label_cgroup.c) have a file of their own.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "render.h"
#include "schema.h"

/* Appends the value of `label` in `key`, not escaped. */
typedef void label_function(const struct label *label, const void *key, struct buffer *out);

struct label_kind {
	const char *type; /* name of the typedef or struct; NULL for those found by shape */
	uint32_t size;	  /* what the type must measure, 0: any */
	label_function *decode;
};

/* Whether most of an array's rows may be nobody's, as numbers of interrupts are: what is 0 says
 * nothing. */
bool label_is_sparse(const struct label *label);
/* The kind of a typedef or struct with that name, or NULL. */
const struct label_kind *label_kind_named(const char *type);
extern const struct label_kind label_kind_enum, label_kind_integer, label_kind_chars;
/* The first is not decoded by itself: the fold asks label_cgroup.c. */
extern const struct label_kind *const label_kind_cgroup, *const label_kind_irq;

/* Appends `name="value"`, with a comma before it when `out` is not empty; the value is made valid
 * UTF-8 without control bytes (those that are not become \xNN) and escaped. An empty value adds
 * nothing. */
void label_add(struct buffer *out, const char *name, const char *value, size_t len);

/* Where devices are looked up; default "/sys". The string is borrowed. */
void label_set_sysfs(const char *path);
/* Makes what decoding needs and the sandbox forbids to make: before privileges are dropped. */
void label_open(void);
