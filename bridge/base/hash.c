// SPDX-License-Identifier: MIT
/* hash: see hash.h. */
#include "bridge/base/hash.h"

#include <sodium/crypto_shorthash.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "SipHash-2-4 gives 64 bits");
_Static_assert(crypto_shorthash_KEYBYTES == HASH_KEY_BYTES, "and takes a key of 128");

void hash_new_key(uint8_t key[HASH_KEY_BYTES])
{
	crypto_shorthash_keygen(key);
}

uint64_t hash_with(const uint8_t key[HASH_KEY_BYTES], const void *bytes, size_t len)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, bytes, len, key);
	return hash;
}

uint64_t hash_bytes(const void *bytes, size_t len)
{
	static uint8_t key[HASH_KEY_BYTES];
	static bool ready;
	if (!ready)
		hash_new_key(key);
	ready = true;
	return hash_with(key, bytes, len);
}

void hash_no_memory(void)
{
	fputs("no memory\n", stderr);
	exit(255);
}
