package output

import (
	"errors"
	"testing"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		job, out  string
		format    Format
		want      Files
		wantForm  Format
		isRefused bool
	}{
		{job: "prompts.batch.db", want: Files{"prompts.results.jsonl", "prompts.errors.jsonl", "prompts.usage.jsonl"}, wantForm: JSONL},
		{job: "/a/b/p.simulated.batch.db", want: Files{"/a/b/p.simulated.results.jsonl", "/a/b/p.simulated.errors.jsonl", "/a/b/p.simulated.usage.jsonl"}, wantForm: JSONL},
		{job: "x.db", want: Files{"x.results.jsonl", "x.errors.jsonl", "x.usage.jsonl"}, wantForm: JSONL},
		{job: "a.b/x", want: Files{"a.b/x.results.jsonl", "a.b/x.errors.jsonl", "a.b/x.usage.jsonl"}, wantForm: JSONL},
		{job: ".batch.db", want: Files{".batch.db.results.jsonl", ".batch.db.errors.jsonl", ".batch.db.usage.jsonl"}, wantForm: JSONL},
		{job: "p.batch.db", format: CSV, want: Files{"p.results.csv", "p.errors.csv", "p.usage.csv"}, wantForm: CSV},
		{job: "p.batch.db", out: "-", want: Files{"-", "p.errors.jsonl", "p.usage.jsonl"}, wantForm: JSONL},
		{job: "p.batch.db", out: "-", format: CSV, want: Files{"-", "p.errors.csv", "p.usage.csv"}, wantForm: CSV},
		{job: "p.batch.db", out: "out/X.csv", want: Files{"out/X.csv", "out/X.errors.csv", "out/X.usage.csv"}, wantForm: CSV},
		{job: "p.batch.db", out: "X.CSV", want: Files{"X.CSV", "X.errors.CSV", "X.usage.CSV"}, wantForm: CSV},
		{job: "p.batch.db", out: "X.ndjson", want: Files{"X.ndjson", "X.errors.ndjson", "X.usage.ndjson"}, wantForm: JSONL},
		{job: "p.batch.db", out: "X.v2.txt", format: JSONL, want: Files{"X.v2.txt", "X.v2.errors.txt", "X.v2.usage.txt"}, wantForm: JSONL},
		{job: "p.batch.db", out: "X.json", format: JSONL, want: Files{"X.json", "X.errors.json", "X.usage.json"}, wantForm: JSONL},
		{job: "p.batch.db", out: "X.v2.txt", isRefused: true},
		{job: "p.batch.db", out: "X.json", isRefused: true},
		{job: "p.batch.db", out: "X.JSON.gz", isRefused: true},
		{job: "p.batch.db", out: "X.txt", format: CSV, want: Files{"X.txt", "X.errors.txt", "X.usage.txt"}, wantForm: CSV},
		{job: "p.batch.db", out: "dir.d/X", want: Files{"dir.d/X", "dir.d/X.errors", "dir.d/X.usage"}, wantForm: JSONL},
		{job: "p.batch.db", out: ".hidden", want: Files{".hidden", ".hidden.errors", ".hidden.usage"}, wantForm: JSONL},
		{job: "p.batch.db", out: "X.jsonl.gz", want: Files{"X.jsonl.gz", "X.errors.jsonl.gz", "X.usage.jsonl.gz"}, wantForm: JSONL},
		{job: "p.batch.db", out: "a/X.v2.csv.ZST", want: Files{"a/X.v2.csv.ZST", "a/X.v2.errors.csv.ZST", "a/X.v2.usage.csv.ZST"}, wantForm: CSV},
		{job: "p.batch.db", out: "X.gz", want: Files{"X.gz", "X.errors.gz", "X.usage.gz"}, wantForm: JSONL},
		{job: "p.batch.db", out: ".gz", want: Files{".gz", ".gz.errors", ".gz.usage"}, wantForm: JSONL},
		{job: "p.batch.db", out: ".hidden.zst", want: Files{".hidden.zst", ".hidden.errors.zst", ".hidden.usage.zst"}, wantForm: JSONL},
		{job: "p.batch.db", out: "X.parquet", want: Files{"X.parquet", "X.errors.parquet", "X.usage.parquet"}, wantForm: Parquet},
		{job: "p.batch.db", format: Parquet, want: Files{"p.results.parquet", "p.errors.parquet", "p.usage.parquet"}, wantForm: Parquet},
		{job: "p.batch.db", out: "X.csv.bz2", isRefused: true},
		{job: "p.batch.db", out: "X.xlsx", isRefused: true},
		{job: "p.batch.db", out: "folder/", isRefused: true},
	} {
		got, form, err := Names(c.job, c.out, c.format)
		var refused *RefusedError
		if errors.As(err, &refused) != c.isRefused || got != c.want || form != c.wantForm {
			t.Errorf("Names(%q, %q, %q) = %v, %q, %v", c.job, c.out, c.format, got, form, err)
		}
		if c.isRefused && refused.Hint == "" {
			t.Errorf("Names(%q, %q): no hint in %v", c.job, c.out, err)
		}
	}
}

func TestParse(t *testing.T) {
	if f, err := ParseFormat("CSV"); f != CSV || err != nil {
		t.Error(f, err)
	}
	if s, err := ParseShape(""); s != "" || err != nil {
		t.Error(s, err)
	}
	var refused *RefusedError
	if _, err := ParseFormat("xml\x1b"); !errors.As(err, &refused) || refused.Error() != `format xml\u001b is not known` {
		t.Error(err)
	}
	if _, err := ParseShape("round"); !errors.As(err, &refused) || refused.Hint == "" {
		t.Error(err)
	}
}
