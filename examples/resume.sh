#!/bin/sh
# Shows that an interrupted run goes on: it stops after three prompts, the same command finishes the rest, and batch
# verify proves that each prompt was answered once. Ctrl-C, a power cut or a refused key in the place of --limit end
# the same way.
#
#   examples/resume.sh [prompts.jsonl]
#
# As it stands, nothing is sent and the answers are made up. With a real endpoint, and another job file for its answers:
#
#   export ASSISTERS_API_KEY=...
#   FLAGS= JOBS=prompts.batch.db examples/resume.sh prompts.jsonl
#
# BATCH is the program, JOBS the job file, FLAGS what batch run gets besides.
set -eu

BATCH=${BATCH:-batch}
FLAGS=${FLAGS---simulate}
JOBS=${JOBS:-resume.simulated.batch.db}
prompts=${1:-$(dirname "$0")/rivers.jsonl}

# $FLAGS is several words. Exit code 4 says: stopped early, the same command goes on.
code=0
"$BATCH" run $FLAGS --db "$JOBS" --limit 3 "$prompts" || code=$?
case $code in
0 | 4) ;;
*) exit "$code" ;;
esac

"$BATCH" run $FLAGS --db "$JOBS" "$prompts"
"$BATCH" verify "$JOBS"
