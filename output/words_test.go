package output

import "testing"

func TestWords(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{Count(0), "0"}, {Count(999), "999"}, {Count(-1000), "-1,000"}, {Count(1234567), "1,234,567"},
		{Plural(1, "call"), "1 call"}, {Plural(0, "call"), "0 calls"}, {Plural(2000, "call"), "2,000 calls"},
		{Amount{Money: 5e11}.Dollars(), "$0.50"}, {Amount{Money: 5e11, Unknown: 1}.Dollars(), "at least $0.50"}, {Amount{Unknown: 1}.Dollars(), "unknown"},
		{Printable("plain é\uFFFD"), "plain é\uFFFD"}, {Printable("\x1b[31m\n\t\u202e\U000e0001\xff"), `\u001b[31m\n \u202e\U000e0001\xff`},
		{Printable("a\u202eb"), `a\u202eb`}, {Printable("\u009b"), `\u009b`},
		{string(PrintableJSON([]byte("{\n\"é\"}"))), "{\n\"é\"}"}, {string(PrintableJSON([]byte("\"\x7f\u009b\u202e\U000e0001\""))), `"\u007f\u009b\u202e\udb40\udc01"`},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}
