package sim

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Fault is a share of calls that shall go wrong in one way.
type Fault struct {
	Kind  string  // a name that FaultKinds lists
	Share float64 // of all calls that reach the model, 0 to 1
}

// Faults says which calls go wrong. Nil means none.
type Faults []Fault

// ParseFaults reads shares of calls as a user writes them: "429=5%,cut=0.01". The shares add up to 100 % at most.
func ParseFaults(s string) (Faults, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var faults Faults
	for part := range strings.SplitSeq(s, ",") {
		name, share, found := strings.Cut(part, "=")
		name, share = strings.TrimSpace(name), strings.TrimSpace(share)
		if !found {
			return nil, fmt.Errorf("fault %q has no share: write it as 429=5%%", clip(part))
		}
		number, percent := strings.CutSuffix(share, "%")
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil {
			return nil, fmt.Errorf("fault %q: share %q is neither a percentage like 5%% nor a fraction like 0.05", clip(name), clip(share))
		}
		if percent {
			f /= 100
		}
		faults = append(faults, Fault{Kind: name, Share: f})
	}
	return faults, faults.check()
}

// String writes the faults as ParseFaults reads them.
func (f Faults) String() string {
	parts := make([]string, len(f))
	for i, fault := range f {
		parts[i] = fault.Kind + "=" + strconv.FormatFloat(fault.Share, 'g', -1, 64)
	}
	return strings.Join(parts, ",")
}

func (f Faults) check() error {
	var sum float64
	for i, fault := range f {
		if kindIndex(fault.Kind) < 0 {
			return fmt.Errorf("unknown fault %q: known are %s", clip(fault.Kind), strings.Join(kindNames(), ", "))
		}
		if slices.ContainsFunc(f[:i], func(o Fault) bool { return o.Kind == fault.Kind }) {
			return fmt.Errorf("fault %q is given twice", fault.Kind)
		}
		if math.IsNaN(fault.Share) || fault.Share < 0 || fault.Share > 1 {
			return fmt.Errorf("fault %q: a share lies between 0%% and 100%%", fault.Kind)
		}
		sum += fault.Share
	}
	// Ten shares of 10 % add up to a hair more than 1 in floating point.
	if sum > 1+1e-9 {
		return fmt.Errorf("the shares of the faults add up to %.4g%%, which is more than 100%%", sum*100)
	}
	return nil
}

// clip keeps what a user typed short enough to be quoted in an error.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
