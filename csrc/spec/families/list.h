#pragma once

// Every file of families beside this one, by the name of its function, `arcee_families`.
// clang-format off
#define LENSWRIGHT_FAMILIES(each)                                                                \
  each(apertus) each(arcee) each(bloom) each(cohere) each(deepseek) each(ernie4_5)                \
  each(ernie4_5_moe) each(exaone4) each(falcon) each(gemma) each(glm) each(gpt2)                  \
  each(gpt_bigcode) each(gpt_neo) each(gpt_neox) each(gpt_oss) each(gptj) each(granite)           \
  each(granitemoe) each(helium) each(hunyuan) each(hunyuan_moe) each(llama) each(llama4)          \
  each(mistral) each(mixtral) each(mpt) each(nemotron) each(olmo) each(olmo2) each(olmoe)         \
  each(opt) each(phi) each(phi3) each(phimoe) each(qwen) each(qwen_moe) each(seed_oss)            \
  each(sigmoid_moe) each(smollm3) each(stablelm) each(starcoder2) each(tower)
// clang-format on
