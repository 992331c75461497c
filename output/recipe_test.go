package output

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRecipe(t *testing.T) {
	for want, opt := range map[string]Options{
		"jsonl flat":                 {},
		"jsonl openai files":         {Shape: OpenAI, ShowFile: true, Force: true, JobFile: "x"},
		"csv flat simulated csv-raw": {Format: CSV, Shape: Flat, Simulated: true, CSVRaw: true},
	} {
		if got := opt.Recipe(); got != want {
			t.Errorf("recipe %q, want %q", got, want)
		}
		back, err := ParseRecipe(want)
		if err != nil || back.Recipe() != want {
			t.Errorf("%q came back as %q (%v)", want, back.Recipe(), err)
		}
		if diff := cmp.Diff(opt, back, cmpopts.IgnoreFields(Options{}, "Format", "Shape", "Force", "JobFile"),
			cmpopts.IgnoreUnexported(Options{})); diff != "" {
			t.Error(diff)
		}
	}
	for _, bad := range []string{"", "csv", "xml flat", "csv round", "csv flat sweet"} {
		if _, err := ParseRecipe(bad); err == nil {
			t.Errorf("%q is a recipe", bad)
		}
	}
}
