package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"batch/input"
)

// rowFlags are the flags that say how bytes become rows, and rows prompts.
var rowFlags = []string{"input-format", "delimiter", "separator", "template", "prompt", "image-column", "samples", "dedupe"}

func rowsFlags() []cli.Flag {
	const category = "Input: how a file becomes prompts"
	str := func(name, usage string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, Category: category}
	}
	return []cli.Flag{
		str("prompt", "make the prompt of each row by this `TEMPLATE`, as in 'Translate to {{.lang}}: {{.text}}'; a row is then data, and its keys are no request fields"),
		str("template", "the same from a `FILE`"),
		str("samples", "ask for `N` answers a prompt, each a request of its own: id#1 to id#N, and a column sample (a line's own n asks for several in one request)"),
		&cli.BoolFlag{Name: "dedupe", Usage: "send equal requests once: the answer stands in the rows of all of them, and is paid once", Category: category},
		str("image-column", "put the image beside each prompt whose path or URL stands in the column `NAME`"),
		str("input-format", "`FORMAT` where content and name do not tell: jsonl, json, csv, text or parquet"),
		str("delimiter", "the `CHARACTER` between cells of CSV, as in ';' or '\\t' (default: found in the header)"),
		str("separator", "`TEXT` between the prompts of a text, as in '\\n---\\n' (default: the end of a line)"),
	}
}

// templateName is the fill-in that errors call the template by. It is not kept: another run may find the template elsewhere.
const templateName = "template name"

// maxTemplate is the longest template that is read.
const maxTemplate = 1 << 20

// readRowFlags reads what the command line says of rows, as JSON values like the other fill-ins. A flag takes back those that an
// earlier run kept and that exclude it.
func (f fillIns) readRowFlags(ctx *cli.Context) error {
	for _, group := range [][]string{{"prompt", "template"}, {"input-format", "delimiter", "separator"}} {
		given := ""
		for _, flag := range group {
			if !ctx.IsSet(flag) {
				continue
			}
			if given != "" && ctx.String(flag) != "" && ctx.String(given) != "" && !agree(ctx, given, flag) {
				return usage(fmt.Errorf("--%s and --%s exclude each other", given, flag), "leave one of them off")
			}
			if given == "" {
				for _, other := range group {
					f[other] = ""
				}
			}
			given = flag
			value, err := readRowFlag(ctx, flag)
			if err != nil {
				return err
			}
			f[flag] = quote(value)
		}
	}
	if ctx.IsSet("image-column") {
		f["image-column"] = quote(ctx.String("image-column"))
	}
	if ctx.IsSet("dedupe") {
		f["dedupe"] = ""
		if ctx.Bool("dedupe") {
			f["dedupe"] = "true"
		}
	}
	if ctx.IsSet("samples") {
		n, err := strconv.Atoi(ctx.String("samples"))
		if err != nil || n < 1 || n > input.MaxSamples {
			return usage(fmt.Errorf("--samples %s: it must be between 1 and %s", printable(ctx.String("samples")), count(input.MaxSamples)), "it is the number of answers to each prompt")
		}
		f["samples"] = strconv.Itoa(n)
		if n == 1 { // lines are left as they are
			f["samples"] = ""
		}
	}
	if name := ctx.String("template"); name != "" {
		f[templateName] = name
	}
	_, err := f.reading()
	return err
}

// agree says that a delimiter or a separator is given for the format that has one.
func agree(ctx *cli.Context, format, flag string) bool {
	return format == "input-format" && (flag == "delimiter" && ctx.String(format) == string(input.CSV) || flag == "separator" && ctx.String(format) == string(input.Text))
}

func readRowFlag(ctx *cli.Context, flag string) (string, error) {
	value := ctx.String(flag)
	if value == "" {
		return "", nil
	}
	if !utf8.ValidString(value) {
		return "", usage(fmt.Errorf("--%s: it is not valid UTF-8", flag), "write it in UTF-8")
	}
	switch flag {
	case "template":
		return readTemplate(value)
	case "input-format":
		if !input.IsFormat(value) {
			return "", usage(fmt.Errorf("--input-format %s: it is no format that is read", printable(value)), "jsonl, json, csv, text or parquet; compression is seen by itself")
		}
	case "delimiter", "separator":
		value = unescape(value)
		if r, n := utf8.DecodeRuneInString(value); flag == "delimiter" && (n != len(value) || strings.ContainsRune("\"\r\n\ufeff\ufffd\x00", r)) {
			return "", usage(fmt.Errorf("--delimiter %s: it must be one character, and no quote or end of line", printable(value)), "as in --delimiter ';' or '\\t'")
		}
	}
	return value, nil
}

