/* A folder for each test, files in it, and what tests of files ask of them: for the tests of several rooms. */
#ifndef WE_TESTS_TEST_FILES_H
#define WE_TESTS_TEST_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char test_folder[64];

static inline int make_folder(void **state)
{
    (void)state;
    snprintf(test_folder, sizeof test_folder, "/tmp/we-test-XXXXXX");
    return mkdtemp(test_folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    (void)state;
    char command[160];
    snprintf(command, sizeof command, "chmod -R u+rwx %s && rm -rf %s", test_folder, test_folder);
    return system(command);
}

#define in_new_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

/* The path of a file in the folder; valid until the next call but seven. */
static inline const char *in_folder(const char *name)
{
    static char paths[8][400];
    static int next;
    char *path = paths[next++ & 7];
    snprintf(path, sizeof paths[0], "%s/%s", test_folder, name);
    return path;
}

static inline void put_file(const char *name, const void *data, size_t size)
{
    assert_int_equal(we_file_write(in_folder(name), we_str(data, size), NULL), WE_OK);
}

static inline void put_text(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

/* header length (or another one that is claimed), header, data of `data_size` bytes. Release with free. */
static inline unsigned char *make_safetensors(const char *header, uint64_t claimed, size_t data_size, size_t *size)
{
    size_t length = strlen(header);
    *size = 8 + length + data_size;
    unsigned char *file = malloc(*size);
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)((claimed ? claimed : length) >> 8 * i);
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < data_size; i++)
        file[8 + length + i] = (unsigned char)i;
    return file;
}

static inline void put_safetensors(const char *name, const char *header, size_t data_size)
{
    size_t size;
    unsigned char *file = make_safetensors(header, 0, data_size, &size);
    put_file(name, file, size);
    free(file);
}

/* How many names there are in the folder, hidden ones too. */
static inline size_t count_names(void)
{
    struct we_arena arena = {0};
    char **names;
    size_t count;
    assert_int_equal(we_list_directory(test_folder, &arena, &names, &count, NULL), WE_OK);
    we_arena_free(&arena);
    return count;
}

static inline void assert_message(we_status status, const struct we_error *error, we_status expected, const char *needle)
{
    if (status != expected || (expected != WE_OK && (error->status != expected || strstr(error->message, needle) == NULL)))
        fail_msg("status %d (%d), where %d and '%s' were expected: %s", status, error->status, expected, needle,
                 status == WE_OK ? "" : error->message);
}

static inline const struct we_json *read_json(struct we_arena *arena, const char *directory, const char *name)
{
    struct we_buf text = {0};
    struct we_error error;
    struct we_json *tree = NULL;
    char path[600];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (we_file_read(path, 0, &text, &error) != WE_OK || we_json_parse(we_buf_str(&text), name, arena, &tree, &error) != WE_OK)
        fail_msg("%s", error.message);
    we_buf_free(&text);
    return tree;
}

/* The checksum of zlib; starts at 0. */
static inline uint32_t crc32_more(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *p = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

#endif
