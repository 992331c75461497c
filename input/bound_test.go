package input

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// none stands for a call without any worst case.
const none = -1

// forms are the lines that send a field, and the messages of the two that have them.
func forms(fields, messages string) map[string]string {
	if messages == "" {
		messages = `[{"role":"user","content":"x"}]`
	}
	return map[string]string{
		"messages": `{"model":"m","messages":` + messages + fields + `}`,
		"body":     `{"custom_id":"r","body":{"model":"m","messages":` + messages + fields + `}}`,
	}
}

func checkBound(t *testing.T, form, line string, want int64) {
	t.Helper()
	good, bad, _ := readAll(t, line, Options{})
	if len(good) != 1 {
		t.Errorf("%s is refused: %v", line, bad)
		return
	}
	got := good[0].MaxTokens
	if good[0].Boundless {
		if got != 0 {
			t.Errorf("%s line %s: boundless, and %d tokens", form, line, got)
		}
		got = none
	}
	if got != want {
		t.Errorf("%s line %s: %d, want %d", form, line, got, want)
	}
}

func TestBoundOfTheAnswer(t *testing.T) {
	for fields, want := range map[string]int64{
		``:                            0,
		`,"max_tokens":20`:            20,
		`,"max_completion_tokens":30`: 30,
		`,"max_tokens":20,"max_completion_tokens":30`:      30,
		`,"max_tokens":40,"max_completion_tokens":30`:      40, // an API that knows only one of them
		`,"max_tokens":40,"max_completion_tokens":4,"n":2`: 80,
		`,"max_tokens":20,"n":3`:                           60,
		`,"max_tokens":20,"n":1`:                           20,
		`,"max_completion_tokens":30,"n":2`:                60,
		`,"n":1`:                                           0,
		`,"n":null`:                                        0,
		`,"n":3`:                                           none,
		`,"max_tokens":20,"n":null`:                        20,
		`,"max_tokens":20,"n":0`:                           none,
		`,"max_tokens":20,"n":"3"`:                         none,
		`,"max_tokens":20,"n":2.0`:                         none,
		`,"max_tokens":20,"max_completion_tokens":null`:    20,
		`,"max_tokens":20,"max_completion_tokens":"30"`:    0,
		`,"max_tokens":20,"max_completion_tokens":-1`:      0,
		`,"max_completion_tokens":-1,"n":2`:                none,
		`,"max_completion_tokens":30.0`:                    0,
		`,"max_completion_tokens":-30`:                     0,
		`,"max_completion_tokens":9007199254740992`:        1 << 53,
		`,"max_completion_tokens":9007199254740993`:        0,
		`,"max_completion_tokens":9007199254740992,"n":2`:  none,
		`,"max_completion_tokens":1e3`:                     0,
		`,"max_completion_tokens":99999999999999999999`:    0,
		`,"max\u005ftokens":20`:                            20,
		`,"max_tokens":20,"modalities":["text"]`:           20,
		`,"max_tokens":20,"modalities":null`:               20,
		`,"max_tokens":20,"modalities":["text","audio"]`:   none,
		`,"max_tokens":20,"modalities":"image"`:            none,
	} {
		lines := forms(fields, "")
		lines["prompt"] = `{"prompt":"x","model":"m"` + fields + `}`
		for form, line := range lines {
			checkBound(t, form, line, want)
		}
	}
	// What the API refuses in a line of ours is the API's business in a body.
	for fields, want := range map[string]int64{`,"max_tokens":null`: 0, `,"max_tokens":0`: 0, `,"max_tokens":20.0`: 0,
		`,"max_tokens":null,"max_completion_tokens":7`: 7, `,"max_tokens":-1,"max_completion_tokens":7`: 0} {
		checkBound(t, "body", forms(fields, "")["body"], want)
	}
}

