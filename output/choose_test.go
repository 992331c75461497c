package output

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"batch/output/where"
	"batch/store"
)

func TestParseFields(t *testing.T) {
	for s, want := range map[string][]Field{
		"":                            nil,
		"prompt":                      {{"prompt", "prompt"}},
		"prompt, content = answer ,x": {{"prompt", "prompt"}, {"content", "answer"}, {"x", "x"}},
		"`a,b`=`c=d`,` e `":           {{"a,b", "c=d"}, {" e ", " e "}},
		"`a``b`=x":                    {{"a`b", "x"}},
		"content=a,content=b":         {{"content", "a"}, {"content", "b"}},
		"my col=größe":                {{"my col", "größe"}},
	} {
		got, err := ParseFields(s)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", s, err, diff)
		}
	}
	for s, want := range map[string]string{
		",":      "a name is missing",
		"a,":     "a name is missing",
		"a=":     "a name is missing",
		"=a":     "a name is missing",
		"a=b=c":  "a has two new names",
		"a,a":    "two columns are called a",
		"a,b=a":  "two columns are called a",
		"`a":     "the backquote before a is not closed before a comma or an equals sign",
		"`a`b":   "the backquote before a`b is not closed before a comma or an equals sign",
		"a=\xff": `\xff is no name for a column`,
		"``":     "a name is missing",
	} {
		_, err := ParseFields(s)
		var refused *RefusedError
		if !errors.As(err, &refused) || err.Error() != "--fields: "+want || refused.Hint == "" {
			t.Errorf("%s: %v, want %s", s, err, want)
		}
	}
}

