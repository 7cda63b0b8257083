/* hash: see hash.h. */
#include "hash.h"

#include <sodium/crypto_shorthash.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "SipHash-2-4 gives 64 bits");

uint64_t hash_bytes(const void *bytes, size_t len)
{
	static unsigned char key[crypto_shorthash_KEYBYTES];
	static bool ready;
	if (!ready && getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		abort(); /* no kernel of ours refuses 16 bytes */
	ready = true;
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, bytes, len, key);
	return hash;
}
