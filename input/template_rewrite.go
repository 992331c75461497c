package input

import (
	"slices"
	"strconv"
	"text/template/parse"
)

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