func TestParseSplit(t *testing.T) {
	for s, want := range map[string]string{
		"":                            "",
		"0.9,0.1":                     "train=0.9,test=0.1",
		".5, .5":                      "train=0.5,test=0.5",
		"0.8,0.1,0.1":                 "train=0.8,validation=0.1,test=0.1",
		"train=0.8,dev=0.15,t-1=.05":  "train=0.8,dev=0.15,t-1=0.05",
		"a=0.999999999,b=0.000000001": "a=0.999999999,b=0.000000001",
		"0.1,b=0.9":                   "train=0.1,b=0.9",
	} {
		parts, err := ParseSplit(s)
		if got := splitString(parts); err != nil || got != want {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for s, want := range map[string]string{
		"1":                   "1 parts, expected 2 to 10",
		"0.9,0.2":             "the shares add up to 1.1, not 1",
		"0.5,0.4":             "the shares add up to 0.9, not 1",
		"1,0":                 "1 is not a share between 0 and 1 of at most 9 digits",
		"0.5,-0.5":            "-0.5 is not a share between 0 and 1 of at most 9 digits",
		"90,10":               "90 is not a share between 0 and 1 of at most 9 digits",
		"1e-1,0.9":            "1e-1 is not a share between 0 and 1 of at most 9 digits",
		"0.1234567891,0.5":    "0.1234567891 is not a share between 0 and 1 of at most 9 digits",
		"NaN,0.5":             "NaN is not a share between 0 and 1 of at most 9 digits",
		"0.25,0.25,0.25,0.25": "4 parts need names",
		"a/b=0.5,c=0.5":       "a/b is not a name of letters, digits, - and _",
		"..=0.5,c=0.5":        ".. is not a name of letters, digits, - and _",
		"a=0.5,A=0.5":         "two parts are called A",
		"errors=0.5,c=0.5":    "errors is the name of another file",
		"=0.5,c=0.5":          " is not a name of letters, digits, - and _",
	} {
		_, err := ParseSplit(s)
		var refused *RefusedError
		if !errors.As(err, &refused) || err.Error() != "--split: "+want {
			t.Errorf("%s: %v, want %s", s, err, want)
		}
	}
}

func asks(t *testing.T, question string) *where.Expr {
	t.Helper()
	e, err := ParseWhere(question)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// questions are n answered rows, every second with a label of its own.
func questions(n int) *source {
	src := &source{}
	for i := range n {
		row := done(i+1, fmt.Sprintf(`"question %d"`, i), fmt.Sprintf(`{"role":"assistant","content":"answer %d"}`, i))
		if i%2 == 0 {
			row.Carried = fmt.Appendf(nil, `{"label":"l%d","prompt":"mine"}`, i)
		}
		src.rows = append(src.rows, row)
	}
	return src
}

// The chosen columns, in the chosen order and under the chosen names, in each format; a row without one has null.
func TestFields(t *testing.T) {
	fields, err := ParseFields("label,content=answer,input_prompt=`my, \"prompt\"`,label=again,line")
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[Format]string{
		JSONL: `{"label":"l0","answer":"answer 0","my, \"prompt\"":"mine","again":"l0","line":1}` + "\n" +
			`{"label":null,"answer":"answer 1","my, \"prompt\"":null,"again":null,"line":2}` + "\n",
		CSV: "label,answer,\"my, \"\"prompt\"\"\",again,line\r\nl0,answer 0,mine,l0,1\r\n,answer 1,,,2\r\n",
	} {
		_, got := write(t, questions(2), Options{Format: format, Fields: fields})
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
	_, got := write(t, questions(2), Options{Format: Parquet, Fields: fields})
	schema, rows := table(t, got[0])
	if diff := cmp.Diff([]string{"label STRING?", "answer STRING?", `my, "prompt" STRING?`, "again STRING?", "line INT"}, schema); diff != "" {
		t.Error(diff)
	}
	if rows[0]["again"][0] != "l0" || rows[1]["again"][0] != nil || rows[1]["line"][0] != int64(2) {
		t.Errorf("%v", rows)
	}
}

// The errors keep their columns, whatever was chosen for the results.
func TestFieldsLeaveErrors(t *testing.T) {
	_, plain := write(t, story(), Options{})
	_, chosen := write(t, story(), Options{Fields: []Field{{"content", "c"}}})
	if plain[1] != chosen[1] || plain[2] != chosen[2] || plain[0] == chosen[0] {
		t.Errorf("%q", chosen)
	}
}

// A name that no row has is found before anything is sent, in rows that wait too.
func TestCheckNames(t *testing.T) {
	src := questions(2)
	waiting := store.Row{State: store.Pending, Line: 3, Carried: []byte(`{"late":1}`)}
	src.rows = append(src.rows, waiting)
	for _, opt := range []Options{
		{}, {Fields: []Field{{"late", "x"}, {"message", "m"}, {"file", "f"}}}, {Where: asks(t, "late = 1 and state = done and label ~ l")},
	} {
		if err := CheckNames(t.Context(), src, opt); err != nil {
			t.Error(err)
		}
	}
	for want, opt := range map[string]Options{
		"no column is called labl":                                        {Fields: []Field{{"labl", "x"}}},
		"no column is called tokens":                                      {Where: asks(t, "late = 1 and tokens < 5")},
		"no column is called state":                                       {Fields: []Field{{"state", "state"}}},
		"--where: model is a column, and stands where a text is expected": {Where: asks(t, "requested_model = model")},
	} {
		err := CheckNames(t.Context(), src, opt)
		var refused *RefusedError
		if !errors.As(err, &refused) || err.Error() != want || refused.Hint == "" {
			t.Errorf("%v, want %s", err, want)
		}
		if strings.HasPrefix(want, "no ") && !strings.HasSuffix(refused.Hint, ", created, label, input_prompt, late") {
			t.Error(refused.Hint)
		}
	}
}

// Where asks the flat columns, whatever the shape; it filters results alone, and sums nothing away.
func TestWhere(t *testing.T) {
	for question, want := range map[string]string{
		`label = null`:                               "2 4",
		`label = l0 or content ~ "3$"`:               "1 4",
		`cost = null and usage_source = reported`:    "1 2 3 4",
		`total_tokens > 33 or finish_reason != stop`: "",
		`state = done and line >= 3`:                 "3 4",
		`file = "prompts.jsonl" and line < 3`:        "1 2",
	} {
		for _, opt := range []Options{{}, {Shape: OpenAI}, {Shape: Chat}, {Shape: Pairs}, {Format: CSV}, {Format: Parquet}, {Fields: []Field{{"content", "x"}}}} {
			opt.Where = asks(t, question)
			src := questions(4)
			src.rows = append(src.rows, failed(5))
			rep, got := write(t, src, opt)
			left := len(strings.Fields(want))
			if rep.Done != 4 || rep.LeftOut != int64(4-left) || rep.Written[0].Rows != int64(left) || rep.Written[1].Rows != 1 || rep.Total != 4*33 {
				t.Errorf("%s in %v: %+v", question, opt, rep)
			}
			for i := range 4 {
				answer := fmt.Sprint("answer ", i)
				if opt.Format != Parquet && strings.Contains(got[0], answer) != slices.Contains(strings.Fields(want), fmt.Sprint(i+1)) {
					t.Errorf("%s in %v: row %d in\n%s", question, opt, i+1, got[0])
				}
			}
		}
	}
}

// splitUp writes a source in parts and gives the lines of each.
func splitUp(t *testing.T, src Source, opt Options) [][]string {
	t.Helper()
	_, files, _ := setup(t)
	if _, err := Write(t.Context(), src, &ledger{}, files, opt); err != nil {
		t.Fatal(err)
	}
	var parts [][]string
	for _, path := range files.ResultPaths(opt.Split) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n"))
	}
	if _, err := os.Stat(files.Results); !os.IsNotExist(err) {
		t.Error("the undivided file was written")
	}
	return parts
}

// Every row is in one part, each part has about its share, and a row stays where it is when others come before it.
func TestSplit(t *testing.T) {
	opt := Options{Shape: Pairs, Split: []Part{{"train", 800_000_000}, {"dev", 100_000_000}, {"test", 100_000_000}}}
	parts := splitUp(t, questions(2000), opt)
	seen := map[string]int{}
	for i, lines := range parts {
		for _, line := range lines {
			seen[strings.TrimSuffix(line, "\n")] = i
		}
	}
	if len(seen) != 2000 {
		t.Errorf("%d different rows", len(seen))
	}
	for i, want := range []int{1600, 200, 200} {
		if n := len(parts[i]); n < want-60 || n > want+60 {
			t.Errorf("part %d has %d rows, want about %d", i, n, want)
		}
	}
	later := questions(2300)
	slices.Reverse(later.rows)
	for i, lines := range splitUp(t, later, opt) {
		for _, line := range lines {
			if at, ok := seen[strings.TrimSuffix(line, "\n")]; ok && at != i {
				t.Fatalf("%s moved from part %d to %d", line, at, i)
			}
		}
	}
}

// The same question is in one part, whatever model, seed and spelling it was asked with: no answer leaks from train to test.
func TestSplitLeaksNothing(t *testing.T) {
	src := &source{}
	for i := range 200 {
		for _, body := range []string{`{"model":"a","messages":[{"role":"user","content":"q %dé"}]}`, `{"model":"b","seed":1,"messages":[{"role":"user","content":"q %dé"}]}`,
			`{"messages": [ {"content":"q %d\u00e9", "role":"user"} ], "model":"c"}`} {
			row := done(i+1, `""`, fmt.Sprintf(`{"role":"assistant","content":"a %d"}`, i))
			row.Body = fmt.Appendf(nil, body, i)
			src.rows = append(src.rows, row)
		}
	}
	at := map[string]int{}
	for i, lines := range splitUp(t, src, Options{Shape: Pairs, Split: []Part{{"train", whole / 2}, {"test", whole / 2}}}) {
		for _, line := range lines {
			_, answer, _ := strings.Cut(line, "completion")
			if was, ok := at[answer]; ok && was != i {
				t.Errorf("%s is in both parts", line)
			}
			at[answer] = i
		}
	}
}

// The parts of a table have the same columns and types, so that they can be read as one.
func TestSplitTables(t *testing.T) {
	_, files, opt := setup(t)
	opt.Format, opt.Split = Parquet, []Part{{"train", whole / 2}, {"test", whole / 2}}
	src := questions(20)
	src.rows[3].Carried = []byte(`{"only":1}`)
	if _, err := Write(t.Context(), src, &ledger{}, files, opt); err != nil {
		t.Fatal(err)
	}
	var schemas [2][]string
	for i, path := range files.ResultPaths(opt.Split) {
		b, _ := os.ReadFile(path)
		schemas[i], _ = table(t, string(b))
	}
	if diff := cmp.Diff(schemas[0], schemas[1]); diff != "" || !slices.Contains(schemas[0], "only INT?") {
		t.Errorf("%v %s", schemas, diff)
	}
}

// The parts are outputs like any other: ours to replace, up to date, made again by Compare; a part that was changed is found.
func TestSplitIsKnown(t *testing.T) {
	dir, files, opt := setup(t)
	opt.Split, opt.Compression, opt.Where = []Part{{"train", whole / 2}, {"test", whole / 2}}, Gzip, asks(t, "label = null")
	files.Results, files.Errors, files.Usage = filepath.Join(dir, "x.jsonl.gz"), filepath.Join(dir, "x.errors.jsonl.gz"), filepath.Join(dir, "x.usage.jsonl.gz")
	led, src := &ledger{}, questions(20)
	for range 2 {
		rep, err := Write(t.Context(), src, led, files, opt)
		if err != nil || len(rep.Written) != 3 || rep.Written[0].Kind != "results.train" || rep.LeftOut != 10 {
			t.Fatalf("%+v %v", rep, err)
		}
	}
	if same, err := Current(t.Context(), led, files, opt); !same || err != nil {
		t.Error(same, err)
	}
	other := opt
	other.Where = nil
	if same, _ := Current(t.Context(), led, files, other); same {
		t.Error("up to date with another question")
	}
	train := filepath.Join(dir, "x.train.jsonl.gz")
	if !strings.HasSuffix(names(t, dir), "\nx.test.jsonl.gz\nx.train.jsonl.gz\nx.usage.jsonl.gz") {
		t.Error(names(t, dir))
	}
	equal := func() map[string]bool {
		t.Helper()
		checked, err := Compare(t.Context(), src, led, Options{})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]bool{}
		for _, c := range checked {
			all[filepath.Base(c.Path)] = c.Equal
		}
		return all
	}
	if diff := cmp.Diff(map[string]bool{"x.test.jsonl.gz": true, "x.train.jsonl.gz": true, "x.usage.jsonl.gz": true}, equal()); diff != "" {
		t.Error(diff)
	}
	b, err := os.ReadFile(train)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoiled := range map[string]string{"cut before its sum": string(b[:len(b)-8]), "cut": string(b[:len(b)/2]), "longer": string(b) + string(b), "not packed": "x"} {
		put(t, train, spoiled)
		if equal()["x.train.jsonl.gz"] {
			t.Errorf("%s, and equal", name)
		}
	}
	if err := Check(t.Context(), led, files, opt); err == nil || !strings.Contains(err.Error(), "was changed or replaced after it was written") {
		t.Error(err)
	}
}

// A column that went from the input makes the files that have it older, not unsound: they are made again without it.
func TestGoneColumn(t *testing.T) {
	_, files, opt := setup(t)
	opt.Fields, opt.Where = []Field{{"label", "l"}}, asks(t, "label != null")
	led, src := &ledger{}, questions(2)
	if _, err := Write(t.Context(), src, led, files, opt); err != nil {
		t.Fatal(err)
	}
	src.rows[0].Carried = nil
	checked, err := Compare(t.Context(), src, led, Options{})
	if err != nil || len(checked) != 2 || checked[0].Equal || !checked[0].Untouched {
		t.Errorf("%+v %v", checked, err)
	}
}

// What is packed says the same as what is not, twice in the same bytes, for the three files alike.
func TestCompression(t *testing.T) {
	for _, opt := range []Options{{}, {Format: CSV}, {Shape: OpenAI}} {
		_, want := write(t, story(), opt)
		for _, how := range []Compression{Gzip, Zstd} {
			opt.Compression = how
			_, packed := write(t, story(), opt)
			_, again := write(t, story(), opt)
			if packed != again {
				t.Errorf("%v: packed twice, the bytes differ", opt)
			}
			for i, p := range packed {
				path := filepath.Join(t.TempDir(), "packed")
				put(t, path, p)
				plain := filepath.Join(t.TempDir(), "plain")
				put(t, plain, want[i])
				if equal, err := sameText(path, plain); !equal || err != nil || p == want[i] {
					t.Errorf("%v: file %d: %v %v", opt, i, equal, err)
				}
			}
		}
	}
}

// Pairs are what readers of pairs expect, and no row has half of one. Conversations end in an answer.
func TestUnfit(t *testing.T) {
	src := questions(1)
	calls := done(2, `"q"`, `{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]}`)
	picture := done(3, `[{"type":"image_url"}]`, `{"role":"assistant","content":"a"}`)
	refusal := done(4, `"q"`, `{"role":"assistant","content":null,"refusal":"No."}`)
	nothing := done(5, `"q"`, `{"role":"assistant","content":null,"tool_calls":[]}`)
	blank := done(6, `"q"`, `{"role":"assistant","content":""}`)
	src.rows = append(src.rows, calls, picture, refusal, nothing, blank)
	rep, got := write(t, src, Options{Shape: Pairs})
	if want := `{"prompt":"question 0","completion":"answer 0"}` + "\n" + `{"prompt":"q","completion":""}` + "\n"; got[0] != want || rep.Unfit != 4 || rep.Done != 6 {
		t.Errorf("%s %+v", got[0], rep)
	}
	rep, got = write(t, src, Options{Shape: Chat})
	if strings.Count(got[0], "\n") != 5 || rep.Unfit != 1 {
		t.Errorf("%s %+v", got[0], rep)
	}
}

// Every choice that has an answer is one to learn from, and stays with its prompt's part; none gets into the rows of another prompt.
func TestEveryChoice(t *testing.T) {
	src := questions(2)
	src.rows[0].Response = []byte(`{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]}},` +
		`{"index":1,"message":{"content":"one"}},{"index":2,"message":{"content":null}},{"index":3,"message":{"content":[{"type":"text","text":"two"},{"type":"text","text":"lines"}]}}]}`)
	src.rows = append(src.rows, failed(3))
	rep, got := write(t, src, Options{Shape: Pairs})
	const q = `{"prompt":"question 0","completion":`
	if want := q + `"one"}` + "\n" + q + `"two\nlines"}` + "\n" + `{"prompt":"question 1","completion":"answer 1"}` + "\n"; got[0] != want || rep.Done != 2 || rep.Unfit != 0 || rep.Written[0].Rows != 3 {
		t.Errorf("%s %+v", got[0], rep)
	}
	if rep, got := write(t, src, Options{Shape: Chat}); strings.Count(got[0], "question 0") != 3 || !strings.Contains(got[0], `"tool_calls":[{"id":"c"}]`) || rep.Written[0].Rows != 4 {
		t.Errorf("%s %+v", got[0], rep)
	}
	for _, shape := range []Shape{Pairs, Chat} {
		rep, got := write(t, src, Options{Shape: shape, Where: asks(t, "line = 2")})
		if rep.LeftOut != 1 || rep.Written[0].Rows != 1 || rep.Written[1].Rows != 1 || strings.Contains(got[1], "one") {
			t.Errorf("%s %+v", got, rep)
		}
		_, tables := write(t, src, Options{Shape: shape, Format: Parquet})
		if _, rows := table(t, tables[0]); len(rows) != map[Shape]int{Pairs: 3, Chat: 4}[shape] {
			t.Errorf("%v", rows)
		}
	}
}

// A conversation bears what it needs to be learned from: its tools, and whether they may be called side by side.
func TestChatTools(t *testing.T) {
	row := done(1, `""`, `{"role":"assistant","content":"a"}`)
	row.Body = []byte(`{"parallel_tool_calls":false,"messages":[{"role":"user","content":"q"}],"functions":[{"name":"g"}],"tools":[{"type":"function"}],"n":1}`)
	_, got := write(t, &source{rows: []store.Row{row}}, Options{Shape: Chat})
	const want = `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"tools":[{"type":"function"}],"functions":[{"name":"g"}],"parallel_tool_calls":false}` + "\n"
	if got[0] != want {
		t.Error(got[0])
	}
	_, got = write(t, &source{rows: []store.Row{row}}, Options{Shape: Chat, Format: Parquet})
	if schema, _ := table(t, got[0]); strings.Join(schema, ", ") != "messages LIST, tools STRING?, functions STRING?, parallel_tool_calls BOOLEAN?" {
		t.Error(schema)
	}
}

// What cannot be together is refused with what can.
func TestChoicesRefused(t *testing.T) {
	halves := []Part{{"a", whole / 2}, {"b", whole / 2}}
	for want, opt := range map[string]Options{
		"CSV has the flat and the pairs shape only, not openai": {Format: CSV, Shape: OpenAI},
		"Parquet has no openai shape":                           {Format: Parquet, Shape: OpenAI},
		"Parquet is compressed by itself, and not once more":    {Format: Parquet, Compression: Gzip},
		"the columns of the pairs shape are fixed":              {Shape: Pairs, Fields: []Field{{"a", "a"}}},
		"-: standard output cannot be split":                    {Split: halves, Stdout: &strings.Builder{}},
	} {
		_, files, _ := setup(t)
		if opt.Stdout != nil {
			files.Results = Stdout
		}
		err := Check(context.Background(), nil, files, opt)
		var refused *RefusedError
		if !errors.As(err, &refused) || err.Error() != want || refused.Hint == "" {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
