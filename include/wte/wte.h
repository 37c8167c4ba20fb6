/* SPDX-License-Identifier: MIT */
/** wte/wte.h - the whole public API */
#ifndef WTE_WTE_H
#define WTE_WTE_H
#include "wte/bridge.h"
#include "wte/cache.h"
#include "wte/checkpoint.h"
#include "wte/compare.h"
#include "wte/embedding.h"
#include "wte/eval.h"
#include "wte/generate.h"
#include "wte/model.h"
#include "wte/nearest.h"
#include "wte/network.h"
#include "wte/npy.h"
#include "wte/plot.h"
#include "wte/random.h"
#include "wte/similarity.h"
#include "wte/space.h"
#include "wte/status.h"
#include "wte/tokenizer.h"
#include "wte/transform.h"
#endif
