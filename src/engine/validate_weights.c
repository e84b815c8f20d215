/* The weights of a model directory: the index against the shards, the config against the tensors. */
#include "engine/validate.h"

#include "base/fs.h"

#include <stdio.h>

enum { LARGEST_INDEX = 256 << 20, MOST_TOLD = 10 };
static const char index_name[] = "model.safetensors.index.json";

struct names {
    char **list; /* (count) */
    size_t count;
};

static bool has_name(const struct names *names, struct we_str name)
{
    for (size_t i = names->count; i-- > 0;) /* most often the last one */
        if (we_str_equal_c(name, names->list[i]))
            return true;
    return false;
}

/* ---- which files there should be ---- */

/* The distinct files of the index. False: it has none, or is broken, which the loader will tell. */
static bool read_index(struct we_validator *v, const char *path, struct names *files)
{
    enum { MOST_SHARDS = 4096 };
    struct we_buf text = {0};
    struct we_error ignored;
    struct we_json_reader reader;
    struct we_str key, file;
    files->list = we_arena_array(&v->arena, MOST_SHARDS, sizeof *files->list);
    if (files->list == NULL || we_file_read(path, LARGEST_INDEX, &text, &ignored) != WE_OK) {
        we_buf_free(&text);
        return false;
    }
    we_json_reader_init(&reader, we_buf_str(&text), path, &ignored);
    if (we_json_enter_object(&reader))
        while (we_json_next_key(&reader, &key)) {
            if (!we_str_equal_c(key, "weight_map") || we_json_peek(&reader) != WE_JSON_OBJECT) {
                we_json_skip(&reader);
                continue;
            }
            we_json_enter_object(&reader);
            while (we_json_next_key(&reader, &key) && we_json_read_string(&reader, &file))
                if (!has_name(files, file) && files->count < MOST_SHARDS && memchr(file.data, '/', file.length) == NULL &&
                    memchr(file.data, '\0', file.length) == NULL)
                    files->list[files->count++] = we_arena_copy(&v->arena, file);
        }
    we_json_reader_free(&reader);
    we_buf_free(&text);
    return files->count > 0;
}

/* The shards that a name like "model-00002-of-00005.safetensors" speaks of; false if it is not of that form. */
static bool is_shard(const char *name, char stem[200], unsigned *number, unsigned *total)
{
    size_t length = strlen(name), tail = sizeof "-00001-of-00002.safetensors" - 1;
    int end = 0;
    if (length <= tail || length >= 200)
        return false;
    snprintf(stem, 200, "%.*s", (int)(length - tail), name);
    return sscanf(name + length - tail, "-%5u-of-%5u.safetensors%n", number, total, &end) == 2 && (size_t)end == tail &&
           *total && *number <= *total;
}

/* Without an index: names that count themselves tell which of them are missing. */
static size_t missing_by_number(struct we_validator *v, const struct names *there)
{
    char stem[200];
    unsigned number, total;
    size_t missing = 0;
    for (size_t i = 0; i < there->count; i++) {
        if (!is_shard(there->list[i], stem, &number, &total))
            continue;
        for (unsigned n = 1; n <= total; n++) {
            const char *name = we_validator_text(v, "%s-%05u-of-%05u.safetensors", stem, n, total);
            if (has_name(there, we_str_c(name)))
                continue;
            if (missing++ < MOST_TOLD)
                we_check(v, WE_CHECK_FAILED, "weights", v->again, "%s/%s is missing: %s is one of %u files", v->path, name,
                         there->list[i], total);
        }
        break;
    }
    return missing;
}

static struct names weight_files(struct we_validator *v)
{
    struct names files = {0};
    char **all;
    size_t count = 0;
    if (we_list_directory(v->path, &v->arena, &all, &count, NULL) != WE_OK)
        return files;
    files.list = all;
    for (size_t i = 0; i < count; i++)
        if (all[i][0] != '.' && we_str_ends_with(we_str_c(all[i]), we_str_c(".safetensors")))
            files.list[files.count++] = all[i];
    return files;
}

