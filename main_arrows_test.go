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
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || exists(path.Join(name, "go.mod"))):
			return fs.SkipDir // no room, or a house of its own
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		room := path.Dir(name)
		seen[room] = true
		if _, known := arrows[room]; !known {
			t.Errorf("%s: the room %s has no place among the arrows", name, room)
		}
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		checkImports(t, name, room, file)
		if room != mainRoom {
			checkCalls(t, name, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, room := range slices.Sorted(maps.Keys(arrows)) {
		if !seen[room] {
			t.Errorf("there is no room %s", room)
		}
	}
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

// checkCalls goes by the names under which the file imports os, log and syscall.
func checkCalls(t *testing.T, name string, file *ast.File) {
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
					t.Errorf("%s uses %s, which is for main alone", name, used)
				}
			}
		}
		return true
	})
}
