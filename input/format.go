package input

import (
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Format is how a file holds its rows.
type Format string

const (
	JSONL   Format = "jsonl"   // a JSON object a line
	JSON    Format = "json"    // an array of JSON objects, or objects one after another
	CSV     Format = "csv"     // a table with a header row
	Text    Format = "text"    // a prompt a line, or a prompt between separators
	Parquet Format = "parquet" // a table of typed columns
)

// Formats are all of them.
var Formats = []Format{JSONL, JSON, CSV, Text, Parquet}

// Layout says how bytes become rows. The zero value goes by content and name.
type Layout struct {
	Format    Format // "" to find it out
	Delimiter rune   // between the cells of CSV; 0 to find it out
	Separator string // between the prompts of a text; "" for the end of a line
}

// bom begins a text in UTF-8 that was written on Windows.
const bom = "\xef\xbb\xbf"

// format decides how a file is read: as it was told to, by its first bytes, by its name.
func (l Layout) format(name string, head []byte) Format {
	switch {
	case l.Format != "":
		return l.Format
	case bytes.HasPrefix(head, []byte(parquetMagic)):
		return Parquet
	case l.Delimiter != 0:
		return CSV
	case l.Separator != "":
		return Text
	}
	switch ending(name) {
	case ".csv", ".tsv", ".tab":
		return CSV
	case ".txt":
		return Text
	}
	if text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte(bom)), space); len(text) > 0 && text[0] == '[' {
		return JSON
	}
	return JSONL
}

// ending is that of a name, but for one that says how the file is packed.
func ending(name string) string {
	name = strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst", ".zstd"} {
		name = strings.TrimSuffix(name, packed)
	}
	return filepath.Ext(name)
}

// delimiter is what a table's cells are divided by: what was said, the tab that the name promises, or what the header shows.
func (l Layout) delimiter(name string, head []byte) rune {
	if l.Delimiter != 0 {
		return l.Delimiter
	}
	if end := ending(name); end == ".tsv" || end == ".tab" {
		return '\t'
	}
	return guessDelimiter(bytes.TrimPrefix(head, []byte(bom)))
}

// rows are the rows of a file, one after another.
type rows interface {
	// next gives a row as the text of one JSON value, good until the next call; a *LineError for a bad row, after which it goes on;
	// io.EOF at the end; and anything else when no more can be read.
	next() ([]byte, error)
	close()
}

// open finds out what the file is.
func (r *Reader) open() error {
	src, err := unpack(r.src)
	if err != nil {
		return err
	}
	format := r.layout.format(r.name, src.head)
	if format != Parquet {
		if what, hint := noText(src.head); what != "" {
			src.close()
			return &FileError{Problem: "the file is " + what + ", not UTF-8 text", Hint: hint}
		}
	}
	r.rowHint = rowHint(format)
	switch format {
	case JSON:
		r.rows, r.unit = newJSONRows(src, r.maxLine, &r.at), "row"
	case CSV:
		r.rows, err = newTable(src, r.layout.delimiter(r.name, src.head), r.maxLine, &r.at, r.prompt != nil)
		r.unit = "row"
	case Text:
		r.rows = newPieces(src, r.layout.Separator, r.maxLine, &r.at, r.prompt != nil)
	case Parquet:
		r.rows, err = openParquet(src, r.src, r.maxLine, &r.at, r.prompt != nil)
		r.unit = "row"
	default:
		r.rows = &jsonLines{lines: lines{r: src, max: r.maxLine}, at: &r.at, done: src.close}
	}
	if err != nil {
		r.rows = nil
		src.close()
	}
	return err
}

func rowHint(f Format) string {
	switch f {
	case JSON:
		return oneElement
	case CSV:
		return "the first row of a table names its columns, and each row after it is a prompt"
	case Text:
		return "a line is a prompt, or with --separator what stands between two of them"
	case Parquet:
		return "each row of the table is a prompt"
	}
	return `a line is {"prompt": "..."} or {"messages": [...]}`
}

