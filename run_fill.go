package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/urfave/cli/v2"

	"batch/input"
	"batch/runner/chat"
)

// fillFlags are the flags that say what the input does not say itself. They are kept in the job file.
var fillFlags = slices.Concat(fieldFlags, schemaFlags, rowFlags, contextFlags)

// fieldFlags are those that fill in request fields, in the order in which they are put into a body.
var fieldFlags = []string{"model", "temperature", "top-p", "max-tokens", "stop", "presence-penalty", "frequency-penalty", "user", "seed", "stream", "system"}

func fillInFlags() []cli.Flag {
	const category = "Requests: what the lines do not say themselves"
	str := func(name, usage string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, Category: category}
	}
	return append(rowsFlags(), []cli.Flag{
		str("model", "`MODEL` of lines without one"),
		str("system", "system message of lines without one, as `TEXT`; beside --template or --prompt a template, too"),
		str("temperature", "sampling temperature, `0..2`"),
		str("top-p", "nucleus sampling, `0..1`"),
		str("max-tokens", "longest answer in `TOKENS`"),
		&cli.StringSliceFlag{Name: "stop", Usage: "stop sequence; up to 4 times", Category: category},
		str("presence-penalty", "`-2..2`"),
		str("frequency-penalty", "`-2..2`"),
		str("user", "end-user `ID` for the provider's abuse detection"),
		str("seed", "the `NUMBER` that random choices begin with, where the endpoint has that; with --samples one more for each"),
		&cli.BoolFlag{Name: "stream", Usage: "have the answers streamed", Category: category},
		str("max-context", "most `TOKENS` of a prompt together with its max_tokens; a longer line is a bad one (images are not counted)"),
		&cli.BoolFlag{Name: "trim", Usage: "with --max-context: drop the oldest turns of a conversation that is too long, never system messages nor the last question", Category: category},
		str("json-schema", "answers must be JSON that fits the schema in this `FILE`; it is sent as response_format, and each answer is checked"),
		str("response-format", "`HOW` --json-schema is asked for: json_schema, json_object, or none where the API refuses the field (default: json_schema)"),
	}...)
}

// fillIns are request fields for the lines that do not have them: JSON values by flag name. An empty value takes back what
// an earlier run kept.
type fillIns map[string]string

// settingFill begins the names under which fill-ins are kept in the job file.
const settingFill = "fill."

func readFillIns(ctx *cli.Context) (fillIns, error) {
	fills := fillIns{}
	if err := fills.readRowFlags(ctx); err != nil {
		return nil, err
	}
	for _, flag := range fieldFlags {
		if !ctx.IsSet(flag) {
			continue
		}
		value := ctx.String(flag)
		switch flag {
		case "stream":
			value = fmt.Sprint(ctx.Bool(flag))
		case "stop":
			value = stopValue(ctx.StringSlice(flag))
		case "model", "user", "system":
			value = quote(value)
		}
		fills[flag] = value
		if value == "" {
			continue
		}
		if !jsontext.Value(value).IsValid() {
			return nil, usage(fmt.Errorf("--%s %q: it is not a number", flag, ctx.String(flag)), "batch run --help shows its range")
		}
		if err := (fillIns{flag: value}).defaults().Check(); err != nil {
			var bad *chat.FieldError
			if errors.As(err, &bad) {
				err = errors.New(bad.Problem) // the flag is the field
			}
			return nil, usage(fmt.Errorf("--%s: %w", flag, err), "batch run --help shows its range")
		}
	}
	if err := fills.readContextFlags(ctx); err != nil {
		return nil, err
	}
	return fills, fills.readSchemaFlags(ctx)
}

// quote writes a string as JSON, and the empty one as nothing.
func quote(s string) string {
	if s == "" {
		return ""
	}
	b, _ := jsontext.AppendQuote(nil, s)
	return string(b)
}

func stopValue(stops []string) string {
	if len(stops) == 1 {
		return quote(stops[0])
	}
	quoted := make([]string, len(stops))
	for i, stop := range stops {
		b, _ := jsontext.AppendQuote(nil, stop)
		quoted[i] = string(b)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// inForce is what an earlier run kept, and what is given now instead.
func inForce(settings map[string]string, given fillIns) fillIns {
	all := fillIns{}
	for _, flag := range fillFlags {
		value, kept := settings[settingFill+flag]
		if now, set := given[flag]; set {
			value, kept = now, now != ""
		}
		if kept {
			all[flag] = value
		}
	}
	if name := given[templateName]; name != "" {
		all[templateName] = name
	}
	return all
}

// settings is how the fill-ins are kept; those that are no longer in force are forgotten.
func (f fillIns) settings() map[string]string {
	all := map[string]string{}
	for _, flag := range fillFlags {
		all[settingFill+flag] = f[flag]
	}
	return all
}

// keptBut names the flags in force that were not given, as they would be written.
func (f fillIns) keptBut(given fillIns) []string {
	var all []string
	for _, flag := range fillFlags {
		if _, set := given[flag]; !set && f[flag] != "" {
			all = append(all, "--"+flag+" "+printable(shortened(f[flag])))
		}
	}
	return all
}

// shortened is the beginning of a long value.
func shortened(value string) string {
	const most = 100
	if r := []rune(value); len(r) > most {
		return string(r[:most]) + "..."
	}
	return value
}

// differ names the flags whose values are others than those that were kept.
func (f fillIns) differ(settings map[string]string) []string {
	var all []string
	for _, flag := range fillFlags {
		if f[flag] != settings[settingFill+flag] {
			all = append(all, "--"+flag)
		}
	}
	return all
}

// defaults is the fill-ins as the reader wants them.
func (f fillIns) defaults() input.Defaults {
	var d input.Defaults
	for _, flag := range fieldFlags {
		value := f[flag]
		if value == "" {
			continue
		}
		if flag == "system" {
			var text string
			json.Unmarshal([]byte(value), &text) // our own quoting
			d.System = &text
			continue
		}
		name := strings.ReplaceAll(flag, "-", "_")
		d.Fields = append(d.Fields, input.Field{Name: name, Value: jsontext.Value(value)})
	}
	if format := f.responseFormat(); format != "" {
		d.Fields = append(d.Fields, input.Field{Name: "response_format", Value: jsontext.Value(format)})
	}
	return d
}
