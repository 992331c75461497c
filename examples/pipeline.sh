#!/bin/sh
# Generates a dataset in three steps, each of which reads what the one before wrote: a model writes a question for each row of a
# table, a model judges every question, and what the judge did not turn down becomes the dataset.
#
#   examples/pipeline.sh [topics.csv [questions.csv]]
#
# Each step resumes where it was when the script is run again. As it stands, nothing is sent and the answers are made up. With a
# real endpoint:
#
#   export ASSISTERS_API_KEY=...
#   FLAGS= examples/pipeline.sh topics.csv questions.csv
#
# BATCH is the program, MODEL and JUDGE the models, FLAGS what batch run gets besides, JOBS the folder of the job files.
set -eu

BATCH=${BATCH:-batch}
MODEL=${MODEL:-llama-3.1-8b}
JUDGE=${JUDGE:-$MODEL}
FLAGS=${FLAGS---simulate}
JOBS=${JOBS:-pipeline}
topics=${1:-$(dirname "$0")/topics.csv}
questions=${2:-questions.csv}
mkdir -p "$JOBS"

# Generate: the columns of the table make the prompt. $FLAGS is several words.
"$BATCH" run $FLAGS --model "$MODEL" --temperature 1 --max-tokens 200 \
  --prompt 'Write one exam question about {{.topic}} for {{.level}}{{with .note}} ({{.}}){{end}}. Write the question only.' \
  --db "$JOBS/written.batch.db" -o "$JOBS/written.jsonl" "$topics"

# Judge: the answers of the first step are the column content of its results.
"$BATCH" run $FLAGS --model "$JUDGE" --temperature 0 --max-tokens 5 \
  --system 'You check exam questions. Answer with the one word yes or no.' \
  --prompt 'Is this question clear, and fit for {{.level}}?

{{.content}}' \
  --db "$JOBS/judged.batch.db" -o "$JOBS/judged.jsonl" "$JOBS/written.jsonl"

# Filter: input_content is the column content of the judge's input.
"$BATCH" export --where 'not content ~ "(?i)^no"' --fields topic,level,input_content=question,content=judge \
  -o "$questions" "$JOBS/judged.batch.db"
