/* A set of mapped files while it is put together: for safetensors.c and safetensors_directory.c only. */
#ifndef WE_FORMAT_SAFETENSORS_SET_H
#define WE_FORMAT_SAFETENSORS_SET_H

#include "base/fs.h"
#include "format/safetensors.h"

struct we_safetensors {
    struct we_arena arena;     /* paths, and names that the header has escaped */
    struct we_tensor *tensors; /* (count), sorted by name once all files are read */
    size_t count, capacity;
    struct we_file_map *maps; /* (num_maps) */
    size_t num_maps;
    uint64_t bytes;
    struct we_safetensors *below; /* the files that a view points into, if it owns them */
    void *made;                   /* memory that it points into, likewise */
};

/* An empty set with room for num_files maps. */
we_status we_safetensors_set_new(size_t num_files, struct we_safetensors **set, struct we_error *error);
/* Maps a file and adds its tensors. */
we_status we_safetensors_set_add(struct we_safetensors *set, const char *path, struct we_error *error);
/* Sorts the tensors; a name that occurs twice is an error. */
we_status we_safetensors_set_finish(struct we_safetensors *set, struct we_error *error);

/* Whether `text` points into `whole`, and so lives as long. */
static inline bool we_str_is_part(struct we_str text, struct we_str whole)
{
    return (uintptr_t)text.data >= (uintptr_t)whole.data && (uintptr_t)text.data < (uintptr_t)whole.data + whole.length;
}

#endif
