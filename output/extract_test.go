package output

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func extract(t testing.TB, s string) []Extract {
	t.Helper()
	wanted, err := ParseExtract(s)
	if err != nil {
		t.Fatal(err)
	}
	return wanted
}

func TestParseExtract(t *testing.T) {
	for s, want := range map[string][]string{
		"":                          nil,
		"a":                         {"a", "a"},
		"a, b.c = d ,items.0.name":  {"a", "a", "b c", "d", "items 0 name", "items.0.name"},
		`a\.b.c=x`:                  {"a.b c", "x"},
		`a\\.b=x`:                   {`a\ b`, "x"},
		"`a,b`.c=x":                 nil,
		"`a,b.c`=x":                 {"a,b c", "x"},
		"content.text=answer,größe": {"content text", "answer", "größe", "größe"},
	} {
		wanted, err := ParseExtract(s)
		if want == nil && s != "" {
			if err == nil {
				t.Errorf("%s is understood", s)
			}
			continue
		}
		var got []string
		for _, e := range wanted {
			got = append(got, strings.Join(e.steps, " "), e.As)
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", s, err, diff)
		}
	}
	for s, want := range map[string]string{
		"a..b": "a name is missing in the path a..b", ".a": "a name is missing in the path .a", "a.=b": "a name is missing in the path a.",
		"a,a": "two columns are called a", "content": "content is a column already", "x=state": "state is a column already",
		"a=file": "file is a column already",
	} {
		_, err := ParseExtract(s)
		var refused *RefusedError
		if !errors.As(err, &refused) || err.Error() != "--extract: "+want || refused.Hint == "" {
			t.Errorf("%s: %v, want %s", s, err, want)
		}
	}
}

// answers are rows whose answers have these texts.
func answers(texts ...string) *source {
	src := &source{}
	for i, text := range texts {
		message := append(appendString([]byte(`{"role":"assistant","content":`), text), '}')
		src.rows = append(src.rows, done(i+1, `"q"`, string(message)))
	}
	return src
}

func TestExtract(t *testing.T) {
	src := answers(
		`{"a": 1, "b": {"c": "x\ud800\n", "c": "\u00e9 <b>"}, "l": [[], {"d": 12345678901234567890}], "0": true, "n": null}`,
		"```JSON\r\n{\"a\": 2.50, \"b\": [1,\n 2], \"l\": {\"1\": {\"d\": -0}}}\n```",
		`{"a": "three", "b": "c"}`,
		`{"a": 1} {"a": 2}`,
		`{"a": 1`,
		`["x", {"a": 4}]`,
		` "a" `,
		"\ufeff{}",
		"",
	)
	null := done(10, `"q"`, `{"role":"assistant","content":null,"refusal":"no"}`)
	parts := done(11, `"q"`, `{"role":"assistant","content":[{"type":"text","text":"{\"a\":"},{"type":"text","text":"5}"}]}`)
	src.rows = append(src.rows, null, parts)
	fields, err := ParseFields("a,c,d,0,n,b,1.a")
	if err != nil {
		t.Fatal(err)
	}
	_, got := write(t, src, Options{Extract: extract(t, "a,b.c=c,l.1.d=d,0,n,b,1.a"), Fields: fields})
	want := `{"a":1,"c":"\u00e9 <b>","d":12345678901234567890,"0":true,"n":null,"b":{"c": "x\ud800\n", "c": "\u00e9 <b>"},"1.a":null}
{"a":2.50,"c":null,"d":-0,"0":null,"n":null,"b":[1,2],"1.a":null}
{"a":"three","c":null,"d":null,"0":null,"n":null,"b":"c","1.a":null}
{"a":null,"c":null,"d":null,"0":null,"n":null,"b":null,"1.a":null}
{"a":null,"c":null,"d":null,"0":null,"n":null,"b":null,"1.a":null}
{"a":null,"c":null,"d":null,"0":"x","n":null,"b":null,"1.a":4}
{"a":null,"c":null,"d":null,"0":null,"n":null,"b":null,"1.a":null}
{"a":null,"c":null,"d":null,"0":null,"n":null,"b":null,"1.a":null}
{"a":null,"c":null,"d":null,"0":null,"n":null,"b":null,"1.a":null}
{"a":null,"c":null,"d":null,"0":null,"n":null,"b":null,"1.a":null}
{"a":5,"c":null,"d":null,"0":null,"n":null,"b":null,"1.a":null}
`
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
}

