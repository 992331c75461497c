package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves flags in front of file names: people write them in either order, and the cli library takes every word after the
// first file name for another file.
func flagsFirst(app *cli.App, args []string) ([]string, error) {
	if len(args) < 2 {
		return args, nil
	}
	i := slices.IndexFunc(app.Commands, func(c *cli.Command) bool { return c.HasName(args[1]) })
	if i < 0 || slices.Contains(args, "--generate-bash-completion") {
		return args, nil
	}
	cmd := app.Commands[i]
	flags, files := splitArgs(cmd, args[2:])
	for _, flag := range flags {
		if word := flag[0]; word == "-h" || word == "--help" || word == "-help" {
			return append(slices.Clone(args[:2]), "--help"), nil // with a file beside it, the library looks for help on that
		}
		if len(flag) == 1 && takesValue(cmd, flag[0]) {
			return nil, usage(fmt.Errorf("flag needs a value: %s", printable(flag[0])), "batch %s --help lists the flags", cmd.Name)
		}
	}
	all := append(slices.Clone(args[:2]), slices.Concat(flags...)...)
	if len(files) > 0 {
		all = append(append(all, "--"), files...)
	}
	return all, nil
}

// splitArgs tells the flags of a verb, each with its value if that is a word of its own, from the file names.
func splitArgs(cmd *cli.Command, words []string) (flags [][]string, files []string) {
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		switch {
		case word == "--":
			return flags, append(files, words...)
		case word == "-" || !strings.HasPrefix(word, "-"):
			files = append(files, word)
		case takesValue(cmd, word) && len(words) > 0:
			flags = append(flags, []string{word, words[0]})
			words = words[1:]
		default:
			flags = append(flags, []string{word})
		}
	}
	return flags, files
}

// flagName is the name of a flag as it was written, without dashes and value.
func flagName(word string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	return name
}

// takesValue says that the word after this flag is its value. An unknown flag takes none: the library will refuse it.
func takesValue(cmd *cli.Command, word string) bool {
	name := strings.TrimLeft(word, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, f := range cmd.Flags {
		if slices.Contains(f.Names(), name) {
			_, isBool := f.(*cli.BoolFlag)
			return !isBool
		}
	}
	return false
}
