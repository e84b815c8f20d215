#include "config/settings.h"

#include "base/str.h"

/* One row for each setting; the flags, the variables, the help and the documentation come from here. */
/* clang-format off: a row stays a row */
static const struct we_setting table[WE_NUM_SETTINGS] = {
    /* ---- which model ---- */
    {WE_SETTING_MODEL, "model", "--model", "-m", {"LLM_CHAT_API_URL", "LLM_CHAT_MODEL", "MLX_MODEL_NAME"}, WE_GROUP_MODEL,
     WE_SETTING_TEXT, 0, 0, NULL, NULL, "MODEL", "the model: a directory, ORG/NAME, mlx://ORG/NAME, or an http(s) address"},
    {WE_SETTING_MODELS_DIR, "models_dir", "--models-dir", NULL, {"LOCAL_MODELS_DIR"}, WE_GROUP_MODEL,
     WE_SETTING_PATH, 0, 0, NULL, NULL, "DIR", "where models are kept, as DIR/mlx/ORG/NAME (./models, or the XDG data folder)"},
    {WE_SETTING_ADAPTER, "adapter", "--adapter", "--adapter-path", {"MLX_ADAPTER_PATH"}, WE_GROUP_MODEL,
     WE_SETTING_PATH, 0, 0, NULL, NULL, "DIR", "an adapter (LoRA, DoRA or full) that mlx-lm trained, for the model"},
    {WE_SETTING_HF_HOME, "hf_home", NULL, NULL, {"HF_HOME"}, WE_GROUP_MODEL,
     WE_SETTING_PATH, 0, 0, NULL, NULL, "DIR", "the Hugging Face folder, whose hub/ is searched too (~/.cache/huggingface)"},
    {WE_SETTING_HF_HUB_CACHE, "hf_hub_cache", NULL, NULL, {"HF_HUB_CACHE"}, WE_GROUP_MODEL,
     WE_SETTING_PATH, 0, 0, NULL, NULL, "DIR", "the Hugging Face cache itself, in place of HF_HOME/hub"},
    {WE_SETTING_HF_ENDPOINT, "hf_endpoint", NULL, NULL, {"HF_ENDPOINT"}, WE_GROUP_MODEL,
     WE_SETTING_TEXT, 0, 0, NULL, "https://huggingface.co", "URL", "the Hub that models are fetched from"},
    {WE_SETTING_HF_TOKEN, "hf_token", NULL, NULL, {"HF_TOKEN"}, WE_GROUP_MODEL,
     WE_SETTING_TEXT, 0, 0, NULL, NULL, "TOKEN", "the token of an account of the Hub, for gated and private models", true},
    {WE_SETTING_HF_HUB_OFFLINE, "hf_hub_offline", NULL, NULL, {"HF_HUB_OFFLINE"}, WE_GROUP_MODEL,
     WE_SETTING_SWITCH, 0, 0, NULL, "0", "0|1", "1: nothing is fetched from the Hub"},
    {WE_SETTING_SYSTEM_PROMPT, "system_prompt", "--system-prompt", NULL, {NULL}, WE_GROUP_MODEL,
     WE_SETTING_TEXT, 0, 0, NULL, NULL, "TEXT", "the system prompt"},
    {WE_SETTING_SYSTEM_PROMPT_FILE, "system_prompt_file", "--system-prompt-file", NULL, {"BOT_SYSTEM_PROMPT_FILE"},
     WE_GROUP_MODEL, WE_SETTING_PATH, 0, 0, NULL, NULL, "FILE", "a file that holds the system prompt"},

    /* ---- endpoints that are asked over http ---- */
    {WE_SETTING_API_KEY, "api_key", NULL, NULL, {"LLM_CHAT_API_KEY"}, WE_GROUP_REMOTE,
     WE_SETTING_TEXT, 0, 0, NULL, NULL, "KEY", "the key that the endpoint asks for", true},
    {WE_SETTING_REMOTE_MODEL, "remote_model", NULL, NULL, {"LLM_CHAT_MODEL"}, WE_GROUP_REMOTE,
     WE_SETTING_TEXT, 0, 0, NULL, NULL, "NAME", "the model's name at the endpoint (the only one that it has); #NAME behind an address is stronger"},
    {WE_SETTING_LM_STUDIO_URL, "lm_studio_url", NULL, NULL, {"LM_STUDIO_API_URL"}, WE_GROUP_REMOTE,
     WE_SETTING_TEXT, 0, 0, NULL, "http://localhost:1234/v1", "URL", "where LM Studio answers: the profile 'local'"},
    {WE_SETTING_OLLAMA_URL, "ollama_url", NULL, NULL, {"OLLAMA_API_URL"}, WE_GROUP_REMOTE,
     WE_SETTING_TEXT, 0, 0, NULL, "http://localhost:11434/v1", "URL", "where Ollama answers: the profile 'ollama'"},
    {WE_SETTING_REMOTE_URL, "remote_url", NULL, NULL, {"LLM_REMOTE_API_URL"}, WE_GROUP_REMOTE,
     WE_SETTING_TEXT, 0, 0, NULL, NULL, "URL", "the endpoint of the profile 'remote'"},
    {WE_SETTING_CONNECTION_TIMEOUT, "connection_timeout", "--connection-timeout", NULL, {"LLM_CONNECTION_TIMEOUT"}, WE_GROUP_REMOTE,
     WE_SETTING_NUMBER, 0, 86400, NULL, "10", "SECONDS", "how long a connection may take; 0: as long as it takes"},
    {WE_SETTING_REQUEST_TIMEOUT, "request_timeout", "--request-timeout", NULL, {"LLM_REQUEST_TIMEOUT"}, WE_GROUP_REMOTE,
     WE_SETTING_NUMBER, 0, 86400, NULL, "300", "SECONDS", "how long an endpoint may be silent, before and within a reply; 0: as long as it likes"},
    {WE_SETTING_FALLBACK, "fallback", "--fallback", NULL, {"WHISPERENGINE_FALLBACK"}, WE_GROUP_REMOTE,
     WE_SETTING_SWITCH, 0, 0, NULL, "1", "0|1", "1: if the configured MLX model cannot be used, LM Studio and then Ollama answer"},

    /* ---- sampling ---- */
    {WE_SETTING_MAX_TOKENS, "max_tokens", "--max-tokens", NULL, {"MLX_MAX_TOKENS", "LLM_MAX_TOKENS_CHAT"}, WE_GROUP_SAMPLING,
     WE_SETTING_INTEGER, 1, 4294967295.0, NULL, "2048", "N", "most tokens of a reply"},
    {WE_SETTING_TEMPERATURE, "temperature", "--temp", "--temperature", {"MLX_TEMPERATURE", "LLM_TEMPERATURE"},
     WE_GROUP_SAMPLING, WE_SETTING_NUMBER, 0, 100, NULL, "0.7", "T", "sampling temperature; 0 takes the most likely token"},
    {WE_SETTING_TOP_P, "top_p", "--top-p", NULL, {"MLX_TOP_P", "LLM_TOP_P"}, WE_GROUP_SAMPLING,
     WE_SETTING_NUMBER, 0, 1, NULL, "0.9", "P", "keep the most likely tokens that together have this probability; 0 or 1: off"},
    {WE_SETTING_MIN_P, "min_p", "--min-p", NULL, {"MLX_MIN_P"}, WE_GROUP_SAMPLING,
     WE_SETTING_NUMBER, 0, 1, NULL, "0", "P", "drop tokens below this share of the best one's probability; 0: off"},
    {WE_SETTING_MIN_TOKENS_TO_KEEP, "min_tokens_to_keep", "--min-tokens-to-keep", NULL, {"MLX_MIN_TOKENS_TO_KEEP"},
     WE_GROUP_SAMPLING, WE_SETTING_INTEGER, 1, 4294967295.0, NULL, "1", "N", "tokens that min-p never drops"},
    {WE_SETTING_TOP_K, "top_k", "--top-k", NULL, {"MLX_TOP_K"}, WE_GROUP_SAMPLING,
     WE_SETTING_INTEGER, 0, 4294967295.0, NULL, "0", "K", "keep the K most likely tokens; 0: off"},
    {WE_SETTING_XTC_PROBABILITY, "xtc_probability", "--xtc-probability", NULL, {"MLX_XTC_PROBABILITY"}, WE_GROUP_SAMPLING,
     WE_SETTING_NUMBER, 0, 1, NULL, "0", "P", "how often XTC drops the top choices; 0: off"},
    {WE_SETTING_XTC_THRESHOLD, "xtc_threshold", "--xtc-threshold", NULL, {"MLX_XTC_THRESHOLD"}, WE_GROUP_SAMPLING,
     WE_SETTING_NUMBER, 0, 0.5, NULL, "0.1", "P", "the probability that makes a token a top choice"},
    {WE_SETTING_REPETITION_PENALTY, "repetition_penalty", "--repetition-penalty", NULL, {"MLX_REPETITION_PENALTY"},
     WE_GROUP_SAMPLING, WE_SETTING_NUMBER, 0, 1000, NULL, "0", "X", "divides the logits of recent tokens; 0 or 1: off"},
    {WE_SETTING_PRESENCE_PENALTY, "presence_penalty", "--presence-penalty", NULL, {"MLX_PRESENCE_PENALTY"}, WE_GROUP_SAMPLING,
     WE_SETTING_NUMBER, -1000, 1000, NULL, "0", "X", "subtracted once from the logits of recent tokens"},
    {WE_SETTING_FREQUENCY_PENALTY, "frequency_penalty", "--frequency-penalty", NULL, {"MLX_FREQUENCY_PENALTY"},
     WE_GROUP_SAMPLING, WE_SETTING_NUMBER, -1000, 1000, NULL, "0", "X", "subtracted for each occurrence of recent tokens"},
    {WE_SETTING_REPETITION_CONTEXT, "repetition_context", "--repetition-context-size", NULL, {"MLX_REPETITION_CONTEXT_SIZE"},
     WE_GROUP_SAMPLING, WE_SETTING_INTEGER, 1, 1048576, NULL, "20", "N", "how many last tokens the penalties see"},
    {WE_SETTING_SEED, "seed", "--seed", NULL, {"MLX_SEED"}, WE_GROUP_SAMPLING,
     WE_SETTING_INTEGER, 0, 0, NULL, NULL, "N", "of the random numbers: the same seed gives the same reply"},

    /* ---- how it runs ---- */
    {WE_SETTING_DEVICE, "device", "--device", NULL, {"WHISPERENGINE_DEVICE"}, WE_GROUP_DEVICE,
     WE_SETTING_CHOICE, 0, 0, "cpu|cuda|mlx", NULL, "NAME", "cpu, cuda or mlx (the best one found)"},
    {WE_SETTING_ISA, "isa", "--isa", NULL, {"WHISPERENGINE_ISA"}, WE_GROUP_DEVICE,
     WE_SETTING_TEXT, 0, 0, NULL, NULL, "NAME", "instruction set to force: generic, avx2, avx512, avx512bf16, amx (the best one)"},
    {WE_SETTING_THREADS, "threads", "--threads", "-t", {"WHISPERENGINE_THREADS"}, WE_GROUP_DEVICE,
     WE_SETTING_INTEGER, 1, 4096, NULL, NULL, "N", "threads (the processors that the process may use)"},
    {WE_SETTING_PRECISION, "precision", "--precision", NULL, {"WHISPERENGINE_PRECISION"}, WE_GROUP_DEVICE,
     WE_SETTING_CHOICE, 0, 0, "exact|fast", "fast", "NAME", "exact (float32 throughout) or fast"},
    {WE_SETTING_REPACK, "repack", "--repack", NULL, {"WHISPERENGINE_REPACK"}, WE_GROUP_DEVICE,
     WE_SETTING_SWITCH, 0, 0, NULL, "1", "0|1", "0: weights stay in the mapped files: less memory, slower decode"},
    {WE_SETTING_ROPE_COMPAT, "rope_compat", "--rope-compat", NULL, {"WHISPERENGINE_ROPE_COMPAT"}, WE_GROUP_DEVICE,
     WE_SETTING_CHOICE, 0, 0, "paper|mlx", "paper", "NAME",
     "longrope factors: by the length of the prompt (paper) or always long (mlx)"},
    {WE_SETTING_CONTEXT, "context", "--context", NULL, {"WHISPERENGINE_CONTEXT"}, WE_GROUP_DEVICE,
     WE_SETTING_INTEGER, 1, 4294967295.0, NULL, NULL, "N", "positions of a conversation (what the model was trained for)"},
    {WE_SETTING_MEMORY_LIMIT, "memory_limit", "--memory-limit", NULL, {"MLX_MEMORY_LIMIT"}, WE_GROUP_DEVICE,
     WE_SETTING_BYTES, 0, 0, NULL, NULL, "BYTES", "refuse models that need more; K, M, G are understood (what is available)"},

    /* ---- what the command itself does not need ---- */
    {WE_SETTING_LOG_LEVEL, "log_level", NULL, NULL, {"LOG_LEVEL"}, WE_GROUP_INTERFACE,
     WE_SETTING_CHOICE, 0, 0, "debug|info|warning|error|critical", "info", "NAME", "what is logged: debug, info, warning, error or critical, and worse"},
    {WE_SETTING_LOG_DIR, "log_dir", NULL, NULL, {"LOG_DIR"}, WE_GROUP_INTERFACE,
     WE_SETTING_PATH, 0, 0, NULL, NULL, "DIR", "the folder of the logs"},
    {WE_SETTING_DATA_DIR, "data_dir", NULL, NULL, {"DATA_DIR"}, WE_GROUP_INTERFACE,
     WE_SETTING_PATH, 0, 0, NULL, NULL, "DIR", "the folder of saved conversations"},
    {WE_SETTING_UI_THEME, "ui_theme", NULL, NULL, {"UI_THEME"}, WE_GROUP_INTERFACE,
     WE_SETTING_CHOICE, 0, 0, "auto|light|dark", "auto", "NAME", "the colours: light, dark, or auto, those of the system"},
    {WE_SETTING_START_MINIMIZED, "start_minimized", NULL, NULL, {"START_MINIMIZED"}, WE_GROUP_INTERFACE,
     WE_SETTING_SWITCH, 0, 0, NULL, "0", "0|1", "1: start in the tray"},
    {WE_SETTING_SYSTEM_TRAY, "system_tray", NULL, NULL, {"ENABLE_SYSTEM_TRAY"}, WE_GROUP_INTERFACE,
     WE_SETTING_SWITCH, 0, 0, NULL, "1", "0|1", "1: an icon in the tray shows the state"},
    {WE_SETTING_HISTORY_LIMIT, "history_limit", NULL, NULL, {"CONVERSATION_HISTORY_LIMIT"}, WE_GROUP_INTERFACE,
     WE_SETTING_INTEGER, 0, 4294967295.0, NULL, NULL, "N", "how many messages of a conversation are kept"},
    {WE_SETTING_AUTO_SAVE, "auto_save", NULL, NULL, {"CONVERSATION_AUTO_SAVE"}, WE_GROUP_INTERFACE,
     WE_SETTING_SWITCH, 0, 0, NULL, "1", "0|1", "1: conversations are saved without being asked"},
};
/* clang-format on */

const struct we_setting *we_setting_row(enum we_setting_id id)
{
    return &table[id];
}

const struct we_setting *we_setting_by_flag(const char *flag)
{
    for (size_t i = 0; i < WE_NUM_SETTINGS; i++)
        if ((table[i].flag && strcmp(table[i].flag, flag) == 0) || (table[i].alias && strcmp(table[i].alias, flag) == 0))
            return &table[i];
    return NULL;
}

const struct we_setting *we_setting_by_key(const char *key)
{
    for (size_t i = 0; i < WE_NUM_SETTINGS; i++)
        if (strcmp(table[i].key, key) == 0)
            return &table[i];
    return NULL;
}

const char *we_setting_nearest_flag(const char *flag)
{
    const char *nearest = NULL;
    size_t best = 4;
    for (size_t i = 0; i < WE_NUM_SETTINGS; i++) {
        size_t distance = table[i].flag ? we_str_distance(we_str_c(flag), we_str_c(table[i].flag)) : SIZE_MAX;
        if (distance < best) {
            best = distance;
            nearest = table[i].flag;
        }
    }
    return nearest;
}
