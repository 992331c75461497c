package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says which rooms of the house each room may use, but for main, which may use all. A room that is missing here is one
// that nobody has thought about yet. Tests may go further.
var arrows = map[string][]string{
	"input":                   {"runner/chat", "runner/tokens"},
	"store":                   {},
	"output":                  {"output/where", "store", "runner/tokens"},
	"output/report":           {"output", "store", "runner/tokens"},
	"output/where":            {},
	"runner":                  {"store", "runner/chat", "runner/tokens"},
	"runner/chat":             {},
	"runner/chat/sim":         {"runner/chat", "runner/tokens"},
	"runner/chat/sim/oracle":  {"runner/chat/sim"},
	"runner/chat/sim/simtest": {},
	"runner/tokens":           {},
	"examples":                {},
	mainRoom:                  nil,
}

const (
	mainRoom = "."
	module   = "batch"
)

// strangers are what a room must know nothing of.
var strangers = map[string][]string{
	"input":           {"database/sql", "net/http"},
	"store":           {"net/http"},
	"output":          {"database/sql", "net/http"},
	"output/report":   {"database/sql", "net/http"},
	"output/where":    {"database/sql", "net/http", "os"},
	"runner":          {"database/sql"},
	"runner/chat":     {"database/sql"},
	"runner/chat/sim": {"database/sql"},
	"runner/tokens":   {"database/sql", "net/http", "os"},
}

// mainsOwn are decisions of the command line: a room below takes what it needs as a value, and returns instead of ending the process.
var mainsOwn = []string{"os.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln", "os.Args", "os.Getenv", "os.LookupEnv", "os.Environ",
	"os.ExpandEnv", "syscall.Getenv", "syscall.Exit"}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for name, file := range sources(t, func(room, name string) {
		seen[room] = true
		if _, known := arrows[room]; !known {
			t.Errorf("%s: the room %s has no place among the arrows", name, room)
		}
	}) {
		checkImports(t, name, path.Dir(name), file)
	}
	for _, room := range slices.Sorted(maps.Keys(arrows)) {
		if !seen[room] {
			t.Errorf("there is no room %s", room)
		}
	}
}

// Nobody below main ends the process or asks for its surroundings, and main ends it in one place: else some defer would not run.
func TestP18_ExitInMainAlone(t *testing.T) {
	exits := 0
	for name, file := range sources(t, func(string, string) {}) {
		used := calls(file)
		if path.Dir(name) != mainRoom {
			for _, call := range used {
				t.Errorf("%s uses %s, which is for main alone", name, call)
			}
			continue
		}
		for _, call := range used {
			if call == "os.Exit" && name == "main.go" {
				exits++
			} else if strings.HasSuffix(call, "Exit") || strings.HasPrefix(call, "log.Fatal") {
				t.Errorf("%s uses %s, which is for the function main alone", name, call)
			}
		}
	}
	if exits != 1 {
		t.Errorf("main.go ends the process in %d places", exits)
	}
}

// sources yields the files that are no tests; met is told of every file.
func sources(t *testing.T, met func(room, name string)) map[string]*ast.File {
	t.Helper()
	all := map[string]*ast.File{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || exists(path.Join(name, "go.mod"))):
			return fs.SkipDir // no room, or a house of its own
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		met(path.Dir(name), name)
		if !strings.HasSuffix(name, "_test.go") {
			all[name], err = parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func checkImports(t *testing.T, name, room string, file *ast.File) {
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		inner, ours := strings.CutPrefix(target, module+"/")
		switch {
		case target == module:
			t.Errorf("%s imports main", name)
		case strings.HasSuffix(target, "test") && !strings.HasSuffix(room, "test"):
			t.Errorf("%s: %s is for tests", name, target)
		case ours && room != mainRoom && !slices.Contains(arrows[room], inner):
			t.Errorf("%s: no arrow goes from %s to %s", name, room, inner)
		case slices.Contains(strangers[room], target):
			t.Errorf("%s: %s knows nothing of %s", name, room, target)
		}
	}
}

// calls lists what a file uses of mainsOwn, by the names under which it imports os, log and syscall.
func calls(file *ast.File) (all []string) {
	imported := map[string]string{}
	for _, spec := range file.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		local := path.Base(target)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		imported[local] = target
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok {
				if used := imported[pkg.Name] + "." + sel.Sel.Name; slices.Contains(mainsOwn, used) {
					all = append(all, used)
				}
			}
		}
		return true
	})
	return all
}
