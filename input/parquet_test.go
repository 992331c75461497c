package input

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
)

// Each type has its JSON, to the last digit.
func TestParquetValues(t *testing.T) {
	type turn struct {
		Role    string  `parquet:"role"`
		Content *string `parquet:"content,optional"`
	}
	type inner struct {
		In []int32 `parquet:"in,list"`
	}
	type row struct {
		Prompt  string           `parquet:"prompt"`
		Big     int64            `parquet:"big"`
		Huge    uint64           `parquet:"huge"`
		Small   int8             `parquet:"small"`
		Yes     bool             `parquet:"yes"`
		Price   int64            `parquet:"price,decimal(2:18)"`
		Cents   int32            `parquet:"cents,decimal(4:9)"`
		Exact   [16]byte         `parquet:"exact,decimal(3:38)"`
		F       float64          `parquet:"f"`
		F32     float32          `parquet:"f32"`
		None    float64          `parquet:"none"`
		Day     int32            `parquet:"day,date"`
		At      time.Time        `parquet:"at,timestamp(microsecond)"`
		Old     deprecated.Int96 `parquet:"old"`
		JSON    string           `parquet:"json,json"`
		ID      [16]byte         `parquet:"id,uuid"`
		Turns   []turn           `parquet:"turns,list"`
		Bare    []string         `parquet:"bare"`
		Nested  []inner          `parquet:"nested,list"`
		Map     map[string]int32 `parquet:"map"`
		Null    *string          `parquet:"null,optional"`
		Group   *turn            `parquet:"group,optional"`
		Bytes   []byte           `parquet:"bytes"`
		Maximum *int32           `parquet:"max_tokens,optional"`
	}
	hi := "hi"
	r := row{
		Prompt: "a\"\n😀", Big: 1234567890123456789, Huge: math.MaxUint64, Small: -7, Yes: true, Price: -5, Cents: 123456789,
		F: 0.1, F32: 0.1, None: math.NaN(), Day: 19782, At: time.Date(2024, 2, 29, 12, 30, 0, 1000, time.UTC), Old: deprecated.Int96{0, 0, 2440588},
		JSON: "{\"b\": 12345678901234567890,\n\"a\":\"\\ud800\"}", ID: [16]byte{1, 2, 3, 15: 255},
		Turns: []turn{{"user", &hi}, {"assistant", nil}}, Nested: []inner{{[]int32{1, 2}}, {nil}, {[]int32{3}}}, Map: map[string]int32{"k": 1}, Bytes: []byte("text"),
	}
	r.Exact[15] = 1
	r.Exact[14] = 4
	file := asParquet(t, []row{r, {Prompt: "x", JSON: "{}", Turns: []turn{}, Bare: []string{"a", "b"}, Group: &turn{Role: "r"}, Exact: [16]byte(bytes.Repeat([]byte{255}, 16))}})
	good, bad, err := readFile(t, "p", file, fill("", "model", `"m"`))
	if len(good) != 2 || err != nil {
		t.Fatal(bad, err)
	}
	if want := `{"model":"m","messages":[{"role":"user","content":"a\"\n😀"}]}`; string(good[0].Body) != want {
		t.Errorf("body %s, want %s", good[0].Body, want)
	}
	want := `{"big":1234567890123456789,"huge":18446744073709551615,"small":-7,"yes":true,"price":-0.05,"cents":12345.6789,"exact":1.025,` +
		`"f":0.1,"f32":0.1,"none":null,"day":"2024-02-29","at":"2024-02-29T12:30:00.000001Z","old":"1970-01-01T00:00:00",` +
		`"json":{"b":12345678901234567890,"a":"\ud800"},"id":"01020300-0000-0000-0000-0000000000ff",` +
		`"turns":[{"role":"user","content":"hi"},{"role":"assistant","content":null}],"bare":[],"nested":[{"in":[1,2]},{"in":[]},{"in":[3]}],"map":{"k":1},"null":null,"group":null,"bytes":"text"}`
	if d := cmp.Diff(want, string(good[0].Carried)); d != "" {
		t.Error(d)
	}
	for _, part := range []string{`"exact":-0.001`, `"turns":[]`, `"bare":["a","b"]`, `"map":{}`, `"group":{"role":"r","content":null}`} {
		if !strings.Contains(string(good[1].Carried), part) {
			t.Errorf("no %s in %s", part, good[1].Carried)
		}
	}
}

