package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"batch/input"
)

// contextFlags bound the length of conversations. They are kept in the job file, as they decide what is sent.
var contextFlags = []string{"max-context", "trim"}

// mostContext is more tokens than any model reads.
const mostContext = 1_000_000_000

// readContextFlags reads what the command line says of long conversations. With the bound trimming is taken back.
func (f fillIns) readContextFlags(ctx *cli.Context) error {
	if ctx.IsSet("max-context") {
		value := ctx.String("max-context")
		if n, err := strconv.ParseInt(value, 10, 64); value != "" && (err != nil || n < 1 || n > mostContext) {
			return usage(fmt.Errorf("--max-context %s: it must be between 1 and %s", printable(value), count(mostContext)),
				"it is the number of tokens that the model reads, prompt and answer together, as in --max-context 8192")
		}
		if f["max-context"] = value; value == "" {
			f["trim"] = ""
		}
	}
	if ctx.IsSet("trim") {
		f["trim"] = "true"
		if !ctx.Bool("trim") {
			f["trim"] = ""
		}
	}
	return nil
}

// checkContext judges the flags in force, given or kept.
func (f fillIns) checkContext() error {
	if f["trim"] != "" && f["max-context"] == "" {
		return usage(errors.New("--trim goes with --max-context"), "--max-context N is the number of tokens that a conversation may have together with its answer")
	}
	return nil
}

// context is the bound as the reader of the input wants it.
func (f fillIns) context() input.Context {
	most, _ := strconv.ParseInt(f["max-context"], 10, 64)
	return input.Context{Max: most, Trim: f["trim"] != ""}
}

// trimmed is how many conversations lost turns, and how many these were.
func (imp *importer) trimmed() (conversations, turns int) {
	for _, s := range imp.stats {
		conversations += s.Trimmed
		turns += s.TrimmedTurns
	}
	return conversations, turns
}

// trimmedWords tells it; "" when none did.
func (imp *importer) trimmedWords() string {
	n, turns := imp.trimmed()
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("trimmed %s of %s (%s)", count(int64(n)), plural(int64(imp.prompts()), "conversation"), plural(int64(turns), "turn"))
}
