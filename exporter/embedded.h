/* SPDX-License-Identifier: GPL-2.0-only */
/* embedded: the objects of bpf/ as bytes in the program; the Makefile makes the list
 * (build/embedded.S). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct embedded_object {
	const char *name; /* of the collector; NULL ends the list */
	const void *data;
	uint64_t size;
};
extern const struct embedded_object embedded_objects[];
