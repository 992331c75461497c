#!/bin/sh
# Makes a dataset: has every prompt of a file answered and writes each conversation with its answer as one line of
# messages, the form that fine-tuning takes.
#
#   examples/dataset.sh [prompts.jsonl [train.jsonl]]
#
# As it stands, nothing is sent and the answers are made up. With a real endpoint:
#
#   export ASSISTERS_API_KEY=...
#   FLAGS= examples/dataset.sh prompts.jsonl train.jsonl
#
# BATCH is the program, MODEL the model, FLAGS what batch run gets besides.
set -eu

BATCH=${BATCH:-batch}
MODEL=${MODEL:-llama-3.1-8b}
FLAGS=${FLAGS---simulate}
prompts=${1:-$(dirname "$0")/dataset.jsonl}
train=${2:-train.jsonl}

# $FLAGS is several words. A temperature of 1 lets the answers differ in tone.
"$BATCH" run $FLAGS \
  --model "$MODEL" \
  --system 'You explain to a curious child of ten, in three sentences.' \
  --temperature 1 --max-tokens 300 \
  --shape chat -o "$train" \
  "$prompts"

echo "$(wc -l <"$train" | tr -d ' ') conversations in $train"
