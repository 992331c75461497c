#!/bin/sh
# Classifies texts: one word for each, into a CSV file that opens in a spreadsheet. The column content is the model's
# word; label is the author's own, carried along for comparison.
#
#   examples/classify.sh [texts.jsonl [labels.csv]]
#
# As it stands, nothing is sent and the answers are made up. With a real endpoint:
#
#   export ASSISTERS_API_KEY=...
#   FLAGS= examples/classify.sh texts.jsonl labels.csv
#
# BATCH is the program, MODEL the model, FLAGS what batch run gets besides.
set -eu

BATCH=${BATCH:-batch}
MODEL=${MODEL:-llama-3.1-8b}
FLAGS=${FLAGS---simulate}
texts=${1:-$(dirname "$0")/classify.jsonl}
labels=${2:-labels.csv}
newline='
'

# $FLAGS is several words. Temperature 0 leaves as little to chance as the model allows; a label ends at the first full
# stop or line break.
"$BATCH" run $FLAGS \
  --model "$MODEL" \
  --system 'Is the review positive, negative or neutral? Answer with that one word in lower case.' \
  --temperature 0 --max-tokens 5 --stop "$newline" --stop '.' \
  -o "$labels" \
  "$texts"