func TestBoundOfMessages(t *testing.T) {
	parts := func(parts string) string { return `[{"role":"user","content":[` + parts + `]}]` }
	for messages, want := range map[string]int64{
		parts(`{"type":"text","text":"x"}`): 20,
		parts(`{"type":"text","text":"x"},{"type":"text","text":"y","cache_control":{"type":"later"}}`):                            20,
		parts(`{"type":"input_text","text":"x"}`):                                                                                  20,
		parts(`{"type":"thing","text":"x","cache_control":{}}`):                                                                    20,
		parts(`{"type":"thing","text":"x","image":null}`):                                                                          20,
		parts(`{"type":"thing","text":"x","data":"eA=="}`):                                                                         none,
		parts(`{"type":"thing","text":{"url":"x"}}`):                                                                               none,
		parts(`{"type":"image_url","image_url":{"url":"https://x.example/y.png"}}`):                                                none,
		parts(`{"type":"image_url","image_url":"data:image/png;base64,eA=="}`):                                                     none,
		parts(`{"type":"text","text":"x"},{"type":"input_image","image_url":"x"}`):                                                 none,
		parts(`{"type":"input_audio","input_audio":{"data":"eA==","format":"wav"}}`):                                               none,
		parts(`{"type":"file","file":{"file_id":"f"}}`):                                                                            none,
		parts(`{"type":"video_url","video_url":{"url":"x"}}`):                                                                      none,
		parts(`{"image_url":{"url":"x"},"type":"image\u005furl"}`):                                                                 none,
		parts(` { "t\u0079pe":"image_url","image_url":{"url":"x"}}`):                                                               none,
		"[ {\"role\":\"user\",\"content\" : [\t{\"type\":\"image_url\",\"image_url\":{}} ] } ]":                                    none,
		`[{"role":"user","c\u006fntent":[{"type":"file","file":{}}]}]`:                                                             none,
		`[{"role":"user","content":"see [{\"type\":\"image_url\"}] [x]["}]`:                                                        20,
		`[{"role":"user","content":"\"audio\""}]`:                                                                                  20,
		`[{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"user","content":"y"}]`:                       20,
		`[{"role":"system","content":[{"type":"text","text":"x"}]},{"role":"user","content":[{"type":"text","text":"x"}]}]`:        20,
		`[{"role":"user","content":"x"},{"role":"assistant","content":"y"},{"role":"user","content":[{"type":"file","file":{}}]}]`: none,
		`[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"1","content":[{"type":"image_url","image_url":{}}]}]`:       none,
		`[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"[{}]"}}]},{"role":"tool","tool_call_id":"1","content":"y"}]`: 20,
		`[{"role":"assistant","content":"","audio":{"id":"a"}},{"role":"user","content":"y"}]`:                                                                                                                        none,
		`[{"role":"assistant","content":"","audio":null},{"role":"user","content":"y"}]`:                                                                                                                              20,
	} {
		for form, line := range forms(`,"max_tokens":20`, messages) {
			checkBound(t, form, line, want)
		}
	}
	// A system message of a fill-in stands in front of parts, and changes nothing about them.
	opt := Options{Defaults: Defaults{System: new("Be brief.")}}
	for _, line := range forms(`,"max_tokens":20`, parts(`{"type":"image_url","image_url":{}}`)) {
		if good, bad, _ := readAll(t, line, opt); len(good) != 1 || !good[0].Boundless {
			t.Errorf("%s: %+v (%v)", line, good, bad)
		}
	}
}

func TestMaxTokensOfAFillIn(t *testing.T) {
	text := `{"prompt":"x","model":"m"}
{"prompt":"x","model":"m","max_tokens":20}
{"prompt":"x","model":"m","max_completion_tokens":30,"n":2}
{"prompt":"x","model":"m","n":2}
{"custom_id":"r","body":{"model":"m","messages":[{"role":"user","content":"x"}]}}
{"custom_id":"s","body":{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":20}}
{"custom_id":"t","body":{"model":"m","messages":[{"role":"user","content":"x"}],"max_completion_tokens":null}}`
	good, bad, _ := readAll(t, text, fill("", "max_tokens", "5"))
	want := []int64{5, 20, 60, 10, 5, 20, 0} // the last one's key keeps the fill-in out
	for i, p := range good {
		if p.MaxTokens != want[i] {
			t.Errorf("line %d: %d, want %d", p.Line, p.MaxTokens, want[i])
		}
	}
	if len(good) != len(want) {
		t.Errorf("%d prompts, bad %v", len(good), bad)
	}
}

// An image of a column stands in messages that are made here, and is no more counted than one that its author put there.
func TestBoundOfImages(t *testing.T) {
	for name, opt := range map[string]Options{
		"prompt":   {ImageColumn: "pictures"},
		"template": {ImageColumn: "pictures", Prompt: parsed(t, "See: {{.prompt}}"), Defaults: Defaults{Fields: []Field{{"model", jsontext.Value(`"m"`)}, {"max_tokens", jsontext.Value("20")}}}},
	} {
		good, bad, _ := readAll(t, `{"prompt":"x","model":"m","max_tokens":20,"pictures":"https://x.example/y.png"}
{"prompt":"x","model":"m","max_tokens":20,"pictures":[]}
{"prompt":"x","model":"m","max_tokens":20,"pictures":["https://x.example/y.png","data:image/png;base64,eA=="]}`, opt)
		if len(good) != 3 {
			t.Fatalf("%s: %d prompts, bad %v", name, len(good), bad)
		}
		for i, want := range []int64{none, 20, none} {
			got := good[i].MaxTokens
			if good[i].Boundless {
				got = none
			}
			if got != want {
				t.Errorf("%s, row %d: %d, want %d", name, i+1, got, want)
			}
			// A retry that changes the request sees the body alone.
			var body map[string]jsontext.Value
			if err := json.Unmarshal(good[i].Body, &body); err != nil {
				t.Fatal(err)
			}
			most, boundless := MaxTokens(func(name string) jsontext.Value { return body[name] })
			if most != good[i].MaxTokens || boundless != good[i].Boundless {
				t.Errorf("%s, row %d: its body is bounded by %d (%v), the row by %d (%v)", name, i+1, most, boundless, good[i].MaxTokens, good[i].Boundless)
			}
		}
	}
}

func parsed(t *testing.T, text string) *Template {
	t.Helper()
	tmpl, err := ParseTemplate("--prompt", text)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}
