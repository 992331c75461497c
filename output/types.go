package output

import (
	"bytes"
	"maps"
	"strconv"
	"strings"
)

// valueType is what the cells of a column are in a format that has types.
type valueType int

const (
	textType   valueType = iota // a string says what it says; any other value is its JSON
	jsonType                    // the JSON of the value, of a string too
	intType                     // 64 bits
	doubleType                  // money too: rounded to 12 digits it is exact up to 9,000 dollars
	boolType
	turnsType // the messages of a conversation
	anyType   // the rows tell

	never = 1 << 8 // with another type: never null
)

// The types of our own columns, file by file; all others are text.
var (
	resultTypes = map[string]valueType{"line": intType | never, "prompt_tokens": intType, "completion_tokens": intType,
		"total_tokens": intType, "usage_source": textType | never, "cost": doubleType, "attempts": intType | never,
		"latency_ms": intType | never, "created": intType, "simulated": boolType, "choices": jsonType, "message": jsonType, "sample": intType, "trimmed_turns": intType}
	errorTypes = map[string]valueType{"line": intType | never, "status": intType, "attempts": intType | never,
		"possibly_paid": boolType | never, "simulated": boolType, "sample": intType, "trimmed_turns": intType}
	pairTypes = map[string]valueType{"prompt": textType | never, "completion": textType | never, "simulated": boolType}
	chatTypes = map[string]valueType{"messages": turnsType, "tools": jsonType, "functions": jsonType,
		"parallel_tool_calls": anyType, "simulated": boolType}
	usageTypes = typesOfUsage()
)

func typesOfUsage() map[string]valueType {
	types := map[string]valueType{}
	for _, name := range usageColumns {
		types[name] = intType | never
	}
	maps.Copy(types, map[string]valueType{"endpoint": textType, "requested_model": textType, "cost": doubleType, "estimated_cost": doubleType,
		"wasted_cost": doubleType, "gone_cost": doubleType, "complete": boolType | never, "total": boolType | never, "simulated": boolType, "reused": intType, "reused_tokens": intType})
	return types
}

// learned is what the values of a column are, as far as they were seen. Null fits every type.
type learned struct {
	texts, bools, others bool
	ints, doubles        bool
	large                bool // integers that no double holds
}

func (l *learned) add(value []byte) {
	switch c := value[0]; {
	case c == 'n':
	case c == '"':
		l.texts = true
	case c == 't' || c == 'f':
		l.bools = true
	case c == '{' || c == '[':
		l.others = true
	default:
		_, isInt := integer(value)
		isDouble := faithful(value)
		switch {
		case isInt && isDouble:
			l.ints = true
		case isInt:
			l.ints, l.large = true, true
		case isDouble:
			l.doubles = true
		default:
			l.others = true
		}
	}
}

// valueType is that which holds all values as they are, else their JSON.
func (l *learned) valueType() valueType {
	switch numbers := l.ints || l.doubles; {
	case l.others, l.texts && (l.bools || numbers), l.bools && numbers, l.doubles && l.large:
		return jsonType
	case l.doubles:
		return doubleType
	case l.ints:
		return intType
	case l.bools:
		return boolType
	}
	return textType
}

// integer reads a number that is spelled as one and has 64 bits. -0 is none: the sign would go.
func integer(value []byte) (int64, bool) {
	if bytes.ContainsAny(value, ".eE") || string(value) == "-0" {
		return 0, false
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	return n, err == nil
}

// faithful says that a double holds a number so that it can be told again, digit by digit.
func faithful(value []byte) bool {
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return false
	}
	// The shortest spelling of the double has the digits of the number, apart from zeros around them.
	digits, exponent := scientific(string(value))
	again, exponentAgain := scientific(strconv.FormatFloat(f, 'e', -1, 64))
	return digits == again && (exponent == exponentAgain || digits == "" || digits == "-")
}

// scientific takes a number apart: its digits from the first to the last that is not zero, with its sign, and the exponent of the first.
func scientific(number string) (digits string, exponent int) {
	mantissa, power, _ := strings.Cut(strings.ToLower(number), "e")
	exponent, _ = strconv.Atoi(power)
	sign := ""
	if rest, negative := strings.CutPrefix(mantissa, "-"); negative {
		sign, mantissa = "-", rest
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	exponent += len(whole) - 1
	trimmed := strings.TrimLeft(all, "0")
	exponent -= len(all) - len(trimmed)
	return sign + strings.TrimRight(trimmed, "0"), exponent
}
