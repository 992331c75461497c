package output

import (
	"fmt"
	"strings"
)

// Recipe says in a few words how files are written, for the ledger: from the job file and its recipe a file can be made
// again and compared.
func (o Options) Recipe() string {
	words := []string{string(JSONL), string(Flat)}
	if o.Format != "" {
		words[0] = string(o.Format)
	}
	if o.Shape != "" {
		words[1] = string(o.Shape)
	}
	for _, w := range o.switches() {
		if *w.on {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, " ")
}

// ParseRecipe gives back the options of a Recipe; the paths and Force are none of its business.
func ParseRecipe(recipe string) (Options, error) {
	var o Options
	var err error
	words := strings.Fields(recipe)
	if len(words) < 2 {
		return Options{}, fmt.Errorf("recipe %q is too short", recipe)
	}
	if o.Format, err = ParseFormat(words[0]); err != nil {
		return Options{}, err
	}
	if o.Shape, err = ParseShape(words[1]); err != nil {
		return Options{}, err
	}
next:
	for _, word := range words[2:] {
		for _, w := range o.switches() {
			if w.word == word {
				*w.on = true
				continue next
			}
		}
		return Options{}, fmt.Errorf("recipe %q: %q is not known", recipe, word)
	}
	return o, nil
}

type recipeSwitch struct {
	word string
	on   *bool
}

func (o *Options) switches() []recipeSwitch {
	return []recipeSwitch{{"files", &o.ShowFile}, {"simulated", &o.Simulated}, {"csv-raw", &o.CSVRaw}}
}