// place is where the row given last stands.
type place struct {
	number int // of its line or row, from 1
	lead   int // bytes of the line in front of its object, which errors count too
	// table says that the first line looks like that of a CSV file.
	table bool
}

// jsonLines are the rows of a file with a JSON object a line.
type jsonLines struct {
	lines
	at   *place
	done func()
}

func (j *jsonLines) close() { j.done() }

func (j *jsonLines) next() ([]byte, error) {
	for {
		line, err := j.lines.next()
		j.at.number = j.lines.number
		if err != nil {
			return nil, tooLong(err, "line", j.max)
		}
		text := line
		if j.lines.number == 1 {
			text = bytes.TrimPrefix(line, []byte(bom))
		}
		text = bytes.TrimLeft(text, space)
		j.at.lead = len(line) - len(text)
		text = bytes.TrimRight(text, space)
		if len(text) == 0 {
			continue
		}
		if j.lines.number == 1 {
			j.at.table = looksLikeTable(text)
		}
		return text, nil
	}
}

// tooLong makes a bad line of a line that is too long, and leaves any other failure as it is.
func tooLong(err error, unit string, limit int) error {
	if err != errTooLong {
		return err
	}
	bad := &LineError{Problem: "the " + unit + " is longer than " + size(limit)}
	if unit == "line" {
		bad.Hint = "a prompt file has one JSON object a line"
	}
	return bad
}

// noText names what a file is that begins like no text in UTF-8, and says what to do; "" for one that may be text.
func noText(head []byte) (what, hint string) {
	const convert = "convert it to UTF-8 first: iconv -f UTF-16 -t UTF-8 FILE"
	for _, f := range []struct{ magic, what, hint string }{
		{"\xff\xfe", "UTF-16", convert}, {"\xfe\xff", "UTF-16", convert},
		{parquetMagic, "Parquet", "leave --input-format off, or say parquet"},
		{"PK\x03\x04", "a ZIP archive or an Excel workbook", "unpack it, or save the sheet as CSV UTF-8"},
		{"BZh", "bzip2", "unpack it first: bunzip2 FILE"}, {"\xfd7zXZ\x00", "xz", "unpack it first: unxz FILE"},
		{"SQLite format 3\x00", "a SQLite database", "write its rows to CSV or JSON lines first"},
		{"ARROW1", "Arrow", "write it as Parquet or JSON lines first"},
	} {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return f.what, f.hint
		}
	}
	// UTF-16 without a mark: text of mostly ASCII has a NUL in every other byte.
	even, odd := nuls(head)
	if len(head) >= 16 && max(even, odd) > len(head)*3/8 && min(even, odd) == 0 {
		return "UTF-16", convert
	}
	if len(head) >= 16 && even+odd == len(head) { // /dev/zero, too, whose first line would have no end
		return "binary data", "name a file of prompts"
	}
	return "", ""
}

func nuls(head []byte) (even, odd int) {
	for i, c := range head {
		switch {
		case c != 0:
		case i%2 == 0:
			even++
		default:
			odd++
		}
	}
	return even, odd
}

// looksLikeTable tells the first line of a CSV file from that of a JSON file.
func looksLikeTable(text []byte) bool {
	return !bytes.ContainsAny(text, "{}") && text[0] != '[' && bytes.IndexByte(text, ',') > 0
}

// budget bounds what a library reads ahead of the rows that it has given: one row without an end must not fill the memory.
type budget struct {
	r    io.Reader
	read int64 // bytes given
	most int64 // bytes that may be given before a row must end
	err  error // that reading failed with, which libraries wrap in words of their own
}

func (b *budget) Read(p []byte) (int, error) {
	if b.read >= b.most {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.most-b.read)])
	b.read += int64(n)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// invalidAt is the place of the first byte that is not UTF-8, -1 without one.
func invalidAt(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	return invalidByte(text)
}

// IsFormat says that there is a format of that name.
func IsFormat(name string) bool { return slices.Contains(Formats, Format(name)) }
