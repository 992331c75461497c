package output

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Format is the encoding of a file.
type Format string

// The encodings. JSONL is the default.
const (
	JSONL   Format = "jsonl"
	CSV     Format = "csv"
	Parquet Format = "parquet"
)

// Shape is what a row looks like.
type Shape string

// The shapes. Flat is the default. CSV has Flat and Pairs, Parquet all but OpenAI.
const (
	Flat   Shape = "flat"
	OpenAI Shape = "openai"
	Chat   Shape = "chat"
	Pairs  Shape = "pairs"
)

// Stdout as a results file is standard output.
const Stdout = "-"

// Files names the three files of an output. Results may be Stdout. With a split the parts are named after Results, and no file
// has that name itself.
type Files struct{ Results, Errors, Usage string }

// ResultPaths are the paths of the results: one, or one for each part of a split.
func (f Files) ResultPaths(split []Part) []string {
	paths := f.paths(split)
	return paths[:len(paths)-2]
}

func (f Files) paths(split []Part) []string {
	var paths []string
	for _, t := range f.targets(split) {
		paths = append(paths, t.path)
	}
	return paths
}

// target is a file to be.
type target struct{ kind, path string }

func (f Files) targets(split []Part) []target {
	var all []target
	stem, ext := splitExt(f.Results)
	for _, p := range split {
		all = append(all, target{kindResults + "." + p.Name, stem + "." + p.Name + ext})
	}
	if len(split) == 0 {
		all = append(all, target{kindResults, f.Results})
	}
	return append(all, target{kindErrors, f.Errors}, target{KindUsage, f.Usage})
}

// ParseFormat reads the value of --format; "" stays "", which leaves the choice to Names.
func ParseFormat(s string) (Format, error) {
	switch f := Format(strings.ToLower(s)); f {
	case "", JSONL, CSV, Parquet:
		return f, nil
	}
	return "", &RefusedError{Problem: "format " + Printable(s) + " is not known", Hint: "use --format jsonl, csv or parquet"}
}

// ParseShape reads the value of --shape; "" stays "".
func ParseShape(s string) (Shape, error) {
	switch sh := Shape(strings.ToLower(s)); sh {
	case "", Flat, OpenAI, Chat, Pairs:
		return sh, nil
	}
	return "", &RefusedError{Problem: "shape " + Printable(s) + " is not known", Hint: "use --shape flat, openai, chat or pairs"}
}

// Names says where the files of a job file go and in which format. out is the value of -o, "" for the default names
// beside the job file; format is that of --format, "" to go by out's extension.
//
// With out "-" the results go to standard output alone; errors and usage keep their default names, since a failure that
// nobody asked for must not get lost between the rows of a pipe.
func Names(jobFile, out string, format Format) (Files, Format, error) {
	if out == "" || out == Stdout {
		if format == "" {
			format = JSONL
		}
		stem := defaultStem(jobFile)
		ext := "." + string(format)
		files := Files{stem + ".results" + ext, stem + ".errors" + ext, stem + ".usage" + ext}
		if out == Stdout {
			files.Results = Stdout
		}
		return files, format, nil
	}
	if os.IsPathSeparator(out[len(out)-1]) {
		return Files{}, "", &RefusedError{Path: out, Problem: "is a folder", Hint: "name a file in it with -o"}
	}
	stem, ext := splitExt(out)
	if format == "" {
		var err error
		if format, err = formatOf(out, ext); err != nil {
			return Files{}, "", err
		}
	}
	return Files{out, stem + ".errors" + ext, stem + ".usage" + ext}, format, nil
}

// formatOf goes by the extension, before that of a compression. An extension that promises another encoding is refused: JSONL under the
// name of a spreadsheet would be found out late, by somebody else.
func formatOf(out, ext string) (Format, error) {
	ext, _ = cutCompression(strings.ToLower(ext))
	switch {
	case ext == ".csv":
		return CSV, nil
	case ext == ".parquet":
		return Parquet, nil
	case slices.Contains([]string{".bz2", ".xz", ".zip", ".tgz", ".xls", ".xlsx", ".ods", ".tsv", ".arrow"}, ext):
		return "", &RefusedError{Path: out, Problem: "batch does not write " + ext + " files",
			Hint: "use a name that ends in .jsonl, .csv or .parquet (.gz and .zst compress the first two), or -o - and a pipe"}
	}
	if ext == ".json" || ext == ".txt" { // one document, or prose: a line for each prompt is neither
		return "", &RefusedError{Path: out, Problem: "batch does not write " + ext + " files",
			Hint: "use a name that ends in .jsonl, .csv or .parquet, or --format jsonl to have lines of JSON under this name"}
	}
	return JSONL, nil
}

// defaultStem is the job file's path without .batch.db, or without its extension.
func defaultStem(jobFile string) string {
	dir, base := filepath.Split(jobFile)
	stem, ok := strings.CutSuffix(base, ".batch.db")
	if !ok {
		stem, _ = splitExt(base)
	}
	if stem == "" {
		stem = base
	}
	return dir + stem
}

// splitExt cuts the extension off a path, with that of a compression if there is one. The dot of a hidden file begins a name, not an
// extension.
func splitExt(path string) (stem, ext string) {
	dir, base := filepath.Split(path)
	base, packed := cutCompression(base)
	ext = filepath.Ext(base)
	if ext == base || ext == "." {
		ext = ""
	}
	return dir + strings.TrimSuffix(base, ext), ext + packed
}

// cutCompression cuts the ending of a compressed file off a name that is more than that.
func cutCompression(name string) (rest, ending string) {
	if c := CompressionOf(name); c != "" && len(name) > len(c)+1 {
		at := len(name) - len(c) - 1
		return name[:at], name[at:]
	}
	return name, ""
}
