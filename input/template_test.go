package input

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
)

const templateRow = `{"text":"Löss 😀","n":12345678901234567890,"one":1,"half":0.50,"big":1e3,"yes":true,"no":null,"tags":["a","b\"",null],` +
	`"my col":"x","turn":{"role":"user","content":"hi","n":1.0},"list":[{"a":1},{"a":2}],"empty":"","prompt":"own","temperature":"hot","Model":1,"custom_id":"c"}`

// asked is the request that a template makes when it says text.
func asked(text string) string {
	return `{"model":"m","messages":[{"role":"user","content":` + string(quoted([]byte(text))) + `}]}`
}

// makes holds against what is wanted what each template says to a row, or how the error begins that it is.
func makes(t *testing.T, row string, templates map[string]string) {
	t.Helper()
	for text, want := range templates {
		good, bad, err := readFile(t, "p.jsonl", []byte(row), templated(t, text))
		switch {
		case err != nil:
			t.Errorf("%s: %v", text, err)
		case len(bad) == 1:
			if !strings.HasPrefix(bad[0].Error(), "p.jsonl:1: "+want) {
				t.Errorf("%s\n got %v\nwant %s", text, bad[0], want)
			}
		case string(good[0].Body) != asked(want):
			t.Errorf("%s\n got %s\nwant %s", text, good[0].Body, want)
		}
	}
}

