package input

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// isText says that values of the type are written as JSON strings of what they hold.
func isText(t parquet.Type) bool {
	if t.Kind() != parquet.ByteArray {
		return false
	}
	l := t.LogicalType()
	if l == nil {
		return true
	}
	switch l.Value.(type) {
	case nil, *format.StringType, *format.EnumType:
		return true
	}
	return false
}

// valueWriter gives what writes values of a type as JSON. Instead of a value that JSON has no form for, it says what is wrong.
func valueWriter(t parquet.Type) func(b []byte, v *parquet.Value) ([]byte, string) {
	var logical any
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	switch l := logical.(type) {
	case *format.DecimalType:
		return func(b []byte, v *parquet.Value) ([]byte, string) { return appendDecimal(b, v, int(l.Scale)), "" }
	case *format.DateType:
		return func(b []byte, v *parquet.Value) ([]byte, string) {
			return quoteTime(b, time.Unix(int64(v.Int32())*24*60*60, 0), "2006-01-02")
		}
	case *format.TimeType:
		return func(b []byte, v *parquet.Value) ([]byte, string) {
			n := v.Int64()
			if v.Kind() == parquet.Int32 {
				n = int64(v.Int32())
			}
			return quoteTime(b, moment(n, l.Unit), "15:04:05.999999999")
		}
	case *format.TimestampType:
		layout := "2006-01-02T15:04:05.999999999"
		if l.IsAdjustedToUTC {
			layout += "Z"
		}
		return func(b []byte, v *parquet.Value) ([]byte, string) {
			return quoteTime(b, moment(v.Int64(), l.Unit), layout)
		}
	case *format.IntType:
		if !l.IsSigned {
			return func(b []byte, v *parquet.Value) ([]byte, string) {
				n := v.Uint64()
				if v.Kind() == parquet.Int32 {
					n = uint64(v.Uint32())
				}
				return strconv.AppendUint(b, n, 10), ""
			}
		}
	case *format.JsonType:
		return func(b []byte, v *parquet.Value) ([]byte, string) {
			b, ok := appendJSON(b, v.ByteArray())
			if !ok {
				return b, "not valid JSON"
			}
			return b, ""
		}
	case *format.UUIDType:
		return func(b []byte, v *parquet.Value) ([]byte, string) {
			u := v.ByteArray()
			return fmt.Appendf(b, `"%x-%x-%x-%x-%x"`, u[:4], u[4:6], u[6:8], u[8:10], u[10:]), ""
		}
	case *format.Float16Type:
		return func(b []byte, v *parquet.Value) ([]byte, string) { return appendFloat(b, half(v.ByteArray()), 32) }
	}
	return plainWriter(t.Kind())
}

func plainWriter(kind parquet.Kind) func(b []byte, v *parquet.Value) ([]byte, string) {
	switch kind {
	case parquet.Boolean:
		return func(b []byte, v *parquet.Value) ([]byte, string) { return strconv.AppendBool(b, v.Boolean()), "" }
	case parquet.Int32:
		return func(b []byte, v *parquet.Value) ([]byte, string) {
			return strconv.AppendInt(b, int64(v.Int32()), 10), ""
		}
	case parquet.Int64:
		return func(b []byte, v *parquet.Value) ([]byte, string) { return strconv.AppendInt(b, v.Int64(), 10), "" }
	case parquet.Int96: // nanoseconds of the day, then the Julian day
		return func(b []byte, v *parquet.Value) ([]byte, string) {
			const epoch = 2440588
			i := v.Int96()
			nanos := int64(i[1])<<32 | int64(i[0])
			return quoteTime(b, time.Unix((int64(i[2])-epoch)*24*60*60, nanos), "2006-01-02T15:04:05.999999999")
		}
	case parquet.Float:
		return func(b []byte, v *parquet.Value) ([]byte, string) { return appendFloat(b, float64(v.Float()), 32) }
	case parquet.Double:
		return func(b []byte, v *parquet.Value) ([]byte, string) { return appendFloat(b, v.Double(), 64) }
	}
	return func(b []byte, v *parquet.Value) ([]byte, string) {
		b, ok := appendQuoted(b, v.ByteArray())
		if !ok {
			return b, "bytes that are not UTF-8 text"
		}
		return b, ""
	}
}

// appendFloat writes NaN as null: that is how pandas says that a number is missing.
func appendFloat(b []byte, f float64, bits int) ([]byte, string) {
	switch {
	case math.IsNaN(f):
		return append(b, "null"...), ""
	case math.IsInf(f, 0):
		return b, "an infinite number has no form in JSON"
	}
	layout := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		layout = 'e'
	}
	return strconv.AppendFloat(b, f, layout, -1, bits), ""
}

// appendDecimal writes every digit of a decimal.
func appendDecimal(b []byte, v *parquet.Value, scale int) []byte {
	var n big.Int
	switch v.Kind() {
	case parquet.Int32:
		n.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		n.SetInt64(v.Int64())
	default:
		bytes := v.ByteArray()
		if n.SetBytes(bytes); len(bytes) > 0 && bytes[0] >= 0x80 {
			n.Sub(&n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(bytes))))
		}
	}
	digits := n.String()
	if digits[0] == '-' {
		b, digits = append(b, '-'), digits[1:]
	}
	if scale <= 0 {
		return append(b, digits...)
	}
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - scale
	return append(append(append(b, digits[:point]...), '.'), digits[point:]...)
}

// moment is so many units after the epoch.
func moment(n int64, unit format.TimeUnit) time.Time {
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		return time.UnixMilli(n)
	case *format.MicroSeconds:
		return time.UnixMicro(n)
	}
	return time.Unix(0, n)
}

func quoteTime(b []byte, t time.Time, layout string) ([]byte, string) {
	return append(t.UTC().AppendFormat(append(b, '"'), layout), '"'), ""
}

// half is a float of 16 bits.
func half(b []byte) float64 {
	if len(b) != 2 {
		return math.NaN()
	}
	h := binary.LittleEndian.Uint16(b)
	exponent, fraction := int(h>>10&31), float64(h&1023)
	sign := 1.0
	if h>>15 == 1 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction == 0 {
			return math.Inf(int(sign))
		}
		return math.NaN()
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}
