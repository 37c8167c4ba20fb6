/* SPDX-License-Identifier: MIT */
/** model/tree.h - which class of transformers a model is */
#ifndef WTE_MODEL_TREE_H
#define WTE_MODEL_TREE_H
#include "wte/model.h"

typedef enum wte__class {
    WTE__GPT2_MODEL,
    WTE__GPT2_LM_HEAD,
    WTE__BERT_MODEL,
    WTE__BERT_MASKED_LM,
    WTE__BERT_PRE_TRAINING
} wte__class;

/** Tell the class: the first of config.json's architectures that is known, else by the tensors. */
wte__class wte__model_class(const wte_model *model);
#endif