// A request has no nulls: a null in a column of one is nothing.
func TestParquetRequests(t *testing.T) {
	type message struct {
		Role string  `parquet:"role"`
		Text string  `parquet:"content"`
		Name *string `parquet:"name,optional"`
	}
	type row struct {
		ID       int64     `parquet:"custom_id"`
		Messages []message `parquet:"messages,list"`
		Heat     *float64  `parquet:"temperature,optional"`
		Note     *string   `parquet:"note,optional"`
	}
	half := 0.5
	file := asParquet(t, []row{{7, []message{{Role: "user", Text: "x"}}, &half, nil}, {8, []message{{Role: "user", Text: "y"}}, nil, nil}})
	good, bad, err := readFile(t, "p", file, fill("", "model", `"m"`))
	want := []string{
		`{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0.5}`,
		`{"model":"m","messages":[{"role":"user","content":"y"}]}`,
	}
	if d := cmp.Diff(want, bodies(good)); d != "" || err != nil {
		t.Fatal(d, bad, err)
	}
	if good[1].CustomID != "8" || string(good[1].Carried) != `{"note":null}` || good[1].Line != 2 {
		t.Errorf("%+v", good[1])
	}
}

func TestParquetBadRows(t *testing.T) {
	type group struct {
		Bytes []byte `parquet:"bytes"`
	}
	type row struct {
		Text  string  `parquet:"prompt"`
		Group group   `parquet:"image"`
		F     float64 `parquet:"f"`
	}
	file := asParquet(t, []row{{"x", group{}, 0}, {"x", group{[]byte("\xff\xd8")}, 0}, {"x", group{}, math.Inf(1)}, {strings.Repeat("x", 2000), group{}, 0}, {"x", group{}, 0}})
	opt := fill("", "model", `"m"`)
	opt.MaxLine = 1000
	good, bad, err := readFile(t, "p.parquet", file, opt)
	if len(good) != 2 || err != nil {
		t.Fatal(len(good), err)
	}
	var got []string
	for _, b := range bad {
		got = append(got, b.Error())
	}
	want := []string{"p.parquet:2: image.bytes: bytes that are not UTF-8 text", "p.parquet:3: f: an infinite number has no form in JSON", "p.parquet:4: the row is longer than 1000 bytes"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// inPlace is a file that says how often it was read from its beginning to its end.
type inPlace struct {
	*bytes.Reader
	placed int
}

func (p *inPlace) ReadAt(b []byte, off int64) (int, error) {
	p.placed++
	return p.Reader.ReadAt(b, off)
}

func TestParquetIsReadInPlace(t *testing.T) {
	type row struct {
		Prompt string `parquet:"prompt"`
	}
	var rows []row
	for i := range 10_000 {
		rows = append(rows, row{fmt.Sprint("prompt ", i, rand.Uint64())})
	}
	file := asParquet(t, rows, parquet.MaxRowsPerRowGroup(3000))
	src := &inPlace{Reader: bytes.NewReader(file)}
	r := NewReader("p", src, fill("", "model", `"m"`))
	defer r.Close()
	for i := range rows {
		p, err := r.Next()
		if err != nil || p.Line != i+1 || !bytes.Contains(p.Body, []byte(rows[i].Prompt)) {
			t.Fatal(i, err, p)
		}
	}
	if _, err := r.Next(); err != io.EOF || src.placed == 0 || src.Len() < len(file)/2 {
		t.Errorf("%v, read in place %d times, %d of %d bytes are unread", err, src.placed, src.Len(), len(file))
	}
}

// A damaged file is an error, not a panic, and no rows are made up silently: the end says so.
func TestParquetDamage(t *testing.T) {
	type row struct {
		Prompt string   `parquet:"prompt,zstd"`
		Tags   []string `parquet:"tags,list"`
		N      *int64   `parquet:"n,optional"`
	}
	n := int64(7)
	var rows []row
	for i := range 50 {
		rows = append(rows, row{fmt.Sprint("prompt ", i), []string{"a", "b"}, &n})
	}
	file := asParquet(t, rows)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		damaged := bytes.Clone(file)
		for range 1 + rnd.IntN(4) {
			damaged[4+rnd.IntN(len(damaged)-4)] = byte(rnd.Uint32())
		}
		readFile(t, "p", damaged, fill("", "model", `"m"`))
	}
	for n := 4; n < len(file); n += 7 {
		if good, _, err := readFile(t, "p", file[:n], fill("", "model", `"m"`)); err == nil || len(good) > 0 {
			t.Fatalf("cut to %d bytes: %d prompts, %v", n, len(good), err)
		}
	}
}