// A column has the type of its values, in tables with other columns before and behind it.
func TestExtractTables(t *testing.T) {
	src := answers(`{"n": 1, "f": 0.5, "s": "x", "b": true, "o": {"k": 1}}`, `no JSON`, `{"n": -2, "f": 3, "s": "=1+1", "b": false, "o": [1]}`)
	src.rows[0].Carried = []byte(`{"mine": 7}`)
	opt := Options{Extract: extract(t, "n,f,s,b,o,gone"), Format: Parquet}
	_, got := write(t, src, opt)
	schema, rows := table(t, got[0])
	if text := strings.Join(schema, ", "); !strings.HasSuffix(text, "created INT?, n INT?, f DOUBLE?, s STRING?, b BOOLEAN?, o STRING?, gone STRING?, mine INT?") {
		t.Errorf("%s", text)
	}
	if rows[0]["n"][0] != int64(1) || rows[1]["n"][0] != nil || rows[2]["f"][0] != 3.0 || rows[0]["mine"][0] != int64(7) {
		t.Errorf("%v", rows)
	}
	opt.Format = CSV
	_, got = write(t, src, opt)
	if line := strings.Split(got[0], "\r\n")[3]; !strings.HasSuffix(line, ",-2,3,'=1+1,false,[1],,") {
		t.Errorf("%s", line)
	}
}

// The columns may be chosen and asked for; a key of the author's under the same name steps aside where files are made again.
func TestExtractNames(t *testing.T) {
	src := answers(`{"label": "good", "p": 0.9}`, `{"label": "bad", "p": 0.1}`, `{"label": "good", "p": 0.2}`)
	for format, want := range map[Shape]string{
		Flat:  `{"label":"good","content":"{\"label\": \"good\", \"p\": 0.9}"}` + "\n",
		Pairs: `{"prompt":"q","completion":"{\"label\": \"good\", \"p\": 0.9}"}` + "\n",
	} {
		opt := Options{Shape: format, Extract: extract(t, "label,p=sure"), Where: asks(t, "label = good and sure > 0.5")}
		if format == Flat {
			opt.Fields = []Field{{"label", "label"}, {"content", "content"}}
		}
		_, got := write(t, src, opt)
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
	src.rows[2].Carried = []byte(`{"la\u0062el": "mine"}`)
	opt := Options{Extract: extract(t, "label")}
	var refused *RefusedError
	if err := CheckNames(t.Context(), src, opt); !errors.As(err, &refused) || refused.Hint != "another name: `label`=`answer_label`" {
		t.Errorf("%v", err)
	}
	rec := record{}
	s := &flat{picker: newPicker(), opt: opt, extract: newExtractor(opt.Extract)}
	if err := s.answer(&rec, &src.rows[2]); err != nil {
		t.Fatal(err)
	}
	var name []byte
	if own := rec.lookup("input_label", &name); string(own) != `"mine"` {
		t.Errorf("%s", own)
	}
}

func TestExtractRecipe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching("[a `,=\\\\\"&%+é\\n😀]{1,6}")
		var words []string
		for _, as := range rapid.SliceOfNDistinct(name, 0, 3, rapid.ID).Draw(t, "as") {
			path := strings.Join(rapid.SliceOfN(name, 1, 3).Draw(t, "path"), ".")
			words = append(words, Field{path, as}.String())
		}
		wanted, err := ParseExtract(strings.Join(words, ","))
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseRecipe(Options{Extract: wanted}.Recipe())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, back.Extract, cmp.AllowUnexported(Extract{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A row without a JSON answer costs no more than one with.
func BenchmarkExtract(b *testing.B) {
	text := fmt.Sprintf(`{"text": %q, "label": "good", "scores": [0.1, 0.9], "who": {"name": "x"}}`, strings.Repeat("word ", 100))
	row := answers(text).rows[0]
	for _, wanted := range []string{"", "label,scores.1,who.name"} {
		b.Run(fmt.Sprintf("%d fields", len(extract(b, wanted))), func(b *testing.B) {
			w := newWriter(Files{Results: Stdout, Errors: "/nowhere/e", Usage: "/nowhere/u"}, Options{Extract: extract(b, wanted)}, nil)
			var out strings.Builder
			enc := &jsonl{w: &out}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := w.fill(&row); err != nil {
					b.Fatal(err)
				}
				out.Reset()
				enc.encode(&w.rec)
			}
		})
	}
}
