/* What a file of the Hub must be, and whether it is that. */
#ifndef WE_STORE_VERIFY_H
#define WE_STORE_VERIFY_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* A large file is known by the SHA-256 of its bytes, another one by its git blob hash (SHA-1). */
enum { WE_SHA256_HEX = 64, WE_GIT_HEX = 40 };

struct we_identity {
    uint64_t size;
    char hex[WE_SHA256_HEX + 1]; /* 64 or 40 digits, lower case; its length says which hash it is */
};

/* 64 or 40 hexadecimal digits. */
bool we_is_hash(const char *data, size_t length);
/* "SHA-256" or "git hash". */
const char *we_hash_name(const struct we_identity *identity);

struct we_digest {
    void *state; /* NULL: not begun */
};
we_status we_digest_begin(struct we_digest *digest, const struct we_identity *identity, struct we_error *error);
we_status we_digest_update(struct we_digest *digest, const void *data, size_t size, struct we_error *error);
/* hex: as many digits as the identity has. */
we_status we_digest_end(struct we_digest *digest, char hex[WE_SHA256_HEX + 1], struct we_error *error);
void we_digest_free(struct we_digest *digest);

/* Feeds the first `size` bytes of an open file. on_bytes, unless NULL, hears of each piece; false stops (WE_CANCELLED). */
typedef bool we_bytes_fn(void *context, uint64_t bytes);
we_status we_digest_file(struct we_digest *digest, int fd, uint64_t size, const char *path, we_bytes_fn *on_bytes,
                         void *context, struct we_error *error);

/* Does the file have this size and hash? One that is absent, or no regular file, does not. */
we_status we_file_verify(const char *path, const struct we_identity *identity, we_bytes_fn *on_bytes, void *context,
                         bool *matches, struct we_error *error);

#endif
