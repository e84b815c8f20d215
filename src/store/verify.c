#include "store/verify.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

bool we_is_hash(const char *data, size_t length)
{
    if (length != WE_SHA256_HEX && length != WE_GIT_HEX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!((data[i] >= '0' && data[i] <= '9') || (data[i] >= 'a' && data[i] <= 'f')))
            return false;
    return true;
}

const char *we_hash_name(const struct we_identity *identity)
{
    return strlen(identity->hex) == WE_SHA256_HEX ? "SHA-256" : "git hash";
}

static we_status failed(struct we_error *error)
{
    return we_error_set(error, WE_IO_ERROR, "the hash library failed: is SHA-1 or SHA-256 switched off on this system?");
}

we_status we_digest_begin(struct we_digest *digest, const struct we_identity *identity, struct we_error *error)
{
    bool git = strlen(identity->hex) == WE_GIT_HEX;
    we_digest_free(digest);
    EVP_MD_CTX *state = EVP_MD_CTX_new();
    if (state == NULL)
        return we_error_memory(error, "a hash");
    digest->state = state;
    if (EVP_DigestInit_ex(state, git ? EVP_sha1() : EVP_sha256(), NULL) != 1)
        return failed(error);
    char head[48]; /* what git puts before the bytes, with its NUL */
    int length = snprintf(head, sizeof head, "blob %llu", (unsigned long long)identity->size) + 1;
    return git ? we_digest_update(digest, head, (size_t)length, error) : WE_OK;
}

we_status we_digest_update(struct we_digest *digest, const void *data, size_t size, struct we_error *error)
{
    return size == 0 || EVP_DigestUpdate(digest->state, data, size) == 1 ? WE_OK : failed(error);
}

we_status we_digest_end(struct we_digest *digest, char hex[WE_SHA256_HEX + 1], struct we_error *error)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    if (EVP_DigestFinal_ex(digest->state, bytes, &length) != 1 || 2 * length > WE_SHA256_HEX)
        return failed(error);
    for (unsigned int i = 0; i < length; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", bytes[i]);
    return WE_OK;
}

void we_digest_free(struct we_digest *digest)
{
    EVP_MD_CTX_free(digest->state);
    digest->state = NULL;
}

we_status we_digest_file(struct we_digest *digest, int fd, uint64_t size, const char *path, we_bytes_fn *on_bytes,
                         void *context, struct we_error *error)
{
    unsigned char *piece = malloc(PIECE);
    if (piece == NULL)
        return we_error_memory(error, path);
    we_status status = WE_OK;
    for (uint64_t at = 0; status == WE_OK && at < size;) {
        ssize_t n = pread(fd, piece, size - at < PIECE ? (size_t)(size - at) : PIECE, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = we_error_errno(error, WE_IO_ERROR, errno, "%s cannot be read", path);
        else if (n == 0)
            status = we_error_set(error, WE_IO_ERROR, "%s became shorter while it was read", path);
        else
            status = we_digest_update(digest, piece, (size_t)n, error);
        if (status == WE_OK && on_bytes && !on_bytes(context, (uint64_t)n))
            status = we_error_set(error, WE_CANCELLED, "stopped");
        at += status == WE_OK ? (uint64_t)n : 0;
    }
    free(piece);
    return status;
}

we_status we_file_verify(const char *path, const struct we_identity *identity, we_bytes_fn *on_bytes, void *context,
                         bool *matches, struct we_error *error)
{
    *matches = false;
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != identity->size)
        return WE_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return we_error_errno(error, WE_IO_ERROR, errno, "%s cannot be read", path);
    struct we_digest digest = {0};
    char found[WE_SHA256_HEX + 1] = "";
    we_status status = we_digest_begin(&digest, identity, error);
    if (status == WE_OK)
        status = we_digest_file(&digest, fd, identity->size, path, on_bytes, context, error);
    if (status == WE_OK)
        status = we_digest_end(&digest, found, error);
    if (status == WE_OK)
        *matches = strcmp(found, identity->hex) == 0;
    we_digest_free(&digest);
    close(fd);
    return status;
}