/* ---- each file ---- */

static size_t check_shards(struct we_validator *v, const struct names *files, const char *index)
{
    size_t wrong = 0;
    for (size_t i = 0; i < files->count && !v->stopped; i++) {
        struct we_error error;
        struct we_safetensors *set;
        const char *path = we_path_join(&v->arena, v->path, files->list[i]);
        if (path == NULL || we_is_broken(v, files->list[i])) {
            wrong++;
            continue;
        }
        if (!we_path_exists(path)) {
            if (wrong++ < MOST_TOLD)
                we_check(v, WE_CHECK_FAILED, "weights", v->again, "%s is missing, and %s names it", path, index);
        } else if (we_safetensors_open_file(path, &set, &error) != WE_OK) {
            if (wrong++ < MOST_TOLD)
                we_check_error(v, WE_CHECK_FAILED, "weights", v->again, &error);
            we_mark_broken(v, files->list[i]);
        } else {
            we_safetensors_close(set);
        }
    }
    if (wrong > MOST_TOLD)
        we_check(v, WE_CHECK_FAILED, "weights", v->again, "%s: %zu more files of weights are broken or missing", v->path,
                 wrong - MOST_TOLD);
    return wrong;
}

static void tell_extra(struct we_validator *v, const struct names *there, const struct names *indexed)
{
    for (size_t i = 0; i < there->count; i++)
        if (!has_name(indexed, we_str_c(there->list[i])) && !we_str_starts_with(we_str_c(there->list[i]), we_str_c("adapter")))
            we_check(v, WE_CHECK_WARNING, "weights", v->again, "%s/%s: %s does not name this file, so it is not read", v->path,
                     there->list[i], index_name);
}

static bool open_weights(struct we_validator *v)
{
    struct names there = weight_files(v), indexed = {0};
    const char *index = we_path_join(&v->arena, v->path, index_name);
    struct we_error error;
    char bytes[24];
    bool has_index = index && we_path_exists(index) && !we_is_broken(v, index_name);
    size_t wrong;
    if (has_index && read_index(v, index, &indexed)) {
        wrong = check_shards(v, &indexed, index);
        tell_extra(v, &there, &indexed);
    } else {
        wrong = check_shards(v, &there, index);
        wrong += has_index ? 0 : missing_by_number(v, &there);
    }
    if (wrong || we_is_broken(v, index_name))
        return false;
    if (we_safetensors_open(v->path, &v->weights, &error) != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "weights", v->again, &error);
        return false;
    }
    const size_t files = has_index ? indexed.count : there.count;
    we_check(v, WE_CHECK_PASSED, "weights", NULL, "%zu tensors in %zu %s, %s%s", we_safetensors_count(v->weights), files,
             files == 1 ? "file" : "files", we_bytes_text(we_safetensors_bytes(v->weights), bytes),
             has_index ? ", as the index says" : "");
    return true;
}

/* ---- the config ---- */

/* Refused because it cannot be run, whatever file is fetched again. */
static const char *hint_for(struct we_validator *v, we_status status)
{
    return status == WE_UNSUPPORTED ? "whisperengine list" : v->again;
}

static bool read_config(struct we_validator *v)
{
    struct we_error error;
    we_status status = we_config_open(v->path, &v->arena, &v->config, &error);
    if (status != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "config", v->again, &error);
        return false;
    }
    status = we_quantization_parse(&v->config, &v->quantization, &error);
    if (status != WE_OK)
        we_check_error(v, WE_CHECK_FAILED, "config", hint_for(v, status), &error);
    return status == WE_OK;
}

