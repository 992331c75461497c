package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"batch/runner"
)

// waiting says what holds the run up, and until when.
func waiting(s runner.Progress) string {
	switch {
	case s.Unkept.Outcomes > 0 && s.Told:
		return untaken(s)
	case s.Unkept.Outcomes > 0:
		return fmt.Sprintf("no disk takes %s, trying again; who ends the run loses what is left of them", unsaved(s.Unkept))
	case s.Unsaved.Outcomes > 0:
		return aside(s)
	case s.Stop != nil:
		return "stopping: " + inFlight(s)
	}
	switch s.Waiting.Why {
	case "", "pace":
		return ""
	case "budget":
		return "waiting for calls in flight: the budget may not hold another"
	}
	return fmt.Sprintf("waiting %s: %s", max(time.Until(s.Waiting.Until), 0).Truncate(time.Second)+time.Second, s.Waiting.Why)
}

// untaken says what becomes of that which no disk takes, in a run that was told to end.
func untaken(s runner.Progress) string {
	tried := "once more"
	if left := untilThen(s.GraceEnds); left > 0 {
		tried = fmt.Sprintf("again for up to %s", left)
	}
	return fmt.Sprintf("no disk takes %s, tried %s and then lost", unsaved(s.Unkept), tried)
}

// aside says what becomes of that which the job file does not take.
func aside(s runner.Progress) string {
	text := fmt.Sprintf("the job file takes nothing, %s kept aside", unsaved(s.Unsaved))
	if s.InFlight > 0 { // how long it is tried again is known when they are back
		return text + "; " + inFlight(s)
	}
	return fmt.Sprintf("%s; tried again for up to %s", text, untilThen(s.GraceEnds))
}

func inFlight(s runner.Progress) string {
	text := plural(int64(s.InFlight), "call") + " in flight"
	if !s.GraceEnds.IsZero() {
		text += fmt.Sprintf(", given up in %s", untilThen(s.GraceEnds))
	}
	return text
}

// stopping says of a run that was just told to end what it waits for, and what it may lose.
func stopping(s runner.Progress) string {
	left := untilThen(s.GraceEnds)
	var waits []string
	if s.InFlight > 0 {
		waits = append(waits, fmt.Sprintf("%s in flight, already being paid for; waiting up to %s", plural(int64(s.InFlight), "call"), left))
	}
	switch {
	case s.Unkept.Outcomes > 0:
		waits = append(waits, untaken(s))
	case s.Unsaved.Outcomes > 0 && s.InFlight == 0:
		waits = append(waits, aside(s))
	}
	switch {
	case len(waits) == 0:
		waits = append(waits, "no call is in flight")
	case left > 0:
		waits = append(waits, "Ctrl-C again gives up")
	}
	return "stopping: " + strings.Join(waits, "; ")
}

// unsaved says how much it is: outcomes are mostly answers, and these are what people paid for.
func unsaved(u runner.Unsaved) string {
	if u.Answers == u.Outcomes {
		return plural(u.Answers, "answer")
	}
	return fmt.Sprintf("%s (%s)", plural(u.Outcomes, "outcome"), plural(u.Answers, "answer"))
}

func untilThen(t time.Time) time.Duration { return max(time.Until(t), 0).Round(time.Second) }

// unkeptWarning is said once when no disk takes what a run holds, and again when that comes back.
type unkeptWarning struct {
	term *terminal
	db   string
	said bool
}

func (w *unkeptWarning) watch(s runner.Progress) {
	was := w.said
	w.said = s.Unkept.Outcomes > 0
	if was || !w.said {
		return
	}
	temp := os.TempDir()
	const hint = "make room, or mend the disk, in one of the two places: they are tried again every second, and who ends the run loses what is left of them"
	w.term.warn("unkept", event{"unsaved": s.Unsaved, "unkept": s.Unkept, "db": w.db, "temp": temp, "hint": hint},
		"no disk takes %s, neither beside %s nor in %s", unsaved(s.Unkept), printable(w.db), printable(temp))
	w.term.hint(hint)
}
