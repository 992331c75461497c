#!/bin/sh
# Reads facts out of texts: each answer must be JSON that fits a schema, and its fields become columns of a CSV file. An answer that does not
# fit is asked again, up to two times.
#
#   examples/extract.sh [texts.jsonl [facts.csv]]
#
# As it stands, nothing is sent and the answers are made up. With a real endpoint:
#
#   export ASSISTERS_API_KEY=...
#   FLAGS= examples/extract.sh texts.jsonl facts.csv
#
# With one that does not know response_format: FLAGS='--response-format none'. The answers are checked all the same.
#
# BATCH is the program, MODEL the model, FLAGS what batch run gets besides.
set -eu

BATCH=${BATCH:-batch}
MODEL=${MODEL:-llama-3.1-8b}
FLAGS=${FLAGS---simulate}
here=$(dirname "$0")
texts=${1:-$here/reviews.jsonl}
facts=${2:-facts.csv}

# $FLAGS is several words.
"$BATCH" run $FLAGS \
  --model "$MODEL" \
  --system 'Answer with JSON: the verdict of the review, how sure you are, and up to three topics.' \
  --json-schema "$here/review.schema.json" \
  --extract verdict,sure,topics.0=topic \
  --fields custom_id,verdict,sure,topic,label \
  -o "$facts" \
  "$texts"
