package main

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"batch/output"
	"batch/runner/chat"
	"batch/store"
)

// sendAgain is the command that sends what was put back, to where the last run sent it, and that writes its results anew.
func sendAgain(ctx context.Context, st *store.Store, name string) (string, error) {
	words := []string{"batch", "run"}
	run, err := st.LastRun(ctx)
	switch {
	case isNotFound(err):
	case err != nil:
		return "", err
	case run.Endpoint == simulatedEndpoint: // without the flag a key would be asked for
		words = append(words, "--simulate")
	default:
		words = append(words, "--base-url", run.Endpoint)
		if u, err := url.Parse(run.Endpoint); err == nil && u.Scheme == "http" && !chat.IsLoopback(u.Hostname()) {
			words = append(words, "--allow-http")
		}
	}
	flags, err := resultFlags(ctx, st)
	if err != nil {
		return "", err
	}
	return shellLine(append(append(words, flags...), name)...), nil
}

// resultFlags make the results file that is there again: that of the default name, else the newest.
func resultFlags(ctx context.Context, st *store.Store) ([]string, error) {
	outs, err := st.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	settings, err := st.Settings(ctx)
	if err != nil {
		return nil, err
	}
	var best store.Output
	var bestFlags []string
	for _, o := range outs {
		kind, part, _ := strings.Cut(o.Kind, ".")
		opt, err := output.ParseRecipe(o.Options)
		if _, gone := os.Lstat(o.Path); kind != "results" || err != nil || gone != nil {
			continue
		}
		path := o.Path
		if part != "" {
			path = unsplit(path, part)
		}
		usual, _, err := output.Names(st.Path(), "", opt.Format)
		if err != nil {
			return nil, err
		}
		var flags []string
		standard := path == output.Recorded(usual.Results)
		named := ""
		if !standard {
			named = relative(path)
			flags = append(flags, "-o", named)
		}
		if _, byName, err := output.Names(st.Path(), named, ""); err != nil || byName != opt.Format {
			flags = append(flags, "--format", string(opt.Format))
		}
		flags = append(flags, recipeFlags(o.Options, opt, output.Shape(settings[settingShape]))...)
		if standard {
			return flags, nil
		}
		if best.Path == "" || o.Now.MtimeNs > best.Now.MtimeNs {
			best, bestFlags = o, flags
		}
	}
	return bestFlags, nil
}

// unsplit is the name that -o had, of the file of a part.
func unsplit(path, part string) string {
	dir, base := filepath.Split(path)
	return dir + strings.Replace(base, "."+part+".", ".", 1)
}

// recipeFlags say how a file was written, where it is not as usual.
func recipeFlags(recipe string, opt output.Options, shapeOfInput output.Shape) []string {
	var flags []string
	usual := output.Flat
	if opt.Format == output.JSONL && len(opt.Fields) == 0 && len(opt.Extract) == 0 && shapeOfInput != "" {
		usual = shapeOfInput
	}
	if opt.Shape != usual {
		flags = append(flags, "--shape", string(opt.Shape))
	}
	for _, word := range strings.Fields(recipe)[2:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "extract", "fields", "split", "where": // as the flags are called
			if value, err := url.QueryUnescape(value); err == nil {
				flags = append(flags, "--"+name, value)
			}
		case "csv-raw":
			flags = append(flags, "--csv-raw")
		}
	}
	return flags
}