static bool describe(struct we_validator *v, struct we_arch_source *source)
{
    struct we_error error;
    we_status status = we_arch_describe(source, &v->decoder, &error);
    if (status != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "config", hint_for(v, status), &error);
        return false;
    }
    uint64_t parameters, token_bytes;
    we_decoder_count(&v->decoder, &parameters, &token_bytes);
    we_check(v, WE_CHECK_PASSED, "config", NULL,
             "%s: %u layers, hidden size %u, vocabulary %u, %.3g million parameters; every tensor has its shape",
             v->decoder.model_type, v->decoder.num_layers, v->decoder.hidden_size, v->decoder.vocab_size,
             (double)parameters / 1e6);
    return true;
}

/* Modules without an entry of their own are read as their shapes say, which need not be what the config says of all. */
static void check_quantization(struct we_validator *v, const struct we_model_tensors *tensors)
{
    const struct we_quant said = v->quantization.defaults;
    size_t others = 0, packed = 0, own = 0;
    const char *first = NULL;
    struct we_quant found = {0};
    for (size_t i = 0; i < tensors->count; i++) {
        const struct we_model_tensor *t = &tensors->list[i];
        if (!t->linear || t->quant.mode == WE_QUANT_NONE)
            continue;
        const size_t dot = sizeof ".weight" - 1;
        const char *module = we_validator_text(v, "%.*s", (int)(t->tensor->name.length - dot), t->tensor->name.data);
        packed++;
        const bool entry = we_json_get(v->quantization.block, module) != NULL;
        own += entry;
        if (entry || (t->quant.mode == said.mode && t->quant.bits == said.bits && t->quant.group_size == said.group_size))
            continue;
        others++;
        first = first ? first : module;
        found = t->quant;
    }
    if (others)
        we_check(
            v, WE_CHECK_WARNING, "quantization", v->again,
            "%s says %s %u bits, group %u, but %zu of %zu modules have another format (%s: %s %u bits, group %u); they are "
            "read as their shapes say, which other programs do not do",
            v->config.where, we_quant_mode_name(said.mode), said.bits, said.group_size, others, packed, first,
            we_quant_mode_name(found.mode), found.bits, found.group_size);
    else if (packed)
        we_check(v, WE_CHECK_PASSED, "quantization", NULL,
                 "%zu modules are quantised as config.json says: %s %u bits, group %u%s", packed, we_quant_mode_name(said.mode),
                 said.bits, said.group_size, own ? we_validator_text(v, "; %zu by an entry of its own", own) : "");
    else
        we_check(v, WE_CHECK_PASSED, "quantization", NULL, "none: the weights are plain");
}

bool we_validate_weights(struct we_validator *v)
{
    v->group = "files";
    bool opened = !v->stopped && open_weights(v), sound = false;
    if (we_is_broken(v, "config.json")) {
        we_check(v, WE_CHECK_SKIPPED, "config", NULL, "not compared with the weights: config.json is broken or missing");
        return false;
    }
    if (!read_config(v))
        return false;
    if (!opened) {
        we_check(v, WE_CHECK_SKIPPED, "config", NULL, "not compared with the weights, which are not whole");
        return false;
    }
    struct we_remake remake;
    struct we_error error;
    if (we_remake_plan(v->weights, &v->config, false, &v->arena, &remake, &error) != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "config", v->again, &error);
        return false;
    }
    struct we_arch_source source = {.config = v->config,
                                    .shapes_only = true,
                                    .quantization = v->quantization,
                                    .weights = remake.view ? remake.view : v->weights,
                                    .arena = &v->arena,
                                    .rope_compat = v->model.rope_compat};
    struct we_model_tensors tensors;
    v->described = describe(v, &source);
    if (!v->described) {
        sound = false;
    } else if (we_arch_tensors(&source, &tensors, &error) != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "config", v->again, &error);
    } else {
        check_quantization(v, &tensors);
        we_step(v, "reading the weights");
        sound = we_validate_values(v, &tensors, &remake);
    }
    we_safetensors_close(remake.view);
    return sound;
}
