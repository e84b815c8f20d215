/* The Hugging Face Hub's API: which files a model has, which of them are needed, and which names are near. */
#ifndef WE_STORE_HUB_H
#define WE_STORE_HUB_H

#include "base/arena.h"
#include "store/http.h"
#include "store/verify.h"

struct we_hub_file {
    const char *path; /* below the model's directory; checked: it leads nowhere else */
    struct we_identity identity;
};

struct we_hub_listing {
    char commit[WE_GIT_HEX + 1];
    struct we_hub_file *files; /* (count): those that are needed, in the arena */
    size_t count;
};

/* ORG/NAME of letters, digits, "-", "_" and "."; *revision points behind an "@", or is NULL. What stands before ORG in
 * "mlx://ORG/NAME" and in the address of a page of the Hub is dropped. */
we_status we_hub_parse_name(const char *text, const char *endpoint, struct we_arena *arena, const char **name,
                            const char **revision, struct we_error *error);

/* Stays below the directory that it is joined to: relative, without "..", "." and control characters. */
bool we_hub_is_safe_path(struct we_str path);

/* What the API says of a model. `source` is for messages. Names that would lead out of the directory are an error. */
we_status we_hub_parse_listing(struct we_str json, const char *source, struct we_arena *arena, struct we_hub_listing *listing,
                               struct we_error *error);

/* revision NULL: main. WE_NOT_FOUND tells the nearest names that the Hub has. */
we_status we_hub_list(const struct we_http *http, const char *name, const char *revision, struct we_arena *arena,
                      struct we_hub_listing *listing, struct we_error *error);

/* The address of a file. NULL: out of memory. */
char *we_hub_file_url(const struct we_http *http, const char *name, const char *commit, const char *path,
                      struct we_arena *arena);

/* What an answer of 401 or 403 to a request for the model's files means, and what to do. */
we_status we_hub_refused(const struct we_http *http, const char *name, const struct we_http_reply *reply,
                         struct we_error *error);

#endif
