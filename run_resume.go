package main

import (
	"slices"
	"strings"

	"batch/runner/chat"
)

// resumeCommand is this command with every flag. Standard input cannot be read twice: there the job file stands for the input, and
// knows what filled its lines in.
func (d *drain) resumeCommand() string {
	words := []string{"batch", d.args[1]}
	args := d.args[2:]
	if slices.Contains(d.cfg.inputs, "-") {
		flags, _ := splitArgs(d.verb(), args)
		args = []string{d.cfg.db}
		for _, flag := range flags {
			if name := flagName(flag[0]); name != "db" && !slices.Contains(fillFlags, name) {
				args = append(args, flag...)
			}
		}
	}
	if d.raised.flag != "" {
		args = append(d.withoutRaised(args), "--"+d.raised.flag, d.raised.value)
	}
	for i, word := range args {
		switch name := flagName(word); {
		case name == "accept-changes" && strings.HasPrefix(word, "-"):
		case i > 0 && (args[i-1] == "--header" || args[i-1] == "-header"):
			words = append(words, shellQuote(hideSecret(word)))
		case name == "header" && strings.HasPrefix(word, "-") && strings.Contains(word, "="):
			flag, value, _ := strings.Cut(word, "=")
			words = append(words, shellQuote(flag+"="+hideSecret(value)))
		default:
			words = append(words, shellQuote(word))
		}
	}
	return strings.Join(words, " ")
}

// withoutRaised is args without the flag that is raised.
func (d *drain) withoutRaised(args []string) []string {
	var kept []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--"+d.raised.flag || args[i] == "-"+d.raised.flag:
			i++ // its value
		case strings.HasPrefix(args[i], "-") && flagName(args[i]) == d.raised.flag:
		default:
			kept = append(kept, args[i])
		}
	}
	return kept
}

// hideSecret takes the value out of a header that bears a key: what is printed ends up in logs.
func hideSecret(header string) string {
	name, value, _ := strings.Cut(header, ":")
	if !chat.SecretHeader(strings.TrimSpace(name)) || strings.HasPrefix(strings.TrimSpace(value), "env:") {
		return header
	}
	return name + ": ..."
}
