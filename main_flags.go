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
	var flags, files []string
	rest := args[2:]
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		if word == "--" {
			files = append(files, rest...)
			break
		}
		if word == "-" || !strings.HasPrefix(word, "-") {
			files = append(files, word)
			continue
		}
		if word == "-h" || word == "--help" || word == "-help" {
			return append(slices.Clone(args[:2]), "--help"), nil // with a file beside it, the library looks for help on that
		}
		flags = append(flags, word)
		if !takesValue(cmd, word) {
			continue
		}
		if len(rest) == 0 {
			return nil, usage(fmt.Errorf("flag needs a value: %s", printable(word)), "batch %s --help lists the flags", cmd.Name)
		}
		flags = append(flags, rest[0])
		rest = rest[1:]
	}
	all := append(slices.Clone(args[:2]), flags...)
	if len(files) > 0 {
		all = append(append(all, "--"), files...)
	}
	return all, nil
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
