package output

import (
	"fmt"
	"net/url"
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
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+"="+url.QueryEscape(value)) // a word has no spaces
		}
	}
	var fields []string
	for _, f := range o.Fields {
		fields = append(fields, f.String())
	}
	add("compression", string(o.Compression))
	var extract []string
	for _, e := range o.Extract {
		extract = append(extract, e.String())
	}
	add("extract", strings.Join(extract, ","))
	add("fields", strings.Join(fields, ","))
	add("split", splitString(o.Split))
	if o.Where != nil {
		add("where", o.Where.String())
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
		if name, value, ok := strings.Cut(word, "="); ok {
			if err := o.read(name, value); err != nil {
				return Options{}, fmt.Errorf("recipe %q: %w", recipe, err)
			}
			continue
		}
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

// read takes in a word of a recipe that has a value.
func (o *Options) read(name, value string) error {
	value, err := url.QueryUnescape(value)
	if err != nil {
		return err
	}
	switch name {
	case "compression":
		o.Compression = Compression(value)
	case "extract":
		o.Extract, err = ParseExtract(value)
	case "fields":
		o.Fields, err = ParseFields(value)
	case "split":
		o.Split, err = ParseSplit(value)
	case "where":
		o.Where, err = ParseWhere(value)
	default:
		err = fmt.Errorf("%q is not known", name)
	}
	return err
}

type recipeSwitch struct {
	word string
	on   *bool
}

func (o *Options) switches() []recipeSwitch {
	return []recipeSwitch{{"files", &o.ShowFile}, {"simulated", &o.Simulated}, {"csv-raw", &o.CSVRaw}}
}
