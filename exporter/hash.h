/* SPDX-License-Identifier: GPL-2.0-only */
/* hash: of short byte strings, for the exporter's own tables; not for untrusted floods of keys. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Multiplies to 128 bits and folds: each input bit reaches each output bit. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product =
		(unsigned __int128)(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xd1b54a32d192ed03);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_bytes(const void *data, size_t len)
{
	const char *p = data;
	uint64_t hash = len, word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		hash = hash_mix(hash, word);
	}
	if (len) {
		word = 0;
		memcpy(&word, p, len);
		hash = hash_mix(hash, word);
	}
	return hash;
}
