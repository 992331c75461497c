package store

import "time"

// State is where a job stands. The arrows between the states are the methods of Store; there is no other way.
//
//	             claim                    completion
//	pending ----------------> running ----------------> done
//	   ^                        |  |
//	   |  retry (run_after)     |  +------------------> failed     permanent error, or attempts used up
//	   +------------------------+                          |
//	   |  released: interrupted, run stopped, run died      |
//	   +----------------------------------------------------+  batch retry; a stop that takes failures back
type State string

const (
	Pending State = "pending"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Job is a request to be put into the job file.
type Job struct {
	Line        int // of the file that File began
	CustomID    string
	HasCustomID bool
	Sample      int    // which job of its line, from 1, custom_id#1 and so on; 0 where a line is one job
	Model       string // requested model
	Key         [32]byte
	Body        []byte
	Carried     []byte // JSON object, or nil
	Tokens      int64  // estimated prompt tokens
	MaxTokens   int64  // the most that the request allows for its answer, 0 when it says nothing
	Boundless   bool   // nothing says how much it can use at most: parts of it are not counted, or it asks for several answers
	Trimmed     int    // turns of its line that the request is without
}

// Skipped is an input line that was left out of the run because it is bad; it stands in the errors file.
type Skipped struct {
	Line     int
	CustomID string
	Message  string // what is wrong with it, with its field; never prompt text
}

// Usage holds token counts; Known is false when the API reported none: unknown is a value, zero is another.
type Usage struct {
	Known                                bool
	Prompt, Completion, Total            int64
	Cached, CacheWrite, Reasoning, Audio int64 // of these; see chat.Usage
}

// Row is a prompt of the input with all that is known of its answer, as Rows yields it in input order.
type Row struct {
	// Skipped is set for a bad line that a run left out; then only File, Line, CustomID, HasCustomID and Message
	// are filled in and State is "".
	Skipped bool

	// Shared is set for a line that asks what an earlier one asks and has no job of its own: what is known of the answer is that line's,
	// which alone was charged for it. Its own are File, Line, CustomID, Trimmed and Carried.
	Shared bool

	ID          int64 // of the job
	State       State
	File        string
	Line        int
	CustomID    string
	HasCustomID bool
	Sample      int    // which job of its line, from 1; 0 where a line is one job
	Model       string // requested
	Key         []byte // of the request
	Body        []byte // as stored: byte for byte what is sent
	Carried     []byte // JSON object, or nil
	Trimmed     int    // turns of the line that Body is without, as the conversation was too long

	Attempts     int  // attempts rows of this job
	PossiblyPaid bool // an attempt's outcome is unknown, or it was interrupted after it was sent

	// Of the attempt that answered (done) or failed the job (failed); zero otherwise.
	Class     string // "" when the answer was taken over from another file
	Endpoint  string
	Status    int
	RequestID string
	Latency   time.Duration
	Usage     Usage // reported by the API
	PlainOnly bool  // the parts of Usage were not kept: an older version made this row

	// Done only.
	Response        []byte // raw body, or the assembled completion of a stream
	Assembled       bool
	FinishReason    string
	Estimated       int64 // tokens counted locally, when Usage is not Known
	EstimatedPrompt int64 // the prompt's part of Estimated
	Simulated       bool
	Reused          bool // taken over from another file, which was charged for Usage

	// Failed only (Message also when Skipped).
	Type, Code, Message string
	ErrorBody           []byte // raw body of the error response, at most 64 KiB, or the whole of an answer that was no good; may be nil
}

// EstimatedUsage is what was counted here for an answer whose usage is not known.
func (r *Row) EstimatedUsage() Usage {
	return Usage{Known: true, Prompt: r.EstimatedPrompt, Completion: r.Estimated - r.EstimatedPrompt, Total: r.Estimated}
}

// UsageTotal is one line of the usage file: what the jobs of one endpoint and requested model used.
type UsageTotal struct {
	Endpoint, Model string

	Jobs, Done, Failed, Pending int64 // Jobs of the present input; Pending includes running
	Attempts                    int64

	Prompt, Completion, Total int64 // reported, over the done rows of the output
	Estimated                 int64 // counted locally, over the done rows whose usage is unknown
	UsageUnknown              int64 // done rows without reported usage
	Wasted                    int64 // reported total tokens of attempts that gave no row its answer
	Gone                      int64 // reported total tokens of answers that are no longer in the input
	PossiblyPaid              int64 // attempts with an unknown outcome
	Reused                    int64 // of Done, answers taken over from other files: their tokens are in none of the sums here
	ReusedTokens              int64 // but in this one, reported
	Simulated                 bool
}

// Output is a file that a run or an export wrote, recorded so that the next one may replace it and nobody else's.
type Output struct {
	Path string // absolute
	Kind string // results, errors or usage
	// Options is how the file was written (shape, format), in its writer's own words, so that it can be made again.
	Options string
	Now     Identity
	Prev    Identity // of the file that stood there before
}

// Identity tells one file from another of the same name.
type Identity struct {
	Dev, Inode uint64
	Size       int64
	MtimeNs    int64
}
