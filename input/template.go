package input

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode/utf8"
)

// Template makes the text of a message of a row. It can do nothing but compute: it reads no file, and runs no program.
type Template struct {
	name string
	text *template.Template
}

// ParseTemplate reads a template that errors call name. The error is one printable line that begins with name:line.
func ParseTemplate(name, text string) (*Template, error) {
	if i := invalidAt([]byte(text)); i >= 0 {
		return nil, fmt.Errorf("%s: byte %d is not UTF-8", printable(name), i+1)
	}
	t, err := template.New(templateName).Option("missingkey=error").Funcs(new(rendering).functions()).Parse(text)
	if err != nil {
		return nil, errors.New(printable(strings.Replace(err.Error(), "template: "+templateName, name, 1)))
	}
	if t.Tree == nil || len(t.Root.Nodes) == 0 {
		return nil, fmt.Errorf("%s: it is empty", printable(name))
	}
	all := t.Templates()
	slices.SortFunc(all, func(a, b *template.Template) int { return strings.Compare(a.Name(), b.Name()) })
	for _, named := range all {
		if calls(t, named.Name(), nil) {
			return nil, fmt.Errorf("%s: the template %q calls itself", printable(name), named.Name())
		}
	}
	for _, named := range all {
		if named.Tree != nil {
			rewrite(named.Root)
			named.Root.Nodes = slices.Insert(named.Root.Nodes, 0, step(named.Root.Pos))
		}
	}
	return &Template{name: name, text: t}, nil
}

// templateName stands for the name in the library's errors, which are taken apart.
const templateName = "T"

// calls says that a template is in the way from itself to itself: it would never end.
func calls(t *template.Template, name string, above []string) bool {
	if slices.Contains(above, name) {
		return true
	}
	named := t.Lookup(name)
	if named == nil || named.Tree == nil {
		return false
	}
	found := false
	each(named.Root, func(n parse.Node) {
		if call, ok := n.(*parse.TemplateNode); ok && !found {
			found = calls(t, call.Name, append(slices.Clip(above), name))
		}
	})
	return found
}

// each visits the nodes of a list, and of the lists in it.
func each(list *parse.ListNode, visit func(parse.Node)) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		visit(n)
		switch n := n.(type) {
		case *parse.IfNode:
			each(n.List, visit)
			each(n.ElseList, visit)
		case *parse.WithNode:
			each(n.List, visit)
			each(n.ElseList, visit)
		case *parse.RangeNode:
			each(n.List, visit)
			each(n.ElseList, visit)
		}
	}
}

// A template that goes on and on is stopped, for each row: after so many rounds of its loops, with so long a text, and when its
// functions made so much text on the way.
const (
	maxSteps    = 1 << 20
	maxRendered = 16 << 20
	maxMade     = 8 * maxRendered
)

var (
	errSteps    = errors.New("the template goes on and on")
	errRendered = errors.New("the template makes more than " + size(maxRendered))
)

// rendering is a template at work for one reader.
type rendering struct {
	*Template
	exec  *template.Template
	out   bytes.Buffer
	steps int
	made  int
}

func newRendering(t *Template) *rendering {
	if t == nil {
		return nil
	}
	r := &rendering{Template: t}
	clone, _ := t.text.Clone() // fails for html/template alone
	r.exec = clone.Funcs(r.functions())
	return r
}

// Write takes what the template prints.
func (r *rendering) Write(p []byte) (int, error) {
	if r.out.Len()+len(p) > maxRendered {
		return 0, errRendered
	}
	return r.out.Write(p)
}

// render gives the text for a row, good until the next call.
func (r *rendering) render(row object) ([]byte, *LineError) {
	if r.out.Cap() > 4*bufferSize {
		r.out = bytes.Buffer{}
	}
	r.out.Reset()
	r.steps, r.made = 0, 0
	if err := r.exec.Execute(r, row); err != nil {
		return nil, r.blame(err, row)
	}
	if !utf8.Valid(r.out.Bytes()) { // as {{"\xff"}} makes
		return nil, &LineError{Problem: printable(r.name) + ": makes a text that is not UTF-8"}
	}
	return r.out.Bytes(), nil
}
