// SPDX-License-Identifier: MIT
/* hash: uthash with a keyed hash: nobody outside can choose names that fall into one bucket.
 * Uses: <sodium/crypto_shorthash.h>, <uthash.h>.
 * Not: know what is hashed.
 *
 * Include this header, never <uthash.h>. The hash is SipHash-2-4; its key comes from the kernel once per process. */
#ifndef T2M_HASH_H
#define T2M_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The same bytes give the same hash as long as the process lives. */
uint64_t hash_bytes(const void *bytes, size_t len);

#define HASH_KEY_BYTES 16
/* Fills in a key from the kernel. */
void hash_new_key(uint8_t key[HASH_KEY_BYTES]);
/* The hash with a key of the caller's own, which may outlive the process. */
uint64_t hash_with(const uint8_t key[HASH_KEY_BYTES], const void *bytes, size_t len);

/* A table of uthash has no way back when there is no memory: says so, and ends the process with 255. */
_Noreturn void hash_no_memory(void);

#define uthash_fatal(msg) hash_no_memory()
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)hash_bytes((keyptr), (keylen)))
#include <uthash.h>

#endif