func TestTemplates(t *testing.T) {
	for text, want := range map[string]string{
		`{{.text}}`:                                                                    "Löss 😀",
		`{{.n}} {{.half}} {{.big}} {{.one}}`:                                           "12345678901234567890 0.50 1e3 1",
		`{{index . "my col"}}`:                                                         "x",
		`{{.turn.role}}: {{.turn.content}}`:                                            "user: hi",
		`{{range .list}}{{.a}};{{end}}`:                                                "1;2;",
		`{{range $i, $e := .list}}{{$i}}={{$e.a}} {{end}}`:                             "0=1 1=2 ",
		`{{(index .list 1).a}} {{index .list 0 "a"}}`:                                  "2 1",
		`{{.turn}} {{.list}}`:                                                          `{"content":"hi","n":1.0,"role":"user"} [{"a":1},{"a":2}]`,
		`{{json .tags}} {{json .text}} {{json .no}}`:                                   `["a","b\"",null] "Löss 😀" null`,
		`{{.text | upper | truncate 3}}`:                                               "LÖS",
		`{{lower "ABC"}}{{trim "  x "}}{{truncate 9 "short"}}`:                         "abcxshort",
		`{{slice .tags 0 2 | json}}`:                                                   `["a","b\""]`,
		`{{join ", " .list}}`:                                                          `{"a":1}, {"a":2}`,
		`{{replace "s" "z" .text}}`:                                                    "Lözz 😀",
		`{{if contains "ös" .text}}yes{{end}}{{if startsWith "x" .text}}no{{end}}`:     "yes",
		`{{if .no}}1{{else}}0{{end}}{{if .empty}}1{{else}}0{{end}}{{if .yes}}1{{end}}`: "001",
		`{{default "d" .nothing}} {{.nothing | default "e"}} {{default "f" .a.b.c}} {{.no | default "g"}} {{.empty | default "h"}}`:                     "d e f g h",
		`{{default "d" (index . "no such")}} {{index . "x" "y" | default 7}} {{default "k" $.nothing}}{{with .turn}}{{default "l" .x}}{{$.one}}{{end}}`: "d 7 kl1",
		`{{.text | default "d"}} {{default 0 .one}} {{default "z" (.turn.role)}} {{(default "q" .turn.x) | upper}}`:                                     "Löss 😀 1 user Q",
		`{{if gt (number .half) 0.4}}more{{end}} {{if eq .one 1}}one{{end}} {{len .list}}`:                                                              "more one 2",
		`{{.prompt}} {{.temperature}} {{.Model}} {{.custom_id}}`:                                                                                        "own hot 1 c",
		`{{define "t"}}<{{.a}}>{{end}}{{range .list}}{{template "t" .}}{{end}}`:                                                                         "<1><2>",
		`{{printf "%s-%s" .text "x"}} {{print 1 2}} {{html "<"}} {{urlquery "a b"}}`:                                                                    "Löss 😀-x 1 2 &lt; a+b",
		`{{.text}}{{/* nothing */ -}} {{- " x" -}} `:                                                                                                    "Löss 😀 x",
	} {
		good, bad, err := readFile(t, "p.jsonl", []byte(templateRow), templated(t, text))
		if len(good) != 1 || err != nil {
			t.Errorf("%s: %v %v", text, bad, err)
			continue
		}
		p := good[0]
		if got := asked(want); string(p.Body) != got {
			t.Errorf("%s\n got %s\nwant %s", text, p.Body, got)
		}
		if p.CustomID != "c" || strings.Replace(templateRow, `,"custom_id":"c"`, "", 1) != string(p.Carried) {
			t.Errorf("%s: carried %s", p.CustomID, p.Carried)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{{.nothing}}`:                "nothing: is missing, and --prompt:1 uses it",
		"\n{{.turn.rolle}}":           "rolle: is missing, and --prompt:2 uses it",
		`{{index . "my cool"}}`:       "my cool: is missing, and --prompt:1 uses it",
		`{{if .nothing}}x{{end}}`:     "nothing: is missing, and --prompt:1 uses it",
		`{{range .nothing}}x{{end}}`:  "nothing: is missing, and --prompt:1 uses it",
		`{{upper .nothing}}`:          "nothing: is missing, and --prompt:1 uses it",
		`{{.no}}`:                     "no: is null, and --prompt:1 uses it",
		`{{upper .no}}`:               "upper .no: is null, and --prompt:1 uses it",
		`{{print .no}}`:               "print .no: is null, and --prompt:1 uses it",
		`{{range .tags}}{{.}}{{end}}`: ".: is null, and --prompt:1 uses it",
		`{{number .text}}`:            "--prompt:1: number .text: is no number",
		`{{index .list 2}}`:           "--prompt:1: index .list 2: no element of that place among 2",
		`{{.text.x}}`:                 "--prompt:1: .text.x: can't evaluate field x in type interface {}",
		`{{.empty}}`:                  "the template makes an empty prompt of the row",
		`{{range 9999999}}{{end}}`:    "--prompt:1: the template goes on and on",
		`{{$s := "xxxxxxxxxxxxxxxx"}}{{range 99}}{{$s = print $s $s}}{{end}}`:                                                  "--prompt:1: the template makes more than 16 MiB",
		`{{$s := "&&&&&&&&&&&&&&&&"}}{{range 99}}{{$s = html $s $s}}{{end}}`:                                                   "--prompt:1: the template makes more than 16 MiB",
		`{{$s := "aaaaaaaaaaaaaaaa"}}{{range 99}}{{$s = replace "a" $s $s}}{{end}}`:                                            "--prompt:1: the template makes more than 16 MiB",
		`{{range 999999}}{{printf "%99s" "x"}}{{end}}`:                                                                         "--prompt: the template makes more than 16 MiB",
		`{{define "a"}}{{range 9999}}{{template "b"}}{{end}}{{end}}{{define "b"}}{{range 9999}}{{end}}{{end}}{{template "a"}}`: "--prompt:1: the template goes on and on",
	} {
		_, bad, err := readFile(t, "p.jsonl", []byte(templateRow), templated(t, text))
		if len(bad) != 1 || bad[0].Error() != "p.jsonl:1: "+want {
			t.Errorf("%s\n got %v %v\nwant %s", text, bad, err, want)
			continue
		}
		if strings.Contains(bad[0].Error()+bad[0].Hint, "Löss") {
			t.Errorf("%s: the error shows the row", text)
		}
	}
	for text, want := range map[string]string{
		"a\n{{.x":          "p.tmpl:2: unclosed action",
		`{{env "HOME"}}`:   `p.tmpl:1: function "env" not defined`,
		`{{readFile "x"}}`: `p.tmpl:1: function "readFile" not defined`,
		"":                 "p.tmpl: it is empty",
		"\xff":             "p.tmpl: byte 1 is not UTF-8",
		`{{define "a"}}{{template "b"}}{{end}}{{define "b"}}{{if .x}}{{template "a"}}{{end}}{{end}}x`: `p.tmpl: the template "a" calls itself`,
	} {
		if _, err := ParseTemplate("p.tmpl", text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// A number goes with the verbs for numbers however it is written; what does not fit is an error, and no text like %!d(string=x).
func TestTemplatePrintf(t *testing.T) {
	const row = `{"one":1.0,"n":12345678901234567890,"m":1234567890123456789,"half":0.50,"big":1e3,"huge":1e400,"vast":1e999999999,"tiny":1e-999999999,"cell":"12.5","text":"é%!d","list":[1.0],"yes":true,"w":5}`
	makes(t, row, map[string]string{
		`{{printf "%.2f %.1f %.2f %.0f" .one .half .big .cell}}`:                               "1.00 0.5 1000.00 12",
		`{{printf "%d %d %d %d" .one .n .m .big}}`:                                             "1 12345678901234567890 1234567890123456789 1000",
		`{{printf "%.2f %.1f %g" .n .m .n}}`:                                                   "12345678901234567890.00 1234567890123456789.0 1.234567890123456789e+19",
		`{{printf "%s %v %s %v %q" .one .one .w .half .text}}`:                                 `1.0 1.0 5 0.50 "é%!d"`,
		`{{printf "%5d|%-5s|%05d|%*d|%6.2f|%.1s" 7 .one .w .w 3 .one .text}}`:                  "    7|1.0  |00005|    3|  1.00|é",
		`{{printf "%v %s %s %t" .text .text .list .yes}}`:                                      "é%!d é%!d [1.0] true",
		`{{printf "100 %% %e %x %X %c" .one 255 .text 233}}`:                                   "100 % 1.000000e+00 ff C3A9252164 é",
		`{{printf "%d" (len .list)}} {{printf "%.1f" (number .cell)}} {{printf "%.1f" .tiny}}`: "1 12.5 0.0",
		`{{.text | printf "%s"}} {{printf .text "x" | len}}`:                                   "--prompt:1: printf .text \"x\": %! is no verb",
		`{{printf "%d" .half}}`:                                                                "--prompt:1: printf \"%d\" .half: %d wants a whole number: %.0f rounds one",
		`{{printf "%d" .text}}`:                                                                "--prompt:1: printf \"%d\" .text: %d wants a number",
		`{{printf "%f" .list}}`:                                                                "--prompt:1: printf \"%f\" .list: %f wants a number",
		`{{printf "%t" .w}}`:                                                                   "--prompt:1: printf \"%t\" .w: %t wants true or false",
		`{{printf "%s %s" .w}}`:                                                                "--prompt:1: printf \"%s %s\" .w: the format has more verbs than there are values",
		`{{printf "%s" .w .w}}`:                                                                "--prompt:1: printf \"%s\" .w .w: the format has fewer verbs than there are values",
		`{{printf "5 %" .w}}`:                                                                  "--prompt:1: printf \"5 %\" .w: the format ends within a verb",
		`{{printf "%z" .w}}`:                                                                   "--prompt:1: printf \"%z\" .w: %z is no verb",
		`{{printf "%[1]d" .w}}`:                                                                "--prompt:1: printf \"%[1]d\" .w: %[ is no verb",
		`{{printf "%d" .vast}}`:                                                                "--prompt:1: printf \"%d\" .vast: the number has too many digits for %d",
		`{{printf "%f" .vast}}`:                                                                "--prompt:1: printf \"%f\" .vast: the number has too many digits for %f",
		`{{printf "%c" 55296}}`:                                                                "--prompt:1: printf \"%c\" 55296: %c wants the number of a character",
		`{{printf "%9999999d" 1}}`:                                                             "--prompt:1: printf \"%9999999d\" 1: the format pads to more than 1000000",
		`{{printf "%g" .huge}}`:                                                                "1e+400",
	})
}

// Numbers compare with numbers however both are written, and texts with texts.
func TestTemplateComparisons(t *testing.T) {
	const row = `{"e":"5.5","five":5.0,"n":12345678901234567890,"m":9007199254740993,"int":5,"text":"b","yes":true,"no":null,"list":[1],"vast":1e999999999,"point":0.1,"cell":" 0.1 ","plus":"+5","zeros":"007"}`
	makes(t, row, map[string]string{
		`{{if gt (number .e) 5}}more{{end}} {{gt (number .e) 5.5}} {{le 5 (number .e)}}`:                                                       "more false true",
		`{{eq .five 5}} {{eq .int 5.0}} {{eq (number "5") .five .int}} {{ne .int 5}} {{eq .int 1 5}}`:                                          "true true true false true",
		`{{lt .m .n}} {{eq .m 9007199254740992}} {{eq .m 9007199254740993}} {{ge .n .m}}`:                                                      "true false true true",
		`{{eq .point (number .cell)}} {{eq .point 0.1}} {{lt "a" .text}} {{ne .text "b"}}`:                                                     "true true true false",
		`{{eq .yes true}} {{ne .yes false}} {{eq .no .no}} {{eq .no 5}} {{eq (len .text) 1}} {{number .e}} {{number .five}}`:                   "true true true false true 5.5 5.0",
		`{{eq (number .plus) 5}} {{eq (number .zeros) 7}} {{json (number .zeros)}} {{printf "%d %.1f" .zeros .plus}} {{eq (number ".5") 0.5}}`: "true true 7 7 5.0 true",
		`{{gt .e 5}}`:      "--prompt:1: gt .e 5: a text and a number are not compared: number makes a number of a text",
		`{{eq .int "5"}}`:  "--prompt:1: eq .int \"5\": a text and a number are not compared",
		`{{lt .no 5}}`:     "lt .no 5: is null",
		`{{eq .list 1}}`:   "--prompt:1: eq .list 1: only texts are compared with texts",
		`{{gt .vast 1}}`:   "--prompt:1: gt .vast 1: a number has too many digits",
		`{{number "inf"}}`: `--prompt:1: number "inf": is no number`,
	})
}

// No character of a row is cut in two, or becomes another one.
func TestTemplateCharacters(t *testing.T) {
	const row = `{"text":"Löss 😀","half":"a\ud83db","pair":"\ud83d\ude00","own":"\ufffd","in":{"h":"\udc00","x":1},"list":["a","b","c"],"n":1.0}`
	makes(t, row, map[string]string{
		`{{slice .text 0 2}}|{{slice .text 5}}|{{slice .text 1 4}}|{{slice .text}}|{{slice .text 3 3}}`: "Lö|😀|öss|Löss 😀|",
		`{{len .text}} {{len .pair}} {{len .list}} {{len .in}} {{len .}} {{.n | len}}`:                  "6 1 3 2 7 3",
		`{{slice .list 1 | json}} {{slice .list 1 2}} {{.pair}}{{.own}}`:                                `["b","c"] ["b"] 😀` + "\ufffd",
		`{{.in}} {{json .half}} {{.in.x}}`:                                                              `{"h":"\udc00","x":1} "a\ud83db" 1`,
		`{{if .half}}yes{{end}} {{with .in}}{{.x}}{{end}}`:                                              "yes 1",
		`{{.half}}`:           "half: holds half of a surrogate pair, which is no character, and --prompt:1 uses it",
		`{{upper .half}}`:     "upper .half: holds half of a surrogate pair, which is no character, and --prompt:1 uses it",
		`{{print "x" .in.h}}`: `print "x" .in.h: holds half of a surrogate pair`,
		`{{printf "%s" .half}}{{.half | default "x"}}`: `printf "%s" .half: holds half of a surrogate pair`,
		`{{.half | default "x"}}`:                      `lookup . "half" | default "x": holds half`,
		`{{slice .text 2 7}}`:                          "--prompt:1: slice .text 2 7: no such place among 6",
		`{{slice .text 3 2}}`:                          "--prompt:1: slice .text 3 2: it ends before it begins",
		`{{slice . 0}}`:                                "--prompt:1: slice . 0: the fields of an object have no order",
		`{{replace "\xc3" "" .text}}`:                  "--prompt: makes a text that is not UTF-8",
	})
}

// A system message is made by a template, too, and a row for which it is empty has none.
func TestSystemTemplate(t *testing.T) {
	opt := templated(t, "{{.text}}")
	opt.System, _ = ParseTemplate("--system", `{{with .lang | default ""}}Answer in {{.}}.{{end}}`)
	opt.Defaults.Fields = append(opt.Defaults.Fields, Field{"max_tokens", []byte("5")})
	good, bad, _ := readFile(t, "p.jsonl", []byte(`{"text":"a","lang":"fr","max_tokens":7}`+"\n"+`{"text":"b"}`), opt)
	want := []string{
		`{"model":"m","messages":[{"role":"system","content":"Answer in fr."},{"role":"user","content":"a"}],"max_tokens":5}`,
		`{"model":"m","messages":[{"role":"user","content":"b"}],"max_tokens":5}`,
	}
	if got := bodies(good); len(got) != 2 || got[0] != want[0] || got[1] != want[1] || good[0].MaxTokens != 5 {
		t.Errorf("%s %v", got, bad)
	}
}

// Whatever a template and a row are: a prompt or an error, the same each time; and a template without orders says what it is.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{`{{.text}}`, `{{default "x" .a.b | printf "%v"}}`, `{{range $k, $v := .}}{{$k}}{{json $v}}{{end}}`, `{{with index . "a"}}{{lookup . 1}}{{end}}`, `{{slice .text 1 2}}{{len .}}{{_step}}`, `{{printf "%-5.2f%d%*s" .n .n 3 .text}}`, "plain } { text"} {
		f.Add(text, `{"text":"x","a":[1,null,{"b":"\ud800"}]}`)
	}
	f.Fuzz(func(t *testing.T, text, row string) {
		tmpl, err := ParseTemplate("--prompt", text)
		if err != nil {
			if said := err.Error(); !strings.Contains(said, "--prompt:") || strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%q: %q", text, said)
			}
			return
		}
		opt := fill("", "model", `"m"`)
		opt.Prompt, opt.Layout.Format = tmpl, JSONL
		good, bad, end := readFile(t, "p", []byte(row), opt)
		for _, p := range good {
			wellMade(t, p)
			if !strings.Contains(text, "{{") && string(p.Body) != asked(text) {
				t.Fatalf("%q became %s", text, p.Body)
			}
		}
		again, badAgain, endAgain := readFile(t, "p", []byte(row), opt)
		if first, second := fmt.Sprint(bodies(good), bad, end), fmt.Sprint(bodies(again), badAgain, endAgain); first != second {
			t.Fatalf("%q makes of %q\n%s\nand then\n%s", text, row, first, second)
		}
	})
}
