package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"batch/output"
	"batch/runner/tokens"
)

// table is a part of the report as people read it: text, Markdown and HTML are the same cells.
type table struct {
	ID, Title string
	Note      string
	Head      []string // none for a list of names and values
	Rows      [][]cell
}

// cell is a text, or a number that the JSON form has under a key.
type cell struct {
	Text  string
	Num   bool // stands right
	Part  int  // 1 is a part of the row above, 2 a part of a part
	Key   string
	Value string // as JSON has it
}

func words(s string) cell { return cell{Text: s} }

// part is the name of a row that is counted in one above already: "- " in front says so, twice for a part of a part.
func part(name string) cell {
	text := strings.TrimLeft(name, "- ")
	return cell{Text: text, Part: strings.Count(name[:len(name)-len(text)], "-")}
}

func number(key string, n int64) cell {
	return cell{Text: output.Count(n), Num: true, Key: key, Value: strconv.FormatInt(n, 10)}
}

func money(key string, m *tokens.Money) cell {
	if m == nil {
		return cell{Text: "unknown", Num: true, Key: key, Value: "null"}
	}
	return cell{Text: m.Dollars(), Num: true, Key: key, Value: m.String()}
}

func millis(key string, ms *int64) cell {
	if ms == nil {
		return cell{Text: "–", Num: true, Key: key, Value: "null"}
	}
	return cell{Text: duration(*ms), Num: true, Key: key, Value: strconv.FormatInt(*ms, 10)}
}

// cost is an amount for people: what is known of it is never shown as the whole.
func (a Amount) cost() string { return output.Amount{Money: a.AtLeast, Unknown: a.Unknown}.Dollars() }

// spent is a cell for an amount of a part. Where no price is known, nothing has cost no $0.00.
func (d *Document) spent(key string, p *Part, a Amount) cell {
	c := money(key+".cost", a.Cost)
	c.Text = a.cost()
	if a.Attempts == 0 && !d.priced(p) {
		c.Text = "–"
	}
	return c
}

// priced says that what a part used has a price, as far as there is anything to go by.
func (d *Document) priced(p *Part) bool {
	return len(d.Prices) > 0 && p.Spend.Billed.Unknown == 0 && p.Spend.Estimated.Unknown == 0
}

// compact is a number in few letters, where the exact one stands elsewhere.
func compact(n int64) string {
	switch {
	case n >= 10_000_000_000:
		return fmt.Sprintf("%.1f G", float64(n)/1e9)
	case n >= 10_000_000:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	}
	return output.Count(n)
}

// duration is exact below a second, and to three digits or so above.
func duration(ms int64) string {
	switch {
	case ms < 1000:
		return fmt.Sprintf("%d ms", ms)
	case ms < 60_000:
		return strings.TrimSuffix(fmt.Sprintf("%.2f", float64(ms)/1000), "0") + " s"
	case ms < 3_600_000:
		return fmt.Sprintf("%d min %d s", ms/60_000, ms/1000%60)
	case ms < 86_400_000:
		return fmt.Sprintf("%d h %d min", ms/3_600_000, ms/60_000%60)
	}
	return fmt.Sprintf("%d d %d h", ms/86_400_000, ms/3_600_000%24)
}

const clockFormat = "2006-01-02 15:04:05"

// counts adds a row for each number that is not zero, and for the first of a table.
func (t *table) counts(names []string, keys []string, values ...int64) {
	for i, n := range values {
		if n != 0 || len(t.Rows) == 0 && i == 0 {
			t.Rows = append(t.Rows, []cell{part(names[i]), number(keys[i], n)})
		}
	}
}

func byCount(m map[string]int64) []string {
	names := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(m[b], m[a]) })
	return names
}
