/* The families, each described in the file of its name or of its kin. */
#ifndef WE_ARCH_FAMILIES_H
#define WE_ARCH_FAMILIES_H

#include "arch/family.h"

extern const struct we_family we_family_bailing_moe, we_family_cohere, we_family_cohere2, we_family_deepseek_v2,
    we_family_deepseek_v3, we_family_dots1, we_family_ernie4_5, we_family_ernie4_5_moe, we_family_exaone4, we_family_gemma,
    we_family_gemma2, we_family_gemma3, we_family_gemma3_text, we_family_gemma4, we_family_gemma4_text, we_family_glm4,
    we_family_glm4_moe, we_family_glm4_moe_lite, we_family_gpt_oss, we_family_granite, we_family_granitemoe,
    we_family_granitemoehybrid, we_family_helium, we_family_hunyuan_v1_dense, we_family_internlm2, we_family_internlm3,
    we_family_lfm2, we_family_lfm2_moe, we_family_llama, we_family_mimo, we_family_minicpm, we_family_minimax,
    we_family_ministral3, we_family_mixtral, we_family_nemotron, we_family_nemotron_h, we_family_olmo, we_family_olmo2,
    we_family_olmo3, we_family_olmoe, we_family_phi, we_family_phi3, we_family_phimoe, we_family_qwen2, we_family_qwen2_moe,
    we_family_qwen3, we_family_qwen3_5, we_family_qwen3_moe, we_family_qwen3_next, we_family_seed_oss, we_family_smollm3,
    we_family_stablelm, we_family_starcoder2;

/* The text parts of models of text and images; see struct we_model_type. */
const struct we_family *we_text_part_gemma3(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                            struct we_error *error);
const struct we_family *we_text_part_gemma4(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                            struct we_error *error);
const struct we_family *we_text_part_kimi(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                          struct we_error *error);
const struct we_family *we_text_part_mistral3(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                              struct we_error *error);

const struct we_family *we_text_part_qwen3_5(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                             struct we_error *error);

#endif
