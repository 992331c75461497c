package where

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error says what is wrong with a question, and where.
type Error struct {
	At      int // character, from 1
	Problem string
}

func (e *Error) Error() string { return fmt.Sprintf("%s at character %d", e.Problem, e.At) }

const maxDepth = 100 // of parentheses and nots

// Parse reads a question. The error is an *Error.
func Parse(question string) (*Expr, error) {
	p := &parser{src: question, expr: &Expr{text: question}}
	p.next()
	root, err := p.or(0)
	if err == nil && p.tok.kind != end {
		err = p.wrong("expected and, or, or the end")
	}
	if err != nil {
		return nil, err
	}
	p.expr.root = root
	return p.expr, nil
}

type tokenKind int

const (
	end tokenKind = iota
	word
	name   // in backquotes
	quoted // in quotes
	sign
	broken
)

type token struct {
	kind tokenKind
	s    string
	at   int // byte
}

type parser struct {
	src  string
	pos  int
	tok  token
	expr *Expr
}

// is says that the token is this keyword or sign.
func (p *parser) is(s string) bool {
	return p.tok.kind == word && strings.EqualFold(p.tok.s, s) || p.tok.kind == sign && p.tok.s == s
}

func (p *parser) wrong(problem string) error {
	e := &Error{At: utf8.RuneCountInString(p.src[:p.tok.at]) + 1, Problem: problem}
	switch p.tok.kind {
	case end:
		e.Problem += ", got the end"
	case broken:
		e.Problem = p.tok.s
	default:
		e.Problem += fmt.Sprintf(", got %q", p.tok.s)
	}
	return e
}

func (p *parser) or(depth int) (node, error) {
	left, err := p.and(depth)
	for err == nil && p.is("or") {
		p.next()
		var right node
		right, err = p.and(depth)
		left = either{left, right}
	}
	return left, err
}

func (p *parser) and(depth int) (node, error) {
	left, err := p.not(depth)
	for err == nil && p.is("and") {
		p.next()
		var right node
		right, err = p.not(depth)
		left = both{left, right}
	}
	return left, err
}

func (p *parser) not(depth int) (node, error) {
	if depth > maxDepth {
		return nil, p.wrong(fmt.Sprintf("more than %d levels", maxDepth))
	}
	switch {
	case p.is("not"):
		p.next()
		n, err := p.not(depth + 1)
		return never{n}, err
	case p.is("("):
		p.next()
		n, err := p.or(depth + 1)
		if err == nil && !p.is(")") {
			err = p.wrong("expected )")
		}
		p.next()
		return n, err
	}
	return p.comparison()
}

func (p *parser) comparison() (node, error) {
	c := &comparison{name: p.tok.s}
	if p.tok.kind != name && (p.tok.kind != word || keyword(p.tok.s)) {
		return nil, p.wrong("expected a name")
	}
	p.expr.names = add(p.expr.names, c.name)
	p.next()
	if p.tok.kind != sign || p.tok.s == "(" || p.tok.s == ")" {
		return nil, p.wrong("expected = != < <= > >= ~ or !~ after " + c.name)
	}
	c.op = p.tok.s
	p.next()
	switch {
	case p.tok.kind == quoted:
		c.right = operand{text, p.tok.s}
	case p.tok.kind == name:
		c.right, c.isName = operand{text, p.tok.s}, true
		p.expr.names = add(p.expr.names, p.tok.s)
	case p.is("null"):
	case p.is("true"), p.is("false"):
		c.right = operand{boolean, strings.ToLower(p.tok.s)}
	case p.tok.kind == word && !keyword(p.tok.s):
		c.right = operand{text, p.tok.s}
		if spelled(p.tok.s) {
			c.right.kind = number
		} else {
			p.expr.words = add(p.expr.words, p.tok.s)
		}
	default:
		return nil, p.wrong("expected a number, a text or null after " + c.op)
	}
	if strings.ContainsAny(c.op, "<>") {
		if c.right.kind == boolean {
			return nil, p.wrong("true and false are neither less nor more than anything: expected = or != before them")
		}
		p.expr.order = add(p.expr.order, c.name)
		if c.isName {
			p.expr.order = add(p.expr.order, c.right.s)
		}
	}
	if strings.HasSuffix(c.op, "~") {
		if c.right.kind == null || c.right.kind == boolean || c.isName {
			return nil, p.wrong("expected a regular expression after " + c.op)
		}
		var err error
		if c.match, err = regexp.Compile(c.right.s); err != nil {
			return nil, p.wrong("expected a regular expression (" + strings.TrimPrefix(err.Error(), "error parsing regexp: ") + ")")
		}
	}
	p.next()
	return c, nil
}

func keyword(s string) bool {
	switch strings.ToLower(s) {
	case "and", "or", "not", "null", "true", "false":
		return true
	}
	return false
}

// next reads a token.
func (p *parser) next() {
	rest := strings.TrimLeftFunc(p.src[p.pos:], unicode.IsSpace)
	p.pos = len(p.src) - len(rest)
	p.tok = token{at: p.pos}
	if rest == "" {
		return
	}
	for _, s := range []string{"!=", "!~", "<=", ">=", "==", "=", "<", ">", "~", "(", ")"} {
		if strings.HasPrefix(rest, s) {
			p.tok.kind, p.tok.s, p.pos = sign, strings.Replace(s, "==", "=", 1), p.pos+len(s)
			return
		}
	}
	if quote := rest[0]; quote == '"' || quote == '\'' || quote == '`' {
		p.inQuotes(rest, quote)
		return
	}
	n := strings.IndexFunc(rest, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune("_-.+", r)
	})
	switch n {
	case -1:
		n = len(rest)
	case 0:
		_, n = utf8.DecodeRuneInString(rest)
		p.tok.kind, p.tok.s = broken, fmt.Sprintf("unexpected %q", rest[:n])
		p.pos += n
		return
	}
	p.tok.kind, p.tok.s, p.pos = word, rest[:n], p.pos+n
}

// inQuotes reads a text or a name. A quote in it is doubled; a backslash stands for itself, as regular expressions need it.
func (p *parser) inQuotes(rest string, quote byte) {
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		if rest[i] != quote {
			b.WriteByte(rest[i])
			continue
		}
		if i+1 < len(rest) && rest[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		p.tok.kind, p.tok.s = quoted, b.String()
		if quote == '`' {
			p.tok.kind = name
		}
		p.pos += i + 1
		return
	}
	p.tok.kind, p.tok.s = broken, fmt.Sprintf("%c is not closed", quote)
	p.pos = len(p.src)
}
