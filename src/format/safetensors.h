/* safetensors files, mapped: one file, or shards that model.safetensors.index.json lists.
 * Every offset, shape product and overlap is checked before a tensor is given out. */
#ifndef WE_FORMAT_SAFETENSORS_H
#define WE_FORMAT_SAFETENSORS_H

#include "base/error.h"
#include "tensor/tensor.h"

struct we_safetensors; /* opaque; a set of files */

/* Opens the weights of a model directory: the shards of the index if there is one, else every model*.safetensors,
 * else every *.safetensors that is no adapter. Errors name the file, what was expected and what was found. */
we_status we_safetensors_open(const char *directory, struct we_safetensors **set, struct we_error *error);
/* One file. */
we_status we_safetensors_open_file(const char *path, struct we_safetensors **set, struct we_error *error);
/* Other tensors (sorted here; what they point to must outlive the set), as if they had been read. */
we_status we_safetensors_view(const struct we_tensor *tensors, size_t count, struct we_safetensors **set, struct we_error *error);
/* Tensors of `above` (which becomes the set's) in place of those of the set: WE_INVALID_FORMAT for one that it lacks, or that
 * has another shape there. After a failure the caller still has both. */
we_status we_safetensors_replace(struct we_safetensors **set, struct we_safetensors *above, struct we_error *error);
void we_safetensors_close(struct we_safetensors *set);

size_t we_safetensors_count(const struct we_safetensors *set);
/* Sorted by name. */
const struct we_tensor *we_safetensors_at(const struct we_safetensors *set, size_t index);
/* NULL if there is none. */
const struct we_tensor *we_safetensors_find(const struct we_safetensors *set, struct we_str name);
/* Bytes of all tensors. */
uint64_t we_safetensors_bytes(const struct we_safetensors *set);
/* Whether all of it lies in mapped files, whose memory the system can take back. */
bool we_safetensors_is_mapped(const struct we_safetensors *set);
/* These bytes of a tensor will not be read for now: the system may take their memory back. */
void we_safetensors_release(const struct we_safetensors *set, const void *data, size_t size);

/* Checks a header without a file: for the fuzzer. `size` counts the whole file. */
we_status we_safetensors_check(const void *data, size_t size, struct we_error *error);

/* ---- writing ---- */

struct we_safetensors_writer; /* opaque */

/* Declare every tensor, then begin, then write the data of each in the order of declaration, in pieces of any size,
 * then commit. The file appears under its name only when it is complete. */
we_status we_safetensors_writer_new(const char *path, struct we_safetensors_writer **writer, struct we_error *error);
we_status we_safetensors_writer_declare(struct we_safetensors_writer *writer, const char *name, enum we_dtype dtype,
                                        uint32_t num_dims, const uint64_t *shape, struct we_error *error);
/* `metadata`: pairs of key and value, ended by NULL; or NULL. MLX's own files have "format", "mlx". */
we_status we_safetensors_writer_begin(struct we_safetensors_writer *writer, const char *const *metadata,
                                      struct we_error *error);
we_status we_safetensors_writer_write(struct we_safetensors_writer *writer, const void *data, size_t size,
                                      struct we_error *error);
we_status we_safetensors_writer_commit(struct we_safetensors_writer *writer, struct we_error *error);
void we_safetensors_writer_free(struct we_safetensors_writer *writer); /* removes what was not committed */

#endif
