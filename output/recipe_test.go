package output

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"batch/output/where"
)

func TestRecipe(t *testing.T) {
	for want, opt := range map[string]Options{
		"jsonl flat":                                  {},
		"jsonl openai files":                          {Shape: OpenAI, ShowFile: true, Force: true, JobFile: "x"},
		"csv flat simulated csv-raw":                  {Format: CSV, Shape: Flat, Simulated: true, CSVRaw: true},
		"parquet chat split=train%3D0.9%2Ctest%3D0.1": {Format: Parquet, Shape: Chat, Split: []Part{{"train", 900_000_000}, {"test", 100_000_000}}},
		"csv flat compression=zst fields=%60a%60%3D%60a%60%2C%60b+%60%60%3D%2C%60%3D%60c%60": {Format: CSV, Compression: Zstd,
			Fields: []Field{{"a", "a"}, {"b `=,", "c"}}},
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
	for _, bad := range []string{"", "csv", "xml flat", "csv round", "csv flat sweet", "csv flat sweet=1", "csv flat where=a+%3D", "csv flat split=1"} {
		if _, err := ParseRecipe(bad); err == nil {
			t.Errorf("%q is a recipe", bad)
		}
	}
}

// Whatever was chosen, renamed and asked stands in the recipe.
func TestRecipeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching("[a `,=\"&%+é\\n😀]{1,6}")
		var opt Options
		for _, as := range rapid.SliceOfNDistinct(name, 0, 3, rapid.ID).Draw(t, "as") {
			opt.Fields = append(opt.Fields, Field{name.Draw(t, "name"), as})
		}
		asked := rapid.StringMatching("[a `,=\"&%+\\n😀]{0,6}").Draw(t, "text")
		if e, err := where.Parse("a != '" + asked + "'"); err == nil {
			opt.Where = e
		}
		back, err := ParseRecipe(opt.Recipe())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(opt.Fields, back.Fields); diff != "" {
			t.Fatal(diff)
		}
		if back.Where.String() != opt.Where.String() {
			t.Fatal(back.Where)
		}
	})
}
