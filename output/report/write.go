package report

import (
	"io"
	"path/filepath"
	"strings"

	"batch/output"
)

// Format is the encoding of a report.
type Format string

// The encodings. Text is the default.
const (
	Text     Format = "text"
	JSON     Format = "json"
	CSV      Format = "csv"
	Markdown Format = "md"
	HTML     Format = "html"
)

// ParseFormat reads the value of --format; "" goes by the ending of the file, and is text without one.
func ParseFormat(s, file string) (Format, error) {
	if s == "" {
		switch ending := strings.ToLower(filepath.Ext(file)); ending {
		case "", ".txt":
			return Text, nil
		case ".json":
			return JSON, nil
		case ".csv":
			return CSV, nil
		case ".md", ".markdown":
			return Markdown, nil
		case ".html", ".htm":
			return HTML, nil
		default:
			return "", &output.RefusedError{Path: file, Problem: "a report is not written as " + output.Printable(ending),
				Hint: "name a .txt, .json, .csv, .md or .html file, or choose with --format text, json, csv, md or html"}
		}
	}
	switch f := Format(strings.ToLower(s)); f {
	case Text, JSON, CSV, Markdown, HTML:
		return f, nil
	}
	return "", &output.RefusedError{Problem: "format " + output.Printable(s) + " is not known", Hint: "use --format text, json, csv, md or html"}
}

// Write writes the report in a format.
func (d *Document) Write(w io.Writer, f Format) error {
	switch f {
	case JSON:
		return output.WriteJSON(w, d)
	case CSV:
		return d.csv(w)
	case Markdown:
		return d.markdown(w)
	case HTML:
		return d.html(w)
	}
	return d.text(w)
}
