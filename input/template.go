package input

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
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

// rewrite lets default see fields that a row may lack, which end a template anywhere else, and counts the rounds of every loop.
func rewrite(list *parse.ListNode) {
	each(list, func(n parse.Node) {
		switch n := n.(type) {
		case *parse.ActionNode:
			rewritePipe(n.Pipe)
		case *parse.IfNode:
			rewritePipe(n.Pipe)
		case *parse.WithNode:
			rewritePipe(n.Pipe)
		case *parse.TemplateNode:
			rewritePipe(n.Pipe)
		case *parse.RangeNode:
			rewritePipe(n.Pipe)
			n.List.Nodes = slices.Insert(n.List.Nodes, 0, step(n.Pos))
		}
	})
}

func rewritePipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	for i, cmd := range p.Cmds {
		for _, arg := range cmd.Args {
			if inner, ok := arg.(*parse.PipeNode); ok {
				rewritePipe(inner)
			}
			if chain, ok := arg.(*parse.ChainNode); ok {
				if inner, ok := chain.Node.(*parse.PipeNode); ok {
					rewritePipe(inner)
				}
			}
		}
		if f, ok := cmd.Args[0].(*parse.IdentifierNode); !ok || f.Ident != "default" {
			continue
		}
		for j := 1; j < len(cmd.Args); j++ {
			cmd.Args[j] = lenient(cmd.Args[j])
		}
		if i > 0 {
			p.Cmds[i-1] = lenientCommand(p.Cmds[i-1])
		}
	}
}

// lenient makes of a field what is nil when the row lacks it.
func lenient(n parse.Node) parse.Node {
	switch n := n.(type) {
	case *parse.FieldNode:
		return pipe(lookup(n.Pos, &parse.DotNode{NodeType: parse.NodeDot, Pos: n.Pos}, n.Ident))
	case *parse.VariableNode:
		if len(n.Ident) > 1 {
			return pipe(lookup(n.Pos, &parse.VariableNode{NodeType: parse.NodeVariable, Pos: n.Pos, Ident: n.Ident[:1]}, n.Ident[1:]))
		}
	case *parse.ChainNode:
		return pipe(lookup(n.Pos, lenient(n.Node), n.Field))
	case *parse.PipeNode:
		if len(n.Cmds) > 0 && len(n.Decl) == 0 {
			last := len(n.Cmds) - 1
			n.Cmds[last] = lenientCommand(n.Cmds[last])
		}
	}
	return n
}

func lenientCommand(c *parse.CommandNode) *parse.CommandNode {
	if f, ok := c.Args[0].(*parse.IdentifierNode); ok {
		if f.Ident == "index" {
			c.Args[0] = parse.NewIdentifier("lookup").SetPos(f.Pos)
			if len(c.Args) > 1 {
				c.Args[1] = lenient(c.Args[1])
			}
		}
		return c
	}
	if len(c.Args) == 1 {
		if p, ok := lenient(c.Args[0]).(*parse.PipeNode); ok && len(p.Cmds) == 1 {
			return p.Cmds[0]
		}
	}
	return c
}

func lookup(pos parse.Pos, of parse.Node, names []string) *parse.CommandNode {
	c := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos, Args: []parse.Node{parse.NewIdentifier("lookup").SetPos(pos), of}}
	for _, name := range names {
		c.Args = append(c.Args, &parse.StringNode{NodeType: parse.NodeString, Pos: pos, Quoted: strconv.Quote(name), Text: name})
	}
	return c
}

func pipe(c *parse.CommandNode) *parse.PipeNode {
	return &parse.PipeNode{NodeType: parse.NodePipe, Pos: c.Pos, Cmds: []*parse.CommandNode{c}}
}

// step counts, and prints nothing.
func step(pos parse.Pos) parse.Node {
	c := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos, Args: []parse.Node{parse.NewIdentifier(stepFunction).SetPos(pos)}}
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Pipe: pipe(c)}
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
	if !utf8.Valid(r.out.Bytes()) { // of half a character that slice left
		return bytes.ToValidUTF8(r.out.Bytes(), []byte("\ufffd")), nil
	}
	return r.out.Bytes(), nil
}

// noEntry finds in the library's error which field a row lacks.
var noEntry = regexp.MustCompile(`map has no entry for key ("(?:[^"\\]|\\.)*")$`)

// The parts of an error of the library: place in the template, what was computed there, what is wrong.
var execParts = regexp.MustCompile(`(?s)^template: ` + templateName + `:(\d+):\d+: executing .*? at <(.*?)>: (.*)$`)

// blame names the field that a row lacks, or what else the template could not do with the row. It shows nothing of the row but
// names.
func (r *rendering) blame(err error, row object) *LineError {
	where := r.name
	parts := execParts.FindStringSubmatch(err.Error())
	if parts != nil { // of a text that got too long the library does not say the place
		where += ":" + parts[1]
	}
	key := ""
	var lacks *lacksError
	if m := noEntry.FindStringSubmatch(err.Error()); m != nil {
		key, _ = strconv.Unquote(m[1])
		lacks = &lacksError{key}
	}
	if lacks != nil || errors.As(err, &lacks) {
		bad := &LineError{Field: shownKey(lacks.key), Problem: "is missing, and " + printable(where) + " uses it"}
		bad.Hint = "the row has " + names(row) + "; with {{... | default \"\"}} it may be missing"
		return bad
	}
	for _, e := range []error{errSteps, errRendered} {
		if errors.Is(err, e) {
			return &LineError{Problem: printable(where) + ": " + e.Error()}
		}
	}
	if parts == nil {
		return &LineError{Problem: printable(where) + ": cannot be used with this row"}
	}
	expression, problem := strings.Trim(parts[2], "{}"), parts[3]
	if errors.Is(err, errNull) || strings.Contains(problem, "input.null") {
		field := expression
		if len(field) > 1 {
			field = strings.TrimPrefix(field, ".")
		}
		return &LineError{Field: shownKey(field), Problem: "is null, and " + printable(where) + " uses it", Hint: `{{... | default ""}} takes it`}
	}
	return &LineError{Problem: printable(where + ": " + expression + ": " + cutCall(problem))}
}

// cutCall takes "error calling f: " off an error of a function.
func cutCall(problem string) string {
	if after, ok := strings.CutPrefix(problem, "error calling "); ok {
		if _, rest, ok := strings.Cut(after, ": "); ok {
			return rest
		}
	}
	return problem
}

// names lists the fields of a row, a few of them.
func names(row object) string {
	var all []string
	for name := range row {
		all = append(all, shownKey(name))
	}
	slices.Sort(all)
	if more := len(all) - 8; more > 0 {
		all = append(all[:8], fmt.Sprintf("%d more", more))
	}
	if len(all) == 0 {
		return "no fields"
	}
	return strings.Join(all, ", ")
}
