/* Files and folders for the tests of this folder. */
#ifndef TEST_FILES_H
#define TEST_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char test_folder[64];

static inline int make_folder(void **state)
{
    (void)state;
    snprintf(test_folder, sizeof test_folder, "/tmp/we-format-XXXXXX");
    return mkdtemp(test_folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    char **names;
    size_t count = 0;
    we_list_directory(test_folder, &arena, &names, &count, NULL);
    for (size_t i = 0; i < count; i++)
        unlink(we_path_join(&arena, test_folder, names[i]));
    we_arena_free(&arena);
    return rmdir(test_folder);
}

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

#endif