// unescape reads \n and \t, which are hard to type into a shell.
func unescape(s string) string {
	if text, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`); err == nil {
		return text
	}
	return s
}

func readTemplate(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", usage(fmt.Errorf("--template %w", readCause(name, err)), "check the name of the template; a template on the command line is given with --prompt")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	switch {
	case err != nil:
		return "", usage(fmt.Errorf("--template %w", readCause(name, err)), "check the name of the template")
	case len(text) > maxTemplate:
		return "", usage(fmt.Errorf("--template %s: it is longer than 1 MiB", printable(name)), "is it a template?")
	case !utf8.Valid(text):
		return "", usage(fmt.Errorf("--template %s: it is not UTF-8 text", printable(name)), "convert it to UTF-8 first")
	}
	// Editors end a file with a line feed, which is not meant for the prompt.
	s := strings.TrimPrefix(strings.ReplaceAll(string(text), "\r\n", "\n"), "\ufeff")
	if s = strings.TrimSuffix(s, "\n"); s == "" {
		return "", usage(fmt.Errorf("--template %s: it is empty", printable(name)), "it makes the prompt, as in: Summarize: {{.text}}")
	}
	return s, nil
}

// readCause names a file and why it could not be read.
func readCause(name string, err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%s: %w", printable(name), err)
}

// reading is the fill-ins as the reader of the input wants them.
func (f fillIns) reading() (input.Options, error) {
	text := func(flag string) (s string) {
		json.Unmarshal([]byte(f[flag]), &s) // our own quoting; nothing for a flag that is not given
		return s
	}
	if f["response-format"] != "" && f["json-schema"] == "" {
		return input.Options{}, usage(errors.New("--response-format goes with --json-schema"), "a line may have a response_format of its own")
	}
	opt := input.Options{Defaults: f.defaults(), ImageColumn: text("image-column"), Context: f.context()}
	opt.Samples, _ = strconv.Atoi(f["samples"])
	opt.Layout.Format = input.Format(text("input-format"))
	opt.Layout.Delimiter, _ = utf8.DecodeRuneInString(text("delimiter"))
	if f["delimiter"] == "" {
		opt.Layout.Delimiter = 0
	}
	opt.Layout.Separator = text("separator")
	name, source := "--prompt", text("prompt")
	if source == "" {
		if name, source = f[templateName], text("template"); name == "" {
			name = "--template"
		}
	}
	if source == "" {
		return opt, nil
	}
	var err error
	if opt.Prompt, err = input.ParseTemplate(name, source); err == nil && opt.Defaults.System != nil {
		opt.System, err = input.ParseTemplate("--system", *opt.Defaults.System)
		opt.Defaults.System = nil
	}
	if err != nil {
		return opt, usage(err, "a field of the row is {{.name}}, one with a blank in its name {{index . \"my name\"}}; batch run --help lists the functions")
	}
	return opt, nil
}

// expand replaces patterns that the shell left alone by the files that they match, in order of their names.
func expand(args []string) ([]string, error) {
	var all []string
	for _, arg := range args {
		if _, err := os.Lstat(arg); err == nil || arg == "-" || !strings.ContainsAny(arg, "*?[") {
			all = append(all, arg)
			continue
		}
		matched, err := filepath.Glob(arg)
		if err != nil {
			return nil, usage(fmt.Errorf("%s: it is no pattern that can be read", printable(arg)), "* stands for any characters, ? for one, [a-z] for one of several")
		}
		if len(matched) == 0 {
			return nil, usage(fmt.Errorf("%s: no file has such a name", printable(arg)), "check the pattern, and the folder that it begins at")
		}
		all = append(all, matched...)
	}
	return all, nil
}
