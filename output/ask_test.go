package output

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"batch/store"
)

// labelled are two answers, a failure and a waiting prompt, whose lines have keys that are called as columns of ours are.
func labelled() *source {
	src := questions(2)
	src.rows = append(src.rows, failed(3), store.Row{State: store.Pending, Line: 4, Model: "m", Body: failed(4).Body})
	for i := range src.rows {
		src.rows[i].Carried = fmt.Appendf(nil, `{"state":"failed","st\u0061tus":%d,"code":"own","type":"t%d","class":"c","content":"mine","input_code":"both"}`, 400+i, i)
	}
	return src
}

// A name of ours is never a key of the author's, on no row: what is answered must not go out again because its line says failed.
func TestAskerKnowsOurs(t *testing.T) {
	for question, want := range map[string]string{
		`state = failed`:                  "3",
		`state != failed`:                 "1 2 4",
		`status >= 40`:                    "3",
		`code = own`:                      "",
		`type = t0 or class = c`:          "",
		`content = mine`:                  "",
		`input_state = failed`:            "1 2 3 4",
		`input_status = 400`:              "1",
		`input_status = 402`:              "3",
		`input_type = t3`:                 "4",
		`input_class = c and line < 2`:    "1",
		`input_content = mine`:            "1 2 3 4",
		`input_code = both`:               "1 2 3 4",
		`input_input_code = own`:          "1 2 3 4",
		`input_content = mine and code=x`: "",
	} {
		src := labelled()
		asker, err := NewAsker(t.Context(), src, asks(t, question))
		if err != nil {
			t.Errorf("%s: %v", question, err)
			continue
		}
		var got []string
		for i := range src.rows {
			holds, err := asker.Holds(&src.rows[i])
			if err != nil {
				t.Fatal(err)
			}
			if holds {
				got = append(got, fmt.Sprint(i+1))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", question, got, want)
		}
	}
}

// An export is asked by the same names, while its file keeps the author's.
func TestWhereKnowsOurs(t *testing.T) {
	for question, want := range map[string]int{`state = done`: 2, `input_state = failed`: 2, `input_status = 401`: 1, `input_input_code = own`: 2, `content = mine`: 0} {
		for _, shape := range []Shape{Flat, Pairs, OpenAI} {
			_, got := write(t, labelled(), Options{Shape: shape, Where: asks(t, question)})
			if n := strings.Count(got[0], "\n"); n != want {
				t.Errorf("%s, %s: %d rows, want %d", shape, question, n, want)
			}
			if shape == Flat && want > 0 && !strings.Contains(got[0], `,"state":"failed","st\u0061tus":401,`) {
				t.Error(got[0])
			}
		}
	}
	for _, name := range []string{"status", "code", "type", "class", "possibly_paid"} {
		err := CheckNames(t.Context(), labelled(), Options{Where: asks(t, name+" = x")})
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), "--where: a result has no column "+name) || !strings.HasSuffix(refused.Hint, " input_"+name) {
			t.Errorf("%s: %v", name, err)
		}
		if err := CheckNames(t.Context(), labelled(), Options{Where: asks(t, name+" = x"), Extract: []Extract{{Path: "a", As: name}}}); name == "possibly_paid" && err != nil {
			t.Error(err)
		}
	}
}

// A hint among very many columns names those that are spelled most like the slip.
func TestManyColumns(t *testing.T) {
	src := questions(1)
	var own []string
	for i := range 400 {
		own = append(own, fmt.Sprintf(`"column_%03d":1`, i))
	}
	src.rows[0].Carried = []byte("{" + strings.Join(own, ",") + "}")
	err := CheckNames(t.Context(), src, Options{Where: asks(t, "colum_399 = 1")})
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.HasPrefix(refused.Hint, "the columns are column_399, ") || !strings.HasSuffix(refused.Hint, fmt.Sprintf(" and %d more", 400+len(resultColumns)-30)) {
		t.Errorf("%v %s", err, refused.Hint)
	}
	if n := strings.Count(refused.Hint, ","); n != 29 {
		t.Errorf("%d columns", n+1)
	}
}
