package tokens

import "math"

// Student is the 97.5 % point of Student's distribution.
func Student(freedom int64) float64 {
	few := []float64{math.Inf(1), 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228}
	if freedom < int64(len(few)) {
		return few[max(freedom, 0)]
	}
	f := float64(freedom)
	return 1.96 + 2.37/f + 2.82/(f*f)
}
